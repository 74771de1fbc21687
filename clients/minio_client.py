"""MinIOClient: one bucket of any S3 server (MinIO, Ceph, Garage, SeaweedFS, RustFS, AWS), asynchronous, on the minio
SDK. It keeps bytes under keys, and knows nothing of pictures."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Self, TypeVar

from clients._s3.address import check_bucket, read_address
from clients._s3.bucket import PAGE, Bucket
from clients._s3.objects import ObjectPage, Stored
from workflows.errors import AccessDenied, BadRecipe, StorageError
from workflows.types import Media

__all__ = ["MinIOClient", "ObjectPage", "Stored"]

T = TypeVar("T")

THREADS = 8
"""Calls of one client at the same time; further ones wait for their turn."""
PART_BYTES = 16 << 20
"""Bigger files go up in parts of this size."""
LINK_SECONDS = 86_400
LONGEST_LINK = 7 * 86_400
"""A week: S3's own limit on presigned links."""


class MinIOClient:
    """The SDK runs on threads of this client's own; the event loop never waits for it.

    `endpoint` and `public_endpoint` (how others reach the server, for links): host:port or a URL. `secure`: whether
    `endpoint` speaks TLS; None: as its scheme says. `region` None: the usual one, or what the server says.
    `connect_seconds`, `answer_seconds`: how long one try waits. Nothing is asked before the first call, which also
    makes the bucket when it is not there; it is never made public, and `remark` says so if somebody else did that.

    Raises ValueError for settings that cannot be right, AccessDenied for half a pair of keys. Every call raises
    ServiceUnavailable (or its kinds), RateLimited, AccessDenied, StorageError.
    """

    def __init__(
        self,
        endpoint: str,
        access_key: str | None = None,
        secret_key: str | None = None,
        *,
        public_endpoint: str | None = None,
        secure: bool | None = None,
        region: str | None = None,
        bucket: str = "comfy-gen",
        part_bytes: int = PART_BYTES,
        connect_seconds: float = 3.0,
        answer_seconds: float = 20.0,
    ) -> None:
        address = read_address(endpoint, "MINIO_ENDPOINT", secure)
        public = read_address(public_endpoint, "MINIO_PUBLIC_ENDPOINT") if public_endpoint else address
        if public_endpoint and "://" not in public_endpoint:
            public = read_address(public_endpoint, "MINIO_PUBLIC_ENDPOINT", address.secure)
        self._bucket = Bucket(
            check_bucket(bucket),
            address,
            public,
            _pair(access_key, secret_key),
            region or None,
            connect_seconds=connect_seconds,
            answer_seconds=answer_seconds,
            part_bytes=part_bytes,
            threads=THREADS,
        )
        self._url = address.url
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="s3")
        self._closed = False

    def __repr__(self) -> str:
        return f"MinIOClient({self._url!r}, bucket={self._bucket.name!r})"

    @property
    def url(self) -> str:
        """Where the server is, for texts."""
        return self._url

    @property
    def bucket(self) -> str:
        return self._bucket.name

    @property
    def remark(self) -> str | None:
        """What the owner should know of the bucket, such as that everybody may read it; None before the first call."""
        return self._bucket.remark

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Take no more calls, and close the connections; what runs is not waited for."""
        if not self._closed:
            self._closed = True
            self._threads.shutdown(wait=False, cancel_futures=True)
            await asyncio.to_thread(self._bucket.close)

    async def ensure_bucket(self) -> None:
        """Make the bucket when it is not there. Every call does this first; it asks once."""
        await self._run(self._bucket.ensure)

    async def put(self, key: str, data: bytes, media_type: str, metadata: Mapping[str, str] | None = None) -> Stored:
        """Keep the bytes under `key`, replacing what was there, and see that the server has them.

        `metadata`: texts of any letters by keys of small letters, digits and '-', 1,900 bytes in all when
        percent-encoded; "sha256" is added.
        Raises StorageError when they arrive damaged time and again; nothing is then under the key.
        """
        kept = dict(metadata or {})
        return await self._run(lambda: self._bucket.put(_key(key), data, media_type, kept))

    async def get(self, key: str) -> Media:
        """The bytes as they were put. Raises NotFound, StorageError when they are damaged."""
        content, stored = await self._run(lambda: self._bucket.get(_key(key)))
        return Media(data=content, media_type=stored.media_type or "application/octet-stream")

    async def stat(self, key: str) -> Stored:
        """Size, type and metadata, without the bytes. Raises NotFound."""
        return await self._run(lambda: self._bucket.stat(_key(key)))

    async def list(self, prefix: str = "", limit: int = PAGE, start_after: str | None = None) -> ObjectPage:
        """Objects whose keys start with `prefix`, in their order; `limit` is 1 to 1000. Go on after `page.next`."""
        if not 1 <= limit <= PAGE:
            raise BadRecipe("limit", limit, f"it is 1 to {PAGE}")
        return await self._run(lambda: self._bucket.page(prefix, limit, start_after))

    async def all(self, prefix: str = "") -> AsyncIterator[Stored]:
        """Every object whose key starts with `prefix`, page after page."""
        page = await self.list(prefix)
        while True:
            for stored in page.objects:
                yield stored
            if page.next is None:
                return
            page = await self.list(prefix, start_after=page.next)

    async def delete(self, key: str) -> None:
        """What is not there is no error."""
        await self._run(lambda: self._bucket.delete(_key(key)))

    async def delete_many(self, keys: Sequence[str]) -> None:
        """Delete a thousand at a time. Raises StorageError naming how many are left of which sort."""
        if keys:
            await self._run(lambda: self._bucket.delete_many([_key(key) for key in keys]))

    async def presigned(self, key: str, seconds: int = LINK_SECONDS, download_name: str | None = None) -> str:
        """A link that lets anyone fetch this one object for `seconds` (1 to 604800) at the public endpoint.

        `download_name`: browsers save the file under it. The server is not asked whether the object is there.
        """
        if not 1 <= seconds <= LONGEST_LINK:
            raise BadRecipe("seconds", seconds, f"a link lives 1 to {LONGEST_LINK} seconds")
        return await self._run(lambda: self._bucket.link(_key(key), seconds, download_name))

    async def _run(self, work: Callable[[], T]) -> T:
        if self._closed:
            raise StorageError(f"The connection to {self._url} is closed.")
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


def _pair(access_key: str | None, secret_key: str | None) -> tuple[str, str] | None:
    """Both keys, or none for a server that lets everybody in."""
    if access_key and secret_key:
        return access_key, secret_key
    if access_key or secret_key:
        missing = "MINIO_SECRET_KEY" if access_key else "MINIO_ACCESS_KEY"
        raise AccessDenied(f"{missing} is not set: an S3 server wants both or neither of the keys.", missing)
    return None


def _key(key: str) -> str:
    """The key, when S3 servers and the SDK take it. Raises StorageError."""
    parts = key.split("/")
    if not key.strip() or "." in parts or ".." in parts or len(key.encode()) > 1024:
        raise StorageError(f"{key[:80]!r} cannot be a key: it has 1 to 1024 bytes, and no '.' or '..' between slashes.")
    return key
