"""Wording: what a prompt is about, and the same wish said with more weight or in more words. Pure text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

EMPHASIS = (1.0, 1.3, 1.6)
"""Weight of what is emphasised in rounds 1, 2, 3; later rounds keep the last. Beyond 1.6 CLIP encoders distort."""

_COUNT_OF_ONE = re.compile(r"(?<![\w-])(?:single|one|1|solo|lone|sole)(?![\w-])(?!\s+of\b)", re.IGNORECASE)
_LEAD_IN = re.compile(
    r"^\s*(?:please\s+)?(?:(?:draw|paint|create|make|generate|show)\s+(?:me\s+)?)?"
    r"(?:(?:an?|the)?\s*(?:simple\s+|detailed\s+)?"
    r"(?:photo|photograph|picture|image|drawing|illustration|painting|portrait|render|sketch)\s+of\s+)?"
    r"(?:there\s+(?:is|are)\s+)?(?:(?:an?|the|some|just|only|exactly)\s+)*",
    re.IGNORECASE,
)
_STOPS = frozenset(
    "on in at by with without under over above below behind before beside near next against inside outside between "
    "from of to into onto through across around and or but while who which that is are was were has have sits stands "
    "runs walks lies looks wearing holding please the a an".split()
)
_HAVING = re.compile(
    r"(?P<before>[^\s,.;:()]*)\s+(?:with|on|in|at|by|from|to|under|over|has|have|having|holding|wearing|carrying|raising|"
    r"lifting|raises|lifts|holds|wears|carries)\s+(?:(?:an?|the|his|her|its|their|just|only|exactly)\s+)*$",
    re.IGNORECASE,
)
_LOOK_BACK = 60
"""Characters before a count in which the words stand that make what is counted a part of something."""
_MEDIA = frozenset(
    "photo photograph picture image drawing illustration painting portrait render sketch scene view shot icon".split()
)
_PARTICLES = frozenset(
    "up down left right away off out back forward forwards backward backwards upward upwards downward downwards "
    "sideways upright only here there apart".split()
)
"""They say where or how, and name nothing."""
_NO_VERBS = frozenset(
    "building painting drawing ceiling wedding earring string spring clothing morning evening duckling sibling pudding "
    "darling hundred thing seabed lily family butterfly dragonfly firefly belly jelly".split()
)
"""Nouns that end like a participle or an adverb."""
_WORD = re.compile(r"[^\W\d_][\w'-]*|\d+")
_WEIGHTED = re.compile(r"\(([^()]+):(\d+(?:\.\d+)?)\)")


@dataclass(frozen=True)
class Subject:
    """What a prompt is about: where it stands in the text, its head noun, and whether just one was asked for."""

    start: int
    end: int
    noun: str
    alone: bool


def find_subject(prompt: str) -> Subject | None:
    """The first noun phrase of the prompt, with its count word when one thing was asked for.

    "single red car on a country road" -> "single red car", noun "car", alone.
    """
    one = next((found for found in _COUNT_OF_ONE.finditer(prompt) if not _counts_a_part(prompt, found.start())), None)
    start = one.start() if one else (_LEAD_IN.match(prompt) or re.match("", prompt)).end()  # pyright: ignore[reportOptionalMemberAccess]
    words = _phrase(prompt, start, 2 if one else 1)
    if len(words) < (2 if one else 1):
        return None
    return Subject(start=start, end=words[-1].end(), noun=words[-1].group().lower(), alone=one is not None)


def _counts_a_part(prompt: str, start: int) -> bool:
    """Whether "one" counts what something has, as in "a dancer with one arm up"; a picture "with one tree" shows it."""
    having = _HAVING.search(prompt[max(0, start - _LOOK_BACK) : start])
    return having is not None and bool(having["before"]) and having["before"].lower() not in _MEDIA


def _phrase(prompt: str, start: int, least: int) -> list[re.Match[str]]:
    """The words of the noun phrase that begins at `start`; of its first `least` words none is its end."""
    words: list[re.Match[str]] = []
    candidates = list(_WORD.finditer(prompt, start))
    for word, following in zip_longest(candidates, candidates[1:]):
        if words and (prompt[words[-1].end() : word.start()].strip() or word.group().lower() in _STOPS):
            break
        if len(words) >= least and _is_participle(word.group().lower(), following):
            break
        words.append(word)
    while len(words) > least and words[-1].group().lower() in _PARTICLES:
        words.pop()
    return words


def _is_participle(word: str, following: re.Match[str] | None) -> bool:
    """Whether the word ends the phrase as in "cat sitting on" (but not in "red flying bird")."""
    verbal = word == "lying" or (word.endswith("ing") and len(word) > 5) or (word.endswith("ed") and len(word) > 4)
    if not verbal or word in _NO_VERBS:
        return False
    return following is None or _says_how(following.group().lower())


def _says_how(word: str) -> bool:
    return word in _STOPS or word in _PARTICLES or (word.endswith("ly") and word not in _NO_VERBS)


def weight_of(round_: int) -> float:
    """How much weight a round puts on what the round before it lacked."""
    return EMPHASIS[min(round_, len(EMPHASIS)) - 1]


def emphasised(prompt: str, phrases: Sequence[str], weight: float) -> str:
    """The prompt with brackets of that weight around each phrase that stands in it.

    "three stars on blue", ("three",) -> "(three:1.3) stars on blue". What stands in brackets of the user's own has
    their weight raised instead.
    """
    for phrase in phrases:
        prompt = _weighted(prompt, phrase, weight)
    return prompt


def _weighted(prompt: str, phrase: str, weight: float) -> str:
    found = re.search(rf"(?<!\w){re.escape(phrase)}(?!\w)", prompt, re.IGNORECASE)
    if found is None:
        return prompt
    start, end = found.span()
    own = next((one for one in _WEIGHTED.finditer(prompt) if one.start() < start and end < one.end()), None)
    if own:
        return f"{prompt[: own.start()]}({own[1]}:{float(own[2]) * weight:g}){prompt[own.end() :]}"
    return f"{prompt[:start]}({found[0]}:{weight:g}){prompt[end:]}"


def emphasise(prompt: str, subject: Subject, round_: int) -> str:
    """ "single car on a road" -> "(single car:1.3) on a road"; a prompt with own brackets has them raised."""
    weight = weight_of(round_)
    own = _WEIGHTED.search(prompt)
    if own:
        return f"{prompt[: own.start()]}({own[1]}:{float(own[2]) * weight:g}){prompt[own.end() :]}"
    phrase = prompt[subject.start : subject.end]
    return f"{prompt[: subject.start]}({phrase}:{weight:g}){prompt[subject.end :]}"


def spell_out(prompt: str, subject: Subject, round_: int) -> str:
    """The same wish in more words, for encoders that read brackets as text."""
    phrase = prompt[subject.start : subject.end]
    alone = f"There is exactly one {subject.noun}, and no other"
    return said(prompt, [alone if subject.alone else f"The picture clearly shows {phrase}"], round_)


def said(prompt: str, wishes: Sequence[str], round_: int) -> str:
    """The prompt with the wishes as sentences of their own: after it in the second round, around it later."""
    sentences = ". ".join(wishes)
    plain = prompt.rstrip(" .")
    return f"{plain}. {sentences}." if round_ == 2 else f"{sentences}. {plain}. {sentences}."


def against_doubles(noun: str) -> str:
    """The negative wording against more than one of a thing."""
    from utils.reading.phrases import inflector  # its tables are not needed before a picture failed

    plural = inflector().plural_noun(noun) or f"{noun}s"  # pyright: ignore[reportArgumentType]
    return f"multiple {plural}, duplicate, cloned, ghosting, mirrored, two {plural}, extra {noun}"


def joined(*parts: str) -> str:
    return ", ".join(part for part in parts if part.strip())
