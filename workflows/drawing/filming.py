"""From a recipe and its setup to the graph of a video: the values of its template's slots, and LoRAs on each half."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workflows.drawing.edits import drawn_size
from workflows.frames import allowed_frames

if TYPE_CHECKING:
    from workflows.drawing.setup import Setup
    from workflows.types import Recipe

BUCKET, MOST_BUCKET = 127, 1023
"""SVD's measure of motion: its own, and the most."""
MOST_COMPRESSION = 100


def video_values(recipe: Recipe, setup: Setup) -> dict[str, Any]:
    """What goes into the slots that only videos have. Raises BadRecipe for a size that nobody draws."""
    profile, comfyui = setup.family.profile, setup.family.comfyui
    width, height = drawn_size(recipe, setup)
    steps = max(recipe.steps or profile.steps, 2 if comfyui.pair else 1)
    fps = recipe.fps or profile.fps
    motion = 1.0 if recipe.motion is None else recipe.motion
    known: dict[str, Any] = {
        **comfyui.values,
        "steps": steps,
        "switch": -(-steps // 2),
        "frames": allowed_frames(profile, recipe.frames or profile.frames),
        "fps": fps,
        "whole_fps": round(fps),
        "half_width": width // 2,
        "half_height": height // 2,
        "start_image": setup.pictures.get("source", "source.png"),
        "bucket": min(max(round(BUCKET * motion), 1), MOST_BUCKET),
        "negative": negative_of(recipe, setup),
    }
    if "compression" in comfyui.values:
        known["compression"] = min(round(comfyui.values["compression"] * motion), MOST_COMPRESSION)
    return known


def negative_of(recipe: Recipe, setup: Setup) -> str:
    """What is drawn away from: the user's words, else the family's own; nothing where nothing would be read."""
    if not setup.family.profile.negatives:
        return ""
    return recipe.negative or setup.family.comfyui.negative
