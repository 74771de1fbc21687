"""What judges say of a picture, and what came of the rounds."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from workflows.types.recipe import Recipe
from workflows.types.values import Value

Cause = Literal["subject", "count", "attribute", "relation", "anatomy", "quality", "content"]


class Region(Value):
    """Part of a picture; edges as shares of its width and height, from the upper left."""

    left: float = Field(ge=0.0, le=1.0)
    top: float = Field(ge=0.0, le=1.0)
    right: float = Field(ge=0.0, le=1.0)
    bottom: float = Field(ge=0.0, le=1.0)


class Advice(Value):
    """One fault of a picture and what the next attempt should do about it; empty parts ask for nothing."""

    cause: Cause
    emphasise: tuple[str, ...] = ()
    """Phrases that the picture lacks, as they stand in the user's prompt."""
    say: tuple[str, ...] = ()
    """Wording that makes the wish plain, such as "exactly two people"; always positive, never "no ..."."""
    avoid: tuple[str, ...] = ()
    """Words for the negative prompt, where the family reads one."""
    repair: tuple[Region, ...] = ()
    """Parts that could be painted anew instead of the whole."""


class Verdict(Value):
    """One judge's answer about one picture. `passed` None: it could not judge, and `reason` says why."""

    judge: str
    passed: bool | None
    score: float | None = None
    """On the judge's own scale, never rescaled: a cosine for clip, 0 to 10 for quality, a share for the others."""
    merit: float | None = Field(default=None, ge=0.0, le=1.0)
    """The score made comparable, 0.5 just passing: what candidates are ranked by."""
    reason: str
    measures: dict[str, float] = Field(default_factory=dict)
    atoms: dict[str, float] = Field(default_factory=dict)
    """How well each part of the prompt is met, 0 to 1, by its words."""
    advice: tuple[Advice, ...] = ()
    hard: bool = False
    """With `passed` False: the picture is out whatever others say, so that they are not asked."""
    barred: bool = False
    """The picture may not be shown or kept at all."""


class Attempt(Value):
    """One round: the recipe as it was rendered, where the picture lies, and what the judges said."""

    number: int
    """From 1, over all rounds of its picture."""
    picture: int = 0
    """Which picture of the job it is for, from 0."""
    round: int = 1
    """Which round of revision it belongs to; the candidates of one choice are of the same round."""
    change: str = ""
    """What its round changed, in words; nothing in the first."""
    recipe: Recipe
    key: str
    media_type: str
    width: int
    height: int
    model: str
    model_hash: str | None = None
    facts: dict[str, Any] = Field(default_factory=dict)
    verdicts: tuple[Verdict, ...] = ()
    seconds: float = 0.0
    """The render took; of a batch, its share."""

    @property
    def passed(self) -> bool | None:
        """True when all judges passed it, False when one said no, None when none could judge."""
        said = [verdict.passed for verdict in self.verdicts if verdict.passed is not None]
        return all(said) if said else None

    @property
    def score(self) -> float | None:
        """What the gallery filters and sorts by: the CLIP score where there is one, else the first judge's."""
        scores = {verdict.judge: verdict.score for verdict in self.verdicts if verdict.score is not None}
        return scores.get("clip", next(iter(scores.values()), None))

    @property
    def unchecked(self) -> str:
        """Why nobody could say whether it may be shown, where that is why it is barred."""
        return next((one.reason for one in self.verdicts if one.barred and one.score is None), "")

    @property
    def barred(self) -> bool:
        """Whether a judge said that it may not be shown."""
        return any(verdict.barred for verdict in self.verdicts)


class Outcome(Value):
    """All rounds of one picture, with the best of them and whether it was accepted."""

    attempts: tuple[Attempt, ...]
    best: int
    """Number of the best attempt (attempts are numbered from 1)."""
    accepted: bool | None
    warning: str | None = None

    @property
    def chosen(self) -> Attempt:
        return next(attempt for attempt in self.attempts if attempt.number == self.best)
