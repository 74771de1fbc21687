"""What each model family wants of a prompt, read from dialects.toml: its form, its own words, how much of it is read.

What the families draw, and whether they read weights and negatives, is in `workflows.families`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from utils.tokens import Encoder
from workflows.families import families

Form = Literal["plain", "tags", "phrases", "sentences"]
"""plain: simple captions, to which nothing is added."""


class Ruled(BaseModel):
    """What a family is told to keep out, by what is drawn; each a list with commas, or sentences."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    always: str = ""
    realistic: str = ""
    anime: str = ""
    artistic: str = ""
    people: str = ""
    nature: str = ""
    wordless: str = ""
    """Where no words are to be written."""
    safe: str = ""
    """Where adult content is off."""


class Dialect(BaseModel):
    """How a family wants its prompt."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    form: Form
    booru: bool = False
    """Its tags are Danbooru's: spaces for underscores, brackets of names escaped, the count first."""
    artists: bool = False
    """It draws as artists do whom it is told by name."""
    boosters: bool = False
    """Words of quality such as masterpiece help; where not they do harm or nothing."""
    first: tuple[str, ...] = ()
    """Words before all others."""
    sources: Mapping[str, str] = {}
    """A word of `first`, by the style that is drawn."""
    rating: str = ""
    """The tag of what everybody may see; the last of the first words."""
    rating_last: bool = False
    last: tuple[str, ...] = ()
    """Words after all others."""
    last_for: tuple[str, ...] = ()
    """Styles that the last words go with; none: all of them."""
    system: str = ""
    """What stands before the prompt and is no part of it: words to the encoder, as it was trained."""
    encoder: Encoder = "llm"
    budget: int | None = None
    """Tokens that are read well."""
    words: tuple[int, int] = (0, 0)
    """From how many words a prompt is long enough, and beyond which it need not be longer."""
    edits: bool = False
    """It changes a picture that is given: what was not asked for stays unsaid."""
    negative: Ruled = Ruled()


def dialect_of(family: str) -> Dialect:
    """The dialect of a family: its own table's, else that of the dialect which families.toml names for it."""
    known = _families()
    return known[family] if family in known else known["unknown"]


@cache
def boosters() -> frozenset[str]:
    """Words of quality, alone or in phrases, in small letters."""
    return frozenset(" ".join(word.split()) for word in _tables()["boosters"]["words"].split(","))


@cache
def _tables() -> Mapping[str, Any]:
    return tomllib.loads(files("workflows").joinpath("prompts/dialects.toml").read_text(encoding="utf-8"))


@cache
def _families() -> Mapping[str, Dialect]:
    general, own = _tables()["dialect"], _tables()["family"]
    return {
        name: _dialect([general[own.get(name, {}).get("like", one.dialect)], own.get(name, {})])
        for name, one in families().items()
    }


def _dialect(tables: Sequence[Mapping[str, Any]]) -> Dialect:
    """The tables as one, later ones over earlier ones."""
    merged: dict[str, Any] = {}
    for table in tables:
        merged |= {key: value for key, value in table.items() if key != "like"}
    return Dialect.model_validate(merged)
