"""What only clients of the handshake era (up to 2025-11-25) ask for, and the SDK has no public way to serve.

The private attribute of the SDK that this needs is touched here and nowhere else.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, Any

from mcp.server import MCPServer
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import NotificationOptions, Server
from mcp.server.session import ServerSession
from mcp_types import EmptyResult, SetLevelRequestParams, SubscribeRequestParams, UnsubscribeRequestParams
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from workflows.errors import NotFound
from workflows.types import Job

if TYPE_CHECKING:
    from clients.tools.door import Door

log = logging.getLogger("atelier.handshake")

AnyRequest = ServerRequestContext[Any, Any]
JOB_PREFIX = "media://jobs/"
FOLLOW_SECONDS = 3600.0
MAX_FOLLOWED = 200
"""Subscriptions at once; what comes beyond is acknowledged and left."""
LEVELS = {"notice": "INFO", "alert": "CRITICAL", "emergency": "CRITICAL"}
"""Levels of the protocol that Python does not have."""


def low_level(server: MCPServer[Any]) -> Server[Any]:
    """The SDK's inner server."""
    return server._lowlevel_server  # pyright: ignore[reportPrivateUsage]


def serve_handshake_era(server: MCPServer[Any], door: Door, *, tools_change: bool = False) -> None:
    """Answer logging/setLevel, resources/subscribe and resources/unsubscribe; say that the list of pictures changes,
    and whether that of the tools does."""
    subscriptions = Subscriptions(door)
    inner = low_level(server)
    told = NotificationOptions(resources_changed=True, tools_changed=tools_change)
    setattr(inner, "create_initialization_options", partial(inner.create_initialization_options, told))  # noqa: B010
    inner.add_request_handler("logging/setLevel", SetLevelRequestParams, set_level)
    inner.add_request_handler("resources/subscribe", SubscribeRequestParams, subscriptions.subscribe)
    inner.add_request_handler("resources/unsubscribe", UnsubscribeRequestParams, subscriptions.unsubscribe)


async def set_level(_request: AnyRequest, params: SetLevelRequestParams) -> EmptyResult:
    """How much goes to stderr; log notifications are deprecated in the protocol and none are sent."""
    logging.getLogger("atelier").setLevel(LEVELS.get(params.level, params.level.upper()))
    return EmptyResult()


class Subscriptions:
    """Who wants to know of which job. A follower lives until the job ends, the client leaves or unsubscribes."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._followers: dict[tuple[int, str], asyncio.Task[None]] = {}

    async def subscribe(self, request: AnyRequest, params: SubscribeRequestParams) -> EmptyResult:
        key = (_client(request), params.uri)
        if params.uri.startswith(JOB_PREFIX) and key not in self._followers and len(self._followers) < MAX_FOLLOWED:
            task = asyncio.create_task(self._follow(params.uri, request.session), name=f"follow {params.uri}")
            self._followers[key] = task
            task.add_done_callback(lambda _: self._followers.pop(key, None))
        return EmptyResult()

    async def unsubscribe(self, request: AnyRequest, params: UnsubscribeRequestParams) -> EmptyResult:
        task = self._followers.pop((_client(request), params.uri), None)
        if task is not None:
            task.cancel()
        return EmptyResult()

    async def _follow(self, uri: str, session: ServerSession) -> None:
        try:
            app = await self._door.app()
            job: Job = await app.studio.wait(uri.removeprefix(JOB_PREFIX), FOLLOW_SECONDS, None)
            log.debug("job %s is %s; its subscriber is told", job.id, job.state)
            await session.send_resource_updated(uri)
        except NotFound as error:
            log.debug("%s", error)
        except Exception:  # the top of a task: the client may be gone, which harms nobody
            log.debug("a subscriber could not be told of %s", uri, exc_info=True)


def connection_of(request: AnyRequest) -> int | None:
    """One number for each connection of the handshake era; None for a request of the newer one, which stands alone."""
    modern = request.session._connection.protocol_version in MODERN_PROTOCOL_VERSIONS  # pyright: ignore[reportPrivateUsage]
    return None if modern else _client(request)


def _client(request: AnyRequest) -> int:
    """One number for each connection: sessions are made per request, the connection behind them stays."""
    return id(request.session._connection)  # pyright: ignore[reportPrivateUsage]
