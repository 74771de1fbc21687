"""ComfyUIEngine: the Engine, Graphs and Workshop ports on ComfyUI servers. What is drawn, and where, others decide."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from clients.comfyui_client import Pace
from clients.comfyui_engine import flow, shelf
from clients.comfyui_engine.carrying import Carrying, Chooser
from clients.comfyui_engine.catalogue import described
from clients.comfyui_engine.drains import Drains, bare
from clients.comfyui_engine.drawing import Drawings, found_mask
from clients.comfyui_engine.fleet import Fleet
from clients.comfyui_engine.progress import Tracker
from clients.comfyui_engine.server import Server
from clients.comfyui_engine.writing import SECONDS, ComfyTextModel
from workflows.drawing.checking import problems
from workflows.drawing.drafting import draft
from workflows.drawing.finishing import fit_mask_finder
from workflows.errors import EngineUnavailable, NotFound, StudioError
from workflows.families import family
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

if TYPE_CHECKING:
    from workflows.drawing.inventory import Inventory


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
        """From what is known of the servers; a name that is not in their lists is looked for in fresh ones.

        Of a workflow only whether a server takes any: its graph is looked at when it is rendered.
        """
        if recipe.task == "workflow":
            return await flow.refusal(self._fleet)
        return await self._fleet.refusal(recipe)

    async def profile(self, recipe: Recipe) -> FamilyProfile:
        """Of the model that would draw it; nobody knows a workflow's. Raises BadRecipe, NotFound, EngineUnavailable."""
        if recipe.task == "workflow":
            return family("unknown").profile
        _, setup = await self._fleet.pick(recipe)
        return setup.family.profile

    async def render(
        self, recipe: Recipe, inputs: Mapping[str, Media], report: Report, ticket: Ticket
    ) -> Sequence[Artifact]:
        """Draw on the server that suits best. One that dies with it loses it, once, to another: same seed, same id.

        A workflow gives an artifact for each of its outputs, of whatever kind. Cancelling stops the prompt, waiting or
        running, and nobody else's. Raises EngineError, BadRecipe, NotFound.
        """
        tracker = Tracker(report)
        chooser = self._chooser(recipe, inputs, ticket, tracker)
        carrying = Carrying(fleet=self._fleet, chooser=chooser, ticket=ticket, tracker=tracker, pace=self._pace)
        return await carrying.carried_out()

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

    # ------------------------------------------------------------------ the Workshop port

    async def inventories(self) -> Sequence[Inventory]:
        """Of every server that answers. Raises EngineUnavailable when none does."""
        return await shelf.inventories(self._fleet)

    async def saved(self) -> Sequence[str]:
        """Names in the libraries of the servers' editors, each once. Raises EngineUnavailable."""
        return await shelf.saved(self._fleet)

    async def saved_workflow(self, name: str) -> Mapping[str, object]:
        """As the editor wrote it, of the first server that has it. Raises NotFound, GraphRejected for what cannot be
        read, EngineUnavailable."""
        return await shelf.saved_workflow(self._fleet, name)

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

    def _chooser(self, recipe: Recipe, inputs: Mapping[str, Media], ticket: Ticket, tracker: Tracker) -> Chooser:
        if recipe.task != "workflow":
            return Drawings(fleet=self._fleet, recipe=recipe, inputs=inputs, ticket=ticket, tracker=tracker)
        return flow.Flows(
            fleet=self._fleet,
            graph=flow.graph_of(inputs),
            recipe=recipe,
            inputs=inputs,
            ticket=ticket,
            tracker=tracker,
        )


async def _installed(server: Server) -> Sequence[ModelInfo]:
    """A server that is lost in the middle has nothing now; the others have what they have."""
    with suppress(StudioError):
        return await server.installed()
    return ()


def _summary(servers: Sequence[ServerStatus]) -> str:
    """One server's own words; of several, how many answer."""
    if len(servers) == 1:
        return servers[0].detail
    up = sum(server.available for server in servers)
    drained = sum(server.draining for server in servers)
    return f"{up} of {len(servers)} servers answer{f', {drained} draining' if drained else ''}"
