"""The order of a hearing, who is left out of it, and which attempt is the best."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.fakes import PROFILE, FakeJudge, png
from workflows.judges.panel import Panel
from workflows.judges.ranking import best_of, clearly_good, merit
from workflows.types import Acceptance, Attempt, FamilyProfile, Media, Recipe, Verdict

RECIPE = Recipe.checked(prompt="a red circle")
UNJUDGED = RECIPE.but(acceptance=Acceptance(validate=False))
PICTURES = [Media(data=png(colour=(shade, 0, 0)), media_type="image/png") for shade in (10, 20, 30)]


class Witness(FakeJudge):
    """A fake that remembers which pictures it was shown."""

    def __init__(self, name: str, hard: tuple[int, ...] = (), scores: Sequence[float] = (0.3,)) -> None:
        super().__init__(name=name, hard=hard, scores=list(scores))
        self.shown: list[Media] = []

    async def judge(self, pictures: Sequence[Media], recipe: Recipe, profile: FamilyProfile) -> Sequence[Verdict]:
        self.shown += pictures
        return await super().judge(pictures, recipe, profile)


async def test_a_hard_no_ends_the_hearing_of_that_picture_alone() -> None:
    quality, clip = Witness("quality", hard=(2,)), Witness("clip")
    said = await Panel(judges=[quality, clip]).verdicts(PICTURES, RECIPE, PROFILE)
    assert [[verdict.judge for verdict in verdicts] for verdicts in said] == [
        ["quality", "clip"],
        ["quality"],
        ["quality", "clip"],
    ]
    assert clip.shown == [PICTURES[0], PICTURES[2]]


async def test_nobody_is_asked_about_pictures_that_are_all_out() -> None:
    clip = Witness("clip")
    await Panel(judges=[Witness("quality", hard=(1, 2, 3)), clip]).verdicts(PICTURES, RECIPE, PROFILE)
    assert clip.shown == []


async def test_the_gate_sees_the_whole_and_the_others_the_part_that_the_words_speak_of() -> None:
    gate, clip = Witness("content"), Witness("clip")
    said = await Panel(judges=[clip], gate=gate).verdicts(PICTURES[:1], RECIPE, PROFILE, PICTURES[1:2])
    assert (gate.shown, clip.shown) == (PICTURES[:1], PICTURES[1:2])
    assert [verdict.judge for verdict in said[0]] == ["clip"]


async def test_a_gate_that_was_asked_for_as_a_check_is_heard_once_and_told() -> None:
    gate = Witness("content")
    panel = Panel(judges=[gate], gate=gate)
    (said,) = await panel.verdicts(PICTURES[:1], RECIPE, PROFILE)
    assert ([verdict.judge for verdict in said], len(gate.shown)) == (["content"], 1)
    assert await panel.verdicts(PICTURES[:1], UNJUDGED, PROFILE) == [()]


def test_without_validation_only_a_gate_hears() -> None:
    assert not Panel(judges=[FakeJudge()]).hears(UNJUDGED)
    assert Panel(judges=[FakeJudge()], gate=FakeJudge(name="content")).hears(UNJUDGED)


def attempt(number: int, *verdicts: Verdict) -> Attempt:
    shape = {"media_type": "image/png", "width": 64, "height": 64, "model": "m"}
    return Attempt.checked(number=number, recipe=RECIPE, key=f"{number}.png", verdicts=verdicts, **shape)


def verdict(judge: str, passed: bool | None, merit_: float | None = None, **more: object) -> Verdict:
    return Verdict.checked(judge=judge, passed=passed, merit=merit_, reason="because", **more)


def test_the_composite_weighs_the_wish_before_bodies_before_sharpness() -> None:
    assert merit([verdict("clip", True, 1.0), verdict("pose", True, 0.0)]) == pytest.approx(0.5 / 0.8)
    assert merit([verdict("pose", True, 1.0), verdict("quality", True, 0.0)]) == pytest.approx(0.3 / 0.5)
    assert merit([verdict("people", True), verdict("clip", True, 0.6)]) == pytest.approx(0.6)
    assert merit([verdict("clip", None)]) is None


def test_the_best_is_shown_not_barred_then_passed_then_of_fewest_faults_then_of_most_merit() -> None:
    barred = attempt(1, verdict("clip", True, 1.0), verdict("content", False, barred=True))
    faulty = attempt(2, verdict("clip", False, 0.4), verdict("pose", False, 0.4))
    missing = attempt(3, verdict("clip", False, 0.1), verdict("pose", True, 0.6))
    passed = attempt(4, verdict("clip", True, 0.5), verdict("pose", True, 0.5))
    better = attempt(5, verdict("clip", True, 0.9), verdict("pose", True, 0.5))
    same = attempt(6, verdict("clip", True, 0.9), verdict("pose", True, 0.5))
    line = [same, better, passed, missing, faulty, barred]
    assert [best_of(line[start:]).number for start in range(6)] == [5, 5, 4, 3, 2, 1]


def test_only_a_pass_of_much_merit_is_clearly_good() -> None:
    assert clearly_good(attempt(1, verdict("clip", True, 0.9)))
    assert not clearly_good(attempt(1, verdict("clip", True, 0.6)))
    assert not clearly_good(attempt(1, verdict("clip", False, 0.9)))
    assert not clearly_good(attempt(1, verdict("clip", None)))


class Breaking(FakeJudge):
    """A judge with a fault that nobody foresaw."""

    async def judge(self, pictures: Sequence[Media], recipe: Recipe, profile: FamilyProfile) -> Sequence[Verdict]:
        raise MemoryError("no room")


async def test_a_judge_that_breaks_costs_no_picture(caplog: pytest.LogCaptureFixture) -> None:
    (said,) = await Panel(judges=[Breaking(name="pose"), FakeJudge()]).verdicts(PICTURES[:1], RECIPE, PROFILE)
    assert [(one.judge, one.passed) for one in said] == [("pose", None), ("clip", True)]
    assert said[0].reason == "Not judged: MemoryError: no room"
    assert "the judge pose broke" in caplog.text


async def test_a_gate_that_breaks_lets_nothing_through() -> None:
    gate = Breaking(name="content")
    (said,) = await Panel(judges=[FakeJudge()], gate=gate).verdicts(PICTURES[:1], RECIPE, PROFILE)
    assert [(one.judge, one.passed, one.barred) for one in said] == [("content", False, True)]
