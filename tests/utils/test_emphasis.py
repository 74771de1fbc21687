"""Brackets in prompts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils.emphasis import Part, emphasis, without_emphasis


@pytest.mark.parametrize(
    ("prompt", "parts"),
    [
        ("a red circle", [("a red circle", 1.0)]),
        ("(single car:1.3) on a road", [("single car", 1.3), (" on a road", 1.0)]),
        ("a (red) circle", [("a ", 1.0), ("red", 1.1), (" circle", 1.0)]),
        ("((red))", [("red", 1.21)]),
        ("a [blue] sky", [("a ", 1.0), ("blue", 0.909), (" sky", 1.0)]),
        ("(a (big:2) house:1.5)", [("a ", 1.5), ("big", 3.0), (" house", 1.5)]),
        (r"a \(plain\) bracket", [("a (plain) bracket", 1.0)]),
        ("open (bracket", [("open (bracket", 1.0)]),
        ("closed) bracket", [("closed) bracket", 1.0)]),
        ("time 10:30", [("time 10:30", 1.0)]),
        ("score 3:4)", [("score 3:4)", 1.0)]),
        ("", []),
    ],
)
def test_brackets_become_weights(prompt: str, parts: list[tuple[str, float]]) -> None:
    assert [(part.text, pytest.approx(part.weight, abs=1e-3)) for part in emphasis(prompt)] == parts


@given(st.text(alphabet=st.characters(exclude_characters="()[]\\")))
def test_text_without_brackets_is_one_part_as_it_is(text: str) -> None:
    assert emphasis(text) == ((Part(text),) if text else ())


@given(st.text(alphabet="ab ()[]\\:1.", max_size=40))
def test_any_text_is_read_and_no_letter_is_lost(text: str) -> None:
    plain = without_emphasis(text)
    assert [letter for letter in plain if letter in "ab"] == [letter for letter in text if letter in "ab"]


@pytest.mark.parametrize("text", ["(" * 20_000, "(" * 6_000 + "a)" * 6_000, "[a" * 8_000, ")" * 20_000])
def test_a_hostile_nest_of_brackets_is_read_too(text: str) -> None:
    """Quadratic reading of these took a minute: the suite's own time limit is the judge."""
    assert emphasis(text)
