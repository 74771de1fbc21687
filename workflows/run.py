"""Run: one job being carried out in this process, from its claim in the ledger to its last picture."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from uuid import UUID, uuid5

from workflows.bench import Workbench
from workflows.canvas import PAINTED, canvas_for
from workflows.clips import film_for, looked_over
from workflows.completion import complete
from workflows.errors import JobCancelled, NotFound, Refused, StorageError, StudioError
from workflows.inputs import InputPicture, found_mask
from workflows.loop import Loop, Surface
from workflows.outputs import Delivery, Order
from workflows.pace import Mark, marked, seconds_left
from workflows.spending import account, spending
from workflows.tasks import called_off, ended_within
from workflows.types import (
    MAX_SEED,
    VIDEOS,
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
MOST_TOLD = 200
"""Characters of a prompt that is being written, its end, in one message of progress."""
IN_HAND = 2
"""Pictures of a job in hand at once: one is drawn while the one before it is judged."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What every picture of a job is drawn from: the engine's inputs, and what its pictures are put back into."""

    inputs: Mapping[str, Media]
    canvas: Surface | None = None


@dataclass(kw_only=True)
class Run:
    """Owns the task of one job. `job` is always as far as the work is; the ledger follows at every attempt."""

    job: Job
    profile: FamilyProfile
    bench: Workbench
    token: str = ""
    """Of whoever wrote the job down just now; without it the run claims the job itself."""
    on_step: Callable[[], object] = lambda: None
    """Called on the event loop whenever the job is further."""
    glimpse: Media | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    _task: asyncio.Task[None] | None = field(default=None, init=False)
    _listeners: list[Listener] = field(default_factory=list[Listener], init=False)
    _stopping: Literal["cancelled", "interrupted"] = field(default="interrupted", init=False)
    _begun: bool = field(default=False, init=False)
    _closing: bool = field(default=False, init=False)
    _mark: Mark | None = field(default=None, init=False)
    _shares: dict[int, float] = field(default_factory=dict[int, float], init=False)
    """How far each picture in hand is."""
    _writing: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)
    filed: dict[str, Media] = field(default_factory=dict[str, Media], init=False)
    """What the recorder gets to see: pictures filed in this process, by item id."""

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
        await ended_within(self.ended, seconds, self._listeners, listener)
        return self.job

    # ------------------------------------------------------------------ the task

    async def _work(self, on_end: Callable[[], object]) -> None:
        self._begun = True
        try:
            with spending(replace(account(), job_id=self.job.id)):
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
            if self.bench.recorder is not None and self.job.ended:
                self.bench.recorder.record(self.job, self.filed)
            on_end()
            self.ended.set()

    async def _carry_out(self) -> None:
        if not self.token:
            self.token = await self.bench.jobs.claim(self.job.id)
            await self._record(lambda job: {"state": "running", "runs": job.runs + 1, "progress": WAITING})
        await self._word()
        inputs = {role: await self._input(key) for role, key in self.job.recipe.pictures.items()}
        await self._look_over(inputs)
        if self.job.recipe.task == "workflow":
            await self._deliver(inputs)
        else:
            await self._draw(await self._stage(inputs))

    async def _draw(self, stage: Stage) -> None:
        """Every picture of the job, filed in their order."""
        waiting = deque(range(len(self.job.outcomes), self.job.recipe.count))
        drawing, in_hand = asyncio.Lock(), deque[tuple[Loop, asyncio.Task[Outcome]]]()
        try:
            while waiting or in_hand:
                while waiting and len(in_hand) < IN_HAND:
                    loop = self._loop(waiting.popleft(), stage, drawing)
                    in_hand.append((loop, asyncio.create_task(loop.run(), name=f"picture {loop.picture + 1}")))
                loop, task = in_hand[0]
                outcome = await task
                in_hand.popleft()
                await self._file(loop, outcome)
        except asyncio.CancelledError as stopped:
            raise asyncio.CancelledError(str(stopped) or await called_off([task for _, task in in_hand])) from None
        finally:
            await called_off([task for _, task in in_hand])

    async def _word(self) -> None:
        """Have the wording made, once: an interrupted job goes on with the one it had."""

        def tell(prompt: str) -> None:
            so_far = f": {prompt[-MOST_TOLD:]}" if prompt else ""
            self.job = self.job.but(progress=Progress(message=f"Writing the prompt{so_far}"))
            self._announce()

        if self.bench.words is not None and self.job.recipe.wants_wording:
            recipe, written = await self.bench.words.worded(self.job.recipe, self.profile.name, tell)
            await self._record(lambda job: {"recipe": recipe, "written": written})

    async def _deliver(self, inputs: Mapping[str, Media]) -> None:
        """Everything that a workflow of the user's own makes, filed at once."""
        order = Order(
            job=self.job,
            profile=self.profile,
            bench=self.bench,
            inputs=inputs,
            ticket=ticket_of(self.job, 0, 1),
            report=lambda progress, glimpse: self.report(0, progress, glimpse),
        )
        delivery = await order.carried_out()
        items = [item for item, _ in delivery.filed.values()]
        await self._record(lambda job: _delivered(job, delivery), items)
        self.filed |= {item.id: media for item, media in delivery.filed.values()} if self.bench.recorder else {}

    async def _stage(self, inputs: dict[str, Media]) -> Stage:
        if self.job.recipe.task in VIDEOS:
            film = film_for(self.job.recipe, inputs)
            return Stage(inputs=inputs | await asyncio.to_thread(film.inputs), canvas=film)
        if self.job.recipe.task not in PAINTED:
            return Stage(inputs=inputs)
        if self.job.recipe.task == "inpaint" and "mask" not in inputs:
            inputs["mask"] = await self._find_mask(inputs["source"])
        canvas = await asyncio.to_thread(canvas_for, self.job.recipe, inputs)
        return Stage(inputs=inputs | await asyncio.to_thread(canvas.inputs), canvas=canvas)

    async def _look_over(self, inputs: Mapping[str, Media]) -> None:
        """Have the gate look at what was given, too. Raises Refused."""
        if self.bench.panel.gate is None:
            return
        given = await asyncio.to_thread(looked_over, inputs)
        if not given:
            return
        verdicts = await self.bench.panel.gate.judge(given, self.job.recipe, self.profile)
        if any(verdict.barred for verdict in verdicts):
            raise Refused("An input picture may not be worked on (content rules).")

    async def _input(self, key: str) -> Media:
        try:
            return await self.bench.store.get(key)
        except NotFound as error:
            raise StorageError(f"The input picture {key} is gone; give it anew in a new request.") from error

    async def _find_mask(self, source: Media) -> Media:
        """What the recipe's mask_text names, kept with the job; and with it the size of what is drawn."""
        words = self.job.recipe.mask_text or ""
        await self._record(lambda job: {"progress": Progress(message=f"Looking for {words!r} in the picture")})
        if self.bench.graphs is None:
            raise StudioError("Nobody here finds things in pictures any more; give mask_image instead of mask_text.")
        given = await self.bench.graphs.find_mask(source, words)
        mask = await asyncio.to_thread(found_mask, given, source, words)
        key = f"{self.job.id}/input/mask.png"
        await self.bench.store.put(key, mask.media)
        size = InputPicture(media=source, width=mask.width, height=mask.height)
        recipe = await asyncio.to_thread(complete, self.job.recipe.but(mask=key), self.profile, size, mask.media)
        await self._record(lambda job: {"recipe": recipe})
        return mask.media

    def _loop(self, picture: int, stage: Stage, drawing: asyncio.Lock) -> Loop:
        return Loop(
            recipe=self.recipe_of(picture),
            profile=self.profile,
            engine=self.bench.engine,
            panel=self.bench.panel,
            permit=self.bench.permit,
            inputs=stage.inputs,
            canvas=stage.canvas,
            desk=PictureDesk(run=self, picture=picture),
            picture=picture,
            done=[attempt for attempt in self.job.attempts if attempt.picture == picture],
            drawing=drawing,
        )

    async def keep(self, attempt: Attempt, picture: Media | None) -> None:
        """Store an attempt that did not end its loop. What may not be shown is written down without its picture."""
        if picture is not None:
            await self.bench.store.put(attempt.key, picture)
        await self._record(lambda job: {"attempts": (*job.attempts, attempt)})

    def recipe_of(self, picture: int) -> Recipe:
        """The recipe of one picture of the job: they differ in the seed alone, and share none with a candidate."""
        recipe = self.job.recipe
        seed = (recipe.seed or 0) + picture * recipe.acceptance.best_of
        return recipe.but(count=1, seed=seed % (MAX_SEED + 1))

    async def _file(self, loop: Loop, outcome: Outcome) -> None:
        """Stamp and list the best attempt, and the others if they were asked for; only then let go of the rest."""
        filed = {item.id: (item, media) for item, media in [await self._stamped(loop, one) for one in _wanted(outcome)]}
        items = [item for item, _ in filed.values()]
        changes: dict[str, object] = {}
        if loop.picture + 1 == self.job.recipe.count:
            changes = {"state": "succeeded", "progress": Progress(fraction=1.0, message="Done")}
        await self._record(
            lambda job: {
                "outcomes": (*job.outcomes, _lightened(outcome)),
                "attempts": tuple(one for one in job.attempts if one.picture != loop.picture),
                "item_ids": (*job.item_ids, *filed),
                **changes,
            },
            items,
        )
        self.filed |= {item_id: media for item_id, (_, media) in filed.items()} if self.bench.recorder else {}
        try:
            await self._discard(outcome.attempts, kept=items)
        except StorageError:  # the picture is filed; a loser that stays is listed nowhere
            log.warning("losing attempts of job %s could not be removed", self.job.id, exc_info=True)

    async def _stamped(self, loop: Loop, attempt: Attempt) -> tuple[Item, Media]:
        """The attempt's row and its stamped picture, stored."""
        raw = loop.fresh.get(attempt.number) or await self.bench.store.get(attempt.key)
        return await self.bench.kept(self.job, loop.recipe, attempt, raw)

    async def _discard(self, attempts: Sequence[Attempt], kept: Sequence[Item] = ()) -> None:
        """Delete the attempts' pictures, and what they were repaired from, but for what kept ones are made of."""
        needed = {*self.job.recipe.pictures.values(), *(item.key for item in kept)}
        needed |= {key for item in kept for key in item.rendered.pictures.values()}
        made = {key for attempt in attempts for key in (attempt.key, *attempt.recipe.pictures.values())}
        for key in sorted(made - needed):
            await self.bench.store.delete(key)

    async def _discard_inputs(self) -> None:
        """The input pictures of a job of which nothing was kept."""
        if not self.job.item_ids:
            for key in self.job.recipe.pictures.values():
                await self.bench.store.delete(key)

    def report(self, picture: int, progress: Progress, glimpse: Media | None) -> None:
        count = self.job.recipe.count
        self._shares[picture] = max(self._shares.get(picture, 0.0), progress.fraction)
        filed = len(self.job.outcomes)
        drawn = filed + sum(share for place, share in self._shares.items() if place >= filed)
        fraction = max(self.job.progress.fraction, min(drawn / count, 0.999))
        noun = "Video" if self.job.recipe.task in VIDEOS else "Picture"
        message = f"{noun} {picture + 1} of {count}. {progress.message}" if count > 1 else progress.message
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
        self.on_step()

    async def _record(self, change: Callable[[Job], dict[str, Any]], items: Sequence[Item] = ()) -> None:
        """Bring the ledger up to date. Raises StorageError when another process has taken the job over."""
        async with self._writing:  # two pictures may be in hand
            changes = change(self.job)
            job = self.job.but(**changes, updated=now())
            saving = asyncio.create_task(self.bench.jobs.save(job, self.token, items))
            try:
                await asyncio.shield(saving)
            finally:  # a cancel waits for the transaction: what is written down has happened
                await asyncio.wait({saving})
                if saving.exception() is None and saving.result():
                    self.job = job if "progress" in changes else job.but(progress=self.job.progress)
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
        except StorageError as error:
            log.error("the end of job %s could not be written down: %s", self.job.id, error)


@dataclass(frozen=True, kw_only=True)
class PictureDesk:
    """The run, as the loop of one of its pictures sees it."""

    run: Run
    picture: int

    def ticket(self, number: int) -> Ticket:
        return ticket_of(self.run.job, self.picture, number)

    def key(self, number: int) -> str:
        ending = "mp4" if self.run.job.recipe.task in VIDEOS else "png"
        return f"{self.run.job.id}/{number}/{self.picture + 1}.{ending}"

    async def keep(self, attempt: Attempt, picture: Media | None) -> None:
        await self.run.keep(attempt, picture)

    async def fetch(self, key: str) -> Media:
        return await self.run.bench.store.get(key)

    async def put(self, key: str, media: Media) -> None:
        await self.run.bench.store.put(key, media)

    def report(self, progress: Progress, glimpse: Media | None) -> None:
        self.run.report(self.picture, progress, glimpse)


def _wanted(outcome: Outcome) -> list[Attempt]:
    """What of the attempts is filed: the best, first; all others that may be shown if the recipe says so."""
    chosen = outcome.chosen
    if chosen.recipe.acceptance.keep == "best":
        return [chosen]
    return [chosen, *(one for one in outcome.attempts if one.number != chosen.number and not one.barred)]


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
    rounds = range(1, job.recipe.acceptance.attempts + 2)  # one more where nothing drawn may be shown
    return frozenset(ticket_of(job, picture, number).id for picture in range(job.recipe.count) for number in rounds)


def _delivered(job: Job, delivery: Delivery) -> dict[str, object]:
    """What a job is once its workflow has run."""
    return {
        "outcomes": tuple(map(_lightened, delivery.outcomes)),
        "item_ids": tuple(delivery.filed),
        "note": " ".join(filter(None, (job.note, *delivery.notes))) or None,
        "state": "succeeded",
        "progress": Progress(fraction=1.0, message="Done"),
    }


def _lightened(outcome: Outcome) -> Outcome:
    """Without the graphs, which are filed with the picture: a job's row is written at every turn."""
    kept = (
        attempt.but(facts={name: fact for name, fact in attempt.facts.items() if name != "graph"})
        for attempt in outcome.attempts
    )
    return outcome.but(attempts=tuple(kept))
