"""Tools that take one picture: background removal, face restoration, masks by words. Which of the known ways a server
has, and the graph of it. A way is a template of the folder; what its nodes are told is read from the server.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

from workflows.drawing.grafting import packed, put_behind, settings
from workflows.drawing.inventory import plain
from workflows.errors import EngineUnavailable
from workflows.graph import Graph, as_link
from workflows.template import template

if TYPE_CHECKING:
    from workflows.drawing.inventory import Inventory
    from workflows.graph import Link
    from workflows.template import Spot

ENDS = ("source", "save")
"""The nodes of such a template that are not the tool."""


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way to do a thing to a picture."""

    template: str
    pack: str = ""
    """The node pack that it needs; "" for ComfyUI's own nodes."""
    files: Mapping[Spot, tuple[str, ...]] = field(default_factory=dict["Spot", tuple[str, ...]])
    """Inputs that name a model file, with signs of the ones to prefer."""
    strict: bool = False
    """Only a file with one of the signs will do."""
    get: str = ""
    """What it reads, its folder and where to get it; "" when it fetches that itself."""
    told: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    """Settings other than the defaults, by node."""


BACKGROUNDS = (
    Way(
        template="remove_background",
        files={("remover", "bg_removal_name"): ("birefnet",)},
        get="birefnet.safetensors (Comfy-Org/BiRefNet on Hugging Face) in models/background_removal",
    ),
    Way(template="remove_background_rmbg", pack="ComfyUI-RMBG (1038lab/ComfyUI-RMBG)"),
    Way(template="remove_background_birefnet", pack="ComfyUI-RMBG (1038lab/ComfyUI-RMBG)"),
    Way(template="remove_background_inspyrenet", pack="ComfyUI-Inspyrenet-Rembg (john-mnz/ComfyUI-Inspyrenet-Rembg)"),
    Way(template="remove_background_rembg", pack="rembg-comfyui-node-better (Loewen-Hob/rembg-comfyui-node-better)"),
)
RESTORERS = (
    Way(
        template="face_restore_codeformer",
        pack="facerestore_cf (mav-rik/facerestore_cf)",
        files={("restorer", "model_name"): ("codeformer", "gfpgan")},
        get="codeformer.pth (sczhou/CodeFormer on GitHub) in models/facerestore_models",
    ),
    Way(
        template="face_restore_reactor",
        pack="ComfyUI-ReActor (Gourieff/ComfyUI-ReActor)",
        files={("faces", "model"): ("codeformer", "gfpgan", "restoreformer")},
        get="codeformer-v0.1.0.pth in models/facerestore_models",
    ),
)
MASK_FINDERS = (
    Way(
        template="find_mask_sam3",
        files={("finder", "ckpt_name"): (r"sam[-_. ]?3",)},
        strict=True,
        get="sam3.1_multiplex_fp16.safetensors (Comfy-Org/sam3.1 on Hugging Face) in models/checkpoints",
    ),
    Way(
        template="find_mask_dino",
        pack="comfyui_segment_anything (storyicon/comfyui_segment_anything)",
        files={("segmenter", "model_name"): ("sam_hq_vit_b", "vit_b"), ("detector", "model_name"): ("swint",)},
    ),
    Way(template="find_mask_sam3_pack", pack="ComfyUI-RMBG (1038lab/ComfyUI-RMBG)"),
    Way(template="find_mask_dino_rmbg", pack="ComfyUI-RMBG (1038lab/ComfyUI-RMBG)"),
    Way(template="find_mask_clipseg", pack="ComfyUI-CLIPSeg (biegert/ComfyUI-CLIPSeg)"),
)


# ------------------------------------------------------------------ fitting


def fit_way(ways: Sequence[Way], inventory: Inventory) -> dict[str, str] | None:
    """The first way that the server has whole, as parts of a setup's finish; None when it has none."""
    return next((parts for way in ways if (parts := _fit(way, inventory)) is not None), None)


def _fit(way: Way, inventory: Inventory) -> dict[str, str] | None:
    graph = template(way.template).graph
    if not inventory.has(*(node.class_type for node in graph.nodes.values())):
        return None
    files = {spot: _file(graph, spot, way, inventory) for spot in way.files}
    if not all(files.values()):
        return None
    told = {name: dict(way.told.get(name, {})) for name in graph.nodes if name not in ENDS}
    for (name, field_name), file in files.items():
        told[name][field_name] = file
    settled = {name: settings(inventory, graph[name].class_type, **values) for name, values in told.items()}
    return {"template": way.template, "settings": packed(settled)} | _model(files)


def _file(graph: Graph, spot: Spot, way: Way, inventory: Inventory) -> str | None:
    name, field_name = spot
    offered = [one for one in inventory.choices(graph[name].class_type, field_name) if one.lower() != "none"]
    liked = [one for sign in way.files[spot] for one in offered if re.search(sign, plain(one))]
    return next(iter(liked if way.strict else [*liked, *offered]), None)


def _model(files: Mapping[Spot, str | None]) -> dict[str, str]:
    first = next(iter(files.values()), None)
    return {"model": first} if first else {}


def lacking(ways: Sequence[Way], inventory: Inventory) -> str:
    """What to get, in words: the file of nodes that are there, else a newer ComfyUI with its file or a node pack."""
    there = [way for way in ways if inventory.has(*template(way.template).classes)]
    if there:
        return f"its nodes are installed, but not what they read: put {there[0].get}"
    own = [f"a newer ComfyUI (0.27 has the nodes) with {way.get}" for way in ways if not way.pack]
    packs = list(dict.fromkeys(_pack(way) for way in ways if way.pack))
    return f"it needs {', or '.join([*own, *packs[:2]])}"


def _pack(way: Way) -> str:
    return f"the node pack {way.pack}" + (f" with {way.get}" if way.get else "")


# ------------------------------------------------------------------ drafting


def drawn_way(parts: Mapping[str, str], values: Mapping[str, Any]) -> Graph:
    """The way's graph, told what was fitted, with `values` in the template's slots (source, prefix, words)."""
    chosen = template(parts["template"])
    return replace(chosen, graph=_told(chosen.graph, parts)).fill(values)


def _told(graph: Graph, parts: Mapping[str, str]) -> Graph:
    """Each tool node with its links and the fitted settings; a literal of the template that the class lacks is gone."""
    settled = cast("dict[str, dict[str, Any]]", json.loads(parts["settings"]))
    for name, told in settled.items():
        graph = graph.swapped(name, graph[name].class_type, **graph[name].links(), **told)
    return graph


def put_into(graph: Graph, image: Link, parts: Mapping[str, str]) -> Graph:
    """The way's tool between an image of this graph and whoever read it."""
    chosen = template(parts["template"])
    tool = _told(chosen.graph, parts)
    links: dict[Link, Link] = {("source", 0): image}
    end = chosen.sources["image"]
    for name, node in tool.without(*ENDS).nodes.items():
        inputs = {field: links.get(as_link(value) or ("", 0), value) for field, value in node.inputs.items()}
        graph = graph.plus(name, node.class_type, node.title, **inputs)
    return put_behind(graph, image, end)


def refuse(purpose: str, ways: Sequence[Way], inventory: Inventory, instead: str = "") -> EngineUnavailable:
    """The refusal of a task that no way serves."""
    return EngineUnavailable(f"{purpose} cannot be done on this ComfyUI: {lacking(ways, inventory)}.{instead}")
