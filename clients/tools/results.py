"""The shape of every structured answer, for the output schemas. Rows come from workflows.answers as they are."""

from __future__ import annotations

from typing import Any, NotRequired

from typing_extensions import TypedDict


class JobRow(TypedDict):
    job_id: str
    status: str
    prompt: str
    image_ids: list[str]
    error: NotRequired[str]


class Queue(TypedDict):
    running: list[JobRow]
    waiting: list[JobRow]


class History(TypedDict):
    jobs: list[JobRow]


class Stopped(TypedDict):
    job_id: str
    status: str
    stopped: bool
    message: str


class ImageRow(TypedDict):
    image_id: str
    prompt: str
    model: str
    seed: int
    width: int
    height: int
    created: str
    path: str | None
    url: str


class ImageList(TypedDict):
    images: list[ImageRow]
    total: int
    cursor: NotRequired[str]


class ImageInfo(ImageRow):
    job_id: str
    recipe: dict[str, Any]
    verdicts: list[dict[str, Any]]
    parents: list[str]
    children: list[str]


class Deleted(TypedDict):
    deleted: bool
    image_id: str
    prompt: str


class SystemStatus(TypedDict):
    version: str
    engines: list[dict[str, Any]]
    judges: list[str]
    jobs: list[JobRow]
    pictures: int
    memory_gb: dict[str, float]
    places: dict[str, str]
    notices: list[str]
