"""The watch: what changes in other processes is seen, once, and only while somebody listens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.fakes import fake_app
from workflows.app import App
from workflows.changes import What
from workflows.types import Item, Recipe
from workflows.watching import Watch

SECONDS = 10


class Ear:
    """Hears, and can be waited for."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[What] = asyncio.Queue()

    async def next(self) -> What:
        return await asyncio.wait_for(self.heard.get(), SECONDS)


@asynccontextmanager
async def two(home: Path) -> AsyncGenerator[tuple[App, Watch, App, Item]]:
    """Two processes of one home, the first with an impatient watch, and a picture that the second one made."""
    async with fake_app(home) as app, fake_app(home) as neighbour:
        job = await neighbour.studio.submit(Recipe(prompt="a hare"))
        done = await neighbour.studio.wait(job.id, SECONDS)
        yield app, Watch(app.studio, 0.05, 0.01), neighbour, await app.gallery.find(done.item_ids[0])


Change = Callable[[App, str], Coroutine[Any, Any, object]]
CHANGES: dict[str, Change] = {
    "favourite": lambda app, name: app.gallery.tag(name, favourite=True),
    "tag": lambda app, name: app.gallery.tag(name, add=["portfolio"]),
    "trash": lambda app, name: app.gallery.delete(name),
    "restore": lambda app, name: app.gallery.restore(name),
    "erase": lambda app, name: app.gallery.erase(name),
}


async def test_every_change_of_another_process_is_heard_and_what_is_no_change_is_not(tmp_path: Path) -> None:
    async with two(tmp_path) as (app, watch, neighbour, item):
        ear, versions = Ear(), [await app.studio.items.version()]
        async with watch.heard_by(ear.heard.put_nowait, "images"):
            for change in CHANGES.values():
                await change(neighbour, item.id)
                versions.append(await app.studio.items.version())
                assert await ear.next() == "images"
                while not ear.heard.empty():  # a deletion has several steps
                    ear.heard.get_nowait()
    assert versions == sorted(set(versions))


async def test_what_was_done_here_is_told_once_and_not_again_when_the_ledger_is_looked_at(tmp_path: Path) -> None:
    async with two(tmp_path) as (app, watch, neighbour, item):
        ear = Ear()
        async with watch.heard_by(ear.heard.put_nowait, "images"):
            await app.gallery.tag(item.id, favourite=True)
            assert await ear.next() == "images"
            await looked_at(watch)
            await neighbour.gallery.tag(item.id, favourite=True)  # as it is already
            await looked_at(watch)
    assert ear.heard.empty()


async def test_many_who_listen_have_one_who_looks_which_ends_with_the_last(tmp_path: Path) -> None:
    async with two(tmp_path) as (_, watch, neighbour, item):
        ears = [Ear() for _ in range(50)]
        listening = [watch.heard_by(ear.heard.put_nowait, "images") for ear in ears]
        for one in listening:
            await one.__aenter__()
        before = watchers()
        await neighbour.gallery.tag(item.id, favourite=True)
        heard = [await ear.next() for ear in ears]
        for one in listening:
            await one.__aexit__(None, None, None)
    assert (before, heard, watchers()) == (1, ["images"] * 50, 0)


async def looked_at(watch: Watch) -> None:
    """Whoever begins to listen has the ledger looked at."""
    async with watch.heard_by(lambda _: None, "images"):
        pass


def watchers() -> int:
    return sum(task.get_name() == "watch" for task in asyncio.all_tasks())
