"""What of a converted graph can run: outputs whose way in was cut by a muted or bypassed node are taken out.

The editor sends such outputs, too; a server then runs the others and complains of these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workflows.graph import Graph, Node

if TYPE_CHECKING:
    from workflows.drawing.inventory import Inventory
    from workflows.editor.flattening import Flat

SHOWN = 6


def living(graph: Graph, flat: Flat, inventory: Inventory) -> tuple[Graph, tuple[str, ...]]:
    """The graph without the nodes that lack what they need since something before them is off, if an output is left;
    and a note of them."""
    graph = Graph({name: _without_dead_links(node, graph) for name, node in graph.nodes.items()})
    dead = {name for name in graph.nodes if _cut(name, graph, flat, inventory)}
    if not dead:
        return graph, ()
    readers: dict[str, list[str]] = {}
    for name, node in graph.nodes.items():
        for source, _ in node.links().values():
            readers.setdefault(source, []).append(name)
    pending = list(dead)
    for name in pending:
        further = [one for one in readers.get(name, ()) if one not in dead]
        dead.update(further)
        pending.extend(further)
    left = graph.without(*dead)
    if not any(inventory.classes[node.class_type].is_output for node in left.nodes.values()):
        return graph, ()
    several = [f"{name} ({graph[name].class_type})" for name in graph.nodes if name in dead]
    more = f" and {len(several) - SHOWN} more" if len(several) > SHOWN else ""
    return left, (f"Left out, since what they need is muted or bypassed: {', '.join(several[:SHOWN])}{more}.",)


def _cut(name: str, graph: Graph, flat: Flat, inventory: Inventory) -> bool:
    """Whether a required input that is joined to something in the file reads nothing."""
    known = inventory.classes[graph[name].class_type]
    joined = {slot.name for slot in flat.nodes[name].node.inputs if slot.link is not None}
    return any(
        given.required and field in joined and field not in graph[name].inputs for field, given in known.inputs.items()
    )


def _without_dead_links(node: Node, graph: Graph) -> Node:
    dead = {field for field, (source, _) in node.links().items() if source not in graph}
    if not dead:
        return node
    return Node(node.class_type, {field: one for field, one in node.inputs.items() if field not in dead}, node.title)
