"""LLMClient: a language model behind Ollama's own API or any endpoint that speaks OpenAI's. It looks, reads and writes.

httpx2 and not the packages `ollama` and `openai`: few routes are needed, our errors have to be told in our words, and
`ollama` still stands on the httpx that is frozen.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Self

from clients._llm.address import checked, is_near, ollama_url, without_password
from clients._llm.connection import Broken, Connection, MayPass, Patience
from clients._llm.dialects import DIALECTS, DONE, Ask, Row
from clients._llm.refusals import bounded, fault_in, knows_no_model, names, refusal, takes_no_pictures, words_of
from clients._llm.streams import MAX_REPLY, Overlong, Unreadable, Whole
from utils import images
from utils.model_replies import answers_schema, read_answers, unanswered, without_thoughts
from utils.reading.questions import DESCRIBE, asking
from workflows.errors import ModelMissing, ServiceError, ServiceFailed, StudioError, nearest
from workflows.types import Media, Message

if TYPE_CHECKING:
    import httpx2

Listener = Callable[[str], None]

CONNECT_SECONDS = 5.0
READ_SECONDS = 120.0
"""For a reply in words, or for its next piece where it is listened to."""
OVERALL_SECONDS = 600.0
"""For a reply that is listened to: a large model without a GPU writes two tokens a second."""
PICTURE_SECONDS = 180.0
"""A model that is not in memory yet takes a minute to load from a slow disk, before it thinks about the picture."""
LIST_SECONDS = 10.0
RETRY_SECONDS = (0.5, 1.5)
"""Waits before the second and the third try of what may pass."""
JITTER = 0.25
"""Part of such a wait by which it is longer or shorter, so that several do not come back at once."""
MAX_EDGE = 1024
"""Pixels on the long edge: about what vision models see at their full resolution; more costs tokens only."""
MAX_PICTURE = 1_500_000
"""Bytes of a picture, 2 MB as base64."""
AT_ONCE = 4
"""Questions at the same time to a service in the cloud."""
NOT_OF_THE_BODY = frozenset({401, 403, 429, 502, 503, 504})
"""Statuses that say nothing of what was asked, whatever their words."""
_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_DURATION = re.compile(r"-?(\d+(\.\d+)?(ns|us|ms|s|m|h))+")


@dataclass(kw_only=True)
class Told:
    """A reply as far as it came."""

    parts: list[str] = field(default_factory=list[str])
    length: int = 0
    refusal: str = ""
    finish: str = ""
    done: bool = False

    @property
    def text(self) -> str:
        return "".join(self.parts)

    def add(self, row: Row) -> None:
        self.parts.append(row.text)
        self.length += len(row.text)
        self.refusal += row.refusal
        self.finish = row.finish or self.finish
        self.done = row.done
        if self.length + len(self.refusal) > MAX_REPLY:
            raise Overlong


class LLMClient:
    """The VisionModel and ChatModel ports, for one model of one server. Opens its connections at the first question."""

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        dialect: Literal["ollama", "openai"],
        api_key: str | None = None,
        keep_alive: str = "0",
        connect_seconds: float = CONNECT_SECONDS,
        read_seconds: float = READ_SECONDS,
        overall_seconds: float = OVERALL_SECONDS,
        picture_seconds: float = PICTURE_SECONDS,
        retry_seconds: Sequence[float] = RETRY_SECONDS,
    ) -> None:
        """`base_url`: for ollama as OLLAMA_HOST is written, for openai with its /v1. Raises ValueError.

        `keep_alive`: how long Ollama keeps the model in memory after a reply in words. `read_seconds` bounds such a
        reply; one that is listened to may take so long to its next piece, and `overall_seconds` in all.
        `retry_seconds`: the waits before further tries of what may pass.
        """
        self._dialect = DIALECTS[dialect]
        url = ollama_url(base_url) if dialect == "ollama" else checked(base_url, self._dialect.setting)
        self._model = model
        self._key = api_key
        self._keep_alive = _keep_alive(keep_alive)
        self._seconds = (read_seconds, overall_seconds, picture_seconds)
        self._waits = tuple(retry_seconds)
        self._near = is_near(url)
        self._shown = f"{self._dialect.service} at {without_password(url)}"
        self._unknown: set[str] = set()
        self._connection = Connection(url, api_key, connect_seconds, self._shown, self._dialect.start)

    @property
    def name(self) -> str:
        return self._model

    @property
    def at_once(self) -> int:
        """How many questions it should be asked at the same time: one, when it is a machine of our own."""
        return 1 if self._near else AT_ONCE

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections; the next question opens new ones."""
        await self._connection.aclose()

    async def answer(self, picture: Media, questions: Sequence[str]) -> Sequence[str]:
        """A short answer to each question, in their order, from one call; "" where the model gave none.

        Raises as `chat` does; BadPicture for bytes that are no picture.
        """
        if not questions:
            return ()
        told = await self._told(
            Ask(prompt=asking(questions), picture=await _small(picture), schema=answers_schema(questions))
        )
        return unanswered(questions, told.refusal) if told.refusal else read_answers(told.text, questions)

    async def describe(self, picture: Media) -> str:
        """What the picture shows, in a few sentences. Raises as `answer` does."""
        told = await self._told(Ask(prompt=DESCRIBE, picture=await _small(picture)))
        spoken = without_thoughts(told.text)
        if told.refusal or not spoken:
            raise self._failed(f"{self._model} gave no description. {told.refusal}")
        return spoken

    async def complete(self, prompt: str, schema: Mapping[str, object] | None = None) -> str:
        """Its reply to the prompt, without its thoughts; with a JSON schema JSON text that should fit it, unchecked.

        A server that knows no schemas is asked without one. Raises as `chat` does.
        """
        return self._spoken(await self._told(Ask(prompt=prompt, schema=schema, keep_alive=self._keep_alive)))

    async def chat(
        self,
        messages: Sequence[Message],
        schema: Mapping[str, object] | None = None,
        listener: Listener | None = None,
    ) -> str:
        """Its reply to a conversation; as `complete` otherwise. `listener` hears the pieces as they come.

        Raises ServiceUnavailable (nobody answers), ServiceTimedOut, ModelMissing, ServiceFailed (the server's error; a
        reply that broke off, is empty, refused or has no end; another server), RateLimited, AccessDenied. What may
        pass is tried again before the first piece, never afterwards. What the listener raises ends the reply.
        """
        ask = Ask(messages=tuple(messages), schema=schema, stream=listener is not None, keep_alive=self._keep_alive)
        return self._spoken(await self._told(ask, listener))

    async def installed(self) -> Sequence[str]:
        """The names of the server's models. Raises as `chat` does."""
        patience = self._patience(LIST_SECONDS, LIST_SECONDS)
        try:
            async with self._connection.asked("GET", self._dialect.models_path, patience) as response:
                if response.status_code != 200:
                    said = words_of(await self._connection.error_body(response, patience), self._key)
                    raise self._error(response, said)
                [text] = [text async for text in self._connection.texts(response, Whole(), patience)]
            return self._dialect.model_names(json.loads(text))
        except Broken as broken:
            raise self._failed(f"it could not be reached: {broken}") from broken.__cause__
        except MayPass as passing:
            raise passing.error from None
        except (Overlong, Unreadable, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise self._stranger() from error

    def _spoken(self, told: Told) -> str:
        """A reply in words, which has to be whole."""
        if told.refusal:
            raise self._failed(f"{self._model} gave no reply. {told.refusal}")
        if told.finish == "length":
            raise self._failed(f"{self._model} reached the length that it may write, and its reply broke off")
        spoken = without_thoughts(told.text)
        if not spoken:
            raise self._failed(f"{self._model} gave no reply")
        return spoken

    async def _told(self, ask: Ask, listener: Listener | None = None) -> Told:
        """The reply, after further tries where a failure may pass."""
        read, overall, picture = self._seconds
        between = picture if ask.picture else read
        patience = self._patience(between, overall if ask.stream else between)
        waits = iter(self._waits)
        while True:
            try:
                return await self._once(ask, listener, patience)
            except MayPass as passing:
                wait = next(waits, None)
                wait = wait if wait is None else max(_jittered(wait), passing.after)
                if wait is None or not patience.allows(wait):
                    raise passing.error from passing.__cause__
            await asyncio.sleep(wait)

    async def _once(self, ask: Ask, listener: Listener | None, patience: Patience) -> Told:
        """One try; what the server does not know of the body is left out from then on. Raises MayPass too."""
        body = self._dialect.body(self._model, ask)
        optional = self._dialect.optional
        while True:
            sent = {name: value for name, value in body.items() if name not in self._unknown}
            try:
                async with self._connection.asked("POST", self._dialect.path(ask), patience, sent) as response:
                    if response.status_code == 200:
                        return await self._heard(response, ask, listener, patience)
                    said = words_of(await self._connection.error_body(response, patience), self._key)
            except Broken as broken:
                raise MayPass(self._failed(f"it could not be reached: {broken}")) from broken.__cause__
            refused = next((name for name in optional if name in sent and names(said, optional[name])), None)
            if refused is None or response.status_code in NOT_OF_THE_BODY:
                raise await self._refusal(response, said, ask)
            self._unknown.add(refused)

    async def _heard(self, response: httpx2.Response, ask: Ask, listener: Listener | None, patience: Patience) -> Told:
        """The reply in a good answer, told to the listener as it comes. Raises Broken before its first piece only."""
        told = Told()
        try:
            async with aclosing(self._rows(response, ask, patience)) as rows:
                async for row in rows:
                    told.add(row)
                    if listener is not None and row.text:
                        listener(row.text)
                    if told.done or told.finish:
                        return told
        except Broken as broken:
            if not told.length:
                raise
            raise self._broke_off(told, f" ({broken})") from broken.__cause__
        except Unreadable as error:
            raise (self._broke_off(told, ": what followed is not JSON") if told.length else self._stranger()) from error
        except Overlong as error:
            raise self._failed(f"{self._model} does not stop: more than {MAX_REPLY:,} characters") from error
        raise self._broke_off(told, "") if told.length or told.refusal else self._stranger()

    async def _rows(self, response: httpx2.Response, ask: Ask, patience: Patience) -> AsyncGenerator[Row]:
        """What the answer says, piece by piece."""
        streams = ask.stream and self._dialect.streams(response.headers.get("content-type", ""))
        reader, read = (self._dialect.reader(), self._dialect.row) if streams else (Whole(), self._dialect.whole)
        async with aclosing(self._connection.texts(response, reader, patience)) as texts:
            async for text in texts:
                yield self._row(text, read)

    def _row(self, text: str, read: Callable[[Any], Row]) -> Row:
        try:
            answer = text if text == DONE else json.loads(text)
            fault = fault_in(answer)
            row = Row() if fault else read(answer)
        except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
            raise Unreadable from error
        if fault:
            raise self._failed(bounded(fault, self._key))
        return row

    async def _refusal(self, response: httpx2.Response, said: str, ask: Ask) -> StudioError | MayPass:
        """The error that an answer other than 200 is."""
        status = response.status_code
        if ask.picture and takes_no_pictures(status, said):
            step = "Set ATELIER_VISION_MODEL to a model that sees"
            return self._failed(f"{self._model} takes no pictures ({said}). {step}")
        if knows_no_model(status, said):
            return await self._missing(ask)
        return self._error(response, said)

    def _error(self, response: httpx2.Response, said: str) -> StudioError | MayPass:
        status = response.status_code
        if status == 404 or 300 <= status < 400:
            return self._stranger()
        return refusal(status, said, response.headers, self._shown, self._dialect, self._model)

    async def _missing(self, ask: Ask) -> ModelMissing:
        """That the server has no such model, with those that it has."""
        try:
            known = await self.installed()
        except ServiceError:
            known = ()
        near = nearest(self._model, known)
        has = f" It has {', '.join(near or known[:5])}." if known else ""
        step = self._dialect.get_model.format(model=self._model, setting=ask.model_setting)
        ordered = (*near, *(name for name in known if name not in near))
        return ModelMissing(f"{self._shown} has no model {self._model!r}.{has} {step}", ordered)

    def _patience(self, between: float, overall: float) -> Patience:
        hint = f"{self._model} may be too large for that machine, or still load. Try again later."
        return Patience(between, overall, f"{self._shown} did not answer in time. {hint}")

    def _failed(self, why: str) -> ServiceFailed:
        return ServiceFailed(f"{self._shown}: {why.strip().rstrip('.')}.")

    def _broke_off(self, told: Told, how: str) -> ServiceFailed:
        return self._failed(f"the reply of {self._model} broke off after {told.length} characters{how}")

    def _stranger(self) -> ServiceFailed:
        kind, setting = self._dialect.kind, self._dialect.setting
        return ServiceFailed(f"{self._shown} answers, but not as {kind} does: is {setting} right?")


def _keep_alive(written: str) -> float | str:
    """OLLAMA_KEEP_ALIVE as Ollama takes it: seconds as a number, durations such as 5m as text. Raises ValueError."""
    text = written.strip()
    if _NUMBER.fullmatch(text):
        return float(text) if "." in text else int(text)
    if _DURATION.fullmatch(text):
        return text
    raise ValueError(f"OLLAMA_KEEP_ALIVE is seconds or a duration such as 30s, 5m or 1h30m; -1: for ever; not {text!r}")


def _jittered(seconds: float) -> float:
    return seconds * random.uniform(1 - JITTER, 1 + JITTER)


async def _small(picture: Media) -> Media:
    data, media_type, *_ = await asyncio.to_thread(images.preview, picture.data, MAX_EDGE, MAX_PICTURE)
    return Media(data=data, media_type=media_type)
