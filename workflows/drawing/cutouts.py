"""Pictures without a background: drawn transparent from the start, or cut out when they are drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from workflows.drawing.controls import line_of
from workflows.drawing.grafting import packed, put_behind, read_by, settings, unpacked
from workflows.drawing.picture_tools import BACKGROUNDS, fit_way, put_into, refuse
from workflows.errors import RenderFailed

if TYPE_CHECKING:
    from workflows.drawing.inventory import Inventory
    from workflows.families import Family
    from workflows.graph import Graph, Link
    from workflows.template import Template
    from workflows.types import Recipe

VERSIONS = {"sd15": "SD15", "sdxl": "SDXL"}
"""LayerDiffuse's words for the lines that it was trained on."""
STEP = 64
"""LayerDiffuse's decoder takes edges in multiples of this many pixels."""


def fit_cutout(recipe: Recipe, family: Family, inventory: Inventory) -> tuple[dict[str, str], tuple[str, ...]]:
    """How a drawn picture gets its transparency: by LayerDiffuse, else by background removal.

    Raises EngineUnavailable when the server has neither.
    """
    version = VERSIONS.get(line_of(family))
    layered = version is not None and inventory.has("LayeredDiffusionApply", "LayeredDiffusionDecodeRGBA")
    fits = not any(edge and edge % STEP for edge in (recipe.width, recipe.height))
    if version and layered and fits and (parts := _layered(version, inventory)):
        return parts, ()
    removal = fit_way(BACKGROUNDS, inventory)
    if removal is None:
        instead = f" LayerDiffuse is installed, but needs edges that are multiples of {STEP}." if layered else ""
        raise refuse("A transparent picture", BACKGROUNDS, inventory, instead)
    note = "The picture was drawn with a background, which was then cut away."
    return {"transparent": "cut_out"} | removal, (note,)


def _layered(version: str, inventory: Inventory) -> dict[str, str] | None:
    """Its settings; older versions of the pack know SDXL alone and have no choice of a version."""
    offered = inventory.choices("LayeredDiffusionApply", "config")
    config = next((choice for choice in offered if choice.startswith(version)), None)
    if config is None and (offered or version != "SDXL"):
        return None
    apply = settings(inventory, "LayeredDiffusionApply", **({"config": config} if config else {}))
    decode = settings(inventory, "LayeredDiffusionDecodeRGBA", sd_version=version)
    return {"transparent": "layer_diffuse", "apply_settings": packed(apply), "decode_settings": packed(decode)}


def with_cutout(graph: Graph, template: Template, finish: Mapping[str, str]) -> Graph:
    """The graph whose saved picture has an alpha channel."""
    image = _saved(graph)
    if finish["transparent"] == "cut_out":
        return put_into(graph, image, finish)
    model = read_by(graph, *template.ports["model"])
    graph = graph.plus("layered", "LayeredDiffusionApply", model=model, **unpacked(finish, "apply_settings"))
    graph = put_behind(graph, model, ("layered", 0))
    decoded, _ = template.sources["image"]
    samples = read_by(graph, decoded, "samples")
    told = unpacked(finish, "decode_settings")
    graph = graph.plus("transparent", "LayeredDiffusionDecodeRGBA", samples=samples, images=(decoded, 0), **told)
    return put_behind(graph, (decoded, 0), ("transparent", 0))


def _saved(graph: Graph) -> Link:
    save = next(graph.of_class("SaveImage"), None)
    if save is None:
        raise RenderFailed("The graph saves no picture that could be made transparent.")
    return read_by(graph, save, "images")
