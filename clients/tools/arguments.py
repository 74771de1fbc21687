"""The arguments that several tools share: their types, limits and the words that describe them."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from workflows.types import MAX_EDGE, MAX_PROMPT, MAX_SEED, Quality

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
Steps = Annotated[int | None, Field(ge=1, le=200, description="Sampling steps")]
Guidance = Annotated[float | None, Field(ge=0, le=30, description="Guidance scale")]
Sampler = Annotated[str | None, Field(max_length=60, description="Sampler name")]
Seed = Annotated[int, Field(ge=-1, le=MAX_SEED, description="-1: random")]
Count = Annotated[int, Field(ge=1, le=8, description="Number of pictures")]
EngineName = Annotated[str, Field(max_length=60, description="Engine name")]
Validate = Annotated[bool, Field(description="Judge the picture with CLIP")]
AutoRetry = Annotated[bool, Field(description="Retry when a judge says no")]
RetryLimit = Annotated[int, Field(ge=1, le=10, description="Attempts in all")]
Threshold = Annotated[float, Field(ge=-1, le=1, description="CLIP similarity to pass")]
Checks = Annotated[list[str] | None, Field(max_length=8, description="Judges; default clip")]
WaitSeconds = Annotated[
    float,
    Field(ge=0, le=MAX_WAIT, description="Answer by then; the job goes on"),
]
InputImage = Annotated[
    str,
    Field(
        min_length=1,
        max_length=2_000_000,
        description="Image id, path below an allowed folder, https URL or data URI",
    ),
]
Denoise = Annotated[float, Field(gt=0, le=1, description="How far from the input")]
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
Kind = Annotated[Literal["image", "video"] | None, Field(description="Only this kind")]
Sort = Annotated[Literal["newest", "oldest", "best"], Field(description="best: by score")]
Prefix = Annotated[str, Field(max_length=200, description="Start of the image id")]
