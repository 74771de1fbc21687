"""A stand-in for Gemini on a real port of 127.0.0.1: conversations, replies piece by piece, pictures, models.

    async with FakeGemini() as fake:
        fake.say("A red ", "fox.")             the next reply, in these pieces
        fake.say("A red ", cut=True)           ... and the connection breaks after them
        fake.say("A red ", end="SAFETY")       ... and this is why it ended; "": nothing is said of the end
        fake.refuse(503, {...})                the next request only; status 0: the connection breaks
        fake.draw(png)                         the next reply of a model that draws; without: a picture of its shape
        fake.draw(end="IMAGE_SAFETY")          ... and no picture, for that reason; block="SAFETY", text="No.": as said
        gate = fake.hold(after=1)              the reply waits after so many pieces: gate.reached, gate.go, gate.gone

Shapes are those of google-genai and of the REST API as documented; nothing was compared with the live service.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self, cast

from aiohttp import web
from PIL import Image

Json = dict[str, Any]
KEY = "sk-right"
MODELS: Mapping[str, tuple[str, ...]] = {
    "gemini-3-flash": ("generateContent", "countTokens"),
    "gemini-embedding-001": ("embedContent",),
    "gemini-3-pro": ("generateContent", "countTokens"),
}
"""What each can do (supportedGenerationMethods)."""
DRAWERS: Mapping[str, tuple[str, ...]] = {
    "gemini-3.1-flash-image": ("generateContent",),
    "gemini-3-pro-image": ("generateContent",),
}
KNOWN = {"temperature", "candidateCount", "responseMimeType", "responseJsonSchema"}
OF_PICTURES = {"candidateCount", "responseModalities", "imageConfig", "seed"}
USED: Json = {"promptTokenCount": 12, "candidatesTokenCount": 5, "thoughtsTokenCount": 2, "totalTokenCount": 19}
EDGES: Mapping[str, tuple[int, int]] = {"1:1": (64, 64), "16:9": (128, 72), "9:16": (72, 128)}
"""Small pictures in the shapes that tests ask for."""


@dataclass(eq=False)
class Gate:
    """`gone`: the client went away while it waited."""

    after: int = 0
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    go: asyncio.Event = field(default_factory=asyncio.Event)
    gone: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, kw_only=True)
class Saying:
    pieces: tuple[str, ...]
    end: str = "STOP"
    cut: bool = False


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """What a model that draws answers with."""

    picture: bytes | None = None
    end: str = "STOP"
    text: str = ""
    block: str = ""
    media_type: str = "image/png"


class FakeGemini:
    """See the module. `asked` is every body that was let in; `paths` every path that was asked."""

    def __init__(self, models: Mapping[str, tuple[str, ...]] = MODELS) -> None:
        self._models_here = models
        self._drawings: list[Drawing] = []
        self.asked: list[Json] = []
        self.paths: list[str] = []
        self.answers: Callable[[Json], str] | None = None
        """What is said to a body where nothing was planned."""
        self._said: list[Saying] = []
        self._refusals: list[tuple[int, Json]] = []
        self._gate: Gate | None = None
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        assert self._runner is not None
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    def say(self, *pieces: str, end: str = "STOP", cut: bool = False) -> None:
        self._said.append(Saying(pieces=pieces, end=end, cut=cut))

    def draw(self, picture: bytes | None = None, *, end: str = "STOP", text: str = "", block: str = "") -> None:
        self._drawings.append(Drawing(picture=picture, end=end, text=text, block=block))

    def refuse(self, status: int, body: Json | None = None) -> None:
        self._refusals.append((status, body or {}))

    def hold(self, after: int = 0) -> Gate:
        self._gate = Gate(after)
        return self._gate

    async def __aenter__(self) -> Self:
        app = web.Application(middlewares=[self._gatekeeper])
        app.router.add_get("/v1beta/models", self._models)
        app.router.add_post("/v1beta/models/{model}:generateContent", self._whole)
        app.router.add_post("/v1beta/models/{model}:streamGenerateContent", self._streamed)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    @web.middleware
    async def _gatekeeper(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.paths.append(request.path)
        if self._refusals:
            status, body = self._refusals.pop(0)
            if not status:
                cast(asyncio.Transport, request.transport).abort()
            return web.json_response(body, status=status or 500)
        if request.headers.get("x-goog-api-key") != KEY:
            info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
            return web.json_response(gemini_error(400, "INVALID_ARGUMENT", "Pass a valid key.", info), status=400)
        return await handler(request)

    async def _models(self, request: web.Request) -> web.Response:
        """Two at a time, so that a client has to turn the page."""
        first = int(request.query.get("pageToken", 0))
        rows = [
            {"name": f"models/{name}", "supportedGenerationMethods": [*able]}
            for name, able in self._models_here.items()
        ]
        more = {"nextPageToken": str(first + 2)} if first + 2 < len(rows) else {}
        return web.json_response({"models": rows[first : first + 2], **more})

    async def _whole(self, request: web.Request) -> web.Response:
        saying = await self._heard(request)
        if isinstance(saying, web.Response):
            return saying
        await self._wait(0)
        if request.match_info["model"] in DRAWERS:
            return web.json_response(self._drawn(self.asked[-1]["generationConfig"]))
        return web.json_response(_chunk("".join(saying.pieces), saying.end))

    def _drawn(self, config: Json) -> Json:
        """A reply with a thought, and with the picture that was planned, or one of the shape that was asked for."""
        plan = self._drawings.pop(0) if self._drawings else Drawing()
        if plan.block:
            return {"promptFeedback": {"blockReason": plan.block}, "usageMetadata": USED}
        parts: list[Json] = [{"text": "a fox, then", "thought": True}]
        parts += [{"text": plan.text}] if plan.text else []
        if plan.end == "STOP" and not plan.text:
            content = plan.picture or picture(config.get("imageConfig", {}).get("aspectRatio", "1:1"))
            parts.append({"inlineData": {"mimeType": plan.media_type, "data": base64.b64encode(content).decode()}})
        candidate = {"content": {"parts": parts, "role": "model"}, "finishReason": plan.end, "index": 0}
        return {"candidates": [candidate], "usageMetadata": USED}

    async def _streamed(self, request: web.Request) -> web.StreamResponse:
        assert request.query.get("alt") == "sse"
        saying = await self._heard(request)
        if isinstance(saying, web.Response):
            return saying
        await self._wait(0)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for number, piece in enumerate(saying.pieces, 1):
            last = number == len(saying.pieces) and not saying.cut
            await response.write(f"data: {json.dumps(_chunk(piece, saying.end if last else ''))}\r\n\r\n".encode())
            await self._wait(number)
        if saying.cut:
            cast(asyncio.Transport, request.transport).abort()
        return response

    async def _heard(self, request: web.Request) -> Saying | web.Response:
        model = request.match_info["model"]
        if model not in self._models_here:
            text = f"models/{model} is not found for API version v1beta, or is not supported for generateContent."
            return web.json_response(gemini_error(404, "NOT_FOUND", text), status=404)
        body = cast(Json, await request.json())
        if unknown := set(body["generationConfig"]) - (OF_PICTURES if model in DRAWERS else KNOWN):
            text = f"Invalid JSON payload received. Unknown name \"{unknown.pop()}\" at 'generation_config'"
            return web.json_response(gemini_error(400, "INVALID_ARGUMENT", text), status=400)
        roles = [content["role"] for content in body["contents"]]
        if not roles or set(roles) - {"user", "model"}:
            text = f"Please use a valid role: user, model. ({roles})"
            return web.json_response(gemini_error(400, "INVALID_ARGUMENT", text), status=400)
        self.asked.append(body)
        if self._said:
            return self._said.pop(0)
        if self.answers is None or model in DRAWERS:
            return Saying(pieces=("A red fox.",))
        return Saying(pieces=(self.answers(body),))

    async def _wait(self, pieces: int) -> None:
        gate = self._gate
        if gate is None or gate.after != pieces:
            return
        gate.reached.set()
        try:
            await gate.go.wait()
        except asyncio.CancelledError:
            gate.gone.set()
            raise


def gemini_error(code: int, status: str, message: str, *details: Json) -> Json:
    """google.rpc.Status as the REST API writes it."""
    return {"error": {"code": code, "message": message, "status": status, "details": list(details)}}


def _chunk(text: str, end: str) -> Json:
    candidate: Json = {"content": {"parts": [{"text": text}], "role": "model"}, "index": 0}
    used = {"usageMetadata": USED} if end else {}
    ended = {"finishReason": end} if end else {}
    return {"candidates": [candidate | ended], "modelVersion": "gemini-3-flash", **used}


def picture(aspect: str) -> bytes:
    """A PNG of one colour."""
    buffer = io.BytesIO()
    Image.new("RGB", EDGES[aspect], (180, 60, 40)).save(buffer, "png")
    return buffer.getvalue()
