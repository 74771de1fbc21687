"""Short answers about pictures: lenient in the wording, strict in the sense."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils.reading.answers import read_colour, read_number, read_side, read_yes_no

YES = (
    "Yes|yes.|**Yes**, there is one.|Yeah|true|Definitely|Probably yes|There is a star in the picture.|A star|"
    "Answer: yes|Ｙｅｓ"
)
NO = (
    "No|no, there is none|nope|False|definitely not|There is no star.|I don't see any star|I cannot see any stars|none|"
    "It isn't there|There is a circle, not a star|The picture has a circle without a star"
)
UNSURE = (
    "|I cannot tell|I can't see the image|Sorry, I am unable to view images|not sure|Maybe|yes and no|N/A|unclear|"
    "cannot tell: Gemini blocked the picture (SAFETY)|A circle|There is a star, not a circle|No image was provided|"
    "It is hard to say|Yes or no|It cannot be determined|I don't know"
)


@pytest.mark.parametrize(
    ("answer", "meant"),
    [
        *((a, True) for a in YES.split("|")),
        *((a, False) for a in NO.split("|")),
        *((a, None) for a in UNSURE.split("|")),
    ],
)
def test_yes_and_no_are_read_and_doubt_is_neither(answer: str, meant: bool | None) -> None:
    assert read_yes_no(answer, "star").yes is meant


NUMBERS: dict[str, tuple[int | None, int | None]] = {
    "3": (3, 3),
    "３": (3, 3),
    "3.": (3, 3),
    "**Three**": (3, 3),
    "There are 2 stars": (2, 2),
    "a single star": (1, 1),
    "a pair of stars": (2, 2),
    "a dozen": (12, 12),
    "none": (0, 0),
    "No stars": (0, 0),
    "There are no stars in the picture": (0, 0),
    "I don't see any stars": (0, 0),
    "zero": (0, 0),
    "No, there are 2": (2, 2),
    "3 (2 red, 1 blue)": (3, 3),
    "There are 3 stars: 2 red and 1 blue": (3, 3),
    "I see two red stars and one blue circle": (2, 2),
    "one star and one circle": (1, 1),
    "at least 3": (3, None),
    "more than 5": (6, None),
    "10+": (10, None),
    "many": (2, None),
    "several stars": (2, None),
    "": (None, None),
    "I cannot tell": (None, None),
    "3-4": (None, None),
    "two or three": (None, None),
    "about 5": (None, None),
    "fewer than 4": (None, None),
    "at least a lot": (None, None),
    "1.5": (None, None),
    "one of the stars is blue": (None, None),
    "I count 2, no, 3": (None, None),
    "some circle": (2, None),
    "It is a nice picture": (None, None),
}


@pytest.mark.parametrize(("answer", "meant"), NUMBERS.items())
def test_numbers_are_read_with_the_least_and_the_most_they_may_mean(
    answer: str, meant: tuple[int | None, int | None]
) -> None:
    assert read_number(answer, "stars") == meant


COLOURS: dict[str, tuple[bool | None, str | None]] = {
    "yes": (True, None),
    "Yes, it is red": (True, None),
    "red": (True, None),
    "Crimson": (True, None),
    "dark red": (True, None),
    "reddish": (True, None),
    "red and blue": (True, None),
    "no": (False, None),
    "No, it is blue": (False, "blue"),
    "no, orange, not red": (False, "orange"),
    "blue": (False, "blue"),
    "bluish": (False, "blue"),
    "a shade of green": (False, "green"),
    "not red": (False, None),
    "it isn't red": (False, None),
    "yellow instead of red": (False, "yellow"),
    "Yes, blue": (None, None),
    "no, it is red": (None, None),
    "I cannot tell": (None, None),
    "": (None, None),
    "shiny": (None, None),
}


@pytest.mark.parametrize(("answer", "meant"), COLOURS.items())
def test_a_colour_is_met_denied_or_another(answer: str, meant: tuple[bool | None, str | None]) -> None:
    said, other = read_colour(answer, "red", "star")
    assert (said.yes, other) == meant


def test_shades_of_one_colour_are_that_colour() -> None:
    assert read_colour("no, it is grey", "silver")[0].yes is None
    assert read_colour("navy", "blue")[0].yes is True


SIDES: dict[str, bool | None] = {
    "yes": True,
    "left": True,
    "It is on the left side": True,
    "Yes, to the left": True,
    "no": False,
    "right": False,
    "No, it is to the right": False,
    "no, to the left of it there is nothing": False,
    "above": None,
    "both left and right": None,
    "yes, to the right": None,
    "cannot tell": None,
}


@pytest.mark.parametrize(("answer", "meant"), SIDES.items())
def test_a_side_is_an_answer_too(answer: str, meant: bool | None) -> None:
    assert read_side(answer, "a cat to the left of a dog").yes is meant


def test_a_relation_without_sides_takes_yes_and_no_alone() -> None:
    assert read_side("he stands left of it", "an astronaut riding a horse").yes is None
    assert read_side("no, he stands left of it", "an astronaut riding a horse").yes is False


@given(st.text(max_size=100))
def test_nothing_that_a_model_writes_breaks_the_reading(answer: str) -> None:
    least, most = read_number(answer, "stars")
    assert most is None or least == most
    read_yes_no(answer, "star")
    read_colour(answer, "red", "star")
    read_side(answer, "a cat to the left of a dog")
