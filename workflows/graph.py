"""A ComfyUI graph in API format as a value, and the edits on it. Every edit gives a new graph.

A node reads another's output through a link: (node id, output slot). Anything else in an input is a literal.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from workflows.errors import GraphRejected

Link = tuple[str, int]


@dataclass(frozen=True)
class Node:
    """One node: its class, its inputs (literals and links), and a title for people."""

    class_type: str
    inputs: Mapping[str, Any]
    title: str = ""

    def links(self) -> dict[str, Link]:
        """The inputs that read another node, by name."""
        found = {name: as_link(value) for name, value in self.inputs.items()}
        return {name: link for name, link in found.items() if link is not None}


@dataclass(frozen=True)
class Graph:
    """Nodes by id, in the order in which they were written."""

    nodes: Mapping[str, Node]

    @classmethod
    def read(cls, prompt: object) -> Graph:
        """From API format. Raises GraphRejected for any other shape, the editor's among them."""
        nodes = _object(prompt)
        if nodes and isinstance(nodes.get("nodes"), list):
            raise GraphRejected(
                "This is a workflow in the editor's format, and only a ComfyUI that runs tells what its values mean: "
                "start ComfyUI, or save the workflow with Export (API) there."
            )
        if not nodes:
            raise GraphRejected("A graph is an object of nodes: {id: {class_type, inputs}}, with at least one node.")
        return cls({str(name): _node(str(name), body) for name, body in nodes.items()})

    def as_prompt(self) -> dict[str, Any]:
        """API format, as POST /prompt takes it."""
        return {name: _written(node) for name, node in self.nodes.items()}

    def __getitem__(self, name: str) -> Node:
        return self.nodes[name]

    def __contains__(self, name: object) -> bool:
        return name in self.nodes

    def plus(self, name: str, class_type: str, title: str = "", /, **inputs: Any) -> Graph:
        """One node more. Raises ValueError when the id is taken."""
        if name in self.nodes:
            raise ValueError(f"the graph has a node {name!r} already")
        return Graph({**self.nodes, name: Node(class_type, inputs, title)})

    def but(self, name: str, /, **inputs: Any) -> Graph:
        """Some inputs of a node changed or added."""
        node = self.nodes[name]
        return Graph({**self.nodes, name: Node(node.class_type, {**node.inputs, **inputs}, node.title)})

    def swapped(self, name: str, class_type: str, /, **inputs: Any) -> Graph:
        """Another node under the same id; who read it reads the new one."""
        return Graph({**self.nodes, name: Node(class_type, inputs, self.nodes[name].title)})

    def without(self, *names: str) -> Graph:
        return Graph({name: node for name, node in self.nodes.items() if name not in names})

    def moved(self, old: Link, new: Link, besides: Collection[str] = ()) -> Graph:
        """Every input that read `old` reads `new`; nodes named in `besides` stay as they are."""
        nodes = {
            name: node if name in besides else Node(node.class_type, _moved(node.inputs, old, new), node.title)
            for name, node in self.nodes.items()
        }
        return Graph(nodes)

    def link(self, name: str, field: str) -> Link | None:
        """What an input reads, or None when it holds a literal or nothing."""
        return as_link(self.nodes[name].inputs.get(field))

    def readers(self, link: Link) -> list[tuple[str, str]]:
        """(node, input) of everyone who reads that output."""
        return [
            (name, field) for name, node in self.nodes.items() for field, read in node.links().items() if read == link
        ]

    def upstream(self, name: str) -> frozenset[str]:
        """All nodes that this one is made from, itself included; links to nodes that are not there are passed over."""
        seen: set[str] = set()
        pending = [name]
        while pending:
            current = pending.pop()
            if current in self.nodes and current not in seen:
                seen.add(current)
                pending.extend(source for source, _ in self.nodes[current].links().values())
        return frozenset(seen)

    def ends(self) -> tuple[str, ...]:
        """Ids of the nodes that nobody reads."""
        read = {source for node in self.nodes.values() for source, _ in node.links().values()}
        return tuple(name for name in self.nodes if name not in read)

    def cycle(self) -> tuple[str, ...] | None:
        """A loop of links, as the ids along it with the first one again at the end; None when there is none."""
        done: set[str] = set()
        for start in self.nodes:
            path: list[str] = []
            trail = [(start, 0)] if start not in done else []
            while trail:
                name, depth = trail.pop()
                done.update(path[depth:])
                del path[depth:]
                if name in path:
                    return (*path[path.index(name) :], name)
                if name in done or name not in self.nodes:
                    continue
                path.append(name)
                trail.extend((source, depth + 1) for source, _ in self.nodes[name].links().values())
            done.update(path)
        return None

    def trimmed(self, *outputs: str) -> Graph:
        """Only what these outputs are made from."""
        needed = frozenset[str]().union(*(self.upstream(name) for name in outputs))
        return Graph({name: node for name, node in self.nodes.items() if name in needed})

    def of_class(self, *classes: str) -> Iterator[str]:
        """Ids of the nodes of these classes, in their order."""
        return (name for name, node in self.nodes.items() if node.class_type in classes)


def as_link(value: object) -> Link | None:
    """A link as a pair of node id and slot; None for a literal."""
    if isinstance(value, list | tuple):
        pair = tuple(cast("list[Any]", value))
        if len(pair) == 2 and isinstance(pair[0], str) and isinstance(pair[1], int) and not isinstance(pair[1], bool):
            return pair[0], pair[1]
    return None


def _node(name: str, body: object) -> Node:
    fields = _object(body) or {}
    kind, inputs = fields.get("class_type"), _object(fields.get("inputs", {}))
    if not isinstance(kind, str) or inputs is None:
        raise GraphRejected(f"Node {name[:80]!r} is no node: it needs a class_type (a string) and inputs (an object).")
    title = (_object(fields.get("_meta")) or {}).get("title", "")
    return Node(kind, {field: as_link(value) or value for field, value in inputs.items()}, str(title))


def _object(value: object) -> Mapping[str, Any] | None:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else None


def _written(node: Node) -> dict[str, Any]:
    inputs = {name: list(link) if (link := as_link(value)) else value for name, value in node.inputs.items()}
    written: dict[str, Any] = {"class_type": node.class_type, "inputs": inputs}
    return written | ({"_meta": {"title": node.title}} if node.title else {})


def _moved(inputs: Mapping[str, Any], old: Link, new: Link) -> dict[str, Any]:
    return {name: new if as_link(value) == old else value for name, value in inputs.items()}
