"""The ladder against a full memory: what to give up next, and what to say of it. Pure.

A batch is always drawn one picture at a time (a job of four is four prompts), so "a batch of one" holds from the start.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from workflows.drawing.setup import Thrift
from workflows.errors import OutOfMemory


@dataclass(frozen=True, kw_only=True)
class Rung:
    """One step down: how thrifty to draw, and the words for it."""

    thrift: Thrift
    words: str


FIRST = Rung(thrift=Thrift(), words="as asked")
LADDER: Sequence[Rung] = (
    FIRST,
    Rung(
        thrift=Thrift(tiled=True),
        words="with the server's memory freed and the picture decoded in tiles",
    ),
    Rung(
        thrift=Thrift(tiled=True, small_weights=True),
        words="with the same model in a smaller number format",
    ),
    Rung(
        thrift=Thrift(tiled=True, small_weights=True, shrink=0.75),
        words="at three quarters of the size, then enlarged",
    ),
    Rung(
        thrift=Thrift(tiled=True, small_weights=True, shrink=0.5),
        words="at half the size, then enlarged",
    ),
)
"""From what nobody sees to what everybody does. The server is asked to free its memory before each but the first."""


def said(rung: Rung) -> str:
    """The note that goes with a picture drawn on a lower rung."""
    return f"The server ran out of memory, so this was drawn {rung.words}."


def given_up(tried: Sequence[Rung], last: OutOfMemory, url: str) -> OutOfMemory:
    """The error at the foot of the ladder."""
    ways = "; ".join(rung.words for rung in tried)
    return OutOfMemory(
        f"{url} ran out of memory each time. Tried: {ways}. Last: {last} "
        "Ask for a smaller picture, take a smaller model, or close what else uses that GPU."
    )
