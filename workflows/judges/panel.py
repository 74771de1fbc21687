"""Panel: the judges of one job, asked in their order, until a picture is out or all have spoken."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from workflows.ports import Judge
from workflows.types import FamilyProfile, Media, Recipe, Verdict

log = logging.getLogger("atelier.judges")


@dataclass(frozen=True, kw_only=True)
class Panel:
    """`judges`: cheapest first, asked when the recipe wants its pictures validated.

    `gate` is asked first and of every picture, wanted or not: what it bars is neither shown nor kept.
    """

    judges: Sequence[Judge] = ()
    gate: Judge | None = None

    def hears(self, recipe: Recipe) -> bool:
        """Whether anyone is asked at all."""
        return bool(self._hearing(recipe))

    async def verdicts(
        self, pictures: Sequence[Media], recipe: Recipe, profile: FamilyProfile, parts: Sequence[Media] | None = None
    ) -> list[tuple[Verdict, ...]]:
        """What each picture was told, in the order of the pictures; a hard no ends a picture's hearing.

        `parts`: what of the pictures the recipe's words speak of; the gate looks at the whole.
        """
        said: list[tuple[Verdict, ...]] = [()] * len(pictures)
        for judge in self._hearing(recipe):
            standing = [place for place, verdicts in enumerate(said) if not _out(verdicts)]
            if not standing:
                break
            shown = pictures if parts is None or judge is self.gate else parts
            found = await self._heard(judge, [shown[place] for place in standing], recipe, profile)
            for place, verdict in zip(standing, found, strict=True):
                if self._tells(judge, recipe, verdict):
                    said[place] = (*said[place], verdict)
        return said

    async def _heard(
        self, judge: Judge, pictures: Sequence[Media], recipe: Recipe, profile: FamilyProfile
    ) -> Sequence[Verdict]:
        """A judge that breaks costs no picture; a gate that breaks lets none through."""
        try:
            return await judge.judge(pictures, recipe, profile)
        except Exception as error:
            log.exception("the judge %s broke", judge.name)
            gate = judge is self.gate
            reason = f"Not {'checked' if gate else 'judged'}: {type(error).__name__}: {error}"[:300]
            broken = Verdict(judge=judge.name, passed=False if gate else None, reason=reason, hard=gate, barred=gate)
            return [broken] * len(pictures)

    def _tells(self, judge: Judge, recipe: Recipe, verdict: Verdict) -> bool:
        """A gate that nobody asked for is heard only when it says no."""
        wanted = recipe.acceptance.validate_ and judge in self.judges
        return wanted or verdict.passed is False

    def _hearing(self, recipe: Recipe) -> list[Judge]:
        wanted = [judge for judge in self.judges if judge is not self.gate] if recipe.acceptance.validate_ else []
        return [self.gate, *wanted] if self.gate else wanted


def _out(verdicts: Sequence[Verdict]) -> bool:
    return any(verdict.hard and verdict.passed is False for verdict in verdicts)
