"""HTTP with one ComfyUI server: pooled connections, its silences and refusals as our errors."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

from clients._comfyui.address import Address
from clients._http import USER_AGENT
from workflows.errors import AccessDenied, EngineUnavailable

if TYPE_CHECKING:
    import httpx2

CONNECT_SECONDS = 5.0
KEPT_OPEN = 60.0
"""Seconds an idle connection is kept; aiohttp, which ComfyUI is made of, closes it after 75."""
SETTING = "COMFYUI_TOKEN"


class Unheard(EngineUnavailable):
    """An EngineUnavailable with what the client itself needs to know of it."""

    refused = False
    """Nobody listens there."""
    sent = False
    """The server may have got the request, and done what it asks for."""
    broken = False
    """The connection ended before the answer did."""
    status = 0
    """The 5xx that it answered."""

    def __init__(
        self, message: str, *, refused: bool = False, sent: bool = False, broken: bool = False, status: int = 0
    ) -> None:
        super().__init__(message)
        self.refused = refused
        self.sent = sent or broken
        self.broken = broken
        self.status = status

    @property
    def code(self) -> str:
        return "engine_unavailable"


class TooLarge(Exception):
    """An answer has more bytes than were wanted; it was not read to its end."""


class Web:
    """Requests to one server; every error is an EngineUnavailable or AccessDenied that names the URL."""

    def __init__(self, address: Address, timeout: float) -> None:
        self.address = address
        self._timeout = timeout
        self._http: httpx2.AsyncClient | None = None

    async def open(self) -> None:
        # Both the libraries and, with TLS, the trust roots are read from files.
        self._http = await asyncio.to_thread(self._made)

    async def close(self) -> None:
        http, self._http = self._http, None
        if http is not None:
            await http.aclose()

    async def get(self, path: str, **params: str | int) -> httpx2.Response:
        """Asked twice when the connection breaks, which is what an idle one does when the server restarts."""
        try:
            return await self._send("GET", path, params=params)
        except Unheard as silence:
            if not silence.broken:
                raise
            return await self._send("GET", path, params=params)

    async def bounded(self, path: str, most: int, **params: str | int) -> tuple[httpx2.Response, bytes]:
        """Like get, for what may be large: the answer and its body. Raises TooLarge beyond `most` bytes."""
        try:
            return await self._streamed(path, most, params)
        except Unheard as silence:
            if not silence.broken:
                raise
            return await self._streamed(path, most, params)

    async def post(self, path: str, **more: Any) -> httpx2.Response:
        return await self._send("POST", path, **more)

    async def head(self, path: str, **params: str | int) -> httpx2.Response:
        return await self._send("HEAD", path, params=params)

    def json(self, response: httpx2.Response, *kinds: type) -> Any:
        """The JSON of an answer with 200, of one of these kinds (an object by default)."""
        url = self.address.url
        if response.status_code != 200:
            raise EngineUnavailable(f"{url}{_path(response)} answered {response.status_code}; {_is_it(url)}")
        try:
            read = response.json()
        except ValueError as error:
            raise EngineUnavailable(f"{url} answers, but not like a ComfyUI (no JSON); {_is_it(url)}") from error
        if not isinstance(read, kinds or (dict,)):
            raise EngineUnavailable(f"{url} answers, but not like a ComfyUI; {_is_it(url)}")
        return read

    async def object(self, path: str, **params: str | int) -> dict[str, Any]:
        return self.json(await self.get(path, **params))

    async def list(self, path: str) -> list[Any]:
        return self.json(await self.get(path), list)

    async def _send(self, method: str, path: str, **more: Any) -> httpx2.Response:
        http = self._opened()
        with self._spoken():
            response = await http.request(method, f"{self.address.url}{path}", **more)
        return self._admitted(response)

    async def _streamed(self, path: str, most: int, params: dict[str, Any]) -> tuple[httpx2.Response, bytes]:
        http, content = self._opened(), bytearray()
        with self._spoken():
            async with http.stream("GET", f"{self.address.url}{path}", params=params or None) as response:
                async for part in response.aiter_bytes():
                    content += part
                    if len(content) > most:
                        raise TooLarge
        return self._admitted(response), bytes(content)

    def _opened(self) -> httpx2.AsyncClient:
        if self._http is None:
            raise Unheard(f"The client for ComfyUI at {self.address.url} is not open: it works inside `async with`.")
        return self._http

    @contextmanager
    def _spoken(self) -> Generator[None]:
        """The library's errors as ours."""
        import httpx2

        url = self.address.url
        try:
            yield
        except httpx2.ConnectTimeout as error:
            raise Unheard(f"ComfyUI at {url} cannot be reached; {_is_it(url)}") from error
        except httpx2.ConnectError as error:
            raise Unheard(f"ComfyUI at {url} refuses the connection; {_is_it(url)}", refused=True) from error
        except httpx2.TimeoutException as error:
            raise Unheard(f"ComfyUI at {url} did not answer within {self._timeout:g} s.", sent=True) from error
        except (httpx2.HTTPError, httpx2.StreamError) as error:
            what = str(error) or type(error).__name__
            raise Unheard(f"The answer of ComfyUI at {url} broke off ({what}). Try again.", broken=True) from error

    def _admitted(self, response: httpx2.Response) -> httpx2.Response:
        """Only what the server itself, and not its door, answered."""
        url, status = self.address.url, response.status_code
        if status in {401, 403} and _path(response) != "/view":
            step = f"set {SETTING}, or put user:password@ into COMFYUI_URL"
            raise AccessDenied(f"ComfyUI at {url} does not let us in ({status}): {step}.", setting=SETTING)
        if status >= 500:
            text = f"ComfyUI at {url} answered {status} to {_path(response)}. Its own log says why."
            raise Unheard(text, sent=True, status=status)
        return response

    def _made(self) -> httpx2.AsyncClient:
        import_module("websockets.asyncio.client")  # for the socket, later and on the loop
        import httpx2

        return httpx2.AsyncClient(
            headers={"User-Agent": USER_AGENT, **self.address.headers},
            timeout=httpx2.Timeout(self._timeout, connect=min(self._timeout, CONNECT_SECONDS), pool=None),
            limits=httpx2.Limits(max_connections=64, max_keepalive_connections=32, keepalive_expiry=KEPT_OPEN),
            trust_env=not self.address.loopback,
            verify=self.address.secure,
        )


def _is_it(url: str) -> str:
    return f"is a ComfyUI running at {url}? COMFYUI_URL says where it is."


def _path(response: httpx2.Response) -> str:
    return response.url.path
