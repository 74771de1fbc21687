"""The page's own files: read off the disk, sent with the headers that keep a page from reaching anything but us."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from clients.web.faults import fault_response, wrong_method
from workflows.errors import NotFound

PAGE = Path(__file__).parent / "page"
INDEX = "index.html"
STATIC = "/static/"
PLACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(?:/[A-Za-z0-9_][A-Za-z0-9._-]*)*")
"""A path below the folder: no part of it begins with a dot."""
TYPES: Mapping[str, str] = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".txt": "text/plain; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webp": "image/webp",
    ".ico": "image/vnd.microsoft.icon",
    ".woff2": "font/woff2",
    "": "text/plain; charset=utf-8",
}
"""By ending; a file of any other is not served."""
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "media-src 'self' blob:",
        "connect-src 'self'",
        "font-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cache-Control": "no-cache",
}
"""A form of a page that sends no referrer at all has the origin "null", which is nobody's; so ours tells it to us."""
READING = ("GET", "HEAD")


@dataclass(frozen=True, kw_only=True)
class PageFile:
    """One file as it is sent."""

    content: bytes
    media_type: str
    etag: str


class PageFiles:
    """The files below one folder, by their paths. What was read is kept until the file changes."""

    def __init__(self, folder: Path = PAGE) -> None:
        self._folder = folder
        self._read: dict[str, tuple[tuple[int, int], PageFile]] = {}

    async def find(self, place: str) -> PageFile:
        """Raises NotFound for what is not there, lies elsewhere, or is no file of a page."""
        found = await asyncio.to_thread(self._find, place)
        if found is None:
            raise NotFound("page file", place[:200])
        return found

    def _find(self, place: str) -> PageFile | None:
        media_type = TYPES.get(Path(place).suffix.lower())
        if media_type is None or not PLACE.fullmatch(place):
            return None
        try:
            path = (self._folder / place).resolve()
            if not path.is_relative_to(self._folder.resolve()) or not path.is_file():
                return None
            state = path.stat()
            stamp = (state.st_mtime_ns, state.st_size)
            if place not in self._read or self._read[place][0] != stamp:
                self._read[place] = (stamp, page_file(path.read_bytes(), media_type))
        except OSError:
            return None
        return self._read[place][1]


def page_file(content: bytes, media_type: str) -> PageFile:
    return PageFile(content=content, media_type=media_type, etag=f'"{hashlib.sha256(content).hexdigest()[:32]}"')


class Pages:
    """The ASGI app of `/` and of everything below `/static/`."""

    def __init__(self, files: PageFiles | None = None) -> None:
        self._files = files or PageFiles()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        await (await self._answer(request))(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        if request.method not in READING:
            return wrong_method(request.method, ", ".join(READING))
        path = request.scope["path"]
        try:
            return page_response(await self._files.find(INDEX if path == "/" else path.removeprefix(STATIC)), request)
        except NotFound as error:
            return fault_response(error)


def page_response(file: PageFile, request: Request, status: int = 200) -> Response:
    """The file, or word that the browser's copy is still good."""
    headers = {**HEADERS, "ETag": file.etag}
    if status == 200 and known(request, file.etag):
        return Response(status_code=304, headers=headers)
    return Response(file.content, status, {**headers, "Content-Type": file.media_type})


def known(request: Request, etag: str) -> bool:
    """Whether the browser has it already (If-None-Match)."""
    told = request.headers.get("if-none-match", "")
    return etag in {one.strip().removeprefix("W/") for one in told.split(",")} or told.strip() == "*"
