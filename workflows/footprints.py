"""What a model family takes of a memory, as numbers: they weigh, `workflows.memory` decides. No file is opened here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

GB = 10**9
"""Bytes of a gigabyte, decimal, as drives and this project count."""
GIB = 2**30
MIB = 2**20
KL_DECODE = 2178 * 64
"""Numbers that AutoencoderKL holds for each latent cell while it decodes, by ComfyUI's own estimate (comfy/sd.py)."""


@dataclass(frozen=True, kw_only=True)
class Footprint:
    """Sizes in bytes as the usual files have them; `factor` and `decode` are ComfyUI's own estimates."""

    factor: float
    """memory_usage_factor of comfy/supported_models.py: MiB of sampling by latent cell, number size and 0.01."""
    model: int = 0
    text_encoder: int = 0
    """All encoders together, as files that ComfyUI's own templates name."""
    vae: int = 0
    scale: int = 8
    """Pixels of an edge by latent cell."""
    frames: int = 1
    """Pictures of a video by latent frame; 1: it draws pictures."""
    decode: int = KL_DECODE
    """Numbers for each latent cell while decoding (memory_used_decode of comfy/sd.py)."""
    decodes_whole: bool = False
    """A video is decoded in one piece; else it comes in chunks and its length does not count."""
    experts: int = 1
    """Models that take turns in one render, each of the file's size."""
    pairs: bool = True
    """diffusers draws prompt and negative together; its pipelines of the others call the model twice (0.42)."""
    transformer: bool = True
    """Blocks all alike, which can be moved one by one and kept in eight bits; else a UNet."""


def _made(factor: float, model: float, text_encoder: float, vae: float, **more: int) -> Footprint:
    """Sizes in decimal gigabytes."""
    sizes = [round(size * GB) for size in (model, text_encoder, vae)]
    return replace(Footprint(factor=factor, model=sizes[0], text_encoder=sizes[1], vae=sizes[2]), **more)


UNKNOWN = _made(2.0, 6.9, 0.0, 0.17)
"""2.0 is ComfyUI's factor for what says nothing of itself."""
WAN = _made(2.3, 28.6, 6.74, 0.25, frames=4, decode=7000 * 64, pairs=False)

FOOTPRINTS: Mapping[str, Footprint] = {
    "sd15": replace(_made(1.0, 1.72, 0.25, 0.17), transformer=False),
    "sd21": replace(_made(1.0, 1.73, 0.68, 0.17), transformer=False),
    "sdxl": replace(_made(0.8, 5.14, 1.64, 0.17), transformer=False),
    "sdxl-refiner": replace(_made(1.0, 4.54, 1.39, 0.17), transformer=False),
    "ssd-1b": replace(_made(0.8, 2.66, 1.64, 0.17), transformer=False),
    "svd": replace(_made(2.0, 3.05, 1.26, 0.2, decodes_whole=True), transformer=False),
    "sd35": _made(1.2, 16.3, 11.4, 0.17),
    "sd35-medium": _made(1.2, 5.1, 11.4, 0.17),
    "pixart": _made(0.5, 1.22, 9.8, 0.17),
    "hunyuan-dit": _made(1.3, 3.0, 4.0, 0.17),
    "auraflow": _made(2.0, 13.7, 2.5, 0.17),
    "flux": _made(3.1, 23.8, 10.0, 0.17),
    "flux2": _made(29.3, 64.4, 18.0, 0.34, scale=16, decode=4 * KL_DECODE),
    "flux2-klein": _made(14.6, 7.75, 8.05, 0.34, scale=16, decode=4 * KL_DECODE, pairs=False),
    "flux2-klein-9b": _made(19.5, 18.2, 8.7, 0.34, scale=16, decode=4 * KL_DECODE, pairs=False),
    "longcat-image": _made(3.1, 12.6, 9.35, 0.17),
    "qwen-image": _made(1.8, 40.9, 9.35, 0.25, decode=2200 * 64, pairs=False),
    "qwen-image-21": _made(6.0, 14.3, 9.35, 0.69, decode=2200 * 64),
    "z-image": _made(2.8, 12.3, 8.05, 0.17),
    "chroma": _made(3.2, 17.8, 5.15, 0.17),
    "chroma-radiance": _made(0.038, 17.8, 5.15, 0.0, scale=1, decode=0),
    "hidream": _made(2.0, 34.2, 15.9, 0.17),
    "lumina2": _made(1.4, 5.2, 5.2, 0.17),
    "newbie": _made(1.4, 7.0, 8.8, 0.17),
    "krea2": _made(2.2, 13.1, 5.3, 0.25, decode=2200 * 64),
    "anima": _made(0.95, 4.2, 1.2, 0.25, decode=2200 * 64),
    "cosmos": _made(0.95, 4.2, 9.8, 0.25, decode=2200 * 64),
    "omnigen2": _made(1.95, 7.9, 7.5, 0.17),
    "ernie-image": _made(10.0, 16.0, 8.0, 0.34),
    "ideogram4": _made(11.6, 18.5, 10.6, 0.34, experts=2),
    "lens": _made(4.0, 16.0, 8.0, 0.34),
    "mage-flow": _made(6.5, 8.0, 8.0, 0.34),
    "kandinsky5": _made(1.25, 12.0, 16.6, 0.17),
    "wan": WAN,
    "wan21-1.3b": replace(WAN, factor=0.69, model=round(2.84 * GB)),
    "wan22-5b": replace(WAN, factor=1.38, model=10 * GB, vae=round(1.41 * GB), scale=16, decode=8000 * 256),
    "wan22-14b": replace(WAN, experts=2, model=2 * WAN.model),
    "ltx": replace(_made(5.5, 27.0, 9.8, 1.5, scale=32, frames=8, decode=900 * 512), decodes_whole=True),
    "hunyuan-video": replace(_made(1.8, 25.6, 9.6, 0.49, frames=4, decode=1500 * 256), decodes_whole=True),
    "hunyuan-video-15": _made(4.0, 16.6, 9.35, 2.5, scale=16, frames=4, decode=4 * 2800 * 256, pairs=False),
    "hunyuan-image": _made(8.7, 34.9, 9.35, 0.81, scale=32, decode=700 * 1024),
    "minimax-h3": _made(0.17, 20.9, 15.7, 2.8, frames=4),
    "mochi": replace(_made(2.0, 20.0, 9.8, 0.92, frames=6, decode=1000 * 384), decodes_whole=True),
    "cogvideox": replace(_made(2.0, 11.1, 9.8, 0.43, frames=4), decodes_whole=True),
}
"""By family, or by what the names of a family's members begin with.

`factor` and `decode`: Comfy-Org/ComfyUI comfy/supported_models.py and comfy/sd.py, 2.0 where they say nothing. Sizes:
the files that ComfyUI's templates name (FLUX.1 bf16 22.2 GiB and its T5 9.1, Qwen-Image's encoder in fp8 8.7, Wan's
6.3, Z-Image 11.5 and its encoder 7.5), and else parameters times two bytes (0.86, 2.57 and 8.1 billion for the Stable
Diffusions). They count where a file's own size is not known.
"""
LIKE: Mapping[str, str] = {
    "pony-v7": "auraflow",
    "pony": "sdxl",
    "illustrious": "sdxl",
    "noobai": "sdxl",
    "playground": "sdxl",
    "sd3": "sd35-medium",
    "flux3": "flux2-klein",
    "flux2-klein-base-9b": "flux2-klein-9b",
    "ovis-image": "longcat-image",
    "boogu": "omnigen2",
}
"""Other beginnings of names, and what they weigh like."""


@lru_cache(maxsize=256)
def footprint(family: str) -> Footprint:
    """Of the family of that name, else of the longest beginning of it that is known, else cautious ones."""
    name = family.lower()
    known = sorted((*FOOTPRINTS, *LIKE), key=len, reverse=True)
    start = next((beginning for beginning in known if name.startswith(beginning)), "")
    return FOOTPRINTS.get(LIKE.get(start, start), UNKNOWN)
