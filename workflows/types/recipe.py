"""The whole request as one value. `None` in a recipe means "the model family's own"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from workflows.types.values import Value

Task = Literal[
    "txt2img",
    "img2img",
    "inpaint",
    "outpaint",
    "upscale",
    "face_restore",
    "remove_background",
    "txt2vid",
    "img2vid",
    "extend_video",
    "interpolate",
    "workflow",
    "unknown",
]
"""workflow: a graph of the user's own, as it stands. unknown: of a picture from elsewhere that does not say how it was
made; no engine draws it."""
WORDLESS: frozenset[Task] = frozenset(
    {"upscale", "face_restore", "remove_background", "interpolate", "workflow", "unknown"}
)
"""Tasks that need no prompt: they work on a picture or video that is there, or on a graph that says all itself."""
VIDEOS: frozenset[Task] = frozenset({"txt2vid", "img2vid", "extend_video", "interpolate"})
"""Tasks that make a video."""
FROM_VIDEO: frozenset[Task] = frozenset({"extend_video", "interpolate"})
"""Tasks whose source is a video."""
ControlKind = Literal["canny", "depth", "openpose", "tile", "lineart", "scribble", "softedge", "normal", "segment"]
ReferenceMode = Literal["auto", "style", "edit"]
UpscaleMethod = Literal["auto", "model", "diffusion"]
Quality = Literal["fast", "balanced", "high", "ultra"]
RetryStrategy = Literal["auto", "seed", "prompt", "progressive"]
Kept = Literal["best", "all"]

MAX_PROMPT = 20_000
"""Characters of a prompt; longer text is a mistake, not a prompt."""
MAX_SEED = 2**32 - 1
MAX_EDGE = 4096
MAX_CANDIDATES = 8
MAX_FRAMES = 1025
"""Frames of one video: more than half a minute at 30 a second, and far above what any family draws at once."""
MAX_FILES = 16
"""Files that a workflow may read."""
OWN_THRESHOLD = 0.25
"""Passing cosine of ViT-B-32 on LAION-2B and of the demo judge: LAION's own filters kept pairs from 0.28 to 0.30, and
pictures by models score a little lower."""

Edge = Annotated[int, Field(ge=64, le=MAX_EDGE, multiple_of=8)]
Prompt = Annotated[str, Field(max_length=MAX_PROMPT, pattern=r"^[^\x00]*$")]
Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]


class Acceptance(Value):
    """When a picture is good enough, and what to do when it is not."""

    validate_: bool = Field(default=True, alias="validate")
    auto_retry: bool = True
    retry_limit: int = Field(default=3, ge=1, le=10)
    """Rounds in all, the first one included."""
    retry_strategy: RetryStrategy = "auto"
    """auto: by what the judges miss; seed: another seed only; prompt: other words only; progressive: first the seed,
    then words, then more steps."""
    positive_threshold: float = Field(default=OWN_THRESHOLD, ge=-1.0, le=1.0)
    """Raw cosine similarity of picture and prompt that counts as a pass. The default stands for the scorer's own."""
    checks: tuple[str, ...] = ("clip",)
    best_of: int = Field(default=1, ge=1, le=MAX_CANDIDATES)
    """Candidates of the first round, of which the judges choose; the rounds after it draw one each. With keep "best"
    one that is clearly good ends the choice."""
    keep: Kept = "best"
    """all: the candidates that were not chosen are filed too."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, serialize_by_alias=True)

    @property
    def rounds(self) -> int:
        """How many rounds one picture may take."""
        return self.retry_limit if self.validate_ and self.auto_retry else 1

    @property
    def attempts(self) -> int:
        """How many pictures may be drawn for one."""
        return self.best_of + self.rounds - 1


class LoraUse(Value):
    """A LoRA in a picture. `clip_strength` None: as `strength`."""

    name: str = Field(min_length=1, max_length=400)
    strength: float = Field(default=1.0, ge=-4.0, le=4.0)
    clip_strength: float | None = Field(default=None, ge=-4.0, le=4.0)
    triggers: tuple[str, ...] = Field(default=(), max_length=20)
    """Words that wake it, added to what is drawn and never to what is judged."""


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


class Wording(Value):
    """How a wish is told to the model, where that is not the user's own words: what is drawn, never what is judged."""

    prompt: Prompt
    negative: Prompt = ""
    by: str = "rules"


class Recipe(Value):
    """The whole request as one value: hashable, JSON, replayable."""

    task: Task = "txt2img"
    prompt: Prompt = ""
    negative: Prompt = ""
    presets: tuple[str, ...] = Field(default=(), max_length=20)
    """Paths of presets that the wording takes up."""
    enhance: bool = False
    """The wording is written for the model family, by a language model where there is one."""
    wording: Wording | None = None
    """What presets and enhance made of the prompt, once the model is known."""
    model: str | None = Field(default=None, max_length=400)
    quality: Quality = "balanced"
    style: str | None = Field(default=None, max_length=60)
    """A hint for the choice of the model: realistic, anime, artistic, 3d, ..."""
    width: Edge | None = None
    height: Edge | None = None
    aspect: str | None = Field(default=None, max_length=20)
    """Such as 16:9, square, portrait: the family's own area in that shape."""
    steps: int | None = Field(default=None, ge=1, le=200)
    cfg: float | None = Field(default=None, ge=0.0, le=30.0)
    sampler: str | None = Field(default=None, max_length=60)
    scheduler: str | None = Field(default=None, max_length=60)
    clip_skip: int | None = Field(default=None, ge=1, le=12)
    """As A1111 counts: 1 is the text encoder's last layer, 2 the one before it."""
    seed: Seed | None = None
    batch_index: int | None = Field(default=None, ge=0, lt=MAX_CANDIDATES)
    """Which picture of a batch drawn from this seed it is, where the engine's noise depends on that."""
    count: int = Field(default=1, ge=1, le=8)
    source: str | None = None
    """Store key of the input picture, kept with the job so that it can be made again; so are the other pictures."""
    source_item: str | None = None
    """Gallery id of the picture that this one is made from: its parent."""
    denoise: float | None = Field(default=None, gt=0.0, le=1.0)
    loras: tuple[LoraUse, ...] = Field(default=(), max_length=8)
    auto_loras: bool = False
    """LoRAs may be chosen for it, where none is named and the model is chosen too."""
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
    frames: int | None = Field(default=None, ge=1, le=MAX_FRAMES)
    """Frames to draw: of an extend_video those that are added. Families need certain numbers (FamilyProfile)."""
    fps: float | None = Field(default=None, ge=1.0, le=120.0)
    """Frames a second: of an interpolate what it is brought to."""
    motion: float | None = Field(default=None, ge=0.0, le=2.0)
    """How much moves in a video that begins with a picture (motion_strength); 1 is the family's own."""
    workflow: str | None = Field(default=None, max_length=400)
    """Store key of the graph (JSON, API format) that a workflow task runs."""
    workflow_name: str | None = Field(default=None, max_length=200)
    """What the user called it."""
    files: tuple[str, ...] = Field(default=(), max_length=MAX_FILES)
    """Store keys of the files that the workflow reads: in its graph they stand as atelier://file_1, ..."""
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
        """What goes in, by role: source, mask, workflow, control_1, reference_1, file_1, ...; values are keys."""
        several = {f"control_{number}": control.image for number, control in enumerate(self.controls, 1)}
        several |= {f"reference_{number}": reference.image for number, reference in enumerate(self.references, 1)}
        several |= {f"file_{number}": key for number, key in enumerate(self.files, 1)}
        single = {"source": self.source, "mask": self.mask, "workflow": self.workflow}
        return {role: key for role, key in (single | several).items() if key}

    @property
    def wants_wording(self) -> bool:
        """Whether a wording is still to be made for it."""
        return self.wording is None and bool(self.prompt) and bool(self.presets or self.enhance)

    @property
    def as_told(self) -> Self:
        """The recipe with its wording in place of the user's words: what is drawn."""
        told = self.wording
        if told is None:
            return self
        return self.but(prompt=told.prompt, negative=told.negative, wording=None, presets=(), enhance=False)

    def with_pictures(self, keys: Mapping[str, str]) -> Self:
        """The same recipe with what goes in under these keys, by role."""
        controls = (control.but(image=keys.get(f"control_{n}", "")) for n, control in enumerate(self.controls, 1))
        references = (one.but(image=keys.get(f"reference_{n}", "")) for n, one in enumerate(self.references, 1))
        files = (keys[role] for n in range(1, MAX_FILES + 1) if (role := f"file_{n}") in keys)
        return self.but(
            source=keys.get("source"),
            mask=keys.get("mask"),
            workflow=keys.get("workflow"),
            controls=tuple(controls),
            references=tuple(references),
            files=tuple(files),
        )
