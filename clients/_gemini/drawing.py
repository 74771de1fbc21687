"""Which of Gemini's models draw, what a recipe asks of them, and what their replies hold. Pure."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from clients._gemini.connection import SERVICE
from workflows.errors import Refused, RenderFailed
from workflows.types import Recipe

if TYPE_CHECKING:
    from google.genai.types import GenerateContentConfig, GenerateContentResponse

DEFAULT = "gemini-3.1-flash-image"
USUAL_SIZE = "1K"
IMAGEN = "imagen-"
NO_IMAGEN = "Imagen is asked of Google's Enterprise platform only, and not with a key of Gemini's"
GEMINI = "gemini-"
SEEDS = 2**31
"""A seed of Gemini's is a signed number of 32 bits."""
BARRED = frozenset(
    {
        "SAFETY",
        "IMAGE_SAFETY",
        "PROHIBITED_CONTENT",
        "IMAGE_PROHIBITED_CONTENT",
        "BLOCKLIST",
        "SPII",
        "RECITATION",
        "IMAGE_RECITATION",
        "MODEL_ARMOR",
    }
)
"""Ends of a reply that are Google's content rules."""
RULES = "Google's content rules say no to this request ({why}). Ask for something else."


@dataclass(frozen=True, kw_only=True)
class Model:
    """One that draws. It takes more pictures than a recipe can hold."""

    name: str
    title: str
    aspects: tuple[str, ...]
    sizes: Mapping[str, int]

    def aspect_for(self, recipe: Recipe) -> str | None:
        """The shape nearest to the recipe's size."""
        if not (recipe.width and recipe.height):
            return None
        wanted = recipe.width / recipe.height
        return min(self.aspects, key=lambda name: abs(math.log(_shape(name) / wanted)))

    def size_for(self, recipe: Recipe) -> str | None:
        """The smallest class that holds the recipe's area, else the largest."""
        if not self.sizes or not (recipe.width and recipe.height):
            return None
        area = recipe.width * recipe.height
        return next((name for name, edge in self.sizes.items() if edge * edge >= area), [*self.sizes][-1])

    def priced_as(self, recipe: Recipe) -> str:
        """Its name in price lists: larger pictures have prices of their own."""
        size = self.size_for(recipe)
        return self.name if size in {None, USUAL_SIZE} else f"{self.name} {size}"


@cache
def known() -> Mapping[str, Model]:
    """The models of models.toml by name."""
    tables = tomllib.loads(files("clients._gemini").joinpath("models.toml").read_text(encoding="utf-8"))
    return {
        name: Model(
            name=name,
            title=table["title"],
            aspects=tuple(table["aspects"]),
            sizes=table.get("sizes", {}),
        )
        for name, table in tables.items()
    }


def model_of(name: str) -> Model | None:
    """The model of that name; None for one that does not draw."""
    if name in known():
        return known()[name]
    drawing = name.startswith(GEMINI) and "image" in name
    return replace(known()[DEFAULT], name=name, title=name) if drawing else None


def content_config(model: Model, recipe: Recipe) -> GenerateContentConfig:
    """How a Gemini model is asked for one picture."""
    from google.genai import types

    return types.GenerateContentConfig(
        candidate_count=1,
        response_modalities=["IMAGE"],
        seed=None if recipe.seed is None else recipe.seed % SEEDS,
        image_config=types.ImageConfig(aspect_ratio=model.aspect_for(recipe), image_size=model.size_for(recipe)),
    )


def picture_in(response: GenerateContentResponse, model: str) -> bytes:
    """The picture of a reply, its thoughts apart. Raises Refused, and RenderFailed with what was said instead."""
    block = response.prompt_feedback and response.prompt_feedback.block_reason
    if block:
        raise Refused(RULES.format(why=block.value))
    candidate = response.candidates[0] if response.candidates else None
    parts = (candidate.content.parts or []) if candidate and candidate.content else []
    spoken = [part for part in parts if not part.thought]
    for part in spoken:
        if part.inline_data and part.inline_data.data and str(part.inline_data.mime_type).startswith("image/"):
            return part.inline_data.data
    end = candidate.finish_reason.value if candidate and candidate.finish_reason else ""
    if end in BARRED:
        raise Refused(RULES.format(why=end))
    said = " ".join("".join(part.text or "" for part in spoken).split())[:200]
    why = f", and said: {said}" if said else f" ({end})" if end not in {"", "STOP"} else ""
    raise RenderFailed(f"{SERVICE} ({model}) drew nothing{why}. Ask for a picture in other words.")


def _shape(name: str) -> float:
    wide, _, high = name.partition(":")
    return int(wide) / int(high)
