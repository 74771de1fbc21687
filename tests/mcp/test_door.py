"""When the App of a serving process is opened and closed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from clients.tools.door import Door
from tests.fakes import fake_app
from workflows.app import App
from workflows.errors import StorageError


class Opener:
    """Opens a fake app, and remembers what happened; `faults` are raised first."""

    def __init__(self, home: Path, *faults: Exception) -> None:
        self._home = home
        self._faults = list(faults)
        self.events: list[str] = []
        self.opened = asyncio.Event()

    @asynccontextmanager
    async def __call__(self) -> AsyncGenerator[App]:
        self.events.append("open")
        if self._faults:
            raise self._faults.pop(0)
        async with fake_app(self._home) as app:
            self.opened.set()
            yield app
        self.events.append("closed")


async def test_nothing_is_opened_before_it_is_needed(tmp_path: Path) -> None:
    opener = Opener(tmp_path)
    async with Door(opener, lambda: False, grace=0).lifespan(None):
        await asyncio.sleep(0)
    assert opener.events == []


async def test_unfinished_work_opens_it_without_being_asked(tmp_path: Path) -> None:
    opener = Opener(tmp_path)
    async with Door(opener, lambda: True, grace=0).lifespan(None), asyncio.timeout(20):
        await opener.opened.wait()
    assert opener.events == ["open", "closed"]


async def test_many_askers_open_it_once(tmp_path: Path) -> None:
    opener = Opener(tmp_path)
    door = Door(opener)
    async with door.lifespan(None):
        apps = await asyncio.gather(*(door.app() for _ in range(5)))
    assert len({id(app) for app in apps}) == 1
    assert opener.events == ["open", "closed"]


async def test_a_failed_opening_is_told_and_tried_again(tmp_path: Path) -> None:
    opener = Opener(tmp_path, StorageError("the disk is full"))
    door = Door(opener)
    async with door.lifespan(None):
        with pytest.raises(StorageError, match="the disk is full"):
            await door.app()
        assert (await door.app()).version == "0"
    assert opener.events == ["open", "open", "closed"]


async def test_nothing_is_opened_on_the_way_out(tmp_path: Path) -> None:
    opener = Opener(tmp_path)
    door = Door(opener)
    async with door.lifespan(None):
        door.end()
        with pytest.raises(RuntimeError, match="ending"):
            await door.app()
    assert opener.events == []
