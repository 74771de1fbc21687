"""Group nodes, which the editor had before it had subgraphs, as subgraphs: one for each, since each has its values.

The file keeps what is in a group once, and beside each node of it only the names of its inputs and all values in a row;
what belongs to what is told by their order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from workflows.editor.reading import (
    INPUTS,
    MOST_LINKS,
    MOST_NODES,
    EditorGraph,
    EditorLink,
    EditorNode,
    Slot,
    listed,
    read_node,
    table,
    tables,
    whole,
    word,
)

PREFIXES = ("workflow>", "workflow/")
"""What stands before a group's name where a node is of it."""


def group_nodes(workflow: Mapping[str, Any]) -> tuple[Mapping[str, Any], dict[str, EditorGraph]]:
    """The workflow whose group nodes are nodes of subgraphs, and those subgraphs by id."""
    known = table(table(workflow.get("extra")).get("groupNodes"))
    if not known:
        return workflow, {}
    nodes: list[Mapping[str, Any]] = []
    graphs: dict[str, EditorGraph] = {}
    for body in tables(workflow.get("nodes"), MOST_NODES, "nodes"):
        group = table(known.get(_group(body)))
        node = read_node(body)
        if not group or not node.id:
            nodes.append(body)
            continue
        kind = f"group node {node.id}"
        graphs[kind] = _opened(group, node)
        nodes.append({**body, "type": kind})
    return {**workflow, "nodes": nodes}, graphs


def _group(body: Mapping[str, Any]) -> str:
    kind = word(body.get("type"))
    return next((kind.removeprefix(sign) for sign in PREFIXES if kind.startswith(sign)), "")


@dataclass
class _Wiring:
    """The inputs of the nodes in a group as they are joined up."""

    links: dict[str, EditorLink] = field(default_factory=dict[str, EditorLink])
    reads: dict[tuple[int, int], str] = field(default_factory=dict[tuple[int, int], str])
    read: set[tuple[int, int]] = field(default_factory=set[tuple[int, int]])
    """Outputs that are read within."""

    def join(self, origin: str, slot: int, target: int, place: int) -> None:
        name = str(len(self.links))
        self.links[name] = EditorLink(origin, slot)
        self.reads[target, place] = name


def _opened(group: Mapping[str, Any], host: EditorNode) -> EditorGraph:
    inner = [read_node({**body, "id": at}) for at, body in enumerate(tables(group.get("nodes"), MOST_NODES, "nodes"))]
    wiring = _Wiring()
    for row in (listed(one, 8) for one in listed(group.get("links"), MOST_LINKS, "links")):
        ends = [whole(one) for one in row[:4]]
        if len(ends) == 4 and None not in ends:
            origin, slot, target, place = (end or 0 for end in ends)
            wiring.join(str(origin), slot, target, place)
            wiring.read.add((origin, slot))
    inputs = _outer_inputs(inner, host, wiring)
    told = _spread([node.values for node in inner], host.values)
    nodes = {
        node.id: replace(node, values=values, inputs=_joined(at, node, wiring))
        for at, (node, values) in enumerate(zip(inner, told, strict=True))
    }
    outer = _outputs(group, inner, wiring)
    results = dict(zip(range(len(host.outputs)), outer, strict=False))
    return EditorGraph(nodes, wiring.links, inputs, results, name=_group({"type": host.kind}))


def _joined(at: int, node: EditorNode, wiring: _Wiring) -> tuple[Slot, ...]:
    return tuple(replace(slot, link=wiring.reads.get((at, place))) for place, slot in enumerate(node.inputs))


def _outer_inputs(inner: list[EditorNode], host: EditorNode, wiring: _Wiring) -> tuple[Slot, ...]:
    """The host's inputs in their order, each joined to the next open input within of its type and name."""
    unmet = [
        (at, place, slot)
        for at, node in enumerate(inner)
        for place, slot in enumerate(node.inputs)
        if (at, place) not in wiring.reads
    ]
    for number, outer in enumerate(host.inputs):
        fitting = [one for one in unmet if one[2].type == outer.type and outer.name.endswith(one[2].name)]
        if fitting:
            at, place, _ = fitting[0]
            wiring.join(INPUTS, number, at, place)
            unmet.remove(fitting[0])
    return host.inputs


def _outputs(group: Mapping[str, Any], inner: list[EditorNode], wiring: _Wiring) -> Iterator[EditorLink]:
    """The outputs within that stand on the outside: those that nobody within reads, or that are said to."""
    outside = {(whole(row[0]), whole(row[1])) for one in listed(group.get("external"), MOST_LINKS)
               if len(row := listed(one, 8)) >= 2}  # fmt: skip
    shown = table(group.get("config"))
    for at, node in enumerate(inner):
        hidden = table(table(shown.get(str(at))).get("output"))
        for slot in range(len(node.outputs)):
            open_ = (at, slot) not in wiring.read or (at, slot) in outside
            if open_ and table(hidden.get(str(slot))).get("visible") is not False:
                yield EditorLink(node.id, slot)


def _spread(within: list[tuple[Any, ...]], told: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """The host's values, given out in the numbers in which the nodes had them; theirs where the sums differ."""
    if len(told) != sum(len(values) for values in within):
        return within
    spread: list[tuple[Any, ...]] = []
    begin = 0
    for values in within:
        spread.append(told[begin : begin + len(values)])
        begin += len(values)
    return spread
