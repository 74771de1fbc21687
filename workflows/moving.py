"""Moving: a gallery's files copied from one store to another, each verified before it counts. It changes no row: keys
are the same in both."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from workflows.errors import NotFound, StorageError
from workflows.ports import Store
from workflows.types import Media

log = logging.getLogger("atelier.store")

AT_ONCE = 4
"""Files on their way at the same time; each is held in memory whole."""
IN_A_ROW = 12
"""Failures one after another that end the move: the store is gone or full, and so it would be for all the others."""

Report = Callable[[int, int, int], None]
"""Hears (files done, files in all, bytes copied) after each file, on the event loop."""


@runtime_checkable
class TellsDigests(Protocol):
    """A store that knows what it holds without giving it out."""

    async def sha256(self, key: str) -> str | None:
        """None when it does not know. Raises NotFound."""
        ...


@dataclass(kw_only=True)
class Moved:
    """How a move went. Running it again goes on where it ended."""

    total: int
    copied: int = 0
    there: int = 0
    """Files that the target had already, byte for byte."""
    removed: int = 0
    """Files taken out of the source, each after it was verified in the target."""
    bytes: int = 0
    """Of the files that were copied."""
    failures: dict[str, str] = field(default_factory=dict[str, str])
    """What went wrong, by key; these files are still in the source."""
    untried: int = 0
    """Files that were not come to, because too many failed one after another."""

    @property
    def whole(self) -> bool:
        """Whether the target has everything."""
        return not self.failures and not self.untried


@dataclass(frozen=True, kw_only=True)
class Migration:
    """A move that could be made: between two stores, with their names for texts."""

    source: Store
    target: Store
    source_name: str
    target_name: str

    async def run(self, *, remove: bool = False, report: Report | None = None) -> Moved:
        """Copy everything that the source has (see `moved`). Raises StorageError when it cannot be listed."""
        keys = await self.source.keys("")
        return await moved(self.source, self.target, keys, remove=remove, report=report)


async def moved(
    source: Store,
    target: Store,
    keys: Sequence[str],
    *,
    remove: bool = False,
    at_once: int = AT_ONCE,
    report: Report | None = None,
) -> Moved:
    """Copy the files under `keys`, several at once; what is there with the same sha256 is passed over.

    A file counts once the target tells its sha256, or gives it back, as it is in the source. `remove`: only then it is
    taken out of the source. Failures are told in the answer, and stop nothing until 12 come in a row.
    """
    move = _Move(source, target, remove, Moved(total=len(keys)), report)
    left = iter(keys)

    async def one_after_another() -> None:
        for key in left:
            await move.take(key)
            if move.in_a_row >= IN_A_ROW:
                return

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(one_after_another())
    move.told.untried = sum(1 for _ in left)
    return move.told


@dataclass
class _Move:
    source: Store
    target: Store
    remove: bool
    told: Moved
    report: Report | None
    in_a_row: int = 0
    done: int = 0

    async def take(self, key: str) -> None:
        try:
            await self._take(key)
            self.in_a_row = 0
        except (StorageError, NotFound) as error:
            log.warning("%s was not moved: %s", key, error)
            self.told.failures[key] = str(error)
            self.in_a_row += 1
        self.done += 1
        if self.report is not None:
            self.report(self.done, self.told.total, self.told.bytes)

    async def _take(self, key: str) -> None:
        media = await self.source.get(key)
        digest = await _digest(media)
        if await self._is_there(key, digest):
            self.told.there += 1
        else:
            await self.target.put(key, media)
            if await _held(self.target, key) != digest:
                raise StorageError(f"{key} is not the same in the target after it was copied; try again.")
            self.told.copied += 1
            self.told.bytes += len(media.data)
        if self.remove:
            await self.source.delete(key)
            self.told.removed += 1

    async def _is_there(self, key: str, digest: str) -> bool:
        """What the target cannot give out whole counts as not there: it is written anew."""
        try:
            return await _held(self.target, key) == digest
        except StorageError:
            return False


async def _held(store: Store, key: str) -> str | None:
    """The sha256 of what the store has under the key: told by it, or read back; None when it has nothing."""
    try:
        if isinstance(store, TellsDigests) and (told := await store.sha256(key)) is not None:
            return told
        return await _digest(await store.get(key))
    except NotFound:
        return None


async def _digest(media: Media) -> str:
    return await asyncio.to_thread(lambda: hashlib.sha256(media.data).hexdigest())


def summary(told: Moved, migration: Migration) -> Mapping[str, object]:
    """The answer for machines."""
    return {
        "from": migration.source_name,
        "to": migration.target_name,
        "files": told.total,
        "copied": told.copied,
        "there": told.there,
        "removed": told.removed,
        "bytes": told.bytes,
        "untried": told.untried,
        "failures": told.failures,
    }
