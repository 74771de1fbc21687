"""Stores on a bucket: BucketStore keeps first on this machine and uploads behind the caller's back; StraightStore
goes to the bucket alone. Neither knows which S3 client or which local store it is given."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Awaitable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

from clients._bucket_store.cells import Cells, Spool
from workflows.errors import NotFound, ServiceError, StorageError
from workflows.tasks import called_off
from workflows.types import Location, Media

log = logging.getLogger("atelier.store")

T = TypeVar("T")

WAIT_SECONDS = 2.0
"""How long a put or delete waits for the bucket before it goes on without it."""
CLOSE_SECONDS = 5.0
"""How long closing waits for uploads that run."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds between tries while the bucket cannot be reached; each pause is twice the one before."""
READ_PAUSE = 5.0
"""Seconds in which reads that find the bucket out of reach do not try it again: a wall of pictures must not wait for
each of them."""
LOOK_SECONDS = 60.0
"""How often the spool is looked through for what a process that died has left there."""
AT_ONCE = 3
"""Uploads behind the caller's back at the same time."""
IN_A_ROW = 9
"""Refusals one after another that end a round: the bucket takes nothing now, whatever its reasons."""
NOBODYS_KEY = "atelier/is-it-back"
"""Asked for to see whether the bucket answers."""
FIRST_WORD_SECONDS = 1.0
"""How long the state just after the start waits for the bucket's first answer."""
LINK_SECONDS = 86_400


class ToldObject(Protocol):
    """What a bucket tells of an object."""

    @property
    def key(self) -> str: ...
    @property
    def sha256(self) -> str | None: ...


class BucketClient(Protocol):
    """A bucket; calls raise ServiceError, StorageError, and NotFound where a key must be there."""

    @property
    def url(self) -> str: ...
    async def ensure_bucket(self) -> None: ...
    async def put(self, key: str, data: bytes, media_type: str) -> ToldObject:
        """Returns once the server is seen to have these bytes."""
        ...

    async def get(self, key: str) -> Media: ...
    async def stat(self, key: str) -> ToldObject: ...
    async def delete(self, key: str) -> None: ...
    async def presigned(self, key: str, seconds: int = ...) -> str: ...
    def all(self, prefix: str = ...) -> AsyncIterator[ToldObject]: ...


@dataclass(frozen=True, kw_only=True)
class Backlog:
    """What is kept on this machine until the bucket takes it."""

    pictures: int = 0
    deletes: int = 0
    since: datetime | None = None
    """When the oldest of them was put there."""
    error: str | None = None
    """Why the last try failed, while that is so."""

    @property
    def words(self) -> str | None:
        """One sentence for the owner; None when there is nothing to tell."""
        if not (self.pictures or self.deletes or self.error):
            return None
        if not (self.pictures or self.deletes):
            return f"{self.error} What is made now is kept on this machine until then."
        kept = [_count(self.pictures, "picture")] if self.pictures else []
        kept += [_count(self.deletes, "delete")] if self.deletes else []
        waiting = f"Waiting on this machine for the object store: {' and '.join(kept)}"
        since = f" since {self.since:%Y-%m-%d %H:%M} UTC" if self.since else ""
        return f"{waiting}{since}. {self.error or 'They are being carried out.'}"


class StraightStore:
    """The Store port on a bucket, without anything between: what cannot be reached raises StorageError."""

    def __init__(self, bucket: BucketClient, link_seconds: int = LINK_SECONDS) -> None:
        self._bucket = bucket
        self._link_seconds = link_seconds

    async def put(self, key: str, media: Media) -> None:
        """Returns once the server is seen to have the bytes."""
        await _stored(self._bucket.put(key, media.data, media.media_type))

    async def get(self, key: str) -> Media:
        """Raises NotFound, StorageError."""
        return await _stored(self._bucket.get(key))

    async def delete(self, key: str) -> None:
        """What is not there is no error."""
        await _stored(self._bucket.delete(key))

    async def locate(self, key: str) -> Location:
        """A link that anyone can fetch the file with for a day, whether or not there is one."""
        return Location(path=None, url=await _stored(self._bucket.presigned(key, self._link_seconds)))

    async def keys(self, prefix: str) -> Sequence[str]:
        """All keys that start with `prefix`, sorted."""

        async def listed() -> list[str]:
            return sorted([told.key async for told in self._bucket.all(prefix)])

        return await _stored(listed())

    async def greet(self) -> None:
        """Make the bucket when it is not there."""
        await _stored(self._bucket.ensure_bucket())

    async def sha256(self, key: str) -> str | None:
        """Of what the bucket holds, as it was checked when it was put; None when it does not say. Raises NotFound."""
        return (await _stored(self._bucket.stat(key))).sha256


class BucketStore:
    """The Store port on a bucket with a spool before it: nothing waits for the bucket, and nothing is lost.

    A put is on this machine's disk before anything else, then is uploaded; when that takes longer than
    `wait_seconds`, or the last try failed, the caller goes on, and the file waits (`Location.waiting`) until a later
    try, or the next process with this spool, has uploaded it. Deletes likewise. Readers see the last wish at once.

    `spool`: a Store on this machine that holds nothing else. `locks`: a folder of lock files beside it. Raises
    StorageError, and NotFound from `get`; never because the bucket is out of reach, but where only it can answer.
    """

    def __init__(
        self,
        bucket: BucketClient,
        spool: Spool,
        locks: Path,
        *,
        link_seconds: int = LINK_SECONDS,
        wait_seconds: float = WAIT_SECONDS,
        close_seconds: float = CLOSE_SECONDS,
        first_pause: float = FIRST_PAUSE,
        read_pause: float = READ_PAUSE,
    ) -> None:
        self._url = bucket.url
        self._far = StraightStore(bucket, link_seconds)
        self._cells = Cells(spool, locks)
        self._wait_seconds = wait_seconds
        self._close_seconds = close_seconds
        self._pause = Pause(first_pause)
        self._read_pause = read_pause
        self._out_of_reach: str | None = None
        """Why the bucket could not be asked at all the last time."""
        self._failed_at = 0.0
        self._troubles: dict[str, str] = {}
        """What the bucket has against single keys."""
        self._retrying = False
        """Whether the task behind pauses before it tries again what failed."""
        self._running: set[asyncio.Task[bool]] = set()
        self._news = asyncio.Event()
        self._behind: asyncio.Task[None] | None = None
        self._greeted = asyncio.Event()
        """Whether the bucket was asked for the first time."""

    async def __aenter__(self) -> Self:
        """Take up what earlier processes left in the spool."""
        self._behind = asyncio.create_task(self._carry_on(), name="uploads to the object store")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Wait a little for what is on its way; the rest stays for the next process."""
        await called_off([self._behind] if self._behind else [])
        self._behind = None
        if self._out_of_reach is None:
            with suppress(TimeoutError, StorageError):
                async with asyncio.timeout(self._close_seconds):
                    await self._round()
        await called_off([*self._running])

    async def put(self, key: str, media: Media) -> None:
        """Keep the bytes, at the latest on this machine. Raises StorageError when neither place takes them."""
        await self._wish(key, media)

    async def delete(self, key: str) -> None:
        """The key is gone for every reader at once; the bucket's object when the bucket can be reached."""
        await self._wish(key, None)

    async def get(self, key: str) -> Media:
        """Raises NotFound; StorageError when the bucket that has it is out of reach."""
        here = await self._cells.picture(key)
        return here if here is not None else await self._reading(self._far.get(key))

    async def locate(self, key: str) -> Location:
        """A presigned link, or path and file:// URL while the file waits on this machine."""
        here = await self._cells.peek(key)
        if here is not None and not here.deleted:
            return Location(path=str(here.path), url=here.path.as_uri(), waiting=True)
        return await self._far.locate(key)

    async def keys(self, prefix: str) -> Sequence[str]:
        """All keys that start with `prefix`, sorted, those that wait included. Raises StorageError when the bucket is
        out of reach: half a list would look like a loss."""
        here = await self._cells.keys(prefix)  # before the bucket: what is uploaded in between is then in both
        there = await self._reading(self._far.keys(prefix))
        gone = {key for key, waiting in here.items() if waiting.deleted}
        return sorted({*there, *here} - gone)

    async def sha256(self, key: str) -> str | None:
        """Of what the bucket holds; None for what waits here. Raises NotFound."""
        if await self._cells.peek(key) is not None:
            return None
        return await self._reading(self._far.sha256(key))

    async def status(self) -> Backlog:
        """What waits, and why. Just after the start it waits a second for the bucket's first answer."""
        if self._behind is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(FIRST_WORD_SECONDS):
                    await self._greeted.wait()
        cells = (await self._cells.keys()).values()
        return Backlog(
            pictures=sum(not cell.deleted for cell in cells),
            deletes=sum(cell.deleted for cell in cells),
            since=min((cell.since for cell in cells), default=None),
            error=self._out_of_reach or next(iter(self._troubles.values()), None),
        )

    async def flush(self) -> None:
        """Try everything that waits now, once."""
        await self._round()

    async def _wish(self, key: str, media: Media | None) -> None:
        try:
            await self._cells.write(key, media)
        except StorageError as error:
            await self._without_spool(key, media, error)
            return
        if self._out_of_reach is not None:  # the caller does not wait for it to fail again
            self._wake()
            return
        task = asyncio.create_task(self._settle(key), name=f"upload of {key}")
        self._running.add(task)
        task.add_done_callback(self._ended)
        await asyncio.wait({task}, timeout=self._wait_seconds)

    async def _without_spool(self, key: str, media: Media | None, reason: StorageError) -> None:
        """This machine's disk does not take it (it may be full): then only the bucket can."""
        log.warning("%s goes straight to the object store: %s", key, reason)
        async with self._cells.turn(key) as mine:
            if not mine:
                raise reason
            try:
                await (self._far.delete(key) if media is None else self._far.put(key, media))
            except StorageError as error:
                raise StorageError(f"{reason} And the object store does not take it either: {error}") from error
            await self._cells.empty(key, None)

    def _ended(self, task: asyncio.Task[bool]) -> None:
        self._running.discard(task)
        if task.cancelled() or not task.result():
            self._wake()

    def _wake(self) -> None:
        """Have what waits tried now, unless a pause after a failure goes on."""
        if not self._retrying:
            self._news.set()

    async def _settle(self, key: str) -> bool:
        """Carry out what the cell asks, until it asks nothing; whether that was done."""
        try:
            async with self._cells.turn(key) as mine:
                while mine and (cell := await self._cells.read(key)) is not None:
                    await (self._far.delete(key) if cell.picture is None else self._far.put(key, cell.picture))
                    self._reached()
                    await self._cells.empty(key, cell)
        except OutOfReach as error:
            self._failed(error)
            return False
        except StorageError as error:
            log.warning("%s waits on this machine: %s", key, error)
            self._troubles[key] = str(error)
            return False
        except Exception:  # the top of a task: what nobody foresaw leaves the file in its cell
            log.exception("the upload of %s broke; it waits on this machine", key)
            return False
        self._troubles.pop(key, None)
        return mine

    async def _carry_on(self) -> None:
        """As long as the store is open: try what waits, with growing pauses while that fails."""
        await self._greet()
        while True:
            self._news.clear()
            try:
                self._retrying = not await self._round()
            except StorageError as error:  # the spool itself cannot be read
                log.warning("the spool cannot be looked through: %s", error)
                self._retrying = True
            pause = self._pause.longer() if self._retrying else LOOK_SECONDS
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._news.wait()

    async def _greet(self) -> None:
        """Look for the bucket at the start: the owner hears early of wrong keys, and links need its region."""
        try:
            await self._far.greet()
        except OutOfReach as error:
            self._failed(error)
        except StorageError as error:
            log.warning("the bucket cannot be used: %s", error)
        finally:
            self._greeted.set()

    async def _is_back(self) -> bool:
        """Whether the bucket can be reached; it is asked only when it could not."""
        if self._out_of_reach is None:
            return True
        try:
            with suppress(NotFound):
                await self._far.sha256(NOBODYS_KEY)
        except OutOfReach as error:
            self._failed(error)
            return False
        self._reached()
        return True

    async def _round(self) -> bool:
        """Try every cell once; whether all are empty now. It ends early when the bucket takes nothing."""
        keys = list(await self._cells.keys())
        if not keys:
            return await self._is_back()
        random.shuffle(keys)  # some that are refused each time must not stand before the others for ever
        done: list[bool] = []
        for start in range(0, len(keys), AT_ONCE):
            done += await asyncio.gather(*(self._settle(key) for key in keys[start : start + AT_ONCE]))
            if self._out_of_reach is not None or not any([True, *done][-IN_A_ROW:]):
                return False
        if all(done):
            self._pause.again()
        return all(done)

    async def _reading(self, work: Coroutine[Any, Any, T]) -> T:
        """Ask the bucket; soon after a failure do not even try."""
        if self._out_of_reach is not None and time.monotonic() < self._failed_at + self._read_pause:
            work.close()
            raise OutOfReach(self._out_of_reach)
        try:
            answer = await work
        except OutOfReach as error:
            self._failed(error)
            raise
        self._reached()
        return answer

    def _reached(self) -> None:
        if self._out_of_reach is not None:
            log.info("the object store at %s can be reached again", self._url)
            self._out_of_reach = None
            self._pause.again()
            self._news.set()

    def _failed(self, error: OutOfReach) -> None:
        if self._out_of_reach is None:
            log.warning("files wait on this machine for the object store: %s", error)
        self._out_of_reach, self._failed_at = str(error), time.monotonic()


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


class OutOfReach(StorageError):
    """The bucket cannot be asked at all."""


class Pause:
    """Seconds until the next try, twice as many each time."""

    def __init__(self, first: float) -> None:
        self._first = self._next = first

    def longer(self) -> float:
        now, self._next = self._next, min(2 * self._next, LONGEST_PAUSE)
        return now

    def again(self) -> None:
        self._next = self._first


async def _stored(work: Awaitable[T]) -> T:
    """What a bucket raises, in the one family that a Store promises."""
    try:
        return await work
    except ServiceError as error:
        raise OutOfReach(str(error)) from error
