r"""Emphasis in prompts, as the field writes it: (red car:1.3), (red car), [red car], and \( for a plain bracket.

Round brackets without a number multiply a weight by 1.1, square ones divide it by 1.1; they nest.
A bracket without its partner is plain text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

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
    """The prompt in pieces of equal weight, brackets taken out; the pieces joined are the plain prompt."""
    frames: list[tuple[str, list[Part]]] = [("", [])]
    for found in _PARTS.finditer(prompt):
        token, number = found.group(), found.group(1)
        opener = "(" if number else _CLOSES.get(token)
        if token in {"(", "["}:
            frames.append((token, []))
        elif opener and frames[-1][0] == opener:
            factor = float(number) if number else STEP if opener == "(" else 1 / STEP
            _, inner = frames.pop()
            frames[-1][1].extend(Part(part.text, part.weight * factor) for part in inner)
        else:
            frames[-1][1].append(Part(token[1:] if len(token) == 2 and token[0] == "\\" else token))
    while len(frames) > 1:
        bracket, inner = frames.pop()
        frames[-1][1].extend([Part(bracket), *inner])
    return _merged(frames[0][1])


def without_emphasis(prompt: str) -> str:
    """The prompt as it reads without its brackets and weights."""
    return "".join(part.text for part in emphasis(prompt))


def _merged(parts: list[Part]) -> tuple[Part, ...]:
    merged: list[Part] = []
    for part in parts:
        if merged and merged[-1].weight == part.weight:
            merged[-1] = Part(merged[-1].text + part.text, part.weight)
        else:
            merged.append(part)
    return tuple(merged)
