"""The words of words.toml, arranged for looking up: by word, by beginning, by shape."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from utils._content.letters import leet_key, plain, squeezed

Phrase = tuple[str, ...]
LEAST = 3
"""Letters of the shortest word that is looked for in other spellings; shorter ones meet too many harmless words."""
MOST = 16
"""Letters of the longest such word."""
LONG_NUMBER = 4
"""Letters of numbers that are not looked for stretched: "trees" is no "tres"."""
COMPARED = frozenset({"dressing", "girlish"})
"""Kinds that are no sign alone: only what stands beside another sign is compared with them."""


@dataclass(frozen=True)
class Lexicon:
    """Everything that a reader of texts looks up; see words.toml for what the kinds of signs mean."""

    phrases: Mapping[str, tuple[tuple[Phrase, str], ...]]
    """By their first word, the longest first: the phrase and the kind of its sign."""
    starts: Mapping[str, tuple[tuple[str, str], ...]]
    """Words that stand for all that begin with them, by their first three letters: the beginning and its entry."""
    inside: tuple[tuple[re.Pattern[str], str], ...]
    anywhere: tuple[tuple[str, str], ...]
    telling: frozenset[str]
    """Words at which there is something to look up: they begin a phrase or are a number, or may be masked."""
    numbers: Mapping[str, int]
    """Ordinals too."""
    ordinals: Mapping[str, int]
    ages: Mapping[str, frozenset[str]]
    masks: Mapping[str, tuple[Phrase, ...]]
    """Harmless phrases by their first word, the longest first."""
    declined: Mapping[str, tuple[Phrase, ...]]
    after: Mapping[str, frozenset[str]]
    before: Mapping[str, frozenset[str]]
    statues: frozenset[str]
    birds: frozenset[str]
    bird_signs: frozenset[str]
    other: frozenset[str]
    short: frozenset[str]
    """Short words that are no pieces of a broken one."""
    torn: frozenset[str] = field(repr=False)
    """Words that are read back from pieces that are no words."""
    wear: Mapping[str, frozenset[str]]
    """What is worn, where and by whom, by kind."""
    pieces: frozenset[str] = field(repr=False)
    """Single pieces of clothing, underwear among them."""
    worn: frozenset[str] = field(repr=False)
    """All of `wear`."""
    sets: Mapping[str, frozenset[str]]
    """The single words of each kind of sign."""
    vocabulary: frozenset[str]
    """Every word that some list holds: what other spellings are read back to."""
    beginnings: frozenset[str]
    """The first three letters of each of them."""
    leet_prefixes: frozenset[str]
    """How the words begin, up to their whole length, in the form of `leet_key`."""
    by_leet: Mapping[str, str] = field(repr=False)
    by_squeeze: Mapping[str, tuple[str, ...]] = field(repr=False)
    sticky: frozenset[str] = field(repr=False)
    """Words that names are glued together from; at least one of `strong` is among the parts."""
    strong: frozenset[str] = field(repr=False)


@cache
def lexicon() -> Lexicon:
    """The words of words.toml, read once."""
    table = tomllib.loads(files("utils._content").joinpath("words.toml").read_text(encoding="utf-8"))
    signs = {kind: _entries(text) for kind, text in table["signs"].items()}
    pairs = [(entry, kind) for kind, entries in signs.items() if kind not in COMPARED for entry in entries]
    masks = [tuple(entry.split()) for entry in _entries(table["harmless"]["phrases"])]
    numbers, ordinals = _numbers(table["numbers"]), _numbers(table["ordinals"])
    ages = {name: frozenset(_entries(text)) for name, text in table["ages"].items()}
    vocabulary = _vocabulary(signs, numbers, ordinals)
    sets = {kind: frozenset(entry for entry in entries if " " not in entry) for kind, entries in signs.items()}
    sticky, strong = _glue(sets)
    wear = {kind: frozenset(_entries(text)) for kind, text in table["wear"].items()}
    phrases, harmless = _phrases(pairs), _by_first(masks)
    declined = _by_first([tuple(entry.split()) for entry in _entries(table["declined"]["phrases"])])
    masking = {word for kind in ("after", "before") for word in table["harmless"][kind]}
    return Lexicon(
        phrases=phrases,
        telling=frozenset({*phrases, *harmless, *declined, *masking, *numbers, *ordinals}),
        starts=_starts(entry for entry, _ in pairs if entry.endswith("*")),
        inside=_inside(table["inside"]),
        anywhere=tuple((entry, kind) for kind, text in table["anywhere"].items() for entry in _entries(text)),
        numbers=numbers | ordinals,
        ordinals=ordinals,
        ages=ages,
        masks=harmless,
        declined=declined,
        after={word: frozenset(_entries(text)) for word, text in table["harmless"]["after"].items()},
        before={word: frozenset(_entries(text)) for word, text in table["harmless"]["before"].items()},
        statues=frozenset(_entries(table["art"]["after"])),
        birds=frozenset(_entries(table["birds"]["words"])),
        bird_signs=frozenset(_entries(table["birds"]["signs"])),
        other=frozenset(_entries(table["other"]["words"])),
        short=frozenset(_entries(table["other"]["short"])),
        torn=_torn(sets),
        wear=wear,
        pieces=sets["garment"] | sets["underthing"],
        worn=frozenset[str]().union(*wear.values()),
        sets=sets,
        vocabulary=vocabulary,
        beginnings=frozenset(word[:LEAST] for word in vocabulary if len(word) >= LEAST),
        leet_prefixes=frozenset(leet_key(word[:end]) for word in vocabulary for end in range(1, len(word) + 1)),
        by_leet={leet_key(word): word for word in sorted(vocabulary) if len(word) >= LEAST and word.isascii()},
        by_squeeze=_by_squeeze(word for word in vocabulary if word not in numbers or len(word) > LONG_NUMBER),
        sticky=sticky,
        strong=strong,
    )


def _entries(text: str) -> list[str]:
    return [plain(entry.strip()) for entry in text.replace("\n", " ").split(",") if entry.strip()]


def _numbers(table: Mapping[str, str]) -> dict[str, int]:
    return {word: int(number) for number, text in table.items() for word in _entries(text)}


def _vocabulary(signs: Mapping[str, list[str]], *numbers: Mapping[str, int]) -> frozenset[str]:
    words = {word for entries in signs.values() for entry in entries for word in entry.split()}
    return frozenset(words.union(*numbers))


def _phrases(pairs: Iterable[tuple[str, str]]) -> dict[str, tuple[tuple[Phrase, str], ...]]:
    found: dict[str, list[tuple[Phrase, str]]] = {}
    for entry, kind in pairs:
        phrase = tuple(entry.split())
        found.setdefault(phrase[0], []).append((phrase, kind))
    return {first: tuple(sorted(several, key=lambda one: -len(one[0]))) for first, several in found.items()}


def _by_first(phrases: Iterable[Phrase]) -> dict[str, tuple[Phrase, ...]]:
    found: dict[str, list[Phrase]] = {}
    for phrase in phrases:
        found.setdefault(phrase[0], []).append(phrase)
    return {first: tuple(sorted(several, key=len, reverse=True)) for first, several in found.items()}


def _starts(entries: Iterable[str]) -> dict[str, tuple[tuple[str, str], ...]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for entry in dict.fromkeys(entries):
        found.setdefault(entry[:LEAST], []).append((entry[:-1], entry))
    return {first: tuple(several) for first, several in found.items()}


def _inside(table: Mapping[str, Any]) -> tuple[tuple[re.Pattern[str], str], ...]:
    """One pattern a kind: any of its entries, and those that must not touch other katakana."""
    bounded: Mapping[str, str] = table["bounded"]
    kinds = [kind for kind in table if kind != "bounded"]
    patterns: list[tuple[re.Pattern[str], str]] = []
    for kind in kinds:
        alone = [rf"(?<![ァ-ヶー]){re.escape(entry)}(?![ァ-ヶー])" for entry in _entries(bounded.get(kind, ""))]
        anywhere = [re.escape(entry) for entry in _entries(table[kind])]
        patterns.append((re.compile("|".join([*anywhere, *alone])), kind))
    return tuple(patterns)


def _by_squeeze(vocabulary: Iterable[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for word in sorted(vocabulary):
        if len(word) >= LEAST:
            found.setdefault(squeezed(word), []).append(word)
    return {key: tuple(words) for key, words in found.items()}


def _torn(sets: Mapping[str, frozenset[str]]) -> frozenset[str]:
    kinds = ("explicit", "nude", "anatomy", "suggestive", "intimate", "extreme", "abuse", "undress", "minor")
    return frozenset(word for kind in kinds for word in sets[kind] if len(word) > LEAST and word.isascii())


def _glue(sets: Mapping[str, frozenset[str]]) -> tuple[frozenset[str], frozenset[str]]:
    kinds = ("explicit", "nude", "suggestive", "minor", "girlish", "small", "person", "abuse")
    words = {word for kind in kinds for word in sets[kind] if len(word) >= LEAST and word.isascii()}
    strong = sets["explicit"] | sets["nude"] | sets["abuse"] | {"loli", "lolis", "shota", "little", "young", "teen"}
    return frozenset(words), frozenset(word for word in strong if len(word) >= LEAST)
