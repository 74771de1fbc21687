"""Which attempt is the best: what the judges said, weighed against each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from workflows.types import Attempt, Verdict

WEIGHTS: Mapping[str, float] = {"clip": 0.5, "vision": 0.5, "people": 0.3, "pose": 0.3, "quality": 0.2}
"""How much a judge counts in the choice: that the wish is met before that bodies are whole before that it is sharp.
The order is that of published ensembles (alignment first); the numbers are our judgement."""
CLEARLY_GOOD = 0.8
"""Merit from which no further candidate is drawn."""


def merit(verdicts: Iterable[Verdict]) -> float | None:
    """The composite: the weighted mean of the merits, 0 to 1; None when nobody could judge."""
    said = [(WEIGHTS.get(one.judge, 0.0), one.merit) for one in verdicts if one.merit is not None]
    weight = sum(share for share, _ in said)
    return sum(share * value for share, value in said) / weight if weight else None


def clearly_good(attempt: Attempt) -> bool:
    """Whether a better candidate is not worth its render."""
    composite = merit(attempt.verdicts)
    return attempt.passed is True and composite is not None and composite >= CLEARLY_GOOD


def best_of(attempts: Sequence[Attempt]) -> Attempt:
    """The attempt to show: not barred before barred, passed before not, then fewer faults, more merit, the earlier."""
    return max(attempts, key=_rank)


def _rank(attempt: Attempt) -> tuple[bool, bool, int, float, float, int]:
    faults = sum(verdict.passed is False for verdict in attempt.verdicts)
    composite = merit(attempt.verdicts)
    score = attempt.score if attempt.score is not None else float("-inf")
    return not attempt.barred, attempt.passed is True, -faults, composite or 0.0, score, -attempt.number
