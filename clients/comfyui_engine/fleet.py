"""Fleet: the servers of the pool together; who is up, who takes a recipe, who gets it."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clients.comfyui_engine.drains import Drains
from clients.comfyui_engine.pool import Candidate, choose, why_none
from clients.comfyui_engine.server import PATIENCE, Server
from workflows.drawing.maps import facts
from workflows.errors import EngineUnavailable, StudioError
from workflows.families import families
from workflows.template import templates
from workflows.types import WORDLESS

if TYPE_CHECKING:
    from workflows.drawing.setup import Setup
    from workflows.types import Recipe, ServerStatus


@dataclass(frozen=True, kw_only=True)
class Sight:
    """What one server can do for one recipe: its setup, or the error that says why not."""

    server: Server
    setup: Setup | None = None
    error: StudioError | None = None
    draining: bool = False

    @property
    def candidate(self) -> Candidate:
        """As it is at this moment: between this and a berth nothing may be awaited."""
        warm = self.setup is not None and self.server.is_warm(self.setup.model)
        against = None if self.error is None else str(self.error)
        return Candidate(url=self.server.url, against=against, draining=self.draining, warm=warm, load=self.server.load)


class Fleet:
    """The servers in the order given. Nothing is asked of any before the first question."""

    def __init__(self, servers: Sequence[Server], drains: Drains) -> None:
        self.servers = tuple(servers)
        self.drains = drains
        self._opening = asyncio.Lock()
        self._opened = False

    async def open(self) -> None:
        """Make ready to ask."""
        if self._opened:
            return
        async with self._opening:
            await asyncio.to_thread(_read_up)
            for server in self.servers:
                await server.open()
            self._opened = True

    async def close(self) -> None:
        await asyncio.gather(*(server.close() for server in self.servers))

    async def up(self) -> list[Server]:
        """The servers that answer, in the order given."""
        await self.open()
        await self._look()
        return [server for server in self.servers if not server.health.down]

    async def pick(self, recipe: Recipe, besides: Collection[str] = ()) -> tuple[Server, Setup]:
        """The server for this recipe and what it has for it; `besides` names servers that are out of the question.

        Raises the one server's own refusal, or EngineUnavailable with each one's.
        """
        sights = await self.survey(recipe, besides)
        able = [sight for sight in sights if sight.setup is not None and not sight.draining]
        if len(able) > 1:
            told = await asyncio.gather(*(sight.server.count() for sight in able))
            # One that hangs, or died since the last look, would keep the render for long before it is given up.
            able = [sight for sight, tells in zip(able, told, strict=True) if tells] or able
        chosen = choose([sight.candidate for sight in able])
        for sight in sights:
            if chosen is not None and sight.setup is not None and sight.server.url == chosen.url:
                return sight.server, sight.setup
        raise _refusal(sights)

    async def refusal(self, recipe: Recipe) -> str | None:
        """Why no server takes it."""
        sights = await self.survey(recipe)
        if any(sight.setup is not None and not sight.draining for sight in sights):
            return None
        return str(_refusal(sights))

    async def survey(self, recipe: Recipe, besides: Collection[str] = ()) -> list[Sight]:
        """Every server's answer to a recipe. One that is known to be down is not waited for while another is up."""
        await self.open()
        await self._look()
        draining = await self.drains.urls()
        sights = list(await asyncio.gather(*(_sight(one, recipe, one.url in draining) for one in self.servers)))
        model = _pinned(recipe, sights)
        if model is not None:
            again = recipe.but(model=model)
            for place, sight in enumerate(sights):
                if sight.setup is not None and sight.setup.model != model:
                    sights[place] = await _sight(sight.server, again, sight.draining)
        return [sight for sight in sights if sight.server.url not in besides]

    def silence(self) -> str:
        """Why no server at all answers."""
        return why_none([Candidate(url=server.url, against=server.health.reason) for server in self.servers])

    async def statuses(self) -> list[ServerStatus]:
        """Every server as it is now."""
        await self.open()
        draining = await self.drains.urls()
        return list(await asyncio.gather(*(one.status(draining=one.url in draining) for one in self.servers)))

    async def make_room(self) -> None:
        """Ask the servers on this machine that answer to free their memory; one that does not is passed over."""
        await self.open()
        await asyncio.gather(*(server.make_room() for server in self.servers if server.is_here))

    async def holder(self, prompt_id: str) -> Server | None:
        """The server that has a prompt of this id already."""
        servers = await self.up()
        known = await asyncio.gather(*(server.knows(prompt_id) for server in servers))
        return next((server for server, knows in zip(servers, known, strict=True) if knows), None)

    async def _look(self) -> None:
        """Know who is up. A server that was down is waited for only when nobody else is up, and one that swallows
        calls only once."""
        looks = {server: look for server in self.servers if (look := server.looking())}
        fresh = {server: look for server, look in looks.items() if not server.health.down and not server.overdue}
        if fresh:
            await asyncio.wait(fresh.values(), timeout=PATIENCE if len(self.servers) > 1 else None)
            for server, look in fresh.items():
                server.overdue = not look.done()
        nobody = all(server.unknown or server.health.down for server in self.servers)
        if nobody and (left := [look for look in looks.values() if not look.done()]):
            await asyncio.wait(left)


def _read_up() -> None:
    """Off the loop: libraries and tables that are read from files, once for the process."""
    importlib.import_module("httpx2")
    importlib.import_module("websockets.asyncio.client")
    families()
    templates()
    facts()


async def _sight(server: Server, recipe: Recipe, draining: bool) -> Sight:
    if server.health.down:
        return Sight(server=server, error=EngineUnavailable(server.health.reason), draining=draining)
    if server.unknown:
        silence = f"{server.url} has not answered within {PATIENCE:g} s; it is asked on."
        return Sight(server=server, error=EngineUnavailable(silence), draining=draining)
    try:
        return Sight(server=server, setup=await server.fitted(recipe), draining=draining)
    except StudioError as error:
        return Sight(server=server, error=error, draining=draining)


def _pinned(recipe: Recipe, sights: Sequence[Sight]) -> str | None:
    """The model for a recipe that names none: what the first server would take, so that every server, every attempt and
    every later run draw with the same one, whatever happens to be in memory."""
    if recipe.model is not None or recipe.task in WORDLESS:
        return None
    return next((sight.setup.model for sight in sights if sight.setup is not None), None)


def _refusal(sights: Sequence[Sight]) -> StudioError:
    """One server's own error as it is, so that a wrong argument stays a BadRecipe; several are told together."""
    errors = [sight.error for sight in sights if sight.error is not None]
    if len(sights) == len(errors) and len({str(error) for error in errors}) == 1:
        return errors[0]
    if not sights:
        return EngineUnavailable("No other ComfyUI server is named: COMFYUI_URLS takes several, with commas.")
    return EngineUnavailable(why_none([sight.candidate for sight in sights]))
