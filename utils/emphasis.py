r"""Emphasis in prompts, as the field writes it: (red car:1.3), (red car), [red car], and \( for a plain bracket.

Round brackets without a number multiply a weight by 1.1, square ones divide it by 1.1; they nest.
A bracket without its partner is plain text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

STEP = 1.1
"""What one pair of brackets does to a weight."""
_PARTS = re.compile(r"\\[()\[\]\\]|:\s*([0-9]*\.?[0-9]+)\s*\)|[()\[\]]|[^\\()\[\]:]+|.", re.DOTALL)
_CLOSES = {")": "(", "]": "["}


@dataclass(frozen=True)
class Part:
    """A piece of a prompt with its weight; 1.0 is no emphasis."""

    text: str
    weight: float = 1.0


def emphasis(prompt: str) -> tuple[Part, ...]:
    """The prompt in pieces of equal weight, brackets taken out; the pieces joined are the plain prompt.

    Takes time in proportion to the prompt, however its brackets nest.
    """
    found = list(_PARTS.finditer(prompt))
    factors = _factors(found)
    weights, parts = [1.0], list[Part]()
    for place, one in enumerate(found):
        token = one.group()
        if place not in factors:
            parts.append(Part(token[1:] if len(token) == 2 and token[0] == "\\" else token, weights[-1]))
        elif token in {"(", "["}:
            weights.append(weights[-1] * factors[place])
        else:
            weights.pop()
    return _merged(parts)


def _factors(found: Sequence[re.Match[str]]) -> dict[int, float]:
    """What each bracket that has a partner multiplies weights by, by its place."""
    factors: dict[int, float] = {}
    open_ones: list[int] = []
    for place, one in enumerate(found):
        token, number = one.group(), one.group(1)
        opener = "(" if number else _CLOSES.get(token)
        if token in {"(", "["}:
            open_ones.append(place)
        elif opener and open_ones and found[open_ones[-1]].group() == opener:
            factor = float(number) if number else STEP if opener == "(" else 1 / STEP
            factors[open_ones.pop()] = factors[place] = factor
    return factors


def without_emphasis(prompt: str) -> str:
    """The prompt as it reads without its brackets and weights."""
    return "".join(part.text for part in emphasis(prompt))


def _merged(parts: Sequence[Part]) -> tuple[Part, ...]:
    runs = groupby(parts, key=lambda part: part.weight)
    return tuple(Part("".join(part.text for part in run), weight) for weight, run in runs)
