"""Studio: takes recipes in, routes them to engines, and answers for the jobs that come of them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from utils.images import BadPicture, decode, encode_png
from workflows.errors import BadRecipe, EngineUnavailable, NotFound, StudioError
from workflows.ports import Engine, Items, Jobs, Judge, Presence, Sources, Store
from workflows.run import Run, Workbench
from workflows.sizes import size_for, size_like
from workflows.types import MAX_SEED, FamilyProfile, Fault, Job, Media, Progress, Recipe, new_id, now

MAX_WAITING = 100
"""Jobs that may wait at once; more is a runaway caller."""
MAX_RUNS = 3
"""Starts of one job before it is given up: one that takes the process down would do so for ever."""
MAX_RECOVERED = 1000
"""Unfinished jobs looked at when a process starts."""
POLL_SECONDS = 0.5
"""How often a job that another process runs is looked up while someone waits for it."""
QUALITY_STEPS: Mapping[str, float] = {"fast": 0.6, "balanced": 1.0, "high": 1.4, "ultra": 2.0}
"""Steps as a share of the family's own; our judgement. Explicit steps always win."""
DEFAULT_DENOISE = 0.7
UNFINISHED = ("queued", "running", "interrupted")


@dataclass(frozen=True, kw_only=True)
class SourcePicture:
    """An input picture on its way into a job: its bytes, size in pixels, and gallery id where it has one."""

    media: Media
    width: int
    height: int
    item_id: str | None


@dataclass(kw_only=True)
class Studio:
    """Enter it to work, leave it to stop; jobs that still run are left in the ledger as interrupted."""

    engines: Sequence[Engine]
    judges: Mapping[str, Judge]
    store: Store
    jobs: Jobs
    items: Items
    sources: Sources
    presence: Presence
    _runs: dict[str, Run] = field(default_factory=dict[str, Run], init=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        runs = list(self._runs.values())
        for run in runs:
            run.interrupt()
        await asyncio.gather(*(run.ended.wait() for run in runs))

    async def submit(self, recipe: Recipe, input_image: str | Media | None = None) -> Job:
        """Complete the recipe, choose the engine, write the job to the ledger, start it.

        `input_image` is a reference that the sources may open, or the bytes themselves from a caller who has them.
        Raises BadRecipe for what cannot be drawn, EngineUnavailable with every engine's reason.
        """
        self._admit(recipe, input_image)
        job_id = new_id()
        source = await self._open_source(input_image) if input_image is not None else None
        if source is not None:
            recipe = recipe.but(task="img2img", source=f"{job_id}/input/1.png", source_item=source.item_id)
        engine = await self._choose(recipe)
        profile = await engine.profile(recipe)
        recipe = complete(recipe, profile, source)
        if source is not None and recipe.source is not None:
            await self.store.put(recipe.source, source.media)
        job = Job(id=job_id, recipe=recipe, engine=engine.name, owner=self.presence.owner, note=profile.note or None)
        await self.jobs.add(job)
        self._start(job, engine, profile)
        return job

    async def wait(self, job_id: str, seconds: float, listener: Callable[[Progress], None] | None = None) -> Job:
        """The job at its end, or as it is after `seconds`. Giving up the wait does not touch the job."""
        run = self._runs.get(job_id)
        if run is not None:
            return await run.watch(seconds, listener)
        deadline = asyncio.get_running_loop().time() + seconds
        job = await self.find(job_id)
        while job.state in {"queued", "running"} and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(POLL_SECONDS)
            job = await self.find(job_id)
        return job

    async def find(self, job_id: str) -> Job:
        """Raises NotFound with the ids that are most like it."""
        run = self._runs.get(job_id)
        if run is not None:
            return run.job
        job = await self.jobs.get(job_id)
        if job is None:
            known = [job.id for job in await self.jobs.recent(50)]
            raise NotFound("job", job_id, known, "get_history lists the latest jobs.")
        return await self._as_it_is(job)

    async def cancel(self, job_id: str) -> Job:
        """Stop the job, whatever it is doing; a job that has ended stays as it is."""
        run = self._runs.get(job_id)
        if run is not None:
            await run.cancel()
            return run.job
        job = await self.find(job_id)
        if job.ended:
            return job
        if job.state != "interrupted":
            raise BadRecipe("job_id", job_id, "another Atelier process on this machine is running it; cancel it there")
        cancelled = job.but(state="cancelled", updated=now())
        await self.jobs.save(cancelled, await self.jobs.claim(job_id))
        return cancelled

    def active(self) -> list[Job]:
        """Jobs of this process that wait or run, in the order in which they were asked for."""
        return [run.job for run in self._runs.values()]

    async def history(self, limit: int) -> list[Job]:
        """The latest jobs, newest first."""
        return [await self._as_it_is(job) for job in await self.jobs.recent(limit)]

    def preview(self, job_id: str) -> Media | None:
        """The latest glimpse of a picture that is being drawn."""
        run = self._runs.get(job_id)
        return run.glimpse if run else None

    async def recover(self, resume: bool) -> list[Job]:
        """Take over the unfinished jobs of processes that are gone: run them again, or mark them interrupted."""
        orphans = [job for job in await self.jobs.recent(MAX_RECOVERED, UNFINISHED) if await self._orphaned(job)]
        return [await self._adopt(job, resume) for job in reversed(orphans)]

    # ------------------------------------------------------------------ steps

    def _admit(self, recipe: Recipe, input_image: str | Media | None) -> None:
        if len(self._runs) >= MAX_WAITING:
            raise EngineUnavailable(f"{MAX_WAITING} jobs wait already: cancel some (get_queue, cancel) or wait.")
        if recipe.task == "img2img" and input_image is None:
            raise BadRecipe("input_image", None, "img2img needs an input picture")
        unknown = next((check for check in recipe.acceptance.checks if check not in self.judges), None)
        if unknown is not None:
            raise BadRecipe("checks", unknown, f"the checks are: {', '.join(self.judges)}")

    async def _open_source(self, given: str | Media) -> SourcePicture:
        item = await self.items.get(given) if isinstance(given, str) else None
        if item is not None:
            media = await self.store.get(item.key)
        else:
            media = await self.sources.open(given) if isinstance(given, str) else given
        return await asyncio.to_thread(_as_source, media, item.id if item else None)

    async def _choose(self, recipe: Recipe) -> Engine:
        """The named engine, or the first that does not refuse."""
        named = [engine for engine in self.engines if recipe.engine in {"auto", engine.name}]
        if not named:
            raise NotFound("engine", recipe.engine, ["auto", *(engine.name for engine in self.engines)])
        reasons: list[str] = []
        for engine in named:
            reason = await engine.refusal(recipe)
            if reason is None:
                return engine
            reasons.append(f"{engine.name}: {reason}")
        raise EngineUnavailable(f"No engine takes this. {' '.join(reasons)}")

    def _start(self, job: Job, engine: Engine, profile: FamilyProfile) -> None:
        bench = Workbench(store=self.store, jobs=self.jobs, engine=engine, judges=self._judges_for(job.recipe))
        run = Run(job=job, profile=profile, bench=bench)
        self._runs[job.id] = run
        run.start(on_end=lambda: self._runs.pop(job.id, None))

    def _judges_for(self, recipe: Recipe) -> list[Judge]:
        return [self.judges[check] for check in recipe.acceptance.checks]

    async def _orphaned(self, job: Job) -> bool:
        return job.owner is None or not await self.presence.alive(job.owner)

    async def _as_it_is(self, job: Job) -> Job:
        """A job that runs here is ahead of its row; one whose process is gone does not run, whatever its row says."""
        if job.id in self._runs:
            return self._runs[job.id].job
        stale = job.state in {"queued", "running"} and await self._orphaned(job)
        return job.but(state="interrupted") if stale else job

    async def _adopt(self, job: Job, resume: bool) -> Job:
        if job.runs >= MAX_RUNS:
            message = f"Given up after {job.runs} starts: the process ended each time while this job ran."
            return await self._settle(job.but(state="failed", fault=Fault(code="interrupted", message=message)))
        if not resume:
            return await self._settle(job.but(state="interrupted"))
        mine = job.but(state="queued", owner=self.presence.owner, updated=now())
        try:
            engine = await self._choose(mine.recipe.but(engine=mine.engine or "auto"))
            self._start(mine, engine, await engine.profile(mine.recipe))
        except StudioError as error:
            return await self._settle(mine.but(state="failed", fault=Fault(code=error.code, message=str(error))))
        return mine

    async def _settle(self, job: Job) -> Job:
        settled = job.but(updated=now())
        await self.jobs.save(settled, await self.jobs.claim(job.id))
        return settled


def _as_source(media: Media, item_id: str | None) -> SourcePicture:
    """The picture decoded and encoded anew: nothing but its pixels goes on. Raises BadRecipe."""
    try:
        image = decode(media.data)
    except BadPicture as error:
        raise BadRecipe("input_image", media.media_type, f"it must be a whole PNG, JPEG or WebP ({error})") from error
    png = Media(data=encode_png(image), media_type="image/png")
    return SourcePicture(media=png, width=image.width, height=image.height, item_id=item_id)


def complete(recipe: Recipe, profile: FamilyProfile, source: SourcePicture | None = None) -> Recipe:
    """The recipe with every `None` that the render needs filled in: explicit, then quality, then the family's own."""
    if source and not (recipe.width or recipe.height or recipe.aspect):
        width, height = size_like(profile, source.width, source.height)
    else:
        width, height = size_for(profile, recipe.width, recipe.height, recipe.aspect)
    return recipe.but(
        width=width,
        height=height,
        steps=recipe.steps or max(1, round(profile.steps * QUALITY_STEPS[recipe.quality])),
        cfg=profile.cfg if recipe.cfg is None else recipe.cfg,
        seed=random.randint(0, MAX_SEED) if recipe.seed is None else recipe.seed,
        denoise=(recipe.denoise or DEFAULT_DENOISE) if source or recipe.source else None,
    )
