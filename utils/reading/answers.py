"""What a person or model means by a short answer about a picture: yes or no, a number, a colour. Pure.

Lenient in the wording ("Yes, there is.", "three", "there are 2 stars", "none"), strict in the sense: hedged, double
and contradictory answers are no answer.
"""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

from utils.reading import vocabulary as words
from utils.reading.phrases import colour_family, plural, singular

SHOWN = 80
"""Characters of an answer that are repeated."""

_WORD = re.compile(r"\d+(?:[.,]\d+)?|[^\W\d_]+(?:['-][^\W\d_]+)*")
_YES = frozenset("yes yeah yep yup true correct affirmative".split())
_SURELY = frozenset("sure surely definitely certainly indeed absolutely clearly probably likely".split())
_NO = frozenset("no nope nah false incorrect wrong negative not none neither nothing".split())
_UNSURE = re.compile(
    r"\b(?:can(?:not|'t| not)|could(?: not|n't)|unable to|hard to|difficult to|impossible to|not possible to)\s+"
    r"(?:be\s+)?(?:clearly\s+|really\s+)?"
    r"(?:tell|say|told|said|determined?|judged?|answer(?:ed)?|know|known|assist|help|verif(?:y|ied)|confirm(?:ed)?|"
    r"identif(?:y|ied)|(?:see|view|access|analy[sz]e|process)\s+(?:the\s+|this\s+|any\s+|your\s+)?"
    r"(?:image|picture|photo)s?)\b"
    r"|\b(?:unclear|unknown|uncertain|unsure|not sure|not certain|not clear|maybe|perhaps|possibly|might be|"
    r"ambiguous|depends|don't know|do not know|no (?:image|picture|photo)\b(?!\s+of)|yes and no|yes or no)\b"
    r"|\bn/a\b",
    re.IGNORECASE,
)
_ABSENT = re.compile(
    r"\b(?:no|not|none|without|neither|never|cannot see|can't see|isn't|aren't|wasn't|doesn't|don't|does not|lacks?|"
    r"missing|absent)\b",
    re.IGNORECASE,
)
_PRESENT = re.compile(
    r"\b(?:there (?:is|are)|there's|(?:picture|image|photo|it) shows|i (?:can )?see|visible)\b", re.IGNORECASE
)
_NOT_A_COUNT = re.compile(r"\b(?:no one|one of|(?:this|that|each|every|which|the other|another) one)\b", re.IGNORECASE)
_RANGE = re.compile(r"(?<![\w.])(\d+)\s*(?:-|–|—|to|or)\s*(\d+)\b", re.IGNORECASE)
_ABOUT = re.compile(
    r"\b(?:about|around|approximately|roughly|nearly|almost|or so|or more|up to|at most|fewer|less)\b|~|≈",
    re.IGNORECASE,
)
_AT_LEAST = re.compile(r"\b(?:at least|more than|over)\b|\d+\s*\+", re.IGNORECASE)
_SIDES = tuple(
    {word: side for side, group in enumerate(sides) for word in group.split()}
    for sides in (("left", "right"), ("above over top", "below under underneath beneath"), ("front", "behind back"))
)
_INSTEAD_OF = r"(?:\b(?:not|instead of|rather than|no)|n't)\s+(?:\w+\s+)?"
_MANY = frozenset({*words.SEVERAL, "some", "lots", "countless", "dozens", "hundreds"})
_NUMBERS = words.NUMBERS | words.GROUPS | {"zero": 0, "none": 0, "nil": 0}


class Said(NamedTuple):
    """Yes, no, or None for what cannot be told, with `why`; `rest`: what was said besides yes or no, in short."""

    yes: bool | None
    why: str = ""
    rest: str = ""


def read_yes_no(answer: str, thing: str = "") -> Said:
    """Whether an answer says yes. `thing`: what was asked for, so that naming it is a yes."""
    text = _plain(answer)
    if not text:
        return Said(None, "no answer")
    if _UNSURE.search(text):
        return Said(None, _quoted(text))
    said = _said(text)
    if said and said[0] in _YES | _NO:
        return Said(said[0] in _YES, rest=_rest(text))
    yes, no = bool(_YES.intersection(said)), bool(_ABSENT.search(text))
    if yes != no and not (no and _PRESENT.search(text) and not _no_such(text, thing)):
        return Said(yes, rest=_rest(text))
    if thing and not yes and not no and _names(said, thing):
        return Said(True)
    return Said(None, _quoted(text))


def read_side(answer: str, asked: str) -> Said:
    """Whether things stand as `asked` says ("a cat to the left of a dog"), also from the side alone ("right")."""
    said, text = read_yes_no(answer), _plain(answer)
    wanted = _sides(asked)
    named = {(pair, side) for pair, side in _sides(text) if pair in dict(wanted)}
    if _UNSURE.search(text) or not wanted or not named or (said.yes is False and named & wanted):
        return said
    as_asked = bool(named & wanted)
    if said.yes is None:
        return Said(as_asked, rest="" if as_asked else text[:SHOWN])
    return said if said.yes == as_asked else Said(None, _quoted(text))


def read_number(answer: str, thing: str) -> tuple[int | None, int | None]:
    """The least and the most that an answer may mean: (3, 3); (2, None) for "many"; (None, None) for what is no count.

    Of several numbers it is the one before the thing, else the one that the answer begins with.
    """
    text = _NOT_A_COUNT.sub(" ", _plain(answer))
    if not text or _UNSURE.search(text) or _ABOUT.search(text) or _is_range(text):
        return None, None
    if at_least := _AT_LEAST.search(text):
        number = _first_number(text[at_least.start() :])
        more = bool(re.match(r"more|over", at_least.group(), re.IGNORECASE))
        return (None, None) if number is None else (number + more, None)
    number = _the_number(text, thing)
    if number is not None:
        return number, number
    said = {word.lower() for word in _WORD.findall(text)}
    if said & _MANY:
        return 2, None
    return (0, 0) if _says_none(text, thing) else (None, None)


def read_colour(answer: str, asked: str, thing: str = "") -> tuple[Said, str | None]:
    """Whether an answer says that a thing has the colour asked for, and which one it has else."""
    text = _plain(answer)
    said = read_yes_no(text)
    if _UNSURE.search(text) or not text:
        return said, None
    named = _colours(text)
    wanted = _colours(asked) or [asked.lower()]
    denied = {colour for colour in named if re.search(rf"{_INSTEAD_OF}{colour}\b", text.lower())}
    kin = {colour_family(colour) or colour for colour in wanted}
    shown = [colour for colour in named if colour not in denied]
    same = [colour for colour in shown if (colour_family(colour) or colour) in kin]
    other = next((colour for colour in shown if colour not in same), None)
    starts = (_said(text) or [""])[0]
    if starts in _YES | _NO:
        contradicts = (other is not None and not same) if starts in _YES else bool(same and other is None)
        return (Said(None, _quoted(text)), None) if contradicts else (said, None if starts in _YES else other)
    if shown:
        return (Said(True), None) if same else (Said(False), other)
    return (Said(False), None) if denied & set(wanted) else (said, None)


def _plain(answer: str) -> str:
    text = unicodedata.normalize("NFKC", answer).replace("’", "'").replace("*", "").replace("_", " ")
    return " ".join(text.split())


def _said(text: str) -> list[str]:
    """The words, without adverbs before a yes or no; one alone is a yes."""
    said = [word.lower() for word in _WORD.findall(text)]
    if said and said[0] in _SURELY:
        return said[1:] if said[1:] and said[1] in _YES | _NO else ["yes", *said[1:]] if len(said) == 1 else said
    return said


def _sides(text: str) -> set[tuple[int, int]]:
    """The places that a text names, as (pair, side); both sides of one pair cancel each other."""
    said = set(_WORD.findall(text.lower()))
    found = {(pair, side) for pair, sides in enumerate(_SIDES) for word, side in sides.items() if word in said}
    return {(pair, side) for pair, side in found if (pair, 1 - side) not in found}


def _rest(text: str) -> str:
    """What follows a yes or no, without its punctuation."""
    return re.sub(r"^(?:yes|no)\b[\s,.;:!-]*", "", text, flags=re.IGNORECASE).strip(" .")[:SHOWN]


def _quoted(text: str) -> str:
    return f'the answer was "{text[:SHOWN]}"'


def _names(said: list[str], thing: str) -> bool:
    head = thing.lower().split()[-1]
    return bool({head, singular(head), plural(head)} & set(said))


def _no_such(text: str, thing: str) -> bool:
    """Whether it is the thing that is denied, or anything at all where none is named."""
    head = re.escape(singular(thing.lower().split()[-1])) if thing else r"\w+"
    return bool(re.search(rf"\b(?:no|not|n't|not any|any)\s+(?:\w+\s+){{0,2}}{head}", text, re.IGNORECASE))


def _says_none(text: str, thing: str) -> bool:
    starts = (_WORD.findall(text.lower()) or [""])[0]
    return starts in {"no", "nope", "none", "nothing"} or bool(_ABSENT.search(text) and _no_such(text, thing))


def _is_range(text: str) -> bool:
    """ "3-4", "two or three"; "3 or 3" is no range."""
    spelled = re.sub(r"[^\W\d_]+", lambda word: str(_NUMBERS.get(word.group().lower(), word.group())), text)
    return any(match[1] != match[2] for match in _RANGE.finditer(spelled))


def _first_number(text: str) -> int | None:
    return next((number for number in map(_value, _WORD.findall(text)) if number is not None), None)


def _the_number(text: str, thing: str) -> int | None:
    said = _WORD.findall(text)
    numbers = [(place, number) for place, word in enumerate(said) if (number := _value(word)) is not None]
    if any(re.fullmatch(r"\d+[.,]\d+", word) for word in said) or not numbers:
        return None
    different = {number for _, number in numbers}
    if len(different) == 1:
        return numbers[0][1]
    forms = {singular(thing.lower().split()[-1]), plural(singular(thing.lower().split()[-1]))}
    before = {number for place, number in numbers if forms & {word.lower() for word in said[place + 1 : place + 3]}}
    if len(before) == 1:
        return before.pop()
    return numbers[0][1] if numbers[0][0] == 0 else None


def _value(word: str) -> int | None:
    return int(word) if word.isdecimal() else _NUMBERS.get(word.lower())


def _colours(text: str) -> list[str]:
    """The colour words of a text, in order."""
    parts = [part for word in _WORD.findall(text.lower()) for part in word.split("-")]
    bare = [part.removesuffix("ish") if part.endswith("ish") else part for part in parts]
    known = [part if colour_family(part) else f"{part}e" if colour_family(f"{part}e") else part[:-1] for part in bare]
    return [colour for colour in known if colour_family(colour)]
