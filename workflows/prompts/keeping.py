"""Keeping: which of the user's words a prompt that somebody else wrote no longer has. Rules on words, no model.

English is read as phrases; of other languages every run of letters counts, where the prompt is in that language too.
The first call imports inflect, which takes a second: a caller with an event loop puts it on a thread.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from utils.reading import vocabulary as grammar
from utils.reading.atoms import spoken
from utils.reading.phrases import NounPhrase, colour_family, noun_phrases
from workflows.prompts.sameness import SAME, derived, root, roots
from workflows.selection.words import unspaced

MOST_READ = 8000
"""Characters of either text that are read."""
NEAR = 6
"""Words before a noun, or after it, among which its number or colour may stand."""
_QUOTED = re.compile(
    r"\"([^\"\n]{1,120})\"|“([^”\n]{1,120})”|「([^」\n]{1,60})」|«([^»\n]{1,120})»|(?<!\w)'([^'\n]{2,60})'(?!\w)"
)
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_SENTENCE = re.compile(r"(?:^|[.!?:;\n\"“(,])\s*\W*")
_NAME = re.compile(
    r"[A-ZÀ-ÖØ-Þ][\w'’-]*(?:\s+(?:(?:of|the|de|da|di|van|von|der|la|le|el)\s+){0,2}[A-ZÀ-ÖØ-Þ][\w'’-]*)*"
)
_NO_NAMES = frozenset("i a an the o".split())
_MOMENTS = frozenset(
    "sunset sunrise dusk dawn night morning noon midnight twilight rain snow fog winter autumn".split()
)
"""Times and weathers, which the reader of phrases takes for no things, though a picture without them is another."""
_DOUBLES = {"both": 2, "twin": 2, "twins": 2, "two": 2, "pair": 2, "trio": 3, "triplets": 3, "lone": 1, "an": 1, "a": 1}
_ABROAD = frozenset(
    "der die das ein eine einen einem einer und mit auf im am von zum ist nicht ohne vor bei unter über el la los las "
    "un una con en del y al por para sin sobre le les des du dans avec et sur une est au aux il lo gli di che nel "
    "della da do em um uma os het een van op met och av med i på ett den".split()
)
_AT_HOME = frozenset(
    "the a an of in on at with and or by from to under over near into is are through behind its".split()
)
_PARTICLES = re.compile(
    r"[的了着在是和与跟或上下里中有地得个只张条位名座幅头匹朵棵辆把のがはをにとでもやへるたてい、，。！？\W_]+"
)
_CHINESE = {"二": 2, "两": 2, "兩": 2, "三": 3, "四": 4, "五": 5, "六": 6, "七": 7, "八": 8, "九": 9, "十": 10}
_CHINESE_COUNT = re.compile(r"([二两兩三四五六七八九十]|\d+)\s*(?=[只個个張张條条位名座幅頭头匹朵棵輛辆把人匹本枚羽])")
_LEAST_RUN = 4
"""Letters of a run that is compared where no grammar tells words that matter from others."""


def lost(words: str, prompt: str) -> tuple[str, ...]:
    """What of the user's words is not in the prompt, in their order and as they wrote it; () when all is there.

    Things, how many of them, their colours, quoted texts and names. Singular and plural, a number in whatever form,
    shades of a colour and words that are spelled together or apart are the same. A prompt in another language than the
    words is only looked at for numbers in digits and quoted texts.
    """
    given, written = _Text(words[:MOST_READ]), _Text(prompt[:MOST_READ])
    found = [*_lost_quotes(given, written), *_lost_names(given, written)]
    if given.unspaced:
        found += _lost_signs(given, written)
    elif given.abroad:
        found += _lost_runs(given, written)
    else:
        found += _lost_things(given, written)
    return tuple(dict.fromkeys(found))


@dataclass(frozen=True)
class _Text:
    """A text and what its words are, each found once."""

    raw: str

    @cached_property
    def plain(self) -> str:
        """Without weights, brackets and LoRA tags; tags with spaces."""
        text = spoken(re.sub(r"\bembedding:\S+", "", self.raw))
        return re.sub(r"\bafter dark\b", "at night", text.replace("_", " "))

    @cached_property
    def unquoted(self) -> str:
        return _QUOTED.sub(" , ", self.plain)

    @cached_property
    def words(self) -> list[str]:
        return [word.lower() for word in _WORD.findall(self.plain)]

    @cached_property
    def roots(self) -> frozenset[str]:
        """Of every word, and of neighbours written as one."""
        joined = (first + second for first, second in zip(self.words, self.words[1:], strict=False))
        return frozenset(one for word in [*self.words, *joined] for one in roots(word))

    @cached_property
    def phrases(self) -> tuple[NounPhrase, ...]:
        return noun_phrases(self.plain)

    @cached_property
    def unspaced(self) -> bool:
        """Whether most of it is of a script without spaces."""
        letters = [letter for letter in self.unquoted if letter.isalpha()]
        return sum(map(unspaced, letters)) * 2 > len(letters)

    @cached_property
    def abroad(self) -> bool:
        """Whether it is of another language than English, or another alphabet."""
        letters = [letter for letter in self.unquoted if letter.isalpha()]
        if sum(letter.isascii() for letter in letters) * 2 < len(letters):
            return True
        there, home = (sum(word in listed for word in self.words) for listed in (_ABROAD, _AT_HOME))
        return there > home

    @cached_property
    def bare(self) -> str:
        """Only letters and digits, without accents."""
        return _bare(self.plain)


def _bare(text: str) -> str:
    parts = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in parts if letter.isalnum())


def _lost_quotes(given: _Text, written: _Text) -> Iterator[str]:
    for quote in _QUOTED.finditer(given.plain):
        text = next(filter(None, quote.groups()), "")
        if text.strip() and _bare(text) not in written.bare:
            yield f'"{text.strip()}"'


def _lost_names(given: _Text, written: _Text) -> Iterator[str]:
    """Names are told by capitals inside a sentence, or two of them in a row."""
    for name in _names(given):
        parts = [part for part in _WORD.findall(name) if part[0].isupper()]
        if not all(_has_name(_bare(part.removesuffix("'s").removesuffix("’s")), written) for part in parts):
            yield name


def _has_name(part: str, written: _Text) -> bool:
    """Whether it is there, or the adjective of a place: "Moroccan"."""
    begins = part[: max(4, len(part) - 2)]
    made = re.compile(rf"{re.escape(begins)}\w{{0,3}}(?:an|ese|ish)")
    return part in written.bare or any(made.fullmatch(_bare(word)) for word in written.words)


def _names(given: _Text) -> Iterator[str]:
    words = _WORD.findall(given.unquoted)
    if given.abroad or sum(word[0].isupper() for word in words) * 2 > len(words) + 2:
        return  # titles, shouting, and German
    begins = {found.end() for found in _SENTENCE.finditer(given.unquoted)}
    for found in _NAME.finditer(given.unquoted):
        name = found.group().strip("'’-")
        short = len(name.split()) == 1 and (found.start() in begins or len(name) == 1)
        if not short and name.casefold() not in _NO_NAMES:
            first, *rest = name.split()
            yield (
                " ".join(rest)
                if found.start() in begins and first.casefold() in grammar.DETERMINERS | _AT_HOME
                else name
            )


def _lost_things(given: _Text, written: _Text) -> Iterator[str]:
    quoted = {root(word) for quote in _QUOTED.finditer(given.plain) for word in _WORD.findall(quote.group())}
    names = {root(word) for name in _names(given) for word in _WORD.findall(name)}
    for phrase in (part for whole in noun_phrases(given.unquoted) for part in _parts(whole)):
        said = given.unquoted[slice(*phrase.span)]
        if phrase.setting or root(phrase.noun) in names | quoted or _verbal(phrase):
            continue
        if not _has_thing(phrase, written):
            yield said if len(said) < 40 and "," not in said else phrase.noun
            continue
        yield from _lost_number(phrase, said, written)
        yield from _lost_colour(phrase, written)
    for word in given.words:
        if word in _MOMENTS and not _has(word, written):
            yield word


def _parts(phrase: NounPhrase) -> Iterator[NounPhrase]:
    """The phrase; as two things where a verb stands in its middle, as in "two women drinking coffee"."""
    if phrase.noun in _STATES and phrase.adjectives:
        end = phrase.noun_span[1] - len(phrase.noun) - 1
        phrase = replace(
            phrase, span=(phrase.span[0], end), noun=phrase.adjectives[-1].lower(), adjectives=phrase.adjectives[:-1]
        )
    verbs = [
        place for place, word in enumerate(phrase.adjectives) if place and _is_verb(word, phrase.adjectives[place - 1])
    ]
    if not verbs:
        yield phrase
        return
    before, after = phrase.adjectives[: verbs[0]], phrase.adjectives[verbs[0] + 1 :]
    end = (
        phrase.noun_span[1]
        - len(phrase.noun)
        - 1
        - sum(len(word) + 1 for word in (phrase.adjectives[verbs[0]], *after))
    )
    plural = phrase.number is not None and phrase.number.value != 1
    yield replace(phrase, span=(phrase.span[0], end), noun=before[-1].lower(), adjectives=before[:-1], plural=plural)
    own = phrase.noun_span[1] - len(" ".join((*after, phrase.noun)))
    alone = (own, phrase.noun_span[1])
    yield replace(phrase, span=alone, adjectives=after, number=None, colour=None)


def _is_verb(word: str, before: str) -> bool:
    verbal = word.endswith("ing") and len(word) > 5
    return verbal and before.lower() not in grammar.ADJECTIVES and before.islower()


def _verbal(phrase: NounPhrase) -> bool:
    """What the reader of phrases takes for a thing and is none: verbs and adverbs at the end."""
    noun = phrase.noun
    return noun in _NOT_THINGS or noun.endswith("ly") or (noun.endswith("ing") and not phrase.article and len(noun) > 5)


_STATES = frozenset("asleep awake alone together outside inside ahead aboard".split())
"""What is said behind a thing, and read as if it were one."""
_NOT_THINGS = frozenset(
    "something anything thank thanks please much style mood look looks feel vibe vibes kind type sort one ones way lot "
    "bit it them everything "
    "dramatic realistic cinematic detailed epic cozy cosy warm soft gloomy moody minimal minimalist vibrant romantic "
    "says reads read saying reading written wearing holding "
    "scenery scene background foreground up down solo viewer quality masterpiece beauty closeup front back top".split()
)


def _has_thing(phrase: NounPhrase, written: _Text) -> bool:
    compound = root("".join((*phrase.adjectives[-1:], phrase.noun)).lower())
    if _has(phrase.noun, written) or not SAME.get(compound, frozenset((compound,))).isdisjoint(written.roots):
        return True
    if "-" in phrase.noun:
        return _bare(phrase.noun) in written.bare
    return phrase.noun == "couple" and 2 in _numbers(written.words)


def _has(noun: str, written: _Text) -> bool:
    """Whether the thing is named, in this number or that, by a synonym, or in a word made of it."""
    if not SAME.get(root(noun), frozenset((root(noun),))).isdisjoint(written.roots):
        return True
    own = root(noun)
    return any(derived(word, own) or (len(word) >= 3 and derived(own, word)) for word in written.roots)


def _same_things(noun: str, written: _Text) -> list[NounPhrase]:
    """The phrases of the prompt that name the same thing."""
    same = SAME.get(root(noun), frozenset((root(noun),)))
    return [one for one in written.phrases if root(one.noun) in same]


def _lost_number(phrase: NounPhrase, said: str, written: _Text) -> Iterator[str]:
    if phrase.number is None or not phrase.number.said:
        return
    value, others = phrase.number.value, _same_things(phrase.noun, written)
    counts = [one.number.value for one in others if one.number and (one.number.said or value == 1)]
    if value is None:
        if others and not any(one.plural or one.noun in grammar.MASS for one in others):
            yield said
        return
    alone = value == 1 and (not others or any(not one.plural for one in others))
    if alone or value in counts or value in _numbers_near(phrase.noun, written):
        return
    if any(count is not None for count in counts) or value not in _numbers(written.words):
        yield said


def _numbers(words: Iterable[str]) -> frozenset[int]:
    known = grammar.NUMBERS | grammar.GROUPS | _DOUBLES
    tags = (re.match(r"([1-9]\d?)\+?(?:girl|boy|other|man|woman|cat|dog)", word) for word in words)
    counted = [int(tag[1]) for tag in tags if tag]
    digits = [int(word) for word in words if word.isascii() and word.isdigit() and len(word) < 4]
    return frozenset([*counted, *digits, *(known[word] for word in words if word in known)])


def _numbers_near(noun: str, written: _Text) -> frozenset[int]:
    """The numbers that stand just before the thing; as many as are told one by one count too."""
    same = SAME.get(root(noun), frozenset((root(noun),)))
    places = [place for place, word in enumerate(written.words) if not roots(word).isdisjoint(same)]
    exact = {number for place in places for number in _numbers(_own(written.words[max(0, place - NEAR) : place]))}
    told = sum(_told_apart(written.words[max(0, place - 3) : place]) for place in places)
    return frozenset(exact | ({told} if told > 1 else set()))


def _own(words: list[str]) -> list[str]:
    """Of the words before a thing those that can belong to it: nothing before "and", "with" and their like."""
    ends = [
        place
        for place, word in enumerate(words)
        if word in {"and", "with", "beside", "near", "on", "in", "under", "by"}
    ]
    return words[ends[-1] + 1 :] if ends else words


def _told_apart(words: list[str]) -> bool:
    return not {"one", "another", "other", "second", "third", "first", "a", "an", "the"}.isdisjoint(words)


def _lost_colour(phrase: NounPhrase, written: _Text) -> Iterator[str]:
    if phrase.colour is None:
        return
    families = {part for part in phrase.colour.family.split(" and ") if part}
    own = [one.colour.family for one in _same_things(phrase.noun, written) if one.colour]
    everywhere = {_SHADES.get(word) or colour_family(word.removesuffix("ish")) for word in written.words}
    here = {part for family in own for part in family.split(" and ")} or everywhere
    near = _colours_near(phrase.noun, written)
    if not families <= (here | near):
        yield f"{phrase.colour.text} {phrase.noun}"


_SHADES = {
    "cobalt": "blue", "sapphire": "blue", "cerulean": "blue", "russet": "red", "redheaded": "red", "redhead": "red",
    "jade": "green", "jet": "black", "snowy": "white", "alabaster": "white", "whitewashed": "white",
}  # fmt: skip
"""Names of shades that a writer puts for a colour, by what they may stand for where the thing has no colour else."""


def _colours_near(noun: str, written: _Text) -> frozenset[str]:
    same = SAME.get(root(noun), frozenset((root(noun),)))
    places = [place for place, word in enumerate(written.words) if not roots(word).isdisjoint(same)]
    near = (word for place in places for word in _own(written.words[max(0, place - NEAR) : place]))
    after = (word for place in places for word in _linked(written.words[place + 1 : place + 4]))
    return frozenset(family for word in (*near, *after) if (family := colour_family(word)))


def _linked(words: list[str]) -> list[str]:
    """The words after a thing that say what it is like: "is red", "in deep red"."""
    return words[1:] if words[:1] in (["is"], ["are"], ["in"], ["painted"], ["colored"], ["coloured"]) else []


def _lost_runs(given: _Text, written: _Text) -> Iterator[str]:
    """Words of a language that no grammar here reads; none where the prompt is of another one."""
    runs = [word for word in _WORD.findall(given.unquoted) if len(word) >= _LEAST_RUN and word.lower() not in _ABROAD]
    gone = [run for run in runs if not _has_run(run.casefold(), written)]
    yield from (digits for digits in re.findall(r"\b\d{1,3}\b", given.unquoted) if not _has_digits(digits, written))
    if written.abroad or len(gone) * 2 < len(runs):
        yield from gone


def _has_run(run: str, written: _Text) -> bool:
    """Whether a word begins as this one does: endings are no difference."""
    stem = run[: max(3, round(len(run) * 0.65))]
    return any(word.casefold().startswith(stem) for word in written.words)


def _has_digits(digits: str, written: _Text) -> bool:
    return digits in written.words or int(digits) in _numbers(written.words) or written.abroad


def _lost_signs(given: _Text, written: _Text) -> Iterator[str]:
    """Runs of Chinese or Japanese; none where the prompt has been translated."""
    if not any(map(unspaced, written.plain)):
        return
    for count in _CHINESE_COUNT.finditer(given.unquoted):
        value = _CHINESE.get(count[1]) or int(count[1])
        forms = [sign for sign, number in _CHINESE.items() if number == value] + [str(value)]
        if not any(form in written.plain for form in forms):
            yield given.unquoted[count.start() : count.end() + 1]
    for run in _PARTICLES.split(_CHINESE_COUNT.sub(" ", given.unquoted)):
        pairs = [run[place : place + 2] for place in range(len(run) - 1)] or [run]
        if run and sum(pair in written.plain for pair in pairs) * 2 < len(pairs):
            yield run
