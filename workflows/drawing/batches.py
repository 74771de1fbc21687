"""Several pictures in one prompt: what can be drawn so, how many fit a memory, and one of them made again alone. Pure.

ComfyUI draws a batch from one seed; what a picture becomes depends on its place. A node tells the sampler the places,
so that the noise is drawn place by place: without it the noise of a whole batch is not that of its pictures where a
latent's size is no multiple of 16 (SD at 72x72 pixels), and no picture could be made again alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workflows.types import VIDEOS, WORDLESS

if TYPE_CHECKING:
    from workflows.drawing.inventory import Inventory
    from workflows.drawing.setup import Setup
    from workflows.graph import Graph, Link
    from workflows.template import Template
    from workflows.types import Recipe

PLACE, REPEAT = "LatentFromBatch", "RepeatLatentBatch"
STEADY = frozenset(
    "euler euler_cfg_pp heun heunpp2 exp_heun_2_x0 dpm_2 lms dpm_fast dpmpp_2m dpmpp_2m_cfg_pp ipndm ipndm_v deis "
    "res_multistep res_multistep_cfg_pp gradient_estimation gradient_estimation_cfg_pp ddim uni_pc uni_pc_bh2".split()
)
"""Samplers that add no noise on the way. The others draw that noise for the whole batch at once (and dpm_adaptive
chooses its steps by all pictures), so that none of them can be made again alone. Measured with every sampler of ComfyUI
0.3.64 and 0.27.0 on a CPU: these differ by 1 of 255 at most between batch and single, the others by up to 255."""
PER_MEGAPIXEL = 2.5 * 2**30
"""Bytes that sampling one more picture takes at most. By ComfyUI's own estimate (memory_required in model_base.py, two
bytes a number, prompt and negative together) it is 0.5 GiB for SDXL, 1.0 for SD 3.5 and FLUX.1, 2.4 for FLUX.2."""
RESERVE = 2**30
"""Bytes for the desktop and for what is needed once. Decoding is not counted: ComfyUI splits a batch there itself."""


def at_once(recipe: Recipe, setup: Setup, inventory: Inventory, memory: int | None) -> int:
    """How many of the recipe's `count` pictures to ask for in one prompt; at least one.

    `memory`: bytes of the GPU, None where there is none: on a CPU a batch takes as long as its pictures one by one, of
    which a good one may come first. It is the whole memory, not the free one, because ComfyUI makes room by itself;
    the model must fit beside the batch all the same, where ComfyUI would draw slowly with parts of it.
    """
    if recipe.count == 1 or memory is None or not _can_be_batched(recipe, setup, inventory):
        return 1
    weights = next(
        (inventory.sizes[folder, setup.model] for folder in WEIGHTS if (folder, setup.model) in inventory.sizes),
        memory // 2,
    )
    profile = setup.family.profile
    each = PER_MEGAPIXEL * (recipe.width or profile.width) * (recipe.height or profile.height) / 1e6
    return max(1, min(recipe.count, int((memory - weights - RESERVE) // each)))


WEIGHTS = ("checkpoints", "diffusion_models")


def _can_be_batched(recipe: Recipe, setup: Setup, inventory: Inventory) -> bool:
    """Only what was tried: no tools, no videos, no reference pictures, no cut-outs, which belong to packs of others."""
    plain = recipe.task not in WORDLESS | VIDEOS and not recipe.references and not setup.finish
    return plain and setup.sampler in STEADY and inventory.has(PLACE, REPEAT)


def places(recipe: Recipe) -> tuple[int, int]:
    """The first place that is drawn, and how many. Only one picture alone can be at another place than the first."""
    return (recipe.batch_index or 0 if recipe.count == 1 else 0), recipe.count


def length(recipe: Recipe) -> int:
    """How long the batch has to be that holds these places."""
    return sum(places(recipe))


def with_places(graph: Graph, template: Template, recipe: Recipe, setup: Setup) -> Graph:
    """The sampler told which places of a batch it draws; one picture at the first place needs no telling."""
    node, field = template.ports["latent"]
    latent = graph.link(node, field)
    if length(recipe) == 1 or latent is None:
        return graph
    graph, latent = _placed(graph, "places", latent, recipe)
    return graph.but(node, **{field: latent})


def with_second_places(graph: Graph, template: Template, recipe: Recipe, setup: Setup) -> Graph:
    """The same for the second pass where it begins with pictures: encoding them forgets their places."""
    if length(recipe) == 1 or "encode_2" not in graph:
        return graph
    latent: Link = ("encode_2", 0)
    if recipe.count == 1:
        graph, latent = repeated(graph, "repeat_2", latent, recipe)
    graph, latent = _placed(graph, "places_2", latent, recipe)
    return graph.but("sampler_2", latent_image=latent)


def repeated(graph: Graph, name: str, latent: Link, recipe: Recipe) -> tuple[Graph, Link]:
    """One latent repeated up to the last place that is drawn."""
    return graph.plus(name, REPEAT, "Batch", samples=latent, amount=length(recipe)), (name, 0)


def _placed(graph: Graph, name: str, latent: Link, recipe: Recipe) -> tuple[Graph, Link]:
    first, count = places(recipe)
    how: dict[str, Any] = {"batch_index": first, "length": count}
    return graph.plus(name, PLACE, "Places", samples=latent, **how), (name, 0)
