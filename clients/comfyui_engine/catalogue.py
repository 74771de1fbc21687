"""Which graph templates can be used with what the servers have, and what is missing for the others. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from workflows.drawing.fitting import fits, installed
from workflows.families import families
from workflows.types import WORDLESS, Recipe, TemplateInfo

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
    drawn = {name: {family.comfyui.checkpoint, family.comfyui.split} for name, family in families().items()}
    return tuple(name for name, names in drawn.items() if template.name in names)


def _lacking(template: Template, inventory: Inventory) -> tuple[str, ...]:
    classes = tuple(f"the node {name}" for name in template.classes if name not in inventory.classes)
    if classes:
        return classes
    known = _families(template)
    if not known:
        reasons = [fits(Recipe(task=task), inventory) for task in template.tasks if task in WORDLESS]
        return tuple(reason for reason in reasons if reason)
    rows = [row for row in installed(inventory) if row.family in known]
    reasons = [fits(Recipe(prompt="anything", model=row.name), inventory) for row in rows]
    if None in reasons:
        return ()
    return (next((reason for reason in reasons if reason), f"a model of the family {' or '.join(known)}"),)
