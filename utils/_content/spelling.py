"""A text as words, with hidden spellings read back: n.u.d.e, nud3, nuuude, NudeGirl_v2, n(ud)e and their like.

Linear in the length of the text: every step looks a bounded number of letters ahead.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from utils._content.letters import cased, latin, leet_key, sign_letters, squeezed, stretched
from utils._content.lexicon import LEAST, MOST, Lexicon

TORN = 3
"""Letters of the longest piece of a word that spaces break: chi ld, nu de."""
SHORT = 2
"""Letters of a piece that shows that a word may have been taken apart: one of the first two of it is that short."""
LONGEST_NAME = 40
"""Letters of a word that is tried as several words glued together."""
_TOKENS = re.compile(r"([^\W_]+)([\W_]*)")
_PARTS = re.compile(r"[0-9]+|[^\W\d_]+|\d+")
_TAG = re.compile(r"([1-9])(girl|boy)s?")
"""How tag lists count people of any age."""
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_WEIGHT = re.compile(r":\s{0,3}-?[0-9]{0,3}\.?[0-9]{1,4}\s{0,3}(?=[)\]>}])")
_ELISION = re.compile(r"(?<![^\W_])([^\W\d_])['’`´](?=[^\W\d_])")
"""l'enfant is two words."""
_POSSESSIVE = re.compile(r"['’`´]s\b|['’`´](?=[^\W\d_])")
_BORDER = re.compile(r"[,;\n、。]|\.\s")
"""What parts a text: commas, lines, ends of sentences."""
_SINGLES = frozenset("aio")
"""Letters that are words, or stand alone so often that they say nothing."""


@dataclass(frozen=True)
class Words:
    """Words in their order, each with the number of the part of the text that it stands in."""

    words: list[str]
    parts: list[int]
    text: str
    """The text that they were read from, in small letters."""


def readings(text: str, lexicon: Lexicon) -> list[Words]:
    """The text read plainly, and in the other ways that give something else: as names, look-alikes, signs for letters.

    The parts of a text have the same numbers in every reading.
    """
    capitals = _POSSESSIVE.sub("", _ELISION.sub(r"\1 ", _WEIGHT.sub("", cased(text))))
    small = capitals.casefold()
    views = {small: None, _CAMEL.sub(" ", capitals).casefold(): None, sign_letters(small): None}
    if not small.isascii():
        views[sign_letters(latin(small))] = None
    known: dict[str, tuple[str, ...]] = {}
    return [_words(view, lexicon, known) for view in views]


def _words(text: str, lexicon: Lexicon, known: dict[str, tuple[str, ...]]) -> Words:
    tokens: list[tuple[str, str]] = _TOKENS.findall(text)
    words: list[str] = []
    parts: list[int] = []
    place = part = 0
    last = len(tokens) - 1
    while place <= last:
        word, gap = tokens[place]
        end = place + 1
        if place < last and (len(word) <= SHORT or len(tokens[end][0]) <= SHORT):
            end, word = _rejoined(tokens, place, lexicon)
        spelled = known.get(word)
        if spelled is None:
            spelled = known[word] = _spelled(word, lexicon)
        words += spelled
        parts += [part] * len(spelled)
        if end > place + 1:
            part += any(_is_border(gap) for _, gap in tokens[place:end])
        elif gap != " ":
            part += _is_border(gap)
        place = end
    return Words(words, parts, text)


@lru_cache(maxsize=256)
def _is_border(gap: str) -> bool:
    """Whether what stands between two words parts the text there."""
    return _BORDER.search(gap) is not None


def _rejoined(tokens: list[tuple[str, str]], place: int, lexicon: Lexicon) -> tuple[int, str]:
    """The longest listed word made of neighbours from here on; else the word here alone.

    Neighbours are what no space parts, single letters in a row, and a word with a single letter beside it; for some
    words also short pieces that are no words.
    """
    joined, torn = tokens[place][0], False
    best = place + 1, joined
    for end in range(place + 1, len(tokens)):
        word = tokens[end][0]
        if len(joined) + len(word) > MOST:
            break
        if not _linked(tokens[end - 1], word):
            if not _torn(tokens[end - 1], word, lexicon):
                break
            torn = True
        joined += word
        if leet_key(joined) not in lexicon.leet_prefixes:
            break
        if len(joined) >= LEAST and (listed := _listed(joined, lexicon)) and (not torn or listed in lexicon.torn):
            best = end + 1, listed
    return best


def _linked(last: tuple[str, str], word: str) -> bool:
    before, gap = last
    if gap != " " and not any(map(str.isspace, gap)):
        return True
    if len(before) == 1:
        return len(word) == 1 or (before not in _SINGLES and not before.isdigit() and len(word) >= LEAST)
    return len(word) == 1 and word not in _SINGLES and not word.isdigit() and len(before) >= LEAST


def _torn(last: tuple[str, str], word: str, lexicon: Lexicon) -> bool:
    """Whether both may be pieces of a word that spaces break."""
    before, gap = last
    return not gap.strip(" ") and _piece(before, lexicon) and _piece(word, lexicon)


def _piece(word: str, lexicon: Lexicon) -> bool:
    return len(word) <= TORN and not (word in lexicon.short or word in _SINGLES or word.isdigit())


def _listed(word: str, lexicon: Lexicon) -> str | None:
    """The listed word that this is, plainly or with digits for letters."""
    if word in lexicon.vocabulary:
        return word
    return lexicon.by_leet.get(leet_key(word)) if not word.isalpha() and not word.isdigit() else None


def _spelled(word: str, lexicon: Lexicon) -> tuple[str, ...]:
    """The word or words that a token stands for; itself when no list has anything like it."""
    if word in lexicon.vocabulary or word in lexicon.other or word.isdigit():
        return (word,)
    if word.isalpha():
        return _started(word, lexicon) or _stretched(word, lexicon) or _unglued(word, lexicon) or (word,)
    if tag := _TAG.fullmatch(word):
        return (tag[1], "female" if tag[2] == "girl" else "male")
    listed = _listed(word, lexicon) or _listed(word.rstrip("0123456789"), lexicon)
    if listed:
        return (listed,)
    pieces = _PARTS.findall(word)
    if len(pieces) == 1 or len(word) > LONGEST_NAME:
        return tuple(pieces)
    return tuple(part for piece in pieces for part in _spelled(piece, lexicon))


def _started(word: str, lexicon: Lexicon) -> tuple[str, ...] | None:
    """The entry for all words that begin as this one does."""
    for start, entry in lexicon.starts.get(word[:LEAST], ()):
        if word.startswith(start):
            return (entry,)
    return None


def _stretched(word: str, lexicon: Lexicon) -> tuple[str, ...] | None:
    """The listed word of which some letters are repeated here."""
    short = squeezed(word)
    if short == word:
        return None
    for listed in lexicon.by_squeeze.get(short, ()):
        more = stretched(word, listed)
        if more and (len(more) > 1 or more[0][1] > 1 or _on_purpose(word, listed, more[0][0])):
            return (listed,)
    return None


def _on_purpose(word: str, listed: str, letter: str) -> bool:
    """Whether one letter that is doubled makes no other word, as it does in brass of bras: a vowel, or a long end."""
    if letter in "aeiou":
        return len(listed) > LEAST
    return len(listed) > LEAST + 1 and letter != "s" and word.endswith(letter * 2)


def _unglued(word: str, lexicon: Lexicon) -> tuple[str, ...] | None:
    """The listed words that this one is put together from, when one of them is strong."""
    if len(word) > LONGEST_NAME or word[:LEAST] not in lexicon.beginnings:
        return None
    ways: dict[int, tuple[str, ...]] = {0: ()}
    for end in range(LEAST, len(word) + 1):
        for start in range(max(end - MOST, 0), end - LEAST + 1):
            if start in ways and end not in ways and word[start:end] in lexicon.sticky:
                ways[end] = (*ways[start], word[start:end])
    found = ways.get(len(word), ())
    return found if any(part in lexicon.strong for part in found) else None
