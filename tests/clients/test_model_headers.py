"""Headers read in a row: the same as one by one, whatever was read before."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from clients._model_files.headers import Headers
from tests.weight_files import shapes, write_weights
from utils.safetensors_header import BadHeader, read_header

TENSORS = shapes("lora", "sdxl", light=True)


def test_files_that_differ_in_their_metadata_alone_share_their_tensors(tmp_path: Path) -> None:
    told = [{"name": "a"}, {"name": "bb", "title": '猫 \\ "}'}, {}]
    paths = [write_weights(tmp_path / f"{number}.safetensors", TENSORS, said) for number, said in enumerate(told)]
    headers = Headers()
    read = [headers.read(path) for path in paths]
    assert read == [read_header(path) for path in paths]
    assert read[0].tensors is read[1].tensors
    assert [dict(header.metadata) for header in read] == told


@pytest.mark.parametrize("more", [0, 1, 2, 3])
def test_long_metadata_is_read_whole_wherever_its_letters_fall(tmp_path: Path, more: int) -> None:
    told = [{"name": "a" * more + "猫" * 100_000}, {"name": "b" * more + "猫" * 30_000}]
    paths = [write_weights(tmp_path / f"{number}.safetensors", TENSORS, said) for number, said in enumerate(told)]
    headers = Headers()
    read = [headers.read(path) for path in paths]
    assert read == [read_header(path) for path in paths]
    assert read[0].tensors is read[1].tensors


@pytest.mark.parametrize("told", ['{"name":"a","name":"b"}', '{"name":"\\ud83d"}', '{"name":"\\ude00\\ud83d"}'])
def test_metadata_that_is_not_sound_is_refused_though_the_tensors_are_known(tmp_path: Path, told: str) -> None:
    headers = Headers()
    sound, faulty = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    for path, metadata in ((sound, '{"name":"\\ud83d\\ude00"}'), (sound, '{"name":"a"}'), (faulty, told)):
        text = f'{{"__metadata__":{metadata},"w":{{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}}}'
        path.write_bytes(struct.pack("<Q", len(text)) + text.encode() + b"\0")
        if path is sound:
            assert headers.read(path) == read_header(path)
    with pytest.raises(BadHeader):
        headers.read(faulty)


def test_a_file_that_was_cut_is_refused_though_its_header_is_known(tmp_path: Path) -> None:
    headers = Headers()
    headers.read(write_weights(tmp_path / "a.safetensors", TENSORS, {"name": "a"}))
    cut = write_weights(tmp_path / "b.safetensors", TENSORS, {"name": "b"})
    with cut.open("r+b") as file:
        file.truncate(cut.stat().st_size - 1)
    with pytest.raises(BadHeader, match="it was cut"):
        headers.read(cut)


@pytest.mark.parametrize(
    "text",
    [
        '{"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"__metadata__":{"name":"last"}}',
        '{ "__metadata__" : {"name": "spaced"} , "w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}   ',
        '{"__metadata__":null,"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}',
        '{"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}',
    ],
)
def test_metadata_in_any_place_is_read_each_time(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text.encode() + b"\0")
    headers = Headers()
    assert [headers.read(path), headers.read(path)] == [read_header(path)] * 2


@pytest.mark.parametrize(
    "text",
    [
        '{"__metadata__":{"name":"a"},"__metadata__":{"name":"b"}}',
        '{"__metadata__":{"name":7}}',
        '{"__metadata__":' + "[" * 50_000,
        '{"__metadata__":{"name":"a"}',
    ],
)
def test_a_header_that_is_not_sound_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text.encode())
    with pytest.raises(BadHeader):
        Headers().read(path)


def test_no_more_is_remembered_than_fits(tmp_path: Path) -> None:
    headers = Headers(kept_bytes=30_000)
    paths = [
        write_weights(tmp_path / f"{n}.safetensors", {f"{n}.{place}": (1,) for place in range(200)}) for n in range(4)
    ]
    first = [headers.read(path) for path in paths]
    assert headers.read(paths[3]).tensors is first[3].tensors
    again = headers.read(paths[0])
    assert again.tensors is not first[0].tensors
    assert again == first[0] == read_header(paths[0])
