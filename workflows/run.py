"""Run: one job being carried out in this process, from its claim in the ledger to its last picture."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID, uuid5

from workflows.canvas import PAINTED, Canvas, canvas_for
from workflows.completion import complete
from workflows.errors import JobCancelled, NotFound, StorageError, StudioError
from workflows.inputs import InputPicture, found_mask
from workflows.loop import Loop
from workflows.pace import Mark, marked, seconds_left
from workflows.ports import Engine, Graphs, Jobs, Judge, Store
from workflows.stamp import stamped_item
from workflows.types import (
    Attempt,
    FamilyProfile,
    Fault,
    Item,
    Job,
    JobState,
    Media,
    Outcome,
    Progress,
    Recipe,
    Ticket,
    now,
)

log = logging.getLogger("atelier.run")

Listener = Callable[[Progress], None]

WAITING = Progress(message="Waiting for the engine")


@dataclass(frozen=True, kw_only=True)
class Workbench:
    """What a run works with."""

    store: Store
    jobs: Jobs
    engine: Engine
    judges: Sequence[Judge]
    graphs: Graphs | None = None


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What every picture of a job is drawn from: the engine's inputs, and what its pictures are put back into."""

    inputs: Mapping[str, Media]
    canvas: Canvas | None = None


@dataclass(kw_only=True)
class Run:
    """Owns the task of one job. `job` is always as far as the work is; the ledger follows at every attempt."""

    job: Job
    profile: FamilyProfile
    bench: Workbench
    token: str = ""
    """Of whoever wrote the job down just now; without it the run claims the job itself."""
    glimpse: Media | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    _task: asyncio.Task[None] | None = field(default=None, init=False)
    _listeners: list[Listener] = field(default_factory=list[Listener], init=False)
    _stopping: Literal["cancelled", "interrupted"] = field(default="interrupted", init=False)
    _begun: bool = field(default=False, init=False)
    _closing: bool = field(default=False, init=False)
    _mark: Mark | None = field(default=None, init=False)

    def start(self, on_end: Callable[[], object]) -> None:
        self._task = asyncio.create_task(self._work(on_end), name=f"job {self.job.id}")

    async def cancel(self) -> None:
        """Stop for good, and wait until the engine has really stopped."""
        self._stop("cancelled")
        await self.ended.wait()

    def interrupt(self) -> None:
        """Stop for now: the job can be taken up again."""
        self._stop("interrupted")

    def _stop(self, how: Literal["cancelled", "interrupted"]) -> None:
        if self._task is not None and not self._task.cancelling() and not self._closing:
            self._stopping = how
            if self._begun:
                self._task.cancel()
            else:  # a task that is cancelled before its first step runs none of its code, its end included
                asyncio.get_running_loop().call_soon(self._task.cancel)

    async def watch(self, seconds: float, listener: Listener | None) -> Job:
        """Wait at most `seconds` for the end; `listener` hears of every step meanwhile."""
        if listener is not None:
            listener(self.job.progress)
            self._listeners.append(listener)
        try:
            async with asyncio.timeout(seconds):
                await self.ended.wait()
        except TimeoutError:
            pass
        finally:
            if listener is not None:
                self._listeners.remove(listener)
        return self.job

    # ------------------------------------------------------------------ the task

    async def _work(self, on_end: Callable[[], object]) -> None:
        self._begun = True
        try:
            await self._carry_out()
        except asyncio.CancelledError as stopped:
            await self._close(state=self._stopping, note=_said(stopped))
        except StudioError as error:
            state = "cancelled" if isinstance(error, JobCancelled) else "failed"
            await self._close(state=state, fault=Fault(code=error.code, message=str(error)))
        except Exception:  # the top of the task: the job must not stay "running" for ever
            log.exception("job %s broke", self.job.id)
            message = "Something broke inside Atelier; its log (stderr) has the details."
            await self._close(state="failed", fault=Fault(code="internal_error", message=message))
        finally:
            on_end()
            self.ended.set()

    async def _carry_out(self) -> None:
        if not self.token:
            self.token = await self.bench.jobs.claim(self.job.id)
            await self._record(state="running", runs=self.job.runs + 1, progress=WAITING)
        stage = await self._stage()
        for picture in range(len(self.job.outcomes), self.job.recipe.count):
            await self._picture(picture, stage)

    async def _stage(self) -> Stage:
        inputs = {role: await self._input(key) for role, key in self.job.recipe.pictures.items()}
        if self.job.recipe.task not in PAINTED:
            return Stage(inputs=inputs)
        if self.job.recipe.task == "inpaint" and "mask" not in inputs:
            inputs["mask"] = await self._find_mask(inputs["source"])
        canvas = await asyncio.to_thread(canvas_for, self.job.recipe, inputs)
        return Stage(inputs=inputs | await asyncio.to_thread(canvas.inputs), canvas=canvas)

    async def _input(self, key: str) -> Media:
        try:
            return await self.bench.store.get(key)
        except NotFound as error:
            raise StorageError(f"The input picture {key} is gone; give it anew in a new request.") from error

    async def _find_mask(self, source: Media) -> Media:
        """What the recipe's mask_text names, kept with the job; and with it the size of what is drawn."""
        words = self.job.recipe.mask_text or ""
        await self._record(progress=Progress(message=f"Looking for {words!r} in the picture"))
        if self.bench.graphs is None:
            raise StudioError("Nobody here finds things in pictures any more; give mask_image instead of mask_text.")
        given = await self.bench.graphs.find_mask(source, words)
        mask = await asyncio.to_thread(found_mask, given, source, words)
        key = f"{self.job.id}/input/mask.png"
        await self.bench.store.put(key, mask.media)
        size = InputPicture(media=source, width=mask.width, height=mask.height)
        recipe = await asyncio.to_thread(complete, self.job.recipe.but(mask=key), self.profile, size, mask.media)
        await self._record(recipe=recipe)
        return mask.media

    async def _picture(self, picture: int, stage: Stage) -> None:
        loop = Loop(
            recipe=self.recipe_of(picture),
            profile=self.profile,
            engine=self.bench.engine,
            judges=self.bench.judges,
            inputs=stage.inputs,
            canvas=stage.canvas,
            ticket_of=lambda number: ticket_of(self.job, picture, number),
            key_of=lambda number: f"{self.job.id}/{number}/{picture + 1}.png",
            keep=self._keep,
            report=lambda progress, glimpse: self._report(picture, progress, glimpse),
            done=self.job.attempts,
        )
        outcome = await loop.run()
        fresh = loop.last if outcome.best == outcome.attempts[-1].number else None
        await self._file(picture, outcome, fresh or await self.bench.store.get(outcome.chosen.key))

    async def _keep(self, attempt: Attempt, picture: Media) -> None:
        await self.bench.store.put(attempt.key, picture)
        await self._record(attempts=(*self.job.attempts, attempt))

    def recipe_of(self, picture: int) -> Recipe:
        """The recipe of one picture of the job: a batch differs in the seed alone."""
        recipe = self.job.recipe
        return recipe.but(count=1, seed=((recipe.seed or 0) + picture) % 2**32)

    async def _file(self, picture: int, outcome: Outcome, raw: Media) -> None:
        """Stamp the best attempt, list it, and only then let go of the others."""
        chosen = outcome.chosen
        item, media = await asyncio.to_thread(
            stamped_item, raw, self.job, self.recipe_of(picture), chosen, self.bench.engine.name
        )
        await self.bench.store.put(chosen.key, media)
        filed = {
            "outcomes": (*self.job.outcomes, _lightened(outcome)),
            "attempts": (),
            "item_ids": (*self.job.item_ids, item.id),
        }
        if picture + 1 == self.job.recipe.count:
            filed |= {"state": "succeeded", "progress": Progress(fraction=1.0, message="Done")}
        await self._record([item], **filed)
        try:
            await self._discard([attempt for attempt in outcome.attempts if attempt.key != chosen.key])
        except StorageError:  # the picture is filed; a loser that stays is listed nowhere
            log.warning("losing attempts of job %s could not be removed", self.job.id, exc_info=True)

    async def _discard(self, attempts: Sequence[Attempt]) -> None:
        for attempt in attempts:
            await self.bench.store.delete(attempt.key)

    async def _discard_inputs(self) -> None:
        """The input pictures of a job of which nothing was kept."""
        if not self.job.item_ids:
            for key in self.job.recipe.pictures.values():
                await self.bench.store.delete(key)

    def _report(self, picture: int, progress: Progress, glimpse: Media | None) -> None:
        count = self.job.recipe.count
        fraction = max(self.job.progress.fraction, (picture + progress.fraction) / count)
        message = f"Picture {picture + 1} of {count}. {progress.message}" if count > 1 else progress.message
        left = self._seconds_left(f"{picture}/{progress.attempt}", progress)
        self.job = self.job.but(progress=progress.but(fraction=fraction, message=message, seconds_left=left))
        self.glimpse = glimpse or self.glimpse
        self._announce()

    def _seconds_left(self, name: str, progress: Progress) -> float | None:
        moment = time.monotonic()
        self._mark = marked(self._mark, name, progress.step, moment)
        return seconds_left(self._mark, progress.step, progress.steps, moment)

    def _announce(self) -> None:
        for listener in tuple(self._listeners):
            listener(self.job.progress)

    async def _record(self, items: Sequence[Item] = (), **changes: object) -> None:
        """Bring the ledger up to date. Raises StorageError when another process has taken the job over."""
        job = self.job.but(**changes, updated=now())
        saving = asyncio.create_task(self.bench.jobs.save(job, self.token, items))
        try:
            await asyncio.shield(saving)
        finally:  # a cancel waits for the transaction: what is written down has happened
            await asyncio.wait({saving})
            if saving.exception() is None and saving.result():
                self.job = job
        if not saving.result():
            raise StorageError("Another process has taken this job over; what it makes counts, not this.")
        self._announce()

    async def _close(self, *, state: JobState, fault: Fault | None = None, note: str | None = None) -> None:
        """The last word on a job that did not succeed. A ledger that cannot be written is logged, not raised."""
        self._closing = True
        if self.job.ended:  # its end was written down before the stop came
            return
        attempts = self.job.attempts
        self.job = self.job.but(
            state=state,
            fault=fault,
            note=note or self.job.note,
            updated=now(),
            attempts=attempts if state == "interrupted" else (),
        )
        try:
            if state != "interrupted":
                await self._discard(attempts)
                await self._discard_inputs()
            if not self.token:
                self.token = await self.bench.jobs.claim(self.job.id)
            await self.bench.jobs.save(self.job, self.token)
        except StorageError:
            log.exception("the end of job %s could not be written down", self.job.id)


def _said(stopped: asyncio.CancelledError) -> str | None:
    """What an engine adds to a stop, such as that its server is still at it."""
    return str(stopped) or None


def ticket_of(job: Job, picture: int, number: int) -> Ticket:
    """The name of one render: the job's own id for its first one, so that job and prompt are found by the same id."""
    first = picture == 0 and number == 1
    name = job.id if first else str(uuid5(UUID(job.id), f"{picture + 1}/{number}"))
    return Ticket(id=name, again=job.runs > 1)


def ticket_ids(job: Job) -> frozenset[str]:
    """The name of every render that the job may take."""
    rounds = range(1, job.recipe.acceptance.attempts + 1)
    return frozenset(ticket_of(job, picture, number).id for picture in range(job.recipe.count) for number in rounds)


def _lightened(outcome: Outcome) -> Outcome:
    """Without the graphs, which are filed with the picture: a job's row is written at every turn."""
    kept = (
        attempt.but(facts={name: fact for name, fact in attempt.facts.items() if name != "graph"})
        for attempt in outcome.attempts
    )
    return outcome.but(attempts=tuple(kept))
