"""A graph in API format drawn as the editor would keep it, with whatever people put between its nodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from workflows.drawing.inventory import Inventory, NodeInput
from workflows.editor.widgets import SEEDS, is_widget
from workflows.graph import Graph, Node, as_link

BETWEEN = ("nothing", "reroute", "bypassed", "get and set", "through a subgraph")


@dataclass
class Drawing:
    """`between`: what stands on the way of each link, in turn; `primitives`: inputs that PrimitiveNodes give."""

    inventory: Inventory
    between: tuple[str, ...] = ("nothing",)
    primitives: frozenset[tuple[str, str]] = frozenset()
    as_objects: bool = False
    by_name: bool = False
    nodes: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    links: list[list[Any]] = field(default_factory=list[list[Any]])
    subgraphs: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def drawn(self, graph: Graph, depth: int = 0) -> dict[str, Any]:
        """The file; `depth`: so many subgraphs are around all of it, whose nodes have the id 9."""
        for name, node in graph.nodes.items():
            self._node(name, node, graph)
        self.nodes.append({"id": 9_999, "type": "MarkdownNote", "widgets_values": ["about it"]})
        self.nodes.append({"id": 9_998, "type": "NobodyHasThis", "mode": 2, "widgets_values": [1]})
        body: dict[str, Any] = {"nodes": self.nodes, "links": self._links()}
        for level in range(depth):
            self.subgraphs.append({"id": f"level-{level}", "inputs": [], "outputs": [], **body})
            body = {"nodes": [{"id": 9, "type": f"level-{level}"}], "links": []}
        return {**body, "definitions": {"subgraphs": self.subgraphs}, "version": 0.4}

    def _links(self) -> list[Any]:
        keys = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
        return [dict(zip(keys, row, strict=True)) for row in self.links] if self.as_objects else self.links

    def _node(self, name: str, node: Node, graph: Graph) -> None:
        known = self.inventory.classes[node.class_type]
        body: dict[str, Any] = {
            **{"id": int(name), "type": node.class_type, "mode": 0, "inputs": [], "title": node.title},
            "outputs": [{"name": kind, "type": kind} for kind in known.outputs],
        }
        self.nodes.append(body)
        for field_, value in node.inputs.items():
            if (link := as_link(value)) is not None:
                kind = self.inventory.classes[graph[link[0]].class_type].outputs[link[1]]
                self._join(int(link[0]), link[1], body, field_, kind)
            elif (name, field_) in self.primitives:
                giver = self._new("PrimitiveNode", widgets_values=[_bare(value), "randomize"])
                self._join(giver, 0, body, field_, "*", between=False)
        rows = list(self._row(name, node, known.inputs))
        named = {field_: value for field_, value in rows if field_}
        body["widgets_values"] = named if self.by_name else [value for _, value in rows]

    def _row(self, name: str, node: Node, inputs: Mapping[str, NodeInput], prefix: str = "") -> Iterator[Any]:
        """(input or nothing, value) in the order of the widgets, with what the editor puts beside them."""
        for short, given in inputs.items():
            field_ = prefix + short
            if not is_widget(given):
                continue
            value = _bare(node.inputs[field_])
            yield field_, given.default if (name, field_) in self.primitives and given.default is not None else value
            if given.control or (given.type == "INT" and short in SEEDS):
                yield "", "randomize"
            if given.upload and given.choices is not None:
                yield "", "image"
            if given.branches:
                yield from self._row(name, node, given.branches[str(value)], f"{field_}.")

    def _new(self, kind: str, **more: Any) -> int:
        name = 1_000 + len(self.nodes)
        self.nodes.append({"id": name, "type": kind, "mode": 0, **more})
        return name

    def _link(self, origin: int, slot: int, target: int, place: int, kind: str) -> int:
        self.links.append([len(self.links) + 1, origin, slot, target, place, kind])
        return len(self.links)

    def _join(
        self, origin: int, slot: int, body: dict[str, Any], name: str, kind: str, *, between: bool = True
    ) -> None:
        if between:
            origin, slot = self._led(origin, slot, kind)
        link = self._link(origin, slot, body["id"], len(body["inputs"]), kind)
        body["inputs"].append({"name": name, "type": kind, "link": link})

    def _led(self, origin: int, slot: int, kind: str) -> tuple[int, int]:
        """Where the link comes from once something stands in between."""
        way = self.between[len(self.links) % len(self.between)]
        if way == "nothing":
            return origin, slot
        entry = {"name": "in", "type": kind, "link": len(self.links) + 1}
        outputs = [{"name": "out", "type": kind}]
        if way == "reroute":
            between = self._new("Reroute", inputs=[{**entry, "type": "*"}], outputs=outputs)
        elif way == "bypassed":
            others = {"name": "other", "type": "NEVER", "link": None}
            between = self._new("Whatever", inputs=[others, entry], outputs=outputs)
            self.nodes[-1]["mode"] = 4
        elif way == "get and set":
            word = f"word {len(self.links)}"
            between = self._new("SetNode", inputs=[entry], widgets_values=[word])
            self._link(origin, slot, between, 0, kind)
            return self._new("GetNode", outputs=outputs, widgets_values=[word]), 0
        else:
            between = self._new(self._passage(kind), inputs=[entry], outputs=outputs)
        self._link(origin, slot, between, 1 if way == "bypassed" else 0, kind)
        return between, 0

    def _passage(self, kind: str) -> str:
        """A subgraph that hands on what comes in."""
        name = f"passage-{len(self.subgraphs)}"
        ends = {"origin_id": -10, "origin_slot": 0, "target_id": -20, "target_slot": 0}
        one = {"name": "in", "type": kind}
        self.subgraphs.append(
            {"id": name, "nodes": [], "links": [{"id": 1, **ends, "type": kind}], "inputs": [one], "outputs": [one]}
        )
        return name


def _bare(value: Any) -> Any:
    wrapped = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    return wrapped.get("__value__", value)
