"""Batch: many briefs refined, a few at a time, into a folder; under one budget, and resumable at every point."""

from __future__ import annotations

import asyncio
import logging
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from workflows.errors import BadRecipe, BudgetSpent, StorageError, StudioError
from workflows.refinery.folder import Folder
from workflows.refinery.refinery import Refinery
from workflows.spending import Account, Budget, spending
from workflows.types import MAX_ITERATIONS, Brief, Progress, Refinement, new_id, now
from workflows.types.refining import BRIEF_ID

log = logging.getLogger("atelier.refinery")

MOST_AT_ONCE = 50
"""Briefs in work at once; a studio takes twice as many jobs."""
FOREVER = 365 * 86400.0


@dataclass(frozen=True, kw_only=True)
class Step:
    """How far a batch is. `refinement` and `progress` are of the brief that moved."""

    done: int
    total: int
    refinement: Refinement
    progress: Progress


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A batch as it ended. `stopped`: why it did before its time; "" when all was done."""

    run_id: str
    refinements: Sequence[Refinement]
    summary: Mapping[str, Any]
    stopped: str = ""


@dataclass(kw_only=True)
class Batch:
    """One run. It is named by `run_id`, which is written into the folder before anything is asked for."""

    refinery: Refinery
    output: Path
    batch_size: int = 5
    iterations: int = 3
    evaluator: str = "auto"
    run_id: str = ""
    """"" names it by its time; on resume it is found in the folder."""
    budget: Budget | None = None
    report: Callable[[Step], None] = lambda step: None
    """Called on the event loop."""
    _done: dict[str, Refinement] = field(default_factory=dict[str, Refinement], init=False)
    _total: int = field(default=0, init=False)
    _stopped: str = field(default="", init=False)

    async def run(self, briefs: Sequence[Brief], *, resume: bool = False) -> Ended:
        """Refine them all. With `resume` goes on with the folder's run: what was drawn, seen or reworded is not asked
        for again, a changed brief begins anew as a version of itself, and a new one is added.

        A brief that fails ends none of the others; a budget that is spent ends the batch before the call that would
        pass it. Raises BadRecipe, StorageError; a cancel leaves everything resumable and its files up to date.
        """
        self.check(briefs)
        folder = Folder(self.output, self.refinery.gallery)
        await asyncio.to_thread(folder.open)
        await self.named(resume=resume)
        before = {one.brief.id: one for one in await self.refinery.refinements.of_run(self.run_id)}
        if before and not resume:
            raise BadRecipe("run_id", self.run_id, "there is a run of that name; go on with it by --resume")
        await asyncio.to_thread(folder.keep_run, self._told())
        self._total = len(briefs)
        log.info("batch of %d begins", len(briefs), extra=self._asked())
        waiting = iter([(brief, before.get(brief.id)) for brief in briefs])
        workers = [self._work(waiting, folder) for _ in range(min(self.batch_size, len(briefs)))]
        try:
            await _all(workers)
        finally:
            ended = await asyncio.shield(asyncio.ensure_future(self._sum_up(briefs, folder)))
        return ended

    # ------------------------------------------------------------------ before

    def check(self, briefs: Sequence[Brief]) -> None:
        """Raises BadRecipe for what cannot be run."""
        if not briefs:
            raise BadRecipe("prompts", 0, "a batch has at least one")
        if not 1 <= self.batch_size <= MOST_AT_ONCE:
            raise BadRecipe("batch_size", self.batch_size, f"it is 1 to {MOST_AT_ONCE}")
        if not 1 <= self.iterations <= MAX_ITERATIONS:
            raise BadRecipe("iterations", self.iterations, f"it is 1 to {MAX_ITERATIONS}")
        if self.run_id and not re.match(BRIEF_ID, self.run_id):
            raise BadRecipe("run_id", self.run_id, "letters, digits, dots, dashes and underscores, at most 100")
        self.refinery.evaluating.check(self.evaluator)

    async def named(self, *, resume: bool) -> str:
        """Which run it is, by the folder where it goes on with one; a new one is named. Raises BadRecipe."""
        folder = Folder(self.output, self.refinery.gallery)
        found = str((await asyncio.to_thread(folder.run)).get("run_id", ""))
        if not resume:
            if found:
                step = f"it holds the run {found}; go on with that by --resume, or choose another folder"
                raise BadRecipe("output_dir", str(self.output), step)
            self.run_id = self.run_id or f"{datetime.now():%Y%m%d-%H%M%S}-{new_id()[:4]}"
        elif found and self.run_id not in {"", found}:
            raise BadRecipe("run_id", self.run_id, f"the folder holds the run {found}; choose its own folder")
        elif not found and not self.run_id:
            step = "it holds no run to go on with; name it by RUN_ID, or leave --resume out"
            raise BadRecipe("output_dir", str(self.output), step)
        else:
            self.run_id = found or self.run_id
        return self.run_id

    def _told(self) -> dict[str, Any]:
        return {"run_id": self.run_id, "begun": now().isoformat(), **self._asked()}

    def _asked(self) -> dict[str, Any]:
        return {"batch_size": self.batch_size, "iterations": self.iterations, "evaluator": self.evaluator}

    # ------------------------------------------------------------------ the work

    async def _work(self, waiting: Any, folder: Folder) -> None:
        """One of the hands: takes the next brief until there is none, or the batch is stopped."""
        for brief, before in waiting:
            if self._stopped:
                return
            with spending(Account(run_id=self.run_id, brief_id=brief.id, budget=self.budget)):
                ended = await self._refine(brief, before, folder)
            await folder.keep(ended)
            self._done[brief.id] = ended
            log.info("%s %s", brief.id, ended.state, extra={"brief_id": brief.id, "fault": ended.fault})
            self._tell(ended, Progress(fraction=1.0, message=ended.state))

    async def _refine(self, brief: Brief, before: Refinement | None, folder: Folder) -> Refinement:
        try:
            begun = await self._begun(brief, before)
        except StudioError as error:
            elsewhere = isinstance(error, BadRecipe) and error.argument == "refinement"
            if elsewhere or isinstance(error, StorageError):
                raise
            failed = Refinement.checked(
                id=self._id(brief), run_id=self.run_id, brief=brief, state="failed", fault=str(error)[:4000],
                iterations=self.iterations, evaluator=self.evaluator,
            )  # fmt: skip
            await self.refinery.refinements.save(failed)
            return failed
        if begun.ended:
            return begun
        return await self._followed(begun, folder)

    async def _begun(self, brief: Brief, before: Refinement | None) -> Refinement:
        """The brief's refinement at work, or as it ended in an earlier process."""
        if before is None or before.brief != brief:
            return await self.refinery.start(brief, self.iterations, self.evaluator, self.run_id, self._id(brief))
        whole = before.state == "succeeded" and (before.iterations >= self.iterations or _accepted(before))
        if whole or before.state == "cancelled":
            return before
        return await self.refinery.resume(before, max(self.iterations, len(before.rounds)))

    async def _followed(self, begun: Refinement, folder: Folder) -> Refinement:
        """The refinement at its end. Its files follow it round by round."""
        written = len(begun.rounds)

        def hear(progress: Progress) -> None:
            nonlocal written
            current = next((one for one in self.refinery.active() if one.id == begun.id), begun)
            if not current.ended:  # its end is told when it is counted and its files are there
                self._tell(current, progress)
            if len(current.rounds) > written:
                written = len(current.rounds)
                writing.append(asyncio.ensure_future(folder.keep(current)))

        writing: list[asyncio.Task[None]] = []
        try:
            ended = await self.refinery.wait(begun.id, FOREVER, hear)
        except asyncio.CancelledError:
            await asyncio.shield(asyncio.ensure_future(self.refinery.interrupt(begun.id)))
            raise
        finally:
            await asyncio.gather(*writing, return_exceptions=True)  # each is written anew at the end
        if isinstance(error := self.refinery.stopped_by(begun.id), BudgetSpent):
            self._stopped = str(error)
        return ended

    def _id(self, brief: Brief) -> str:
        """The same in every process that goes on with the run."""
        return str(uuid5(NAMESPACE_URL, f"atelier:{self.run_id}/{brief.id}"))

    def _tell(self, refinement: Refinement, progress: Progress) -> None:
        self.report(Step(done=len(self._done), total=self._total, refinement=refinement, progress=progress))

    # ------------------------------------------------------------------ after

    async def _sum_up(self, briefs: Sequence[Brief], folder: Folder) -> Ended:
        """Bring all files up to date with the ledger, and count."""
        of_run = {one.brief.id: one for one in await self.refinery.refinements.of_run(self.run_id)}
        mine = [of_run[brief.id] for brief in briefs if brief.id in of_run]
        for one in mine:
            await folder.keep(one)
        summary = await self._summary(mine, len(briefs))
        await asyncio.to_thread(folder.keep_summary, summary)
        await folder.keep_sheet(mine, self.run_id)
        log.info("batch ended", extra={"states": summary["states"], "stopped": self._stopped})
        return Ended(run_id=self.run_id, refinements=mine, summary=summary, stopped=self._stopped)

    async def _summary(self, refinements: Sequence[Refinement], total: int) -> dict[str, Any]:
        rounds = [one for refinement in refinements for one in refinement.rounds]
        told: dict[str, Any] = {
            "run_id": self.run_id,
            "stopped": self._stopped,
            "prompts": total,
            "states": dict(Counter(one.state for one in refinements)),
            "accepted": sum(_accepted(one) for one in refinements),
            "rounds": len(rounds),
            "pictures": sum(one.image_id is not None for one in rounds),
            "seconds": round(sum(one.seconds for one in rounds), 3),
        }
        if self.refinery.calls is not None:
            asked = await self.refinery.calls.stats(run_id=self.run_id)
            priced = [one.cost for one in asked if one.cost is not None]
            told |= {"calls": sum(one.calls for one in asked), "cost": round(sum(priced), 6) if priced else None}
            told["services"] = [one.model_dump(mode="json") for one in asked]
        told["results"] = [_line(one) for one in refinements]
        return told


async def _all(workers: Sequence[Any]) -> None:
    """All of them to their ends; the first that breaks stops the others, and is what is raised."""
    tasks = [asyncio.ensure_future(worker) for worker in workers]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _accepted(refinement: Refinement) -> bool:
    chosen = refinement.chosen
    return bool(chosen and chosen.evaluation and chosen.evaluation.passed)


def _line(refinement: Refinement) -> dict[str, Any]:
    chosen = refinement.chosen
    seen = chosen.evaluation if chosen else None
    return {
        "prompt_id": refinement.brief.id,
        "title": refinement.brief.title,
        "state": refinement.state,
        "fault": refinement.fault,
        "refinement_id": refinement.id,
        "rounds": len(refinement.rounds),
        "best": refinement.best,
        "image_id": chosen.image_id if chosen else None,
        "score": seen.score if seen else None,
        "passed": seen.passed if seen else None,
        "prompt": chosen.prompt if chosen else None,
    }
