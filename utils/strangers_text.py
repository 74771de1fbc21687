"""Text from strangers as it may be shown and stored: without what steers a terminal, and bounded."""

from __future__ import annotations

import re

_HIDDEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""What steers a terminal, or turns the direction of a text around, and is no part of any word."""
ONE_LINE = 1_000
"""Characters up to which a text has no line ends of its own."""


def without_controls(text: str) -> str:
    return _HIDDEN.sub(" ", text)


def text_of(value: object, most: int = 500) -> str:
    """At most that many characters of a text, without control characters; a short one is a single line."""
    if not isinstance(value, str):
        return ""
    text = without_controls(value.strip()[:most])
    return (re.sub(r"[\t\r\n]+", " ", text) if most <= ONE_LINE else text).strip()
