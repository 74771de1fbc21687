"""Entrance: the login for browsers, which can send no token themselves. The token becomes a cookie that is not it."""

from __future__ import annotations

import hmac
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from clients.web.bodies import read_bytes
from clients.web.faults import BadRequest, wrong_method
from clients.web.pages import READING, PageFiles, page_file, page_response
from utils.sessions import COOKIE, SECONDS, holds, session

LOGIN, LOGOUT = "/login", "/logout"
FILES = ("/login.css", "/login.js")
ALLOWED = {LOGIN: "GET, HEAD, POST", LOGOUT: "POST"}
MAX_FORM = 10_000
"""Bytes."""
SLOT = b"<!-- message -->"
AGAIN_SLOT = b"<!-- again -->"
AGAIN = (
    f'<meta name="again" content="{LOGIN}"><noscript><meta http-equiv="refresh" content="0; url={LOGIN}"></noscript>'
).encode()
"""Leads on to /login: with the end of the address where scripts run, without it elsewhere."""
WRONG = "That is not the token. It is the one in ATELIER_TOKEN, where Atelier was started."
TOO_OFTEN = "Too many wrong tokens. Wait {seconds} seconds, then try again."
MAX_WRONG = 5
WINDOW_SECONDS = 60.0
MAX_ADDRESSES = 1000
"""Whose wrong tokens are remembered; the longest forgotten goes first."""


class Entrance:
    """The ASGI app of /login, /logout and their files; at any other address it is the login page, as a refusal.

    `clock`: seconds since 1970.
    """

    addresses = frozenset({LOGIN, LOGOUT, *FILES})

    def __init__(self, token: str, clock: Callable[[], float] = time.time) -> None:
        self._token = token
        self._clock = clock
        self._files = PageFiles(Path(__file__).parent / "login")
        self._wrong = Wrong()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except ClientDisconnect:
            return
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        path, reading = request.scope["path"], request.method in READING
        if request.method == "POST" and path == LOGIN:
            return await self._let_in(request)
        if request.method == "POST" and path == LOGOUT:
            return _let_out(request)
        if not reading or path == LOGOUT:
            return wrong_method(request.method, ALLOWED.get(path, ", ".join(READING)))
        if path in FILES:
            return page_response(await self._files.find(path.removeprefix("/")), request)
        if path == LOGIN and holds(request.cookies.get(COOKIE, ""), self._token, self._clock()):
            return _go_home()
        # Browsers keep the cookie back when a link of another site leads here. From our own page they send it.
        again = path != LOGIN and request.headers.get("sec-fetch-site") in {"cross-site", "same-site"}
        return await self._form(request, 200 if path == LOGIN else 401, again=again)

    async def _let_in(self, request: Request) -> Response:
        told = await _told_token(request)  # first: many that are sent at once are not all let through before one fails
        address, now = request.client.host if request.client else "", self._clock()
        if wait := self._wrong.wait(address, now):
            return await self._form(request, 429, TOO_OFTEN.format(seconds=wait), {"Retry-After": str(wait)})
        if not hmac.compare_digest(told.encode(), self._token.encode()):
            self._wrong.note(address, now)
            return await self._form(request, 401, WRONG)
        value = session(self._token, now)
        return _go_home(_cookie(value, SECONDS, request))

    async def _form(
        self,
        request: Request,
        status: int,
        message: str = "",
        headers: dict[str, str] | None = None,
        *,
        again: bool = False,
    ) -> Response:
        """The login page. `message` is one of ours: nothing that was sent is ever shown."""
        shown = f'<p role="alert">{message}</p>'.encode() if message else b""
        plain = await self._files.find("login.html")
        whole = plain.content.replace(SLOT, shown).replace(AGAIN_SLOT, AGAIN if again else b"")
        response = page_response(page_file(whole, plain.media_type), request, status)
        response.headers.update({"Cache-Control": "no-store", **(headers or {})})
        return response


@dataclass
class Wrong:
    """Wrong tokens by the address that they came from."""

    def __post_init__(self) -> None:
        self._times: OrderedDict[str, list[float]] = OrderedDict()

    def wait(self, address: str, now: float) -> int:
        """Seconds until that address may try again; 0: now."""
        times = [one for one in self._times.get(address, ()) if 0 <= now - one < WINDOW_SECONDS]
        return math.ceil(WINDOW_SECONDS - (now - times[-MAX_WRONG])) if len(times) >= MAX_WRONG else 0

    def note(self, address: str, now: float) -> None:
        self._times[address] = [*self._times.get(address, ())[-MAX_WRONG + 1 :], now]
        self._times.move_to_end(address)
        if len(self._times) > MAX_ADDRESSES:
            self._times.popitem(last=False)


async def _told_token(request: Request) -> str:
    """What the form brought; "" for anything else."""
    try:
        body = await read_bytes(request, MAX_FORM)
        return parse_qs(body.decode(), max_num_fields=10).get("token", [""])[0].strip()
    except (BadRequest, ValueError):
        return ""


def _let_out(request: Request) -> Response:
    return _go_home(_cookie("", 0, request))


def _go_home(cookie: str = "") -> Response:
    headers = {"Location": "/", "Cache-Control": "no-store"}
    return Response(status_code=303, headers=headers | ({"Set-Cookie": cookie} if cookie else {}))


def _cookie(value: str, seconds: int, request: Request) -> str:
    secure = "; Secure" if request.url.scheme == "https" else ""
    return f"{COOKIE}={value}; Max-Age={seconds}; HttpOnly; SameSite=Strict; Path=/{secure}"
