"""What is in work: a job, its progress, and what an engine gives and reports."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from workflows.types.choosing import Choice
from workflows.types.judging import Attempt, Outcome
from workflows.types.recipe import Recipe
from workflows.types.values import Media, Value, new_id, now
from workflows.types.words import Written

JobState = Literal["queued", "running", "succeeded", "failed", "cancelled", "interrupted"]


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """What a render gave, with its seed and what it was really made with."""

    media: Media
    seed: int
    width: int
    height: int
    model: str
    model_hash: str | None = None
    """First ten hex digits of the weights' SHA-256 (the field's AutoV2 form), where it is known."""
    facts: dict[str, Any] = field(default_factory=dict[str, Any])
    """Further JSON facts: steps, cfg, sampler, device, seconds, notes."""


class Progress(Value):
    """How far a job is. `fraction` never falls while a job runs."""

    fraction: float = Field(default=0.0, ge=0.0, le=1.0)
    message: str = ""
    attempt: int = 1
    step: int = 0
    steps: int = 0
    node: str = ""
    """What the engine is doing, in its own word, such as a ComfyUI node's class."""
    ahead: int | None = None
    """Renders before this one in the engine's queue, while it waits there."""
    seconds_left: float | None = None
    """An estimate from the pace so far, for the attempt in work."""


@dataclass(frozen=True, kw_only=True)
class RenderStep:
    """What an engine reports while it draws: `step` of `steps`, sometimes with a small preview.

    `steps` is the same in every report of one render. `ahead`: renders before this one in the engine's queue.
    """

    step: int
    steps: int
    message: str = ""
    preview: Media | None = None
    node: str = ""
    ahead: int | None = None


@dataclass(frozen=True, kw_only=True)
class Ticket:
    """One render's name: a lowercase UUID, the same for the same attempt of the same picture of the same job.

    `again`: an earlier process may have asked for it already, so the engine looks before it asks a second time.
    """

    id: str
    again: bool = False


class Fault(Value):
    """Why a job failed: the error's code and its text."""

    code: str
    message: str


class Job(Value):
    """What was asked and how far it is."""

    id: str = Field(default_factory=new_id)
    recipe: Recipe
    state: JobState = "queued"
    engine: str | None = None
    created: datetime = Field(default_factory=now)
    updated: datetime = Field(default_factory=now)
    progress: Progress = Progress()
    outcomes: tuple[Outcome, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    """Attempts for the pictures in work, so that an interrupted job goes on where it was."""
    item_ids: tuple[str, ...] = ()
    fault: Fault | None = None
    owner: str | None = None
    """The process that runs it; when that is gone, the job was interrupted."""
    runs: int = 0
    """How often it was started; a job that keeps taking the process down with it is given up."""
    choice: Choice | None = None
    """What was chosen for the recipe where it left things open, and why."""
    written: Written | None = None
    """What presets and enhance made of its prompt, and why."""
    note: str | None = None
    """What the router wants the user to know: which engine drew, and how to get a bigger one."""

    @property
    def ended(self) -> bool:
        return self.state in {"succeeded", "failed", "cancelled"}
