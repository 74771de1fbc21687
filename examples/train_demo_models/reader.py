"""Reads a picture's facts from its pixels, without any trained model: a second opinion beside the judge's.

The background is the colour of the border, things are the connected regions that differ from it, and the kind of a
thing (of a person, the pose too) is that of the drawn example whose outline covers it best. Size is read from the area
of a thing, place from the middle of its box.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from captions import BACKGROUND, COLOUR, COUNT, PLACE, POSE, SHAPE, SIZE, Caption
from numpy.typing import NDArray
from scenes import (
    COLOUR_NAMES,
    COLOURS,
    MEDIUM,
    PAIR_RADII,
    PERSON,
    PERSON_HEIGHTS,
    PLACE_STEPS,
    SHAPES,
    SINGLE_RADII,
    TRIO_RADII,
    UNITS,
    Image,
    Mix,
    render,
    sample_scene,
)

Mask = NDArray[np.bool_]
STENCIL = 32
EXAMPLES = 24
LEAST_AREA = 0.004
CONTRAST = 45.0
NOTHING_FITS, PERSON_FITS = 0.5, 0.55
OFF_CENTRE = 5.0
"""Units: what is in the middle lies within 2 of it, what is not at least 7 away."""


@dataclass(frozen=True)
class Reading:
    """What the pixels show; `fit` is how well the kinds' outlines fit, 0 to 1.

    `colours` and `poses` are those of the things, one by one; `size` is that of the largest, `place` that of all.
    """

    count: int
    shapes: tuple[str, ...]
    colour: str
    background: str
    fit: float
    colours: tuple[str, ...] = ()
    poses: tuple[int, ...] = ()
    size: int = MEDIUM
    place: int = 0

    def agrees(self, caption: Caption) -> bool:
        """Is what the caption says of number, kind, colour and background what the pixels show?"""
        shown = (
            (COUNT, self.count),
            *((SHAPE, SHAPES.index(shape)) for shape in self.shapes),
            (COLOUR, COLOUR_NAMES.index(self.colour)),
            (BACKGROUND, COLOUR_NAMES.index(self.background)),
        )
        return all(caption.true[field] >> symbol & 1 for field, symbol in shown)

    def shows(self, caption: Caption) -> bool:
        """Stricter: is every thing's colour right, and do size, place and pose not contradict the caption either?"""
        shown = (
            *((COLOUR, COLOUR_NAMES.index(colour)) for colour in self.colours),
            *((POSE, pose) for pose in self.poses),
            (SIZE, self.size),
            (PLACE, self.place),
        )
        tolerated = all((caption.true[field] | caption.open[field]) >> symbol & 1 for field, symbol in shown)
        return self.agrees(caption) and tolerated


def read(picture: Image) -> Reading:
    """The facts of an RGB picture of any size."""
    border = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    ground = np.median(border, axis=0)
    mask = np.linalg.norm(picture.astype(np.float32) - ground, axis=-1) > CONTRAST
    things = [part for thing in regions(mask) for part in people_apart(thing)]
    if not things:
        return Reading(0, (), nearest_colour(ground), nearest_colour(ground), 0.0)
    matches = [match_of(thing) for thing in things]
    core = cv2.erode(np.any(things, axis=0).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    inside = picture[core] if core.any() else picture[np.any(things, axis=0)]
    return Reading(
        count=len(things),
        shapes=tuple(example.kind for example, _ in matches),
        colour=nearest_colour(np.median(inside, axis=0)),
        background=nearest_colour(ground),
        fit=min(overlap for _, overlap in matches),
        colours=tuple(colour_of(picture[thing], ground) for thing in things),
        poses=tuple(example.pose for example, _ in matches),
        size=size_of(things, matches[0][0].kind),
        place=place_of(np.any(things, axis=0)),
    )


def size_of(things: Sequence[Mask], kind: str) -> int:
    """Small, medium or large, by the largest thing; a person's by its height, people side by side have none."""
    scale = things[0].shape[0] / UNITS
    if kind == SHAPES[PERSON]:
        rows = np.nonzero(things[0])[0]
        height = (rows.max() - rows.min() + 1) / scale
        return MEDIUM + (len(things) == 1 and height > _between(PERSON_HEIGHTS)[1])
    radius = max(float(np.sqrt(thing.sum() / unit_areas()[kind])) for thing in things) / scale
    small, medium = _between((SINGLE_RADII, PAIR_RADII, TRIO_RADII)[min(len(things), 3) - 1])
    return int(radius > small) + int(radius > medium)


def _between(ranges: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The limits between small and medium, and between medium and large."""
    return (ranges[0][1] + ranges[1][0]) / 2, (ranges[1][1] + ranges[2][0]) / 2


def place_of(mask: Mask) -> int:
    """Where the middle of the things' box lies."""
    rows, columns = np.nonzero(mask)
    unit = UNITS / mask.shape[0]
    steps: list[int] = []
    for axis in (columns, rows):
        away = (int(axis.min()) + int(axis.max()) + 1) / 2 * unit - UNITS / 2
        steps.append(0 if abs(away) < OFF_CENTRE else (1 if away > 0 else -1))
    return PLACE_STEPS.index((steps[0], steps[1]))


def nearest_colour(value: NDArray[np.float64]) -> str:
    """The name of the world's colour nearest to an RGB value."""
    return min(COLOURS, key=lambda name: float(np.linalg.norm(np.array(COLOURS[name]) - value)))


def colour_of(pixels: NDArray[np.uint8], ground: NDArray[np.float64]) -> str:
    """The colour of a thing, by the half of its pixels that is most unlike the background: soft edges do not count."""
    unlike = np.linalg.norm(pixels - ground, axis=-1)
    return nearest_colour(np.median(pixels[unlike >= np.median(unlike)], axis=0))


def regions(mask: Mask) -> list[Mask]:
    """The connected parts of a mask, without specks."""
    _, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    parts = [labels == i for i in range(1, int(labels.max()) + 1)]
    return [part for part in parts if part.sum() >= LEAST_AREA * mask.size]


def people_apart(thing: Mask) -> list[Mask]:
    """A region that is nothing as a whole, but two or three people whose hands touch, in its parts."""
    if match_of(thing)[1] > NOTHING_FITS:
        return [thing]
    columns = np.flatnonzero(thing.any(axis=0))
    left, right = int(columns[0]), int(columns[-1]) + 1
    for count in (2, 3):
        width = (right - left) / count
        parts = [_columns(thing, round(left + i * width), round(left + (i + 1) * width)) for i in range(count)]
        matches = [match_of(part) for part in parts]
        if all(example.kind == SHAPES[PERSON] and overlap > PERSON_FITS for example, overlap in matches):
            return parts
    return [thing]


def _columns(mask: Mask, first: int, end: int) -> Mask:
    """The mask between two columns."""
    part = np.zeros_like(mask)
    part[:, first:end] = mask[:, first:end]
    return part


def stencil(mask: Mask) -> NDArray[np.float32]:
    """A region cut out, its longer side made STENCIL long, centred."""
    rows, columns = np.nonzero(mask)
    cut = mask[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1].astype(np.float32)
    scale = STENCIL / max(cut.shape)
    height, width = (max(1, round(side * scale)) for side in cut.shape)
    small = cv2.resize(cut, (width, height), interpolation=cv2.INTER_AREA)
    out = np.zeros((STENCIL, STENCIL), np.float32)
    top, left = (STENCIL - height) // 2, (STENCIL - width) // 2
    out[top : top + height, left : left + width] = small
    return out


@dataclass(frozen=True)
class Example:
    """The outline of a drawn thing, and its area for radius 1."""

    kind: str
    pose: int
    outline: NDArray[np.float32]
    unit_area: float


@functools.cache
def examples() -> list[Example]:
    """Drawn things, EXAMPLES of every kind and three times as many people."""
    rng, found = random.Random(0), list[Example]()
    for shape, name in enumerate(SHAPES):
        weights = tuple(float(i == shape) for i in range(len(SHAPES)))
        for _ in range(EXAMPLES * (3 if shape == PERSON else 1)):
            scene = sample_scene(rng, Mix(single=1.0, centred=1.0, shapes=weights, sizes=(0, 0, 1)))
            picture = render(scene, rng)
            ground = picture[0, 0].astype(np.float32)
            radius = scene.things[0].radius * picture.shape[0] / UNITS
            for thing in regions(np.linalg.norm(picture - ground, axis=-1) > CONTRAST)[:1]:
                found.append(Example(name, scene.facts.pose, stencil(thing), float(thing.sum()) / radius**2))
    return found


@functools.cache
def unit_areas() -> dict[str, float]:
    """The mean area of every kind for radius 1."""
    return {name: float(np.mean([e.unit_area for e in examples() if e.kind == name])) for name in SHAPES}


def match_of(thing: Mask) -> tuple[Example, float]:
    """The example that overlaps best with a region, and the overlap."""
    outline = stencil(thing)
    return max(
        ((e, float(np.minimum(outline, e.outline).sum() / np.maximum(outline, e.outline).sum())) for e in examples()),
        key=lambda pair: pair[1],
    )
