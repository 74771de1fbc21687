"""Addresses that strangers name: which are on the open internet, and asking exactly the one that was checked."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from clients._http import USER_AGENT

if TYPE_CHECKING:
    import httpx2

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Host name and port to the IP addresses that it stands for; raises OSError."""

REDIRECTED = frozenset({301, 302, 303, 307, 308})
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


async def resolve(host: str, port: int) -> Sequence[str]:
    """The addresses that the system's resolver gives."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def is_address(host: str) -> bool:
    """Whether it is an IP address and no name."""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def is_public(address: str) -> bool:
    """Whether the address, and any IPv4 address hidden in it, is on the open internet. No for what is no address."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    inner = [ip]
    if isinstance(ip, ipaddress.IPv6Address):
        inner += [hidden for hidden in (ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())) if hidden is not None]
        inner += [ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)] if ip in _NAT64 else []
    return all(each.is_global and not each.is_multicast and not each.is_reserved for each in inner)


def pinned(client: httpx2.AsyncClient, url: httpx2.URL, address: str) -> httpx2.Request:
    """A GET that is sent to the address that was checked, so that the name cannot change its meaning in between; the
    certificate is still checked for the name."""
    return client.build_request(
        "GET",
        url.copy_with(host=address),
        headers={"Host": url.netloc.decode("ascii"), "User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
        extensions={"sni_hostname": url.raw_host.decode("ascii")},
    )
