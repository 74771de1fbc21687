"""Repair: parts of a picture that was just drawn, painted anew. The recipe for it, and the canvas it is painted on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from utils.images import decode, encode_png
from workflows.canvas import Canvas, canvas_for, work_size
from workflows.types import FamilyProfile, Media, Recipe, Region

DENOISE = 0.75
"""How much of a faulty part is drawn anew: less than for a new thing, so that the pose stays. Our judgement."""
MARGIN = 0.03
"""Share of the picture added around each region, because a limb goes on beyond its last joint. Our judgement."""


@dataclass(frozen=True, kw_only=True)
class RepairJob:
    """What an engine is asked for: the recipe with the keys of source and mask, and the canvas with both."""

    recipe: Recipe
    canvas: Canvas
    mask: Media


def repair_recipe(recipe: Recipe, source: str, mask: str) -> Recipe:
    """The inpaint that repairs a picture of this recipe; its size is yet to be set. `source`, `mask`: store keys."""
    kept = recipe.but(controls=(), references=(), hires=False, transparent=False, batch_index=None)
    return kept.but(task="inpaint", source=source, mask=mask, denoise=DENOISE, width=None, height=None, aspect=None)


def prepared(recipe: Recipe, picture: Media, regions: Sequence[Region], profile: FamilyProfile) -> RepairJob:
    """The repair made ready: mask drawn, size set, canvas stretched."""
    mask = region_mask(picture, regions)
    image = decode(picture.data)
    width, height = work_size(recipe, profile, image.size, mask)
    sized = recipe.but(width=width, height=height)
    return RepairJob(recipe=sized, canvas=canvas_for(sized, {"source": picture, "mask": mask}), mask=mask)


def region_mask(picture: Media, regions: Sequence[Region]) -> Media:
    """A mask of the picture's size, white in the regions and a margin around them."""
    from PIL import Image

    size = decode(picture.data).size
    mask = Image.new("L", size, 0)
    for region in regions:
        left, top = _at(region.left - MARGIN, size[0]), _at(region.top - MARGIN, size[1])
        right, bottom = _at(region.right + MARGIN, size[0]), _at(region.bottom + MARGIN, size[1])
        mask.paste(255, (left, top, max(right, left + 1), max(bottom, top + 1)))
    return Media(data=encode_png(mask), media_type="image/png")


def _at(share: float, edge: int) -> int:
    return round(min(max(share, 0.0), 1.0) * edge)
