"""Canvas: what of a picture an engine gets to paint (inpaint, outpaint), and the way of the painted part back into it.

The same for every engine: it sees source and mask at the recipe's size, and pixels that nobody asked to change stay
as they are, bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from utils.images import MAX_PIXELS, BadPicture, decode, encode_png
from utils.masks import Box, EmptyMask, Size, border, box_around, covering, extended, feathered, pasted, read_mask
from workflows.errors import BadRecipe, RenderFailed
from workflows.sizes import MIN_EDGE, size_like
from workflows.types import MAX_EDGE, Artifact, Extension, FamilyProfile, Media, Recipe

if TYPE_CHECKING:
    from PIL.Image import Image

PAINTED = frozenset({"inpaint", "outpaint"})
OWN_AREA = 2.0
"""A canvas of up to this many times the family's area, or down to its inverse, is drawn at its own size."""
MOST_ENLARGED = 2.0
"""Nothing is drawn in more than this many times the edges of the whole picture: a small picture stays a small job."""


@dataclass(frozen=True, kw_only=True)
class Canvas:
    """A picture at its final size, the box of it that is painted, and how much of the paint shows where."""

    picture: Image
    box: Box
    blend: Image
    """Of the box's size; 0 where the picture stays as it is."""
    size: Size
    """What the engine draws."""
    mask: Image
    """Of the box's size: where it may paint."""

    def inputs(self) -> dict[str, Media]:
        """Source and mask as the engine gets them, both of the recipe's size."""
        from PIL import Image

        source = self.picture.crop(self.box).convert("RGB").resize(self.size, Image.Resampling.LANCZOS)
        return {"source": _png(source), "mask": _png(covering(self.mask, self.size))}

    def finish(self, artifact: Artifact) -> Artifact:
        """The whole picture with what was painted in its place. Raises RenderFailed for what is no picture."""
        try:
            painted = decode(artifact.media.data)
        except BadPicture as error:
            raise RenderFailed(f"The engine gave something that is no picture: {error}.") from error
        whole = pasted(self.picture, painted, self.box, self.blend)
        return replace(artifact, media=_png(whole), width=whole.width, height=whole.height)

    def part(self, finished: Media, drawn: Media) -> Media:
        """Of a finished picture, what was painted and its surroundings."""
        return _png(decode(finished.data).crop(self.box))


def canvas_for(recipe: Recipe, inputs: Mapping[str, Media]) -> Canvas:
    """The canvas of a completed inpaint or outpaint recipe. Raises BadRecipe."""
    if recipe.width is None or recipe.height is None:
        raise BadRecipe("width", recipe.width, "the size to draw has to be set first")
    source, size = decode(inputs["source"].data), (recipe.width, recipe.height)
    if recipe.task == "outpaint":
        return _grown(source, recipe.extend or Extension(), size)
    return _masked(source, mask_of(inputs["mask"], source.size), size)


def _masked(source: Image, mask: Image, size: Size) -> Canvas:
    box = box_around(mask)
    part = mask.crop(box)
    return Canvas(picture=source, box=box, blend=feathered(part), size=size, mask=part)


def _grown(source: Image, by: Extension, size: Size) -> Canvas:
    from PIL import Image

    whole = extended(source, by.left, by.top, by.right, by.bottom)
    inner = by.left, by.top, by.left + source.width, by.top + source.height
    blend = Image.new("L", whole.size, 255)
    blend.paste(0, inner)
    return Canvas(picture=whole, box=(0, 0, *whole.size), blend=blend, size=size, mask=border(whole.size, inner))


def mask_of(media: Media, size: Size, argument: str = "mask_image") -> Image:
    """The mask that a picture means, at `size`. Raises BadRecipe for an empty one."""
    try:
        return read_mask(decode(media.data), size)
    except (BadPicture, EmptyMask) as error:
        allowed = f"{error}; white (or transparent) is painted anew, the rest stays"
        raise BadRecipe(argument, "this picture", allowed) from error


def work_size(recipe: Recipe, profile: FamilyProfile, size: Size, mask: Media | None) -> Size:
    """What an engine of that family draws for an inpaint (around its mask) or outpaint of a picture of `size`, or to
    go on from a video of that size."""
    if recipe.task == "extend_video":
        return _own_or_fit(profile, size)
    if recipe.task == "outpaint":
        return _own_or_fit(profile, grown_size(size, recipe.extend or Extension()))
    if mask is None:
        raise BadRecipe("mask_image", None, "an inpaint needs a mask")
    left, top, right, bottom = box_around(mask_of(mask, size))
    return _fit(profile, (right - left, bottom - top), size)


def grown_size(size: Size, by: Extension) -> Size:
    """The size after an outpaint. Raises BadRecipe when that is more than a picture may have."""
    wide, high = size[0] + by.left + by.right, size[1] + by.top + by.bottom
    if wide * high > MAX_PIXELS:
        raise BadRecipe("extend", f"{wide}x{high}", f"a picture has at most {MAX_PIXELS:,} pixels; grow it less")
    return wide, high


def _own_or_fit(profile: FamilyProfile, size: Size) -> Size:
    """The size itself, on the family's grid, where the family can draw it; else its shape in the family's area."""
    share = size[0] * size[1] / (profile.width * profile.height)
    wide, high = _on_grid(profile, size)
    if 1 / OWN_AREA <= share <= OWN_AREA and max(wide, high) <= MAX_EDGE:
        return wide, high
    return _fit(profile, size, size)


def _fit(profile: FamilyProfile, part: Size, whole: Size) -> Size:
    """The shape of the part in the family's area, or in less of it when the whole picture is small."""
    wide, high = size_like(profile, *part)
    share = math.sqrt(MOST_ENLARGED**2 * whole[0] * whole[1] / (wide * high))
    return (wide, high) if share >= 1 else _on_grid(profile, (wide * share, high * share))


def _on_grid(profile: FamilyProfile, size: tuple[float, float]) -> Size:
    wide, high = (max(MIN_EDGE, round(edge / profile.multiple) * profile.multiple) for edge in size)
    return wide, high


def _png(picture: Image) -> Media:
    return Media(data=encode_png(picture), media_type="image/png")
