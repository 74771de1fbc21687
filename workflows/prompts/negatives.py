"""What a family is told to keep out of a picture, by what is drawn: its defaults, without what was asked for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from utils.content_validator import check_texts
from workflows.families import Family
from workflows.prompts.dialects import Dialect, dialect_of
from workflows.prompts.reading import Reading
from workflows.selection.words import stems
from workflows.types import MAX_PROMPT, Negative, Wish

DRAWN = frozenset({"artistic", "illustration", "pixel art"})
NATURE = frozenset({"landscape"})


def negative_for(family: Family, words: str = "", hint: str = "", *, adult: bool = False) -> Negative:
    """The family's own negative prompt for a picture of these words, in that style; empty where it reads none.

    Nothing in it is what the words ask for, and nothing is refused by the content rules beside them.
    """
    name, title = family.profile.name, family.profile.title
    if not family.profile.negatives:
        return Negative(negative="", family=name, used=False, why=f"{title} reads no negative prompt.")
    dialect = dialect_of(name)
    if not any(dialect.negative.model_dump().values()):
        return Negative(negative="", family=name, used=True, why=f"{title} needs none of its own.")
    reading = Reading(words, Wish(words=words, style=hint), family)
    parts = [part for part in _defaults(dialect, reading, adult=adult) if not _asked_for(part, reading)]
    text = joined(_allowed(words, parts, adult=adult))
    return Negative(negative=text, family=name, used=True, why=_why(dialect, reading, title))


def merged(*lists: Sequence[str]) -> list[str]:
    """Parts of negative prompts in their order, each once, whatever its endings."""
    known: dict[tuple[str, ...], str] = {}
    for part in (part for some in lists for part in some if part):
        known.setdefault(stems(part) or (part.lower(),), part)
    return list(known.values())


def parts_of(negative: str) -> list[str]:
    """The parts of a negative prompt: between commas that are outside brackets, or its sentences."""
    parts: list[str] = []
    depth, begun = 0, 0
    for place, sign in enumerate(negative):
        depth = max(0, depth + (sign in "([") - (sign in ")]"))
        if sign in ",\n" and not depth:
            parts.append(negative[begun:place])
            begun = place + 1
    tidy = [" ".join(part.split()) for part in (*parts, negative[begun:])]
    return [sentence for part in tidy for sentence in re.split(r"(?<=\w\.)\s+(?=[A-Z])", part) if sentence]


def joined(parts: Sequence[str]) -> str:
    """The parts as one text; whole sentences after the others."""
    sentences = [part for part in parts if part.endswith(".")]
    lists = ", ".join(part for part in parts if not part.endswith("."))
    return " ".join([f"{lists}." if lists and sentences else lists, *sentences]).strip()[:MAX_PROMPT]


def _defaults(dialect: Dialect, reading: Reading, *, adult: bool) -> Iterator[str]:
    told = dialect.negative
    if not adult:
        yield from parts_of(told.safe)
    yield from parts_of(told.always)
    look = "artistic" if reading.look in DRAWN else reading.look
    yield from parts_of({"realistic": told.realistic, "anime": told.anime, "artistic": told.artistic}.get(look, ""))
    if reading.people:
        yield from parts_of(told.people)
    if reading.content in NATURE:
        yield from parts_of(told.nature)
    if not reading.writes:
        yield from parts_of(told.wordless)


def _asked_for(part: str, reading: Reading) -> bool:
    """Whether the words ask for what the part keeps out, such as a blurry background or a painting."""
    said = {stem for gram in reading.grams for stem in gram}
    key = {stem for stem in stems(part) if stem not in {"low", "bad", "extra", "poorly", "the", "a"}}
    if part.endswith("."):
        return False
    if "furry" in part or part in {"mammal", "feral", "anthro", "ambiguous form", "semi-anthro"}:
        return reading.has("animals") or bool(said & {"furry", "anthro", "kemono", "feral"})
    return bool(key) and key <= said


def _allowed(words: str, parts: Sequence[str], *, adult: bool) -> list[str]:
    """Without what the content rules refuse beside the words, unless they refuse the words alone."""
    if not check_texts(words, joined(parts), adult=adult) or check_texts(words, adult=adult):
        return list(parts)
    return [part for part in parts if not check_texts(words, part, adult=adult)]


def _why(dialect: Dialect, reading: Reading, title: str) -> str:
    reasons = [f"what {title} gets wrong most often"]
    if reading.people:
        reasons.append("hands and bodies, as people are drawn")
    if dialect.negative.wordless and not reading.writes:
        reasons.append("stray lettering")
    if reading.look == "realistic" and dialect.negative.realistic:
        reasons.append("anything but a photograph")
    return f"Against {', '.join(reasons)}."
