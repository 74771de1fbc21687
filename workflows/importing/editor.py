"""The graph as ComfyUI's editor keeps it, as nodes with named inputs: bypassed, muted, rerouted and grouped ones too.

The editor keeps the values of widgets without their names; those of ComfyUI's own nodes are known here, and newer
files name them. It is for reading a recipe, not for running: values of other nodes may be missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from workflows.graph import Node
from workflows.importing.nodes import MOST_NODES
from workflows.importing.values import rows, table, tables, text, whole

MUTED, BYPASSED = 2, 4
MOST_NESTING = 4
CONTROLS = {"fixed", "increment", "decrement", "randomize"}
"""What follows the value of a seed: how the editor changes it after each run."""
SKIPPED = {"Note", "MarkdownNote"}
WIDGETS: Mapping[str, tuple[str, ...]] = {
    "KSampler": ("seed", "steps", "cfg", "sampler_name", "scheduler", "denoise"),
    "KSamplerAdvanced": (
        *("add_noise", "noise_seed", "steps", "cfg", "sampler_name", "scheduler"),
        *("start_at_step", "end_at_step", "return_with_leftover_noise"),
    ),
    "SamplerCustom": ("add_noise", "noise_seed", "cfg"),
    "RandomNoise": ("noise_seed",),
    "KSamplerSelect": ("sampler_name",),
    "BasicScheduler": ("scheduler", "steps", "denoise"),
    "KarrasScheduler": ("steps", "sigma_max", "sigma_min", "rho"),
    "CFGGuider": ("cfg",),
    "FluxGuidance": ("guidance",),
    "CLIPTextEncode": ("text",),
    "CLIPTextEncodeSDXL": ("width", "height", "crop_w", "crop_h", "target_width", "target_height", "text_g", "text_l"),
    "CLIPTextEncodeFlux": ("clip_l", "t5xxl", "guidance"),
    "CheckpointLoaderSimple": ("ckpt_name",),
    "UNETLoader": ("unet_name", "weight_dtype"),
    "LoraLoader": ("lora_name", "strength_model", "strength_clip"),
    "LoraLoaderModelOnly": ("lora_name", "strength_model"),
    "CLIPSetLastLayer": ("stop_at_clip_layer",),
    "EmptyLatentImage": ("width", "height", "batch_size"),
    "EmptySD3LatentImage": ("width", "height", "batch_size"),
    "EmptyFlux2LatentImage": ("width", "height", "batch_size"),
    "EmptyHunyuanLatentVideo": ("width", "height", "length", "batch_size"),
    "LatentUpscale": ("upscale_method", "width", "height", "crop"),
    "LatentUpscaleBy": ("upscale_method", "scale_by"),
    "ImageScale": ("upscale_method", "width", "height", "crop"),
    "ImageScaleBy": ("upscale_method", "scale_by"),
    "LoadImage": ("image",),
    "SaveImage": ("filename_prefix",),
    "PrimitiveNode": ("value",),
    "PrimitiveString": ("value",),
    "PrimitiveStringMultiline": ("value",),
    "PrimitiveInt": ("value",),
    "PrimitiveFloat": ("value",),
    "StringConcatenate": ("string_a", "string_b", "delimiter"),
}

Link = tuple[str, int]


def nodes_of_editor(workflow: Mapping[str, Any]) -> dict[str, Node]:
    """The nodes by id, those of subgraphs as "57:3"; links lead past what is bypassed, muted or rerouted."""
    subgraphs = {text(one.get("id"), 100): one for one in tables(table(workflow.get("definitions")).get("subgraphs"))}
    flat = _Flat(subgraphs)
    flat.add(workflow, "", {}, 0)
    return {name: flat.node(name) for name, body in flat.bodies.items() if flat.works(body)}


class _Flat:
    """All nodes of a graph and its subgraphs, each with what its inputs read."""

    def __init__(self, subgraphs: Mapping[str, Mapping[str, Any]]) -> None:
        self.subgraphs = subgraphs
        self.bodies: dict[str, dict[str, Any]] = {}
        self.reads: dict[str, dict[str, Link]] = {}
        self.results: dict[Link, Link] = {}
        """What a subgraph's outputs stand for."""

    def add(self, graph: Mapping[str, Any], prefix: str, outer: Mapping[int, Link], depth: int) -> None:
        """`outer`: what the subgraph's own inputs read, by their place."""
        links = {one[0]: one[1:] for one in _links(graph)}
        for body in tables(graph.get("nodes")):
            if len(self.bodies) >= MOST_NODES:
                return
            name = f"{prefix}{text(body.get('id'), 60)}"
            reads = self._reads(body, links, prefix, outer)
            inner = self.subgraphs.get(text(body.get("type"), 100))
            if inner is not None and depth < MOST_NESTING:
                self._expand(inner, name, body, reads, depth)
            else:
                self.bodies[name], self.reads[name] = body, reads

    def _reads(
        self,
        body: Mapping[str, Any],
        links: Mapping[int, tuple[str, int, str, int]],
        prefix: str,
        outer: Mapping[int, Link],
    ) -> dict[str, Link]:
        reads: dict[str, Link] = {}
        for one in tables(body.get("inputs")):
            link = links.get(whole(one.get("link")) or -1)
            if link is None:
                continue
            source = outer.get(link[1]) if link[0] == "-10" else (f"{prefix}{link[0]}", link[1])
            if source:
                reads[text(one.get("name"), 100)] = source
        return reads

    def _expand(
        self, inner: Mapping[str, Any], name: str, body: Mapping[str, Any], reads: Mapping[str, Link], depth: int
    ) -> None:
        places = [text(one.get("name"), 100) for one in tables(inner.get("inputs"))]
        outer = {place: reads[told] for place, told in enumerate(places) if told in reads}
        if whole(body.get("mode")) in {MUTED, BYPASSED}:
            return
        self.add(inner, f"{name}:", outer, depth + 1)
        for _, source, slot, target, place in _links(inner):
            if target == "-20":
                self.results[name, place] = (f"{name}:{source}", slot)

    def works(self, body: Mapping[str, Any]) -> bool:
        plain = text(body.get("type"), 200)
        return plain not in SKIPPED | {"Reroute"} and whole(body.get("mode")) not in {MUTED, BYPASSED}

    def node(self, name: str) -> Node:
        body = self.bodies[name]
        inputs: dict[str, Any] = _values(body)
        for field, link in self.reads[name].items():
            if (source := self._source(link)) is not None:
                inputs[field] = list(source)
        return Node(text(body.get("type"), 200), inputs)

    def _source(self, link: Link) -> Link | None:
        """Where a link really comes from, past subgraphs' edges, reroutes and what is bypassed."""
        for _ in range(100):
            if link in self.results:
                link = self.results[link]
                continue
            body = self.bodies.get(link[0])
            if body is None or whole(body.get("mode")) == MUTED:
                return None
            if self.works(body):
                return link
            through = self._through(body, link)
            if through is None:
                return None
            link = through
        return None

    def _through(self, body: Mapping[str, Any], link: Link) -> Link | None:
        """What a bypassed node hands on: its input of the same kind, that of the same place first."""
        outputs, inputs = list(tables(body.get("outputs"))), list(tables(body.get("inputs")))
        kind = outputs[link[1]].get("type") if 0 <= link[1] < len(outputs) else None
        order = sorted(range(len(inputs)), key=lambda place: place != link[1])
        reroute = text(body.get("type"), 100) == "Reroute"
        for place in order:
            read = self.reads[link[0]].get(text(inputs[place].get("name"), 100))
            if read and (reroute or inputs[place].get("type") == kind):
                return read
        return None


def _links(graph: Mapping[str, Any]) -> Iterator[tuple[int, str, int, str, int]]:
    """(id, from, slot, to, slot) of each link, in either of the two forms that the editor writes."""
    for one in rows(graph.get("links"), MOST_NODES * 4):
        row, parts = table(one), rows(one)
        if row:
            names = ("id", "origin_id", "origin_slot", "target_id", "target_slot")
            parts = [row.get(name) for name in names]
        if len(parts) >= 5 and (number := whole(parts[0])) is not None:
            ends = whole(parts[2]), whole(parts[4])
            if ends[0] is not None and ends[1] is not None:
                yield number, text(parts[1], 60), ends[0], text(parts[3], 60), ends[1]


def _values(body: Mapping[str, Any]) -> dict[str, Any]:
    """The widgets' values by name: as the node's kind has them, else as the file names them."""
    told = body.get("widgets_values")
    if named := table(told):
        return named
    values = [one for one in rows(told) if not (isinstance(one, str) and one in CONTROLS)]
    shown = [text(table(one.get("widget")).get("name"), 100) for one in tables(body.get("inputs")) if one.get("widget")]
    names = WIDGETS.get(text(body.get("type"), 200)) or shown
    return {name: value for name, value in zip(names, values, strict=False) if not isinstance(value, list | dict)}
