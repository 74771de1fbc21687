"""What was chosen for a request, and why: analysis, scores with their parts, the memory plan."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from workflows.types.values import Value

MemoryLevel = Literal["none", "balanced", "aggressive"]


class PromptAnalysis(Value):
    """What a prompt asks for, as a language model or the keyword analyser reads it; the shape is the same."""

    style: str = ""
    """realistic, anime, artistic, 3d, illustration, pixel art; empty: it does not say."""
    content_type: str = "scene"
    """character, portrait, scene, landscape, object, animal, architecture, text, abstract."""
    suggested_base_model: str = ""
    """A base model as the field spells it (SDXL, Pony, Flux.1, ...); empty: any."""
    key_concepts: tuple[str, ...] = ()
    recommended_lora_tags: tuple[str, ...] = ()
    suggested_steps: int | None = Field(default=None, ge=1, le=200)
    suggested_cfg: float | None = Field(default=None, ge=0.0, le=30.0)
    adult: bool = False
    """It asks for adult content in so many words."""
    by: str = "keywords"
    """Who read it: keywords, or the name of the language model."""


class Ranked(Value):
    """A model with its score from 0 to 100, and the parts that it is the sum of."""

    name: str
    kind: str = "checkpoint"
    family: str
    engine: str = ""
    score: float
    parts: dict[str, float] = Field(default_factory=dict)
    guessed: bool = False


class RankedLora(Value):
    """A LoRA with its score, the strength to use it at, and the words that wake it."""

    name: str
    family: str
    strength: float
    triggers: tuple[str, ...] = ()
    score: float
    parts: dict[str, float] = Field(default_factory=dict)


class Choice(Value):
    """What was chosen for a recipe that left it open."""

    analysis: PromptAnalysis
    model: Ranked | None = None
    others: tuple[Ranked, ...] = ()
    """The next best, best first."""
    loras: tuple[RankedLora, ...] = ()
    notes: tuple[str, ...] = ()
    """Reasons in words, such as: steps and cfg as the model's own pictures have them."""


class MemoryPlan(Value):
    """How a model is fitted into the memory that there is. Gigabytes are 10^9 bytes."""

    level: MemoryLevel
    levers: tuple[str, ...] = ()
    """In the order in which they are applied; see workflows.memory."""
    need_gb: float
    """Peak without any lever."""
    peak_gb: float
    """Peak with the levers, estimated."""
    available_gb: float | None
    """None: the device does not tell."""
    device: str = ""
    reason: str = ""
    """The arithmetic in a sentence."""
