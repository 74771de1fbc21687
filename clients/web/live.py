"""What changes, told while it does: a job's way to its end, and the whole studio's work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

from clients.web.operations import Call
from clients.web.rows import ImagesEvent, JobDone, JobRow, JobsEvent, PreviewEvent, ProgressEvent
from workflows.answers import job_answer, job_row, progress
from workflows.app import App
from workflows.changes import What
from workflows.studio import Studio
from workflows.types import ItemQuery, Job, Media

LOOK_SECONDS = 2.0
"""How often the ledger is looked at for what other processes do."""
PAUSE_SECONDS = 0.25
"""Between two events of the whole studio."""
STEP_SECONDS = 0.1
"""Between two events of a job."""
SHOWN = 20
"""Jobs in an event."""

Row = dict[str, Any]


def row_of(studio: Studio, job: Job) -> Row:
    """A job's row, and whether it can be stopped here: one that another process runs cannot."""
    return job_row(job) | {"here": job.ended or job.state == "interrupted" or studio.runs(job.id)}


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
            await news.wait(STEP_SECONDS)
            job = await app.studio.find(job.id)
    yield JobDone.model_validate({"done": True, **await job_answer(app.gallery, job)})


async def events(call: Call) -> AsyncGenerator[JobsEvent | ImagesEvent]:
    """The latest jobs whenever one changes, and that the gallery changed. It has no end."""
    watch = Watch(await call.app())
    await watch.look()
    told: list[Row] | None = None
    with watch.app.studio.changes.heard_by(watch.news.hear):
        while True:
            rows = await watch.rows()
            if rows != told:
                told = rows
                yield JobsEvent(jobs=[JobRow.model_validate(row) for row in rows])
            if await watch.gallery_changed():
                yield ImagesEvent(images=True)
            await watch.news.wait(PAUSE_SECONDS)


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

    async def wait(self, pause: float) -> None:
        """Until there is news, or the ledger is to be looked at; `pause` seconds at least."""
        await asyncio.sleep(pause)
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                await self.event.wait()
        except TimeoutError:
            return
        self.event.clear()


class Watch:
    """The studio as one listener knows it. Jobs of this process are read where they run, the rest in the ledger."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.news = News()
        self._rows: list[Row] = []
        self._running: set[str] = set()
        self._gallery: tuple[Any, ...] = ()
        self._looked = 0.0

    async def look(self) -> None:
        """Read the ledger."""
        self._running = {job.id for job in self.app.studio.active()}
        self._rows = [row_of(self.app.studio, job) for job in await self.app.studio.history(SHOWN)]
        self._gallery = await self._state_of_gallery()
        self._looked = asyncio.get_running_loop().time()

    async def rows(self) -> list[Row]:
        """The latest jobs, newest first."""
        running = {job.id: job for job in self.app.studio.active()}
        if set(running) != self._running:
            self._running = set(running)
            self._rows = [row_of(self.app.studio, job) for job in await self.app.studio.history(SHOWN)]
        return [
            row_of(self.app.studio, running[row["job_id"]]) if row["job_id"] in running else row for row in self._rows
        ]

    async def gallery_changed(self) -> bool:
        """Since the last time. What this process did is heard of; what others did is seen when it is time to look."""
        before, heard = self._gallery, self.news.of("images")
        due = asyncio.get_running_loop().time() - self._looked >= LOOK_SECONDS
        if heard or due:
            await self.look()
        return heard or self._gallery != before

    async def _state_of_gallery(self) -> tuple[Any, ...]:
        """Another one whenever pictures came or went, in whatever process."""
        live = await self.app.gallery.search(ItemQuery(limit=1))
        gone = await self.app.gallery.search(ItemQuery(limit=1, deleted=True))
        return live.total, gone.total, [item.id for item in live.items]
