"""Connection: one key's way to Gemini through google-genai, with its errors as ours. Knows nothing of what is asked."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, cast

from clients._http import USER_AGENT, service_errors
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

if TYPE_CHECKING:
    import httpx2
    from google.genai.client import Client
    from google.genai.errors import APIError
    from google.genai.types import GenerateContentResponse

CONNECT_SECONDS = 10.0
READ_SECONDS = 120.0
"""For an answer, or for the next piece of one."""
PAGE = 1000
"""Models of one answer, the most that Gemini gives."""
API_VERSION = "v1beta"
"""The one that takes a JSON schema for the reply; google-genai's own default is v1."""
SETTING = "GEMINI_API_KEY"
SERVICE = "Gemini"
WRITES = "generateContent"
PASSING = frozenset({500, 502, 503, 504})
"""Answers after which the same question may be answered in a moment."""
_RETRY_DELAY = re.compile(r"retryDelay\W+(\d+(?:\.\d+)?)s")


class Connection:
    """Opened at the first question. `purpose`: what the extra would be needed for."""

    def __init__(
        self,
        model: str,
        *,
        api_key: str | None,
        base_url: str | None = None,
        connect_seconds: float = CONNECT_SECONDS,
        read_seconds: float = READ_SECONDS,
        purpose: str = "",
    ) -> None:
        self._model = model
        self._key = api_key
        self._base_url = base_url
        self._seconds = (connect_seconds, read_seconds)
        self._purpose = purpose or f"The vision model {model}"
        self._opening = asyncio.Lock()
        self._client: Client | None = None
        self._http: httpx2.AsyncClient | None = None

    async def aclose(self) -> None:
        """Close it; the next question opens it anew."""
        http, self._http, self._client = self._http, None, None
        if http is not None:
            await http.aclose()

    async def names(self) -> Sequence[str]:
        """The names of the models that write, or draw in what they write."""
        client = await self.opened()
        async with self.answering():
            models = [model async for model in await client.aio.models.list(config={"page_size": PAGE})]
        return [
            str(model.name).removeprefix("models/")
            for model in models
            if model.name and WRITES in (model.supported_actions or ())
        ]

    @asynccontextmanager
    async def answering(self, model_setting: str = "", model: str = "") -> AsyncGenerator[None]:
        """Errors of google-genai and of the network become ours. `model_setting`: what names the model, if any does.

        `model`: another than that of the connection.
        """
        from google.genai import errors

        try:
            with service_errors(SERVICE, "Is this machine on the network?"):
                yield
        except errors.APIError as error:
            raise await self._told(error, model_setting, model or self._model) from error
        except (ValueError, TypeError) as error:  # an answer of another shape; google-genai promises no single class
            raise ServiceFailed(f"{SERVICE} gave an answer that could not be read: {str(error)[:200]}") from error

    async def opened(self) -> Client:
        if not self._key:
            raise AccessDenied(f"{self._model} needs a key for {SERVICE}. Set {SETTING}.", SETTING)
        async with self._opening:
            if self._client is None:
                self._client = await asyncio.to_thread(self._made)
            return self._client

    def _made(self) -> Client:
        """google-genai takes a second to import, and its connections read the trust roots from files."""
        if find_spec("google") is None or find_spec("google.genai") is None:
            raise ExtraMissing("gemini", self._purpose)
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

    async def _told(self, error: APIError, model_setting: str, model: str) -> StudioError:
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
            return await self._missing(said, model_setting, model)
        return ServiceFailed(f"{SERVICE} answered {error.code}: {said or 'nothing more'}. Try again later.")

    async def _missing(self, said: str, model_setting: str, model: str) -> StudioError:
        """That there is no such model, with those that there are as far as Gemini says."""
        known: Sequence[str] = ()
        with suppress(ServiceError):
            known = await self.names()
        near = nearest(model, known) or tuple(known[:5])
        has = f" It has {', '.join(near)}." if near else ""
        step = f"Set {model_setting} to one that it has."
        return ModelMissing(f"{SERVICE} has no model {model!r} ({said}).{has} {step}", known)


def may_pass(error: StudioError) -> bool:
    """Whether the same question may be answered in a moment: an overloaded service, a connection that broke."""
    import httpx2

    cause = error.__cause__
    late = isinstance(error, ServiceTimedOut)
    broken = isinstance(cause, httpx2.TransportError) and isinstance(error, ServiceUnavailable) and not late
    return broken or getattr(cause, "code", 0) in PASSING


def usage_of(response: GenerateContentResponse) -> Mapping[str, float]:
    """Tokens that went in and came out, thoughts included, as far as the answer says."""
    used = response.usage_metadata
    if used is None:
        return {}
    out = (used.candidates_token_count or 0) + (used.thoughts_token_count or 0)
    return {"requests": 1.0, "input_tokens": float(used.prompt_token_count or 0), "output_tokens": float(out)}


def _retry_after(details: str) -> float | None:
    """Seconds, from google.rpc.RetryInfo ("retryDelay": "17s")."""
    found = _RETRY_DELAY.search(details)
    return float(found[1]) if found else None
