"""What somebody picked, brought to presets: references are looked up, free words stand for themselves. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from workflows.presets import Shelf
from workflows.selection.analysis import style_of
from workflows.types import FlatKind, Preset

_PLACED = re.compile(
    r"(?:in|on|at|by|near|under|over|inside|outside|among|against|before|behind|during)\b", re.IGNORECASE
)


@dataclass(frozen=True, kw_only=True)
class Picked:
    """Presets in the order in which they were picked, each once; and the style that a model would be chosen by."""

    presets: tuple[Preset, ...]
    style: str = ""


def picked(shelf: Shelf, parts: Mapping[str, str | None], references: Sequence[str] = ()) -> Picked:
    """What the parts (by flat kind: a reference or free words) and the references name.

    Raises NotFound with near names for a reference that is none.
    """
    named = shelf.pick(part for reference in references for part in reference.split(","))
    given = {kind: value.strip() for kind, value in parts.items() if value and value.strip()}
    of_parts = [one for kind, value in given.items() for one in _part(shelf, cast(FlatKind, kind), value)]
    presets = tuple({preset.path or preset.text: preset for preset in (*named, *of_parts)}.values())
    hint = next((preset.hint for preset in reversed(presets) if preset.hint), "")  # the most special one is last
    return Picked(presets=presets, style=style_of(given.get("style", "")) or hint)


def _part(shelf: Shelf, kind: FlatKind, value: str) -> tuple[Preset, ...]:
    """A preset of that kind, any other preset, or the words themselves."""
    for reference in (f"{kind}:{value}", value):
        if shelf.has(reference):
            return shelf.find(reference)
    return (Preset.checked(id="own-words", name="Own words", kind=kind, text=value[:1000]),)


def with_setting(subject: str, setting: str | None) -> str:
    """The subject where it is: "a fox" and "a snowy forest" are "a fox in a snowy forest"."""
    place = (setting or "").strip()
    if not place:
        return subject
    article = re.match(r"(?:an?|the)\s", place, re.IGNORECASE)
    between = " " if _PLACED.match(place) else " in " if article else ", "
    return f"{subject.rstrip(' .,')}{between}{place}"
