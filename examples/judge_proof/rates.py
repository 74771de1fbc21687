"""How good a judge is: precision and recall of its objections, and how well a score tells right from wrong."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Rates:
    """How often a judge objected where something was wrong, and where nothing was."""

    wrong: int
    caught: int
    right: int
    alarms: int

    @property
    def recall(self) -> float | None:
        """The share of what is wrong that was objected to; None when nothing is wrong."""
        return self.caught / self.wrong if self.wrong else None

    @property
    def precision(self) -> float | None:
        """The share of the objections that are deserved; None when there are none."""
        said = self.caught + self.alarms
        return self.caught / said if said else None

    @property
    def false_alarms(self) -> float | None:
        """The share of what is right that was objected to; None when nothing is right."""
        return self.alarms / self.right if self.right else None


def rates(rows: Iterable[tuple[bool, bool]]) -> Rates:
    """Of rows of (it is right, the judge objected)."""
    counted = list(rows)
    wrong = [objected for right, objected in counted if not right]
    right = [objected for right, objected in counted if right]
    return Rates(len(wrong), sum(wrong), len(right), sum(right))


def auc(right: Sequence[float], wrong: Sequence[float]) -> float | None:
    """The chance that one of the right scores higher than one of the wrong; a tie counts half. None without both.

    The area under the ROC curve, as the Mann-Whitney U statistic divided by the number of couples.
    """
    if not right or not wrong:
        return None
    better = np.subtract.outer(np.asarray(right, np.float64), np.asarray(wrong, np.float64))
    return float((better > 0).mean() + 0.5 * (better == 0).mean())
