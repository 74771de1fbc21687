"""Files that a service made, fetched from where it says they are: public https addresses only, and of bounded size."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from importlib import import_module
from typing import TYPE_CHECKING
from urllib.request import getproxies

from clients._addresses import REDIRECTED, Resolve, is_address, is_public, pinned, resolve
from clients._http import check_answer, service_errors
from workflows.errors import ServiceFailed, ServiceTimedOut, ServiceUnavailable

if TYPE_CHECKING:
    import httpx2

SECONDS = 120.0
REDIRECTS = 3


class Downloads:
    """Where a proxy is set for this machine (HTTPS_PROXY), it is given the name; else the checked address is asked."""

    def __init__(self, resolver: Resolve = resolve, seconds: float = SECONDS) -> None:
        self._resolve = resolver
        self._seconds = seconds

    async def fetch(self, url: str, most: int) -> bytes:
        """The file, at most `most` bytes. Raises ServiceUnavailable and its kinds, RateLimited."""
        await asyncio.to_thread(import_module, "httpx2")  # its first import reads files
        import httpx2

        proxied = bool(getproxies().get("https"))
        try:
            async with asyncio.timeout(self._seconds), AsyncExitStack() as stack:
                client = await asyncio.to_thread(  # reads the certificates from disk
                    lambda: httpx2.AsyncClient(timeout=self._seconds, trust_env=proxied)
                )
                await stack.enter_async_context(client)
                return await self._follow(client, httpx2.URL(url), most, proxied)
        except httpx2.InvalidURL as error:
            raise ServiceFailed(f"FAL named an address that is none: {url[:200]!r}.") from error
        except TimeoutError as error:
            raise ServiceTimedOut(f"{url[:200]} did not give its file within {self._seconds:g} s.") from error

    async def _follow(self, client: httpx2.AsyncClient, url: httpx2.URL, most: int, proxied: bool) -> bytes:
        for _ in range(REDIRECTS + 1):
            answer = await self._asked(client, url, most, proxied)
            if isinstance(answer, bytes):
                return answer
            url = answer
        raise ServiceFailed(f"{url.host} sends its file from one address to the next.")

    async def _asked(self, client: httpx2.AsyncClient, url: httpx2.URL, most: int, proxied: bool) -> bytes | httpx2.URL:
        """The body, or where the answer sends us."""
        address = await self._address(url, proxied)
        request = pinned(client, url, address)
        with service_errors(url.host):
            response = await client.send(request, stream=True)
            try:
                check_answer(response, url.host)
                if response.status_code in REDIRECTED and "location" in response.headers:
                    return url.join(response.headers["location"])
                return await _body(response, url.host, most)
            finally:
                await response.aclose()

    async def _address(self, url: httpx2.URL, proxied: bool) -> str:
        if url.scheme != "https" or not url.host or url.userinfo:
            raise ServiceFailed(
                f"FAL named a file that is not fetched: only https addresses are, not {str(url)[:200]!r}."
            )
        host = url.raw_host.decode("ascii").strip("[]")
        try:
            addresses = [host] if is_address(host) or proxied else await self._resolve(host, url.port or 443)
        except OSError as error:
            raise ServiceUnavailable(
                f"The name {url.host} could not be resolved: {error.strerror or error}."
            ) from error
        if not addresses or not all(is_public(address) for address in addresses if is_address(address)):
            raise ServiceFailed(f"FAL named a file at {url.host}, which is no public address; it is not fetched.")
        return addresses[0]


async def _body(response: httpx2.Response, host: str, most: int) -> bytes:
    if response.status_code != 200:
        raise ServiceFailed(f"{host} answers {response.status_code} for the file that FAL made. Try again later.")
    content = bytearray()
    async for piece in response.aiter_raw():
        content += piece
        if len(content) > most:
            raise ServiceFailed(f"The file that FAL made at {host} has more than {most:,} bytes.")
    expected = response.headers.get("content-length", "")
    if expected.isdecimal() and int(expected) != len(content):
        raise ServiceFailed(f"{host} broke off the file that FAL made. Try again later.")
    return bytes(content)
