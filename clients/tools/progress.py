"""Progress notifications: a few a second at most, strictly increasing, with a message that a person understands."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from workflows.types import Progress

log = logging.getLogger("atelier.progress")

Send = Callable[[float, float, str], Awaitable[None]]
"""Takes progress, total and message."""

INTERVAL = 0.25
"""Seconds between two notifications."""
HEARTBEAT = 8.0
"""Seconds of silence after which the last message is told again; clients give up after 10 to 60."""
TOTAL = 100.0
CREEP = 0.001
"""The least step forward, for news that do not move the bar."""


class Reporter:
    """Hears of progress on the loop and tells the latest of it; what comes too fast is left out."""

    def __init__(self, send: Send, interval: float = INTERVAL, heartbeat: float = HEARTBEAT) -> None:
        self._send = send
        self._interval = interval
        self._heartbeat = heartbeat
        self._latest: Progress | None = None
        self._news = asyncio.Event()
        self._told = -1.0

    def hear(self, progress: Progress) -> None:
        if progress != self._latest:
            self._latest = progress
            self._news.set()

    async def run(self) -> None:
        while True:
            # Not wait_for: in Python 3.11 it loses a cancel that comes together with the news.
            with suppress(TimeoutError):
                async with asyncio.timeout(self._heartbeat):
                    await self._news.wait()
            self._news.clear()
            if self._latest is not None:
                await self._tell(self._latest)
            await asyncio.sleep(self._interval)

    async def _tell(self, progress: Progress) -> None:
        self._told = round(max(progress.fraction * TOTAL, self._told + CREEP), 4)
        await self._send(self._told, TOTAL, progress.message or "Working")


@asynccontextmanager
async def reporting(send: Send) -> AsyncGenerator[Callable[[Progress], None]]:
    """A listener whose news reach `send` for as long as the block lasts."""
    reporter = Reporter(send)
    task = asyncio.create_task(reporter.run(), name="progress")
    try:
        yield reporter.hear
    finally:
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled():
            log.debug("nobody hears of the progress any more: %r", task.exception())
