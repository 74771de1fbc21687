"""Numbers -> verdicts. The measures themselves are in utils."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from utils.validation import ClipScorer, JudgesMissing, WeightsUnavailable, validate_image
from workflows.types import FamilyProfile, Media, Recipe, Verdict

ScorerChoice = Callable[[FamilyProfile], ClipScorer]
"""Which CLIP judges what a family draws: the demo's own for the demo model, the configured one else."""


class ClipJudge:
    """Does the picture show what the prompt says? Raw cosine similarity against the recipe's threshold."""

    name = "clip"

    def __init__(self, choose: ScorerChoice) -> None:
        self._choose = choose

    async def judge(self, picture: Media, recipe: Recipe, profile: FamilyProfile) -> Verdict:
        try:
            return await asyncio.to_thread(self._judge, picture, recipe, self._choose(profile))
        except (JudgesMissing, WeightsUnavailable) as missing:
            return Verdict(judge=self.name, passed=None, reason=f"Not judged: {missing}")

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
