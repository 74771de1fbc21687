"""What a practitioner knows of model families when choosing one: traits.toml, and what families.toml says."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from workflows.completion import FEW_STEPS
from workflows.families import Family, families

Words = Literal["phrases", "tags", "scores", "sentences"]
Use = Literal["", "special", "video", "last"]

DIALECTS: Mapping[str, Words] = {
    "danbooru": "tags",
    "pony": "scores",
    "natural": "sentences",
    "json": "sentences",
    "xml": "sentences",
}
"""Family.dialect as what is weighed here; the others are phrases."""
TAGGED = ("tags", "scores")
_SPECIAL = re.compile(r"inpaint|refiner|fill|kontext|edit|redux|control|ip2p|pix2pix|layered|-e1$")
_STYLES = ("realistic", "anime", "artistic", "illustration", "3d", "pixel art")


class Traits(BaseModel):
    """How good a family is at what; 0 to 1. See traits.toml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rank: float = 0.5
    speed: float = 0.4
    text: float = 0.1
    words: Words = "phrases"
    scripts: bool = False
    plain: float = 0.5
    realistic: float = 0.5
    anime: float = 0.5
    artistic: float = 0.5
    illustration: float = 0.5
    three_d: float = Field(default=0.5, alias="3d")
    pixel: float = 0.5
    use: Use = ""

    def at(self, style: str) -> float:
        """How well it draws in a style; "" is none in particular."""
        named = {"": "plain", "3d": "three_d", "pixel art": "pixel"}.get(style, style)
        return float(getattr(self, named, self.plain))


@cache
def traits_of(family: str) -> Traits:
    """Of a family that traits.toml lists, or what its profile lets one think; one that is not known is "unknown"."""
    known, table = families(), _table()
    if family not in known:
        return table["unknown"]
    found = table.get(family) or _from_profile(known[family])
    return (
        found
        if family == "unknown"
        else found.model_copy(update={"words": DIALECTS.get(known[family].dialect, "phrases")})
    )


@cache
def _table() -> Mapping[str, Traits]:
    rows = tomllib.loads(files("workflows").joinpath("selection/traits.toml").read_text(encoding="utf-8"))
    return {name: Traits.model_validate(_whole(row, rows)) for name, row in rows.items()}


def _whole(row: Mapping[str, Any], rows: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The row with what it leaves out as in the one that it is like."""
    if "like" not in row:
        return dict(row)
    own = {name: value for name, value in row.items() if name != "like"}
    return _whole(rows[row["like"]], rows) | own


def _from_profile(family: Family) -> Traits:
    """A family that nobody has judged here: middling, better in what it was made for, fast when it is distilled."""
    base = {"rank": 0.6, "speed": 0.9 if family.profile.steps <= FEW_STEPS else 0.3, "plain": 0.6, "text": 0.4}
    looks = {style.partition(" ")[0]: _made_for(style, family.style) for style in _STYLES}
    return Traits.model_validate(base | looks | {"use": _use(family)})


def _made_for(style: str, styles: tuple[str, ...]) -> float:
    if not styles:
        return 0.55
    return 0.85 if style in styles else 0.3


def _use(family: Family) -> Use:
    if family.video:
        return "video"
    return "special" if family.comfyui.special or _SPECIAL.search(family.profile.name) else ""
