"""Figures drawn for the traps: whole, without an arm or a leg, cut off by the edge."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np
from world import scenes

if TYPE_CHECKING:
    from looks import Image

Drawing = tuple[scenes.Scene, "Image"]
LIMBS: dict[str, tuple[tuple[tuple[int, int], ...], ...]] = {
    "arm": (((0, 2), (2, 4)), ((1, 3), (3, 5))),
    "leg": (((6, 8), (8, 10)), ((7, 9), (9, 11))),
}
"""Bones of the one and of the other, by the numbers of scenes.BONES."""
ARMS_DOWN = 0


def people_apart(rng: random.Random, count: int) -> Drawing:
    """As many whole figures as said, in a world's picture."""
    mix = scenes.Mix(shapes=(0.0,) * scenes.PERSON + (1.0,), single=float(count == 1), sizes=(0.0, 0.4, 0.6))
    while (scene := scenes.sample_scene(rng, mix)).facts.count != count:
        pass
    return scene, scenes.render(scene, rng)


def maimed(rng: random.Random, part: Literal["arm", "leg"]) -> Drawing:
    """One figure without one of its arms or legs."""
    scene, _ = people_apart(rng, 1)
    gone = rng.choice(LIMBS[part])
    return scene, figure(rng, scene, frozenset(gone))


def cut_off(rng: random.Random) -> Drawing:
    """One figure that the lower edge cuts off between hips and knees, or a side edge through the body."""
    facts = _alone(rng)
    height = rng.uniform(60, 84)
    if rng.random() < 0.7:
        thing = scenes.Thing(scenes.PERSON, facts.colour, 32 + rng.uniform(-2, 2), 0, height / 2)
        top = scenes.UNITS - height * rng.uniform(0.5, 0.7)
        thing = _at(thing, thing.x, top + height / 2)
    else:
        side = rng.choice((-1, 1))
        x = scenes.UNITS / 2 + side * (scenes.UNITS / 2 - rng.uniform(0, 3))
        thing = scenes.Thing(scenes.PERSON, facts.colour, x, 32, rng.uniform(24, 28))
    scene = scenes.Scene(facts, (thing,))
    return scene, figure(rng, scene, frozenset())


def close_up(rng: random.Random) -> Drawing:
    """Head, shoulders and arms of one large figure; the legs lie below the picture."""
    facts = _alone(rng)
    height = rng.uniform(84, 104)
    thing = scenes.Thing(
        scenes.PERSON, facts.colour, 32 + rng.uniform(-1, 1), rng.uniform(3, 7) + height / 2, height / 2
    )
    scene = scenes.Scene(facts, (thing,))
    return scene, figure(rng, scene, frozenset())


def _alone(rng: random.Random) -> scenes.Facts:
    background = scenes.WHITE if rng.random() < 0.5 else rng.randrange(len(scenes.COLOURS))
    colour = scenes.other_than(rng, len(scenes.COLOURS), background)
    return scenes.Facts(1, scenes.PERSON, colour, scenes.LARGE, 0, background, ARMS_DOWN)


def _at(thing: scenes.Thing, x: float, y: float) -> scenes.Thing:
    return scenes.Thing(thing.shape, thing.colour, x, y, thing.radius)


def figure(rng: random.Random, scene: scenes.Scene, gone: frozenset[tuple[int, int]]) -> Image:
    """The scene's one figure without some of its bones, as scenes.draw_person draws the rest."""
    side = scenes.PICTURE_SIZE * 2
    canvas = scenes.Canvas(np.full((side, side, 3), scenes.shade(rng, scene.facts.background), np.uint8))
    joints = scenes.person_joints(rng, scene.facts.pose, scene.things[0])
    colour, points = scenes.shade(rng, scene.facts.colour), joints.limbs
    canvas.polygon(points[[0, 1, 7, 6]], colour)
    for a, b in scenes.BONES:
        if (a, b) not in gone:
            canvas.limb(points[a], points[b], joints.width, colour)
    canvas.limb((points[0] + points[1]) / 2, joints.head, joints.width * 0.9, colour)
    canvas.disc(float(joints.head[0]), float(joints.head[1]), joints.head_radius, colour)
    return cv2.resize(canvas.image, (scenes.PICTURE_SIZE,) * 2, interpolation=cv2.INTER_AREA).astype(np.uint8)
