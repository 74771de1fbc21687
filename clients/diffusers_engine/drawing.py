"""One render on the worker thread: a recipe and a loaded pipeline in, artifacts out."""

from __future__ import annotations

import inspect
import io
import math
import random
import threading
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from clients.diffusers_engine.batches import at_once, empty_cache, free_memory, ran_out
from clients.diffusers_engine.loading import Loaded, diffusers_library
from clients.diffusers_engine.loras import LoraFile
from clients.diffusers_engine.preview import LatentColours
from clients.diffusers_engine.prompts import POOLED, layers_to_skip
from clients.diffusers_engine.samplers import build_scheduler, sampler_of, spacing_of
from utils.images import decode
from workflows.errors import BadRecipe
from workflows.types import MAX_SEED, Artifact, Media, Recipe, RenderStep

EACH = frozenset({"prompt", "negative_prompt", "image", "mask_image", *POOLED})
"""Arguments of a pipeline that a batch takes once for each picture."""
PREVIEWS = 4
"""Previews of one picture, evenly spread over its steps."""
DENOISE = {"img2img": 0.7, "inpaint": 0.9}
"""How much of a source picture, or of its masked part, is drawn anew when the recipe does not say."""
SLOW_GB = 1.0
"""Of weights, from which on a CPU takes minutes for a picture."""
MAKERS = {"img2img": "AutoPipelineForImage2Image", "inpaint": "AutoPipelineForInpainting"}
"""What makes a task's pipeline of another one's weights."""


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
class Render:
    """A recipe made ready: the pipeline, how to call it, and what to tell about it."""

    pipe: Any
    arguments: dict[str, Any]
    size: tuple[int, int]
    facts: dict[str, Any]
    notes: list[str]
    voice: Hashable = ()
    """What else than the prompt changes the text encoders."""


def draw(
    loaded: Loaded,
    recipe: Recipe,
    inputs: Mapping[str, Media],
    watch: Watch,
    free: int | None = None,
    loras: Sequence[LoraFile] = (),
) -> list[Artifact]:
    """Render as many of `recipe.count` pictures as fit at once, at least one; their seeds follow each other.

    `free`: bytes of memory for a batch, where the device should not be asked. `loras`: the files of the recipe's LoRAs.
    Raises BadRecipe, Stopped, and whatever the pipeline raises.
    """
    render = prepared(loaded, recipe, inputs, loras)
    first = random.getrandbits(32) if recipe.seed is None else recipe.seed
    seeds = [(first + number) % (MAX_SEED + 1) for number in range(recipe.count)]
    free = free_memory(loaded.device) if free is None else free
    count = min(loaded.most, at_once(recipe.count, math.prod(render.size), free))
    steps = Steps(loaded, watch)
    began = time.perf_counter()
    while (drawn := _attempted(render, seeds[:count], steps)) is None:
        loaded.most = count = count // 2
        watch.tell(RenderStep(step=0, steps=recipe.steps or 1, message=f"Out of memory; drawing {count} at once"))
    seconds = round((time.perf_counter() - began) / count, 3)
    return [_artifact(loaded, render, seed, seconds, *one) for seed, one in zip(seeds, drawn, strict=False)]


def _attempted(render: Render, seeds: Sequence[int], steps: Steps) -> list[tuple[Any, bool]] | None:
    """The pictures of these seeds; None when several at once are too many for the memory."""
    try:
        return _pictures(render, seeds, steps)
    except RuntimeError as error:
        if len(seeds) == 1 or not ran_out(error):
            raise
    empty_cache()  # outside the except block, whose traceback holds the tensors
    return None


def _artifact(loaded: Loaded, render: Render, seed: int, seconds: float, picture: Any, flagged: bool) -> Artifact:
    told = {"seconds": seconds, "notes": render.notes + _notes(loaded, picture, flagged)}
    return Artifact(
        media=Media(data=_png(picture), media_type="image/png"),
        seed=seed,
        width=picture.width,
        height=picture.height,
        model=loaded.source.name,
        model_hash=loaded.model_hash,
        facts=render.facts | told,
    )


def prepared(loaded: Loaded, recipe: Recipe, inputs: Mapping[str, Media], loras: Sequence[LoraFile]) -> Render:
    """The recipe made ready for the pipeline in memory. Raises BadRecipe, BadPicture."""
    profile = loaded.family.profile
    voice, notes = loaded.adapters.use(loaded.pipe, loras)
    pipe = _pipeline_for(loaded, recipe)
    sampler = set_scheduler(loaded, pipe, recipe)
    arguments = words_for(loaded, recipe, voice, notes)
    size = recipe.width or profile.width, recipe.height or profile.height
    arguments |= _settings(loaded, recipe, size)
    if recipe.task in DENOISE:
        picture, said = _source_picture(inputs.get("source"), recipe.task, size)
        arguments |= {"image": picture, "strength": recipe.denoise or DENOISE[recipe.task]}
        notes += said
    if recipe.task == "inpaint":
        arguments["mask_image"] = _mask(inputs.get("mask"), size)
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
    if recipe.clip_skip is not None:
        facts["clip_skip"] = recipe.clip_skip
    if loaded.located.vae:
        facts["vae"] = loaded.located.vae.name
    taken = inspect.signature(pipe.__call__).parameters
    known = {name: value for name, value in arguments.items() if name in taken}
    return Render(pipe=pipe, arguments=known, size=size, facts=facts, notes=notes, voice=voice)


def words_for(loaded: Loaded, recipe: Recipe, voice: Hashable, notes: list[str]) -> dict[str, Any]:
    """Both prompts as the pipeline takes them; `notes` grows by what is to be said."""
    profile = loaded.family.profile
    skip, said = layers_to_skip(loaded.pipe, loaded.family, recipe.clip_skip)
    negative = recipe.negative if profile.negatives else ""
    arguments, more = loaded.words.arguments(
        loaded.pipe, recipe.prompt, negative, weights=profile.weights, skip=skip, voice=voice
    )
    notes += said + more
    return arguments


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
    """The pipeline of the task; those for other tasks share the weights and are made once."""
    if recipe.task not in MAKERS:
        return loaded.pipe
    if recipe.task not in loaded.others:
        other = getattr(diffusers_library(), MAKERS[recipe.task]).from_pipe(loaded.pipe)
        other.set_progress_bar_config(disable=True)
        if "model_offload" in loaded.placed:
            other.enable_model_cpu_offload(device=loaded.device)  # or its networks would stay on the device
        loaded.others[recipe.task] = other
    return loaded.others[recipe.task]


def set_scheduler(loaded: Loaded, pipe: Any, recipe: Recipe) -> str:
    """Give the pipeline a fresh scheduler (they keep state) and name the sampler."""
    sampler = sampler_of(recipe)
    if sampler:
        name = loaded.family.profile.name
        spacing = spacing_of(recipe, name)
        sampler, pipe.scheduler = build_scheduler(sampler, name, loaded.scheduler.config, spacing)
        return f"{sampler}_{recipe.scheduler}" if spacing else sampler
    pipe.scheduler = type(loaded.scheduler).from_config(loaded.scheduler.config)
    return "default"


def _source_picture(source: Media | None, task: str, size: tuple[int, int]) -> tuple[Any, list[str]]:
    """The source at the size to draw; another shape is cropped around its middle. Raises BadRecipe, BadPicture."""
    from PIL import Image, ImageOps

    if source is None:
        raise BadRecipe("source", None, f"{task} needs an input picture")
    picture = decode(source.data).convert("RGB")
    same_shape = abs(picture.width * size[1] - picture.height * size[0]) <= max(picture.size)
    notes = [] if same_shape else [f"The source was cropped around its middle to {size[0]}x{size[1]}."]
    return ImageOps.fit(picture, size, Image.Resampling.LANCZOS), notes


def _mask(mask: Media | None, size: tuple[int, int]) -> Any:
    """The mask at the size to draw. Raises BadRecipe, BadPicture."""
    from PIL import Image

    if mask is None:
        raise BadRecipe("mask_image", None, "inpaint needs a mask: white is painted anew")
    return decode(mask.data).convert("L").resize(size, Image.Resampling.NEAREST)


class Steps:
    """What the pipeline calls after every step: stops when asked to, and reports, sometimes with a preview."""

    def __init__(self, loaded: Loaded, watch: Watch) -> None:
        self._loaded = loaded
        self._watch = watch

    def __call__(self, pipe: Any, index: int, _timestep: Any, values: dict[str, Any]) -> dict[str, Any]:
        self._watch.check()
        step, steps = index + 1, int(pipe.num_timesteps)
        wanted = index % max(1, steps // PREVIEWS) == 0 and 0 < index < steps - 1
        preview = self._preview(values.get("latents")) if wanted else None
        self._watch.tell(RenderStep(step=step, steps=steps, message=f"Step {step} of {steps}", preview=preview))
        return values

    def _preview(self, latents: Any) -> Media | None:
        if latents is None or latents.dim() != 4:
            return None
        if self._loaded.colours is None:
            self._loaded.colours = LatentColours(self._loaded.pipe.vae)
        return self._loaded.colours.preview(latents)


def _pictures(render: Render, seeds: Sequence[int], steps: Steps) -> list[tuple[Any, bool]]:
    """The pictures of these seeds, and whether the model's own safety checker blackened each.

    The noise comes from the CPU, so that a seed means the same on every device; every picture of a batch has a
    generator of its own, so that it is what its seed alone gives, but for the rounding of larger matrices.
    """
    import torch

    generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
    several = len(seeds) > 1
    if several and hasattr(render.pipe.vae, "enable_slicing"):
        render.pipe.vae.enable_slicing()  # decoded one by one, or decoding would be what does not fit
    result = render.pipe(
        **(for_each(render.arguments, len(seeds)) if several else render.arguments),
        generator=generators if several else generators[0],
        callback_on_step_end=steps,
        output_type="pil",
    )
    flags = getattr(result, "nsfw_content_detected", None) or [False] * len(seeds)
    return list(zip(result.images, map(bool, flags), strict=True))


def for_each(arguments: Mapping[str, Any], count: int) -> dict[str, Any]:
    """Words and pictures once for each picture: not every pipeline repeats embeddings for num_images_per_prompt."""
    import torch

    def repeated(name: str, value: Any) -> Any:
        if value is None or name not in EACH:
            return value
        return torch.cat([value] * count) if isinstance(value, torch.Tensor) else [value] * count

    return {name: repeated(name, value) for name, value in arguments.items()}


def _notes(loaded: Loaded, picture: Any, flagged: bool) -> list[str]:
    notes = ["The model's own safety checker blackened this picture."] if flagged else []
    if loaded.device == "cpu" and loaded.gigabytes > SLOW_GB:
        notes.append(f"{loaded.source.name} drew on the CPU with {loaded.gigabytes:.1f} GB of weights, which is slow.")
    return notes + size_notes(loaded, picture.size)


def size_notes(loaded: Loaded, size: tuple[int, int]) -> list[str]:
    """What is to be said of a size that the demo model was not trained at: half of its own shows next to nothing."""
    profile = loaded.family.profile
    if profile.name != "demo" or size == (profile.width, profile.height):
        return []
    own = f"{profile.width}x{profile.height}"
    return [f"{size[0]}x{size[1]} is not the demo model's own size; it draws best at {own}."]


def _png(picture: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
