"""Scenes of a prompt: what is a second thing to see, and what only happens in the first."""

import pytest

from workflows.scenes import scenes


@pytest.mark.parametrize(
    ("prompt", "told"),
    [
        ("a red circle -> a blue square→two stars", ["a red circle", "a blue square", "two stars"]),
        ("a red circle ... then a blue square", ["a red circle", "a blue square"]),
        ("a red circle, then a blue square, and then a star", ["a red circle", "a blue square", "a star"]),
        ("a red circle turning into a blue square", ["a red circle", "a blue square"]),
        ("red circle then blue square => day", ["red circle", "blue square", "day"]),
        ("a caterpillar that slowly transforms into a butterfly", ["a caterpillar", "a butterfly"]),
        ("a dog -> ", ["a dog"]),
    ],
)
def test_scenes_are_what_follows_what(prompt: str, told: list[str]) -> None:
    assert scenes(prompt) == told


@pytest.mark.parametrize(
    "prompt",
    [
        "a hen and a then-known duck",
        "a sign that turns left",
        "a red circle, a blue square",
        "a woman turns to the camera and smiles",
        "a woman walks to the door, then opens it",
        "a cat on a wall, then the camera pans left",
        "a traffic light changes to green",
        "->",
        "",
    ],
)
def test_what_happens_in_a_scene_is_not_another_one(prompt: str) -> None:
    assert scenes(prompt) == [prompt]
