"""What the pixels of a picture show of its making: raw measures, with no opinion on how good they are.

All work on a bounded number of pixels, so that a picture of 4096 pixels costs hardly more than one of 1024. What
shrinking would hide (noise, seams, steps) is measured on patches as they are; what is seen of the whole (blur,
exposure) on a smaller copy.
"""

from __future__ import annotations

from functools import cache
from math import log
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    Bytes = NDArray[np.uint8]
    Floats = NDArray[np.float32]

VIEW = 1024
"""Long edge at which blur is measured: a blur that cannot be seen at this size is none."""
SAMPLE = 256
"""Long edge of the pixels taken, unmixed, for exposure."""
LEAST_CHANGE = 6
"""Levels, in two channels together, by which neighbours differ where a surface has any drawing."""
PATCH = 128
PATCHES_ACROSS = 6
"""At most 36 patches of 128 x 128 pixels, evenly spread."""
BUSIEST = 12
"""Tiles in which sharpness is looked for, a fraction of the picture: where the subject is, not its soft background."""
ALIKE = 5.0
"""A channel of so many times the luma's variance is where edges are; photos have at most 1.4. In luma, a grey ring on
purple is little more than the wobble of flat areas: a sharp one was refused for it, and a blurred one passed."""
CELL = 8
"""Pixels of a JPEG block, and of what one latent becomes in most autoencoders; 16 and 32 are multiples of it."""
SEAM_LIMIT = 16
"""Levels: larger steps are edges of what is shown, and count as this much."""
CLOSE = 9
"""Patches, those of the greatest variance, that are searched for blocks and for what JPEG took."""
LEAST_PERIOD, MOST_PERIOD = 4.0, 32.0
"""Pixels of a block that is looked for; smaller ones are hardly seen, of larger ones a patch has too few."""
LEAST_LINES, LEAST_BESIDE = 3, 0.4
"""Lines of a lattice, across and down, at which anything changes, and the share of these with the next line beside
them: the edges of a square are two lines, and on half the period of a lattice every other line is empty."""
LEAST_STEPS = 3
"""Kinds of steps between blocks. A chessboard and a pixel-aligned cross have one; what was averaged has many."""
FINE = 5
"""Cosines of a block of 8 x 8 whose two frequencies make at least so much are its fine detail."""


def blur(image: Image) -> float:
    """How blurred the subject is, 0 to 1: the blur effect of Crete et al. (2007) by scikit-image.

    It compares steps with their own blurred selves and so knows no contrast. Taken on tiles (a quarter of the picture's
    short edge, 32 to 128 pixels) of the grey view, or of the channel that tells a lot more; of the busiest ones,
    those with at least a fifth of the energy of the first, the sharper quartile counts. 1.0 without any edge; 0.0 for
    a picture of less than 8 pixels across, of which nobody can tell.
    """
    import numpy as np
    from skimage import measure

    library: Any = measure
    grey: Floats = np.asarray(_shrunk(_telling(image), VIEW), np.float32) / np.float32(255)
    short = min(grey.shape)
    if short < CELL:
        return 0.0
    tiles = _tiles(grey, min(short, max(32, min(PATCH, short // 4))))
    energy: Any = (np.diff(tiles, axis=1) ** 2).mean((1, 2)) + (np.diff(tiles, axis=2) ** 2).mean((1, 2))
    if not (energy > 0).any():
        return 1.0
    busiest = [place for place in np.argsort(-energy)[:BUSIEST] if energy[place] >= 0.2 * energy.max()]
    found = sorted(float(library.blur_effect(tiles[place])) for place in busiest)
    return found[len(found) // 4]


def exposure(image: Image, noise: float = 0.0) -> dict[str, float]:
    """The light of a picture, all from 0 to 1. `noise`: its standard deviation in levels, which is no variation.

    lightest: 99.9th percentile of each pixel's largest channel; tones: the widest channel's distance from its 0.1th to
    its 99.9th percentile; blown: of what is not white, the share that has lost a channel at its upper end although its
    other channels still vary (white paper and flat colours have lost nothing).
    """
    import numpy as np

    pixels: Bytes = np.asarray(_thinned(image, SAMPLE))
    low, high = np.percentile(pixels.reshape(-1, 3), [0.1, 99.9], axis=0)
    ordered = np.sort(pixels.astype(np.int16), axis=2)
    white = ordered[..., 0] >= 250
    varies = np.zeros(white.shape, bool)
    varies[:, 1:] = np.abs(np.diff(ordered[..., 0] + ordered[..., 1], axis=1)) >= LEAST_CHANGE + 8 * max(noise - 2, 0)
    lost = (ordered[..., 2] >= 253) & ~white & varies
    return {
        "lightest": float(np.percentile(ordered[..., 2], 99.9)) / 255,
        "tones": float((high - low).max()) / 255,
        "blown": float(lost.sum()) / max(int((~white).sum()), 1),
    }


def spread(image: Image) -> float:
    """Levels between the darkest and the lightest 0.05% of the pixels, in the channel where they differ most."""
    import numpy as np

    low, high = np.percentile(np.asarray(_thinned(image, SAMPLE)).reshape(-1, 3), [0.05, 99.95], axis=0)
    return float((high - low).max())


class Patches:
    """Parts of a picture as they are: [number, height, width, 3] levels, and their luma."""

    def __init__(self, image: Image) -> None:
        import numpy as np

        wide, high = min(image.width, PATCH), min(image.height, PATCH)
        boxes = [(x, y, x + wide, y + high) for y in _starts(image.height, high) for x in _starts(image.width, wide)]
        parts = [image.crop(box) for box in boxes]
        self.colour: NDArray[np.int16] = np.stack([np.asarray(part) for part in parts]).astype(np.int16)
        self.luma: NDArray[np.int16] = np.stack([np.asarray(part.convert("L")) for part in parts]).astype(np.int16)
        self.counts: Any = np.array([part.histogram() for part in parts]).sum(0).reshape(3, 256)

    def noise(self) -> dict[str, float]:
        """Standard deviation of the noise in levels, in luma and in colour.

        Immerkaer's difference of Laplacians (1996) with the median for the mean, so that edges do not count; the 10th
        percentile of the patches, because noise is everywhere and texture seldom is.
        """
        red, green, blue = (self.colour[..., channel] for channel in range(3))
        colour = max(_sigma(red - green), _sigma(blue - green)) / 2**0.5
        return {"luma_noise": _sigma(self.luma), "colour_noise": colour}

    def tiles(self) -> float:
        """The share of all change that lies on a lattice of 4 to 32 pixels, beyond what its lines would have by chance:
        1 for squares of one colour (of any size and place, whole pixels or not), about 0 for a picture.

        The period is looked for by Fourier sums over the profile of change across and down, at which it must be alike.
        """
        import numpy as np

        colour = self.colour[self._busiest()]
        if min(colour.shape[1:3]) < 2 * LEAST_LINES:
            return 0.0
        across, down = _steps(colour), _steps(colour.swapaxes(1, 2))
        energy: Any = across.sum((1, 2)) + down.sum((1, 2))
        shares = [_tiled(*pair) if weight else 0.0 for *pair, weight in zip(across, down, energy, strict=True)]
        return float(np.dot(shares, energy) / max(float(energy.sum()), 1.0))

    def detail(self) -> float:
        """How much of the fine detail inside 8 x 8 blocks is left, 1 for all of it: JPEG's quantiser takes it inside
        its own blocks, and blocks moved by half their size have it still, from the seams.

        The larger of two ratios, so that squares which fill whole blocks, with nothing inside these, are no loss: that
        of the energies in fine detail, and that of its shares in all detail.
        """
        luma = self.luma[self._busiest()]
        if min(luma.shape[1:]) < 3 * CELL:
            return 1.0
        (fine, every), (moved_fine, moved_every) = (_fine(luma[:, start:, start:]) for start in (0, CELL // 2))
        return max(fine / moved_fine, fine / every * moved_every / moved_fine)

    def _busiest(self) -> Any:
        import numpy as np

        return np.argsort(-self.luma[:, ::2, ::2].var(axis=(1, 2)), kind="stable")[:CLOSE]

    def correlation(self) -> float:
        """How alike neighbours are: 1 for what is smooth (and for a single line of pixels), 0 for white noise."""
        import numpy as np

        luma = self.luma.astype(np.float32)
        if min(luma.shape[1:]) < 2:
            return 1.0
        steps = (float((np.diff(luma, axis=2) ** 2).mean()) + float((np.diff(luma, axis=1) ** 2).mean())) / 2
        return 1.0 - steps / (2 * max(float(luma.var(axis=(1, 2)).mean()), 1e-6))

    def grid(self) -> dict[str, float]:
        """Regular patterns that repeat every 8 pixels.

        seams: levels by which the step across the commonest seam exceeds its neighbours (what JPEG blocks leave);
        in_seams: the share of all change that lies in it, from 1/8 to 1 (mosaic); lattice: standard deviation in
        levels of the mean 8 x 8 cell, beyond what chance would leave of the picture itself.
        """
        across, down = _seams(self.luma), _seams(self.luma.swapaxes(1, 2))
        names = ("seams", "in_seams")
        return {name: (across[n] + down[n]) / 2 for n, name in enumerate(names)} | {"lattice": _lattice(self.luma)}

    def steps(self) -> dict[str, float]:
        """How coarse the levels are: level_gap, the mean distance of those that occur, and contours, the share of
        neighbouring pixels that differ (few in a flat drawing, whose levels are few by right)."""
        import numpy as np

        differ = np.diff(self.luma, axis=2) != 0
        gaps = sum(_gap(counts) for counts in self.counts)
        return {"level_gap": gaps / 3, "contours": float(differ.mean()) if differ.size else 0.0}


def _telling(image: Image) -> Image:
    """The luma; where the subject differs from its ground by hue alone, the channel that varies most."""
    import numpy as np

    if image.mode == "L":
        return image
    few = _thinned(image, SAMPLE)
    varies = [float(np.asarray(one).var()) for one in (few.convert("L"), *few.split())]
    most = max(range(1, 4), key=varies.__getitem__)
    return image.getchannel(most - 1) if varies[most] > ALIKE * varies[0] else image.convert("L")


def _shrunk(image: Image, edge: int) -> Image:
    from PIL import Image

    size = _within(image, edge)
    return image if size == image.size else image.resize(size, Image.Resampling.BOX)


def _thinned(image: Image, edge: int) -> Image:
    """Fewer pixels, none of them mixed."""
    from PIL import Image

    size = _within(image, edge)
    return image if size == image.size else image.resize(size, Image.Resampling.NEAREST)


def _within(image: Image, edge: int) -> tuple[int, int]:
    scale = min(1.0, edge / max(image.size))
    return max(1, round(image.width * scale)), max(1, round(image.height * scale))


def _starts(length: int, patch: int) -> list[int]:
    """Where patches begin, on multiples of a cell."""
    room, count = (length - patch) // CELL, min(PATCHES_ACROSS, -(-length // patch))
    return sorted({round(room * number / max(count - 1, 1)) * CELL for number in range(count)})


def _tiles(grey: Floats, edge: int) -> Floats:
    down, across = grey.shape[0] // edge, grey.shape[1] // edge
    cut = grey[: down * edge, : across * edge].reshape(down, edge, across, edge)
    return cut.swapaxes(1, 2).reshape(-1, edge, edge)


def _sigma(levels: Any) -> float:
    import numpy as np

    if min(levels.shape[1:]) < 3:
        return 0.0
    second = np.diff(np.diff(levels, n=2, axis=2), n=2, axis=1)
    middle = np.median(np.abs(second[:, ::2]).reshape(len(levels), -1), axis=1)  # every other row: half the time
    return float(np.percentile(middle, 10)) * 1.4826 / 6


def _seams(luma: Any) -> tuple[float, float]:
    """(seams, in_seams) along the last axis. Of the columns of a phase the outer fifths are left out: an upright edge
    of the picture itself is in one of them."""
    import numpy as np

    step = np.abs(np.diff(luma, axis=2))
    cells = (step.shape[2] - 2) // CELL
    if cells < 3:
        return 0.0, 1 / CELL
    excess = np.clip(step[:, :, 1:-1] - (step[:, :, :-2] + step[:, :, 2:]) // 2, -SEAM_LIMIT, SEAM_LIMIT)
    shape, cut = (len(luma), cells, CELL), max(1, cells // 5)
    by_phase = np.sort(excess[:, :, : cells * CELL].mean(1).reshape(shape), axis=1)[:, cut : cells - cut].mean((0, 1))
    change = np.sort(step[:, :, 1 : 1 + cells * CELL].mean(1).reshape(shape), axis=1)[:, : cells - cut].mean((0, 1))
    share = float(change.max() / change.sum()) if change.sum() > 0.05 else 1 / CELL
    return max(float(by_phase.max() - np.median(by_phase)), 0.0), share


def _steps(colour: Any) -> Any:
    """Levels in all channels together by which neighbours along the third axis differ: [number, height, width - 1]."""
    import numpy as np

    step = np.abs(np.diff(colour, axis=2))
    step = step[..., 0] + step[..., 1] + step[..., 2]
    step[step < 2 * LEAST_CHANGE] = 0
    return step


def _tiled(across: Any, down: Any) -> float:
    """The share of the change of one patch that lies on one lattice, of like period across and down."""
    import numpy as np

    kinds = np.bincount((across >> 4).ravel())[1:]
    if (kinds > 0.02 * kinds.sum()).sum() < LEAST_STEPS:
        return 0.0
    found = [_lattices(step.sum(0, dtype=np.int64)) for step in (across, down)]
    alike = [min(a, b) for wide, a in found[0] for high, b in found[1] if abs(wide / high - 1) < 0.08]
    return max(alike, default=0.0)


@cache
def _waves(length: int) -> tuple[Any, Any]:
    """Periods, each 0.4% above the last (over 128 pixels they differ by half a pixel), and their Fourier sums."""
    import numpy as np

    periods: Any = np.geomspace(LEAST_PERIOD, MOST_PERIOD, 1 + round(log(MOST_PERIOD / LEAST_PERIOD) / 0.004))
    return periods, np.exp(2j * np.pi * np.arange(length)[:, None] / periods).astype(np.complex64)


def _lattices(profile: Any) -> list[tuple[float, float]]:
    """The lattices that a profile of change may lie on: period, and share beyond chance."""
    import numpy as np

    periods, waves = _waves(len(profile))
    sums: Any = profile.astype(np.float32) @ waves
    clear: Any = np.abs(sums) / max(float(profile.sum()), 1.0)
    peaks: Any = np.flatnonzero((clear >= 0.6) & (clear >= np.roll(clear, 1)) & (clear >= np.roll(clear, -1)))
    best = peaks[np.argsort(-clear[peaks])[:8]]
    return [(float(periods[k]), _on_lattice(profile, float(periods[k]), float(np.angle(sums[k])))) for k in best]


def _on_lattice(profile: Any, period: float, angle: float) -> float:
    import numpy as np

    place = np.arange(len(profile)) / period - angle / (2 * np.pi)
    line: Any = np.rint(place).astype(int)
    near: Any = np.abs(place - line) * period < 0.8  # half a pixel by rounding, the rest by the period's own step
    change = np.bincount(line[near] - line[0], weights=profile[near])
    used: Any = np.flatnonzero(change > 0.02 * change.max())
    beside: Any = np.diff(used) == 1
    if len(used) < LEAST_LINES or beside.sum() < LEAST_BESIDE * (len(used) - 1):
        return 0.0
    chance = float(near.mean())
    return max((float(change.sum() / profile.sum()) - chance) / (1 - chance), 0.0)


@cache
def _cosines() -> Any:
    """The orthonormal DCT-II of 8 samples, as JPEG (ITU-T T.81, A.3.3) has it."""
    import numpy as np

    turns = np.cos(np.pi / CELL * np.outer(np.arange(CELL), np.arange(CELL) + 0.5))
    turns[0] /= 2**0.5
    return (turns / 2).astype(np.float32)


def _fine(luma: Any) -> tuple[float, float]:
    """The energy of the fine detail inside 8 x 8 blocks, and that of all detail; each with a level per block, which
    keeps ratios of next to nothing near 1."""
    import numpy as np

    number, down, across = len(luma), luma.shape[1] // CELL, luma.shape[2] // CELL
    blocks = luma[:, : down * CELL, : across * CELL].astype(np.float32).reshape(number, down, CELL, across, CELL)
    turned = np.matmul(_cosines(), np.ascontiguousarray(blocks.swapaxes(2, 3)) @ _cosines().T)
    energy: Any = np.einsum("ndauv,ndauv->uv", turned, turned)
    energy[0, 0] = 0
    fine = np.add.outer(np.arange(CELL), np.arange(CELL)) >= FINE
    least = number * down * across
    return float(energy[fine].sum()) + least, float(energy.sum()) + least


def _lattice(luma: Any) -> float:
    import numpy as np

    number, down, across = len(luma), luma.shape[1] // CELL, luma.shape[2] // CELL
    if down < 3 or across < 3:
        return 0.0
    cells = luma[:, : down * CELL, : across * CELL].astype(np.float32).reshape(number, down, CELL, across, CELL)
    cells = np.clip(cells - cells.mean(axis=(2, 4), keepdims=True), -12, 12)
    chance = float(cells.std()) / (number * down * across) ** 0.5
    return max(float(cells.mean(axis=(0, 1, 3)).std()) - 3 * chance, 0.0)


def _gap(counts: Any) -> float:
    """The mean distance of the levels that occur, in more than one of 50,000 pixels, within the middle 99%."""
    import numpy as np

    pixels = int(counts.sum())
    total = np.cumsum(counts) / pixels
    low, high = int(np.searchsorted(total, 0.005)), int(np.searchsorted(total, 0.995))
    occur = int((counts[low : high + 1] > max(1, pixels // 50_000)).sum())
    return (high - low) / max(occur - 1, 1) if high > low else 1.0
