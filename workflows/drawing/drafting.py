"""From a recipe and its setup to the graph that draws it. Pure: the same two values always give the same graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from workflows.drawing import finishing, guides
from workflows.drawing.batches import length, with_places, with_second_places
from workflows.drawing.edits import (
    denoise_of,
    drawn_size,
    with_clip_skip,
    with_enlargement,
    with_guidance_rescale,
    with_loras,
    with_second_pass,
    with_source,
    with_tiles,
)
from workflows.drawing.filming import video_values
from workflows.template import ENCODER_LOADERS
from workflows.types import VIDEOS, WORDLESS

if TYPE_CHECKING:
    from workflows.drawing.setup import Setup
    from workflows.graph import Graph
    from workflows.template import Template
    from workflows.types import Recipe

Edit = Callable[["Graph", "Template", "Recipe", "Setup"], "Graph"]


def edits() -> tuple[Edit, ...]:
    """In this order: an edit sees what those before it put in."""
    return (
        with_encoder_on_cpu,
        with_clip_skip,
        with_loras,
        with_guidance_rescale,
        with_source,
        with_places,
        guides.with_guides,
        with_second_pass,
        with_second_places,
        with_enlargement,
        finishing.with_finish,
        with_tiles,
    )


def draft(recipe: Recipe, setup: Setup) -> Graph:
    """The graph of a recipe. What it leaves open (steps, cfg, size) is the family's own; an open seed is 0.

    The picture has the recipe's width and height, whatever is done on the way. Pictures come by the names in
    `setup.pictures`; one not uploaded yet stands under its role's name. Raises BadRecipe for a size nobody can draw.
    """
    if recipe.task in WORDLESS:
        return finishing.draft_edit(recipe, setup)
    template = setup.template
    graph = template.fill(values_for(recipe, setup))
    for edit in VIDEO_EDITS if recipe.task in VIDEOS else edits():
        graph = edit(graph, template, recipe, setup)
    return graph.trimmed(template.output)


def with_encoder_on_cpu(graph: Graph, template: Template, recipe: Recipe, setup: Setup) -> Graph:
    """The text encoders loaded where they take none of the GPU's memory."""
    if setup.thrift.encoder_on_cpu:
        for name in graph.of_class(*ENCODER_LOADERS.values(), AV_ENCODER):
            graph = graph.but(name, device="cpu")
    return graph


AV_ENCODER = "LTXAVTextEncoderLoader"
VIDEO_EDITS: tuple[Edit, ...] = (with_encoder_on_cpu, with_loras, with_enlargement, with_tiles)


def values_for(recipe: Recipe, setup: Setup) -> dict[str, Any]:
    """What goes into each slot of the setup's template."""
    profile = setup.family.profile
    width, height = drawn_size(recipe, setup)
    cfg = profile.cfg if recipe.cfg is None else recipe.cfg
    known: dict[str, Any] = {
        "model": setup.model,
        "weight_dtype": "default",
        "clip_type": setup.family.comfyui.clip_type,
        "positive": recipe.prompt,
        "negative": recipe.negative if profile.negatives else "",
        "width": width,
        "height": height,
        "batch": length(recipe),
        "seed": recipe.seed or 0,
        "steps": recipe.steps or profile.steps,
        # 0 means "no guidance" where this family comes from; to ComfyUI that is 1, and 0 would draw without the prompt.
        "cfg": max(cfg, 1.0),
        "guidance": cfg,
        "sampler": setup.sampler,
        "scheduler": setup.scheduler,
        "denoise": denoise_of(recipe),
        "shift": setup.family.comfyui.shift,
        "prefix": setup.prefix,
    }
    known |= video_values(recipe, setup) if recipe.task in VIDEOS else {}
    known |= setup.components
    return {slot: known[slot] for slot in setup.template.slots}


def sampler_steps(graph: Graph) -> Mapping[str, int]:
    """How many steps each sampler of a graph will report, by node id, as far as its inputs tell."""
    found = {name: _steps(graph, name) for name in graph.nodes}
    return {name: steps for name, steps in found.items() if steps}


def _steps(graph: Graph, name: str) -> int:
    inputs = graph[name].inputs
    if "sigmas" in inputs and ("guider" in inputs or "positive" in inputs):
        return _levels(graph, name)
    if "sampler_name" not in inputs or not isinstance(inputs.get("steps"), int):
        return 0
    first, last = inputs.get("start_at_step"), inputs.get("end_at_step")
    if isinstance(first, int) and isinstance(last, int):
        return max(0, min(last, inputs["steps"]) - first)
    return inputs["steps"]


def _levels(graph: Graph, name: str) -> int:
    """Steps of a sampler that takes noise levels: of the node that makes them, less what was split off."""
    share, seen = 1.0, set[str]()
    link = graph.link(name, "sigmas")
    while link and link[0] in graph and link[0] not in seen:
        name = link[0]
        seen.add(name)
        inputs = graph[name].inputs
        if isinstance(steps := inputs.get("steps"), int):
            return max(1, round(steps * share))
        if graph[name].class_type == "ManualSigmas":
            return max(1, round((len(str(inputs.get("sigmas")).split(",")) - 1) * share))
        if graph[name].class_type == "SplitSigmasDenoise" and isinstance(inputs.get("denoise"), int | float):
            share *= inputs["denoise"] if link[1] == 1 else 1 - inputs["denoise"]
        link = graph.link(name, "sigmas")
    return 0
