"""A recipe as the arguments of an endpoint. Pure; what had to be changed is said in notes."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from clients._fal.models import Endpoint, Input
from workflows.types import LoraUse, Recipe

LOSSLESS = "png"
FPS = 16.0
FRAMES = 81
_NUMBER = re.compile(r"\d+(\.\d+)?")
_ADDRESS = re.compile(r"https://\S+|[\w.-]+/[\w.-]+", re.ASCII)


@dataclass(kw_only=True)
class Payload:
    """What is sent, and what of the recipe it does not follow to the letter."""

    arguments: dict[str, Any] = field(default_factory=dict[str, Any])
    notes: list[str] = field(default_factory=list[str])


@dataclass(frozen=True, kw_only=True)
class _Order:
    """What the makers of inputs read."""

    recipe: Recipe
    links: Mapping[str, str]
    endpoint: Endpoint
    notes: list[str]

    def number(self, name: str, wanted: float) -> float:
        """The nearest number that the input allows, with a note when it is another."""
        allowed = self.endpoint.inputs[name]
        found = nearest_number(wanted, allowed)
        if found != wanted:
            self.notes.append(f"{name.replace('_', ' ')} {found:g} instead of {wanted:g}: what the endpoint allows")
        return found


def payload_for(endpoint: Endpoint, recipe: Recipe, links: Mapping[str, str]) -> Payload:
    """The arguments for a completed recipe; `links`: where its pictures can be fetched, by role."""
    notes: list[str] = []
    order = _Order(recipe=recipe, links=links, endpoint=endpoint, notes=notes)
    values = {name: make(order) for name, make in MAKERS.items() if name in endpoint.inputs}
    return Payload(arguments={name: value for name, value in values.items() if value is not None}, notes=notes)


def nearest_number(wanted: float, allowed: Input) -> float:
    """The nearest of the choices that are numbers, else within the range."""
    numbers = [number for choice in allowed.choices if (number := _number(choice)) is not None]
    if numbers:
        return min(numbers, key=lambda number: abs(number - wanted))
    lowest = wanted if allowed.least is None else max(wanted, allowed.least)
    return lowest if allowed.most is None else min(lowest, allowed.most)


def loras_refusal(loras: Iterable[LoraUse]) -> str | None:
    """Why FAL could not fetch one of them, or None."""
    for lora in loras:
        if _ADDRESS.fullmatch(lora.name) is None or (lora.name.count("/") == 1 and lora.name.endswith(".safetensors")):
            return (
                f"FAL fetches LoRAs itself and cannot read {lora.name!r}: give an https:// address or a Hugging Face "
                "id such as owner/name."
            )
    return None


def _number(choice: object) -> float | None:
    found = _NUMBER.search(str(choice))
    return float(found[0]) if found else None


def _as_chosen(order: _Order, name: str, number: float) -> Any:
    """A number in the form in which the choice is written, such as "4" or 5s."""
    for choice in order.endpoint.inputs[name].choices:
        if _number(choice) == number:
            return choice
    return int(number) if float(number).is_integer() else number


def _steps(order: _Order) -> Any:
    wanted = order.recipe.steps
    name = "num_inference_steps"
    return None if wanted is None else _as_chosen(order, name, order.number(name, wanted))


def _guidance(order: _Order) -> Any:
    return None if order.recipe.cfg is None else order.number("guidance_scale", order.recipe.cfg)


def _seed(order: _Order) -> int | None:
    most = order.endpoint.inputs["seed"].most
    seed = order.recipe.seed
    return seed if seed is None or most is None else seed % (int(most) + 1)


def _size(order: _Order) -> dict[str, int] | None:
    recipe = order.recipe
    return {"width": recipe.width, "height": recipe.height} if recipe.width and recipe.height else None


def _aspect(order: _Order) -> Any:
    """The shape nearest to the recipe's size, of those that there are."""
    recipe, choices = order.recipe, order.endpoint.inputs["aspect_ratio"].choices
    if not (recipe.width and recipe.height):
        return None
    shapes = {choice: shape for choice in choices if (shape := shape_of(str(choice))) is not None}
    if not shapes:
        return None if choices else f"{recipe.width}:{recipe.height}"
    return nearest_shape(recipe.width / recipe.height, shapes)


def shape_of(text: str) -> float | None:
    """Width by height of 16:9; None for what is no shape, such as auto."""
    wide, mark, high = text.partition(":")
    try:
        return float(wide) / float(high) if mark else None
    except (ValueError, ZeroDivisionError):
        return None


def nearest_shape(wanted: float, shapes: Mapping[str, float]) -> str:
    return min(shapes, key=lambda name: abs(math.log(shapes[name] / wanted)))


def _resolution(order: _Order) -> Any:
    """The one whose short edge is nearest to the recipe's."""
    recipe, name = order.recipe, "resolution"
    if not (recipe.width and recipe.height) or not order.endpoint.inputs[name].choices:
        return None
    return _as_chosen(order, name, nearest_number(min(recipe.width, recipe.height), order.endpoint.inputs[name]))


def _format(name: str) -> Callable[[_Order], Any]:
    return lambda order: LOSSLESS if LOSSLESS in order.endpoint.inputs[name].choices else None


def _edge(name: str) -> Callable[[_Order], Any]:
    return lambda order: getattr(order.recipe, name)


def _count(order: _Order) -> int:
    """One at a time: of several, only the first could be made again by its seed alone."""
    return 1


def _negative(order: _Order) -> str | None:
    return order.recipe.negative or None


def _source(order: _Order) -> str | None:
    return order.links.get("source") or order.links.get("reference_1")


def _sources(order: _Order) -> list[str] | None:
    named = [link for role, link in sorted(order.links.items()) if role == "source" or role.startswith("reference_")]
    return sorted(named, key=lambda link: link != order.links.get("source")) or None


def _loras(order: _Order) -> list[dict[str, Any]] | None:
    return [{"path": lora.name, "scale": lora.strength} for lora in order.recipe.loras] or None


def _frames(order: _Order) -> int | None:
    wanted = order.recipe.frames
    return None if wanted is None else int(order.number("num_frames", wanted))


def _rate(name: str) -> Callable[[_Order], Any]:
    return lambda order: (
        None if order.recipe.fps is None else _as_chosen(order, name, order.number(name, order.recipe.fps))
    )


def _duration(order: _Order) -> Any:
    if order.recipe.frames is None:
        return None
    seconds = order.recipe.frames / (order.recipe.fps or FPS)
    return _as_chosen(order, "duration", nearest_number(round(seconds), order.endpoint.inputs["duration"]))


MAKERS: Mapping[str, Callable[[_Order], Any]] = {
    "prompt": lambda order: order.recipe.prompt,
    "negative_prompt": _negative,
    "image_size": _size,
    "width": _edge("width"),
    "height": _edge("height"),
    "aspect_ratio": _aspect,
    "resolution": _resolution,
    "num_inference_steps": _steps,
    "guidance_scale": _guidance,
    "seed": _seed,
    "num_images": _count,
    "format": _format("format"),
    "output_format": _format("output_format"),
    "image_url": _source,
    "image_urls": _sources,
    "mask_url": lambda order: order.links.get("mask"),
    "strength": lambda order: order.recipe.denoise,
    "loras": _loras,
    "num_frames": _frames,
    "frames_per_second": _rate("frames_per_second"),
    "fps": _rate("fps"),
    "duration": _duration,
}
"""Input by input: what a recipe says for it; None leaves it out."""
