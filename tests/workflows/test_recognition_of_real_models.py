"""Recognition against others' knowledge: the classes of diffusers and transformers, and diffusers' own recognition.

The models are built without memory for weights, at their makers' widths and, where they can be, with few blocks.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import pytest

from tests.workflows.header_cases import FLUX, STABLE_DIFFUSION, Case
from tests.workflows.header_cases_more import PICTURES, VIDEOS
from utils.safetensors_header import Header, Tensor
from workflows.recognition import Recognised, recognise

ONE: dict[str, Any] = {"num_layers": 1}
TWO: dict[str, Any] = {"num_layers": 1, "num_single_layers": 1}
XL: dict[str, Any] = {
    "cross_attention_dim": 2048,
    "block_out_channels": (320, 640, 1280),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}
XL_UP = {"up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D")}
KL: dict[str, Any] = {
    "block_out_channels": (128, 256, 512, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
}
LARGE: dict[str, Any] = {"num_layers": 38, "num_attention_heads": 38, "caption_projection_dim": 2432}
MEDIUM: dict[str, Any] = {"num_layers": 1, "num_attention_heads": 24, "caption_projection_dim": 1536}
MODEL, VAE, CONTROL = "diffusion_model", "vae", "controlnet"

OF_DIFFUSERS: list[tuple[str, dict[str, Any], str, str, str]] = [
    ("UNet2DConditionModel", {"cross_attention_dim": 768}, MODEL, "sd15", ""),
    ("UNet2DConditionModel", {"cross_attention_dim": 768, "in_channels": 9}, MODEL, "sd15", "inpaint"),
    ("UNet2DConditionModel", {"cross_attention_dim": 1024}, MODEL, "sd21", ""),
    ("UNet2DConditionModel", XL | XL_UP, MODEL, "sdxl", ""),
    ("UNetSpatioTemporalConditionModel", {}, MODEL, "svd", ""),
    ("SD3Transformer2DModel", MEDIUM, MODEL, "sd35", "medium"),
    ("SD3Transformer2DModel", MEDIUM | {"dual_attention_layers": (0,)}, MODEL, "sd35-medium", ""),
    ("SD3Transformer2DModel", LARGE, MODEL, "sd35-large", ""),
    ("FluxTransformer2DModel", TWO | {"guidance_embeds": True}, MODEL, "flux-dev", ""),
    ("FluxTransformer2DModel", TWO | {"guidance_embeds": True, "in_channels": 384}, MODEL, "flux-fill", ""),
    ("FluxTransformer2DModel", TWO | {"guidance_embeds": True, "in_channels": 128}, MODEL, "flux-control", ""),
    ("FluxTransformer2DModel", TWO, MODEL, "flux-schnell", ""),
    ("Flux2Transformer2DModel", TWO, MODEL, "flux2-dev", ""),
    ("Flux2Transformer2DModel", TWO | {"num_attention_heads": 24}, MODEL, "flux2-klein", ""),
    ("ChromaTransformer2DModel", TWO, MODEL, "chroma", ""),
    ("LongCatImageTransformer2DModel", TWO, MODEL, "longcat-image", ""),
    ("OvisImageTransformer2DModel", TWO, MODEL, "ovis-image", ""),
    ("QwenImageTransformer2DModel", ONE, MODEL, "qwen-image", ""),
    ("ZImageTransformer2DModel", {"n_layers": 1}, MODEL, "z-image-turbo", ""),
    ("Lumina2Transformer2DModel", ONE, MODEL, "lumina2", ""),
    ("AuraFlowTransformer2DModel", {"num_mmdit_layers": 1, "num_single_dit_layers": 1}, MODEL, "auraflow", ""),
    ("PixArtTransformer2DModel", ONE, MODEL, "pixart", "alpha"),
    ("SanaTransformer2DModel", ONE, MODEL, "sana", ""),
    ("Krea2Transformer2DModel", {}, MODEL, "krea2", ""),
    ("ErnieImageTransformer2DModel", {}, MODEL, "ernie-image", ""),
    ("WanTransformer3DModel", ONE, MODEL, "wan21-14b", "t2v"),
    ("LTXVideoTransformer3DModel", ONE, MODEL, "ltx-video", "2b"),
    ("LTX2VideoTransformer3DModel", ONE, MODEL, "ltx2", ""),
    ("HunyuanVideoTransformer3DModel", TWO, MODEL, "hunyuan-video", ""),
    ("HunyuanVideo15Transformer3DModel", ONE, MODEL, "hunyuan-video-15", ""),
    ("HunyuanImageTransformer2DModel", TWO, MODEL, "hunyuan-image", ""),
    ("CogVideoXTransformer3DModel", ONE, MODEL, "cogvideox", "t2v"),
    ("MochiTransformer3DModel", ONE, MODEL, "mochi", ""),
    ("AutoencoderKL", KL, VAE, "sd15", ""),
    ("AutoencoderKL", KL | {"latent_channels": 16}, VAE, "flux-dev", ""),
    ("AutoencoderKLFlux2", {}, VAE, "flux2-dev", ""),
    ("AutoencoderKLWan", {}, VAE, "wan21-14b", ""),
    ("AutoencoderKLQwenImage", {}, VAE, "wan21-14b", ""),
    ("AutoencoderKLLTXVideo", {}, VAE, "ltx-video", ""),
    ("AutoencoderKLHunyuanVideo", {}, VAE, "hunyuan-video", ""),
    ("AutoencoderKLCogVideoX", {}, VAE, "cogvideox", ""),
    ("AutoencoderKLMochi", {}, VAE, "mochi", ""),
    ("AutoencoderDC", {}, VAE, "sana", ""),
    ("AutoencoderTiny", {}, VAE, "sd15", "tiny"),
    ("ControlNetModel", {"cross_attention_dim": 768}, CONTROL, "sd15", ""),
    ("ControlNetModel", XL, CONTROL, "sdxl", ""),
    ("FluxControlNetModel", TWO, CONTROL, "flux-dev", ""),
    ("SD3ControlNetModel", ONE, CONTROL, "sd35", ""),
    ("QwenImageControlNetModel", ONE, CONTROL, "qwen-image", ""),
    ("MotionAdapter", {}, "other", "unknown", "animatediff"),
]


def of_class(library: str, name: str, make: Callable[[Any, Any], Any]) -> Recognised:
    """`make` builds it of its class and its library."""
    torch, found = importlib.import_module("torch"), importlib.import_module(library)
    if not hasattr(found, name):
        pytest.skip(f"this {library} has no {name}")
    with torch.device("meta"):
        model = make(getattr(found, name), found)
    tensors = {name: Tensor("F32", tuple(weight.shape)) for name, weight in model.state_dict().items()}
    return recognise(Header(tensors, {}, 0), "diffusion_pytorch_model.safetensors")


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize(("name", "settings", "kind", "family", "variant"), OF_DIFFUSERS)
def test_a_class_of_diffusers_is_recognised(
    name: str, settings: dict[str, Any], kind: str, family: str, variant: str
) -> None:
    found = of_class("diffusers", name, lambda model, _: model(**settings))
    assert (found.kind, found.family, found.variant, found.precision) == (kind, family, variant, "fp32")


GATED: dict[str, Any] = {"d_ff": 10240, "d_model": 4096, "num_heads": 64, "feed_forward_proj": "gated-gelu"}
CLIP_G: dict[str, Any] = {
    "num_attention_heads": 16,
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_hidden_layers": 32,
}
OF_TRANSFORMERS: list[tuple[str, str, dict[str, Any], str, str]] = [
    ("CLIPTextModel", "CLIPTextConfig", {"hidden_size": 768, "num_attention_heads": 12}, "text_encoder", "clip-l"),
    ("CLIPTextModelWithProjection", "CLIPTextConfig", CLIP_G, "text_encoder", "clip-g"),
    ("T5EncoderModel", "T5Config", GATED | {"num_layers": 24}, "text_encoder", "t5-xxl"),
    ("UMT5EncoderModel", "UMT5Config", GATED | {"vocab_size": 256384}, "text_encoder", "umt5-xxl"),
    ("Qwen3ForCausalLM", "Qwen3Config", {"hidden_size": 2560, "num_hidden_layers": 2}, "text_encoder", "qwen3-4b"),
    ("Gemma2Model", "Gemma2Config", {"num_hidden_layers": 2}, "text_encoder", "gemma2-2b"),
    ("CLIPVisionModelWithProjection", "CLIPVisionConfig", CLIP_G, "clip_vision", "clip-vit-h"),
    (
        "SiglipVisionModel",
        "SiglipVisionConfig",
        {"hidden_size": 1152, "num_hidden_layers": 27, "num_attention_heads": 16},
        "clip_vision",
        "siglip-so400m",
    ),
]


@pytest.mark.parametrize(("name", "config", "settings", "kind", "variant"), OF_TRANSFORMERS)
def test_an_encoder_of_transformers_is_recognised(
    name: str, config: str, settings: dict[str, Any], kind: str, variant: str
) -> None:
    found = of_class("transformers", name, lambda model, library: model(getattr(library, config)(**settings)))
    assert (found.kind, found.family, found.variant) == (kind, "unknown", variant)


SAME: dict[str, str] = {
    "xl_base": "sdxl",
    "xl_inpaint": "sdxl",
    "xl_refiner": "sdxl-refiner",
    "inpainting": "sd15",
    "instruct-pix2pix": "sd15",
    "playground-v2-5": "playground",
    "stable_cascade_stage_c": "stable-cascade",
    "sd3": "sd35",
    "sd35_medium": "sd35-medium",
    "sd35_large": "sd35-large",
    "flux-dev": "flux-dev",
    "flux-schnell": "flux-schnell",
    "flux-fill": "flux-fill",
    "flux-depth": "flux-control",
    "flux-2-dev": "flux2-dev",
    "flux-3-image-distilled": "flux3-klein",
    "chroma": "chroma",
    "qwen-image-2.1": "qwen-image-21",
    "krea2": "krea2",
    "wan-t2v-1.3B": "wan21-1.3b",
    "ltx-video": "ltx-video",
}
"""diffusers' word for a single file, and the family of ours."""
FINER = {
    "sdxl": {"pony", "illustrious", "noobai", "noobai-vpred", "sdxl-turbo", "sdxl-lightning", "ssd-1b"},
    "sd15": {"svd"},
    "sd35-large": {"sd35-turbo"},
    "flux-dev": {"flux-krea", "flux-kontext"},
    "flux-schnell": {"longcat-image", "ovis-image"},
    "flux2-dev": {"flux2-klein", "flux2-klein-base", "flux2-klein-9b", "flux2-klein-base-9b"},
    "chroma": {"chroma-radiance"},
}
"""Families that diffusers takes for their likest."""


@pytest.mark.parametrize("table", [STABLE_DIFFUSION, FLUX, PICTURES, VIDEOS])
def test_the_table_agrees_with_diffusers_recognition_of_single_files(table: dict[str, Case]) -> None:
    others: Any = importlib.import_module("diffusers.loaders.single_file_utils")
    compared = 0
    for label, case in table.items():
        word: str = others.infer_diffusers_model_type(case.header.tensors)
        if word in SAME:
            compared += 1
            assert case.is_["family"] in {SAME[word], *FINER.get(SAME[word], ())}, (label, word)
    assert compared >= 2
