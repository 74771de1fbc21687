"""What the next attempt asks for: weights, words against doubles, seeds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import PROFILE
from workflows.revise import find_subject, reseeded, revise
from workflows.types import MAX_SEED, Recipe

NO_BRACKETS = PROFILE.but(weights=False)
AGAINST_CARS = "multiple cars, duplicate, cloned, ghosting, mirrored, two cars, extra car"


def recipe(prompt: str, negative: str = "") -> Recipe:
    return Recipe.checked(prompt=prompt, negative=negative, seed=42)


def test_the_second_attempt_raises_the_subject_and_the_third_raises_it_further() -> None:
    wish = recipe("single car on a road")
    assert revise(wish, 2, PROFILE).prompt == "(single car:1.3) on a road"
    assert revise(wish, 3, PROFILE).prompt == "(single car:1.6) on a road"
    assert revise(wish, 5, PROFILE).prompt == "(single car:1.6) on a road"


def test_one_subject_gets_words_against_doubles_with_its_own_name() -> None:
    assert revise(recipe("single car on a road"), 2, PROFILE).negative == AGAINST_CARS
    assert revise(recipe("one old wolf, snow", "blurry"), 2, PROFILE).negative == (
        "blurry, multiple wolves, duplicate, cloned, ghosting, mirrored, two wolves, extra wolf"
    )


@pytest.mark.parametrize(
    ("prompt", "phrase", "noun", "alone"),
    [
        ("single red car on a country road", "single red car", "car", True),
        ("a single cat sitting on a windowsill", "single cat", "cat", True),
        ("a photo of one old man, smiling", "one old man", "man", True),
        ("single red flying bird", "single red flying bird", "bird", True),
        ("1 green triangle", "1 green triangle", "triangle", True),
        ("a stone wall", "stone wall", "wall", False),
        ("one-eyed pirate on a ship", "one-eyed pirate", "pirate", False),
        ("someone alone in a phone booth", "someone alone", "alone", False),
        ("three small green stars, black backdrop", "three small green stars", "stars", False),
        ("portrait of a woman with flowers", "woman", "woman", False),
        ("draw me a big red circle please", "big red circle", "circle", False),
    ],
)
def test_the_subject_is_found_in_the_prompt(prompt: str, phrase: str, noun: str, alone: bool) -> None:
    subject = find_subject(prompt)
    assert subject is not None
    assert (prompt[subject.start : subject.end], subject.noun, subject.alone) == (phrase, noun, alone)


def test_a_count_inside_another_word_is_no_count() -> None:
    assert revise(recipe("a stone bridge, alone in the rain"), 2, PROFILE).negative == ""


def test_an_encoder_that_reads_brackets_as_text_gets_other_words_instead() -> None:
    second = revise(recipe("single car on a road"), 2, NO_BRACKETS).prompt
    third = revise(recipe("single car on a road"), 3, NO_BRACKETS).prompt
    assert "(" not in second + third
    assert "exactly one car" in second
    assert "single car on a road" in second
    assert third != second


def test_a_family_without_negatives_gets_none() -> None:
    assert revise(recipe("single car on a road"), 2, PROFILE.but(negatives=False)).negative == ""


def test_the_users_own_brackets_are_raised_not_nested() -> None:
    assert revise(recipe("a (single car:1.2) on a road"), 2, PROFILE).prompt == "a (single car:1.56) on a road"


def test_every_attempt_has_its_own_seed() -> None:
    assert reseeded(42, 1) == 42
    assert len({reseeded(MAX_SEED, number) for number in range(1, 11)}) == 10
    assert revise(recipe("x"), 2, PROFILE).seed == reseeded(42, 2)


@given(st.text(min_size=1, max_size=300).filter(lambda text: "\0" not in text), st.integers(2, 10))
def test_any_prompt_can_be_revised(prompt: str, number: int) -> None:
    for profile in (PROFILE, NO_BRACKETS):
        revised = revise(Recipe.checked(prompt=prompt, seed=1), number, profile)
        assert revised.prompt
        assert revised.seed != 1
