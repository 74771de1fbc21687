"""Questions from prompts, and what answers make of the facts."""

from __future__ import annotations

import pytest

from utils.reading.questions import MOST_QUESTIONS, Finding, Question, asking, questions_of, read_findings, unwanted


def texts(prompt: str) -> list[str]:
    return [question.text for question in questions_of(prompt)]


def findings(prompt: str, *answers: str) -> list[tuple[str, bool | None, str]]:
    return [(one.atom.kind, one.met, one.seen) for one in read_findings(questions_of(prompt), answers)]


def test_every_fact_is_asked_about_alone() -> None:
    assert texts("three red stars on a blue background") == [
        "Are there stars in the picture? Answer yes or no.",
        "How many stars are in the picture? Answer with a number.",
        "Are the stars red? Answer yes, or no and the colour that is there instead.",
        "Is the background blue? Answer yes, or no and the colour that is there instead.",
    ]


def test_a_relation_is_asked_about_after_its_things() -> None:
    cat, dog, relation = texts("a cat to the left of a dog")
    assert cat == "Is there a cat in the picture? Answer yes or no."
    assert dog == "Is there a dog in the picture? Answer yes or no."
    assert relation == "Is a cat to the left of a dog? Answer yes, or no and how it is instead."


def test_things_of_two_colours_are_counted_apart() -> None:
    asked = texts("two red circles and one blue circle")
    assert "How many red circles are in the picture? Answer with a number." in asked
    assert "How many blue circles are in the picture? Answer with a number." in asked
    assert "Is there a blue circle in the picture? Answer yes, or no and the colour that is there instead." in asked


def test_a_long_prompt_gives_eight_questions_and_counts_and_colours_come_first() -> None:
    prompt = (
        "a man with a black hat next to a woman with a red scarf and two brown dogs, "
        "in front of a white house, a tree, a river, a bridge and a castle"
    )
    kinds = [question.atom.kind for question in questions_of(prompt)]
    assert len(kinds) == MOST_QUESTIONS
    assert kinds.count("count") == 1
    assert kinds.count("colour") == 4
    implied = {"hats", "hat", "scarf", "dogs", "house"}
    assert not implied & {one.atom.noun for one in questions_of(prompt) if one.atom.kind == "subject"}


def test_a_prompt_of_which_nothing_was_understood_is_asked_about_as_a_whole() -> None:
    [question] = questions_of("a sunset")
    assert question.text == 'Does the picture show this: "a sunset"? Answer yes or no.'
    assert findings("a sunset", "no")[0][:2] == ("subject", False)


@pytest.mark.parametrize("prompt", ["", "   "])
def test_no_prompt_is_no_question(prompt: str) -> None:
    assert questions_of(prompt) == ()


@pytest.mark.parametrize(
    ("prompt", "wishes"),
    [
        ("three red stars", ["stars in plain view", "exactly three stars", "the stars are red"]),
        ("single car", ["a car in plain view", "exactly one car"]),
        ("several birds above the sea", ["birds in plain view", "several birds", "a sea in plain view"]),
    ],
)
def test_a_fact_is_said_plainly_and_never_as_a_no(prompt: str, wishes: list[str]) -> None:
    assert [question.wish for question in questions_of(prompt)][: len(wishes)] == wishes


THREE_STARS = "three red stars to the left of a cat"


@pytest.mark.parametrize(
    ("answers", "found"),
    [
        (
            ("yes", "3", "yes", "yes", "yes"),
            [
                ("subject", True, ""),
                ("count", True, ""),
                ("colour", True, ""),
                ("subject", True, ""),
                ("relation", True, ""),
            ],
        ),
        (
            ("yes", "There are two stars.", "No, they are blue", "yes", "right"),
            [
                ("subject", True, ""),
                ("count", False, "2 stars instead of 3"),
                ("colour", False, "blue stars instead of red"),
                ("subject", True, ""),
                ("relation", False, "not three red stars to the left of a cat (right)"),
            ],
        ),
        (
            ("no", "0", "yes", "yes", "yes"),
            [
                ("subject", False, "no stars"),
                ("count", False, "no stars"),
                ("colour", False, "no stars"),
                ("subject", True, ""),
                ("relation", False, "no stars"),
            ],
        ),
        (
            ("no", "3", "yes", "no", "yes"),
            [
                ("subject", None, "the answers contradict each other"),
                ("count", True, ""),
                ("colour", True, ""),
                ("subject", False, "no cat"),
                ("relation", False, "no cat"),
            ],
        ),
        (
            ("I cannot tell", "about 3"),
            [
                ("subject", None, 'the answer was "I cannot tell"'),
                ("count", None, 'the answer was "about 3"'),
                ("colour", None, "no answer"),
                ("subject", None, "no answer"),
                ("relation", None, "no answer"),
            ],
        ),
    ],
)
def test_answers_are_met_not_met_or_unknown_with_what_was_seen(
    answers: tuple[str, ...], found: list[tuple[str, bool | None, str]]
) -> None:
    assert [
        (kind, met, seen.replace("to left", "to the left")) for kind, met, seen in findings(THREE_STARS, *answers)
    ] == found


def test_a_colour_that_is_named_like_a_missing_thing_stays() -> None:
    found = findings("a peach, a peach dress", "no", "yes", "yes")
    assert [(kind, met) for kind, met, _ in found] == [("subject", False), ("subject", True), ("colour", True)]


def test_what_follows_from_a_missing_thing_is_marked() -> None:
    found = read_findings(questions_of("three red stars"), ["no", "0", "no"])
    assert [one.follows for one in found] == [False, True, True]


@pytest.mark.parametrize(
    ("answer", "met", "seen"),
    [
        ("1", True, ""),
        ("2", False, "2 cars instead of 1"),
        ("0", False, "no cars instead of 1"),
        ("many", False, "several cars instead of 1"),
        ("at least one", None, 'the answer was "at least one"'),
    ],
)
def test_one_is_one(answer: str, met: bool | None, seen: str) -> None:
    [_, count] = findings("single car", "yes", answer)
    assert count == ("count", met, seen)


@pytest.mark.parametrize(
    ("answer", "met", "seen"),
    [
        ("5", True, ""),
        ("many", True, ""),
        ("1", False, "1 bird instead of several"),
        ("more than 1", True, ""),
    ],
)
def test_several_is_more_than_one(answer: str, met: bool, seen: str) -> None:
    assert findings("several birds", "yes", answer)[1] == ("count", met, seen)


def test_only_doubles_and_wrong_colours_are_said_to_be_unwanted() -> None:
    def said(prompt: str, *answers: str) -> list[tuple[str, ...]]:
        questions = questions_of(prompt)
        return [
            unwanted(question, one) for question, one in zip(questions, read_findings(questions, answers), strict=True)
        ]

    assert said("single red car", "yes", "2", "no, blue") == [(), ("multiple cars",), ("blue car",)]
    assert said("three stars", "yes", "2") == [(), ()]
    assert said("single red car", "yes", "0", "no") == [(), (), ()]


def test_the_questions_are_asked_by_their_keys() -> None:
    lines = asking(["Is it red?", "How many?"]).splitlines()
    assert lines[1:3] == ["q1: Is it red?", "q2: How many?"]
    assert "cannot tell" in lines[0]
    assert lines[3].endswith("keys q1, q2.")


def test_answers_are_read_for_the_questions_that_were_asked() -> None:
    questions = questions_of("three red stars")
    [number] = [one for one in questions if one.atom.kind == "count"]
    assert isinstance(number, Question)
    assert read_findings([number], ["3"]) == (Finding(number.atom, True, number=3),)
