"""The shape of every structured answer, for the output schemas: what a program may rely on.

Answers have more keys than these. Rows come from workflows.answers as they are, and are not spelt out: the list of
tools is read by a model at every turn.
"""

from __future__ import annotations

from typing import Any, NotRequired

from typing_extensions import TypedDict

Row = dict[str, Any]


class Queue(TypedDict):
    running: list[Row]
    waiting: list[Row]
    servers: NotRequired[list[Row]]


class History(TypedDict):
    jobs: list[Row]


class Stopped(TypedDict):
    job_id: str
    status: str
    stopped: bool
    message: str


class ImageList(TypedDict):
    images: list[Row]
    total: int
    cursor: NotRequired[str]


class ImageInfo(TypedDict):
    image_id: str
    prompt: str
    model: str
    seed: int
    url: str
    job_id: str
    recipe: Row
    verdicts: list[Row]
    parents: list[str]
    children: list[str]


class Deleted(TypedDict):
    deleted: bool
    image_id: str
    prompt: str


class Tagged(TypedDict):
    image_id: str
    tags: list[str]
    favourite: bool


class SystemStatus(TypedDict):
    version: str
    engines: list[Row]
    judges: list[str]
    jobs: list[Row]
    pictures: int
    notices: list[str]


class Validity(TypedDict):
    valid: bool
    problems: list[Row]


class Workflows(TypedDict):
    workflows: list[Row]
    usable: int


class ModelList(TypedDict):
    models: list[Row]
    total: int


class LoraList(TypedDict):
    loras: list[Row]
    total: int


class ModelDetails(TypedDict):
    name: str
    kind: str
    family: str
    facts: Row


class Suggestion(TypedDict):
    next: str


class Found(TypedDict):
    results: list[Row]
    total: int
    next: str


class Fetched(TypedDict):
    status: str
    next: str


class Prompt(TypedDict):
    prompt: str
    words: str
    family: str
    by: str


class Turn(Prompt):
    conversation_id: str
    reply: str


class Wordless(TypedDict):
    negative_prompt: str
    used: bool
    why: str


class PromptFindings(TypedDict):
    family: str


class PresetList(TypedDict):
    total: int


class Prompts(TypedDict):
    prompts: list[Row]
    total: int
