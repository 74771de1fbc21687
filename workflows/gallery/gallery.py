"""Gallery: what was filed, found again, shown, traced, tagged, deleted and restored."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

from utils import images
from workflows.errors import BadRecipe, NotFound, StorageError
from workflows.gallery.family import Tree, family, lineage
from workflows.gallery.finding import Finder, has_picture, is_erasing, why_no_picture
from workflows.gallery.likeness import Likeness
from workflows.gallery.previews import BYTES, Previews, cached_edge, shrunk
from workflows.gallery.tags import retagged
from workflows.gallery.trash import LEASE, Trash
from workflows.ports import Embedder, Filing, Items, Likenesses, Store
from workflows.types import Facets, Item, ItemQuery, Media, Page, Progress

PREVIEW_EDGES = range(64, 1569)
"""Long edges in pixels: below, nothing can be seen; above, the models that look shrink it again."""
TRASH_DAYS = 30.0
DISTANCE = 6
"""Bits of 64 by which near duplicates may differ: other encodings and sizes of a picture differ in at most 2 here,
different pictures in 20 and more on average."""
MOST_GROUPS = 100

T = TypeVar("T")


class Gallery(Finder):
    """Rows and files together. A name is an item id, a file name or a storage key."""

    def __init__(
        self,
        items: Items,
        store: Store,
        *,
        filing: Filing,
        likenesses: Likenesses | None = None,
        embedder: Embedder | None = None,
        previews: Store | None = None,
        trash_days: float = TRASH_DAYS,
        on_change: Callable[[], object] = lambda: None,
    ) -> None:
        """`previews`: where small copies are kept. `trash_days`: how long what was deleted can be restored.
        `on_change` is called on the event loop after each change."""
        super().__init__(items, store)
        self.trash_days = trash_days
        self._filing = filing
        self._likenesses = likenesses
        self._previews = Previews(previews)
        self._trash = Trash(self, filing, self._previews, trash_days)
        self._likeness = Likeness(self, filing, likenesses, embedder)
        self._on_change = on_change
        self._carried: set[asyncio.Task[Any]] = set()

    async def search(self, query: ItemQuery, report: Callable[[Progress], None] | None = None) -> Page:
        """One page of items; with `similar_to` those most like that picture, itself left out.

        Pictures that no model looked at yet are looked at first, newest first, at most 256 and for 15 seconds; `report`
        hears of it. Raises BadRecipe for a cursor that is not ours, and with `similar_to` NotFound, ExtraMissing.
        """
        if query.similar_to is not None:
            return await self._likeness.search(query, report)
        page = await self.items.search(query)
        shown = tuple(item for item in page.items if not is_erasing(item))
        return page.but(items=shown) if len(shown) < len(page.items) else page

    async def facets(self) -> Facets:
        """What the gallery can be filtered by, with counts."""
        return await self.items.facets()

    async def preview(self, name: str, max_edge: int = 1024) -> Media:
        """A PNG or JPEG of at most `max_edge` pixels on the long edge and 400 KB. `max_edge` is 64 to 1568.

        Sizes up to 1024 are kept on disk once drawn. Of a video it is the poster frame, where one is kept.
        """
        if max_edge not in PREVIEW_EDGES:
            allowed = f"use {PREVIEW_EDGES[0]} to {PREVIEW_EDGES[-1]} pixels"
            raise BadRecipe("max_edge", max_edge, allowed)
        item = await self.find(name)
        if not has_picture(item):
            raise BadRecipe("image_id", name, why_no_picture(item))
        edge = cached_edge(max_edge)
        try:
            media = await self._previews.find(item, edge) or await self._drawn(item, edge)
            return media if edge == max_edge else await shrunk(media.data, max_edge, BYTES)
        except images.BadPicture as error:
            raise StorageError(f"The file of image {item.id} ({item.key}) cannot be shown: {error}.") from error

    async def trim_previews(self) -> int:
        """Drop the oldest previews where there are too many; how many went. Raises StorageError."""
        return await self._previews.trim()

    async def delete(self, name: str) -> Item:
        """Put a picture into the trash, or erase it where the trash keeps nothing (`trash_days` 0).

        Its file moves to `trash/` and its key: links to it are dead. When the file cannot be moved, nothing has
        changed and the error says why; when the process dies in between, `mend` completes it. Raises NotFound, of what
        is in the trash too; StorageError.
        """
        return await self._to_the_end(self._trash.delete(name))

    async def restore(self, name: str) -> Item:
        """Bring a picture back from the trash. Raises NotFound, also when its days there are over; StorageError."""
        return await self._to_the_end(self._trash.restore(name))

    async def erase(self, name: str) -> Item:
        """Remove a picture for good: file, previews, vectors, row, and its inputs where no other picture needs them.

        When its file cannot be deleted nothing has changed and the error says why; from then on it is gone for
        everyone, and what is left of it goes with the next `mend`. Gives back what the row held. Raises NotFound,
        StorageError.
        """
        return await self._to_the_end(self._trash.erase(name))

    async def empty_trash(self, before: datetime | None = None) -> int:
        """Erase all that was deleted, or what was deleted before a moment; how many. Raises StorageError at the end
        when some could not be erased."""
        return await self._to_the_end(self._trash.empty(before))

    async def expire(self) -> int:
        """Erase what has been in the trash for its days; how many. Raises StorageError as `empty_trash`."""
        return await self._to_the_end(self._trash.expire())

    async def mend(self, rested: timedelta = LEASE) -> int:
        """Complete what a process that died left half moved or half erased, longer than `rested` ago; how many.

        Younger ones may be in the hands of another process. Looks at 5,000 rows of the trash at most.
        """
        return await self._to_the_end(self._trash.mend(rested))

    def until(self, item: Item) -> datetime | None:
        """When an item of the trash is gone for good."""
        return self._trash.until(item)

    async def tag(
        self, name: str, add: Iterable[str] = (), remove: Iterable[str] = (), favourite: bool | None = None
    ) -> Item:
        """Add and take away tags (kept in NFKC and lower case), set or unset the favourite. Raises NotFound,
        BadRecipe."""
        item, add, remove = await self.find(name), tuple(add), tuple(remove)

        def tagged(row: Item) -> Item:
            kept = row.favourite if favourite is None else favourite
            return row.but(tags=retagged(row.tags, add, remove), favourite=kept)

        changed = await self._filing.change(item.id, tagged)
        if changed is None:
            raise NotFound("image", name, hint="Someone else erased it just now.")
        self._on_change()
        return changed

    async def lineage(self, item: Item) -> tuple[Sequence[Item], Sequence[Item]]:
        """(parents, nearest first; children, newest first). Erased parents end the line."""
        return await lineage(self.items, item)

    async def tree(self, item: Item) -> Tree:
        """The item's whole family: the oldest ancestor with all its descendants."""
        return await family(self.items, item)

    async def duplicates(self, distance: int = DISTANCE, limit: int = MOST_GROUPS) -> Sequence[Sequence[Item]]:
        """Groups of near duplicates, pictures apart from videos.

        In each the one worth keeping comes first: a favourite, then the best score, the most pixels, the largest file,
        the oldest. `distance` is 0 to 16 of 64 bits. Raises BadRecipe.
        """
        if distance not in range(17):
            raise BadRecipe("distance", distance, "it is 0 (the same) to 16; 6 finds other encodings and sizes")
        if self._likenesses is None:
            return []
        groups = await self._likenesses.twins(distance, limit)
        found = [[await self.items.get(item_id) for item_id in group] for group in groups]
        there = [[item for item in group if item is not None and item.deleted is None] for group in found]
        here = [[item for item in group if item.kind == kind] for group in there for kind in ("image", "video")]
        return [sorted(group, key=_worth) for group in here if len(group) > 1]

    async def embed_missing(self, most: int, report: Callable[[Progress], None] | None = None) -> int:
        """Look at pictures that no model looked at yet, at most so many, newest first; how many. Raises ExtraMissing,
        StorageError."""
        return await self._likeness.embed_missing(most, report)

    async def _drawn(self, item: Item, edge: int) -> Media:
        media = await self._previews.make(item, (await self.picture(item)).data, edge)
        if await self.items.get(item.id) is None:  # erased meanwhile
            await self._previews.drop(item.id)
        return media

    async def _to_the_end(self, work: Coroutine[Any, Any, T]) -> T:
        """A caller that goes away in the middle must not leave half a deletion: it is carried to its end."""
        task = asyncio.ensure_future(work)
        self._carried.add(task)
        task.add_done_callback(self._carried.discard)
        task.add_done_callback(lambda _: self._on_change())
        return await asyncio.shield(task)


def _worth(item: Item) -> tuple[Any, ...]:
    score = -1.0 if item.score is None else item.score
    return (not item.favourite, -score, -item.width * item.height, -item.size, item.created, item.id)
