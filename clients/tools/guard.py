"""Guard: what stands before every route. It lets in who has the token or a login's cookie, from a page of our own."""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable, Collection, Mapping
from typing import Literal, Protocol

from mcp.server.transport_security import TransportSecurityMiddleware, TransportSecuritySettings
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from utils.sessions import COOKIE, holds

PATH = "/mcp"
API = "/api"
READING = ("GET", "HEAD", "OPTIONS")
REFUSED = {
    401: ("Unauthorised", "unauthorised", "The bearer token is missing or wrong: send the one in ATELIER_TOKEN."),
    403: ("Wrong origin", "wrong_origin", "The header Origin is another site's. ATELIER_ALLOWED_HOSTS lists its own."),
    421: ("Wrong host", "wrong_host", "The header Host is not this server's. ATELIER_ALLOWED_HOSTS lists its names."),
}
Proof = Literal["token", "cookie"]


class Entrance(Protocol):
    """Where browsers are let in: answers its own addresses to everybody, and the login page at any other."""

    @property
    def addresses(self) -> Collection[str]: ...

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...


class Guard:
    """In front of every route: Host and Origin against rebinding, and the token when there is one."""

    def __init__(
        self,
        app: ASGIApp,
        security: TransportSecuritySettings,
        token: str | None,
        entrance: Entrance | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._app = app
        self._rebinding = TransportSecurityMiddleware(security)
        self._token = token
        self._entrance = entrance
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app
        if scope["type"] == "http":
            request = Request(scope)
            foreign = await self._rebinding.validate_request(request)
            app = _refusal(foreign.status_code) if foreign is not None else self._door(request)
        await app(scope, receive, send)

    def _door(self, request: Request) -> ASGIApp:
        """What answers the request."""
        entrance, path = self._entrance, request.scope["path"]
        if entrance is not None and path in entrance.addresses:
            return _refusal(403) if _from_elsewhere(request) else entrance
        if self._token is None:
            return _refusal(403) if path != PATH and _from_elsewhere(request) else self._app
        proof = self._proof(request, self._token)
        if proof is None:
            shown = entrance is not None and _is_navigation(request)
            return entrance if shown and entrance else _refusal(401, {"WWW-Authenticate": 'Bearer realm="atelier"'})
        return _refusal(403) if proof == "cookie" and not _from_own_page(request) else self._app

    def _proof(self, request: Request, token: str) -> Proof | None:
        """How the request shows that it may come in. The cookie opens nothing to programs (/mcp)."""
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        # Headers are read as Latin-1, whatever their bytes were.
        if scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode("latin-1"), token.encode()):
            return "token"
        known = request.scope["path"] != PATH and holds(request.cookies.get(COOKIE, ""), token, self._clock())
        return "cookie" if known else None


def _is_navigation(request: Request) -> bool:
    """Somebody wants to see a page."""
    path = request.scope["path"]
    programs = path == PATH or f"{path}/".startswith(f"{API}/")
    return request.method in {"GET", "HEAD"} and not programs and "text/html" in request.headers.get("accept", "")


def _from_elsewhere(request: Request) -> bool:
    """It says itself that a page of another site, or of another port of this machine, wants to change something."""
    return request.method not in READING and _own(request) is False


def _from_own_page(request: Request) -> bool:
    """A browser sends its cookies with what other pages ask for, too. So what changes something has to prove whose page
    asked, and what is only read must not say that it was another's; a link that is followed may come from anywhere."""
    if request.method not in READING:
        return _own(request) is True
    return _own(request) is not False or request.headers.get("sec-fetch-mode") == "navigate"


def _own(request: Request) -> bool | None:
    """Whether a page of exactly this host and port asked; None: it is not told."""
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    if origin is not None:
        return origin.partition("://")[2] == request.headers.get("host", "")
    return None if site is None else site in {"same-origin", "none"}


def _refusal(status: int, headers: Mapping[str, str] | None = None) -> Response:
    """In the form of the errors below /api."""
    error, kind, message = REFUSED[status]
    return JSONResponse({"error": error, "message": message, "status": status, "type": kind}, status, headers)
