"""Gallery: what was filed, found again, shown, traced and deleted."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from utils import images
from workflows.errors import BadRecipe, NotFound, StorageError
from workflows.ports import Items, Store
from workflows.types import Item, ItemQuery, Location, Media, Page

PREVIEW_EDGES = range(64, 1569)
"""Long edges in pixels: below, nothing can be seen; above, the models that look shrink it again."""
PREVIEW_BYTES = 400_000
GENERATIONS = 100
"""How far back lineage goes."""
NEAR = 100
"""How many of the newest items are compared with a name that is not there."""


@dataclass(frozen=True)
class Gallery:
    """Rows and files together. A name is an item id, a file name or a storage key."""

    items: Items
    store: Store

    async def search(self, query: ItemQuery) -> Page:
        """One page of items. Raises BadRecipe for a cursor that is not ours."""
        return await self.items.search(query)

    async def find(self, name: str) -> Item:
        """Raises NotFound with near names, StorageError when the row is there but cannot be read."""
        item = await self.items.get(name)
        if item is None:
            raise NotFound("image", name, await self._near(name), "list_images shows what is in the gallery.")
        return item

    async def original(self, name: str) -> Media:
        """The file as it was filed. Raises NotFound, StorageError when the file is gone or cannot be read."""
        return await self._file(await self.find(name))

    async def preview(self, name: str, max_edge: int = 1024) -> Media:
        """A PNG or JPEG of at most `max_edge` pixels on the long edge and 400 KB. `max_edge` is 64 to 1568."""
        if max_edge not in PREVIEW_EDGES:
            allowed = f"use {PREVIEW_EDGES[0]} to {PREVIEW_EDGES[-1]} pixels"
            raise BadRecipe("max_edge", max_edge, allowed)
        item = await self.find(name)
        if item.kind != "image":
            raise BadRecipe("image_id", name, "it is a video, which has no preview picture; use its path or URL")
        media = await self._file(item)
        try:
            shown, media_type, _, _ = await asyncio.to_thread(images.preview, media.data, max_edge, PREVIEW_BYTES)
        except images.BadPicture as error:
            raise StorageError(f"The file of image {item.id} ({item.key}) cannot be shown: {error}.") from error
        return Media(data=shown, media_type=media_type)

    async def delete(self, name: str) -> Item:
        """Delete file and row, and give back what the row held. Raises NotFound, so also the second time.

        The file goes first. When it cannot be deleted, nothing has changed and the error says why; when the process
        dies in between, a row without a file is left, which says so when it is opened and which deleting again
        removes. The other way round the file would stay for ever with nothing left that names it.
        """
        item = await self.find(name)
        # A caller that goes away in the middle must not leave half a deletion: it is carried to its end.
        if not await asyncio.shield(asyncio.ensure_future(self._delete(item))):
            raise NotFound("image", name, hint="Someone else deleted it just now.")
        return item

    async def locate(self, item: Item) -> Location:
        """Where the item's file lies."""
        return await self.store.locate(item.key)

    async def lineage(self, item: Item) -> tuple[Sequence[Item], Sequence[Item]]:
        """(parents, nearest first; children, newest first). Deleted parents end the line."""
        parents: list[Item] = []
        seen = {item.id}
        parent_id = item.parent_id
        while parent_id is not None and parent_id not in seen and len(parents) < GENERATIONS:
            parent = await self.items.get(parent_id)
            if parent is None:
                break
            parents.append(parent)
            seen.add(parent.id)
            parent_id = parent.parent_id
        return parents, await self.items.children(item.id)

    async def _delete(self, item: Item) -> bool:
        """The file, and what it was made of where no other picture of its job needs that to be made again."""
        others = [one for one in await self.items.of_job(item.job_id) if one.id != item.id]
        needed = {key for one in others for key in _keys(one)}
        for key in sorted(_keys(item) - needed, key=lambda key: key != item.key):
            await self.store.delete(key)
        return await self.items.remove(item.id)

    async def _file(self, item: Item) -> Media:
        try:
            return await self.store.get(item.key)
        except NotFound as error:
            location = await self.store.locate(item.key)
            raise StorageError(
                f"The file of image {item.id} is gone: nothing is at {location.path or location.url}. "
                "It was moved or removed by hand; put it back, or remove the entry with delete_image."
            ) from error

    async def _near(self, name: str) -> list[str]:
        newest = (await self.items.search(ItemQuery(limit=NEAR))).items
        start = (await self.items.search(ItemQuery(limit=3, prefix=name[:8]))).items if len(name) >= 4 else ()
        return [known for item in (*start, *newest) for known in (item.id, item.key.rpartition("/")[2])]


def _keys(item: Item) -> set[str]:
    """The files of an item: its own, and those that it was made of and that lie with its job."""
    made_of = {*item.recipe.pictures.values(), *item.rendered.pictures.values()}
    return {item.key, *(key for key in made_of if key.startswith(f"{item.job_id}/"))}
