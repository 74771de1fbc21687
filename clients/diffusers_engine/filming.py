"""Videos by a video model: a diffusers pipeline that draws all frames together, from words or from a picture."""

from __future__ import annotations

import inspect
import random
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any

from clients.diffusers_engine import clips
from clients.diffusers_engine.drawing import Steps, Watch, set_scheduler
from clients.diffusers_engine.films import FILMS
from clients.diffusers_engine.fitting import denoiser_of
from clients.diffusers_engine.loading import Loaded, diffusers_library
from workflows.errors import BadRecipe
from workflows.types import Artifact, Media, Recipe, RenderStep

FROM_PICTURE = frozenset({"img2vid", "extend_video"})


def is_film(pipe: Any) -> bool:
    """Whether it draws videos."""
    return type(pipe).__name__ in FILMS


def film(loaded: Loaded, recipe: Recipe, inputs: Mapping[str, Media], watch: Watch) -> list[Artifact]:
    """One video of the recipe. Raises BadRecipe, BadPicture, Stopped, ExtraMissing, and what the pipeline raises."""
    import torch

    profile = loaded.family.profile
    source = clips.source_of(recipe, inputs)
    pipe = _pipeline_for(loaded, recipe)
    sampler = set_scheduler(loaded, pipe, recipe)
    frames, fps = clips.length(recipe, profile)
    size = clips.size_of(recipe, profile, source)
    seed = random.getrandbits(32) if recipe.seed is None else recipe.seed
    arguments, notes = _arguments(loaded, recipe, size), _notes(loaded, recipe)
    arguments |= {"num_frames": frames, "frame_rate": fps}
    if source is not None:
        arguments["image"], said = clips.fitted(source, size)
        notes += said
    taken = inspect.signature(pipe.__call__).parameters
    known = {name: value for name, value in arguments.items() if name in taken}
    with watched(loaded, pipe, watch, known, taken):
        result = pipe(**known, generator=torch.Generator("cpu").manual_seed(seed), output_type="pil")
    watch.check()
    facts = {
        "steps": known["num_inference_steps"],
        "cfg": arguments["guidance_scale"],
        "sampler": sampler,
        "scheduler": type(pipe.scheduler).__name__,
        "device": loaded.device,
        "dtype": loaded.dtype,
        "pipeline": type(pipe).__name__,
        "notes": notes,
    }
    return [clips.made(result.frames[0], fps, facts, seed=seed, model=loaded.source.name, model_hash=loaded.model_hash)]


def _arguments(loaded: Loaded, recipe: Recipe, size: tuple[int, int]) -> dict[str, Any]:
    profile = loaded.family.profile
    return {
        "prompt": recipe.prompt,
        "negative_prompt": recipe.negative if profile.negatives else None,
        "width": size[0],
        "height": size[1],
        "num_inference_steps": recipe.steps or profile.steps,
        "guidance_scale": profile.cfg if recipe.cfg is None else recipe.cfg,
    }


def _notes(loaded: Loaded, recipe: Recipe) -> list[str]:
    profile, notes = loaded.family.profile, list[str]()
    if recipe.negative and not profile.negatives:
        notes.append(f"{profile.title} knows no negative prompt; it was left out.")
    if recipe.motion is not None and recipe.motion != 1.0:
        notes.append(f"{profile.title} cannot be told how much moves; motion was left out. Say it in the prompt.")
    if profile.name == "ltx2":
        notes.append("This engine keeps no sound of LTX-2; ComfyUI does.")
    if loaded.device == "cpu" and loaded.gigabytes > 1.0:
        notes.append(f"{loaded.source.name} drew on the CPU with {loaded.gigabytes:.1f} GB of weights, which is slow.")
    return notes


def _pipeline_for(loaded: Loaded, recipe: Recipe) -> Any:
    """The pipeline that begins as the recipe does; that of the other beginning shares the weights. Raises BadRecipe."""
    own = FILMS[type(loaded.pipe).__name__]
    if recipe.task in FROM_PICTURE if own.picture else recipe.task == "txt2vid":
        return loaded.pipe
    if not own.kin:
        begins = "a picture" if own.picture else "words alone"
        raise BadRecipe("model", recipe.model, f"{type(loaded.pipe).__name__} begins with {begins}")
    if own.kin not in loaded.others:
        other = getattr(diffusers_library(), own.kin)(**_parts(loaded.pipe, own.kin))
        other.set_progress_bar_config(disable=True)
        if "model_offload" in loaded.placed:
            other.enable_model_cpu_offload(device=loaded.device)
        loaded.others[own.kin] = other
    return loaded.others[own.kin]


def _parts(pipe: Any, kind: str) -> dict[str, Any]:
    """The components and settings that the other pipeline takes, too."""
    taken = inspect.signature(getattr(diffusers_library(), kind).__init__).parameters
    settings = {name: value for name, value in pipe.config.items() if not name.startswith("_")}
    return {name: value for name, value in (settings | pipe.components).items() if name in taken}


@contextmanager
def watched(
    loaded: Loaded, pipe: Any, watch: Watch, known: dict[str, Any], taken: Mapping[str, Any]
) -> Generator[None]:
    """Steps are reported, and a stop is heard at the next one: by the pipeline's callback, or else by its network."""
    if "callback_on_step_end" in taken:
        known["callback_on_step_end"] = Steps(loaded, watch)
        yield
        return
    steps = int(known["num_inference_steps"])

    def begin(*_: Any) -> None:
        watch.check()
        # Prompt and negative prompt may be two calls: the clock of the scheduler counts the steps.
        done = min(steps, int(getattr(pipe.scheduler, "_step_index", None) or 0))
        watch.tell(RenderStep(step=done, steps=steps, message=f"Step {done + 1} of {steps}"))

    hook = denoiser_of(pipe).register_forward_pre_hook(begin)
    try:
        yield
    finally:
        hook.remove()
