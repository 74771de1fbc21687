"""The production HTTP server on a loopback port, in this process; and a desk that does as it is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import httpx2
import uvicorn

from clients.tools.door import Door
from clients.tools.server import build_server
from clients.tools.serving import http_app, listen
from clients.web import entrance, routes
from tests.fakes import fake_app
from workflows.app import App
from workflows.errors import NotFound
from workflows.presets import Presets, Shelf
from workflows.types import (
    Conversation,
    HistoryEntry,
    HistoryPage,
    HistoryQuery,
    Preset,
    Spoken,
    Written,
)

Step = str | Exception | asyncio.Event
WRITTEN = Written(prompt="a red fox, masterpiece", words="a red fox", family="sdxl", added=("masterpiece",))
NOTHING = HistoryPage(entries=(), total=0)
ALIVE = 3600.0
"""Seconds between heartbeats that no test reaches."""


@dataclass
class ScriptedDesk:
    """Stands for the PromptDesk. `script`: texts are heard, an error is raised, an event is waited for."""

    writer_names: tuple[str, ...] = ()
    script: Sequence[Step] = ()
    written: Written = WRITTEN
    folders: tuple[Path, ...] = ()
    own: list[Preset] = field(default_factory=list[Preset])
    asked: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    talks: set[str] = field(default_factory=set[str])
    page: HistoryPage = NOTHING
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    """An event of the script is being waited for."""
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)

    async def enhance(self, prompt: str, **how: Any) -> Written:
        await self._play({"prompt": prompt, **how})
        return self.written

    async def converse(self, message: str, **how: Any) -> Spoken:
        if (known := how["conversation_id"]) is not None:
            await self.conversation(known)
        await self._play({"message": message, **how})
        talk = known or how["begin_as"]
        self.talks.add(talk)
        return Spoken(conversation_id=talk, written=self.written, reply="Done.", turn=1)

    async def _play(self, asked: dict[str, Any]) -> None:
        listener = asked.pop("listener")
        self.asked.append(asked)
        for step in self.script:
            if isinstance(step, Exception):
                raise step
            if isinstance(step, str):
                if listener is not None:
                    listener(step)
                continue
            self.reached.set()
            try:
                await step.wait()
            except asyncio.CancelledError:
                self.cancelled.set()
                raise

    async def conversation(self, conversation_id: str) -> Conversation:
        if conversation_id not in self.talks:
            raise NotFound("conversation", conversation_id)
        return Conversation(id=conversation_id, family="sdxl")

    async def reset(self, conversation_id: str) -> bool:
        return conversation_id in self.talks

    async def shelf(self) -> Shelf:
        return await asyncio.to_thread(lambda: self._presets.shelf(self.own))

    @cached_property
    def _presets(self) -> Presets:
        return Presets(self.folders)

    async def add_preset(self, preset: Preset) -> Preset:
        kept = preset.but(own=True, path=f"{preset.kind}:{preset.id}")
        self.own.append(kept)
        return kept

    async def remove_preset(self, kind: str, preset_id: str) -> bool:
        before = len(self.own)
        self.own = [one for one in self.own if (one.kind, one.id) != (kind, preset_id)]
        return len(self.own) < before

    async def writers(self) -> list[str]:
        await self._play({"listener": None})
        return list(self.writer_names)

    async def history(self, query: HistoryQuery) -> HistoryPage:
        self.asked.append(query.model_dump())
        return self.page

    async def forget(self, entry_id: str) -> HistoryEntry:
        for entry in self.page.entries:
            if entry.id == entry_id:
                return entry
        raise NotFound("prompt", entry_id)


class Quiet(uvicorn.Server):
    """Leaves the signals of the test run alone."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


@asynccontextmanager
async def serving(
    door: Door, *, token: str | None = None, heartbeat: float = ALIVE, patience: int = 2
) -> AsyncGenerator[str]:
    """The base URL of a server on that door. It ends with this, after so many seconds of patience with its clients."""
    server = build_server(door, version="0")
    pages = routes(door.app, heartbeat=heartbeat)
    app = http_app(server, token=token, allowed_hosts=(), routes=pages, entrance=entrance(token))
    listener = listen("127.0.0.1", 0)
    web = Quiet(uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=patience))
    running = asyncio.create_task(web.serve(sockets=[listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        web.should_exit = True
        await running


def door_to(home: Path, desk: ScriptedDesk) -> Door:
    @asynccontextmanager
    async def opener() -> AsyncGenerator[App]:
        async with fake_app(home) as app:
            yield replace(app, prompts=cast(Any, desk))

    return Door(opener)


@asynccontextmanager
async def browser(
    home: Path, desk: ScriptedDesk, *, token: str | None = None, heartbeat: float = ALIVE
) -> AsyncGenerator[httpx2.AsyncClient]:
    """A client of a server whose desk is that one."""
    async with (
        serving(door_to(home, desk), token=token, heartbeat=heartbeat) as url,
        httpx2.AsyncClient(base_url=url) as client,
    ):
        yield client


async def events(response: httpx2.Response) -> AsyncIterator[dict[str, Any]]:
    """What a stream tells; comments come as {"comment": text}."""
    async for line in response.aiter_lines():
        if line.startswith(":"):
            yield {"comment": line}
        elif line:
            assert line.startswith("data: "), line
            yield json.loads(line.removeprefix("data: "))


async def told(client: httpx2.AsyncClient, path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    """Every event of a stream."""
    async with client.stream("POST", path, json=body) as response:
        assert response.status_code == 200, await response.aread()
        return [event async for event in events(response)]
