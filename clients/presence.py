"""Presence: which Atelier processes on this machine are alive, told by file locks that die with their process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import threading
from pathlib import Path
from typing import Self

from filelock import FileLock, Timeout

from workflows.errors import StorageError
from workflows.types import new_id

SUFFIX = ".lock"
_LOOK = threading.Lock()
"""Held while a lock is taken to look: a second look at the same moment would find the first one holding it."""
_NAME = re.compile(r"^[0-9]+-[0-9a-f-]{36}$")


class LockedPresence:
    """Holds a lock file in `folder` while the process lives; the operating system lets go of it at any death."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.owner = f"{os.getpid()}-{new_id()}"
        self._lock = _lock(self._path(self.owner))
        self.unfinished = False
        """Whether work of this process is left over: its file then stays behind as a sign."""

    async def __aenter__(self) -> Self:
        """Raises StorageError when the folder cannot be written."""
        await asyncio.to_thread(self._enter)
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self._leave)

    async def alive(self, owner: str) -> bool:
        if owner == self.owner:
            return True
        return bool(_NAME.match(owner)) and await asyncio.to_thread(_held, self._path(owner))

    async def forget_the_dead(self) -> None:
        """Remove the files of processes that are gone, once their work was taken over."""
        await asyncio.to_thread(self._forget)

    def _enter(self) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
        except OSError as error:
            step = "set ATELIER_HOME to a folder that you may write"
            raise StorageError(f"{self._folder} cannot be written ({error.strerror}): {step}.") from error

    def _leave(self) -> None:
        self._lock.release()
        if self.unfinished:
            self._path(self.owner).touch()
        else:
            self._path(self.owner).unlink(missing_ok=True)

    def _forget(self) -> None:
        for path in self._folder.glob(f"*{SUFFIX}"):
            if path.stem != self.owner and not _held(path):
                path.unlink(missing_ok=True)

    def _path(self, owner: str) -> Path:
        return self._folder / f"{owner}{SUFFIX}"


def _lock(path: Path) -> FileLock:
    return FileLock(path, thread_local=False)


def anyone_left(folder: Path) -> bool:
    """Whether a process that is gone has left its sign: its work may be unfinished. Reads file names and locks only."""
    return any(not _held(path) for path in folder.glob(f"*{SUFFIX}"))


def _held(path: Path) -> bool:
    """Whether another process holds the lock; taking it for a moment is the only portable way to know."""
    if not path.exists():
        return False
    lock = _lock(path)
    with _LOOK, contextlib.suppress(Timeout):
        lock.acquire(timeout=0)
        lock.release()
        return False
    return True
