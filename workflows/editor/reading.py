"""The editor's file as values: nodes with their slots and widget values, links, subgraphs. It understands no node.

The file may come from a stranger: what has not the right shape is passed over, what is beyond the bounds refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from workflows.errors import GraphRejected

MOST_NODES = 2_000
"""Of a workflow, with all its subgraphs opened; the largest of the official templates has a few hundred."""
MOST_LINKS = 20_000
"""Of one graph or subgraph."""
MOST_SLOTS = 500
"""Inputs, outputs or widget values of one node."""
MOST_NESTING = 16
"""Subgraphs within each other."""
MOST_NAME = 200
"""Characters of an id, a class or an input's name."""
INPUTS, OUTPUTS = "-10", "-20"
"""Ids of the two edges of a subgraph, as if they were nodes in it."""


@dataclass(frozen=True)
class Slot:
    """An input or output of a node; `widget`: an input that has, or once had, a widget; `linked`: anything reads it."""

    name: str
    type: str = "*"
    link: str | None = None
    label: str = ""
    widget: bool = False
    linked: bool = False


@dataclass(frozen=True)
class EditorNode:
    """A node as the file has it. `values` are its widgets' in order, `named` those by name where the file says so."""

    id: str
    kind: str
    mode: int = 0
    title: str = ""
    inputs: tuple[Slot, ...] = ()
    outputs: tuple[Slot, ...] = ()
    values: tuple[Any, ...] = ()
    named: Mapping[str, Any] = field(default_factory=dict[str, Any])
    properties: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class EditorLink:
    """Where a link comes from."""

    origin: str
    slot: int


@dataclass(frozen=True)
class EditorGraph:
    """A graph or a subgraph: nodes by id, links by id, and for a subgraph what leads in and out."""

    nodes: Mapping[str, EditorNode]
    links: Mapping[str, EditorLink]
    inputs: tuple[Slot, ...] = ()
    results: Mapping[int, EditorLink] = field(default_factory=dict[int, EditorLink])
    """Where the outputs of a subgraph come from, by their place."""
    unseen: Mapping[tuple[str, int], EditorLink] = field(default_factory=dict[tuple[str, int], EditorLink])
    """Links that a pack of nodes draws by itself (cg-use-everywhere), by node and place of its input."""
    name: str = ""


@dataclass(frozen=True)
class Editor:
    """The file: its graph, and the subgraphs by id."""

    graph: EditorGraph
    subgraphs: Mapping[str, EditorGraph]
    models: tuple[Mapping[str, Any], ...] = ()
    """Model files that the file tells of outside of its nodes."""


def is_editors(workflow: object) -> bool:
    """Whether this is the editor's format: an object with a list of nodes."""
    return isinstance(workflow, Mapping) and isinstance(cast("Mapping[str, Any]", workflow).get("nodes"), list)


def read_editor(workflow: Mapping[str, Any], groups: Mapping[str, EditorGraph] | None = None) -> Editor:
    """Raises GraphRejected for what is no workflow of the editor, and for one beyond the bounds."""
    if not is_editors(workflow):
        raise GraphRejected("A workflow of ComfyUI's editor is an object with a list of nodes; this is none.")
    subgraphs: dict[str, EditorGraph] = dict(groups or {})
    pending = [workflow]
    for graph in pending:
        for one in tables(table(graph.get("definitions")).get("subgraphs"), MOST_NODES):
            name = word(one.get("id"))
            if name and name not in subgraphs:
                subgraphs[name] = read_graph(one)
                pending.append(one)
    return Editor(read_graph(workflow), subgraphs, tuple(tables(workflow.get("models"), MOST_SLOTS)))


def read_graph(body: Mapping[str, Any]) -> EditorGraph:
    """Raises GraphRejected when it has more nodes or links than are allowed, or two nodes of one id."""
    nodes: dict[str, EditorNode] = {}
    for one in tables(body.get("nodes"), MOST_NODES, "nodes"):
        node = read_node(one)
        if not node.id or not node.kind:
            continue
        if node.id in nodes:
            raise GraphRejected(f"Two nodes of the workflow have the id {node.id[:80]!r}; every id is for one node.")
        nodes[node.id] = node
    links, results = dict[str, EditorLink](), dict[int, EditorLink]()
    for name, origin, slot, target, place in _links(body):
        links[name] = EditorLink(origin, slot)
        if target == OUTPUTS:
            results.setdefault(place, links[name])
    inputs = tuple(_slot(one) for one in tables(body.get("inputs"), MOST_SLOTS))
    return EditorGraph(nodes, links, inputs, results, _unseen(body), word(body.get("name")))


def read_node(body: Mapping[str, Any]) -> EditorNode:
    """A node; without an id or a kind it is none, which is for the caller to look at."""
    told, named = body.get("widgets_values"), body.get("widgets_values_named")
    return EditorNode(
        id=word(body.get("id")),
        kind=word(body.get("type")),
        mode=place if (place := whole(body.get("mode"))) is not None else 0,
        title=word(body.get("title")),
        inputs=tuple(_slot(one) for one in tables(body.get("inputs"), MOST_SLOTS, "inputs of a node")),
        outputs=tuple(_slot(one) for one in tables(body.get("outputs"), MOST_SLOTS, "outputs of a node")),
        values=tuple(listed(told, MOST_SLOTS, "widget values of a node")),
        named={**table(named), **table(told)},
        properties=table(body.get("properties")),
    )


def _slot(body: Mapping[str, Any]) -> Slot:
    link = body.get("link")
    return Slot(
        name=word(body.get("name")),
        type=word(body.get("type")) or "*",
        link=None if link is None else word(link) or None,
        label=word(body.get("label")),
        widget=bool(body.get("widget")),
        linked=bool(body.get("links")),
    )


def _links(body: Mapping[str, Any]) -> Iterator[tuple[str, str, int, str, int]]:
    """(id, from, slot, to, slot) of each link, in either of the two forms that the editor writes."""
    for one in listed(body.get("links"), MOST_LINKS, "links"):
        row, parts = table(one), listed(one, 8)
        if row:
            parts = [row.get(name) for name in ("id", "origin_id", "origin_slot", "target_id", "target_slot")]
        if len(parts) >= 5:
            ends = whole(parts[2]), whole(parts[4])
            name, origin, target = word(parts[0]), word(parts[1]), word(parts[3])
            if ends[0] is not None and ends[1] is not None and name and origin:
                yield name, origin, ends[0], target, ends[1]


def _unseen(body: Mapping[str, Any]) -> dict[tuple[str, int], EditorLink]:
    found: dict[tuple[str, int], EditorLink] = {}
    for one in tables(table(body.get("extra")).get("ue_links"), MOST_LINKS):
        to, at, slot = word(one.get("downstream")), whole(one.get("downstream_slot")), whole(one.get("upstream_slot"))
        if at is not None and slot is not None:
            found[to, at] = EditorLink(word(one.get("upstream")), slot)
    return found


# ------------------------------------------------------------------ kinds of values


def table(value: object) -> Mapping[str, Any]:
    """The value where it is an object, else an empty one."""
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def listed(value: object, most: int, what: str = "") -> list[Any]:
    """The value where it is a list, else an empty one; a longer one is refused where `what` says of what."""
    if not isinstance(value, list | tuple):
        return []
    several = cast("list[Any]", value)
    if what and len(several) > most:
        raise GraphRejected(f"The workflow has {len(several)} {what}; at most {most} are allowed.")
    return list(several[:most])


def tables(value: object, most: int, what: str = "") -> Iterator[Mapping[str, Any]]:
    return (found for one in listed(value, most, what) if (found := table(one)))


def word(value: object) -> str:
    """A short text, or a whole number as one; else nothing."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**18:
        return str(value)
    return value if isinstance(value, str) and len(value) <= MOST_NAME else ""


def whole(value: object) -> int | None:
    """A whole number of modest size, also as a text."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**9:
        return value
    return None
