"""A stranger's ComfyUI graph as nodes that can be walked: bounded, and without a word when something is missing.

Unlike `workflows.graph`, which refuses what it cannot read, this passes over it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from workflows.graph import Node
from workflows.importing.values import number, rows, table, text

MOST_NODES = 20_000
"""Of a graph that are kept; the largest that people draw have a few hundred."""
MOST_VISITS = 50_000
"""Nodes looked at for one picture, over all walks."""
MOST_DEPTH = 40
MOST_SWAPPED = 300
"""Characters that a node puts in place of others."""

_STRINGS = (
    "populated_text",
    "text",
    "value",
    "string",
    "String",
    "Text",
    "prompt",
    "text_0",
    "wildcard_text",
    "positive",
)
_JOINING = re.compile(r"concat|join|append|combine", re.IGNORECASE)
_NUMBERS = ("value", "Value", "number", "int", "float", "INT", "FLOAT", "seed", "a")


def nodes_of(found: Mapping[str, Any]) -> dict[str, Node]:
    """The nodes of a graph in API format; entries that are none are passed over."""
    nodes: dict[str, Node] = {}
    for name, body in found.items():
        node = table(body)
        kind = node.get("class_type")
        if isinstance(kind, str) and len(nodes) < MOST_NODES:
            nodes[name] = Node(kind, table(node.get("inputs")))
    return nodes


def link_of(value: object) -> tuple[str, int] | None:
    """(node, slot) of a link; node ids may be numbers."""
    pair = rows(value, 3)
    if len(pair) != 2 or isinstance(pair[0], bool) or not isinstance(pair[0], str | int):
        return None
    return (str(pair[0]), pair[1]) if isinstance(pair[1], int) and not isinstance(pair[1], bool) else None


@dataclass
class Nodes:
    """The nodes with what may still be looked at; once that is used up, every walk ends."""

    by_id: Mapping[str, Node]
    left: int = field(default=MOST_VISITS)

    def visited(self, name: str) -> Node | None:
        """The node of that id, counted."""
        self.left -= 1
        return self.by_id.get(name) if self.left > 0 else None

    def reached(self, node: Node | None, field_: str) -> Node | None:
        """The node that an input reads."""
        link = link_of(node.inputs.get(field_)) if node else None
        return self.visited(link[0]) if link else None

    def links(self, node: Node, besides: Collection[str] = ()) -> list[tuple[str, str, int]]:
        """(input, node, slot) of what it reads, in its order."""
        found = ((name, link_of(value)) for name, value in node.inputs.items() if name not in besides)
        return [(name, *link) for name, link in found if link]

    def upstream(self, start: str, besides: Collection[str] = ()) -> Iterator[tuple[str, Node]]:
        """The nodes that one is made from, nearest first, itself included."""
        pending, seen = [start], {start}
        for name in pending:
            node = self.visited(name)
            if node is None:
                continue
            yield name, node
            for _, source, _ in self.links(node, besides):
                if source not in seen:
                    seen.add(source)
                    pending.append(source)

    def ends(self) -> list[str]:
        """Ids of the nodes that nobody reads, those that save first."""
        read = {source for node in self.by_id.values() for _, source, _ in self.links(node)}
        found = [name for name in self.by_id if name not in read]
        return sorted(found, key=lambda name: _rank(self.by_id[name].class_type))

    def number(self, node: Node | None, field_: str, depth: int = 0) -> float | int | str | None:
        """A number (or name) that an input holds or reads from a node of one value."""
        value = node.inputs.get(field_) if node else None
        link = link_of(value)
        if link is None or depth > MOST_DEPTH:
            return value if isinstance(value, int | float | str) and not isinstance(value, bool) else None
        source = self.visited(link[0])
        if source is None:
            return None
        named = next((name for name in (field_, *_NUMBERS) if name in source.inputs), None)
        if named is None:
            literal = [name for name, one in source.inputs.items() if number(one) is not None]
            named = literal[0] if len(literal) == 1 else None
        return self.number(source, named, depth + 1) if named else None

    def words(self, value: object, depth: int = 0) -> str:
        """A text that an input holds, or that nodes of texts put together."""
        link = link_of(value)
        if link is None:
            return text(value) if isinstance(value, str) else ""
        source = self.visited(link[0]) if depth < MOST_DEPTH else None
        if source is None:
            return ""
        if _JOINING.search(source.class_type):
            return self._joined(source, depth)
        inputs = source.inputs
        every = (self.words(inputs[name], depth + 1) for name in _STRINGS if name in inputs)
        said = next((one for one in every if one), "")
        if said:
            sought, instead = (text(inputs.get(name), MOST_SWAPPED) for name in ("find", "replace"))
            return text(said.replace(sought, instead)) if sought else said
        rest = (self.words(list(link_), depth + 1) for _, *link_ in self.links(source, _STRINGS))
        return next((one for one in rest if one), "")

    def _joined(self, node: Node, depth: int) -> str:
        between = node.inputs.get("delimiter", node.inputs.get("separator", " "))
        apart = {"delimiter", "separator", "clean_whitespace", "linebreak_addition", "mode", "method"}
        parts = [self.words(value, depth + 1) for name, value in node.inputs.items() if name not in apart]
        return (between if isinstance(between, str) else " ").join(part for part in parts if part)


def _rank(kind: str) -> int:
    """Which end of a graph the file is most likely of."""
    if "Save" in kind or "VideoCombine" in kind:
        return 0
    return 1 if "Preview" in kind else 2 if "Image" in kind else 3
