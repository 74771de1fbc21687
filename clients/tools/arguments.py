"""The arguments that several tools share: their types, limits and the words that describe them."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Literal, TypedDict, get_args

from pydantic import AfterValidator, Field, WithJsonSchema

from workflows.asking import Own
from workflows.types import (
    MAX_CANDIDATES,
    MAX_EDGE,
    MAX_FRAMES,
    MAX_ITERATIONS,
    MAX_MESSAGE,
    MAX_PROMPT,
    MAX_SEED,
    ControlKind,
    ItemKind,
    Kept,
    Quality,
    ReferenceMode,
    RetryStrategy,
    UpscaleMethod,
)

DEFAULT_WAIT = 40
MAX_WAIT = 45
"""Seconds; the shortest client time-out in the field is 60 and knows nothing of progress."""
MAX_PREVIEW = 1024
"""Pixels of the long edge of a picture inside an answer."""
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}"
"""Ids and file names: no folder, no drive, no leading dot."""


def plain_name(name: str) -> str:
    """Checked outside of the schema, which a model reads and need not know. Raises ValueError."""
    if not re.fullmatch(NAME, name):
        raise ValueError("must be an id or a file name, as an earlier answer gave it")
    return name


Name = Annotated[str, AfterValidator(plain_name)]

Prompt = Annotated[str, Field(min_length=1, max_length=MAX_PROMPT, description="What the picture shows")]
Negative = Annotated[str, Field(max_length=MAX_PROMPT, description="What it must not show")]
QualityName = Annotated[Quality, Field(description="More steps for more quality")]
ModelName = Annotated[str, Field(max_length=400, description="Model name")]
Edge = Annotated[int | None, Field(ge=64, le=MAX_EDGE, multiple_of=8, description="Pixels")]
Aspect = Annotated[
    str | None,
    Field(max_length=20, description="square, portrait, landscape or 16:9"),
]
Steps = Annotated[int | None, Field(ge=1, le=200, description="Steps")]
Guidance = Annotated[float | None, Field(ge=0, le=30, description="Guidance scale")]
Sampler = Annotated[str | None, Field(max_length=60, description="Sampler name")]
Seed = Annotated[int, Field(ge=-1, le=MAX_SEED, description="-1: random")]
Count = Annotated[int, Field(ge=1, le=8, description="Pictures")]
EngineName = Annotated[str, Field(max_length=60, description="Engine name")]
Validate = Annotated[bool, Field(description="Have it judged")]
AutoRetry = Annotated[bool, Field(description="Retry when a judge says no")]
RetryLimit = Annotated[int, Field(ge=1, le=10, description="Rounds in all")]
Strategy = Annotated[RetryStrategy, Field(description="What a retry changes; auto: by what is wrong")]
BestOf = Annotated[int, Field(ge=1, le=MAX_CANDIDATES, description="Candidates to choose from")]
Keep = Annotated[Kept, Field(description="all: file every candidate")]
Threshold = Annotated[float, Field(ge=-1, le=1, description="CLIP similarity to pass")]
Checks = Annotated[
    list[str] | None, Field(max_length=8, description="clip (default), people, pose, quality, content, vision")
]
WaitSeconds = Annotated[
    float,
    Field(ge=0, le=MAX_WAIT, description="Seconds"),
]
InputImage = Annotated[
    str,
    Field(
        min_length=1,
        max_length=2_000_000,
        description="Image id, path, URL or data URI",
    ),
]
Scheduler = Annotated[str | None, Field(max_length=60, description="Scheduler name")]
Transparent = Annotated[bool, Field(description="Without background")]
Hires = Annotated[bool, Field(description="Second pass for detail")]
OwnDenoise = Annotated[float | None, Field(gt=0, le=1, description="How much changes")]
Denoise = Annotated[float, Field(gt=0, le=1, description="How far from the input")]
MaskImage = Annotated[
    str | None,
    Field(max_length=2_000_000, description="White (or transparent) is painted"),
]
MaskText = Annotated[str | None, Field(max_length=200, description="Or: what to paint over, in words")]
Added = Annotated[int, Field(ge=0, le=2048, description="Pixels to add")]
Scale = Annotated[float, Field(gt=1, le=8, description="Times each edge")]
Method = Annotated[UpscaleMethod, Field(description="model: faithful; diffusion: invents detail")]
FaceStrength = Annotated[float, Field(ge=0, le=1, description="How much may change")]
NewPrompt = Annotated[str | None, Field(min_length=1, max_length=MAX_PROMPT, description="Another prompt")]
NewNegative = Annotated[str | None, Field(max_length=MAX_PROMPT, description="Another negative")]
NewModel = Annotated[str | None, Field(max_length=400, description="Another model")]
NewSeed = Annotated[int | None, Field(ge=-1, le=MAX_SEED, description="-1: random")]
NewCount = Annotated[int | None, Field(ge=1, le=8, description="Pictures")]
AnyGraph = Annotated[
    Any, WithJsonSchema({"type": ["object", "string"], "description": "Name, or graph (API or editor)"})
]
FlowInputs = Annotated[dict[str, Any] | None, WithJsonSchema({"type": "object", "description": "Values by input name"})]
OWN_WIDTH, OWN_HEIGHT, OWN_FRAMES, OWN_FPS = Own(832), Own(480), Own(81), Own(16)
"""Wan's numbers, which stand for those of whatever model draws."""
OwnEdge = Annotated[int, Field(ge=64, le=MAX_EDGE, multiple_of=8, description="Pixels")]
Frames = Annotated[int, Field(ge=1, le=MAX_FRAMES, description="Rounded to what the model needs")]
Rate = Annotated[float, Field(ge=1, le=120, description="Frames a second")]
NewFrames = Annotated[int | None, Field(ge=1, le=MAX_FRAMES)]
NewRate = Annotated[float | None, Field(ge=1, le=120)]
TargetRate = Annotated[float, Field(ge=1, le=120, description="Frames a second")]
Motion = Annotated[float, Field(ge=0, le=2, description="How much moves")]
InputVideo = Annotated[str, Field(min_length=1, max_length=2_000_000, description="Id of a video, path or URL")]
Iterations = Annotated[int, Field(ge=1, le=MAX_ITERATIONS, description="Rounds at most")]
EvaluatorName = Annotated[str, Field(max_length=60, description="gemini, ollama or clip")]
TestPrompt = Annotated[str, Field(min_length=1, max_length=MAX_PROMPT, description="Words for the graph")]

# Entries are read by workflows.asking, for every face alike; what a model is told of them is here.
Loras = Annotated[
    list[Any] | None,
    Field(max_length=8),
    WithJsonSchema(
        {"type": "array", "items": {}, "maxItems": 8, "description": "name, name:0.8 or {name, strength}; []: none"}
    ),
]


def _listed(description: str, required: list[str], **more: Any) -> WithJsonSchema:
    """The schema of up to four objects, each with an image and a strength besides the rest."""
    keys: dict[str, Any] = {"image": {"type": "string"}, "strength": {"type": "number"}, **more}
    entry = {"type": "object", "properties": keys, "required": required}
    return WithJsonSchema({"type": "array", "items": entry, "maxItems": 4, "description": description})


Controls = Annotated[
    list[Any] | None,
    Field(max_length=4),
    _listed(
        "Structure to follow; preprocess false: it is a map already",
        ["kind", "image"],
        kind={"enum": list(get_args(ControlKind))},
        start={"type": "number"},
        end={"type": "number"},
        preprocess={"type": "boolean"},
    ),
]
References = Annotated[
    list[Any] | None,
    Field(max_length=4),
    _listed(
        "Look (style) or content (edit) to take up",
        ["image"],
        mode={"enum": list(get_args(ReferenceMode))},
    ),
]
ImageId = Annotated[Name, Field(description="Image id")]
ImageName = Annotated[Name, Field(description="Image id or file name")]
JobId = Annotated[Name | None, Field(description="Job id")]
PromptId = Annotated[Name | None, Field(description="Same as job_id")]
PreviewEdge = Annotated[int, Field(ge=64, le=MAX_PREVIEW, description="Long edge, pixels")]
Limit = Annotated[int, Field(ge=1, le=100, description="Rows")]
Cursor = Annotated[str | None, Field(max_length=200, description="From the page before")]
Words = Annotated[str, Field(max_length=500, description="Words of the prompt")]
ModelFilter = Annotated[str | None, Field(max_length=400, description="Model name")]
MinScore = Annotated[float | None, Field(ge=-1, le=1, description="Lowest CLIP score")]
Since = Annotated[datetime | None, Field(description="Made since, ISO 8601")]
Until = Annotated[datetime | None, Field(description="Made before")]
LoraFilter = Annotated[str | None, Field(max_length=400, description="LoRA name")]
EngineFilter = Annotated[str | None, Field(max_length=60, description="Engine name")]
TagFilter = Annotated[str | None, Field(max_length=60, description="Tag")]
Favourite = Annotated[bool | None, Field(description="Only favourites, or only others")]
SetFavourite = Annotated[bool | None, Field(description="Mark or unmark")]
SimilarTo = Annotated[Name | None, Field(description="Image id: those that look like it")]
Deleted = Annotated[bool, Field(description="Those in the trash")]
Tags = Annotated[list[str] | None, Field(max_length=50, description="Tags")]
Kind = Annotated[ItemKind | None, Field(description="Only this kind")]
Sort = Annotated[Literal["newest", "oldest", "best"], Field(description="best: by score")]
Prefix = Annotated[str, Field(max_length=200, description="Start of the image id")]

AnyWords = Annotated[str, Field(max_length=MAX_PROMPT, description="What the picture shows")]
Part = Annotated[str | None, Field(max_length=1000, description="Preset or words")]
ModelOrFamilyName = Annotated[str, Field(max_length=400, description="Model or family, such as flux")]
Message = Annotated[str, Field(min_length=1, max_length=MAX_MESSAGE, description="What to make, or to change")]
ConversationId = Annotated[Name | None, Field(description="Of an earlier answer; none: begin")]
Reset = Annotated[bool, Field(description="Begin anew")]
PresetCategory = Annotated[
    str | None, Field(max_length=60, description="style, artist, composition, lighting, packs, options or a category")
]
PresetType = Annotated[str | None, Field(max_length=60, description="A type of the category")]
EntryId = Annotated[Name | None, Field(description="Id of the entry to delete")]
PresetNames = Annotated[str | None, Field(max_length=400, description="From list_presets, comma-separated")]
Enhance = Annotated[bool, Field(description="Have the prompt written for the model")]
StyleName = Annotated[str | None, Field(max_length=60, description="realistic, anime, artistic, 3d, ...")]
ModelKind = Annotated[str, Field(max_length=40, description="checkpoint, lora, vae, ... or all")]
ModelWords = Annotated[str, Field(max_length=300, description="Words of its name, title or tags")]
ModelOrFamily = Annotated[str | None, Field(max_length=400, description="Model or family")]
TaskWords = Annotated[str, Field(max_length=2000, description="What is to be made")]
Subject = Annotated[str | None, Field(max_length=2000, description="What it shows")]
Most = Annotated[int, Field(ge=1, le=20, description="Rows")]
Few = Annotated[int, Field(ge=1, le=100, description="Rows")]
Source = Annotated[str, Field(max_length=40, description="civitai, huggingface or all")]
BaseModel = Annotated[str | None, Field(max_length=100, description="Such as SDXL 1.0 or a family")]
SortWord = Annotated[str, Field(max_length=40, description="Or Highest Rated, Newest")]
Nsfw = Annotated[bool, Field(description="Adult ones too")]
Reference = Annotated[
    str, Field(min_length=1, max_length=1000, description="As search_models gave it, or a page's URL")
]
VersionId = Annotated[str | None, Field(max_length=100, description="Another version")]
Destination = Annotated[str, Field(max_length=1000, description="A model folder; auto: by what it is")]
Confirm = Annotated[bool, Field(description="The user agreed to its size")]


class AsInGenerate(TypedDict, total=False):
    """What other tools take as generate_image does, without spelling it out in their schemas again."""

    negative_prompt: Negative
    steps: Steps
    count: Count
    style: StyleName
    quality: QualityName
    preset: PresetNames
    loras: Loras
    cfg: Guidance
    sampler: Sampler
    scheduler: Scheduler
    control: Controls
    reference: References
    engine: EngineName
    enhance: Enhance
    validate: Validate
    auto_retry: AutoRetry
    retry_limit: RetryLimit
    retry_strategy: Strategy
    positive_threshold: Threshold
    checks: Checks
    best_of: BestOf
    keep: Keep


class AsInGenerateBySize(AsInGenerate, total=False):
    """The same with the picture's size."""

    width: Edge
    height: Edge
    aspect: Aspect


class AsInVideo(TypedDict, total=False):
    """What a video takes as generate_image does."""

    model: ModelName
    style: StyleName
    quality: QualityName
    preset: PresetNames
    loras: Loras
    sampler: Sampler
    scheduler: Scheduler
    engine: EngineName
    enhance: Enhance
    count: Count
    validate: Validate
    auto_retry: AutoRetry
    retry_limit: RetryLimit
    retry_strategy: Strategy
    positive_threshold: Threshold
    checks: Checks
    best_of: BestOf
    keep: Keep


class AsInVideoBySize(AsInVideo, total=False):
    """The same with what a video from a picture does not spell out."""

    negative_prompt: Negative
    steps: Steps
    width: Edge
    height: Edge
    aspect: Aspect
    cfg: Guidance


class AsInVideoOn(AsInVideo, total=False):
    """The same for a video that goes on: its size is there already."""

    negative_prompt: Negative
    motion_strength: Motion
    steps: Steps
    cfg: Guidance


class AsInRefinement(AsInGenerateBySize, total=False):
    """What the pictures of a refinement take as generate_image does."""

    model: ModelName
    seed: Seed
    transparent: Transparent
    hires: Hires


class Redrawn(TypedDict, total=False):
    """What a picture that is made again can have another way, besides what the tool spells out."""

    steps: Steps
    cfg: Guidance
    denoise: OwnDenoise
    frames: NewFrames
    fps: NewRate
    width: Edge
    height: Edge
    sampler: Sampler
    scheduler: Scheduler
    count: NewCount
