"""What happens to a picture that is drawn, or was there before: transparency, enlarging, faces, backgrounds, and masks
found by words. Pure, like fitting and drafting, which it serves.

Setups of these tasks want `facts["source_size"]`, (width, height) of the source in pixels, put in by the engine before
drafting: an upscale is exactly the source times the scale, whatever multiples a recipe's width and height are held to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from workflows.drawing.cutouts import fit_cutout, with_cutout
from workflows.drawing.faces import draft_faces, fit_faces
from workflows.drawing.grafting import picture_of
from workflows.drawing.interpolating import INTERPOLATORS, draft_interpolation, fit_interpolation
from workflows.drawing.picture_tools import BACKGROUNDS, MASK_FINDERS, RESTORERS, drawn_way, fit_way, refuse
from workflows.drawing.setup import Setup
from workflows.drawing.upscaling import GET, draft_upscale, fit_upscale
from workflows.families import family
from workflows.template import template

if TYPE_CHECKING:
    from workflows.drawing.inventory import Inventory
    from workflows.families import Family
    from workflows.graph import Graph
    from workflows.template import Template
    from workflows.types import Recipe

MOST_FOUND = 20
"""Things of one name that a mask may cover; SAM 3 takes only the surest one unless it is told a number."""


# ------------------------------------------------------------------ the end of a drawing


def fit_finish(recipe: Recipe, family: Family, inventory: Inventory) -> tuple[Mapping[str, str], tuple[str, ...]]:
    """Parts for what is done to the drawn picture, and notes. Raises EngineUnavailable for what the server lacks."""
    return fit_cutout(recipe, family, inventory) if recipe.transparent else ({}, ())


def with_finish(graph: Graph, template: Template, recipe: Recipe, setup: Setup) -> Graph:
    """The graph with the finish that its setup names."""
    return with_cutout(graph, template, setup.finish) if setup.finish.get("transparent") else graph


# ------------------------------------------------------------------ tasks on a picture that is there


def fit_edit(recipe: Recipe, inventory: Inventory) -> Setup:
    """The setup of an upscale, a face restoration, a background removal or an interpolation of a video.

    Raises EngineUnavailable naming what is missing, in which folder it belongs and where to get it.
    """
    if recipe.task == "upscale":
        return fit_upscale(recipe, inventory)
    if recipe.task == "face_restore":
        return fit_faces(recipe, inventory)
    if recipe.task == "interpolate":
        return fit_interpolation(recipe, inventory)
    parts = fit_way(BACKGROUNDS, inventory)
    if parts is None:
        raise refuse("Removing a background", BACKGROUNDS, inventory)
    return _tool(parts)


def _tool(parts: dict[str, str]) -> Setup:
    name = parts["template"]
    return Setup(template=template(name), family=family("unknown"), model=parts.get("model", name), finish=parts)


def draft_edit(recipe: Recipe, setup: Setup) -> Graph:
    """The graph of such a task. Raises BadRecipe for a scale or a rate that nobody can make."""
    if recipe.task == "upscale":
        return draft_upscale(recipe, setup)
    if recipe.task == "face_restore":
        return draft_faces(recipe, setup)
    if recipe.task == "interpolate":
        return draft_interpolation(recipe, setup)
    return drawn_way(setup.finish, {"source": picture_of(setup, "source"), "prefix": setup.prefix})


def lacks(name: str, inventory: Inventory) -> str | None:
    """What the template of that name wants besides its nodes and is not there; None for what wants nothing more."""
    if name == "upscale_model" and not inventory.choices("UpscaleModelLoader", "model_name"):
        return f"{GET}, in models/upscale_models"
    way = next((way for way in (*BACKGROUNDS, *RESTORERS, *MASK_FINDERS, *INTERPOLATORS) if way.template == name), None)
    return way.get if way and way.get and fit_way([way], inventory) is None else None


# ------------------------------------------------------------------ a mask by words


def fit_mask_finder(inventory: Inventory) -> Setup:
    """The setup that finds by words what to mask. Raises EngineUnavailable, which says to give a mask instead."""
    parts = fit_way(MASK_FINDERS, inventory)
    if parts is None:
        raise refuse(
            "Masking by words", MASK_FINDERS, inventory, " Without it, give mask_image: white is painted anew."
        )
    return replace(_tool(parts), prefix="atelier/mask")


def draft_mask(recipe: Recipe, setup: Setup) -> Graph:
    """The graph that saves the mask of what `recipe.mask_text` names: of the source's size, white where it is."""
    names = [part.strip() for part in (recipe.mask_text or "").split(",") if part.strip()]
    words = _worded(names, setup.finish["template"])
    return drawn_way(setup.finish, {"source": picture_of(setup, "source"), "words": words, "prefix": setup.prefix})


def _worded(names: list[str], finder: str) -> str:
    """Several things as each finder reads them."""
    if finder == "find_mask_sam3":
        return ", ".join(f"{name}:{MOST_FOUND}" for name in names)
    return (" . " if "dino" in finder else ", ").join(names)
