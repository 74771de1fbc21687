"""A prompt split into facts that can be looked for one by one, each with what it could be mistaken for.

The first call imports inflect, which takes a second: a caller with an event loop puts it on a thread.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice, pairwise, zip_longest
from typing import Literal

from utils.emphasis import without_emphasis
from utils.reading import vocabulary as words
from utils.reading.phrases import LORA_TAG, MOST_CHARACTERS, NounPhrase, Number, Span, noun_phrases, plural

AtomKind = Literal["subject", "count", "colour", "relation"]

MOST_ATOMS = 12
MOST_RELATIONS = 4
LEAST_FOILS, MOST_FOILS = 8, 16
"""Foils of a prompt: enough that the best of them is near, few enough that their texts cost less than a picture."""
GIST_WORDS = 45
"""Words of a prompt that its foils are made from: CLIP reads 77 tokens, and in a longer text one changed word moves
the embedding too little to tell."""
GENERAL_FOILS = (
    "a blurry photo",
    "a random pattern",
    "an empty picture",
    "a page of text",
    "random noise",
    "a plain gray surface",
    "a collage of many things",
    "an abstract texture",
    "a broken picture",
    "a screenshot of a menu",
)
"""What a failed render looks like, or anything else."""
SEVERAL = "several"
_RELATION_KEYS = {
    relation: tuple(word for word in relation.split() if word != "the")
    for relation in sorted(words.RELATIONS, key=len, reverse=True)
}
"""As the reader of phrases leaves them: without articles; longer ones first."""
_BRACKETS = re.compile(r"[()\[\]{}:<>\\]")


@dataclass(frozen=True)
class Atom:
    """One fact that a prompt states.

    `text` says it alone, in words for an encoder; `phrase` is how it stands in the prompt, letter by letter, without
    brackets; `noun` is the thing it is about; `value` the colour, the number as a word, the other thing of a relation,
    or the thing itself. `foils` are texts of the same form in which that one fact is another.
    """

    kind: AtomKind
    text: str
    phrase: str
    noun: str
    value: str
    foils: tuple[str, ...]


@dataclass(frozen=True)
class Swap:
    """The gist of a prompt with one fact exchanged; `value` is what stands there now."""

    text: str
    atom: Atom
    value: str


def atoms_of(prompt: str) -> tuple[Atom, ...]:
    """The facts of a prompt: of each thing what it is, how many and of what colour, and how things stand to another.

    "three red stars on a white background" -> stars; three of them; red; the background white. A count is taken
    where a number is said ("single", "a pair of", "1girl"), not from "a" alone. Empty for what is not understood.
    """
    phrases = noun_phrases(prompt)
    named = frozenset(phrase.noun for phrase in phrases)
    facts = (atom for phrase in phrases for atom in _facts(prompt, phrase, named=named))
    relations = islice(_relations(prompt, phrases), MOST_RELATIONS)
    return tuple(_unique(chain(islice(_unique(facts), MOST_ATOMS), relations)))


def foils_of(prompt: str) -> tuple[str, ...]:
    """8 to 16 texts that a picture of the prompt should be less like than the prompt's gist."""
    return (*(swap.text for swap in swaps_of(prompt)), *general_foils(prompt))


def general_foils(prompt: str) -> tuple[str, ...]:
    """The foils that are no swaps: four, or more where the prompt has few facts to exchange."""
    said = set(gist(prompt).lower().split())
    fitting = [foil for foil in GENERAL_FOILS if not said & (set(foil.split()) - {"a", "an", "of"})]
    return tuple(fitting[: max(4, LEAST_FOILS - len(swaps_of(prompt)))])


def swaps_of(prompt: str) -> tuple[Swap, ...]:
    """The prompt's gist with one subject, count or colour exchanged, at most twelve, fairly from all its facts.

    "a star" is taken as one star here: two stars are a foil.
    """
    text = gist(prompt)
    stated = {(atom.kind, atom.text): atom for atom in atoms_of(prompt)}
    rows: list[list[Swap]] = []
    for phrase in noun_phrases(text):
        for atom in _facts(text, phrase, implied=not rows):
            known = stated.get((atom.kind, atom.text), atom)
            if atom.kind != "subject" or not rows or _kind(phrase.singular)[1]:
                rows.append([swap for swap in _swaps(text, phrase, known) if swap.text.lower() != text.lower()])
    taken = [swap for rank in zip_longest(*rows) for swap in rank if swap is not None]
    distinct = {swap.text: swap for swap in reversed(taken)}
    return tuple(swap for swap in taken if distinct[swap.text] is swap)[: MOST_FOILS - 4]


def spoken(prompt: str) -> str:
    """The prompt as an encoder should read it: without weights, emphasis brackets and LoRA tags."""
    return re.sub(r"[ \t]{2,}", " ", without_emphasis(LORA_TAG.sub(" ", prompt))).strip(" ")


def gist(prompt: str) -> str:
    """What the prompt shows, in few words: without clauses about quality, and only its beginning when it is long."""
    kept: list[str] = []
    length = 0
    text = spoken(prompt[:MOST_CHARACTERS])
    for clause in re.split(r"(?<=[,.;\n])", text):
        said = re.findall(r"[^\W_]+(?:[-.'][^\W_]+)*", clause.lower())
        if said and not all(word in words.QUALITIES or re.fullmatch(r"score|up|\d{1,2}", word) for word in said):
            room = GIST_WORDS - length
            kept.append(clause if len(said) <= room else " ".join(clause.split()[:room]))
            length += len(said)
        if length >= GIST_WORDS:
            break
    return "".join(kept).strip(" ,;\n") or " ".join(text.split()[:GIST_WORDS])


def _facts(
    prompt: str, phrase: NounPhrase, implied: bool = False, named: frozenset[str] = frozenset()
) -> Iterator[Atom]:
    """What the prompt says of one thing; `implied`: that "a star" is one star as well; `named`: all its things."""
    if not phrase.setting:
        yield _subject(prompt, phrase, named)
    if phrase.number and (phrase.number.said or implied) and not phrase.setting:
        yield _count(prompt, phrase, phrase.number)
    if phrase.colour:
        yield _colour(prompt, phrase)


def _subject(prompt: str, phrase: NounPhrase, named: frozenset[str]) -> Atom:
    """The thing itself; its foils, which are scored alone, are nothing else that the prompt names."""
    said = _literal(prompt, (phrase.adjectives_start, phrase.noun_span[1]), phrase)
    described = " ".join((*phrase.adjectives[-3:], phrase.noun))
    others = [other for other in other_things(phrase.singular) if named.isdisjoint((other, plural(other)))]
    foils = tuple(_named(phrase, other) for other in others)
    return Atom("subject", _named(phrase, described, same=True), said, phrase.noun, phrase.noun, foils)


def _count(prompt: str, phrase: NounPhrase, number: Number) -> Atom:
    said = _literal(prompt, phrase.span, phrase)
    foils = tuple(_counted(phrase, other) for other in _other_counts(number.value))
    value = _number_word(number.value)
    return Atom("count", _counted(phrase, number.value), said, phrase.noun, value, foils)


def _colour(prompt: str, phrase: NounPhrase) -> Atom:
    assert phrase.colour is not None
    start, end = phrase.colour.span
    whole = (start, phrase.noun_span[1]) if end <= phrase.noun_span[0] else phrase.colour.span
    foils = tuple(_named(phrase, f"{other} {phrase.noun}", same=True) for other in other_colours(phrase))
    text = _named(phrase, f"{phrase.colour.text} {phrase.noun}", same=True)
    return Atom("colour", text, _literal(prompt, whole, phrase), phrase.noun, phrase.colour.text, foils)


def _relations(prompt: str, phrases: Sequence[NounPhrase]) -> Iterator[Atom]:
    """How neighbours in a clause stand to each other; the foil has it the other way round."""
    for first, second in pairwise(phrases):
        relation = next((said for said, key in _RELATION_KEYS.items() if second.link[-len(key) :] == key), None)
        one, other = _described(first), _described(second)
        if relation is None or first.setting or second.setting or one == other:
            continue
        opposite = words.RELATIONS[relation]
        reversed_ = () if relation in words.MUTUAL else (f"{other} {relation} {one}",)
        foils = (*reversed_, *([f"{one} {opposite} {other}"] if opposite else []))
        said = _literal(prompt, (first.span[0], second.span[1]), second)
        yield Atom("relation", f"{one} {relation} {other}", said, first.noun, second.noun, foils)


def other_colours(phrase: NounPhrase) -> list[str]:
    """Colours that are not taken for the phrase's own, at most six."""
    family = phrase.colour.family if phrase.colour else ""
    choice = words.HAIR_COLOURS if phrase.noun == "hair" else words.FOIL_COLOURS
    near = {family, *words.NEIGHBOURS.get(family, ()), *family.split()}
    return [name for name in choice if name not in near][:6]


def other_things(noun: str) -> list[str]:
    """Things that the noun is not: four to seven others of its kind, else what is no general word for it.

    None for "an object", which may be any of them.
    """
    near, others = _kind(noun)
    if noun in words.UNTOLD:
        return []
    anything = [thing for thing, like in words.ANYTHING.items() if thing not in (*near, *others) and noun not in like]
    return (others + anything)[: max(4, min(len(others), 7))] if others else anything


def _kind(noun: str) -> tuple[Sequence[str], list[str]]:
    """The words for nearly the same thing, and names of the others of its kind; empty for no known kind."""
    for kind in words.KINDS:
        for place, group in enumerate(kind):
            if noun in group:
                return group, [other[0] for other in (*kind[place + 1 :], *kind[:place])]
    return (noun,), []


def _other_counts(value: int | None) -> tuple[int, ...]:
    if value is None:
        return (1,)
    near = {1: (2, 3, 4), 2: (1, 3, 4), 3: (2, 1, 4)}
    return near.get(value, (value - 1, value + 1, 1))


def _number_word(value: int | None) -> str:
    if value is None:
        return SEVERAL
    return words.NUMBER_WORDS[value - 1] if value <= len(words.NUMBER_WORDS) else str(value)


def _counted(phrase: NounPhrase, value: int | None) -> str:
    return f"{_number_word(value)} {_inflected(phrase.singular, value != 1)}"


def _inflected(noun: str, many: bool) -> str:
    return plural(noun) if many else noun


def _named(phrase: NounPhrase, thing: str, same: bool = False) -> str:
    """A thing in the number of the phrase, with an article when it is one; `same`: it has the phrase's own noun."""
    if phrase.plural:
        return thing if same else plural(thing)
    return thing if same and (phrase.proper or phrase.noun in words.MASS) else with_article(thing)


def _described(phrase: NounPhrase) -> str:
    """The thing with number, colour and adjectives."""
    colour = [phrase.colour.text] if phrase.colour else []
    described = " ".join((*phrase.adjectives[-3:], *colour, phrase.noun))
    if phrase.number and phrase.number.said:
        return f"{_number_word(phrase.number.value)} {described}"
    return _named(phrase, described, same=True)


def with_article(thing: str) -> str:
    """ "an owl", "a unicorn" """
    vowel = thing[:1].lower() in "aeiou" and not thing.lower().startswith(("uni", "use", "eu", "one"))
    return f"{'an' if vowel else 'a'} {thing}"


def _literal(prompt: str, span: Span, phrase: NounPhrase) -> str:
    """That part of the prompt, or only its noun where brackets stand inside."""
    said = prompt[slice(*span)]
    return prompt[slice(*phrase.noun_span)] if _BRACKETS.search(said) else said


def _swaps(text: str, phrase: NounPhrase, atom: Atom) -> Iterator[Swap]:
    """The text with this fact of this thing exchanged, in several ways."""
    if atom.kind == "colour" and phrase.colour:
        for colour in other_colours(phrase):
            yield Swap(_edited(text, [(phrase.colour.span, colour)], phrase.article), atom, colour)
    elif atom.kind == "subject" and phrase.number and phrase.number.span == phrase.noun_span:
        for other in other_things(phrase.singular):
            counted = f"{_number_word(phrase.number.value)} {_inflected(other, phrase.plural)}"
            yield Swap(_edited(text, [(phrase.noun_span, counted)], None), atom, other)
    elif atom.kind == "subject":
        for other in other_things(phrase.singular):
            other = _inflected(other, phrase.plural)
            yield Swap(_edited(text, [(phrase.noun_span, other)], phrase.article), atom, other)
    elif atom.kind == "count" and phrase.number:
        for value in _other_counts(phrase.number.value):
            yield Swap(_recounted(text, phrase, phrase.number.span, value), atom, _number_word(value))


def _recounted(text: str, phrase: NounPhrase, span: Span, value: int) -> str:
    """The text with another number of the thing."""
    counted = _number_word(value)
    noun = _inflected(phrase.singular, value != 1)
    if span == phrase.noun_span:
        return _edited(text, [(span, f"{counted} {noun}")], None)
    if phrase.article and phrase.article[0] < span[0]:
        span = (phrase.article[0], span[1])
    return _edited(text, [(span, counted), (phrase.noun_span, noun)], None)


def _edited(text: str, edits: Sequence[tuple[Span, str]], article: Span | None) -> str:
    """The text with each span replaced, and the article made to fit the word after it."""
    changes = list(edits)
    if article and not text[article[1] : edits[0][0][0]].strip():
        changes.append((article, with_article(edits[0][1]).split()[0]))
    for (start, end), new in sorted(changes, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def _unique(atoms: Iterable[Atom]) -> Iterator[Atom]:
    seen: set[tuple[str, str]] = set()
    for atom in atoms:
        if (atom.kind, atom.text) not in seen:
            seen.add((atom.kind, atom.text))
            yield atom
