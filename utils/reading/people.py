"""How many people a prompt asks for, and how much of them its framing shows. English wording and booru tags.

Unknown is better than wrong: what may not be a person (a statue, a gingerbread man, a baby elephant) is not counted,
and where two mentions may be one person the answer is a range.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from utils.emphasis import without_emphasis
from utils.reading import people_nouns as nouns

Framing = Literal["close-up", "portrait", "half body", "full body"]

MOST_LETTERS = 4000
"""What follows is not read: no prompt says so late how many people it wants."""
_TAG = re.compile(r"(\d{1,3})(\+?)(girls?|boys?|m[ae]n|wom[ae]n|people|persons?|others?|guys?|kids?)$")
_WORDS = re.compile(r"[a-z0-9]+\+?(?:['-]?[a-z0-9]+)*|[^\sa-z0-9]|\n")
_SPELLED = (
    (re.compile(r"\bhalf a dozen\b"), "six"),
    (re.compile(r"\ba dozen\b"), "twelve"),
    (re.compile(r"(?<=\d)\s{0,2}[-–]\s{0,2}(?=\d)"), " to "),
    (re.compile(r"<[^<>]{0,200}>"), ","),
    (re.compile(r"\bman's best friend\b"), "dog"),
    (re.compile(r"\b(?:adam (?:and|&) eve|romeo (?:and|&) juliet)\b"), "two people"),
    (
        re.compile(
            r"\b(?<!\blike )(?<!\bas )no one(?=\s{0,4}(?:[,.;!?)]|$)|\s{1,4}(?:around|in|inside|outside|on|at|there|"
            r"here|visible|present|left|to be seen)\b)"
        ),
        "nobody",
    ),
)
_STYLISED = re.compile(
    r"\b(anime|manga|cartoons?|chibi|comics?|cel[ -]?shad\w+|illustrat\w+|drawings?|drawn|sketch\w*|painting|painted|"
    r"watercolou?r|oil on canvas|vector|clip[ -]?art|icon|pixel art|voxel|low[ -]?poly|silhouettes?|doodle|pictogram|"
    r"stick figures?|caricature|ukiyo-?e|engraving|etching|stained glass|mosaic|graffiti|impressionis\w+|cubis\w+|"
    r"surreal\w*|abstract|line ?art|ink|charcoal|pastel|storybook|pixar|disney|ghibli)\b"
)


@dataclass(frozen=True, kw_only=True)
class PeopleAsked:
    """From `least` to `most` people (None: no upper end). `words`: where the prompt says so, in lower case."""

    least: int
    most: int | None
    words: str

    def allows(self, people: int) -> bool:
        return self.least <= people and (self.most is None or people <= self.most)

    @property
    def meaning(self) -> str:
        """Such as "exactly two people", "at least two people", "two to eight people", "no people"."""
        if self.most is None:
            return f"at least {number_word(self.least)} people"
        if self.least == self.most:
            shown = {0: "no people", 1: "exactly one person"}
            return shown.get(self.least, f"exactly {number_word(self.least)} people")
        return f"{number_word(self.least)} to {number_word(self.most)} people"


def people_asked(prompt: str) -> PeopleAsked | None:
    """How many people the prompt asks for; None when it does not ask for any, or nobody could say how many.

    Emphasis brackets are read over. Zero only where people are ruled out in words ("no people"). Raises nothing.
    """
    words = _words(prompt)
    tagged = _from_tags(words)
    mentions = _Reader(words).mentions()
    if tagged is not None:
        return _with_tags(tagged, mentions, words)
    if mentions:
        named = _added_up(mentions)
        return _alone(named, words) if named else None
    ruled_out = _ruled_out(words)
    return PeopleAsked(least=0, most=0, words=ruled_out) if ruled_out else None


_FRAMINGS: tuple[tuple[Framing, re.Pattern[str]], ...] = (
    ("full body", re.compile(r"\b(full|whole|entire)[ -](body|length|figure)|head[ -]to[ -](toe|foot)")),
    ("close-up", re.compile(r"\bclose[ -]?ups?\b|\bmacro\b|\b(face|eyes) (only|focus|detail)|\bextreme close")),
    ("portrait", re.compile(r"\bhead[ -]?shots?\b|\bportraits?\b(?! (mode|orientation|format))|\bselfie\b|\bbust\b")),
    ("half body", re.compile(r"\b(upper|half)[ -]body\b|\bwaist[ -]up\b|\bcowboy shot\b|\b(medium|mid)[ -]shot\b")),
)


def framing_asked(prompt: str) -> Framing | None:
    """How much of a person the prompt's framing shows; None when it does not say. Full body wins over "portrait"."""
    text = without_emphasis(prompt[:MOST_LETTERS]).lower().replace("_", " ")
    return next((framing for framing, words in _FRAMINGS if words.search(text)), None)


def stylised(prompt: str) -> bool:
    """Whether the prompt asks for anything but a photograph, in which models trained on photographs overlook people.

    Tags such as 1girl count: they are the language of models for anime.
    """
    text = prompt[:MOST_LETTERS].lower().replace("_", " ")
    return bool(_STYLISED.search(text)) or _from_tags(_words(prompt)) is not None


def number_word(number: int) -> str:
    """Such as "two"; digits above twelve."""
    words = "no one two three four five six seven eight nine ten eleven twelve".split()
    return words[number] if number < len(words) else str(number)


@dataclass(frozen=True, kw_only=True)
class _Mention:
    """People named at one place: words[start:end], the last of them the noun."""

    start: int
    end: int
    least: int
    most: int | None
    noun: str
    sex: str
    definite: bool = False
    run: int = 0
    text: str = ""

    def may_be(self, other: _Mention) -> bool:
        """Whether both may speak of the same people."""
        if self.sex and other.sex and self.sex != other.sex:
            return False
        ages = {(one.noun in nouns.CHILDREN, bool(one.sex)) for one in (self, other)}
        return ages != {(True, False), (False, True)} or {self.noun, other.noun} & {"girl", "boy"} != set()


def _words(prompt: str) -> list[str]:
    text = without_emphasis(prompt[:MOST_LETTERS]).lower().replace("_", " ").replace("’", "'")
    for spelled, plain in _SPELLED:
        text = spelled.sub(plain, text)
    joined: list[str] = []
    for word in _WORDS.findall(text):
        if joined and (joined[-1], word.removesuffix("s")) in nouns.TWO_WORDS:  # "stick figures" is one noun
            joined[-1] = "people" if word.endswith("s") else "person"
        else:
            joined.append(word)
    return joined


def _from_tags(words: Sequence[str]) -> PeopleAsked | None:
    """What tags such as 1girl and 2boys add up to."""
    least, most, said = 0, 0, list[str]()
    for word in words:
        found = _TAG.match(word)
        if found:
            least, most = least + int(found[1]), None if found[2] or most is None else most + int(found[1])
            said.append(word)
    return PeopleAsked(least=least, most=most, words=", ".join(said)) if said else None


def _with_tags(tagged: PeopleAsked, mentions: Sequence[_Mention], words: Sequence[str]) -> PeopleAsked:
    """Tags count the people; words beside them describe the same ones, or a crowd behind them."""
    behind = any(mention.least == 0 or mention.noun in {"crowd", "people", "audience"} for mention in mentions)
    most = None if behind or tagged.most is None else tagged.most
    return _alone(PeopleAsked(least=tagged.least, most=most, words=tagged.words), words)


def _alone(asked: PeopleAsked, words: Sequence[str]) -> PeopleAsked:
    """ "solo" settles a range that holds one."""
    solo = any(word == "solo" and words[place + 1 : place + 2] != ["focus"] for place, word in enumerate(words))
    if not solo or not asked.allows(1):
        return asked
    return PeopleAsked(least=1, most=1, words=f"{asked.words}, solo")


def _ruled_out(words: Sequence[str]) -> str:
    """The words that want nobody: "no people", "without any humans", "nobody"."""
    for place, word in enumerate(words):
        if word in nouns.NOBODY:
            return word
        if word in nouns.ANYBODY and _negated(words, place):
            start = max(back for back in range(place) if words[back] in nouns.NOT)
            return " ".join(words[start : place + 1])
    return ""


def _negated(words: Sequence[str], place: int) -> bool:
    """Whether "no", "without any" or the like stands right before this noun."""
    for back in range(place - 1, max(-1, place - 5), -1):
        if words[back] in nouns.NOT:
            return True
        if words[back] not in nouns.AFTER_NOT:
            return False
    return False


_MAY_FOLLOW = nouns.BREAKS | nouns.GOES_ON | nouns.NOT | nouns.PICTURES | frozenset(nouns.FORMS)
_PHRASE_ENDS = nouns.BREAKS | nouns.STOPS | nouns.NOT | nouns.NOT_SHOWN | frozenset(nouns.FORMS)
_OPENERS = nouns.BREAKS | nouns.POSSESSIVES | frozenset(nouns.QUANTITIES) | {"the"}


class _Reader:
    """Finds the people named in a prompt's words."""

    def __init__(self, words: Sequence[str]) -> None:
        self._words = words
        self._elsewhere = frozenset[str]()
        """Nouns that may be no people in this prompt."""
        if not nouns.ANIMALS.isdisjoint(words):
            self._elsewhere |= nouns.KIN | nouns.ENSEMBLES.keys()
        if not nouns.GAMES.isdisjoint(words):
            self._elsewhere |= nouns.ON_BOARDS_AND_CARDS

    def mentions(self) -> list[_Mention]:
        found = [self._at(place) for place in range(len(self._words))]
        return list(self._runs([mention for mention in found if mention is not None]))

    def _at(self, place: int) -> _Mention | None:
        """The people that this word names, if it does."""
        word = self._words[place].removesuffix("'s")
        noun, sex, plural = nouns.FORMS.get(word, ("", "", word.endswith("s")))
        collective = None if noun else nouns.COLLECTIVES.get(word) or self._ensemble(place)
        if not noun and collective is None:
            return None
        start = self._start(place)
        if (noun or word) in self._elsewhere or self._is_part_of_a_name(place) or self._is_not_shown(start, place):
            return None
        least, most = self._amount(start, place, plural, collective)
        if self._is_behind(place, start):
            least, most = 0, None
        return _Mention(
            start=start,
            end=place + 1,
            least=least,
            most=most,
            noun=noun or word,
            sex=sex,
            definite=self._before(start) == "the" or "the" in self._words[start:place],
            text=" ".join(self._words[start : place + 1]),
        )

    def _ensemble(self, place: int) -> nouns.Amount | None:
        """How many a "duo", "barbershop quartet" or "band playing" is, where it is people beyond doubt."""
        word, before = self._words[place], self._before(place)
        certain = not nouns.PERFORMING.isdisjoint((before, self._after(place)))
        if certain or (word == "duo" and (before in nouns.QUANTITIES or before == "the")):
            return nouns.ENSEMBLES.get(word)
        return None

    def _before(self, place: int, steps: int = 1) -> str:
        return self._words[place - steps] if place >= steps else ","

    def _after(self, place: int) -> str:
        return self._words[place + 1] if place + 1 < len(self._words) else ","

    def _is_part_of_a_name(self, place: int) -> bool:
        """A noun that belongs to the next one (cowboy hat, baby elephant, crowd of penguins, man's shoes)."""
        follows, word = self._after(place), self._words[place]
        if word.endswith("'s"):
            return follows not in nouns.BODY
        if follows == "of" and word in nouns.AMOUNTS:
            return self._of_so_many(place) is None  # "a couple of cats": what counts is the noun behind it
        if follows in nouns.LIMBS and self._words[place + 2 : place + 3] != []:
            return self._words[place + 2] not in nouns.HELD  # "a person arms up", but "baby hands"
        return follows not in _MAY_FOLLOW and not follows.endswith(("ing", "ed", "ly")) and follows.isalnum()

    def _start(self, place: int) -> int:
        """Where the phrase of this noun begins: at its number or article, else at the noun and its adjectives."""
        start = place
        for back in range(place - 1, max(-1, place - 6), -1):
            word = self._words[back]
            if word in _PHRASE_ENDS:
                break
            if word in nouns.QUANTITIES or word.isdigit() or word in nouns.POSSESSIVES:
                return start if self._is_an_age(back) else back
            if word.endswith("ing") and self._before(back) not in _OPENERS and not self._before(back).isdigit():
                break
            start = back
        return start

    def _is_an_age(self, place: int) -> bool:
        return self._words[place].isdigit() and self._after(place) in {"year", "years", "yo", "y", "yr"}

    def _is_not_shown(self, start: int, place: int) -> bool:
        """Whether the noun is negated, a likeness, a comparison, or what another person is said to be."""
        before = self._before(start)
        if _negated(self._words, place) or _negated(self._words, start):
            return True
        if before in nouns.NOT_SHOWN and self._before(start, 2) not in {"more", "would", "i'd"}:
            return True
        if before in nouns.SAID_TO_BE and self._before(start, 2) not in nouns.POINTING:
            return True
        if not nouns.UNREAL.isdisjoint([self._before(place), *self._words[start:place]]):
            return True
        skipped = 2 if before == "the" else 1
        return self._before(start, skipped) == "of" and self._is_a_likeness(start - skipped - 1)

    def _is_a_likeness(self, place: int) -> bool:
        """Of "statue of a man", or of a painting that somebody in the picture looks at."""
        if place < 0:
            return False
        if self._words[place] in nouns.LIKENESSES:
            return True
        earlier = self._words[max(0, place - 8) : place]
        return self._words[place] in nouns.PICTURES and any(word in nouns.FORMS for word in earlier)

    def _is_behind(self, place: int, start: int) -> bool:
        """Whether these are people in the background, who may or may not be found."""
        following = self._words[place + 1 : place + 7]
        clause = following[: next((i for i, word in enumerate(following) if word in nouns.BREAKS), len(following))]
        named = {*self._words[start:place], self._before(start)}
        far = re.search(r"\bin (the |far )?(background|distance)\b", " ".join(clause))
        return far is not None or not nouns.FAR.isdisjoint(named)

    def _amount(self, start: int, place: int, plural: bool, collective: nouns.Amount | None) -> nouns.Amount:
        number = self._number(start, place)
        if collective is not None:
            return self._of_so_many(place) or _times(collective, number, plural)
        if number is None or (number == (1, 1) and plural):
            number = self._amount_before(start) or (None if plural else (1, 1))
        return self._widened(start, number) if number else (2, None)

    def _number(self, start: int, place: int) -> nouns.Amount | None:
        """What the phrase says: "two", "3"; None without a number."""
        found = [self._quantity(back) for back in range(start, place)]
        return next((quantity for quantity in reversed(found) if quantity is not None), None)

    def _quantity(self, place: int) -> nouns.Amount | None:
        word = self._words[place]
        if not word.isdigit() or self._is_an_age(place):
            return nouns.QUANTITIES.get(word)
        number = int(word[:6])
        if 0 < number <= nouns.COUNTABLE:
            return number, number
        return (nouns.COUNTABLE - 2, None) if 0 < number < 10_000 else None

    def _amount_before(self, start: int) -> nouns.Amount | None:
        """Of "a trio of", "dozens of", "a group of" right before the phrase."""
        return nouns.AMOUNTS.get(self._before(start, 2)) if self._before(start) == "of" else None

    def _of_so_many(self, place: int) -> nouns.Amount | None:
        """Of "a family of four"."""
        following = [*self._words[place + 1 : place + 4], ",", ",", ","]
        if following[0] != "of" or following[2] not in _MAY_FOLLOW or place + 2 >= len(self._words):
            return None
        return self._quantity(place + 2)

    def _widened(self, start: int, number: nouns.Amount) -> nouns.Amount:
        """Of "two or three men", "2-3 people", "at least two men", "more than two men"."""
        least, most = number
        before, farther = self._before(start), self._before(start, 2)
        if before in {"or", "to"} and start >= 2:
            lower = self._quantity(start - 2)
            return (lower[0], most) if lower and most is not None and lower[0] < most else number
        if (farther, before) == ("at", "least") or before == "over":
            return least, None
        return (least + 1, None) if (farther, before) == ("more", "than") else number

    def _runs(self, mentions: Sequence[_Mention]) -> Iterator[_Mention]:
        """The mentions with their run: those of a run are different people (one clause, or one list with "and")."""
        run = 0
        for place, mention in enumerate(mentions):
            if place and not self._goes_on(mentions, place):
                run += 1
            yield replace(mention, run=run)

    def _goes_on(self, mentions: Sequence[_Mention], place: int) -> bool:
        one, two = mentions[place - 1], mentions[place]
        between = self._words[one.end : two.start]
        if nouns.BREAKS.isdisjoint(between) or between[-1] in nouns.JOINERS:
            return True
        return between == [","] and self._is_a_list(mentions, place)

    def _is_a_list(self, mentions: Sequence[_Mention], place: int) -> bool:
        """Whether commas lead from here to an "and": a doctor, a nurse and a soldier."""
        if mentions[place - 1].noun in nouns.COLLECTIVES:
            return False
        for one, two in pairwise(mentions[place:]):
            between = self._words[one.end : two.start]
            if between and between[-1] in nouns.JOINERS and len(between) <= 2:
                return True
            if between != [","]:
                return False
        return False


def _times(one: nouns.Amount, number: nouns.Amount | None, plural: bool) -> nouns.Amount:
    """ "two couples": twice as many as one couple."""
    if number is None or number[1] is None or not plural:
        return one
    least = one[0] // 2 if one[1] is None else one[0]
    return least * number[0], least * number[1] if least == 2 else None


def _added_up(mentions: Sequence[_Mention]) -> PeopleAsked | None:
    """Runs of mentions as one range; a run that may speak of people already named widens it upwards only."""
    least, most = 0, 0
    seen: list[_Mention] = []
    for run in range(mentions[-1].run + 1):
        named = [mention for mention in mentions if mention.run == run and not _is_again(mention, seen)]
        if not named:
            continue
        here = sum(mention.least for mention in named)
        same = any(mention.may_be(other) for mention in named for other in seen)
        least = max(least, here) if same else least + here
        ends = [mention.most for mention in named]
        most = None if most is None or None in ends else most + sum(end for end in ends if end is not None)
        seen += named
    if least == 0:
        return None
    return PeopleAsked(least=least, most=most, words=", ".join(mention.text for mention in seen))


def _is_again(mention: _Mention, seen: Sequence[_Mention]) -> bool:
    """Of "the woman" after a woman, a nurse or a couple was named."""
    return mention.definite and mention.noun in nouns.GENERIC and any(mention.may_be(other) for other in seen)
