"""Which graph templates can be used with what the servers have, and what is missing for the others. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from workflows.drawing.finishing import lacks
from workflows.drawing.fitting import candidates, fit, folder_of, source_of
from workflows.errors import StudioError
from workflows.families import families
from workflows.types import VIDEOS, Recipe, Task, TemplateInfo

if TYPE_CHECKING:
    from workflows.drawing.inventory import Inventory
    from workflows.template import Template


def described(template: Template, inventories: Sequence[Inventory]) -> TemplateInfo:
    """The template, usable when one of the servers has all of it; else what the best equipped one lacks."""
    lacks = [_lacking(template, inventory) for inventory in inventories]
    missing = min(lacks, key=len, default=("a ComfyUI server that answers",))
    return TemplateInfo(
        name=template.name,
        title=template.title,
        about=template.about,
        tasks=template.tasks,
        families=_families(template),
        usable=not missing,
        missing=missing,
    )


def _families(template: Template) -> tuple[str, ...]:
    """The model families that are drawn with it."""
    return tuple(name for name, known in families().items() if template.name in known.templates)


def _lacking(template: Template, inventory: Inventory) -> tuple[str, ...]:
    classes = tuple(f"the node {name}" for name in template.classes if name not in inventory.classes)
    if classes:
        return classes
    if lack := lacks(template.name, inventory):
        return (lack,)
    known = _families(template)
    if not known:
        return ()
    task: Task = "txt2img"
    for film in VIDEOS.intersection(template.tasks):
        task = film
    able = [one for one in candidates(inventory) if one.family.profile.name in known]
    reasons = [_reason(template, Recipe(task=task, prompt="anything", model=one.file), inventory) for one in able]
    if None in reasons:
        return ()
    return (next((reason for reason in reasons if reason), _model_of(template, known)),)


def _reason(template: Template, recipe: Recipe, inventory: Inventory) -> str | None:
    """Why the recipe's model cannot be drawn with the template; "" where it is drawn with another one."""
    try:
        drawn = fit(recipe, inventory).template.name
    except StudioError as error:
        return str(error)
    return None if recipe.task not in VIDEOS or drawn == template.name else ""


def _model_of(template: Template, known: Sequence[str]) -> str:
    """What to get so that a template can be used: a model of its families, an example, and the folder."""
    comfyui = families()[known[0]].comfyui
    whole = template.name in {comfyui.checkpoint, comfyui.checkpoint_image}
    folder = "checkpoints" if whole else "diffusion_models"
    begun = "txt2vid" not in template.tasks and "model_image" in comfyui.get
    source = source_of(known[0], "model_image" if begun else "model")
    example = f", such as {source}" if folder_of(known[0]) == folder else ""
    return f"a model of the family {' or '.join(known)}{example} in models/{folder}"
