"""render -> judge -> revise, until accepted or out of rounds; keeps the best. The next candidate is drawn meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from workflows.clips import spoken
from workflows.errors import BudgetSpent, EngineError, Refused, RenderFailed, ServiceError, ServiceUnavailable
from workflows.judges.panel import Panel
from workflows.judges.ranking import best_of, clearly_good
from workflows.ports import Engine
from workflows.repair import prepared, repair_recipe
from workflows.revise import Repair, Revision, revise
from workflows.tasks import called_off
from workflows.types import (
    MAX_SEED,
    VIDEOS,
    Artifact,
    Attempt,
    FamilyProfile,
    Media,
    Outcome,
    Progress,
    Recipe,
    RenderStep,
    Ticket,
    Verdict,
)

Permit = Callable[[Recipe], Recipe]
"""What is drawn for a recipe, by the content rules. Raises Refused; takes milliseconds."""
UNCHECKED = "Nothing is shown unchecked while ATELIER_CONTENT_MODEL asks for a check: mend it, or set it to off."
STOPPED = (EngineError, ServiceError, BudgetSpent)
"""Why an attempt is not drawn, which costs none of those that were drawn before."""
IN_PARTS = frozenset({"inpaint", "extend_video"})
"""Tasks whose words speak of a part of what comes of them."""
BARRED = "What was drawn may not be shown (content rules); nothing of it was kept. Ask for something else."


def unchanged(recipe: Recipe) -> Recipe:
    return recipe


class Surface(Protocol):
    """What is made of what an engine gives: a canvas with what was painted on it, or a film."""

    def finish(self, artifact: Artifact) -> Artifact:
        """The whole picture or video. Raises RenderFailed for what is none."""
        ...

    def part(self, finished: Media, drawn: Media) -> Media:
        """Of a finished one, what the recipe's words speak of; `drawn` is what the engine gave."""
        ...


class Desk(Protocol):
    """Where a loop's pictures get their names and go to, and who hears of them."""

    def ticket(self, number: int) -> Ticket:
        """The name of the render that begins with that attempt."""
        ...

    def key(self, number: int) -> str:
        """Where the picture of an attempt lies, or would lie."""
        ...

    async def keep(self, attempt: Attempt, picture: Media | None) -> None:
        """Store an attempt and write it down before the next one begins, so that an interruption does not cost it."""
        ...

    async def fetch(self, key: str) -> Media: ...

    async def put(self, key: str, media: Media) -> None: ...

    def report(self, progress: Progress, glimpse: Media | None) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Shot:
    """What an engine is asked for in one go: `recipe.count` attempts from `number` on."""

    number: int
    round: int
    recipe: Recipe
    inputs: Mapping[str, Media]
    canvas: Surface | None
    change: str = ""


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A shot's pictures, not judged yet."""

    shot: Shot
    artifacts: Sequence[Artifact]
    raw: Sequence[Media]
    """What the engine gave, before it was finished."""
    seconds: float


@dataclass(kw_only=True)
class Loop:
    """One picture's way from recipe to outcome. `recipe` is complete, as Engine.render wants it."""

    recipe: Recipe
    profile: FamilyProfile
    engine: Engine
    panel: Panel
    inputs: Mapping[str, Media]
    desk: Desk
    permit: Permit = unchanged
    canvas: Surface | None = None
    """What the drawn part is put back into, so that judges and gallery see the finished picture."""
    picture: int = 0
    done: Sequence[Attempt] = field(default_factory=tuple[Attempt, ...])
    """Attempts of an earlier, interrupted run: they are not made again."""
    drawing: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while drawing: loops that share it draw in turn, and judge while another draws."""
    fresh: dict[int, Media] = field(default_factory=dict[int, Media], init=False)
    """The pictures of the last attempts, by number: nobody has stored them yet."""
    _ahead: asyncio.Task[Drawn] | None = field(default=None, init=False)

    async def run(self) -> Outcome:
        """Raises EngineError when nothing can be drawn, Refused when nothing that was drawn may be shown, and
        ServiceUnavailable when nobody can say whether it may.
        """
        attempts = list(self.done)
        broken = ""
        try:
            while not self._settled(attempts) and not broken:
                try:
                    drawn = await self._next(attempts)
                except STOPPED as error:  # what was drawn before is not lost by it
                    if not _shown(attempts):
                        raise
                    broken = f"Attempt {len(attempts) + 1} could not be drawn: {error}"
                else:
                    self._draw_ahead(attempts, drawn)
                    await self._hear(attempts, drawn)
        except asyncio.CancelledError as stopped:
            raise asyncio.CancelledError(await self._call_off() or str(stopped)) from None
        finally:
            await self._call_off()
        if not _shown(attempts):
            unchecked = attempts[-1].unchecked
            raise ServiceUnavailable(f"{unchecked} {UNCHECKED}") if unchecked else Refused(BARRED)
        return self._outcome(attempts, broken)

    # ------------------------------------------------------------------ when it ends

    def _settled(self, attempts: Sequence[Attempt]) -> bool:
        """Accepted, not judgeable, or out of rounds; and for a choice, all candidates drawn or one clearly good."""
        if not attempts:
            return False
        if self._missing(attempts) and not attempts[-1].unchecked:
            all_wanted = self.recipe.acceptance.keep == "all"
            return attempts[-1].passed is None or (not all_wanted and any(map(clearly_good, attempts)))
        accepted = any(attempt.passed is not False for attempt in attempts)
        return accepted or attempts[-1].round >= self._rounds(attempts)

    def _missing(self, attempts: Sequence[Attempt]) -> int:
        """Candidates of the first round that are still to be drawn."""
        first = not attempts or attempts[-1].round == 1
        return max(0, self.recipe.acceptance.best_of - len(attempts)) if first else 0

    def _rounds(self, attempts: Sequence[Attempt]) -> int:
        """One more try, asked for more plainly, when nothing that was drawn may be shown; none when nobody can say."""
        if attempts[-1].unchecked:
            return attempts[-1].round
        return max(self.recipe.acceptance.rounds, 1 if _shown(attempts) else 2)

    # ------------------------------------------------------------------ drawing

    async def _next(self, attempts: Sequence[Attempt]) -> Drawn:
        if self._ahead is None:
            return await self._draw(await self._shot(attempts))
        ahead, self._ahead = self._ahead, None
        return await ahead

    def _draw_ahead(self, attempts: Sequence[Attempt], drawn: Drawn) -> None:
        """Begin with the candidates that this shot left out, so that they are drawn while it is judged."""
        made = len(attempts) + len(drawn.artifacts)
        if drawn.shot.round == 1 and made < self.recipe.acceptance.best_of:
            self._ahead = asyncio.create_task(self._draw(self._candidates(made)), name="candidates ahead")

    async def _call_off(self) -> str:
        """Stop what is drawn ahead; the answer is what the engine says of that stop."""
        ahead, self._ahead = self._ahead, None
        return await called_off([ahead] if ahead else [])

    async def _shot(self, attempts: Sequence[Attempt]) -> Shot:
        if self._missing(attempts):
            return self._candidates(len(attempts))
        revision = await asyncio.to_thread(revise, self.recipe, attempts, self.profile)
        shot = Shot(
            number=len(attempts) + 1,
            round=attempts[-1].round + 1,
            recipe=revision.recipe,
            inputs=self.inputs,
            canvas=self.canvas,
            change=revision.change,
        )
        return await self._repaired(revision.repair, shot) or await self._finer(revision, shot) or shot

    def _candidates(self, made: int) -> Shot:
        seed = ((self.recipe.seed or 0) + made) % (MAX_SEED + 1)
        together = 1 if self.recipe.task in VIDEOS else self.recipe.acceptance.best_of - made
        recipe = self.recipe.as_told.but(seed=seed, count=together)
        return Shot(number=made + 1, round=1, recipe=recipe, inputs=self.inputs, canvas=self.canvas)

    async def _repaired(self, repair: Repair | None, shot: Shot) -> Shot | None:
        """The faulty parts of an earlier attempt painted anew, where the engine paints."""
        if repair is None or self.recipe.task in VIDEOS:
            return None
        mask_key = f"{self.desk.key(shot.number)}.mask.png"
        recipe = repair_recipe(shot.recipe, repair.attempt.key, mask_key)
        if await self.engine.refusal(recipe) is not None:
            return None
        source = await self.desk.fetch(repair.attempt.key)
        job = await asyncio.to_thread(prepared, recipe, source, repair.regions, self.profile)
        await self.desk.put(mask_key, job.mask)
        inputs = await asyncio.to_thread(job.canvas.inputs)
        change = f"{len(repair.regions)} part(s) of attempt {repair.attempt.number} painted anew"
        return replace(shot, recipe=job.recipe, inputs=inputs, canvas=job.canvas, change=change)

    async def _finer(self, revision: Revision, shot: Shot) -> Shot | None:
        """Two passes instead of one, where the engine has them."""
        if revision.finer is None or await self.engine.refusal(revision.finer) is not None:
            return None
        return replace(shot, recipe=revision.finer, change=f"{revision.change}, a second pass")

    async def _draw(self, shot: Shot) -> Drawn:
        async with self.drawing:
            shot = replace(shot, recipe=await asyncio.to_thread(self.permit, shot.recipe))
            started = time.perf_counter()
            ticket = self.desk.ticket(shot.number)
            artifacts = await self.engine.render(shot.recipe, shot.inputs, lambda step: self._tell(step, shot), ticket)
            if not artifacts:
                raise RenderFailed(f"The engine {self.engine.name!r} ended the render without a picture.")
            seconds = (time.perf_counter() - started) / len(artifacts)
        finished = artifacts[: shot.recipe.count]
        raw = [artifact.media for artifact in finished]
        if shot.canvas is not None:
            finished = [await asyncio.to_thread(shot.canvas.finish, artifact) for artifact in finished]
        return Drawn(shot=shot, artifacts=finished, raw=raw, seconds=seconds)

    # ------------------------------------------------------------------ judging

    async def _hear(self, attempts: list[Attempt], drawn: Drawn) -> None:
        """Judge the pictures, and keep them unless they end the loop: then the caller files them."""
        heard = [self._attempt(drawn, place, verdicts) for place, verdicts in enumerate(await self._judge(drawn))]
        attempts.extend(heard)
        pictures = {one.number: drawn.artifacts[place].media for place, one in enumerate(heard) if not one.barred}
        if self._settled(attempts):
            self.fresh = pictures
            return
        for attempt in heard:
            await self.desk.keep(attempt, pictures.get(attempt.number))

    async def _judge(self, drawn: Drawn) -> list[tuple[Verdict, ...]]:
        pictures = [artifact.media for artifact in drawn.artifacts]
        if not self.panel.hears(self.recipe):
            return [()] * len(pictures)
        number = drawn.shot.number
        fraction = 0.99 * min(1.0, (number - 1 + len(pictures)) / self.recipe.acceptance.attempts)
        named = f"Attempt {number}" if len(pictures) == 1 else f"Attempts {number} to {number + len(pictures) - 1}"
        self.desk.report(Progress(fraction=fraction, message=f"{named}: judging", attempt=number), None)
        said = await self.panel.verdicts(pictures, self.recipe, self.profile, await self._parts(pictures, drawn.raw))
        told = "; ".join(verdict.reason for verdict in said[0])
        self.desk.report(Progress(fraction=fraction, message=f"Attempt {number}: {told}", attempt=number), None)
        return said

    async def _parts(self, pictures: Sequence[Media], raw: Sequence[Media]) -> Sequence[Media]:
        """What of each picture the recipe's words speak of: an inpaint's describe what is painted, not the rest."""
        if self.canvas is None or self.recipe.task not in IN_PARTS:
            return pictures
        return [await asyncio.to_thread(self.canvas.part, *pair) for pair in zip(pictures, raw, strict=True)]

    def _attempt(self, drawn: Drawn, place: int, verdicts: tuple[Verdict, ...]) -> Attempt:
        shot, artifact = drawn.shot, drawn.artifacts[place]
        number = shot.number + place
        recipe = shot.recipe.but(seed=artifact.seed, count=1, batch_index=artifact.facts.get("batch_index"))
        return Attempt(
            number=number,
            picture=self.picture,
            round=shot.round,
            change=shot.change,
            recipe=recipe,
            key=self.desk.key(number),
            media_type=artifact.media.media_type,
            width=artifact.width,
            height=artifact.height,
            model=artifact.model,
            model_hash=artifact.model_hash,
            facts=artifact.facts,
            verdicts=verdicts,
            seconds=round(drawn.seconds, 3),
        )

    def _tell(self, step: RenderStep, shot: Shot) -> None:
        drawn = shot.recipe.count * step.step / max(step.steps, 1)
        share = (shot.number - 1 + drawn) / self.recipe.acceptance.attempts
        length = f" ({told})" if (told := spoken(shot.recipe)) else ""
        progress = Progress(
            fraction=min(share, 1.0) * 0.99,
            message=f"Attempt {shot.number}{length}: {step.message or f'step {step.step} of {step.steps}'}",
            attempt=shot.number,
            step=step.step,
            steps=step.steps,
            node=step.node,
            ahead=step.ahead,
        )
        self.desk.report(progress, step.preview if self.panel.gate is None else None)

    def _outcome(self, attempts: Sequence[Attempt], broken: str) -> Outcome:
        best = best_of(attempts)
        limit = self.recipe.acceptance.rounds
        spent = best.passed is False and self.recipe.acceptance.auto_retry and attempts[-1].round >= limit
        return Outcome(
            attempts=tuple(attempts),
            best=best.number,
            accepted=best.passed,
            warning=broken or (_spent(limit) if spent else None),
        )


def _spent(limit: int) -> str:
    """Of one round alone nothing was tried again."""
    return f"Max retries ({limit}) reached" if limit > 1 else "Not tried again: retry_limit is 1"


def _shown(attempts: Sequence[Attempt]) -> bool:
    """Whether there is anything to show."""
    return any(not attempt.barred for attempt in attempts)
