"""Choosing from a library of the seed's size, and from 20,000 LoRAs: how long it takes to know the library, to read a
prompt, and to choose model and LoRAs for it; nothing to compare with."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

from tests.bench.figure import Figure
from tests.workflows.selection.library import loras, models
from tests.workflows.selection.test_twenty_prompts import TABLE
from workflows.selection import Library, analyse, automatic_loras, rank_loras, rank_models
from workflows.types import ModelInfo

ROUNDS = 5


async def figures() -> list[Figure]:
    analyse("the words are read once")
    return [*_of(3678, "3,678"), *_of(20_000, "20,000")]


def _of(count: int, said: str) -> list[Figure]:
    infos = [*models(), *loras(count)]
    name = f"Choosing, {len(models())} models and {said} LoRAs"
    known = statistics.median(_taken(lambda: Library(infos)) for _ in range(ROUNDS))
    library = Library(infos)
    first = _taken(lambda: _choose(library, infos, TABLE[0].prompt, TABLE[0].style))
    each = [
        _taken(lambda row=row: _choose(library, infos, row.prompt, row.style)) for row in TABLE for _ in range(ROUNDS)
    ]
    return [
        Figure(name=f"{name}: to know them", ours=known * 1000, bare=None, unit="ms", aim="under 300 ms for 3,678"),
        Figure(name=f"{name}: the first choice", ours=first * 1000, bare=None, unit="ms", aim="under 100 ms"),
        Figure(name=f"{name}: median", ours=statistics.median(each) * 1000, bare=None, unit="ms", aim="under 10 ms"),
        Figure(name=f"{name}: slowest", ours=max(each) * 1000, bare=None, unit="ms", aim="under 100 ms"),
    ]


def _choose(library: Library, infos: Sequence[ModelInfo], prompt: str, style: str | None) -> None:
    analysis = analyse(prompt, style)
    best = rank_models(library, analysis)[0]
    info = next(info for info in infos if info.name == best.name)
    automatic_loras(rank_loras(library, analysis, info))


def _taken(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began
