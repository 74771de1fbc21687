"""Tags: the user's own words for a picture, in one spelling. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable

from workflows.errors import BadRecipe

MAX_TAG = 60
"""Characters of a tag."""
MAX_TAGS = 50
"""Tags of an item."""


def tag_of(text: str) -> str:
    """A tag as it is kept: NFKC, casefolded, its spaces single. Raises BadRecipe for what is none."""
    tag = text
    for _ in range(2):  # casefolding may leave what is not NFKC, and NFKC what is not casefolded
        tag = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", tag).casefold())
    tag = re.sub(" +", " ", tag.strip())
    if not tag:
        raise BadRecipe("tag", text, "write a word or some; it is empty")
    if any(unicodedata.category(letter) in {"Cc", "Cs", "Zl", "Zp"} for letter in tag):
        raise BadRecipe("tag", text, "write it in one line, without control characters")
    if len(tag) > MAX_TAG:
        raise BadRecipe("tag", text, f"a tag has at most {MAX_TAG} characters, this one has {len(tag)}")
    return tag


def retagged(before: Collection[str], add: Iterable[str], remove: Iterable[str]) -> tuple[str, ...]:
    """The tags after some were added and some taken away, sorted. Raises BadRecipe."""
    added, removed = {tag_of(text) for text in add}, {tag_of(text) for text in remove}
    if both := sorted(added & removed):
        raise BadRecipe("remove", both[0], "the same tag is to be added; name it once")
    after = ({*before} | added) - removed
    if len(after) > MAX_TAGS and not after <= {*before}:
        raise BadRecipe("add", sorted(added), f"a picture has at most {MAX_TAGS} tags, it would have {len(after)}")
    return tuple(sorted(after))
