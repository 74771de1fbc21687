"""Pictures with people whose 17 joints are known: what the demo pose model is trained and measured on.

A `Posed` picture is drawn as `scenes.py` draws its people, or freer: anywhere, several colours, other things between,
mannequins with faces, figures cut off by the edge, and figures with a part missing or a limb far too long. A joint
that is not drawn, or lies outside the picture, is marked as not there. Lengths are in units of 1/64 of the side.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from common import render_batch, to_pictures
from numpy.typing import NDArray
from scenes import BONES as ALL_BONES
from scenes import (
    COLOURS,
    NO_POSE,
    PERSON,
    PICTURE_SIZE,
    POSES,
    UNITS,
    WHITE,
    Canvas,
    Colour,
    Image,
    Joints,
    Mix,
    Points,
    Scene,
    Thing,
    draw_shape,
    other_than,
    person_joints,
    sample_scene,
    shade,
)

FACE = 5
"""Nose, eyes and ears, before the twelve joints of `scenes.Joints`: together the order of COCO."""
JOINTS = 17
DARK, LIGHT = (15, 15, 15), (245, 245, 245)
FLIPPED = (0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15)
PEOPLE = Mix(single=0.55, shapes=(0.0,) * PERSON + (1.0,))
THINGS = Mix(single=0.5, odd=0.25, shapes=(1.0, 1.0, 1.4, 1.6, 1.0, 3.0, 1.2, 1.0, 0.0))

PARTS: dict[str, tuple[int, ...]] = {
    "head": (0, 1, 2, 3, 4),
    "left forearm": (9,), "right forearm": (10,),
    "left arm": (7, 9), "right arm": (8, 10),
    "left shank": (15,), "right shank": (16,),
    "left leg": (13, 15), "right leg": (14, 16),
}  # fmt: skip
STRETCHED = {"left forearm": (7, 9), "right forearm": (8, 10), "left shank": (13, 15), "right shank": (14, 16)}


@dataclass(frozen=True)
class Figure:
    """A drawn person: joints in units (COCO order), which of them are there, head and limb sizes, and its flaw."""

    joints: Points
    there: NDArray[np.bool_]
    head_radius: float
    width: float
    flaw: str = ""

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom of what is drawn, within the picture."""
        drawn = self.joints[FACE:][self.there[FACE:]]
        low, high = drawn.min(0) - self.width / 2, drawn.max(0) + self.width / 2
        if self.there[0]:
            centre = self.joints[0]
            low, high = np.minimum(low, centre - self.head_radius), np.maximum(high, centre + self.head_radius)
        left, top, right, bottom = np.clip(np.concatenate([low, high]), 0, UNITS).tolist()
        return left, top, right, bottom

    @property
    def seen(self) -> NDArray[np.bool_]:
        """Which joints are drawn and inside the picture."""
        inside = ((self.joints > 0) & (self.joints < UNITS)).all(1)
        return self.there & inside

    def moved(self, joints: Points) -> Figure:
        return replace(self, joints=joints)


@dataclass(frozen=True)
class Posed:
    """A picture with its people, and the scene where it is one of the world's."""

    picture: Image
    figures: tuple[Figure, ...]
    scene: Scene | None = None


def figure_of(joints: Joints) -> Figure:
    """A person of `scenes.py` with the five points of a face that looks at us."""
    radius = joints.head_radius
    face = np.array([(0.0, 0.1), (0.35, -0.2), (-0.35, -0.2), (0.9, 0.0), (-0.9, 0.0)]) * radius + joints.head
    whole = np.concatenate([face, joints.limbs])
    return Figure(whole, np.ones(JOINTS, np.bool_), radius, joints.width)


def flawed(figure: Figure, part: str) -> Figure:
    """The figure without a part."""
    there = figure.there.copy()
    there[list(PARTS[part])] = False
    return replace(figure, there=there, flaw=f"no {part}")


def stretched(figure: Figure, part: str, factor: float) -> Figure:
    """The figure with one limb `factor` times as long."""
    near, far = STRETCHED[part]
    joints = figure.joints.copy()
    joints[far] = joints[near] + (joints[far] - joints[near]) * factor
    return replace(figure, joints=joints, flaw=f"long {part}")


def draw_figure(canvas: Canvas, figure: Figure, colour: Colour, face: Colour | None = None) -> None:
    """A filled pictogram, as `scenes.draw_person` draws it, of the joints that are there."""
    limbs, there = figure.joints[FACE:], figure.there[FACE:]
    canvas.polygon(limbs[[0, 1, 7, 6]], colour)
    for a, b in ALL_BONES:
        if there[a] and there[b]:
            canvas.limb(limbs[a], limbs[b], figure.width, colour)
    if not figure.there[0]:
        return
    nose = figure.joints[0]
    canvas.limb((limbs[0] + limbs[1]) / 2, nose, figure.width * 0.9, colour)
    canvas.disc(float(nose[0]), float(nose[1] - 0.1 * figure.head_radius), figure.head_radius, colour)
    if face is not None:
        for x, y in figure.joints[[0, 1, 2]].tolist():
            canvas.disc(x, y, figure.head_radius * 0.16, face)


def new_canvas(background: Colour, size: int = PICTURE_SIZE) -> Canvas:
    return Canvas(np.full((size * 2, size * 2, 3), background, np.uint8))


def finished(canvas: Canvas) -> Image:
    """Half as large, with smooth edges."""
    side = canvas.image.shape[0] // 2
    return cv2.resize(canvas.image, (side, side), interpolation=cv2.INTER_AREA).astype(np.uint8)


def world_picture(rng: random.Random, flaws: float = 0.0) -> Posed:
    """People exactly as the generator's world has them; each has a flaw with the chance `flaws`."""
    scene = sample_scene(rng, PEOPLE)
    canvas = new_canvas(shade(rng, scene.facts.background))
    figures: list[Figure] = []
    for thing in scene.things:
        pose = scene.facts.pose if scene.facts.pose != NO_POSE else rng.randrange(len(POSES))
        figure = figure_of(person_joints(rng, pose, thing))
        figures.append(_perhaps_flawed(rng, figure, flaws))
        draw_figure(canvas, figures[-1], shade(rng, thing.colour))
    return Posed(finished(canvas), tuple(figures), scene)


def empty_picture(rng: random.Random) -> Posed:
    """The world without people: crosses and stars more often, since they are taken for people first."""
    scene = sample_scene(rng, THINGS)
    while any(thing.shape == PERSON for thing in scene.things):
        scene = sample_scene(rng, THINGS)
    return Posed(to_pictures(render_batch([scene], rng))[0], (), scene)


def free_picture(rng: random.Random, flaws: float = 0.35) -> Posed:
    """None to four people of any colour anywhere, upright or leaning, cut off or not, with things between."""
    background = WHITE if rng.random() < 0.3 else rng.randrange(len(COLOURS))
    ground = shade(rng, background, 20)
    canvas = new_canvas(ground)
    if rng.random() < 0.25:
        _fade(canvas, shade(rng, rng.randrange(len(COLOURS)), 20))
    for _ in range(rng.choices((0, 1, 2, 3), (5, 3, 2, 1))[0]):
        _draw_thing(canvas, rng, background, ground)
    count = rng.choices((0, 1, 2, 3, 4), (6, 45, 25, 16, 8))[0]
    figures = [_placed(rng, place, count, flaws) for place in range(count)]
    for figure in figures:
        colour = shade(rng, other_than(rng, len(COLOURS), background), 20)
        light = sum(colour) > 380
        draw_figure(canvas, figure, colour, None if rng.random() < 0.6 else DARK if light else LIGHT)
    return Posed(finished(canvas), tuple(figure for figure in figures if figure.seen.sum() >= 3))


def _placed(rng: random.Random, place: int, count: int, flaws: float) -> Figure:
    """One of `count` people side by side; a single one is often cut off by an edge or seen close up."""
    height = rng.uniform(*((26, 60), (22, 46), (20, 36), (16, 28))[count - 1])
    x, y = UNITS * (place + 0.5) / count + rng.uniform(-3, 3), rng.uniform(26, 38)
    if count == 1:
        x, y = rng.uniform(18, 46), rng.uniform(24, 40)
        cut = rng.random()
        if cut < 0.12:  # close: feet, then legs leave the picture
            height = rng.uniform(70, 150)
            y = height / 2 + rng.uniform(1, 8)
        elif cut < 0.32:
            x, y = rng.choice(((rng.uniform(-6, 8), y), (rng.uniform(56, 70), y), (x, rng.uniform(46, 66))))
        elif cut < 0.36:  # the head leaves it
            y = rng.uniform(2, 14)
    figure = figure_of(person_joints(rng, rng.randrange(len(POSES)), Thing(PERSON, 0, x, y, height / 2)))
    figure = replace(figure, width=figure.width * rng.choice((0.45, 0.7, 1.0, 1.0, 1.2)))
    return _perhaps_flawed(rng, _leaning(rng, _unlike(rng, figure)), flaws)


def _unlike(rng: random.Random, figure: Figure) -> Figure:
    """Arms and legs bent each in its own way in a third of the figures."""
    if rng.random() < 0.66:
        return figure
    joints = figure.joints.copy()
    for root, joint, end in ((5, 7, 9), (6, 8, 10), (11, 13, 15), (12, 14, 16)):
        turn = rng.uniform(-0.5, 0.5) if root >= 11 else rng.uniform(-1.6, 1.6)
        joints[[joint, end]] = _turned(joints[[joint, end]], joints[root], turn)
        joints[end] = _turned(joints[[end]], joints[joint], rng.uniform(-0.7, 0.7))[0]
    return figure.moved(joints)


def _leaning(rng: random.Random, figure: Figure) -> Figure:
    if rng.random() < 0.7:
        return figure
    return figure.moved(_turned(figure.joints, figure.joints[FACE:].mean(0), rng.uniform(-0.35, 0.35)))


def _turned(points: Points, centre: Points, angle: float) -> Points:
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return (points - centre) @ turn.T + centre


def _perhaps_flawed(rng: random.Random, figure: Figure, chance: float) -> Figure:
    if rng.random() >= chance:
        return figure
    if rng.random() < 0.2:
        return stretched(figure, rng.choice(tuple(STRETCHED)), rng.uniform(2.0, 3.2))
    return flawed(figure, rng.choice(tuple(PARTS)))


def _fade(canvas: Canvas, colour: Colour) -> None:
    """A gradient from the canvas's colour towards another."""
    weight = np.linspace(0, 0.7, canvas.image.shape[0])[:, None, None]
    canvas.image[:] = (canvas.image * (1 - weight) + np.array(colour) * weight).astype(np.uint8)


def _draw_thing(canvas: Canvas, rng: random.Random, background: int, ground: Colour) -> None:
    kind = rng.randrange(PERSON)
    colour = shade(rng, other_than(rng, len(COLOURS), background), 20)
    thing = Thing(kind, 0, rng.uniform(0, UNITS), rng.uniform(0, UNITS), rng.uniform(3, 13))
    draw_shape(canvas, thing, colour, ground, rng.uniform(-0.4, 0.4))


def worn(rng: random.Random, picture: Image) -> Image:
    """The picture as it may arrive: softer, smaller and back, noisier, paler, or as it is."""
    side, kind = picture.shape[0], rng.random()
    made: NDArray[Any] = picture
    if kind < 0.25:
        small = rng.choice((48, 64, 80, 96))
        made = cv2.resize(picture, (small, small), interpolation=cv2.INTER_AREA)
        made = cv2.resize(made, (side, side), interpolation=cv2.INTER_CUBIC)
    elif kind < 0.4:
        made = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.5, 1.4))
    elif kind < 0.5:
        grain = np.random.default_rng(rng.randrange(2**32)).normal(0, rng.uniform(2, 12), picture.shape)
        made = np.clip(picture + grain, 0, 255)
    elif kind < 0.6:
        made = 127 + (picture.astype(np.float32) - 127) * rng.uniform(0.45, 0.9)
    return made.astype(np.uint8)


def label(posed: Posed) -> str:
    """The people in YOLO's text form: class, box, then x, y and visibility of every joint, as shares."""
    return "\n".join(_label(figure) for figure in posed.figures)


def _label(figure: Figure) -> str:
    left, top, right, bottom = figure.box
    box = ((left + right) / 2, (top + bottom) / 2, right - left, bottom - top)
    row = [f"{value / UNITS:.5f}" for value in box]
    for (x, y), seen in zip(figure.joints.tolist(), figure.seen.tolist(), strict=True):
        row += [f"{x / UNITS:.5f}", f"{y / UNITS:.5f}", "2"] if seen else ["0", "0", "0"]
    return " ".join(["0", *row])
