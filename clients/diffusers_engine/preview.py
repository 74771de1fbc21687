"""What a render looks like half-way: latents as a small picture, without running the decoder."""

from __future__ import annotations

import io
from typing import Any

from workflows.types import Media

EDGE = 96
"""Pixels of a preview's longer edge, at most."""
_GRID = 8
_PATCH = 2


class LatentColours:
    """A linear map from latent channels to red, green and blue, fitted once to the model's own decoder.

    One decode of random flat patches and a least-squares fit; good for colours and layout, blind to detail.
    """

    def __init__(self, vae: Any) -> None:
        import torch

        channels = int(vae.config.latent_channels)
        chance = torch.Generator("cpu").manual_seed(0)
        patches = torch.randn(1, channels, _GRID, _GRID, generator=chance)
        latents = patches.repeat_interleave(_PATCH, 2).repeat_interleave(_PATCH, 3)
        scale, shift = vae.config.scaling_factor, getattr(vae.config, "shift_factor", None) or 0.0
        with torch.no_grad():
            decoded = vae.decode((latents / scale + shift).to(vae.device, vae.dtype), return_dict=False)[0]
        seen = torch.nn.functional.adaptive_avg_pool2d(decoded.float().cpu(), _GRID)[0].flatten(1).T
        known = torch.cat([patches[0].flatten(1).T, torch.ones(_GRID * _GRID, 1)], dim=1)
        self._map: Any = torch.linalg.lstsq(known, seen).solution

    def preview(self, latents: Any) -> Media | None:
        """A JPEG of the first picture's latents (n x channels x height x width); None for latents of another form."""
        import torch
        from PIL import Image

        if latents.dim() != 4 or latents.shape[1] + 1 != len(self._map):
            return None
        one = latents[0].detach().float().cpu()
        flat = one.flatten(1).T @ self._map[:-1] + self._map[-1]
        pixels = ((flat.clamp(-1, 1) + 1) * 127.5).nan_to_num(0.0).to(torch.uint8).reshape(*one.shape[1:], 3)
        picture = Image.fromarray(pixels.numpy())
        scale = EDGE / max(picture.size)
        small = picture.resize([max(1, round(edge * scale)) for edge in picture.size], Image.Resampling.BILINEAR)
        buffer = io.BytesIO()
        small.save(buffer, "JPEG", quality=80)
        return Media(data=buffer.getvalue(), media_type="image/jpeg")
