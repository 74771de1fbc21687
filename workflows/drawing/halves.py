"""Pairs of files of which one is for high noise and one for low: found by their names, whichever half is at hand."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from workflows.drawing.inventory import plain

Half = Literal["high", "low", ""]

_SIGN = re.compile(r"(?:(?<![a-z])|(?<=[it]2v))(high|low)(?=$|[^a-z]|noise)")
PRECISIONS = re.compile(
    r"[-_.]?(?:fp32|bf16|fp16|(?:scaled_)?fp8(?:[-_]?(?:e4m3fn|e5m2|mixed|scaled|fast))*|int8(?:[-_]?\w+)?|q8(?:_0)?|half)"
)
"""Signs of the number format in a file's name."""


def half_of(name: str) -> Half:
    """Which noise a file is for, by its name; "" where it says neither."""
    found = _SIGN.search(plain(name))
    return "high" if found and found[1] == "high" else "low" if found else ""


def twin_of(name: str, offered: Sequence[str]) -> str | None:
    """The other half of a pair: the same name but for its noise, else but for that and the number format."""
    own = half_of(name)
    if not own:
        return None
    others = [file for file in offered if half_of(file) not in {own, ""}]
    same = [file for file in others if _neutral(file) == _neutral(name)]
    alike = [file for file in others if _formless(file) == _formless(name)]
    return next(iter((*same, *alike)), None)


def twin_name(name: str) -> str:
    """What the other half of a pair is called."""
    other = "low" if half_of(name) == "high" else "high"
    return re.sub(r"(?i)(?:(?<![a-z])|(?<=[it]2v))(?:high|low)(?=$|[^a-z]|noise)", other, name, count=1)


def _neutral(name: str) -> str:
    return _SIGN.sub("*", plain(name), count=1)


def _formless(name: str) -> str:
    return PRECISIONS.sub("", _neutral(name))
