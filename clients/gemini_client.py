"""GeminiClient: Google's Gemini looks at pictures and reads words, through google-genai (extra `gemini`).

Needs a key and a network.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Self, cast

from clients._http import USER_AGENT, service_errors
from utils import images
from utils.model_replies import answers_schema, read_answers, unanswered, without_thoughts
from utils.reading.questions import DESCRIBE, asking
from workflows.errors import AccessDenied, ExtraMissing, RateLimited, ServiceUnavailable
from workflows.types import Media

if TYPE_CHECKING:
    import httpx2
    from google.genai.client import Client
    from google.genai.errors import APIError
    from google.genai.types import GenerateContentResponse

CONNECT_SECONDS = 10.0
READ_SECONDS = 90.0
MAX_EDGE = 1024
MAX_PICTURE = 1_500_000
"""Bytes; a request with a picture inside may have 20 MB."""
AT_ONCE = 4
API_VERSION = "v1beta"
"""The one that takes a JSON schema for the reply; google-genai's own default is v1."""
SETTING = "GEMINI_API_KEY"
SERVICE = "Gemini"
_RETRY_DELAY = re.compile(r"retryDelay\W+(\d+(?:\.\d+)?)s")
GOOD_ENDS = frozenset({"", "STOP", "MAX_TOKENS", "FINISH_REASON_UNSPECIFIED"})


class GeminiClient:
    """The VisionModel and TextModel ports, for one Gemini model.

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
    ) -> None:
        """`base_url`: another address than Google's, such as a proxy's."""
        self._model = model
        self._key = api_key
        self._base_url = base_url
        self._seconds = (connect_seconds, read_seconds)
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

        What Gemini will not look at is answered "cannot tell", with the reason. Raises ServiceUnavailable, RateLimited,
        AccessDenied, ExtraMissing; BadPicture for bytes that are no picture.
        """
        if not questions:
            return ()
        schema = answers_schema(questions)
        response = await self._generate(picture, asking(questions), schema)
        refusal = _refusal(response)
        return unanswered(questions, refusal) if refusal else read_answers(_text(response), questions)

    async def describe(self, picture: Media) -> str:
        """What the picture shows, in a few sentences. Raises as `answer` does."""
        response = await self._generate(picture, DESCRIBE)
        spoken = without_thoughts(_text(response))
        refusal = _refusal(response)
        if refusal or not spoken:
            raise ServiceUnavailable(f"{SERVICE} ({self._model}) gave no description. {refusal}".strip())
        return spoken

    async def complete(self, prompt: str, schema: Mapping[str, object] | None = None) -> str:
        """Its reply to the prompt; with a JSON schema JSON text that should fit it, unchecked.

        Raises as `answer` does, and ServiceUnavailable when there is no reply.
        """
        response = await self._generate(None, prompt, dict(schema) if schema else None)
        refusal = _refusal(response)
        spoken = without_thoughts(_text(response))
        if refusal or not spoken:
            raise ServiceUnavailable(f"{SERVICE} ({self._model}) gave no reply. {refusal}".strip())
        return spoken

    async def _generate(
        self, picture: Media | None, prompt: str, schema: dict[str, Any] | None = None
    ) -> GenerateContentResponse:
        client = await self._opened()
        from google.genai import errors, types

        parts = [types.Part.from_text(text=prompt)]
        if picture is not None:
            data, media_type, *_ = await asyncio.to_thread(images.preview, picture.data, MAX_EDGE, MAX_PICTURE)
            parts.insert(0, types.Part.from_bytes(data=data, mime_type=media_type))
        config = types.GenerateContentConfig(
            temperature=0,
            candidate_count=1,
            response_mime_type="application/json" if schema else None,
            response_json_schema=schema,
        )
        try:
            with service_errors(SERVICE, "Is this machine on the network?"):
                return await client.aio.models.generate_content(
                    model=self._model, contents=types.Content(role="user", parts=parts), config=config
                )
        except errors.APIError as error:
            raise self._told(error, "ATELIER_VISION_MODEL" if picture else "OLLAMA_MODEL") from error
        except (ValueError, TypeError) as error:  # an answer of another shape; google-genai promises no single class
            raise ServiceUnavailable(f"{SERVICE} gave an answer that could not be read: {str(error)[:200]}") from error

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

    def _told(self, error: APIError, model_setting: str) -> Exception:
        """Google's error as ours (google.rpc.Code and its details; a wrong key is a 400 there)."""
        details = repr(cast(object, error.details))
        said = " ".join(str(error.message or error.status or "").split())[:200].rstrip(".")
        if error.code in {401, 403} or "API_KEY_INVALID" in details or "API key" in said:
            return AccessDenied(f"{SERVICE} does not take the key ({said}). Set {SETTING} to one that works.", SETTING)
        if error.code == 429:
            wait = _retry_after(details)
            when = f"in {wait:g} s" if wait is not None else "later"
            return RateLimited(f"{SERVICE} wants fewer requests ({said}). Try again {when}.", retry_after=wait)
        if error.code == 404:
            step = f"Set {model_setting} to one that it has."
            return ServiceUnavailable(f"{SERVICE} has no model {self._model!r} ({said}). {step}")
        return ServiceUnavailable(f"{SERVICE} answered {error.code}: {said or 'nothing more'}. Try again later.")


def _refusal(response: GenerateContentResponse) -> str:
    """Why there is no reply, or ""."""
    blocked = response.prompt_feedback and response.prompt_feedback.block_reason
    if blocked:
        return f"{SERVICE} blocked the picture or the question ({blocked.value})"
    if not response.candidates:
        return f"{SERVICE} gave no reply"
    reason = response.candidates[0].finish_reason
    ended = reason.value if reason else ""
    if ended not in GOOD_ENDS:
        return f"{SERVICE} broke its reply off ({ended})"
    return "" if _text(response) else f"{SERVICE} gave an empty reply"


def _text(response: GenerateContentResponse) -> str:
    """The first candidate's words, without its thoughts."""
    content = response.candidates[0].content if response.candidates else None
    parts = (content.parts or []) if content else []
    return "".join(part.text for part in parts if part.text and not part.thought)


def _retry_after(details: str) -> float | None:
    """Seconds, from google.rpc.RetryInfo ("retryDelay": "17s")."""
    found = _RETRY_DELAY.search(details)
    return float(found[1]) if found else None
