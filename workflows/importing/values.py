"""Values out of documents that nobody vouches for: the wanted kind, or None. Nothing here raises."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

MOST_DOCUMENT = 8_000_000
"""Characters of a JSON document that is read; the largest graphs of the field have a tenth of that."""
MOST_TEXT = 20_000

MOST_WHOLE = 10**20
"""Seeds of 64 bits are below it; more is no number of anything."""


def document(text: str | None) -> dict[str, Any] | None:
    """The JSON object that the text is, or that follows a word and a colon ("prompt: {...}"); None for any other."""
    if text is None or len(text) > MOST_DOCUMENT:
        return None
    start = text[:40].find("{")
    if start < 0:
        return None
    try:
        found: Any = json.loads(text[start:].strip("\0 \r\n\t"))
    except (ValueError, RecursionError):
        return None
    return table(found) or None


def table(value: object) -> dict[str, Any]:
    """The value where it is an object, else an empty one."""
    if not isinstance(value, Mapping):
        return {}
    return {str(name): one for name, one in cast("Mapping[Any, Any]", value).items()}


def rows(value: object, most: int = 1000) -> list[Any]:
    """The value where it is a list, else an empty one."""
    return list(cast("list[Any]", value)[:most]) if isinstance(value, list | tuple) else []


def tables(value: object) -> Iterator[dict[str, Any]]:
    """The objects of a list; a JSON text of a list is taken for it."""
    return (found for one in rows(value) if (found := table(one)))


def text(value: object, most: int = MOST_TEXT) -> str:
    """The value where it is a text, or a number as one; NUL and lone surrogates are left out."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    try:
        shown = str(value)
    except ValueError:  # an integer of thousands of digits
        return ""
    return shown[:most].replace("\0", "").encode("utf-8", "ignore").decode().strip()


def number(value: object) -> float | None:
    """A finite number, also as a text ("7.0")."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        found = float(value[:40] if isinstance(value, str) else value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def whole(value: object) -> int | None:
    """A whole number, also as a text or as 20.0. Seeds of 64 bits come through unharmed."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value if abs(value) < MOST_WHOLE else None
    if isinstance(value, str) and re.fullmatch(r"\s*-?[0-9]{1,20}\s*", value):
        return int(value)
    found = number(value)
    return None if found is None or abs(found) > 1e15 else int(found)


def truth(value: object) -> bool:
    """True, or the text that says so."""
    return value is True or (isinstance(value, str) and value.strip().lower() == "true")


def size(value: object) -> tuple[int, int] | None:
    """ "832x1216", "(832, 1216)" or [832, 1216] as width and height."""
    parts = rows(value)[:2]
    if isinstance(value, str):
        found = re.search(r"([0-9]{1,6})\s*[x×,*]\s*([0-9]{1,6})", value[:60], re.IGNORECASE)
        parts = list(found.groups()) if found else []
    wide, high = (whole(part) for part in parts) if len(parts) == 2 else (None, None)
    return (wide, high) if wide and high and wide > 0 and high > 0 else None
