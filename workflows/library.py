"""Library: the templates and workflows that can be used here, whether a graph would be taken, and a workflow made ready
to run. Runs nothing itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from workflows.content import ContentRules
from workflows.drawing.inventory import Inventory
from workflows.errors import BadRecipe, EngineUnavailable, GraphRejected, NotFound, StudioError
from workflows.flows import Flow, Opened, Prepared, Shelf, prepared, understood
from workflows.flows.filling import of_item
from workflows.flows.finder import Finder, ItemGraph, parsed
from workflows.flows.naming import tool_names
from workflows.flows.shelf import Shelved, opened
from workflows.graph import Graph
from workflows.ports import Graphs, Workshop
from workflows.steps import COMFYUI_STEP
from workflows.types import FlowInfo, Problem, Recipe, TemplateInfo

Answer = dict[str, Any]
log = logging.getLogger("atelier.library")

NO_GRAPHS = f"Workflows are graphs for ComfyUI, and none is in use here: {COMFYUI_STEP}."
VALID_STEP = "It would be taken as it is."
INVALID_STEP = "Mend what the problems say and ask again; list_workflows tells what can be used here."
REFUSED_STEP = "It may not run: take the refused nodes and values out, or ask the owner of this server."
INPUTS_STEP = "It would run once these inputs are given: {}."
ALL = "all"
"""Of the published workflows: every one in the folders."""
MOST_SAVED = 30
"""Workflows of the editor's library that are opened for a list; the others are named."""
AT_ONCE = 4
PATIENCE = 1.5
MOST_TOOLS = 60
"""Workflows that become tools; besides our own, clients take some hundred in all."""
TOO_MANY = "%d workflows are published, and %d of them are tools: name those that matter in ATELIER_WORKFLOW_TOOLS"
SHOWN_CHOICES = 20
_Seen = tuple[tuple[str, tuple[int, int]], ...]


@dataclass(frozen=True)
class Library:
    """What faces may ask of graphs. `graphs` None: no engine here runs any; `workshop` None: none of the user's own.

    `allowed`: node classes that may run although the rules refuse them. `published`: workflows of the folders that are
    tools of their own, by name, or "all". `item_graph`: the graph of a gallery item, where it has one.
    """

    graphs: Graphs | None = None
    workshop: Workshop | None = None
    folders: Sequence[Path] = ()
    allowed: Collection[str] = ()
    published: Collection[str] = ()
    rules: ContentRules = field(default_factory=ContentRules)
    item_graph: ItemGraph | None = None
    patience: float = PATIENCE
    """Seconds that `tools` may take."""
    _infos: dict[str, tuple[Any, FlowInfo]] = field(default_factory=dict[str, tuple[Any, FlowInfo]], repr=False)
    """What was found in each file, with the file's stamp and the servers that it was found for."""
    _watched: list[_Seen] = field(default_factory=list[_Seen], repr=False)
    _unseen: set[str] = field(default_factory=set[str], repr=False)
    """Published files that could not be told of yet."""
    _names: dict[str, str] = field(default_factory=dict[str, str], repr=False)
    """Of the tools, by workflow: they stay while this process lives."""

    @cached_property
    def finder(self) -> Finder:
        """Where workflows are looked for."""
        return Finder(Shelf(tuple(self.folders)), self.workshop, self.item_graph)

    # -------------------------------------------------------------- lists

    async def list(self) -> Answer:
        """Every workflow of the user's, then every template, usable ones first, each with what is missing for it."""
        templates = await self.graphs.templates() if self.graphs is not None else ()
        own: list[FlowInfo] = [*await self._own(), *await self._saved()]
        found = [sorted(several, key=lambda info: (not info.usable, info.name)) for several in (own, templates)]
        rows = [_row(info) for several in found for info in several]
        answer = {"workflows": rows, "usable": sum(bool(row["usable"]) for row in rows)}
        return answer if self.graphs is not None else answer | {"note": NO_GRAPHS}

    async def tools(self, taken: Collection[str] = ()) -> Sequence[FlowInfo]:
        """The published workflows, each with the name of its tool, which is none of `taken`.

        What the owner's rules refuse and what cannot be read is no tool. Takes `patience` at most: until servers
        answer and every file is looked at, those that are known already are told; `changed` finds out the others.
        """
        if not self.published or self.workshop is None:
            return ()
        files = await asyncio.to_thread(self.finder.shelf.files)
        wanted = {name: one for name, one in files.items() if ALL in self.published or name in self.published}
        with suppress(TimeoutError, EngineUnavailable):
            async with asyncio.timeout(self.patience):
                await self._learn(wanted.values())
        known = {name: info for name, one in wanted.items() if (info := self._known(one)) is not None}
        self._unseen.clear()
        self._unseen.update(wanted.keys() - known.keys())
        useful = {name: info for name, info in known.items() if not info.refused and info.outputs}
        names = tool_names([*wanted], taken, self._names)
        self._names.clear()
        self._names.update(names)
        if len(useful) > MOST_TOOLS:
            log.warning(TOO_MANY, len(useful), MOST_TOOLS)
        return [info.but(tool=names[name]) for name, info in islice(useful.items(), MOST_TOOLS)]

    async def _learn(self, files: Iterable[Shelved]) -> Sequence[FlowInfo]:
        inventories = await self._inventories()
        return [await asyncio.to_thread(self._of_file, one, inventories) for one in files]

    def _known(self, one: Shelved) -> FlowInfo | None:
        """What was found in the file as it is, on whatever servers."""
        known = self._infos.get(one.name)
        return known[1] if known is not None and known[0][0] == one else None

    async def changed(self) -> bool:
        """Whether a file of the folders came, went or changed since the last call; never at the first one.

        Also true when more is known of what `tools` could not tell of, because no server answered, or not soon.
        """
        seen = await asyncio.to_thread(self.finder.shelf.signature)
        before = self._watched[-1] if self._watched else seen
        self._watched[:] = [seen]
        return await self._seen_again() or seen != before

    async def _seen_again(self) -> bool:
        if not self._unseen:
            return False
        files = await asyncio.to_thread(self.finder.shelf.files)
        try:
            await self._learn(one for name, one in files.items() if name in self._unseen)
        except EngineUnavailable:
            return False
        self._unseen.clear()
        return True

    async def _own(self) -> Sequence[FlowInfo]:
        """The workflows of the folders."""
        files = await asyncio.to_thread(self.finder.shelf.files)
        if not files:
            return []
        try:
            return await self._learn(files.values())
        except EngineUnavailable as error:
            return [FlowInfo(name=name, origin="folder", usable=False, missing=(str(error),)) for name in files]

    def _of_file(self, one: Shelved, inventories: Sequence[Inventory]) -> FlowInfo:
        """What is in a file; found once for each state of the file and of the servers."""
        state = (one, *inventories)
        known = self._infos.get(one.name)
        if known is not None and known[0][0] == one and _same(known[0][1:], inventories):
            return known[1]
        try:
            info = self._best(opened(one), inventories).info(one.name, "folder", title=one.name)
        except StudioError as error:
            info = FlowInfo(name=one.name, origin="folder", usable=False, missing=(str(error),))
        self._infos[one.name] = (state, info)
        return info

    async def _saved(self) -> Sequence[FlowInfo]:
        """Those of the editor's library; the first of them are opened."""
        names = await self.finder.saved()
        if not names:
            return []
        inventories = await self._inventories()
        turn = asyncio.Semaphore(AT_ONCE)

        async def one(name: str) -> FlowInfo:
            async with turn:
                return await self._saved_info(name, inventories)

        rows = await asyncio.gather(*(one(name) for name in names[:MOST_SAVED]))
        more = (name.removesuffix(".json") for name in names[MOST_SAVED:])
        about = "Not opened for this list; validate_workflow tells its inputs."
        return [*rows, *(FlowInfo(name=name, origin="saved", about=about, usable=True) for name in more)]

    async def _saved_info(self, name: str, inventories: Sequence[Inventory]) -> FlowInfo:
        bare = name.removesuffix(".json")
        try:
            found = await self.finder.saved_one(name)
            flow = await asyncio.to_thread(self._best, found, inventories)
        except StudioError as error:
            return FlowInfo(name=bare, origin="saved", usable=False, missing=(str(error),))
        return flow.info(bare, "saved", title=bare)

    # -------------------------------------------------------------- one workflow

    async def prepare(self, workflow: object, inputs: Mapping[str, object]) -> Prepared:
        """The job that runs it with these values, by the names of its inputs; a value of None is not given.

        `workflow`: a graph (API or editor's format, as an object or as JSON), a file that holds one (Media: JSON, or
        what was made with it), a file of the folders by its name, one of the editor's library, or a gallery item.
        Raises BadRecipe, NotFound, Refused, GraphRejected, EngineUnavailable.
        """
        if workflow is None or workflow == "":
            raise BadRecipe("workflow", workflow, "it is a graph or a workflow's name; list_workflows shows them")
        found = await self.finder.open(workflow, await self._templates())
        inventories = await self._inventories()
        ready = await asyncio.to_thread(self._prepared, found, inputs, inventories)
        return of_item(ready, found.item_id) if found.item_id else ready

    def _prepared(self, found: Opened, inputs: Mapping[str, object], inventories: Sequence[Inventory]) -> Prepared:
        """On the first server that takes it; where none does, what the likeliest one says."""
        flows = self._flows(found, inventories)
        first: StudioError | None = None
        for flow in flows:
            try:
                info = flow.info(found.name, found.origin)
                return prepared(flow, info, inputs, self.rules)
            except (BadRecipe, GraphRejected) as error:
                first = first or error
        assert first is not None
        raise first

    async def validate(
        self,
        workflow: object = None,
        model: str | None = None,
        prompt: str = "test prompt",
        width: int | None = None,
        height: int | None = None,
    ) -> Answer:
        """Whether a server would take it, every fault that it would find, its inputs, and a diagram (Mermaid).

        `workflow`: as `prepare` takes it, or the name of a template; None is the graph that a picture of these words by
        `model` would become. Raises BadRecipe, NotFound, EngineError.
        """
        if self.graphs is None and self.workshop is None:
            raise EngineUnavailable(NO_GRAPHS)
        given = await asyncio.to_thread(parsed, workflow)
        if given is None or given == "":
            return await self._drafted(Recipe.checked(prompt=prompt, model=model, width=width, height=height, seed=0))
        templates = await self._templates()
        if isinstance(given, str) and given in templates and await self.finder.unshelved(given):
            return await self._template(given)
        try:
            found = await self.finder.open(given, templates)
        except GraphRejected as error:
            return _verdict([Problem(node="", message=str(error))], {})
        return await self._flow(found)

    async def _flow(self, found: Opened) -> Answer:
        flow = await asyncio.to_thread(self._best, found, await self._inventories_or_none())
        about: Answer = {"workflow": found.name} if found.origin != "given" or found.item_id else {}
        if flow.graph is None:
            refused = {"refused": [*flow.refused]} if flow.refused else {}
            return _verdict(flow.problems, about | refused, flow=flow)
        problems = list(flow.problems)
        if self.workshop is None and self.graphs is not None:
            problems += await self.graphs.problems(flow.graph.as_prompt())
            flow = replace(flow, problems=tuple(problems))
        return _verdict(problems, about | _about(flow), flow=flow)

    async def _drafted(self, recipe: Recipe) -> Answer:
        if self.graphs is None:
            raise EngineUnavailable(NO_GRAPHS)
        drafted = await self.graphs.draft(recipe)
        about = drafted.model_dump(mode="json", exclude={"graph", "template"}, exclude_defaults=True)
        graph = Graph.read(drafted.graph)
        flow = Flow(graph=graph, inventory=_NOBODY)
        told = {"nodes": len(graph.nodes), "mermaid": flow.drawing}
        problems = await self.graphs.problems(graph.as_prompt())
        return _verdict(problems, {"workflow": drafted.template} | about | told)

    async def _template(self, name: str) -> Answer:
        assert self.graphs is not None
        known = {info.name: info for info in await self.graphs.templates()}
        if name not in known:
            raise NotFound("workflow", name, known, "list_workflows shows them; a graph is given in API format.")
        info = known[name]
        return _verdict([_lack(info, lack) for lack in info.missing], {"workflow": name}, valid=info.usable)

    # -------------------------------------------------------------- servers

    async def _templates(self) -> Collection[str]:
        return [info.name for info in await self.graphs.templates()] if self.graphs is not None else []

    async def _inventories(self) -> Sequence[Inventory]:
        if self.workshop is None:
            raise EngineUnavailable(NO_GRAPHS)
        return await self.workshop.inventories()

    async def _inventories_or_none(self) -> Sequence[Inventory]:
        return await self._inventories() if self.workshop is not None else [_NOBODY]

    def _flows(self, found: Opened, inventories: Sequence[Inventory]) -> Sequence[Flow]:
        """The workflow on every server, the likeliest first."""
        flows = [understood(found.body, one, self.allowed) for one in inventories]
        return sorted(flows, key=lambda flow: (flow.graph is None, len(flow.problems)))

    def _best(self, found: Opened, inventories: Sequence[Inventory]) -> Flow:
        return self._flows(found, inventories)[0]


_NOBODY = Inventory(classes={})
"""Stands for servers that nobody asked."""


def _same(known: Sequence[Inventory], now: Sequence[Inventory]) -> bool:
    """By identity: engines keep an inventory until their server's changes, and to compare two takes longer."""
    return len(known) == len(now) and all(one is other for one, other in zip(known, now, strict=True))


def _row(info: TemplateInfo | FlowInfo) -> Answer:
    row = info.model_dump(mode="json", exclude_defaults=True) | {"usable": info.usable}
    if isinstance(info, FlowInfo) and info.inputs:
        row["inputs"] = _inputs(info)
    return row


def _inputs(info: FlowInfo) -> Sequence[Answer]:
    """As a caller needs them: without the places in the graph, and with the first of many choices."""
    shown = (
        one.but(choices=one.choices[:SHOWN_CHOICES]).model_dump(mode="json", exclude={"spots"}, exclude_defaults=True)
        for one in info.inputs
    )
    return [row | {"kind": one.kind} for row, one in zip(shown, info.inputs, strict=True)]


def _about(flow: Flow) -> Answer:
    assert flow.graph is not None
    found = {
        "refused": [*flow.refused],
        "inputs": _inputs(flow.info("given")),
        "outputs": [*flow.outputs],
        "notes": [*flow.notes],
    }
    told = {name: value for name, value in found.items() if value}
    return {"nodes": len(flow.graph.nodes), **told, "mermaid": flow.drawing}


def _lack(info: TemplateInfo, lack: str) -> Problem:
    return Problem(node="", message=f"{info.title or info.name} needs: {lack}")


def _verdict(
    problems: Sequence[Problem], about: Answer, *, valid: bool | None = None, flow: Flow | None = None
) -> Answer:
    rows = [problem.model_dump(mode="json", exclude_defaults=True) for problem in problems]
    refused = bool(flow and flow.refusals)
    good = (not rows and not refused) if valid is None else valid
    step = VALID_STEP if good else REFUSED_STEP if refused and not rows else INVALID_STEP
    needed = [one.name for one in flow.inputs if one.required] if flow and good else []
    return {
        "valid": good,
        "problems": rows,
        **about,
        "next": INPUTS_STEP.format(", ".join(needed)) if needed else step,
    }
