"""What may be asked for and shown: rules on texts, and a classifier of pictures for what texts cannot tell.

Sexual content with minors is refused always; adult content unless the caller says that it is allowed. A finding names
a rule and never the text. Words are read in English, and the surest ones of ten other languages; what a text hides in
wording that no list knows is left to the classifier.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from utils._content.clothing import undressing
from utils._content.embedded import embedded_texts
from utils._content.pictures import (
    ClassifierUnavailable,
    Exposure,
    NoClassifier,
    PictureClassifier,
    classifier_expected,
    classifier_for,
)
from utils._content.signals import Signals, signals

__all__ = [
    "TEXTS",
    "UNREAD",
    "ClassifierUnavailable",
    "Exposure",
    "Finding",
    "NoClassifier",
    "PictureClassifier",
    "check_text",
    "check_texts",
    "classifier_expected",
    "classifier_for",
    "embedded_texts",
    "shows_minor",
    "shows_person",
]

MOST = 200_000
"""Characters of a text that are read; a prompt has at most a tenth of that."""
SEXUAL = ("explicit", "nude", "anatomy")
WITH_MINORS = (*SEXUAL, "suggestive", "statue", "declined explicit", "declined nude", "declined suggestive")
"""What is never said in the same text as a minor; `intimate` only not in the same part of it."""
UNREAD = 1.0
"""Guidance below which the negative prompt is drawn, and the prompt steered away from."""
_NEGATED = re.compile(r"[(\[]([^()\[\]:]{1,200}):\s{0,3}-")
"""(words:-1.2): a negative weight turns prompt and negative prompt around."""

TEXTS = {
    "minor.sexual": "Sexual content with minors is never made.",
    "minor.clothing": "A picture of a minor is never made with clothing ruled out.",
    "edit.undress": "People in pictures are never undressed.",
    "edit.sexual": "Nudity and sexual content are never drawn into a picture that was given.",
    "person.sexual": "Sexual content with real people is never made.",
    "extreme.sexual": "Sexual violence and sexual content with animals are never made.",
    "adult.explicit": "Sexual content is switched off on this server.",
    "adult.nudity": "Nudity is switched off on this server.",
    "adult.clothing": "Ruling clothing out is switched off on this server.",
}
"""Every rule, with what is said when it refuses."""


@dataclass(frozen=True)
class Finding:
    """The rule that refuses, and a sentence for whoever asked. It holds nothing of the text."""

    rule: str
    text: str


def check_text(text: str, *, adult: bool = False) -> Finding | None:
    """What is wrong with a text that says what to draw, or None."""
    return check_texts(text, adult=adult)


def check_texts(
    prompt: str,
    negative: str = "",
    others: Sequence[str] = (),
    cfg: float | None = None,
    adult: bool = False,
    *,
    names: Sequence[str] = (),
    sources: Sequence[str] = (),
    edits: bool = False,
    masked: str = "",
) -> Finding | None:
    """What is wrong with the texts of one picture together, or None.

    `others`: further texts that say what to draw, such as the names of LoRAs. `names`: of models, which are drawn with
    but say nothing of this picture; only with a minor do they count. `sources`: what the pictures that it is made from
    say of themselves. `edits`: it is made from a given picture; `masked`: what of that is painted over, in words.
    `cfg` None: the usual, above 1.
    """
    drawn, ruled_out = _turned(prompt, negative, cfg)
    wish = signals("\n".join([*drawn, *others, masked])[:MOST])
    positive = wish if not sources else signals("\n".join([*drawn, *others, masked, *sources])[:MOST])
    named = signals("\n".join(names)[:MOST])
    against = signals("\n".join(ruled_out)[:MOST])
    rule = (
        _with_minors(positive, named)
        or _in_one_part(against)
        or (_edited(wish, signals(masked[:MOST])) if edits else None)
        or _whoever_asks(positive)
        or _clothing_ruled_out(positive, against, adult)
        or (None if adult else _adult(positive))
    )
    return Finding(rule, TEXTS[rule]) if rule else None


def shows_minor(*texts: str) -> bool:
    """Whether the texts speak of somebody who is, or looks like, a minor."""
    return signals("\n".join(texts)[:MOST]).has("minor")


def shows_person(*texts: str) -> bool:
    """Whether the texts speak of somebody."""
    return signals("\n".join(texts)[:MOST]).has("person", "minor")


def _turned(prompt: str, negative: str, cfg: float | None) -> tuple[list[str], list[str]]:
    """What is drawn and what is ruled out: guidance below 1 and negative weights turn them around."""
    drawn, ruled_out = [prompt, *_NEGATED.findall(negative)], [negative, *_NEGATED.findall(prompt)]
    if cfg is not None and cfg < UNREAD:
        drawn, ruled_out = [prompt, negative], [prompt] if cfg <= 0 else []
    return drawn, ruled_out


def _with_minors(positive: Signals, named: Signals) -> str | None:
    sexual = positive.has(*WITH_MINORS) or named.has(*SEXUAL)
    minor = positive.has("minor") or (named.has("minor") and positive.has(*WITH_MINORS))
    found = (
        positive.has("abuse")
        or named.has("abuse")
        or (sexual and minor)
        or positive.together(["intimate"], ["minor"])
        or (positive.has("undress") and minor)
    )
    return "minor.sexual" if found else None


def _in_one_part(negative: Signals) -> str | None:
    """In a negative prompt "nsfw, nude, child" is right; "nude child" is a phrase that waits to be turned around."""
    found = negative.has("abuse") or negative.together(WITH_MINORS, ["minor"])
    return "minor.sexual" if found else None


def _edited(positive: Signals, masked: Signals) -> str | None:
    if positive.has("undress", "removal") or (masked.has("clothing", "garment", "underthing") and positive.has("skin")):
        return "edit.undress"
    return "edit.sexual" if _sexual(positive) else None


def _whoever_asks(positive: Signals) -> str | None:
    if positive.has("extreme"):
        return "extreme.sexual"
    return "person.sexual" if _sexual(positive) and positive.has("real") else None


def _clothing_ruled_out(positive: Signals, against: Signals, adult: bool) -> str | None:
    minor = positive.has("minor")
    if not minor and (adult or not positive.has("person")):
        return None
    if not undressing(positive, against, minor):
        return None
    return "minor.clothing" if minor else "adult.clothing"


def _adult(positive: Signals) -> str | None:
    if _explicit(positive):
        return "adult.explicit"
    return "adult.nudity" if positive.has("nude") else None


def _sexual(positive: Signals) -> bool:
    return _explicit(positive) or positive.has("nude")


def _explicit(positive: Signals) -> bool:
    """Words for parts of the body are not, in a medical picture."""
    return positive.has("explicit") or (positive.has("anatomy") and not positive.has("medical"))
