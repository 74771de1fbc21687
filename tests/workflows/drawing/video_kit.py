"""A server with every video family's files, and what the tests of videos ask of it."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from tests.workflows.drawing.golden import NODES
from workflows.drawing.inventory import Inventory
from workflows.types import Recipe

FILES: Mapping[str, tuple[str, ...]] = {
    "checkpoints": (
        "sd_xl_base_1.0.safetensors",
        "ltx-video-2b-v0.9.5.safetensors",
        "ltx-2-19b-dev-fp8.safetensors",
        "ltx-2-19b-distilled-fp8.safetensors",
        "ltx-2.3-22b-dev-fp8.safetensors",
        "svd_xt.safetensors",
    ),
    "diffusion_models": (
        "wan2.1_t2v_1.3B_fp16.safetensors",
        "wan2.1_t2v_14B_fp16.safetensors",
        "wan2.1_i2v_480p_14B_fp16.safetensors",
        "wan2.2_ti2v_5B_fp16.safetensors",
        "wan2.2_t2v_high_noise_14B_fp8_scaled.safetensors",
        "wan2.2_t2v_low_noise_14B_fp8_scaled.safetensors",
        "wan2.2_i2v_high_noise_14B_fp8_scaled.safetensors",
        "wan2.2_i2v_low_noise_14B_fp8_scaled.safetensors",
        "ltx-2.5-22b-distilled-transformer-comfy-int8-convrot.safetensors",
        "hunyuanvideo1.5_720p_t2v_fp16.safetensors",
        "hunyuanvideo1.5_720p_i2v_fp16.safetensors",
    ),
    "text_encoders": (
        "umt5_xxl_fp8_e4m3fn_scaled.safetensors",
        "t5xxl_fp8_e4m3fn_scaled.safetensors",
        "gemma_3_12B_it_fp4_mixed.safetensors",
        "gemma4-12b-with-proj-ltx-2.5-comfy-int8-convrot.safetensors",
        "qwen_2.5_vl_7b_fp8_scaled.safetensors",
        "byt5_small_glyphxl_fp16.safetensors",
    ),
    "vae": (
        "wan_2.1_vae.safetensors",
        "wan2.2_vae.safetensors",
        "hunyuanvideo15_vae_fp16.safetensors",
        "ltx-2.5-video-vae-bf16.safetensors",
        "ltx-2.5-audio-vae-bf16.safetensors",
    ),
    "loras": (
        "wan2.2_t2v_lightx2v_4steps_lora_v1.1_high_noise.safetensors",
        "wan2.2_t2v_lightx2v_4steps_lora_v1.1_low_noise.safetensors",
        "wan2.2_i2v_lightx2v_4steps_lora_v1_high_noise.safetensors",
        "wan2.2_i2v_lightx2v_4steps_lora_v1_low_noise.safetensors",
        "ltx-2-19b-distilled-lora-384.safetensors",
        "ltx_2.3_22b_distilled_1.1_lora_dynamic_fro09_avg_rank_111_bf16.safetensors",
        "wan22_arcane_style_high_noise.safetensors",
        "wan22_arcane_style_low_noise.safetensors",
        "wan22_grain.safetensors",
    ),
    "clip_vision": ("clip_vision_h.safetensors", "sigclip_vision_patch14_384.safetensors"),
    "latent_upscale_models": (
        "ltx-2-spatial-upscaler-x2-1.0.safetensors",
        "ltx-2.3-spatial-upscaler-x2-1.1.safetensors",
        "ltx-2.5-latent-spatial-upscaler-x2-bf16-1.0.safetensors",
    ),
    "frame_interpolation": ("film_net_fp16.safetensors",),
}
INPUTS: Mapping[str, str] = {
    "ckpt_name": "checkpoints",
    "unet_name": "diffusion_models",
    "clip_name": "text_encoders",
    "clip_name1": "text_encoders",
    "clip_name2": "text_encoders",
    "text_encoder": "text_encoders",
    "vae_name": "vae",
    "lora_name": "loras",
}
"""Which folder an input's choices come from; two classes that share an input name follow."""
CLASSES = {
    ("CLIPVisionLoader", "clip_name"): "clip_vision",
    ("LatentUpscaleModelLoader", "model_name"): "latent_upscale_models",
    ("FrameInterpolationModelLoader", "model_name"): "frame_interpolation",
}
PACKS = ("RIFE VFI", "FILM VFI")


def studio(era: str = "b", *, lacking: Iterable[str] = (), packs: Iterable[str] = ()) -> Inventory:
    """ComfyUI 0.3.64 ("a") or 0.33.0 ("b") with these files, but for those in `lacking`; with nodes of `packs`."""
    nodes = _recorded(f"nodes_{era}") | _recorded(f"nodes_films_{era}")
    nodes |= {name: body for name, body in _recorded("nodes_films_packs").items() if name in packs}
    gone = frozenset(lacking)
    kept = {folder: tuple(file for file in files if file not in gone) for folder, files in FILES.items()}
    nodes = {name: body for name, body in nodes.items() if name not in gone}
    found = Inventory.read(nodes, files=kept)
    return replace(found, classes={name: _stocked(name, node, kept) for name, node in found.classes.items()})


def _recorded(name: str) -> dict[str, Any]:
    return json.loads((NODES / f"{name}.json").read_text(encoding="utf-8"))


def _stocked(name: str, node: Any, files: Mapping[str, tuple[str, ...]]) -> Any:
    folders = {field: CLASSES.get((name, field)) or INPUTS.get(field) for field in node.inputs}
    if name in PACKS:
        return node
    inputs = {
        field: replace(given, choices=files[folder]) if (folder := folders[field]) else given
        for field, given in node.inputs.items()
    }
    return replace(node, inputs=inputs)


def asked(**more: Any) -> Recipe:
    """A recipe for a video: from words, or from a picture where the task says so."""
    task = more.get("task", "txt2vid")
    source = {} if task == "txt2vid" else {"source": "s"}
    return Recipe.checked(**({"prompt": "a red fox runs", "task": task, "seed": 7} | source | more))
