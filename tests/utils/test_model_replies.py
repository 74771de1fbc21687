"""Replies of language models as they really come: thoughts, fences, half JSON, lists, prose."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils.model_replies import answers_schema, read_answers, unanswered, without_thoughts

QUESTIONS = ("How many stars?", "Is it red?", "Is there a dog?")


@pytest.mark.parametrize(
    ("reply", "spoken"),
    [
        ("yes", "yes"),
        ("<think>no, or\nyes?</think>\n yes ", "yes"),
        ("<THINKING>a</THINKING>b<think>c</think>d", "bd"),
        ("it was open already</think>yes", "yes"),
        ("yes<think>but then it was cut", "yes"),
        ("<think>cut", ""),
        ("◁think▷hm◁/think▷yes", "yes"),
    ],
)
def test_thoughts_are_taken_out_closed_or_not(reply: str, spoken: str) -> None:
    assert without_thoughts(reply) == spoken


@pytest.mark.parametrize(
    "reply",
    [
        '{"q1": "3", "q2": "no", "q3": "yes"}',
        '{"q3": "yes", "q2": "no", "q1": "3"}',
        '{"q1": 3, "q2": false, "q3": true}',
        '```json\n{"q1": "3", "q2": "no", "q3": "yes"}\n```',
        'Here you are: {"q1": "3", "q2": "no", "q3": "yes"} I hope it helps.',
        'For {"q9": "x"} it is {"q1": "3", "q2": "no", "q3": "yes"}',
        '{"answers": {"q1": "3", "q2": "no", "q3": "yes"}}',
        '{"answers": ["3", "no", "yes"]}',
        '["3", "no", "yes"]',
        '[{"question": 1, "answer": 3}, {"question": 2, "answer": "no"}, {"question": 3, "answer": "yes"}]',
        '{"How many stars?": "3", "Is it red?": "no", "Is there a dog?": "yes"}',
        '{"Question 1": "3", "Question 2": "no", "answer_3": "yes"}',
        "{'q1': '3', 'q2': 'no', 'q3': 'yes'}",
        '{"q1": "3", "q2": "no", "q3": "yes",}',
        "1. 3\n2) no\n3: yes",
        "Q1: 3\n\n**Q2:** no\nq3 - yes",
        "Answers:\n- 1. 3\n- 2. no\n- 3. yes",
        "3\nno\nyes",
    ],
)
def test_the_same_answers_are_read_from_every_form(reply: str) -> None:
    assert read_answers(reply, QUESTIONS) == ("3", "no", "yes")


@pytest.mark.parametrize(
    ("reply", "answers"),
    [
        ('{"q1": "3", "q3": "yes"}', ("3", "", "yes")),
        ("1. 3\n3. yes", ("3", "", "yes")),
        ('{"q1": "3", "q2": "no", "q3": "ye', ("3", "no", "")),
        ('{"q1": "3", "q2": 1', ("3", "", "")),
        ('["3", "yes"]', ("", "", "")),
        ("3\nyes", ("", "", "")),
        ('{"q1": null, "q2": [], "q3": {"answer": {"answer": "yes"}}}', ("", "", "")),
        ('{"q4": "3", "q12": "no"}', ("", "", "")),
        ('{"q1": "3", "q1 ": "4"}', ("3", "", "")),
        ("Sorry.", ("", "", "")),
        ("", ("", "", "")),
        ("[[[[", ("", "", "")),
    ],
)
def test_what_is_not_surely_for_a_question_is_left_out(reply: str, answers: tuple[str, ...]) -> None:
    assert read_answers(reply, QUESTIONS) == answers


@pytest.mark.parametrize(
    ("reply", "answer"),
    [("There are 3 stars.", "There are 3 stars."), ('{"q1": "3"}', "3"), ("1. three", "three"), ("{", "")],
)
def test_one_question_takes_the_whole_of_a_plain_reply(reply: str, answer: str) -> None:
    assert read_answers(reply, QUESTIONS[:1]) == (answer,)


def test_the_schema_names_every_answer_and_allows_no_other() -> None:
    text = {"type": "string"}
    assert answers_schema(QUESTIONS) == {
        "type": "object",
        "properties": {"q1": text, "q2": text, "q3": text},
        "required": ["q1", "q2", "q3"],
        "additionalProperties": False,
    }


def test_a_model_that_would_not_look_answers_nothing() -> None:
    assert unanswered(QUESTIONS[:2], "blocked") == ("cannot tell: blocked",) * 2


@given(st.lists(st.text(max_size=20), min_size=1, max_size=8))
def test_what_follows_the_schema_is_read_back(answers: list[str]) -> None:
    questions = [f"What is at place {chr(97 + place)}?" for place, _ in enumerate(answers)]
    reply = json.dumps({f"q{number}": answer for number, answer in enumerate(answers, 1)})
    expected = tuple(answer.strip() for answer in answers)
    if "think" not in reply:
        assert read_answers(reply, questions) == expected


@given(st.text(max_size=200), st.integers(min_value=1, max_value=8))
def test_no_reply_breaks_the_reading(reply: str, count: int) -> None:
    assert len(read_answers(reply, [f"Is it {place}?" for place in range(count)])) == count
