"""Trash: what is deleted, restored and erased, with its files; all of it or none, whatever breaks in between.

A file moves as a copy that was read back before the original goes, so at every moment it lies in one of its two
places. A row says with `MOVING` that its file is on the way, and with `ERASING` that all of it goes; what a process
that died left so is finished by `mend`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from weakref import WeakValueDictionary

from utils.images import sha256
from workflows.errors import NotFound, StorageError
from workflows.gallery.finding import ERASING, MOVING, POSTER, TRASH, Finder, is_erasing, places, still
from workflows.gallery.previews import Previews
from workflows.ports import Filing, Store
from workflows.types import Item, ItemQuery, Media
from workflows.types.values import now

log = logging.getLogger("atelier.gallery")

LEASE = timedelta(minutes=10)
"""A mark that is younger belongs to a move in hand, here or on another machine, and is left alone."""
BATCH = 100
MOST_MENDED = 5_000
"""Rows of the trash that one `mend` looks at."""


class Between(StorageError):
    """A file is on its way, and could be brought neither there nor back; its row keeps the mark."""


class Trash:
    """Changes of one item come one after the other, also those of several processes."""

    def __init__(self, finder: Finder, filing: Filing, previews: Previews, days: float) -> None:
        """`days` that what was deleted can be restored; 0: it is erased at once."""
        self._finder = finder
        self._store: Store = finder.store
        self._filing = filing
        self._previews = previews
        self.days = days
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def delete(self, name: str) -> Item:
        """See Gallery.delete."""
        item = await self._finder.find(name)
        if item.deleted is not None:
            raise self._in_the_trash(item)
        if self.days <= 0:
            return await self.erase(item.id)
        async with self._alone(item.id):
            return await self._delete(item)

    async def restore(self, name: str) -> Item:
        """See Gallery.restore."""
        item = await self._finder.find(name)
        async with self._alone(item.id):
            marked = await self._changed(item, self._taken_back)
            try:
                await self._carry(TRASH + item.key, item.key)
            except Between:  # `mend` brings it back into the trash, as the row says
                raise
            except BaseException:
                await self._arrived(marked)
                raise
            return await self._changed(item, lambda row: row.but(deleted=None, facts=still(row)))

    async def erase(self, name: str) -> Item:
        """See Gallery.erase."""
        item = await self._finder.find(name)
        async with self._alone(item.id):
            before: list[Item] = []  # the row as it was when the mark was set
            marked = await self._changed(item, lambda row: _erasing(before, row))
            try:
                await self._delete_file(before[-1])
            except BaseException:
                with suppress(NotFound, StorageError):
                    await self._changed(item, lambda row: row.but(deleted=before[-1].deleted, facts=still(row)))
                raise
            try:
                await self._finish_erasing(marked)
            except StorageError as error:
                log.warning("image %s is erased; what is left of it goes with the next look: %s", item.id, error)
            return before[-1]

    async def empty(self, before: datetime | None = None) -> int:
        """See Gallery.empty_trash."""
        erased, stuck, first = 0, set[str](), None
        until = before or now() + timedelta(days=1)
        while batch := await self._batch(until, stuck):
            for item in batch:
                try:
                    gone = await self._emptied(item)
                except StorageError as error:
                    gone, first = False, first or error
                erased += gone
                stuck |= set() if gone else {item.id}
        if first is not None:
            raise StorageError(f"{erased} pictures were erased; others are still in the trash. {first}") from first
        return erased

    async def expire(self) -> int:
        """Erase what was in the trash for its days."""
        return await self.empty(now() - timedelta(days=self.days))

    async def mend(self, lease: timedelta = LEASE) -> int:
        """See Gallery.mend."""
        mended = 0
        async for item in self._begun(lease):
            try:
                async with self._alone(item.id):
                    await self._mend(item, lease)
                mended += 1
            except (NotFound, StorageError) as error:
                log.warning("image %s could not be put in order: %s", item.id, error)
        return mended

    def until(self, item: Item) -> datetime | None:
        """When an item of the trash is gone for good."""
        return item.deleted + timedelta(days=self.days) if item.deleted else None

    async def _delete(self, item: Item) -> Item:
        marked = await self._changed(item, self._put_away)
        try:
            await self._carry(item.key, TRASH + item.key)
        except Between:  # `mend` completes it
            raise
        except BaseException:
            with suppress(NotFound, StorageError):
                await self._changed(item, lambda row: row.but(deleted=None, facts=still(row)))
            raise
        await self._previews.drop(item.id)
        return await self._arrived(marked)

    async def _arrived(self, marked: Item) -> Item:
        """The row without the mark; where that cannot be written now, `mend` does it."""
        try:
            return await self._changed(marked, lambda row: row.but(facts=still(row)))
        except StorageError as error:
            log.warning("image %s keeps the mark that its file is moving: %s", marked.id, error)
            return marked.but(facts=still(marked))

    async def _carry(self, source: str, target: str) -> None:
        """Move a file, verified; what is not there need not move.

        Raises StorageError, and all is as it was; Between, where not even that could be had.
        """
        try:
            media = await self._store.get(source)
        except NotFound:
            return
        try:
            await self._store.put(target, media)
            await self._verify(target, media)
            await self._store.delete(source)
        except (StorageError, NotFound) as error:
            await self._carry_back(source, target, media, error)
            raise StorageError(str(error)) from error

    async def _verify(self, key: str, media: Media) -> None:
        copy = await self._store.get(key)
        if await asyncio.to_thread(sha256, copy.data) != await asyncio.to_thread(sha256, media.data):
            raise StorageError(f"The file that was copied to {key} reads differently; the store is damaged.")

    async def _carry_back(self, source: str, target: str, media: Media, why: Exception) -> None:
        """A store may have deleted what it says it could not: the copy goes only when the original is seen there."""
        try:
            try:
                await self._verify(source, media)
            except NotFound:
                await self._store.put(source, media)
        except StorageError as error:
            raise Between(f"{why} Its file stays at {target} until the gallery is put in order: {error}") from why
        with suppress(StorageError):  # a copy too many is erased with its item
            await self._store.delete(target)

    async def _delete_file(self, item: Item) -> None:
        """Raises StorageError, and it is still there: the place that counts is tried last.

        What another picture of its job was made of stays for that one, in its old place.
        """
        if item.key in await self._needed(item):
            await self._carry(TRASH + item.key, item.key)
            return
        place, elsewhere = places(item)
        await self._store.delete(elsewhere)
        try:
            await self._store.delete(place)
        except StorageError:
            with suppress(NotFound):
                await self._store.get(place)
                raise  # else the store has deleted what it says it could not

    async def _finish_erasing(self, item: Item) -> None:
        """All that hangs on an item whose file is gone, and at last the row."""
        for key in sorted(made_of(item) - await self._needed(item)):
            await self._store.delete(key)
        await self._previews.drop(item.id)
        await self._filing.remove(item.id)

    async def _needed(self, item: Item) -> set[str]:
        """The files that other pictures of its job are, or were made of."""
        others = [one for one in await self._finder.items.of_job(item.job_id) if one.id != item.id]
        return {key for one in others if not is_erasing(one) for key in {*places(one), *made_of(one)}}

    async def _batch(self, until: datetime, tried: set[str]) -> list[Item]:
        found = await self._filing.trashed(until, BATCH + len(tried))
        return [item for item in found if item.id not in tried]

    async def _emptied(self, item: Item) -> bool:
        """Whether it was erased here, not by someone else meanwhile."""
        try:
            if not is_erasing(item):
                await self.erase(item.id)
            elif _stale(item, LEASE):
                async with self._alone(item.id):
                    await self._mend(item, LEASE)
            else:
                return False
        except NotFound:
            return False
        return True

    async def _begun(self, lease: timedelta) -> AsyncIterator[Item]:
        """What was begun and has rested for longer than `lease`."""
        for item in await self._filing.trashed(ERASING + timedelta(seconds=1), MOST_MENDED):
            if _stale(item, lease):
                yield item
        query = ItemQuery(deleted=True, limit=200)
        for _ in range(MOST_MENDED // 200):
            page = await self._finder.items.search(query)
            for item in page.items:
                if not is_erasing(item) and MOVING in item.facts and _stale(item, lease):
                    yield item
            if page.cursor is None:
                return
            query = query.but(cursor=page.cursor)

    async def _mend(self, item: Item, lease: timedelta) -> None:
        """Finish an erasure; bring a file that was on its way, either way, into the trash, as its row says."""
        claimed = await self._changed(item, lambda row: _claimed(row, lease))
        if is_erasing(claimed):
            await self._delete_file(claimed)
            await self._finish_erasing(claimed)
        else:
            await self._carry(item.key, TRASH + item.key)
            await self._changed(item, lambda row: row.but(facts=still(row)))

    async def _changed(self, item: Item, change: Callable[[Item], Item]) -> Item:
        changed = await self._filing.change(item.id, change)
        if changed is None:
            raise NotFound("image", item.id, hint="Someone else erased it just now.")
        return changed

    def _put_away(self, row: Item) -> Item:
        _refuse_moving(row)
        if row.deleted is not None:
            raise self._in_the_trash(row)
        return _moving(row.but(deleted=now()))

    def _taken_back(self, row: Item) -> Item:
        _refuse_moving(row)
        if row.deleted is None:
            raise NotFound("image in the trash", row.id, hint="It is not deleted: it is in the gallery.")
        until = self.until(row)
        if until is not None and until <= now():
            told = f"It was deleted on {row.deleted:%Y-%m-%d}; the trash keeps pictures for {self.days:g} days."
            raise NotFound("image in the trash", row.id, hint=told)
        return _moving(row)

    def _in_the_trash(self, item: Item) -> NotFound:
        if is_erasing(item):
            return NotFound("image", item.id, hint="Someone else erased it just now.")
        told = f"It is in the trash since {item.deleted:%Y-%m-%d %H:%M} UTC; `atelier gallery restore {item.id}`"
        return NotFound("image", item.id, hint=f"{told}, or the gallery's page, brings it back.")

    @asynccontextmanager
    async def _alone(self, item_id: str) -> AsyncGenerator[None]:
        lock = self._locks.get(item_id)
        if lock is None:
            lock = self._locks[item_id] = asyncio.Lock()
        async with lock:
            yield


def made_of(item: Item) -> set[str]:
    """The files that lie with the item's job and are kept for its sake: its inputs, and a video's poster."""
    keys = {*item.recipe.pictures.values(), *item.rendered.pictures.values(), item.facts.get(POSTER)}
    return {key for key in keys if isinstance(key, str) and key.startswith(f"{item.job_id}/") and key != item.key}


def _moving(row: Item) -> Item:
    return row.but(facts={**row.facts, MOVING: now().isoformat()})


def _erasing(before: list[Item], row: Item) -> Item:
    _refuse_moving(row)
    if is_erasing(row):
        raise NotFound("image", row.id, hint="Someone else erased it just now.")
    before.append(row.but(facts=still(row)))
    return _moving(row.but(deleted=ERASING))


def _claimed(row: Item, lease: timedelta) -> Item:
    if row.deleted is None or MOVING not in row.facts or not _stale(row, lease):
        raise NotFound("unfinished move of image", row.id, hint="Someone else finished it just now.")
    return _moving(row)


def _refuse_moving(row: Item) -> None:
    if MOVING in row.facts and not _stale(row, LEASE):
        raise StorageError(
            f"Image {row.id} is on its way into the trash or out of it, by another process; ask again in a moment. "
            f"Where that process died, it can be changed {LEASE.seconds // 60} minutes later."
        )


def _stale(row: Item, lease: timedelta) -> bool:
    """Whether the mark is older than any move takes; one that cannot be read is."""
    try:
        return datetime.fromisoformat(str(row.facts.get(MOVING))) <= now() - lease
    except (ValueError, TypeError):
        return True
