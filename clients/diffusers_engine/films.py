"""Which diffusers pipelines draw videos, what each of them can, and of which family a folder of theirs is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workflows.families import Family, families, family
from workflows.types import FamilyProfile, Recipe


@dataclass(frozen=True)
class Length:
    """Frames of a video by its pipeline's own measure: the defaults of its authors' examples in diffusers."""

    frames: int
    step: int
    most: int
    fps: float


@dataclass(frozen=True, kw_only=True)
class Film:
    """What a video pipeline draws."""

    family: str
    length: Length
    picture: bool = False
    """It begins with a picture, else with words alone."""
    kin: str = ""
    """The pipeline for the other beginning that the same weights serve."""


WAN = Length(81, 4, 161, 16.0)
LTX = Length(97, 8, 257, 25.0)
LTX2 = Length(121, 8, 257, 24.0)
HUNYUAN = Length(61, 4, 129, 15.0)
HUNYUAN15 = Length(121, 4, 129, 24.0)
COGVIDEO = Length(49, 8, 49, 8.0)
ANIMATEDIFF = Length(16, 1, 32, 8.0)
FILMS: Mapping[str, Film] = {
    "WanPipeline": Film(family="wan21-14b", length=WAN, kin="WanImageToVideoPipeline"),
    "WanImageToVideoPipeline": Film(family="wan21-14b", length=WAN, picture=True),
    "LTXPipeline": Film(family="ltx-video", length=LTX, kin="LTXImageToVideoPipeline"),
    "LTXImageToVideoPipeline": Film(family="ltx-video", length=LTX, picture=True, kin="LTXPipeline"),
    "LTX2Pipeline": Film(family="ltx2", length=LTX2, kin="LTX2ImageToVideoPipeline"),
    "LTX2ImageToVideoPipeline": Film(family="ltx2", length=LTX2, picture=True, kin="LTX2Pipeline"),
    "HunyuanVideo15Pipeline": Film(family="hunyuan-video-15", length=HUNYUAN15),
    "HunyuanVideo15ImageToVideoPipeline": Film(family="hunyuan-video-15", length=HUNYUAN15, picture=True),
    "HunyuanVideoPipeline": Film(family="hunyuan-video", length=HUNYUAN),
    "HunyuanVideoImageToVideoPipeline": Film(family="hunyuan-video", length=HUNYUAN, picture=True),
    "CogVideoXPipeline": Film(family="unknown", length=COGVIDEO),
    "CogVideoXImageToVideoPipeline": Film(family="unknown", length=COGVIDEO, picture=True),
    "AnimateDiffPipeline": Film(family="sd15", length=ANIMATEDIFF),
    "AnimateDiffSDXLPipeline": Film(family="sdxl", length=ANIMATEDIFF),
    "MochiPipeline": Film(family="unknown", length=Length(85, 6, 163, 30.0)),
}
"""By class name in model_index.json."""
OWN_SIZE: Mapping[str, tuple[int, int, int]] = {
    "CogVideoXPipeline": (720, 480, 16),
    "CogVideoXImageToVideoPipeline": (720, 480, 16),
    "MochiPipeline": (848, 480, 16),
}
"""Width, height and the multiple of pipelines whose family is not in families.toml."""
NAMES = {"CogVideoX": "CogVideoX", "Mochi": "Mochi 1", "AnimateDiff": "AnimateDiff"}
EXPANDING = "expand_timesteps"
"""The setting of a Wan 2.2 5B, whose one network draws from words and from pictures."""


def film_family(pipeline: str, index: Mapping[str, Any], network: Mapping[str, Any]) -> Family:
    """The family of a video pipeline's folder, from its model_index.json and the configuration of its network.

    Its profile has the frames of families.toml, or else those of FILMS.
    """
    film = FILMS[pipeline]
    found = family(_wan(index, network) if pipeline.startswith("Wan") else film.family)
    own = found.profile
    changes: dict[str, Any] = {}
    if own.frames <= 1 or own.fps <= 0:
        told = film.length
        changes |= {"frames": told.frames, "frame_step": told.step, "most_frames": told.most, "fps": told.fps}
    if pipeline in OWN_SIZE:
        width, height, multiple = OWN_SIZE[pipeline]
        changes |= {"width": width, "height": height, "multiple": multiple}
    if found.profile.name == "unknown" or not found.video:
        title = next((title for sign, title in NAMES.items() if pipeline.startswith(sign)), pipeline)
        changes |= {"title": title, "note": ""}
    return found.model_copy(update={"profile": own.but(**changes), "video": True, "pipelines": (pipeline,)})


def _wan(index: Mapping[str, Any], network: Mapping[str, Any]) -> str:
    """Two networks are Wan 2.2 14B, 48 latent channels Wan 2.2 5B, and twelve heads the small Wan 2.1."""
    if index.get("boundary_ratio") is not None:
        return "wan22-14b"
    if index.get(EXPANDING) or network.get("out_channels") == 48:
        return "wan22-5b"
    return "wan21-1.3b" if network.get("num_attention_heads") == 12 else "wan21-14b"


def guessed_film(name: str) -> Family | None:
    """The video family that the name of a repo gives away before it is fetched."""
    words = name.lower()
    for found in families().values():
        if found.video and any(re.search(pattern, words) for pattern in found.comfyui.names):
            return found
    return None


ANIMATION_FRAMES, ANIMATION_FPS, ANIMATION_MOST = 16, 8.0, 240
ANIMATION = (
    "This is an animation of stills that a picture model drew, one after the other, and not a video model's work."
)
DRAWING = frozenset(
    {"StableDiffusionPipeline", "StableDiffusionXLPipeline", "StableDiffusion3Pipeline", "FluxPipeline"}
)
"""Picture pipelines whose noise and words can be given, so that they can be changed little by little."""


def animation_profile(profile: FamilyProfile) -> FamilyProfile:
    """A picture family's profile for videos: any number of frames. What they are, each of them says itself."""
    return profile.but(
        frames=ANIMATION_FRAMES,
        frame_step=1,
        most_frames=ANIMATION_MOST,
        fps=ANIMATION_FPS,
    )


def film_refusal(recipe: Recipe, found: Family, pipeline: str | None, expanding: bool) -> str | None:
    """Why a video cannot be drawn with that model, or a picture with a video model; None: it can."""
    film = FILMS.get(pipeline or "")
    title = found.profile.title
    if film is None:
        known = found.profile.name in {"demo", "unknown"} or DRAWING.intersection(found.pipelines)
        return (
            None if known or found.video else f"This engine cannot animate pictures by {title}; ComfyUI draws videos."
        )
    if recipe.loras:
        return f"This engine does not do LoRAs with {title}; ComfyUI does."
    if recipe.task == "txt2vid" and film.picture and not film.kin:
        return f"{pipeline} begins with a picture: use image_to_video, or a model that draws from words alone."
    from_picture = film.picture or (film.kin and (pipeline != "WanPipeline" or expanding))
    if recipe.task in {"img2vid", "extend_video"} and not from_picture:
        return f"{pipeline} begins with words alone: it cannot begin with a picture; use its image-to-video model."
    return None
