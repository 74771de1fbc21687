"""What changes, told while it does: a job's way to its end, and the whole studio's work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from clients.web.operations import Call
from clients.web.rows import ImagesEvent, JobDone, JobRow, JobsEvent, PreviewEvent, ProgressEvent, job_told
from workflows.answers import progress
from workflows.changes import What
from workflows.types import Media
from workflows.watching import Row

STEP_SECONDS = 0.1
"""Between two events of a job."""
LOOK_SECONDS = 2.0
"""How often the ledger is looked at for a job that another process runs."""


async def job_events(call: Call, id: str) -> AsyncGenerator[ProgressEvent | PreviewEvent | JobDone]:
    """How far a job is, until its end."""
    app = await call.app()
    job = await app.studio.find(id)
    told: Any = None
    seen: Media | None = None
    news = News()
    with app.studio.changes.heard_by(news.hear):
        while not (job.ended or job.state == "interrupted"):
            if (now := progress(job)) != told:
                told = now
                yield ProgressEvent(progress=now)
            if (glimpse := app.studio.preview(job.id)) is not None and glimpse is not seen:
                seen = glimpse
                yield PreviewEvent(preview=True)
            await asyncio.sleep(STEP_SECONDS)
            await news.wait(LOOK_SECONDS)
            job = await app.studio.find(job.id)
    yield JobDone.model_validate({"done": True, **await job_told(app.gallery, job)})


async def events(call: Call) -> AsyncGenerator[JobsEvent | ImagesEvent]:
    """The latest jobs whenever one changes, and that the gallery changed. It has no end."""
    watch = (await call.app()).watch
    news = News()
    told: list[Row] | None = None
    async with watch.heard_by(news.hear, "jobs", "images"):
        while True:
            if watch.rows is not told:
                told = watch.rows
                yield JobsEvent(jobs=[JobRow.model_validate(row) for row in told])
            if news.of("images"):
                yield ImagesEvent(images=True)
            await news.wait()


@dataclass
class News:
    """What was heard since it was last asked for."""

    heard: set[What] = field(default_factory=set[What])
    event: asyncio.Event = field(default_factory=asyncio.Event)

    def hear(self, what: What) -> None:
        self.heard.add(what)
        self.event.set()

    def of(self, what: What) -> bool:
        """Whether there is news of it; asking takes it away."""
        there = what in self.heard
        self.heard.discard(what)
        return there

    async def wait(self, seconds: float | None = None) -> None:
        """Until there is news, so many seconds at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.event.wait()
        self.event.clear()
