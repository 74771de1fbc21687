"""ComfyUIEngine: the Engine and Graphs ports on ComfyUI servers. It decides who draws; Drawing draws."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from clients.comfyui_client import Pace
from clients.comfyui_engine.catalogue import described
from clients.comfyui_engine.drains import Drains, bare
from clients.comfyui_engine.drawing import Drawing, found_mask
from clients.comfyui_engine.fleet import Fleet
from clients.comfyui_engine.progress import Tracker
from clients.comfyui_engine.server import Server
from clients.comfyui_engine.writing import SECONDS, ComfyTextModel
from workflows.drawing.checking import problems
from workflows.drawing.drafting import draft
from workflows.drawing.finishing import fit_mask_finder
from workflows.drawing.setup import Setup
from workflows.errors import EngineUnavailable, JobCancelled, NotFound, RenderLost, StudioError
from workflows.folders import kind_of_folder
from workflows.graph import Graph
from workflows.ports import Report
from workflows.template import templates
from workflows.types import (
    Artifact,
    DraftedGraph,
    EngineStatus,
    FamilyProfile,
    Media,
    ModelInfo,
    Problem,
    Recipe,
    ServerStatus,
    TemplateInfo,
    Ticket,
)


class ComfyUIEngine:
    """Enter it to work, leave it to close its connections. Nothing is asked of a server before the first question.

    `urls` may hold user:password@ and a path; `home` is the folder in which the drains are written down and what the
    servers' files say of themselves; `pace` says how long a silent server is believed in. `known`: (kind, name) of a
    model file -> its family by a surer word than the server's, such as the owner's, or None; called from any thread.
    """

    name = "comfyui"

    def __init__(
        self,
        urls: Sequence[str],
        home: Path,
        token: str | None = None,
        *,
        pace: Pace | None = None,
        known: Callable[[str, str], str | None] | None = None,
    ) -> None:
        self._pace = pace or Pace()
        self._fleet = Fleet([Server(url, home, token, pace, known) for url in urls], Drains(home))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._fleet.close()

    # ------------------------------------------------------------------ the Engine port

    async def refusal(self, recipe: Recipe) -> str | None:
        """From what is known of the servers; a name that is not in their lists is looked for in fresh ones."""
        return await self._fleet.refusal(recipe)

    async def profile(self, recipe: Recipe) -> FamilyProfile:
        """Of the model that would draw it. Raises BadRecipe, NotFound, EngineUnavailable."""
        _, setup = await self._fleet.pick(recipe)
        return setup.family.profile

    async def render(
        self, recipe: Recipe, inputs: Mapping[str, Media], report: Report, ticket: Ticket
    ) -> Sequence[Artifact]:
        """Draw on the server that suits best. One that dies with it loses it, once, to another: same seed, same id.

        Cancelling stops the prompt, waiting or running, and nobody else's. Raises EngineError, BadRecipe, NotFound.
        """
        tracker = Tracker(report)
        first = await self._fleet.holder(ticket.id) if ticket.again else None
        server, setup = (first, await first.fitted(recipe)) if first else await self._fleet.pick(recipe)
        drawing = Drawing(server=server, recipe=recipe, setup=setup, inputs=inputs, ticket=ticket, tracker=tracker)
        try:
            return await _artifacts(drawing)
        except EngineUnavailable as error:
            tracker.say(f"{server.url} was lost; looking for another server")
            return await self._drawn_again(drawing, error)

    async def models(self, kind: str = "all") -> Sequence[ModelInfo]:
        """What the servers that answer have in all their model folders, each name once: what is known of it now.

        `kind`: a ModelKind, or the name of a folder of ComfyUI. The names are there at once, the rest comes in time.
        """
        found: dict[tuple[str, str], ModelInfo] = {}
        for rows in await asyncio.gather(*(_installed(server) for server in await self._fleet.up())):
            for row in rows:
                first = found.setdefault((row.kind, row.name), row)
                if first.guessed and not row.guessed:
                    found[row.kind, row.name] = row
        wanted = kind_of_folder(kind) or kind
        return [row for row in found.values() if wanted in {"all", row.kind}]

    async def status(self) -> EngineStatus:
        """Every server as it is now; one that does not answer within seconds is told of as such."""
        servers = await self._fleet.statuses()
        up = [server for server in servers if server.available]
        return EngineStatus(
            name=self.name,
            available=bool(up),
            detail=_summary(servers),
            device=next((server.device for server in up if server.device), None),
            loaded=next((server.loaded for server in up if server.loaded), None),
            waiting=sum(server.pending for server in up),
            memory=up[0].memory if len(up) == 1 else {},
            servers=tuple(servers),
        )

    # ------------------------------------------------------------------ the Graphs port

    async def templates(self) -> Sequence[TemplateInfo]:
        """Every template, and what the best equipped server lacks for it."""
        inventories = [await server.inventory() for server in await self._fleet.up()]
        return [described(template, inventories) for template in templates().values()]

    async def draft(self, recipe: Recipe) -> DraftedGraph:
        """The graph that the recipe would become on the server that would get it, with stand-ins for input pictures."""
        server, setup = await self._fleet.pick(recipe)
        graph = draft(recipe, setup)
        return DraftedGraph(
            graph=graph.as_prompt(),
            template=setup.template.name,
            family=setup.family.profile.name,
            model=setup.model,
            server=server.url,
            notes=setup.notes,
        )

    async def problems(self, graph: Mapping[str, object]) -> Sequence[Problem]:
        """Of the server that finds fewest. Raises GraphRejected for what is no graph at all."""
        read = Graph.read(graph)
        servers = await self._fleet.up()
        if not servers:
            raise EngineUnavailable(self._fleet.silence())
        found = [problems(read, await server.inventory()) for server in servers]
        return min(found, key=len)

    async def find_mask(self, source: Media, words: str) -> Media:
        """White where the words are, of the source's size. Raises EngineUnavailable when no server can look for it."""
        reasons: list[str] = []
        for server in await self._fleet.up():
            try:
                setup = fit_mask_finder(await server.inventory())
            except (EngineUnavailable, NotFound) as error:
                reasons.append(f"{server.url}: {error}")
                continue
            return await found_mask(server, words, source, setup)
        raise EngineUnavailable(" ".join(reasons) or self._fleet.silence())

    def text_model(self, file: str = "", *, seconds: float = SECONDS) -> ComfyTextModel:
        """The ChatModel port on the servers' text encoders: one by its name, or the best that can write."""
        return ComfyTextModel(self._fleet, file, seconds=seconds)

    # ------------------------------------------------------------------ for the owner

    async def drain(self, url: str) -> frozenset[str]:
        """Give this server no new work, in any process of this home; the answer lists all that drain.

        Raises NotFound for a server that is not named, StorageError.
        """
        return await self._fleet.drains.drain(self._known(url))

    async def resume(self, url: str) -> frozenset[str]:
        """Give it work again. Raises NotFound for a server that is not named, StorageError."""
        return await self._fleet.drains.resume(self._known(url))

    async def make_room(self) -> None:
        """Ask the servers on this machine to free their memory, because something else here needs its GPU."""
        await self._fleet.make_room()

    # ------------------------------------------------------------------ steps

    def _known(self, url: str) -> str:
        names = {server.url for server in self._fleet.servers}
        if bare(url) not in names:
            raise NotFound("ComfyUI server", bare(url), names, f"The servers are: {', '.join(sorted(names))}.")
        return bare(url)

    async def _drawn_again(self, lost: Drawing, why: EngineUnavailable) -> Sequence[Artifact]:
        """What one server lost, drawn by another; by the same where no other takes it and it comes back in time."""
        before = lost.server.url
        server, setup = await self._after(lost, why)
        same = server is lost.server
        if not same:
            lost.server.abandon(lost.prompt_id)
        # A server that was only out of reach may have the prompt still: it is looked for there.
        ticket = replace(lost.ticket, again=same or lost.ticket.again)
        ending = " and came back." if same else f"; drawn anew on {server.url}."
        note = f"{before} was lost in the middle{ending}"
        drawing = replace(lost, server=server, setup=setup, ticket=ticket, notes=[note])
        try:
            return await _artifacts(drawing)
        except EngineUnavailable as error:
            server.abandon(drawing.prompt_id)
            raise _lost_twice(before, why, server.url, error) from error

    async def _after(self, lost: Drawing, why: EngineUnavailable) -> tuple[Server, Setup]:
        """Who draws after a loss. Raises EngineUnavailable when nobody does for `Pace.comeback` seconds."""
        patience = self._pace.comeback if isinstance(why, RenderLost) else 0.0
        deadline = time.monotonic() + patience
        while True:
            try:
                return await self._fleet.pick(lost.recipe, besides=[lost.server.url])
            except StudioError as error:
                nobody = error
            if isinstance(why, RenderLost) and await lost.server.back():
                with suppress(EngineUnavailable):  # gone again
                    return lost.server, await lost.server.fitted(lost.recipe)
            if time.monotonic() > deadline:
                lost.server.abandon(lost.prompt_id)
                raise _lost_for_good(lost.server.url, why, patience, nobody) from nobody
            lost.tracker.say(f"{lost.server.url} was lost and nobody else takes this: waiting for it to come back")
            await asyncio.sleep(self._pace.apart)


async def _installed(server: Server) -> Sequence[ModelInfo]:
    """A server that is lost in the middle has nothing now; the others have what they have."""
    with suppress(StudioError):
        return await server.installed()
    return ()


async def _artifacts(drawing: Drawing) -> Sequence[Artifact]:
    """Raises EngineUnavailable when the server is lost with it, and JobCancelled when it was taken out of its queue."""
    server = drawing.server
    try:
        with server.berth(drawing.setup.model):
            return await drawing.artifacts()
    except asyncio.CancelledError:
        server.abandon(drawing.prompt_id)  # a server that hangs was told in vain: it is told again when it answers
        raise
    except EngineUnavailable as error:
        if isinstance(error, RenderLost) and not error.restarted:
            raise JobCancelled(f"Somebody took this render out of the queue of {server.url}.") from error
        server.failed(error)
        raise


def _lost_for_good(url: str, why: EngineUnavailable, patience: float, nobody: StudioError) -> EngineUnavailable:
    waited = f" It did not come back within {patience:g} s." if patience else ""
    return EngineUnavailable(f"{_told(url, why)}{waited} No other server takes it: {nobody}")


def _lost_twice(before: str, why: EngineUnavailable, url: str, error: EngineUnavailable) -> EngineUnavailable:
    step = "See what ails them (get_system_status), then ask again."
    return EngineUnavailable(f"{_told(before, why)} Then {url} was lost as well: {error} {step}")


def _told(url: str, why: EngineUnavailable) -> str:
    return f"{url} was lost in the middle: {why}"


def _summary(servers: Sequence[ServerStatus]) -> str:
    """One server's own words; of several, how many answer."""
    if len(servers) == 1:
        return servers[0].detail
    up = sum(server.available for server in servers)
    drained = sum(server.draining for server in servers)
    return f"{up} of {len(servers)} servers answer{f', {drained} draining' if drained else ''}"
