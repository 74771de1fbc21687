"""Servers for the tests of guides and finishing: the nodes of one ComfyUI, some node packs, and invented files.

nodes_guides_a.json and _b.json are ComfyUI's own classes as 0.3.64 and 0.33.0 tell of them. nodes_guides_packs.json was
only read from the packs' public sources (ComfyUI_IPAdapter_plus, comfyui_controlnet_aux, ComfyUI-Impact-Pack and
-Subpack, facerestore_cf, ComfyUI-ReActor, ComfyUI-layerdiffuse, ComfyUI_UltimateSDUpscale, ComfyUI-RMBG,
ComfyUI-Inspyrenet-Rembg, rembg-comfyui-node-better, comfyui_segment_anything, ComfyUI-CLIPSeg); no test ran them.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from tests.workflows.drawing.golden import NODES
from workflows.drawing.inventory import LOADERS, Inventory

NO_FILES: Mapping[str, Sequence[str]] = {}


def server(era: str = "b", packs: Collection[str] = (), files: Mapping[str, Sequence[str]] = NO_FILES) -> Inventory:
    """One ComfyUI with these classes of node packs. `files` by folder, or by "Class.input" for what no folder lists."""
    info = _nodes(f"nodes_{era}") | _nodes(f"nodes_guides_{era}")
    info |= {name: body for name, body in _nodes("nodes_guides_packs").items() if name in packs}
    for key, names in files.items():
        for class_type, field in _spots(key, info):
            _offer(info[class_type], field, names)
    folders = {key: tuple(names) for key, names in files.items() if "." not in key}
    return Inventory.read(info, files=folders)


def _nodes(name: str) -> dict[str, Any]:
    return json.loads((NODES / f"{name}.json").read_text(encoding="utf-8"))


def _spots(key: str, info: Mapping[str, Any]) -> list[tuple[str, str]]:
    if "." in key:
        class_type, _, field = key.partition(".")
        return [(class_type, field)]
    if key == "text_encoders":
        loaders = [name for name in info if name.endswith("CLIPLoader")]
        return [(name, field) for name in loaders for field in info[name]["input"]["required"] if "clip_name" in field]
    return [LOADERS[key]] if key in LOADERS and LOADERS[key][0] in info else []


def _offer(body: dict[str, Any], field: str, names: Sequence[str]) -> None:
    spec = body["input"]["required"][field]
    if isinstance(spec[0], list):
        spec[0] = list(names)
    else:
        spec[1]["options"] = list(names)


CHECKPOINTS = ("v1-5-pruned-emaonly.safetensors", "sd_xl_base_1.0.safetensors", "sd3.5_large_fp8_scaled.safetensors")
DIFFUSION_MODELS = (
    "flux1-dev.safetensors",
    "flux1-dev-kontext_fp8_scaled.safetensors",
    "flux2_dev_fp8mixed.safetensors",
    "flux-2-klein-base-4b.safetensors",
    "qwen_image_fp8_e4m3fn.safetensors",
    "qwen_image_edit_fp8_e4m3fn.safetensors",
    "qwen_image_edit_2511_bf16.safetensors",
    "z_image_turbo_bf16.safetensors",
    "chroma1-hd.safetensors",
)
MODELS: Mapping[str, Sequence[str]] = {"checkpoints": CHECKPOINTS, "diffusion_models": DIFFUSION_MODELS}
"""One model of each family that is guided differently."""
