"""Reads the things out of a prompt, each with its number, its colour and where it stands: a grammar, no model.

English as people write it to picture models: sentences, clauses between commas, and tags such as "1girl" or
"long_hair". What it does not understand, such as other alphabets, it leaves out; it never fails.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

from utils.reading import vocabulary as words

if TYPE_CHECKING:
    import inflect

T = TypeVar("T")
Span = tuple[int, int]

MOST_CHARACTERS = 4000
"""Of a prompt that are read: what comes later in so long a text is decoration."""
LORA_TAG = re.compile(r"<[^<>\n]{1,200}>")
_WEIGHT = re.compile(r":\s*\d*\.?\d+(?=\s*\))")
_SCORE_TAG = re.compile(r"(?<![^\W_])(?:score_\d+(?:_up)?|rating_\w+|source_\w+|BREAK)(?![^\W_])")
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_TAG = re.compile(r"([1-9]|1\d|20)\+?([a-z]+?)s?$")
_NEGATIONS = frozenset({"no", "not", "without", "never"})
_MEASURES = frozenset("year years yr yo mm cm px inch inches degrees degree percent o'clock feet meters metres".split())
_GROUNDING = frozenset({"on", "against", "over", "upon"})
_SIDES = frozenset({"left", "right"})
_IMPORTING = Lock()
_LINKING = frozenset({"is", "are", "in", "was", "were", "being", "colored", "coloured"})


@dataclass(frozen=True)
class Word:
    """A word of the prompt; `clause` counts the commas and full stops before it."""

    text: str
    start: int
    end: int
    clause: int

    @property
    def lower(self) -> str:
        return self.text.lower()


@dataclass(frozen=True)
class Number:
    """How many: `value` None is several. `said` False: only the article says so ("a cat")."""

    value: int | None
    span: Span
    said: bool = True


@dataclass(frozen=True)
class Colour:
    """A colour with its family's name, such as "navy blue", of the family blue."""

    text: str
    family: str
    span: Span


@dataclass(frozen=True)
class NounPhrase:
    """A thing that the prompt names. Spans are places in the prompt."""

    span: Span
    """From the number or first adjective to the noun, without the article."""
    noun: str
    noun_span: Span
    plural: bool
    adjectives: tuple[str, ...]
    """The words before the noun that are neither number nor colour."""
    adjectives_start: int
    """Where the phrase begins without its number."""
    proper: bool = False
    """Whether it is a name, such as Grand Canyon."""
    article: Span | None = None
    number: Number | None = None
    colour: Colour | None = None
    clause: int = 0
    link: tuple[str, ...] = ()
    """The words between the thing before and this one, when both are in one clause."""

    @property
    def setting(self) -> bool:
        """Whether it is what the picture stands on, such as the background."""
        return self.noun in words.SETTINGS

    @property
    def singular(self) -> str:
        return singular(self.noun) if self.plural else self.noun


def noun_phrases(prompt: str) -> tuple[NounPhrase, ...]:
    """The things of the prompt in their order. Clauses of quality words, LoRA tags and score tags are read over."""
    found: list[NounPhrase] = []
    if not _is_latin(prompt):
        return ()
    for clause in _clauses(prompt[:MOST_CHARACTERS]):
        if not all(word.lower in words.QUALITIES for word in clause):
            _Reader(clause, found).read()
    return tuple(found)


def _is_latin(prompt: str) -> bool:
    """Whether it may be English: most of its letters are of the Latin alphabet."""
    letters = [letter for letter in prompt[:MOST_CHARACTERS] if letter.isalpha()]
    return sum(letter.isascii() for letter in letters) * 2 > len(letters)


def _clauses(prompt: str) -> list[list[Word]]:
    """The words of the prompt, broken at punctuation; brackets, hyphens and underscores break nothing."""
    hidden = list(prompt)
    for pattern in (LORA_TAG, _SCORE_TAG, _WEIGHT):
        for found in pattern.finditer(prompt):
            blank = " " if pattern is _WEIGHT else ","
            hidden[found.start() : found.end()] = blank * (found.end() - found.start())
    text = "".join(hidden)
    clauses: list[list[Word]] = [[]]
    last = 0
    for found in _WORD.finditer(text):
        if text[last : found.start()].strip(" \t\r()[]{}_\"'“”*") and clauses[-1]:
            clauses.append([])
        last = found.end()
        clauses[-1].append(Word(prompt[found.start() : last], found.start(), last, len(clauses)))
    return [clause for clause in clauses if clause]


class _Reader:
    """Reads one clause from left to right and adds what it names to `found`."""

    def __init__(self, clause: Sequence[Word], found: list[NounPhrase]) -> None:
        self._words = clause
        self._found = found
        self._at = 0
        self._link: list[str] = []

    def read(self) -> None:
        while self._at < len(self._words):
            if not self._tag() and not self._phrase():
                self._link.append(self._words[self._at].lower)
                self._at += 1

    def _word(self, ahead: int = 0) -> Word | None:
        place = self._at + ahead
        return self._words[place] if place < len(self._words) else None

    def _tag(self) -> bool:
        """ "1girl", "2boys", "solo" """
        word = self._words[self._at]
        tag = _TAG.match(word.lower)
        if tag and tag[2] in words.TAG_PEOPLE:
            noun, count, span = words.TAG_PEOPLE[tag[2]], int(tag[1]), (word.start, word.end)
            noun = noun if count == 1 else plural(noun)
            self._add(NounPhrase(span, noun, span, count > 1, (), word.start, number=Number(count, span)))
        elif word.lower == "solo" and len(self._words) == 1 and self._found and not self._found[0].plural:
            first = self._found[0]
            if first.number is None or not first.number.said:
                self._found[0] = replace(first, number=Number(1, (word.start, word.end)))
        else:
            return False
        self._at += 1
        return True

    def _phrase(self) -> bool:
        """A noun phrase from here, if there is one."""
        begun = self._at
        article, number = self._head()
        start = self._at
        while (word := self._word()) is not None and not self._ends(word, self._at - start):
            self._at += 1
        body = list(self._words[start : self._at])
        while body and (body[-1].lower in words.ADJECTIVES or (len(body) > 1 and body[-1].lower in _SIDES)):
            body.pop()
        if not body:
            self._at = max(self._at, begun)
            return self._at > begun
        self._name(body, article, number)
        return True

    def _head(self) -> tuple[Span | None, Number | None]:
        """Article and number, in any order: "the two", "a pair of", "exactly one"."""
        article: Span | None = None
        number: Number | None = None
        while (word := self._word()) is not None:
            if word.lower in words.DETERMINERS or word.lower in words.BEFORE_NUMBERS:
                if word.lower in {"a", "an"}:
                    article = (word.start, word.end)
                self._at += 1
            elif (number is None or number.value is None) and (counted := self._number(word)) is not None:
                exact, taken = counted
                number = exact if number is None else Number(exact.value, (number.span[0], exact.span[1]))
                self._at += taken
            else:
                break
        return article, number

    def _number(self, word: Word) -> tuple[Number, int] | None:
        """The number at this place and how many words it takes; none without a word after it."""
        following = self._word(1)
        if following is None or following.lower in _MEASURES:
            return None
        if following.lower == "of" and self._word(2) is not None:
            value = words.GROUPS.get(word.lower)
            if value is not None or word.lower in words.SEVERAL_OF:
                return Number(value, (word.start, following.end)), 2
        if following.lower in words.STOPS:
            return None
        if word.lower in words.SEVERAL:
            return Number(None, (word.start, word.end)), 1
        value = int(word.text) if word.text.isascii() and word.text.isdigit() else words.NUMBERS.get(word.lower, 0)
        return (Number(value, (word.start, word.end)), 1) if 0 < value < 100 else None

    def _ends(self, word: Word, taken: int) -> bool:
        """Whether the phrase ends before this word."""
        if word.lower in words.STOPS or word.lower in words.DETERMINERS:
            return not (taken and self._joins_colours(word))
        return self._is_side(0) or self._is_participle(word)

    def _is_side(self, ahead: int) -> bool:
        """As in "a cat left of a dog" and "a lamp right next to a sofa", but not in "the left hand"."""
        word, following = self._word(ahead), self._word(ahead + 1)
        return word is not None and word.lower in _SIDES and following is not None and following.lower in words.STOPS

    def _is_participle(self, word: Word) -> bool:
        """As in "cat sitting on" or "man riding a", but not in "red flying bird"."""
        text = word.lower
        verbal = len(text) > 5 if text.endswith("ing") else len(text) > 4 and text.endswith("ed")
        if text in words.MEDIA or not verbal:
            return False
        following = self._word(1)
        if text in {"colored", "coloured"} or following is None:
            return True
        if following.lower in words.STOPS or following.lower in words.DETERMINERS | words.ADVERBS:
            return True
        return self._is_side(1)

    def _joins_colours(self, word: Word) -> bool:
        """The "and" of "a black and white cat"."""
        before, after = self._word(-1), self._word(1)
        if word.lower != "and" or before is None or after is None or self._word(2) is None:
            return False
        return _is_colour(before, False) and _is_colour(after, False)

    def _name(self, body: list[Word], article: Span | None, number: Number | None) -> None:
        """Make the phrase of these words, or give their colour to the thing before when they are colours alone."""
        if len(body) > 1 and body[-1].lower in words.TAILS:
            body = body[:-1]
        colour, rest = _colour_of(body)
        if (
            len(rest) == 1
            and colour is None
            and self._link
            and self._link[-1] in _LINKING
            and _is_colour(rest[0], False)
        ):
            colour, rest = Colour(rest[0].lower, colour_family(rest[0].lower) or "", (rest[0].start, rest[0].end)), []
        if not rest:
            self._colour_before(colour)
            return
        noun = rest[-1]
        if noun.lower in words.MEDIA or noun.lower in words.PARTS or (self._link and self._link[-1] in _NEGATIONS):
            self._link.append(noun.lower)
            return
        many = number.value != 1 if number else article is None and _looks_plural(noun.text)
        start = number.span[0] if number else body[0].start
        if number is None and article is not None:
            number = Number(1, article, said=False)
        self._add(
            NounPhrase(
                (start, noun.end),
                noun.lower,
                (noun.start, noun.end),
                many,
                tuple(word.text for word in rest[:-1]),
                body[0].start,
                noun.start > 0 and noun.text[0].isupper() and not noun.text.isupper(),
                article,
                number,
                colour,
                noun.clause,
            )
        )

    def _colour_before(self, colour: Colour | None) -> None:
        """ "a circle, red", "the background is white", "a star in red"; "on black" speaks of the background."""
        if colour and self._link and self._link[-1] in _GROUNDING:
            ground = NounPhrase(
                colour.span,
                "background",
                colour.span,
                False,
                (),
                colour.span[0],
                colour=colour,
                clause=self._words[0].clause,
            )
            self._add(ground)
        elif (
            colour and self._found and self._found[-1].colour is None and (not self._link or self._link[-1] in _LINKING)
        ):
            self._found[-1] = replace(self._found[-1], colour=colour)

    def _add(self, phrase: NounPhrase) -> None:
        linked = bool(self._found) and self._found[-1].clause == phrase.clause
        self._found.append(replace(phrase, link=tuple(self._link) if linked else ()))
        self._link = []


def _colour_of(body: Sequence[Word]) -> tuple[Colour | None, list[Word]]:
    """The colour among the words of a phrase, and the other words. What is a thing too is one at the end."""
    places = [place for place, word in enumerate(body) if _is_colour(word, place == len(body) - 1)]
    if not places:
        return None, list(body)
    last = places[0]
    while last + 1 in places or (last + 2 in places and body[last + 1].lower == "and"):
        last += 1 if last + 1 in places else 2
    first = places[0]
    while first and body[first - 1].lower in words.SHADES and first - 1 not in places:
        first -= 1
    text = " ".join(word.lower for word in body[first : last + 1])
    rest = [*body[:first], *body[last + 1 :]]
    family = text if " and " in text else colour_family(body[last].lower) or text
    return Colour(text, family, (body[first].start, body[last].end)), rest


def _is_colour(word: Word, last: bool) -> bool:
    return colour_family(word.lower) is not None and not (last and word.lower in words.NAMED_AFTER_THINGS)


@cache
def _families() -> dict[str, str]:
    return {word: family for family, shades in words.COLOUR_FAMILIES.items() for word in shades}


def colour_family(word: str) -> str | None:
    """The name of the colour that a word is a shade of: "crimson" -> "red"."""
    return _families().get(word)


def _looks_plural(noun: str) -> bool:
    return noun.islower() and singular(noun) != noun


def singular(noun: str) -> str:
    """One of these: "stars" -> "star"; a word that is no plural stays."""
    if noun.endswith(("us", "ss", "is", "as", "ous")) or noun in {"lens", "series", "glasses", "sunglasses", "jeans"}:
        return noun
    if len(noun) < 2 or not noun.isalpha():
        return noun
    return inflector().singular_noun(noun) or noun  # pyright: ignore[reportArgumentType]


def plural(noun: str) -> str:
    """More than one of these: "star" -> "stars"."""
    if len(noun) < 2 or not noun.isalpha():
        return noun
    return inflector().plural_noun(noun) or f"{noun}s"  # pyright: ignore[reportArgumentType]


@cache
def inflector() -> inflect.engine:
    """English plurals and singulars; the first call imports a library, off the event loop. The one place that does."""
    with _IMPORTING, _unchecked():
        import inflect

    return inflect.engine()


@contextmanager
def _unchecked() -> Generator[None]:
    """Libraries imported meanwhile have their arguments not checked at every call: preparing for that takes inflect
    1.6 s of its import, nine tenths of it."""
    try:
        import typeguard
    except ImportError:  # then nothing is checked anyway
        yield
        return
    checking = typeguard.typechecked
    typeguard.typechecked = _as_it_is
    try:
        yield
    finally:
        typeguard.typechecked = checking


def _as_it_is(target: T) -> T:
    return target
