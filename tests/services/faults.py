"""A TCP proxy on loopback that does to a connection what networks do: cut it, hold it, change a byte, refuse it."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from dataclasses import dataclass, field
from typing import Self


@dataclass
class Faults:
    """What happens to the bytes of one direction, counted from the start of each connection."""

    cut_after: int | None = None
    hold_after: int | None = None
    flip_at: int | None = None
    flip_every: int | None = None
    once: bool = False
    """Whether a fault is over after it happened."""
    happened: asyncio.Event = field(default_factory=asyncio.Event)

    def forget(self) -> None:
        self.cut_after = self.hold_after = self.flip_at = self.flip_every = None


class FaultProxy:
    """Stands before `port`; `up` is towards the server, `down` back to the client. `down_for_now` refuses everybody."""

    def __init__(self, port: int, tls: ssl.SSLContext | None = None) -> None:
        self.up, self.down = Faults(), Faults()
        self.down_for_now = False
        self.connections = 0
        self.port = 0
        self._target = port
        self._tls = tls
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Reset every connection that is open."""
        for writer in self._writers:
            writer.transport.abort()

    def go_down(self) -> None:
        self.down_for_now = True
        self.cut()

    def come_up(self) -> None:
        self.down_for_now = False

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            if self.down_for_now:
                writer.transport.abort()
                return
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
            self._writers |= {writer, far_writer}
            await asyncio.gather(self._carry(reader, far_writer, self.up), self._carry(far_reader, writer, self.down))
        except (OSError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            self._tasks.discard(task)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, faults: Faults) -> None:
        carried = 0
        with contextlib.suppress(OSError):
            while piece := await reader.read(16384):
                ends = carried + len(piece)
                if faults.cut_after is not None and ends > faults.cut_after:
                    _over(faults)
                    self.cut()
                    return
                if faults.hold_after is not None and ends > faults.hold_after:
                    faults.happened.set()
                    await asyncio.Event().wait()
                if faults.flip_at is not None and carried <= faults.flip_at < ends:
                    piece = _flipped(piece, faults.flip_at - carried)
                    _over(faults)
                if faults.flip_every is not None and carried // faults.flip_every != ends // faults.flip_every:
                    piece = _flipped(piece, len(piece) // 2)
                carried = ends
                writer.write(piece)
                await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()


def _over(faults: Faults) -> None:
    faults.happened.set()
    if faults.once:
        faults.forget()


def _flipped(piece: bytes, place: int) -> bytes:
    changed = bytearray(piece)
    changed[place] ^= 255
    return bytes(changed)
