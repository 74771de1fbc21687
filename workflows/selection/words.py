"""Texts taken apart into words that can be compared: lower case, singular, British spelling as American."""

from __future__ import annotations

import re
from functools import lru_cache

Stems = tuple[str, ...]

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_NAME = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+[a-z]{0,4}(?![a-z])|\d+|[^\W\dA-Za-z_]+")
_UNSPACED = re.compile("[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff66-\uff9f]")
_SPELLING = {
    "watercolour": "watercolor", "colour": "color", "grey": "gray", "armour": "armor", "elve": "elf", "wolve": "wolf",
    "people": "person", "women": "woman", "men": "man", "children": "child", "scifi": "sci", "fi": "",
    "mice": "mouse", "knive": "knife", "leave": "leaf",
}  # fmt: skip
"""Irregular plurals and spellings; "sci-fi" is one word however it is written."""


def words(text: str) -> list[str]:
    """The words of a text as they stand, without punctuation and underscores."""
    return _WORD.findall(text)


def stems(text: str) -> Stems:
    """The words of a text, each as its stem: "Neon Lights" -> ("neon", "light")."""
    return tuple(found for word in _WORD.findall(text) if (found := stem(word)))


def name_stems(name: str) -> Stems:
    """The words of a file's name, also where only a capital or a digit parts them: "NeonCity_v2" -> neon, city, v, 2"""
    return tuple(found for word in _NAME.findall(name) if (found := stem(word)))


def unspaced(text: str) -> bool:
    """Whether it is of a script that puts no spaces between words, such as Japanese, Chinese and Korean."""
    return _UNSPACED.search(text) is not None


def told_apart(text: str) -> str:
    """The text in one spelling: lower case, underscores as spaces, single spaces, plain brackets."""
    return " ".join(text.replace("_", " ").replace("\\", "").lower().split())


@lru_cache(maxsize=100_000)
def stem(word: str) -> str:
    """A word to be compared by: "Cities" -> "city". Not a dictionary: what matters is that both sides agree."""
    low = word.lower()
    if len(low) > 3 and low[-1] == "s":
        if low.endswith("ies") and len(low) > 4:
            low = f"{low[:-3]}y"
        elif low.endswith(("sses", "shes", "ches", "xes")):
            low = low[:-2]
        elif not low.endswith(("ss", "us", "is")):
            low = low[:-1]
    return _SPELLING.get(low, low)
