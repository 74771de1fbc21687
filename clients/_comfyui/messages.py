"""Reading of socket frames: text and the binary types 1, 3 and 4, and what a run makes of them. Pure.

Frame layouts are ComfyUI's own (protocol.py of the server): big-endian 32-bit type first.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from workflows.types import Media

PREVIEW_IMAGE, TEXT, PREVIEW_WITH_METADATA = 1, 3, 4
FEATURES = {"type": "feature_flags", "data": {"supports_preview_metadata": True}}
"""The first message of a client; sent later it is ignored."""
FORMATS = {1: "image/jpeg", 2: "image/png"}


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """It waits in the server's queue behind `ahead` other prompts."""

    ahead: int


@dataclass(frozen=True, kw_only=True)
class Started:
    """The server has begun with it."""

    unheard: bool = False
    """It was sent by a process before this one, and the server tells its steps to that one's address alone."""


@dataclass(frozen=True, kw_only=True)
class Cached:
    """Nodes that need not run, because an earlier prompt had the same."""

    nodes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class NodeStarted:
    node: str


@dataclass(frozen=True, kw_only=True)
class NodeProgress:
    """A node is at `value` of `most` of its own steps."""

    node: str
    value: float
    most: float


@dataclass(frozen=True, kw_only=True)
class NodeText:
    """What a node says of its progress."""

    node: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Preview:
    """A picture on the way; `node` None where the server did not say whose."""

    media: Media
    node: str | None = None


@dataclass(frozen=True, kw_only=True)
class NodeDone:
    """A node with something to show has ended; `output` has a list under every key."""

    node: str
    output: Mapping[str, Any] = field(default_factory=dict[str, Any])


Event = Waiting | Started | Cached | NodeStarted | NodeProgress | NodeText | Preview | NodeDone


@dataclass(frozen=True)
class Message:
    """A text message: its type, the prompt it is about ("" where it says none) and its body."""

    kind: str
    prompt_id: str
    body: Mapping[str, Any]

    @property
    def last(self) -> bool:
        """The last word about its prompt, however it ended."""
        return self.kind == "executing" and "node" in self.body and self.body["node"] is None


@dataclass(frozen=True)
class Frame:
    """A binary message: a picture or a text, of a node and a prompt where it says so."""

    prompt_id: str
    node: str | None
    media: Media | None = None
    text: str = ""


def read(raw: str | bytes) -> Message | Frame | None:
    """A message or frame; None for what is damaged or of a kind that we do not know."""
    try:
        return _message(raw) if isinstance(raw, str) else _frame(memoryview(raw))
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


def events(message: Message | Frame) -> Iterator[Event]:
    """What a message means to who waits for its prompt. Damaged ones mean nothing."""
    if isinstance(message, Frame):
        yield from _frame_events(message)
        return
    body = message.body
    match message.kind:
        case "execution_start":
            yield Started()
        case "execution_cached":
            yield Cached(nodes=tuple(str(node) for node in body.get("nodes") or ()))
        case "executing" if body.get("node") is not None:
            yield NodeStarted(node=str(body["node"]))
        case "progress":
            yield from _progress(body.get("node"), body.get("value"), body.get("max"))
        case "progress_state":
            yield from _states(body.get("nodes"))
        case "executed":
            output = body.get("output")
            known = cast(Mapping[str, Any], output if isinstance(output, dict) else {})
            yield NodeDone(node=str(body.get("node")), output=known)
        case _:
            pass


def _message(raw: str) -> Message | None:
    read = json.loads(raw)
    body = read.get("data") if isinstance(read, dict) else None  # pyright: ignore[reportUnknownVariableType]
    if not isinstance(body, dict):
        return None
    body = cast(dict[str, Any], body)
    return Message(str(cast(Any, read)["type"]), str(body.get("prompt_id") or ""), body)


def _frame(raw: memoryview) -> Frame | None:
    kind = _number(raw, 0)
    if kind == PREVIEW_IMAGE:
        return Frame("", None, Media(data=bytes(raw[8:]), media_type=FORMATS[_number(raw, 4)]))
    if kind == TEXT:
        node, text = _split(raw)
        return Frame("", str(node, "utf-8"), text=str(text, "utf-8"))
    if kind == PREVIEW_WITH_METADATA:
        head, picture = _split(raw)
        facts = json.loads(bytes(head))
        node = facts.get("display_node_id") or facts.get("node_id")
        media = Media(data=bytes(picture), media_type=str(facts.get("image_type") or "image/jpeg"))
        return Frame(str(facts.get("prompt_id") or ""), None if node is None else str(node), media)
    return None


def _number(raw: memoryview, start: int) -> int:
    if len(raw) < start + 4:
        raise ValueError("a frame ends early")
    return int.from_bytes(raw[start : start + 4], "big")


def _split(raw: memoryview) -> tuple[memoryview, memoryview]:
    """The two parts after the type: the first with its length before it."""
    length = _number(raw, 4)
    if len(raw) < 8 + length:
        raise ValueError("a frame ends early")
    return raw[8 : 8 + length], raw[8 + length :]


def _frame_events(frame: Frame) -> Iterator[Event]:
    if frame.media is not None:
        yield Preview(media=frame.media, node=frame.node)
    elif frame.node is not None:
        yield NodeText(node=frame.node, text=frame.text)


def _progress(node: object, value: object, most: object) -> Iterator[NodeProgress]:
    if node is not None and isinstance(value, int | float) and isinstance(most, int | float) and most > 0:
        yield NodeProgress(node=str(node), value=float(value), most=float(most))


def _states(nodes: object) -> Iterator[NodeProgress]:
    """Nodes at work that count their steps; every node has the state 0 of 1 to begin with."""
    for node, state in cast(dict[str, Any], nodes if isinstance(nodes, dict) else {}).items():
        if isinstance(state, dict) and cast(Any, state).get("state") == "running":
            counted = cast(dict[str, Any], state)
            if counted.get("max") != 1 and counted.get("value"):
                yield from _progress(node, counted.get("value"), counted.get("max"))
