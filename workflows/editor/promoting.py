"""Widgets that a subgraph shows on its outside: which value stands there for which input within."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from workflows.editor.reading import INPUTS, MOST_NESTING, MOST_SLOTS, EditorGraph, EditorNode, Slot, listed, word

CONTROLS = frozenset({"fixed", "increment", "decrement", "randomize"})
"""What follows the value of a seed: how the editor changes it after each run."""
OWN = "-1"
"""Stands for the host itself in a list of shown widgets."""


@dataclass
class Promotions:
    """What the hosts of these subgraphs show; each subgraph is looked through once."""

    subgraphs: Mapping[str, EditorGraph]
    _leads: dict[str, Mapping[int, tuple[str, str]]] = field(default_factory=dict[str, Mapping[int, tuple[str, str]]])

    def hosted(self, host: EditorNode) -> dict[str, Any]:
        """Values of the host's widgets by the name of the subgraph's input that they go to."""
        values = dict(host.named)
        graph = self.subgraphs[host.kind]
        if shown := _shown(host):
            values |= {name: value for (inner, name), value in zip(shown, host.values, strict=False) if inner == OWN}
        else:
            leads = self.leads(host.kind)
            names = [one.name for at, one in enumerate(graph.inputs) if at in leads]
            values = dict(zip(names, _without_controls(host.values, len(names)), strict=False)) | values
        inputs = {one.name for one in graph.inputs}
        return {name: value for name, value in values.items() if name in inputs and value is not None}

    def leads(self, kind: str, depth: int = 0) -> Mapping[int, tuple[str, str]]:
        """The subgraph's inputs that lead to a widget, and so have one on its outside: by their place the first such
        (node within, input). A node within a subgraph within is 5:71."""
        if depth > MOST_NESTING:
            return {}
        if kind not in self._leads:
            self._leads[kind] = {}  # what a subgraph that contains itself is told within itself
            graph = self.subgraphs[kind]
            read = {slot.link: (node, slot) for node in graph.nodes.values() for slot in node.inputs if slot.link}
            found: dict[int, tuple[str, str]] = {}
            for name, link in graph.links.items():
                if link.origin == INPUTS and name in read and link.slot not in found:
                    spot = self._widget(*read[name], depth)
                    found |= {link.slot: spot} if spot else {}
            self._leads[kind] = found
        return self._leads[kind]

    def _widget(self, node: EditorNode, slot: Slot, depth: int) -> tuple[str, str] | None:
        """The widget behind an input: its own, or, where it is a host's, the one within."""
        if node.kind not in self.subgraphs:
            return (node.id, slot.name) if slot.widget else None
        inner = self.leads(node.kind, depth + 1)
        places = (
            at for at, one in enumerate(self.subgraphs[node.kind].inputs) if one.name == slot.name and at in inner
        )
        place = next(places, None)
        return None if place is None else (f"{node.id}:{inner[place][0]}", inner[place][1])


def within(host: EditorNode) -> dict[tuple[str, str], Any]:
    """Values of the host's widgets that stand for a widget of a node within, by (node, widget)."""
    told = zip(_shown(host), host.values, strict=False)
    return {spot: value for spot, value in told if spot[0] != OWN and value is not None}


def _shown(host: EditorNode) -> list[tuple[str, str]]:
    """(node within, widget) of each widget that older files list; -1 for the host's own."""
    rows = (listed(one, 3) for one in listed(host.properties.get("proxyWidgets"), MOST_SLOTS))
    return [(word(row[0]), word(row[1])) for row in rows if len(row) >= 2]


def _without_controls(values: tuple[Any, ...], wanted: int) -> tuple[Any, ...]:
    """Some files keep the words beside the seeds, too."""
    if len(values) <= wanted:
        return values
    return tuple(one for one in values if not (isinstance(one, str) and one in CONTROLS))
