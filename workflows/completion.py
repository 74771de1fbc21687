"""The recipe with every `None` that a render needs filled in: explicit, then quality, then the family's own."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from typing import Any

from utils.images import MAX_PIXELS
from utils.video import MAX_SECONDS
from workflows.canvas import PAINTED, work_size
from workflows.errors import BadRecipe
from workflows.frames import allowed_frames, frames_note
from workflows.inputs import InputPicture
from workflows.sizes import size_for, size_like
from workflows.types import (
    MAX_EDGE,
    MAX_SEED,
    VIDEOS,
    WORDLESS,
    FamilyProfile,
    Media,
    Quality,
    Recipe,
    Task,
)

QUALITY_STEPS: Mapping[Quality, float] = {"fast": 0.6, "balanced": 1.0, "high": 1.4, "ultra": 2.0}
"""Steps as a share of the family's own; our judgement. Explicit steps always win."""
FEW_STEPS = 12
"""A model of so few steps is distilled: it has its own number of them."""
MOST_DISTILLED = 1.5
"""How much more than its own steps a distilled model takes at most: more changes nothing, or overcooks."""
MOST_STEPS = 100
DENOISE: Mapping[Task, float] = {"img2img": 0.7, "inpaint": 0.9, "outpaint": 1.0, "upscale": 0.3}
"""How much is drawn anew when nobody says: a new area wholly, a masked thing nearly so, fine detail a little."""
SCALE = 4.0
HIRES = 1.5
"""How much a second pass enlarges each edge when no size is given: the field's usual factor."""
STRENGTH = 0.8
TIMES = 2.0
MOST_FPS = 120.0
"""How many times the rate an interpolate brings a video to when nobody says, and the highest there is."""
FPS = 16.0
"""Of a family that names no rate: Wan's."""


def complete(
    recipe: Recipe, profile: FamilyProfile, source: InputPicture | None = None, mask: Media | None = None
) -> Recipe:
    """A recipe whose steps, cfg and seed are set; and its size, unless the task keeps or multiplies the source's.

    An inpaint whose mask is yet to be found (mask_text) has no size until then. A video has frames and fps besides, as
    its family draws them. A workflow is as it is: what it has stands in its graph. Raises BadRecipe.
    """
    if recipe.task == "workflow":
        return recipe.but(count=1)
    return recipe.but(
        **_size(recipe, profile, source, mask),
        **_of_the_task(recipe, source),
        **_of_a_video(recipe, profile, source),
        steps=recipe.steps or steps_for(profile.steps, recipe.quality),
        cfg=profile.cfg if recipe.cfg is None else recipe.cfg,
        seed=random.randint(0, MAX_SEED) if recipe.seed is None else recipe.seed,
    )


def steps_for(steps: int, quality: Quality) -> int:
    """Steps at a quality. A distilled model draws in no fewer than its own."""
    share = QUALITY_STEPS[quality]
    if steps <= FEW_STEPS:
        share = min(MOST_DISTILLED, max(1.0, share))
    return max(1, min(MOST_STEPS, round(steps * share)))


def _size(recipe: Recipe, profile: FamilyProfile, source: InputPicture | None, mask: Media | None) -> dict[str, Any]:
    if recipe.task in WORDLESS:
        return {"width": None, "height": None}
    asked = recipe.width or recipe.height or recipe.aspect
    if recipe.task in PAINTED and source and not asked:
        waits = recipe.task == "inpaint" and mask is None
        found = None if waits else work_size(recipe, profile, (source.width, source.height), mask)
    elif source and recipe.task == "extend_video" and not asked:
        found = work_size(recipe, profile, (source.width, source.height), None)
    elif source and recipe.task in {"img2img", "img2vid"} and not asked:
        found = size_like(profile, source.width, source.height)
    else:
        found = size_for(profile, recipe.width, recipe.height, recipe.aspect)
    if recipe.hires and found and not (recipe.width or recipe.height):
        found = _second_pass(profile, found)
    # The shape is said once: both edges beside an aspect would be a contradiction to whoever reads it next.
    return {"width": found[0], "height": found[1], "aspect": None} if found else {}


def _second_pass(profile: FamilyProfile, size: tuple[int, int]) -> tuple[int, int]:
    """What two passes end with when nobody says: the size of one, enlarged."""
    wide, high = (min(round(edge * HIRES / profile.multiple) * profile.multiple, MAX_EDGE) for edge in size)
    return wide, high


def _of_the_task(recipe: Recipe, source: InputPicture | None) -> dict[str, Any]:
    redraws = recipe.task in DENOISE and recipe.method != "model"
    changes: dict[str, Any] = {"denoise": recipe.denoise or DENOISE[recipe.task] if redraws else None}
    if recipe.task == "upscale":
        changes["scale"] = _scale(recipe.scale, source)
    if recipe.task == "face_restore":
        changes["strength"] = STRENGTH if recipe.strength is None else recipe.strength
    return changes


def frames_told(asked: Recipe, completed: Recipe, profile: FamilyProfile) -> str:
    """Why another number of frames is drawn than was asked for; empty where it is the same."""
    if asked.frames is None or completed.frames is None:
        return ""
    note = frames_note(asked.frames, completed.frames, profile)
    if asked.task != "extend_video":
        return note
    shared = f"{completed.frames - 1} frames are added: the first of {completed.frames} is the last that was there."
    return f"{note} {shared}".strip()


def _of_a_video(recipe: Recipe, profile: FamilyProfile, source: InputPicture | None) -> dict[str, Any]:
    if recipe.task not in VIDEOS:
        return {}
    if recipe.task == "interpolate":
        return {"fps": _rate(recipe.fps, source), "frames": None}
    frames = recipe.frames or profile.frames
    if profile.most_frames > 1:
        frames = allowed_frames(profile, frames)
    fps = recipe.fps or profile.fps or FPS
    if recipe.task == "extend_video" and source and source.seconds + frames / fps > MAX_SECONDS:
        allowed = f"with {frames} frames more it would be longer than the {MAX_SECONDS:g} s that a video may have"
        raise BadRecipe("input_video", f"{source.seconds:.0f} s", allowed)
    return {"frames": frames, "fps": fps}


def _rate(asked: float | None, source: InputPicture | None) -> float:
    """What an interpolate brings its video to. Raises BadRecipe where that is no more than it has."""
    own = source.fps if source else 0.0
    if own >= MOST_FPS - 1:
        raise BadRecipe("input_video", f"{own:.4g} frames a second", f"{MOST_FPS:g} are the most; it needs no more")
    rate = asked or min(MOST_FPS, round(TIMES * own, 3) or TIMES * FPS)
    if rate <= own:
        raise BadRecipe("target_fps", rate, f"the video has {own:.4g} frames a second already; name more")
    return rate


def _scale(asked: float | None, source: InputPicture | None) -> float:
    """How much to enlarge. Raises BadRecipe when the result would have more pixels than a picture may."""
    scale = asked or SCALE
    pixels = source.width * source.height if source else 0
    if pixels * scale * scale <= MAX_PIXELS:
        return scale
    most = math.floor(10 * math.sqrt(MAX_PIXELS / pixels)) / 10
    limit = f"{MAX_PIXELS:,} pixels are the limit"
    way = (
        f"{limit}, so at most {most:g} for this picture" if most > 1 else f"it is as large as pictures may be ({limit})"
    )
    raise BadRecipe("scale", scale, way)
