"""What is asked of pictures and jobs: the bodies and queries of their routes, by the names that the tools use too."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from clients.web.bodies import TEXT, Asked
from workflows.types import (
    MAX_CANDIDATES,
    MAX_EDGE,
    MAX_FRAMES,
    MAX_PROMPT,
    MAX_SEED,
    ControlKind,
    ItemKind,
    ItemQuery,
    Kept,
    Quality,
    ReferenceMode,
    RetryStrategy,
    UpscaleMethod,
)

ID = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$"
MAX_MASK = 900_000
MASK = r"^(?:data:image/png;base64,[A-Za-z0-9+/=]+|[A-Za-z0-9][A-Za-z0-9._-]{0,199})$"
"""A mask that was painted in the browser comes as itself: it is no picture for the gallery."""

SCORE = {"type": "number", "minimum": -1, "maximum": 1}
TIME = {"type": "string", "format": "date-time"}
"""In a query nothing is null, so null is not among what is described."""

Edge = Literal[320, 640, 1024]
MadeTask = Literal[
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
]


def _whole(given: Any) -> Any:
    return int(given) if isinstance(given, str) and given.isascii() and given.isdigit() else given


def _written(given: Any) -> Any:
    """Not a number of seconds, which pydantic would take for a time."""
    if isinstance(given, str) and not re.match(r"\d{4}-\d\d-\d\d", given):
        raise ValueError("it is a time such as 2026-01-31T12:00:00Z")
    return given


def _in_utc(moment: datetime) -> datetime:
    """A time without a zone is UTC, as in our answers."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


Picture = Annotated[str, Field(pattern=ID, description="A picture of the gallery, by its id")]
Size = Annotated[int, Field(ge=64, le=MAX_EDGE, multiple_of=8)]
Added = Annotated[int, Field(ge=0, le=2048)]
Words = Annotated[str, Field(max_length=MAX_PROMPT, pattern=TEXT)]
Some = Annotated[str, Field(max_length=400, pattern=TEXT)]
Few = Annotated[str, Field(max_length=60, pattern=TEXT)]
Moment = Annotated[datetime, BeforeValidator(_written), AfterValidator(_in_utc)]
Seed = Annotated[int, Field(ge=-1, le=MAX_SEED, description="-1: chosen")]
Strength = Annotated[float, Field(ge=0, le=2)]


class ImagesAsked(BaseModel):
    """A search in the gallery."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    limit: int = Field(60, ge=1, le=200)
    cursor: str = Field("", max_length=200, pattern=TEXT, description="From the page before")
    skip: int = Field(0, ge=0, le=2**31, description="Pictures to pass over first")
    query: str = Field("", max_length=500, pattern=TEXT, description="Words of the prompt")
    model: Some = ""
    lora: Some = ""
    engine: Few = ""
    tag: Few = ""
    min_score: Annotated[float | None, Field(ge=-1, le=1), WithJsonSchema(SCORE)] = None
    since: Annotated[Moment | None, WithJsonSchema(TIME)] = None
    until: Annotated[Moment | None, WithJsonSchema(TIME)] = None
    favourite: Annotated[bool | None, WithJsonSchema({"type": "boolean"})] = None
    kind: Annotated[ItemKind | None, WithJsonSchema({"enum": list(get_args(ItemKind))})] = None
    sort: Literal["newest", "oldest", "best"] = "newest"
    similar_to: str = Field("", max_length=200, pattern=TEXT, description="A picture's id: those most like it first")
    deleted: bool = Field(False, description="What is in the trash, instead of what is not")

    def item_query(self) -> ItemQuery:
        """Raises BadRecipe."""
        given = self.model_dump()
        open_ones = ("cursor", "model", "lora", "engine", "tag", "similar_to")
        return ItemQuery.checked(**given | {name: given[name] or None for name in open_ones})


class PreviewAsked(BaseModel):
    """How large."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    edge: Annotated[Edge, BeforeValidator(_whole)] = Field(640, description="Pixels of the long edge, at most")


class FileAsked(BaseModel):
    """To be shown or to be saved."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    download: bool = Field(False, description="As a file to be saved, under a name of its own")


class JobsAsked(BaseModel):
    """How many."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    limit: int = Field(20, ge=1, le=100)


class ChangeBody(Asked):
    """Change what the user says of a picture."""

    favourite: bool | None = None
    add_tags: list[Few] = Field(default_factory=list[str], max_length=50)
    remove_tags: list[Few] = Field(default_factory=list[str], max_length=50)


class Overrides(Asked):
    """What of a picture's recipe is to be another."""

    prompt: Annotated[Words, Field(min_length=1)] | None = None
    negative_prompt: Words | None = None
    model: Some | None = None
    seed: Seed | None = None
    steps: Annotated[int, Field(ge=1, le=200)] | None = None
    cfg: Annotated[float, Field(ge=0, le=30)] | None = None
    width: Size | None = None
    height: Size | None = None
    sampler: Few | None = None
    scheduler: Few | None = None
    denoise: Annotated[float, Field(gt=0, le=1)] | None = None
    count: Annotated[int, Field(ge=1, le=8)] | None = None
    frames: Annotated[int, Field(ge=1, le=MAX_FRAMES)] | None = None
    fps: Annotated[float, Field(ge=1, le=120)] | None = None


class LoraBody(Asked):
    """A LoRA with its strength."""

    name: str = Field(min_length=1, max_length=400, pattern=TEXT)
    strength: float = Field(1.0, ge=-4, le=4)


class ControlBody(Asked):
    """A picture whose structure is followed."""

    kind: ControlKind
    image: Picture
    strength: Strength = 0.8
    start: float = Field(0.0, ge=0, le=1)
    end: float = Field(1.0, ge=0, le=1)
    preprocess: bool = True


class ReferenceBody(Asked):
    """A picture whose look or content is taken up."""

    image: Picture
    strength: Strength = 0.7
    mode: ReferenceMode = "auto"


class JobBody(Overrides):
    """Make a picture or video: the arguments of generate_image, or of the tool of another task."""

    task: MadeTask = Field("txt2img", description="txt2img with an input_image is img2img")
    input_image: Picture | None = None
    input_video: Picture | None = None
    motion_strength: Annotated[float, Field(ge=0, le=2)] | None = None
    extend_frames: Annotated[int, Field(ge=1, le=MAX_FRAMES)] | None = None
    target_fps: Annotated[float, Field(ge=1, le=120)] | None = None
    mask_image: Annotated[str, Field(max_length=MAX_MASK, pattern=MASK)] | None = Field(
        None, description="A picture's id, or a PNG as a data URI: white is painted anew"
    )
    mask_text: Annotated[str, Field(max_length=200, pattern=TEXT)] | None = None
    left: Added = 0
    right: Added = 0
    top: Added = 0
    bottom: Added = 0
    scale: Annotated[float, Field(gt=1, le=8)] | None = None
    method: UpscaleMethod = "auto"
    strength: Annotated[float, Field(ge=0, le=1)] | None = None
    style: Few | None = None
    quality: Quality = "balanced"
    preset: Some | list[Some] | None = Field(None, description="Presets by their paths")
    aspect: Annotated[str, Field(max_length=20, pattern=TEXT)] | None = None
    loras: list[LoraBody | Some] | None = Field(None, max_length=8)
    control: list[ControlBody] = Field(default_factory=list[ControlBody], max_length=4)
    reference: list[ReferenceBody] = Field(default_factory=list[ReferenceBody], max_length=4)
    transparent: bool = False
    hires: bool = False
    engine: Few = "auto"
    enhance: bool = False
    validate_: bool = Field(True, alias="validate")
    auto_retry: bool = True
    retry_limit: Annotated[int, Field(ge=1, le=10)] | None = Field(None, description="3; of a video 1")
    retry_strategy: RetryStrategy = "auto"
    positive_threshold: float = Field(0.25, ge=-1, le=1)
    checks: list[Few] | None = Field(None, max_length=8)
    best_of: int = Field(1, ge=1, le=MAX_CANDIDATES)
    keep: Kept = "best"

    def given(self) -> dict[str, Any]:
        """The arguments by their contract names; what was left open is left out."""
        return self.model_dump(by_alias=True, exclude={"task"}, exclude_none=True)
