"""Edits that turn a filled template into the graph of one recipe. Each takes and gives a graph, and can be read alone.

An edit builds on the template's sources (outputs of the loaders and the decoder) and ports (inputs of the sampler).
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from workflows.drawing.batches import length, repeated
from workflows.drawing.inventory import plain
from workflows.sizes import MIN_EDGE, size_for

if TYPE_CHECKING:
    from workflows.drawing.setup import Setup
    from workflows.families import Family
    from workflows.graph import Graph, Link
    from workflows.template import Template
    from workflows.types import LoraUse, Recipe

DENOISE = {"img2img": 0.7, "inpaint": 0.9, "outpaint": 1.0}
"""How much of the source is drawn anew where the recipe does not say; our judgement."""
HIRES_LATENT, HIRES_PICTURE = 0.55, 0.45
"""Denoise of the second pass: an enlarged latent is blurred and needs more than an enlarged picture."""
HIRES_LEAST = 1.2
"""How many times the first pass's edge the picture must have before a second pass makes sense."""
TILE = {"tile_size": 512, "overlap": 64, "temporal_size": 64, "temporal_overlap": 8}
"""ComfyUI's own defaults."""
MASK_GROWTH = 8
"""Pixels by which a mask grows: one cell of the latent, so that the border is painted with the rest."""


# ------------------------------------------------------------------ sizes


def final_size(recipe: Recipe, setup: Setup) -> tuple[int, int]:
    """Width and height of the finished picture. Raises BadRecipe."""
    return size_for(setup.family.profile, recipe.width, recipe.height, recipe.aspect)


def full_size(recipe: Recipe, setup: Setup) -> tuple[int, int]:
    """What the last sampling draws: the finished size, or less of it where memory is short."""
    return _scaled(final_size(recipe, setup), setup.thrift.shrink, setup)


def drawn_size(recipe: Recipe, setup: Setup) -> tuple[int, int]:
    """What the first sampling draws: the full size, or the family's own area when a second pass follows."""
    size = full_size(recipe, setup)
    return _scaled(size, 1 / hires_factor(recipe, setup), setup) if has_second_pass(recipe, setup) else size


def hires_factor(recipe: Recipe, setup: Setup) -> float:
    """How many times as long the full size's edges are as those of the family's own area."""
    profile = setup.family.profile
    return math.sqrt(math.prod(full_size(recipe, setup)) / (profile.width * profile.height))


def has_second_pass(recipe: Recipe, setup: Setup) -> bool:
    return recipe.hires and recipe.task in {"txt2img", "img2img"} and hires_factor(recipe, setup) >= HIRES_LEAST


def _scaled(size: tuple[int, int], factor: float, setup: Setup) -> tuple[int, int]:
    if factor == 1.0:
        return size
    multiple = setup.family.profile.multiple
    width, height = (max(MIN_EDGE, round(edge * factor / multiple) * multiple) for edge in size)
    return width, height


# ------------------------------------------------------------------ model and words


PLAIN_CLIP_SKIPS = {"sd15": 1, "sd21": 2, "sdxl": 2}
"""By kin: the layer of the text encoder that ComfyUI reads unasked, as A1111 counts. A1111 gives SDXL no later one."""


def plain_clip_skip(family: Family) -> int | None:
    """The clip skip that needs no doing; None for families whose encoders have no layers to skip."""
    return PLAIN_CLIP_SKIPS.get(family.kin)


def with_clip_skip(graph: Graph, template: Template, recipe: Recipe, setup: Setup) -> Graph:
    """The text encoder stopped some layers before its end: as the recipe says, else as the family was trained."""
    skip, plainly = recipe.clip_skip or setup.family.comfyui.clip_skip, plain_clip_skip(setup.family)
    if plainly is None or skip <= plainly:
        return graph
    clip = template.sources["clip"]
    graph = graph.plus("clip_skip", "CLIPSetLastLayer", "Clip skip", clip=clip, stop_at_clip_layer=-skip)
    return graph.moved(clip, ("clip_skip", 0), besides={"clip_skip"})


def with_loras(graph: Graph, template: Template, recipe: Recipe, setup: Setup) -> Graph:
    """The LoRAs one after the other behind the loaders; whoever read the model or the encoder reads the last one.

    Of a pair of models each has its own.
    """
    graph = _stacked(graph, template.sources["model"], template.sources.get("clip"), setup.loras, "lora", setup)
    if "model_2" in template.sources:
        graph = _stacked(graph, template.sources["model_2"], None, setup.loras_2, "low_lora", setup)
    return graph


def _stacked(
    graph: Graph, model: Link, clip: Link | None, loras: tuple[LoraUse, ...], prefix: str, setup: Setup
) -> Graph:
    stack = {f"{prefix}_{number}": use for number, use in enumerate(loras, 1)}
    last_model, last_clip = model, clip
    for name, use in stack.items():
        inputs: dict[str, Any] = {"model": last_model, "lora_name": use.name, "strength_model": use.strength}
        if setup.family.comfyui.lora_clip and clip:
            strength = use.strength if use.clip_strength is None else use.clip_strength
            graph = graph.plus(name, "LoraLoader", use.name, **inputs, clip=last_clip, strength_clip=strength)
            last_clip = (name, 1)
        else:
            graph = graph.plus(name, "LoraLoaderModelOnly", use.name, **inputs)
        last_model = (name, 0)
    graph = graph.moved(model, last_model, besides=stack)
    return graph.moved(clip, last_clip, besides=stack) if clip and last_clip else graph


def with_guidance_rescale(graph: Graph, template: Template, recipe: Recipe, setup: Setup) -> Graph:
    """Guidance scaled back (arXiv:2305.08891) for families that burn their colours without."""
    if share := setup.family.profile.guidance_rescale:
        return at_port(graph, template, "model", "rescale", "RescaleCFG", "Guidance rescale", multiplier=share)
    return graph


def at_port(
    graph: Graph, template: Template, port: str, name: str, class_type: str, title: str, **inputs: Any
) -> Graph:
    """A node of one input and output put right before the sampler."""
    node, field = template.ports[port]
    graph = graph.plus(name, class_type, title, **{PORT_INPUTS[port]: graph.link(node, field)}, **inputs)
    return graph.but(node, **{field: (name, 0)})


PORT_INPUTS = {"model": "model", "positive": "conditioning", "negative": "conditioning", "latent": "samples"}


# ------------------------------------------------------------------ pictures to begin with


def with_source(graph: Graph, template: Template, recipe: Recipe, setup: Setup) -> Graph:
    """The source picture in place of the empty latent; for inpaint and outpaint only its masked part is drawn anew."""
    if recipe.task not in DENOISE:
        return graph
    graph, pixels = _source(graph, recipe, setup)
    if recipe.task == "img2img":
        graph = _encoded(graph, template, pixels)
        return _begun(graph, template, ("encode", 0), recipe, setup)
    mask = setup.pictures.get("mask", "mask.png")
    graph = graph.plus("mask", "LoadImageMask", "Mask", image=mask, channel="red")
    graph = graph.plus("mask_grown", "GrowMask", mask=("mask", 0), expand=MASK_GROWTH, tapered_corners=True)
    paint = _painted_by_model if made_to_inpaint(setup.model) else _painted_by_noise
    graph = paint(graph, template, pixels)
    graph = at_port(graph, template, "model", "soft_mask", "DifferentialDiffusion", "Soft mask")
    return _begun(graph, template, (MASKED, 2 if made_to_inpaint(setup.model) else 0), recipe, setup)


MASKED = "masked"


def made_to_inpaint(model: str) -> bool:
    """Whether the model's name says that it takes the mask and the masked picture as inputs of its own."""
    return re.search(r"inpaint|(^|[^a-z])fill([^a-z]|$)", plain(model)) is not None


def _source(graph: Graph, recipe: Recipe, setup: Setup) -> tuple[Graph, Link]:
    """The source at the drawn size. A picture not uploaded yet stands under its role's name."""
    width, height = drawn_size(recipe, setup)
    graph = graph.plus("source", "LoadImage", "Source", image=setup.pictures.get("source", "source.png"))
    return _resized(graph, "source_size", ("source", 0), width, height, crop="center"), ("source_size", 0)


def _resized(graph: Graph, name: str, picture: Link, width: int, height: int, crop: str = "disabled") -> Graph:
    how = {"upscale_method": "lanczos", "width": width, "height": height, "crop": crop}
    return graph.plus(name, "ImageScale", "Size", image=picture, **how)


def _encoded(graph: Graph, template: Template, pixels: Link, name: str = "encode") -> Graph:
    return graph.plus(name, "VAEEncode", "Encoding", pixels=pixels, vae=template.sources["vae"])


def _painted_by_noise(graph: Graph, template: Template, pixels: Link) -> Graph:
    """Any model: noise under the mask alone."""
    graph = _encoded(graph, template, pixels)
    return graph.plus(MASKED, "SetLatentNoiseMask", "Masked", samples=("encode", 0), mask=("mask_grown", 0))


def _painted_by_model(graph: Graph, template: Template, pixels: Link) -> Graph:
    """A model trained to inpaint: it sees the mask and what is around it."""
    words = {side: template.ports[side] for side in ("positive", "negative")}
    reads = {side: graph.link(*spot) for side, spot in words.items()}
    inputs: dict[str, Any] = {"vae": template.sources["vae"], "pixels": pixels, "mask": ("mask_grown", 0)}
    graph = graph.plus(MASKED, "InpaintModelConditioning", "Masked", **reads, **inputs, noise_mask=True)
    for slot, (node, field) in enumerate(words.values()):
        graph = graph.but(node, **{field: (MASKED, slot)})
    return graph


def _begun(graph: Graph, template: Template, latent: Link, recipe: Recipe, setup: Setup) -> Graph:
    """The sampler begins with this latent; a batch repeats it."""
    if length(recipe) > 1:
        graph, latent = repeated(graph, "batch", latent, recipe)
    node, field = template.ports["latent"]
    graph = graph.but(node, **{field: latent})
    if "sigmas" in template.ports:
        graph = _later_steps(graph, template.ports["sigmas"], "late_steps", denoise_of(recipe))
    return graph


def _later_steps(graph: Graph, spot: tuple[str, str], name: str, denoise: float) -> Graph:
    """Only the last share of the steps, where the sampler takes noise levels and no denoise of its own."""
    if denoise >= 1.0:
        return graph
    sigmas = graph.link(*spot)
    graph = graph.plus(name, "SplitSigmasDenoise", "Last steps", sigmas=sigmas, denoise=denoise)
    return graph.but(spot[0], **{spot[1]: (name, 1)})


def denoise_of(recipe: Recipe) -> float:
    """The recipe's denoise, or the task's own; 1 where nothing is there to begin with."""
    own = DENOISE.get(recipe.task, 1.0)
    return own if recipe.task not in DENOISE or recipe.denoise is None else recipe.denoise


# ------------------------------------------------------------------ a second pass, tiles, a smaller drawing


def with_second_pass(graph: Graph, template: Template, recipe: Recipe, setup: Setup) -> Graph:
    """Hires: what was drawn small is enlarged and drawn again, with less noise.

    Flow models take an enlarged latent badly, and an upscale model needs pixels: both go through the picture.
    """
    if not has_second_pass(recipe, setup):
        return graph
    upscaler = setup.components.get("hires_upscaler", "")
    sampler, decoder = template.ports["latent"][0], template.sources["image"][0]
    drawn = graph.link(decoder, "samples") or (sampler, 0)
    if upscaler or setup.family.flow:
        graph = _enlarged_picture(graph, template, drawn, full_size(recipe, setup), upscaler)
        latent, denoise = ("encode_2", 0), HIRES_PICTURE
    else:
        width, height = full_size(recipe, setup)
        how = {"upscale_method": "bislerp", "width": width, "height": height, "crop": "disabled"}
        graph = graph.plus("enlarge", "LatentUpscale", "Enlarging", samples=drawn, **how)
        latent, denoise = ("enlarge", 0), HIRES_LATENT
    first = graph[sampler]
    graph = graph.plus("sampler_2", first.class_type, "Second pass", **{**first.inputs, "latent_image": latent})
    if "sigmas" in template.ports:
        graph = _second_sigmas(graph, template, full_size(recipe, setup))
        graph = _later_steps(graph, ("sampler_2", "sigmas"), "late_steps_2", denoise)
    else:
        graph = graph.but("sampler_2", denoise=denoise)
    return graph.but(decoder, samples=("sampler_2", drawn[1]))


def _second_sigmas(graph: Graph, template: Template, size: tuple[int, int]) -> Graph:
    """Noise levels for the larger picture, where they depend on its size."""
    ((scheduler, _),) = template.slots["steps"]
    first = graph[scheduler]
    width, height = size
    graph = graph.plus("sigmas_2", first.class_type, first.title, **{**first.inputs, "width": width, "height": height})
    return graph.but("sampler_2", sigmas=("sigmas_2", 0))


def _enlarged_picture(graph: Graph, template: Template, drawn: Link, size: tuple[int, int], upscaler: str) -> Graph:
    graph = graph.plus("decode_1", "VAEDecode", "Decoding", samples=drawn, vae=template.sources["vae"])
    picture: Link = ("decode_1", 0)
    if upscaler:
        graph = graph.plus("upscaler", "UpscaleModelLoader", "Upscale model", model_name=upscaler)
        loaded: Link = ("upscaler", 0)
        graph = graph.plus("upscale", "ImageUpscaleWithModel", "Enlarging", upscale_model=loaded, image=picture)
        picture = ("upscale", 0)
    return _encoded(_resized(graph, "enlarge", picture, *size), template, ("enlarge", 0), "encode_2")


def with_tiles(graph: Graph, template: Template, recipe: Recipe, setup: Setup) -> Graph:
    """Pictures encoded and decoded in tiles, for a memory that is too small for the whole."""
    if not setup.thrift.tiled:
        return graph
    for name in graph.of_class("VAEDecode", "VAEEncode"):
        graph = graph.swapped(name, f"{graph[name].class_type}Tiled", **graph[name].inputs, **TILE)
    return graph


def with_enlargement(graph: Graph, template: Template, recipe: Recipe, setup: Setup) -> Graph:
    """What was drawn smaller for want of memory, brought to the size asked for."""
    size = final_size(recipe, setup)
    if full_size(recipe, setup) == size:
        return graph
    picture = template.sources["image"]
    graph = _resized(graph, "final_size", picture, *size)
    return graph.moved(picture, ("final_size", 0), besides={"final_size"})
