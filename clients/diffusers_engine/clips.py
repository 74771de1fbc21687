"""What all videos of this engine have in common: length, size, the picture that they begin with, the file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from utils.images import decode
from utils.video import BadVideo, PyAvMissing, encoded, probe, resampled
from workflows.errors import BadRecipe, ExtraMissing
from workflows.types import Artifact, FamilyProfile, Media, Recipe

PURPOSE = "Making videos"


def length(recipe: Recipe, profile: FamilyProfile) -> tuple[int, float]:
    """Frames and frames a second; what the recipe leaves open is the family's own."""
    frames = recipe.frames or max(profile.frames, 2)
    step = max(1, profile.frame_step)
    return max(2, (frames - 1) // step * step + 1), recipe.fps or profile.fps or 8.0


def size_of(recipe: Recipe, profile: FamilyProfile, source: Any = None) -> tuple[int, int]:
    """The recipe's size, or the family's own area in the shape of the picture that the video begins with."""
    if recipe.width and recipe.height:
        return recipe.width, recipe.height
    if source is None:
        return recipe.width or profile.width, recipe.height or profile.height
    scale = (profile.width * profile.height / (source.width * source.height)) ** 0.5
    step = profile.multiple
    width, height = (max(step, round(edge * scale / step) * step) for edge in source.size)
    return width, height


def source_of(recipe: Recipe, inputs: Mapping[str, Media]) -> Any:
    """The picture that the video begins with, or None. Raises BadRecipe, BadPicture."""
    if recipe.task == "txt2vid":
        return None
    source = inputs.get("source")
    if source is None:
        raise BadRecipe("source", None, f"{recipe.task} needs an input picture")
    return decode(source.data).convert("RGB")


def fitted(picture: Any, size: tuple[int, int]) -> tuple[Any, list[str]]:
    """The picture at that size, another shape cropped around its middle, and what to say of it."""
    from PIL import Image, ImageOps

    same_shape = abs(picture.width * size[1] - picture.height * size[0]) <= max(picture.size)
    notes = [] if same_shape else [f"The source was cropped around its middle to {size[0]}x{size[1]}."]
    return ImageOps.fit(picture, size, Image.Resampling.LANCZOS), notes


def made(frames: Iterable[Any], fps: float, facts: Mapping[str, Any], **artifact: Any) -> Artifact:
    """The artifact of a video. Raises ExtraMissing."""
    try:
        mp4 = encoded(frames, fps)
        clip = probe(mp4)
    except PyAvMissing:
        raise ExtraMissing("video", PURPOSE) from None
    timing = {"frames": clip.frames, "fps": round(clip.fps, 3), "seconds": round(clip.seconds, 3)}
    return Artifact(
        media=Media(data=mp4, media_type="video/mp4"),
        width=clip.width,
        height=clip.height,
        facts={**facts, **timing},
        **artifact,
    )


def interpolated(recipe: Recipe, inputs: Mapping[str, Media]) -> Sequence[Artifact]:
    """The source video at the recipe's rate, or at twice its own: FFmpeg follows the motion, no model draws.

    Raises BadRecipe, ExtraMissing.
    """
    source = inputs.get("source")
    if source is None:
        raise BadRecipe("source", None, "interpolate needs an input video")
    try:
        before = probe(source.data)
        fps = recipe.fps or min(120.0, 2 * before.fps)
        mp4 = resampled(source.data, fps)
        clip = probe(mp4)
    except PyAvMissing:
        raise ExtraMissing("video", PURPOSE) from None
    except BadVideo as error:
        raise BadRecipe("source", "the video", str(error)) from error
    notes = [f"From {before.fps:g} to {clip.fps:g} frames a second: FFmpeg followed the motion; no model drew."]
    return [
        Artifact(
            media=Media(data=mp4, media_type="video/mp4"),
            seed=recipe.seed or 0,
            width=clip.width,
            height=clip.height,
            model="FFmpeg minterpolate",
            facts={
                "frames": clip.frames,
                "fps": round(clip.fps, 3),
                "seconds": round(clip.seconds, 3),
                "notes": notes,
            },
        )
    ]
