"""What downloads need of whoever moves the bytes, and what is told of them on the way."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from workflows.types import Offer

SPEED_WINDOW = 5.0
"""Seconds over which the speed is taken."""


@dataclass(frozen=True, kw_only=True)
class Arrived:
    """How far a transfer is. Sizes in bytes, speed in bytes a second over the last seconds."""

    received: int
    size: int | None = None
    speed: float | None = None

    @property
    def seconds_left(self) -> float | None:
        if self.size is None or not self.speed:
            return None
        return round(max(0, self.size - self.received) / self.speed, 1)


@dataclass
class Speed:
    """Bytes a second over the last seconds, by a monotonic clock."""

    clock: Callable[[], float]
    marks: deque[tuple[float, int]] = field(default_factory=deque[tuple[float, int]])

    def after(self, received: int) -> float | None:
        """With what was received by now; None before two moments were seen."""
        now = self.clock()
        if self.marks and received < self.marks[-1][1]:
            self.marks.clear()
        self.marks.append((now, received))
        while len(self.marks) > 2 and self.marks[1][0] <= now - SPEED_WINDOW:
            self.marks.popleft()
        since, before = self.marks[0]
        return (received - before) / (now - since) if now > since else None


Report = Callable[[Arrived], None]
"""Called on the event loop."""
Check = Callable[[bytes], None]
"""Called once with the first bytes of a file; raises a StudioError to have the transfer stopped and thrown away."""


class Fetcher(Protocol):
    """Moves one file here. Raises ServiceError, NotFound, StorageError, and what `check` raises."""

    async def fetch(
        self, offer: Offer, headers: Mapping[str, str], path: Path, report: Report, check: Check | None = None
    ) -> str:
        """Have the offer's file at `path`, whole and of the right SHA-256, which is the answer.

        An end in between keeps what arrived, and the next call goes on there; cancelling is such an end. A file that
        is not what was promised is thrown away.
        """
        ...

    async def discard(self, path: Path) -> None:
        """Forget what arrived for `path`."""
        ...


@runtime_checkable
class Snapshots(Protocol):
    """A source that keeps whole pipelines in a cache of its own. Raises ServiceError, NotFound, StorageError."""

    @property
    def cache(self) -> Path:
        """The folder of that cache."""
        ...

    async def snapshot(self, offer: Offer, report: Report) -> Path:
        """Have the pipeline's files here; the answer is the folder in which they lie. Can be cancelled."""
        ...
