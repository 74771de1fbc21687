"""May the picture be shown? What texts cannot tell, a classifier sees; what cannot be checked is not shown."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from utils.content_validator import ClassifierUnavailable, Exposure, NoClassifier, PictureClassifier
from workflows.content import ContentRules
from workflows.judges.resting import Resting, nothing
from workflows.types import Advice, FamilyProfile, Media, Recipe, Verdict

MOST = 0.85
"""Share of "unsafe" from which a picture is out: what Black Forest Labs' own code uses with the usual classifier."""
MOST_GRADED = 0.5
"""With more than two labels: the unsafe ones are likelier than all others together."""
MOST_STRICT = 0.5
"""Where the recipe speaks of a minor: unsafe or merely suggestive is likelier than not."""
PASSED = "Image passed the content check"
SAFER = Advice(cause="content", avoid=("nsfw", "nude"))

Find = Callable[[], PictureClassifier]
"""Which classifier looks, such as utils.content_validator.classifier_for of the setting; raises NoClassifier."""


class ContentJudge:
    """Bars what a classifier takes for unsafe, and everything while a classifier that was asked for cannot be had.

    Where adult content is allowed, it looks at pictures of recipes that speak of a minor alone.
    """

    name = "content"

    def __init__(
        self,
        find: Find,
        rules: ContentRules,
        idle_unload: float = 0.0,
        before_load: Callable[[PictureClassifier], Awaitable[None]] = nothing,
    ) -> None:
        """`idle_unload`: seconds after the last verdict until the classifier leaves memory; 0: never."""
        self._find = find
        self._rules = rules
        self._resting = Resting[PictureClassifier](idle_unload, before_load)
        self._classifier: PictureClassifier | None = None

    async def judge(self, pictures: Sequence[Media], recipe: Recipe, profile: FamilyProfile) -> Sequence[Verdict]:
        strict = await asyncio.to_thread(self._rules.strict, recipe)
        if self._rules.adult and not strict:
            return [self._unchecked("adult content is allowed on this server.")] * len(pictures)
        try:
            classifier = self._classifier or await asyncio.to_thread(self._find)
            self._classifier = classifier
            async with self._resting.awake(classifier):
                return await asyncio.to_thread(self._judge_all, pictures, classifier, strict)
        except NoClassifier as missing:
            return [self._unchecked(str(missing))] * len(pictures)

    def _judge_all(self, pictures: Sequence[Media], classifier: PictureClassifier, strict: bool) -> list[Verdict]:
        """All in one batch; when that breaks, one by one, so that one broken picture does not bar the others."""
        try:
            seen = classifier.exposures([picture.data for picture in pictures])
        except ClassifierUnavailable as error:
            if len(pictures) > 1:
                return [self._judge_all([picture], classifier, strict)[0] for picture in pictures]
            return [Verdict(judge=self.name, passed=False, reason=f"Not checked: {error}", hard=True, barred=True)]
        return [verdict_on(exposure, strict) for exposure in seen]

    def _unchecked(self, why: str) -> Verdict:
        return Verdict(judge=self.name, passed=None, reason=f"Not checked: {why}")


def verdict_on(exposure: Exposure, strict: bool) -> Verdict:
    """The verdict that follows from what the classifier saw; `strict`: the recipe speaks of a minor."""
    share = exposure.suggestive if strict else exposure.unsafe
    most = MOST_STRICT if strict else MOST_GRADED if exposure.graded else MOST
    passed = share < most
    return Verdict(
        judge=ContentJudge.name,
        passed=passed,
        score=round(share, 4),
        merit=round(_merit(share, most), 4),
        reason=PASSED if passed else f"Image failed the content check: {share:.2f} >= {most:g}",
        measures={"unsafe": round(exposure.unsafe, 4), "suggestive": round(exposure.suggestive, 4)},
        advice=() if passed else (SAFER,),
        hard=not passed,
        barred=not passed,
    )


def _merit(share: float, most: float) -> float:
    """1 for nothing at all, 0.5 at the threshold, straight down to 0."""
    return 1 - share / most / 2 if share < most else (1 - share) / (1 - most) / 2
