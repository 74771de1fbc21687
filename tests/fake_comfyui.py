"""A ComfyUI on a real port of 127.0.0.1: its routes, its socket, its serial queue; pictures and videos of one colour.

    async with FakeComfyUI(models={"checkpoints": ["a.safetensors"]}) as fake:
        async with ComfyUIClient(fake.url) as client: ...
        assert fake.prompts[0]["prompt"] == graph

It runs in the test's own event loop. What it should do wrong is said before or while it runs:

    hold = fake.hold("KSampler", step=2)   await hold.reached.wait(); ...; hold.release()
    fake.fail("VAEDecode", "torch.OutOfMemoryError", "CUDA out of memory")
    fake.answer("/prompt", 500)            the next request only; queued=True: it has its effect nevertheless
    fake.well("/prompt")                   what was scripted for it is dropped
    fake.deaf = True                       a socket that says nothing more
    fake.mute.add("executed")              events of one kind never arrive
    fake.short = 20                        every file's last bytes are missing
    await fake.cut()                       sockets break without a word
    await fake.restart()                   so does all; queue, history, cache and temporary files are gone
    await fake.stop(); await fake.start()  it refuses connections in between; the port stays

Era "A" is the servers of 2025, "B" those of 2026 with /api/jobs. The order of its events is that of recorded runs, and
the contract suite (tests/live) holds it to a real server.
"""

from __future__ import annotations

import asyncio
import base64
import json
import struct
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Self, cast
from uuid import UUID, uuid4

from aiohttp import web

from tests.comfyui.shelves import FOLDERS, LATER_FOLDERS, MAX_UPLOAD, Metadata, Models, Shelves, recorded
from tests.comfyui.validation import Checker, error
from tests.comfyui.worker import Break, Entry, Hold, Worker, stop

Json = Mapping[str, Any]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

VERSIONS = {"A": "0.3.64", "B": "0.33.0"}


class FakeComfyUI(Shelves):
    """See the module.

    `nodes`: object_info, such as `recorded("nodes_a", "nodes_guides_a")`. `models`: file names by folder, or
    {name: size in bytes} where the size matters. `metadata`: of safetensors files, by file name. `vram` in bytes.
    """

    def __init__(
        self,
        *,
        era: str = "A",
        version: str | None = None,
        nodes: Json | None = None,
        models: Models | None = None,
        metadata: Metadata | None = None,
        vram: int = 24 * 2**30,
        device: str = "cuda:0 FakeRTX",
        prefix: str = "",
        basic: tuple[str, str] | None = None,
        bearer: str | None = None,
    ) -> None:
        folders = FOLDERS if era == "A" else (*FOLDERS, *LATER_FOLDERS)
        super().__init__(recorded(f"nodes_{era.lower()}") if nodes is None else nodes, models, metadata, folders)
        self.era = era
        self.version = version or VERSIONS[era]
        self.vram = self.vram_free = vram
        self.device = device
        self.deaf = False
        self.mute: set[str] = set()
        self.prompts: list[dict[str, Any]] = []
        """What was posted to /prompt and queued."""
        self.requests: list[tuple[str, str]] = []
        """Method and path of everything that was asked."""
        self.freed: list[Json] = []
        self.sent: list[tuple[str, str]] = []
        """Kind of every event and the client it was for; "" for everyone."""
        self.sockets: dict[str, web.WebSocketResponse] = {}
        self._prefix = prefix
        self._door = _door(basic, bearer)
        self._flags: dict[str, Json] = {}
        self._wires: dict[str, asyncio.Transport] = {}
        self._transports: set[asyncio.Transport] = set()
        self._held: dict[str, Hold] = {}
        self._scripted: dict[str, list[tuple[int, bool]]] = {}
        self._number = 0
        self._port = 0
        self._changed = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self._task: asyncio.Task[None] | None = None
        self.worker = Worker(self._send, self._send_picture, self.files)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}{self._prefix}"

    @property
    def history(self) -> dict[str, dict[str, Any]]:
        return self.worker.history

    def hold(self, *classes: str, step: int = 0) -> Hold:
        """Stop at the next node of these classes (any, when none is given), before its work or after a step."""
        hold = Hold(classes, step)
        self.worker.holds.append(hold)
        return hold

    def hold_request(self, path: str) -> Hold:
        """Requests to a path are obeyed and answered only once this is released."""
        self._held[path] = Hold(())
        return self._held[path]

    def fail(self, class_type: str, kind: str, message: str, times: int = 1) -> None:
        """Nodes of this class raise, `times` times."""
        self.worker.breaks.append(Break(class_type, kind, message, times))

    def answer(self, path: str, *statuses: int, queued: bool = False) -> None:
        """What the next requests to a path are answered, without effect unless `queued`; 0: the connection breaks."""
        self._scripted.setdefault(path, []).extend((status, queued) for status in statuses)

    def well(self, path: str) -> None:
        """Requests to a path are obeyed and answered again."""
        self._scripted.pop(path, None)

    async def until(self, true: Callable[[], object], seconds: float = 5.0) -> None:
        """Wait until something is so; looked at whenever the fake is asked or says something."""
        async with asyncio.timeout(seconds):
            while not true():
                self._changed.clear()
                await self._changed.wait()

    async def start(self) -> None:
        self._task = asyncio.create_task(self.worker.live(), name="fake-comfyui")
        # A request must not outlive the test: a handler ends when its client goes.
        self._runner = web.AppRunner(self._app(), access_log=None, shutdown_timeout=0.1, handler_cancellation=False)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Like a kill: connections break, nothing is kept but what lies on the disk."""
        if self._runner is None or self._task is None:
            return
        await stop(self._task)
        runner, self._runner = self._runner, None
        self._forget()
        self._abort()
        await runner.cleanup()

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    async def cut(self) -> None:
        """Break the sockets; requests go on."""
        cut = list(self.sockets.values())
        for wire in list(self._wires.values()):
            wire.abort()
        await self.until(lambda: not any(socket in cut for socket in self.sockets.values()))

    def _forget(self) -> None:
        self.worker.forget()
        self._number = 0
        for file in [file for file in self.files if file[0] == "temp"]:
            del self.files[file]

    def _abort(self) -> None:
        for transport in self._transports:
            transport.abort()
        self._transports.clear()

    def _app(self) -> web.Application:
        app = web.Application(client_max_size=MAX_UPLOAD, middlewares=[self._gatekeeper])
        both: list[tuple[str, str, Handler]] = [
            ("GET", "/ws", self._socket),
            ("POST", "/prompt", self._prompt),
            ("GET", "/prompt", self._remaining),
            ("GET", "/queue", self._queue),
            ("POST", "/queue", self._delete),
            ("POST", "/interrupt", self._interrupt),
            ("GET", "/history", self._history),
            ("POST", "/history", self._forget_history),
            ("GET", "/history/{id}", self._history),
            ("GET", "/view", self._view),
            ("POST", "/upload/image", self._upload),
            ("POST", "/upload/mask", self._upload_mask),
            ("GET", "/object_info", self._object_info),
            ("GET", "/object_info/{name}", self._object_info),
            ("GET", "/models", self._models),
            ("GET", "/models/{folder}", self._models),
            ("GET", "/experiment/models/{folder}", self._sizes),
            ("GET", "/view_metadata/{folder}", self._metadata),
            ("GET", "/embeddings", self._embeddings),
            ("GET", "/system_stats", self._stats),
            ("GET", "/features", self._features),
            ("POST", "/free", self._free),
            ("GET", "/userdata", self._saved),
            ("GET", "/userdata/{file}", self._saved_file),
            ("POST", "/userdata/{file}", self._saved_file),
        ]
        for method, path, handler in both:
            for prefix in ("", "/api"):
                whole = f"{self._prefix}{prefix}{path}"
                app.router.add_get(whole, handler) if method == "GET" else app.router.add_post(whole, handler)
        if self.era == "B":
            app.router.add_get(f"{self._prefix}/api/jobs", self._jobs)
            app.router.add_post(f"{self._prefix}/api/jobs/{{id}}/cancel", self._cancel)
        return app

    @web.middleware
    async def _gatekeeper(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        path = request.path.removeprefix(self._prefix)
        self.requests.append((request.method, path))
        self._transports.add(_wire(request))
        self._changed.set()
        if self._door is not None and request.headers.get("Authorization") != self._door:
            return web.Response(status=401)
        if (hold := self._held.get(path)) is not None and not hold.go.is_set():
            hold.reached.set()
            await hold.go.wait()
        if scripted := self._scripted.get(path):
            status, queued = scripted.pop(0)
            if queued:
                await handler(request)
            if not status:
                _wire(request).abort()
            return web.Response(status=status or 500, text=f"{status} Internal Server Error")
        return await handler(request)

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        """One id has one socket, the newest; when the older one ends, it takes the newer's place away (as it is)."""
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        name = request.query.get("clientId") or uuid4().hex
        self.sockets[name], self._wires[name], self._flags[name] = socket, _wire(request), {}
        self._changed.set()
        info = {"exec_info": {"queue_remaining": self.worker.remaining}}
        await self._send("status", {"status": info, "sid": name}, name)
        client, node = self.worker.current
        if client == name and node is not None:
            await self._send("executing", {"node": node}, name)
        first = True
        try:
            async for message in socket:
                said = json.loads(message.data)
                if first and said.get("type") == "feature_flags":
                    self._flags[name] = said["data"]
                    await self._send("feature_flags", self._own_features(), name)
                first = False
        finally:
            self.sockets.pop(name, None)
            self._flags.pop(name, None)
            self._wires.pop(name, None)
            self._changed.set()
        return socket

    async def _send(self, kind: str, body: Json, client: str | None) -> None:
        self.sent.append((kind, client or ""))
        self._changed.set()
        if kind not in self.mute:
            await self._put(client, json.dumps({"type": kind, "data": body}))

    async def _send_picture(
        self, picture: bytes, kind: str, facts: Json, client: str | None
    ) -> Callable[[], Awaitable[None]] | None:
        """As type 4 now, or as type 1 by the call that is given back, for clients that do not know type 4."""
        if client is not None and self._flags.get(client, {}).get("supports_preview_metadata"):
            head = json.dumps({**facts, "image_type": f"image/{kind.lower()}"}).encode()
            await self._put(client, struct.pack(">II", 4, len(head)) + head + picture)
            return None

        async def late() -> None:
            await self._put(client, struct.pack(">II", 1, {"JPEG": 1, "PNG": 2}[kind]) + picture)

        return late

    async def _put(self, client: str | None, message: str | bytes) -> None:
        sockets = list(self.sockets.values()) if client is None else [self.sockets.get(client)]
        for socket in sockets:
            if socket is None or self.deaf or socket.closed:
                continue
            try:
                await (socket.send_str(message) if isinstance(message, str) else socket.send_bytes(message))
            except (ConnectionError, RuntimeError):
                continue

    async def _prompt(self, request: web.Request) -> web.Response:
        body = await request.json()
        graph, prompt_id = cast("dict[str, Any]", body.get("prompt")), str(body.get("prompt_id") or uuid4())
        if self.era == "B" and not _is_uuid(prompt_id):
            fault = error("invalid_prompt_id", "prompt_id must be a valid UUID")
            return web.json_response({"error": fault, "node_errors": {}}, status=400)
        verdict = Checker(self._known_nodes(), self.era, self._exists).check(
            graph, body.get("partial_execution_targets")
        )
        if verdict.error is not None:
            return web.json_response({"error": verdict.error, "node_errors": verdict.node_errors}, status=400)
        number = -self._number if body.get("front") else body.get("number", self._number)
        self._number += 1
        extra = dict(body.get("extra_data") or {})
        if body.get("client_id"):
            extra["client_id"] = body["client_id"]
        self.prompts.append(body)
        await self.worker.put((float(number), prompt_id, graph, extra, verdict.outputs))
        return web.json_response({"prompt_id": prompt_id, "number": number, "node_errors": verdict.node_errors})

    async def _remaining(self, _: web.Request) -> web.Response:
        return web.json_response({"exec_info": {"queue_remaining": self.worker.remaining}})

    async def _queue(self, _: web.Request) -> web.Response:
        running = [self.worker.running] if self.worker.running else []
        # The real one is a heap: only its first is surely the next.
        pending = self.worker.pending[:1] + self.worker.pending[:0:-1]
        return web.json_response({"queue_running": running, "queue_pending": pending})

    async def _delete(self, request: web.Request) -> web.Response:
        body = await request.json()
        ids = [entry[1] for entry in self.worker.pending] if body.get("clear") else body.get("delete", [])
        await self.worker.delete(ids)
        return web.Response()

    async def _interrupt(self, request: web.Request) -> web.Response:
        body: Json = await request.json() if request.can_read_body else {}
        wanted = body.get("prompt_id")
        if self.worker.running is not None and wanted in {None, self.worker.running[1]}:
            self.worker.interrupt()
        return web.Response()

    async def _history(self, request: web.Request) -> web.Response:
        name = request.match_info.get("id")
        if name is None:
            most = int(request.query.get("max_items", 0))
            return web.json_response(dict(list(self.history.items())[-most:]))
        return web.json_response({name: self.history[name]} if name in self.history else {})

    async def _forget_history(self, request: web.Request) -> web.Response:
        body = await request.json()
        for name in list(self.history) if body.get("clear") else body.get("delete", []):
            self.history.pop(name, None)
        return web.Response()

    async def _jobs(self, request: web.Request) -> web.Response:
        def job(entry: Entry, status: str) -> Json:
            return {"id": entry[1], "status": status, "priority": entry[0], "outputs_count": 0}

        ended = [job(one["prompt"], _job_status(one["status"])) for one in reversed(self.history.values())]
        running = [job(self.worker.running, "in_progress")] if self.worker.running else []
        jobs = [*(job(entry, "pending") for entry in reversed(self.worker.pending)), *running, *ended]
        limit = int(request.query.get("limit", len(jobs)))
        return web.json_response({"jobs": jobs[:limit], "pagination": {"total": len(jobs)}})

    async def _cancel(self, request: web.Request) -> web.Response:
        name = request.match_info["id"]
        cancelled = await self.worker.delete([name])
        if self.worker.running is not None and self.worker.running[1] == name:
            self.worker.interrupt()
            cancelled = True
        return web.json_response({"cancelled": cancelled})

    async def _free(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.freed.append(body)
        if body.get("free_memory"):
            self.worker.cache.clear()
        return web.Response()


def _door(basic: tuple[str, str] | None, bearer: str | None) -> str | None:
    if bearer:
        return f"Bearer {bearer}"
    return f"Basic {base64.b64encode(':'.join(basic).encode()).decode()}" if basic else None


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def _job_status(status: Json) -> str:
    if status["status_str"] == "success":
        return "completed"
    return "cancelled" if any(kind == "execution_interrupted" for kind, _ in status["messages"]) else "failed"


def _wire(request: web.Request) -> asyncio.Transport:
    return cast(asyncio.Transport, request.transport)
