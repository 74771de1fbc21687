"""What somebody picked, brought to presets: references are looked up, free words stand for themselves. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from workflows.answers import shortened
from workflows.errors import BadRecipe, NotFound
from workflows.presets import Shelf
from workflows.prompts.saying import descriptors_of, ended, sentence_about, topic_of
from workflows.selection import STYLES
from workflows.selection.analysis import style_of
from workflows.selection.words import stems, told_apart
from workflows.types import FlatKind, Preset, Wish

_PLACED = re.compile(
    r"(?:in|on|at|by|near|under|over|inside|outside|among|against|before|behind|during)\b", re.IGNORECASE
)


MOST_PICKED = 40
"""As many as a wish takes."""
MOST_NAMED = 80
"""Characters of free words that stand for the name of a preset."""
FEW = 3
"""Descriptors of a preset that go to the front of tags: its medium and what tells it best."""
TAKEN = 2
"""Words of a preset that a prompt has in common with it, when it took it up."""


@dataclass(frozen=True, kw_only=True)
class Picked:
    """Presets in the order in which they were picked, each once; and the style that a model would be chosen by."""

    presets: tuple[Preset, ...]
    style: str = ""


def picked(shelf: Shelf, parts: Mapping[str, str | None], references: Sequence[str] = ()) -> Picked:
    """What the parts (by flat kind: a reference or free words) and the references name.

    Raises NotFound with near names for a reference that is none, BadRecipe for more than a wish takes.
    """
    named = _named(shelf, [part for reference in references for part in reference.split(",")])
    given = {kind: value.strip() for kind, value in parts.items() if value and value.strip()}
    of_parts = [one for kind, value in given.items() for one in _part(shelf, cast(FlatKind, kind), value)]
    presets = tuple({preset.path or preset.text: preset for preset in (*named, *of_parts)}.values())
    if len(presets) > MOST_PICKED:
        raise BadRecipe("preset", f"{len(presets)} presets", f"at most {MOST_PICKED} go together; a few say more")
    hint = next((preset.hint for preset in reversed(presets) if preset.hint), "")  # the most special one is last
    return Picked(presets=presets, style=style_of(given.get("style", "")) or hint)


def style_preset(shelf: Shelf, style: str | None) -> str:
    """The path of the preset that a recipe's style names; "" for the styles that a model is chosen by, and for none."""
    if not style or told_apart(style) in STYLES or not shelf.has(f"style:{style}"):
        return ""
    return next((preset.path for preset in shelf.find(f"style:{style}")), "")


def _part(shelf: Shelf, kind: FlatKind, value: str) -> tuple[Preset, ...]:
    """A preset of that kind, any other preset, or the words themselves."""
    for reference in (f"{kind}:{value}", value):
        if shelf.has(reference):
            return shelf.find(reference)
    return (Preset.checked(id="own-words", name=shortened(value, MOST_NAMED), kind=kind, text=value[:1000]),)


def _named(shelf: Shelf, references: Sequence[str]) -> tuple[Preset, ...]:
    try:
        return shelf.pick(references)
    except NotFound as error:
        if error.near:
            raise
        raise NotFound("preset", error.name, hint="list_presets lists them.") from error


def left_out(wish: Wish, prompt: str) -> tuple[Preset, ...]:
    """Of what was picked, that of which the prompt says nothing; a category goes with what was picked below it."""
    said, own = frozenset(stems(prompt)), frozenset(stems(wish.words))
    paths = [preset.path for preset in wish.presets]

    def missing(preset: Preset) -> bool:
        if any(path.startswith(f"{preset.path}/") for path in paths if preset.path):
            return False
        words = frozenset(stems(preset.text)) - own
        return len(words & said) < min(TAKEN, len(words))

    return tuple(preset for preset in wish.presets if missing(preset))


def taken_up(prompt: str, presets: Sequence[Preset], form: str) -> str:
    """The prompt with these presets in it: sentences after it, tags before it, as what comes last is cut first."""
    if form == "sentences":
        told = (sentence_about(topic_of(preset), descriptors_of(preset.text)) for preset in presets)
        return " ".join([ended(prompt), *(re.sub(r"^It\b", "The picture", sentence) for sentence in told)])
    parts = [part for preset in presets for part in descriptors_of(preset.text)[:FEW]]
    return ", ".join([*parts, prompt])


def with_setting(subject: str, setting: str | None) -> str:
    """The subject where it is: "a fox" and "a snowy forest" are "a fox in a snowy forest"."""
    place = (setting or "").strip()
    if not place:
        return subject
    article = re.match(r"(?:an?|the)\s", place, re.IGNORECASE)
    between = " " if _PLACED.match(place) else " in " if article else ", "
    return f"{subject.rstrip(' .,')}{between}{place}"
