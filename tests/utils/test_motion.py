"""Motion: what stands still, moves, flickers and jumps, measured on drawn frames."""

from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from tests.utils import films
from utils.motion import Motion, motion_of


def grey(*levels: int) -> Iterator[Image.Image]:
    return (Image.new("RGB", (64, 48), (level, level, level)) for level in levels)


def grainy(count: int) -> Iterator[Image.Image]:
    chance = np.random.default_rng(3)
    return (Image.fromarray(chance.integers(120, 124, (720, 1280, 3), np.uint8)) for _ in range(count))


def test_a_picture_shown_again_and_again_is_frozen() -> None:
    assert motion_of(grey(*[90] * 5)) == Motion(
        frames=5, difference=0, liveliest=0, still_share=1, longest_still=1, flicker=0, back=0, unrest=0,
        lightness_sd=0, jumps=0, ends=0,
    )  # fmt: skip
    assert motion_of(grainy(4)).frozen


def test_a_small_thing_that_moves_before_a_quiet_ground_is_not_frozen() -> None:
    large = [Image.new("RGB", (640, 480)) for _ in range(8)]
    for page, small in zip(large, films.pictures(8), strict=True):
        page.paste(small.crop((0, 12, 40, 24)), (200, 200))
    found = motion_of(large)
    assert found.difference < 1 / 255
    assert (found.frozen, found.still_share) == (False, 0.0)


def test_what_stops_halfway_stands_still_for_the_rest() -> None:
    moving = films.pictures(5)
    found = motion_of([*moving, *[moving[-1]] * 4])
    assert (found.still_share, found.longest_still) == (0.5, 0.5)
    assert motion_of([frame for frame in moving for _ in range(2)]).longest_still == pytest.approx(1 / 9)


def test_light_that_goes_up_and_down_flickers_and_a_fade_does_not() -> None:
    assert motion_of(grey(*[100, 120] * 4)).flicker == pytest.approx(20 / 255)
    fade = motion_of(grey(*range(20, 220, 20)))
    assert (fade.flicker, fade.unrest) == (0, pytest.approx(0, abs=1e-6))
    assert fade.lightness_sd > 0.1


def test_colours_that_change_and_come_back_are_told_though_the_lightness_stays() -> None:
    red, green = (Image.new("RGB", (64, 48), colour) for colour in ((180, 10, 10), (10, 60, 10)))
    found = motion_of([red, green] * 4)
    assert found.flicker < 0.002
    assert found.back == pytest.approx(found.difference)
    assert motion_of(films.pictures(10)).back == pytest.approx(0, abs=1e-6)


def test_a_cut_is_a_jump_and_no_flicker() -> None:
    cut = motion_of([*films.pictures(5), *films.pictures(5, ground=(240, 240, 240))])
    assert (cut.jumps, cut.flicker < 0.005) == (1, True)
    assert motion_of(films.pictures(10)).jumps == 0
    assert motion_of(grey(0, 80, 160, 240)).jumps == 0  # everything always changes as much
    assert motion_of(grey(0, 0, 0, 80, 80, 80, 160, 160, 160, 240)).jumps == 0  # the same, each shown thrice


def test_the_ends_are_compared() -> None:
    assert motion_of(grey(10, 200, 61)).ends == pytest.approx(0.2)


def test_one_frame_does_not_move() -> None:
    with pytest.raises(ValueError, match="at least two"):
        motion_of(grey(1))
