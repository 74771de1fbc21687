"""A workflow as one server sees it: converted, bounded, checked, its inputs found. Pure; takes up to a second."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workflows.drawing import checking
from workflows.editor import Converted, StatedModel, converted, is_editors, named_spots
from workflows.errors import GraphRejected
from workflows.flows.bounds import check_document, check_graph, check_unfolded, ill_values, kinds_of
from workflows.flows.diagram import mermaid
from workflows.flows.finding import find_inputs
from workflows.flows.rules import Refusal, refusals, refused_kinds, unknown
from workflows.graph import Graph
from workflows.types import FlowInfo, FlowInput, Problem

if TYPE_CHECKING:
    from workflows.drawing.inventory import Inventory

MOST_PROBLEMS = 30
"""That are looked for: each is told with near names, which takes time."""
MOST_ADDRESS = 300
"""Characters of an address that is told on."""


@dataclass(frozen=True, kw_only=True)
class Flow:
    """What is known of a workflow on one server. `graph`: None where it is none that could be read."""

    graph: Graph | None
    inventory: Inventory
    inputs: tuple[FlowInput, ...] = ()
    problems: tuple[Problem, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    notes: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    models: tuple[StatedModel, ...] = ()
    """Files that its author says it needs."""

    @property
    def refused(self) -> tuple[str, ...]:
        return tuple(one.text for one in self.refusals)

    @property
    def drawing(self) -> str:
        """The graph as a Mermaid flowchart."""
        if self.graph is None:
            return ""
        return mermaid(self.graph, {one.node for one in self.problems}, {one.node for one in self.refusals})

    def info(self, name: str, origin: Any = "given", *, title: str = "", about: str = "") -> FlowInfo:
        """The workflow as faces list it."""
        missing = tuple(dict.fromkeys(one.message for one in self.problems))
        return FlowInfo(
            name=name,
            origin=origin,
            title=title,
            about=about,
            inputs=self.inputs,
            outputs=self.outputs,
            usable=self.graph is not None and not missing and not self.refusals,
            missing=missing,
            refused=self.refused,
        )


def understood(body: Mapping[str, Any], inventory: Inventory, allowed: Collection[str] = ()) -> Flow:
    """The workflow on this server. What it cannot be read for is among its problems. Raises BadRecipe for giants."""
    check_document(body)
    try:
        found = _read(body, inventory)
    except GraphRejected as error:
        faulty = error.problems or (Problem(node="", message=str(error)),)
        refused = tuple(refused_kinds(kinds_of(body), inventory, allowed)) if is_editors(body) else ()
        return Flow(graph=None, inventory=inventory, problems=tuple(faulty)[:MOST_PROBLEMS], refusals=refused)
    return _looked_at(found, inventory, allowed)


def _read(body: Mapping[str, Any], inventory: Inventory) -> Converted:
    if is_editors(body) and inventory.classes:
        check_unfolded(body)
        found = converted(body, inventory)
        check_graph(found.graph)
        return found
    graph = Graph.read(body)
    check_graph(graph)
    named, notes = named_spots(graph, inventory)
    return Converted(graph, notes, named)


def _looked_at(read: Converted, inventory: Inventory, allowed: Collection[str]) -> Flow:
    graph, notes = read.graph, read.notes
    found = tuple(refusals(graph, inventory, allowed))
    strange = [kind for kind in unknown(graph, inventory) if kind not in allowed]
    if strange:
        notes = (*notes, f"Of node packs that no rule here knows: {', '.join(strange[:10])}.")
    working = at_work(graph, inventory)
    loop = graph.cycle() is not None
    return Flow(
        graph=graph,
        inventory=inventory,
        inputs=() if loop or not inventory.classes else find_inputs(working, inventory, read.named),
        problems=faults(graph, inventory, read.models),
        models=read.models,
        refusals=found,
        notes=notes,
        outputs=tuple(dict.fromkeys(_outputs(working, inventory))),
    )


def _with_address(problem: Problem, models: Collection[StatedModel]) -> Problem:
    """A file that is missing, with where the workflow's author says that it is to be had."""
    bare = problem.value.replace("\\", "/").rpartition("/")[2]
    found = next((one for one in models if one.name == bare and _is_address(one.url)), None)
    if found is None:
        return problem
    return problem.but(message=f"{problem.message} The workflow says that it is to be had at {found.url}")


def _is_address(url: str) -> bool:
    return url.startswith("https://") and len(url) <= MOST_ADDRESS and url.isprintable() and " " not in url


def at_work(graph: Graph, inventory: Inventory) -> Graph:
    """Only what an output is made from: a server runs nothing else."""
    ends = [name for name, node in graph.nodes.items() if _is_output(node.class_type, inventory)]
    return graph.trimmed(*ends) if ends else graph


def _is_output(kind: str, inventory: Inventory) -> bool:
    known = inventory.classes.get(kind)
    return known is not None and known.is_output


def faults(graph: Graph, inventory: Inventory, models: Collection[StatedModel] = ()) -> tuple[Problem, ...]:
    """Every fault that the server would find, and values that no server should be sent."""
    return tuple(_with_address(one, models) for one in _faults(graph, inventory))


def _faults(graph: Graph, inventory: Inventory) -> tuple[Problem, ...]:
    ill = ill_values(graph)
    if not inventory.classes or len(ill) > MOST_PROBLEMS:
        return tuple(ill[:MOST_PROBLEMS])
    strange = [name for name, node in graph.nodes.items() if node.class_type not in inventory.classes]
    kinds = list(dict.fromkeys(graph[name].class_type for name in strange))
    if len(strange) > MOST_PROBLEMS:
        message = f"This server has none of these node classes: {', '.join(kinds[:20])}"
        message += f" and {len(kinds) - 20} more." if len(kinds) > 20 else "."
        return (Problem(node=strange[0], class_type=kinds[0], message=message),)
    return (*ill, *checking.problems(graph, inventory))[:MOST_PROBLEMS]


_KINDS = (("VIDEO", "video"), ("AUDIO", "audio"), ("IMAGE", "image"), ("STRING", "text"), ("*", "text"))


def _outputs(graph: Graph, inventory: Inventory) -> list[str]:
    """Kinds of what its output nodes take."""
    found: list[str] = []
    for node in graph.nodes.values():
        known = inventory.classes.get(node.class_type)
        if known is not None and known.is_output:
            moving = any(sign in node.class_type.lower() for sign in ("video", "webm", "animated", "gif"))
            types = {given.type for given in known.inputs.values()}
            first = next((kind for sign, kind in _KINDS if sign in types), "file")
            found.append("video" if moving else first)
    return found
