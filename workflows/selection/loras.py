"""Which LoRAs suit a prompt and a model: those whose words match, the rarer the better; never one of another family."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from workflows.families import lora_fits
from workflows.selection.analysis import grams
from workflows.selection.library import PLACES, TITLE, TRIGGER, Entry, Library
from workflows.selection.ranking import MARKS
from workflows.selection.vocabulary import vocabulary
from workflows.selection.words import stems, told_apart, words
from workflows.types import ModelInfo, PromptAnalysis, RankedLora

MATCH, PHRASE, KIN, POPULARITY, STYLE = 60.0, 14.0, 6.0, 10.0, 10.0
"""The most that each part gives. Our judgement, held by the tests' table of prompts."""
SUGGESTED = 25.0
"""Score from which a LoRA is worth naming."""
SURE = 52.0
"""Score from which one is taken without being asked."""
MOST_AUTOMATIC = 2
OWN_STRENGTH = 0.8
LEAST_STRENGTH, MOST_STRENGTH = 0.3, 1.0
MOST_TOGETHER = {1: 1.0, 2: 1.4}
MOST_OF_MANY = 1.5
"""What the strengths of a stack add up to at most: beyond, pictures burn."""
SIFTED = 160
"""LoRAs that are looked at closely, of those that match at all."""
TOO_COMMON = 0.12
"""Rarity below which a word alone brings no LoRA into the choice."""
LEAST_TELLING = 0.25
"""Rarity from which a trigger or title that the prompt says is no accident."""
MOST_TRIGGERS, MOST_TRIGGER_WORDS = 3, 12
KIN_SHARE = 0.35
"""What a word of the kin counts beside one of the prompt."""
UNNAMED = 0.4
"""What is left of a match when the title has a name in it that the prompt does not say."""
WORKS = 0.75
"""From this a LoRA of a related family is as good as one of its own."""
LITTLE = 0.15
"""Share of its score that one may lose by its family and still be taken without being asked: what WORKS costs."""
ODD_STYLE = -12.0


def rank_loras(
    library: Library,
    analysis: PromptAnalysis,
    model: ModelInfo,
    *,
    most: int = 3,
    adult: bool = False,
    least: float = SUGGESTED,
) -> list[RankedLora]:
    """LoRAs for the prompt that work with the model, best first, each with its strength when it is used alone.

    One of another family is never among them; of no known family neither; one that works only partly only where no
    other is for the same. `adult`: the owner allows adult content; those made for it are used only when it is asked
    for as well. No two are for the same.
    """
    wish = _Wish(library, analysis)
    fits = {family: lora_fits(family, model.family) for family in library.lora_families}
    near = [library.loras[place] for place in wish.near(fits)]
    scored = [_scored(wish, entry, fits[entry.info.family]) for entry in near]
    good = [one for one in scored if one.score >= least]
    good.sort(key=lambda one: (one.fit < WORKS, -one.score, one.entry.info.name))
    # Whether one may be used takes longest to tell, so only those are asked about that would be chosen.
    chosen = _of_different_things(good, most, lambda one: _allowed(one.entry, analysis, adult))
    return [_told(one, wish) for one in sorted(chosen, key=lambda one: (-one.score, one.entry.info.name))]


def automatic_loras(ranked: Sequence[RankedLora], most: int = MOST_AUTOMATIC) -> tuple[RankedLora, ...]:
    """Those that are used without being asked for: clear matches that work fully, with the strengths of a stack."""
    return together([one for one in ranked if _sure(one)][:most])


def _sure(one: RankedLora) -> bool:
    clear = one.score >= SURE and one.parts.get("phrase", 0.0) >= PHRASE / 2
    return clear and -one.parts.get("fit", 0.0) <= LITTLE * one.score


def together(ranked: Sequence[RankedLora]) -> tuple[RankedLora, ...]:
    """The same LoRAs with strengths that they can be used at at once."""
    total = sum(one.strength for one in ranked)
    share = min(1.0, MOST_TOGETHER.get(len(ranked), MOST_OF_MANY) / total) if total else 1.0
    return tuple(one.but(strength=round(one.strength * share, 2)) for one in ranked)


@dataclass(frozen=True)
class _Wish:
    """What the LoRAs are measured against."""

    library: Library
    analysis: PromptAnalysis

    @cached_property
    def concepts(self) -> list[tuple[str, ...]]:
        return [key for concept in self.analysis.key_concepts if (key := stems(concept))]

    @cached_property
    def said(self) -> frozenset[str]:
        """Every word of the concepts."""
        return frozenset(word for concept in self.concepts for word in concept) - vocabulary().filler

    @cached_property
    def kin(self) -> frozenset[str]:
        found = (word for tag in self.analysis.recommended_lora_tags for word in stems(tag))
        return frozenset(found) - self.said - vocabulary().filler

    @cached_property
    def text(self) -> str:
        """The concepts as one line of stems, so that a trigger can be looked for as a whole."""
        return f" {' | '.join(' '.join(concept) for concept in self.concepts)} "

    @cached_property
    def rarity(self) -> dict[str, float]:
        return {word: self.library.rarity(word) for word in self.said | self.kin}

    @cached_property
    def phrases(self) -> dict[tuple[str, ...], float]:
        """Concepts of several words, and how rare the LoRAs are that have them all: "dark fantasy" tells more than
        "dark" and "fantasy" do."""
        found: dict[tuple[str, ...], float] = {}
        for concept in self.concepts:
            for key in (concept, *grams(concept, 2)):
                if len(key) > 1 and (key == concept or key in vocabulary().kin):
                    found[key] = self.library.rarity_of_all(key)
        return found

    def near(self, fits: dict[str, float]) -> list[int]:
        """The places of the LoRAs that match best at a first look, and fit at all."""
        loras, sums = self.library.loras, dict[int, float]()
        for word, rare in self.rarity.items():
            if rare < TOO_COMMON:
                continue
            share = rare if word in self.said else rare * KIN_SHARE
            for place in self.library.postings.get(word, ()):
                entry = loras[place]
                if fits[entry.info.family] > 0:
                    sums[place] = sums.get(place, 0.0) + share * _weight(entry, word) / (2 + len(entry.title))
        for key, rare in self.phrases.items():
            for place in self.library.holders(key):
                if fits[loras[place].info.family] > 0:
                    sums[place] = sums.get(place, 0.0) + rare / (2 + len(loras[place].title))
        return sorted(sums, key=lambda place: (-sums[place], loras[place].info.name))[:SIFTED]


@dataclass(frozen=True)
class _Scored:
    entry: Entry
    fit: float
    parts: dict[str, float]
    matched: frozenset[str]

    @cached_property
    def score(self) -> float:
        return round(min(100.0, max(0.0, sum(self.parts.values()))), 1)


def _scored(wish: _Wish, entry: Entry, fit: float) -> _Scored:
    matched = frozenset(word for word in wish.said if word in entry.words)
    kin = [word for word in wish.kin if word in entry.words]
    found = _found(wish, entry, matched)
    found *= 0.3 + 0.7 * _covered(wish, entry)
    if _unnamed(wish, entry):
        found *= UNNAMED
    parts = {
        "match": MATCH * (1 - math.exp(-1.6 * found)),
        "phrase": PHRASE * _whole(wish, entry, matched),
        "kin": KIN * (1 - math.exp(-sum(wish.rarity[word] * _weight(entry, word) for word in kin))),
        "popularity": POPULARITY * _popularity(entry.info),
        "style": _style(wish.analysis.style, entry),
    }
    gross = sum(parts.values())
    if fit < 1:
        parts["fit"] = gross * (fit - 1) * 0.5
    return _Scored(entry, fit, {name: round(value, 1) for name, value in parts.items() if value}, matched)


def _found(wish: _Wish, entry: Entry, matched: frozenset[str]) -> float:
    """How much of what the prompt says is in the LoRA's words: rare words and whole phrases tell more."""
    told = {word: wish.rarity[word] * _weight(entry, word) for word in matched}
    for key, rare in wish.phrases.items():
        if matched.issuperset(key):
            whole = rare * min(_weight(entry, word) for word in key)
            share = max(0.0, whole - sum(told[word] for word in key))
            told[key[0]] += share
    return sum(told.values())


@lru_cache(maxsize=16)
def _place_weight(places: int) -> float:
    return max(weight for place, weight in PLACES.items() if places & place)


def _weight(entry: Entry, word: str) -> float:
    return _place_weight(entry.words[word])


def _covered(wish: _Wish, entry: Entry) -> float:
    """How much of what the title is about the prompt says; kin counts half."""
    shares = [(word, wish.library.rarity(word)) for word in entry.title]
    total = sum(rare for _, rare in shares)
    said = sum(rare * (1.0 if word in wish.said else 0.5 if word in wish.kin else 0.0) for word, rare in shares)
    return said / total if total else 0.0


def _unnamed(wish: _Wish, entry: Entry) -> bool:
    """Whether the title has a word that looks like a name and is not in the prompt; tags that say otherwise count."""
    return not entry.sorted_out and any(_name_like(wish.library, word) for word in entry.title if word not in wish.said)


def _name_like(library: Library, word: str) -> bool:
    """Whether it is no word that is used of things: in no list of ours, and in hardly any title."""
    return word.isalpha() and word not in vocabulary().known and len(library.postings.get(word, ())) <= 5


def _whole(wish: _Wish, entry: Entry, matched: frozenset[str]) -> float:
    """1 when the prompt says a trigger or the whole title, less when it says a concept of theirs in part."""
    named = bool(entry.title) and all(word in wish.said for word in entry.title)
    said = [stems(trigger) for trigger in entry.info.facts.triggers if _says(wish, trigger)]
    if (named and _tells(wish, entry.title)) or any(set(key) & set(entry.title) for key in said):
        return 1.0
    if said and not entry.sorted_out:
        return 0.3
    about = {word for word in matched if entry.words[word] & (TITLE | TRIGGER)}
    whole = any(len(concept) > 1 and about.issuperset(concept) for concept in wish.concepts)
    return 0.6 if whole or said else 0.0


def _says(wish: _Wish, trigger: str) -> bool:
    """Whether the prompt says the trigger as it is, and that means something."""
    key = stems(trigger)
    return bool(key) and _tells(wish, key) and f" {' '.join(key)} " in wish.text


def _tells(wish: _Wish, key: Sequence[str]) -> bool:
    """Whether the words are more than a general one such as "girl"."""
    return max(sum(wish.rarity.get(word, 0.0) for word in key), wish.phrases.get(tuple(key), 0.0)) >= LEAST_TELLING


def _popularity(info: ModelInfo) -> float:
    if info.facts.downloads is None:
        return 0.3
    rating = 0.85 if info.facts.rating is None else info.facts.rating
    return min(1.0, math.log10(1 + info.facts.downloads) / 5.5) * rating


def _style(style: str, entry: Entry) -> float:
    """Whether it draws in the style that is wished; against it where it is marked for another."""
    marked = {name for name, signs in MARKS.items() if not signs.isdisjoint(entry.words)}
    if not style or not marked:
        return 0.0
    return STYLE if style in marked else ODD_STYLE if marked & {"anime", "realistic"} else 0.0


def _allowed(entry: Entry, analysis: PromptAnalysis, adult: bool) -> bool:
    facts = entry.info.facts
    if analysis.adult and (facts.minor or facts.real_person):
        return False
    if (entry.person or facts.minor) and not _named(entry, analysis):
        return False
    return not entry.adult or (adult and analysis.adult)


def _named(entry: Entry, analysis: PromptAnalysis) -> bool:
    """Whether the prompt names whom the LoRA is for."""
    said = [stems(concept) for concept in analysis.key_concepts]
    every = {word for concept in said for word in concept}
    if entry.title and set(entry.title) <= every and not set(entry.title) <= vocabulary().generic:
        return True
    text = f" {' | '.join(' '.join(concept) for concept in said)} "
    names = [key for trigger in entry.info.facts.triggers if len(key := stems(trigger)) > 1]
    return any(f" {' '.join(key)} " in text and set(key) & set(entry.title) for key in names)


def _of_different_things(good: Sequence[_Scored], most: int, may: Callable[[_Scored], bool]) -> list[_Scored]:
    """The best that may be used, each for something in the prompt that the ones before are not for."""
    chosen: list[_Scored] = []
    for one in good:
        if len(chosen) >= most:
            break
        taken = frozenset[str]().union(*(other.matched for other in chosen))
        if _adds(one, taken, first=not chosen) and may(one):
            chosen.append(one)
    return chosen


def _adds(one: _Scored, taken: frozenset[str], *, first: bool) -> bool:
    own = {word for word in one.matched if word in one.entry.title} or one.matched
    return first or (bool(own) and taken.isdisjoint(own))


def _told(one: _Scored, wish: _Wish) -> RankedLora:
    info = one.entry.info
    own = info.facts.defaults.strength
    strength = OWN_STRENGTH if own is None else min(MOST_STRENGTH, max(LEAST_STRENGTH, own))
    return RankedLora(
        name=info.name,
        family=info.family,
        strength=round(strength, 2),
        triggers=triggers_of(info, wish.said),
        score=one.score,
        parts=one.parts,
    )


def triggers_of(info: ModelInfo, said: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """The words to wake it with: its first trigger, and others only when the prompt speaks of them.

    Makers list every costume of a character; all of them at once draw none.
    """
    found: list[str] = []
    for trigger in info.facts.triggers:
        text = " ".join(trigger.split()).strip(" ,")
        wanted = not found or (said and set(stems(text)) <= said)
        if text and wanted and len(found) < MOST_TRIGGERS and told_apart(text) not in map(told_apart, found):
            found.append(_shortened(text))
    return tuple(found)


def _shortened(trigger: str) -> str:
    """The first parts of a trigger that is a whole list of tags."""
    kept: list[str] = []
    for part in trigger.split(","):
        if part.strip() and sum(len(words(one)) for one in kept) < MOST_TRIGGER_WORDS:
            kept.append(part.strip()[:100])
    return ", ".join(kept)
