"""Exports: pictures of the gallery as one zip, with a line of JSON for each recipe; written whole or not at all."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import tempfile
import unicodedata
import zipfile
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal, TypeVar
from uuid import uuid4

from utils.images import BadPicture
from utils.metadata import stripped
from workflows.errors import BadRecipe, StorageError
from workflows.gallery import Gallery
from workflows.kinds import ending_of
from workflows.stamp import as_format
from workflows.types import Item, ItemQuery, Media

Form = Literal["stored", "png", "jpeg", "webp"]
FORMS: Mapping[str, str] = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}
RECIPES = "recipes.jsonl"
PAGE = 200
MOST_WORDS = 48
"""Characters of the prompt in a file's name."""
IN_MEMORY = 16_000_000

Report = Callable[[int, int], object]
"""Called on the event loop with how many of how many are done."""
Wanted = ItemQuery | Sequence[str]
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What lies in the zip. `skipped`: ids of pictures whose file could not be read, each with the reason."""

    path: Path
    files: Mapping[str, str]
    """Name in the zip by item id."""
    size: int
    skipped: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class Exports:
    """Takes pictures out of the gallery, which it does not change."""

    gallery: Gallery

    async def zip(
        self, wanted: Wanted, path: Path, *, form: Form = "stored", strip: bool = False, report: Report | None = None
    ) -> Exported:
        """A zip at `path` of all that the query finds, or of these ids in their order; it replaces what was there.

        `form`: pictures in another format, with our stamp; videos stay as they are. `strip`: to share without prompts:
        no metadata but the mark of what a machine made, no words in the names, and no recipes. A picture whose file is
        gone is left out and told. Raises NotFound for an id that is none, BadRecipe when nothing was found,
        StorageError when no picture can be read or the zip cannot be written: then nothing is left of it.
        """
        if form not in {"stored", *FORMS}:
            raise BadRecipe("format", form, f"it is stored, {', '.join(FORMS)}")
        items = await self._items(wanted)
        if not items:
            told = wanted.query if isinstance(wanted, ItemQuery) else " ".join(wanted)[:80]
            raise BadRecipe("query", told, "the gallery has no such picture, with these filters")
        path = await asyncio.to_thread(_target, path)
        names = _names(items, worded=not strip)
        with tempfile.SpooledTemporaryFile(IN_MEMORY) as lines:
            async with _whole(path) as unfinished:
                packing = _Packing(self.gallery, zipfile.ZipFile(unfinished, "w"), lines, form, strip)
                try:
                    for done, item in enumerate(items, start=1):
                        await packing.add(item, names[item.id])
                        if report is not None:
                            report(done, len(items))
                    packing.check_some()
                    await _ended(packing.add_recipes)
                finally:
                    await _ended(packing.archive.close)
        size = await asyncio.to_thread(lambda: path.stat().st_size)
        return Exported(path=path, files=packing.files, skipped=packing.skipped, size=size)

    async def _items(self, wanted: Wanted) -> list[Item]:
        if not isinstance(wanted, ItemQuery):
            found = [await self.gallery.find(name) for name in dict.fromkeys(wanted)]
            return list({item.id: item for item in found}.values())
        return await every(self.gallery, wanted)


async def every(gallery: Gallery, query: ItemQuery) -> list[Item]:
    """All items that a query finds, page after page; its own limit and cursor do not count."""
    found: dict[str, Item] = {}
    cursor: str | None = None
    while True:
        page = await gallery.search(query.but(limit=PAGE, cursor=cursor))
        found |= {item.id: item for item in page.items}
        cursor = page.cursor
        if cursor is None or query.similar_to is not None:
            return list(found.values())


class _Packing:
    """A zip that is being filled."""

    def __init__(self, gallery: Gallery, archive: zipfile.ZipFile, lines: IO[bytes], form: Form, strip: bool) -> None:
        self.gallery, self.archive, self.lines, self.form, self.strip = gallery, archive, lines, form, strip
        self.files: dict[str, str] = {}
        self.skipped: dict[str, str] = {}

    async def add(self, item: Item, stem: str) -> None:
        try:
            media = await self.gallery.file(item)
            ready = await _ended(self._ready, item, media)
        except (StorageError, BadRecipe, BadPicture) as error:  # one that is gone does not keep the others here
            self.skipped[item.id] = str(error)
            return
        name = f"{stem}.{ending_of(ready.media_type)}"
        await _ended(self._pack, item, name, ready)
        self.files[item.id] = name

    def check_some(self) -> None:
        """An empty zip is of no use, and must not replace one that is. Raises StorageError."""
        if not self.files:
            raise StorageError(f"None of the pictures could be read. {next(iter(self.skipped.values()))}")

    def add_recipes(self) -> None:
        """The recipes, as the last file."""
        if self.strip:
            return
        self.lines.seek(0)
        packed = zipfile.ZipInfo(RECIPES)
        packed.compress_type = zipfile.ZIP_DEFLATED
        packed.external_attr = 0o644 << 16
        with self.archive.open(packed, "w", force_zip64=True) as target:
            shutil.copyfileobj(self.lines, target)

    def _ready(self, item: Item, media: Media) -> Media:
        wanted = FORMS.get(self.form)
        if wanted and item.kind == "image" and wanted != media.media_type:
            media = as_format(item, media, wanted)
        return Media(data=stripped(media.data), media_type=media.media_type) if self.strip else media

    def _pack(self, item: Item, name: str, media: Media) -> None:
        packed = zipfile.ZipInfo(name, date_time=item.created.timetuple()[:6])
        packed.external_attr = 0o644 << 16
        self.archive.writestr(packed, media.data)  # stored: pictures do not get smaller
        line = json.dumps(recipe_row(item, name), ensure_ascii=False, separators=(",", ":"))
        self.lines.write(line.encode("utf-8", "replace") + b"\n")


async def _ended(work: Callable[..., T], *arguments: Any) -> T:
    """What a thread makes of it; whoever is cancelled meanwhile waits for its end, so that nothing is in its hands."""
    task = asyncio.ensure_future(asyncio.to_thread(work, *arguments))
    try:
        return await asyncio.shield(task)
    finally:
        if not task.done():
            await asyncio.wait([task])
            task.exception()


def recipe_row(item: Item, name: str) -> dict[str, Any]:
    """One line of recipes.jsonl: everything needed to make the picture again, and what was said of it."""
    told = item.model_dump(
        mode="json",
        include={
            *("id", "kind", "prompt", "negative", "recipe", "rendered", "model", "model_hash", "engine", "seed"),
            *("width", "height", "media_type", "sha256", "score", "passed", "favourite", "tags", "parent_id"),
            *("source", "created", "verdicts"),
        },
    )
    return {"id": told.pop("id"), "file": name} | told


def _names(items: Sequence[Item], worded: bool) -> dict[str, str]:
    """A readable name for each, without its ending: date, words of the prompt, start of the id; no two alike."""
    taken: set[str] = set()
    names: dict[str, str] = {}
    for item in items:
        parts = (f"{item.created:%Y-%m-%d}", _words(item.prompt) if worded else "", item.id[:8])
        name = "_".join(part for part in parts if part)
        if name.casefold() in taken:
            name = f"{name}{re.sub(r'[^A-Za-z0-9-]', '-', item.id[8:])}"
        taken.add(name.casefold())
        names[item.id] = name
    return names


def _words(prompt: str) -> str:
    """The first words as part of a file name, letters of any script; no system forbids one of them."""
    plain = unicodedata.normalize("NFC", prompt[:400])
    words = re.sub(r"[\W_]+", "-", plain).strip("-")
    if len(words) > MOST_WORDS:
        words = words[:MOST_WORDS].rpartition("-")[0] or words[:MOST_WORDS]
    while len(words.encode("utf-8", "ignore")) > 3 * MOST_WORDS:
        words = words[:-1]
    return words.encode("utf-8", "ignore").decode()


def _target(path: Path) -> Path:
    """Where the zip goes: in a folder that is there. Raises BadRecipe."""
    path = path.expanduser()
    if path.is_dir():
        raise BadRecipe("path", str(path), "it is a folder; name the zip file")
    if not path.parent.is_dir():
        raise BadRecipe("path", str(path), f"there is no folder {path.parent}")
    return path


@asynccontextmanager
async def _whole(path: Path) -> AsyncGenerator[IO[bytes]]:
    """A file that becomes `path` when all went well, and is gone when not. OSError becomes StorageError."""
    unfinished = path.with_name(f".{path.name[:80]}.{uuid4().hex[:12]}.part")
    try:
        file = await asyncio.to_thread(unfinished.open, "xb")
        try:
            yield file
            await asyncio.to_thread(_finish, file, unfinished, path)
        finally:
            with suppress(OSError):  # a full disk says so when the file is closed, too
                await asyncio.to_thread(file.close)
            await asyncio.to_thread(unfinished.unlink, missing_ok=True)
    except OSError as error:
        raise StorageError(
            f"{path} could not be written: {error.strerror or error}. Nothing is left of it; free some space there, or "
            "name another place."
        ) from error


def _finish(file: IO[bytes], unfinished: Path, path: Path) -> None:
    file.flush()
    os.fsync(file.fileno())
    file.close()
    unfinished.replace(path)
