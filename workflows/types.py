"""The nouns of the studio: plain frozen values, no behaviour that needs the outside.

`None` in a recipe means "the model family's own". Values that cross a process (recipes, jobs, items,
verdicts) are pydantic models with a JSON form; values that carry bytes are dataclasses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from workflows.errors import BadRecipe, allowed_by

Task = Literal["txt2img", "img2img", "inpaint", "outpaint", "upscale", "face_restore", "remove_background"]
WORDLESS: frozenset[Task] = frozenset({"upscale", "face_restore", "remove_background"})
"""Tasks that need no prompt: they work on a picture that is there."""
ControlKind = Literal["canny", "depth", "openpose", "tile", "lineart", "scribble", "softedge", "normal", "segment"]
ReferenceMode = Literal["auto", "style", "edit"]
UpscaleMethod = Literal["auto", "model", "diffusion"]
Quality = Literal["fast", "balanced", "high", "ultra"]
JobState = Literal["queued", "running", "succeeded", "failed", "cancelled", "interrupted"]

MAX_PROMPT = 20_000
"""Characters of a prompt; longer text is a mistake, not a prompt."""
MAX_SEED = 2**32 - 1
MAX_EDGE = 4096

Edge = Annotated[int, Field(ge=64, le=MAX_EDGE, multiple_of=8)]
Prompt = Annotated[str, Field(max_length=MAX_PROMPT, pattern=r"^[^\x00]*$")]
Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]


class Value(BaseModel):
    """A frozen value that knows its fields and takes no others."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")

    def but(self, **changes: Any) -> Self:
        """The same value with some fields changed, checked like a new one. Raises BadRecipe."""
        return self.checked(**{name: getattr(self, name) for name in type(self).model_fields} | changes)

    @classmethod
    def checked(cls, **values: Any) -> Self:
        """Build the value; the first fault becomes a BadRecipe that names the argument."""
        try:
            return cls(**values)
        except ValidationError as error:
            fault = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in fault["loc"]) or cls.__name__
            raise BadRecipe(where, fault.get("input"), allowed_by(fault)) from error


class Acceptance(Value):
    """When a picture is good enough, and what to do when it is not."""

    validate_: bool = Field(default=True, alias="validate")
    auto_retry: bool = True
    retry_limit: int = Field(default=3, ge=1, le=10)
    """Attempts in all, the first one included."""
    positive_threshold: float = Field(default=0.25, ge=-1.0, le=1.0)
    """Raw cosine similarity of picture and prompt that counts as a pass."""
    checks: tuple[str, ...] = ("clip",)

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, serialize_by_alias=True)

    @property
    def attempts(self) -> int:
        """How many renders one picture may take."""
        return self.retry_limit if self.validate_ and self.auto_retry else 1


class LoraUse(Value):
    """A LoRA in a picture. `clip_strength` None: as `strength`."""

    name: str = Field(min_length=1, max_length=400)
    strength: float = Field(default=1.0, ge=-4.0, le=4.0)
    clip_strength: float | None = Field(default=None, ge=-4.0, le=4.0)


class Control(Value):
    """A picture whose structure is followed (ControlNet). `image` is its store key, set by the studio."""

    kind: ControlKind
    image: str = ""
    strength: float = Field(default=0.8, ge=0.0, le=2.0)
    start: float = Field(default=0.0, ge=0.0, le=1.0)
    end: float = Field(default=1.0, ge=0.0, le=1.0)
    """Share of the steps between which it works."""
    preprocess: bool = True
    """False: the picture is already an edge, depth or pose map."""


class Reference(Value):
    """A picture whose look or content is taken up. `image` is its store key, set by the studio."""

    image: str = ""
    strength: float = Field(default=0.7, ge=0.0, le=2.0)
    mode: ReferenceMode = "auto"


class Extension(Value):
    """Pixels added at each side (outpaint)."""

    left: int = Field(default=0, ge=0, le=2048)
    right: int = Field(default=0, ge=0, le=2048)
    top: int = Field(default=0, ge=0, le=2048)
    bottom: int = Field(default=0, ge=0, le=2048)


class Recipe(Value):
    """The whole request as one value: hashable, JSON, replayable."""

    task: Task = "txt2img"
    prompt: Prompt = ""
    negative: Prompt = ""
    model: str | None = Field(default=None, max_length=400)
    quality: Quality = "balanced"
    width: Edge | None = None
    height: Edge | None = None
    aspect: str | None = Field(default=None, max_length=20)
    """Such as 16:9, square, portrait: the family's own area in that shape."""
    steps: int | None = Field(default=None, ge=1, le=200)
    cfg: float | None = Field(default=None, ge=0.0, le=30.0)
    sampler: str | None = Field(default=None, max_length=60)
    scheduler: str | None = Field(default=None, max_length=60)
    seed: Seed | None = None
    count: int = Field(default=1, ge=1, le=8)
    source: str | None = None
    """Store key of the input picture, kept with the job so that it can be made again; so are the other pictures."""
    source_item: str | None = None
    """Gallery id of the picture that this one is made from: its parent."""
    denoise: float | None = Field(default=None, gt=0.0, le=1.0)
    loras: tuple[LoraUse, ...] = Field(default=(), max_length=8)
    controls: tuple[Control, ...] = Field(default=(), max_length=4)
    references: tuple[Reference, ...] = Field(default=(), max_length=4)
    mask: str | None = None
    """Store key of the mask (inpaint): white is painted anew."""
    mask_text: str | None = Field(default=None, max_length=200)
    """What to mask, in words, where the engine can find it."""
    extend: Extension | None = None
    """Where an outpaint grows."""
    transparent: bool = False
    hires: bool = False
    """Draw small first, then enlarge and draw again (two passes)."""
    scale: float | None = Field(default=None, gt=1.0, le=8.0)
    """How much an upscale enlarges each edge."""
    method: UpscaleMethod = "auto"
    strength: float | None = Field(default=None, ge=0.0, le=1.0)
    """How much a face restoration may change."""
    engine: str = Field(default="auto", max_length=60)
    acceptance: Acceptance = Acceptance()

    @model_validator(mode="after")
    def _has_words(self) -> Self:
        if not self.prompt and self.task not in WORDLESS:
            raise ValueError("prompt must say what the picture shows")
        return self

    @property
    def pictures(self) -> dict[str, str]:
        """The input pictures by role: source, mask, control_1, control_2, ..., reference_1, ...; values are keys."""
        several = {f"control_{number}": control.image for number, control in enumerate(self.controls, 1)}
        several |= {f"reference_{number}": reference.image for number, reference in enumerate(self.references, 1)}
        single = {"source": self.source, "mask": self.mask}
        return {role: key for role, key in (single | several).items() if key}

    def with_pictures(self, keys: Mapping[str, str]) -> Self:
        """The same recipe with its input pictures under these keys, by role."""
        controls = (control.but(image=keys.get(f"control_{n}", "")) for n, control in enumerate(self.controls, 1))
        references = (one.but(image=keys.get(f"reference_{n}", "")) for n, one in enumerate(self.references, 1))
        return self.but(
            source=keys.get("source"), mask=keys.get("mask"), controls=tuple(controls), references=tuple(references)
        )


@dataclass(frozen=True, kw_only=True)
class Media:
    """Bytes with a media type, such as image/png."""

    data: bytes = field(repr=False)
    media_type: str


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


class Verdict(Value):
    """One judge's answer about one picture. `passed` None: it could not judge, and `reason` says why."""

    judge: str
    passed: bool | None
    score: float | None = None
    reason: str
    measures: dict[str, float] = Field(default_factory=dict)


class Attempt(Value):
    """One round: the recipe as it was rendered, where the picture lies, and what the judges said."""

    number: int
    recipe: Recipe
    key: str
    media_type: str
    width: int
    height: int
    model: str
    model_hash: str | None = None
    facts: dict[str, Any] = Field(default_factory=dict)
    verdicts: tuple[Verdict, ...] = ()
    seconds: float = 0.0

    @property
    def passed(self) -> bool | None:
        """True when all judges passed it, False when one said no, None when none could judge."""
        said = [verdict.passed for verdict in self.verdicts if verdict.passed is not None]
        return all(said) if said else None

    @property
    def score(self) -> float | None:
        """The lowest score any judge gave: a picture is as good as its worst fault."""
        scores = [verdict.score for verdict in self.verdicts if verdict.score is not None]
        return min(scores) if scores else None


class Outcome(Value):
    """All rounds of one picture, with the best of them and whether it was accepted."""

    attempts: tuple[Attempt, ...]
    best: int
    """Number of the best attempt (attempts are numbered from 1)."""
    accepted: bool | None
    warning: str | None = None

    @property
    def chosen(self) -> Attempt:
        return next(attempt for attempt in self.attempts if attempt.number == self.best)


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


def now() -> datetime:
    return datetime.now(UTC)


def new_id() -> str:
    return str(uuid4())


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
    """Rounds of the picture in work, so that an interrupted job goes on where it was."""
    item_ids: tuple[str, ...] = ()
    fault: Fault | None = None
    owner: str | None = None
    """The process that runs it; when that is gone, the job was interrupted."""
    runs: int = 0
    """How often it was started; a job that keeps taking the process down with it is given up."""
    note: str | None = None
    """What the router wants the user to know: which engine drew, and how to get a bigger one."""

    @property
    def ended(self) -> bool:
        return self.state in {"succeeded", "failed", "cancelled"}


class Item(Value):
    """What is in the gallery."""

    id: str = Field(default_factory=new_id)
    job_id: str
    kind: Literal["image", "video"] = "image"
    key: str
    media_type: str
    width: int
    height: int
    size: int
    """Bytes of the stored file."""
    sha256: str
    created: datetime = Field(default_factory=now)
    prompt: str
    negative: str = ""
    model: str
    model_hash: str | None = None
    engine: str
    seed: int
    attempt: int = 1
    score: float | None = None
    passed: bool | None = None
    favourite: bool = False
    parent_id: str | None = None
    recipe: Recipe
    """The user's own request, completed: rendering it again gives the first attempt."""
    rendered: Recipe
    """The recipe of the attempt that was kept."""
    verdicts: tuple[Verdict, ...] = ()
    facts: dict[str, Any] = Field(default_factory=dict)


class ItemQuery(Value):
    """A search in the gallery. Cursors come from a page and are opaque."""

    limit: int = Field(default=20, ge=1, le=200)
    cursor: str | None = Field(default=None, max_length=200)
    query: str = Field(default="", max_length=500)
    model: str | None = None
    min_score: float | None = None
    since: datetime | None = None
    favourite: bool | None = None
    kind: Literal["image", "video"] | None = None
    prefix: str = Field(default="", max_length=200)
    """Start of the item id."""
    sort: Literal["newest", "oldest", "best"] = "newest"


class Page(Value):
    """Some items and, when there are more, the cursor to go on with."""

    items: tuple[Item, ...]
    cursor: str | None = None
    total: int
    """Items that match the filters, not only those on this page."""


class ModelInfo(Value):
    """A model that an engine can draw with."""

    name: str
    kind: str = "checkpoint"
    family: str
    engine: str
    size: int | None = None
    description: str = ""


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


@dataclass(frozen=True, kw_only=True)
class Location:
    """Where a stored file can be fetched: a path on this machine, a URL, or both."""

    path: str | None
    url: str


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
