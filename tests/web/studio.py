"""A studio with pictures in its gallery, behind the production server on a loopback port, in this process."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from clients.tools.door import Door
from tests.fakes import FakeEngine, fake_app
from tests.page.pictures import painter, seeded
from tests.web.served import ALIVE, serving
from workflows.app import App
from workflows.types import Item


@dataclass(kw_only=True)
class Served:
    """A studio that is served: its address, what is behind it, and the pictures that it began with, newest first."""

    url: str
    app: App
    engine: FakeEngine
    items: list[Item]


@asynccontextmanager
async def studio(
    home: Path,
    *,
    items: int = 24,
    engine: FakeEngine | None = None,
    token: str | None = None,
    heartbeat: float = ALIVE,
    **how: Any,
) -> AsyncGenerator[Served]:
    """The production server before a fake studio with so many pictures; `how` goes to `fake_app`."""
    drawing = engine or painter()

    @asynccontextmanager
    async def opener() -> AsyncGenerator[App]:
        async with fake_app(home, engine=drawing, **how) as app:
            yield app

    door = Door(opener)
    async with serving(door, token=token, heartbeat=heartbeat) as url:
        app = await door.app()
        yield Served(url=url, app=app, engine=drawing, items=await seeded(app, home, items))


@asynccontextmanager
async def visited(home: Path, *, items: int = 5, **how: Any) -> AsyncGenerator[tuple[httpx2.AsyncClient, Served]]:
    """A client of such a server; `how` as for `studio`."""
    async with studio(home, items=items, **how) as served, httpx2.AsyncClient(base_url=served.url) as client:
        yield client, served
