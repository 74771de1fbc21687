"""The studio over HTTP, beside the MCP endpoint: the page, and the JSON and server-sent events that it lives on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable

from starlette.routing import BaseRoute, Match, Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from clients.web.entrance import Entrance
from clients.web.faults import nothing_there
from clients.web.operations import ROOT, Operation
from clients.web.pages import STATIC, Pages
from clients.web.resource import Resource
from clients.web.stream import HEARTBEAT_SECONDS
from clients.web.table import OPERATIONS
from workflows.app import App


def routes(app: Callable[[], Awaitable[App]], *, heartbeat: float = HEARTBEAT_SECONDS) -> list[BaseRoute]:
    """The page, and everything below /api. `app` is asked with each request that needs it; the guard comes before.

    `heartbeat`: seconds of silence after which a stream shows that it is alive.
    """
    by_path: defaultdict[str, list[Operation]] = defaultdict(list)
    for operation in OPERATIONS:
        by_path[operation.path].append(operation)
    resources = [Route(f"{ROOT}{path}", Resource(several, app, heartbeat)) for path, several in by_path.items()]
    asked = Router(resources, redirect_slashes=False, default=nothing_there)
    pages = Pages()
    return [Below(f"{ROOT}/", asked), Below(STATIC, pages), At("/", pages)]


def entrance(token: str | None) -> Entrance | None:
    """Where browsers log in, when there is a token to log in with."""
    return Entrance(token) if token else None


class At(BaseRoute):
    """One address, whatever the method."""

    def __init__(self, path: str, app: ASGIApp) -> None:
        self._path = path
        self._app = app

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return (Match.FULL if scope["type"] == "http" and self._is(scope["path"]) else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    def _is(self, path: str) -> bool:
        return path == self._path


class Below(At):
    """Every address below one. Mount would pass over those with a line break in them, which then get no JSON."""

    def _is(self, path: str) -> bool:
        return f"{path}/".startswith(self._path)
