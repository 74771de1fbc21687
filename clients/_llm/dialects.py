"""How the APIs of language models are spoken: bodies out, texts in. Pure: nothing here opens a connection."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

from clients._llm.streams import EventLines, JsonLines, Reader
from workflows.types import Media, Message

MAX_TOKENS = 1024
"""Of a reply about a picture: eight short answers take 100; it ends a model that only repeats itself."""
TEXT_TOKENS = 2048
"""Of a reply in words: the longest prompt and its negative take 900, and some models think before they write."""


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One question to the model: words, or a picture and words, or a conversation; the JSON schema of the reply."""

    prompt: str = ""
    picture: Media | None = None
    messages: Sequence[Message] = ()
    schema: Mapping[str, Any] | None = None
    stream: bool = False
    keep_alive: float | str | None = None
    """How long the model stays in memory afterwards; None: as the owner of the server set it."""

    @property
    def base64(self) -> str:
        return base64.b64encode(self.picture.data).decode("ascii") if self.picture else ""

    @property
    def spoken(self) -> list[dict[str, Any]]:
        """The conversation as both APIs write it."""
        if not self.messages:
            return [{"role": "user", "content": self.prompt}]
        return [{"role": message.role, "content": message.content} for message in self.messages]

    @property
    def model_setting(self) -> str:
        """Where the name of the model belongs that is asked such a thing."""
        return "ATELIER_VISION_MODEL" if self.picture else "OLLAMA_MODEL"


@dataclass(frozen=True, kw_only=True)
class Row:
    """What one object of an answer says: a whole reply, or the next piece of one."""

    text: str = ""
    refusal: str = ""
    """Why the model would not reply, or a piece of that."""
    finish: str = ""
    """Why the reply ends here, in the server's word."""
    done: bool = False


class Dialect(Protocol):
    """How one API is spoken. Pure: bodies out, texts in."""

    service: str
    kind: str
    """Whatever speaks it."""
    setting: str
    """Where its address belongs."""
    key_setting: str
    """Where its key belongs."""
    key_step: str
    """What to do when the server does not let us in."""
    models_path: str
    get_model: str
    """What to do about a model that the server has not, with {model} and {setting}."""
    start: str
    """What to do when nobody answers."""
    optional: Mapping[str, tuple[str, ...]]
    """Fields that not every server knows, by the words in which it says so."""

    def path(self, ask: Ask) -> str: ...

    def body(self, model: str, ask: Ask) -> dict[str, Any]: ...

    def whole(self, answer: Any) -> Row:
        """The reply in an answer that came at once; raises KeyError, IndexError, TypeError for other shapes."""
        ...

    def streams(self, content_type: str) -> bool:
        """Whether an answer of that type to a request for a stream is one."""
        ...

    def reader(self) -> Reader:
        """What takes a stream's bytes apart."""
        ...

    def row(self, answer: Any) -> Row:
        """One object of a stream; raises as `whole` does."""
        ...

    def model_names(self, answer: Any) -> list[str]: ...


class OllamaDialect:
    """Ollama's /api/chat and /api/generate (docs/api.md and server/routes.go of ollama/ollama)."""

    service = kind = "Ollama"
    setting = "OLLAMA_HOST"
    key_setting = "OLLAMA_HOST"
    key_step = "Where it wants a name and a password: OLLAMA_HOST=http://name:password@host."
    models_path = "/api/tags"
    get_model = "Get it: ollama pull {model}; or set {setting} to one that it has."
    start = "Start it (ollama serve), or set OLLAMA_HOST to where it runs."
    # Servers before 0.5 take only the word "json" as a format; some models think and cannot be told not to.
    optional: Mapping[str, tuple[str, ...]] = {"format": ("request.format", "invalid format"), "think": ("think",)}

    def path(self, ask: Ask) -> str:
        return "/api/chat" if ask.picture or ask.messages else "/api/generate"

    def body(self, model: str, ask: Ask) -> dict[str, Any]:
        body: dict[str, Any] = {"model": model, "stream": ask.stream, "think": False, "options": _options(ask)}
        if self.path(ask) == "/api/generate":
            body["prompt"] = ask.prompt
        else:
            pictures = {"images": [ask.base64]} if ask.picture else {}
            body["messages"] = [message | pictures for message in ask.spoken]
        if ask.schema:
            body["format"] = dict(ask.schema)
        if ask.keep_alive is not None:
            body["keep_alive"] = ask.keep_alive
        return body

    def whole(self, answer: Any) -> Row:
        return Row(text=_said(answer), finish=str(answer.get("done_reason") or ""), done=True)

    def streams(self, content_type: str) -> bool:
        return True  # an answer in one piece is a stream of one line

    def reader(self) -> Reader:
        return JsonLines()

    def row(self, answer: Any) -> Row:
        return Row(text=_said(answer), finish=str(answer.get("done_reason") or ""), done=answer.get("done") is True)

    def model_names(self, answer: Any) -> list[str]:
        return [str(model["name"]) for model in answer["models"]]


def _options(ask: Ask) -> dict[str, Any]:
    """Reading is done coldly, the same each time; what writes keeps the sampling that its makers chose.

    Small models that are made to write without chance repeat themselves without end.
    """
    tokens = {"num_predict": MAX_TOKENS if ask.picture else TEXT_TOKENS}
    return tokens if ask.messages else {"temperature": 0, "seed": 0} | tokens


def _said(answer: Any) -> str:
    """The words in an object of Ollama's; its `thinking` is passed by."""
    return str((answer["message"]["content"] if "message" in answer else answer["response"]) or "")


class OpenAIDialect:
    """OpenAI's /chat/completions, which vLLM, llama.cpp, LM Studio and many clouds speak too."""

    service = "The model server"
    kind = "OpenAI's API"
    setting = "OPENAI_BASE_URL"
    key_setting = "OPENAI_API_KEY"
    key_step = "Set OPENAI_API_KEY to a key that it takes."
    models_path = "/models"
    get_model = "Set {setting} to one that it has."
    start = "Start it, or set OPENAI_BASE_URL to where it runs; the address usually ends in /v1."
    # Local servers of some age know no schema, and OpenAI's thinking models only their own temperature. There is no
    # bound of tokens here: one half of the servers refuses max_tokens, and the other max_completion_tokens.
    optional: Mapping[str, tuple[str, ...]] = {
        "response_format": ("response_format", "json_schema", "structured output", "grammar"),
        "temperature": ("temperature",),
    }

    def path(self, ask: Ask) -> str:
        return "/chat/completions"

    def body(self, model: str, ask: Ask) -> dict[str, Any]:
        body: dict[str, Any] = {"model": model, "messages": ask.spoken, "stream": ask.stream}
        if ask.picture:  # servers of models that only read know no other form than a text
            url = f"data:{ask.picture.media_type};base64,{ask.base64}"
            parts = [{"type": "text", "text": ask.prompt}, {"type": "image_url", "image_url": {"url": url}}]
            body["messages"] = [{"role": "user", "content": parts}]
        if not ask.messages:
            body["temperature"] = 0
        if ask.schema:
            schema = {"name": "answers", "strict": is_strict(ask.schema), "schema": dict(ask.schema)}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        return body

    def whole(self, answer: Any) -> Row:
        choice = answer["choices"][0]
        return _choice(choice, choice["message"], done=True)

    def streams(self, content_type: str) -> bool:
        return not content_type.startswith("application/json")  # some know no streams, and do not say so

    def reader(self) -> Reader:
        return EventLines()

    def row(self, answer: Any) -> Row:
        if answer == DONE:
            return Row(done=True)
        choices = answer["choices"]  # none in an object that only counts tokens
        return _choice(choices[0], choices[0].get("delta") or {}) if choices else Row()

    def model_names(self, answer: Any) -> list[str]:
        return [str(model["id"]) for model in answer["data"]]


DONE = "[DONE]"
"""The last event of a stream."""


def _choice(choice: Mapping[str, Any], said: Mapping[str, Any], *, done: bool = False) -> Row:
    finish = str(choice.get("finish_reason") or "")
    refusal = str(said.get("refusal") or ("its content filter said no" if finish == "content_filter" else ""))
    content: object = said.get("content")
    if isinstance(content, list):
        parts = cast(list[Mapping[str, Any]], content)
        content = "".join(str(part.get("text", "")) for part in parts)
    return Row(text=str(content or ""), refusal=refusal, finish=finish, done=done)


LOOSE = frozenset({"maxLength", "minLength", "default", "oneOf", "patternProperties"})
"""Words of JSON Schema that OpenAI refuses in a strict schema."""


def is_strict(schema: object) -> bool:
    """Whether OpenAI takes it as a strict schema: every object requires all its fields and allows no others."""
    if isinstance(schema, list):
        return all(map(is_strict, cast(list[object], schema)))
    if not isinstance(schema, Mapping):
        return True
    fields = cast(Mapping[str, object], schema)
    if LOOSE & set(fields):
        return False
    named = cast(Mapping[str, object], fields.get("properties") or {})
    whole = fields.get("required") == list(named) and fields.get("additionalProperties") is False
    if fields.get("type") == "object" and not whole:
        return False
    rest = [value for name, value in fields.items() if name != "properties"]
    return all(map(is_strict, [*named.values(), *rest]))


DIALECTS: Mapping[str, Dialect] = {"ollama": OllamaDialect(), "openai": OpenAIDialect()}
