"""Reads a picture's facts from its pixels, without any trained model: a second opinion beside the judge's.

The background is the colour of the border, things are the connected regions that differ from it, and the kind of a
thing is that of the drawn example whose outline covers it best.
"""

from __future__ import annotations

import functools
import random
from dataclasses import dataclass

import cv2
import numpy as np
from captions import BACKGROUND, COLOUR, COUNT, SHAPE, Caption
from numpy.typing import NDArray
from scenes import COLOUR_NAMES, COLOURS, PERSON, SHAPES, Image, Mix, render, sample_scene

Mask = NDArray[np.bool_]
STENCIL = 32
EXAMPLES = 24
LEAST_AREA = 0.004
CONTRAST = 45.0


@dataclass(frozen=True)
class Reading:
    """What the pixels show; `fit` is how well the kinds' outlines fit, 0 to 1."""

    count: int
    shapes: tuple[str, ...]
    colour: str
    background: str
    fit: float

    def agrees(self, caption: Caption) -> bool:
        """Is what the caption says of number, kind, colour and background what the pixels show?"""
        shown = (
            (COUNT, self.count),
            *((SHAPE, SHAPES.index(shape)) for shape in self.shapes),
            (COLOUR, COLOUR_NAMES.index(self.colour)),
            (BACKGROUND, COLOUR_NAMES.index(self.background)),
        )
        return all(caption.true[field] >> symbol & 1 for field, symbol in shown)


def read(picture: Image) -> Reading:
    """The facts of an RGB picture of any size."""
    border = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    ground = np.median(border, axis=0)
    mask = np.linalg.norm(picture.astype(np.float32) - ground, axis=-1) > CONTRAST
    things = regions(mask)
    if not things:
        return Reading(0, (), nearest_colour(ground), nearest_colour(ground), 0.0)
    kinds = [kind_of(thing) for thing in things]
    core = cv2.erode(np.any(things, axis=0).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    inside = picture[core] if core.any() else picture[np.any(things, axis=0)]
    fit = min(score for _, score in kinds)
    names = tuple(name for name, _ in kinds)
    return Reading(len(things), names, nearest_colour(np.median(inside, axis=0)), nearest_colour(ground), fit)


def nearest_colour(value: NDArray[np.float64]) -> str:
    """The name of the world's colour nearest to an RGB value."""
    return min(COLOURS, key=lambda name: float(np.linalg.norm(np.array(COLOURS[name]) - value)))


def regions(mask: Mask) -> list[Mask]:
    """The connected parts of a mask, without specks."""
    _, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    parts = [labels == i for i in range(1, int(labels.max()) + 1)]
    return [part for part in parts if part.sum() >= LEAST_AREA * mask.size]


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


@functools.cache
def examples() -> list[tuple[str, NDArray[np.float32]]]:
    """Stencils of drawn things, EXAMPLES of every kind and three times as many people."""
    rng, found = random.Random(0), list[tuple[str, NDArray[np.float32]]]()
    for shape, name in enumerate(SHAPES):
        weights = tuple(float(i == shape) for i in range(len(SHAPES)))
        for _ in range(EXAMPLES * (3 if shape == PERSON else 1)):
            picture = render(sample_scene(rng, Mix(single=1.0, centred=1.0, shapes=weights, sizes=(0, 0, 1))), rng)
            ground = picture[0, 0].astype(np.float32)
            things = regions(np.linalg.norm(picture - ground, axis=-1) > CONTRAST)
            found += [(name, stencil(thing)) for thing in things[:1]]
    return found


def kind_of(thing: Mask) -> tuple[str, float]:
    """The kind whose example overlaps best with a region, and the overlap."""
    outline = stencil(thing)
    return max(
        ((name, float(np.minimum(outline, e).sum() / np.maximum(outline, e).sum())) for name, e in examples()),
        key=lambda pair: pair[1],
    )
