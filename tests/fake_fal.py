"""A stand-in for FAL.ai: its queue, storage, media, prices and schemas, under their own names and TLS.

    async with FakeFal() as fake, fake.environment(monkeypatch):
        fake.plan(Work(queue=(2, 1), logs=("3/4",), nsfw=True))    what becomes of the next request
        fake.refuse(429, {...}, {"Retry-After": "3"})              the next request to the queue only
        fake.cut()                                                 the next submit is taken, and never answered
        gate = fake.hold()                                         the next render begins, and waits for gate.go

The SDK reaches it as it would the real one, through an HTTPS proxy (HTTPS_PROXY) on loopback and a certificate of our
own (SSL_CERT_FILE): nothing of it is patched. Shapes are those of fal-client 1.0.3 and of FAL's public documentation;
nothing was compared with the live service.
"""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Self, cast
from urllib.parse import urlsplit

import pytest
import trustme
from aiohttp import web
from PIL import Image

Json = dict[str, Any]
KEY = "id:right"
HOSTS = ("queue.fal.run", "rest.fal.ai", "v3.fal.media", "v3b.fal.media", "api.fal.ai", "fal.ai")
APPS = (
    "fal-ai/fast-lightning-sdxl",
    "fal-ai/fast-sdxl",
    "fal-ai/flux",
    "fal-ai/flux-lora",
    "fal-ai/wan",
    "someone/draws",
)
"""owner/app; what follows is an endpoint's path, and no part of a request's address."""
STEPS = ("1", "2", "4", "8")
BALANCE = {"detail": "User is locked. Reason: Exhausted balance. Top up your balance at fal.ai/dashboard/billing."}


@dataclass(frozen=True, kw_only=True)
class Work:
    """What becomes of a request: its places in the queue, its log lines, and its end."""

    queue: tuple[int, ...] = (0,)
    logs: tuple[str, ...] = ("50%|#####     | 2/4 [00:00<00:00]",)
    nsfw: bool = False
    fails: tuple[int, Json] | None = None
    result: Any = None
    content: bytes | None = None
    url: str = ""
    video: bool = False


@dataclass(eq=False)
class Gate:
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    go: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(kw_only=True)
class Request:
    """A request in the queue. `polls`: how often its status was asked."""

    id: str
    endpoint: str
    arguments: Json
    work: Work
    gate: Gate | None = None
    polls: int = 0
    state: str = "IN_QUEUE"


@cache
def authority() -> tuple[trustme.CA, trustme.LeafCert]:
    """Keys take a moment to make."""
    ca = trustme.CA()
    return ca, ca.issue_cert(*HOSTS)


class FakeFal:
    """See the module. `requests`: everything that was taken; `uploads`: every file that came; `paths`: all asked."""

    def __init__(self) -> None:
        self.requests: dict[str, Request] = {}
        self.uploads: dict[str, bytes] = {}
        self.files: dict[str, tuple[bytes, str]] = {}
        self.paths: list[str] = []
        self.prices: dict[str, tuple[str, float]] = {}
        self.schemas: dict[str, Any] = {}
        self.lifecycles: list[Json] = []
        self._works: list[Work] = []
        self._refusals: list[tuple[int, Json, Mapping[str, str]]] = []
        self._cut = False
        self._gate: Gate | None = None
        self._runner: web.AppRunner | None = None
        self._proxy: asyncio.Server | None = None
        self._pipes: set[asyncio.Task[None]] = set()

    def plan(self, *works: Work) -> None:
        self._works += works

    def refuse(self, status: int, body: Json, headers: Mapping[str, str] | None = None, times: int = 1) -> None:
        self._refusals += [(status, body, headers or {})] * times

    def cut(self) -> None:
        """The next request is taken, and then the connection breaks."""
        self._cut = True

    def hold(self) -> Gate:
        self._gate = Gate()
        return self._gate

    def environment(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        """Make every client of this process come here."""
        assert self._proxy is not None
        pem = folder / "fal-ca.pem"
        authority()[0].cert_pem.write_to_path(str(pem))
        host, port = self._proxy.sockets[0].getsockname()[:2]
        for name in ("HTTPS_PROXY", "https_proxy"):
            monkeypatch.setenv(name, f"http://{host}:{port}")
        for name in ("NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("SSL_CERT_FILE", str(pem))

    async def __aenter__(self) -> Self:
        import ssl

        app = web.Application(middlewares=[self._door], client_max_size=50_000_000)
        app.router.add_route("*", "/{path:.*}", self._anything)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority()[1].configure_cert(context)
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=context).start()
        self._proxy = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._proxy is not None and self._runner is not None
        self._proxy.close()
        for pipe in self._pipes:
            pipe.cancel()
        await asyncio.gather(*self._pipes, return_exceptions=True)
        await self._runner.cleanup()

    # ------------------------------------------------------------------ the way in

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """CONNECT host:443, and bytes in both directions from then on."""
        task = asyncio.current_task()
        assert task is not None and self._runner is not None
        self._pipes.add(task)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"CONNECT "), head
            port = self._runner.addresses[0][1]
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            ways = (_piped(reader, inner_writer), _piped(inner_reader, writer))
            await asyncio.gather(*ways)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):  # asyncio's own server would log it
            pass
        finally:
            writer.close()
            self._pipes.discard(task)

    @web.middleware
    async def _door(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.paths.append(f"{request.method} {request.host}{request.path}")
        if request.host == "queue.fal.run":
            if self._refusals:
                status, body, headers = self._refusals.pop(0)
                return web.json_response(body, status=status, headers=dict(headers))
            if request.headers.get("Authorization") != f"Key {KEY}":
                return web.json_response(
                    {"detail": "Cannot access application. Authentication is required."}, status=401
                )
        return await handler(request)

    async def _anything(self, request: web.Request) -> web.StreamResponse:
        path = "/" + request.match_info["path"]
        match request.host:
            case "queue.fal.run":
                return await self._queue(request, path)
            case "rest.fal.ai":
                assert path == "/storage/auth/token" and request.headers["Authorization"] == f"Key {KEY}"
                token = {"token": "t", "token_type": "Bearer", "base_url": "https://v3b.fal.media"}
                return web.json_response(token | {"expires_at": "2099-01-01T00:00:00+00:00"})
            case "v3.fal.media":
                return await self._uploaded(request)
            case "v3b.fal.media":
                return self._file(path)
            case _:
                return self._said(request)

    async def _uploaded(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer t"
        name = f"/files/in-{len(self.uploads) + 1}.png"
        url = f"https://v3b.fal.media{name}"
        self.uploads[url] = await request.read()
        self.lifecycles.append(json.loads(request.headers["X-Fal-Object-Lifecycle"]))
        return web.json_response({"access_url": url})

    def _file(self, path: str) -> web.Response:
        if path not in self.files:
            return web.Response(status=404)
        content, media_type = self.files[path]
        return web.Response(body=content, content_type=media_type)

    def _said(self, request: web.Request) -> web.Response:
        name = request.query["endpoint_id"]
        if request.host == "api.fal.ai":
            assert request.headers["Authorization"] == f"Key {KEY}"
            row = self.prices.get(name)
            rows = [{"endpoint_id": name, "unit_price": row[1], "unit": row[0], "currency": "USD"}] if row else []
            return web.json_response({"prices": rows, "next_cursor": None, "has_more": False})
        if name not in self.schemas:
            return web.json_response({"detail": "App not found"}, status=404)
        return web.json_response(self.schemas[name])

    # ------------------------------------------------------------------ the queue

    async def _queue(self, request: web.Request, path: str) -> web.StreamResponse:
        endpoint, mark, rest = path.strip("/").partition("/requests/")
        if request.method == "POST" and not mark:
            return await self._submitted(request, endpoint)
        name, _, verb = rest.partition("/")
        found = self.requests.get(name)
        if found is None or not found.endpoint.startswith(endpoint):
            return web.json_response({"detail": f"Request {name} not found"}, status=404)
        if request.method == "PUT" and verb == "cancel":
            return self._cancelled(found)
        return await self._status(found) if verb == "status" else self._result(found)

    async def _submitted(self, request: web.Request, endpoint: str) -> web.Response:
        app = next((app for app in APPS if endpoint == app or endpoint.startswith(f"{app}/")), None)
        if app is None:
            return web.json_response({"detail": f"Application '{endpoint.split('/')[1]}' not found"}, status=404)
        cut, self._cut = self._cut, False
        name = f"00000000-0000-4000-8000-{len(self.requests):012d}"
        work = self._works.pop(0) if self._works else Work()
        gate, self._gate = self._gate, None
        self.requests[name] = Request(id=name, endpoint=endpoint, arguments=await request.json(), work=work, gate=gate)
        if cut:
            cast(asyncio.Transport, request.transport).abort()
        base = f"https://queue.fal.run/{app}/requests/{name}"
        urls = {"response_url": base, "status_url": f"{base}/status", "cancel_url": f"{base}/cancel"}
        place = work.queue[0] if work.queue else 0
        return web.json_response({"status": "IN_QUEUE", "request_id": name, "queue_position": place, **urls})

    async def _status(self, found: Request) -> web.Response:
        work, place = found.work, found.polls
        found.polls += 1
        if found.state == "CANCELLED":
            ended: Json = {
                "logs": [],
                "metrics": {},
                "error": "Request was cancelled",
                "error_type": "client_cancelled",
            }
            return web.json_response({"status": "COMPLETED"} | ended)
        if place < len(work.queue):
            return web.json_response({"status": "IN_QUEUE", "queue_position": work.queue[place]})
        place -= len(work.queue)
        logs = [{"message": line, "level": "INFO", "timestamp": "2026-11-21T00:00:00Z"} for line in work.logs]
        if place < len(work.logs):
            found.state = "IN_PROGRESS"
            if found.gate is not None and place == len(work.logs) - 1:
                found.gate.reached.set()
                if not found.gate.go.is_set():
                    found.polls -= 1
            return web.json_response({"status": "IN_PROGRESS", "logs": logs[: place + 1]})
        found.state = "COMPLETED"
        return web.json_response({"status": "COMPLETED", "logs": logs, "metrics": {"inference_time": 0.42}})

    def _result(self, found: Request) -> web.Response:
        if found.state != "COMPLETED":
            return web.json_response({"detail": "Request is still in progress"}, status=400)
        fault = found.work.fails or _fault(found)
        if fault is not None:
            status, body = fault
            return web.json_response(body, status=status, headers={"x-fal-request-id": found.id})
        if found.work.result is not None:
            return web.json_response(found.work.result)
        return web.json_response(self._drawn(found))

    def _drawn(self, found: Request) -> Json:
        """What the endpoint answers with, its file put where it says."""
        asked, work = found.arguments, found.work
        if work.video:
            path = f"/files/{found.id}.mp4"
            self.files[path] = (work.content or b"", "video/mp4")
            return {"video": {"url": work.url or f"https://v3b.fal.media{path}"}, "seed": asked.get("seed", 7)}
        size = asked.get("image_size") or {"width": 64, "height": 64}
        form = str(asked.get("format") or asked.get("output_format") or "jpeg")
        path = f"/files/{found.id}.{form}"
        self.files[path] = (work.content or drawing(size["width"], size["height"], form), f"image/{form}")
        picture = {"url": work.url or f"https://v3b.fal.media{path}", "content_type": f"image/{form}", **size}
        flags = {"has_nsfw_concepts": [work.nsfw], "seed": asked.get("seed", 7), "prompt": asked["prompt"]}
        return {"images": [picture], "timings": {"inference": 0.4}, **flags}

    def _cancelled(self, found: Request) -> web.Response:
        if found.state in {"COMPLETED", "CANCELLED"}:
            return web.json_response({"status": "ALREADY_COMPLETED"}, status=400)
        found.state = "CANCELLED"
        return web.json_response({"status": "CANCELLATION_REQUESTED"}, status=202)


def drawing(width: int, height: int, form: str = "png") -> bytes:
    """A picture of one colour."""
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (180, 60, 40)).save(buffer, form)
    return buffer.getvalue()


def fal_fault(kind: str, *where: str, message: str) -> Json:
    """A model's error as FAL documents it."""
    url = f"https://docs.fal.ai/errors#{kind}"
    return {"detail": [{"loc": ["body", *where], "msg": message, "type": kind, "url": url, "input": None}]}


def _fault(found: Request) -> tuple[int, Json] | None:
    """What the endpoint itself would not take."""
    asked = found.arguments
    if not asked.get("prompt"):
        return 422, fal_fault("missing", "prompt", message="Field required")
    if "lightning" in found.endpoint and asked.get("num_inference_steps") not in {None, *STEPS}:
        return 422, fal_fault("literal_error", "num_inference_steps", message="Input should be '1', '2', '4' or '8'")
    for name in ("image_url", "mask_url"):
        needed = (name == "image_url" and "image-to" in found.endpoint) or "inpainting" in found.endpoint
        if needed and urlsplit(str(asked.get(name, ""))).scheme != "https":
            return 422, fal_fault("missing", name, message="Field required")
    return None


async def _piped(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while piece := await reader.read(65_536):
            writer.write(piece)
            await writer.drain()
    except OSError:
        pass
    finally:
        with suppress(OSError):
            writer.close()
