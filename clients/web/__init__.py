"""The prompt studio over HTTP: JSON and server-sent events beside the MCP endpoint. The page itself is not here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable

from starlette.routing import BaseRoute, Match, Route, Router
from starlette.types import Receive, Scope, Send

from clients.web.faults import nothing_there
from clients.web.operations import ROOT, Operation
from clients.web.resource import Resource
from clients.web.stream import HEARTBEAT_SECONDS
from clients.web.table import OPERATIONS
from workflows.app import App


def routes(app: Callable[[], Awaitable[App]], *, heartbeat: float = HEARTBEAT_SECONDS) -> list[BaseRoute]:
    """Everything below /api. `app` is asked with each request that needs it; the guard has to stand before them.

    `heartbeat`: seconds of silence after which a stream shows that it is alive.
    """
    by_path: defaultdict[str, list[Operation]] = defaultdict(list)
    for operation in OPERATIONS:
        by_path[operation.path].append(operation)
    resources = [Route(f"{ROOT}{path}", Resource(several, app, heartbeat)) for path, several in by_path.items()]
    return [Below(Router(resources, redirect_slashes=False, default=nothing_there))]


class Below(BaseRoute):
    """Every address below /api. Mount would pass over those with a line break in them, which then get no JSON."""

    def __init__(self, router: Router) -> None:
        self._router = router

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        below = scope["type"] == "http" and f"{scope['path']}/".startswith(f"{ROOT}/")
        return (Match.FULL if below else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._router(scope, receive, send)
