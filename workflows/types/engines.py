"""What can be known of engines, their servers, models and graphs."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from workflows.types.values import Value


class FamilyProfile(Value):
    """What a model family needs; read from families.toml."""

    name: str
    title: str
    width: int
    height: int
    multiple: int = 8
    """Edges must be multiples of this many pixels."""
    steps: int
    cfg: float
    guidance_rescale: float = 0.0
    weights: bool
    """Whether the text encoder understands emphasis such as (red car:1.3)."""
    negatives: bool
    """Whether a negative prompt has any effect."""
    frames: int = 1
    """Frames of a video by its own measure; 1 for a family that draws pictures."""
    frame_step: int = Field(default=1, ge=1)
    """A video has a multiple of this many frames and one more, such as 4n+1."""
    most_frames: int = 1
    """More are not drawn in one go: the family repeats itself, or falls apart."""
    fps: float = 0.0
    """Frames a second that it was trained on."""
    note: str = ""
    """What the user should know of pictures by this family, such as the limits of the demo model."""


class ServerStatus(Value):
    """One server of an engine that has several."""

    url: str
    available: bool
    detail: str
    version: str = ""
    device: str | None = None
    draining: bool = False
    running: int = 0
    pending: int = 0
    """Of everyone who uses the server."""
    ours: int = 0
    loaded: str | None = None
    memory: dict[str, float] = Field(default_factory=dict)
    warnings: tuple[str, ...] = ()


class EngineStatus(Value):
    """Whether an engine can draw now, on what, and with which model in memory."""

    name: str
    available: bool
    set_up: bool = True
    """Whether the owner wants it at all: one that needs a key and has none is not out of order."""
    detail: str
    device: str | None = None
    loaded: str | None = None
    waiting: int = 0
    memory: dict[str, float] = Field(default_factory=dict)
    """Gigabytes: total, free, used by the engine, where the device can tell."""
    servers: tuple[ServerStatus, ...] = ()


class Problem(Value):
    """One fault of a graph. `valid` holds what is allowed, nearest first, a few of many."""

    node: str
    class_type: str = ""
    input: str = ""
    value: str = ""
    message: str
    valid: tuple[str, ...] = ()


class TemplateInfo(Value):
    """A graph template, and whether it can be used now: `missing` says what the servers lack."""

    name: str
    title: str
    about: str
    tasks: tuple[str, ...]
    families: tuple[str, ...] = ()
    usable: bool
    missing: tuple[str, ...] = ()


FlowKind = Literal["text", "integer", "number", "boolean", "choice", "model", "image", "video", "audio", "file"]


class FlowInput(Value):
    """Something of a workflow that its user can set, under a name. `spots`: where in the graph it goes to."""

    name: str
    kind: FlowKind
    role: str = ""
    """What was understood of it: prompt, negative, seed, steps, cfg, width, height, frames, fps, model, image, ..."""
    default: Any = None
    choices: tuple[str, ...] = ()
    """Some of what is allowed, where it is a choice or a model."""
    least: float | None = None
    most: float | None = None
    required: bool = False
    """Whether it cannot run without: a picture, say, that only stands on its author's machine."""
    about: str = ""
    spots: tuple[tuple[str, str], ...] = ()


class FlowInfo(Value):
    """A workflow of the user's: from the folder, from the library of ComfyUI's editor, or given with the call."""

    name: str
    origin: Literal["folder", "saved", "given"]
    title: str = ""
    about: str = ""
    inputs: tuple[FlowInput, ...] = ()
    outputs: tuple[str, ...] = ()
    """Kinds of what it makes: image, video, audio, text, file."""
    usable: bool
    missing: tuple[str, ...] = ()
    """What the servers lack for it, or why it cannot be read."""
    refused: tuple[str, ...] = ()
    """Why the owner's rules do not let it run."""
    tool: str | None = None
    """The name of the tool that it is published as."""


class DraftedGraph(Value):
    """A recipe as the graph that would be sent, with what was chosen for it."""

    graph: dict[str, Any]
    template: str
    family: str
    model: str
    server: str
    notes: tuple[str, ...] = ()
