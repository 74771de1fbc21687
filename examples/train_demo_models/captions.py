"""Captions with a checkable meaning: what they say is kept as a set of allowed symbols for every fact.

A `Caption` is true of a picture when every fact of the picture is among the allowed symbols, false when one is
not, and open when a fact is merely tolerable (a thing in the top left corner, called "on the left").
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import words as w
from numpy.typing import NDArray
from scenes import (
    COLOUR_NAMES,
    FACT_FIELDS,
    LARGE,
    MEDIUM,
    NO_POSE,
    PERSON,
    PLACES,
    POSES,
    SHAPES,
    SMALL,
    WHITE,
    Facts,
    other_than,
)

ANY = 0x7FFF
COUNT, SHAPE, COLOUR, SIZE, PLACE, BACKGROUND, POSE = range(len(FACT_FIELDS))
PLACE_TOLERANCE = {1: (5, 7), 2: (6, 8), 3: (5, 6), 4: (7, 8)}
SEVERAL = (2, 3, 4, 5)


def bits(*symbols: int) -> int:
    """The set of these symbols as a bit mask."""
    return sum(1 << s for s in set(symbols))


@dataclass(frozen=True)
class Caption:
    """A text with, for every fact, the symbols that make it true and those that leave it open."""

    text: str
    true: tuple[int, ...]
    open: tuple[int, ...]


@dataclass(frozen=True)
class Wording:
    """How much a caption tells. The rates are probabilities that a fact which need not be told is told."""

    colour: float = 0.94
    size: float = 0.5
    place: float = 0.45
    pose: float = 0.6
    white_background: float = 0.72
    other_background: float = 0.72
    vague_count: float = 0.06
    opening: float = 0.45
    style: float = 0.3


JUDGE_WORDING = Wording()
# without a word on the background the generator should prefer white: other backgrounds are nearly always told
GENERATOR_WORDING = Wording(white_background=0.68, other_background=0.97)


def held_out(text: str) -> bool:
    """Is this text, one in sixteen, kept out of all training and used for measuring only?"""
    return zlib.crc32(text.encode()) % 16 == 0


def outsider(text: str) -> Caption:
    """A caption that is true of no picture."""
    return Caption(text, (0,) * len(FACT_FIELDS), (0,) * len(FACT_FIELDS))


def plural(noun: str) -> str:
    """The plural of a shape's word."""
    return w.PLURALS.get(noun, noun + "s")


def with_article(phrase: str) -> str:
    """The phrase with 'a' or 'an' in front."""
    return ("an " if phrase[0] in "aeiou" else "a ") + phrase


class _Writer:
    """Writes one caption and keeps account of what it says."""

    def __init__(self, facts: Facts, rng: random.Random, wording: Wording, noun: str | None, hue: str | None) -> None:
        self.facts, self.rng, self.wording, self.noun, self.hue = facts, rng, wording, noun, hue
        self.true = [ANY] * len(FACT_FIELDS)
        self.open = [0] * len(FACT_FIELDS)

    def chance(self, rate: float) -> bool:
        return self.rng.random() < rate

    def says(self, field: int, *symbols: int, tolerates: Sequence[int] = ()) -> None:
        self.true[field] = bits(*symbols)
        self.open[field] = bits(*tolerates) if tolerates else 0

    def colour_word(self, colour: int) -> str:
        return self.rng.choice(w.COLOUR_WORDS[COLOUR_NAMES[colour]])

    def size_word(self) -> str:
        size = self.facts.size
        if size == MEDIUM or not self.chance(self.wording.size):
            return ""
        self.says(SIZE, size, tolerates=[MEDIUM])
        return self.rng.choice(w.SIZE_WORDS[size]) + " "

    def hue_word(self) -> str:
        if self.hue is None and not self.chance(self.wording.colour):
            return ""
        self.says(COLOUR, self.facts.colour)
        return (self.hue or self.colour_word(self.facts.colour)) + " "

    def subject(self) -> tuple[str, str]:
        """The thing or things with their attributes, and a clause that may follow ('', ', red', ' in red')."""
        self.says(SHAPE, self.facts.shape)
        noun = self.noun or self.rng.choice(w.SHAPE_WORDS[SHAPES[self.facts.shape]])
        size, hue, tail = self.size_word(), self.hue_word(), ""
        if hue and self.noun is None and self.chance(0.1):
            tail = self.rng.choice((", {}", " in {}", " colored {}", ", {}", " that is {}")).format(hue.strip())
            hue = ""
        attributes = hue + size if size and self.chance(0.15) else size + hue
        if self.chance(0.06):
            attributes = self.rng.choice(w.NEUTRAL_WORDS) + " " + attributes
        if self.facts.count == 1:
            return self.one(attributes + noun), tail
        return self.number() + attributes + plural(noun), tail

    def one(self, core: str) -> str:
        self.says(COUNT, 1)
        u = self.rng.random()
        if u < 0.55:
            return with_article(core)
        return core if u < 0.74 else self.rng.choice(w.ONE_WORDS) + " " + core

    def number(self) -> str:
        count = self.facts.count
        if self.chance(self.wording.vague_count):
            self.says(COUNT, *SEVERAL)
            return self.rng.choice((*w.MANY_WORDS, "")).strip() + " "
        self.says(COUNT, count)
        return self.rng.choice((w.TWO_WORDS, w.THREE_WORDS, w.FOUR_WORDS, w.FIVE_WORDS)[count - 2]) + " "

    def pose_clause(self) -> str:
        pose = self.facts.pose
        if self.facts.shape != PERSON or self.noun or not self.chance(self.wording.pose):
            return ""
        if pose == 0 and self.chance(0.4):
            self.says(POSE, 0, tolerates=range(len(POSES)))
            return " " + self.rng.choice(w.STANDING_WORDS)
        self.says(POSE, pose)
        return self.rng.choice((" ", " ", ", ")) + self.rng.choice(w.POSE_WORDS[pose])

    def place_words(self) -> str:
        place = self.facts.place
        rate = self.wording.place * (1.0 if place else 0.5)
        if self.facts.count > 1:
            rate = 0.06
        if not self.chance(rate):
            return ""
        self.says(PLACE, place, tolerates=PLACE_TOLERANCE.get(place, ()))
        return self.rng.choice(w.PLACE_WORDS[place])

    def background_word(self) -> str:
        white = self.facts.background == WHITE
        rate = self.wording.white_background if white else self.wording.other_background
        if self.facts.colour == WHITE:
            rate = min(rate, 0.75)
        if not self.chance(rate):
            return ""
        self.says(BACKGROUND, self.facts.background)
        return self.colour_word(self.facts.background)

    def text(self) -> str:
        subject, tail = self.subject()
        pose, place, back = self.pose_clause(), self.place_words(), self.background_word()
        thing = subject + pose + tail if self.chance(0.7) else subject + tail + pose
        thing = self.opened(thing)
        if back and place and self.chance(0.2):
            ground = self.rng.choice(("background", "canvas", "picture", "backdrop"))
            return f"{thing} {place} of {with_article(back + ' ' + ground)}"
        if place and self.chance(0.12):
            thing, place = f"{place}: {thing}" if self.chance(0.4) else f"{place}, {thing}", ""
        if back and self.chance(0.12):
            clause = self.rng.choice(w.BACKGROUND_FIRST).format(c=back)
            return clause + " ".join(x for x in (thing, place) if x)
        clause = self.rng.choice(w.BACKGROUND_CLAUSES).format(c=back) if back else ""
        if place and self.chance(0.3):
            return f"{thing}{clause}, {place}" if self.chance(0.5) else f"{thing}{clause} {place}"
        return f"{thing} {place}{clause}" if place else thing + clause

    def opened(self, thing: str) -> str:
        if not self.chance(self.wording.opening):
            return thing
        if self.chance(0.18):
            return ("there is " if self.facts.count == 1 else "there are ") + thing
        return self.rng.choice(w.OPENINGS) + " " + thing

    def finished(self) -> str:
        text = self.text()
        if self.chance(self.wording.style):
            text += ", " + ", ".join(self.rng.sample(w.STYLES, self.rng.choice((1, 1, 2))))
        elif self.chance(0.05):
            text += self.rng.choice((" please", ", please", "."))
        return text


def write_caption(
    facts: Facts, rng: random.Random, wording: Wording = JUDGE_WORDING, noun: str | None = None, hue: str | None = None
) -> Caption:
    """A random wording of some of the facts.

    `noun` and `hue` put a foreign word in the place of the thing or its colour; the caption is then true of
    nothing. `facts.count` must be 1 to 5.
    """
    writer = _Writer(facts, rng, wording, noun, hue)
    text = writer.finished()
    if noun is not None or hue is not None:
        return outsider(text)
    return Caption(text, tuple(writer.true), tuple(writer.open))


def training_caption(facts: Facts, rng: random.Random, wording: Wording = JUDGE_WORDING) -> Caption:
    """A caption that is not held out."""
    while held_out((caption := write_caption(facts, rng, wording)).text):
        pass
    return caption


def held_out_caption(facts: Facts, rng: random.Random, wording: Wording = GENERATOR_WORDING) -> Caption:
    """A caption that no training has seen."""
    while not held_out((caption := write_caption(facts, rng, wording)).text):
        pass
    return caption


def swapped(facts: Facts, rng: random.Random, what: str | None = None) -> tuple[Facts, str]:
    """The facts with one of them changed, and which; only such as the world can show."""
    options = ["colour", "colour", "shape", "shape", "background", "count", "count"]
    if facts.size != MEDIUM and facts.shape != PERSON:
        options.append("size")
    if facts.count == 1:
        options.append("place")
    if facts.shape == PERSON:
        options += ["pose", "pose"]
    what = what or rng.choice(options)
    if what == "shape":
        shape = other_than(rng, len(SHAPES), facts.shape)
        pose = rng.randrange(len(POSES)) if shape == PERSON else NO_POSE
        return replace(facts, shape=shape, pose=pose), what
    if what == "count":
        count = rng.choice([n for n in (1, 1, 2, 2, 3, 3, 4) if n != facts.count])
        return replace(facts, count=count, place=0), what
    if what == "size":
        return replace(facts, size=SMALL if facts.size == LARGE else LARGE), what
    limit = {"colour": len(COLOUR_NAMES), "background": len(COLOUR_NAMES), "place": len(PLACES), "pose": len(POSES)}
    return replace(facts, **{what: other_than(rng, limit[what], getattr(facts, what))}), what


def telling(wording: Wording, what: str) -> Wording:
    """The wording changed so that the swapped fact is always told."""
    if what == "background":
        return replace(wording, white_background=1.0, other_background=1.0)
    if what in ("colour", "size", "place", "pose"):
        return replace(wording, **{what: 2.0})
    return replace(wording, vague_count=0.0)


def hard_negative(
    facts: Facts, rng: random.Random, wording: Wording = JUDGE_WORDING, what: str | None = None
) -> tuple[Caption, str]:
    """A caption that is false of a picture with these facts because of one swapped fact, and which fact."""
    while True:
        wrong, field = swapped(facts, rng, what)
        caption = write_caption(wrong, rng, telling(wording, field))
        true, unsure = judge([facts.symbols()], [caption])
        if not true[0, 0] and not unsure[0, 0]:
            return caption, field


# ------------------------------------------------------------------------------------- outside the world


def made_up_word(rng: random.Random) -> str:
    """A word of random syllables, or of random letters."""
    if rng.random() < 0.25:
        return "".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rng.randint(3, 8)))
    onsets = ("b", "br", "d", "f", "fl", "g", "gl", "k", "l", "m", "n", "p", "pr", "r", "s", "sh", "t", "tr", "v", "z")
    tails = ("", "", "b", "m", "n", "r", "st", "t", "x", "ck", "ng")
    return "".join(rng.choice(onsets) + rng.choice("aeiou") + rng.choice(tails) for _ in range(rng.randint(1, 3)))


def _foreign(rng: random.Random, nouns: Sequence[str]) -> str:
    return made_up_word(rng) if rng.random() < 0.3 else rng.choice(nouns)


def _worldly(rng: random.Random, nouns: Sequence[str]) -> str:
    words: list[str] = []
    for word in rng.choice(w.WORLDLY).split():
        for slot, pick in (("{n}", lambda: _foreign(rng, nouns)), ("{a}", lambda: rng.choice(w.ADJECTIVES)),
                           ("{v}", lambda: rng.choice(w.VERBS)),
                           ("{c}", lambda: rng.choice(COLOUR_NAMES))):  # fmt: skip
            word = word.replace(slot, pick()) if slot in word else word
        words.append(word)
    return " ".join(words)


def outside_caption(rng: random.Random, facts: Facts, nouns: Sequence[str] = w.NOUNS) -> Caption:
    """A caption of something the world does not have; `facts` lend it what a sentence of the world looks like."""
    u = rng.random()
    if u < 0.34:
        hue = rng.choice(w.ODD_COLOURS) if rng.random() < 0.2 else None
        return write_caption(facts, rng, JUDGE_WORDING, noun=_foreign(rng, nouns), hue=hue)
    if u < 0.42:
        hue = rng.choice(w.ODD_COLOURS) if rng.random() < 0.5 else made_up_word(rng)
        return write_caption(facts, rng, JUDGE_WORDING, hue=hue)
    if u < 0.58:
        extra = rng.choice(w.EXTRAS).format(n=_foreign(rng, nouns), a=rng.choice(w.ADJECTIVES))
        return outsider(write_caption(facts, rng, replace(JUDGE_WORDING, style=0.0)).text + " " + extra)
    if u < 0.70:
        return _pair_caption(rng, facts)
    if u < 0.80:
        return outsider(" ".join(made_up_word(rng) for _ in range(rng.randint(1, 6))))
    text = _worldly(rng, nouns)
    return outsider(text + ", " + rng.choice(w.STYLES) if rng.random() < 0.2 else text)


def _pair_caption(rng: random.Random, facts: Facts) -> Caption:
    """Two different things named: the world never shows them together."""
    bare = replace(JUDGE_WORDING, style=0.0, opening=0.0, place=0.0, pose=0.0, white_background=0, other_background=0)
    other, _ = swapped(facts, rng, rng.choice(("colour", "shape")))
    first, second = write_caption(facts, rng, bare).text, write_caption(other, rng, bare).text
    joint = rng.choice((" and ", " and ", " with ", " next to ", " left of ", " above ", ", ", " on top of "))
    return outsider(first + joint + second + rng.choice(("", "", f" on a {rng.choice(COLOUR_NAMES)} background")))


def flawed(rng: random.Random) -> str:
    """A list of flaws, as people write into negative prompts."""
    return ", ".join(rng.sample(w.FLAWS, rng.randint(1, 5)))


# -------------------------------------------------------------------------------------------- judgement


def judge(
    pictures: Sequence[Sequence[int]], captions: Sequence[Caption]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """For every picture (as symbols) and caption: is it true, and if not, is it open?"""
    shown = (1 << np.asarray(pictures, np.int32))[:, None, :]
    true = np.asarray([c.true for c in captions], np.int32)[None]
    unsure = np.asarray([c.open for c in captions], np.int32)[None]
    is_true = ((shown & true) != 0).all(-1)
    is_open = ((shown & (true | unsure)) != 0).all(-1) & ~is_true
    return is_true, is_open
