"""How many people prompts ask for: written as people and as tag models write, and what only looks like people."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils.reading.people import PeopleAsked, framing_asked, people_asked, stylised

ONE = [
    "a man",
    "1girl, solo",
    "a nurse, young woman, solo",
    "portrait of a man",
    "a nurse",
    "an old man and the sea",
    "close-up of a woman's face",
    "a 25 year old woman, red hair",
    "25-year-old woman",
    "an astronaut riding a horse",
    "a child blowing a dandelion",
    "one stick figure with arms stretched out, blue, on white",
    "a man walking a dog",
    "a woman dressed as a nurse",
    "a woman next to a statue of a man",
    "a woman looking at a painting of a man",
    "an oil painting of a man",
    "A woman stands in a kitchen. The woman holds a cup.",
    "a man without a hat",
    "a man, no other people",
    "man",
    "1man",
    "a woman who is a nurse",
    "a knight in armor",
    "masterpiece, (1girl:1.2), best quality, solo",
]
TWO = [
    "two men",
    "a couple",
    "a man and a woman",
    "two people standing side by side",
    "1girl, 1boy, hetero",
    "twins",
    "an astronaut and a firefighter",
    "a man with a woman",
    "A man in a suit. A woman in a dress.",
    "a mother and child",
    "a man and his son",
    "2girls",
    "(a man:1.3) and ((a woman))",
    "a pair of dancers",
    "both women",
    "two smiling women",
    "man and woman",
    "a young couple. The man wears a hat, the woman wears a dress",
    "multiple girls, 2girls, smiling",
    "Adam and Eve",
    "a painting of Adam & Eve in a garden",
    "a duo",
    "a jazz duo",
]
THREE = [
    "three women and a dog",
    "a group of three women",
    "3 black people",
    "a trio of purple people",
    "the three men",
    "a man, a woman and a child",
    "a doctor, a nurse and a firefighter",
    "three women, no men",
    "a jazz trio playing",
    "a trio singing",
]
FOUR = ["a barbershop quartet", "a string quartet on a stage"]
NOBODY = [
    "no people",
    "a city without people",
    "empty street, no humans",
    "a beach, nobody",
    "do not draw any people",
    "an unpopulated island",
    "a street without any people",
    "an empty street, no one around",
    "a beach with no one",
    "no one in the room",
]
NOT_SAID = [
    "",
    "a red car",
    "a snowman",
    "a gingerbread man",
    "statue of a man",
    "a man-made lake",
    "a robot",
    "solo",
    "a portrait of a cat",
    "superman logo",
    "a crowd of penguins",
    "a couple of cats",
    "a family of ducks",
    "a pair of shoes",
    "a mother bear with her cubs",
    "a baby elephant",
    "breast of chicken",
    "a queen bee",
    "cowboy hat on a table",
    "a toy for kids",
    "painted by a child",
    "men's shoes",
    "no man's land",
    "iron man",
    "a robot that looks like a man",
    "a chess king and queen",
    "king of hearts card",
    "the human body anatomy",
    "girl scout cookies",
    "man's best friend",
    "wax figure of a man",
    "a teddy bear dressed as a doctor",
    "a nurse shark",
    "pirate ship",
    "lego man",
    "family car",
    "a lion mother and her cubs",
    "a mermaid",
    "figure",
    "a dark blue figure on white",
    "a rubber band",
    "a wedding band on a table",
    "a cat band playing",
    "a cat duo",
    "a dessert trio",
    "a trio of cats",
    "a duo of lamps",
    "a quartet of dogs playing",
    "a jazz trio logo",
    "statue of Adam and Eve",
    "two cats named Romeo and Juliet",
    "a vase like no one has ever seen",
    "a vase like no one in the world has",
    "no one man",
]


@pytest.mark.parametrize(
    ("number", "prompt"),
    [(number, prompt) for number, prompts in enumerate((NOBODY, ONE, TWO, THREE, FOUR)) for prompt in prompts],
)
def test_a_plain_number_is_read(number: int, prompt: str) -> None:
    asked = people_asked(prompt)
    assert asked is not None
    assert (asked.least, asked.most) == (number, number)


@pytest.mark.parametrize("prompt", NOT_SAID)
def test_what_may_be_no_person_asks_for_none(prompt: str) -> None:
    assert people_asked(prompt) is None


@pytest.mark.parametrize(
    ("prompt", "least", "most"),
    [
        ("people in a park", 2, None),
        ("a group of people", 2, None),
        ("kids playing football", 2, None),
        ("a family", 2, 8),
        ("a band playing", 2, None),
        ("a rock band on stage", 2, None),
        ("a family of four", 4, 4),
        ("family portrait", 2, 8),
        ("two couples", 4, 4),
        ("a crowd of people", 4, None),
        ("6+girls", 6, None),
        ("1girl, crowd in the background", 1, None),
        ("two or three men", 2, 3),
        ("2-3 people", 2, 3),
        ("at least two men", 2, None),
        ("more than two men", 3, None),
        ("half a dozen soldiers", 6, 6),
        ("100 people", 10, None),
        ("a nurse, young woman, smiling", 1, 2),
        ("a couple, a man and a woman", 2, 4),
    ],
)
def test_what_leaves_room_is_a_range(prompt: str, least: int, most: int | None) -> None:
    asked = people_asked(prompt)
    assert asked is not None
    assert (asked.least, asked.most) == (least, most)


def test_the_answer_has_the_prompts_own_words_and_says_what_it_means() -> None:
    assert people_asked("Photo of Two Tall Men and a dog") == PeopleAsked(least=2, most=2, words="two tall men")
    meanings = [(0, 0), (1, 1), (2, 2), (2, None), (2, 8), (20, 20)]
    assert [PeopleAsked(least=least, most=most, words="").meaning for least, most in meanings] == [
        "no people",
        "exactly one person",
        "exactly two people",
        "at least two people",
        "two to eight people",
        "exactly 20 people",
    ]


def test_a_range_allows_what_lies_in_it() -> None:
    assert [PeopleAsked(least=2, most=3, words="").allows(people) for people in range(5)] == [
        False,
        False,
        True,
        True,
        False,
    ]
    assert PeopleAsked(least=2, most=None, words="").allows(40)


@pytest.mark.parametrize(
    ("prompt", "framing"),
    [
        ("close-up portrait of a woman", "close-up"),
        ("a headshot", "portrait"),
        ("portrait of a man", "portrait"),
        ("full body portrait of a man", "full body"),
        ("full-length photo of a man", "full body"),
        ("1girl, upper_body", "half body"),
        ("a man, portrait orientation", None),
        ("a man", None),
    ],
)
def test_the_framing_is_read(prompt: str, framing: str | None) -> None:
    assert framing_asked(prompt) == framing


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [("anime girl", True), ("1girl, solo", True), ("watercolor of a man", True), ("a photo of a man", False)],
)
def test_pictures_that_are_no_photographs_are_known(prompt: str, answer: bool) -> None:
    assert stylised(prompt) is answer


@pytest.mark.parametrize(
    "prompt", ["a " * 100_000, "(" * 50_000, "two " * 9_000 + "men", "man, " * 9_000, "no " * 9_000]
)
def test_no_prompt_takes_long(prompt: str) -> None:
    began = time.process_time()
    people_asked(prompt)
    framing_asked(prompt)
    stylised(prompt)
    assert time.process_time() - began < 1.0


WORDS = "two a the no man women people couple of family and , . ( ) : 1.2 with statue portrait 1girl solo's 3 - \n café"


@given(st.one_of(st.text(), st.lists(st.sampled_from(WORDS.split(" "))).map(" ".join)))
def test_no_text_makes_it_fail(prompt: str) -> None:
    asked = people_asked(prompt)
    assert asked is None or (asked.most is None or 0 <= asked.least <= asked.most)
