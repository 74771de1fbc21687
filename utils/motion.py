"""How does a video move? Stillness, flicker and jumps from its frames alone; what it shows is not its matter.

Frames are streamed and shrunk: no more than three are held. Synchronous.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.Image import Image

STILL = 1 / 255
"""Mean absolute difference of two frames below which nothing moves: less than one level."""
GRID = 8
"""Cells along an edge. Where nothing moves, the liveliest of them is below STILL, too: a small thing that moves before
a quiet ground is a movement."""
EDGE = 256
"""Pixels of a frame's longer edge, at most: shrinking by averaging takes the grain and leaves the movement."""
JUMP = 0.12
"""A difference from which two frames may belong to two scenes; colours change by as much where a third of a picture is
another one."""
JUMP_RATIO = 4.0
"""How often a jump is above the median difference: where everything always moves as much, nothing jumps."""


@dataclass(frozen=True, kw_only=True)
class Motion:
    """Differences and lightness from 0 to 1, of pictures whose levels go from 0 to 1."""

    frames: int
    difference: float
    """The mean absolute difference of two frames in a row, over all of them."""
    liveliest: float
    """The same in the cell where it is highest."""
    still_share: float
    """Of the steps from frame to frame, those in which nothing moves: neither as a whole nor in any cell."""
    longest_still: float
    """Share of the steps in the longest row of such ones."""
    flicker: float
    """How far the lightness of the whole goes up and at once down again, on the mean of the steps. A fade has none, nor
    has a cut."""
    back: float
    """How far a picture goes and at once comes back, whatever its lightness does, on the mean of the steps: of two
    steps the smaller difference, less that of the frames around them. What moves on has none, however fast it is."""
    unrest: float
    """The mean absolute second difference of the lightness."""
    lightness_sd: float
    """The standard deviation of the lightness over the frames."""
    jumps: int
    """Steps that look like a cut."""
    ends: float
    """The difference of the first and the last frame."""

    @property
    def frozen(self) -> bool:
        """Nothing moves at all."""
        return self.difference < STILL and self.liveliest < STILL

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def motion_of(frames: Iterable[Image]) -> Motion:
    """The measures of a video's frames in their order. Raises ValueError for fewer than two."""
    import numpy as np

    first = earlier = before = None
    lightness: list[float] = []
    steps: list[float] = []
    cells: list[Any] = []
    apart: list[float] = []
    for picture in frames:
        now = _levels(picture)
        lightness.append(float((now @ np.array([0.2126, 0.7152, 0.0722])).mean()))
        if before is not None:
            change = np.abs(now - before).mean(axis=2)
            steps.append(float(change.mean()))
            cells.append(_cells(change))
        if earlier is not None:
            apart.append(float(np.abs(now - earlier).mean()))
        first = now if first is None else first
        earlier, before = before, now
    if first is None or before is None or not steps:
        raise ValueError("one frame does not move; a video has at least two")
    still = [step < STILL and float(cell.max()) < STILL for step, cell in zip(steps, cells, strict=True)]
    return Motion(
        frames=len(lightness),
        difference=float(np.mean(steps)),
        liveliest=float(np.mean(cells, axis=0).max()),
        still_share=sum(still) / len(still),
        longest_still=_longest(still) / len(still),
        flicker=_flicker(lightness),
        back=_back(steps, apart),
        unrest=float(np.abs(np.diff(lightness, 2)).mean()) if len(lightness) > 2 else 0.0,
        lightness_sd=float(np.std(lightness)),
        jumps=_jumps(steps),
        ends=float(np.abs(before - first).mean()),
    )


def _levels(picture: Image) -> Any:
    """The frame in small, height x width x 3, 0 to 1."""
    import numpy as np

    small = picture.convert("RGB")
    scale = max(small.size) / EDGE
    if scale > 1:
        small = small.resize((max(1, round(small.width / scale)), max(1, round(small.height / scale))), 4)  # BOX
    return np.asarray(small, dtype=np.float32) / 255


def _cells(change: Any) -> Any:
    """The means of the cells, GRID x GRID or fewer for a tiny frame."""
    import numpy as np

    rows = np.array_split(change, min(GRID, change.shape[0]), axis=0)
    return np.array(
        [[float(cell.mean()) for cell in np.array_split(row, min(GRID, change.shape[1]), axis=1)] for row in rows]
    )


def _longest(still: Sequence[bool]) -> int:
    longest = row = 0
    for one in still:
        row = row + 1 if one else 0
        longest = max(longest, row)
    return longest


def _flicker(lightness: Sequence[float]) -> float:
    """Of each two steps that go opposite ways the smaller one."""
    steps = [after - before for before, after in pairwise(lightness)]
    turns = [min(abs(one), abs(other)) if one * other < 0 else 0.0 for one, other in pairwise(steps)]
    return sum(turns) / len(turns) if turns else 0.0


def _back(steps: Sequence[float], apart: Sequence[float]) -> float:
    """`apart`: the differences of frames with one between them."""
    turns = [max(0.0, min(pair) - around) for pair, around in zip(pairwise(steps), apart, strict=True)]
    return sum(turns) / len(turns) if turns else 0.0


def _jumps(steps: Sequence[float]) -> int:
    """What is usual is told by the steps that move: each frame may be shown twice."""
    import numpy as np

    usual = float(np.median([step for step in steps if step >= STILL] or [0.0]))
    return sum(step > max(JUMP, JUMP_RATIO * usual) for step in steps)
