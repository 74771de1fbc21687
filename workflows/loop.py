"""render -> judge -> revise, until accepted or out of attempts; keeps the best."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from workflows.canvas import Canvas
from workflows.errors import RenderFailed
from workflows.ports import Engine, Judge
from workflows.revise import revise
from workflows.types import (
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

Keep = Callable[[Attempt, Media], Awaitable[None]]
"""Stores an attempt and writes it down before the next one begins, so that an interruption does not cost it."""


@dataclass(kw_only=True)
class Loop:
    """One picture's way from recipe to outcome. `recipe` is complete, as Engine.render wants it."""

    recipe: Recipe
    profile: FamilyProfile
    engine: Engine
    judges: Sequence[Judge]
    inputs: Mapping[str, Media]
    ticket_of: Callable[[int], Ticket]
    """The name of an attempt's render."""
    key_of: Callable[[int], str]
    """Where the picture of an attempt lies, or would lie."""
    keep: Keep
    report: Callable[[Progress, Media | None], None]
    canvas: Canvas | None = None
    """What the drawn part is put back into, so that judges and gallery see the finished picture."""
    done: Sequence[Attempt] = field(default_factory=tuple[Attempt, ...])
    """Attempts of an earlier, interrupted run: they are not made again."""
    last: Media | None = field(default=None, init=False)
    """The picture of the attempt that ended the loop: nobody has stored it yet."""

    async def run(self) -> Outcome:
        attempts = list(self.done)
        while not self._settled(attempts):
            attempt, picture = await self._attempt(len(attempts) + 1)
            attempts.append(attempt)
            if self._settled(attempts):
                self.last = picture
            else:
                await self.keep(attempt, picture)
        return self._outcome(attempts)

    def _settled(self, attempts: Sequence[Attempt]) -> bool:
        """Accepted, not judgeable, or out of attempts."""
        return bool(attempts) and (attempts[-1].passed is not False or len(attempts) >= self.recipe.acceptance.attempts)

    async def _attempt(self, number: int) -> tuple[Attempt, Media]:
        started = time.perf_counter()
        recipe = await self._wording(number)
        artifact = await self._render(recipe, number)
        verdicts = await self._judge(artifact.media, number)
        attempt = Attempt(
            number=number,
            recipe=recipe.but(seed=artifact.seed),
            key=self.key_of(number),
            media_type=artifact.media.media_type,
            width=artifact.width,
            height=artifact.height,
            model=artifact.model,
            model_hash=artifact.model_hash,
            facts=artifact.facts,
            verdicts=verdicts,
            seconds=round(time.perf_counter() - started, 3),
        )
        return attempt, artifact.media

    async def _wording(self, number: int) -> Recipe:
        if number == 1:
            return self.recipe
        return await asyncio.to_thread(revise, self.recipe, number, self.profile)

    async def _render(self, recipe: Recipe, number: int) -> Artifact:
        ticket = self.ticket_of(number)
        artifacts = await self.engine.render(recipe, self.inputs, lambda step: self._tell(step, number), ticket)
        if not artifacts:
            raise RenderFailed(f"The engine {self.engine.name!r} ended the render without a picture.")
        if self.canvas is None:
            return artifacts[0]
        return await asyncio.to_thread(self.canvas.finish, artifacts[0])

    async def _judge(self, picture: Media, number: int) -> tuple[Verdict, ...]:
        if not self.recipe.acceptance.validate_:
            return ()
        share = number / self.recipe.acceptance.attempts
        self.report(Progress(fraction=share * 0.99, message=f"Attempt {number}: judging", attempt=number), None)
        verdicts = tuple([await judge.judge(picture, self.recipe, self.profile) for judge in self.judges])
        message = f"Attempt {number}: {'; '.join(verdict.reason for verdict in verdicts)}"
        self.report(Progress(fraction=share * 0.99, message=message, attempt=number), None)
        return verdicts

    def _tell(self, step: RenderStep, number: int) -> None:
        share = (number - 1 + step.step / max(step.steps, 1)) / self.recipe.acceptance.attempts
        message = step.message or f"Attempt {number}: step {step.step} of {step.steps}"
        progress = Progress(
            fraction=min(share, 1.0) * 0.99,
            message=message,
            attempt=number,
            step=step.step,
            steps=step.steps,
            node=step.node,
            ahead=step.ahead,
        )
        self.report(progress, step.preview)

    def _outcome(self, attempts: Sequence[Attempt]) -> Outcome:
        best = max(attempts, key=_rank)
        limit = self.recipe.acceptance.attempts
        spent = best.passed is False and self.recipe.acceptance.auto_retry and len(attempts) >= limit
        return Outcome(
            attempts=tuple(attempts),
            best=best.number,
            accepted=best.passed,
            warning=f"Max retries ({limit}) reached" if spent else None,
        )


def _rank(attempt: Attempt) -> tuple[bool, float, int]:
    """Passed before not passed, then the higher score, then the earlier attempt."""
    return attempt.passed is True, attempt.score if attempt.score is not None else float("-inf"), -attempt.number
