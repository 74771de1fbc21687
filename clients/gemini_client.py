"""GeminiClient: Google's Gemini looks at pictures and reads words, through google-genai (extra `gemini`).

Needs a key and a network.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Self, cast

from clients._http import USER_AGENT, service_errors
from utils import images
from utils.model_replies import answers_schema, read_answers, unanswered, without_thoughts
from utils.reading.questions import DESCRIBE, asking
from workflows.errors import (
    AccessDenied,
    ExtraMissing,
    ModelMissing,
    RateLimited,
    ServiceError,
    ServiceFailed,
    ServiceTimedOut,
    ServiceUnavailable,
    StudioError,
    nearest,
)
from workflows.types import Media, Message

if TYPE_CHECKING:
    import httpx2
    from google.genai.client import Client
    from google.genai.errors import APIError
    from google.genai.types import GenerateContentConfig, GenerateContentResponse

Listener = Callable[[str], None]

CONNECT_SECONDS = 10.0
READ_SECONDS = 120.0
"""For an answer, or for the next piece of one."""
OVERALL_SECONDS = 600.0
"""For a reply that is listened to."""
RETRY_SECONDS = (0.5, 2.0)
"""Waits before words are asked for again, after a failure that may pass."""
PAGE = 1000
"""Models of one answer, the most that Gemini gives."""
MAX_EDGE = 1024
MAX_PICTURE = 1_500_000
"""Bytes; a request with a picture inside may have 20 MB."""
AT_ONCE = 4
API_VERSION = "v1beta"
"""The one that takes a JSON schema for the reply; google-genai's own default is v1."""
SETTING = "GEMINI_API_KEY"
SERVICE = "Gemini"
_RETRY_DELAY = re.compile(r"retryDelay\W+(\d+(?:\.\d+)?)s")
PASSING = frozenset({500, 502, 503, 504})
"""Answers after which the same question may be answered in a moment."""
ROLES: Mapping[str, str] = {"user": "user", "assistant": "model"}
GOOD_ENDS = frozenset({"", "STOP", "MAX_TOKENS", "FINISH_REASON_UNSPECIFIED"})


class GeminiClient:
    """The VisionModel and ChatModel ports, for one Gemini model.

    google-genai is imported and connections opened when first asked.
    """

    at_once = AT_ONCE
    """How many questions it should be asked at the same time."""

    def __init__(
        self,
        model: str,
        *,
        api_key: str | None,
        base_url: str | None = None,
        connect_seconds: float = CONNECT_SECONDS,
        read_seconds: float = READ_SECONDS,
        overall_seconds: float = OVERALL_SECONDS,
        retry_seconds: Sequence[float] = RETRY_SECONDS,
    ) -> None:
        """`base_url`: another address than Google's, such as a proxy's. `read_seconds`: see READ_SECONDS, and so on."""
        self._model = model
        self._key = api_key
        self._base_url = base_url
        self._seconds = (connect_seconds, read_seconds)
        self._overall_seconds = overall_seconds
        self._waits = tuple(retry_seconds)
        self._opening = asyncio.Lock()
        self._client: Client | None = None
        self._http: httpx2.AsyncClient | None = None

    @property
    def name(self) -> str:
        return self._model

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections; the next question opens new ones."""
        http, self._http, self._client = self._http, None, None
        if http is not None:
            await http.aclose()

    async def answer(self, picture: Media, questions: Sequence[str]) -> Sequence[str]:
        """A short answer to each question, in their order, from one call; "" where the model gave none.

        What Gemini will not look at is answered "cannot tell", with the reason. Raises ServiceUnavailable (and its
        kinds), ModelMissing, RateLimited, AccessDenied, ExtraMissing; BadPicture for bytes that are no picture.
        """
        if not questions:
            return ()
        reply = await self._looked(picture, asking(questions), answers_schema(questions))
        return unanswered(questions, reply.refusal) if reply.refusal else read_answers(reply.text, questions)

    async def describe(self, picture: Media) -> str:
        """What the picture shows, in a few sentences. Raises as `answer` does."""
        return self._spoken(await self._looked(picture, DESCRIBE), "description")

    async def complete(self, prompt: str, schema: Mapping[str, object] | None = None) -> str:
        """Its reply to the prompt; with a JSON schema JSON text that should fit it, unchecked.

        Raises as `answer` does, and ServiceFailed when there is no reply.
        """
        return await self._words([("user", prompt)], schema, temperature=0)

    async def chat(
        self,
        messages: Sequence[Message],
        schema: Mapping[str, object] | None = None,
        listener: Listener | None = None,
    ) -> str:
        """Its reply to a conversation; `listener` hears it piece by piece. Raises as `complete` does.

        Its temperature is the model's own, which Gemini 3 is made for.
        """
        return await self._words([(one.role, one.content) for one in messages], schema, listener)

    async def installed(self) -> Sequence[str]:
        """The names of Gemini's models that write. Raises as `answer` does."""
        client = await self._opened()
        async with self._answering():
            models = [model async for model in await client.aio.models.list(config={"page_size": PAGE})]
        return [
            str(model.name).removeprefix("models/")
            for model in models
            if model.name and "generateContent" in (model.supported_actions or ())
        ]

    async def _looked(self, picture: Media, prompt: str, schema: dict[str, Any] | None = None) -> _Reply:
        client = await self._opened()
        from google.genai import types

        data, media_type, *_ = await asyncio.to_thread(images.preview, picture.data, MAX_EDGE, MAX_PICTURE)
        parts = [types.Part.from_bytes(data=data, mime_type=media_type), types.Part.from_text(text=prompt)]
        async with self._answering("ATELIER_VISION_MODEL"):
            contents = types.Content(role="user", parts=parts)
            config = _config(schema, temperature=0)
            reply = _Reply()
            reply.take(await client.aio.models.generate_content(model=self._model, contents=contents, config=config))
        return reply

    async def _words(
        self,
        messages: Sequence[tuple[str, str]],
        schema: Mapping[str, object] | None,
        listener: Listener | None = None,
        temperature: float | None = None,
    ) -> str:
        """The reply to roles and texts; asked for again while nothing of it was heard and what failed may pass."""
        rules = "\n\n".join(text for role, text in messages if role == "system")
        said = [(ROLES[role], text) for role, text in messages if role != "system"]
        for wait in (*self._waits, None):
            reply = _Reply(listener=listener)
            try:
                await self._take_down(reply, said, lambda: _config(schema, temperature, rules))
                return self._spoken(reply, "reply")
            except ServiceUnavailable as error:
                if wait is None or reply.pieces or not _passes(error):
                    raise
            await asyncio.sleep(wait)
        raise AssertionError("the last try replies or raises")

    async def _take_down(
        self, reply: _Reply, said: Sequence[tuple[str, str]], config: Callable[[], GenerateContentConfig]
    ) -> None:
        """Fill a reply: as it comes where somebody listens, else at once."""
        client = await self._opened()
        from google.genai import types

        contents = [types.Content(role=role, parts=[types.Part.from_text(text=text)]) for role, text in said]
        ask: dict[str, Any] = {"model": self._model, "contents": contents, "config": config()}
        async with self._answering("OLLAMA_MODEL"):
            if reply.listener is None:
                reply.take(await client.aio.models.generate_content(**ask))
                return
        try:
            async with asyncio.timeout(self._overall_seconds), aclosing(self._stream(client, ask)) as responses:
                async for response in responses:
                    reply.take(response)
        except TimeoutError as error:
            late = f"{SERVICE} ({self._model}) still writes after {self._overall_seconds:g} s. Ask for less."
            raise ServiceTimedOut(late) from error
        if not reply.ended and not reply.refusal:
            raise ServiceFailed(f"{SERVICE} ({self._model}) broke its reply off. Ask again.")

    async def _stream(self, client: Client, ask: Mapping[str, Any]) -> AsyncGenerator[GenerateContentResponse]:
        """What a listener raises is not taken for an error of Gemini's: it is called outside of this."""
        async with self._answering("OLLAMA_MODEL"):
            async for response in await client.aio.models.generate_content_stream(**ask):
                yield response

    @asynccontextmanager
    async def _answering(self, model_setting: str = "") -> AsyncGenerator[None]:
        """Errors of google-genai and of the network become ours. `model_setting`: what names the model, if any does."""
        from google.genai import errors

        try:
            with service_errors(SERVICE, "Is this machine on the network?"):
                yield
        except errors.APIError as error:
            raise await self._told(error, model_setting) from error
        except (ValueError, TypeError) as error:  # an answer of another shape; google-genai promises no single class
            raise ServiceFailed(f"{SERVICE} gave an answer that could not be read: {str(error)[:200]}") from error

    def _spoken(self, reply: _Reply, what: str) -> str:
        """The words without thoughts. Raises ServiceFailed when there are none."""
        spoken = without_thoughts(reply.text)
        if reply.refusal or not spoken:
            raise ServiceFailed(f"{SERVICE} ({self._model}) gave no {what}. {reply.refusal}".strip())
        return spoken

    async def _opened(self) -> Client:
        if not self._key:
            raise AccessDenied(f"{self._model} needs a key for {SERVICE}. Set {SETTING}.", SETTING)
        async with self._opening:
            if self._client is None:
                self._client = await asyncio.to_thread(self._made)
            return self._client

    def _made(self) -> Client:
        """google-genai takes a second to import, and its connections read the trust roots from files."""
        if find_spec("google") is None or find_spec("google.genai") is None:
            raise ExtraMissing("gemini", f"The vision model {self._model}")
        import httpx2
        from google import genai
        from google.genai import types

        connect, read = self._seconds
        # Our own connections: google-genai would take aiohttp where it is installed, whose errors are others.
        self._http = httpx2.AsyncClient(
            headers={"User-Agent": USER_AGENT}, timeout=httpx2.Timeout(read, connect=connect, pool=None)
        )
        options = types.HttpOptions(
            base_url=self._base_url,
            api_version=API_VERSION,
            httpx_async_client=self._http,
            timeout=round(read * 1000),
            retry_options=types.HttpRetryOptions(attempts=1),
        )
        # Its own reading of the environment must not send pictures to another service than the settings say.
        return genai.Client(api_key=self._key, enterprise=False, http_options=options)

    async def _told(self, error: APIError, model_setting: str) -> StudioError:
        """Google's error as ours (google.rpc.Code and its details; a wrong key is a 400 there)."""
        details = repr(cast(object, error.details))
        said = " ".join(str(error.message or error.status or "").split())[:200].rstrip(".")
        if error.code in {401, 403} or "API_KEY_INVALID" in details or "API key" in said:
            return AccessDenied(f"{SERVICE} does not take the key ({said}). Set {SETTING} to one that works.", SETTING)
        if error.code == 429:
            wait = _retry_after(details)
            when = f"in {wait:g} s" if wait is not None else "later"
            return RateLimited(f"{SERVICE} wants fewer requests ({said}). Try again {when}.", retry_after=wait)
        if error.code == 404 and model_setting:
            return await self._missing(said, model_setting)
        return ServiceFailed(f"{SERVICE} answered {error.code}: {said or 'nothing more'}. Try again later.")

    async def _missing(self, said: str, model_setting: str) -> StudioError:
        """That there is no such model, with those that there are as far as Gemini says."""
        known: Sequence[str] = ()
        with suppress(ServiceError):
            known = await self.installed()
        near = nearest(self._model, known) or tuple(known[:5])
        has = f" It has {', '.join(near)}." if near else ""
        step = f"Set {model_setting} to one that it has."
        return ModelMissing(f"{SERVICE} has no model {self._model!r} ({said}).{has} {step}", known)


@dataclass
class _Reply:
    """What has been heard of a reply until now."""

    listener: Listener | None = None
    pieces: list[str] = field(default_factory=list[str])
    ended: str = ""
    """Why it ended, in Gemini's word; "" while it has not, or where that was not said."""
    blocked: str = ""
    candidates: bool = False

    def take(self, response: GenerateContentResponse) -> None:
        """The next piece, or all of it."""
        block = response.prompt_feedback and response.prompt_feedback.block_reason
        if block:
            self.blocked = block.value
        if response.candidates:
            self.candidates = True
            reason = response.candidates[0].finish_reason
            self.ended = reason.value if reason else self.ended
        if piece := _text(response):
            self.pieces.append(piece)
            if self.listener is not None:
                self.listener(piece)

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def refusal(self) -> str:
        """Why there is no reply, or ""."""
        if self.blocked:
            return f"{SERVICE} blocked the picture or the question ({self.blocked})"
        if not self.candidates:
            return f"{SERVICE} gave no reply"
        if self.ended not in GOOD_ENDS:
            return f"{SERVICE} broke its reply off ({self.ended})"
        return "" if self.text else f"{SERVICE} gave an empty reply"


def _config(schema: Mapping[str, object] | None, temperature: float | None, rules: str = "") -> GenerateContentConfig:
    from google.genai import types

    return types.GenerateContentConfig(
        temperature=temperature,
        candidate_count=1,
        system_instruction=rules or None,
        response_mime_type="application/json" if schema else None,
        response_json_schema=dict(schema) if schema else None,
    )


def _passes(error: ServiceUnavailable) -> bool:
    """Whether the same question may be answered in a moment: an overloaded service, a connection that broke."""
    import httpx2

    cause = error.__cause__
    broken = isinstance(cause, httpx2.TransportError) and not isinstance(error, ServiceTimedOut)
    return broken or getattr(cause, "code", 0) in PASSING


def _text(response: GenerateContentResponse) -> str:
    """The first candidate's words, without its thoughts."""
    content = response.candidates[0].content if response.candidates else None
    parts = (content.parts or []) if content else []
    return "".join(part.text for part in parts if part.text and not part.thought)


def _retry_after(details: str) -> float | None:
    """Seconds, from google.rpc.RetryInfo ("retryDelay": "17s")."""
    found = _RETRY_DELAY.search(details)
    return float(found[1]) if found else None
