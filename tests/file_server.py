"""A server on loopback that gives one file as servers do: cut, silent, with ranges or without, from other hosts."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from aiohttp import web


@dataclass(frozen=True)
class Asked:
    """A request as it came in."""

    host: str
    range: str | None = None
    if_range: str | None = None
    authorization: str | None = None


@dataclass
class FileServer:
    """async with FileServer(content) as server: ... server.url

    `cuts`: after how many bytes each answer in turn ends with the connection; `silences`: the same, but the connection
    stays and says nothing. `instead`: answers in turn that are no file: status and headers. Redirects from 127.0.0.1 to
    another name of the same machine when `elsewhere`, with a signature that is good once.
    """

    content: bytes
    etag: str = '"one"'
    ranges: bool = True
    length: bool = True
    elsewhere: bool = False
    media_type: str = "application/octet-stream"
    cuts: deque[int] = field(default_factory=deque[int])
    silences: deque[int] = field(default_factory=deque[int])
    instead: deque[tuple[int, Mapping[str, str]]] = field(default_factory=deque[tuple[int, Mapping[str, str]]])
    stale: int = 0
    """How many of the next signatures have run out already."""
    asked: list[Asked] = field(default_factory=list[Asked])
    url: str = ""
    _signed: set[str] = field(default_factory=set[str])
    _over: asyncio.Event = field(default_factory=asyncio.Event)

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/file", self._source, allow_head=False)
        app.router.add_get("/signed/{signature}", self._presigned, allow_head=False)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = int(self._runner.addresses[0][1])
        self.url = f"http://127.0.0.1:{self.port}/file"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._over.set()
        await self._runner.cleanup()

    def _note(self, request: web.Request) -> None:
        told = (request.headers.get(name) for name in ("Range", "If-Range", "Authorization"))
        self.asked.append(Asked(request.host.partition(":")[0], *told))

    async def _source(self, request: web.Request) -> web.StreamResponse:
        self._note(request)
        if self.instead:
            status, headers = self.instead.popleft()
            return web.Response(status=status, headers=headers)
        if not self.elsewhere:
            return await self._file(request)
        signature = f"{len(self.asked)}"
        self._signed.add(signature)
        raise web.HTTPTemporaryRedirect(f"http://localhost:{self.port}/signed/{signature}")

    async def _presigned(self, request: web.Request) -> web.StreamResponse:
        self._note(request)
        if "Authorization" in request.headers:
            raise web.HTTPBadRequest(text="two ways in at once")
        if request.match_info["signature"] not in self._signed or self.stale:
            self.stale = max(0, self.stale - 1)
            raise web.HTTPForbidden(text="ran out")
        self._signed.clear()
        return await self._file(request)

    async def _file(self, request: web.Request) -> web.StreamResponse:
        start, total = self._start(request), len(self.content)
        if start > total or (start and start == total):
            return web.Response(status=416, headers={"Content-Range": f"bytes */{total}"})
        response = web.StreamResponse(status=206 if start else 200, headers={"Content-Type": self.media_type})
        if self.etag:
            response.headers["ETag"] = self.etag
        if start:
            response.headers["Content-Range"] = f"bytes {start}-{total - 1}/{total}"
        if self.length:
            response.content_length = total - start
        else:
            response.enable_chunked_encoding()
        await response.prepare(request)
        await self._send(request, response, self.content[start:])
        return response

    def _start(self, request: web.Request) -> int:
        wanted = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))
        same = request.headers.get("If-Range", self.etag) == self.etag
        return int(wanted[1]) if wanted and same and self.ranges else 0

    async def _send(self, request: web.Request, response: web.StreamResponse, rest: bytes) -> None:
        if self.silences:
            await response.write(rest[: self.silences.popleft()])
            await self._over.wait()
        elif self.cuts:
            await response.write(rest[: self.cuts.popleft()])
            assert request.transport is not None
            request.transport.close()
        else:
            await response.write(rest)
