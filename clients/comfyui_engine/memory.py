"""The ladder against a full memory: what to give up next, and what to say of it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from workflows.drawing.setup import Thrift
from workflows.errors import OutOfMemory


@dataclass(frozen=True, kw_only=True)
class Rung:
    """One step down: how thrifty to draw, how many pictures at once, and the words for it."""

    thrift: Thrift
    words: str
    count: int = 1


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


def ladder(count: int) -> Iterator[Rung]:
    """Fewer pictures at once come before all else: who asked for several asks again for those that are left."""
    yield replace(FIRST, count=count)
    while count > 1:
        count //= 2
        yield replace(FIRST, count=count, words=f"{count} at once" if count > 1 else "one at a time")
    yield from LADDER[1:]


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
