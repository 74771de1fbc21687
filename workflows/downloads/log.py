"""DownloadLog: the downloads of all processes of a home as small files, and which of them are being worked on."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock

from filelock import FileLock, Timeout
from pydantic import ValidationError

from workflows.errors import StorageError
from workflows.types import Download
from workflows.types.values import Value

KEPT = 100
"""Entries that are kept; the oldest that ended go first."""


class Entry(Value):
    """A download as it is written down."""

    download: Download
    part: str = ""
    """The path for which bytes arrive; empty when its source keeps them itself."""
    runs: int = 0
    """How often it was begun."""


class DownloadLog:
    """Blocking: call it from a thread. Raises StorageError."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: dict[str, FileLock] = {}
        self._one_by_one = Lock()

    def write(self, entry: Entry) -> None:
        path = self._path(entry.download.id)
        fresh = path.with_suffix(".new")
        with self._one_by_one, self._writing():  # a write that was given up goes on beside the one that follows it
            fresh.write_text(entry.model_dump_json(), encoding="utf-8")
            fresh.replace(path)

    def read(self, download_id: str) -> Entry | None:
        """None when it is not there, or is none of ours."""
        if Path(download_id).name != download_id:
            return None
        try:
            entry = Entry.model_validate_json(self._path(download_id).read_bytes())
        except (OSError, ValidationError):
            return None
        return _with_received(entry)

    def all(self) -> list[Entry]:
        """Oldest first."""
        found = [self.read(path.stem) for path in self._folder.glob("*.json")]
        return sorted((one for one in found if one is not None), key=lambda one: one.download.created)

    def take(self, download_id: str) -> bool:
        """Hold the download as long as this process lives or until `let_go`; False when another process does."""
        lock = FileLock(self._lock_path(download_id), thread_local=False)
        try:
            with self._writing():
                lock.acquire(timeout=0)
        except Timeout:
            return False
        self._held[download_id] = lock
        return True

    def let_go(self, download_id: str) -> None:
        lock = self._held.pop(download_id, None)
        if lock is not None:
            with suppress(OSError):  # Windows keeps an open file
                self._lock_path(download_id).unlink(missing_ok=True)
            lock.release()

    def worked_on(self, download_id: str) -> bool:
        """Whether a living process holds it."""
        if download_id in self._held:
            return True
        if not self._lock_path(download_id).exists():
            return False
        if self.take(download_id):
            self.let_go(download_id)
            return False
        return True

    def forget_oldest(self) -> list[Entry]:
        """Drop what ended longest ago beyond KEPT; the answer is what was dropped."""
        ended = [entry for entry in self.all() if entry.download.ended]
        dropped = ended[: max(0, len(ended) - KEPT)]
        for entry in dropped:
            self._path(entry.download.id).unlink(missing_ok=True)
        return dropped

    @contextmanager
    def _writing(self) -> Generator[None]:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            yield
        except Timeout:  # an OSError, too
            raise
        except OSError as error:
            step = "set ATELIER_HOME to a folder that you may write"
            raise StorageError(f"{self._folder} cannot be written ({error.strerror}): {step}.") from error

    def _path(self, download_id: str) -> Path:
        return self._folder / f"{download_id}.json"

    def _lock_path(self, download_id: str) -> Path:
        return self._folder / f"{download_id}.lock"


def _with_received(entry: Entry) -> Entry:
    """With as many bytes as lie there: progress is not written down."""
    if entry.download.ended or not entry.part:
        return entry
    try:
        received = Path(f"{entry.part}.part").stat().st_size
    except OSError:
        return entry
    return entry.but(download=entry.download.but(received=received))
