"""The opaque names of places in lists: a short JSON list, written so that it fits a URL."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Any, cast

from workflows.errors import BadRecipe


def cursor_of(place: Sequence[object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(list(place)).encode()).decode().rstrip("=")


def place_of(cursor: str) -> Sequence[Any]:
    """What `cursor_of` was given; empty for a text that it did not write."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        place = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, TypeError, binascii.Error, RecursionError):
        return ()
    return cast(Sequence[Any], place) if isinstance(place, list) else ()


def is_row(number: object) -> bool:
    """Whether it can be the number of a row."""
    return type(number) is int and 0 <= number < 2**63


def not_ours(cursor: str, with_the_same: str) -> BadRecipe:
    """What is said to a cursor of another list, or of nobody."""
    allowed = f"pass the cursor of the page before unchanged, with the same {with_the_same}, or none for the first page"
    return BadRecipe("cursor", cursor, allowed)
