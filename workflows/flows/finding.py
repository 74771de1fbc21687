"""What of a graph its user can set: named by titles such as @prompt, or found by following the links. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workflows.drawing.inventory import LOADERS
from workflows.flows.kinds import typed
from workflows.flows.naming import TAKEN, slug, unlike
from workflows.flows.rules import PREFIXES, SIGNS, file_kind
from workflows.graph import Link, as_link
from workflows.template import CARRIED, SEEDS, TEXTS, Spot, carrier, trace

if TYPE_CHECKING:
    from workflows.drawing.inventory import Inventory, NodeInput
    from workflows.graph import Graph
    from workflows.template import SamplerParts
    from workflows.types import FlowInput

MOST_INPUTS = 100
"""Of one workflow that are told of; those that its author named come first."""
ORDER = (
    *("prompt", "negative_prompt", "image", "mask", "video", "audio", "file", "width", "height", "frames", "fps"),
    *("batch", "seed", "steps", "cfg", "guidance", "sampler", "scheduler", "denoise", "model", "lora", "lora_strength"),
    *("vae", "text_encoder", "clip_vision", "controlnet", "style_model", "upscale_model", "model_file", ""),
)
"""Roles in the order in which people ask for them."""
NUMBERED = frozenset({"lora", "lora_strength"})
"""Roles that are counted from the first one on."""
APART = frozenset({"image", "mask", "video", "audio", "file", "lora", "lora_strength"})
"""Roles whose equal values are not one input."""
MODEL_ROLES: Mapping[str, str] = {
    "ckpt_name": "model",
    "unet_name": "model",
    "base_ckpt_name": "model",
    "lora_name": "lora",
    "vae_name": "vae",
    "clip_name": "text_encoder",
    "clip_name1": "text_encoder",
    "clip_name2": "text_encoder",
    "clip_name3": "text_encoder",
    "clip_name4": "text_encoder",
    "control_net_name": "controlnet",
    "style_model_name": "style_model",
}
"""Inputs that name a model file, where no loader of ComfyUI's own is meant."""
FOLDER_ROLES: Mapping[str, str] = {
    "checkpoints": "model",
    "diffusion_models": "model",
    "text_encoders": "text_encoder",
    "loras": "lora",
    "style_models": "style_model",
    "upscale_models": "upscale_model",
    "model_patches": "model_file",
    "background_removal": "model_file",
}
RATES = ("fps", "frame_rate")
PROMPTS: Mapping[str, str] = {"prompt": "prompt", "negative_prompt": "negative_prompt"}
"""Inputs whose names say what they are, in nodes that are no samplers."""
TEXTUAL = ("STRING", "*")
HOLDERS = ("INT", "FLOAT", "STRING", "BOOLEAN", "*")
"""What a node gives that does nothing but hold a value."""


@dataclass(frozen=True)
class Piece:
    """One place that a value goes to. `at`: the input that reads it, which knows its limits."""

    role: str
    spot: Spot
    at: Spot
    wish: str = ""
    """A name for it, where its role has none."""
    named: bool = False


def find_inputs(graph: Graph, inventory: Inventory, named: Mapping[str, tuple[Spot, ...]]) -> tuple[FlowInput, ...]:
    """Everything that can be set, in the order in which people ask for it. `named`: spots by the author's titles."""
    finder = _Finder(graph, inventory)
    finder.trace()
    finder.read_nodes()
    finder.name({slug(name): spots for name, spots in named.items()})
    return tuple(finder.inputs())[:MOST_INPUTS]


class _Finder:
    def __init__(self, graph: Graph, inventory: Inventory) -> None:
        self.graph, self.inventory = graph, inventory
        self.pieces: dict[Spot, Piece] = {}

    def add(self, role: str, at: Spot | None, wish: str = "") -> None:
        """A piece for the literal that stands there, or in a node that only holds it; the first role stays."""
        if at is None or at[0] not in self.graph:
            return
        spot = carrier(self.graph, at)
        if spot in self.pieces or spot[1] in PREFIXES or not self.literal(spot):
            return
        read_by = at if at != spot else next(iter(self.readers(spot)), at)
        self.pieces[spot] = Piece(role, spot, read_by, wish)

    def literal(self, spot: Spot) -> bool:
        inputs = self.graph[spot[0]].inputs
        return spot[1] in inputs and as_link(inputs[spot[1]]) is None and not isinstance(inputs[spot[1]], dict | list)

    def readers(self, spot: Spot) -> list[Spot]:
        """Inputs that read a node which only holds a value."""
        return self.graph.readers((spot[0], 0)) if spot[1] in CARRIED and spot[1] not in TEXTS else []

    # -------------------------------------------------------------- by tracing

    def trace(self) -> None:
        """Words, size and numbers of every sampler, in the order of the samplers."""
        anatomy = trace(self.graph)
        towards = {spot for part in anatomy.samplers for spot in part.positive}
        for part in anatomy.samplers:
            for spot in part.positive:
                self.words("prompt", spot)
            for spot in part.negative:
                self.words("prompt" if spot in towards else "negative_prompt", spot)
            self.sampling(part)
        for name, node in self.graph.nodes.items():
            if node.class_type.startswith("Empty"):
                self.size(name)

    def words(self, role: str, at: Spot) -> None:
        """The text that stands there, else those that nodes of texts put together for it."""
        self.add(role, at)
        pending, seen = [carrier(self.graph, at)], set[Link]()
        while pending:
            spot = pending.pop()
            link = self.graph.link(*spot) if spot[0] in self.graph else None
            if link is None:
                if self.is_text(spot) and str(self.graph[spot[0]].inputs.get(spot[1]) or "").strip():
                    self.add(role, spot)
            elif link not in seen and self.makes(link, TEXTUAL):
                seen.add(link)
                pending.extend((link[0], field) for field in reversed(list(self.graph[link[0]].inputs)))

    def is_text(self, spot: Spot) -> bool:
        """Whether an input takes any words, and not one of some choices, nor signs to put between others."""
        spec = self.spec(spot)
        value = self.graph[spot[0]].inputs.get(spot[1]) if spot[0] in self.graph else None
        return isinstance(value, str) and spot[1] not in SIGNS and (spec is None or spec.type == "STRING")

    def spec(self, spot: Spot) -> NodeInput | None:
        known = self.inventory.classes.get(self.graph[spot[0]].class_type) if spot[0] in self.graph else None
        return known.inputs.get(spot[1]) if known else None

    def makes(self, link: Link, types: Sequence[str]) -> bool:
        """Whether an output is of one of these types, as far as that is known."""
        known = self.inventory.classes.get(self.graph[link[0]].class_type) if link[0] in self.graph else None
        made = known.outputs[link[1]] if known and 0 <= link[1] < len(known.outputs) else "*"
        return link[0] in self.graph and (made in types or made.startswith("COMFY_"))

    def sampling(self, part: SamplerParts) -> None:
        self.add("seed", part.seed)
        self.add("steps", part.steps)
        asked = (("cfg", ("cfg",), "guider"), ("sampler", ("sampler_name",), "sampler"))
        planned = (("scheduler", ("scheduler",), "sigmas"), ("denoise", ("denoise",), "sigmas"))
        for role, wanted, through in asked + planned:
            self.add(role, self.nearest(part.node, wanted, through))
        if part.size:
            self.size(part.size)

    def size(self, name: str) -> None:
        inputs = self.graph[name].inputs
        for role, field in (("width", "width"), ("height", "height"), ("frames", "length"), ("batch", "batch_size")):
            if field in inputs:
                self.add(role, (name, field))

    def nearest(self, name: str, wanted: tuple[str, ...], through: str) -> Spot | None:
        """An own input of that name, else the nearest one upstream of `through`."""
        link = self.graph.link(name, through)
        pending, seen = [name], set[str]()
        while pending:
            one = pending.pop(0)
            if one in seen or one not in self.graph:
                continue
            seen.add(one)
            if (field := next((field for field in wanted if field in self.graph[one].inputs), None)) is not None:
                return one, field
            below = [link[0]] if one == name and link else []
            pending.extend(below if one == name else (source for source, _ in self.graph[one].links().values()))
        return None

    # -------------------------------------------------------------- by classes and inputs

    def read_nodes(self) -> None:
        """Files, models, rates, and nodes that only hold a value."""
        for name, node in self.graph.nodes.items():
            for field in node.inputs:
                self.add_field(name, field)
        for name in self.graph.nodes:
            self.add_held(name)

    def add_field(self, name: str, field: str) -> None:
        kind = self.graph[name].class_type
        if (file := file_kind(kind, field, self.inventory)) is not None:
            self.add("mask" if kind == "LoadImageMask" or field == "mask" else file, (name, field))
        elif (role := _model_role(kind, field)) is not None:
            self.add(role, (name, field))
        elif field in RATES:
            self.add("fps", (name, field))
        elif field == "guidance":
            self.add("guidance", (name, field))
        elif field == "strength_model" and "lora_name" in self.graph[name].inputs:
            self.add("lora_strength", (name, field))
        elif field in SEEDS:
            self.add("seed", (name, field))
        elif field in (*TEXTS, *PROMPTS) and self.is_text((name, field)) and not self.holds(name):
            self.add(self.untraced(name, field), (name, field), field)

    def untraced(self, name: str, field: str) -> str:
        """What a text is for that no sampler was found to read."""
        if field in PROMPTS or not self.makes((name, 0), ("CONDITIONING",)):
            return PROMPTS.get(field, "")
        fields = [field for _, field in self.graph.readers((name, 0))]
        return "negative_prompt" if fields and all(one.startswith("negative") for one in fields) else "prompt"

    def add_held(self, name: str) -> None:
        if held := self.holds(name):
            self.add("", (name, held), self.held_name(name))

    def holds(self, name: str) -> str | None:
        """The one value of a node that does nothing but hold it."""
        node = self.graph[name]
        held = [field for field in node.inputs if field in CARRIED and self.literal((name, field))]
        return held[0] if len(held) == 1 and not node.links() and self.makes((name, 0), HOLDERS) else None

    def held_name(self, name: str) -> str:
        """The author's title, else the input that reads it."""
        node = self.graph[name]
        if node.title and slug(node.title) not in {slug(node.class_type), *_GENERIC}:
            return slug(node.title)
        fields = {field for _, field in self.graph.readers((name, 0))}
        return slug(fields.pop()) if len(fields) == 1 else "value"

    # -------------------------------------------------------------- by names

    def name(self, named: Mapping[str, tuple[Spot, ...]]) -> None:
        """Give the named places their names, and put them before the others."""
        claimed: dict[Spot, Piece] = {}
        for name, spots in named.items():
            for at in spots:
                spot = carrier(self.graph, at) if at[0] in self.graph else at
                if at[0] in self.graph and self.literal(spot) and spot[1] not in PREFIXES:
                    there = self.pieces.pop(spot, None)
                    role = there.role if there else name if name in ORDER else ""
                    claimed[spot] = Piece(role, spot, there.at if there else at, name, named=True)
        self.pieces = claimed | self.pieces

    # -------------------------------------------------------------- as inputs

    def inputs(self) -> Iterator[FlowInput]:
        """One input for all places of one name, or of one role and one value."""
        taken = set(TAKEN)
        ranked = sorted(self.groups(), key=lambda group: (not group[0].named, ORDER.index(group[0].role)))
        for group in ranked:
            first = group[0]
            wish = first.wish if first.named else first.role or first.wish or "value"
            if first.role in NUMBERED and not first.named:
                count = next(number for number in range(1, 10_000) if f"{wish}_{number}" not in taken)
                wish = f"{wish}_{count}"
            name = unlike(wish, taken)
            taken.add(name)
            yield typed(name, first.role, [(one.spot, one.at) for one in group], self.graph, self.inventory)

    def groups(self) -> list[list[Piece]]:
        groups: dict[Any, list[Piece]] = {}
        for piece in self.pieces.values():
            value: Any = self.graph[piece.spot[0]].inputs[piece.spot[1]]
            if piece.named:
                key: Any = piece.wish
            elif piece.role in APART or not (piece.role or isinstance(value, str)):
                key = piece.spot
            else:
                key = (piece.role or piece.wish, type(value).__name__, value)
            groups.setdefault(key, []).append(piece)
        return list(groups.values())


_GENERIC = frozenset({"int", "float", "string", "boolean", "value", "primitive", "text", "number", "string_multiline"})
"""Titles that the editor gives by itself."""


def _model_role(kind: str, field: str) -> str | None:
    folder = next((folder for folder, spot in LOADERS.items() if spot == (kind, field)), None)
    return FOLDER_ROLES.get(folder, folder) if folder else MODEL_ROLES.get(field)
