"""Which request of FAL's belongs to which render, on disk: what was paid for once is taken up, not asked for again.

Blocking; a file that cannot be read is as none.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from utils.small_files import forget_old, write_whole
from workflows.errors import StorageError

DAYS = 7.0
"""How long a request is remembered: the job that it belongs to may be taken up again until then."""
_NAME = re.compile(r"[0-9A-Za-z-]{1,80}")


@dataclass(frozen=True, kw_only=True)
class Sent:
    """A request as it was sent; `asked`: a hash of what was asked for."""

    endpoint: str
    request_id: str
    asked: str


@dataclass(frozen=True, kw_only=True)
class Tickets:
    """One file for each render, named by its ticket."""

    folder: Path
    days: float = DAYS

    def keep(self, ticket: str, sent: Sent) -> None:
        """Whole on disk when this returns. Raises StorageError."""
        path = self._path(ticket)
        try:
            forget_old(self.folder, self.days)
            write_whole(path, json.dumps(asdict(sent)).encode())
        except OSError as error:
            raise StorageError(f"The request at FAL could not be written down in {path}: {error.strerror}.") from error

    def find(self, ticket: str) -> Sent | None:
        with suppress(OSError, ValueError, TypeError):
            return Sent(**json.loads(self._path(ticket).read_text(encoding="utf-8")))
        return None

    def drop(self, ticket: str) -> None:
        with suppress(OSError):
            self._path(ticket).unlink(missing_ok=True)

    def _path(self, ticket: str) -> Path:
        if _NAME.fullmatch(ticket) is None:
            raise StorageError(f"A render cannot be called {ticket[:80]!r}.")
        return self.folder / f"{ticket}.json"
