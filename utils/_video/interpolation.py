"""Frames between frames, by following what moves: FFmpeg's minterpolate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

from utils._video.reading import Shot, pyav
from utils._video.writing import steady

SMALLEST = 32
"""Pixels of an edge below which minterpolate's blocks find no motion; such frames are blended."""
TAIL = 3
"""How often the last frame is given again: the filter looks ahead, and would swallow what comes last."""


def between(shots: Iterable[Shot], own: Fraction, fps: Fraction) -> Iterator[Any]:
    """The frames at `fps`, a higher rate than their own; more come at the end than the length asks for."""
    av = pyav()
    graph: Any = None
    number, last = 0, None
    for last in steady(shots, own):
        graph = graph or _graph(av, last.size, own, fps)
        graph.push(_given(av, last, number, own))
        number += 1
        yield from _ready(av, graph)
    for _ in range(TAIL if last is not None else 0):
        graph.push(_given(av, last, number, own))
        number += 1
        yield from _ready(av, graph)
    if graph is not None:
        graph.push(None)
        yield from _ready(av, graph)


def _graph(av: Any, size: tuple[int, int], own: Fraction, fps: Fraction) -> Any:
    mode = "mci:mc_mode=aobmc:me_mode=bidir:vsbmc=1" if min(size) >= SMALLEST else "blend"
    graph = av.filter.Graph()
    source = graph.add_buffer(width=size[0], height=size[1], format="yuv444p", time_base=1 / own)
    middle = graph.add("minterpolate", f"fps={fps}:mi_mode={mode}:scd=fdiff")
    source.link_to(middle)
    middle.link_to(graph.add("buffersink"))
    graph.configure()
    return graph


def _given(av: Any, picture: Any, number: int, own: Fraction) -> Any:
    frame = av.VideoFrame.from_image(picture).reformat(format="yuv444p")
    frame.pts, frame.time_base = number, 1 / own
    return frame


def _ready(av: Any, graph: Any) -> Iterator[Any]:
    while True:
        try:
            yield graph.pull().to_image()
        except (BlockingIOError, EOFError):
            return
