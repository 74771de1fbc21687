"""The world of the demo models: flat coloured things on a flat background, drawn from symbols.

A picture is described by `Facts` (what a caption may speak of) and drawn from a `Scene` (the facts plus the
exact spot and size of every thing). Everything random comes from the `random.Random` the caller hands in, so
the same seed always gives the same pictures. Lengths are in units of 1/64 of the picture's side.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

cv2.setNumThreads(1)

Image = NDArray[np.uint8]
Points = NDArray[np.float64]
Colour = tuple[int, int, int]

UNITS = 64.0
PICTURE_SIZE = 128

COLOURS: dict[str, Colour] = {
    "red": (222, 38, 38), "green": (38, 160, 60), "blue": (38, 78, 222), "yellow": (246, 220, 48),
    "orange": (246, 136, 24), "purple": (132, 48, 172), "pink": (250, 150, 196), "brown": (128, 78, 38),
    "black": (18, 18, 18), "white": (250, 250, 250), "gray": (130, 130, 130), "cyan": (60, 205, 222),
}  # fmt: skip
COLOUR_NAMES = tuple(COLOURS)
WHITE = COLOUR_NAMES.index("white")
SHAPES = ("circle", "square", "triangle", "star", "heart", "cross", "diamond", "ring", "person")
PERSON = SHAPES.index("person")
SIZES = ("small", "medium", "large")
SMALL, MEDIUM, LARGE = range(3)
PLACES = (
    "center", "left", "right", "top", "bottom", "top left", "top right", "bottom left", "bottom right",
)  # fmt: skip
PLACE_STEPS = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (1, -1), (-1, 1), (1, 1))
POSES = ("arms down", "arms up", "arms out")
NO_POSE = len(POSES)
MIXED = 7  # the `count` of a picture of two different things: no caption of one kind is true of it

SINGLE_RADII = ((7.5, 10.0), (12.5, 16.0), (20.0, 24.0))
PAIR_RADII = ((7.0, 8.5), (10.0, 11.8), (12.6, 14.0))
TRIO_RADII = ((6.8, 7.8), (9.0, 10.2), (10.8, 11.8))
PERSON_HEIGHTS = ((0.0, 0.0), (34.0, 42.0), (49.0, 58.0))
PEOPLE_HEIGHTS = ((44.0, 43.0, 28.5), (31.0, 28.0))  # of two and of three people, by pose
CROWD_RADII = (6.5, 8.5)


@dataclass(frozen=True)
class Facts:
    """What can be said of a picture; every field but `count` is an index into the tuples above."""

    count: int
    shape: int
    colour: int
    size: int
    place: int
    background: int
    pose: int = NO_POSE

    def symbols(self) -> tuple[int, ...]:
        """The facts in the fixed order that caption predicates use."""
        return (self.count, self.shape, self.colour, self.size, self.place, self.background, self.pose)


FACT_FIELDS = ("count", "shape", "colour", "size", "place", "background", "pose")
NOTHING = (15,) * len(FACT_FIELDS)  # the symbols of a picture no caption is true of


@dataclass(frozen=True)
class Thing:
    """One thing to draw: its kind, its colour, its centre and its radius (a person's is half its height)."""

    shape: int
    colour: int
    x: float
    y: float
    radius: float


@dataclass(frozen=True)
class Scene:
    """Facts with the things that make them true."""

    facts: Facts
    things: tuple[Thing, ...]


@dataclass(frozen=True)
class Mix:
    """How often the sampler draws what.

    `odd` is the share of pictures outside the generator's world (four, five, or two different things), which
    only the judge is trained on. `shapes` are relative weights in the order of SHAPES, `sizes` those of SIZES.
    """

    single: float = 0.6
    odd: float = 0.0
    white: float = 0.42
    centred: float = 0.5
    shapes: tuple[float, ...] = (1.0, 1.0, 1.0, 1.1, 1.0, 1.0, 1.0, 1.0, 2.0)
    sizes: tuple[float, ...] = (0.22, 0.43, 0.35)


GENERATOR_MIX = Mix()
JUDGE_MIX = Mix(single=0.55, odd=0.07)


def other_than(rng: random.Random, size: int, *taken: int) -> int:
    """A random index below `size` that is none of `taken`."""
    return rng.choice([i for i in range(size) if i not in taken])


def sample_scene(rng: random.Random, mix: Mix = GENERATOR_MIX) -> Scene:
    """A random scene; its things differ from the background in colour and lie inside the picture."""
    background = WHITE if rng.random() < mix.white else rng.randrange(len(COLOURS))
    shape = rng.choices(range(len(SHAPES)), mix.shapes)[0]
    colour = other_than(rng, len(COLOURS), background)
    if rng.random() < mix.odd:
        return _odd_scene(rng, shape, colour, background)
    if rng.random() < mix.single:
        return _single_scene(rng, mix, shape, colour, background)
    return _group_scene(rng, mix, shape, colour, background)


def _single_scene(rng: random.Random, mix: Mix, shape: int, colour: int, background: int) -> Scene:
    size = rng.choices(range(3), mix.sizes)[0]
    place = 0 if size == LARGE or rng.random() < mix.centred else rng.randrange(len(PLACES))
    pose = NO_POSE
    radius = rng.uniform(*SINGLE_RADII[size])
    reach_x = reach_y = radius * 1.2 + 1
    if shape == PERSON:
        pose, size = rng.randrange(len(POSES)), max(size, MEDIUM)
        radius = rng.uniform(*PERSON_HEIGHTS[size]) / 2
        reach_y, reach_x = radius + 1, radius * (1.05 if pose == 2 else 0.75) + 1
    step_x, step_y = PLACE_STEPS[place]
    x, y = _along(rng, step_x, reach_x), _along(rng, step_y, reach_y)
    return Scene(Facts(1, shape, colour, size, place, background, pose), (Thing(shape, colour, x, y, radius),))


def _along(rng: random.Random, step: int, reach: float) -> float:
    """A coordinate near the middle (step 0) or towards one edge, with `reach` kept free of the edge."""
    room = max(0.0, UNITS / 2 - reach)
    if step == 0:
        jitter = min(2.0, room)
        return UNITS / 2 + rng.uniform(-jitter, jitter)
    return UNITS / 2 + step * room * rng.uniform(0.75, 1.0)


def _group_scene(rng: random.Random, mix: Mix, shape: int, colour: int, background: int) -> Scene:
    count = 2 if rng.random() < 0.5 else 3
    if shape == PERSON:
        return _people_scene(rng, count, colour, background)
    size = rng.choices(range(3), mix.sizes)[0]
    low, high = (PAIR_RADII if count == 2 else TRIO_RADII)[size]
    radius = rng.uniform(low, high)
    spots = _pair_spots(rng) if count == 2 else _trio_spots(rng, radius)
    jitter = 0.7 if size == LARGE else 1.2
    things = tuple(
        Thing(shape, colour, x + rng.uniform(-jitter, jitter), y + rng.uniform(-jitter, jitter),
              radius * rng.uniform(0.96, 1.03))
        for x, y in spots
    )  # fmt: skip
    return Scene(Facts(count, shape, colour, size, 0, background), things)


def _pair_spots(rng: random.Random) -> list[tuple[float, float]]:
    mid, d, layout = UNITS / 2, rng.uniform(14.8, 16.5), rng.random()
    if layout < 0.6:
        return [(mid - d, mid), (mid + d, mid)]
    if layout < 0.8:
        return [(mid, mid - d), (mid, mid + d)]
    if layout < 0.9:
        return [(mid - d, mid - d), (mid + d, mid + d)]
    return [(mid + d, mid - d), (mid - d, mid + d)]


def _trio_spots(rng: random.Random, radius: float) -> list[tuple[float, float]]:
    layout = rng.random()
    if layout < 0.4 and radius < 8.0:
        return [(11.5, 32), (32, 32), (52.5, 32)]
    if layout < 0.75:
        return [(32, 16.5), (16, 47), (48, 47)]
    return [(16, 17), (48, 17), (32, 47.5)]


def _people_scene(rng: random.Random, count: int, colour: int, background: int) -> Scene:
    """Two or three people side by side, as tall as their arms leave room for."""
    pose = rng.randrange(len(POSES) if count == 2 else 2)
    tallest = PEOPLE_HEIGHTS[count - 2][pose]
    height = tallest * rng.uniform(0.9, 1.0)
    xs = (16.5, 47.5) if count == 2 else (11.0, 32.0, 53.0)
    y = UNITS / 2 + rng.uniform(-2, 2)
    things = tuple(
        Thing(PERSON, colour, x + rng.uniform(-0.6, 0.6), y + rng.uniform(-0.6, 0.6), height / 2) for x in xs
    )
    return Scene(Facts(count, PERSON, colour, MEDIUM, 0, background, pose), things)


def _odd_scene(rng: random.Random, shape: int, colour: int, background: int) -> Scene:
    """Four or five of a kind, or two different things: right only for captions that say so."""
    pose = rng.randrange(len(POSES)) if shape == PERSON else NO_POSE
    if rng.random() < 0.5:
        count = rng.choice((4, 5))
        radius = rng.uniform(*CROWD_RADII)
        spots = [(16.0, 16.0), (48.0, 16.0), (16.0, 48.0), (48.0, 48.0), (32.0, 32.0)][:count]
        things = tuple(Thing(shape, colour, x + rng.uniform(-1, 1), y + rng.uniform(-1, 1), radius) for x, y in spots)
        return Scene(Facts(count, shape, colour, SMALL, 0, background, pose), things)
    shape2 = rng.randrange(len(SHAPES))
    colour2 = other_than(rng, len(COLOURS), background, *([colour] if shape2 == shape else []))
    (x1, y1), (x2, y2) = _pair_spots(rng)
    radius = rng.uniform(9.0, 13.0)
    things = (Thing(shape, colour, x1, y1, radius), Thing(shape2, colour2, x2, y2, radius))
    return Scene(Facts(MIXED, shape, colour, MEDIUM, 0, background, pose), things)


# ---------------------------------------------------------------------------------------------- drawing


@dataclass
class Canvas:
    """A square picture being drawn in units of 1/64 of its side, with smooth edges."""

    image: Image
    scale: float = field(init=False)

    def __post_init__(self) -> None:
        self.scale = self.image.shape[0] / UNITS

    def fixed(self, points: Points) -> NDArray[np.int32]:
        """Points as cv2 wants them: whole numbers with four binary places, pixel centres at .5."""
        return np.round((points * self.scale - 0.5) * 16).astype(np.int32)

    def polygon(self, points: Points, colour: Colour) -> None:
        cv2.fillPoly(self.image, [self.fixed(points)], colour, cv2.LINE_AA, 4)

    def disc(self, x: float, y: float, radius: float, colour: Colour) -> None:
        cx, cy = self.fixed(np.array([x, y])).tolist()
        cv2.circle(self.image, (cx, cy), round(radius * self.scale * 16), colour, -1, cv2.LINE_AA, 4)

    def limb(self, a: Points, b: Points, width: float, colour: Colour) -> None:
        """A thick line with round ends."""
        (ax, ay), (bx, by) = self.fixed(np.stack([a, b])).tolist()
        thickness = max(1, round(width * self.scale))
        cv2.line(self.image, (ax, ay), (bx, by), colour, thickness, cv2.LINE_AA, 4)


def shade(rng: random.Random, colour: int, jitter: int = 6) -> Colour:
    """The named colour, a little off, as colours in pictures are."""
    r, g, b = (min(255, max(0, v + rng.randint(-jitter, jitter))) for v in COLOURS[COLOUR_NAMES[colour]])
    return (r, g, b)


def render(scene: Scene, rng: random.Random, size: int = PICTURE_SIZE, oversample: int = 2) -> Image:
    """The scene as a `size` x `size` RGB picture; `rng` gives shades, tilts and limbs."""
    side = size * oversample
    background = shade(rng, scene.facts.background)
    canvas = Canvas(np.full((side, side, 3), background, np.uint8))
    for thing in scene.things:
        colour = shade(rng, thing.colour)
        if thing.shape == PERSON:
            pose = scene.facts.pose if scene.facts.pose != NO_POSE else rng.randrange(len(POSES))
            draw_person(canvas, person_joints(rng, pose, thing), colour)
        else:
            draw_shape(canvas, thing, colour, background, rng.uniform(-0.12, 0.12))
    if oversample == 1:
        return canvas.image
    return cv2.resize(canvas.image, (size, size), interpolation=cv2.INTER_AREA).astype(np.uint8)


def _spokes(radii: list[float], tilt: float) -> Points:
    """A closed outline around the origin, one corner a spoke, the first one straight up."""
    angles = tilt + 2 * math.pi * np.arange(len(radii)) / len(radii)
    return np.stack([np.sin(angles) * radii, -np.cos(angles) * radii], axis=1)


def _heart() -> Points:
    t = np.linspace(0, 2 * math.pi, 60)
    y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return np.stack([np.sin(t) ** 3, -y / 16], axis=1)


def _cross(arm: float = 0.36) -> Points:
    corner = [(-arm, -1.0), (arm, -1.0), (arm, -arm)]
    turns = [np.array([[math.cos(a), -math.sin(a)], [math.sin(a), math.cos(a)]]) for a in np.arange(4) * math.pi / 2]
    return np.concatenate([np.array(corner) @ turn.T for turn in turns])


def outline(shape: str, tilt: float) -> Points:
    """The outline of a shape with straight or curved edges, for radius 1 around the origin."""
    if shape == "square":
        return _spokes([1.22] * 4, math.pi / 4 + tilt * 0.5)
    if shape == "triangle":
        return _spokes([1.2] * 3, tilt * 0.6) + np.array([0.0, 0.2])
    if shape == "star":
        return _spokes([1.15, 0.48] * 5, tilt)
    if shape == "diamond":
        return np.array([(0.0, -1.2), (0.85, 0.0), (0.0, 1.2), (-0.85, 0.0)])
    return _heart() if shape == "heart" else _cross()


def draw_shape(canvas: Canvas, thing: Thing, colour: Colour, background: Colour, tilt: float) -> None:
    """Draw anything but a person."""
    name, r = SHAPES[thing.shape], thing.radius
    if name == "circle":
        canvas.disc(thing.x, thing.y, r * 0.95, colour)
    elif name == "ring":
        canvas.disc(thing.x, thing.y, r * 0.98, colour)
        canvas.disc(thing.x, thing.y, r * 0.55, background)
    else:
        canvas.polygon(outline(name, tilt) * r + np.array([thing.x, thing.y]), colour)


@dataclass(frozen=True)
class Joints:
    """A drawn person: head, then shoulders, elbows, wrists, hips, knees and ankles, left before right."""

    head: Points
    head_radius: float
    limbs: Points  # [12, 2]
    width: float


ARM_ANGLES = (((14.0, 27.0), (-8.0, 8.0)), ((130.0, 152.0), (-4.0, 14.0)), ((83.0, 97.0), (-8.0, 8.0)))


def person_joints(rng: random.Random, pose: int, thing: Thing) -> Joints:
    """Joints of an upright pictogram of a person, mirror-like but for small differences."""
    height = 2 * thing.radius
    top, head_radius = thing.y - height / 2, height * rng.uniform(0.105, 0.12)
    width = height * rng.uniform(0.095, 0.11)
    if pose == 1:  # raised arms reach over the head
        top, height = top + height * 0.1, height * 0.9
    shoulder_y, hip_y = top + 2 * head_radius + height * 0.07, top + height * rng.uniform(0.56, 0.59)
    half_shoulder, half_hip = height * rng.uniform(0.115, 0.135), height * rng.uniform(0.065, 0.08)
    arm, leg = height * rng.uniform(0.165, 0.18), (top + height - width / 2 - hip_y) * 0.5
    (low, high), (bend_low, bend_high) = ARM_ANGLES[pose]
    rows: list[list[tuple[float, float]]] = []
    for side in (1, -1):
        a = math.radians(rng.uniform(low, high))
        b = a + math.radians(rng.uniform(bend_low, bend_high))
        c = math.radians(rng.uniform(5, 14))
        shoulder, hip = (thing.x + side * half_shoulder, shoulder_y), (thing.x + side * half_hip, hip_y)
        elbow = (shoulder[0] + side * arm * math.sin(a), shoulder[1] + arm * math.cos(a))
        wrist = (elbow[0] + side * arm * math.sin(b), elbow[1] + arm * math.cos(b))
        knee = (hip[0] + side * leg * math.sin(c), hip[1] + leg * math.cos(c))
        ankle = (knee[0] + side * leg * math.sin(c) * 0.7, knee[1] + leg * math.cos(c))
        rows.append([shoulder, elbow, wrist, hip, knee, ankle])
    limbs = np.array([point for pair in zip(*rows, strict=True) for point in pair])
    return Joints(np.array([thing.x, top + head_radius]), head_radius, limbs, width)


BONES = ((0, 2), (2, 4), (1, 3), (3, 5), (6, 8), (8, 10), (7, 9), (9, 11), (0, 1), (1, 7), (7, 6), (6, 0))


def draw_person(canvas: Canvas, joints: Joints, colour: Colour) -> None:
    """A filled pictogram: torso, head, thick limbs."""
    points = joints.limbs
    canvas.polygon(points[[0, 1, 7, 6]], colour)
    for a, b in BONES:
        canvas.limb(points[a], points[b], joints.width, colour)
    canvas.limb((points[0] + points[1]) / 2, joints.head, joints.width * 0.9, colour)
    canvas.disc(float(joints.head[0]), float(joints.head[1]), joints.head_radius, colour)
