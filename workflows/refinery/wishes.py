"""Wishes: what a brief asks for, as words and as a recipe. Pure; its options are read as the arguments of
generate_image are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast, get_args

from workflows.asking import ACCEPTANCE, SIDES, Own, pictures_from, recipe_from
from workflows.errors import BadRecipe, nearest
from workflows.types import WORDLESS, Brief, Recipe, Task

PICTURES = ("input_image", "input_video", "mask_image", "control", "reference")
OTHER = ("task", "negative_prompt", "preset", "validate", "motion_strength", "extend_frames", "target_fps")
OURS = frozenset({"prompt", "negative", "wording", "count", "source", "source_item", "mask", "workflow", "files"})
"""Fields of a recipe that are not for options: they are said elsewhere, or are for the studio to set."""
TASKS: tuple[Task, ...] = tuple(task for task in get_args(Task) if task not in WORDLESS)


def option_names() -> tuple[str, ...]:
    """The arguments that a brief's options may have."""
    fields = {*Recipe.model_fields} - {*OURS, "acceptance", "auto_loras", "controls", "references"}
    return tuple(sorted({*fields, *ACCEPTANCE, *SIDES, *PICTURES, *OTHER}))


def words_of(brief: Brief) -> str:
    """The prompt; where there is none, scene and mood."""
    return brief.prompt.strip() or ", ".join(
        part.strip(" .,") for part in (brief.scene, brief.mood) if part.strip(" .,")
    )


def recipe_of(brief: Brief) -> Recipe:
    """One picture a round, and no tries of its own besides unless the options ask for them: the rounds are the tries.

    Raises BadRecipe.
    """
    task = brief.options.get("task", "txt2img")
    if task not in TASKS:
        raise BadRecipe("task", task, f"it is {', '.join(TASKS)}")
    words = {"prompt": words_of(brief), "negative_prompt": brief.negative or brief.options.get("negative_prompt") or ""}
    recipe = recipe_from({"auto_retry": False} | brief.options | words, task=task)
    return recipe.but(count=1)


def checked(brief: Brief) -> Brief:
    """The brief with options that outlive the ledger: those that stand for nobody's wish are left out. Raises BadRecipe
    for what no recipe can be made of."""
    if not words_of(brief):
        raise BadRecipe("prompt", brief.prompt, "it says what the picture shows; or give a scene")
    told = {name: value for name, value in brief.options.items() if value is not None and not isinstance(value, Own)}
    known = option_names()
    unknown = next((name for name in told if name not in known), None)
    if unknown is not None:
        near = nearest(unknown[:80], known)
        raise BadRecipe(
            "options", unknown, f"did you mean {', '.join(near)}?" if near else f"known: {', '.join(known)}"
        )
    plain = brief.but(options=cast(dict[str, Any], _plain(told)))
    recipe_of(plain)
    pictures_from(plain.options)
    return plain


def _plain(value: object) -> object:
    """As JSON holds it: tuples as lists, subclasses of numbers as numbers."""
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in cast(Mapping[Any, object], value).items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in cast(list[object], value)]
    return value
