"""Masks: which pixels of a picture are painted anew, and how what was painted gets back into it. Pillow pictures only.

A mask is an "L" picture, 255 where it paints and 0 where it does not. A box is (left, top, right, bottom) in pixels.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

Box = tuple[int, int, int, int]
Size = tuple[int, int]

MARGIN_PIXELS = 64
MARGIN_SHARE = 0.25
"""Surroundings that a painter sees at each side: so many pixels, or that share of the masked area's longer edge."""
MOST = 0.7
"""A box of this share of the picture is not worth cutting out."""
MOST_RATIO = 2.0
"""A cut box is widened until no edge is longer than this many times the other: models draw strips badly."""
FEATHER_SHARE = 1 / 32
MOST_FEATHER = 24
"""Width of the soft inner edge: a share of the box's shorter edge, and its limit in pixels."""
OVERLAP_SHARE = 0.05
OVERLAPS = (8, 32)
"""How far the painter of a border may work over the picture inside it: a share of its shorter edge, within pixels."""


class EmptyMask(ValueError):
    """The mask paints nothing."""


def read_mask(given: Image, size: Size) -> Image:
    """The mask that a picture means, at `size`: white paints, or, where it has any transparency, transparent paints.

    What is lighter than half counts as white. Raises EmptyMask.
    """
    from PIL import Image, ImageChops

    clear = given.mode in {"RGBA", "LA"}
    paint = ImageChops.invert(given.getchannel("A")) if clear else given.convert("L")
    if paint.size != size:
        paint = paint.resize(size, Image.Resampling.BILINEAR)
    mask = paint.point([255 if value >= 128 else 0 for value in range(256)])
    if mask.getbbox() is None:
        raise EmptyMask("the mask is empty: nothing in it is white (or transparent)")
    return mask


def box_around(mask: Image) -> Box:
    """The masked area with its surroundings, no strip; the whole picture where that is most of it anyway."""
    found = mask.getbbox()
    if found is None:
        raise EmptyMask("the mask is empty")
    left, top, right, bottom = found
    margin = max(MARGIN_PIXELS, math.ceil(MARGIN_SHARE * max(right - left, bottom - top)))
    wide, high = right - left + 2 * margin, bottom - top + 2 * margin
    across = _span(left - margin, max(wide, math.ceil(high / MOST_RATIO)), wide, mask.width)
    down = _span(top - margin, max(high, math.ceil(wide / MOST_RATIO)), high, mask.height)
    box = across[0], down[0], across[1], down[1]
    return (0, 0, *mask.size) if area(box) >= MOST * mask.width * mask.height else box


def _span(start: int, wanted: int, needed: int, limit: int) -> tuple[int, int]:
    """From `start`, `needed` long, made `wanted` long around its middle, moved and cut to lie within 0..limit."""
    start = max(0, min(start - (wanted - needed) // 2, limit - wanted))
    return start, min(limit, start + wanted)


def area(box: Box) -> int:
    """Pixels of the box."""
    return (box[2] - box[0]) * (box[3] - box[1])


def covering(mask: Image, size: Size) -> Image:
    """The mask at another size, with every pixel that any of it touches."""
    from PIL import Image

    if mask.size == size:
        return mask
    # The filter's support covers every source pixel when it shrinks, so that a thin line does not get lost.
    return mask.resize(size, Image.Resampling.BILINEAR).point([255 if value else 0 for value in range(256)])


def feathered(mask: Image) -> Image:
    """How much of what was painted shows: rises inside of the mask's edge, and is 0 at every pixel outside of it.

    A mask too thin for a soft edge keeps a hard one.
    """
    from PIL import ImageChops, ImageFilter

    rising = [max(0, min(255, 2 * value - 255)) for value in range(256)]
    radius = min(MOST_FEATHER, min(mask.size) * FEATHER_SHARE)
    while radius >= 1:
        soft = ImageChops.darker(mask, mask.filter(ImageFilter.GaussianBlur(radius)).point(rising))
        if 2 * _sum(soft) >= _sum(mask):
            return soft
        radius /= 2
    return mask


def _sum(mask: Image) -> int:
    return sum(value * count for value, count in enumerate(mask.histogram()))


def pasted(original: Image, painted: Image, box: Box, blend: Image) -> Image:
    """The original with `painted`, scaled to the box, where `blend` (of the box's size) lets it show.

    Where blend is 0 the pixels are the original's own, transparency included; what is painted is opaque.
    """
    from PIL import Image

    size = box[2] - box[0], box[3] - box[1]
    patch = painted.convert("RGB")
    if patch.size != size:
        patch = patch.resize(size, Image.Resampling.LANCZOS)
    whole = original.copy()
    whole.paste(patch, box[:2], blend)
    return whole


def extended(picture: Image, left: int, top: int, right: int, bottom: int) -> Image:
    """The picture on a larger canvas; the new area mirrors the edges, stretched where it is the larger."""
    wide = _widened(picture, left, right)
    return _turned(_widened(_turned(wide), top, bottom))


def _widened(picture: Image, before: int, after: int) -> Image:
    from PIL import Image, ImageOps

    if not before and not after:
        return picture
    width, height = picture.size
    whole = Image.new(picture.mode, (before + width + after, height))
    whole.paste(picture, (before, 0))
    for grown, left, place in ((before, 0, 0), (after, width - min(after, width), before + width)):
        if grown:
            strip = picture.crop((left, 0, left + min(grown, width), height))
            whole.paste(ImageOps.mirror(strip).resize((grown, height)), (place, 0))
    return whole


def _turned(picture: Image) -> Image:
    """Rows and columns exchanged."""
    from PIL import Image

    return picture.transpose(Image.Transpose.TRANSPOSE)


def border(size: Size, inner: Box) -> Image:
    """The mask of everything outside of `inner` and a little within it, so that the seam can be painted over."""
    from PIL import Image

    low, high = OVERLAPS
    shorter = min(inner[2] - inner[0], inner[3] - inner[1])
    overlap = min(max(low, min(high, round(shorter * OVERLAP_SHARE))), shorter // 4)
    mask = Image.new("L", size, 255)
    # A side that does not grow has no seam.
    kept = (
        inner[0] + (overlap if inner[0] else 0),
        inner[1] + (overlap if inner[1] else 0),
        inner[2] - (overlap if inner[2] < size[0] else 0),
        inner[3] - (overlap if inner[3] < size[1] else 0),
    )
    mask.paste(0, kept)
    return mask
