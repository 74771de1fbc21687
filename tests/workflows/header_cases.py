"""Weight files of every kind by their headers, and what each one is: the table that recognition is held to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.workflows import headers as made
from tests.workflows.headers import LDM, Shapes, Types, under, whole
from utils.safetensors_header import Header


@dataclass(frozen=True, kw_only=True)
class Case:
    """A header, the file's name, and what it is; `is_` leaves out what most have (see `EXPECTED`)."""

    shapes: Shapes
    name: str = "file"
    dtype: str = "F16"
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    types: Types = field(default_factory=dict[str, str])
    is_: Mapping[str, Any]
    weights: int | None = None
    """Number of weights; None: one for each number in the file."""

    @property
    def header(self) -> Header:
        return made.header(self.shapes, self.dtype, self.metadata, self.types)


EXPECTED: Mapping[str, Any] = {"parts": (), "precision": "fp16", "guessed": False, "told_by": "header"}


def bare(family: str, shapes: Shapes, variant: str = "", name: str = "file", **more: Any) -> Case:
    """A denoiser alone."""
    told: dict[str, Any] = {"kind": "diffusion_model", "family": family, "parts": ("model",), "variant": variant}
    given = {key: more.pop(key) for key in ("dtype", "metadata", "types", "weights") if key in more}
    return Case(shapes=shapes, name=name, is_=told | more, **given)


def checkpoint(family: str, shapes: Shapes, variant: str = "", name: str = "file", **more: Any) -> Case:
    return bare(
        family, shapes, variant, name, **{"kind": "checkpoint", "parts": ("model", "text_encoder", "vae")} | more
    )


def other(kind: str, family: str, shapes: Shapes, variant: str = "", name: str = "file", **more: Any) -> Case:
    return bare(family, shapes, variant, name, **{"kind": kind, "parts": ()} | more)


def lora(family: str, shapes: Shapes, adapter: str = "lora", name: str = "file", **more: Any) -> Case:
    return other("lora", family, shapes, name=name, adapter=adapter, **more)


NAMED: Mapping[str, Any] = {"guessed": True, "told_by": "name"}
TOLD: Mapping[str, Any] = {"told_by": "metadata"}
GUESS: Mapping[str, Any] = {"guessed": True}
SDXL = whole(made.sdxl_unet(), *made.SDXL_PARTS)
XL = {"modelspec.architecture": "stable-diffusion-xl-v1-base"}

STABLE_DIFFUSION = {
    "sd15": checkpoint("sd15", whole(made.sd15_unet(), *made.SD15_PARTS)),
    "sd15, an anime model by its name": checkpoint(
        "sd15-anime", whole(made.sd15_unet(), *made.SD15_PARTS), name="Counterfeit-V3.0", **NAMED
    ),
    "sd15 whose name says SDXL": checkpoint("sd15", whole(made.sd15_unet(), *made.SD15_PARTS), name="sdxl_mix"),
    "sd15 without its VAE": checkpoint(
        "sd15", whole(made.sd15_unet(), made.SD15_PARTS[0]), parts=("model", "text_encoder")
    ),
    "sd15, the UNet alone": bare("sd15", whole(made.sd15_unet())),
    "sd15 inpaint": checkpoint("sd15", whole(made.sd15_unet(9), *made.SD15_PARTS), "inpaint"),
    "sd15 instruct-pix2pix": checkpoint("sd15", whole(made.sd15_unet(8), *made.SD15_PARTS), "ip2p"),
    "sd15 of diffusers": bare("sd15", made.unet_of_diffusers(768)),
    "sd21": checkpoint("sd21", whole(made.sd15_unet(context=1024), *made.SD21_PARTS)),
    "sd21 768, v-prediction by its metadata": checkpoint(
        "sd21",
        whole(made.sd15_unet(context=1024), *made.SD21_PARTS),
        "v-prediction",
        metadata={"modelspec.architecture": "stable-diffusion-v2-768-v"},
    ),
    "sd21 depth": checkpoint("sd21", whole(made.sd15_unet(5, 1024), *made.SD21_PARTS), "depth"),
    "lotus, which measures depths": bare(
        "sd21", made.sd15_unet(context=1024) | {"label_emb.0.0.weight": (1280, 4)}, "lotus depth"
    ),
    "zero123, which turns things around": checkpoint(
        "sd15", whole(made.sd15_unet(8), *made.SD15_PARTS) | {"cc_projection.weight": (768, 772)}, "zero123"
    ),
    "sd21 of diffusers": bare("sd21", made.unet_of_diffusers(1024)),
    "sdxl": checkpoint("sdxl", SDXL),
    "sdxl in fp32 with a half VAE": checkpoint(
        "sdxl", SDXL, dtype="F32", types={"coder.conv_in.weight": "F16"}, precision="fp32"
    ),
    "sdxl inpaint": checkpoint("sdxl", whole(made.sdxl_unet(9), *made.SDXL_PARTS), "inpaint"),
    "sdxl of diffusers": bare("sdxl", made.unet_of_diffusers(2048, 2816)),
    "pony by its name": checkpoint("pony", SDXL, name="ponyDiffusionV6XL", **NAMED),
    "pony by its title": checkpoint("pony", SDXL, metadata=XL | {"modelspec.title": "Pony Diffusion V6"}, **TOLD),
    "illustrious by its name": checkpoint("illustrious", SDXL, name="waiNSFWIllustrious_v140", **NAMED),
    "illustrious by its title, whatever the name says": checkpoint(
        "illustrious", SDXL, name="pony_mix", metadata=XL | {"modelspec.title": "Illustrious-XL-v2"}, **TOLD
    ),
    "noobai by its name": checkpoint("noobai", SDXL, name="noobaiXLNAIXL_epsilonPred11", **NAMED),
    "noobai v-pred by its key": checkpoint("noobai-vpred", SDXL | {"v_pred": (1,), "ztsnr": (1,)}, "v-prediction"),
    "sdxl v-pred by its metadata": checkpoint(
        "noobai-vpred", SDXL, "v-prediction", metadata=XL | {"modelspec.prediction_type": "v"}, **TOLD
    ),
    "sdxl lightning by its name": checkpoint("sdxl-lightning", SDXL, name="sdxl_lightning_4step", **NAMED),
    "sdxl turbo by its name": checkpoint("sdxl-turbo", SDXL, name="sd_xl_turbo_1.0_fp16", **NAMED),
    "sdxl refiner": checkpoint(
        "sdxl-refiner",
        whole(
            made.sdxl_unet(label=2560, context=1280, deep=4),
            {"conditioner.embedders.0.model.transformer.resblocks.9.mlp.c_proj.bias": (1280,)},
            made.SDXL_PARTS[1],
        ),
    ),
    "ssd-1b": checkpoint("ssd-1b", whole(made.sdxl_unet(deep=4), *made.SDXL_PARTS), "ssd-1b"),
    "vega": checkpoint("ssd-1b", whole(made.sdxl_unet(deep=2), *made.SDXL_PARTS), "vega"),
    "playground v2.5": checkpoint("playground", SDXL | {"edm_mean": (4,), "edm_std": (4,)}),
    "stable video diffusion": checkpoint(
        "svd",
        whole(
            made.sdxl_unet(8, label=768, context=1024)
            | {"input_blocks.1.1.time_stack.0.attn2.to_k.weight": (320, 1024)},
            under("conditioner.", made.OPENCLIP),
            under("first_stage_model.", made.SD_VAE),
        ),
    ),
    "stable cascade, stage c": bare("stable-cascade", {"clip_txt_mapper.weight": (2048, 1280)}, "stage c"),
    "stable cascade, stage b": bare(
        "stable-cascade", {"clip_mapper.weight": (1280, 1280), "clf.1.weight": (16, 320, 1, 1)}, "stage b"
    ),
    "sd3 medium": bare("sd35", made.sd3(24), "medium"),
    "sd3.5 medium": bare("sd35-medium", made.sd3(24, double=True)),
    "sd3.5 large": bare("sd35-large", made.sd3(38, large=True)),
    "sd3.5 large, all in one, in fp8": checkpoint(
        "sd35-large",
        whole(
            made.sd3(38, large=True),
            under("text_encoders.clip_l.transformer.", made.CLIP_L),
            under("first_stage_model.", {"decoder.conv_in.weight": (512, 16, 3, 3)}),
        ),
        dtype="F16",
        types={"qkv.weight": "F8_E4M3", "fc1.weight": "F8_E4M3", "pos_embed": "F8_E4M3"},
        precision="fp8",
    ),
    "sd3.5 large turbo by its name": bare("sd35-turbo", made.sd3(38, large=True), name="sd3.5_large_turbo", **NAMED),
}

FLUX = {
    "flux dev": bare("flux-dev", made.flux(), name="flux1-dev", dtype="BF16", precision="bf16"),
    "flux dev with its norms as weights": bare("flux-dev", made.flux(norm="weight")),
    "flux dev under the prefix of a checkpoint": bare("flux-dev", under(LDM, made.flux())),
    "flux dev in fp8 with a larger encoder in fp16": checkpoint(
        "flux-dev",
        whole(
            made.flux(),
            under("text_encoders.t5xxl.transformer.", made.t5(32128, 4096)),
            under("vae.", {"decoder.conv_in.weight": (512, 16, 3, 3)}),
        ),
        dtype="F8_E4M3",
        types={"shared.weight": "F16", "wi_1.weight": "F16"},
        precision="fp8",
    ),
    "flux schnell": bare("flux-schnell", made.flux(guidance=False)),
    "flux schnell whose name says dev": bare("flux-schnell", made.flux(guidance=False), name="flux1-dev"),
    "flux fill": bare("flux-fill", made.flux(384)),
    "flux fill whose name says nothing of it": bare("flux-fill", made.flux(384), name="flux1-kontext-dev"),
    "flux canny": bare("flux-control", made.flux(128), name="flux1-canny-dev"),
    "flux kontext by its name": bare("flux-kontext", made.flux(), name="flux1-dev-kontext_fp8_scaled", **NAMED),
    "flux krea by its metadata": bare(
        "flux-krea", made.flux(), metadata={"modelspec.architecture": "flux-1-krea"}, **TOLD
    ),
    "flux in nf4": bare(
        "flux-dev",
        made.flux()
        | {
            "double_blocks.18.img_attn.qkv.weight": (9216 * 3072 // 2, 1),
            "double_blocks.18.img_attn.qkv.weight.quant_state.bitsandbytes__nf4": (80,),
            "single_blocks.37.linear1.weight": (21504 * 3072 // 2, 1),
        },
        types={"qkv.weight": "U8", "linear1.weight": "U8", "nf4": "U8"},
        precision="nf4",
        weights=9216 * 3072 + 2 * 80 + 21504 * 3072 + 3072 * (64 + 4096 + 768 + 256 + 1) + 128,
    ),
    "flux of diffusers": bare(
        "flux-dev",
        {
            "x_embedder.weight": (3072, 64),
            "transformer_blocks.0.attn.norm_added_k.weight": (128,),
            "single_transformer_blocks.0.attn.norm_k.weight": (128,),
            "time_text_embed.guidance_embedder.linear_1.weight": (3072, 256),
        },
    ),
    "flux by nunchaku": bare(
        "flux-dev",
        {
            "x_embedder.weight": (3072, 64),
            "single_transformer_blocks.0.mlp_fc1.qweight": (12288, 1536),
            "single_transformer_blocks.0.mlp_fc1.wscales": (48, 12288),
            "single_transformer_blocks.0.mlp_fc1.lora_down": (3072, 32),
            "time_text_embed.guidance_embedder.linear_1.weight": (3072, 256),
        },
        dtype="BF16",
        types={"qweight": "I8"},
        precision="int4",
        weights=12288 * 3072 + 48 * 12288 + 3072 * (64 + 32 + 256),
    ),
    "flux.2 dev": bare("flux2-dev", made.flux2(6144)),
    "flux.2 klein 9b, base or not": bare("flux2-klein-9b", made.flux2(4096), **GUESS),
    "flux.2 klein 9b base": bare("flux2-klein-base-9b", made.flux2(4096), name="flux-2-klein-base-9b", **NAMED),
    "flux.2 klein 4b base": bare("flux2-klein-base", made.flux2(3072), name="flux-2-klein-base-4b", **NAMED),
    "flux.3 klein, distilled": bare(
        "flux3-klein",
        {"early_stream_modulations.image.lin.weight": (100, 10), "ref_time_in.in_layer.weight": (10, 256)},
        "distilled",
    ),
    "chroma": bare(
        "chroma",
        {"distilled_guidance_layer.in_proj.bias": (5120,)} | made.flux(guidance=False),
        name="flux_chroma",
    ),
    "chroma radiance": bare(
        "chroma-radiance",
        {"distilled_guidance_layer.in_proj.bias": (5120,), "nerf_blocks.0.norm.scale": (64,)},
    ),
    "longcat-image": bare(
        "longcat-image",
        {
            "txt_in.weight": (3072, 3584),
            "img_in.weight": (3072, 64),
            "double_blocks.0.img_attn.norm.key_norm.scale": (128,),
        },
    ),
    "ovis-image": bare(
        "ovis-image",
        made.flux(guidance=False) | {"double_blocks.0.img_mlp.gate_proj.weight": (100, 10), "txt_norm.weight": (2048,)},
    ),
}
