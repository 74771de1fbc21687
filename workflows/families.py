"""What every model family needs, read from families.toml; and which family a model is, from its own files.

It reads no model: callers hand in what the configuration or the header of the weights says.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from pydantic import BaseModel, ConfigDict

from workflows.errors import NotFound
from workflows.types import FamilyProfile


class Family(BaseModel):
    """A family's profile, its limits, and the signs that give its files away."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    profile: FamilyProfile
    largest: int
    """Longest edge in pixels."""
    flow: bool = False
    """Flow matching, not noise prediction."""
    pipelines: tuple[str, ...] = ()
    text_width: int | None = None
    guidance_embeds: bool | None = None
    header_with: tuple[str, ...] = ()
    header_without: tuple[str, ...] = ()

    def sized(self, edge: int) -> Family:
        """The same family at another native size, square."""
        return self.model_copy(update={"profile": self.profile.but(width=edge, height=edge)})


@cache
def families() -> Mapping[str, Family]:
    """Every family by its name, in the order in which they are tried."""
    text = files("workflows").joinpath("families.toml").read_text(encoding="utf-8")
    return {name: _family(name, table) for name, table in tomllib.loads(text).items()}


def _family(name: str, table: dict[str, Any]) -> Family:
    of_profile = {key: value for key, value in table.items() if key in FamilyProfile.model_fields}
    rest = {key: value for key, value in table.items() if key not in of_profile}
    return Family(profile=FamilyProfile(name=name, **of_profile), **rest)


def family(name: str) -> Family:
    """The family of that name. Raises NotFound with near names."""
    known = families()
    if name not in known:
        raise NotFound("model family", name, known)
    return known[name]


def family_of_pipeline(pipeline: str, *, text_width: int | None = None, guidance_embeds: bool | None = None) -> Family:
    """The family of a diffusers folder: its pipeline class and, where they are shared, a fact of its configuration."""
    for candidate in families().values():
        fits = (
            pipeline in candidate.pipelines
            and candidate.text_width in {None, text_width}
            and candidate.guidance_embeds in {None, guidance_embeds}
        )
        if fits:
            return candidate
    return family("unknown")


def family_of_header(names: Collection[str]) -> Family:
    """The family of a single-file checkpoint, from the names of its tensors."""

    def present(part: str) -> bool:
        return any(part in name for name in names)

    for candidate in families().values():
        signs = candidate.header_with
        if signs and all(map(present, signs)) and not any(map(present, candidate.header_without)):
            return candidate
    return family("unknown")
