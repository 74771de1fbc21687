"""Weight files with real headers and no weights: a family's tensors by its makers' names, and a hole for the data."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from math import prod
from pathlib import Path
from typing import Any

BYTES = {"F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "I64": 8}
Shapes = Mapping[str, Sequence[int]]


def shapes(kind: str, family: str, *, light: bool, rank: int = 16, words: bool = True) -> Shapes:
    """The tensors of such a file, in its makers' names. `light`: only those that give it away; `words`: a LoRA changes
    the text encoder too."""
    if kind == "lora":
        return _lora_shapes(family, light, rank, words)
    if kind == "vae":
        return _vae_shapes(family)
    return _model_shapes(family, light)


def data_bytes(tensors: Shapes, dtype: str = "F16") -> int:
    return sum(prod(shape) for shape in tensors.values()) * BYTES[dtype]


@cache
def _model_shapes(family: str, light: bool) -> Shapes:
    whole = {
        "sd15": (_sd15_unet, 686 - 6, 1.96e9),
        "sdxl": (_sdxl_unet, 2515 - 8, 6.4e9),
        "sd35-medium": (_sd35m, 1_300, 10.0e9),
        "sd35-large": (_sd35l, 1_600, 16.0e9),
        "flux": (_flux, 780, 23.0e9),
        "flux2": (_flux2, 300, 60.0e9),
        "flux2-klein": (_klein, 200, 7.5e9),
        "qwen-image": (_qwen, 1_900, 40.0e9),
        "z-image": (_zimage, 450, 12.0e9),
        "chroma": (_chroma, 640, 17.5e9),
    }
    make, count, size = whole[_architecture(family)]
    found = dict(make(family))
    if not light:
        prefix = next(iter(found)).rpartition("input_blocks")[0] if "input_blocks" in next(iter(found)) else ""
        each = max(1, int(size / 2 / count / 1024))
        found |= {f"{prefix}blocks_of_this_file.{place}.weight": (each, 1024) for place in range(count)}
    return found


def _architecture(family: str) -> str:
    if family.startswith("sd15"):
        return "sd15"
    if family in {"pony", "illustrious", "noobai", "noobai-vpred"} or family.startswith("sdxl"):
        return "sdxl"
    if family in {"sd35-medium", "sd35-large", "chroma", "flux2-klein"}:
        return family
    heads = ("flux2", "flux", "qwen-image", "z-image")
    return next(head for head in heads if family.startswith(head))


def _sd15_unet(family: str) -> dict[str, tuple[int, ...]]:
    unet = "model.diffusion_model."
    return {
        f"{unet}input_blocks.0.0.weight": (320, 4, 3, 3),
        f"{unet}input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": (320, 768),
        f"{unet}middle_block.1.transformer_blocks.0.attn2.to_k.weight": (1280, 768),
        "cond_stage_model.transformer.text_model.embeddings.position_embedding.weight": (77, 768),
        "cond_stage_model.transformer.text_model.encoder.layers.11.mlp.fc1.weight": (3072, 768),
        "first_stage_model.decoder.conv_in.weight": (512, 4, 3, 3),
    }


def _sdxl_unet(family: str) -> dict[str, tuple[int, ...]]:
    unet, clips = "model.diffusion_model.", "conditioner.embedders."
    found: dict[str, tuple[int, ...]] = {
        f"{unet}input_blocks.0.0.weight": (320, 4, 3, 3),
        f"{unet}label_emb.0.0.weight": (1280, 2816),
        f"{clips}0.transformer.text_model.encoder.layers.11.mlp.fc1.weight": (3072, 768),
        f"{clips}1.model.transformer.resblocks.9.mlp.c_proj.bias": (1280,),
        "first_stage_model.decoder.conv_in.weight": (512, 4, 3, 3),
    }
    places = [("input_blocks.4.1", 2), ("input_blocks.5.1", 2), ("input_blocks.7.1", 10), ("input_blocks.8.1", 10)]
    for place, depth in [*places, ("middle_block.1", 10)]:
        width = 640 if depth == 2 else 1280
        found |= {f"{unet}{place}.transformer_blocks.{n}.attn2.to_k.weight": (width, 2048) for n in range(depth)}
    return found | ({"v_pred": (0,), "ztsnr": (0,)} if family == "noobai-vpred" else {})


def _sd3(width: int, depth: int) -> dict[str, tuple[int, ...]]:
    dit = "model.diffusion_model."
    found: dict[str, tuple[int, ...]] = {
        f"{dit}x_embedder.proj.weight": (width, 16, 2, 2),
        f"{dit}context_embedder.weight": (width, 4096),
        "text_encoders.clip_l.transformer.text_model.encoder.layers.11.mlp.fc1.weight": (3072, 768),
        "text_encoders.t5xxl.transformer.encoder.block.23.layer.1.DenseReluDense.wi_1.weight": (10240, 4096),
        "first_stage_model.decoder.conv_in.weight": (512, 16, 3, 3),
    }
    for block in range(depth):
        found[f"{dit}joint_blocks.{block}.context_block.attn.qkv.weight"] = (3 * width, width)
        found[f"{dit}joint_blocks.{block}.x_block.attn.ln_q.weight"] = (64,)
    return found


def _sd35m(family: str) -> dict[str, tuple[int, ...]]:
    dit = "model.diffusion_model."
    more = {f"{dit}joint_blocks.{block}.x_block.attn2.qkv.weight": (4608, 1536) for block in range(13)}
    return {f"{dit}pos_embed": (1, 147456, 1536)} | _sd3(1536, 24) | more


def _sd35l(family: str) -> dict[str, tuple[int, ...]]:
    return {"model.diffusion_model.pos_embed": (1, 36864, 2432)} | _sd3(2432, 38)


def _double(depth: int, single: int, width: int) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}
    for block in range(depth):
        found[f"double_blocks.{block}.img_attn.norm.key_norm.scale"] = (128,)
        found[f"double_blocks.{block}.img_attn.qkv.weight"] = (3 * width, width)
    for block in range(single):
        found[f"single_blocks.{block}.norm.key_norm.scale"] = (128,)
    return found


def _flux(family: str) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {
        "img_in.weight": (3072, 384 if family == "flux-fill" else 64),
        "txt_in.weight": (3072, 4096),
        "vector_in.in_layer.weight": (3072, 768),
        **_double(19, 38, 3072),
    }
    return found | ({} if family == "flux-schnell" else {"guidance_in.in_layer.weight": (3072, 256)})


def _flux2(family: str) -> dict[str, tuple[int, ...]]:
    return _flux2_of(6144, 15360, 8, 48) | {"guidance_in.in_layer.weight": (6144, 256)}


def _klein(family: str) -> dict[str, tuple[int, ...]]:
    return _flux2_of(3072, 7680, 5, 20)


def _flux2_of(width: int, words: int, depth: int, single: int) -> dict[str, tuple[int, ...]]:
    return {
        "img_in.weight": (width, 128),
        "txt_in.weight": (width, words),
        "double_stream_modulation_img.lin.weight": (6 * width, width),
        "single_stream_modulation.lin.weight": (3 * width, width),
        **_double(depth, single, width),
    }


def _qwen(family: str) -> dict[str, tuple[int, ...]]:
    blocks = {f"transformer_blocks.{block}.attn.add_k_proj.weight": (3072, 3072) for block in range(60)}
    mods = {f"transformer_blocks.{block}.img_mod.1.weight": (18432, 3072) for block in range(60)}
    return {"txt_norm.weight": (3584,), "img_in.weight": (3072, 64), "txt_in.weight": (3072, 3584)} | blocks | mods


def _zimage(family: str) -> dict[str, tuple[int, ...]]:
    layers = {f"layers.{layer}.attention.qkv.weight": (11520, 3840) for layer in range(30)}
    return {
        "cap_embedder.0.weight": (2560,),
        "cap_embedder.1.weight": (3840, 2560),
        "cap_pad_token": (1, 3840),
        "noise_refiner.0.attention.k_norm.weight": (128,),
        **layers,
    }


def _chroma(family: str) -> dict[str, tuple[int, ...]]:
    return {
        "img_in.weight": (3072, 64),
        "txt_in.weight": (3072, 4096),
        "distilled_guidance_layer.norms.0.scale": (5120,),
        "distilled_guidance_layer.in_proj.bias": (5120,),
        **_double(19, 38, 3072),
    }


def _vae_shapes(family: str) -> Shapes:
    if family == "qwen-image":
        return {"decoder.conv1.weight": (384, 16, 3, 3, 3), "decoder.middle.0.residual.0.gamma": (384, 1, 1, 1)}
    channels = {"flux-dev": 16, "sd35": 16, "flux2-dev": 32}.get(family, 4)
    ends = {"decoder.conv_in.weight": (512, channels, 3, 3), "encoder.conv_in.weight": (128, 3, 3, 3)}
    return ends | {f"decoder.up.{place // 4}.block.{place % 4}.conv1.weight": (512, 512, 3, 3) for place in range(16)}


@cache
def _lora_shapes(family: str, light: bool, rank: int, words: bool) -> Shapes:
    modules = [row for row in _lora_modules(_architecture(family)) if words or not row[0].startswith("lora_te")]
    found: dict[str, tuple[int, ...]] = {}
    for name, wide, high in modules[:: max(1, len(modules) // 6)] if light else modules:
        found[f"{name}.lora_down.weight"] = (rank, wide)
        found[f"{name}.lora_up.weight"] = (high, rank)
        found[f"{name}.alpha"] = ()
    return found


def _lora_modules(architecture: str) -> Iterator[tuple[str, int, int]]:
    """Each layer that such a LoRA changes, with the sizes of what goes in and comes out."""
    if architecture in {"sd15", "sdxl"}:
        yield from _unet_modules(architecture)
    elif architecture == "flux":
        yield from _flux_modules()
    else:
        qwen = architecture == "qwen-image"
        depth, width, place = (60, 3072, "transformer_blocks") if qwen else (30, 3840, "diffusion_model.layers")
        parts = "attn.add_k_proj attn.add_q_proj attn.to_k attn.to_q img_mod.1" if qwen else _Z_IMAGE
        for block in range(depth):
            for part in parts.split():
                yield f"{place}.{block}.{part}", width, 6 * width if "mod" in part else width


_Z_IMAGE = "attention.to_q attention.to_k attention.to_v attention.to_out.0"


def _flux_modules() -> Iterator[tuple[str, int, int]]:
    for block in range(19):
        for part in ("img_attn_proj", "img_attn_qkv", "img_mlp_0", "img_mlp_2", "txt_attn_proj", "txt_attn_qkv"):
            yield f"lora_unet_double_blocks_{block}_{part}", 3072, 9216 if "qkv" in part else 3072
    for block in range(38):
        yield f"lora_unet_single_blocks_{block}_linear1", 3072, 21504
        yield f"lora_unet_single_blocks_{block}_linear2", 15360, 3072


def _unet_modules(architecture: str) -> Iterator[tuple[str, int, int]]:
    wide = 768 if architecture == "sd15" else 2048
    encoders = ("te",) if architecture == "sd15" else ("te1", "te2")
    for encoder in encoders:
        width, layers = (1280, 32) if encoder == "te2" else (768, 12)
        for layer in range(layers):
            for part in ("mlp_fc1", "mlp_fc2", "self_attn_k_proj", "self_attn_out_proj", "self_attn_q_proj"):
                yield f"lora_{encoder}_text_model_encoder_layers_{layer}_{part}", width, width
    old = [
        (f"{way}_blocks_{block}_attentions_{n}", 640, 1) for way in ("down", "up") for block in (1, 2) for n in (0, 1)
    ]
    new = [("input_blocks_4_1", 640, 2), ("input_blocks_5_1", 640, 2), ("input_blocks_7_1", 1280, 10)]
    new += [("input_blocks_8_1", 1280, 10), ("middle_block_1", 1280, 10)]
    new += [(f"output_blocks_{place}_1", 1280 if place < 3 else 640, 10 if place < 3 else 2) for place in range(6)]
    for place, width, depth in old if architecture == "sd15" else new:
        for block in range(depth):
            start = f"lora_unet_{place}_transformer_blocks_{block}"
            for part in ("attn1_to_q", "attn1_to_k", "attn1_to_v", "attn1_to_out_0", "attn2_to_q", "attn2_to_out_0"):
                yield f"{start}_{part}", width, width
            yield f"{start}_attn2_to_k", wide, width
            yield f"{start}_attn2_to_v", wide, width
            yield f"{start}_ff_net_0_proj", width, 8 * width
            yield f"{start}_ff_net_2", 4 * width, width


def header(tensors: Shapes, metadata: Mapping[str, str] | None = None, dtype: str = "F16") -> bytes:
    """The beginning of a safetensors file with these tensors, one after the other."""
    told: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    return framed(json.dumps(told)[1:-1], described(tensors, dtype))


def described(tensors: Shapes, dtype: str) -> str:
    described: dict[str, Any] = {}
    at = 0
    for name, shape in tensors.items():
        end = at + prod(shape) * BYTES[dtype]
        described[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, end]}
        at = end
    return json.dumps(described, separators=(",", ":"))[1:-1]


def framed(*members: str) -> bytes:
    body = f"{{{','.join(member for member in members if member)}}}".encode()
    body += b" " * (-len(body) % 8)
    return struct.pack("<Q", len(body)) + body


def write_weights(
    path: Path, tensors: Shapes, metadata: Mapping[str, str] | None = None, *, dtype: str = "F16"
) -> Path:
    """A file with that header, as long as it says; what it holds is a hole that takes no room."""
    path.parent.mkdir(parents=True, exist_ok=True)
    begin = header(tensors, metadata, dtype)
    with path.open("wb") as file:
        file.write(begin)
        file.truncate(len(begin) + data_bytes(tensors, dtype))
    return path
