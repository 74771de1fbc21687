"""App: the one engine room behind every face. Faces call it and turn its answers into their own form."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from workflows.answers import Answer, job_answer, job_row, stopped_job
from workflows.catalog import Catalog
from workflows.choosing import Chooser
from workflows.errors import BadRecipe, NotFound, StorageError
from workflows.exporting import Exports
from workflows.gallery import Gallery
from workflows.model_rows import download_answer, download_row, stopped_download
from workflows.starters import Machine
from workflows.steps import COMFYUI_STEP
from workflows.studio import Studio
from workflows.types import Brief, Download, EngineStatus, ItemQuery, Job, Progress, Refinement, now
from workflows.watching import Watch

if TYPE_CHECKING:
    from workflows.importing import Imports
    from workflows.library import Library
    from workflows.moving import Migration
    from workflows.ports import Calls
    from workflows.prompts.desk import PromptDesk
    from workflows.refinery import Refinery

log = logging.getLogger("atelier.app")

SERVER_SECONDS = 4.0
"""How long the view of the queue waits for engines to say how their servers are; a bit longer than they themselves
wait for a server that hangs, so that the others are seen all the same."""
MOST_RUNS = 20
ALONE = "picture"
"""The id of a brief that belongs to no batch."""
Drain = Callable[[str], Awaitable[Collection[str]]]
"""A change to which servers get no new work: takes one server's URL, gives all that drain from then on."""


async def _no_servers(url: str) -> Collection[str]:
    raise NotFound("ComfyUI server", url, hint=f"None is named: {COMFYUI_STEP}.")


def _no_bucket(to: str) -> Migration:
    raise BadRecipe("to", to, "there is no object store to move from or to; set MINIO_ENDPOINT and its keys first")


def _no_library() -> Library:
    from workflows.library import Library

    return Library()


async def _nothing_to_tell() -> Sequence[str]:
    return ()


@dataclass(frozen=True, kw_only=True)
class App:
    """What is open for one process: built by clients.wiring, closed with it."""

    studio: Studio
    gallery: Gallery
    imports: Imports
    library: Library = field(default_factory=_no_library)
    chooser: Chooser
    prompts: PromptDesk
    refinery: Refinery
    calls: Calls
    """What was asked of services, and how it went."""
    run_id: str = ""
    """What the owner calls the next batch; "" names it by its time."""
    log_level: str = "INFO"
    """Of the log that a batch keeps."""
    error_days: float = 30.0
    """For how long failed calls to services are remembered."""
    notices: tuple[str, ...] = ()
    """What the owner should know, such as an optional part that is missing, each with its next step."""
    remarks: Callable[[Sequence[EngineStatus]], Sequence[str]] = lambda engines: ()
    """The same of the engines as they are now."""

    storage_remarks: Callable[[], Awaitable[Sequence[str]]] = _nothing_to_tell
    """What the owner should know of the place where the files lie."""

    version: str
    places: Mapping[str, str]
    """Where things are kept: home, database, pictures."""
    memory: Callable[[], dict[str, float]]
    """Memory of this machine in gigabytes: total, available, used by this process."""
    machine_facts: Callable[[], Machine]
    """GPU, memory and free disk of this machine."""
    drain: Drain = _no_servers
    """Give a server no new work, in every process of this home. Raises NotFound, StorageError."""
    resume: Drain = _no_servers
    """Give it work again. Raises NotFound, StorageError."""
    migration: Callable[[str], Migration] = _no_bucket
    """The move of the gallery's files to "s3" or "local". Raises BadRecipe."""

    @property
    def exports(self) -> Exports:
        """The way out of the gallery."""
        return Exports(self.gallery)

    @cached_property
    def watch(self) -> Watch:
        """What changes, here and in other processes."""
        return Watch(self.studio)

    @property
    def catalog(self) -> Catalog:
        """The models that are here, and those that could be had."""
        return self.chooser.catalog

    async def begin_workflow(self, workflow: object, inputs: Mapping[str, object]) -> Job:
        """Run a workflow of the user's. Raises what its reading, its rules and the studio raise."""
        prepared = await self.library.prepare(workflow, inputs)
        try:
            return await self.studio.submit(prepared.recipe, prepared.pictures, note=prepared.told)
        except BadRecipe as error:
            raise prepared.named(error) from error

    async def begin_refinement(self, given: Mapping[str, Any]) -> Refinement:
        """Draw, look and reword in rounds; `given`: the arguments of refine_image. Raises BadRecipe, Refused."""
        own = {"prompt", "negative_prompt", "iterations", "evaluator", "wait_seconds"}
        options = {name: value for name, value in given.items() if name not in own}
        words = {"prompt": given["prompt"], "negative": given.get("negative_prompt", "")}
        brief = Brief.checked(id=ALONE, options=options, **words)
        return await self.refinery.start(brief, given.get("iterations", 3), given.get("evaluator", "auto"))

    async def follow(self, job_id: str, seconds: float, listener: Callable[[Progress], None] | None = None) -> Answer:
        """A job, download or refinement at its end, or as it is after `seconds`. Raises NotFound."""
        if (download := self._download(job_id)) is not None:
            assert self.catalog.downloads is not None
            return download_answer(await self.catalog.downloads.wait(download.id, seconds, listener))
        if not self.studio.runs(job_id) and await self.refinery.known(job_id):
            refinement = await self.refinery.wait(job_id, seconds, listener)
            return await self.refinery.answer(refinement)
        return await job_answer(self.gallery, await self.studio.wait(job_id, seconds, listener))

    async def stop(self, job_id: str) -> Answer:
        """Stop a job, download or refinement; says what was really stopped. Raises NotFound, BadRecipe."""
        if (download := self._download(job_id)) is not None:
            assert self.catalog.downloads is not None
            return stopped_download(download, await self.catalog.downloads.cancel(download.id))
        if await self.refinery.known(job_id):
            from workflows.refinery.answers import stopped_refinement

            return stopped_refinement(await self.refinery.find(job_id), await self.refinery.cancel(job_id))
        before = await self.studio.find(job_id)
        return stopped_job(before, await self.studio.cancel(before.id))

    def _download(self, job_id: str) -> Download | None:
        return self.catalog.downloads.known(job_id) if self.catalog.downloads else None

    async def engines(self) -> list[EngineStatus]:
        return list(await asyncio.gather(*(engine.status() for engine in self.studio.engines)))

    async def servers(self) -> list[Answer]:
        """The servers behind the engines, each with its own queue; those that do not answer at once are left out."""
        statuses: list[EngineStatus] = []
        with suppress(TimeoutError):
            async with asyncio.timeout(SERVER_SECONDS):
                statuses = await self.engines()
        shown = {"url", "available", "detail", "running", "pending", "ours", "draining"}
        return [server.model_dump(mode="json", include=shown) for status in statuses for server in status.servers]

    def downloading(self) -> list[Answer]:
        """The models that are on their way here."""
        return [download_row(one) for one in self.catalog.downloads.active()] if self.catalog.downloads else []

    async def statistics(self, since: datetime | None = None, run_id: str = "", failures: int = 5) -> Answer:
        """What was asked of services: by service and model, by batch, and the latest failures. Raises StorageError."""
        services = await self.calls.stats(since, run_id)
        runs = [one for one in await self.calls.runs(MOST_RUNS) if run_id in {"", one.run_id}]
        failed = await self.calls.failures(failures, since) if failures else ()
        return {
            "services": [one.model_dump(mode="json") for one in services],
            "runs": [one.model_dump(mode="json") for one in runs if since is None or one.created >= since],
            "failures": [one.model_dump(mode="json", exclude_defaults=True) for one in failed],
        }

    async def forget_errors(self) -> None:
        """Forget the failed calls that are older than the owner wants them kept. A fault is logged."""
        try:
            gone = await self.calls.prune(now() - timedelta(days=self.error_days))
        except StorageError as error:
            log.warning("old failed calls could not be forgotten: %s", error)
        else:
            log.log(logging.INFO if gone else logging.DEBUG, "%d old failed calls forgotten", gone)

    async def machine(self) -> Machine:
        """What this machine has to draw with."""
        return await asyncio.to_thread(self.machine_facts)

    async def status(self) -> Answer:
        """The state of the whole: engines, work, pictures, memory, and what the owner should know."""
        page = await self.gallery.search(ItemQuery(limit=1))
        engines = await self.engines()
        return {
            "version": self.version,
            "engines": [status.model_dump(mode="json") for status in engines],
            "judges": list(self.studio.judges),
            "writers": [*self.prompts.writer_names, "rules"],
            "jobs": [job_row(job) for job in self.studio.active()],
            "downloads": self.downloading(),
            "pictures": page.total,
            "memory_gb": await asyncio.to_thread(self.memory),
            "places": dict(self.places),
            "notices": [*self.notices, *await self.storage_remarks(), *self.remarks(engines)],
        }


_current: ContextVar[App | None] = ContextVar("atelier_app", default=None)
_listener: ContextVar[Callable[[Progress], None] | None] = ContextVar("atelier_listener", default=None)


def current_app() -> App:
    """The app that is open here. Raises RuntimeError outside `open_app`."""
    app = _current.get()
    if app is None:
        raise RuntimeError("No app is open here: use 'async with open_app(settings):' around the call.")
    return app


@contextmanager
def use_app(app: App) -> Generator[App]:
    """Make `app` the current one for this task and those it starts."""
    before = _current.get()
    _current.set(app)
    try:
        yield app
    finally:  # not by token: a fixture may leave in another context than it entered
        _current.set(before)


def progress_listener() -> Callable[[Progress], None] | None:
    """Who wants to hear how far the present call is, if anyone."""
    return _listener.get()


@contextmanager
def listening(listener: Callable[[Progress], None]) -> Generator[None]:
    """Let `listener` hear the progress of every call made within."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)
