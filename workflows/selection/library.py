"""Library: the models and LoRAs that there are, with their words looked up once. Ranks nothing itself."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from workflows.selection.analysis import asks_for_adult
from workflows.selection.vocabulary import vocabulary
from workflows.selection.words import name_stems, stems
from workflows.types import ModelInfo, TrackRecord

DRAWING = frozenset({"checkpoint", "diffusion_model"})
TITLE, TRIGGER, TAG = 1, 2, 4
"""Where a word stands, as bits."""
PLACES = {TITLE: 1.0, TRIGGER: 0.9, TAG: 0.7}
"""What a word counts there: what a file is called it is for; tags are given generously."""
COMMON = 0.2
"""What a word such as "girl" counts beside one that is as rare but means something."""
PEOPLE_TAGS = frozenset(
    "character celebrity person actress actor singer vtuber idol streamer influencer politician".split()
)
SORTS = PEOPLE_TAGS | frozenset(
    "style concept clothing clothes background building vehicle object animal action pose tool asset".split()
)
"""Tags that say what sort of thing a LoRA is for, as CivitAI has them; in the singular."""
_ASIDE = re.compile(r"[(\[{|/~].*|\s[-–—:].*", re.DOTALL)
_OPENED = re.compile(r"nsfw|hentai|porn|(?<![a-z])xxx(?![a-z])|nude|naked", re.IGNORECASE)
PRIOR_SIZE = 50
"""Files that a library is taken to have besides its own, so that words can be rare in a small one."""


@dataclass(frozen=True)
class Entry:
    """A file and its words."""

    info: ModelInfo
    title: tuple[str, ...]
    """What its title says it is for: without versions, families and what stands in brackets or after a dash."""
    words: Mapping[str, int]
    """Every word of title, triggers and tags, and where it stands."""

    @cached_property
    def adult(self) -> bool:
        """Whether it was made for adult pictures, by its marks or by its words."""
        facts = self.info.facts
        if facts.nsfw:
            return True
        text = ", ".join((" ".join(name_stems(self.info.plain_name)), facts.title, *facts.triggers, *facts.tags))
        return _OPENED.search(text) is not None or asks_for_adult(text)

    @cached_property
    def person(self) -> bool:
        """Whether it is for one character or person."""
        return self.info.facts.real_person or not PEOPLE_TAGS.isdisjoint(_tag_stems(self.info))

    @cached_property
    def sorted_out(self) -> bool:
        """Whether its tags say what sort of thing it is for."""
        return not SORTS.isdisjoint(_tag_stems(self.info))


def _tag_stems(info: ModelInfo) -> set[str]:
    return {stem for tag in info.facts.tags for stem in stems(tag)}


class Library:
    """What can be chosen from, built once for a state of the catalogue; reading it changes nothing.

    `records` by model name, in any case.
    """

    def __init__(self, models: Sequence[ModelInfo], records: Mapping[str, TrackRecord] | None = None) -> None:
        self.models = tuple(models)
        self.checkpoints = tuple(map(_entry, (info for info in models if info.kind in DRAWING and info.engine)))
        self.loras = tuple(map(_entry, (info for info in models if info.kind == "lora")))
        self.lora_families = frozenset(entry.info.family for entry in self.loras)
        self.records = {name.casefold(): record for name, record in (records or {}).items()}
        self.postings = _postings(self.loras)
        self._model_words = _postings(self.checkpoints)

    def rarity(self, word: str) -> float:
        """How much it tells that a LoRA has this word: 1 for one that stands alone, near 0 for one in most of them."""
        return self._rarity(word, len(self.postings.get(word, ())), len(self.loras))

    def holders(self, words: Sequence[str]) -> set[int]:
        """Places of the LoRAs that have all of the words."""
        return set[int].intersection(*(set(self.postings.get(word, ())) for word in words)) if words else set()

    def rarity_of_all(self, words: Sequence[str]) -> float:
        """How much it tells that a LoRA has all of the words; "long hair" is as general as its words, "dark fantasy" is
        known for what it is."""
        known = vocabulary()
        general = set(words) <= known.generic and tuple(words) not in known.kin
        return _rare(len(self.holders(words)), len(self.loras)) * (COMMON if general else 1.0)

    def model_rarity(self, word: str) -> float:
        """The same among the models."""
        return self._rarity(word, len(self._model_words.get(word, ())), len(self.checkpoints))

    def record(self, info: ModelInfo) -> TrackRecord | None:
        return self.records.get(info.name.casefold())

    @staticmethod
    def _rarity(word: str, holders: int, size: int) -> float:
        return _rare(holders, size) * (COMMON if word in vocabulary().generic else 1.0)


def _rare(holders: int, size: int) -> float:
    return max(0.0, math.log((size + PRIOR_SIZE) / (holders + 1)) / math.log(size + PRIOR_SIZE))


def _entry(info: ModelInfo) -> Entry:
    facts, words = info.facts, dict[str, int]()
    named = name_stems(info.plain_name)
    titled = stems(facts.title) if facts.title else named
    for place, found in ((TITLE, named), (TITLE, titled), (TRIGGER, _all(facts.triggers)), (TAG, _all(facts.tags))):
        for word in found:
            words[word] = words.get(word, 0) | place
    for word in _meaningless(words):
        del words[word]
    return Entry(info, _about(facts.title, titled), words)


def _all(texts: Iterable[str]) -> Iterable[str]:
    return (word for text in texts for word in stems(text))


def _meaningless(words: Iterable[str]) -> list[str]:
    filler = vocabulary().filler
    return [word for word in words if word in filler or not _telling(word)]


def _about(title: str, whole: tuple[str, ...]) -> tuple[str, ...]:
    """What the title is about: its first part where that says anything."""
    filler = vocabulary().filler
    first = [word for word in stems(_ASIDE.sub("", title)) if word not in filler and _telling(word)]
    return tuple(dict.fromkeys(first or (word for word in whole if word not in filler and _telling(word))))


def _telling(word: str) -> bool:
    """Whether it is a word: not a number and, in Latin letters, not a letter alone."""
    return not word.isdigit() and (len(word) > 1 or not word.isascii())


def _postings(entries: Sequence[Entry]) -> dict[str, list[int]]:
    """Every word with the places of the entries that have it."""
    found: dict[str, list[int]] = {}
    for place, entry in enumerate(entries):
        for word in entry.words:
            found.setdefault(word, []).append(place)
    return found
