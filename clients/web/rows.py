"""What is answered of pictures and jobs: the shapes from which the description is made. Keys beside these may come."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from clients.web.answers import Answer
from workflows.answers import job_answer
from workflows.gallery import Gallery
from workflows.types import Job

Object = dict[str, Any]
ELSEWHERE = ("path", "url")
"""Keys of pictures that tell where a file lies: a browser gets it from here."""
Counts = list[Annotated[list[str | int], Field(min_length=2, max_length=2)]]
"""Pairs of a value and how many pictures have it."""


class ImageRow(Answer):
    """One picture in a list."""

    image_id: str
    kind: str
    prompt: str = Field(description="Shortened in lists")
    model: str
    engine: str
    seed: int
    width: int
    height: int
    score: float | None
    passed: bool | None = Field(description="Whether the judges accepted it; null where none judged")
    favourite: bool
    tags: list[str]
    created: str
    media_type: str
    source: str = Field("", description="The program that made it, of a picture that was imported")
    likeness: float = Field(0, description="To the picture of similar_to, -1 to 1")
    deleted: str = Field("", description="When it went to the trash")


class ImagesAnswer(Answer):
    images: list[ImageRow]
    total: int = Field(description="All that match, not only those on this page")
    cursor: str = Field("", description="For the next page, where there is one")


class FacetsAnswer(Answer):
    """What can be filtered by, each value with its count, commonest first."""

    models: Counts
    loras: Counts
    engines: Counts
    tags: Counts


class TreeNode(Answer):
    image_id: str
    parent_id: str | None = None
    task: str
    change: str = Field(description="What is another than in its parent, in words")
    created: str
    deleted: str | None = Field(None, description="When it went to the trash")


class Tree(Answer):
    """A picture's whole family: the oldest ancestor with all that was made from it."""

    nodes: list[TreeNode]


class ImageInfo(ImageRow):
    """All that is known about a picture."""

    negative_prompt: str
    model_hash: str | None
    job_id: str
    attempt: int
    file_size: int
    sha256: str
    recipe: Object = Field(description="What was asked for")
    rendered: Object = Field(description="What was drawn")
    verdicts: list[Object]
    facts: Object
    workflow: Object = Field({}, description="The graph that drew it")
    parents: list[str]
    children: list[str]
    tree: Tree = Field(Tree(nodes=[]), description="Its family")


class DeletedRow(ImageRow):
    """A picture that went to the trash."""

    until: str = Field("", description="When it is gone for good; left out where it is gone already")


class JobStarted(Answer):
    """A job that was begun."""

    job_id: str


class JobRow(Answer):
    """One job in a list."""

    job_id: str
    status: str
    task: str
    prompt: str
    engine: str | None
    created: str
    fraction: float
    message: str
    image_ids: list[str]
    ahead: int = Field(0, description="Renders before it in the engine's queue")
    seconds_left: float = 0
    passed: bool | None = None
    score: float | None = None
    error: str = ""
    here: bool = Field(True, description="False: another process runs it, and can stop it")


class JobsAnswer(Answer):
    jobs: list[JobRow] = Field(description="Newest first")


class JobAnswer(Answer):
    """A job, as generate_image answers."""

    status: str
    job_id: str


class JobStopped(Answer):
    """What a cancel did."""

    job_id: str
    status: str
    stopped: bool
    message: str


class EngineRow(Answer):
    name: str
    available: bool
    detail: str


class StatusAnswer(Answer):
    """The state of the whole."""

    version: str
    engines: list[EngineRow]
    judges: list[str]
    writers: list[str]
    notices: list[str]
    pictures: int
    signed_in: bool = Field(description="Whether this browser came with a login's cookie")


class Event(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ProgressEvent(Event):
    """How far the job is."""

    progress: Object


class PreviewEvent(Event):
    """There is a new glimpse of the picture."""

    preview: Literal[True]


class JobsEvent(Event):
    """The latest jobs, one of them changed."""

    jobs: list[JobRow]


class ImagesEvent(Event):
    """The gallery is another than it was."""

    images: Literal[True]


class JobDone(JobAnswer):
    """The last event of a job."""

    done: Literal[True]


def here(row: Object) -> Object:
    """A picture as a browser is told of it."""
    return {name: value for name, value in row.items() if name not in ELSEWHERE}


async def job_told(gallery: Gallery, job: Job) -> Object:
    """A job as a browser is told of it."""
    told = here(await job_answer(gallery, job))
    return told | {"images": [here(row) for row in told["images"]]} if "images" in told else told
