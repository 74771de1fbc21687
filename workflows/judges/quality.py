"""Is the picture well made? Sharpness, light, noise and traces of broken decoding; what it shows is not its matter."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext

from utils.aesthetics import AestheticPredictor
from utils.quality import QualityScore, composed, score_image
from utils.validation import ClipScorer, JudgesMissing
from workflows.judges.resting import Resting, nothing
from workflows.types import Advice, FamilyProfile, Media, Recipe, Verdict

LEAST = 6.0
"""Composite that passes. Of the demo model's pictures for its 40 hand-written prompts the worst good one has 7.3; the
one that is visibly blurred has 5.2."""
FAIR = 7.0
"""A term below this is named as a fault of a picture that does not pass."""
BLOCKS_WANTED = re.compile(
    r"\b(?:pixel[- ]?art|pixel(?:ated|s)?|(?:8|16)[- ]?bit|voxels?|mosaics?|minecraft|lego|cross[- ]stitch|halftone)\b",
    re.IGNORECASE,
)
"""Styles whose blocks and few colours are the wish and no fault."""
WITHOUT_BLOCKS = {"seams": 0.0, "in_seams": 0.0, "lattice": 0.0, "tiles": 0.0, "detail": 1.0, "level_gap": 1.0}
"""The measures of blocks as a picture without any has them."""
SHOWS_NOTHING = {
    "blank": "The picture is blank: all its pixels are nearly the same",
    "static": "The picture is static: neighbouring pixels have nothing to do with each other",
}

PredictorChoice = Callable[[FamilyProfile], AestheticPredictor | None]
"""Who rates the beauty of what a family draws; None: nobody."""


def _nobody(profile: FamilyProfile) -> None:
    return None


class QualityJudge:
    """Passes a picture whose composite (utils.quality, 0 to 10) is at least 6."""

    name = "quality"

    def __init__(
        self,
        choose: PredictorChoice = _nobody,
        idle_unload: float = 0.0,
        before_load: Callable[[ClipScorer], Awaitable[None]] = nothing,
    ) -> None:
        """`idle_unload`: seconds after the last verdict until the predictor's encoder leaves memory; 0: never."""
        self._choose = choose
        self._resting = Resting[ClipScorer](idle_unload, before_load)

    async def judge(self, pictures: Sequence[Media], recipe: Recipe, profile: FamilyProfile) -> Sequence[Verdict]:
        predictor = self._choose(profile)
        blocks = BLOCKS_WANTED.search(recipe.prompt) is not None
        async with self._resting.awake(predictor.encoder) if predictor else nullcontext():
            return await asyncio.to_thread(lambda: [self._judge(picture, predictor, blocks) for picture in pictures])

    def _judge(self, picture: Media, predictor: AestheticPredictor | None, blocks: bool) -> Verdict:
        try:
            score = score_image(picture.data, aesthetics=predictor)
            if blocks:
                score = composed(score.measures | WITHOUT_BLOCKS, aesthetic=score.aesthetic, notes=score.notes)
            return verdict_on(score)
        except (JudgesMissing, ValueError) as unjudged:
            return Verdict(judge=self.name, passed=None, reason=f"Not judged: {unjudged}")


def verdict_on(score: QualityScore) -> Verdict:
    """The verdict that follows from a score."""
    passed = score.composite >= LEAST
    known = {"technical": score.technical, "aesthetic": score.aesthetic, "adherence": score.adherence}
    return Verdict(
        judge=QualityJudge.name,
        passed=passed,
        score=score.composite,
        merit=round(_merit(score.composite), 4),
        reason=_reason(score, passed),
        measures=score.terms | {name: value for name, value in known.items() if value is not None} | score.measures,
        advice=() if passed else (_advice(score),),
        hard=score.broken is not None,
    )


def _merit(composite: float) -> float:
    """0.5 at the threshold, straight to 0 and to 1."""
    return composite / LEAST / 2 if composite < LEAST else 0.5 + (composite - LEAST) / (10 - LEAST) / 2


def _reason(score: QualityScore, passed: bool) -> str:
    if score.broken:
        return SHOWS_NOTHING[score.broken]
    told = f"Quality {score.composite:.1f} of 10 ({score.grade})"
    if passed:
        return told
    faults = ", ".join(f"{name} {score.terms[name]:.1f}" for name in _faults(score))
    beauty = f", aesthetic {score.aesthetic:.1f}" if score.aesthetic is not None and score.aesthetic < FAIR else ""
    return f"Low quality: {told[8:]} < {LEAST:g}: {faults or 'no technical fault'}{beauty}"


def _faults(score: QualityScore) -> list[str]:
    """The terms that are low, worst first."""
    return sorted((name for name, value in score.terms.items() if value < FAIR), key=lambda name: score.terms[name])


def _advice(score: QualityScore) -> Advice:
    """What to ask for instead. A broken picture needs another seed, not other words."""
    words = [] if score.broken else [_words(fault, score) for fault in _faults(score)]
    return Advice(
        cause="quality",
        say=tuple(wish for wish, _ in words),
        avoid=tuple(word for _, avoided in words for word in avoided),
    )


def _words(fault: str, score: QualityScore) -> tuple[str, tuple[str, ...]]:
    """What to say and what to avoid for a low term."""
    if fault == "sharpness":
        return "sharp focus", ("blurry", "out of focus")
    if fault == "noise":
        return "clean smooth surfaces", ("noise", "grain")
    if fault == "artefacts":
        return "clean lines", ("jpeg artifacts", "banding")
    if score.measures["lightest"] < 0.6:
        return "well lit", ("underexposed", "too dark")
    if score.measures["blown"] > 0.1:
        return "soft even light", ("overexposed", "blown highlights")
    return "rich contrast", ("washed out", "low contrast")
