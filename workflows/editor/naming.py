"""Inputs that an author named for others to set: a node titled `@prompt`, an input labelled `@seed`.

Several spots may share a name; a title may hold several names (`@width @height`), each for the input that it fits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from workflows.graph import as_link

if TYPE_CHECKING:
    from workflows.drawing.inventory import Inventory, NodeClass
    from workflows.editor.flattening import Flat
    from workflows.graph import Graph, Node

Spot = tuple[str, str]
"""(node, input) in a graph."""
NAMES = re.compile(r"(?<![\w@])@([A-Za-z]\w{0,39})")
LIKENESS: Mapping[str, tuple[str, ...]] = {
    "prompt": ("text", "prompt", "value", "string"),
    "negative": ("text", "negative_prompt", "negative", "value", "string"),
    "seed": ("seed", "noise_seed", "value"),
    "model": ("ckpt_name", "unet_name", "model_name", "model"),
    "lora": ("lora_name",),
    "frames": ("length", "frames", "num_frames"),
    "image": ("image",),
    "video": ("file", "video"),
    "audio": ("audio",),
}
"""Inputs that a name most likely means, besides one of its own name."""


def names_in(text: str) -> tuple[str, ...]:
    """The names in a title or label, each once, in small letters."""
    return tuple(dict.fromkeys(name.lower() for name in NAMES.findall(text[:400])))


def named_spots(graph: Graph, inventory: Inventory) -> tuple[dict[str, tuple[Spot, ...]], tuple[str, ...]]:
    """Spots by name as the titles of the graph's nodes have them, and what could not be understood of them."""
    found: dict[str, dict[Spot, None]] = {}
    notes: list[str] = []
    for name, node in graph.nodes.items():
        for wanted in names_in(node.title):
            field = _field(wanted, node, inventory.classes.get(node.class_type), alone=len(names_in(node.title)) == 1)
            if field is None:
                notes.append(
                    f"The title {node.title[:60]!r} of node {name} names no input that has a value of its own."
                )
            else:
                found.setdefault(wanted, {})[name, field] = None
    return {name: tuple(spots) for name, spots in found.items()}, tuple(notes)


def labelled_spots(flat: Flat, graph: Graph) -> dict[str, tuple[Spot, ...]]:
    """Spots by name as labels of inputs have them, and titles of nodes that only the editor has."""
    found: dict[str, dict[Spot, None]] = {}
    for name, field, text in _labels(flat):
        node = graph.nodes.get(name)
        if node is not None and field in node.inputs and as_link(node.inputs[field]) is None:
            for wanted in names_in(text):
                found.setdefault(wanted, {})[name, field] = None
    return {name: tuple(spots) for name, spots in found.items()}


def _labels(flat: Flat) -> Iterator[tuple[str, str, str]]:
    """(node, input, what is written on it or on the way to it)."""
    for name, one in flat.nodes.items():
        for at, slot in enumerate(one.node.inputs):
            yield name, slot.name, f"{slot.label} {slot.name}"
            for passed, place in flat.passed.get((name, at), ()):
                yield name, slot.name, _written(flat, passed, place)


def _written(flat: Flat, name: str, place: int) -> str:
    """On a node of the editor alone its title; on a host the label and name of the input, inside and out."""
    stands = flat.places[name]
    if stands.opened is None:
        return stands.node.title
    inner = stands.opened.graph.inputs[place]
    told = [inner, *(slot for slot in stands.node.inputs if slot.name == inner.name)]
    return " ".join(part for slot in told for part in (slot.label, slot.name))


def _field(wanted: str, node: Node, known: NodeClass | None, *, alone: bool) -> str | None:
    """The input that a title means: of that name, of a like one, else the first that holds a value."""
    held = [name for name, value in node.inputs.items() if as_link(value) is None]
    if known is not None:
        held = [name for name in known.inputs if name in held] + [name for name in held if name not in known.inputs]
    base = wanted.rstrip("0123456789_") or wanted
    for like in (wanted, base, *LIKENESS.get(base, ())):
        if like in held:
            return like
    part = [name for name in held if base in name.lower()]
    return next(iter(part or (held if alone else ())), None)
