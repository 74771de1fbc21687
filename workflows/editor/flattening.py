"""The editor's graph laid flat: subgraphs opened, links led past reroutes and past what is muted or bypassed.

What stays are the nodes that a server would see, each with what its inputs read. No server is asked: whether a class
exists, and which widget a value belongs to, is for `workflows.editor.conversion`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from workflows.editor.groups import group_nodes
from workflows.editor.promoting import Promotions, within
from workflows.editor.reading import (
    INPUTS,
    MOST_NESTING,
    MOST_NODES,
    Editor,
    EditorGraph,
    EditorLink,
    EditorNode,
    read_editor,
)
from workflows.errors import GraphRejected
from workflows.graph import Link

MUTED, BYPASSED = 2, 4
MOST_STEPS = 200_000
"""Along links, over all inputs of a workflow; what people draw takes some thousands."""
NOTES = frozenset({"Note", "MarkdownNote", "Note Plus (mtb)", "Label (rgthree)", "Bookmark (rgthree)"})
"""For people only."""
SWITCHES = frozenset(
    f"{name} (rgthree)"
    for name in (
        *("Fast Muter", "Fast Bypasser", "Fast Groups Muter", "Fast Groups Bypasser", "Fast Actions Button"),
        *("Mute / Bypass Relay", "Mute / Bypass Repeater", "Random Unmuter", "Node Collector", "Node Combiner"),
    )
)
"""Only work in the editor: they mute and bypass other nodes, whose modes the file has."""
REROUTES = frozenset({"Reroute", "Reroute (rgthree)", "SetNode"})
"""Hand on what their first input reads."""
VIRTUAL = NOTES | SWITCHES | REROUTES | {"PrimitiveNode", "GetNode"}


Spot = tuple[str, int]


@dataclass(frozen=True)
class Given:
    """A value that an input gets from a node that only the editor has."""

    value: Any


@dataclass(frozen=True)
class Like:
    """The value that another node's widget has: of several inputs behind one of a subgraph's, the first counts."""

    node: str
    input: str


Source = Link | Given | Like


@dataclass(frozen=True)
class Scope:
    """One opened subgraph, or the file's own graph: `prefix` stands before its nodes' ids, `host` is its node."""

    graph: EditorGraph
    prefix: str = ""
    host: str | None = None
    given: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Values of the host's own widgets, by the subgraph's input."""
    leads: Mapping[int, tuple[str, str]] = field(default_factory=dict[int, tuple[str, str]])
    """The widget within that an input of the subgraph leads to, by the input's place."""
    inner: Mapping[tuple[str, str], Any] = field(default_factory=dict[tuple[str, str], Any])
    """Values of the host's widgets that belong to a node within, by that node and its widget."""


@dataclass(frozen=True)
class Place:
    """A node where it stands; `opened`: the scope within, when it is a subgraph that is at work."""

    node: EditorNode
    scope: Scope
    opened: Scope | None = None


@dataclass(frozen=True)
class Step:
    """On the way of a link: an input of a node (`inward`), or an output."""

    name: str
    slot: int
    inward: bool
    type: str | None = None


@dataclass(frozen=True)
class FlatNode:
    """A node that a server would see: what its inputs read, by name, and `forced`, the values of its widgets that stand
    on the subgraph around it."""

    name: str
    node: EditorNode
    reads: Mapping[str, Source]
    forced: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class Flat:
    """The nodes at work, those of the editor alone left out; `places` has every node."""

    nodes: Mapping[str, FlatNode]
    places: Mapping[str, Place]
    passed: Mapping[Spot, tuple[Spot, ...]]
    """By (node, place of its input): what lies on the way to it, each (node of the editor alone, 0) or (host of a
    subgraph, place of the subgraph's input)."""
    editor: Editor


def flattened(workflow: Mapping[str, Any]) -> Flat:
    """Raises GraphRejected for no workflow, one too large, one that contains itself, and for reroutes in a circle."""
    editor = read_editor(*group_nodes(workflow))
    places = _placed(editor)
    ways = _Ways(places)
    nodes = {
        name: FlatNode(name, place.node, ways.reads(name), forced(place))
        for name, place in places.items()
        if at_work(place)
    }
    return Flat(nodes, places, {spot: tuple(several) for spot, several in ways.passed.items()}, editor)


def at_work(place: Place) -> bool:
    """Whether a server would see the node."""
    return place.node.mode not in {MUTED, BYPASSED} and place.opened is None and (place.node.kind not in VIRTUAL)


def forced(place: Place) -> dict[str, Any]:
    """Values of the node's widgets that stand on the subgraph around it."""
    return {widget: value for (name, widget), value in place.scope.inner.items() if name == place.node.id}


def _placed(editor: Editor) -> dict[str, Place]:
    """Every node with its place, those within opened subgraphs after their host."""
    places: dict[str, Place] = {}
    promotions = Promotions(editor.subgraphs)
    pending: list[tuple[Scope, tuple[str, ...]]] = [(Scope(editor.graph), ())]
    while pending:
        scope, around = pending.pop()
        for node in scope.graph.nodes.values():
            if len(places) >= MOST_NODES:
                raise GraphRejected(f"The workflow has more than {MOST_NODES} nodes with its subgraphs opened.")
            name = scope.prefix + node.id
            inner = editor.subgraphs.get(node.kind)
            opened = None
            if inner is not None and node.mode not in {MUTED, BYPASSED}:
                _refuse_depth(node.kind, inner, around)
                shown = {widget: value for (one, widget), value in scope.inner.items() if one == node.id}
                opened = Scope(
                    *(inner, f"{name}:", name, promotions.hosted(node) | shown),
                    *(promotions.leads(node.kind), within(node)),
                )
                pending.append((opened, (*around, node.kind)))
            places[name] = Place(node, scope, opened)
    return places


def _refuse_depth(kind: str, inner: EditorGraph, around: tuple[str, ...]) -> None:
    shown = inner.name or kind
    if kind in around:
        raise GraphRejected(f"The subgraph {shown[:80]!r} contains itself.")
    if len(around) >= MOST_NESTING:
        raise GraphRejected(f"Subgraphs lie more than {MOST_NESTING} deep in each other, at {shown[:80]!r}.")


class _Ways:
    """Leads links to where they really come from. Every way is walked step by step, and no step twice."""

    def __init__(self, places: Mapping[str, Place]) -> None:
        self.places = places
        self.left = MOST_STEPS
        self.passed: dict[Spot, list[Spot]] = {}
        self.setters = {
            (place.scope.prefix, place.node.values[0]): name
            for name, place in places.items()
            if place.node.kind == "SetNode" and place.node.values and isinstance(place.node.values[0], str)
        }

    def reads(self, name: str) -> dict[str, Source]:
        node = self.places[name].node
        found = {slot.name: self._read(name, at) for at, slot in enumerate(node.inputs) if slot.name}
        return {field_: one for field_, one in found.items() if one not in (None, Like(name, field_))}

    def _read(self, name: str, slot: int) -> Source | None:
        step: Step | Source | None = Step(name, slot, inward=True)
        seen: set[tuple[str, int, bool]] = set()
        passed = self.passed.setdefault((name, slot), [])
        while isinstance(step, Step):
            spot = (step.name, step.slot, step.inward)
            if spot in seen:
                raise GraphRejected(f"The links run in a circle at {step.name}, through nodes that make nothing.")
            seen.add(spot)
            self.left -= 1
            if self.left < 0:
                raise GraphRejected("The links of the workflow lead through too many reroutes and subgraphs to follow.")
            step = self._inward(step, passed) if step.inward else self._outward(step, passed)
        if not passed:
            del self.passed[name, slot]
        return step

    def _inward(self, step: Step, passed: list[Spot]) -> Step | Source | None:
        place = self.places[step.name]
        if not 0 <= step.slot < len(place.node.inputs):
            return None
        slot = place.node.inputs[step.slot]
        links = place.scope.graph.links
        link = links.get(slot.link) if slot.link is not None else None
        link = link or place.scope.graph.unseen.get((place.node.id, step.slot))
        return self._from(link, place.scope, step.type or slot.type, passed) if link else None

    def _from(self, link: EditorLink, scope: Scope, kind: str, passed: list[Spot]) -> Step | Source | None:
        if link.origin == INPUTS:
            return self._outside(scope, link.slot, passed)
        name = scope.prefix + link.origin
        return Step(name, link.slot, inward=False, type=kind) if name in self.places else None

    def _outside(self, scope: Scope, slot: int, passed: list[Spot]) -> Step | Source | None:
        """What a subgraph's input reads: its host's input of that name, else the host's own value."""
        if scope.host is None or not 0 <= slot < len(scope.graph.inputs):
            return None
        passed.append((scope.host, slot))
        host, wanted = self.places[scope.host], scope.graph.inputs[slot]
        named = [at for at, one in enumerate(host.node.inputs) if one.name == wanted.name]
        typed = [at for at in named if host.node.inputs[at].type == wanted.type]
        for at in typed or named:
            link = host.node.inputs[at].link
            if (link is not None and link in host.scope.graph.links) or ((host.node.id, at) in host.scope.graph.unseen):
                return Step(scope.host, at, inward=True)
        if wanted.name in scope.given:
            return Given(scope.given[wanted.name])
        lead = scope.leads.get(slot)
        return Like(scope.prefix + lead[0], lead[1]) if lead else None

    def _outward(self, step: Step, passed: list[Spot]) -> Step | Source | None:
        place = self.places[step.name]
        node = place.node
        if node.mode == MUTED:
            return None
        if node.mode == BYPASSED:
            at = _through(node, step.slot, step.type or "*")
            return None if at is None else Step(step.name, at, inward=True)
        if place.opened is not None:
            link = place.opened.graph.results.get(step.slot)
            return self._from(link, place.opened, step.type or "*", passed) if link else None
        if node.kind in VIRTUAL:
            passed.append((step.name, 0))
            return self._virtual(place, step)
        return step.name, step.slot

    def _virtual(self, place: Place, step: Step) -> Step | Source | None:
        """What a node that only the editor has hands on."""
        node = place.node
        if node.kind == "PrimitiveNode":
            values = [*forced(place).values(), *node.values, *node.named.values()]
            return Given(values[0]) if values else None
        if node.kind in REROUTES:
            return Step(step.name, 0, inward=True, type=step.type)
        return self._set(place, step) if node.kind == "GetNode" else None

    def _set(self, place: Place, step: Step) -> Step | None:
        """A GetNode reads the SetNode of its word, in its own graph or one around it."""
        word = place.node.values[0] if place.node.values else None
        scope = place.scope
        while isinstance(word, str):
            if (scope.prefix, word) in self.setters:
                return Step(self.setters[scope.prefix, word], 0, inward=True, type=step.type)
            if scope.host is None:
                return None
            scope = self.places[scope.host].scope
        return None


def _through(node: EditorNode, slot: int, wanted: str) -> int | None:
    """The input that a bypassed node hands on for an output: of the same place if it fits, else the first that does."""
    made = node.outputs[slot].type if 0 <= slot < len(node.outputs) else wanted
    if wanted == "*":
        wanted = made
    types = [one.type for one in node.inputs]
    fitting = [at for at, one in enumerate(types) if fits(one, made) and fits(one, wanted)]
    if slot in fitting:
        return slot
    exact = [at for at, one in enumerate(types) if one == wanted]
    return next(iter(exact or fitting), None)


def fits(one: str, other: str) -> bool:
    """Whether the editor lets the two types be joined."""
    if "*" in {one, other} or not one or not other:
        return True
    return not {part.strip().lower() for part in one.split(",")}.isdisjoint(
        part.strip().lower() for part in other.split(",")
    )
