"""What a recipe is completed with when nobody says."""

from __future__ import annotations

import pytest

from tests.fakes import PROFILE
from workflows.completion import complete
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
