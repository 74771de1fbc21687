"""Pictures that guide a render: controls (structure) and references (look or content). What serves each on one server,
and how it enters the graph. Pure; the facts about files and nodes are in guides.toml.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workflows.drawing.controls import fit_control, with_control
from workflows.drawing.references import fit_reference, with_reference

if TYPE_CHECKING:
    from workflows.drawing.inventory import Inventory
    from workflows.drawing.setup import Guide, Setup
    from workflows.families import Family
    from workflows.graph import Graph
    from workflows.template import Template
    from workflows.types import Recipe


def fit_guides(recipe: Recipe, family: Family, inventory: Inventory) -> tuple[tuple[Guide, ...], tuple[str, ...]]:
    """A guide for every control and reference of the recipe, and what the user should know of the choices.

    `recipe.model` is the model's file where it is known, since some models are told by name (Kontext, Qwen-Image-Edit).
    Raises EngineUnavailable for a model or node that is missing, with where to get it, and BadRecipe for more pictures
    than the model takes.
    """
    fitted = [fit_control(f"control_{n}", one, family, inventory) for n, one in enumerate(recipe.controls, 1)]
    fitted += [
        fit_reference(f"reference_{n}", one, recipe, family, inventory) for n, one in enumerate(recipe.references, 1)
    ]
    notes = dict.fromkeys(note for _, several in fitted for note in several)
    return tuple(guide for guide, _ in fitted), tuple(notes)


def with_guides(graph: Graph, template: Template, recipe: Recipe, setup: Setup) -> Graph:
    """The graph with the setup's guides put in front of the sampler, in their order."""
    for guide in setup.guides:
        graft = with_control if guide.role.startswith("control") else with_reference
        graph = graft(graph, template, recipe, setup, guide)
    return graph
