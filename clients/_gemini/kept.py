"""Pictures that were paid for and perhaps not filed yet, on disk for some days. Blocking."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from utils.small_files import forget_old, write_whole
from workflows.errors import StorageError

DAYS = 7.0
_NAME = re.compile(r"[0-9A-Za-z-]{1,80}")


@dataclass(frozen=True, kw_only=True)
class Kept:
    """One file for each render, named by its ticket and by a hash of what was asked for."""

    folder: Path
    days: float = DAYS

    def keep(self, ticket: str, asked: str, picture: bytes) -> None:
        """Whole on disk when this returns. Raises StorageError."""
        path = self._path(ticket, asked)
        try:
            forget_old(self.folder, self.days)
            write_whole(path, picture)
        except OSError as error:
            raise StorageError(f"What Gemini drew could not be kept in {path}: {error.strerror}.") from error

    def find(self, ticket: str, asked: str) -> bytes | None:
        with suppress(OSError):
            return self._path(ticket, asked).read_bytes()
        return None

    def _path(self, ticket: str, asked: str) -> Path:
        if _NAME.fullmatch(ticket) is None:
            raise StorageError(f"A render cannot be called {ticket[:80]!r}.")
        return self.folder / f"{ticket}.{asked[:16]}.png"
