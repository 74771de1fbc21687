"""ComfyUIEngine: the Engine and Graphs ports on ComfyUI servers. It decides who draws; Drawing draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from workflows.drawing.checking import problems
from workflows.drawing.drafting import draft
from workflows.drawing.finishing import fit_mask_finder
from workflows.drawing.fitting import installed
from workflows.drawing.setup import Setup
from workflows.errors import EngineUnavailable, JobCancelled, NotFound, RenderLost, StudioError
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

    `urls` may hold user:password@ and a path; `home` is the folder in which the drains are written down; `pace` says
    how long a silent server is believed in.
    """

    name = "comfyui"

    def __init__(self, urls: Sequence[str], home: Path, token: str | None = None, *, pace: Pace | None = None) -> None:
        self._fleet = Fleet([Server(url, token, pace) for url in urls], Drains(home))

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
        lost: dict[str, EngineUnavailable] = {}
        while True:
            server, setup = await self._next(recipe, first, lost)
            drawing = Drawing(server=server, recipe=recipe, setup=setup, inputs=inputs, ticket=ticket, tracker=tracker)
            drawing.notes += [f"{url} was lost in the middle; drawn anew on {server.url}." for url in lost]
            try:
                with server.berth(setup.model):
                    return await drawing.artifacts()
            except EngineUnavailable as error:
                if isinstance(error, RenderLost) and not error.restarted:
                    raise JobCancelled(f"Somebody took this render out of the queue of {server.url}.") from error
                server.failed(error)
                server.abandon(drawing.prompt_id)
                if lost:
                    raise _lost_twice(lost, server.url, error) from error
                first, lost[server.url] = None, error
                tracker.say(f"{server.url} was lost; looking for another server")

    async def models(self, kind: str = "all") -> Sequence[ModelInfo]:
        """What the servers that answer have, each name once."""
        found: dict[tuple[str, str], ModelInfo] = {}
        for server in await self._fleet.up():
            for row in installed(await server.inventory()):
                found.setdefault((row.kind, row.name), row)
        return [row for row in found.values() if kind in {"all", row.kind}]

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

    async def _next(
        self, recipe: Recipe, first: Server | None, lost: Mapping[str, EngineUnavailable]
    ) -> tuple[Server, Setup]:
        """The server that holds the prompt already, else the best one. After a loss another one; where there is none,
        the same again if it was only restarted."""
        if first is not None:
            return first, await first.fitted(recipe)
        try:
            return await self._fleet.pick(recipe, besides=lost)
        except StudioError as nobody:
            for server in self._fleet.servers:
                if isinstance(lost.get(server.url), RenderLost) and await server.back():
                    return server, await server.fitted(recipe)
            if lost:
                raise _lost_for_good(lost, nobody) from nobody
            raise


def _lost_for_good(lost: Mapping[str, EngineUnavailable], nobody: StudioError) -> EngineUnavailable:
    return EngineUnavailable(f"{_told(lost)} No other server takes it: {nobody}")


def _lost_twice(lost: Mapping[str, EngineUnavailable], url: str, error: EngineUnavailable) -> EngineUnavailable:
    step = "See what ails them (get_system_status), then ask again."
    return EngineUnavailable(f"{_told(lost)} Then {url} was lost as well: {error} {step}")


def _told(lost: Mapping[str, EngineUnavailable]) -> str:
    return " ".join(f"{url} was lost in the middle: {error}" for url, error in lost.items())


def _summary(servers: Sequence[ServerStatus]) -> str:
    """One server's own words; of several, how many answer."""
    if len(servers) == 1:
        return servers[0].detail
    up = sum(server.available for server in servers)
    drained = sum(server.draining for server in servers)
    return f"{up} of {len(servers)} servers answer{f', {drained} draining' if drained else ''}"
