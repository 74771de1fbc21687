"""Drains: ComfyUI servers that get no new work, named in a file that every Atelier process of one home reads."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

from filelock import FileLock

from workflows.errors import StorageError

FILE_NAME = "draining"


def bare(url: str) -> str:
    """The address as it is written down and shown: host in lower case, no user, no password, no slash at the end."""
    parts = urlsplit(url if "://" in url else f"http://{url}")
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2].lower()}{parts.path.rstrip('/')}"


class Drains:
    """The file `home`/draining, one address a line. What already runs on a draining server is left to end."""

    def __init__(self, home: Path) -> None:
        self._path = home / FILE_NAME
        self._lock = FileLock(home / f"{FILE_NAME}.lock", thread_local=False)
        self._known: frozenset[str] = frozenset()
        self._stamp: tuple[int, int] | None = None

    async def urls(self) -> frozenset[str]:
        """The draining servers, read anew when the file has changed. A file that cannot be read drains nobody."""
        return await asyncio.to_thread(self._fresh)

    async def drain(self, url: str) -> frozenset[str]:
        """Give this server no new work; the answer lists all that drain. Raises StorageError."""
        return await asyncio.to_thread(self._change, {bare(url)}, ())

    async def resume(self, url: str) -> frozenset[str]:
        """Give it work again; a server that was not draining is no error. Raises StorageError."""
        return await asyncio.to_thread(self._change, (), {bare(url)})

    def _fresh(self) -> frozenset[str]:
        try:
            found = self._path.stat()
            stamp = (found.st_mtime_ns, found.st_size)
            if stamp != self._stamp:
                self._known = self._read()
                self._stamp = stamp
        except OSError:
            self._known, self._stamp = frozenset(), None
        return self._known

    def _read(self) -> frozenset[str]:
        lines = self._path.read_text(encoding="utf-8").splitlines()
        return frozenset(bare(line.strip()) for line in lines if line.strip())

    def _change(self, more: Iterable[str], fewer: Iterable[str]) -> frozenset[str]:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._lock:
                before = self._read() if self._path.exists() else frozenset[str]()
                after = before.union(more).difference(fewer)
                unfinished = self._path.with_suffix(".tmp")
                unfinished.write_text("".join(f"{url}\n" for url in sorted(after)), encoding="utf-8")
                unfinished.replace(self._path)
        except OSError as error:
            step = "set ATELIER_HOME to a folder that you may write"
            raise StorageError(f"{self._path} cannot be written ({error.strerror or error}): {step}.") from error
        return after
