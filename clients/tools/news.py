"""News: clients of both eras are told when the pictures of the gallery are not what they were, whoever changed them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.session import ServerSession
from mcp.server.subscriptions import InMemorySubscriptionBus, ResourcesListChanged

from clients.tools.handshake import connection_of
from workflows.app import App
from workflows.changes import What
from workflows.tasks import called_off

log = logging.getLogger("atelier.news")

PAUSE = 0.25
"""Seconds over which changes are told as one."""
MAX_READERS = 200
"""Clients of the handshake era that are told, the latest ones."""


class News:
    """Middleware that learns who is there, and a bus for clients that listen as the newer protocol has it."""

    def __init__(self) -> None:
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
        telling = asyncio.create_task(self._tell(), name="news of the gallery")
        try:
            async with app.watch.heard_by(self._hear, "images"):
                yield
        finally:
            await called_off([telling])

    def _hear(self, what: What) -> None:
        if what == "images":
            self._stale.set()

    async def _tell(self) -> None:
        while True:
            await self._stale.wait()
            self._stale.clear()
            await self.bus.publish(ResourcesListChanged())
            for connection, session in tuple(self._readers.items()):
                await self._send(connection, session)
            await asyncio.sleep(PAUSE)

    async def _send(self, connection: int, session: ServerSession) -> None:
        try:
            await session.send_resource_list_changed()
        except Exception:  # the top of a task: the client may be gone, which harms nobody
            log.debug("a client could not be told of the gallery", exc_info=True)
            self._readers.pop(connection, None)
