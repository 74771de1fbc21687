"""What a text shows signs of: which kinds, and in which parts of it. Weighs nothing and refuses nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from utils._content.ages import Ages, asian_age
from utils._content.lexicon import Lexicon, Phrase, lexicon
from utils._content.spelling import Words, readings

BETWEEN = 3
"""Words that may stand between "little" and "girl", or between "remove" and "dress"."""
CARVED = 3
"""Words after a bare body within which the statue that it is has to be named."""
ELSEWHERE = frozenset("from on in onto into off with and or next behind near".split())
"""Words after which the clothing is a place, not the thing that is removed."""
JOINTS = ELSEWHERE | frozenset(
    "the a an her his their its by beside under over above below among amid against at to of between before after atop"
    " inside outside upon around like through along across within beneath underneath beyond toward towards as is are"
    " while but wearing holding touching posing sitting lying standing leaning kneeling climbing".split()
)
"""Words that no longer let what follows them say what came before: "naked by rocks" is not "naked rocks"."""


@dataclass
class Signals:
    """By the kind of sign, the parts of the text that show it."""

    parts: dict[str, set[int]] = field(default_factory=dict[str, set[int]])
    wear: set[str] = field(default_factory=set[str])
    """Words for what is worn, where and by whom, wherever they stand."""
    bare: set[str] = field(default_factory=set[str])
    """Pieces of clothing in the parts of the text that name clothing alone."""

    def add(self, kind: str, part: int) -> None:
        self.parts.setdefault(kind, set()).add(part)

    def has(self, *kinds: str) -> bool:
        return any(kind in self.parts for kind in kinds)

    def together(self, kinds: Iterable[str], others: Iterable[str]) -> bool:
        """Whether one part of the text shows one of the kinds and one of the others."""
        here = set[int]().union(*(self.parts.get(kind, ()) for kind in kinds))
        return any(here & self.parts.get(other, set()) for other in others)


def signals(text: str) -> Signals:
    """The signs in all readings of the text. Never raises, whatever the text holds."""
    words, found = lexicon(), Signals()
    for reading in readings(text, words):
        _Search(reading, words, found).run()
    return found


class _Search:
    """One reading of one text, searched from its first word to its last."""

    def __init__(self, reading: Words, lexicon: Lexicon, found: Signals) -> None:
        self._reading, self._lexicon, self._found = reading, lexicon, found
        self._words, self._parts = reading.words, reading.parts
        self._ages = Ages(reading, lexicon)
        self._masked: set[int] = set()
        self._declined: set[int] = set()

    def run(self) -> None:
        telling = self._lexicon.telling
        places = [place for place, word in enumerate(self._words) if word in telling or word.isdigit()]
        self._mask(places)
        for place in places:
            if place not in self._masked:
                self._look_at(place, self._words[place])
        self._note_unspaced()
        self._note_bare_clothing()

    def _look_at(self, place: int, word: str) -> None:
        for phrase, kind in self._lexicon.phrases.get(word, ()):
            if self._stands(phrase, place):
                self._note(kind, place)
        if (word.isdigit() or word in self._lexicon.numbers) and self._ages.minor_at(place):
            self._add_minor(self._parts[place])

    def _stands(self, phrase: Phrase, place: int) -> bool:
        if len(phrase) == 1:
            return True
        end = place + len(phrase)
        free = self._masked.isdisjoint(range(place, end))
        return free and tuple(self._words[place:end]) == phrase

    def _note(self, kind: str, place: int) -> None:
        part = self._parts[place]
        if kind == "small":
            if self._small_girl(place):
                self._add_minor(part)
        elif kind in {"remove", "pull"}:
            if self._removes_clothing(place, kind == "pull"):
                self._found.add("removal", part)
        elif kind == "ending":
            if not self._soon(place + 1, 1):
                self._add_minor(part)
        elif place in self._declined:
            self._found.add(f"declined {kind}", part)
        elif kind == "nude" and self._of_stone(place):
            self._found.add("statue", part)
        elif kind == "minor" and self._words[place] not in self._lexicon.wear["child"]:
            self._add_minor(part)
        else:
            self._found.add(kind, part)

    def _add_minor(self, part: int) -> None:
        """A minor who is more than just a child: one of an age, or a girl, or in another language."""
        self._found.add("minor", part)
        self._found.add("told minor", part)

    def _note_unspaced(self) -> None:
        """Signs in languages without spaces, and in names that are glued together."""
        text = self._reading.text
        for sign, kind in self._lexicon.anywhere:
            if sign in text:
                self._note_where(kind, lambda word, sign=sign: sign in word and word not in self._lexicon.other)
        if text.isascii():
            return
        for pattern, kind in self._lexicon.inside:
            if pattern.search(text) and not self._note_where(
                kind, lambda word, signs=pattern: bool(signs.search(word))
            ):
                self._note_everywhere(kind)
        if asian_age(text):
            self._note_everywhere("minor")

    def _note_where(self, kind: str, shows: Callable[[str], bool]) -> bool:
        """The sign in the parts whose words show it; whether any does."""
        parts = {part for word, part in zip(self._words, self._parts, strict=True) if shows(word)}
        for part in parts:
            self._add_minor(part) if kind == "minor" else self._found.add(kind, part)
        return bool(parts)

    def _note_everywhere(self, kind: str) -> None:
        """A sign that lies across words: nobody can say in which part."""
        if kind == "minor":
            self._add_minor(0)
        for part in {0, *self._parts}:
            self._found.add(kind, part)

    def _note_bare_clothing(self) -> None:
        """Parts that name clothing and nothing else; "red shirt" is a shirt that is not wanted, "shirt" is any."""
        worn, pieces, clothing = self._lexicon.worn, self._lexicon.pieces, self._lexicon.sets["clothing"]
        dressing, spoiled = self._lexicon.sets["dressing"], set[int]()
        bare: list[tuple[str, int]] = []
        for word, part in zip(self._words, self._parts, strict=True):
            if word in worn:
                self._found.wear.add(word)
            if word in pieces:
                bare.append((word, part))
            elif not (word in clothing or word in dressing):
                spoiled.add(part)
        self._found.bare |= {word for word, part in bare if part not in spoiled}
        for part in self._found.parts.get("clothing", set()) - spoiled:
            self._found.add("only clothing", part)
        for part in {part for word, part in bare if word in self._lexicon.sets["underthing"]} - spoiled:
            self._found.add("only underthing", part)

    # ------------------------------------------------------------------ what the neighbours say

    def _small_girl(self, place: int) -> bool:
        """ "little blonde girl": one of the girlish words soon, in the same part, and nobody else before it."""
        for word in self._soon(place, BETWEEN):
            if word in self._lexicon.sets["girlish"]:
                return True
            if word in self._lexicon.sets["person"] or word in {"and", "with", "of", "in", "on"}:
                return False
        return False

    def _removes_clothing(self, place: int, needs_off: bool) -> bool:
        """ "remove her red dress", "takes off the shirt"; not "remove the logo from the shirt"."""
        sets = self._lexicon.sets
        pieces = sets["clothing"] | sets["garment"] | sets["underthing"]
        soon = self._soon(place, BETWEEN + 2)
        if needs_off and "off" not in soon:
            return False
        for ahead, word in enumerate(soon):
            if word in pieces:
                after = soon[ahead + 1] if ahead + 1 < len(soon) else ""
                return not after or after in pieces or after in ENDS
            if word in ELSEWHERE and word != "off":
                return False
        return False

    def _of_stone(self, place: int) -> bool:
        after = self._soon(place, CARVED)
        for word in after:
            if word in self._lexicon.statues:
                return True
            if word in self._lexicon.sets["person"] or word in self._lexicon.sets["minor"]:
                return False
        return False

    def _soon(self, place: int, most: int) -> list[str]:
        """The next words of the same part."""
        part = self._parts[place]
        end = min(place + 1 + most, len(self._words))
        return [self._words[next_] for next_ in range(place + 1, end) if self._parts[next_] == part]

    # ------------------------------------------------------------------ what means something else

    def _mask(self, places: Sequence[int]) -> None:
        for place in places:
            word = self._words[place]
            self._mark(self._lexicon.masks, place, word, self._masked)
            self._mark(self._lexicon.declined, place, word, self._declined)
            if word in self._lexicon.after and self._followed(place, self._lexicon.after[word]):
                self._masked.add(place)
            before = self._lexicon.before.get(word)
            if before and place and self._words[place - 1] in before:
                self._masked.add(place)
        if not self._lexicon.bird_signs.isdisjoint(self._words):
            self._masked |= {place for place in places if self._words[place] in self._lexicon.birds}

    def _mark(self, phrases: Mapping[str, tuple[Phrase, ...]], place: int, word: str, marked: set[int]) -> None:
        for phrase in phrases.get(word, ()):
            end = place + len(phrase)
            if tuple(self._words[place:end]) == phrase and not self._runs_on(end - 1):
                marked.update(range(place, end))
                return

    def _runs_on(self, place: int) -> bool:
        """Whether a phrase of several words begins here: "super bowl xxx rated" ends with another."""
        longer = self._lexicon.phrases.get(self._words[place], ())
        return any(len(phrase) > 1 and self._stands(phrase, place) for phrase, _ in longer)

    def _followed(self, place: int, by: frozenset[str]) -> bool:
        """Whether one of the words comes next, or after one plain word that describes it."""
        after = self._soon(place, 2)
        if after and after[0] in by:
            return True
        return len(after) == 2 and after[1] in by and not (after[0] in JOINTS or after[0] in self._lexicon.vocabulary)


ENDS = frozenset("from off of so to and or completely entirely please that which she he they with for in on at".split())
"""Words after the clothing that show that it was meant itself, not its stain or its pattern."""
