"""The categories as they are walked: artists with the options of the levels above them, in front of their own.

An option that many artists share is one value and has the path of the level that brings it; `placed` gives those of
one artist their paths below that artist. (There are tens of thousands of such paths, and somebody asks for a few.)
"""

from __future__ import annotations

from collections.abc import Iterable

from workflows.presets.sheet import Limb, merged_groups
from workflows.types import ArtistNode, CategoryNode, OptionGroup, Preset, TypeNode


def category_node(limb: Limb) -> CategoryNode:
    """The category with everything below it; below an adult one all is adult."""
    types = tuple(_type(limb, below) for below in limb.limbs)
    return CategoryNode(preset=limb.preset, types=types)


def placed(artist: ArtistNode) -> ArtistNode:
    """The same artist, its options with their paths below it."""
    path = artist.preset.path
    return artist.model_copy(
        update={"technical": _placed(artist.technical, path), "specifics": _placed(artist.specifics, path)}
    )


def placed_option(option: Preset, group: str, artist: str) -> Preset:
    """An option with its path below the artist of that path."""
    return option.model_copy(update={"path": f"{artist}/{group}/{option.id}"})


def _type(above: Limb, limb: Limb) -> TypeNode:
    technical = merged_groups(above.technical, limb.technical)
    specifics = merged_groups(above.specifics, limb.specifics)
    adult = above.preset.adult
    artists = tuple(
        ArtistNode(
            preset=_marked(one.preset, adult),
            technical=merged_groups(technical, one.technical),
            specifics=merged_groups(specifics, one.specifics),
        )
        for one in limb.limbs
    )
    return TypeNode(preset=_marked(limb.preset, adult), artists=artists)


def _placed(groups: Iterable[OptionGroup], path: str) -> tuple[OptionGroup, ...]:
    return tuple(
        group.model_copy(update={"options": tuple(placed_option(one, group.id, path) for one in group.options)})
        for group in groups
    )


def _marked(preset: Preset, adult: bool) -> Preset:
    return preset.model_copy(update={"adult": True}) if adult and not preset.adult else preset
