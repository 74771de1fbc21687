"""Where a model server is: its URL from what a user wrote. Pure."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

OLLAMA_PORT = 11434


def ollama_url(host: str) -> str:
    """The URL that OLLAMA_HOST means, which may be a bare host, a bare port or the address that the server binds.

    As Ollama reads it (envconfig.Host): port 11434 without a scheme, 80 or 443 with one. Raises ValueError.
    """
    text = host.strip() or "127.0.0.1"
    if text == "ollama.com":
        return "https://ollama.com"
    if "://" not in text:
        name, slash, path = text.partition("/")
        name = f"127.0.0.1{name}" if name.startswith(":") and name.count(":") == 1 else name
        name = f"[{name}]" if name.count(":") > 1 and not name.startswith("[") else name
        bare = name.rpartition("@")[2].rpartition("]")[2]
        text = f"http://{name if ':' in bare else f'{name}:{OLLAMA_PORT}'}{slash}{path}"
    url = checked(text, "OLLAMA_HOST")
    # What a server binds to hear everyone is no address to call.
    return url.replace("//0.0.0.0", "//127.0.0.1", 1).replace("//[::]", "//[::1]", 1)


def checked(url: str, setting: str) -> str:
    """The address with neither a slash nor a route at its end. Raises ValueError, without repeating a password."""
    text = url.strip().rstrip("/").removesuffix("/chat/completions")
    try:
        parts = urlsplit(text)
        right = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        right = right and not (parts.query or parts.fragment)
    except ValueError:  # a port that is no number; its text would repeat the address
        right = False
    if not right:
        raise ValueError(f"{setting} is an address such as http://127.0.0.1:11434 or https://host/v1")
    return text


def without_password(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def is_loopback(url: str) -> bool:
    """This machine, which no proxy of the environment stands before."""
    address = _ip(url)
    return address.is_loopback if address else (urlsplit(url).hostname or "").endswith("localhost")


def is_near(url: str) -> bool:
    """This machine or one of the house, which has one GPU rather than many."""
    address = _ip(url)
    return address.is_private if address else "." not in (urlsplit(url).hostname or "") or is_loopback(url)


def _ip(url: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(urlsplit(url).hostname or "")
    except ValueError:
        return None
