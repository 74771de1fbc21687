"""The judges of people and of bodies, with the demo pose model on drawn figures: verdicts in the recipe's terms."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

import clients
from tests.fakes import PROFILE
from tests.figures import Pictogram, group, picture, png
from utils.pose_validation import PoseDetector
from utils.validation import JudgesMissing
from workflows.judges.bodies import MALFORMED, TOO_MANY, WHOLE, PeopleJudge, PoseJudge, body_judges
from workflows.types import Advice, Media, Recipe, Verdict

DEMO = Path(clients.__file__).parent / "demo" / "pose" / "demo-pose.pt"
DETECTOR = PoseDetector(DEMO, draws=True)
PEOPLE, POSE = body_judges(lambda profile: DETECTOR)


def media(*people: Pictogram) -> Media:
    return Media(data=png(picture(*people)), media_type="image/png")


def row(count: int) -> Media:
    return Media(data=png(group(count)), media_type="image/png")


async def people(prompt: str, *pictures: Media, judge: PeopleJudge = PEOPLE) -> list[Verdict]:
    return list(await judge.judge(pictures, Recipe.checked(prompt=prompt), PROFILE))


async def pose(prompt: str, *pictures: Media, judge: PoseJudge = POSE) -> list[Verdict]:
    return list(await judge.judge(pictures, Recipe.checked(prompt=prompt), PROFILE))


@pytest.mark.models
async def test_candidates_for_one_wish_are_told_apart_by_their_number() -> None:
    one, two, three = await people("two red people on a white background", row(1), row(2), row(3))
    assert [verdict.passed for verdict in (one, two, three)] == [False, True, False]
    assert (one.score, two.score) == (0.5, 1.0)
    assert two.advice == ()
    assert one.merit is not None and three.merit is not None and two.merit is not None
    assert one.merit < three.merit < 0.5 < two.merit
    assert two.reason == "Two people found, as the prompt asks"
    assert two.atoms == {"two red people": 1.0}
    assert two.measures == {"people": 2.0, "least": 2.0, "most": 2.0}


@pytest.mark.models
async def test_too_few_are_asked_for_in_plain_words_and_too_many_kept_out_as_well() -> None:
    few, many = await people("two red people", row(1), row(3))
    assert few.advice == (Advice(cause="count", say=("exactly two people",)),)
    assert many.advice == (Advice(cause="count", say=("exactly two people",), avoid=TOO_MANY),)
    assert many.reason == "Three people found, but the prompt asks for exactly two people"
    assert (few.hard, many.hard) == (True, True)


@pytest.mark.models
async def test_people_who_were_ruled_out_are_a_fault() -> None:
    (verdict,) = await people("an empty white page, no people", row(1))
    assert (verdict.passed, verdict.score, verdict.merit) == (False, 0.0, 0.0)
    assert verdict.advice == (Advice(cause="count", say=("an empty scene",), avoid=("people", "person", "crowd")),)


async def test_a_prompt_that_asks_for_no_people_passes_without_a_look() -> None:
    """Not even the bytes are opened, and no model is loaded."""
    detector = PoseDetector("nowhere.pt")
    verdicts = await people(
        "a red car", Media(data=b"no picture", media_type="image/png"), judge=PeopleJudge(lambda _: detector)
    )
    assert verdicts == [Verdict(judge="people", passed=True, reason="The prompt asks for no people")]
    assert not detector.loaded


@pytest.mark.models
async def test_nobody_found_says_nothing_where_the_detector_does_not_know_drawings() -> None:
    photographs_only = PeopleJudge(lambda _: PoseDetector(DEMO))
    page = media()
    (drawn,) = await people("watercolor of a man", page, judge=photographs_only)
    assert (drawn.passed, drawn.merit, drawn.hard) == (None, None, False)
    assert drawn.reason.startswith("No people found where the prompt asks for exactly one person")
    (photo,) = await people("photo of a man", page, judge=photographs_only)
    (known,) = await people("watercolor of a man", page)
    assert (photo.passed, photo.hard, known.passed, known.hard) == (False, False, False, False)


@pytest.mark.models
async def test_whole_bodies_pass_whether_people_were_asked_for_or_not() -> None:
    asked, unasked = [*await pose("two people", row(2)), *await pose("a red shape", row(2))]
    assert asked.but(merit=None) == unasked  # bodies that nobody asked for are no reason to choose a picture
    assert (asked.passed, asked.score, asked.reason) == (True, 1.0, "Two people found, nothing is amiss")
    assert asked.merit is not None and asked.merit > 0.9


@pytest.mark.models
async def test_a_missing_arm_is_advice_to_paint_that_part_anew() -> None:
    (verdict,) = await pose("a person", media(Pictogram(without=("left arm",))))
    assert (verdict.passed, verdict.hard, verdict.reason) == (False, False, "A person's left arm is missing")
    (advice,) = verdict.advice
    (region,) = advice.repair
    assert advice == Advice(cause="anatomy", avoid=MALFORMED, repair=(region,))
    assert region.left < 0.6 < region.right and region.top < 0.36 < region.bottom  # the shoulder is in it


@pytest.mark.models
async def test_a_body_that_the_frame_cuts_is_a_fault_where_the_full_body_is_asked_for() -> None:
    cut = media(Pictogram(top=0.3, height=0.9))
    (plain,), (full,) = await pose("a person", cut), await pose("full body photo of a person", cut)
    assert plain.passed is True
    assert (full.passed, full.reason) == (False, "The full body is asked for, but the lower edge cuts the legs off")
    assert full.advice == (Advice(cause="anatomy", say=(WHOLE,), avoid=("cropped", "out of frame")),)


@pytest.mark.models
async def test_without_people_bodies_are_open_or_fine_as_the_prompt_has_it() -> None:
    (fine,), (open_,) = await pose("a white page", media()), await pose("a person", media())
    assert fine == Verdict(judge="pose", passed=True, reason="No people found")
    assert open_ == Verdict(judge="pose", passed=None, reason="No people found")


@pytest.mark.models
async def test_what_is_no_picture_does_not_spoil_the_verdicts_on_others() -> None:
    broken = Media(data=b"no picture", media_type="image/png")
    first, second = await people("one person", broken, row(1))
    assert (first.passed, second.passed) == (None, True)
    assert first.reason == "Not judged: the bytes are not a PNG, JPEG or WebP picture"


class Missing(PoseDetector):
    def detect(self, images: Any) -> Any:
        raise JudgesMissing


@pytest.mark.parametrize(
    ("detector", "words"),
    [(Missing(), "pip install 'atelier-mcp[judges]'"), (PoseDetector("nowhere.pt"), "set ATELIER_POSE_MODEL")],
)
async def test_a_judge_that_cannot_judge_says_why(detector: PoseDetector, words: str) -> None:
    for verdict in [
        *await people("two men", row(1), row(2), judge=PeopleJudge(lambda _: detector)),
        *await pose("two men", row(1), judge=PoseJudge(lambda _: detector)),
    ]:
        assert verdict.passed is None and verdict.reason.startswith("Not judged: ") and words in verdict.reason


@pytest.mark.models
async def test_both_judges_look_once_and_an_idle_detector_leaves_memory() -> None:
    detector = PoseDetector(DEMO, draws=True)
    told: list[bool] = []

    async def make_room(loading: PoseDetector) -> None:
        told.append(loading.loaded)

    number, body = body_judges(lambda _: detector, 0.05, make_room)
    assert number.look is body.look
    await people("a person", row(1), judge=number)
    await pose("a person", row(1), judge=body)
    assert told == [False]
    async with asyncio.timeout(20):
        while detector.loaded:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert (await people("a person", row(1), judge=number))[0].passed is True
