"""Numbers -> verdicts. The measures themselves are in utils."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from utils.validation import ClipScorer, JudgesMissing, WeightsUnavailable, validate_image
from workflows.types import FamilyProfile, Media, Recipe, Verdict

ScorerChoice = Callable[[FamilyProfile], ClipScorer]
"""Which CLIP judges what a family draws: the demo's own for the demo model, the configured one else."""
BeforeLoad = Callable[[ClipScorer], Awaitable[None]]
"""Called before a scorer comes into memory, so that others can make room."""


async def _nothing(scorer: ClipScorer) -> None:
    pass


class ClipJudge:
    """Does the picture show what the prompt says? Raw cosine similarity against the recipe's threshold."""

    name = "clip"

    def __init__(self, choose: ScorerChoice, idle_unload: float = 0.0, before_load: BeforeLoad = _nothing) -> None:
        """`idle_unload`: seconds after the last verdict until the scorer leaves memory; 0: never."""
        self._choose = choose
        self._idle_unload = idle_unload
        self._before_load = before_load
        self._idle: asyncio.TimerHandle | None = None

    async def judge(self, picture: Media, recipe: Recipe, profile: FamilyProfile) -> Verdict:
        scorer = self._choose(profile)
        try:
            if not scorer.loaded:
                await self._before_load(scorer)
            return await asyncio.to_thread(self._judge, picture, recipe, scorer)
        except (JudgesMissing, WeightsUnavailable) as missing:
            return Verdict(judge=self.name, passed=None, reason=f"Not judged: {missing}")
        finally:
            self._unload_when_idle(scorer)

    def _unload_when_idle(self, scorer: ClipScorer) -> None:
        if self._idle is not None:
            self._idle.cancel()
        if self._idle_unload:
            loop = asyncio.get_running_loop()
            self._idle = loop.call_later(self._idle_unload, loop.run_in_executor, None, scorer.unload)

    def _judge(self, picture: Media, recipe: Recipe, scorer: ClipScorer) -> Verdict:
        result = validate_image(
            picture.data,
            recipe.prompt,
            recipe.negative or None,
            positive_threshold=recipe.acceptance.positive_threshold,
            scorer=scorer,
        )
        measures = {
            name: float(value)
            for name, value in result.as_dict().items()
            if name.endswith(("_score", "_delta")) and value is not None
        }
        return Verdict(
            judge=self.name,
            passed=result.passed,
            score=result.positive_score,
            reason=result.reason,
            measures=measures,
        )
