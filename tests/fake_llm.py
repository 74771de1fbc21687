"""Language models on a real port of 127.0.0.1: one double that speaks as Ollama and as OpenAI's endpoints do.

    async with FakeLLM(models=["qwen3:4b"]) as fake:
        LLMClient(fake.url, "qwen3:4b", dialect="ollama")
        LLMClient(f"{fake.url}/v1", "qwen3:4b", dialect="openai")
        fake.say('{"prompt": "a cat at dusk"}')
        assert fake.asked[-1].messages[-1]["content"] == "cat"
    with FakeLLM.in_thread() as fake: ...          for tests without a loop, and for processes that call it

What was not scripted is answered with the last thing the user said and `ADDED` (as JSON, when there is a schema); or
by a function of one's own, `fake.answer`. What it should do comes before the request, in the order of the requests:

    fake.say("A cat, at dusk.")                    the words; several texts are several replies
    fake.say("A cat", pieces=["A c", "at"], thinking="Hm.", cut=1, crlf=True, comments=True)
    fake.say("A c", end="cut")                     the stream ends in no good way: see `End`
    fake.refuse(503, {"error": "busy"}, {"Retry-After": "1"})       status 0: the connection breaks
    gate = fake.hold(after=2)                      after two pieces (0: before the answer) it waits:
    await gate.reached.wait(); ...; gate.go.set()  (in a thread: gate.reached.block())
    fake.ignorant.add("response_format")           a field that it does not know, and says so
    await fake.asked[-1].left.wait()               the client closed the connection before the end
    await fake.stop(); await fake.start()          it refuses connections in between; the port stays

Shapes are those of Ollama's docs/openapi.yaml and server/routes.go and of OpenAI's reference. Nothing here was compared
with the live services.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, Self, cast

from aiohttp import web

Json = dict[str, Any]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
End = Literal["done", "close", "cut", "error", "hang", "hum"]
"""How a stream ends: as it should, without its last line, with a broken connection, with a line that tells of an
error, or never: silent, or with the `extra` bytes again and again. A reply in one piece knows cut and hang."""
MODELS = ("qwen3:4b", "llama3.2:latest")
ADDED = ", in soft evening light"
_DURATION = re.compile(r"[-+]?(0|(\d+(\.\d*)?(ns|us|ms|s|m|h))+)")
Line = tuple[bool, bytes]
"""Of a stream: whether it holds a piece of the reply, and its bytes."""
_REQUEST = re.compile(r"^REQUEST\n(\{.*\})\nREQUEST$", re.MULTILINE)
_OLLAMA_CHAT = {"model", "messages", "tools", "format", "options", "stream", "think", "keep_alive"}
_OLLAMA_GENERATE = {"model", "prompt", "system", "format", "options", "stream", "think", "keep_alive", "raw"}


class Signal:
    """Something that happens once, to be waited for on any loop or in any thread."""

    def __init__(self) -> None:
        self._future: Future[None] = Future()

    def set(self) -> None:
        if not self._future.done():
            self._future.set_result(None)

    def is_set(self) -> bool:
        return self._future.done()

    async def wait(self) -> None:
        await asyncio.shield(asyncio.wrap_future(self._future))

    def block(self, seconds: float = 30.0) -> None:
        self._future.result(seconds)


@dataclass(eq=False)
class Gate:
    after: int = 0
    reached: Signal = field(default_factory=Signal)
    go: Signal = field(default_factory=Signal)


@dataclass(kw_only=True, eq=False)
class Asked:
    """One request for a reply, as it was understood; /api/generate is told as messages too."""

    path: str
    body: Json
    messages: list[Json]
    schema: Json | None
    headers: Mapping[str, str]
    left: Signal = field(default_factory=Signal)
    """The client closed the connection before it had everything."""
    replied: Signal = field(default_factory=Signal)

    @property
    def model(self) -> str:
        return self.body["model"]

    @property
    def stream(self) -> bool:
        return bool(self.body.get("stream", self.path.startswith("/api/")))

    @property
    def keep_alive(self) -> int | float | str | None:
        return self.body.get("keep_alive")

    @property
    def format(self) -> object:
        return self.body.get("format", self.body.get("response_format"))

    @property
    def system(self) -> str:
        return next((message["content"] for message in self.messages if message["role"] == "system"), "")

    @property
    def words(self) -> str:
        """What the user said last."""
        return next((one["content"] for one in reversed(self.messages) if one["role"] == "user"), "")


@dataclass(frozen=True, kw_only=True)
class Reply:
    """One scripted reply; see `FakeLLM.say`."""

    text: str
    pieces: Sequence[str] | None = None
    thinking: str = ""
    cut: int | None = None
    end: End = "done"
    error: str = "an error was encountered while running the model"
    finish: str = "stop"
    refusal: str | None = None
    crlf: bool = False
    comments: bool = False
    extra: bytes = b""

    @property
    def parts(self) -> list[str]:
        return list(self.pieces) if self.pieces is not None else re.findall(r"\s*\S+|\s+", self.text)


class Refusal(Exception):
    """An answer other than the model's; status 0: none at all."""

    def __init__(self, status: int, body: object, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status)
        self.status, self.body, self.headers = status, body, headers or {}


class FakeLLM:
    """See the module. `models`: the names it has. `key`: what Bearer has to be."""

    def __init__(self, models: Sequence[str] = MODELS, *, key: str | None = None) -> None:
        self.models = list(models)
        self.asked: list[Asked] = []
        self.requests: list[tuple[str, str]] = []
        self.ignorant: set[str] = set()
        self.answer: Callable[[Asked], str] = unscripted
        self.most_at_once = 0
        self._at_once = 0
        self._key = key
        self._replies: list[Reply] = []
        self._refusals: list[Refusal] = []
        self._gates: list[Gate] = []
        self._port = 0
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def say(self, *texts: str, **how: Any) -> None:
        """The next replies. `how`: the fields of Reply: `pieces` that the text is streamed in (its words), `thinking`
        before it, `cut` (bytes of each chunk on the wire; 0: all in one; None: a line each), `end` and its `error`,
        `finish` (the finish reason), `refusal` (OpenAI's), `crlf` and `comments` (of server-sent events), `extra`
        (bytes of a line that is written before the last)."""
        self._replies.extend(Reply(text=text, **how) for text in texts)

    def refuse(
        self, status: int, body: object = "", headers: Mapping[str, str] | None = None, *, times: int = 1
    ) -> None:
        """The next requests for a reply are answered so; a str is plain text."""
        self._refusals.extend(Refusal(status, body, headers) for _ in range(times))

    def hold(self, after: int = 0, *, times: int = 1) -> Gate:
        """The next replies wait at the gate, after so many pieces of a stream."""
        gate = Gate(after)
        self._gates.extend([gate] * times)
        return gate

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @classmethod
    @contextmanager
    def in_thread(cls, models: Sequence[str] = MODELS, *, key: str | None = None) -> Generator[Self]:
        """The same on a loop of its own in a thread."""
        fake = cls(models, key=key)
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, name="fake-llm", daemon=True)
        thread.start()
        try:
            asyncio.run_coroutine_threadsafe(fake.start(), loop).result(30)
            yield fake
        finally:
            asyncio.run_coroutine_threadsafe(fake.stop(), loop).result(30)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(30)
            loop.close()

    async def start(self) -> None:
        app = web.Application(client_max_size=20_000_000, middlewares=[self._gatekeeper])
        app.router.add_get("/api/tags", self._tags)
        app.router.add_post("/api/chat", self._ollama)
        app.router.add_post("/api/generate", self._ollama)
        app.router.add_get("/v1/models", self._openai_models)
        app.router.add_post("/v1/chat/completions", self._openai)
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
            if self._key and request.headers.get("Authorization") != f"Bearer {self._key}":
                raise Refusal(401, openai_error("Incorrect API key provided.", "invalid_api_key"))
            if request.method == "POST" and self._refusals:
                raise self._refusals.pop(0)
            return await handler(request)
        except Refusal as refusal:
            return _refused(request, refusal)
        finally:
            self._at_once -= 1

    # Ollama

    async def _tags(self, _: web.Request) -> web.Response:
        details = {"format": "gguf", "family": "qwen3", "families": ["qwen3"], "parameter_size": "4.0B"}
        rows = [{"name": name, "model": name, "size": 2_620_788_260, "details": details} for name in self.models]
        return web.json_response({"models": rows})

    async def _ollama(self, request: web.Request) -> web.StreamResponse:
        body = await _body(request)
        self._check_ollama(request.path, body)
        schema = body.get("format")
        messages: list[Json] = body.get("messages") or [
            *([{"role": "system", "content": body["system"]}] if body.get("system") else []),
            {"role": "user", "content": body.get("prompt", "")},
        ]
        asked = self._heard(request, body, messages, cast(Json, schema) if isinstance(schema, dict) else None)
        reply = self._reply(asked)
        if asked.stream:
            return await self._stream(request, asked, reply, "application/x-ndjson", _ollama_lines(asked, reply))
        return await self._whole(request, asked, reply, _ollama_row(asked, reply.text, reply.thinking, reply.finish))

    def _check_ollama(self, path: str, body: Json) -> None:
        known = _OLLAMA_CHAT if path == "/api/chat" else _OLLAMA_GENERATE
        assert set(body) <= known, f"Ollama's {path} has no {set(body) - known}"
        if body["model"] not in self.models and f"{body['model']}:latest" not in self.models:
            raise Refusal(404, {"error": f"model '{body['model']}' not found"})
        schema = body.get("format")
        if isinstance(schema, dict) and "format" in self.ignorant:
            text = "json: cannot unmarshal object into Go struct field ChatRequest.format of type string"
            raise Refusal(400, {"error": text})
        if "think" in body and "think" in self.ignorant:
            raise Refusal(400, {"error": f'"{body["model"]}" does not support thinking'})
        if not (schema is None or schema == "json" or isinstance(schema, dict)):
            raise Refusal(400, {"error": f'invalid format: {schema!r}; expected "json" or a valid JSON Schema object'})
        stay = body.get("keep_alive")
        if isinstance(stay, str) and not _DURATION.fullmatch(stay):
            raise Refusal(400, {"error": f'time: missing unit in duration "{stay}"'})

    # OpenAI

    async def _openai_models(self, _: web.Request) -> web.Response:
        rows = [{"id": name, "object": "model", "owned_by": "library"} for name in self.models]
        return web.json_response({"object": "list", "data": rows})

    async def _openai(self, request: web.Request) -> web.StreamResponse:
        body = await _body(request)
        for name in sorted(self.ignorant & set(body)):
            raise Refusal(400, openai_error(f"Unknown parameter: '{name}'.", "unknown_parameter"))
        if body["model"] not in self.models:
            text = f"The model `{body['model']}` does not exist or you do not have access to it."
            raise Refusal(404, openai_error(text, "model_not_found"))
        assert "keep_alive" not in body, "OpenAI's API has no keep_alive"
        asked = self._heard(request, body, body["messages"], _openai_schema(body))
        reply = self._reply(asked)
        if asked.stream:
            return await self._stream(request, asked, reply, "text/event-stream", _openai_lines(asked, reply))
        message = {"role": "assistant", "content": reply.text, "refusal": reply.refusal}
        if reply.thinking:
            message["reasoning_content"] = reply.thinking
        choice = {"index": 0, "message": message, "finish_reason": reply.finish}
        return await self._whole(request, asked, reply, _openai_row(asked, "chat.completion", [choice]))

    # Both

    def _heard(self, request: web.Request, body: Json, messages: list[Json], schema: Json | None) -> Asked:
        asked = Asked(path=request.path, body=body, messages=messages, schema=schema, headers=dict(request.headers))
        self.asked.append(asked)
        return asked

    def _reply(self, asked: Asked) -> Reply:
        return self._replies.pop(0) if self._replies else Reply(text=self.answer(asked))

    async def _whole(self, request: web.Request, asked: Asked, reply: Reply, answer: Json) -> web.StreamResponse:
        async with _watched(asked):
            if self._gates:
                await _pass(self._gates.pop(0))
            if reply.end == "hang":
                await Signal().wait()
            if reply.end == "cut":
                _abort(request)
            asked.replied.set()
            return web.json_response(answer)

    async def _stream(
        self, request: web.Request, asked: Asked, reply: Reply, kind: str, lines: Sequence[Line]
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": kind})
        gate = self._gates.pop(0) if self._gates else None
        async with _watched(asked):
            if gate is not None and not gate.after:
                await _pass(gate)
            await response.prepare(request)
            pieces = [place for place, (spoken, _) in enumerate(lines, 1) if spoken]
            first = pieces[gate.after - 1] if gate is not None and gate.after else 0
            await _write(response, lines[:first], reply.cut)
            if gate is not None and gate.after:
                await _pass(gate)
            await _write(response, lines[first:], reply.cut)
            await _linger(response, reply)
            if reply.end == "cut":
                _abort(request)
            else:
                await response.write_eof()
            asked.replied.set()
            return response


def unscripted(asked: Asked) -> str:
    """What was asked for last and ADDED; JSON by the schema, with that as its prompt, where there is one."""
    words = f"{_wished(asked.words)}{ADDED}"
    if asked.schema is None:
        return words
    fields = cast(Mapping[str, Json], asked.schema.get("properties", {}))
    return json.dumps({name: words if name == "prompt" else _least(kind) for name, kind in fields.items()})


def openai_error(message: str, code: str | None = None) -> Json:
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}}


def _wished(words: str) -> str:
    """The wish in a message of ours, which holds it as JSON; any other message as it is."""
    told = _REQUEST.search(words)
    wish: Json = json.loads(told[1]) if told else {"request": words.strip()}
    parts = (wish.get("prompt as it stands") or wish.get("request"), wish.get("new message"))
    return ", ".join(filter(None, parts))


def _least(schema: Json) -> object:
    """The smallest value that fits a field's schema."""
    kinds: str | list[str] = schema.get("type", "string")
    kind = kinds if isinstance(kinds, str) else kinds[0]
    least: Json = {"string": "", "array": [], "boolean": False, "integer": 0, "number": 0, "object": {}, "null": None}
    return schema["enum"][0] if "enum" in schema else least[kind]


async def _body(request: web.Request) -> Json:
    try:
        return cast(Json, await request.json())
    except ValueError as error:
        raise Refusal(400, {"error": "invalid character in the body"}) from error


@asynccontextmanager
async def _watched(asked: Asked) -> AsyncGenerator[None]:
    """Notes when the client is gone before the end."""
    try:
        yield
    except (asyncio.CancelledError, ConnectionError):
        asked.left.set()
        raise


async def _pass(gate: Gate) -> None:
    gate.reached.set()
    await gate.go.wait()


def _abort(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


def _refused(request: web.Request, refusal: Refusal) -> web.Response:
    if not refusal.status:
        _abort(request)
    status = refusal.status or 500
    if isinstance(refusal.body, str):
        return web.Response(status=status, text=refusal.body, headers=refusal.headers)
    return web.json_response(refusal.body, status=status, headers=refusal.headers)


async def _write(response: web.StreamResponse, lines: Sequence[Line], cut: int | None) -> None:
    """In chunks, each of which reaches the client as one piece."""
    whole = b"".join(line for _, line in lines)
    size = cut or len(whole) or 1
    chunks = [whole[at : at + size] for at in range(0, len(whole), size)]
    for chunk in [line for _, line in lines] if cut is None else chunks:
        await response.write(chunk)


async def _linger(response: web.StreamResponse, reply: Reply) -> None:
    """For ever, where the reply has no end."""
    while reply.end == "hum":
        await response.write(reply.extra)
        await asyncio.sleep(0)
    if reply.end == "hang":
        await Signal().wait()


def _ollama_row(asked: Asked, text: str, thinking: str = "", finish: str = "") -> Json:
    """One object of Ollama's; with a `finish` reason the last one."""
    row: Json = {"model": asked.model, "created_at": "2026-11-21T09:00:00.000000Z"}
    if asked.path == "/api/chat":
        said = {"role": "assistant", "content": text}
        row["message"] = said | ({"thinking": thinking} if thinking else {})
    else:
        row |= {"response": text} | ({"thinking": thinking} if thinking else {})
    spent = {"total_duration": 1_334_000_000, "load_duration": 52_000_000, "prompt_eval_count": 41, "eval_count": 37}
    return row | ({"done": True, "done_reason": finish} | spent if finish else {"done": False})


def _ollama_lines(asked: Asked, reply: Reply) -> list[Line]:
    rows = [(False, _ollama_row(asked, "", thought)) for thought in reply.thinking.split()]
    rows += [(True, _ollama_row(asked, part)) for part in reply.parts]
    if reply.end == "done":
        rows.append((False, _ollama_row(asked, "", finish=reply.finish)))
    if reply.end == "error":
        rows.append((False, {"error": reply.error}))
    lines = [(spoken, json.dumps(row, ensure_ascii=False).encode() + b"\n") for spoken, row in rows]
    return [*lines, (False, reply.extra)] if reply.extra else lines


def _openai_row(asked: Asked, kind: str, choices: list[Json]) -> Json:
    return {"id": "chatcmpl-1", "object": kind, "created": 1_795_000_000, "model": asked.model, "choices": choices}


def _openai_lines(asked: Asked, reply: Reply) -> list[Line]:
    def chunk(delta: Json, finish: str | None = None) -> Json:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return _openai_row(asked, "chat.completion.chunk", [choice])

    rows: list[tuple[bool, Json]] = [(False, chunk({"role": "assistant", "content": "", "refusal": None}))]
    rows += [(False, chunk({"reasoning_content": thought})) for thought in reply.thinking.split()]
    rows += [(True, chunk({"content": part})) for part in reply.parts]
    if reply.refusal:
        rows.append((False, chunk({"refusal": reply.refusal})))
    if reply.end == "done":
        rows.append((False, chunk({}, reply.finish)))
        rows.append((False, _openai_row(asked, "chat.completion.chunk", []) | {"usage": {"total_tokens": 449}}))
    if reply.end == "error":
        rows.append((False, {"error": {"message": reply.error, "type": "server_error", "code": 500}}))
    end = "\r\n" if reply.crlf else "\n"
    comment = f": keep-alive{end}{end}" if reply.comments else ""
    events = [(spoken, f"{comment}data: {json.dumps(row, ensure_ascii=False)}{end}{end}") for spoken, row in rows]
    lines = [(spoken, text.encode()) for spoken, text in events]
    lines += [(False, reply.extra)] if reply.extra else []
    return [*lines, (False, f"data: [DONE]{end}{end}".encode())] if reply.end == "done" else lines


def _openai_schema(body: Json) -> Json | None:
    """The schema of a reply; a strict one names all its keys as required and allows no others."""
    form = body.get("response_format")
    if form is None:
        return None
    schema = cast(Json, form["json_schema"]["schema"])
    whole = schema.get("additionalProperties") is False and schema.get("required") == list(schema["properties"])
    if form["type"] != "json_schema" or (form["json_schema"]["strict"] and not whole):
        raise Refusal(400, openai_error("Invalid schema for response_format."))
    return schema
