"""What a file of presets may hold, and what its author is told."""

import json
from typing import Any

import pytest

from tests.workflows.presets.kit import flat, group, style
from workflows.presets.files import MOST_BYTES, BrokenFile, CategoryFile, FlatEntry, FlatFile, read


def told(content: object) -> str:
    with pytest.raises(BrokenFile) as raised:
        read(content if isinstance(content, bytes) else json.dumps(content).encode())
    return str(raised.value)


def category(**more: Any) -> dict[str, Any]:
    return style("Sea", "open sea", kind="category") | more


def test_a_file_of_flat_presets_is_read() -> None:
    content = json.dumps(flat(style(negative="sun", hint="realistic"))).encode()
    fog = FlatEntry(id="fog", name="Fog", text="thick fog", negative="sun", hint="realistic")
    assert read(content) == read(b"\xef\xbb\xbf" + content) == FlatFile(kind="style", presets=(fog,))


def test_a_category_need_not_repeat_what_it_adds_to() -> None:
    file = read(json.dumps(category(text="", types=[style("Storm", "")])).encode())
    assert isinstance(file, CategoryFile)
    assert [(type_.id, type_.text, type_.artists) for type_ in file.types] == [("storm", "", ())]


BROKEN: list[tuple[object, str]] = [
    (b"", "it is not JSON: EOF while parsing a value at line 1 column 0"),
    (b'{\n"kind": style}', "it is not JSON: expected value at line 2 column 9"),
    (b'{"kind": "style', "it is not JSON: EOF while parsing a string at line 1 column 15"),
    (b"[" * 100_000, "it is not JSON: recursion limit exceeded at line 1 column 202"),
    (b'{"kind": "\xff"}', "it is not UTF-8 at byte 10"),
    (b" " * (MOST_BYTES + 1), "it has over 1,048,576 bytes"),
    ([], "Input should be an object"),
    ({}, "kind: it is style, artist, composition, lighting, category, universal or packs"),
    ({"kind": "styles"}, "kind: it is style, artist, composition, lighting, category, universal or packs"),
    ({"kind": "style"}, "presets: it is required"),
    (flat(style(), style("Rain", colour="red")), "presets 2 (rain), colour: there is no such field"),
    (flat(style() | {"text": ""}), "presets 1 (fog), text: String should have at least 1 character"),
    (flat(style() | {"adult": "yes"}), "presets 1 (fog), adult: Input should be a valid boolean"),
    (flat(style(), style()), "two presets have the id fog"),
    (category(types=[style("A"), style("A")]), "two types have the id a"),
    (category(types=[style("A", artists=[style("B"), style("B")])]), "types 1 (a): two artists have the id b"),
    (
        category(technical=[group("lens", "wide")], specifics=[group("lens", "long")]),
        "two groups of technical and specifics have the id lens",
    ),
    ({"kind": "universal", "groups": [group("mood", "a", "a")]}, "groups 1 (mood): two options have the id a"),
    (
        {"kind": "universal", "groups": [group("style", "a")]},
        "a universal group cannot have the id style, which stands for presets already",
    ),
    ({"kind": "packs", "packs": [{"id": "a", "name": "A", "presets": []}]}, "packs 1 (a), presets: "),
]


@pytest.mark.parametrize(("content", "why"), BROKEN)
def test_a_broken_file_says_where_and_why(content: object, why: str) -> None:
    assert told(content).startswith(why)


@pytest.mark.parametrize(
    "text", ["(fog:1.3)", "[fog]", "{fog|rain}", "<lora:fog:1>", "fog\nrain", "fog\\", "fo\u202eg"]
)
def test_a_text_has_no_weights_markup_or_hidden_characters(text: str) -> None:
    rule = "it is one line of plain words, without brackets, weights, backslashes and hidden characters"
    assert told(flat(style(text=text))) == f"presets 1 (fog), text: {rule}"
    assert told(flat(style(negative=text))) == f"presets 1 (fog), negative: {rule}"


def test_of_many_faults_the_first_are_told() -> None:
    said = told(flat(*(style(f"Fog {number}", "") for number in range(9))))
    assert said.count("at least 1 character") == 3
    assert said.endswith("; and 6 more")
