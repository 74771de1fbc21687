"""Enlarging a picture that is there: by an upscale model, or by drawing it again at the larger size (diffusion)."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from workflows.drawing.edits import full_size
from workflows.drawing.grafting import (
    drawn_plainly,
    packed,
    picture_of,
    put_behind,
    read_by,
    settings,
    shown,
    stretched,
    unpacked,
)
from workflows.drawing.inventory import plain, spelled
from workflows.drawing.setup import Setup
from workflows.errors import BadRecipe, EngineError, EngineUnavailable, NotFound
from workflows.families import family
from workflows.template import template
from workflows.types import MAX_EDGE

if TYPE_CHECKING:
    from workflows.drawing.inventory import Inventory
    from workflows.graph import Graph
    from workflows.types import Recipe

SCALE = 4.0
"""What an upscale without a scale means."""
DENOISE = 0.3
"""Of the middle of the usual 0.2 to 0.35: new detail, the same picture."""
LIKED = ("ultrasharp", "realesrgan", "real-esrgan", "nomos", "remacri", "esrgan", "swinir", "dat")
"""Signs of the models most used, best first; anime ones are taken only when nothing else is there."""
WIDEST = 16_384
"""The longest edge that ComfyUI's own nodes make."""
TILE, OVERLAP = 1024, 128
"""ComfyUI's own defaults for tiles; the overlap is blended."""
TILES = ("SplitImageToTileList", "ImageMergeTileList")
PACKED_TILES = "UltimateSDUpscaleNoUpscale"
PROMPT = "best quality, sharp focus, fine detail"
"""For a picture whose words are not known: what tiles are drawn towards without adding a subject."""
WHOLE = (
    "This ComfyUI cannot draw in tiles, so the picture is drawn whole, which takes much memory when it is large; "
    "a newer one (0.27 has the nodes) or the node pack ComfyUI_UltimateSDUpscale (ssitu/ComfyUI_UltimateSDUpscale) can."
)
GET = "4x-UltraSharp.pth (Kim2091/UltraSharp on Hugging Face) or RealESRGAN_x4plus.pth (xinntao/Real-ESRGAN on GitHub)"


def scale_of(recipe: Recipe) -> float:
    return recipe.scale or SCALE


def final_size(recipe: Recipe, setup: Setup) -> tuple[int, int]:
    """Exactly the source times the scale, from facts["source_size"]; without it, the recipe's own size.

    Raises BadRecipe for more than ComfyUI makes.
    """
    source: tuple[int, int] | None = setup.facts.get("source_size")
    if source is None:
        return recipe.width or setup.family.profile.width, recipe.height or setup.family.profile.height
    width, height = (max(1, round(edge * scale_of(recipe))) for edge in source)
    most = _most(setup)
    if max(width, height) > most:
        way = "diffusion" if setup.finish["upscale"] == "diffusion" else "ComfyUI"
        raise BadRecipe(
            "scale",
            scale_of(recipe),
            f"{width}x{height} is too large, {way} makes edges of at most {most}: {_less(source, most)}",
        )
    return width, height


def _most(setup: Setup) -> int:
    return MAX_EDGE if setup.finish["upscale"] == "diffusion" else WIDEST


def _less(source: tuple[int, int], most: int) -> str:
    best = math.floor(most / max(source) * 100) / 100
    return f"a scale of {best:g} is possible" if best > 1 else "this picture is large enough as it is"


# ------------------------------------------------------------------ fitting


def fit_upscale(recipe: Recipe, inventory: Inventory) -> Setup:
    """By the method asked for; auto prefers an upscale model, then a checkpoint.

    Raises EngineUnavailable when the server has neither, NotFound for a model it does not have.
    """
    models = inventory.choices("UpscaleModelLoader", "model_name")
    if recipe.method == "diffusion":
        return _by_diffusion(recipe, inventory)
    if models and inventory.has("ImageUpscaleWithModel"):
        named = spelled(recipe.model, models) if recipe.model else None
        if recipe.method == "model" or named or not recipe.model:
            return _by_model(recipe, models, named)
    if recipe.method == "model":
        raise EngineUnavailable(_no_model("method=diffusion needs none"))
    try:
        return _by_diffusion(recipe, inventory)
    except EngineError as error:
        raise EngineUnavailable(f"{_no_model('')} Nor can a model draw it larger: {error}") from error


def _no_model(instead: str) -> str:
    advice = f"; {instead}" if instead else ""
    return f"No upscale model is installed on this ComfyUI: put {GET} into models/upscale_models{advice}."


def _by_model(recipe: Recipe, models: tuple[str, ...], named: str | None) -> Setup:
    if recipe.model and not named:
        raise NotFound("upscale model", recipe.model, models, f"models/upscale_models has {shown(models)}.")
    chosen = named or _liked(models, scale_of(recipe))
    factor = factor_of(chosen)
    notes = () if factor else (f"{chosen} does not say how much it enlarges; it was taken for a fourfold one.",)
    return Setup(
        template=template("upscale_model"),
        family=family("unknown"),
        model=chosen,
        finish={"upscale": "model", "upscaler": chosen, "factor": str(factor or 4)},
        notes=notes,
    )


def factor_of(name: str) -> int:
    """How much an upscale model enlarges each edge, by its file name (4x..., ..._x2plus); 0 where it does not say."""
    found = re.search(
        r"(?<![0-9a-z])([1248])x(?![a-wyz0-9])|(?<![a-z])x([1248])(?![0-9])|(?<![0-9a-z])([1248])x", plain(name)
    )
    return int(next(group for group in found.groups() if group)) if found else 0


def _liked(models: tuple[str, ...], scale: float) -> str:
    """The best-known model; among equals the one that enlarges just enough, so that nothing is drawn for nothing."""

    def rank(name: str) -> tuple[bool, int, float]:
        own = plain(name)
        known = next((place for place, sign in enumerate(LIKED) if sign in own), len(LIKED))
        return "anime" in own, known, abs((factor_of(name) or 4) - scale)

    return min(models, key=rank)


def _by_diffusion(recipe: Recipe, inventory: Inventory) -> Setup:
    # workflows.drawing.fitting asks this module for wordless tasks, so it is met here and not at the top.
    from workflows.drawing.fitting import fit

    setup = fit(_redrawing(recipe, recipe.width, recipe.height), inventory)
    finish: dict[str, str] = {"upscale": "diffusion"}
    if upscalers := inventory.choices("UpscaleModelLoader", "model_name"):
        finish["upscaler"] = _liked(upscalers, scale_of(recipe))
    if inventory.has(PACKED_TILES) and drawn_plainly(setup.template):
        finish["tiles"] = PACKED_TILES
        finish["tile_settings"] = packed(settings(inventory, PACKED_TILES))
    elif inventory.has(*TILES):
        finish["tiles"] = "lists"
    else:
        finish["tiles"] = "coder"
        setup = replace(setup, notes=(*setup.notes, WHOLE))
    return replace(setup, finish={**setup.finish, **finish})


def _redrawing(recipe: Recipe, width: int | None, height: int | None) -> Recipe:
    """The img2img that draws the larger picture."""
    return recipe.but(
        task="img2img",
        prompt=recipe.prompt or PROMPT,
        width=width,
        height=height,
        aspect=None,
        denoise=recipe.denoise or DENOISE,
        scale=None,
        count=1,
        hires=False,
        transparent=False,
    )


# ------------------------------------------------------------------ drafting


def draft_upscale(recipe: Recipe, setup: Setup) -> Graph:
    """The graph whose picture is exactly the source times the scale."""
    return _with_model(recipe, setup) if setup.finish["upscale"] == "model" else _redrawn(recipe, setup)


def _with_model(recipe: Recipe, setup: Setup) -> Graph:
    """As many passes as the scale takes, then the exact size."""
    width, height = final_size(recipe, setup)
    values = {"source": picture_of(setup, "source"), "model": setup.model, "width": width, "height": height}
    graph = setup.template.fill(values | {"prefix": setup.prefix})
    factor = max(2, int(setup.finish["factor"]))
    for number in range(2, math.ceil(math.log(scale_of(recipe), factor) - 1e-9) + 1):
        last, name = (f"pass_{number - 1}", 0), f"pass_{number}"
        graph = graph.plus(name, "ImageUpscaleWithModel", upscale_model=("upscaler", 0), image=last)
        graph = put_behind(graph, last, (name, 0))
    return graph


def _redrawn(recipe: Recipe, setup: Setup) -> Graph:
    """The img2img of the enlarged picture, in tiles where the server can, and cut to the exact size."""
    # workflows.drawing.drafting asks this module for wordless tasks, so it is met here and not at the top.
    from workflows.drawing.drafting import draft

    final = final_size(recipe, setup)
    multiple = setup.family.profile.multiple
    width, height = (min(MAX_EDGE, max(64, math.ceil(edge / multiple) * multiple)) for edge in final)
    if setup.finish["tiles"] == "coder":
        setup = replace(setup, thrift=replace(setup.thrift, tiled=True))
    redrawing = _redrawing(recipe, width, height)
    graph = _enlarged_first(stretched(draft(redrawing, setup)), setup)
    if setup.finish["tiles"] == PACKED_TILES:
        graph = _by_packed_tiles(graph, setup)
    elif setup.finish["tiles"] == "lists":
        graph = _by_tile_lists(graph, setup, full_size(redrawing, setup))
    # The pack's node rounds edges up to what its tiles want.
    rounded = (width, height) != final or setup.finish["tiles"] == PACKED_TILES
    return _exactly(graph, *final) if rounded else graph


def _enlarged_first(graph: Graph, setup: Setup) -> Graph:
    """An upscale model before the drawing gives it edges to hold on to; without one the picture is only resized."""
    if "upscaler" not in setup.finish:
        return graph
    source = next(graph.of_class("LoadImage"))
    graph = graph.plus("upscaler", "UpscaleModelLoader", "Upscale model", model_name=setup.finish["upscaler"])
    graph = graph.plus("upscaled", "ImageUpscaleWithModel", upscale_model=("upscaler", 0), image=(source, 0))
    return put_behind(graph, (source, 0), ("upscaled", 0))


def _by_packed_tiles(graph: Graph, setup: Setup) -> Graph:
    """The pack's node draws the tiles one by one and mends the seams, in place of sampler and decoder."""
    enlarged = read_by(graph, next(graph.of_class("VAEEncode", "VAEEncodeTiled")), "pixels")
    values = _tile_values(graph, setup)
    graph = graph.plus("tiles", PACKED_TILES, "Drawn in tiles", upscaled_image=enlarged, **values)
    return graph.moved(setup.template.sources["image"], ("tiles", 0)).trimmed(setup.template.output)


def _by_tile_lists(graph: Graph, setup: Setup, size: tuple[int, int]) -> Graph:
    """ComfyUI runs a node once for each picture of a list: all between splitting and merging is done tile by tile."""
    wide, high = (min(edge, TILE) for edge in size)
    if (wide, high) == size:
        return graph
    encoder = next(graph.of_class("VAEEncode", "VAEEncodeTiled"))
    split: dict[str, Any] = {"tile_width": wide, "tile_height": high, "overlap": OVERLAP}
    graph = graph.plus("tiles", TILES[0], "Tiles", image=read_by(graph, encoder, "pixels"), **split)
    graph = graph.but(encoder, pixels=("tiles", 0))
    drawn = setup.template.sources["image"]
    merged: dict[str, Any] = {"final_width": size[0], "final_height": size[1], "overlap": OVERLAP}
    graph = graph.plus("merged", TILES[1], "Tiles merged", image_list=drawn, **merged)
    return put_behind(graph, drawn, ("merged", 0))


def _tile_values(graph: Graph, setup: Setup) -> dict[str, Any]:
    """What the sampler was told and reads, as the pack's node takes it; tiles of the family's own size."""
    sampler = graph[setup.template.ports["latent"][0]].inputs
    told = {name: sampler[name] for name in ("model", "positive", "negative", "seed", "steps", "cfg", "denoise")}
    told |= {name: sampler[name] for name in ("sampler_name", "scheduler")} | {"vae": setup.template.sources["vae"]}
    profile = setup.family.profile
    tiles = {"tile_width": profile.width, "tile_height": profile.height, "mode_type": "Linear"}
    return unpacked(setup.finish, "tile_settings") | tiles | told


def _exactly(graph: Graph, width: int, height: int) -> Graph:
    save = next(graph.of_class("SaveImage"))
    drawn = read_by(graph, save, "images")
    how: dict[str, Any] = {"upscale_method": "lanczos", "width": width, "height": height, "crop": "disabled"}
    return graph.plus("exact", "ImageScale", "Exact size", image=drawn, **how).but(save, images=("exact", 0))
