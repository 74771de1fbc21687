"""Headers of safetensors files: sound ones read as they are, all others refused in words, and nothing else raised."""

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from utils.safetensors_header import (
    MOST_HEADER_BYTES,
    BadHeader,
    Header,
    Tensor,
    header_bytes_needed,
    parse_header,
    read_header,
)

ONE: dict[str, Any] = {"a": {"dtype": "F16", "shape": [2, 3], "data_offsets": [0, 12]}}


def raw(entries: object, *, length: int | None = None) -> bytes:
    return framed(entries if isinstance(entries, bytes) else json.dumps(entries).encode(), length)


def framed(text: bytes, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(text) if length is None else length) + text


def tensor(**other: Any) -> dict[str, Any]:
    return {"a": ONE["a"] | other}


# ------------------------------------------------------------------ sound files


def test_a_header_gives_types_shapes_and_metadata() -> None:
    entries = {
        "__metadata__": {"format": "pt"},
        "b.scale": {"dtype": "F32", "shape": [], "data_offsets": [12, 16]},
        "a": ONE["a"],
    }
    assert parse_header(raw(entries), len(raw(entries)) + 16) == Header(
        {"a": Tensor("F16", (2, 3)), "b.scale": Tensor("F32", ())}, {"format": "pt"}, 16
    )


def test_a_file_of_the_safetensors_library_reads_as_it_was_written(tmp_path: Path) -> None:
    numpy = pytest.importorskip("numpy")
    save_file = pytest.importorskip("safetensors.numpy").save_file
    weights = {
        "model.weight": numpy.zeros((4, 3), numpy.float16),
        "model.ids": numpy.zeros((2,), numpy.int64),
        "model.empty": numpy.zeros((0, 5), numpy.float32),
        "model.alpha": numpy.zeros((), numpy.float32),
    }
    save_file(weights, tmp_path / "a.safetensors", metadata={"modelspec.title": "Ünïcode ✓"})
    assert read_header(tmp_path / "a.safetensors") == Header(
        {
            "model.weight": Tensor("F16", (4, 3)),
            "model.ids": Tensor("I64", (2,)),
            "model.empty": Tensor("F32", (0, 5)),
            "model.alpha": Tensor("F32", ()),
        },
        {"modelspec.title": "Ünïcode ✓"},
        24 + 16 + 4,
    )


def test_spaces_behind_the_json_and_facts_in_another_order_are_sound() -> None:
    turned = {"a": dict(reversed(ONE["a"].items()))}
    assert parse_header(raw(json.dumps(turned).encode() + b"   ")).tensors == {"a": Tensor("F16", (2, 3))}


def test_a_header_with_metadata_alone_is_sound() -> None:
    assert parse_header(raw({"__metadata__": {"a": "b"}})) == Header({}, {"a": "b"}, 0)


@pytest.mark.parametrize(
    ("dtype", "shape", "size"),
    [("F4", [3], 2), ("F6_E2M3", [4], 3), ("F8_E4M3", [5], 5), ("BOOL", [2], 2), ("NEW_TYPE_9", [7], 1)],
)
def test_small_and_unheard_of_types_pass(dtype: str, shape: list[int], size: int) -> None:
    found = parse_header(raw({"a": {"dtype": dtype, "shape": shape, "data_offsets": [0, size]}}))
    assert found == Header({"a": Tensor(dtype, tuple(shape))}, {}, size)


def test_the_bytes_that_hold_the_header_are_told_from_the_first_eight() -> None:
    assert header_bytes_needed(raw(ONE)[:8]) == len(raw(ONE))
    assert header_bytes_needed(struct.pack("<Q", MOST_HEADER_BYTES)) == 8 + MOST_HEADER_BYTES


# ------------------------------------------------------------------ hostile and damaged ones

BAD: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "0 bytes"),
    "seven bytes": (b"\x10" * 7, "7 bytes"),
    "length 0": (framed(b"", 0), "0 bytes long"),
    "length of 2^63": (framed(b"{}", 2**63), "9,223,372,036,854,775,808 bytes long"),
    "a byte over 100 MB": (framed(b"{}", MOST_HEADER_BYTES + 1), "100,000,001 bytes long"),
    "longer than what is there": (framed(b"{}", 50), "cut"),
    "no JSON": (raw(b"{'a': 1}"), "not JSON"),
    "text behind the JSON": (raw(b"{} {}"), "not JSON"),
    "a list": (raw([1, 2]), "no JSON object"),
    "a number": (raw(b"12"), "no JSON object"),
    "not UTF-8": (raw(b'{"\xff": 1}'), "not UTF-8"),
    "UTF-16": (raw("{}".encode("utf-16")), "not UTF-8"),
    "half of a surrogate pair in a name": (raw(json.dumps({"\ud800": ONE["a"]}).encode()), "not UTF-8"),
    "half of a surrogate pair in a type": (raw(tensor(dtype="\ud800", data_offsets=[0, 1])), "not UTF-8"),
    "half of a surrogate pair in the metadata": (raw({"__metadata__": {"a": "\udfff"}}), "not UTF-8"),
    "nested deeply": (raw(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"), "too deeply"),
    "millions of values": (raw(b'{"a":[' + b"0," * 1_500_001 + b"0]}"), "more than 1,500,000 values"),
    "a name twice": (raw(b'{"a":%s,"a":%s}' % ((json.dumps(ONE["a"]).encode(),) * 2)), "comes twice"),
    "a fact twice": (
        raw(b'{"a":{"dtype":"F16","dtype":"F32","shape":[2,3],"data_offsets":[0,12]}}'),
        "comes twice",
    ),
    "metadata twice": (raw(b'{"__metadata__":{"a":"b","a":"c"}}'), "comes twice"),
    "NaN": (raw(b'{"a":{"dtype":"F16","shape":[NaN],"data_offsets":[0,2]}}'), "number NaN"),
    "a fraction": (raw(tensor(shape=[2.0, 3])), "number 2.0"),
    "a number of 5,000 digits": (raw(b'{"a":' + b"9" * 5000 + b"}"), "not JSON"),
    "no facts": (raw({"a": {}}), "entry of 'a'"),
    "a fact too many": (raw(tensor(more=1)), "entry of 'a'"),
    "a fact too few": (raw({"a": {"dtype": "F16", "shape": [2, 3]}}), "entry of 'a'"),
    "type is no text": (raw(tensor(dtype=16)), "entry of 'a'"),
    "type is a list": (raw(tensor(dtype=["F16"])), "entry of 'a'"),
    "shape is no list": (raw(tensor(shape=6)), "entry of 'a'"),
    "shape is text": (raw(tensor(shape="23")), "entry of 'a'"),
    "shape of text": (raw(tensor(shape=["2", "3"])), "entry of 'a'"),
    "shape of truth": (raw(tensor(shape=[True, 6])), "entry of 'a'"),
    "shape below zero": (raw(tensor(shape=[-2, -3])), "entry of 'a'"),
    "shape without end": (raw(tensor(shape=[2**62, 2**62], dtype="NEW")), "entry of 'a'"),
    "shape of a hundred dimensions": (raw(tensor(shape=[1] * 100)), "entry of 'a'"),
    "offsets of text": (raw(tensor(data_offsets=["0", "12"])), "entry of 'a'"),
    "three offsets": (raw(tensor(data_offsets=[0, 12, 24])), "entry of 'a'"),
    "offsets that do not fit": (raw(tensor(data_offsets=[0, 13])), "do not fit"),
    "offsets that go down": (raw(tensor(data_offsets=[12, 0], dtype="NEW")), "do not fit"),
    "a start below zero": (raw(tensor(data_offsets=[-12, 0])), "overlap"),
    "a hole at the start": (raw(tensor(data_offsets=[12, 24])), "hole at byte 0"),
    "a hole": (raw(ONE | {"b": {"dtype": "U8", "shape": [1], "data_offsets": [13, 14]}}), "hole at byte 12"),
    "overlapping": (raw(ONE | {"b": {"dtype": "U8", "shape": [2], "data_offsets": [11, 13]}}), "overlap at byte 11"),
    "the same place twice": (raw(ONE | {"b": ONE["a"]}), "overlap at byte 0"),
    "metadata is a list": (raw({"__metadata__": ["a"]}), "no object"),
    "metadata is no text": (raw({"__metadata__": {"a": 1}}), "something else than text"),
    "metadata is a tensor": (raw({"__metadata__": ONE["a"]}), "no object"),
    "GGUF": (b"GGUF\x03\x00\x00\x00more", "GGUF"),
    "a pickle": (b"\x80\x02}q\x00(X\x05\x00\x00\x00", "pickle"),
    "a zipped pickle": (b"PK\x03\x04\x00\x00\x08\x08archive", "pickle"),
    "a web page": (b"<!DOCTYPE html><html>", "web page"),
    "an error message": (b'{"error":"Unauthorized"}', "JSON text"),
    "a Git LFS pointer": (b"version https://git-lfs.github.com/spec/v1", "Git LFS"),
}


@pytest.mark.parametrize(("content", "words"), BAD.values(), ids=list(BAD))
def test_what_is_no_sound_header_is_refused_in_words(content: bytes, words: str, tmp_path: Path) -> None:
    with pytest.raises(BadHeader, match=words):
        parse_header(content)
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(BadHeader):
        read_header(tmp_path / "file")


@pytest.mark.parametrize(("change", "words"), [(-1, "it was cut"), (1, "appended")])
def test_a_file_of_another_size_than_its_header_says_is_refused(change: int, words: str, tmp_path: Path) -> None:
    with pytest.raises(BadHeader, match=words):
        parse_header(raw(ONE), len(raw(ONE)) + 12 + change)
    (tmp_path / "file").write_bytes(raw(ONE) + b"\0" * (12 + change))
    with pytest.raises(BadHeader, match=words):
        read_header(tmp_path / "file")


def test_a_header_that_would_not_fit_into_the_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(framed(b"{}", 90_000_000))
    with pytest.raises(BadHeader, match="90,000,008 bytes, but the file has 10"):
        read_header(tmp_path / "file")


def test_a_fault_names_a_tensor_without_its_whole_length() -> None:
    with pytest.raises(BadHeader) as refusal:
        parse_header(raw({"x" * 10_000: {}}))
    assert len(str(refusal.value)) < 250


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir], ids=["a pipe", "a folder"])
def test_what_is_no_file_is_refused_at_once(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / "thing")
    with pytest.raises(BadHeader, match="not a regular file"):
        read_header(tmp_path / "thing")


def test_a_file_that_is_not_there_is_the_systems_own_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_header(tmp_path / "nothing")


# ------------------------------------------------------------------ whatever the bytes are

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
FACTS = st.fixed_dictionaries(
    {"dtype": st.sampled_from(["F16", "U8", "F4", "ODD"]) | JSON, "shape": st.lists(st.integers(-1, 9)) | JSON},
    optional={"data_offsets": st.lists(st.integers(-1, 99), max_size=3) | JSON, "more": JSON},
)


@given(st.binary(max_size=80) | st.binary(max_size=80).map(framed))
@example(framed(b"\xef\xbb\xbf{}"))
@example(framed(b"[" * 5000))
def test_no_bytes_raise_anything_but_bad_header(content: bytes) -> None:
    try:
        parse_header(content)
    except BadHeader as refusal:
        assert str(refusal)


@given(st.dictionaries(st.text(max_size=4) | st.just("__metadata__"), FACTS | JSON, max_size=4), st.integers(0, 200))
def test_no_json_raises_anything_but_bad_header(entries: dict[str, Any], size: int) -> None:
    content = raw(entries)
    try:
        found = parse_header(content, len(content) + size)
    except BadHeader:
        return
    assert found.data_bytes == size


NAMES = st.text(st.characters(codec="utf-8"), max_size=8).filter(lambda name: name != "__metadata__")


@given(
    st.dictionaries(NAMES, st.tuples(st.sampled_from(["U8", "F16", "F32"]), st.lists(st.integers(0, 4), max_size=3))),
    st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=8), st.text(st.characters(codec="utf-8"))),
)
def test_what_was_written_is_read(tensors: dict[str, tuple[str, list[int]]], metadata: dict[str, str]) -> None:
    entries: dict[str, Any] = {"__metadata__": metadata}
    end = 0
    for name, (dtype, shape) in tensors.items():
        start, end = end, end + {"U8": 1, "F16": 2, "F32": 4}[dtype] * Tensor(dtype, tuple(shape)).elements
        entries[name] = {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}
    expected = {name: Tensor(dtype, tuple(shape)) for name, (dtype, shape) in tensors.items()}
    assert parse_header(raw(entries)) == Header(expected, metadata, end)
