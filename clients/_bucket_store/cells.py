"""Cells: what waits for the bucket, one file by key on this machine: a picture, or the mark of a delete.

A cell changes by one rename, so that whoever dies in between leaves the old or the new, and the last wish wins. It is
emptied only while it still holds what was carried out; locks of files hold that also among processes.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol, TypeVar

from filelock import FileLock, Timeout

from workflows.errors import NotFound, StorageError
from workflows.types import Location, Media

T = TypeVar("T")

DELETED = b"atelier: this key is deleted\n"
"""The content of a cell that waits to be deleted; no picture has it."""
STRIPES = 256
"""Lock files of each sort: keys that share one wait for each other now and then, and nothing is ever left over."""
LOCK_SECONDS = 20.0
"""How long a cell waits for another process that writes the same cell: a big file on a slow disk."""


class Spool(Protocol):
    """A Store on this machine (see workflows.ports): each key a file, put by one rename."""

    async def put(self, key: str, media: Media) -> None: ...
    async def get(self, key: str) -> Media: ...
    async def delete(self, key: str) -> None: ...
    async def locate(self, key: str) -> Location: ...
    async def keys(self, prefix: str) -> Sequence[str]: ...


@dataclass(frozen=True)
class Cell:
    """What one cell held at one moment. `picture` None: the key is to be deleted."""

    picture: Media | None
    state: tuple[int, int, int]


@dataclass(frozen=True)
class Waiting:
    """The file of a cell, as it looks from outside."""

    path: Path
    deleted: bool
    """Whether it is the mark of a delete, and no picture."""
    since: datetime


class Cells:
    """`locks`: a folder for lock files, which all processes with the same spool share."""

    def __init__(self, spool: Spool, locks: Path) -> None:
        self._spool = spool
        self._locks = locks
        self._turns = [asyncio.Lock() for _ in range(STRIPES)]

    async def write(self, key: str, picture: Media | None) -> None:
        """Replace what the cell holds; it is on the disk afterwards. Raises StorageError, then nothing changed."""
        mark = Media(data=DELETED, media_type="application/octet-stream")
        await self._alone(key, lambda: self._spool.put(key, picture or mark))

    async def read(self, key: str) -> Cell | None:
        """What is to be done with the key; None when nothing is."""
        return await self._alone(key, lambda: self._read(key))

    async def empty(self, key: str, done: Cell | None) -> bool:
        """Forget the cell when it still holds `done` (None: whatever it holds); whether it is empty now."""

        async def forget() -> bool:
            path = await self._path(key)
            state = await asyncio.to_thread(_state, path)
            if done is not None and state is not None and state != done.state:
                return False
            await self._spool.delete(key)
            return True

        return await self._alone(key, forget)

    async def peek(self, key: str) -> Waiting | None:
        """Without a lock: what waits under the key; None when nothing does."""
        path = await self._path(key)
        return await asyncio.to_thread(_glance, path)

    async def picture(self, key: str) -> Media | None:
        """Without a lock: a picture that waits; None when nothing does. Raises NotFound when the key is deleted."""
        if await self.peek(key) is None:
            return None
        try:
            media = await self._spool.get(key)
        except NotFound:  # it was carried out just now
            return None
        if media.data == DELETED:
            raise NotFound("file", key, hint="It was deleted.")
        return media

    async def keys(self, prefix: str = "") -> dict[str, Waiting]:
        """What waits, by key."""
        found = await self._spool.keys(prefix)
        paths = [await self._path(key) for key in found]
        glances = await asyncio.to_thread(lambda: [_glance(path) for path in paths])
        return {key: glance for key, glance in zip(found, glances, strict=True) if glance is not None}

    @asynccontextmanager
    async def turn(self, key: str) -> AsyncGenerator[bool]:
        """The turn to carry out what the cell asks, which one has at a time; False: another process has it."""
        async with self._turns[_stripe(key)]:
            lock = self._lock("turn", key)
            try:
                await _take(lock, 0)
            except Timeout:
                yield False
                return
            try:
                yield True
            finally:
                await asyncio.shield(asyncio.to_thread(lock.release))

    async def _read(self, key: str) -> Cell | None:
        state = await asyncio.to_thread(_state, await self._path(key))
        if state is None:
            return None
        try:
            media = await self._spool.get(key)
        except NotFound:  # somebody took it away by hand
            return None
        return Cell(None if media.data == DELETED else media, state)

    async def _path(self, key: str) -> Path:
        where = (await self._spool.locate(key)).path
        assert where is not None, "a spool lies on this machine"
        return Path(where)

    async def _alone(self, key: str, work: Callable[[], Awaitable[T]]) -> T:
        """Do it while no other process and no other task changes the cell; begun, it is carried to its end."""
        return await asyncio.shield(asyncio.ensure_future(self._locked(key, work)))

    async def _locked(self, key: str, work: Callable[[], Awaitable[T]]) -> T:
        lock = self._lock("cell", key)
        try:
            await _take(lock, LOCK_SECONDS)
        except Timeout as error:
            raise StorageError(f"Another Atelier process holds {key} for too long; try again.") from error
        try:
            return await work()
        finally:
            await asyncio.to_thread(lock.release)

    def _lock(self, sort: str, key: str) -> FileLock:
        return FileLock(self._locks / f"{sort}-{_stripe(key):03}.lock", thread_local=False)


async def _take(lock: FileLock, seconds: float) -> None:
    """Raises Timeout, StorageError."""

    def take() -> None:
        path = Path(lock.lock_file)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=seconds, poll_interval=0.01)
        except Timeout:
            raise
        except OSError as error:
            step = "free some space there, or set ATELIER_HOME to a folder that you may write"
            raise StorageError(f"{path} cannot be written ({error.strerror}): {step}.") from error

    await asyncio.to_thread(take)


def _state(path: Path) -> tuple[int, int, int] | None:
    """Changes with every rename into this place; None when nothing is there."""
    try:
        told = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return told.st_ino, told.st_mtime_ns, told.st_size


def _glance(path: Path) -> Waiting | None:
    try:
        told = path.stat()
        deleted = told.st_size == len(DELETED) and path.read_bytes() == DELETED
    except (FileNotFoundError, NotADirectoryError):
        return None
    return Waiting(path, deleted, datetime.fromtimestamp(told.st_mtime, UTC))


def _stripe(key: str) -> int:
    return hashlib.sha256(key.encode()).digest()[0] % STRIPES
