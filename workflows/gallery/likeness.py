"""Likeness: pictures by what they show, through vectors that a model makes of them and the ledger keeps."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import logging
import re
import time
import unicodedata
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from utils.images import BadPicture
from utils.likeness import fingerprint
from workflows.errors import BadRecipe, ExtraMissing, NotFound, StorageError
from workflows.gallery.finding import Finder, has_picture, why_no_picture
from workflows.ports import Embedder, Filing, Likenesses
from workflows.types import Item, ItemQuery, Media, Page, Progress

log = logging.getLogger("atelier.gallery")

EXTRA = "judges"
AT_ONCE = 16
"""Pictures that are read and embedded together: 16 of 1024 x 1024 are 50 MB."""
MOST_AT_A_SEARCH = 256
"""Pictures that a search embeds before it answers, newest first; the rest are embedded when nothing else is to do."""
SECONDS_AT_A_SEARCH = 15.0
"""A tool answers within 45 seconds."""
MOST_ALIKE = 1_000
"""Pictures that a likeness is told of, most alike first, before the other filters apply."""

Report = Callable[[Progress], None]


class Likeness:
    """Embeds what is new and finds what is near."""

    def __init__(
        self, finder: Finder, filing: Filing, likenesses: Likenesses | None, embedder: Embedder | None
    ) -> None:
        self._finder = finder
        self._filing = filing
        self._likenesses = likenesses
        self._embedder = embedder
        self._turn = asyncio.Lock()
        self._unusable: set[str] = set()
        """Items whose file is gone or damaged: not asked for again while this process lives."""

    async def search(self, query: ItemQuery, report: Report | None = None) -> Page:
        """One page, most alike first. Raises ExtraMissing, NotFound, BadRecipe, StorageError."""
        likenesses, embedder = self._parts()
        name = query.similar_to or ""
        if query.deleted:
            raise BadRecipe("similar_to", name, "likeness is not known of the trash; leave out one of the two")
        item = await self._finder.find(name)
        if not has_picture(item):
            raise BadRecipe("similar_to", name, f"{why_no_picture(item)}; name a picture")
        after = _place_of(query, item.id)
        model = await asyncio.to_thread(lambda: embedder.name)  # it may look at the weights
        vector = await likenesses.vector(model, item.id) or await self._embed_one(model, item)
        await self.embed_missing(MOST_AT_A_SEARCH, report, SECONDS_AT_A_SEARCH)
        near = await likenesses.near(model, vector, MOST_ALIKE + 1)
        alike = [(found, cosine) for found, cosine in near if found != item.id]
        return await self._page(query, item, _following(alike, after))

    async def embed_missing(self, most: int, report: Report | None = None, seconds: float | None = None) -> int:
        """Embed at most so many of the pictures that have no vector, newest first, for about so long; how many."""
        likenesses, embedder = self._parts()
        model = await asyncio.to_thread(lambda: embedder.name)
        began, done = time.monotonic(), 0
        async with self._turn:  # who waited finds that little is left to do
            while done < most and (seconds is None or time.monotonic() - began < seconds):
                room = min(AT_ONCE, most - done)
                missing = await likenesses.missing(model, room + len(self._unusable))
                batch = [item for item in missing if item.id not in self._unusable][:room]
                if not batch:
                    break
                await self._embed(model, batch)
                done += len(batch)
                if report is not None:
                    told = f"{done} new pictures looked at, to know what is alike"
                    report(Progress(fraction=min(done / most, 1.0), message=told))
        return done

    def _parts(self) -> tuple[Likenesses, Embedder]:
        if self._likenesses is None or self._embedder is None:
            raise ExtraMissing(EXTRA, "Finding pictures that look alike")
        return self._likenesses, self._embedder

    async def _embed_one(self, model: str, item: Item) -> bytes:
        likenesses, embedder = self._parts()
        media = await self._finder.picture(item)
        try:
            (vector,) = await embedder.embed([media])
        except BadPicture as error:
            raise StorageError(f"The file of image {item.id} ({item.key}) cannot be looked at: {error}.") from error
        await likenesses.keep(model, {item.id: vector})
        return vector

    async def _embed(self, model: str, batch: Sequence[Item]) -> None:
        """Vectors for those that can be read; the others are remembered as unusable."""
        likenesses, _ = self._parts()
        read = {item.id: media for item in batch if (media := await self._read(item)) is not None}
        vectors = await self._embedded(read)
        await likenesses.keep(model, vectors)
        self._unusable |= {item.id for item in batch} - vectors.keys()
        for item in batch:
            if item.kind == "image" and item.fingerprint is None and item.id in vectors:  # filed before there were any
                await self._fingerprint(item, read[item.id])

    async def _read(self, item: Item) -> Media | None:
        if not has_picture(item):
            return None
        try:
            return await self._finder.picture(item)
        except (NotFound, StorageError) as error:
            log.warning("image %s is left out of likeness: %s", item.id, error)
            return None

    async def _embedded(self, read: dict[str, Media]) -> dict[str, bytes]:
        """All in one batch; when one of them is no picture, one by one."""
        _, embedder = self._parts()
        if not read:
            return {}
        try:
            return dict(zip(read, await embedder.embed(list(read.values())), strict=True))
        except BadPicture as error:
            if len(read) == 1:
                log.warning("image %s is left out of likeness: %s", next(iter(read)), error)
                return {}
            single = [await self._embedded({item_id: media}) for item_id, media in read.items()]
            return {item_id: vector for one in single for item_id, vector in one.items()}

    async def _fingerprint(self, item: Item, media: Media) -> None:
        try:
            made = await asyncio.to_thread(fingerprint, media.data)
            await self._filing.change(item.id, lambda row: row.but(fingerprint=made))
        except (BadPicture, StorageError) as error:
            log.warning("image %s has no fingerprint: %s", item.id, error)

    async def _page(self, query: ItemQuery, item: Item, alike: Sequence[tuple[str, float]]) -> Page:
        found: list[tuple[Item, float]] = []
        for item_id, cosine in alike:
            one = await self._finder.items.get(item_id)
            if one is not None and one.deleted is None and fits(one, query):
                found.append((one, cosine))
            if len(found) > query.limit:
                break
        shown = found[: query.limit]
        more = len(found) > query.limit
        return Page(
            items=tuple(one for one, _ in shown),
            likeness=tuple(cosine for _, cosine in shown),
            cursor=_cursor(item.id, shown[-1][0].id, shown[-1][1]) if more else None,
            total=await self._total(query, item),
        )

    async def _total(self, query: ItemQuery, item: Item) -> int:
        plain = query.but(similar_to=None, cursor=None, limit=1, sort="newest")
        counted = (await self._finder.items.search(plain)).total
        return max(0, counted - (item.deleted is None and fits(item, query)))


def fits(item: Item, query: ItemQuery) -> bool:
    """Whether the item passes the filters of a query, as the ledger's search understands them."""
    wanted = (
        (query.model, query.model is not None and item.model.casefold() == query.model.casefold()),
        (query.engine, query.engine is not None and item.engine.casefold() == query.engine.casefold()),
        (query.tag, query.tag is not None and query.tag.strip().casefold() in item.tags),
        (query.lora, query.lora is not None and _stem(query.lora) in {_stem(one.name) for one in item.rendered.loras}),
        (query.min_score, item.score is not None and item.score >= (query.min_score or 0.0)),
        (query.since, query.since is not None and item.created >= query.since),
        (query.until, query.until is not None and item.created < query.until),
        (query.favourite, item.favourite == query.favourite),
        (query.kind, item.kind == query.kind),
        (query.prefix or None, item.id.startswith(query.prefix)),
        (query.query.strip() or None, _says(item, query.query)),
    )
    return all(fitting for given, fitting in wanted if given is not None)


def _says(item: Item, text: str) -> bool:
    """Every word occurs in prompt, negative prompt or model; the last one may be only begun."""
    *whole, last = _words(text) or [""]
    there = set(_words(f"{item.prompt}\n{item.negative}\n{item.model}"))
    return bool(last) and there >= set(whole) and any(word.startswith(last) for word in there)


def _words(text: str) -> list[str]:
    plain = "".join(letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))
    return re.findall(r"[^\W_]+", plain.casefold())


def _stem(name: str) -> str:
    """A LoRA's name without folder and ending."""
    last = re.split(r"[\\/]", name)[-1].casefold()
    return re.sub(r"\.(safetensors|pt|ckpt|bin)$", "", last)


def _cursor(item_id: str, last: str, cosine: float) -> str:
    told = json.dumps([item_id[:8], last, cosine])
    return base64.urlsafe_b64encode(told.encode()).decode().rstrip("=")


def _place_of(query: ItemQuery, item_id: str) -> tuple[str, float] | None:
    """(id of the last picture of the page before, its cosine). Raises BadRecipe for a cursor of another list."""
    if query.cursor is None:
        return None
    place: Any = None
    with suppress(ValueError, binascii.Error, RecursionError):
        place = json.loads(base64.b64decode(query.cursor + "=" * (-len(query.cursor) % 4), b"-_", validate=True))
    match place:
        case [start, str(last), float(cosine)] if start == item_id[:8]:
            return last, cosine
        case _:
            allowed = "pass the cursor of the page before unchanged, with the same similar_to, or none for the first"
            raise BadRecipe("cursor", query.cursor, allowed)


def _following(alike: Sequence[tuple[str, float]], after: tuple[str, float] | None) -> Sequence[tuple[str, float]]:
    """What comes after a place; where that picture is gone, what is less alike than it was."""
    if after is None:
        return alike
    place = next((place for place, (found, _) in enumerate(alike) if found == after[0]), None)
    return alike[place + 1 :] if place is not None else [one for one in alike if one[1] < after[1]]
