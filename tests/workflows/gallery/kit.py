"""A gallery on a real ledger and a real store, quick filing, and a store and a filing that break where a test wants."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from clients.ledger import Ledger, open_ledger
from clients.local_store import LocalStore
from tests.fakes import png
from workflows.errors import StorageError
from workflows.gallery import Gallery
from workflows.ports import Filing, Store
from workflows.types import Item, ItemQuery, Job, Location, Media, Recipe

RECIPE = Recipe(prompt="a red circle")
PICTURE = Media(data=png(300, 200), media_type="image/png")


def item_named(name: str, media: Media = PICTURE, **changes: Any) -> Item:
    """An item whose job and key follow from its name."""
    facts: dict[str, Any] = {
        "id": name,
        "job_id": f"job-{name}",
        "key": f"job-{name}/1/{name}.png",
        "media_type": media.media_type,
        "width": 300,
        "height": 200,
        "size": len(media.data),
        "sha256": "0" * 64,
        "prompt": "a red circle",
        "model": "demo",
        "engine": "local",
        "seed": 1,
        "recipe": RECIPE,
        "rendered": RECIPE,
    }
    return Item(**facts | changes)


class Filed:
    """A gallery with what it stands on, and a quick way to file a picture."""

    def __init__(self, ledger: Ledger, home: Path) -> None:
        self.ledger, self.home = ledger, home
        self.store, self.previews = LocalStore(home / "pictures"), LocalStore(home / "previews")
        self.gallery = self.another()

    def another(self, **parts: Any) -> Gallery:
        """A further gallery on the same ledger and folders, with some parts changed."""
        given: dict[str, Any] = {
            "store": self.store,
            "filing": self.ledger.filing,
            "likenesses": self.ledger.likenesses,
            "previews": self.previews,
        }
        return Gallery(self.ledger.items, **given | parts)

    async def add(self, name: str, media: Media = PICTURE, **changes: Any) -> Item:
        item = item_named(name, media, **changes)
        await self.store.put(item.key, media)
        await self.ledger.filing.add([item])
        return item

    async def add_of_job(self, job_id: str, names: Sequence[str], inputs: Sequence[str]) -> list[Item]:
        """Pictures of one job that were made of the same input pictures, which are stored too."""
        keys = [f"{job_id}/input/{role}.png" for role in inputs]
        recipe = Recipe(task="img2img", prompt="p", source=keys[0], mask=keys[1] if len(keys) > 1 else None)
        for key in keys:
            await self.store.put(key, PICTURE)
        return [
            await self.add(name, job_id=job_id, key=f"{job_id}/1/{name}.png", recipe=recipe, rendered=recipe)
            for name in names
        ]

    async def listed(self, deleted: bool = False) -> list[str]:
        page = await self.gallery.search(ItemQuery(limit=200, deleted=deleted))
        return sorted(item.id for item in page.items)

    async def keys(self) -> list[str]:
        return list(await self.store.keys(""))


@asynccontextmanager
async def open_filed(home: Path) -> AsyncGenerator[Filed]:
    async with open_ledger(home / "ledger.db") as ledger:
        yield Filed(ledger, home)


@dataclass(kw_only=True)
class Breaking:
    """When a call breaks: the `at`th one, or from it on; `late`: the first after it was done, as when an answer is
    lost."""

    at: int
    mode: Literal["once", "from then on"] = "once"
    late: bool = False
    calls: int = field(default=0, init=False)

    def breaks(self) -> bool:
        self.calls += 1
        return self.calls == self.at or (self.mode == "from then on" and self.calls > self.at)

    @property
    def done_all_the_same(self) -> bool:
        return self.late and self.calls == self.at

    @property
    def broke(self) -> bool:
        return self.calls >= self.at


class BreakingStore:
    """A Store whose get, put and delete break."""

    def __init__(self, store: Store, breaking: Breaking) -> None:
        self._store, self._breaking = store, breaking

    async def _done(self, call: Callable[[], Any]) -> Any:
        if not self._breaking.breaks():
            return await call()
        if self._breaking.done_all_the_same:
            await call()
        raise StorageError("the disk is on fire")

    async def put(self, key: str, media: Media) -> None:
        await self._done(lambda: self._store.put(key, media))

    async def get(self, key: str) -> Media:
        return await self._done(lambda: self._store.get(key))

    async def delete(self, key: str) -> None:
        await self._done(lambda: self._store.delete(key))

    async def locate(self, key: str) -> Location:
        return await self._store.locate(key)

    async def keys(self, prefix: str) -> Sequence[str]:
        return await self._store.keys(prefix)


class BreakingFiling:
    """A Filing whose changes break."""

    def __init__(self, filing: Filing, breaking: Breaking) -> None:
        self._filing, self._breaking = filing, breaking
        self.add, self.trashed = filing.add, filing.trashed

    async def change(self, item_id: str, change: Callable[[Item], Item]) -> Item | None:
        broken = self._breaking.breaks()
        changed = (
            None if broken and not self._breaking.done_all_the_same else await self._filing.change(item_id, change)
        )
        if broken:
            raise StorageError("the database is locked")
        return changed

    async def remove(self, item_id: str) -> bool:
        broken = self._breaking.breaks()
        removed = False if broken and not self._breaking.done_all_the_same else await self._filing.remove(item_id)
        if broken:
            raise StorageError("the database is locked")
        return removed


def job_of(item: Item) -> Job:
    return Job(id=item.job_id, recipe=item.recipe)
