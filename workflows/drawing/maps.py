"""Maps: what a control net reads (edges, depth, pose, ...) made from a plain picture by the nodes a server has."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from workflows.drawing.grafting import packed, settings, unpacked
from workflows.drawing.inventory import plain
from workflows.errors import EngineUnavailable

if TYPE_CHECKING:
    from workflows.drawing.inventory import Inventory
    from workflows.drawing.setup import Guide
    from workflows.graph import Graph, Link

PACK = "comfyui_controlnet_aux (Fannovel16/comfyui_controlnet_aux)"
OWN: dict[str, tuple[tuple[str, ...], tuple[str, str], str, str]] = {
    "depth": (
        ("LoadDA3Model", "DA3Inference", "DA3Render"),
        ("LoadDA3Model", "model_name"),
        "depth[-_ ]?anything|da3",
        "depth_anything_3_mono_large.safetensors (Comfy-Org/Depth-Anything-3 on Hugging Face) in "
        "models/geometry_estimation",
    ),
    "openpose": (
        ("SDPoseKeypointExtractor", "SDPoseDrawKeypoints"),
        ("CheckpointLoaderSimple", "ckpt_name"),
        "sd[-_ ]?pose",
        "an SDPose checkpoint (Comfy-Org/SDPose on Hugging Face) in models/checkpoints",
    ),
}
"""ComfyUI's own ways since 0.27: nodes, where their file is chosen, its sign, and what is missing without it."""


@cache
def facts() -> Mapping[str, Any]:
    """guides.toml: what the names of files give away, and which nodes serve what."""
    return tomllib.loads(files("workflows.drawing").joinpath("guides.toml").read_text(encoding="utf-8"))


def fit_map(kind: str, inventory: Inventory) -> dict[str, str]:
    """The parts of a guide that make its map; none for a tile, which is the picture itself.

    Raises EngineUnavailable when the server has no node for it, naming what to install and what needs nothing.
    """
    nodes: list[str] = facts()["maps"][kind]
    if not nodes:
        return {}
    ready = next((node for node in nodes if node in inventory.classes), None)
    # ComfyUI's own Depth Anything 3 is newer than what the pack has; its SDPose sees one person only.
    if kind == "depth" or ready is None:
        ready = _own(kind, inventory) or ready
    if ready is None:
        raise EngineUnavailable(_missing(kind, nodes[0]))
    return ready if isinstance(ready, dict) else {"map": ready, "map_settings": packed(settings(inventory, ready))}


def _own(kind: str, inventory: Inventory) -> dict[str, str] | None:
    if kind not in OWN or not inventory.has(*OWN[kind][0]):
        return None
    _, spot, sign, _ = OWN[kind]
    file = next((name for name in inventory.choices(*spot) if re.search(sign, plain(name))), None)
    return {"map": f"own_{kind}", "map_model": file} | _own_settings(kind, inventory) if file else None


def _own_settings(kind: str, inventory: Inventory) -> dict[str, str]:
    if kind == "depth":
        rendered = {"output": "depth", "output.normalization": "v2_style", "output.apply_sky_clip": False}
        return {
            "loader_settings": packed(settings(inventory, "LoadDA3Model")),
            "map_settings": packed(settings(inventory, "DA3Inference", mode="mono")),
            "drawn_settings": packed(settings(inventory, "DA3Render", **rendered)),
        }
    return {
        "map_settings": packed(settings(inventory, "SDPoseKeypointExtractor")),
        "drawn_settings": packed(settings(inventory, "SDPoseDrawKeypoints")),
    }


def _missing(kind: str, node: str) -> str:
    own = f", or update ComfyUI and put {OWN[kind][3]}" if kind in OWN else ""
    article = "an" if kind == "openpose" else "a"
    return (
        f"To make {article} {kind} map from a picture this ComfyUI lacks a preprocessor: install the node pack {PACK}, "
        f"which has {node}{own}. Without it, give a finished {kind} map with preprocess=false, or use the control "
        "canny, which needs nothing more."
    )


def with_map(graph: Graph, guide: Guide, image: Link, edge: int) -> tuple[Graph, Link]:
    """The graph with the map made from `image`, and where to read it. `edge`: the picture's shorter edge in pixels."""
    way = guide.parts.get("map", "")
    if not way:
        return graph, image
    name = f"{guide.role}_map"
    if way == "own_depth":
        return _with_depth(graph, guide, name, image), (name, 0)
    if way == "own_openpose":
        return _with_pose(graph, guide, name, image), (name, 0)
    told = unpacked(guide.parts, "map_settings")
    if "resolution" in told:
        # The pack's nodes take steps of 64 and answer with this shorter edge.
        told["resolution"] = max(64, edge // 64 * 64)
    return graph.plus(name, way, image=image, **told), (name, 0)


def _with_depth(graph: Graph, guide: Guide, name: str, image: Link) -> Graph:
    loader, geometry = f"{name}_model", f"{name}_geometry"
    told = unpacked(guide.parts, "loader_settings") | {"model_name": guide.parts["map_model"]}
    graph = graph.plus(loader, "LoadDA3Model", **told)
    told = unpacked(guide.parts, "map_settings")
    graph = graph.plus(geometry, "DA3Inference", da3_model=(loader, 0), image=image, **told)
    return graph.plus(name, "DA3Render", da3_geometry=(geometry, 0), **unpacked(guide.parts, "drawn_settings"))


def _with_pose(graph: Graph, guide: Guide, name: str, image: Link) -> Graph:
    loader, keypoints = f"{name}_model", f"{name}_keypoints"
    graph = graph.plus(loader, "CheckpointLoaderSimple", ckpt_name=guide.parts["map_model"])
    told = unpacked(guide.parts, "map_settings")
    graph = graph.plus(keypoints, "SDPoseKeypointExtractor", model=(loader, 0), vae=(loader, 2), image=image, **told)
    return graph.plus(name, "SDPoseDrawKeypoints", keypoints=(keypoints, 0), **unpacked(guide.parts, "drawn_settings"))
