"""Refinement in rounds: what was wished for, what came of every round, and what it cost to ask."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from workflows.types.judging import Verdict
from workflows.types.recipe import MAX_PROMPT, Prompt
from workflows.types.values import Value, new_id, now

RoundStage = Literal["drawing", "evaluating", "refining", "done"]
RefinementState = Literal["waiting", "running", "succeeded", "failed", "cancelled", "interrupted"]
MAX_ITERATIONS = 10
BRIEF_ID = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
"""It is a folder's name, too."""


class Brief(Value):
    """One entry of a batch: what is wanted, in the author's words. `options`: arguments of generate_image."""

    id: str = Field(pattern=BRIEF_ID)
    title: str = Field(default="", max_length=300)
    scene: str = Field(default="", max_length=4000)
    mood: str = Field(default="", max_length=1000)
    prompt: Prompt = ""
    """Left out, it is put together from scene and mood."""
    negative: Prompt = ""
    options: dict[str, Any] = Field(default_factory=dict)


class Evaluation(Value):
    """A picture put into words, and how far it is what was asked for."""

    by: str
    """gemini, ollama or clip, or the model that said it."""
    text: str = Field(max_length=MAX_PROMPT)
    """What the picture shows, and what is missing or wrong: what a refiner reads."""
    score: float | None = None
    """On the evaluator's own scale: a cosine for clip, 0 to 10 for a vision model."""
    passed: bool | None = None
    """Whether it is good enough to stop; None: it could not say."""
    missing: tuple[str, ...] = ()
    """What was asked for and is not there, in a few words each."""
    verdicts: tuple[Verdict, ...] = ()
    seconds: float = 0.0


class Round(Value):
    """One iteration: drawn, evaluated, refined. What is None has not happened yet; an interruption ends no more."""

    number: int = Field(ge=1)
    prompt: Prompt
    negative: Prompt = ""
    stage: RoundStage = "drawing"
    job_id: str | None = None
    image_id: str | None = None
    evaluation: Evaluation | None = None
    refined: Prompt | None = None
    """The prompt that the next round draws."""
    refined_by: str = ""
    why: str = ""
    """What was changed, in words."""
    created: datetime = Field(default_factory=now)
    seconds: float = 0.0


class Refinement(Value):
    """All rounds of one brief. Rounds are appended as they come; `best` is the number of the best one so far."""

    id: str = Field(default_factory=new_id)
    run_id: str = ""
    """The batch that it belongs to; "" for one that was asked for alone."""
    brief: Brief
    iterations: int = Field(default=3, ge=1, le=MAX_ITERATIONS)
    evaluator: str = "auto"
    state: RefinementState = "waiting"
    rounds: tuple[Round, ...] = ()
    best: int | None = None
    fault: str = ""
    owner: str | None = None
    """The process that runs it."""
    created: datetime = Field(default_factory=now)
    updated: datetime = Field(default_factory=now)
    versions: dict[str, str] = Field(default_factory=dict)
    """Of what took part: atelier, python, the engine and its model, evaluator, refiner."""

    @property
    def ended(self) -> bool:
        return self.state in {"succeeded", "failed", "cancelled"}

    @property
    def chosen(self) -> Round | None:
        return next((one for one in self.rounds if one.number == self.best), None)


class Call(Value):
    """One request to a service outside this process, as it ended."""

    id: str = Field(default_factory=new_id)
    created: datetime = Field(default_factory=now)
    service: str
    """fal, gemini, ollama, openai, comfyui, civitai, ..."""
    operation: str
    """render, describe, answer, complete, chat, ..."""
    model: str = ""
    status: Literal["ok", "failed", "refused", "cancelled"] = "ok"
    error: str = ""
    code: str = ""
    """The kind of error, as StudioError.code."""
    seconds: float = 0.0
    tries: int = 1
    cost: float | None = None
    """US dollars, where the service or its price list tells."""
    units: dict[str, float] = Field(default_factory=dict)
    """What was used: images, seconds, input_tokens, output_tokens."""
    run_id: str = ""
    brief_id: str = ""
    job_id: str = ""


class ServiceStats(Value):
    """What the calls to one operation of one service came to."""

    service: str
    operation: str
    model: str = ""
    calls: int
    failed: int
    tries: int
    median_seconds: float
    slowest_seconds: float
    cost: float | None = None
    """Of the calls whose price is known; None: of none."""
    priced: int = 0


class RunStats(Value):
    """A batch as a whole."""

    run_id: str
    created: datetime
    briefs: int
    states: dict[str, int]
    rounds: int
    pictures: int
    accepted: int
    calls: int
    cost: float | None = None
