"""Letters as an encoder or an eye takes them: one form for look-alikes, accents, widths and digits for letters."""

from __future__ import annotations

import re
import unicodedata

_MARKS = re.compile("[\u0300-\u0302\u0304-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]")
"""Marks laid over letters, but for the tilde."""
_TILDE = re.compile("(?<!n)\u0303")
"""The tilde goes too, except over n: niña is a word, and Nina a name."""
_LIGATURES = re.compile("[\ufbb2-\ufdff]")
"""Arabic ligatures, one of which becomes up to eighteen letters."""
_GONE = (0xAD, 0x34F, 0x61C, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180E, 0x3164, 0xFEFF, 0xFFA0)
_GONE_RANGES = ((0x200B, 0x2010), (0x202A, 0x202F), (0x2060, 0x2070), (0xFE00, 0xFE10), (0xE0000, 0xE01F0))
_WORDS = {
    0x1F51E: " nsfw ",
    0x1F466: " child ",
    0x1F467: " child ",
    0x1F476: " child ",
    0x1F9D2: " child ",
    0x2800: " ",
}
_ENCLOSED = {start + place: chr(97 + place) for start in (0x1F150, 0x1F170, 0x1F1E6) for place in range(26)}
"""Letters in circles, squares and flags, which Unicode does not count as letters."""
_SHOWN: dict[int, str | None] = {
    **dict.fromkeys(_GONE),
    **dict.fromkeys(place for first, end in _GONE_RANGES for place in range(first, end)),
    **_WORDS,
    **_ENCLOSED,
}
"""Signs that take no room, and fillers that show nothing, are left out; pictures that are words are read as them."""
_ALIKE = (
    "аa бb вb гr дd еe зz иu йu кk мm нh оo пn рp сc тt уy хx цu ьb іi јj ѕs һh ԁd ԛq ԝw ѵv ґr є"
    "e αa βb γy εe ηn ιi κk μu νv οo ρp σo ςc τt υu χx ωw ϲc ϳj ɑa ɡg ıi ɩi ʀr ɴn ᴀa ʙb ᴄc ᴅd ᴇe ғf ɢg ʜh ɪi ᴊj ᴋk ʟl"
    " ᴍm ᴏo ᴘp ꞯq ꜱs ᴛt ᴜu ᴠv ᴡw ʏy ᴢz øo łl đd ðd ħh ŧt ßs þp ƒf օo սu ոn աw ɛe ɔc ʌv ɯm ɐa ɒa ñn ãa õo"
)
_LATIN = str.maketrans({pair[0]: pair[1] for pair in _ALIKE.split()})
_LEET = str.maketrans("0123456789lz", "oizeasgtbgis")
"""Digits as the letters that they stand for; l and i are one letter here, and so are s and z, for 1 and 2 are both."""
_DOUBLES = re.compile(r"(.)\1+")
_RUNS = re.compile(r"((.)\2*)")
_SIGN_LETTERS = re.compile(r"(?<![^\W_])[@$](?=[^\W_]{2})|(?<=[^\W_])[@$!|+€](?=[^\W_])|(?<=[^\W_]{2})[$](?![^\W_])")
_SIGN_DIGITS = {"@": "4", "$": "5", "!": "1", "|": "1", "+": "7", "€": "3"}


def plain(text: str) -> str:
    """The text in small letters of one width, without accents and invisible signs."""
    return cased(text).casefold()


def cased(text: str) -> str:
    """The same with its capitals kept."""
    if text.isascii():
        return text
    shown = unicodedata.normalize("NFKC", _LIGATURES.sub("", text))
    apart = unicodedata.normalize("NFD", shown.translate(_SHOWN))
    return unicodedata.normalize("NFC", _TILDE.sub("", _MARKS.sub("", apart)))


def latin(text: str) -> str:
    """The text with letters of other scripts, and odd ones, as the Latin letters that they look like."""
    return text.translate(_LATIN)


def leet_key(word: str) -> str:
    """One form for a word and its spellings with digits: "nude" and "nud3", "loli" and "1o1i" are alike."""
    return word.translate(_LEET)


def sign_letters(text: str) -> str:
    """Signs that stand for letters, inside a word or before it, as the digits that do: "n@ked" is "n4ked"."""
    return _SIGN_LETTERS.sub(lambda found: _SIGN_DIGITS[found.group()], text)


def squeezed(word: str) -> str:
    """Every run of one letter as one letter."""
    return _DOUBLES.sub(r"\1", word)


def stretched(token: str, word: str) -> list[tuple[str, int]]:
    """The letters that the token says longer than the word, and by how many; both have the same squeezed form.

    Empty when the token says one of them shorter.
    """
    pairs = [
        (mine, len(run) - len(its))
        for (run, mine), (its, _) in zip(_RUNS.findall(token), _RUNS.findall(word), strict=True)
    ]
    return [] if any(more < 0 for _, more in pairs) else [(letter, more) for letter, more in pairs if more]
