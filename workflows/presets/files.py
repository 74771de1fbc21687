"""One file of presets: its shape, and what is wrong with it said so that its author finds the place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic_core import from_json

from workflows.errors import allowed_by
from workflows.types import FlatKind
from workflows.types.words import ID, MAX_DESCRIPTORS

MOST_BYTES = 2**20
"""Of one file."""
SHOWN = 3
"""Faults of a file that are told; its author mends those first."""
RESERVED = frozenset({"style", "artist", "composition", "lighting", "category", "pack"})
"""What stands before the colon of a path and is no universal group."""

PLAIN = r"^[^()\[\]{}<>\\\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]*$"
"""One line without brackets, weights, markup and signs that nobody sees."""

Identity = Annotated[str, Field(pattern=ID)]
NAMED = r"^[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]*$"
"""One line without signs that nobody sees."""
Name = Annotated[str, Field(min_length=1, max_length=80, pattern=NAMED)]
Words = Annotated[str, Field(max_length=MAX_DESCRIPTORS, pattern=PLAIN)]
Text = Annotated[str, Field(min_length=1, max_length=MAX_DESCRIPTORS, pattern=PLAIN)]
Hint = Literal["", "realistic", "anime", "artistic", "3d", "illustration", "pixel art"]
KINDS = "style, artist, composition, lighting, category, universal or packs"


class Shape(BaseModel):
    """A part of a file: takes no field that it does not know and no value of another type."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)


class FlatEntry(Shape):
    """A preset that stands for itself."""

    id: Identity
    name: Name
    text: Text
    negative: Words = ""
    hint: Hint = ""
    artist: Annotated[str, Field(max_length=80, pattern=PLAIN)] = ""
    dates: Annotated[str, Field(max_length=40, pattern=PLAIN)] = ""
    adult: bool = False


class OptionEntry(Shape):
    """One answer of a group."""

    id: Identity
    name: Name
    text: Text


class GroupEntry(Shape):
    """One question with its answers."""

    id: Identity
    name: Name
    several: bool = False
    options: tuple[OptionEntry, ...] = Field(min_length=1, max_length=100)

    @model_validator(mode="after")
    def _told_apart(self) -> Self:
        unique("options", self.options)
        return self


class Branch(Shape):
    """What the levels of a category have in common. Where a user's file names one of ours, its empty text leaves ours
    as it is."""

    id: Identity
    name: Name
    text: Words = ""
    negative: Words = ""
    technical: tuple[GroupEntry, ...] = Field(default=(), max_length=40)
    specifics: tuple[GroupEntry, ...] = Field(default=(), max_length=40)

    @model_validator(mode="after")
    def _groups_told_apart(self) -> Self:
        unique("groups of technical and specifics", [*self.technical, *self.specifics])
        return self


class ArtistEntry(Branch):
    """Level 3. `artist` only for artists who have died."""

    artist: Annotated[str, Field(max_length=80, pattern=PLAIN)] = ""
    dates: Annotated[str, Field(max_length=40, pattern=PLAIN)] = ""


class TypeEntry(Branch):
    """Level 2."""

    hint: Hint = ""
    artists: tuple[ArtistEntry, ...] = Field(default=(), max_length=200)

    @model_validator(mode="after")
    def _artists_told_apart(self) -> Self:
        unique("artists", self.artists)
        return self


class PackEntry(Shape):
    """References that go together."""

    id: Identity
    name: Name
    description: str = Field(default="", max_length=300)
    presets: tuple[Annotated[str, Field(min_length=1, max_length=300)], ...] = Field(min_length=1, max_length=20)
    adult: bool = False


class FlatFile(Shape):
    """A file of flat presets of one kind."""

    kind: FlatKind
    presets: tuple[FlatEntry, ...] = Field(max_length=1000)

    @model_validator(mode="after")
    def _told_apart(self) -> Self:
        unique("presets", self.presets)
        return self


class CategoryFile(Branch):
    """A file of one category: its types, their artists, and the options of each."""

    kind: Literal["category"]
    hint: Hint = ""
    adult: bool = False
    types: tuple[TypeEntry, ...] = Field(default=(), max_length=100)

    @model_validator(mode="after")
    def _types_told_apart(self) -> Self:
        unique("types", self.types)
        return self


class UniversalFile(Shape):
    """A file of option groups that go with everything."""

    kind: Literal["universal"]
    groups: tuple[GroupEntry, ...] = Field(max_length=40)

    @model_validator(mode="after")
    def _told_apart(self) -> Self:
        unique("groups", self.groups)
        if taken := sorted(RESERVED & {group.id for group in self.groups}):
            raise ValueError(f"a universal group cannot have the id {taken[0]}, which stands for presets already")
        return self


class PacksFile(Shape):
    """A file of quick starts."""

    kind: Literal["packs"]
    packs: tuple[PackEntry, ...] = Field(max_length=200)

    @model_validator(mode="after")
    def _told_apart(self) -> Self:
        unique("packs", self.packs)
        return self


PresetFile: TypeAlias = FlatFile | CategoryFile | UniversalFile | PacksFile


class BrokenFile(ValueError):
    """A file of presets that cannot be used; the text says where and why, and holds no path."""


def read(raw: bytes) -> PresetFile:
    """The file that these bytes are. Raises BrokenFile."""
    if len(raw) > MOST_BYTES:
        raise BrokenFile(f"it has over {MOST_BYTES:,} bytes")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BrokenFile(f"it is not UTF-8 at byte {error.start}") from error
    try:
        return _adapter().validate_json(text)
    except ValidationError as error:
        raise BrokenFile(_told(error, text)) from error


@cache
def _adapter() -> TypeAdapter[PresetFile]:
    return TypeAdapter(Annotated[PresetFile, Field(discriminator="kind")])


def unique(what: str, entries: Iterable[Any]) -> None:
    """Raise ValueError where two siblings have the same id."""
    twice = [name for name, count in Counter(entry.id for entry in entries).items() if count > 1]
    if twice:
        raise ValueError(f"two {what} have the id {twice[0]}")


def _told(error: ValidationError, text: str) -> str:
    faults = error.errors(include_url=False)
    if faults[0]["type"] == "json_invalid":
        return f"it is not JSON: {faults[0].get('ctx', {}).get('error', faults[0]['msg'])}"
    raw = from_json(text)
    told = [_fault(dict(fault), raw) for fault in faults[:SHOWN]]
    more = len(faults) - len(told)
    return "; ".join(told) + (f"; and {more} more" if more else "")


def _fault(fault: Mapping[str, Any], raw: object) -> str:
    kind = str(fault["type"])
    if kind.startswith("union_tag"):
        return f"kind: it is {KINDS}"
    # The first part is the kind by which pydantic chose the shape.
    place = _place(fault["loc"][1:], raw)
    told = str(fault["ctx"]["error"]) if kind == "value_error" else why(fault)
    return f"{place}: {told}" if place else told


def why(fault: Mapping[str, Any]) -> str:
    """What is allowed where pydantic found this fault in a shape of ours."""
    kind = fault["type"]
    if kind == "extra_forbidden":
        return "there is no such field"
    if kind == "string_pattern_mismatch":
        if fault["ctx"]["pattern"] == ID:
            return "it is small letters, digits and hyphens, at most 60"
        return "it is one line of plain words, without brackets, weights, backslashes and hidden characters"
    return allowed_by(fault)


def _place(loc: Sequence[str | int], raw: object) -> str:
    """Such as: presets 4 (cinematic), text. What stands at a number is told by its id where it has one."""
    parts: list[str] = []
    here: Any = raw
    for step in loc:
        here = _at(here, step)
        if isinstance(step, str):
            parts.append(step[:60])
            continue
        name = _at(here, "id")
        shown = f" ({name[:60]})" if isinstance(name, str) else ""
        parts[-1:] = [f"{parts[-1] if parts else ''} {step + 1}{shown}".strip()]
    return ", ".join(parts)


def _at(here: Any, step: str | int) -> Any:
    try:
        return here[step]
    except (LookupError, TypeError):
        return None
