"""The editor's format converted to API format, with what the server says of its node classes.

It gives the graph that the editor itself would send, as far as a file and a server's node classes tell that: values
that the editor makes while it sends (drawn masks, 3D views, random words in braces) are taken as the file has them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from workflows.drawing.inventory import spelled
from workflows.editor.flattening import (
    BYPASSED,
    MUTED,
    SWITCHES,
    VIRTUAL,
    Flat,
    FlatNode,
    Given,
    Source,
    flattened,
    forced,
)
from workflows.editor.living import living
from workflows.editor.naming import Spot, labelled_spots, named_spots
from workflows.editor.reading import MOST_SLOTS, EditorNode, tables, word
from workflows.editor.widgets import Filled, filled, literal
from workflows.errors import GraphRejected, nearest
from workflows.graph import Graph, Node
from workflows.types import Problem

if TYPE_CHECKING:
    from workflows.drawing.inventory import Inventory, NodeClass

SHOWN = 6
"""Names told of many."""
MOST_LINK = 2_000
"""Characters of a model's address."""
MOST_TRIES = 200_000
"""Steps tried to place the values of all nodes; a workflow of 500 nodes that fits its server takes some 5,000."""
MOST_NOTES = 40
MOST_NEAR = 12
"""Missing classes for which like ones are sought."""
MOST_KEPT = 500
BESIDE = frozenset({"videopreview", "control_after_generate", "upload"})
"""What files that keep values by name have among them that is no input."""


@dataclass(frozen=True)
class StatedModel:
    """A model file that the workflow says it needs: its name, where it is to be had, the server's folder for it."""

    name: str
    url: str = ""
    directory: str = ""
    node: str = ""


@dataclass(frozen=True)
class Converted:
    """The graph, what was dropped or guessed on the way, the spots that the author named, the titles by node."""

    graph: Graph
    notes: tuple[str, ...] = ()
    named: Mapping[str, tuple[Spot, ...]] = field(default_factory=dict[str, tuple[Spot, ...]])
    titles: Mapping[str, str] = field(default_factory=dict[str, str])
    models: tuple[StatedModel, ...] = ()


def converted(workflow: Mapping[str, object], inventory: Inventory) -> Converted:
    """Raises GraphRejected for what is no workflow, is beyond the bounds, or needs classes that the server lacks: then
    `problems` has one for each class, with the pack that it is from as far as the file tells.
    """
    flat = flattened(workflow)
    if problems := _unknown(flat, inventory):
        missing = ", ".join(problem.class_type for problem in problems[:SHOWN])
        more = f" and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        raise GraphRejected(f"The workflow needs nodes that this server does not have: {missing}{more}.", problems)
    if not flat.nodes:
        raise GraphRejected("Nothing is at work in the workflow: its nodes are notes, or muted, or bypassed.")
    made = _Making(flat, inventory)
    graph, lost = living(Graph({name: made.node(one) for name, one in flat.nodes.items()}), flat, inventory)
    notes = [*_notes(flat), *made.notes, *lost]
    by_title, unclear = named_spots(graph, inventory)
    titles = {name: node.title for name, node in graph.nodes.items() if node.title}
    named = _together(by_title, labelled_spots(flat, graph))
    return Converted(graph, _few([*notes, *unclear]), named, titles, tuple(_models(flat)))


def _unknown(flat: Flat, inventory: Inventory) -> list[Problem]:
    """One problem for each class that is not there."""
    lacking: dict[str, list[FlatNode]] = {}
    for one in flat.nodes.values():
        if one.node.kind not in inventory.classes:
            lacking.setdefault(one.node.kind, []).append(one)
    return [
        _lacking(kind, several, _near(kind, tuple(inventory.classes)) if at < MOST_NEAR else ())
        for at, (kind, several) in enumerate(lacking.items())
    ]


@lru_cache(MOST_KEPT)
def _near(kind: str, classes: tuple[str, ...]) -> tuple[str, ...]:
    """Kept, as many files lack the same class, and seeking takes a hundredth of a second."""
    return nearest(kind, classes)


def _lacking(kind: str, several: list[FlatNode], near: tuple[str, ...]) -> Problem:
    ids = ", ".join(one.name for one in several[:SHOWN])
    message = f"This server has no node class {kind} (node {ids}); {_source(kind, several[0].node)}"
    return Problem(node=several[0].name, class_type=kind, message=message, valid=near)


def _source(kind: str, node: EditorNode) -> str:
    """Where the class can be had, as far as the file says it."""
    pack, place, version = (word(node.properties.get(name)) for name in ("cnr_id", "aux_id", "ver"))
    if pack == "comfy-core":
        return f"it is one of ComfyUI's own{f' since {version} or earlier' if version else ''}: update the server."
    if pack or place:
        where = " ".join(part for part in (pack, f"(github.com/{place})" if place else "") if part)
        return f"it is of the pack {where}: install that on the server, by ComfyUI-Manager for example, and restart it."
    if kind.count("-") == 4 and len(kind) == 36:
        return "it is a subgraph whose definition is not in the file: save the workflow again with it."
    return "the file does not say what pack it is of; look for its name in ComfyUI-Manager."


# ------------------------------------------------------------------ one node


class _Making:
    """The nodes as a server takes them; `notes` tells what was guessed for them."""

    def __init__(self, flat: Flat, inventory: Inventory) -> None:
        self.flat, self.inventory = flat, inventory
        self.notes: list[str] = []
        self.left = MOST_TRIES
        self.known: dict[str, Filled] = {}

    def node(self, one: FlatNode) -> Node:
        node, known = one.node, self.inventory.classes[one.node.kind]
        fitted = self._fitted(one.name, known)
        self.notes += _told(one, fitted)
        inputs = {name: literal(_spelled(name, value, known)) for name, value in fitted.values.items()}
        if node.named and not node.values:
            extra = {name: value for name, value in node.named.items() if _extra(name, value)}
            inputs = {**extra, **inputs}
        for name, source in one.reads.items():
            value = self._read(source)
            if value is not None:
                inputs[name] = value
        return Node(node.kind, inputs, node.title)

    def _read(self, source: Source) -> Any:
        """As API format writes it; None where it is not known."""
        if isinstance(source, Given):
            return literal(source.value)
        if isinstance(source, tuple):
            return source
        place = self.flat.places.get(source.node)
        known = self.inventory.classes.get(place.node.kind) if place else None
        if place is None or known is None:
            return None
        return literal(self._fitted(source.node, known).values.get(source.input))

    def _fitted(self, name: str, known: NodeClass) -> Filled:
        if name not in self.known:
            place = self.flat.places[name]
            named = {**place.node.named, **forced(place)}
            self.known[name] = filled(known, place.node.values, named, self.left)
            self.left -= self.known[name].tries
        return self.known[name]


def _extra(name: str, value: Any) -> bool:
    """A value by name that the class does not list, but that its node may well take."""
    return isinstance(value, str | int | float | bool) and name not in BESIDE


def _spelled(name: str, value: Any, known: NodeClass) -> Any:
    """A file's name as the server spells it."""
    given = known.inputs.get(name)
    if given is None or not given.choices or given.upload or not isinstance(value, str) or "." not in value:
        return value
    return spelled(value, given.choices) or value


def _told(one: FlatNode, fitted: Filled) -> Iterator[str]:
    node = one.node
    shown = f"{one.name} ({node.kind})"
    if not fitted.sure:
        yield f"The values of {shown} do not fit the server's class; they stand where they fit best: look at them."
    taken = {name: value for name, value in fitted.values.items() if node.named.get(name) == value}
    differing = [name for name, value in taken.items() if _differs(value, node.values)]
    if node.values and differing:
        yield f"The file has two values of {shown} for {', '.join(differing)}: those with a name stand, not the row's."
    guessed = [name for name in fitted.defaults if name not in one.reads and (node.values or node.named)]
    values = ", ".join(f"{name} {str(fitted.values[name])[:40]!r}" for name in guessed if name in fitted.values)
    if values:
        yield f"The file has no value that fits {shown} for some inputs; the defaults stand: {values}."


def _differs(value: Any, row: Sequence[Any]) -> bool:
    """Whether a value that the file has by name is none of those it has in a row, as after an edit of the row alone."""
    return isinstance(value, str | int | float) and not isinstance(value, bool) and value not in row


# ------------------------------------------------------------------ around


def _notes(flat: Flat) -> Iterator[str]:
    for mode, what in ((MUTED, "muted and left out"), (BYPASSED, "bypassed")):
        names = [f"{name} ({place.node.kind if place.node.kind not in flat.editor.subgraphs else 'subgraph'})"
                 for name, place in flat.places.items()
                 if place.node.mode == mode and place.node.kind not in VIRTUAL]  # fmt: skip
        if names:
            more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
            yield f"Nodes that are {what}: {', '.join(names[:SHOWN])}{more}."
    if any(place.node.kind in SWITCHES for place in flat.places.values()):
        yield "Switches that only work in the editor are left out; what they muted or bypassed stays so."


def _few(notes: list[str]) -> tuple[str, ...]:
    rest = len(notes) - MOST_NOTES
    return tuple(notes) if rest <= 0 else (*notes[:MOST_NOTES], f"And {rest} more notes of that kind.")


def _models(flat: Flat) -> Iterator[StatedModel]:
    """Each file once, as the nodes tell of them, muted ones left out."""
    seen: set[tuple[str, str]] = set()
    told = [(name, one) for name, place in flat.places.items() if place.node.mode not in {MUTED, BYPASSED}
            for one in tables(place.node.properties.get("models"), MOST_SLOTS)]  # fmt: skip
    for node, body in [*told, *(("", one) for one in flat.editor.models)]:
        name, folder, url = word(body.get("name")), word(body.get("directory")), body.get("url")
        if name and (name, folder) not in seen:
            seen.add((name, folder))
            address = url if isinstance(url, str) and len(url) <= MOST_LINK else ""
            yield StatedModel(name, address if address.startswith(("https://", "http://")) else "", folder, node)


def _together(*several: Mapping[str, tuple[Spot, ...]]) -> dict[str, tuple[Spot, ...]]:
    found: dict[str, dict[Spot, None]] = {}
    for spots in several:
        for name, places in spots.items():
            found.setdefault(name, {}).update(dict.fromkeys(places))
    return {name: tuple(places) for name, places in found.items()}
