"""LLMClient: a language model behind Ollama's own API or any endpoint that speaks OpenAI's. It looks and it reads.

httpx2 and not the packages `ollama` and `openai`: two routes are needed, our errors have to be told in our words, and
`ollama` still stands on the httpx that is frozen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Self, cast

from clients._http import USER_AGENT, check_answer, service_errors
from clients._llm.address import checked, is_loopback, is_near, ollama_url, without_password
from clients._llm.dialects import DIALECTS, Ask
from utils import images
from utils.model_replies import answers_schema, read_answers, unanswered, without_thoughts
from utils.reading.questions import DESCRIBE, asking
from workflows.errors import ServiceUnavailable, nearest
from workflows.types import Media

if TYPE_CHECKING:
    import httpx2

CONNECT_SECONDS = 5.0
READ_SECONDS = 180.0
"""A model that is not in memory yet takes a minute to load from a slow disk, before it thinks about the picture."""
MAX_EDGE = 1024
"""Pixels on the long edge: about what vision models see at their full resolution; more costs tokens only."""
MAX_PICTURE = 1_500_000
"""Bytes of a picture, 2 MB as base64."""
AT_ONCE = 4
"""Questions at the same time to a service in the cloud."""
ERROR_TEXT = 300
"""Characters of a server's own words that are told on."""
NO_PICTURES = ("image input", "images", "image_url", "multimodal", "mmproj", "vision")
"""What servers say when a model is sent a picture and cannot see."""


class LLMClient:
    """The VisionModel and TextModel ports, for one model of one server. Opens its connections at the first question."""

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        dialect: Literal["ollama", "openai"],
        api_key: str | None = None,
        connect_seconds: float = CONNECT_SECONDS,
        read_seconds: float = READ_SECONDS,
    ) -> None:
        """`base_url`: for ollama as OLLAMA_HOST is written, for openai with its /v1. Raises ValueError."""
        self._dialect = DIALECTS[dialect]
        self._url = ollama_url(base_url) if dialect == "ollama" else checked(base_url, self._dialect.setting)
        self._model = model
        self._key = api_key
        self._seconds = (connect_seconds, read_seconds)
        self._shown = f"{self._dialect.service} at {without_password(self._url)}"
        self._unknown: set[str] = set()
        self._opening = asyncio.Lock()
        self._http: httpx2.AsyncClient | None = None

    @property
    def name(self) -> str:
        return self._model

    @property
    def at_once(self) -> int:
        """How many questions it should be asked at the same time: one, when it is a machine of our own."""
        return 1 if is_near(self._url) else AT_ONCE

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections; the next question opens new ones."""
        http, self._http = self._http, None
        if http is not None:
            await http.aclose()

    async def answer(self, picture: Media, questions: Sequence[str]) -> Sequence[str]:
        """A short answer to each question, in their order, from one call; "" where the model gave none.

        Raises ServiceUnavailable, RateLimited, AccessDenied; BadPicture for bytes that are no picture.
        """
        if not questions:
            return ()
        ask = Ask(prompt=asking(questions), picture=await _small(picture), schema=answers_schema(questions))
        text, refusal = await self._chat(ask)
        return unanswered(questions, refusal) if refusal else read_answers(text, questions)

    async def describe(self, picture: Media) -> str:
        """What the picture shows, in a few sentences. Raises as `answer` does."""
        text, refusal = await self._chat(Ask(prompt=DESCRIBE, picture=await _small(picture)))
        spoken = without_thoughts(text)
        if refusal or not spoken:
            raise ServiceUnavailable(f"{self._shown}: {self._model} gave no description. {refusal}".strip())
        return spoken

    async def complete(self, prompt: str, schema: Mapping[str, object] | None = None) -> str:
        """Its reply to the prompt, without its thoughts; with a JSON schema JSON text that should fit it, unchecked.

        A server that knows no schemas is asked without one. Raises as `answer` does, and when there is no reply.
        """
        text, refusal = await self._chat(Ask(prompt=prompt, schema=schema))
        spoken = without_thoughts(text)
        if refusal or not spoken:
            raise ServiceUnavailable(f"{self._shown}: {self._model} gave no reply. {refusal}".strip())
        return spoken

    async def _chat(self, ask: Ask) -> tuple[str, str]:
        """The reply and why there is none, one of them empty."""
        response = await self._asked(ask)
        try:
            answer = response.json()
            refusal = self._dialect.refusal(answer)
            return ("", refusal) if refusal else (str(self._dialect.text(answer) or ""), "")
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            raise self._stranger() from error

    async def _asked(self, ask: Ask) -> httpx2.Response:
        """The server's good answer; what it does not know of the body is left out from then on."""
        body = self._dialect.body(self._model, ask)
        optional = self._dialect.optional
        while True:
            sent = {name: value for name, value in body.items() if name not in self._unknown}
            response = await self._post(sent)
            if response.status_code == 200:
                return response
            said = _error_text(response)
            refused = next((name for name in optional if name in sent and _names(said, optional[name])), None)
            if refused is None:
                await self._refuse(response, said, ask)
            self._unknown.add(refused)

    async def _post(self, body: Mapping[str, Any]) -> httpx2.Response:
        """A chat changes nothing at the server, so that it is asked once more when the connection breaks."""
        http = await self._client()  # which imports httpx2, off the loop
        import httpx2

        url = f"{self._url}{self._dialect.path}"
        late = f"{self._model} may be too large for that machine, or still load. Try again later."
        with service_errors(self._shown, self._dialect.start, late):
            try:
                return await http.post(url, json=body)
            except (httpx2.RemoteProtocolError, httpx2.ReadError, httpx2.WriteError):
                return await http.post(url, json=body)

    async def _client(self) -> httpx2.AsyncClient:
        async with self._opening:
            if self._http is None:
                self._http = await asyncio.to_thread(self._made)  # with TLS, the trust roots are read from files
            return self._http

    def _made(self) -> httpx2.AsyncClient:
        import httpx2

        connect, read = self._seconds
        key = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        return httpx2.AsyncClient(
            headers={"User-Agent": USER_AGENT, **key},
            timeout=httpx2.Timeout(read, connect=connect, pool=None),
            trust_env=not is_loopback(self._url),
        )

    async def _refuse(self, response: httpx2.Response, said: str, ask: Ask) -> NoReturn:
        """Raise the error that an answer other than 200 is."""
        status = response.status_code
        if ask.picture and status in {400, 415, 422, 500, 501} and _names(said, NO_PICTURES):
            step = "Set ATELIER_VISION_MODEL to a model that sees."
            raise ServiceUnavailable(f"{self._shown}: {self._model} takes no pictures ({said}). {step}")
        if status == 404 and _names(said, ("model",)):
            await self._missing(ask)
        if status == 404:
            raise self._stranger()
        if status < 500:
            check_answer(response, self._shown, self._dialect.key_setting)
        raise ServiceUnavailable(f"{self._shown} answered {status}: {said or 'nothing more'}.")

    async def _missing(self, ask: Ask) -> NoReturn:
        """Raise that the server has no such model, with those that it has."""
        known = await self._models()
        near = nearest(self._model, known) or tuple(known[:5])
        has = f" It has {', '.join(near)}." if near else ""
        step = self._dialect.get_model.format(model=self._model, setting=ask.model_setting)
        raise ServiceUnavailable(f"{self._shown} has no model {self._model!r}.{has} {step}")

    async def _models(self) -> list[str]:
        """The names of the server's models; none when it does not say."""
        http = await self._client()
        import httpx2

        try:
            answer = (await http.get(f"{self._url}{self._dialect.models_path}")).json()
            return self._dialect.model_names(answer)
        except (httpx2.HTTPError, ValueError, KeyError, TypeError):
            return []

    def _stranger(self) -> ServiceUnavailable:
        kind, setting = self._dialect.service, self._dialect.setting
        return ServiceUnavailable(f"{self._shown} answers, but not as {kind} does: is {setting} right?")


async def _small(picture: Media) -> Media:
    data, media_type, *_ = await asyncio.to_thread(images.preview, picture.data, MAX_EDGE, MAX_PICTURE)
    return Media(data=data, media_type=media_type)


def _names(said: str, words: Sequence[str]) -> bool:
    return any(word in said.lower() for word in words)


def _error_text(response: httpx2.Response) -> str:
    """What an error answer says, in one bounded line: {"error": text or {"message"}}, {"detail"} or plain text."""
    try:
        answer: object = response.json()
    except ValueError:
        answer = {"error": response.text}
    fields: Mapping[str, Any] = cast(Mapping[str, Any], answer) if isinstance(answer, dict) else {}
    found: object = next((fields[name] for name in ("error", "detail", "message") if fields.get(name)), "")
    if isinstance(found, dict):
        found = cast(Mapping[str, Any], found).get("message", "")
    return " ".join(str(found).split())[:ERROR_TEXT]
