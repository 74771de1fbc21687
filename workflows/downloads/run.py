"""DownloadRun: one download that is worked on in this process, and who listens to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from workflows.downloads.fetching import Arrived
from workflows.downloads.log import Entry
from workflows.tasks import ended_within
from workflows.types import Download, Progress, now

Listener = Callable[[Progress], None]


@dataclass(kw_only=True)
class DownloadRun:
    """A download of this process. `download` is as far as the work is."""

    download: Download
    part: Path | None
    runs: int = 1
    stopping: Literal["cancelled", "interrupted"] = "interrupted"
    task: asyncio.Task[None] | None = None
    closing: bool = False
    """Nothing is left to be stopped."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    listeners: list[Listener] = field(default_factory=list[Listener])

    @property
    def entry(self) -> Entry:
        return Entry(download=self.download, part=str(self.part or ""), runs=self.runs)

    def change(self, **changes: Any) -> None:
        """Go on to another state, and tell those who listen."""
        self.download = self.download.but(**changes, updated=now())
        told = progress(self.download)
        for listener in list(self.listeners):
            listener(told)

    def arrived(self, arrived: Arrived) -> None:
        self.change(received=arrived.received, speed=arrived.speed, seconds_left=arrived.seconds_left)

    def stop(self, how: Literal["cancelled", "interrupted"]) -> None:
        """cancelled: for good; interrupted: to be taken up again."""
        if self.task is not None and not self.task.cancelling() and not self.closing:
            self.stopping = how
            self.task.cancel()

    async def watch(self, seconds: float, listener: Listener | None) -> Download:
        """Wait at most `seconds` for the end; `listener` hears of every step meanwhile."""
        if listener is not None:
            listener(progress(self.download))
        await ended_within(self.ended, seconds, self.listeners, listener)
        return self.download


def progress(download: Download) -> Progress:
    """A download told as a job is."""
    size, received = download.offer.size, download.received
    share = min(1.0, received / size) if size else 0.0
    unit, name = (1e9, "GB") if (size or received) >= 1e9 else (1e6, "MB")
    of = f" of {size / unit:.2f}" if size else ""
    pace = f", {download.speed / 1e6:.1f} MB/s" if download.speed else ""
    told = f"{download.offer.name}: {received / unit:.2f}{of} {name}{pace}"
    message = told if download.state == "running" else f"{download.offer.name}: {download.state}"
    return Progress(fraction=share, message=message, seconds_left=download.seconds_left)
