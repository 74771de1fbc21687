"""Whole and plausible bodies: the geometry on joints set by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.figures import put, standing
from utils.body_plausibility import Box, Person, body_faults, counted
from utils.pose_validation import Seen, body_check
from utils.reading.people import Framing


def kinds(*people: Person, framing: Framing | None = None) -> list[str]:
    return [f"{fault.kind}: {fault.text}" for fault in body_faults(people, 1.0, framing)]


def test_one_person_in_two_boxes_is_counted_once() -> None:
    whole = standing()
    half = replace(whole, box=Box(0.32, 0.1, 0.68, 0.58), confidence=0.6)
    assert counted([half, whole], 1.0) == ([whole], [])


def test_boxes_whose_joints_say_nothing_are_one_person_where_they_lie_on_each_other() -> None:
    blurred = standing(*range(17))
    again, beside = replace(blurred, confidence=0.5), standing(*range(17), shift=0.15, confidence=0.6)
    assert counted([blurred, again, beside], 1.0) == ([blurred, beside], [])


def test_two_people_close_together_are_two() -> None:
    people = [standing(), standing(shift=0.12, confidence=0.8)]
    assert counted(people, 1.0) == (people, [])


def test_two_skeletons_on_one_torso_are_one_body_with_a_fault() -> None:
    other = put(replace(standing(), confidence=0.7), j0=(0.7, 0.6), j1=(0.72, 0.6), j9=(0.2, 0.2), j10=(0.8, 0.9))
    people, faults = counted([standing(), other], 1.0)
    assert len(people) == 1
    assert [fault.kind for fault in faults] == ["merged bodies"]
    assert body_check(Seen(tuple(people), tuple(faults))).passed is False


@pytest.mark.parametrize(
    ("gone", "faults"),
    [
        ((), []),
        ((9,), ["missing limb: A person's left forearm is missing"]),
        ((8, 10), ["missing limb: A person's right arm is missing"]),
        (
            (7, 8, 9, 10),
            ["missing limb: A person's left arm is missing", "missing limb: A person's right arm is missing"],
        ),
        ((15,), ["missing limb: A person's left lower leg is missing"]),
        ((14, 16), ["missing limb: A person's right leg is missing"]),
        ((15, 16), []),
        ((13, 14, 15, 16), []),
        ((0, 1, 2), []),
        ((0, 1, 2, 3, 4), ["missing head: A person has no head"]),
    ],
)
def test_what_is_missing_between_seen_joints_is_a_fault(gone: tuple[int, ...], faults: list[str]) -> None:
    """Except both lower legs: a table, water or long clothes hide them. A face may look away."""
    assert kinds(standing(*gone)) == faults


def test_a_limb_behind_another_person_is_no_fault() -> None:
    assert kinds(standing(9), standing(shift=0.2)) == []


def test_a_limb_beyond_an_edge_is_no_fault() -> None:
    assert kinds(standing(8, 10, shift=-0.33)) == []
    assert kinds(standing(7, 9, shift=-0.33)) == ["missing limb: A person's left arm is missing"]
    assert kinds(standing(13, 14, 15, 16, down=0.4)) == []


def test_a_body_from_its_side_may_hide_an_arm() -> None:
    side = {"j5": (0.51, 0.32), "j6": (0.49, 0.32), "j11": (0.51, 0.55), "j12": (0.49, 0.55)}
    assert kinds(put(standing(7, 9), **side)) == []


def test_a_limb_far_too_long_is_a_fault_and_a_short_one_is_not() -> None:
    long = put(standing(), j9=(0.72, 0.9))
    assert [text.partition(" is ")[0] for text in kinds(long)] == ["proportions: A person's left arm"]
    assert kinds(put(standing(), j9=(0.625, 0.45))) == []


def test_doubtful_detections_are_not_looked_at_for_faults() -> None:
    assert kinds(standing(9, confidence=0.45)) == []


def test_the_full_body_is_a_fault_only_where_the_frame_cuts_it() -> None:
    seated = standing(15, 16)
    assert kinds(seated, framing="full body") == []
    cut = replace(standing(15, 16, down=0.1), box=Box(0.3, 0.2, 0.7, 1.0))
    assert kinds(cut, framing="full body") == [
        "cut off: The full body is asked for, but the lower edge cuts the legs off"
    ]
