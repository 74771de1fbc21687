"""From arguments to a recipe and its pictures, and what is said of arguments that cannot be used."""

from __future__ import annotations

from typing import Any

import pytest

from workflows.asking import overrides_from, pictures_from, recipe_from
from workflows.errors import BadRecipe
from workflows.types import Control, Extension, LoraUse, Recipe, Reference


def test_plain_arguments_become_the_recipe_and_unknown_ones_are_passed_over() -> None:
    given = {"prompt": "a cat", "negative_prompt": "dogs", "model": "auto", "seed": -1, "steps": 4, "wait_seconds": 9}
    assert recipe_from(given) == Recipe(prompt="a cat", negative="dogs", steps=4, auto_loras=True)


@pytest.mark.parametrize(
    ("entry", "use"),
    [
        ("detail", LoraUse(name="detail")),
        ("detail:0.8", LoraUse(name="detail", strength=0.8)),
        ("C:\\loras\\detail.safetensors", LoraUse(name="C:\\loras\\detail.safetensors")),
        ("style:v2:-0.5", LoraUse(name="style:v2", strength=-0.5)),
        (
            {"name": "detail", "strength": 1.5, "clip_strength": 0},
            LoraUse(name="detail", strength=1.5, clip_strength=0),
        ),
    ],
)
def test_a_lora_is_a_name_a_name_with_a_strength_or_an_object(entry: Any, use: LoraUse) -> None:
    assert recipe_from({"prompt": "a cat", "loras": [entry]}).loras == (use,)
    assert recipe_from({"prompt": "a cat", "loras": entry}).loras == (use,)


def test_controls_and_references_leave_their_pictures_to_the_studio() -> None:
    given = {
        "prompt": "a cat",
        "input_image": "one",
        "control": [
            {"kind": "canny", "image": "two", "strength": 0.4},
            {"kind": "depth", "image": "three", "end": 0.5},
        ],
        "reference": ["four", {"image": "five", "mode": "edit"}],
    }
    recipe = recipe_from(given)
    assert recipe.controls == (Control(kind="canny", strength=0.4), Control(kind="depth", end=0.5))
    assert recipe.references == (Reference(), Reference(mode="edit"))
    assert pictures_from(given) == {
        "source": "one",
        "control_1": "two",
        "control_2": "three",
        "reference_1": "four",
        "reference_2": "five",
    }


def test_sides_become_the_extension() -> None:
    given = {"prompt": "a cat", "left": 64, "right": 0, "top": 0, "bottom": 8}
    assert recipe_from(given, task="outpaint").extend == Extension(left=64, bottom=8)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (
            {"loras": [{"name": "a", "strenght": 1}]},
            "lora 1 cannot be 'strenght': did you mean strength, clip_strength?",
        ),
        (
            {"loras": [{"nonsense": 1}]},
            "lora 1 cannot be 'nonsense': its keys are name, strength, clip_strength, triggers.",
        ),
        ({"loras": [7]}, "lora 1 cannot be 7: it is an object of name, strength, clip_strength, triggers."),
        ({"loras": ["a", "b:9"]}, "strength of lora 2 cannot be 9.0: it is at most 4."),
        ({"control": [{"kind": "canny"}]}, "it needs an image: an image id, a path, a URL or a data URI."),
        ({"control": [{"image": "x"}]}, "kind of control 1 cannot be None: it is required."),
        (
            {"control": [{"kind": "cany", "image": "x"}]},
            "kind of control 1 cannot be 'cany': it is 'canny'",
        ),
        ({"control": [{"kind": "canny", "image": "x", "begin": 0}]}, "control 1 cannot be 'begin': "),
        ({"reference": [{"image": "x", "mode": "stile"}]}, "mode of reference 1 cannot be 'stile': "),
        ({"left": 9000}, "left cannot be 9000: "),
        ({"mask_image": "x", "mask_text": "the hat"}, "mask_text cannot be 'the hat': mask_image says where already"),
        (
            {"control": [{"kind": "canny", "image": "x", "start": 0.9, "end": 0.1}]},
            "start of control 1 cannot be 0.9: it lies before end (0.1)",
        ),
        ({"loras": ["b:9"]}, "strength of lora 1 cannot be 9.0: it is at most 4."),
    ],
)
def test_a_wrong_part_is_refused_with_its_number_and_the_nearest_right_key(given: dict[str, Any], text: str) -> None:
    with pytest.raises(BadRecipe) as caught:
        recipe_from({"prompt": "a cat"} | given)
    assert text in str(caught.value)


def test_overrides_are_what_was_given_under_the_recipes_own_names() -> None:
    given = {
        "prompt": None,
        "negative_prompt": "",
        "model": "auto",
        "seed": -1,
        "cfg": 0.0,
        "width": None,
        "image_id": "x",
    }
    assert overrides_from(given) == {"negative": "", "model": None, "seed": None, "cfg": 0.0}


def test_checks_are_read_however_they_are_written() -> None:
    for given in (["clip", "people"], ["CLIP, people"], ["clip,people", "clip"], ("Clip ", " people")):
        assert recipe_from({"prompt": "x", "checks": given}).acceptance.checks == ("clip", "people")
    with pytest.raises(BadRecipe, match="checks"):
        recipe_from({"prompt": "x", "checks": [1]})
