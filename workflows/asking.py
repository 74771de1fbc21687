"""From the arguments that every face takes, by their contract names, to a recipe and its pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, cast

from workflows.errors import BadRecipe, nearest
from workflows.types import VIDEOS, Acceptance, Control, Extension, LoraUse, Recipe, Reference, Task, Value

ANY_SEED = -1
OWN_MODEL = ("auto", "", None)
ACCEPTANCE = ("auto_retry", "retry_limit", "retry_strategy", "positive_threshold", "checks", "best_of", "keep")
SIDES = ("left", "right", "top", "bottom")
NONE = "none"
"""A LoRA of this name says that none is wanted."""
OVERRIDES = (
    *("prompt", "model", "seed", "steps", "cfg", "width", "height", "sampler", "scheduler", "denoise", "count"),
    *("frames", "fps"),
)
"""Arguments of regenerate that are fields of the recipe under the same name."""
RENAMED: Mapping[str, str] = {"motion_strength": "motion", "extend_frames": "frames", "target_fps": "fps"}
"""Arguments of the video tools that are fields of the recipe under another name."""
VIDEO_ROUNDS = 1
"""Rounds of a video when nobody says: each takes minutes, not seconds."""

MAX_PRESETS = 20
"""As many as a recipe takes."""

V = TypeVar("V", bound=Value)


class Own(int):
    """A default that stands for the model's own number: what the commonest family has. Given by a caller, the same
    number means itself."""


def recipe_from(given: Mapping[str, Any], task: Task = "txt2img") -> Recipe:
    """The recipe that these arguments ask for; what is neither a recipe's nor an acceptance's is passed over.

    `seed` -1 and `model` "auto" mean "choose for me", as None does for the rest. Raises BadRecipe that names the
    argument.
    """
    if given.get("mask_image") and given.get("mask_text"):
        raise BadRecipe("mask_text", given["mask_text"], "mask_image says where already; give one of them")
    wanted = {name: given[name] for name in ACCEPTANCE if given.get(name) is not None}
    if task in VIDEOS:
        wanted = {"retry_limit": VIDEO_ROUNDS} | wanted
    if "checks" in wanted:
        wanted["checks"] = _names(wanted["checks"])
    plain = {RENAMED.get(name, name): value for name, value in given.items() if not isinstance(value, Own)}
    same = {name: value for name, value in plain.items() if name in Recipe.model_fields}
    same |= {
        "task": task,
        "negative": given.get("negative_prompt", ""),
        "model": _model(given.get("model")),
        "seed": _seed(given.get("seed")),
        "presets": _presets(given.get("preset")),
        "enhance": bool(given.get("enhance")),
        "auto_loras": given.get("loras") is None and _model(given.get("model")) is None,
        "loras": tuple(_lora(number, entry) for number, entry in _entries(given, "loras") if entry != NONE),
        "controls": tuple(_part(Control, "control", *pair) for pair in _entries(given, "control")),
        "references": tuple(_part(Reference, "reference", *pair) for pair in _entries(given, "reference")),
        "acceptance": Acceptance.checked(validate=given.get("validate", True), **wanted),
    }
    sides = {side: given[side] for side in SIDES if given.get(side)}
    if sides:
        same["extend"] = Extension.checked(**sides)
    return Recipe.checked(**same)


def pictures_from(given: Mapping[str, Any]) -> dict[str, Any]:
    """The pictures that these arguments bring, by role: what Studio.submit takes."""
    source = given.get("input_image") or given.get("input_video")
    single = {"source": source, "mask": given.get("mask_image")}
    several = {
        f"{kind}_{number}": _fields(kind, number, entry).get("image")
        for kind in ("control", "reference")
        for number, entry in _entries(given, kind)
    }
    return {role: picture for role, picture in (single | several).items() if picture}


def overrides_from(given: Mapping[str, Any]) -> dict[str, Any]:
    """What of a recipe is to be another when a picture is made again: what Studio.regenerate takes."""
    changes = {name: given[name] for name in OVERRIDES if given.get(name) is not None}
    if given.get("negative_prompt") is not None:
        changes["negative"] = given["negative_prompt"]
    if "model" in changes:
        changes["model"] = _model(changes["model"])
    if "seed" in changes:
        changes["seed"] = _seed(changes["seed"])
    return changes


def _names(given: Any) -> Any:
    """ "clip, people" and ["CLIP", "people"] alike; what is no list of names is left for the check of the fields."""
    entries = list(cast(Sequence[Any], given)) if isinstance(given, list | tuple) else []
    if not all(isinstance(one, str) for one in entries):
        return entries
    named = (part.strip().lower() for one in entries for part in one.split(","))
    return tuple(dict.fromkeys(name for name in named if name))


def _presets(given: Any) -> tuple[str, ...]:
    """ "cinematic, mood:epic" and ["cinematic", "mood:epic"] alike, each once. Raises BadRecipe for too many."""
    entries = [given] if isinstance(given, str) else list(cast(Sequence[Any], given or ()))
    named = tuple(dict.fromkeys(part.strip() for one in entries for part in str(one).split(",") if part.strip()))
    if len(named) > MAX_PRESETS:
        raise BadRecipe("preset", f"{len(named)} presets", f"at most {MAX_PRESETS} go together; a few say more")
    return named


def _model(given: Any) -> str | None:
    return None if given in OWN_MODEL else given


def _seed(given: Any) -> int | None:
    return None if given == ANY_SEED else given


def _entries(given: Mapping[str, Any], name: str) -> list[tuple[int, Any]]:
    """A list argument with its entries numbered from 1; one entry alone stands for a list of it."""
    entries = given.get(name) or ()
    alone = isinstance(entries, str | Mapping)
    return list(enumerate([entries] if alone else cast(Sequence[Any], entries), start=1))


def _lora(number: int, entry: Any) -> LoraUse:
    """ "name", "name:0.8", or an object of name and strength. Raises BadRecipe."""
    if not isinstance(entry, str):
        return _checked(LoraUse, "lora", number, _fields("lora", number, entry))
    name, colon, strength = entry.rpartition(":")
    try:
        fields = {"name": name, "strength": float(strength)} if colon else {"name": entry}
    except ValueError:  # a colon in the name, as in C:\\loras
        fields = {"name": entry}
    return _checked(LoraUse, "lora", number, fields)


def _part(kind: type[V], name: str, number: int, entry: Any) -> V:
    """A control or reference without its picture, which goes its own way."""
    fields = _fields(name, number, entry)
    if not fields.get("image"):
        raise BadRecipe(f"{name} {number}", entry, "it needs an image: an image id, a path, a URL or a data URI")
    part = _checked(kind, name, number, {key: value for key, value in fields.items() if key != "image"})
    if isinstance(part, Control) and part.start >= part.end:
        raise BadRecipe(f"start of {name} {number}", part.start, f"it lies before end ({part.end:g})")
    return part


KINDS: Mapping[str, type[Value]] = {"lora": LoraUse, "control": Control, "reference": Reference}


def _fields(name: str, number: int, entry: Any) -> dict[str, Any]:
    """The entry as an object with known keys; a reference may be its picture alone. Raises BadRecipe."""
    if name == "reference" and not isinstance(entry, Mapping):
        return {"image": entry}
    known = list(KINDS[name].model_fields)
    if not isinstance(entry, Mapping):
        raise BadRecipe(f"{name} {number}", entry, f"it is an object of {', '.join(known)}")
    fields = {str(key): value for key, value in cast(Mapping[Any, Any], entry).items()}
    unknown = next((key for key in fields if key not in known), None)
    if unknown is not None:
        near = nearest(unknown[:80], known)
        meant = f"did you mean {', '.join(near)}? " if near else ""
        raise BadRecipe(f"{name} {number}", unknown, f"{meant}its keys are {', '.join(known)}")
    return fields


def _checked(kind: type[V], name: str, number: int, fields: Mapping[str, Any]) -> V:
    try:
        return kind.checked(**fields)
    except BadRecipe as error:
        value = fields.get(error.argument)
        raise BadRecipe(f"{error.argument} of {name} {number}", value, error.allowed) from error
