"""One render on the worker thread: a recipe and a loaded pipeline in, artifacts out."""

from __future__ import annotations

import inspect
import io
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from clients.diffusers_engine.loading import Loaded, diffusers_library
from clients.diffusers_engine.preview import LatentColours
from clients.diffusers_engine.prompts import prompt_arguments
from clients.diffusers_engine.samplers import build_scheduler, sampler_of
from utils.images import decode
from workflows.errors import BadRecipe
from workflows.types import MAX_SEED, Artifact, Media, Recipe, RenderStep

PREVIEWS = 4
"""Previews of one picture, evenly spread over its steps."""
DENOISE = 0.7
"""How much of a source picture is drawn anew when the recipe does not say."""


class Stopped(Exception):
    """The render was told to stop and did."""


@dataclass(kw_only=True)
class Watch:
    """The render's line to its caller: where steps are reported, and whether to stop."""

    tell: Callable[[RenderStep], None]
    stop: threading.Event = field(default_factory=threading.Event)

    def check(self) -> None:
        """Raises Stopped when someone asked for it."""
        if self.stop.is_set():
            raise Stopped


@dataclass(kw_only=True)
class _Render:
    """A recipe made ready: the pipeline, how to call it, and what to tell about it."""

    pipe: Any
    arguments: dict[str, Any]
    facts: dict[str, Any]
    notes: list[str]


def draw(loaded: Loaded, recipe: Recipe, source: Media | None, watch: Watch) -> list[Artifact]:
    """Render `recipe.count` pictures, their seeds following each other.

    Raises BadRecipe, Stopped, and whatever the pipeline raises.
    """
    render = _prepared(loaded, recipe, source)
    first = random.getrandbits(32) if recipe.seed is None else recipe.seed
    made: list[Artifact] = []
    for number in range(recipe.count):
        seed = (first + number) % (MAX_SEED + 1)
        began = time.perf_counter()
        picture, notes = _picture(loaded, render, seed, _Steps(loaded, watch, number, recipe.count))
        media = Media(data=_png(picture), media_type="image/png")
        told = {"seconds": round(time.perf_counter() - began, 3), "notes": render.notes + notes}
        made.append(
            Artifact(
                media=media,
                seed=seed,
                width=picture.width,
                height=picture.height,
                model=loaded.source.name,
                model_hash=loaded.model_hash,
                facts=render.facts | told,
            )
        )
    return made


def _prepared(loaded: Loaded, recipe: Recipe, source: Media | None) -> _Render:
    profile = loaded.family.profile
    pipe = _pipeline_for(loaded, recipe)
    sampler = _set_scheduler(loaded, pipe, recipe)
    negative = recipe.negative if profile.negatives else ""
    arguments, notes = prompt_arguments(pipe, recipe.prompt, negative, weights=profile.weights)
    size = recipe.width or profile.width, recipe.height or profile.height
    arguments |= _settings(loaded, recipe, size)
    if recipe.task == "img2img":
        picture, said = _source_picture(source, size)
        arguments |= {"image": picture, "strength": recipe.denoise or DENOISE}
        notes += said
    if recipe.negative and not profile.negatives:
        notes.append(f"{profile.title} knows no negative prompt; it was left out.")
    facts = {
        "steps": arguments["num_inference_steps"],
        "cfg": arguments["guidance_scale"],
        "sampler": sampler,
        "scheduler": type(pipe.scheduler).__name__,
        "device": loaded.device,
        "dtype": loaded.dtype,
        "pipeline": type(pipe).__name__,
    }
    taken = inspect.signature(pipe.__call__).parameters
    known = {name: value for name, value in arguments.items() if name in taken}
    return _Render(pipe=pipe, arguments=known, facts=facts, notes=notes)


def _settings(loaded: Loaded, recipe: Recipe, size: tuple[int, int]) -> dict[str, Any]:
    """Everything but the words and the source picture; what a pipeline does not take is left out later."""
    profile = loaded.family.profile
    return {
        "width": size[0],
        "height": size[1],
        "num_inference_steps": recipe.steps or profile.steps,
        "guidance_scale": profile.cfg if recipe.cfg is None else recipe.cfg,
        "guidance_rescale": profile.guidance_rescale,
    }


def _pipeline_for(loaded: Loaded, recipe: Recipe) -> Any:
    """The pipeline of the task; the one for img2img shares the weights and is made once."""
    if recipe.task == "txt2img":
        return loaded.pipe
    if loaded.img2img is None:
        loaded.img2img = diffusers_library().AutoPipelineForImage2Image.from_pipe(loaded.pipe)
        loaded.img2img.set_progress_bar_config(disable=True)
    return loaded.img2img


def _set_scheduler(loaded: Loaded, pipe: Any, recipe: Recipe) -> str:
    """Give the pipeline a fresh scheduler (they keep state) and name the sampler."""
    sampler = sampler_of(recipe)
    if sampler:
        name, pipe.scheduler = build_scheduler(sampler, loaded.family.profile.name, loaded.scheduler.config)
        return name
    pipe.scheduler = type(loaded.scheduler).from_config(loaded.scheduler.config)
    return "default"


def _source_picture(source: Media | None, size: tuple[int, int]) -> tuple[Any, list[str]]:
    """The source at the size to draw; another shape is cropped around its middle. Raises BadRecipe, BadPicture."""
    from PIL import Image, ImageOps

    if source is None:
        raise BadRecipe("source", None, "img2img needs an input picture")
    picture = decode(source.data).convert("RGB")
    same_shape = abs(picture.width * size[1] - picture.height * size[0]) <= max(picture.size)
    notes = [] if same_shape else [f"The source was cropped around its middle to {size[0]}x{size[1]}."]
    return ImageOps.fit(picture, size, Image.Resampling.LANCZOS), notes


class _Steps:
    """What the pipeline calls after every step: stops when asked to, and reports, sometimes with a preview."""

    def __init__(self, loaded: Loaded, watch: Watch, number: int, count: int) -> None:
        self._loaded = loaded
        self._watch = watch
        self._number = number
        self._count = count

    def __call__(self, pipe: Any, index: int, _timestep: Any, values: dict[str, Any]) -> dict[str, Any]:
        self._watch.check()
        steps = int(pipe.num_timesteps)
        step = self._number * steps + index + 1
        total = steps * self._count
        wanted = index % max(1, steps // PREVIEWS) == 0 and 0 < index < steps - 1
        preview = self._preview(values.get("latents")) if wanted else None
        self._watch.tell(RenderStep(step=step, steps=total, message=f"Step {step} of {total}", preview=preview))
        return values

    def _preview(self, latents: Any) -> Media | None:
        if latents is None or latents.dim() != 4:
            return None
        if self._loaded.colours is None:
            self._loaded.colours = LatentColours(self._loaded.pipe.vae)
        return self._loaded.colours.preview(latents)


def _picture(loaded: Loaded, render: _Render, seed: int, steps: _Steps) -> tuple[Any, list[str]]:
    """One picture and notes about it. The noise comes from the CPU, so that a seed means the same on every device."""
    import torch

    result = render.pipe(
        **render.arguments,
        generator=torch.Generator("cpu").manual_seed(seed),
        callback_on_step_end=steps,
        output_type="pil",
    )
    flagged = getattr(result, "nsfw_content_detected", None)
    notes = ["The model's own safety checker blackened this picture."] if flagged and any(flagged) else []
    profile = loaded.family.profile
    picture = result.images[0]
    if profile.name == "demo" and picture.size != (profile.width, profile.height):
        own = f"{profile.width}x{profile.height}"
        notes.append(f"{picture.width}x{picture.height} is not the demo model's own size; it draws best at {own}.")
    return picture, notes


def _png(picture: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
