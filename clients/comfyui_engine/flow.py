"""Flow: a graph of the user's own on one server, as it stands: its files placed, carried out, all its outputs fetched.

What is in the graph was looked over before (the library of workflows); here it is only put to servers that can run it.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID, uuid5

from clients.comfyui_engine.drawing import renamed
from clients.comfyui_engine.outputs import Harvest, Output, gathered
from clients.comfyui_engine.pool import Candidate, choose, why_none
from workflows.drawing.checking import problems
from workflows.drawing.drafting import sampler_steps
from workflows.errors import (
    BadRecipe,
    EngineUnavailable,
    GraphRejected,
    OutOfMemory,
    RenderFailed,
    ServiceError,
    StudioError,
)
from workflows.graph import Graph, Node
from workflows.importing.values import whole
from workflows.template import carrier, trace
from workflows.types import Artifact, Problem

if TYPE_CHECKING:
    from clients.comfyui_client import Finished
    from clients.comfyui_engine.fleet import Fleet
    from clients.comfyui_engine.progress import Tracker
    from clients.comfyui_engine.server import Server
    from workflows.types import Media, Recipe, Ticket

FILE = "atelier://"
"""Before a role in a graph's literals: the file of that role belongs there."""
NO_LADDER = (
    "A workflow of your own is run as it stands, so nothing was tried in its place: make its pictures, frames or "
    "batches smaller, or decode in tiles (VAEDecodeTiled)."
)


def graph_of(inputs: Mapping[str, Media]) -> Graph:
    """The graph that is to be run. Raises GraphRejected for what is no graph in API format."""
    given = inputs.get("workflow")
    if given is None:
        raise GraphRejected("There is no workflow to run.")
    try:
        return Graph.read(json.loads(given.data))
    except (ValueError, RecursionError) as error:
        raise GraphRejected("The workflow cannot be read: it is no JSON.") from error


async def refusal(fleet: Fleet) -> str | None:
    """Why no server takes any graph at all; which one takes this graph is seen when it is to be run."""
    draining = await fleet.drains.urls()
    servers = [server for server in await fleet.up() if not server.unknown]
    if not servers:
        return fleet.silence()
    if any(server.url not in draining for server in servers):
        return None
    return why_none([Candidate(url=server.url, draining=True) for server in servers])


@dataclass(frozen=True, kw_only=True)
class Flows:
    """The Chooser of flows: of the servers that find no fault in the graph, the least busy one."""

    fleet: Fleet
    graph: Graph
    recipe: Recipe
    inputs: Mapping[str, Media]
    ticket: Ticket
    tracker: Tracker

    async def anywhere(self, besides: Collection[str] = ()) -> Flow:
        """Raises GraphRejected with the faults that the best server finds, EngineUnavailable where none answers."""
        draining = await self.fleet.drains.urls()
        servers = [one for one in await self.fleet.up() if not one.unknown and one.url not in besides]
        if not servers:
            raise EngineUnavailable(self.fleet.silence())
        sights = await asyncio.gather(*(_sight(server, self.graph) for server in servers))
        able = [sight.server for sight in sights if sight.able and sight.server.url not in draining]
        if len(able) > 1:
            told = await asyncio.gather(*(server.count() for server in able))
            able = [server for server, tells in zip(able, told, strict=True) if tells] or able
        chosen = choose([Candidate(url=server.url, load=server.load) for server in able])
        if chosen is None:
            raise _refused(sights, draining)
        return await self.there(next(server for server in able if server.url == chosen.url))

    async def there(self, server: Server) -> Flow:
        return Flow(
            server=server,
            graph=self.graph,
            recipe=self.recipe,
            inputs=self.inputs,
            ticket=self.ticket,
            tracker=self.tracker,
        )


@dataclass(frozen=True, kw_only=True)
class Sight:
    """What one server says to the graph."""

    server: Server
    faults: Sequence[Problem] = ()
    error: StudioError | None = None

    @property
    def able(self) -> bool:
        return self.error is None and not self.faults


async def _sight(server: Server, graph: Graph) -> Sight:
    """Its faults by the server's lists as they are known, and by fresh ones before it is said to have any."""
    faults: Sequence[Problem] = ()
    try:
        for anew in (False, True):
            if anew:
                server.client.forget()  # a pack of nodes may have been added
            inventory = await server.inventory(anew=anew)
            faults = await asyncio.to_thread(problems, graph, inventory)
            if not faults:
                break
    except (EngineUnavailable, ServiceError) as error:
        return Sight(server=server, error=error)
    return Sight(server=server, faults=faults)


def _refused(sights: Sequence[Sight], draining: Collection[str]) -> StudioError:
    answered = [sight for sight in sights if sight.error is None and sight.server.url not in draining]
    best = min(answered, key=lambda sight: len(sight.faults), default=None)
    if best is None:
        candidates = [
            Candidate(
                url=sight.server.url,
                against=str(sight.error) if sight.error else None,
                draining=sight.server.url in draining,
            )
            for sight in sights
        ]
        return EngineUnavailable(why_none(candidates))
    more = f" And {len(best.faults) - 1} more." if len(best.faults) > 1 else ""
    text = f"{best.server.url} would not take this workflow: {best.faults[0].message}{more}"
    return GraphRejected(text, best.faults)


# ------------------------------------------------------------------ on its server


@dataclass(kw_only=True)
class Flow:
    """Owns nothing: whoever awaits `artifacts` may be cancelled, and the client then stops the prompt."""

    server: Server
    graph: Graph
    """With atelier://ROLE where files belong."""
    recipe: Recipe
    inputs: Mapping[str, Media]
    ticket: Ticket
    tracker: Tracker
    prompt_id: str = ""
    notes: list[str] = field(default_factory=list[str])

    @property
    def model(self) -> str:
        """Whatever it loads, it is not what we think is in the server's memory."""
        return ""

    async def artifacts(self) -> list[Artifact]:
        """One for each output. Raises EngineError; EngineUnavailable means that the server is at fault."""
        began = time.perf_counter()
        graph = await self._placed()
        try:
            graph, harvest = await self._carried_out(graph)
        except GraphRejected:
            self.server.forget()  # it has not what we thought it had
            raise
        except OutOfMemory as error:
            raise OutOfMemory(f"{error} {NO_LADDER}") from error
        finally:
            self.server.warm = None
        if not harvest.outputs:
            raise await self._nothing(graph, harvest)
        self.tracker.finish()
        facts = self._facts(graph, harvest, time.perf_counter() - began)
        return [self._artifact(graph, facts, output) for output in harvest.outputs]

    # ------------------------------------------------------------------ steps

    async def _placed(self) -> Graph:
        """The graph with its files uploaded and named. Raises BadRecipe for a file that did not come with it."""
        names: dict[str, str] = {}
        for role in sorted(_roles(self.graph)):
            if role not in self.inputs or role == "workflow":
                raise BadRecipe("files", f"{FILE}{role}", "the workflow reads this file, and it was not given")
            names[f"{FILE}{role}"] = await self.server.upload(self.inputs[role])
        return _with(self.graph, names) if names else self.graph

    async def _carried_out(self, graph: Graph) -> tuple[Graph, Harvest]:
        """Once more, saved under another name, when files of the server's cache are gone."""
        finished = await self._run(graph, self.ticket.id)
        harvest = await gathered(self.server, finished)
        if harvest.missing:
            again = _saving_again(graph, {file.node for file in harvest.missing})
            if again == graph and finished.cached and not harvest.outputs:
                await self.server.client.free()  # what is only shown has no name that could be changed
            elif again == graph:
                return graph, _told_of_missing(harvest)
            graph = again
            finished = await self._run(graph, str(uuid5(UUID(self.ticket.id), "again")))
            harvest = await gathered(self.server, finished)
        return graph, _told_of_missing(harvest)

    async def _run(self, graph: Graph, prompt_id: str) -> Finished:
        self.tracker.begin(graph, sampler_steps(graph), self.server.url)
        self.prompt_id = prompt_id
        return await self.server.client.run(
            graph.as_prompt(), prompt_id=prompt_id, on_event=self.tracker.hear, again=self.ticket.again
        )

    async def _nothing(self, graph: Graph, harvest: Harvest) -> RenderFailed:
        """Why there is no output."""
        classes = (await self.server.inventory()).classes
        ends = [
            f"{name} ({node.class_type})"
            for name, node in graph.nodes.items()
            if node.class_type in classes and classes[node.class_type].is_output
        ]
        said = f"{self.server.url} ran the workflow to its end, and nothing that can be kept came of it."
        return RenderFailed(" ".join([said, f"Its output nodes: {', '.join(ends) or 'none'}.", *harvest.notes]))

    # ------------------------------------------------------------------ what is told of it

    def _facts(self, graph: Graph, harvest: Harvest, seconds: float) -> dict[str, Any]:
        notes = [*self.notes, *harvest.notes]
        facts: dict[str, Any] = {
            "prompt_id": self.prompt_id,
            "server": self.server.url,
            "seconds": round(seconds, 3),
            "graph": graph.as_prompt(),
        }
        if self.recipe.seed is None and (seed := _seed(graph)) is not None:
            facts["seed"] = seed
        return facts | ({"notes": notes} if notes else {})

    def _artifact(self, graph: Graph, facts: Mapping[str, Any], output: Output) -> Artifact:
        """A video's `seconds` are its length; how long the run took is in `render_seconds` then."""
        node = graph.nodes.get(output.node)
        own: dict[str, Any] = {"node": output.node, "node_title": _title(node), "output": output.kind}
        if "seconds" in output.facts:
            own["render_seconds"] = facts["seconds"]
        return Artifact(
            media=output.media,
            seed=self.recipe.seed or 0,
            width=output.width,
            height=output.height,
            model=self.recipe.model or "",
            facts={**facts, **own, **output.facts},
        )


def _seed(graph: Graph) -> int | None:
    """Of the first sampler that has one, as many bits as it has."""
    seeds = [part.seed for part in trace(graph).samplers if part.seed is not None and part.seed[0] in graph]
    spots = [carrier(graph, spot) for spot in seeds]
    found = (whole(graph[name].inputs.get(field)) for name, field in spots)
    return next((one for one in found if one is not None), None)


def _title(node: Node | None) -> str:
    return (node.title or node.class_type) if node else ""


def _told_of_missing(harvest: Harvest) -> Harvest:
    gone = [f"{file.filename} is not kept: the server names it, and has it not." for file in harvest.missing]
    return replace(harvest, notes=[*harvest.notes, *gone])


def _saving_again(graph: Graph, nodes: Collection[str]) -> Graph:
    """The nodes whose files are gone saving under other names, the others as they were."""
    fresh = renamed(graph)
    return Graph({name: fresh[name] if name in nodes else node for name, node in graph.nodes.items()})


# ------------------------------------------------------------------ files in a graph


def _roles(graph: Graph) -> frozenset[str]:
    """The roles of the files that it reads."""
    found: set[str] = set()

    def look(value: object) -> object:
        if isinstance(value, str) and value.startswith(FILE):
            found.add(value.removeprefix(FILE))
        return value

    for node in graph.nodes.values():
        _each(node.inputs, look)
    return frozenset(found)


def _with(graph: Graph, names: Mapping[str, str]) -> Graph:
    """The graph with other literals in place of these, however deep they are."""

    def named(value: object) -> object:
        return names.get(value, value) if isinstance(value, str) else value

    nodes = {
        name: replace(node, inputs=cast("Mapping[str, Any]", _each(node.inputs, named)))
        for name, node in graph.nodes.items()
    }
    return Graph(nodes)


def _each(value: object, change: Any) -> object:
    """The same value with every literal in it changed; links stay as they are."""
    if isinstance(value, Mapping):
        return {name: _each(inner, change) for name, inner in cast("Mapping[str, object]", value).items()}
    if isinstance(value, list):
        return [_each(inner, change) for inner in cast("list[object]", value)]
    return change(value)
