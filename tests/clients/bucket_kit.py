"""A bucket that tests hold in their hands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from clients.minio_client import Stored
from workflows.errors import NotFound, ServiceUnavailable, StorageError
from workflows.types import Media


class Bucket:
    """A bucket in memory that can go away, and hold its answers back."""

    url = "http://bucket"

    def __init__(self) -> None:
        self.objects: dict[str, Media] = {}
        self.down = False
        self.refused: set[str] = set()
        self.asked: list[str] = []
        self.changed, self.begun = asyncio.Event(), asyncio.Event()
        self.gate: asyncio.Event | None = None
        self.greeting: asyncio.Event | None = None
        """Holds back the first answer until it is set."""

    async def ensure_bucket(self) -> None:
        if self.greeting is not None:
            await self.greeting.wait()
        if self.down:
            raise ServiceUnavailable("The bucket does not answer.")

    async def put(self, key: str, data: bytes, media_type: str) -> Stored:
        await self._ask(f"put {key}")
        if key in self.refused:
            raise StorageError("The bucket is full.")
        self.objects[key] = Media(data=data, media_type=media_type)
        self.changed.set()
        return Stored(key=key, size=len(data), etag="")

    async def get(self, key: str) -> Media:
        await self._ask(f"get {key}")
        if key not in self.objects:
            raise NotFound("file", key)
        return self.objects[key]

    async def stat(self, key: str) -> Stored:
        return Stored(key=key, size=len((await self.get(key)).data), etag="")

    async def delete(self, key: str) -> None:
        await self._ask(f"delete {key}")
        if key in self.refused:
            raise StorageError("The bucket is locked.")
        self.objects.pop(key, None)
        self.changed.set()

    async def presigned(self, key: str, seconds: int = 1) -> str:
        return f"{self.url}/{key}?{seconds}"

    async def all(self, prefix: str = "") -> AsyncIterator[Stored]:
        await self._ask(f"list {prefix}")
        for key in sorted(self.objects):
            if key.startswith(prefix):
                yield Stored(key=key, size=0, etag="")

    async def _ask(self, what: str) -> None:
        self.asked.append(what)
        self.begun.set()
        if self.down:
            raise ServiceUnavailable("The bucket does not answer.")
        if self.gate is not None:
            await self.gate.wait()

    async def until(self, so: Callable[[Bucket], bool]) -> None:
        while not so(self):
            self.changed.clear()
            await self.changed.wait()
