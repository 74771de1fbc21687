"""How a picture looks: as the demo model's own decoder draws it, or damaged on purpose."""

from __future__ import annotations

import importlib
import io
import random
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from PIL import Image as Pictures
from world import DEMO

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Image = NDArray[np.uint8]

SEARCH_STEPS, FIRST_RATE, LAST_RATE = 12, 0.3, 0.05
"""Of the search for latents: with 12 steps three persons keep their arms and legs, with 6 they blur."""
BATCH = 16


@cache
def _autoencoder() -> Any:
    torch, diffusers = importlib.import_module("torch"), importlib.import_module("diffusers")
    diffusers.utils.logging.set_verbosity_error()
    model = diffusers.AutoencoderTiny.from_pretrained(str(DEMO / "t2i" / "vae"), local_files_only=True)
    return model.eval().requires_grad_(False).to(memory_format=torch.channels_last)


def as_the_model_draws(pictures: Sequence[Image]) -> list[Image]:
    """The nearest pictures that the demo model's decoder can draw: its wobbly edges and colours, the same facts.

    The encoder's latents are only where the search starts. It learned to give the UNet something to start from, not
    to keep detail: decoded as they are, small stars become dots and thin arms are gone.
    """
    return [made for start in range(0, len(pictures), BATCH) for made in _nearest(pictures[start : start + BATCH])]


def _nearest(pictures: Sequence[Image]) -> list[Image]:
    torch = importlib.import_module("torch")
    vae = _autoencoder()
    wanted = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.inference_mode():
        start = vae.encode(wanted).latents
    latents = start.clone().requires_grad_(True)
    search = torch.optim.Adam([latents])
    for rate in np.linspace(FIRST_RATE, LAST_RATE, SEARCH_STEPS).tolist():
        search.param_groups[0]["lr"] = rate
        search.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            drawn = vae.decode(latents).sample
        (drawn.float() - wanted).abs().mean((1, 2, 3)).sum().backward()
        search.step()
    with torch.inference_mode():
        found = vae.decode(latents).sample.clamp(-1, 1)
    return list(((found + 1) * 127.5).round().byte().permute(0, 2, 3, 1).contiguous().numpy())


# ---------------------------------------------------------------------------------------------- damage


def blurred(picture: Image, rng: random.Random) -> Image:
    """A Gaussian of 2.5 to 5 pixels: edges that a person would call soft at once."""
    return cv2.GaussianBlur(picture, (0, 0), rng.uniform(2.5, 5.0)).astype(np.uint8)


def noisy(picture: Image, rng: random.Random) -> Image:
    """Grain with a deviation of 25 to 60 of 255."""
    grain = np.random.default_rng(rng.randrange(2**32)).normal(0, rng.uniform(25, 60), picture.shape)
    return np.clip(picture + grain, 0, 255).astype(np.uint8)


def squeezed(picture: Image, rng: random.Random) -> Image:
    """JPEG of quality 1 to 3; at 5 flat pictures still look well."""
    packed = io.BytesIO()
    Pictures.fromarray(picture).save(packed, "JPEG", quality=rng.randint(1, 3))
    return np.asarray(Pictures.open(packed).convert("RGB"))


def darkened(picture: Image, rng: random.Random) -> Image:
    """A tenth to a fifth of the light."""
    return (picture * rng.uniform(0.1, 0.2)).astype(np.uint8)


def washed_out(picture: Image, rng: random.Random) -> Image:
    """A tenth to a fifth of the contrast, on a light grey."""
    ground = rng.uniform(190, 215)
    return np.clip(ground + (picture.astype(np.float32) - 127) * rng.uniform(0.1, 0.2), 0, 255).astype(np.uint8)


def blocky(picture: Image, rng: random.Random) -> Image:
    """Squares of 8 to 13 pixels in place of detail."""
    side, block = picture.shape[0], rng.uniform(8, 13)
    few = round(side / block)
    small = cv2.resize(picture, (few, few), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (side, side), interpolation=cv2.INTER_NEAREST).astype(np.uint8)


def black(picture: Image, rng: random.Random) -> Image:
    return np.zeros_like(picture)


def flat(picture: Image, rng: random.Random) -> Image:
    """One colour."""
    return np.full_like(picture, [rng.randrange(60, 200) for _ in range(3)])


def static(picture: Image, rng: random.Random) -> Image:
    """Nothing but noise."""
    return np.random.default_rng(rng.randrange(2**32)).integers(0, 256, picture.shape, np.uint8)


Look = Callable[["Image", random.Random], "Image"]
DAMAGED: Mapping[str, Look] = {
    "blurred": blurred, "noisy": noisy, "squeezed JPEG": squeezed, "too dark": darkened, "washed out": washed_out,
    "blocky": blocky,
}  # fmt: skip
BROKEN: Mapping[str, Look] = {"black frame": black, "flat frame": flat, "static": static}
