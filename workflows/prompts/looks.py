"""The words of looks.toml, ready to be looked up: times, weathers, media, framing, light, mood."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True)
class More:
    """What a wish for more of something adds, and what it takes out; `slot`: of which it takes the place."""

    add: str
    out: tuple[str, ...] = ()
    slot: str = ""


@cache
def tables() -> Mapping[str, Any]:
    return tomllib.loads(files("workflows").joinpath("prompts/looks.toml").read_text(encoding="utf-8"))


@cache
def slots() -> Mapping[str, tuple[str, ...]]:
    """Words that rule each other out, by what they are about; longer ones first."""
    return {name: _listed(text) for name, text in tables()["slots"].items()}


@cache
def areas() -> Mapping[str, tuple[str, ...]]:
    """Words by the area of a picture that they tell."""
    found = {name: _listed(text) for name, text in tables()["areas"].items()}
    slot = slots()
    found["medium"] += slot["medium"]
    found["setting"] += slot["time"] + slot["season"] + slot["weather"]
    found["composition"] += slot["shot"] + slot["angle"]
    return found


@cache
def against() -> Mapping[str, tuple[tuple[str, ...], ...]]:
    """Lists of words that cannot both be drawn, by what they are about."""
    return {name: tuple(map(_listed, lists)) for name, lists in tables()["against"].items()}


@cache
def more() -> Mapping[str, More]:
    return {
        name: More(one["add"], _listed(one.get("out", "")), one.get("slot", ""))
        for name, one in tables()["more"].items()
    }


def slot_of(term: str) -> str:
    """What a word is one of, such as time; "" for others."""
    low = term.lower()
    return next((name for name, terms in slots().items() if low in terms), "")


def said(term: str) -> str:
    """How a word of a slot is said in a sentence: "night" -> "at night"."""
    return tables()["said"].get(term.lower(), term)


@cache
def pattern(terms: Sequence[str]) -> re.Pattern[str]:
    """Any of the terms as whole words; hyphens and underscores are spaces."""
    parts = (re.escape(term).replace(r"\ ", "[ _-]").replace(r"\-", "[ _-]?") for term in terms)
    return re.compile(rf"(?<![^\W_])(?:{'|'.join(parts)})(?![^\W_])", re.IGNORECASE)


def _listed(text: str) -> tuple[str, ...]:
    return tuple(sorted((part for one in text.split(",") if (part := one.strip())), key=len, reverse=True))
