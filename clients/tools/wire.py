"""The wire of a stdio server: standard input and output, taken away from everything else in the process.

Imports nothing heavy, because it has to happen before anything that could print.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Self

CHUNK = 65_536
WAITING_LINES = 64
"""Lines read ahead of the server."""


@dataclass(frozen=True)
class Wire:
    """Private descriptors of the client's pipe. Descriptor 0 now reads nothing, descriptor 1 writes to stderr."""

    source: int
    sink: int

    @classmethod
    def take(cls) -> Self:
        wire = cls(os.dup(0), os.dup(1))
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(2, 1)
        return wire


class Lines:
    """Lines of the wire as they come. A daemon thread reads them, so ending never waits for a silent client."""

    def __init__(self, source: int, on_end: Callable[[], None]) -> None:
        self._source = source
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._lines: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._room = threading.Semaphore(WAITING_LINES)
        threading.Thread(target=self._read, name="stdin", daemon=True).start()

    def end(self) -> None:
        """Behave as if the client had closed the pipe."""
        self._lines.put_nowait(None)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        line = await self._lines.get()
        if line is None:
            # Said before the session comes down, so that its cancelled calls know why.
            self._on_end()
            raise StopAsyncIteration
        self._room.release()
        return line.decode("utf-8", errors="replace")

    def _read(self) -> None:
        rest = b""
        try:
            while chunk := os.read(self._source, CHUNK):
                *whole, rest = (rest + chunk).split(b"\n")
                for line in whole:
                    self._hand_over(line)
            self._hand_over(rest)
            self._loop.call_soon_threadsafe(self.end)
        except RuntimeError:
            return  # the loop is closed: the server has ended before its client

    def _hand_over(self, line: bytes) -> None:
        if line.strip():
            self._room.acquire()
            self._loop.call_soon_threadsafe(self._lines.put_nowait, line)


def on_stop_signal(stop: Callable[[], None]) -> None:
    """Call `stop` on the running loop at the first SIGINT or SIGTERM; the second one kills as usual."""
    loop = asyncio.get_running_loop()

    def heard(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        loop.call_soon_threadsafe(stop)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, heard)
