"""Previews: small copies of pictures, drawn once and kept on disk. Losing them costs time, nothing else."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

from utils import images
from workflows.errors import NotFound, StorageError
from workflows.ports import Store
from workflows.types import Item, Media

log = logging.getLogger("atelier.gallery")

BYTES = 400_000
EDGES = {320: 80_000, 640: 200_000, 1024: BYTES}
"""Long edges that are kept, with the bytes they may have: a wall of hundreds loads at once, and a JPEG of 320 pixels
looks as it should with a fifth of that."""
MOST = 50_000
MOST_BYTES = 2_000_000_000
"""Previews that are kept, about 100 KB each at most sizes."""
SUFFIXES = {"image/png": "png", "image/jpeg": "jpg"}


class Previews:
    """The cache, by item and edge. Without a store nothing is kept."""

    def __init__(self, store: Store | None) -> None:
        self._store = store

    async def find(self, item: Item, edge: int) -> Media | None:
        """The kept preview; None where there is none, or a damaged one."""
        if self._store is None or edge not in EDGES:
            return None
        for suffix in SUFFIXES.values():
            try:
                media = await self._store.get(f"{item.id}/{edge}.{suffix}")
                await asyncio.to_thread(images.decode, media.data)
            except NotFound:
                continue
            except (StorageError, images.BadPicture) as error:
                log.info("the preview of image %s is made anew: %s", item.id, error)
                return None
            return media
        return None

    async def make(self, item: Item, original: bytes, edge: int) -> Media:
        """Drawn from the original and kept; a cache that cannot be written is none. Raises BadPicture."""
        clear = item.rendered.transparent or item.rendered.task == "remove_background"
        most = BYTES if clear else EDGES.get(edge, BYTES)  # a JPEG would put a cut-out on white
        media = await shrunk(original, edge, most)
        if self._store is not None and edge in EDGES:
            try:
                await self._store.put(f"{item.id}/{edge}.{SUFFIXES[media.media_type]}", media)
            except StorageError as error:
                log.warning("the preview of image %s is not kept: %s", item.id, error)
        return media

    async def drop(self, item_id: str) -> None:
        """Forget an item's previews; what cannot be deleted now is trimmed some day."""
        if self._store is None:
            return
        for key in [f"{item_id}/{edge}.{suffix}" for edge in EDGES for suffix in SUFFIXES.values()]:
            try:
                await self._store.delete(key)
            except StorageError as error:
                log.warning("a preview of image %s stays for now: %s", item_id, error)
                return

    async def trim(self, most: int = MOST, most_bytes: int = MOST_BYTES) -> int:
        """Drop the oldest until so many of so many bytes are left; how many went. Raises StorageError."""
        if self._store is None:
            return 0
        keys = await self._store.keys("")
        if not keys:
            return 0
        root = (await self._store.locate(keys[0])).path
        below = None if root is None else Path(root).parents[keys[0].count("/")]
        going = await asyncio.to_thread(_oldest, keys, below, most, most_bytes)
        for key in going:
            await self._store.delete(key)
        return len(going)


def cached_edge(max_edge: int) -> int:
    """The kept size from which one of at most that edge is drawn; above the largest the edge itself."""
    return next((edge for edge in EDGES if edge >= max_edge), max_edge)


async def shrunk(picture: bytes, edge: int, most: int) -> Media:
    """At most that edge and those bytes. Raises BadPicture."""
    shown, media_type, _, _ = await asyncio.to_thread(images.preview, picture, edge, most)
    return Media(data=shown, media_type=media_type)


def _oldest(keys: Sequence[str], root: Path | None, most: int, most_bytes: int) -> list[str]:
    """Keys that go, oldest first; where the files cannot be seen, each counts the bytes of the largest."""
    known = sorted((_seen(root, key), key) for key in keys)
    count, size, going = len(known), sum(size for (_, size), _ in known), list[str]()
    for (_, own), key in known:
        if count <= most and size <= most_bytes:
            break
        going.append(key)
        count, size = count - 1, size - own
    return going


def _seen(root: Path | None, key: str) -> tuple[float, int]:
    """When the file was written, and its bytes."""
    if root is None:
        return 0.0, BYTES
    try:
        found = (root / key).stat()
    except OSError:
        return 0.0, 0
    return found.st_mtime, found.st_size
