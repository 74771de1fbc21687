"""Course: one refinement being carried out in this process, round by round, each step written down before the next.

A round's picture is an ordinary job of the studio. Its id is chosen and written down before the job is asked for, so
that a process that dies in between finds the job again, and nothing is drawn twice.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal, TypeVar

from workflows.asking import pictures_from
from workflows.errors import BudgetSpent, EngineError, EngineUnavailable, NotFound, StorageError, StudioError
from workflows.gallery import Finder
from workflows.ports import Refinements
from workflows.prompts.writing import Scribe
from workflows.refinery.evaluating import LAST, Evaluating
from workflows.refinery.refining import Draft, refined
from workflows.refinery.wishes import recipe_of, words_of
from workflows.spending import account, spending
from workflows.studio import Studio
from workflows.tasks import called_off, ended_within
from workflows.types import (
    Evaluation,
    FamilyProfile,
    Item,
    Job,
    Progress,
    Recipe,
    Refinement,
    RefinementState,
    Round,
    Wording,
    new_id,
    now,
)

log = logging.getLogger("atelier.refinery")

T = TypeVar("T")
Listener = Callable[[Progress], None]
DRAWING, EVALUATING, REFINING = 0.8, 0.9, 1.0
"""How far a round is at the end of each stage, as a share."""
WAITING = Progress(message="Waiting")
WAIT_SECONDS = 3600.0
"""How long a job is waited for in one go."""
STARTS = 3
"""How often the job of a round is taken up again when the process that ran it is gone."""
GIVEN_UP = "interrupted"
"""Of a job that a server gave up, because its process ended too often while it ran: a batch has it drawn anew."""
FOR_GOOD = frozenset({"bad_recipe", "not_found", "refused", "access_denied", "extra_missing", "model_missing"})
"""Kinds of errors that another try does not mend."""


@dataclass(frozen=True, kw_only=True)
class Workshop:
    """What a course works with."""

    studio: Studio
    gallery: Finder
    refinements: Refinements
    evaluating: Evaluating
    scribe: Scribe


class _JobStopped(StudioError):
    """Somebody cancelled the job of a round, and thereby the refinement."""


@dataclass(kw_only=True)
class Course:
    """Owns the task of one refinement. `refinement` is always as far as the work is, and the ledger with it."""

    refinement: Refinement
    shop: Workshop
    grace: float = 0.0
    """Seconds that a question which is being answered is waited for when it is interrupted: its answer is paid for."""
    progress: Progress = WAITING
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    stopped_by: StudioError | None = field(default=None, init=False)
    """What ended it before its time."""
    _task: asyncio.Task[None] | None = field(default=None, init=False)
    _listeners: list[Listener] = field(default_factory=list[Listener], init=False)
    _begun: bool = field(default=False, init=False)
    _leaving: bool = field(default=False, init=False)
    _stopping: Literal["cancelled", "interrupted"] = field(default="interrupted", init=False)

    def start(self, on_end: Callable[[], object]) -> None:
        name = f"refinement {self.refinement.id}"
        self._task = asyncio.create_task(self._work(), name=name)
        self._task.add_done_callback(lambda _: self._close(on_end))

    async def cancel(self) -> None:
        """Stop for good, the job that is drawn included."""
        await self._stop("cancelled")

    async def interrupt(self) -> None:
        """Stop for now: it can be taken up again, and so can its job, which is left to the studio."""
        self._leaving = True
        if self._task is not None and self._begun and self._is_asking and not self._task.done():
            await asyncio.wait({self._task}, timeout=self.grace)
        await self._stop("interrupted")

    async def watch(self, seconds: float, listener: Listener | None) -> Refinement:
        """Wait at most `seconds` for the end; `listener` hears of every step meanwhile."""
        if listener is not None:
            listener(self.progress)
        await ended_within(self.ended, seconds, self._listeners, listener)
        return self.refinement

    @property
    def _is_asking(self) -> bool:
        rounds = self.refinement.rounds
        return bool(rounds) and rounds[-1].stage in {"evaluating", "refining"}

    async def _stop(self, how: Literal["cancelled", "interrupted"]) -> None:
        if self._task is not None and not self._task.done():
            self._stopping = how
            await called_off([self._task])
        await self.ended.wait()
        if not self._begun:  # a task that is cancelled before its first step runs none of its code
            await self._end(how)

    def _close(self, on_end: Callable[[], object]) -> None:
        on_end()
        self.ended.set()

    # ------------------------------------------------------------------ the task

    async def _work(self) -> None:
        self._begun = True
        try:
            with spending(replace(account(), run_id=self.refinement.run_id, brief_id=self.refinement.brief.id)):
                await self._carry_out()
        except asyncio.CancelledError:
            await asyncio.shield(asyncio.ensure_future(self._stopped()))
        except _JobStopped as error:
            await self._end("cancelled", str(error))
        except BudgetSpent as error:
            self.stopped_by = error
            await self._end("interrupted", str(error))
        except StudioError as error:
            self.stopped_by = error
            await self._end("failed", str(error))
        except Exception:  # the top of the task: it must not stay "running" for ever
            log.exception("refinement %s broke", self.refinement.id)
            await self._end("failed", "Something broke inside Atelier; its log (stderr) has the details.")

    async def _carry_out(self) -> None:
        owner = self.shop.studio.presence.owner
        await self._save(state="running", owner=owner, fault="")
        fault = ""
        while (current := await self._next()) is not None:
            try:
                await self._round(current)
                fault = ""
            except _NotDrawn as error:  # the rounds before are not lost by it, and the next may fare better
                fault = str(error)
                why = f"Not drawn: {fault}"[:2000]
                await self._change(current.number, stage="done", why=why)
                if error.for_good:
                    break
        drawn = any(one.image_id for one in self.refinement.rounds)
        await self._end("succeeded" if drawn else "failed", fault)

    async def _next(self) -> Round | None:
        """The round in work, or a new one where one is wanted."""
        rounds = self.refinement.rounds
        if rounds and rounds[-1].stage != "done":
            return rounds[-1]
        if len(rounds) >= self.refinement.iterations or (rounds and _passed(rounds[-1])):
            return None
        if rounds:
            prompt, negative = rounds[-1].refined or rounds[-1].prompt, rounds[-1].negative
        else:
            prompt, negative = words_of(self.refinement.brief), recipe_of(self.refinement.brief).negative
        fresh = Round(number=len(rounds) + 1, prompt=prompt, negative=negative)
        await self._save(rounds=(*rounds, fresh))
        return fresh

    async def _round(self, current: Round) -> None:
        steps = {"drawing": self._draw, "evaluating": self._evaluate, "refining": self._refine}
        while current.stage != "done":
            began = time.perf_counter()
            changes = await steps[current.stage](current)
            seconds = round(current.seconds + time.perf_counter() - began, 3)
            done, current = current.stage, await self._change(current.number, **changes, seconds=seconds)
            log.info("round %d: %s done", current.number, done, extra=_told(done, current))
            if self._leaving:
                raise asyncio.CancelledError

    # ------------------------------------------------------------------ drawing

    async def _draw(self, current: Round) -> dict[str, Any]:
        if current.job_id is None:
            current = await self._change(current.number, job_id=new_id())
        job = await self._job(current)
        if job.state == "cancelled":
            raise _JobStopped(f"The job {job.id} of round {current.number} was cancelled.")
        if job.fault is not None and job.fault.code == GIVEN_UP and self.refinement.run_id:
            return await self._draw(await self._change(current.number, job_id=None))
        if job.state != "succeeded" or not job.item_ids:
            await self._not_drawn(current, job)
        told = job.recipe.wording
        words = {"prompt": told.prompt, "negative": told.negative} if told else {}
        return words | {"image_id": job.item_ids[0], "stage": "evaluating"}

    async def _job(self, current: Round) -> Job:
        """The round's job at its end: asked for, unless an earlier process did."""
        studio, job_id = self.shop.studio, current.job_id or ""
        listener = partial(self._hear, current.number)
        with spending(replace(account(), job_id=job_id)):
            job = await self._asked_for(current, job_id)
            for _ in range(STARTS):
                while job.state in {"queued", "running"}:
                    job = await studio.wait(job.id, WAIT_SECONDS, listener)
                if job.state != "interrupted":
                    return job
                job = await self._asked_for(current, job_id)
        raise EngineUnavailable(f"The job {job_id} was interrupted and cannot be taken up again now. {job.note or ''}")

    async def _asked_for(self, current: Round, job_id: str) -> Job:
        studio = self.shop.studio
        try:
            if await studio.jobs.get(job_id) is not None:  # a batch is gone on with by somebody who saw it end
                return await _to_its_end(studio.resume(job_id, patient=bool(self.refinement.run_id)))
            recipe, pictures = self._recipe(current), pictures_from(self.refinement.brief.options)
            return await _to_its_end(studio.submit(recipe, pictures, job_id=job_id))
        except (BudgetSpent, StorageError):
            raise
        except StudioError as error:
            raise _NotDrawn(str(error), error.code in FOR_GOOD) from error

    async def _not_drawn(self, current: Round, job: Job) -> None:
        fault = job.fault
        code, message = (fault.code, fault.message) if fault else ("", f"The job {job.id} made no picture.")
        if code == "budget_spent":  # with a larger one it is drawn after all
            await self._change(current.number, job_id=None)
            raise BudgetSpent(message)
        raise _NotDrawn(message, code in FOR_GOOD)

    def _recipe(self, current: Round) -> Recipe:
        """The brief's recipe, told to the model in the round's words: the judges measure against the brief's."""
        recipe = recipe_of(self.refinement.brief)
        if current.number == 1:
            return recipe
        before = self.refinement.rounds[: current.number - 1]
        last = next((one for one in reversed(before) if one.image_id), None)
        if recipe.seed is not None and any(one.image_id and one.prompt == current.prompt for one in before):
            recipe = recipe.but(seed=None)  # the same words from the same seed are the same picture
        if "source" not in pictures_from(self.refinement.brief.options):
            recipe = recipe.but(source_item=last.image_id if last else None)
        if last is None:
            return recipe
        by = last.refined_by or "rules"
        return recipe.but(wording=Wording(prompt=current.prompt, negative=current.negative, by=by))

    # ------------------------------------------------------------------ looking and rewording

    async def _evaluate(self, current: Round) -> dict[str, Any]:
        self._tell(current.number, DRAWING, "looking at the picture")
        try:
            item = await self.shop.gallery.find(current.image_id or "")
            picture = await self.shop.gallery.picture(item)
        except NotFound as error:
            raise _NotDrawn(f"Its picture is gone from the gallery: {error}", False) from error
        made_with = {"engine": item.engine, "model": item.model}
        self.refinement = self.refinement.but(versions=self.refinement.versions | made_with)
        profile = await profile_of(self.shop.studio, item)
        wish = words_of(self.refinement.brief)
        made = await self.shop.evaluating.evaluate(self.refinement.evaluator, picture, wish, profile)
        evaluation = made if made.verdicts else made.but(verdicts=item.verdicts)
        over = evaluation.passed is True or current.number >= self.refinement.iterations
        return {"evaluation": evaluation, "stage": "done" if over else "refining"}

    async def _refine(self, current: Round) -> dict[str, Any]:
        self._tell(current.number, EVALUATING, "rewording the prompt")
        rounds = self.refinement.rounds[: current.number]
        found = [name for one in reversed(rounds) if one.evaluation for name in one.evaluation.missing]
        done = await refined(
            Draft(
                prompt=current.prompt,
                seen=current.evaluation.text if current.evaluation else "",
                wish=words_of(self.refinement.brief),
                negative=current.negative,
                base=rounds[0].prompt,
                missing=tuple(dict.fromkeys(found)),
                round=current.number + 1,
            ),
            self.shop.scribe,
        )
        follow = Round(number=current.number + 1, prompt=done.prompt, negative=done.negative or current.negative)
        told = {"refined": done.prompt, "refined_by": done.by, "why": done.why}
        return told | {"stage": "done", "follow": follow}

    # ------------------------------------------------------------------ keeping

    async def _change(self, number: int, follow: Round | None = None, **changes: Any) -> Round:
        """Write one round as it is now, and with it which one is the best, and the round that it asks for."""
        rounds = tuple(one.but(**changes) if one.number == number else one for one in self.refinement.rounds)
        rounds = (*rounds, follow) if follow else rounds
        await self._save(rounds=rounds, best=best_of(rounds))
        return rounds[number - 1]

    async def _save(self, **changes: Any) -> None:
        """The ledger first: what is written down has happened. A stop waits for the transaction."""
        changed = self.refinement.but(**changes, updated=now())

        async def save() -> None:
            await self.shop.refinements.save(changed)
            self.refinement = changed

        await _to_its_end(save())

    async def _stopped(self) -> None:
        if self._stopping == "cancelled" and self.refinement.rounds and self.refinement.rounds[-1].stage == "drawing":
            try:
                await self.shop.studio.cancel(self.refinement.rounds[-1].job_id or "")
            except StudioError as error:
                log.info("the job of refinement %s could not be cancelled: %s", self.refinement.id, error)
        await self._end(self._stopping)

    async def _end(self, state: RefinementState, fault: str = "") -> None:
        """The last word. A ledger that cannot be written is logged, not raised."""
        ended = state in {"succeeded", "failed", "cancelled"}
        self.progress = Progress(fraction=1.0 if ended else self.progress.fraction, message=fault or ENDS[state])
        try:
            await self._save(state=state, fault=fault[:4000])
        except StorageError as error:
            self.refinement = self.refinement.but(state=state, fault=fault[:4000])
            log.error("the end of refinement %s could not be written down: %s", self.refinement.id, error)
        self._announce()

    # ------------------------------------------------------------------ telling

    def _hear(self, number: int, step: Progress) -> None:
        words = f"drawing, step {step.step} of {step.steps}" if step.steps else f"drawing: {step.message}"
        further = {"step": step.step, "steps": step.steps, "node": step.node, "ahead": step.ahead}
        self._tell(number, DRAWING * step.fraction, words, **further)

    def _tell(self, number: int, share: float, words: str, **further: Any) -> None:
        most = self.refinement.iterations
        fraction = max(self.progress.fraction, min((number - 1 + share) / most, 0.999))
        message = f"Iteration {number} of {most}: {words}"
        self.progress = Progress(fraction=fraction, message=message, attempt=number, **further)
        self._announce()

    def _announce(self) -> None:
        for listener in tuple(self._listeners):
            listener(self.progress)


ENDS: Mapping[str, str] = {"succeeded": "Done", "cancelled": "Cancelled", "interrupted": "Interrupted", "failed": ""}


class _NotDrawn(EngineError):
    """A round has no picture. `for_good`: another try would not have one either."""

    def __init__(self, message: str, for_good: bool) -> None:
        super().__init__(message)
        self.for_good = for_good


async def _to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """A stop waits for what has begun: half a job, or a round that nobody knows whether it is written, is no state to
    be in."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()
        raise


async def profile_of(studio: Studio, item: Item) -> FamilyProfile:
    """Of the family that drew the picture; of an unknown one where nobody can say any more."""
    from workflows.families import family

    engine = next((one for one in studio.engines if one.name == item.engine), None)
    if engine is not None and item.rendered.task != "unknown":
        try:
            return await engine.profile(item.rendered)
        except StudioError as error:
            log.info("the family of image %s is not known now: %s", item.id, error)
    return (await asyncio.to_thread(family, "unknown")).profile


def _told(stage: str, one: Round) -> dict[str, Any]:
    """What the log has of a stage that is done."""
    seen = one.evaluation
    facts: dict[str, Any] = {"image_id": one.image_id}
    if stage == "evaluating" and seen is not None:
        facts |= {"by": seen.by, "score": seen.score, "passed": seen.passed}
    if stage == "refining":
        facts |= {"by": one.refined_by, "prompt": one.refined}
    return facts


def _passed(one: Round) -> bool:
    return one.evaluation is not None and one.evaluation.passed is True


def best_of(rounds: Sequence[Round]) -> int | None:
    """The number of the best picture: one that passed, then by the evaluation's score, then by the judges'; of equals
    the first."""
    drawn = [one for one in rounds if one.image_id]
    return max(drawn, key=lambda one: (*worth(one.evaluation), -one.number)).number if drawn else None


def worth(evaluation: Evaluation | None) -> tuple[bool, float, float]:
    """Passed, the evaluator's score and the judges', each from 0 to 1; less than 0 for what was not said."""
    if evaluation is None:
        return False, -1.0, -1.0
    clip = next((one for one in evaluation.verdicts if one.judge == LAST), None)
    merit = clip.merit if clip is not None and clip.merit is not None else -1.0
    score = -1.0 if evaluation.score is None or math.isnan(evaluation.score) else evaluation.score / 10
    return evaluation.passed is True, merit if evaluation.by == LAST else score, merit
