"""Surgery on somebody's words: a thing taken out, exchanged, coloured or counted, and the rest left whole. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from utils.reading import vocabulary as grammar
from utils.reading.atoms import with_article
from utils.reading.phrases import NounPhrase, colour_family, noun_phrases, plural
from workflows.prompts.sameness import root
from workflows.wording import find_subject

_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_LEAD = re.compile(
    r"(?:(?:all|any|every|each|some|most)\s+(?:of\s+)?)?(?:the|an?|his|her|its|their|my|that|those|this|these|any|some)?\s+",
    re.IGNORECASE,
)
_LEFT = re.compile(
    r"(?:^|(?<=[\s,]))(?:next to|in front of|on top of|surrounded by|(?:sitting|standing|lying|looking|leaning) \w+|"
    r"with|wearing|holding|carrying|in|on|under|over|beside|near|by|behind|at|against|above|below|inside|beneath|of|"
    r"featuring|including|has|having|riding|from|around|among)\s+(?:his|her|its|their)?\s*$",
    re.IGNORECASE,
)
_AND = re.compile(r"\s*(?:,\s*and|,|\band)\s*$", re.IGNORECASE)
_DANGLING = re.compile(
    r"^(?:\s|,|(?:and|or|with|on|in|at|of|under|over|beside|near|by|behind|wearing|holding|sitting|standing|is|are|who)\b)+"
    r"|(?:\s|,|\b(?:and|or|with|on|in|at|of|under|beside|near|by|behind|wearing|holding|a|an|the))+$",
    re.IGNORECASE,
)


_PAIRS = (
    "big large huge/small little tiny", "old/young", "tall long/short", "fat/thin", "happy/sad", "wet/dry",
    "new modern/old ancient", "open/closed",
)  # fmt: skip
_OPPOSITES = {
    word: frozenset(
        " ".join(
            pair.split("/")[1 - side] for pair in _PAIRS for side in (0, 1) if word in pair.split("/")[side].split()
        ).split()
    )
    for word in " ".join(_PAIRS).replace("/", " ").split()
}
"""Adjectives that a new one takes the place of."""


@dataclass(frozen=True)
class Place:
    """Where a thing stands in the words: `start` with its article, `noun` its head, and the phrase it is in, if any."""

    start: int
    end: int
    phrase: NounPhrase | None


def bare(thing: str) -> str:
    """Without article: "the red hat" -> "red hat"."""
    return _LEAD.sub("", f"{thing.strip()}", count=1) if _LEAD.match(thing.strip()) else thing.strip()


def find(words: str, thing: str) -> Place | None:
    """The thing in the words: all its words in a row, else its last one, in singular or plural."""
    wanted = [root(word) for word in _WORD.findall(bare(thing))]
    tokens = list(_WORD.finditer(words))
    roots = [root(token.group()) for token in tokens]
    for key in filter(None, (wanted, wanted[-1:])):
        places = [place for place in range(len(roots) - len(key) + 1) if roots[place : place + len(key)] == key]
        if places:
            first, last = tokens[places[0]], tokens[places[0] + len(key) - 1]
            return _place(words, first.start(), last.end())
    return None


def _place(words: str, start: int, end: int) -> Place:
    """With the whole noun phrase where the match ends with its noun, with the article before it in any case."""
    phrase = next((one for one in noun_phrases(words) if one.noun_span[1] == end and one.span[0] <= start), None)
    if phrase:
        start = min(phrase.span[0], phrase.article[0] if phrase.article else start)
    before = re.compile(r"(?:\b(?:an?|the|his|her|its|their)\s+)$", re.IGNORECASE).search(words[:start][-8:])
    return Place(start - len(before.group()) if before and phrase else start, end, phrase)


def without(words: str, place: Place) -> str:
    """The words without the thing, and without what held it to the rest."""
    left, right = words[: place.start], words[place.end :]
    right = re.sub(r"^\s+of\s+(?:an?\s+|the\s+)?[\w-]+", "", right)
    following = re.match(r"\s*(?:,\s*and\s+|,\s*|\s+and\s+)", right)
    joint = _LEFT.search(left)
    if joint and following and re.match(r"\s*(?:,\s*)?\band\b|\s+and\b", following.group()):
        return tidy(left + right[following.end() :])
    if joint:
        return tidy(left[: joint.start()] + right)
    if _AND.search(left):
        return tidy(_AND.sub("", left) + right)
    return tidy(left + (right[following.end() :] if following else right))


def tidy(words: str) -> str:
    """Single spaces and commas, and no joint without a thing at either end."""
    text = re.sub(r"\s+([,.;])", r"\1", re.sub(r"\s+", " ", words))
    text = re.sub(r"(?:,\s*){2,}", ", ", re.sub(r",\s*([.;])", r"\1", text))
    return _DANGLING.sub("", text.strip()).strip(" ,")


def exchanged(words: str, place: Place, new: str) -> str:
    """The thing replaced; an article where the old one had one and the new one has none."""
    old = words[place.start : place.end]
    single = place.phrase is not None and place.phrase.article is not None and not place.phrase.plural
    is_thing = place.phrase is not None and not _determined(new) and not _looks_plural(new)
    text = with_article(new) if single and is_thing and colour_family(new.lower()) is None else new
    if re.match(r"the\b", old, re.IGNORECASE) and not _determined(new):
        text = f"the {new}"
    before = words[: place.start]
    if _determined(new):
        before = re.sub(r"\b(?:an?|the)\s+$", "", before, flags=re.IGNORECASE)
    return articles(before + text + words[place.end :])


def _determined(thing: str) -> bool:
    first = thing.split(maxsplit=1)[0].lower() if thing.split() else ""
    return first in grammar.DETERMINERS or first in grammar.NUMBERS or first.isdigit() or first[:1].isupper()


def _looks_plural(thing: str) -> bool:
    last = thing.split()[-1].lower() if thing.split() else ""
    return last in grammar.MASS or (root(last) != last and not last.endswith(("ss", "us")))


def described(words: str, phrase: NounPhrase, adjective: str) -> str:
    """The thing with an adjective more; a colour takes the place of its old colour."""
    opposite = next((word for word in phrase.adjectives if word.lower() in _OPPOSITES.get(adjective.lower(), ())), "")
    if opposite:
        begin, rest = words[: phrase.adjectives_start], words[phrase.adjectives_start :]
        return articles(begin + rest.replace(opposite, adjective, 1))
    colour = colour_family(adjective.split()[-1].lower())
    if colour and phrase.colour and phrase.colour.span[1] <= phrase.noun_span[0]:
        start, end = phrase.colour.span
        return articles(f"{words[:start]}{adjective}{words[end:]}")
    start = phrase.noun_span[0]
    if words[start : phrase.noun_span[1]][:1].isdigit():  # 1girl
        return f"{words}, {adjective}"
    return articles(f"{words[:start]}{adjective} {words[start:]}")


def counted(words: str, phrase: NounPhrase, value: int) -> str:
    """So many of the thing."""
    word = grammar.NUMBER_WORDS[value - 1] if value <= len(grammar.NUMBER_WORDS) else str(value)
    noun = phrase.singular if value == 1 else plural(phrase.singular)
    start, end = phrase.noun_span
    if phrase.number and phrase.number.span == phrase.noun_span:
        return words[:start] + (f"{value}{noun}") + words[end:]
    heads = [span for span in (phrase.article, phrase.number.span if phrase.number else None) if span]
    begin = min([phrase.adjectives_start, *(span[0] for span in heads)])
    rest = max([begin, *(span[1] for span in heads)])
    return f"{words[:begin]}{word} {words[rest:start].lstrip()}{noun}{words[end:]}"


def subject(words: str) -> NounPhrase | None:
    """What the picture is of."""
    phrases = noun_phrases(words)
    found = find_subject(words)
    near = (one for one in phrases if found and one.noun_span[1] == found.end)
    return next(near, phrases[0] if phrases else None)


def behind(words: str, phrase: NounPhrase, more: str) -> str:
    """Something said right after the thing."""
    end = phrase.noun_span[1]
    return f"{words[:end]} {more}{words[end:]}"


def added(words: str, more: str) -> str:
    """Something said at the end."""
    text = words.rstrip()
    stop = text[-1:] if text.endswith((".", "!")) else ""
    return f"{text.rstrip(' .!,')}, {more}{stop}"


def articles(words: str) -> str:
    """With "a" and "an" as the next word wants them."""

    def fit(found: re.Match[str]) -> str:
        article = with_article(found[2]).split()[0]
        return f"{article.capitalize() if found[1][0].isupper() else article} {found[2]}"

    return re.sub(r"\b(an?) ([a-z][\w-]*)", fit, words, flags=re.IGNORECASE)


def without_any(words: str, phrases: Sequence[str]) -> str:
    """The words without these phrases, where they stand between commas or at the end."""
    for phrase in phrases:
        words = re.sub(rf"(?:^|,\s*){re.escape(phrase)}(?=\s*(?:,|$|\.))", "", words, flags=re.IGNORECASE)
    return words.strip(" ,")
