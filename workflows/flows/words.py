"""The words of a graph for the content rules: what is drawn, what is drawn away from, and the files it is drawn with.

Every text of the graph is among them, whichever node holds it; what is not surely a negative prompt counts as drawn.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workflows.flows.bounds import leaves
from workflows.flows.finding import MODEL_ROLES
from workflows.flows.rules import FILE, PREFIXES, file_kind
from workflows.graph import Link, as_link
from workflows.types import MAX_PROMPT, Recipe

if TYPE_CHECKING:
    from workflows.content import ContentRules
    from workflows.drawing.inventory import Inventory
    from workflows.graph import Graph
    from workflows.template import Spot

CARRYING = frozenset({"CONDITIONING", "STRING", "*"})
"""What words pass through on their way to a sampler."""


@dataclass(frozen=True)
class GraphWords:
    """Texts of a graph, each with its place."""

    drawn: dict[Spot, str]
    ruled_out: dict[Spot, str]
    names: tuple[str, ...]
    """Of models; those of LoRAs are drawn with, and so among `drawn`."""

    @property
    def texts(self) -> tuple[str, ...]:
        return (*self.drawn.values(), *self.ruled_out.values(), *self.names)


def words_of(graph: Graph, inventory: Inventory) -> GraphWords:
    """All texts, by what they do."""
    found = GraphWords({}, {}, ())
    sides = _Sides(graph, inventory)
    names: list[str] = []
    for spot, text in _texts(graph, inventory):
        if spot[1] in MODEL_ROLES and MODEL_ROLES[spot[1]] != "lora":
            names.append(text)
            continue
        side = found.ruled_out if sides.only_negative(spot[0]) else found.drawn
        side[spot] = f"{side[spot]}\n{text}" if spot in side else text
    return GraphWords(found.drawn, found.ruled_out, tuple(names))


def check_words(rules: ContentRules, graph: Graph, inventory: Inventory, cfg: float | None, model: str | None) -> None:
    """Raise Refused when a text of the graph may not be drawn. Takes milliseconds: call on a thread.

    A graph that reads a picture changes what is on it, so that the rules for edits hold.
    """
    found = words_of(graph, inventory)
    drawn, against = "\n".join(found.drawn.values()), "\n".join(found.ruled_out.values())
    reads = any(file_kind(node.class_type, field, inventory) for node in graph.nodes.values() for field in node.inputs)
    recipe = Recipe(
        task="img2img" if reads and drawn else "workflow",
        prompt=drawn[:MAX_PROMPT],
        negative=against[:MAX_PROMPT],
        cfg=cfg if cfg is not None and 0 <= cfg <= 30 else None,
        model=model,
    )
    rules.check(recipe, [drawn[MAX_PROMPT:], *found.names])
    if len(against) > MAX_PROMPT:
        rules.check(recipe.but(negative=against[-MAX_PROMPT:]))


def _texts(graph: Graph, inventory: Inventory) -> Iterator[tuple[Spot, str]]:
    for name, node in graph.nodes.items():
        known = inventory.classes.get(node.class_type)
        for field, value in node.inputs.items():
            given = known.inputs.get(field) if known else None
            chosen = given is not None and given.choices is not None and field not in MODEL_ROLES
            if field in PREFIXES or chosen or as_link(value) is not None:
                continue
            for one in leaves(value):
                if isinstance(one, str) and any(letter.isalpha() for letter in one) and not one.startswith(FILE):
                    yield (name, field), one


# ------------------------------------------------------------------ which side a text is on


class _Sides:
    """Which way the words of each node go, by all links of the graph."""

    def __init__(self, graph: Graph, inventory: Inventory) -> None:
        self.graph, self.inventory = graph, inventory
        self.readers: dict[Link, list[Spot]] = {}
        for name, node in graph.nodes.items():
            for field, link in node.links().items():
                self.readers.setdefault(link, []).append((name, field))
        self.known: dict[Link, set[bool]] = {}

    def only_negative(self, name: str) -> bool:
        """Whether a node's words reach samplers as what is drawn away from, and nothing else."""
        return self.ends([(name, slot) for slot in self.carries(name) or [0]]) == {True}

    def ends(self, links: list[Link]) -> set[bool]:
        """How the words end that pass through these outputs: True as a negative, False as anything else."""
        pending, seen, found = list(links), set[Link](), set[bool]()
        while pending and False not in found:
            link = pending.pop()
            if link in seen:
                continue
            seen.add(link)
            if link in self.known:
                found |= self.known[link]
                continue
            for reader, field in self.readers.get(link, ()):
                further = self.further(reader, field)
                pending.extend(further)
                if not further:
                    found.add(field == "negative" and "positive" in self.graph[reader].inputs)
        if len(links) == 1:
            self.known[links[0]] = found
        return found

    def further(self, reader: str, field: str) -> list[Link]:
        """The outputs through which words go on that a node reads there: of a pair, the same side."""
        carried = self.carries(reader)
        if field == "negative" and "positive" in self.graph[reader].inputs and len(carried) > 1:
            return [(reader, 1)]
        return [(reader, slot) for slot in carried]

    def carries(self, name: str) -> list[int]:
        known = self.inventory.classes.get(self.graph[name].class_type)
        return [slot for slot, made in enumerate(known.outputs) if made in CARRYING] if known else []
