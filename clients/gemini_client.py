"""GeminiClient: Google's Gemini looks at pictures and reads words, through google-genai (extra `gemini`).

Needs a key and a network.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from clients import _usage
from clients._gemini.connection import CONNECT_SECONDS, READ_SECONDS, SERVICE, Connection, may_pass, usage_of
from utils import images
from utils.model_replies import answers_schema, read_answers, unanswered, without_thoughts
from utils.reading.questions import DESCRIBE, asking
from workflows.errors import ServiceFailed, ServiceTimedOut, ServiceUnavailable, StudioError
from workflows.types import Media, Message

if TYPE_CHECKING:
    from google.genai.client import Client
    from google.genai.types import GenerateContentConfig, GenerateContentResponse

Listener = Callable[[str], None]

OVERALL_SECONDS = 600.0
"""For a reply that is listened to."""
RETRY_SECONDS = (0.5, 2.0)
"""Waits before words are asked for again, after a failure that may pass."""
MAX_EDGE = 1024
MAX_PICTURE = 1_500_000
"""Bytes; a request with a picture inside may have 20 MB."""
AT_ONCE = 4
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
        self._overall_seconds = overall_seconds
        self._waits = tuple(retry_seconds)
        self._connection = Connection(
            model, api_key=api_key, base_url=base_url, connect_seconds=connect_seconds, read_seconds=read_seconds
        )

    @property
    def name(self) -> str:
        return self._model

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections; the next question opens new ones."""
        await self._connection.aclose()

    def passes(self, error: StudioError) -> bool:
        """Whether the same question may be answered in a moment."""
        return may_pass(error)

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
        return await self._connection.names()

    async def _looked(self, picture: Media, prompt: str, schema: dict[str, Any] | None = None) -> _Reply:
        client = await self._connection.opened()
        from google.genai import types

        data, media_type, *_ = await asyncio.to_thread(images.preview, picture.data, MAX_EDGE, MAX_PICTURE)
        parts = [types.Part.from_bytes(data=data, mime_type=media_type), types.Part.from_text(text=prompt)]
        async with self._connection.answering("ATELIER_VISION_MODEL"):
            contents = types.Content(role="user", parts=parts)
            config = _config(schema, temperature=0)
            reply = _Reply()
            reply.take(await client.aio.models.generate_content(model=self._model, contents=contents, config=config))
        _usage.note(reply.used)
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
                _usage.note(reply.used)
                return self._spoken(reply, "reply")
            except ServiceUnavailable as error:
                if wait is None or reply.pieces or not may_pass(error):
                    raise
            await asyncio.sleep(wait)
        raise AssertionError("the last try replies or raises")

    async def _take_down(
        self, reply: _Reply, said: Sequence[tuple[str, str]], config: Callable[[], GenerateContentConfig]
    ) -> None:
        """Fill a reply: as it comes where somebody listens, else at once."""
        client = await self._connection.opened()
        from google.genai import types

        contents = [types.Content(role=role, parts=[types.Part.from_text(text=text)]) for role, text in said]
        ask: dict[str, Any] = {"model": self._model, "contents": contents, "config": config()}
        async with self._connection.answering("OLLAMA_MODEL"):
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
        async with self._connection.answering("OLLAMA_MODEL"):
            async for response in await client.aio.models.generate_content_stream(**ask):
                yield response

    def _spoken(self, reply: _Reply, what: str) -> str:
        """The words without thoughts. Raises ServiceFailed when there are none."""
        spoken = without_thoughts(reply.text)
        if reply.refusal or not spoken:
            raise ServiceFailed(f"{SERVICE} ({self._model}) gave no {what}. {reply.refusal}".strip())
        return spoken


@dataclass
class _Reply:
    """What has been heard of a reply until now."""

    listener: Listener | None = None
    pieces: list[str] = field(default_factory=list[str])
    ended: str = ""
    """Why it ended, in Gemini's word; "" while it has not, or where that was not said."""
    blocked: str = ""
    candidates: bool = False
    used: Mapping[str, float] = field(default_factory=dict[str, float])
    """As the last piece tells it: of the whole reply."""

    def take(self, response: GenerateContentResponse) -> None:
        """The next piece, or all of it."""
        self.used = usage_of(response) or self.used
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


def _text(response: GenerateContentResponse) -> str:
    """The first candidate's words, without its thoughts."""
    content = response.candidates[0].content if response.candidates else None
    parts = (content.parts or []) if content else []
    return "".join(part.text for part in parts if part.text and not part.thought)
