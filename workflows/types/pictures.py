"""What the gallery holds, and how it is searched."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from workflows.types.judging import Verdict
from workflows.types.recipe import Recipe
from workflows.types.values import Value, new_id, now

ItemKind = Literal["image", "video", "audio", "file"]
"""audio and file (text, 3D, latents): what a workflow of the user's own makes besides."""


class Item(Value):
    """What is in the gallery. The size of what has none, such as a sound, is 0 by 0."""

    id: str = Field(default_factory=new_id)
    job_id: str
    kind: ItemKind = "image"
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
    tags: tuple[str, ...] = ()
    """The user's own words for it, casefolded, sorted, each once."""
    parent_id: str | None = None
    source: str | None = None
    """The program that made it, of a picture that was imported: ComfyUI, A1111, ..."""
    fingerprint: str | None = None
    """Difference hash of the pixels, 16 hex digits: near duplicates differ in few bits."""
    deleted: datetime | None = None
    """When it went to the trash; its file then lies under `trash/` and its key."""
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
    skip: int = Field(default=0, ge=0, le=2**31)
    """Items to pass over first: for a jump to a far place of a long list. Without similar_to."""
    query: str = Field(default="", max_length=500)
    model: str | None = None
    lora: str | None = None
    """Name of a LoRA that it was drawn with, with or without folder and ending."""
    engine: str | None = None
    tag: str | None = None
    min_score: float | None = None
    since: datetime | None = None
    until: datetime | None = None
    similar_to: str | None = None
    """Id of the picture to be alike; answered by the gallery, most alike first. Only with a CLIP model."""
    deleted: bool = False
    """What is in the trash, instead of what is not."""
    favourite: bool | None = None
    kind: ItemKind | None = None
    prefix: str = Field(default="", max_length=200)
    """Start of the item id."""
    sort: Literal["newest", "oldest", "best"] = "newest"


class Page(Value):
    """Some items and, when there are more, the cursor to go on with."""

    items: tuple[Item, ...]
    cursor: str | None = None
    total: int
    """Items that match the filters, not only those on this page."""
    likeness: tuple[float, ...] = ()
    """With similar_to: the cosine similarity of each item, -1 to 1."""


class Facets(Value):
    """What the gallery's rows can be filtered by, each value with its count, commonest first; the trash apart."""

    models: tuple[tuple[str, int], ...] = ()
    loras: tuple[tuple[str, int], ...] = ()
    engines: tuple[tuple[str, int], ...] = ()
    tags: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Location:
    """Where a stored file can be fetched: a path on this machine, a URL, or both."""

    path: str | None
    url: str
    waiting: bool = False
    """Kept on this machine until the object store can take it."""
