"""The ladder against a full memory: where a plan starts on it, what to give up next, and what to say of it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from workflows.drawing.setup import Thrift
from workflows.errors import OutOfMemory
from workflows.types import MemoryPlan


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


LEVERS = {"vae_tiled": "tiled", "text_encoder_cpu": "encoder_on_cpu", "weight_dtype_fp8": "small_weights"}
"""A plan's levers, and what each is in a Thrift."""


def thrift_of(plan: MemoryPlan | None) -> Thrift:
    """How thriftily a plan starts. Fewer at once is no thrift: `ladder` counts."""
    return Thrift(**{LEVERS[lever]: True for lever in plan.levers if lever in LEVERS}) if plan else Thrift()


def ladder(count: int, plan: MemoryPlan | None = None, *, shrinking: bool = True) -> Iterator[Rung]:
    """From where the plan begins. Fewer pictures at once come before all else: who asked for several asks again for
    those that are left. Without `shrinking` nothing is drawn smaller: what is enlarged frame by frame flickers."""
    start = thrift_of(plan)
    if plan is not None and "smaller_batch" in plan.levers:
        count = 1
    first = replace(FIRST, thrift=start, words=FIRST.words if start == FIRST.thrift else "as planned")
    yield replace(first, count=count)
    while count > 1:
        count //= 2
        yield replace(first, count=count, words=f"{count} at once" if count > 1 else "one at a time")
    for rung in LADDER[1:] if shrinking else (rung for rung in LADDER[1:] if rung.thrift.shrink == 1):
        yield replace(rung, thrift=_both(start, rung.thrift))


def _both(one: Thrift, other: Thrift) -> Thrift:
    return Thrift(
        tiled=one.tiled or other.tiled,
        small_weights=one.small_weights or other.small_weights,
        encoder_on_cpu=one.encoder_on_cpu or other.encoder_on_cpu,
        shrink=min(one.shrink, other.shrink),
    )


def told(plan: MemoryPlan, used: Thrift, words: str = "") -> dict[str, Any]:
    """The plan as a fact of the picture. `words`: how a lower rung than the plan's drew it; `used` is what it did."""
    fact = plan.model_dump(mode="json")
    if not words:
        return fact
    levers = [lever for lever, name in LEVERS.items() if getattr(used, name)]
    levers += ["lower_resolution"] if used.shrink < 1 else []
    reason = f"{plan.reason} The server ran out of memory all the same; this was drawn {words}."
    return fact | {"level": "aggressive", "levers": levers, "planned": fact["levers"], "reason": reason}


def said(rung: Rung) -> str:
    """The note that goes with a picture drawn on a lower rung."""
    return f"The server ran out of memory, so this was drawn {rung.words}."


def given_up(tried: Sequence[Rung], last: OutOfMemory, url: str, *, video: bool = False) -> OutOfMemory:
    """The error at the foot of the ladder."""
    ways = "; ".join(rung.words for rung in tried)
    less = "fewer frames or a smaller video" if video else "a smaller picture"
    return OutOfMemory(
        f"{url} ran out of memory each time. Tried: {ways}. Last: {last} "
        f"Ask for {less}, take a smaller model, or close what else uses that GPU."
    )
