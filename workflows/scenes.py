"""Scenes: what a prompt says is seen first, and what follows it. One rule for who draws them and who judges them."""

from __future__ import annotations

import re

from utils.reading import vocabulary as words

_COUNTED = words.DETERMINERS - {"this", "that", "these", "those", "each", "every", "both"} | words.SEVERAL
_COLOURS = words.SHADES.union(*words.COLOUR_FAMILIES.values())
_THING = (
    rf"(?:(?:{'|'.join(sorted(_COUNTED.union(words.NUMBERS)))}|\d+)\b"
    rf"|(?:{'|'.join(sorted(_COLOURS))})\s+\w)"
)
"""How a thing begins; a colour alone is none."""
_LENS = r"the\s+(?:camera|lens|view|shot|scene|frame|picture|perspective|light)\b"
SCENES = re.compile(
    r"\s*(?:->|→|=>)\s*"
    r"|(?:"
    r"\s*(?:\.\.\.|…|[,;.])?\s+(?:and\s+)?then\s+"
    r"|,?\s+(?:that\s+|which\s+|slowly\s+)*"
    r"(?:turn(?:s|ing)?\s+into|(?:morph(?:s|ing)?|transform(?:s|ing)?|chang(?:es?|ing))\s+(?:in)?to)\s+"
    rf")(?!{_LENS})(?={_THING})",
    re.IGNORECASE,
)
"""What stands between two scenes of a prompt: an arrow; "then" or "turning into" before a thing. "Then she sits down"
is what happens in a scene, and the camera is in none."""


def scenes(prompt: str) -> list[str]:
    """The prompt's scenes in their order; one where nothing follows."""
    return [part.strip(" .,;") for part in SCENES.split(prompt) if part.strip(" .,;")] or [prompt]
