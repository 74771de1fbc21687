"""A Hugging Face Hub on loopback: serves given files as the real one does, so that real loading code can be run.

Programs reach it through HF_ENDPOINT, which the libraries read when they are imported: run them as subprocesses with
`environment`.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
from collections.abc import Mapping, Set
from pathlib import Path
from types import TracebackType
from typing import Self

from aiohttp import web

Files = Mapping[str, bytes | Path]
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class LocalHub:
    """with LocalHub({"owner/name": {"weights.pt": path}}) as hub: subprocess.run(..., env=hub.environment(home))

    `broken`: file names whose transfer ends after half of the promised bytes, each time. What the server does not have
    it answers with 404 and the Hub's own error code. `asked` records method and path of every request.
    """

    def __init__(self, repositories: Mapping[str, Files], broken: Set[str] = frozenset()) -> None:
        self._repositories = repositories
        self._broken = broken
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
        app = web.Application()
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
        self._ready.set()
        await self._stop.wait()
        await runner.cleanup()

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
        total = len(content) if isinstance(content, bytes) else content.stat().st_size
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
            await self._send(request, response, content, start, total // 2 if name in self._broken else total)
        return response

    async def _send(
        self, request: web.Request, response: web.StreamResponse, content: bytes | Path, start: int, end: int
    ) -> None:
        """The bytes from start to end; when more were promised, the connection is dropped then."""
        promised = start + (response.content_length or 0)
        if isinstance(content, bytes):
            await response.write(content[start:end])
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
        siblings = [{"rfilename": file} for file in files]
        about = {"_id": COMMIT[:24], "id": name, "modelId": name, "sha": COMMIT, "siblings": siblings, "tags": []}
        return web.json_response(
            about | {"private": False, "gated": False, "disabled": False, "downloads": 0, "likes": 0}
        )

    async def _tree(self, request: web.Request) -> web.Response:
        sizes = {
            name: len(content) if isinstance(content, bytes) else content.stat().st_size
            for name, content in self._repository(request).items()
        }
        rows = [{"type": "file", "oid": COMMIT, "size": size, "path": name} for name, size in sizes.items()]
        return web.json_response(rows)


def _tag(name: str, content: bytes | Path, total: int) -> str:
    """What tells two versions of a file apart: the content's hash, or its place and size for a large file."""
    told = content if isinstance(content, bytes) else f"{name} {content} {total}".encode()
    return hashlib.sha256(told).hexdigest()
