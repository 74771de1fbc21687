"""What a recipe is completed with when nobody says."""

from __future__ import annotations

import pytest

from tests.fakes import PROFILE
from workflows.completion import complete, frames_told
from workflows.types import Recipe

WISH = Recipe.checked(prompt="a red door")


def test_two_passes_without_a_size_end_half_as_large_again() -> None:
    completed = complete(WISH.but(hires=True), PROFILE)
    assert (completed.width, completed.height) == (96, 96)


def test_two_passes_with_a_size_keep_it() -> None:
    completed = complete(WISH.but(hires=True, width=128, height=64), PROFILE)
    assert (completed.width, completed.height) == (128, 64)


@pytest.mark.parametrize(
    ("asked", "size"),
    [({"aspect": "2:1", "width": 128}, (128, 64)), ({"aspect": "square"}, (64, 64)), ({"width": 128}, (128, 64))],
)
def test_a_completed_recipe_says_its_shape_once_so_that_it_can_be_completed_again(
    asked: dict[str, object], size: tuple[int, int]
) -> None:
    completed = complete(WISH.but(**asked), PROFILE)
    assert (completed.width, completed.height, completed.aspect) == (*size, None)
    assert complete(completed, PROFILE) == completed


def test_an_extension_says_how_many_frames_it_adds() -> None:
    asked = Recipe(task="extend_video", prompt="on it goes", frames=10)
    family = PROFILE.but(title="Wan", frames=81, frame_step=4, most_frames=81)
    told = "8 frames are added: the first of 9 is the last that was there."
    assert frames_told(asked, asked.but(frames=9), family) == f"9 frames instead of 10: Wan draws 4n+1 frames. {told}"
    assert frames_told(asked.but(task="txt2vid"), asked.but(frames=10), family) == ""
