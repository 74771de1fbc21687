"""EarlierStore: the store in use, before the folder where pictures lie from the time when there was no such store."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from workflows.errors import NotFound, StorageError
from workflows.ports import Store
from workflows.types import Location, Media


class EarlierStore:
    """The Store port on `store`. What it does not give is read from `earlier`, a store on this machine, where nothing
    is put any more; what is deleted goes from both."""

    def __init__(self, store: Store, earlier: Store) -> None:
        self._store = store
        self._earlier = earlier

    async def put(self, key: str, media: Media) -> None:
        await self._store.put(key, media)

    async def get(self, key: str) -> Media:
        """Raises what the store in use raises, when neither has it."""
        try:
            return await self._store.get(key)
        except (NotFound, StorageError):
            try:
                return await self._earlier.get(key)
            except NotFound:
                pass
            raise

    async def delete(self, key: str) -> None:
        """First where it counts: when that fails, the picture from before is still there."""
        await self._store.delete(key)
        await self._earlier.delete(key)

    async def locate(self, key: str) -> Location:
        """On this machine as long as the file lies here, also when a copy lies in the store in use."""
        here = await self._earlier.locate(key)
        if here.path is not None and await asyncio.to_thread(Path(here.path).is_file):
            return here
        return await self._store.locate(key)

    async def keys(self, prefix: str) -> Sequence[str]:
        return sorted({*await self._store.keys(prefix), *await self._earlier.keys(prefix)})
