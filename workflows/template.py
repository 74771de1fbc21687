"""Templates: graphs with named slots, and the reading of any graph's anatomy. Pure; the folder templates/ is the list.

A template says where a value belongs (slots), which outputs an edit builds on (sources), and where the sampler reads
(ports). It knows no server and no recipe. `trace` finds the same things in a graph that nobody described.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from typing import Any, cast

from workflows.errors import NotFound
from workflows.graph import Graph, Link

Spot = tuple[str, str]
"""A node's input: (node id, input name)."""

ENCODER_LOADERS: Mapping[int, str] = {
    1: "CLIPLoader",
    2: "DualCLIPLoader",
    3: "TripleCLIPLoader",
    4: "QuadrupleCLIPLoader",
}
"""The loader of that many text encoder files; the first two take a type besides."""


@dataclass(frozen=True, kw_only=True)
class Template:
    """A graph that becomes a prompt when its slots are filled."""

    name: str
    title: str
    about: str
    tasks: tuple[str, ...]
    graph: Graph
    slots: Mapping[str, tuple[Spot, ...]]
    """Every place that a value goes to."""
    sources: Mapping[str, Link] = field(default_factory=dict[str, Link])
    """Outputs that edits take from: model, clip, vae, image."""
    ports: Mapping[str, Spot] = field(default_factory=dict[str, Spot])
    """Inputs through which the sampler reads: model, positive, negative, latent, sigmas."""

    @property
    def output(self) -> str:
        """The one node that nobody reads."""
        return next(iter(self.graph.ends()))

    @property
    def encoders(self) -> int:
        """How many text encoder files it loads; 0 when they come with the checkpoint."""
        return sum(1 for slot in self.slots if slot.removeprefix("clip_").isdigit())

    @property
    def classes(self) -> tuple[str, ...]:
        """The node classes it is made of, each once."""
        return tuple(dict.fromkeys(node.class_type for node in self.graph.nodes.values()))

    def fill(self, values: Mapping[str, Any]) -> Graph:
        """The graph with exactly these values in its slots. Raises ValueError for an unknown or a missing one."""
        if missing := [slot for slot in self.slots if slot not in values]:
            raise ValueError(f"template {self.name} needs values for {', '.join(missing)}")
        if unknown := [slot for slot in values if slot not in self.slots]:
            raise ValueError(f"template {self.name} has no slots {', '.join(unknown)}")
        graph = self.graph
        for slot, spots in self.slots.items():
            for node, name in spots:
                graph = graph.but(node, **{name: values[slot]})
        return graph

    def with_encoders(self, count: int) -> Template:
        """The same template with another number of text encoder files, through the loader made for that many."""
        if count == self.encoders:
            return self
        ((node, _),) = self.slots["clip_1"]
        names = ["clip_name"] if count == 1 else [f"clip_name{number}" for number in range(1, count + 1)]
        kept = {slot: spots for slot, spots in self.slots.items() if not slot.startswith("clip_")}
        clips = {f"clip_{number}": ((node, name),) for number, name in enumerate(names, 1)}
        typed: dict[str, tuple[Spot, ...]] = {"clip_type": ((node, "type"),)} if count <= 2 else {}
        inputs: dict[str, Any] = dict.fromkeys(names, "encoder.safetensors") | ({"type": "sd3"} if typed else {})
        return replace(
            self, graph=self.graph.swapped(node, ENCODER_LOADERS[count], **inputs), slots=kept | clips | typed
        )


@cache
def templates() -> Mapping[str, Template]:
    """Every template by its name, each checked. Raises ValueError for one that is wrong in itself."""
    folder = files("workflows").joinpath("templates")
    found = sorted(file.name for file in folder.iterdir() if file.name.endswith(".json"))
    return {name[:-5]: read_template(name[:-5], folder.joinpath(name).read_text(encoding="utf-8")) for name in found}


def template(name: str) -> Template:
    """The template of that name. Raises NotFound with near names."""
    known = templates()
    if name not in known:
        raise NotFound("graph template", name, known)
    return known[name]


def read_template(name: str, text: str) -> Template:
    """From its JSON. Raises ValueError that names the template and what is wrong with it."""
    body: dict[str, Any] = json.loads(text)
    slots = cast("dict[str, list[str]]", body.get("slots", {}))
    sources = cast("dict[str, str]", body.get("sources", {}))
    ports = cast("dict[str, str]", body.get("ports", {}))
    read = Template(
        name=name,
        title=body["title"],
        about=body["about"],
        tasks=tuple(body["tasks"]),
        graph=Graph.read(body["graph"]),
        slots={slot: tuple(map(_spot, spots)) for slot, spots in slots.items()},
        sources={source: _link(link) for source, link in sources.items()},
        ports={port: _spot(spot) for port, spot in ports.items()},
    )
    if faults := list(_faults(read)):
        raise ValueError(f"template {name}: {'; '.join(faults)}")
    return read


def _spot(written: str) -> Spot:
    node, _, name = written.partition(".")
    return node, name


def _link(written: str) -> Link:
    node, _, slot = written.partition(":")
    return node, int(slot)


def _faults(template: Template) -> Iterator[str]:
    graph = template.graph
    for node, name in [spot for spots in template.slots.values() for spot in spots] + list(template.ports.values()):
        if node not in graph or name not in graph[node].inputs:
            yield f"there is no input {node}.{name}"
    for node, _ in template.sources.values():
        if node not in graph:
            yield f"there is no node {node}"
    for name, body in graph.nodes.items():
        yield from (
            f"{name} reads {source}, which is not there" for source, _ in body.links().values() if source not in graph
        )
    if loop := graph.cycle():
        yield f"the graph runs in a circle: {' -> '.join(loop)}"
    elif len(graph.ends()) != 1:
        yield f"it must end in one node, not in {', '.join(graph.ends()) or 'none'}"
    else:
        yield from _crossed(template)


def _crossed(template: Template) -> Iterator[str]:
    """The words of each slot must reach the sampler from their own side alone."""
    anatomy = trace(template.graph)
    for slot, other in (("positive", "negative"), ("negative", "positive")):
        for spot in template.slots.get(slot, ()):
            for sampler in anatomy.samplers:
                if spot not in getattr(sampler, slot) or spot in getattr(sampler, other):
                    yield f"{spot[0]}.{spot[1]} is not what {sampler.node} takes as its {slot}"


# ------------------------------------------------------------------ the anatomy of any graph


@dataclass(frozen=True, kw_only=True)
class SamplerParts:
    """What one sampler is fed with."""

    node: str
    positive: tuple[Spot, ...] = ()
    """Inputs that hold the words it draws towards."""
    negative: tuple[Spot, ...] = ()
    """Inputs that hold the words it draws away from; none where the conditioning is zeroed or the model takes none."""
    seed: Spot | None = None
    steps: Spot | None = None
    size: str | None = None
    """The node whose width and height decide the picture's size."""
    loader: str | None = None
    """The node that loads its weights."""


@dataclass(frozen=True, kw_only=True)
class Anatomy:
    """Where the parts lie that a request sets, found by following the links."""

    samplers: tuple[SamplerParts, ...]
    outputs: tuple[str, ...]
    """Nodes that nobody reads."""

    @property
    def seeds(self) -> tuple[Spot, ...]:
        """Every seed, each once."""
        return tuple(dict.fromkeys(part.seed for part in self.samplers if part.seed))


TEXTS = ("text", "prompt", "text_g", "text_l", "clip_l", "clip_g", "t5xxl", "llama", "tags", "lyrics")
"""Inputs that hold words, in the text encoders of ComfyUI."""
CARRIED = ("value", "string", "text")
"""Inputs of the nodes that only hold a text or number for others."""
SEEDS = ("seed", "noise_seed")
ASIDE = frozenset({
    "clip", "vae", "model", "image", "pixels", "mask", "samples", "latent", "control_net", "style_model",
    "clip_vision_output", "clip_vision", "model_patch",
})  # fmt: skip
"""Inputs through which no words flow."""


def trace(graph: Graph) -> Anatomy:
    """The anatomy of any graph, our own or a user's. A graph without samplers has only outputs."""
    samplers = [name for name, node in graph.nodes.items() if _samples(graph, name, node.inputs)]
    return Anatomy(samplers=tuple(_parts(graph, name) for name in samplers), outputs=graph.ends())


def _samples(graph: Graph, name: str, inputs: Mapping[str, Any]) -> bool:
    """A sampler makes a latent from a latent: it has steps and words of its own, or takes them from a guider."""
    if "positive" in inputs and "steps" in inputs and any(seed in inputs for seed in SEEDS):
        return True
    return ("guider" in inputs or "positive" in inputs) and graph.link(name, "sigmas") is not None


def _parts(graph: Graph, name: str) -> SamplerParts:
    inputs = graph[name].inputs
    guider = graph.link(name, "guider")
    asked = guider[0] if guider and guider[0] in graph else name
    positive = graph.link(asked, "positive") or graph.link(asked, "conditioning") or graph.link(asked, "cond1")
    return SamplerParts(
        node=name,
        positive=_words(graph, positive),
        negative=_words(graph, graph.link(asked, "negative")),
        seed=_first(graph, name, SEEDS, "noise"),
        steps=_first(graph, name, ("steps",), "sigmas"),
        size=next(_sized(graph, name), None),
        loader=_loader(graph, asked if "model" in graph[asked].inputs else name) if inputs else None,
    )


def _words(graph: Graph, link: Link | None) -> tuple[Spot, ...]:
    """The text inputs that a conditioning is made from, in the order in which they are met."""
    found: dict[Spot, None] = {}
    pending, seen = [link] if link else [], set[Link]()
    while pending:
        read = pending.pop(0)
        if read in seen or read[0] not in graph or graph[read[0]].class_type == "ConditioningZeroOut":
            continue
        seen.add(read)
        spots = [(read[0], name) for name in TEXTS if name in graph[read[0]].inputs]
        found |= dict.fromkeys(carrier(graph, spot) for spot in spots)
        pending.extend([] if spots else _conditions(graph, read))
    return tuple(found)


def _conditions(graph: Graph, read: Link) -> list[Link]:
    """What a conditioning is made from: of a pair of outputs, the side that was read."""
    links = graph[read[0]].links()
    if "positive" in links and "negative" in links:
        return [links["positive" if read[1] == 0 else "negative"]]
    named = [link for name, link in links.items() if name.startswith(("cond", "positive", "negative"))]
    return named or [link for name, link in links.items() if name not in ASIDE]


def carrier(graph: Graph, spot: Spot) -> Spot:
    """Where a literal really stands: an input that reads a node which only holds a value leads to that value."""
    seen = {spot}
    while (link := graph.link(*spot)) and link[0] in graph:
        held = next((name for name in CARRIED if name in graph[link[0]].inputs), None)
        if held is None or (link[0], held) in seen:
            break
        spot = (link[0], held)
        seen.add(spot)
    return spot


def _first(graph: Graph, name: str, wanted: tuple[str, ...], through: str) -> Spot | None:
    """An own input of one of these names, else the nearest one upstream of `through`."""
    own = next((field for field in wanted if field in graph[name].inputs), None)
    if own:
        return carrier(graph, (name, own))
    link = graph.link(name, through)
    for node in _nearest(graph, link[0]) if link else ():
        for one in wanted:
            if one in graph[node].inputs:
                return carrier(graph, (node, one))
    return None


def _sized(graph: Graph, name: str) -> Iterator[str]:
    latent = graph.link(name, "latent_image") or graph.link(name, "samples")
    for node in _nearest(graph, latent[0]) if latent else ():
        if {"width", "height"} <= set(graph[node].inputs):
            yield node


def _nearest(graph: Graph, start: str) -> Iterator[str]:
    """The nodes upstream of one, itself first, then breadth first."""
    pending, seen = [start], set[str]()
    while pending:
        name = pending.pop(0)
        if name in seen or name not in graph:
            continue
        seen.add(name)
        yield name
        pending.extend(source for source, _ in graph[name].links().values())


def _loader(graph: Graph, name: str) -> str | None:
    seen = set[str]()
    while (link := graph.link(name, "model")) and link[0] in graph and link[0] not in seen:
        name = link[0]
        seen.add(name)
    return name if seen else None
