"""Are the bodies that a pose model found whole and plausible? Geometry on joints alone; no model, no pixels.

A pose model gives every person exactly 17 joints, so extra limbs and fingers cannot be seen here. What can: a limb that
is not there, a limb far too long for its body, two bodies grown into one, a head that the frame cuts off.

Places are shares of the picture's width and height; lengths are shares of its height.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import hypot
from typing import Literal

from utils.reading.people import Framing

FaultKind = Literal["count", "missing limb", "missing head", "proportions", "merged bodies", "cut off"]

JOINT_NAMES = (
    "nose", "left eye", "right eye", "left ear", "right ear", "left shoulder", "right shoulder", "left elbow",
    "right elbow", "left wrist", "right wrist", "left hip", "right hip", "left knee", "right knee", "left ankle",
    "right ankle",
)  # fmt: skip
"""The order of COCO; left and right are the person's own."""
FACE, SHOULDERS, HIPS, KNEES, ANKLES = range(5), (5, 6), (11, 12), (13, 14), (15, 16)
TORSO = (*SHOULDERS, *HIPS)
LIMBS = {
    "left arm": (5, 7, 9), "right arm": (6, 8, 10), "left leg": (11, 13, 15), "right leg": (12, 14, 16),
}  # fmt: skip
MIRRORED = {"left arm": "right arm", "right arm": "left arm", "left leg": "right leg", "right leg": "left leg"}
PARTS = {"arm": ("arm", "forearm"), "leg": ("leg", "lower leg")}
"""What is missing when a limb's second joint is gone, and when only its third is."""
SHARES = {"arm": (0.186, 0.146), "leg": (0.245, 0.246)}
"""Upper arm and forearm, thigh and shank as shares of the body's height (Drillis and Contini, 1966)."""
TORSO_SHARE = 0.288
"""Shoulder to hip: 0.818 - 0.530 of the height (the same)."""

SEEN = 0.5
"""Confidence of a joint from which it is visible (as ultralytics' models are trained: 1 for a joint that is marked)."""
GONE = 0.3
"""Confidence below which a joint whose neighbours are seen is taken as missing. Between both nothing is said."""
CERTAIN = 0.7
"""Confidence of both ends from which a segment is measured."""
TOO_LONG = 2.2
"""Times what the rest of the body lets expect. Shorter is no fault: a limb may point at the viewer."""
UNEQUAL = 2.5
"""Times the other side's segment, together with TOO_LONG_FOR_PAIR. Perspective alone stays below 2."""
TOO_LONG_FOR_PAIR = 1.6
EDGE = 0.02
"""Of the picture's edges: a box that comes so near to one is cut off by it."""
REACH = 1.2
"""Times its length that a limb may end beyond an edge for that edge to be the reason why it is not seen."""
PROFILE = 0.35
"""Shoulders nearer to each other than this share of the torso: a body from its side, which hides its other half."""
SAME = 0.07
"""Of a person's height: torsos so near to each other, on average over their joints, are one."""
ELSEWHERE = 0.25
"""Of a person's height: joints so far from each other are not the same one."""
ONE_BOX = 0.7
"""Share of two boxes' union that they have in common, from which they are one when their joints do not tell."""
CONFIDENT = 0.5
"""Box confidence from which a person's body is looked at more closely."""


@dataclass(frozen=True)
class Box:
    """Edges as shares of the picture's width and height, from the upper left."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def area(self) -> float:
        return max(0.0, self.right - self.left) * max(0.0, self.bottom - self.top)

    def shared(self, other: Box) -> float:
        """The area that lies in both."""
        return Box(
            max(self.left, other.left),
            max(self.top, other.top),
            min(self.right, other.right),
            min(self.bottom, other.bottom),
        ).area

    def holds(self, joint: Joint) -> bool:
        return self.left <= joint.x <= self.right and self.top <= joint.y <= self.bottom


@dataclass(frozen=True)
class Joint:
    """Where a joint is, and how sure the model is that it can be seen, 0 to 1."""

    x: float
    y: float
    confidence: float

    @property
    def seen(self) -> bool:
        return self.confidence >= SEEN

    @property
    def gone(self) -> bool:
        return self.confidence < GONE


@dataclass(frozen=True)
class Person:
    """A person that the model found: `confidence` of the box, and 17 joints in the order of JOINT_NAMES."""

    box: Box
    confidence: float
    joints: tuple[Joint, ...]

    @property
    def height(self) -> float:
        return self.box.bottom - self.box.top

    def sees(self, places: Sequence[int]) -> bool:
        return all(self.joints[place].seen for place in places)

    def lacks(self, places: Sequence[int]) -> bool:
        return all(self.joints[place].gone for place in places)


@dataclass(frozen=True)
class Fault:
    """What is wrong, in words for a reader, and where it could be painted anew (None: nowhere in particular)."""

    kind: FaultKind
    text: str
    region: Box | None = None


def counted(people: Sequence[Person], aspect: float) -> tuple[list[Person], list[Fault]]:
    """Each person once, the surest first, and the bodies that share a torso without being the same.

    `aspect` is the picture's width by its height. Two boxes on one skeleton are one person.
    """
    kept: list[Person] = []
    faults: list[Fault] = []
    for person in sorted(people, key=lambda one: -one.confidence):
        twin = next((other for other in kept if _one_torso(person, other, aspect)), None)
        if twin is None:
            kept.append(person)
        elif person.confidence >= CONFIDENT and _differ(person, twin, aspect):
            text = "Two bodies have grown into one: one torso with the joints of two people"
            faults.append(Fault("merged bodies", text, twin.box))
    return kept, faults


def body_faults(people: Sequence[Person], aspect: float, framing: Framing | None = None) -> list[Fault]:
    """What is wrong with the bodies of these people, each of whom is found once.

    A joint that may lie beyond an edge of the picture or behind another person is no fault, nor is a body from its
    side. `framing`: what the prompt asks to be shown.
    """
    faults: list[Fault] = []
    for person in people:
        if person.confidence >= CONFIDENT:
            body = _Body(person, [other for other in people if other is not person], aspect)
            faults += [*body.head_faults(framing), *body.framing_faults(framing)]
            faults += [*body.limb_faults(), *body.long_segments()]
    return faults


def clarity(person: Person) -> float:
    """Mean confidence of the joints of head and torso and of those that hang on a seen one, 0 to 1."""
    places = [*FACE, *TORSO]
    for limb in LIMBS.values():
        places += [end for start, end in pairwise(limb) if person.joints[start].seen]
    return sum(person.joints[place].confidence for place in places) / len(places)


class _Body:
    """One person with what may hide parts of them."""

    def __init__(self, person: Person, others: Sequence[Person], aspect: float) -> None:
        self.person, self.others, self.aspect = person, others, aspect
        self.joints = person.joints
        self.torso = self._torso()

    def head_faults(self, framing: Framing | None) -> Iterator[Fault]:
        """A head that is not there, or that the picture's upper edge cuts off. A close-up may leave it out."""
        if not (self.person.sees(SHOULDERS) and self.person.lacks(FACE)) or framing == "close-up":
            return
        neck = self._between(*SHOULDERS)
        size = max(self.torso, self._length(*SHOULDERS)) * 0.9
        region = self._around(neck.x, neck.y - size / 2, size * 0.6)
        if self._hidden(Joint(neck.x, max(0.0, neck.y - size / 2), 1.0)):
            return
        if neck.y - size * 0.5 < EDGE or self.person.box.top < EDGE:
            yield Fault("cut off", "A head is cut off at the upper edge")
        elif not self._sideways_cut():
            yield Fault("missing head", "A person has no head", region)

    def framing_faults(self, framing: Framing | None) -> Iterator[Fault]:
        """The full body was asked for, and the picture ends before the feet."""
        if framing != "full body" or any(self.joints[place].seen for place in ANKLES):
            return
        if self.person.box.bottom > 1 - EDGE:
            yield Fault("cut off", "The full body is asked for, but the lower edge cuts the legs off")

    def limb_faults(self) -> Iterator[Fault]:
        """Arms and legs of which a part is not there although what it hangs on is seen."""
        if not self.person.sees(TORSO) or self._from_the_side():
            return
        for name, (root, middle, end) in LIMBS.items():
            other = LIMBS[MIRRORED[name]]
            kind = name.split()[1]
            if self.joints[middle].gone and self.joints[end].gone:
                start, part, both = root, PARTS[kind][0], self.joints[other[1]].gone
            elif self.joints[middle].seen and self.joints[end].gone:
                start, part, both = middle, PARTS[kind][1], not self.joints[other[2]].seen
            else:
                continue
            if kind == "leg" and both:
                continue  # a table, water or long clothes hide both; nothing hides one
            size = self._expected(name, start)
            if not self._explained(start, size):
                joint = self.joints[start]
                text = f"A person's {name.split()[0]} {part} is missing"
                yield Fault("missing limb", text, self._around(joint.x, joint.y, size))

    def long_segments(self) -> Iterator[Fault]:
        """Segments far too long for the rest of the body."""
        measured = {
            (name, part): self._length(*LIMBS[name][part : part + 2]) / SHARES[name.split()[1]][part]
            for name in LIMBS
            for part in (0, 1)
            if all(self.joints[place].confidence > CERTAIN for place in LIMBS[name][part : part + 2])
        }
        for (name, part), height in measured.items():
            rest = [other for key, other in measured.items() if key != (name, part)]
            if self.person.sees(TORSO):
                rest.append(self.torso / TORSO_SHARE)
            mirrored = measured.get((MIRRORED[name], part), 0.0)
            usual = sorted(rest)[-2:]  # two segments agree on the size; one alone may be wrong itself
            if len(rest) < 3 or usual[0] <= 0:
                continue
            unequal = mirrored > 0 and height > UNEQUAL * mirrored and height > TOO_LONG_FOR_PAIR * usual[0]
            if height > TOO_LONG * usual[0] or unequal:
                text = f"A person's {name} is {height / usual[0]:.1f} times as long as the body lets expect"
                yield Fault("proportions", text, self._around_joints(LIMBS[name][part : part + 2]))

    def _torso(self) -> float:
        """Shoulder to hip; guessed from the shoulders' width where the hips are not seen."""
        if self.person.sees(HIPS):
            one, two = self._between(*SHOULDERS), self._between(*HIPS)
            return hypot((one.x - two.x) * self.aspect, one.y - two.y)
        return self._length(*SHOULDERS) * 1.1

    def _from_the_side(self) -> bool:
        return self._length(*SHOULDERS) < PROFILE * self.torso

    def _sideways_cut(self) -> bool:
        return self.person.box.left < EDGE or self.person.box.right > 1 - EDGE

    def _expected(self, name: str, start: int) -> float:
        """How long what hangs on this joint should be: as the other side's, else as the torso lets expect."""
        root, middle, end = LIMBS[MIRRORED[name]]
        part = 0 if start == LIMBS[name][0] else 1
        shares = SHARES[name.split()[1]][part:]
        usual = self.torso * sum(shares) / TORSO_SHARE
        if self.person.sees((root, middle, end)):
            other = self._length(middle, end) + (self._length(root, middle) if part == 0 else 0.0)
            return max(other, usual * 0.6)
        return usual

    def _explained(self, start: int, size: float) -> bool:
        """Whether an edge or another person may be the reason why what hangs on this joint is not seen."""
        joint, box, reach = self.joints[start], self.person.box, size * REACH
        if box.bottom > 1 - EDGE and joint.y + reach > 1:
            return True
        if box.top < EDGE and joint.y - reach < 0:
            return True
        across, middle = reach / self.aspect, sum(self.joints[place].x for place in TORSO) / len(TORSO)
        if box.left < EDGE and joint.x - across < 0 and joint.x <= middle:
            return True
        if box.right > 1 - EDGE and joint.x + across > 1 and joint.x >= middle:
            return True
        return self._hidden(joint)

    def _hidden(self, joint: Joint) -> bool:
        return any(other.box.holds(joint) for other in self.others)

    def _length(self, one: int, two: int) -> float:
        a, b = self.joints[one], self.joints[two]
        return hypot((a.x - b.x) * self.aspect, a.y - b.y)

    def _between(self, one: int, two: int) -> Joint:
        a, b = self.joints[one], self.joints[two]
        return Joint((a.x + b.x) / 2, (a.y + b.y) / 2, min(a.confidence, b.confidence))

    def _around(self, x: float, y: float, reach: float) -> Box:
        across = reach / self.aspect
        return _within(Box(x - across, y - reach, x + across, y + reach))

    def _around_joints(self, places: Sequence[int]) -> Box:
        xs, ys = [self.joints[place].x for place in places], [self.joints[place].y for place in places]
        return _within(Box(min(xs) - 0.03, min(ys) - 0.03, max(xs) + 0.03, max(ys) + 0.03))


def _within(box: Box) -> Box:
    left, top, right, bottom = (min(1.0, max(0.0, edge)) for edge in (box.left, box.top, box.right, box.bottom))
    return Box(left, top, right, bottom)


def _one_torso(one: Person, two: Person, aspect: float) -> bool:
    """Whether two boxes lie on each other and their torsos (or, without, their faces) are at the same place."""
    smaller = min(one.box.area, two.box.area)
    shared = one.box.shared(two.box)
    if smaller <= 0 or shared < 0.6 * smaller:
        return False
    apart = [_apart(one, two, place, aspect) for place in TORSO]
    known = [distance for distance in apart if distance is not None]
    if len(known) < 2:
        known = [distance for place in FACE if (distance := _apart(one, two, place, aspect)) is not None]
    if not known:
        return shared > ONE_BOX * (one.box.area + two.box.area - shared)
    return sum(known) / len(known) < SAME


def _differ(one: Person, two: Person, aspect: float) -> bool:
    """Whether joints that both are sure of are at different places, although the torso is one."""
    apart = [_apart(one, two, place, aspect, CERTAIN) for place in range(len(JOINT_NAMES)) if place not in TORSO]
    return sum(distance > ELSEWHERE for distance in apart if distance is not None) >= 2


def _apart(one: Person, two: Person, place: int, aspect: float, least: float = SEEN) -> float | None:
    """Distance of the same joint of both as a share of the larger one's height; None when it is not sure."""
    a, b = one.joints[place], two.joints[place]
    if min(a.confidence, b.confidence) < least:
        return None
    return hypot((a.x - b.x) * aspect, a.y - b.y) / max(one.height, two.height, 1e-6)
