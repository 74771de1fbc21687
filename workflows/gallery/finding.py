"""Finder: an item by its name, and its file wherever that lies. It changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from workflows.errors import NotFound, StorageError
from workflows.kinds import called
from workflows.ports import Items, Store
from workflows.stamp import POSTER
from workflows.types import Item, ItemQuery, Location, Media

TRASH = "trash/"
"""Before the key of a file whose item was deleted."""
ERASING = datetime(1970, 1, 1, tzinfo=UTC)
"""In `Item.deleted`: it is being erased, or was when the process died; nobody gets to see it any more. The earliest
time there is, so that a ledger asked for the oldest of the trash gives these first."""
MOVING = "moving"
"""In `Item.facts`, since when its file is on the way into the trash or out of it; gone once it has arrived."""
NEAR = 100
"""How many of the newest items are compared with a name that is not there."""


class Finder:
    """A name is an item id, a file name or a storage key. What is in the trash is found too."""

    def __init__(self, items: Items, store: Store) -> None:
        self.items = items
        self.store = store

    async def find(self, name: str) -> Item:
        """Raises NotFound with near names, StorageError when the row is there but cannot be read."""
        item = await self.items.get(name)
        if item is None or is_erasing(item):
            raise NotFound("image", name, await self._near(name), "list_images shows what is in the gallery.")
        return item

    async def original(self, name: str) -> Media:
        """The file as it was filed. Raises NotFound, StorageError when the file is gone or cannot be read."""
        return await self.file(await self.find(name))

    async def file(self, item: Item) -> Media:
        """The item's file. Raises StorageError as `original`."""
        place, elsewhere = places(item)
        for key in (place, elsewhere, place):  # it may be on its way from one to the other, in either direction
            try:
                return await self.store.get(key)
            except NotFound:
                continue
        location = await self.store.locate(place)
        where = location.path or location.url.partition("?")[0]  # what follows is the right to fetch it
        raise StorageError(
            f"The file of image {item.id} is gone: nothing is at {where}. It was moved or removed by hand, or lies on "
            "another machine that kept it in a folder of its own; put it back, or remove the entry with delete_image."
        )

    async def picture(self, item: Item) -> Media:
        """What can be seen of it: the file, or of a video its poster frame. Raises as `original`, NotFound."""
        if not has_picture(item):
            raise NotFound("picture of", item.id, hint=why_no_picture(item))
        return await self.file(item) if item.kind == "image" else await self.store.get(item.facts[POSTER])

    async def locate(self, item: Item) -> Location:
        """Where the item's file lies."""
        return await self.store.locate(places(item)[0])

    async def _near(self, name: str) -> list[str]:
        newest = (await self.items.search(ItemQuery(limit=NEAR))).items
        start = (await self.items.search(ItemQuery(limit=3, prefix=name[:8]))).items if len(name) >= 4 else ()
        return [known for item in (*start, *newest) for known in (item.id, item.key.rpartition("/")[2])]


def places(item: Item) -> tuple[str, str]:
    """The key where the item's file lies, and the one where it lies while it has not arrived there."""
    return (TRASH + item.key, item.key) if item.deleted else (item.key, TRASH + item.key)


def has_picture(item: Item) -> bool:
    """Whether there is something to see of it without playing it."""
    return item.kind == "image" or (item.kind == "video" and isinstance(item.facts.get(POSTER), str))


def why_no_picture(item: Item) -> str:
    """In words, of one without."""
    if item.kind == "video":
        return "it is a video without a poster frame, which has no picture to show; use its path or URL"
    return f"it is {called(item.kind)} ({item.media_type}), which has no picture to show; use its path or URL"


def is_erasing(item: Item) -> bool:
    return item.deleted == ERASING


def still(item: Item) -> Mapping[str, Any]:
    """The item's facts without the mark that its file is on the way."""
    return {name: fact for name, fact in item.facts.items() if name != MOVING}
