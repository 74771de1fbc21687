"""The motion judge: what it says of videos, in words, and when stillness is right."""

import asyncio

import pytest
from PIL import Image

from tests.utils import films
from utils.video import encoded
from workflows.families import family
from workflows.judges import MotionJudge
from workflows.types import Media, Recipe, Verdict

PROFILE = family("demo").profile
SQUARE = Recipe(task="txt2vid", prompt="a blue square that wanders")


def grey(*levels: int) -> bytes:
    return encoded((Image.new("RGB", (64, 48), (level, level, level)) for level in levels), 8)


def told(video: bytes, recipe: Recipe = SQUARE) -> Verdict:
    judged = MotionJudge().judge([Media(data=video, media_type="video/mp4")], recipe, PROFILE)
    [verdict] = asyncio.run(judged)
    return verdict


def test_what_moves_passes_with_its_measures() -> None:
    verdict = told(films.plain(10))
    assert (verdict.judge, verdict.passed, verdict.advice) == ("motion", True, ())
    assert verdict.reason == "It moves without flicker"
    assert verdict.merit is not None
    assert verdict.merit > 0.5
    assert {"difference", "still_share", "flicker", "jumps", "ends"} <= verdict.measures.keys()


def test_what_does_not_move_fails_with_advice() -> None:
    verdict = told(grey(*[90] * 8))
    assert verdict.passed is False
    assert verdict.reason == "Nothing moves: two frames differ by 0.00 of 255 levels"
    assert "static" in verdict.advice[0].avoid
    assert verdict.merit is not None
    assert verdict.merit < 0.5


def test_what_stops_early_stands_still() -> None:
    moving = films.pictures(3)
    verdict = told(encoded([*moving, *[moving[-1]] * 8], 8))
    assert verdict.reason == "It stands still for 80% of its time"


@pytest.mark.parametrize(
    "recipe",
    [SQUARE.but(prompt="a still life with apples"), SQUARE.but(prompt="she stands still"), SQUARE.but(motion=0.0)],
)
def test_stillness_that_was_wished_for_passes(recipe: Recipe) -> None:
    verdict = told(grey(*[90] * 8), recipe)
    assert (verdict.passed, verdict.reason) == (True, "Nothing moves, as the prompt wishes")


def test_an_interpolation_is_measured_and_not_judged() -> None:
    verdict = told(grey(*[90] * 8), Recipe(task="interpolate"))
    assert (verdict.passed, verdict.measures["still_share"]) == (None, 1.0)


def test_flicker_fails_but_where_it_was_wished_for() -> None:
    video = grey(*[100, 130] * 6)
    verdict = told(video)
    assert verdict.reason == "It flickers: its lightness goes up and down by 30 of 255 levels from frame to frame"
    assert verdict.advice[0].avoid == ("flicker", "flashing")
    assert told(video, SQUARE.but(prompt="a strobe light")).passed is True


def test_colours_that_alternate_flicker_though_the_lightness_stays() -> None:
    pages = [Image.new("RGB", (64, 48), colour) for colour in ((180, 10, 10), (10, 60, 10))] * 4
    verdict = told(encoded(pages, 8))
    assert (verdict.passed, verdict.reason) == (
        False,
        "It flickers: its pixels change by 74 of 255 levels and back from frame to frame",
    )
    assert verdict.merit is not None
    assert verdict.merit < 0.5


def test_a_row_of_slides_fails_and_one_cut_does_not() -> None:
    pages = [films.pictures(3, ground=(level, level, level)) for level in (0, 120, 240, 60, 180)]
    verdict = told(encoded([frame for page in pages for frame in page], 8))
    assert verdict.reason == "It jumps 4 times in 1.9 s: a row of pictures rather than a video"
    cut = told(encoded([*pages[0], *pages[1]], 8))
    assert (cut.passed, cut.reason) == (True, "It moves without flicker, with 1 sudden jump")


@pytest.mark.parametrize("content", [b"no video", films.plain(1)])
def test_what_cannot_be_measured_is_not_judged(content: bytes) -> None:
    verdict = told(content)
    assert verdict.passed is None
    assert verdict.reason.startswith("Not judged: ")
