"""Vision models on a real port of 127.0.0.1: one double that speaks as Ollama, OpenAI and Gemini do.

    async with FakeVision(sees={"How many stars": "2"}) as fake:
        async with LLMClient(fake.url, "gemma3:4b", dialect="ollama") as client: ...
        assert fake.asked[0].picture == (64, 64)

It decodes the pictures and holds the requests to what the services take, so that a wrong request fails as it would
there. What it "sees" is said by the test: the first of `sees` whose key is in a question is the answer to it. What it
should do wrong is said before:

    fake.say("<think>...</think>yes")      the model's own words, whatever was asked, for the next request
    fake.refuse(429, {...}, headers)       the next request only; status 0: the connection breaks
    fake.ignorant.add("response_format")   a field that it does not know, and says so
    gate = fake.hold()                     answers wait: await gate.reached.wait(); ...; gate.go.set()
    await fake.stop(); await fake.start()  it refuses connections in between; the port stays

Shapes and error texts are those of ollama/ollama (server/routes.go, docs/api.md), of OpenAI's and LM Studio's answers
as users report them, and of google-genai's types. Nothing here was compared with the live services.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import io
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self, cast

from aiohttp import web
from PIL import Image

Json = dict[str, Any]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
KEY = "sk-right"
THINKS = "thinks"
SEES = "sees"
_QUESTION = re.compile(r"^(q\d+): (.+)$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request for a reply, as it was understood."""

    body: Json
    questions: tuple[str, ...]
    picture: tuple[int, int]
    headers: Mapping[str, str]


@dataclass(eq=False)
class Gate:
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    go: asyncio.Event = field(default_factory=asyncio.Event)


class Refusal(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, body: object, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status)
        self.status, self.body, self.headers = status, body, headers or {}


class FakeVision:
    """See the module. `models`: what each can, of "sees" and "thinks". `key`: what Bearer or x-goog-api-key must be."""

    def __init__(
        self,
        *,
        sees: Mapping[str, str] | None = None,
        models: Mapping[str, set[str]] | None = None,
        key: str | None = None,
    ) -> None:
        self.sees = dict(sees or {})
        self.models = dict(models or {"gemma3:4b": {SEES}, "qwen3-vl:4b": {SEES, THINKS}, "llama3.2:1b": set()})
        self.asked: list[Asked] = []
        self.requests: list[tuple[str, str]] = []
        self.ignorant: set[str] = set()
        self.most_at_once = 0
        self._at_once = 0
        self._key = key
        self._said: list[str] = []
        self._ends: list[Json] = []
        self._refusals: list[Refusal] = []
        self._gate: Gate | None = None
        self._port = 0
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def say(self, *words: str) -> None:
        """The model's own words for the next requests."""
        self._said.extend(words)

    def end(self, **fields: Any) -> None:
        """What the next reply has besides its words, over what it would have: a finish reason, no candidates."""
        self._ends.append(fields)

    def refuse(self, status: int, body: object = "", headers: Mapping[str, str] | None = None) -> None:
        self._refusals.append(Refusal(status, body, headers))

    def hold(self) -> Gate:
        self._gate = Gate()
        return self._gate

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        app = web.Application(client_max_size=20_000_000, middlewares=[self._gatekeeper])
        app.router.add_get("/api/tags", self._tags)
        app.router.add_post("/api/chat", self._ollama)
        app.router.add_get("/v1/models", self._openai_models)
        app.router.add_post("/v1/chat/completions", self._openai)
        app.router.add_post("/v1beta/models/{model}:generateContent", self._gemini)
        # A client that gives up ends its request here too, as it does there.
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    @web.middleware
    async def _gatekeeper(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.requests.append((request.method, request.path))
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            if request.method == "POST" and self._refusals:
                raise self._refusals.pop(0)
            if self._gate is not None and request.method == "POST":
                self._gate.reached.set()
                await self._gate.go.wait()
            return await handler(request)
        except Refusal as refusal:
            return self._refused(request, refusal)
        finally:
            self._at_once -= 1

    def _refused(self, request: web.Request, refusal: Refusal) -> web.Response:
        if not refusal.status:
            cast(asyncio.Transport, request.transport).abort()
        status = refusal.status or 500
        if isinstance(refusal.body, str):
            return web.Response(status=status, text=refusal.body, headers=refusal.headers)
        return web.json_response(refusal.body, status=status, headers=refusal.headers)

    def _reply(self, asked: Asked, schema: Json | None) -> str:
        """The model's words: by the schema when it got one, as a numbered list when it did not."""
        self.asked.append(asked)
        if self._said:
            return self._said.pop(0)
        answers = {f"q{number}": self._seen(text) for number, text in enumerate(asked.questions, 1)}
        if schema is not None:
            return json.dumps({key: answers.get(key, "") for key in schema["properties"]})
        return "\n".join(f"{number}. {text}" for number, text in enumerate(answers.values(), 1)) or "A red square."

    def _seen(self, question: str) -> str:
        return next((answer for words, answer in self.sees.items() if words in question), "cannot tell")

    # Ollama

    async def _tags(self, _: web.Request) -> web.Response:
        details = {"format": "gguf", "family": "gemma3", "families": ["gemma3"], "parameter_size": "4.3B"}
        rows = [{"name": name, "model": name, "size": 3_338_801_804, "details": details} for name in self.models]
        return web.json_response({"models": rows})

    async def _ollama(self, request: web.Request) -> web.Response:
        body = await _body(request)
        able = self.models.get(body["model"])
        if able is None:
            raise Refusal(404, {"error": f"model '{body['model']}' not found"})
        if body.get("think") and THINKS not in able:
            raise Refusal(400, {"error": f'"{body["model"]}" does not support thinking'})
        schema = body.get("format")
        if schema is not None and "format" in self.ignorant:
            text = "json: cannot unmarshal object into Go struct field ChatRequest.format of type string"
            raise Refusal(400, {"error": text})
        if not (schema is None or schema == "json" or isinstance(schema, dict)):
            raise Refusal(400, {"error": f'invalid format: {schema!r}; expected "json" or a valid JSON Schema object'})
        [message] = body["messages"]
        images = message.get("images", [])
        if images and SEES not in able:
            raise Refusal(400, {"error": "this model is missing data required for image input"})
        size = _size(images[0], {"error": "illegal base64 data at input byte 0"}) if images else (0, 0)
        # A model that could think has no grammar put on it when it is told not to (ollama issue 15260).
        bound = cast("Json | None", None if THINKS in able and body.get("think") is False else schema)
        said = self._reply(_asked(request, body, message["content"], size), bound)
        whole = {
            "model": body["model"],
            "created_at": "2026-11-21T09:00:00.000000Z",
            "message": {"role": "assistant", "content": said},
            "done": True,
            "done_reason": "stop",
            "total_duration": 1_334_000_000,
            "load_duration": 52_000_000,
            "prompt_eval_count": 412,
            "eval_count": 37,
        }
        assert body.get("stream") is False, "a stream would come as lines"
        return web.json_response(whole | self._ending())

    # OpenAI

    async def _openai_models(self, request: web.Request) -> web.Response:
        self._check_bearer(request)
        rows = [{"id": name, "object": "model", "owned_by": "library"} for name in self.models]
        return web.json_response({"object": "list", "data": rows})

    async def _openai(self, request: web.Request) -> web.Response:
        self._check_bearer(request)
        body = await _body(request)
        for name in sorted(self.ignorant & set(body)):
            raise Refusal(*_ignorance(name))
        if body["model"] not in self.models:
            text = f"The model `{body['model']}` does not exist or you do not have access to it."
            raise Refusal(404, _openai_error(text, "model_not_found"))
        schema = _strict_schema(body)
        [message] = body["messages"]
        content = message["content"]
        parts: list[Json] = [{"type": "text", "text": content}] if isinstance(content, str) else content
        words = "".join(part["text"] for part in parts if part["type"] == "text")
        urls = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
        if urls and SEES not in self.models[body["model"]]:
            raise Refusal(400, _openai_error("image input is not supported - hint: provide the mmproj", None))
        wrong = _openai_error("Invalid base64 image_url.", "invalid_base64")
        size = _size(re.sub(r"^data:image/(?:png|jpeg);base64,", "", urls[0]), wrong) if urls else (0, 0)
        said = self._reply(_asked(request, body, words, size), schema)
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": said, "refusal": None},
            "finish_reason": "stop",
        }
        whole = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1_795_000_000, "model": body["model"]}
        return web.json_response(whole | {"choices": [choice | self._ending()], "usage": {"total_tokens": 449}})

    def _check_bearer(self, request: web.Request) -> None:
        if self._key and request.headers.get("Authorization") != f"Bearer {self._key}":
            raise Refusal(401, _openai_error("Incorrect API key provided.", "invalid_api_key"))

    # Gemini

    async def _gemini(self, request: web.Request) -> web.Response:
        if self._key and request.headers.get("x-goog-api-key") != self._key:
            info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
            text = "API key not valid. Please pass a valid API key."
            raise Refusal(400, gemini_error(400, "INVALID_ARGUMENT", text, info))
        model = request.match_info["model"]
        if model not in self.models:
            text = f"models/{model} is not found for API version v1beta, or is not supported for generateContent."
            raise Refusal(404, gemini_error(404, "NOT_FOUND", text))
        body = await _body(request)
        config = body["generationConfig"]
        if unknown := set(config) - {"temperature", "candidateCount", "responseMimeType", "responseJsonSchema"}:
            text = f"Invalid JSON payload received. Unknown name \"{unknown.pop()}\" at 'generation_config'"
            raise Refusal(400, gemini_error(400, "INVALID_ARGUMENT", text))
        [content] = body["contents"]
        words = "".join(part.get("text", "") for part in content["parts"])
        # JSON of protocol buffers may write bytes in either alphabet, and google-genai takes the one for URLs.
        images = [
            part["inlineData"]["data"].replace("-", "+").replace("_", "/")
            for part in content["parts"]
            if "inlineData" in part
        ]
        wrong = gemini_error(400, "INVALID_ARGUMENT", "Unable to process input image.")
        size = _size(images[0], wrong) if images else (0, 0)
        bound = config.get("responseJsonSchema") if config.get("responseMimeType") == "application/json" else None
        said = self._reply(_asked(request, body, words, size), bound)
        candidate = {"content": {"parts": [{"text": said}], "role": "model"}, "finishReason": "STOP", "index": 0}
        return web.json_response({"candidates": [candidate], "modelVersion": model} | self._ending())

    def _ending(self) -> Json:
        return self._ends.pop(0) if self._ends else {}


def gemini_error(code: int, status: str, message: str, *details: Json) -> Json:
    """google.rpc.Status as the REST API writes it."""
    return {"error": {"code": code, "message": message, "status": status, "details": list(details)}}


async def _body(request: web.Request) -> Json:
    try:
        return cast(Json, await request.json())
    except ValueError as error:
        raise Refusal(400, {"error": "invalid character in the body"}) from error


def _asked(request: web.Request, body: Json, words: str, size: tuple[int, int]) -> Asked:
    questions = tuple(match[2] for match in _QUESTION.finditer(words))
    return Asked(body=body, questions=questions, picture=size, headers=dict(request.headers))


def _size(text: str, wrong: Json) -> tuple[int, int]:
    """Width and height of a picture in base64, which has to be whole."""
    try:
        with Image.open(io.BytesIO(base64.b64decode(text, validate=True))) as picture:
            picture.load()
            return picture.size
    except (binascii.Error, OSError, ValueError) as error:
        raise Refusal(400, wrong) from error


def _openai_error(message: str, code: str | None) -> Json:
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}}


def _ignorance(name: str) -> tuple[int, Json]:
    """How servers say that they do not know a field: LM Studio's kind, and OpenAI's own for its thinking models."""
    if name == "response_format":
        return 400, {"error": "'response_format.type' must be 'text'"}
    text = f"Unsupported value: '{name}' does not support 0 with this model. Only the default (1) value is supported."
    return 400, _openai_error(text, "unsupported_value")


def _strict_schema(body: Json) -> Json | None:
    """The schema of a reply; a strict one names all its keys as required and allows no others."""
    form = body.get("response_format")
    if form is None:
        return None
    schema = cast(Json, form["json_schema"]["schema"])
    whole = schema.get("additionalProperties") is False and schema.get("required") == list(schema["properties"])
    if form["type"] != "json_schema" or whole is not form["json_schema"]["strict"]:
        raise Refusal(400, _openai_error("Invalid schema for response_format 'answers'.", None))
    return schema
