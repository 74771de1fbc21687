"""What a wish says before anything is added: its look, what it shows, how it is put, and what it leaves open."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from typing import Any

from utils.content_validator import shows_person
from utils.reading import vocabulary as grammar
from utils.reading.atoms import spoken
from utils.reading.people import PeopleAsked, people_asked
from utils.reading.phrases import noun_phrases
from workflows.families import Family
from workflows.prompts.spelling import QUOTED
from workflows.selection.analysis import analyse, style_of
from workflows.selection.words import Stems, stems, unspaced
from workflows.types import Wish

LONG = 60
"""Words from which a prompt is only polished: it has said what it wants."""
PICTURED = frozenset({"portrait", "landscape", "scene", "animal", "architecture", "object", "character"})
"""What can stand before a camera."""
_FOREIGN = frozenset(
    "der die das ein eine einen einem einer und mit auf im vor ohne unter el los las una con en del y sobre sin le les "
    "des du dans avec sur et une lo gli di nella della com uma no da em na um het een van op met".split()
)
_MANNER = re.compile(r"\bin the (?:style|manner) of (?=[A-Z])|\bby (?=[A-Z][\w'’-]+ (?:(?:van|von|de|da|di) )?[A-Z])")
"""How an artist is named, whose medium is not ours to say."""
_CLOSE = re.compile(r"\b(?:an? )?(?:extreme )?(?:close[- ]?ups?|macro)\b(?: shot)?(?: of)?", re.IGNORECASE)
_FRONT = 16
"""Letters from the beginning within which the first words name what a picture is of."""
_ENGLISH = frozenset("the of a an on at with and by from to under over near into is are through behind".split())


@cache
def tables() -> Mapping[str, Any]:
    """dressing.toml."""
    return tomllib.loads(files("workflows").joinpath("prompts/dressing.toml").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Terms:
    """A list of words and phrases that a text may have, whatever their endings."""

    keys: frozenset[Stems]

    @classmethod
    def of(cls, listed: str) -> Terms:
        return cls(frozenset(key for term in listed.split(",") if (key := stems(term))))

    def among(self, grams: frozenset[Stems]) -> bool:
        return not self.keys.isdisjoint(grams)


def grams(text: str) -> frozenset[Stems]:
    """All runs of up to three words of a text, as stems; none across punctuation."""
    found: set[Stems] = set()
    for clause in re.split(r"[,.;:!?()\n\"“”]+", text.replace("_", " ")):
        key = stems(clause)
        found |= {key[start : start + length] for length in (1, 2, 3) for start in range(len(key) - length + 1)}
    return frozenset(found)


@dataclass(frozen=True)
class Reading:
    """A wish as it was understood; `words` are the user's as the family reads them."""

    words: str
    wish: Wish
    family: Family

    @cached_property
    def grams(self) -> frozenset[Stems]:
        """What the words say to be seen: not what is to be written, nor what is ruled out."""
        return grams(re.sub(r"\b(?:no|not|without|never)\s[^,.;]+", " ", QUOTED.sub(" ", spoken(self.plain))))

    @cached_property
    def plain(self) -> str:
        """The words, of compounds the last part alone: a beach towel is no beach."""
        return _compounds().sub(lambda found: found[0].split()[-1], self.words)

    @cached_property
    def asked(self) -> PeopleAsked | None:
        return people_asked(self.words)

    @cached_property
    def somebody(self) -> bool:
        """Whether the words speak of people."""
        return (
            shows_person(spoken(self.words)) or (self.asked is not None and self.asked.least > 0) or self.has("humans")
        )

    @cached_property
    def several(self) -> bool:
        first = next(iter(noun_phrases(self.words)), None)
        crew = first is not None and first.plural and terms(tables()["lists"]["humans"]).among(grams(first.noun))
        return crew or (self.asked is not None and self.asked.least > 1)

    @cached_property
    def flat(self) -> bool:
        """Whether it is a sign on a sheet, such as an icon or a map, with no space of its own."""
        return terms(tables()["lists"]["flat"]).among(grams(" ".join(self.words.split()[:4]))) and not self.somebody

    @cached_property
    def told(self) -> frozenset[Stems]:
        """What words and presets say together."""
        return self.grams.union(*(grams(preset.text) for preset in self.wish.presets))

    @cached_property
    def count(self) -> int:
        return len(self.words.split())

    @cached_property
    def long(self) -> bool:
        return self.count > LONG

    @cached_property
    def content(self) -> str:
        kind = analyse(self.plain).content_type
        if kind == "portrait" and not self.somebody and (rest := _CLOSE.sub("", self.plain)) != self.plain:
            kind = "animal" if self.has("animals") else analyse(rest).content_type
        if kind in {"architecture", "landscape", "object"} and self._begins_with_somebody():
            return "character"
        return kind

    def _begins_with_somebody(self) -> bool:
        """Whether the picture is of people at a place, not of the place."""
        low = self.words.lower()
        named = self.asked.words.split(",")[0] if self.asked and self.asked.least else ""
        front = terms(tables()["lists"]["humans"]).among(grams(low[: 2 * _FRONT].split(" in ")[0]))
        return (bool(named) and 0 <= low.find(named) < _FRONT) or front

    @cached_property
    def style(self) -> str:
        """The style that the words themselves name, or ""."""
        return analyse(self.words).style

    @cached_property
    def tagged(self) -> bool:
        """Whether it is a list of tags, not a sentence."""
        parts = [part for part in self.words.split(",") if part.strip()]
        return len(parts) >= 4 and sum(len(part.split()) <= 3 for part in parts) >= 0.8 * len(parts)

    @cached_property
    def named(self) -> bool:
        """Whether the words name the medium."""
        return bool(self.style) or self.has("media") or _MANNER.search(self.words) is not None

    @cached_property
    def fantastic(self) -> bool:
        return self.has("fantastic")

    @cached_property
    def look(self) -> str:
        """The style that is drawn: asked for, in the words, picked, the family's own, or what the subject suggests."""
        asked = style_of(self.wish.style) if self.wish.style else ""
        picked = next((look for preset in self.wish.presets if (look := style_of(preset.hint or ""))), "")
        if found := asked or self.style or picked:
            return found
        if self.named or self.wish.style:
            return ""
        if self.family.style:
            return self.family.style[0]
        photographed = self.content in PICTURED and not self.fantastic and not self.foreign and not self.tagged
        return "realistic" if photographed and not any(preset.kind == "style" for preset in self.wish.presets) else ""

    @cached_property
    def people(self) -> bool:
        return self.somebody or self.content in {"character", "portrait"}

    @cached_property
    def nobody(self) -> bool:
        """Whether surely nobody is in the picture."""
        return not self.people and not self.foreign and not self.has("crowded")

    @cached_property
    def writes(self) -> bool:
        """Whether something is to be written in the picture."""
        return self.content == "text" or self.has("lettered") or QUOTED.search(self.words) is not None

    @cached_property
    def foreign(self) -> bool:
        """Whether it is in another language than English."""
        letters = [letter for letter in self.words if letter.isalpha()]
        if sum(not letter.isascii() for letter in letters) * 3 > len(letters):
            return True
        low = self.words.lower().split()
        return sum(word in _FOREIGN for word in low) > sum(word in _ENGLISH for word in low)

    @cached_property
    def unspaced(self) -> bool:
        return unspaced(self.words)

    @cached_property
    def sentence(self) -> bool:
        """Whether the words are a sentence with a verb of their own, so that nothing can be "of" them."""
        first = [word.strip("\"'(),.;").lower() for word in re.split(r"(?<=[.;!?])\s", self.words)[0].split()]
        for place, word in enumerate(first):
            verbal = word in _verbs() and place > 0
            relative = any(before in {"who", "which", "that", "where"} for before in first[:place])
            if verbal and not relative and first[place - 1] not in grammar.DETERMINERS | {"of", "says", "to"}:
                return True
        return len(re.findall(r"[.!?](?:\s|$)", self.words)) > 1

    def has(self, name: str) -> bool:
        """Whether the words have one of a list of dressing.toml."""
        return terms(tables()["lists"][name]).among(self.grams)

    def says(self, aspect: str) -> bool:
        """Whether words or presets speak of an aspect already."""
        return terms(tables()["said"].get(aspect, "")).among(self.told) or self._picked(aspect)

    def _picked(self, aspect: str) -> bool:
        """Whether a preset was picked for the aspect."""
        kinds = {"light": "lighting", "framing": "composition"}
        groups = {"light": ("lighting", "time"), "palette": ("color", "colour"), "framing": ("composition", "camera")}
        for preset in self.wish.presets:
            group = preset.path.partition(":")[0] if ":" in preset.path else preset.path.rpartition("/")[0]
            if preset.kind == kinds.get(aspect) or any(word in group for word in groups.get(aspect, ())):
                return preset.kind in {"lighting", "composition", "option"}
        return False


@cache
def terms(listed: str) -> Terms:
    return Terms.of(listed)


@cache
def _compounds() -> re.Pattern[str]:
    listed = (re.escape(one) for one in " ".join(tables()["lists"]["compounds"].split()).split(", "))
    return re.compile(rf"\b(?:{'|'.join(listed)})(?:s|es)?\b", re.IGNORECASE)


@cache
def _verbs() -> frozenset[str]:
    return frozenset(" ".join(tables()["verbs"]["finite"].split()).replace(",", " ").split())


def all_stems(texts: Iterable[str]) -> frozenset[str]:
    return frozenset(stem for text in texts for stem in stems(text))
