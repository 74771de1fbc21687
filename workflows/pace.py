"""Pace: how long the attempt in work still takes, from the steps it has made; None where that would be a guess."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mark:
    """The first step that was reported of an attempt, and when: what came before it (loading, waiting) is no pace."""

    name: str
    """Which attempt of which picture it is."""
    step: int
    moment: float
    """Seconds of a monotonic clock."""


def marked(before: Mark | None, name: str, step: int, moment: float) -> Mark | None:
    """The mark to measure from, once a step was made; a new one for a new attempt, or when the steps begin anew."""
    if step < 1:
        return None
    if before is None or before.name != name or step < before.step:
        return Mark(name, step, moment)
    return before


def seconds_left(mark: Mark | None, step: int, steps: int, moment: float) -> float | None:
    """Seconds until the last step; None before two steps were seen, and when one at most is left: that one is often
    the decoding, which takes a video longer than all steps together."""
    if mark is None or step <= mark.step or step >= steps - 1:
        return None
    return round((moment - mark.moment) / (step - mark.step) * (steps - step), 1)
