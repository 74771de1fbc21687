"""Frames between the frames of a video, by ComfyUI's own nodes or those of a pack; and at which rate it then plays.

A multiplier gives only multiples of the video's own rate. Setups want `facts["source_fps"]`, put in by the engine
before drafting; without it (a graph that is only looked at) the video is taken to have half the rate asked for. Pure.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from workflows.drawing.picture_tools import Way, drawn_way, fit_way, lacking
from workflows.drawing.setup import Setup
from workflows.errors import BadRecipe, EngineUnavailable
from workflows.families import family
from workflows.template import template

if TYPE_CHECKING:
    from workflows.drawing.inventory import Inventory
    from workflows.graph import Graph
    from workflows.types import Recipe

PACK = "ComfyUI-Frame-Interpolation (Fannovel16/ComfyUI-Frame-Interpolation)"
INTERPOLATORS = (
    Way(
        template="interpolate",
        files={("loader", "model_name"): ("film", "rife")},
        get="film_net_fp16.safetensors (Comfy-Org/frame_interpolation on Hugging Face) in models/frame_interpolation",
    ),
    Way(
        template="interpolate_rife",
        pack=PACK,
        files={("between", "ckpt_name"): ("rife49", "rife47", "rife")},
        told={"between": {"scale_factor": 1.0}},
    ),
    Way(template="interpolate_film", pack=PACK, files={("between", "ckpt_name"): ("film",)}),
)
LEAST, MOST = 2, 16
"""Times as many frames, as ComfyUI's own node takes them."""
FPS = 48.0
"""What a video is brought to where nobody says and its own rate is not known."""
NEARLY = 0.99
"""Share of a wish that is as good: who wants 60 of 29.97 wants 59.94, not 89.91."""
MOST_FPS = 120.0
"""What CreateVideo takes."""


def fit_interpolation(recipe: Recipe, inventory: Inventory) -> Setup:
    """The setup of an interpolation. Raises EngineUnavailable naming what to install."""
    parts = fit_way(INTERPOLATORS, inventory)
    if parts is None:
        raise EngineUnavailable(
            f"Frames cannot be put between frames on this ComfyUI: {lacking(INTERPOLATORS, inventory)}."
        )
    name = parts["template"]
    return Setup(
        template=template(name),
        family=family("unknown"),
        model=parts.get("model", name),
        finish=parts,
        prefix="atelier/video",
    )


def draft_interpolation(recipe: Recipe, setup: Setup) -> Graph:
    """The graph of an interpolation. Raises BadRecipe for a rate that the video has already."""
    times, fps = rate(recipe.fps, setup.facts.get("source_fps"))
    values = {"model": setup.model, "source": setup.pictures.get("source", "source.mp4"), "prefix": setup.prefix}
    return drawn_way(setup.finish, values | {"times": times, "fps": fps})


def rate(asked: float | None, source: float | None) -> tuple[int, float]:
    """How many times as many frames, and at how many a second they play; the video stays as long as it was.

    The multiple of the source's rate that is not below what is asked for, or hardly; twice the source's where nothing
    is asked. Raises BadRecipe for a rate that the source has already, and for one beyond 16 times its own or 120.
    """
    if source is None or source <= 0:
        return LEAST, asked or FPS
    wanted = asked or LEAST * source
    if wanted <= source:
        raise BadRecipe("fps", wanted, f"the video has {source:g} frames a second already; ask for more")
    times = max(LEAST, math.ceil(wanted / source * NEARLY))
    if times > MOST:
        raise BadRecipe("fps", wanted, f"at most {MOST} times the video's own {source:g}: {MOST * source:g}")
    if LEAST * source > MOST_FPS:
        raise BadRecipe("fps", wanted, f"{MOST_FPS:g} are the most, and twice the video's own {source:g} are more")
    if times * source > MOST_FPS:
        raise BadRecipe("fps", wanted, f"at most {math.floor(MOST_FPS / source) * source:g} for this video")
    return times, times * source


def frames_of(source_frames: int, times: int) -> int:
    """How many frames come out: those between are as many for each pair."""
    return (source_frames - 1) * times + 1


def rate_note(asked: float | None, source: float | None) -> str:
    """What rate comes out where it is not the one asked for; "" where it is. Raises BadRecipe as `rate` does."""
    if not asked or not source:
        return ""
    times, fps = rate(asked, source)
    if math.isclose(fps, asked):
        return ""
    return f"{fps:g} frames a second instead of {asked:g}: frames between frames come {times} for 1, of {source:g}."
