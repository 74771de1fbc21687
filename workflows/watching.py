"""Watch: what changes in the studio, here and in other processes, looked for once for all who want to hear of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import ExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

from workflows.answers import job_row
from workflows.changes import Hearer, What
from workflows.errors import StorageError
from workflows.tasks import called_off
from workflows.types import Job

if TYPE_CHECKING:
    from workflows.studio import Studio

log = logging.getLogger("atelier.watching")

LOOK_SECONDS = 2.0
"""How often the ledger is looked at for what other processes do."""
PAUSE_SECONDS = 0.25
"""Between two looks, however much changes."""
SHOWN = 20
"""Jobs that are watched, the latest ones."""

Row = dict[str, Any]


def row_of(studio: Studio, job: Job) -> Row:
    """A job's row, and whether it can be stopped here: one that another process runs cannot."""
    return job_row(job) | {"here": job.ended or job.state == "interrupted" or studio.runs(job.id)}


class Watch:
    """It looks while anybody listens. Jobs of this process are read where they run, the rest in the ledger."""

    def __init__(self, studio: Studio, look: float = LOOK_SECONDS, pause: float = PAUSE_SECONDS) -> None:
        self.rows: list[Row] = []
        """The latest jobs, newest first; another list whenever one of them is another than it was."""
        self._studio = studio
        self._patience = look
        self._pause = pause
        self._hearers: dict[What, list[Hearer]] = {"jobs": [], "images": []}
        self._heard: set[What] = set()
        self._woken = asyncio.Event()
        self._own = ExitStack()
        self._looking: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()
        self._version: int | None = None
        self._jobs: list[Job] = []
        self._running: set[str] | None = None
        self._read = 0.0

    @asynccontextmanager
    async def heard_by(self, hearer: Hearer, *wanted: What) -> AsyncGenerator[None]:
        """Let `hearer` know of what changes meanwhile; it answers at once and never raises. Raises StorageError."""
        for what in wanted:
            self._hearers[what].append(hearer)
        try:
            self._begin()
            await self._look()
            yield
        finally:
            for what in wanted:
                self._hearers[what].remove(hearer)
            if not any(self._hearers.values()):
                await self._end()

    def _begin(self) -> None:
        if self._looking is None:
            self._own.enter_context(self._studio.changes.heard_by(self._hear))
            self._looking = asyncio.create_task(self._keep_looking(), name="watch")

    async def _end(self) -> None:
        self._own.close()
        looking, self._looking = self._looking, None
        self._version = self._running = None
        self._heard.clear()
        if looking is not None:
            await called_off([looking])

    def _hear(self, what: What) -> None:
        self._heard.add(what)
        self._woken.set()

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(self._pause)
            try:
                async with asyncio.timeout(self._patience):
                    await self._woken.wait()
            except TimeoutError:
                log.debug("nothing was told here; another process may have changed something")
            self._woken.clear()
            try:
                await self._look()
            except StorageError as error:  # it may be there again at the next look
                log.debug("the ledger could not be watched: %s", error)

    async def _look(self) -> None:
        """Read what is new, and tell it."""
        async with self._turn:
            changed = self._heard & {"images"}
            self._heard -= changed
            before, self._version = self._version, await self._studio.items.version()
            if before not in {None, self._version}:
                changed.add("images")
            if self._hearers["jobs"] and (rows := await self._latest()) != self.rows:
                self.rows = rows
                changed.add("jobs")
        for what in changed:
            for hearer in tuple(self._hearers[what]):
                hearer(what)

    async def _latest(self) -> list[Row]:
        running = {job.id: job for job in self._studio.active()}
        now = asyncio.get_running_loop().time()
        if set(running) != self._running or now - self._read >= self._patience:
            self._running, self._read = set(running), now
            self._jobs = list(await self._studio.history(SHOWN))
        return [row_of(self._studio, running.get(job.id, job)) for job in self._jobs]
