"""The login: who is let in, for how long, and what a cookie opens."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from starlette.types import Receive, Scope, Send

from clients.tools.guard import Guard
from clients.tools.serving import transport_security
from clients.web import entrance
from clients.web.entrance import Entrance
from tests.web.studio import visited
from utils.sessions import COOKIE, SECONDS, holds, session

TOKEN = "open sesame, 猫"
NOW = 1_800_000_000.0
PAGE = {"accept": "text/html,application/xhtml+xml", "sec-fetch-mode": "navigate"}
OWN = {"origin": "http://127.0.0.1"}
RIGHT = {"token": TOKEN}


class Clock:
    """Tells what time it is set to."""

    now = NOW

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def guarded(clock: Clock, token: str = TOKEN) -> AsyncGenerator[httpx2.AsyncClient]:
    """A browser before the guard; behind it everything answers "inside"."""

    async def inside(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"inside"})

    app = Guard(inside, transport_security(()), token, Entrance(token, clock), clock)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://127.0.0.1") as client:
        yield client


async def logged_in(client: httpx2.AsyncClient) -> str:
    """The cookie that it got."""
    answer = await client.post("/login", data=RIGHT, headers=OWN)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    return answer.cookies[COOKIE]


async def test_who_comes_without_a_token_sees_the_login_and_whoever_has_it_the_page(tmp_path: Path) -> None:
    async with visited(tmp_path, items=0, token=TOKEN) as (client, _):
        origin = {"origin": str(client.base_url).rstrip("/")}
        shut = await client.get("/", headers=PAGE)
        api = await client.get("/api/images")
        style = await client.get("/login.css")
        answer = await client.post("/login", data=RIGHT, headers=origin)
        page = await client.get("/", headers=PAGE)
        status = (await client.get("/api/status")).json()
        left = await client.post("/logout", headers=origin)
        after = await client.get("/", headers=PAGE)
    assert (shut.status_code, "Log in" in shut.text) == (401, True)
    assert "default-src 'none'" in shut.headers["content-security-policy"]
    assert (api.status_code, api.json()["type"]) == (401, "unauthorised")
    assert (style.status_code, style.headers["content-type"]) == (200, "text/css; charset=utf-8")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert (page.status_code, "Log in" in page.text) == (200, False)
    assert status["signed_in"] is True
    assert (left.status_code, after.status_code) == (303, 401)


async def test_the_cookie_is_not_the_token_and_no_script_or_other_site_gets_it() -> None:
    async with guarded(Clock()) as client:
        answer = await client.post("/login", data=RIGHT, headers=OWN)
        client.cookies.clear()
        secure = await client.post("https://127.0.0.1/login", data=RIGHT, headers={"origin": "https://127.0.0.1"})
    told = answer.headers["set-cookie"]
    assert re.fullmatch(rf"{COOKIE}=[\w.-]+; Max-Age={SECONDS}; HttpOnly; SameSite=Strict; Path=/", told)
    assert secure.headers["set-cookie"].endswith("; Path=/; Secure")
    assert TOKEN not in told


async def test_a_wrong_token_is_told_so_and_nothing_of_it_is_shown() -> None:
    async with guarded(Clock()) as client:
        for given in ("<script>", "", f"{TOKEN}!", TOKEN[:-1], "x" * 20_000):
            answer = await client.post("/login", data={"token": given}, headers=OWN)
            assert (answer.status_code, "That is not the token." in answer.text) == (401, True)
            assert "set-cookie" not in answer.headers
            assert "<script>" not in answer.text
        client.cookies.clear()


async def test_after_five_wrong_tokens_in_a_minute_even_the_right_one_has_to_wait() -> None:
    clock = Clock()
    async with guarded(clock) as client:
        for second in range(5):
            clock.now = NOW + second
            assert (await client.post("/login", data={"token": "wrong"}, headers=OWN)).status_code == 401
        refused = await client.post("/login", data=RIGHT, headers=OWN)
        clock.now = NOW + 59
        early = await client.post("/login", data=RIGHT, headers=OWN)
        clock.now = NOW + 60
        late = await client.post("/login", data=RIGHT, headers=OWN)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "56")
    assert "Wait 56 seconds" in refused.text
    assert (early.status_code, late.status_code) == (429, 303)


async def test_wrong_tokens_that_come_all_at_once_are_no_more_than_five_tries() -> None:
    entered, go = asyncio.Semaphore(0), asyncio.Event()

    async def slow() -> AsyncGenerator[bytes]:
        yield b"token="
        entered.release()
        await go.wait()
        yield b"wrong"

    async with guarded(Clock()) as client:
        form = OWN | {"content-type": "application/x-www-form-urlencoded"}
        tries = [asyncio.create_task(client.post("/login", content=slow(), headers=form)) for _ in range(20)]
        for _ in tries:
            await entered.acquire()
        go.set()
        statuses = sorted([(await one).status_code for one in tries])
    assert statuses == [401] * 5 + [429] * 15


def test_host_names_are_taken_as_people_write_them() -> None:
    told = transport_security(("Studio.Example", "https://other.example/"))
    assert {"studio.example", "studio.example:*", "other.example", "other.example:*"} <= set(told.allowed_hosts)
    assert {"https://studio.example", "http://other.example:*"} <= set(told.allowed_origins)


async def test_a_login_lasts_thirty_days_and_survives_a_restart() -> None:
    clock = Clock()
    async with guarded(clock) as client:
        cookie = await logged_in(client)
    for days, status in ((0, 200), (29, 200), (30, 401), (300, 401), (-1, 401)):
        later = Clock()
        later.now = NOW + days * 86_400
        async with guarded(later) as client:
            answer = await client.get("/api/images", headers={"cookie": f"{COOKIE}={cookie}"})
            assert (days, answer.status_code) == (days, status)


async def test_another_token_voids_every_login() -> None:
    async with guarded(Clock()) as client:
        cookie = await logged_in(client)
    async with guarded(Clock(), "another token") as client:
        answer = await client.get("/api/images", headers={"cookie": f"{COOKIE}={cookie}"})
    assert answer.status_code == 401


def test_a_cookie_cannot_be_forged() -> None:
    right = session(TOKEN, NOW)
    end, nonce, seal = right.split(".")
    later = f"{int(end) + 1}.{nonce}.{seal}"
    other = f"{end}.{nonce[::-1]}.{seal}"
    far = session(TOKEN, NOW + 365 * 86_400)
    forged = [later, other, far, f"{end}.{nonce}.", f"{end}.{nonce}.{'0' * 64}", TOKEN, "", "..", right + "0", seal]
    forged += [right.upper(), f" {right}", f"{right}\n", f"-{right}", session("", NOW)]
    assert [one for one in forged if holds(one, TOKEN, NOW)] == []
    assert holds(right, TOKEN, NOW)
    assert session(TOKEN, NOW) != right  # two logins are not the same one


ELSEWHERE = "http://localhost:9999"


async def test_what_a_cookie_changes_is_asked_for_by_a_page_of_our_own() -> None:
    cases: dict[int, list[dict[str, str]]] = {
        200: [OWN, {"sec-fetch-site": "same-origin"}],
        403: [
            {},
            {"origin": ELSEWHERE},
            {"origin": "http://127.0.0.1:9999"},
            {"origin": "null"},
            {"sec-fetch-site": "same-site"},
            {"sec-fetch-site": "cross-site"},
        ],
    }
    async with guarded(Clock()) as client:
        await logged_in(client)
        for status, several in cases.items():
            for headers in several:
                for method in ("POST", "PATCH", "DELETE", "PUT"):
                    answer = await client.request(method, "/api/images/x", headers=headers)
                    assert (method, headers, answer.status_code) == (method, headers, status)


async def test_what_a_cookie_reads_is_not_read_by_another_page() -> None:
    async with guarded(Clock()) as client:
        await logged_in(client)
        same = {"sec-fetch-site": "same-origin", "sec-fetch-mode": "no-cors"}
        plain = [{}, same, PAGE | {"sec-fetch-site": "cross-site"}, PAGE | {"sec-fetch-site": "none"}]
        foreign = [{"sec-fetch-site": site, "sec-fetch-mode": "no-cors"} for site in ("same-site", "cross-site")]
        statuses = [(await client.get("/api/x", headers=headers)).status_code for headers in [*plain, *foreign]]
    assert statuses == [200, 200, 200, 200, 403, 403]


async def test_a_cookie_opens_nothing_to_programs() -> None:
    async with guarded(Clock()) as client:
        await logged_in(client)
        by_cookie = await client.post("/mcp", headers=OWN)
        client.cookies.clear()
        by_token = await client.post("/mcp", headers=[(b"authorization", f"Bearer {TOKEN}".encode())])
        navigation = await client.get("/mcp", headers=PAGE)
    assert (by_cookie.status_code, by_cookie.json()["type"]) == (401, "unauthorised")
    assert by_token.text == "inside"
    assert (navigation.status_code, navigation.json()["type"]) == (401, "unauthorised")


async def test_a_login_from_another_page_is_refused() -> None:
    async with guarded(Clock()) as client:
        answers = [
            await client.post(path, data=RIGHT, headers=headers)
            for path in ("/login", "/logout")
            for headers in ({"origin": ELSEWHERE}, {"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"})
        ]
    assert [answer.status_code for answer in answers] == [403] * 6
    assert all("set-cookie" not in answer.headers for answer in answers)


async def test_a_link_of_another_site_leads_in_by_way_of_our_own_login() -> None:
    async with guarded(Clock()) as client:
        followed = await client.get("/", headers=PAGE | {"sec-fetch-site": "cross-site"})  # the cookie is kept back
        await logged_in(client)
        login = await client.get("/login", headers=PAGE | {"sec-fetch-site": "same-origin"})
        client.cookies.clear()
        plain = await client.get("/login", headers=PAGE)
    assert (followed.status_code, '<meta name="again" content="/login">' in followed.text) == (401, True)
    assert '<meta http-equiv="refresh" content="0; url=/login">' in followed.text
    assert "again" not in plain.text
    assert (login.status_code, login.headers["location"]) == (303, "/")


@pytest.mark.parametrize(
    ("method", "path", "allowed"), [("PUT", "/login", "GET, HEAD, POST"), ("GET", "/logout", "POST")]
)
async def test_other_methods_are_refused_at_the_door(method: str, path: str, allowed: str) -> None:
    async with guarded(Clock()) as client:
        answer = await client.request(method, path, headers=OWN)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


async def test_without_a_token_there_is_no_login_and_other_pages_change_nothing(tmp_path: Path) -> None:
    async with visited(tmp_path, items=1) as (client, served):
        nothing = await client.get("/login")
        address = f"/api/images/{served.items[0].id}"
        foreign = await client.delete(address, headers={"origin": ELSEWHERE})
        program = await client.delete(address)
    assert entrance(None) is None
    assert (nothing.status_code, foreign.status_code, program.status_code) == (404, 403, 200)
