"""How the APIs of language models are spoken: bodies out, texts in. Pure: nothing here opens a connection."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast

from workflows.types import Media

MAX_TOKENS = 1024
"""Of a reply: eight short answers take 100, a prompt's analysis 300; it ends a model that only repeats itself."""


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One question to the model: words, a picture that they are about, and the JSON schema of the reply."""

    prompt: str
    picture: Media | None = None
    schema: Mapping[str, Any] | None = None

    @property
    def base64(self) -> str:
        return base64.b64encode(self.picture.data).decode("ascii") if self.picture else ""

    @property
    def model_setting(self) -> str:
        """Where the name of the model belongs that is asked such a thing."""
        return "ATELIER_VISION_MODEL" if self.picture else "OLLAMA_MODEL"


class Dialect(Protocol):
    """How one API is spoken. Pure: bodies out, texts in."""

    service: str
    setting: str
    """Where its address belongs."""
    key_setting: str
    """Where its key belongs."""
    path: str
    models_path: str
    get_model: str
    """What to do about a model that the server has not, with {model} and {setting}."""
    start: str
    """What to do when nobody answers."""
    optional: Mapping[str, tuple[str, ...]]
    """Fields that not every server knows, by the words in which it says so."""

    def body(self, model: str, ask: Ask) -> dict[str, Any]: ...

    def text(self, answer: Any) -> str | None:
        """The reply in an answer, None where it holds none; raises KeyError, IndexError, TypeError for other shapes."""
        ...

    def refusal(self, answer: Any) -> str:
        """Why the model would not reply, or ""."""
        ...

    def model_names(self, answer: Any) -> list[str]: ...


class OllamaDialect:
    """Ollama's /api/chat (docs/api.md and server/routes.go of ollama/ollama)."""

    service = "Ollama"
    setting = "OLLAMA_HOST"
    key_setting = "OLLAMA_HOST"
    path = "/api/chat"
    models_path = "/api/tags"
    get_model = "Get it: ollama pull {model}"
    start = "Start it (ollama serve), or set OLLAMA_HOST to where it runs."
    # Servers before 0.5 take only the word "json" as a format; some models think and cannot be told not to.
    optional: Mapping[str, tuple[str, ...]] = {"format": ("chatrequest.format", "invalid format"), "think": ("think",)}

    def body(self, model: str, ask: Ask) -> dict[str, Any]:
        said: dict[str, Any] = {"role": "user", "content": ask.prompt}
        if ask.picture:
            said["images"] = [ask.base64]
        # How long the model stays in memory is for the owner of the server to say: no keep_alive.
        body = {
            "model": model,
            "messages": [said],
            "stream": False,
            "think": False,
            "options": {"temperature": 0, "seed": 0, "num_predict": MAX_TOKENS},
        }
        return body | ({"format": dict(ask.schema)} if ask.schema else {})

    def text(self, answer: Any) -> str | None:
        return answer["message"]["content"]

    def refusal(self, answer: Any) -> str:
        return ""

    def model_names(self, answer: Any) -> list[str]:
        return [str(model["name"]) for model in answer["models"]]


class OpenAIDialect:
    """OpenAI's /chat/completions, which vLLM, llama.cpp, LM Studio and many clouds speak too."""

    service = "The model server"
    setting = "OPENAI_BASE_URL"
    key_setting = "OPENAI_API_KEY"
    path = "/chat/completions"
    models_path = "/models"
    get_model = "Set {setting} to one that it has."
    start = "Start it, or set OPENAI_BASE_URL to where it runs; the address usually ends in /v1."
    # Local servers of some age know no schema, and OpenAI's thinking models only their own temperature. There is no
    # bound of tokens here: one half of the servers refuses max_tokens, and the other max_completion_tokens.
    optional: Mapping[str, tuple[str, ...]] = {
        "response_format": ("response_format", "json_schema", "structured output", "grammar"),
        "temperature": ("temperature",),
    }

    def body(self, model: str, ask: Ask) -> dict[str, Any]:
        content: str | list[dict[str, Any]] = ask.prompt  # servers of models that only read know no other form
        if ask.picture:
            url = f"data:{ask.picture.media_type};base64,{ask.base64}"
            content = [{"type": "text", "text": ask.prompt}, {"type": "image_url", "image_url": {"url": url}}]
        messages = [{"role": "user", "content": content}]
        body: dict[str, Any] = {"model": model, "messages": messages, "temperature": 0, "stream": False}
        if ask.schema:
            schema = {"name": "answers", "strict": is_strict(ask.schema), "schema": dict(ask.schema)}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        return body

    def text(self, answer: Any) -> str | None:
        content = answer["choices"][0]["message"].get("content")
        if isinstance(content, list):
            parts = cast(list[Mapping[str, Any]], content)
            return "".join(str(part.get("text", "")) for part in parts)
        return content

    def refusal(self, answer: Any) -> str:
        choice = answer["choices"][0]
        refused = choice["message"].get("refusal")
        return str(refused or ("its content filter said no" if choice.get("finish_reason") == "content_filter" else ""))

    def model_names(self, answer: Any) -> list[str]:
        return [str(model["id"]) for model in answer["data"]]


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
