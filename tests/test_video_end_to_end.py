"""Videos without any server, with the real demo models: what a newcomer gets from each of the tools."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path

import pytest
from PIL import Image

from clients.tools.editing import regenerate
from clients.tools.gallery import get_image_info
from clients.tools.generation import generate_image
from clients.tools.video import extend_video, generate_video, image_to_video, interpolate_frames
from clients.wiring import open_app
from utils.metadata import read
from utils.motion import motion_of
from utils.video import frame, pictures, probe, sheet

pytestmark = pytest.mark.models
PROMPT = "a red circle on a white background -> a blue square on a white background"


def colour(png: bytes) -> tuple[int, int, int]:
    """Of the middle of the picture."""
    found = Image.open(io.BytesIO(png)).convert("RGB")
    pixel = found.getpixel((found.width // 2, found.height // 2))
    assert isinstance(pixel, tuple)
    red, green, blue = (int(part) for part in pixel)
    return red, green, blue


async def test_scenes_are_drawn_judged_one_by_one_filed_and_made_again() -> None:
    async with open_app():
        made = await generate_video(prompt=PROMPT, frames=6, steps=8, seed=7)
        again = await regenerate(made["image_id"])
        info = await get_image_info(made["image_id"])
    video = await asyncio.to_thread(Path(made["path"]).read_bytes)
    verdict = made["validation"]
    assert (verdict["passed"], verdict["reason"], verdict["scenes"]) == (True, "Image passed validation", 2)
    assert verdict["checks"]["motion"]["passed"] is True
    assert min(verdict["atoms"][fact] for fact in ("a red circle", "a blue square")) > 0.5
    first, last = colour(frame(video, 0)), colour(frame(video, -1))
    assert (first[0] > 150 > first[2], last[2] > 150 > last[0]) == (True, True)
    assert (info["recipe"]["prompt"], read(video).record["recipe"]["prompt"]) == (PROMPT, PROMPT)  # pyright: ignore
    assert made["metadata"]["frames"] == probe(video).frames == 6
    assert sum("animation of stills" in told for told in [made["note"], *made["notes"]]) == 1
    assert "warning" not in made
    assert pixels(await asyncio.to_thread(Path(again["path"]).read_bytes)) == pixels(video)


async def test_a_picture_moves_goes_on_and_is_smoothed() -> None:
    async with open_app():
        still = await generate_image(prompt="a red circle on a white background", seed=1, validate=False)
        moved = await image_to_video(still["image_id"], "a red circle on a white background", frames=4, seed=1)
        longer = await extend_video(moved["image_id"], "a blue square on a white background", extend_frames=4, seed=1)
        smooth = await interpolate_frames(longer["image_id"], target_fps=24)
    films = [await asyncio.to_thread(Path(one["path"]).read_bytes) for one in (moved, longer, smooth)]
    assert [(probe(film).frames, probe(film).fps) for film in films] == [(4, 8.0), (7, 8.0), (21, 24.0)]
    assert not motion_of(pictures(films[0])).frozen
    assert colour(frame(films[0], 0))[0] > 150
    assert "note" not in smooth
    assert "no model drew" in smooth["notes"][0]


def pixels(video: bytes) -> bytes:
    return Image.open(io.BytesIO(sheet(video))).tobytes()
