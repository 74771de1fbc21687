"""Headers of weight files as their makers write them: names, types and shapes of tensors, and no weights.

Only the tensors that tell something are there, and some of those that could mislead.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from math import prod

from utils.safetensors_header import Header, Tensor

BYTES = {"F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E8M0": 1, "U8": 1, "I8": 1, "I64": 8}
Shapes = Mapping[str, Sequence[int]]
Made = dict[str, Sequence[int]]
LDM = "model.diffusion_model."


Types = Mapping[str, str]


def header(
    shapes: Shapes, dtype: str = "F16", metadata: Mapping[str, str] | None = None, types: Types | None = None
) -> Header:
    """`types`: the type of those tensors whose name ends so, where it is not `dtype`."""
    tensors = {name: Tensor(_type(name, types or {}, dtype), tuple(shape)) for name, shape in shapes.items()}
    data = sum(BYTES[tensor.dtype] * prod(tensor.shape) for tensor in tensors.values())
    return Header(tensors, dict(metadata or {}), data)


def file_bytes(made: Header) -> bytes:
    """The header as a file begins; the weights that would follow are left out."""
    entries: dict[str, object] = {"__metadata__": dict(made.metadata)} if made.metadata else {}
    end = 0
    for name, tensor in made.tensors.items():
        start, end = end, end + BYTES[tensor.dtype] * prod(tensor.shape)
        entries[name] = {"dtype": tensor.dtype, "shape": list(tensor.shape), "data_offsets": [start, end]}
    text = json.dumps(entries).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text


def _type(name: str, types: Mapping[str, str], dtype: str) -> str:
    return next((other for ending, other in types.items() if name.endswith(ending)), dtype)


def under(prefix: str, shapes: Shapes) -> Made:
    return {prefix + name: shape for name, shape in shapes.items()}


# ------------------------------------------------------------------ Stable Diffusion


def sd15_unet(channels: int = 4, context: int = 768) -> Made:
    return {
        "input_blocks.0.0.weight": (320, channels, 3, 3),
        "input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight": (320, 320),
        "input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": (320, context),
        "output_blocks.11.0.skip_connection.weight": (320, 640, 1, 1),
        "out.2.weight": (4, 320, 3, 3),
    }


def sdxl_unet(channels: int = 4, label: int = 2816, context: int = 2048, deep: int = 10) -> Made:
    blocks = {f"input_blocks.7.1.transformer_blocks.{n}.attn2.to_k.weight": (1280, context) for n in range(deep)}
    return {
        "input_blocks.0.0.weight": (320, channels, 3, 3),
        "input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight": (640, context),
        **blocks,
        "label_emb.0.0.weight": (1280, label),
        "out.2.weight": (4, 320, 3, 3),
    }


SD_VAE: Made = {"encoder.conv_in.weight": (128, 3, 3, 3), "decoder.conv_in.weight": (512, 4, 3, 3)}
CLIP_L: Made = {
    "text_model.embeddings.token_embedding.weight": (49408, 768),
    "text_model.embeddings.position_embedding.weight": (77, 768),
    "text_model.encoder.layers.0.mlp.fc1.weight": (3072, 768),
    "text_model.encoder.layers.11.mlp.fc1.weight": (3072, 768),
}
OPENCLIP: Made = {
    "model.token_embedding.weight": (49408, 1024),
    "model.transformer.resblocks.0.ln_1.weight": (1024,),
}
SDXL_ENCODERS: Made = {
    **under("conditioner.embedders.0.transformer.", CLIP_L),
    "conditioner.embedders.1.model.transformer.resblocks.9.mlp.c_proj.bias": (1280,),
}


def whole(unet: Shapes, *parts: Shapes) -> Made:
    """A checkpoint of the original layout."""
    return {name: shape for piece in (under(LDM, unet), *parts) for name, shape in piece.items()}


SD15_PARTS = (under("cond_stage_model.transformer.", CLIP_L), under("first_stage_model.", SD_VAE))
SD21_PARTS = (under("cond_stage_model.", OPENCLIP), under("first_stage_model.", SD_VAE))
SDXL_PARTS = (SDXL_ENCODERS, under("first_stage_model.", SD_VAE))


def unet_of_diffusers(context: int, label: int | None = None, channels: int = 4) -> Made:
    first = 1 if label else 0
    return {
        "conv_in.weight": (320, channels, 3, 3),
        "down_blocks.0.resnets.0.conv1.weight": (320, 320, 3, 3),
        f"down_blocks.{first}.attentions.0.transformer_blocks.0.attn2.to_k.weight": (320, context),
        "mid_block.resnets.0.conv1.weight": (1280, 1280, 3, 3),
        **({"add_embedding.linear_1.weight": (1280, label)} if label else {}),
    }


# ------------------------------------------------------------------ transformers


def sd3(depth: int, double: bool = False, large: bool = False) -> Made:
    width = 64 * depth
    return {
        "pos_embed": (1, 147456 if double or large else 36864, width),
        "x_embedder.proj.weight": (width, 16, 2, 2),
        "joint_blocks.0.context_block.attn.qkv.weight": (3 * width, width),
        "joint_blocks.0.context_block.adaLN_modulation.1.bias": (6 * width,),
        f"joint_blocks.{depth - 1}.x_block.mlp.fc1.weight": (4 * width, width),
        **({"joint_blocks.0.x_block.attn2.qkv.weight": (3 * width, width)} if double else {}),
        **({"joint_blocks.0.x_block.attn.ln_q.weight": (64,)} if double or large else {}),
    }


def flux(channels: int = 64, guidance: bool = True, norm: str = "scale") -> Made:
    return {
        "img_in.weight": (3072, channels),
        "txt_in.weight": (3072, 4096),
        "vector_in.in_layer.weight": (3072, 768),
        f"double_blocks.0.img_attn.norm.key_norm.{norm}": (128,),
        "double_blocks.18.img_attn.qkv.weight": (9216, 3072),
        "single_blocks.37.linear1.weight": (21504, 3072),
        **({"guidance_in.in_layer.weight": (3072, 256), "guidance_in.in_layer.bias": (3072,)} if guidance else {}),
    }


def flux2(width: int) -> Made:
    return {
        "img_in.weight": (width, 128),
        "double_blocks.0.img_attn.norm.key_norm.scale": (128,),
        "double_stream_modulation_img.lin.weight": (6 * width, width),
        "single_stream_modulation.lin.weight": (3 * width, width),
    }


def hunyuan(first: Sequence[int], *more: tuple[str, Sequence[int]]) -> Made:
    return {
        "img_in.proj.weight": first,
        "txt_in.individual_token_refiner.blocks.0.norm1.weight": (first[0],),
        "double_blocks.0.img_attn.norm.key_norm.weight": (128,),
        **dict(more),
    }


def qwen(*more: tuple[str, Sequence[int]]) -> Made:
    return {
        "img_in.weight": (3072, 64),
        "txt_norm.weight": (3584,),
        "transformer_blocks.0.attn.add_k_proj.weight": (3072, 3072),
        "transformer_blocks.59.img_mlp.net.0.proj.weight": (12288, 3072),
        **dict(more),
    }


def lumina(width: int, *more: tuple[str, Sequence[int]]) -> Made:
    return {
        "cap_embedder.1.weight": (width, 2560),
        "noise_refiner.0.attention.k_norm.weight": (128,),
        "layers.0.attention.qkv.weight": (3 * width, width),
        **dict(more),
    }


def wan(width: int, channels: int, *more: tuple[str, Sequence[int]]) -> Made:
    return {
        "patch_embedding.weight": (width, channels, 1, 2, 2),
        "head.modulation": (1, 2, width),
        "blocks.0.self_attn.q.weight": (width, width),
        **dict(more),
    }


def ltx(layers: int, *more: tuple[str, Sequence[int]]) -> Made:
    return {
        "patchify_proj.weight": (2048 if layers == 28 else 4096, 128),
        "adaln_single.emb.timestep_embedder.linear_1.bias": (2048,),
        "transformer_blocks.0.attn2.to_k.weight": (2048, 2048),
        f"transformer_blocks.{layers - 1}.scale_shift_table": (6, 2048),
        **dict(more),
    }


def layered(hidden: int, layers: int, start: str = "model.") -> Made:
    """A language model."""
    return {
        f"{start}embed_tokens.weight": (1000, hidden),
        **{f"{start}layers.{n}.post_attention_layernorm.weight": (hidden,) for n in range(layers)},
    }


def t5(vocabulary: int, wide: int, layers: int = 24) -> Made:
    last = f"encoder.block.{layers - 1}.layer.1.DenseReluDense.wi_1.weight"
    return {
        "shared.weight": (vocabulary, wide),
        "encoder.block.0.layer.0.SelfAttention.k.weight": (wide, wide),
        last: (wide * 5 // 2, wide),
    }


# ------------------------------------------------------------------ LoRAs and their kin


def kohya(layers: Iterable[tuple[str, int, int]], start: str = "lora_unet_", rank: int = 16) -> Made:
    """Layers by name, width in and width out."""
    found: Made = {}
    for name, wide, out in layers:
        found |= {f"{start}{name}.alpha": ()}
        found |= {f"{start}{name}.lora_down.weight": (rank, wide), f"{start}{name}.lora_up.weight": (out, rank)}
    return found


def peft(layers: Iterable[tuple[str, int, int]], start: str = "transformer.", rank: int = 16) -> Made:
    found: Made = {}
    for name, wide, out in layers:
        found |= {f"{start}{name}.lora_A.weight": (rank, wide), f"{start}{name}.lora_B.weight": (out, rank)}
    return found


def loha(layers: Iterable[tuple[str, int, int]], start: str = "lora_unet_", rank: int = 8) -> Made:
    found: Made = {}
    for name, wide, out in layers:
        for half in ("w1", "w2"):
            found |= {f"{start}{name}.hada_{half}_a": (out, rank), f"{start}{name}.hada_{half}_b": (rank, wide)}
    return found


def lokr(layers: Iterable[tuple[str, int, int]], start: str = "lycoris_", factor: int = 8) -> Made:
    found: Made = {}
    for name, wide, out in layers:
        found |= {f"{start}{name}.lokr_w1": (factor, factor)}
        found |= {f"{start}{name}.lokr_w2_a": (out // factor, 4), f"{start}{name}.lokr_w2_b": (4, wide // factor)}
    return found


SDXL_LAYERS = [
    ("input_blocks_4_1_transformer_blocks_0_attn1_to_q", 640, 640),
    ("input_blocks_4_1_transformer_blocks_0_attn2_to_k", 2048, 640),
    ("input_blocks_4_1_transformer_blocks_0_attn2_to_q", 640, 640),
]
SD15_LAYERS = [
    ("down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q", 320, 320),
    ("down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k", 768, 320),
]
