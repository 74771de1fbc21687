"""Socket frames as bytes, read without a socket."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest

from clients._comfyui.messages import (
    Cached,
    Event,
    Frame,
    Message,
    NodeDone,
    NodeProgress,
    NodeStarted,
    NodeText,
    Preview,
    Started,
    events,
    read,
)
from workflows.types import Media

JPEG = Media(data=b"\xff\xd8picture", media_type="image/jpeg")
PNG = Media(data=b"\x89PNG", media_type="image/png")


def said(kind: str, **body: Any) -> Message:
    message = read(json.dumps({"type": kind, "data": {"prompt_id": "p", **body}}))
    assert isinstance(message, Message)
    return message


def with_metadata(picture: bytes, **facts: Any) -> bytes:
    head = json.dumps(facts).encode()
    return struct.pack(">II", 4, len(head)) + head + picture


@pytest.mark.parametrize(
    ("raw", "frame"),
    [
        (struct.pack(">II", 1, 1) + JPEG.data, Frame("", None, JPEG)),
        (struct.pack(">II", 1, 2) + PNG.data, Frame("", None, PNG)),
        (struct.pack(">II", 3, 2) + b"12half way", Frame("", "12", text="half way")),
        (
            with_metadata(JPEG.data, node_id="57:3", display_node_id="57", prompt_id="p", image_type="image/jpeg"),
            Frame("p", "57", JPEG),
        ),
        (with_metadata(PNG.data, node_id="3", prompt_id="p", image_type="image/png"), Frame("p", "3", PNG)),
    ],
    ids=["jpeg", "png", "text", "metadata", "metadata-png"],
)
def test_binary_frames_of_every_kind_are_read(raw: bytes, frame: Frame) -> None:
    assert read(raw) == frame


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x00\x00",
        struct.pack(">II", 1, 9) + b"x",
        struct.pack(">I", 2) + b"what is this",
        struct.pack(">II", 3, 400) + b"short",
        struct.pack(">II", 4, 2) + b"no json",
        struct.pack(">II", 4, 2) + b"[]",
        "no json",
        "[]",
        '{"type": "status"}',
        '{"data": {}}',
        '{"type": "status", "data": 3}',
    ],
)
def test_damaged_and_unknown_messages_are_passed_over(raw: str | bytes) -> None:
    assert read(raw) is None


@pytest.mark.parametrize(
    ("message", "meant"),
    [
        (said("execution_start"), [Started()]),
        (said("execution_cached", nodes=["1", 2]), [Cached(nodes=("1", "2"))]),
        (said("executing", node="3"), [NodeStarted(node="3")]),
        (said("executing", node=None), []),
        (said("progress", node="3", value=2, max=20), [NodeProgress(node="3", value=2.0, most=20.0)]),
        (said("progress", node="3", value=2, max=0), []),
        (said("executed", node="9", output={"images": []}), [NodeDone(node="9", output={"images": []})]),
        (said("executed", node="9", output=None), [NodeDone(node="9")]),
        (said("status"), []),
        (said("of_a_later_version", node="3"), []),
        (said("progress_state", nodes=None), []),
    ],
)
def test_messages_mean_events(message: Message, meant: list[Event]) -> None:
    assert list(events(message)) == meant


def test_a_progress_state_tells_of_nodes_that_count_and_no_others() -> None:
    nodes = {
        "1": {"value": 1.0, "max": 1.0, "state": "finished"},
        "2": {"value": 0.0, "max": 1.0, "state": "running"},
        "3": {"value": 4, "max": 20, "state": "running"},
        "4": {"value": 0, "max": 20, "state": "running"},
        "5": "damaged",
    }
    assert list(events(said("progress_state", nodes=nodes))) == [NodeProgress(node="3", value=4.0, most=20.0)]


def test_frames_mean_previews_and_texts() -> None:
    assert list(events(Frame("", "3", JPEG))) == [Preview(media=JPEG, node="3")]
    assert list(events(Frame("", "3", text="50 %"))) == [NodeText(node="3", text="50 %")]
    assert list(events(Frame("", None))) == []


@pytest.mark.parametrize(
    ("message", "last"),
    [
        (said("executing", node=None), True),
        (said("executing"), False),
        (said("executing", node="3"), False),
        (said("execution_success"), False),
        (said("executed", node="3"), False),
    ],
)
def test_the_last_word_about_a_prompt_is_known(message: Message, last: bool) -> None:
    assert message.last is last
