"""Imports: a file from elsewhere, looked at, kept byte for byte, and filed with the recipe that it tells of."""

from __future__ import annotations

import asyncio
import re
import unicodedata
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any, Protocol, cast
from uuid import UUID, uuid5

from pydantic import ValidationError

from utils import metadata
from utils.content_validator import embedded_texts
from utils.images import BadPicture, sha256
from utils.metadata import Stamp
from workflows.clips import facts_of
from workflows.content import ContentRules
from workflows.errors import NotFound, Refused, StorageError
from workflows.families import family
from workflows.gallery.finding import MOVING, POSTER
from workflows.gallery.tags import retagged
from workflows.importing.draft import Foreign
from workflows.importing.reading import OWN, read_recipe
from workflows.importing.values import text
from workflows.importing.wholeness import SUFFIXES, Whole, looked_at
from workflows.judges.panel import Panel
from workflows.ports import Filing, Items, Judge, Store
from workflows.types import VIDEOS, Acceptance, Item, Media, Recipe, Verdict, new_id

NAMESPACE = UUID("6c1d0c1e-0c63-5f43-9d0e-6d2f9c3f6a11")
"""Ids of imported items are made of it and the file's SHA-256, so that two processes cannot file one file twice."""
FILE = "file"
"""Source of a picture that does not say which program made it."""
ORIGINAL = "original_sha256"
"""In `Item.facts`, of a file that is kept as another: the digest of what came, by which it is known again."""
MOST_NAME = 80
MOST_LOOKING = 2
"""Files decoded at once: each may take 256 MB."""


class Shelf(Protocol):
    """What of the gallery is needed to take something in."""

    @property
    def items(self) -> Items: ...
    @property
    def store(self) -> Store: ...

    async def restore(self, name: str) -> Item: ...


@dataclass(frozen=True)
class Read:
    """All that is known of a file before it is filed. `kept`: what is filed of it, with its own digest."""

    whole: Whole
    digest: str
    kept: bytes
    kept_digest: str
    foreign: Foreign | None
    words: tuple[str, ...]


@dataclass(kw_only=True)
class Imports:
    """Takes files into the gallery. `gate` looks at every picture, as it does at those that are drawn."""

    gallery: Shelf
    filing: Filing
    rules: ContentRules = field(default_factory=ContentRules)
    gate: Judge | None = None
    on_change: Callable[[], object] = lambda: None
    """Called on the event loop when something new was filed."""
    _looking: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MOST_LOOKING), init=False)

    async def take(self, media: Media, name: str = "", *, tags: tuple[str, ...] = ()) -> Item:
        """The item of these bytes: a new one, or the one that is there, out of the trash if it lay there.

        `name`: the file's own, for the key and the facts. `tags` go with a new item. Raises BadRecipe for what is no
        whole PNG, JPEG, WebP, MP4, WebM or animated GIF, Refused for what the content rules forbid, StorageError.
        """
        return (await self.taken(media, name, tags=tags))[0]

    async def taken(self, media: Media, name: str = "", *, tags: tuple[str, ...] = ()) -> tuple[Item, bool]:
        """As `take`, and whether the item is new."""
        async with self._looking:
            read = await asyncio.to_thread(_read, media.data, name)
        if (there := await self._there(read)) is not None:
            return there, False
        added = retagged((), tags, ())
        verdicts = await self._admit(read)
        item = _item(read, name, verdicts)
        item = item.but(tags=retagged(item.tags, added, ()), parent_id=await self._parent(item))
        try:
            await self._file(item, read)
        except StorageError:
            # Another import of the same bytes may have been faster; then its item is the answer.
            there = await self._there(read)
            if there is None:
                raise
            return there, False
        self.on_change()
        return item, True

    async def _file(self, item: Item, read: Read) -> None:
        """Files and row, or none of them."""
        files = {item.key: Media(data=read.kept, media_type=item.media_type)}
        if read.whole.poster is not None:
            files[item.facts[POSTER]] = Media(data=read.whole.poster, media_type="image/png")
        try:
            for key, kept in files.items():
                await self.gallery.store.put(key, kept)
            await self.filing.add([item])
        except BaseException:
            for key in files:
                with suppress(StorageError):
                    await asyncio.shield(asyncio.ensure_future(self.gallery.store.delete(key)))
            raise

    async def _there(self, read: Read) -> Item | None:
        """The item that holds these very bytes, brought back from the trash."""
        own = text(read.foreign.record.get("id"), 100) if read.foreign else ""
        for known in (_id_of(read.digest), own):
            item = await self.gallery.items.get(known) if known else None
            if item is None or read.digest not in {item.sha256, item.facts.get(ORIGINAL)}:
                continue
            if item.deleted is None:
                return item
            try:
                return await self.gallery.restore(item.id)
            except NotFound as error:
                raise StorageError(
                    f"The same file is in the trash and about to go ({item.id}): empty the trash, then import it."
                ) from error
        return None

    async def _admit(self, read: Read) -> tuple[Verdict, ...]:
        """The content rules' word on its words, and the gate's on its pixels: of a video, on some of its frames. Raises
        Refused."""
        recipe = read.foreign.recipe if read.foreign else Recipe(task="unknown")
        await asyncio.to_thread(self.rules.check, recipe, read.words)
        if self.gate is None:
            return ()
        shown = Media(data=read.kept, media_type=read.whole.media_type)
        profile = (await asyncio.to_thread(family, "unknown")).profile
        panel, asked = Panel(judges=[self.gate], gate=self.gate), recipe.but(acceptance=Acceptance())
        (said,) = await panel.verdicts([shown], asked, profile)
        if barred := next((verdict for verdict in said if verdict.barred), None):
            noun = "video" if read.whole.kind == "video" else "picture"
            raise Refused(f"The {noun} may not be kept here. {barred.reason}")
        return tuple(verdict for verdict in said if verdict.passed is not None)

    async def _parent(self, item: Item) -> str | None:
        """The parent that our own stamp names, where it is in this gallery."""
        if item.parent_id is None or item.parent_id == item.id:
            return None
        parent = await self.gallery.items.get(item.parent_id)
        return parent.id if parent else None


def _read(content: bytes, name: str) -> Read:
    whole = looked_at(content, name)
    foreign = read_recipe(stamp_of(content))
    if foreign and whole.kind == "video":
        foreign = _not_drawn(foreign)
    words = embedded_texts(content)
    told = (foreign.recipe.prompt,) if foreign and foreign.recipe.prompt else ()
    digest, kept = sha256(content), whole.converted or content
    return Read(
        whole=whole,
        digest=digest,
        kept=kept,
        kept_digest=sha256(kept) if whole.converted else digest,
        foreign=foreign,
        words=tuple(dict.fromkeys((*words, *told))),
    )


def stamp_of(content: bytes) -> Stamp:
    """What the file says of itself; nothing where that cannot be read, which harms no picture."""
    try:
        return metadata.read(content)
    except BadPicture:
        return Stamp()


def _not_drawn(foreign: Foreign) -> Foreign:
    """Another program's settings of a video are read as those of a picture: its recipe is kept for its words."""
    if foreign.program == OWN and foreign.recipe.task in {*VIDEOS, "workflow"}:
        return foreign
    recipe = foreign.recipe.but(task="unknown")
    notes = (*foreign.notes, "Of another program's video the words and the graph are kept, and no other settings.")
    return replace(foreign, recipe=recipe, rendered=recipe, notes=notes)


def _item(read: Read, name: str, verdicts: tuple[Verdict, ...]) -> Item:
    """The row. Of our own pictures it has what the stamp tells of the judges, too."""
    found = read.foreign or Foreign(program=FILE, recipe=Recipe(task="unknown"))
    rendered = found.rendered or found.recipe
    own = _own(found.record)
    job = new_id()
    key = f"{job}/1/{safe_name(name)}.{SUFFIXES[read.whole.media_type]}"
    row: dict[str, Any] = {
        "id": _id_of(read.digest),
        "job_id": job,
        "kind": read.whole.kind,
        "key": key,
        "media_type": read.whole.media_type,
        "width": read.whole.width,
        "height": read.whole.height,
        "size": len(read.kept),
        "sha256": read.kept_digest,
        "fingerprint": read.whole.fingerprint,
        "prompt": found.recipe.prompt,
        "negative": found.recipe.negative,
        "model": found.model or "",
        "model_hash": found.model_hash,
        "engine": found.program,
        "seed": rendered.seed or 0,
        "source": found.program,
        "recipe": found.recipe,
        "rendered": rendered,
        "verdicts": verdicts,
        "facts": _facts(found, name) | _measures(read),
    }
    if read.whole.poster is not None:
        row["facts"][POSTER] = f"{job}/1/poster.png"
    return Item.checked(**row | own)


def _facts(found: Foreign, name: str) -> dict[str, Any]:
    kept = found.record.get("facts")
    facts: dict[str, Any] = dict(cast("Mapping[str, Any]", kept)) if isinstance(kept, Mapping) else {}
    for ours in (MOVING, POSTER):  # they speak of files in another gallery
        facts.pop(ours, None)
    told = {"graph": found.graph, "workflow": found.workflow, "notes": list(found.notes), "original_name": name[:300]}
    return facts | {key: value for key, value in told.items() if value}


def _measures(read: Read) -> dict[str, Any]:
    """Of a video its length and rate; of a file that is kept as another, what it was."""
    told: dict[str, Any] = facts_of(read.whole.clip) if read.whole.clip else {}
    return told | ({ORIGINAL: read.digest} if read.whole.converted else {})


_KEPT = ("engine", "attempt", "score", "passed", "verdicts", "tags", "parent_id", "seed")


def _own(record: Mapping[str, Any]) -> dict[str, Any]:
    """What the row of our own stamp says besides the recipe; nothing where it is not a row that can be read."""
    if not record:
        return {}
    places = {"key": "unknown", "size": 0, "sha256": ""}
    fields = {name: value for name, value in record.items() if name in Item.model_fields}
    try:
        item = Item.model_validate(fields | places)
    except (ValidationError, RecursionError):
        return {}
    return {name: getattr(item, name) for name in _KEPT}


def _id_of(digest: str) -> str:
    return str(uuid5(NAMESPACE, digest))


def safe_name(name: str) -> str:
    """The file's name as part of a storage key: ASCII letters, digits, `_` and `-`, without its ending."""
    stem = PurePosixPath(name.replace("\\", "/")).stem
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()
    kept = re.sub(r"[^A-Za-z0-9_-]+", "-", plain).strip("-")[:MOST_NAME].strip("-")
    # A device's name is no file's on Windows.
    return (
        kept if kept and not re.fullmatch(r"(?i)con|prn|aux|nul|(com|lpt)\d", kept) else f"picture-{kept}".rstrip("-")
    )


__all__ = ["FILE", "OWN", "Imports", "Read", "Shelf", "safe_name", "stamp_of"]
