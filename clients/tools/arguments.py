"""The arguments that several tools share: their types, limits and the words that describe them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from workflows.types import MAX_EDGE, MAX_PROMPT, MAX_SEED, Quality

DEFAULT_WAIT = 40.0
MAX_WAIT = 45.0
"""Seconds; the shortest client time-out in the field is 60 and knows nothing of progress."""
MAX_PREVIEW = 1024
"""Pixels of the long edge of a picture inside an answer."""
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
"""Ids and file names: no folder, no drive, no leading dot."""

Prompt = Annotated[
    str, Field(min_length=1, max_length=MAX_PROMPT, description="What the picture shows, in the user's words")
]
Negative = Annotated[str, Field(max_length=MAX_PROMPT, description="What it must not show")]
QualityName = Annotated[Quality, Field(description="Steps as a share of the model's own")]
ModelName = Annotated[str, Field(max_length=400, description="Model to draw with; auto: the engine's own")]
Edge = Annotated[int | None, Field(ge=64, le=MAX_EDGE, multiple_of=8, description="Pixels; default: the model's own")]
Aspect = Annotated[
    str | None,
    Field(
        max_length=20, description="square, portrait, landscape or a ratio such as 16:9, instead of width and height"
    ),
]
Steps = Annotated[int | None, Field(ge=1, le=200, description="Sampling steps; default: from quality")]
Guidance = Annotated[float | None, Field(ge=0, le=30, description="Guidance scale; default: the model's own")]
Sampler = Annotated[str | None, Field(max_length=60, description="Sampler; default: the model's own")]
Seed = Annotated[int, Field(ge=-1, le=MAX_SEED, description="-1: random. The same seed draws the same picture")]
Count = Annotated[int, Field(ge=1, le=8, description="How many pictures")]
EngineName = Annotated[str, Field(max_length=60, description="Engine name, as get_system_status lists them, or auto")]
Validate = Annotated[bool, Field(description="Judge each picture against the prompt with CLIP")]
AutoRetry = Annotated[bool, Field(description="Render again, revised, when a judge says no")]
RetryLimit = Annotated[int, Field(ge=1, le=10, description="Attempts in all")]
Threshold = Annotated[float, Field(ge=-1, le=1, description="CLIP similarity that counts as a pass")]
Check = Annotated[str, Field(max_length=20)]
Checks = Annotated[list[Check] | None, Field(max_length=8, description='Judges to ask; default ["clip"]')]
WaitSeconds = Annotated[
    float,
    Field(ge=0, le=MAX_WAIT, description="Answer after this long at most; the job goes on and is asked for later"),
]
InputImage = Annotated[
    str,
    Field(
        min_length=1,
        max_length=2_000_000,
        description="Picture to start from: an image id, a path below an allowed folder, an https URL or a data URI",
    ),
]
Denoise = Annotated[float, Field(gt=0, le=1, description="How far to go from the input picture; 1: all the way")]
ImageId = Annotated[str, Field(max_length=200, pattern=NAME, description="Image id, as list_images gives it")]
ImageName = Annotated[str, Field(max_length=200, pattern=NAME, description="Image id or file name")]
JobId = Annotated[str | None, Field(max_length=64, pattern=NAME, description="Job id, as an earlier answer gave it")]
PromptId = Annotated[str | None, Field(max_length=64, pattern=NAME, description="The same as job_id")]
PreviewEdge = Annotated[int, Field(ge=64, le=MAX_PREVIEW, description="Long edge of the picture in the answer, pixels")]
Limit = Annotated[int, Field(ge=1, le=100, description="Rows in the answer")]
Cursor = Annotated[str | None, Field(max_length=200, description="From the page before, to go on")]
Words = Annotated[str, Field(max_length=500, description="Words of the prompt")]
ModelFilter = Annotated[str | None, Field(max_length=400, description="Only pictures of this model")]
MinScore = Annotated[float | None, Field(ge=-1, le=1, description="Only pictures with at least this CLIP score")]
Since = Annotated[datetime | None, Field(description="Only pictures made since this time, ISO 8601")]
Kind = Annotated[Literal["image", "video"] | None, Field(description="Only this kind")]
Sort = Annotated[Literal["newest", "oldest", "best"], Field(description="best: by score")]
Prefix = Annotated[str, Field(max_length=200, description="Start of the image id")]
