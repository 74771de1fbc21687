"""News: clients of both eras are told when the pictures of the gallery, or the workflows that are tools, are not what
they were, whoever changed them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.session import ServerSession
from mcp.server.subscriptions import InMemorySubscriptionBus, ResourcesListChanged, ToolsListChanged

from clients.tools.handshake import connection_of
from workflows.app import App
from workflows.changes import What
from workflows.tasks import called_off

log = logging.getLogger("atelier.news")

PAUSE = 0.25
"""Seconds over which changes are told as one."""
LOOK_SECONDS = 2.0
"""How often the folders with published workflows are looked at."""
MAX_READERS = 200
"""Clients of the handshake era that are told, the latest ones."""


class News:
    """Middleware that learns who is there, and a bus for clients that listen as the newer protocol has it."""

    def __init__(self, look: float = LOOK_SECONDS) -> None:
        self._look_seconds = look
        self.bus = InMemorySubscriptionBus()
        self._readers: dict[int, ServerSession] = {}
        self._stale = asyncio.Event()

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        connection = connection_of(ctx)
        if connection is not None:
            self._readers.pop(connection, None)
            self._readers[connection] = ctx.session
            while len(self._readers) > MAX_READERS:
                del self._readers[next(iter(self._readers))]
        return await call_next(ctx)

    @asynccontextmanager
    async def of(self, app: App) -> AsyncGenerator[None]:
        """Tell what changes in this app's gallery meanwhile, by whatever process."""
        telling = [asyncio.create_task(self._tell(), name="news of the gallery")]
        if app.library.published:
            telling.append(asyncio.create_task(self._look_at_workflows(app), name="news of workflows"))
        try:
            async with app.watch.heard_by(self._hear, "images"):
                yield
        finally:
            await called_off(telling)

    def _hear(self, what: What) -> None:
        if what == "images":
            self._stale.set()

    async def _tell(self) -> None:
        while True:
            await self._stale.wait()
            self._stale.clear()
            await self.bus.publish(ResourcesListChanged())
            await self._send_all(ServerSession.send_resource_list_changed)
            await asyncio.sleep(PAUSE)

    async def _look_at_workflows(self, app: App) -> None:
        await app.library.changed()
        while True:
            await asyncio.sleep(self._look_seconds)
            if await app.library.changed():
                await self.bus.publish(ToolsListChanged())
                await self._send_all(ServerSession.send_tool_list_changed)

    async def _send_all(self, what: Callable[[ServerSession], Awaitable[None]]) -> None:
        for connection, session in tuple(self._readers.items()):
            await self._send(connection, session, what)

    async def _send(
        self, connection: int, session: ServerSession, what: Callable[[ServerSession], Awaitable[None]]
    ) -> None:
        try:
            await what(session)
        except Exception:  # the top of a task: the client may be gone, which harms nobody
            log.debug("a client could not be told of a change", exc_info=True)
            self._readers.pop(connection, None)
