"""What can be known of engines, their servers, models and graphs."""

from __future__ import annotations

from typing import Any

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


class DraftedGraph(Value):
    """A recipe as the graph that would be sent, with what was chosen for it."""

    graph: dict[str, Any]
    template: str
    family: str
    model: str
    server: str
    notes: tuple[str, ...] = ()
