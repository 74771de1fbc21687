"""What a recipe is completed with when nobody says."""

from __future__ import annotations

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
