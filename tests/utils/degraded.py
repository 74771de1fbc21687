"""Pictures without a fault, of several kinds, and ways to spoil them, each in rising strength."""

from __future__ import annotations

import importlib.util
import io
import random
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import skimage.data
from PIL import Image, ImageDraw, ImageFilter

SCENES = Path(__file__).parents[2] / "examples" / "train_demo_models" / "scenes.py"
SAMPLES = Path(skimage.data.__file__).parent
"""Public domain and CC0 pictures in scikit-image's wheel."""

Spoil = Callable[[Image.Image, float], Image.Image]


@cache
def photos() -> dict[str, Image.Image]:
    return {name: Image.open(SAMPLES / f"{name}.png").convert("RGB") for name in ("astronaut", "coffee", "chelsea")}


@cache
def drawings(count: int = 6, size: int = 128) -> dict[str, Image.Image]:
    """Scenes of the demo's world, as its training script draws them."""
    scenes, rng = _scenes(), random.Random(5)
    drawn = (scenes.render(scenes.sample_scene(rng), rng, size) for _ in range(count))
    return {f"scene {number}": Image.fromarray(pixels) for number, pixels in enumerate(drawn)}


@cache
def _scenes() -> Any:
    spec = importlib.util.spec_from_file_location("quality_scenes", SCENES)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def night() -> Image.Image:
    """A dark street with a few lamps."""
    picture = gained(Image.open(SAMPLES / "rocket.jpg").convert("RGB"), 0.25)
    for x, y in ((50, 300), (200, 280), (400, 310), (500, 320)):
        ImageDraw.Draw(picture).ellipse((x, y, x + 12, y + 12), fill=(255, 220, 150))
    return picture


def high_key() -> Image.Image:
    """A subject before a white studio ground with a faint shadow."""
    y, x = np.mgrid[0:600, 0:600]
    ground = 255 - np.clip(((x - 300) ** 2 + (y - 300) ** 2) / 9000, 0, 25)
    picture = Image.fromarray(np.repeat(ground[..., None], 3, axis=2).astype(np.uint8))
    return _laid(picture, photos()["coffee"].resize((300, 200)), (150, 200))


def bokeh() -> Image.Image:
    """A sharp subject of a tenth of the area before a ground far out of focus."""
    picture = blurred(photos()["astronaut"].resize((768, 768)), 14)
    return _laid(picture, photos()["chelsea"].resize((300, 200)), (230, 300))


def anime() -> Image.Image:
    """Flat colours with dark outlines, saturated skin and one soft gradient of sky."""
    sky = np.linspace((90, 160, 255), (220, 240, 255), 512).astype(np.uint8)
    picture = Image.fromarray(np.repeat(sky[:, None], 512, axis=1)).resize((1024, 1024), Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(picture)
    pen.ellipse((300, 250, 720, 760), fill=(255, 224, 196), outline=(40, 20, 30), width=8)
    pen.pieslice((270, 200, 750, 700), 180, 360, fill=(250, 90, 140), outline=(40, 20, 30), width=8)
    for x in (400, 560):
        pen.ellipse((x, 450, x + 70, 560), fill=(30, 60, 120), outline=(10, 10, 20), width=6)
    return picture.resize((512, 512), Image.Resampling.LANCZOS)


def _laid(ground: Image.Image, subject: Image.Image, place: tuple[int, int]) -> Image.Image:
    mask = Image.new("L", subject.size, 0)
    ImageDraw.Draw(mask).ellipse((10, 10, subject.width - 10, subject.height - 10), fill=255)
    ground.paste(subject, place, mask.filter(ImageFilter.GaussianBlur(2)))
    return ground


def blurred(picture: Image.Image, radius: float) -> Image.Image:
    return picture.filter(ImageFilter.GaussianBlur(radius))


def noisy(picture: Image.Image, levels: float) -> Image.Image:
    noise = np.random.default_rng(0).normal(0, levels, (*picture.size[::-1], 3))
    return _levels(np.asarray(picture, np.float32) + noise)


def jpeg(picture: Image.Image, loss: float) -> Image.Image:
    """`loss` 90 is JPEG quality 10."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=round(100 - loss))
    return Image.open(io.BytesIO(buffer.getvalue())).convert("RGB")


def gained(picture: Image.Image, factor: float) -> Image.Image:
    return _levels(np.asarray(picture, np.float32) * factor)


def darkened(picture: Image.Image, times: float) -> Image.Image:
    return gained(picture, 1 / times)


def washed(picture: Image.Image, share: float) -> Image.Image:
    return Image.blend(picture, Image.new("RGB", picture.size, "white"), share)


def posterised(picture: Image.Image, step: float) -> Image.Image:
    return _levels(np.round(np.asarray(picture, np.float32) / step) * step)


def mosaic(picture: Image.Image, cell: float) -> Image.Image:
    """Squares of one colour; the picture is cut to whole ones."""
    cells = (picture.width // int(cell), picture.height // int(cell))
    whole = picture.crop((0, 0, cells[0] * int(cell), cells[1] * int(cell)))
    return whole.resize(cells, Image.Resampling.BOX).resize(whole.size, Image.Resampling.NEAREST)


def latticed(picture: Image.Image, levels: float) -> Image.Image:
    """A regular pattern of 8 pixels, as an overdriven decoder leaves it."""
    waves = [np.sin(np.arange(edge) * np.pi / 4) for edge in picture.size[::-1]]
    return _levels(np.asarray(picture, np.float32) + levels * np.add.outer(*waves)[..., None])


def _levels(values: Any) -> Image.Image:
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))


SPOILT: Mapping[str, tuple[str, Spoil, tuple[float, ...]]] = {
    "blur": ("sharpness", blurred, (1, 2, 4, 8)),
    "noise": ("noise", noisy, (5, 10, 20, 40)),
    "jpeg": ("artefacts", jpeg, (50, 75, 90)),
    "too light": ("exposure", gained, (1.5, 2, 3)),
    "too dark": ("exposure", darkened, (3, 6, 12)),
    "washed out": ("exposure", washed, (0.7, 0.8, 0.9)),
    "posterise": ("artefacts", posterised, (8, 16, 32)),
    "mosaic": ("artefacts", mosaic, (2, 4, 8)),
    "lattice": ("artefacts", latticed, (2, 4, 8, 16)),
}
"""Each way to spoil a picture: the term that it lowers, how, and the strengths."""
FOR_PHOTOS = frozenset({"posterise", "too light"})
"""What flat drawings do not suffer from: their levels are few by right, and lighter colours are other colours."""
