"""The words of vocabulary.toml, ready to be looked up."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from workflows.selection.words import Stems, stems, unspaced


@dataclass(frozen=True)
class Terms:
    """Terms by what they stand for: those in letters by their stems, those without spaces as they are written."""

    spelled: Mapping[Stems, tuple[tuple[str, float], ...]]
    anywhere: Mapping[str, tuple[tuple[str, float], ...]]
    longest: int
    """Words of the longest term."""

    @classmethod
    def of(cls, lists: Iterable[tuple[str, float, str]]) -> Terms:
        """Of rows (what the terms stand for, their weight, the terms separated by commas)."""
        spelled: dict[Stems, list[tuple[str, float]]] = {}
        anywhere: dict[str, list[tuple[str, float]]] = {}
        for meaning, weight, text in lists:
            for term in listed(text):
                if unspaced(term):
                    anywhere.setdefault(term, []).append((meaning, weight))
                else:
                    spelled.setdefault(stems(term), []).append((meaning, weight))
        return cls(
            {key: tuple(value) for key, value in spelled.items()},
            {key: tuple(value) for key, value in anywhere.items()},
            max(map(len, spelled), default=1),
        )


@dataclass(frozen=True)
class Vocabulary:
    styles: Terms
    style_names: Mapping[str, str]
    content: Terms
    text_signs: Terms
    tags: Terms
    kin: Mapping[Stems, tuple[str, tuple[str, ...]]]
    """Stems of a concept -> the concept as it is written, and its kin."""
    boosters: frozenset[str]
    breaks: frozenset[str]
    """Words that end a phrase, besides those of the grammar."""
    generic: frozenset[str]
    filler: frozenset[str]
    narrow: frozenset[str]
    known: frozenset[str]
    """Stems of every word in the lists: what is among them is no name of a person."""


def listed(text: str) -> list[str]:
    return [term for part in text.split(",") if (term := " ".join(part.split()))]


@cache
def vocabulary() -> Vocabulary:
    table = tomllib.loads(files("workflows").joinpath("selection/vocabulary.toml").read_text(encoding="utf-8"))
    plain = {name: frozenset(stem for term in listed(text) for stem in stems(term)) for name, text in _plain(table)}
    return Vocabulary(
        styles=Terms.of(_style_rows(table["styles"])),
        style_names=table["style_names"],
        content=Terms.of((kind, 1.0, text) for kind, text in table["content"].items()),
        text_signs=Terms.of((kind, 1.0, text) for kind, text in table["text"].items()),
        tags=Terms.of((kind, 1.0, text) for kind, text in table["tags"].items()),
        kin={stems(concept): (concept, tuple(listed(text))) for concept, text in table["kin"].items()},
        **plain,
        known=frozenset(_every_stem(table)),
    )


def _plain(table: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    return ((name, table["plain"][name]) for name in ("boosters", "breaks", "generic", "filler", "narrow"))


def _style_rows(styles: Mapping[str, Mapping[str, str]]) -> Iterable[tuple[str, float, str]]:
    for name, lists in styles.items():
        yield name, STRONG, lists["strong"]
        yield name, WEAK, lists["weak"]


def _every_stem(value: object) -> Iterable[str]:
    if isinstance(value, str):
        yield from stems(value)
    elif isinstance(value, dict):
        for key, inner in value.items():  # pyright: ignore[reportUnknownVariableType]
            yield from _every_stem(key)  # pyright: ignore[reportUnknownArgumentType]
            yield from _every_stem(inner)  # pyright: ignore[reportUnknownArgumentType]


STRONG, WEAK = 3.0, 1.0
"""What a word that names a style counts beside one that goes with it."""
