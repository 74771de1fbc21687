"""The latent space between pictures and the UNet: 4 x 16 x 16, whatever the autoencoder's own picture size."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

LATENT_SIZE = 16


@torch.no_grad()
def encode(vae: Any, pictures: torch.Tensor) -> torch.Tensor:
    """Scaled latents of pictures in [-1, 1]; an autoencoder for smaller pictures sees them area-downsampled."""
    side = LATENT_SIZE * 2 ** (len(vae.config.encoder_block_out_channels) - 1)
    if pictures.shape[-1] != side:
        pictures = functional.avg_pool2d(pictures, pictures.shape[-1] // side)
    pictures = pictures.contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        return vae.encoder(pictures).float() * vae.config.scaling_factor
