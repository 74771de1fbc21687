"""People made for tests: pictograms drawn with Pillow and joints set by hand, whole or with a fault on purpose."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from PIL import Image, ImageDraw

from utils.body_plausibility import Box, Joint, Person

SIDE = 128
FINE = 4
"""Drawn so many times larger and shrunk, for smooth edges."""
ANGLES = {"down": 20.0, "up": 140.0, "out": 90.0}


@dataclass(frozen=True, kw_only=True)
class Pictogram:
    """A person; `x`, `top` and `height` are shares of the picture's height, left and right are the person's own.

    `without`: "head", or left or right with arm, forearm, leg or shank. `stretch`: how many times as long a forearm or
    shank is.
    """

    x: float = 0.5
    top: float = 0.12
    height: float = 0.76
    arms: str = "out"
    colour: str = "red"
    without: Sequence[str] = ()
    stretch: dict[str, float] = field(default_factory=dict[str, float])

    def draw(self, canvas: ImageDraw.ImageDraw, side: int) -> None:
        h, x, top = self.height * side, self.x * side, self.top * side
        if self.arms == "up":
            top, h = top + h * 0.1, h * 0.9
        radius, width = h * 0.11, h * 0.1
        neck, hip = top + 2 * radius + h * 0.07, top + h * 0.575
        leg = (top + h - width / 2 - hip) / 2
        for side_name, sign in (("left", 1), ("right", -1)):
            shoulder, pelvis = (x + sign * h * 0.125, neck), (x + sign * h * 0.07, hip)
            self._limb(canvas, f"{side_name} arm", "forearm", shoulder, ANGLES[self.arms] * sign, h * 0.172, width)
            self._limb(canvas, f"{side_name} leg", "shank", pelvis, 9.0 * sign, leg, width)
        corners = [(x - h * 0.125, neck), (x + h * 0.125, neck), (x + h * 0.07, hip), (x - h * 0.07, hip)]
        canvas.polygon(corners, self.colour)
        for one, two in zip(corners, [*corners[1:], corners[0]], strict=True):
            _stroke(canvas, one, two, width, self.colour)
        if "head" not in self.without:
            _stroke(canvas, (x, neck), (x, top + radius), width * 0.9, self.colour)
            _disc(canvas, (x, top + radius), radius, self.colour)

    def _limb(
        self,
        canvas: ImageDraw.ImageDraw,
        name: str,
        end_name: str,
        root: tuple[float, float],
        angle: float,
        length: float,
        width: float,
    ) -> None:
        if name in self.without:
            return
        side = name.split()[0]
        middle = _along(root, angle, length)
        _stroke(canvas, root, middle, width, self.colour)
        if f"{side} {end_name}" not in self.without:
            longer = self.stretch.get(f"{side} {end_name}", 1.0)
            _stroke(canvas, middle, _along(middle, angle, length * longer), width, self.colour)


def picture(*people: Pictogram, page: str = "white", size: tuple[int, int] = (SIDE, SIDE)) -> Image.Image:
    """The people on a plain page."""
    fine = Image.new("RGB", (size[0] * FINE, size[1] * FINE), page)
    canvas = ImageDraw.Draw(fine)
    for person in people:
        person.draw(canvas, size[1] * FINE)
    return fine.resize(size, Image.Resampling.BOX)


def group(count: int, **changes: str) -> Image.Image:
    """So many whole people side by side."""
    height = {1: 0.76, 2: 0.6, 3: 0.44}[count]
    people = [
        Pictogram(x=(place + 0.5) / count, top=0.5 - height / 2, height=height, arms=changes.get("arms", "down"))
        for place in range(count)
    ]
    return picture(*people, page=changes.get("page", "white"))


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _along(start: tuple[float, float], angle: float, length: float) -> tuple[float, float]:
    """From straight down, turned towards the right of the picture."""
    turned = math.radians(angle)
    return start[0] + length * math.sin(turned), start[1] + length * math.cos(turned)


def _stroke(
    canvas: ImageDraw.ImageDraw, one: tuple[float, float], two: tuple[float, float], width: float, colour: str
) -> None:
    canvas.line([one, two], colour, round(width))
    _disc(canvas, one, width / 2, colour)
    _disc(canvas, two, width / 2, colour)


def _disc(canvas: ImageDraw.ImageDraw, centre: tuple[float, float], radius: float, colour: str) -> None:
    x, y = centre
    canvas.ellipse((x - radius, y - radius, x + radius, y + radius), colour)


SPOTS = {
    0: (0.5, 0.2), 1: (0.52, 0.18), 2: (0.48, 0.18), 3: (0.55, 0.2), 4: (0.45, 0.2), 5: (0.58, 0.32), 6: (0.42, 0.32),
    7: (0.62, 0.43), 8: (0.38, 0.43), 9: (0.65, 0.53), 10: (0.35, 0.53), 11: (0.55, 0.55), 12: (0.45, 0.55),
    13: (0.56, 0.7), 14: (0.44, 0.7), 15: (0.57, 0.86), 16: (0.43, 0.86),
}  # fmt: skip
"""Someone who stands before us in a square picture."""


def standing(*gone: int, confidence: float = 0.9, shift: float = 0.0, down: float = 0.0, size: float = 1.0) -> Person:
    """That person moved and sized, without some joints."""
    joints = tuple(
        Joint(0.5 + (x - 0.5) * size + shift, 0.1 + (y - 0.1) * size + down, 0.05 if place in gone else 0.95)
        for place, (x, y) in sorted(SPOTS.items())
    )
    box = Box(0.5 - 0.18 * size + shift, 0.1 + down, 0.5 + 0.18 * size + shift, 0.1 + 0.8 * size + down)
    clipped = Box(max(0.0, box.left), max(0.0, box.top), min(1.0, box.right), min(1.0, box.bottom))
    return Person(clipped, confidence, joints)


def put(person: Person, **joints: tuple[float, float]) -> Person:
    """The person with joints, named j0 to j16, elsewhere."""
    changed = list(person.joints)
    for name, (x, y) in joints.items():
        changed[int(name[1:])] = Joint(x, y, 0.95)
    return replace(person, joints=tuple(changed))
