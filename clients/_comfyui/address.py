"""Where a ComfyUI server is and how to get in: its URL taken apart. Pure."""

from __future__ import annotations

import base64
import ipaddress
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlsplit


@dataclass(frozen=True)
class Address:
    """`url` has no credentials and no slash at its end; `headers` open the door and are never printed."""

    url: str
    headers: dict[str, str] = field(default_factory=dict[str, str], repr=False)

    @classmethod
    def read(cls, url: str, token: str | None = None) -> Address:
        """From what a user wrote: a scheme is not needed, a path prefix and user:password@ are kept.

        A token wins over a password: there is one Authorization header. Raises ValueError, without the credentials.
        """
        text = url.strip()
        parts = urlsplit(text if "://" in text else f"http://{text}")
        try:
            port = f":{parts.port}" if parts.port else ""
        except ValueError:  # its text quotes the address, which may hold a password
            port = None
        name = parts.hostname
        if port is None or not name or parts.scheme not in {"http", "https"} or parts.query or parts.fragment:
            raise ValueError("a ComfyUI address looks like http://127.0.0.1:8188 or https://host/prefix")
        host = f"[{name}]" if ":" in name else name
        place = f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}"
        return cls(place, _headers(parts.username, parts.password, token))

    @property
    def secure(self) -> bool:
        return self.url.startswith("https://")

    @property
    def loopback(self) -> bool:
        """This machine, which no proxy of the environment stands before."""
        host = urlsplit(self.url).hostname or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost" or host.endswith(".localhost")

    def socket(self, client_id: str) -> str:
        """The WebSocket's URL."""
        return f"ws{self.url.removeprefix('http')}/ws?clientId={quote(client_id, safe='')}"


def _headers(user: str | None, password: str | None, token: str | None) -> dict[str, str]:
    if token:
        return {"Authorization": f"Bearer {token}"}
    if user is None and password is None:
        return {}
    pair = f"{unquote(user or '')}:{unquote(password or '')}"
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
