"""The page's files: what is served of them, how, and that nothing else is."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx2
import pytest
from starlette.types import Receive, Scope, Send

from clients.web.pages import PAGE, PageFiles, Pages
from tests.web.studio import visited

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
    "connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def folder(tmp_path: Path) -> Path:
    page = tmp_path / "page"
    (page / "lib").mkdir(parents=True)
    (page / ".hidden").mkdir()
    files = {"index.html": "<!doctype html>", "lib/a.js": "export {}", "LICENSE": "free", "notes.py": "secret"}
    files |= {".hidden/a.js": "secret", "../outside.js": "secret"}
    for name, text in files.items():
        (page / name).write_text(text, encoding="utf-8")
    (page / "link.js").symlink_to(tmp_path / "outside.js")
    return page


def client_of(page: Path) -> httpx2.AsyncClient:
    pages = Pages(PageFiles(page))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await pages(scope, receive, send)

    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://127.0.0.1")


async def test_the_page_is_served_with_headers_that_let_it_reach_nobody_else(tmp_path: Path) -> None:
    async with visited(tmp_path, items=0) as (client, _):
        answer = await client.get("/")
        head = await client.head("/")
    assert answer.content == (PAGE / "index.html").read_bytes()
    told = {name: answer.headers[name] for name in ("content-security-policy", "content-type", "cache-control")}
    assert told == {
        "content-security-policy": POLICY,
        "content-type": "text/html; charset=utf-8",
        "cache-control": "no-cache",
    }
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert "camera=()" in answer.headers["permissions-policy"]
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(answer.content))


async def test_every_file_of_the_page_is_served_as_what_it_is(tmp_path: Path) -> None:
    files = [path.relative_to(PAGE).as_posix() for path in PAGE.rglob("*") if path.is_file()]
    expected = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
    async with visited(tmp_path, items=0) as (client, _):
        for name in files:
            answer = await client.get(f"/static/{name}")
            assert (name, answer.status_code, answer.content == (PAGE / name).read_bytes()) == (name, 200, True)
            suffix = Path(name).suffix
            assert answer.headers["content-type"] == expected.get(suffix, answer.headers["content-type"])
    assert "index.html" in files


async def test_a_file_that_the_browser_has_is_not_sent_again_until_it_changes(tmp_path: Path) -> None:
    page = folder(tmp_path)
    async with client_of(page) as client:
        first = await client.get("/static/lib/a.js")
        tag = {"if-none-match": f'"other", W/{first.headers["etag"]}'}
        again = await client.get("/static/lib/a.js", headers=tag)
        (page / "lib/a.js").write_text("export { x }", encoding="utf-8")
        changed = await client.get("/static/lib/a.js", headers=tag)
    assert (first.status_code, first.text) == (200, "export {}")
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert (changed.status_code, changed.text) == (200, "export { x }")


@pytest.mark.parametrize(
    "place",
    [
        "../outside.js",
        "lib/../../outside.js",
        "%2e%2e/outside.js",
        "..%2foutside.js",
        "link.js",
        ".hidden/a.js",
        "notes.py",
        "lib",
        "lib/",
        "",
        "/etc/passwd",
        "lib//a.js",
        "lib\\a.js",
        "a%00.js",
        "x" * 5000 + ".js",
    ],
    ids=lambda place: place[:20] or "nothing",
)
async def test_nothing_outside_of_the_page_is_served(tmp_path: Path, place: str) -> None:
    async with client_of(folder(tmp_path)) as client:
        answer = await client.get(httpx2.URL("http://127.0.0.1", raw_path=f"/static/{place}".encode()))
    assert (answer.status_code, answer.json()["type"]) == (404, "not_found")
    assert "secret" not in answer.text


async def test_a_licence_without_an_ending_is_plain_text_and_other_methods_are_refused(tmp_path: Path) -> None:
    async with client_of(folder(tmp_path)) as client:
        licence, posted = await asyncio.gather(client.get("/static/LICENSE"), client.post("/", content=b"x"))
    assert (licence.text, licence.headers["content-type"]) == ("free", "text/plain; charset=utf-8")
    assert (posted.status_code, posted.headers["allow"]) == (405, "GET, HEAD")
