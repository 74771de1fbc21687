"""The connections to one model server: requests out, answers in pieces, and an end to every wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from clients._http import USER_AGENT, service_errors
from clients._llm.address import is_loopback
from clients._llm.streams import Reader
from workflows.errors import ServiceTimedOut, StudioError

if TYPE_CHECKING:
    import httpx2

MAX_ERROR = 100_000
"""Bytes of an error answer that are read."""


class Broken(Exception):
    """The connection broke while the server was being asked or answered; the transport's error is the cause."""


class MayPass(Exception):
    """An error that may be gone at the next try, and the seconds that the server wants us to wait before it."""

    def __init__(self, error: StudioError, after: float = 0.0) -> None:
        super().__init__(str(error))
        self.error, self.after = error, after


class Patience:
    """How long an answer is waited for: to its next sign of life, and in all."""

    def __init__(self, between: float, overall: float, late: str) -> None:
        """`late`: what is said when it took too long."""
        self._clock = asyncio.get_running_loop().time
        self._between, self._late = between, late
        self._end = self._clock() + overall
        self.heard()

    def heard(self) -> None:
        """There was a sign of life."""
        self._next = min(self._clock() + self._between, self._end)

    def allows(self, seconds: float) -> bool:
        return self._clock() + seconds < self._next

    @asynccontextmanager
    async def wait(self) -> AsyncGenerator[None]:
        """Raises ServiceTimedOut."""
        timeout = asyncio.timeout_at(self._next)
        try:
            async with timeout:
                yield
        except TimeoutError as error:
            if not timeout.expired():
                raise
            raise ServiceTimedOut(self._late) from error


class Connection:
    """Opens its connections at the first request. `shown` and `start`: the server's name, and how it is started."""

    def __init__(self, url: str, key: str | None, connect_seconds: float, shown: str, start: str) -> None:
        self._url = url
        self._key = key
        self._connect = connect_seconds
        self._shown, self._start = shown, start
        self._opening = asyncio.Lock()
        self._http: httpx2.AsyncClient | None = None

    async def aclose(self) -> None:
        """Close the connections; the next request opens new ones."""
        http, self._http = self._http, None
        if http is not None:
            await http.aclose()

    @asynccontextmanager
    async def asked(
        self, method: str, path: str, patience: Patience, body: Mapping[str, Any] | None = None
    ) -> AsyncGenerator[httpx2.Response]:
        """The head of the answer; the connection is closed at the end unless the answer was read to its own.

        Raises ServiceUnavailable, ServiceTimedOut, Broken.
        """
        http = await self._client()
        request = http.build_request(method, f"{self._url}{path}", json=body)
        with self._errors():
            async with patience.wait():
                response = await http.send(request, stream=True)
        async with aclosing(response):
            yield response

    async def texts(self, response: httpx2.Response, reader: Reader, patience: Patience) -> AsyncGenerator[str]:
        """What the reader finds in the answer. Raises ServiceTimedOut, Broken, Overlong, Unreadable."""
        async with aclosing(response.aiter_bytes()) as pieces:
            while True:
                with self._errors():
                    async with patience.wait():
                        piece = await anext(pieces, None)
                for text in reader.end() if piece is None else reader.feed(piece):
                    patience.heard()
                    yield text
                if piece is None:
                    return

    async def error_body(self, response: httpx2.Response, patience: Patience) -> bytes:
        """The beginning of an error answer, as far as it comes."""
        body = bytearray()
        async with aclosing(response.aiter_bytes()) as pieces:
            with self._errors():
                async with patience.wait():
                    async for piece in pieces:
                        body += piece
                        if len(body) > MAX_ERROR:
                            break
        return bytes(body[:MAX_ERROR])

    @contextmanager
    def _errors(self) -> Generator[None]:
        import httpx2

        with service_errors(self._shown, self._start):
            try:
                yield
            except (httpx2.RemoteProtocolError, httpx2.NetworkError) as error:
                if isinstance(error, httpx2.ConnectError):
                    raise
                raise Broken(str(error).rstrip(". ") or type(error).__name__) from error

    async def _client(self) -> httpx2.AsyncClient:
        async with self._opening:
            if self._http is None:
                self._http = await asyncio.to_thread(self._made)  # with TLS, the trust roots are read from files
            return self._http

    def _made(self) -> httpx2.AsyncClient:
        import httpx2

        key = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        return httpx2.AsyncClient(
            headers={"User-Agent": USER_AGENT, **key},
            timeout=httpx2.Timeout(None, connect=self._connect),  # Patience ends the other waits
            trust_env=not is_loopback(self._url),
        )
