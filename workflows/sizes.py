"""How large a picture is: the caller's edges, or an aspect that keeps the family's own pixel area."""

from __future__ import annotations

import math
import re

from workflows.errors import BadRecipe
from workflows.types import MAX_EDGE, FamilyProfile

MIN_EDGE = 64
WORDS = {"square": 1.0, "portrait": 2 / 3, "landscape": 3 / 2}
"""Width over height; 2:3 and 3:2 are the shapes of a photographic print."""
MAX_RATIO = 4.0
_RATIO = re.compile(r"(\d+(?:\.\d+)?)\s*[:x/]\s*(\d+(?:\.\d+)?)")


def size_for(
    profile: FamilyProfile, width: int | None = None, height: int | None = None, aspect: str | None = None
) -> tuple[int, int]:
    """Width and height in pixels, both multiples of `profile.multiple`.

    Without an aspect, an edge that is not given is the family's own. An aspect with one edge gives the other edge;
    an aspect alone keeps the family's pixel area. Raises BadRecipe.
    """
    for name, edge in (("width", width), ("height", height)):
        if edge is not None:
            _check(name, edge, profile)
    if aspect is None:
        return width or profile.width, height or profile.height
    ratio = ratio_of(aspect)
    if width and height:
        raise BadRecipe("aspect", aspect, f"width {width} and height {height} already say the shape; leave one out")
    if width:
        return width, _fit("aspect", aspect, width / ratio, profile)
    if height:
        return _fit("aspect", aspect, height * ratio, profile), height
    area = profile.width * profile.height
    wide = _fit("aspect", aspect, math.sqrt(area * ratio), profile)
    return wide, _fit("aspect", aspect, math.sqrt(area / ratio), profile)


def size_like(profile: FamilyProfile, width: int, height: int) -> tuple[int, int]:
    """The family's pixel area in the shape of a given picture; a shape beyond its limits becomes the nearest within."""
    ratio = min(max(width / height, 1 / MAX_RATIO), MAX_RATIO)
    area = profile.width * profile.height
    wide, high = (max(MIN_EDGE, _rounded(edge, profile)) for edge in (math.sqrt(area * ratio), math.sqrt(area / ratio)))
    return wide, high


def ratio_of(aspect: str) -> float:
    """Width over height of '16:9', 'portrait', 'landscape' or 'square'. Raises BadRecipe."""
    text = aspect.strip().lower()
    found = _RATIO.fullmatch(text)
    if text not in WORDS and not found:
        raise BadRecipe("aspect", aspect, "it is 'square', 'portrait', 'landscape' or a ratio such as '16:9'")
    wide, high = (float(part) for part in found.groups()) if found else (WORDS[text], 1.0)
    if not wide or not high or not 1 / MAX_RATIO <= wide / high <= MAX_RATIO:
        raise BadRecipe("aspect", aspect, "one edge may be at most four times the other, from '1:4' to '4:1'")
    return wide / high


def _check(name: str, edge: int, profile: FamilyProfile) -> None:
    if edge % profile.multiple or not MIN_EDGE <= edge <= MAX_EDGE:
        near = min(max(_rounded(edge, profile), MIN_EDGE), MAX_EDGE)
        takes = f"{profile.title} takes multiples of {profile.multiple} from {MIN_EDGE} to {MAX_EDGE}"
        raise BadRecipe(name, edge, f"{takes}; the nearest is {near}")


def _fit(name: str, value: object, edge: float, profile: FamilyProfile) -> int:
    rounded = _rounded(edge, profile)
    if not MIN_EDGE <= rounded <= MAX_EDGE:
        raise BadRecipe(name, value, f"an edge would be {rounded} pixels; edges lie from {MIN_EDGE} to {MAX_EDGE}")
    return rounded


def _rounded(edge: float, profile: FamilyProfile) -> int:
    return max(1, round(edge / profile.multiple)) * profile.multiple
