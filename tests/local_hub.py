"""A Hugging Face Hub on loopback: serves given files as the real one does, so that real loading code can be run.

Programs reach it through HF_ENDPOINT, which the libraries read when they are imported: run them as subprocesses with
`environment`.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
from collections import deque
from collections.abc import Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiohttp import web

Files = Mapping[str, bytes | Path]
LARGE = (".safetensors", ".bin", ".gguf", ".pt", ".ckpt")
"""Suffixes of files that the Hub keeps elsewhere (LFS) and knows the SHA-256 of."""
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass(frozen=True)
class Heard:
    """A request as it came in."""

    method: str
    host: str
    path: str
    query: str = ""
    range: str | None = None
    authorization: str | None = None


class LocalHub:
    """with LocalHub({"owner/name": {"weights.pt": path}}) as hub: subprocess.run(..., env=hub.environment(home))

    `broken`: file names whose transfer ends after half of the promised bytes, each time. What the server does not have
    it answers with 404 and the Hub's own error code. `asked` records method and path of every request, `heard` more.

    `about`: what the Hub tells of a repository besides (tags, cardData, gated, downloads, likes, createdAt, ...), by
    which it is searched; files of a gated one need `key`. `storage`: large files come from another host name, which
    answers 400 to anyone with a key. `instead`: (status, headers) of the next answers of any kind. `cuts`: after how
    many bytes the next transfers of large files end. `hold`: set it to have large files
    stop in the middle, which `reached` tells.
    """

    def __init__(
        self,
        repositories: Mapping[str, Files],
        broken: Set[str] = frozenset(),
        *,
        about: Mapping[str, Mapping[str, Any]] | None = None,
        key: str = "",
        storage: bool = False,
    ) -> None:
        self._repositories = repositories
        self._broken = broken
        self._told = about or {}
        self._key = key
        self._storage = storage
        self.heard: list[Heard] = []
        self.instead: deque[tuple[int, Mapping[str, str]]] = deque()
        self.cuts: deque[int] = deque()
        self.hold = threading.Event()
        self.reached = threading.Event()
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="local-hub", daemon=True)
        self._stop = asyncio.Event()
        self.asked: list[tuple[str, str]] = []
        self.url = ""

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(20), "the local hub did not come up"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)

    def environment(self, home: Path) -> dict[str, str]:
        """The environment of a process that uses this hub, with its cache in `home`, and no other."""
        kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        told = {"HF_ENDPOINT": self.url, "HF_HOME": str(home), "HF_HUB_OFFLINE": "0", "NO_PROXY": "127.0.0.1"}
        return kept | told | {"HF_HUB_DISABLE_TELEMETRY": "1", "OMP_NUM_THREADS": "1"}

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        app = web.Application(middlewares=[self._first])
        app.router.add_get("/api/models", self._search)
        app.router.add_get("/storage/{owner}/{name}/{file:.+}", self._stored)
        app.router.add_get("/{owner}/{name}/resolve/{revision}/{file:.+}", self._file)
        app.router.add_get("/api/models/{owner}/{name}", self._about)
        app.router.add_get("/api/models/{owner}/{name}/revision/{revision}", self._about)
        app.router.add_get("/api/models/{owner}/{name}/tree/{revision}", self._tree)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        self._elsewhere = f"http://localhost:{port}/storage"
        self._ready.set()
        await self._stop.wait()
        await runner.cleanup()

    @web.middleware
    async def _first(self, request: web.Request, handler: Any) -> web.StreamResponse:
        told = (request.headers.get(name) for name in ("Range", "Authorization"))
        self.heard.append(
            Heard(request.method, request.host.partition(":")[0], request.path, request.query_string, *told)
        )
        if self.instead:
            status, headers = self.instead.popleft()
            return web.Response(status=status, headers=headers)
        return await handler(request)

    def _repository(self, request: web.Request) -> Files:
        self.asked.append((request.method, request.path))
        files = self._repositories.get(f"{request.match_info['owner']}/{request.match_info['name']}")
        if files is None:
            raise web.HTTPUnauthorized(headers={"X-Error-Code": "RepoNotFound"}, text="Repository not found")
        return files

    async def _file(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["file"]
        content = self._repository(request).get(name)
        if content is None:
            raise web.HTTPNotFound(headers={"X-Error-Code": "EntryNotFound"}, text="Entry not found")
        owner = f"{request.match_info['owner']}/{request.match_info['name']}"
        if self._told.get(owner, {}).get("gated") and request.headers.get("Authorization") != f"Bearer {self._key}":
            words = "Access to this model is restricted."
            raise web.HTTPForbidden(headers={"X-Error-Code": "GatedRepo", "X-Error-Message": words}, text=words)
        if self._storage and name.endswith(LARGE):
            headers = {
                "X-Repo-Commit": COMMIT,
                "X-Linked-Size": str(_size(content)),
                "X-Linked-ETag": f'"{_sha(content)}"',
            }
            raise web.HTTPFound(f"{self._elsewhere}/{owner}/{name}", headers=headers)
        return await self._given(request, name, content)

    async def _stored(self, request: web.Request) -> web.StreamResponse:
        if "Authorization" in request.headers:
            raise web.HTTPBadRequest(text="only one way in at a time")
        name = request.match_info["file"]
        files = self._repositories[f"{request.match_info['owner']}/{request.match_info['name']}"]
        return await self._given(request, name, files[name])

    async def _given(self, request: web.Request, name: str, content: bytes | Path) -> web.StreamResponse:
        total = _size(content)
        start = request.http_range.start or 0
        headers = {
            "ETag": f'"{_tag(name, content, total)}"',
            "X-Repo-Commit": COMMIT,
            "X-Linked-Size": str(total),
            "Accept-Ranges": "bytes",
        }
        response = web.StreamResponse(status=206 if start else 200, headers=headers)
        if start:
            response.headers["Content-Range"] = f"bytes {start}-{total - 1}/{total}"
        response.content_length = total - start
        await response.prepare(request)
        if request.method != "HEAD":
            await self._send(request, response, content, start, await self._end(name, start, total))
        return response

    async def _end(self, name: str, start: int, total: int) -> int:
        """Where this transfer ends."""
        if name in self._broken:
            return total // 2
        if not name.endswith(LARGE):
            return total
        return min(total, start + self.cuts.popleft()) if self.cuts else total

    async def _send(
        self, request: web.Request, response: web.StreamResponse, content: bytes | Path, start: int, end: int
    ) -> None:
        """The bytes from start to end; when more were promised, the connection is dropped then."""
        promised = start + (response.content_length or 0)
        if isinstance(content, bytes):
            half = (start + end) // 2 if self.hold.is_set() and request.path.endswith(LARGE) else start
            await response.write(content[start:half])
            while self.hold.is_set() and half > start:
                self.reached.set()
                await asyncio.sleep(0.01)
            await response.write(content[half:end])
        else:
            with content.open("rb") as file:
                file.seek(start)
                while block := file.read(min(1 << 20, end - file.tell())):
                    await response.write(block)
        if end < promised and request.transport is not None:
            request.transport.close()

    async def _about(self, request: web.Request) -> web.Response:
        files = self._repository(request)
        name = f"{request.match_info['owner']}/{request.match_info['name']}"
        if request.match_info.get("revision", "main") not in {"main", COMMIT}:
            raise web.HTTPNotFound(headers={"X-Error-Code": "RevisionNotFound"}, text="Revision not found")
        sized = "blobs" in request.query
        siblings = [_sibling(file, content) if sized else {"rfilename": file} for file, content in files.items()]
        return web.json_response(self._facts(name) | {"sha": COMMIT, "siblings": siblings})

    def _facts(self, name: str) -> dict[str, Any]:
        about: dict[str, Any] = {"_id": COMMIT[:24], "id": name, "modelId": name, "tags": [], "likes": 0}
        return about | {"private": False, "gated": False, "disabled": False, "downloads": 0, **self._told.get(name, {})}

    async def _search(self, request: web.Request) -> web.Response:
        """As the real one: every filter is a tag that must be there, `search` a part of the id, the order downwards."""
        query = request.query
        found = [self._facts(name) for name in self._repositories]
        found = [one for one in found if query.get("search", "").lower() in one["id"].lower()]
        found = [one for one in found if set(query.getall("filter", [])) <= set(one["tags"])]
        found = [one for one in found if query.get("pipeline_tag", one.get("pipeline_tag")) == one.get("pipeline_tag")]
        if sort := query.get("sort"):
            found.sort(key=lambda one: one.get(sort, "" if sort == "createdAt" else 0), reverse=True)
        shown = {"_id", "id", "modelId", *query.getall("expand", [])}
        rows = [{key: value for key, value in one.items() if key in shown} for one in found]
        return web.json_response(rows[: int(query.get("limit", "1000"))])

    async def _tree(self, request: web.Request) -> web.Response:
        rows = [
            {"type": "file", "oid": COMMIT, "size": _size(content), "path": name}
            | ({"lfs": {"oid": _sha(content), "size": _size(content), "pointerSize": 134}} if self._kept(name) else {})
            for name, content in self._repository(request).items()
        ]
        return web.json_response(rows)

    def _kept(self, name: str) -> bool:
        return self._storage and name.endswith(LARGE)


def _size(content: bytes | Path) -> int:
    return len(content) if isinstance(content, bytes) else content.stat().st_size


def _sha(content: bytes | Path) -> str:
    return hashlib.sha256(content if isinstance(content, bytes) else content.read_bytes()).hexdigest()


def _sibling(name: str, content: bytes | Path) -> dict[str, Any]:
    row: dict[str, Any] = {"rfilename": name, "size": _size(content), "blobId": COMMIT}
    large = {"sha256": _sha(content), "size": _size(content), "pointerSize": 134}
    return row | ({"lfs": large} if name.endswith(LARGE) else {})


def _tag(name: str, content: bytes | Path, total: int) -> str:
    """What tells two versions of a file apart: the content's hash, or its place and size for a large file."""
    told = content if isinstance(content, bytes) else f"{name} {content} {total}".encode()
    return hashlib.sha256(told).hexdigest()
