"""Door: the App of a serving process, opened on the first need and closed with the server."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

import anyio

from clients.tools.news import News
from workflows.app import App

log = logging.getLogger("atelier.door")

START_GRACE = 1.0
"""Seconds that a starting server leaves to its first client before it takes up old work."""
CLOSE_SECONDS = 20.0
"""How long the close may take; after that the process ends and the ledger's journal is what is left."""


class Door:
    """Owns the task that holds the App open, so that it is entered and left in one and the same task."""

    def __init__(
        self,
        opener: Callable[[], AbstractAsyncContextManager[App]],
        has_unfinished: Callable[[], bool] | None = None,
        grace: float = START_GRACE,
    ) -> None:
        self.ending = False
        self.news = News()
        """Who is to hear of changes in the gallery."""
        self._opener = opener
        self._has_unfinished = has_unfinished
        self._grace = grace
        self._owner: asyncio.Task[None] | None = None
        self._opened: asyncio.Future[App] | None = None
        self._close: asyncio.Event | None = None

    def end(self) -> None:
        """Say that the server is on its way out: calls that are cancelled from now on leave their jobs alone."""
        self.ending = True

    async def app(self) -> App:
        """The App, opened now if it is not. Raises what opening it raises; the next call tries again."""
        if self.ending:
            raise RuntimeError("The server is ending.")
        if self._opened is None or (self._opened.done() and self._opened.exception() is not None):
            self._opened = asyncio.get_running_loop().create_future()
            self._close = asyncio.Event()
            self._owner = asyncio.create_task(self._hold(self._opened, self._close), name="app")
        return await asyncio.shield(self._opened)

    @asynccontextmanager
    async def lifespan(self, _server: object) -> AsyncGenerator[Door]:
        """Serve: take up unfinished work in the background, close the App at the end."""
        self.ending = False
        starter = asyncio.create_task(self._take_up_old_work(), name="old work")
        try:
            yield self
        finally:
            self.end()
            with anyio.move_on_after(CLOSE_SECONDS, shield=True):
                await self._shut(starter)

    async def _shut(self, starter: asyncio.Task[None]) -> None:
        starter.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await starter
        if self._owner is not None and self._close is not None:
            self._close.set()
            await asyncio.wait({self._owner})
        self._owner = self._opened = None

    async def _hold(self, opened: asyncio.Future[App], close: asyncio.Event) -> None:
        try:
            async with self._opener() as app, self.news.of(app):
                opened.set_result(app)
                await close.wait()
        except Exception as error:
            if opened.done():
                log.exception("closing the studio failed")
            else:
                opened.set_exception(error)
                # Told to whoever asks next; marked as seen, because nobody may be left to ask.
                opened.exception()

    async def _take_up_old_work(self) -> None:
        if self._has_unfinished is None:
            return
        await asyncio.sleep(self._grace)
        if await asyncio.to_thread(self._has_unfinished):
            with suppress(RuntimeError):
                await self.app()
