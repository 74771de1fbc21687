"""What language models write, made readable: thoughts taken out, JSON found, answers given back to their questions.

Pure text in, plain values out. Nothing here asks a model, and nothing here says what an answer means.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from utils.reply_pieces import Thoughts

CANNOT_TELL = "cannot tell"

_PAIR = re.compile(
    r"""["']?(?:\b[a-z]+[ _]?)?(?P<number>\d{1,2})["']?\s*:\s*"""
    r"""(?:"(?P<double>(?:[^"\\]|\\.)*)"|'(?P<single>[^'\n]*)'(?=\s*[,}\n])|(?P<bare>-?[\w.]+)(?=\s*[,}\n]))""",
    re.IGNORECASE,
)
"""One key and its value in JSON that is cut short or not quite JSON; a value that may be cut itself is left out."""
_LINE = re.compile(r"^\W*(?:q|question|answer)?\s*#?(\d{1,2})\W*[.:)\-=]+\**\s*(\S.*)$", re.IGNORECASE)
_NUMBER = re.compile(r"\d+")


def without_thoughts(text: str) -> str:
    """The reply without what a thinking model wrote to itself, such as <think>...</think>, closed or cut off."""
    thoughts = Thoughts()
    return (thoughts.feed(text) + thoughts.rest()).strip()


def answer_keys(questions: Sequence[str]) -> list[str]:
    """The name of each question in a reply: q1, q2, ..."""
    return [f"q{number}" for number, _ in enumerate(questions, 1)]


def answers_schema(questions: Sequence[str]) -> dict[str, Any]:
    """JSON schema of a reply: one object with a text under every question's key, so that no answer can shift."""
    keys = answer_keys(questions)
    texts = {key: {"type": "string"} for key in keys}
    return {"type": "object", "properties": texts, "required": keys, "additionalProperties": False}


def read_answers(reply: str, questions: Sequence[str]) -> tuple[str, ...]:
    """An answer for each question, "" where the reply has none that is surely for it.

    Reads JSON objects by q1, by 1 or by the question itself, also fenced, cut short, with single quotes or one level
    down; numbered lines; and an unnumbered list only when it has exactly as many answers as there are questions.
    """
    text = without_thoughts(reply)
    found = _from_json(text, questions) or _from_pairs(text) or _from_lines(text, questions)
    if not found and len(questions) == 1 and "{" not in text:
        return (text,)
    return tuple(found.get(number, "") for number, _ in enumerate(questions, 1))


def unanswered(questions: Sequence[str], why: str) -> tuple[str, ...]:
    """The answers of a model that would not look: none can be read as yes, no or a number."""
    return tuple(f"{CANNOT_TELL}: {why}" for _ in questions)


def _from_json(text: str, questions: Sequence[str]) -> dict[int, str]:
    """Answers by the question's number, from the first JSON in the text that holds any."""
    for start in (place for place, mark in enumerate(text) if mark in "{["):
        try:
            value = json.JSONDecoder().raw_decode(text, start)[0]
        except (ValueError, RecursionError):
            continue
        if found := _numbered(value, questions):
            return found
    return {}


def _numbered(value: object, questions: Sequence[str]) -> dict[int, str]:
    if isinstance(value, dict):
        return _from_object(cast(Mapping[str, object], value), questions)
    return _from_list(cast(list[object], value), questions) if isinstance(value, list) else {}


def _from_object(value: Mapping[str, object], questions: Sequence[str]) -> dict[int, str]:
    found: dict[int, str] = {}
    for key, answer in value.items():
        number = _number_of(key, questions)
        if number is not None:
            found.setdefault(number, _plain(answer))
    if found or len(value) != 1:
        return found
    return _numbered(next(iter(value.values())), questions)  # {"answers": ...}


def _from_list(value: list[object], questions: Sequence[str]) -> dict[int, str]:
    entries = [cast(Mapping[str, object], entry) for entry in value if isinstance(entry, dict)]
    named: dict[int, str] = {}
    for entry in entries:
        number = _number_of(
            next((str(entry[key]) for key in ("id", "number", "question", "q") if key in entry), ""), questions
        )
        if number is not None:
            named.setdefault(number, _plain(entry))
    if named or len(value) != len(questions):
        return named
    return {number: _plain(entry) for number, entry in enumerate(value, 1)}


def _number_of(key: str, questions: Sequence[str]) -> int | None:
    """Which question a key means, from 1."""
    bare = key.strip().casefold()
    for number, question in enumerate(questions, 1):
        if bare == question.strip().casefold():
            return number
    digits = _NUMBER.findall(bare)
    number = int(digits[0]) if len(digits) == 1 and len(bare) <= len("question 10") else 0
    return number if 1 <= number <= len(questions) else None


def _plain(answer: object) -> str:
    """An answer as text: true is yes, {"answer": ...} is what it holds, nothing and other shapes are ""."""
    match answer:
        case bool():
            return "yes" if answer else "no"
        case str():
            return answer.strip()
        case int() | float():
            return f"{answer:g}"
        case dict():
            inner = cast(Mapping[str, object], answer).get("answer")
            return "" if isinstance(inner, dict) else _plain(inner)
        case _:
            return ""


def _from_pairs(text: str) -> dict[int, str]:
    if "{" not in text:
        return {}
    found: dict[int, str] = {}
    for pair in _PAIR.finditer(text):
        answer = pair["double"] if pair["double"] is not None else pair["single"]
        found.setdefault(int(pair["number"]), (answer if answer is not None else pair["bare"]).strip())
    return found


def _from_lines(text: str, questions: Sequence[str]) -> dict[int, str]:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    numbered = [(int(match[1]), match[2].strip()) for line in lines if (match := _LINE.match(line))]
    if any(number <= len(questions) for number, _ in numbered):
        return dict(reversed(numbered))
    whole = len(lines) == len(questions) > 1
    return dict(enumerate(lines, 1)) if whole else {}
