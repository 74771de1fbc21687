"""CivitAI's API over HTTP: one request at a time and not too often, tried again when that may help, and its answers.

What is wrong with an answer is told in words with the next step; what is in a good one is for others to read.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urljoin, urlsplit

from clients._http import USER_AGENT, check_answer, service_errors
from utils.civitai import rows_of, table_of, text_of
from workflows.errors import AccessDenied, RateLimited, ServiceError, ServiceUnavailable

if TYPE_CHECKING:
    import httpx2

KEY_SETTING = "CIVITAI_API_KEY"
URL_SETTING = "CIVITAI_URL"
KEY_PAGE = "a key is made at https://civitai.com/user/account"
CONNECT_SECONDS = 10.0
READ_SECONDS = 60.0
MIN_INTERVAL = 1.0
"""Seconds between two requests to one host: CivitAI publishes no limit, and one that it is known to bear."""
TRIES = 3
PATIENCE = 20.0
"""Seconds that all rests between the tries of one request may take."""
BACKOFF = 1.0
"""Seconds before the second try where the service does not say; twice that before the third."""
MOST_BYTES = 64 << 20
"""Of an answer; a page of a hundred models with their pictures has about ten million."""
SLOW_TO_READ = 1 << 18
"""Bytes of JSON from which on it is read on another thread."""
Params = Mapping[str, "str | Sequence[str]"]


class BadRequest(ServiceError):
    """The site understood the question and will not answer it so."""

    @property
    def code(self) -> str:
        return "service_error"


class Turns:
    """When the next request to a host may go out; shared by all clients of this process, on whatever thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: dict[str, float] = {}
        self._guard = threading.Lock()

    def take(self, host: str, interval: float) -> float:
        """Take the next turn; the answer is the seconds until it comes."""
        with self._guard:
            now = self._clock()
            turn = max(now, self._last.get(host, now - interval) + interval)
            self._last[host] = turn
        return turn - now


TURNS = Turns()


class Site:
    """One CivitAI (or a mirror). Opens its connections at the first request."""

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        min_interval: float = MIN_INTERVAL,
        backoff: float = BACKOFF,
        patience: float = PATIENCE,
        read_seconds: float = READ_SECONDS,
    ) -> None:
        """`base_url`: as CIVITAI_URL is written. Raises ValueError."""
        self.url = _checked(base_url)
        self.host = urlsplit(self.url).netloc.rpartition("@")[2].lower()
        self.name = f"CivitAI ({self.host})"
        self._key = api_key
        self._interval = min_interval
        self._backoff = backoff
        self._patience = patience
        self._read_seconds = read_seconds
        self._opening = asyncio.Lock()
        self._http: httpx2.AsyncClient | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections; the next request opens new ones."""
        http, self._http = self._http, None
        if http is not None:
            await http.aclose()

    @property
    def headers(self) -> dict[str, str]:
        """Of every request to this host, and to no other."""
        key = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        return {"User-Agent": USER_AGENT, **key}

    @property
    def has_key(self) -> bool:
        return bool(self._key)

    def owns(self, url: str) -> bool:
        """Whether that address is on this very host, so that the key may be shown there."""
        own, other = urlsplit(self.url), urlsplit(url)
        return (own.scheme, self.host) == (other.scheme, other.netloc.lower())

    async def get(self, path: str, params: Params | None = None) -> Any:
        """The JSON of the answer to /api/v1 and `path`; None where it says that there is no such thing.

        Raises ServiceUnavailable, RateLimited, AccessDenied, ServiceError.
        """
        return await self._asked("GET", path, params or {}, None)

    async def post(self, path: str, body: object) -> Any:
        """As `get`, with a body. Only for routes that change nothing, since it may be sent again."""
        return await self._asked("POST", path, {}, body)

    async def _asked(self, method: str, path: str, params: Params, body: object) -> Any:
        response, content = await self._tried(method, path, params, body)
        self._check(response, content)
        return self._absent(content) if response.status_code == 404 else await self._json(content)

    async def _tried(self, method: str, path: str, params: Params, body: object) -> tuple[httpx2.Response, bytes]:
        """An answer that is neither 429 nor the server's own fault, after as many tries as that takes."""
        rested = 0.0
        for number in range(TRIES - 1):
            try:
                return await self._once(method, path, params, body)
            except (RateLimited, ServiceUnavailable) as error:
                rest = _rest(error, self._backoff * 2**number)
                rested += rest
                if rested > self._patience:
                    raise
                await asyncio.sleep(rest)
        return await self._once(method, path, params, body)

    async def _once(self, method: str, path: str, params: Params, body: object) -> tuple[httpx2.Response, bytes]:
        http = await self._client()  # which imports httpx2, off the loop
        await asyncio.sleep(TURNS.take(self.host, self._interval))
        unreachable = f"Is this machine on the network? {URL_SETTING} names another host."
        with service_errors(self.name, unreachable):
            async with http.stream(method, f"{self.url}/api/v1{path}", params=params, json=body) as response:
                content = await self._content(response)
        check_answer(response, self.name)
        return response, content

    async def _content(self, response: httpx2.Response) -> bytes:
        parts: list[bytes] = []
        size = 0
        async for part in response.aiter_bytes():
            size += len(part)
            if size > MOST_BYTES:
                raise ServiceError(f"{self.name} sent more than {MOST_BYTES >> 20} MB in answer to one question.")
            parts.append(part)
        return b"".join(parts)

    def _check(self, response: httpx2.Response, content: bytes) -> None:
        """Raise what an answer is that is neither good nor a plain 404."""
        status, said = response.status_code, _said(content)
        if status in {301, 302, 303, 307, 308}:
            self._moved(response.headers.get("location", ""))
        if status == 401:
            step = f"It does not take the key in {KEY_SETTING}" if self._key else f"Set {KEY_SETTING}"
            raise AccessDenied(f"{self.name} wants a key for this (401{said}). {step}: {KEY_PAGE}.", KEY_SETTING)
        if status == 403:
            step = f"Set {KEY_SETTING} to a key of an account that may see it"
            step = f"The account of {KEY_SETTING} may not see it" if self._key else step
            where = f"where CivitAI is blocked, {URL_SETTING} names another host"
            raise AccessDenied(f"{self.name} refuses this (403{said}). {step}; {where}.", KEY_SETTING)
        if status not in {200, 404}:
            raise BadRequest(f"{self.name} does not take this request ({status}{said}). Change what is asked for.")

    def _moved(self, location: str) -> None:
        place = urlsplit(urljoin(self.url, location))
        if "login" in place.path:
            raise AccessDenied(f"{self.name} wants a log-in for this. Set {KEY_SETTING}: {KEY_PAGE}.", KEY_SETTING)
        step = f"Set {URL_SETTING} to the one that answers"
        raise ServiceUnavailable(f"{self.name} sends us on to {place.scheme}://{place.netloc}. {step}.")

    def _absent(self, content: bytes) -> None:
        """A 404 that is no JSON is not the API's."""
        if not content.lstrip().startswith((b"{", b"[")):
            raise ServiceUnavailable(f"{self.name} has no such route (404): is {URL_SETTING} right?")

    async def _json(self, content: bytes) -> Any:
        try:
            if len(content) >= SLOW_TO_READ:
                return await asyncio.to_thread(json.loads, content)
            return json.loads(content)
        except (ValueError, RecursionError) as error:
            what = "a page" if content.lstrip().startswith(b"<") else "something else" if content.strip() else "nothing"
            step = f"It may ask whether we are human, or be down for work: try again later. Is {URL_SETTING} right?"
            raise ServiceUnavailable(f"{self.name} answered with {what} instead of JSON. {step}") from error

    async def _client(self) -> httpx2.AsyncClient:
        async with self._opening:
            if self._http is None:
                self._http = await asyncio.to_thread(self._made)  # the trust roots are read from files
            return self._http

    def _made(self) -> httpx2.AsyncClient:
        import httpx2

        return httpx2.AsyncClient(
            headers={**self.headers, "Accept": "application/json"},
            timeout=httpx2.Timeout(self._read_seconds, connect=CONNECT_SECONDS, pool=None),
            trust_env=urlsplit(self.url).hostname not in {"127.0.0.1", "localhost", "::1"},
        )


def _rest(error: ServiceError, otherwise: float) -> float:
    told = error.retry_after if isinstance(error, RateLimited) else None
    return otherwise if told is None else told


def _said(content: bytes) -> str:
    """What an error answer says, bounded: {"error": text or zod's object} or {"message"}."""
    try:
        answer: object = json.loads(content[:100_000])
    except (ValueError, RecursionError):
        return ""
    fields = table_of(answer)
    fault = table_of(fields.get("error"))
    issue = next(iter(rows_of(fault.get("issues"))), fault)
    told = text_of(fields.get("message")) or text_of(fields.get("error")) or text_of(issue.get("message"))
    words = " ".join(told.split())[:200].rstrip(".")
    return f": {words}" if words else ""


def _checked(url: str) -> str:
    """The address without its end. Raises ValueError, without repeating a password."""
    text = url.strip().rstrip("/").removesuffix("/api/v1").removesuffix("/api")
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"{URL_SETTING} is an address such as https://civitai.com")
    return text
