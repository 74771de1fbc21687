"""Previews: drawn once, kept in a few sizes, made anew when damaged, trimmed when there are too many."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from tests.fakes import png
from tests.workflows.gallery.kit import PICTURE, Breaking, BreakingStore, Filed
from utils.images import decode
from workflows.gallery.previews import Previews
from workflows.types import Media, Recipe

LARGE = Media(data=png(1400, 700), media_type="image/png")


async def size(media: Media) -> tuple[int, int]:
    return (await asyncio.to_thread(decode, media.data)).size


@pytest.mark.parametrize(
    ("edge", "shown", "kept"),
    [
        (64, (64, 32), ["a/320.png"]),
        (320, (320, 160), ["a/320.png"]),
        (322, (322, 161), ["a/640.png"]),
        (1024, (1024, 512), ["a/1024.png"]),
        (1200, (1200, 600), []),
    ],
)
async def test_a_preview_fits_the_asked_edge_and_is_kept_in_the_next_size(
    filed: Filed, edge: int, shown: tuple[int, int], kept: list[str]
) -> None:
    await filed.add("a", LARGE)

    assert await size(await filed.gallery.preview("a", edge)) == shown
    assert await filed.previews.keys("") == kept
    assert await size(await filed.gallery.preview("a", edge)) == shown


async def test_a_kept_preview_is_shown_without_the_original(filed: Filed) -> None:
    item = await filed.add("a")
    first = await filed.gallery.preview("a", 320)
    await filed.store.delete(item.key)

    assert await filed.gallery.preview("a", 320) == first
    assert await size(await filed.gallery.preview("a", 100)) == (100, 67)


@pytest.mark.parametrize("damage", [b"", b"garbage", PICTURE.data[:200]])
async def test_a_damaged_preview_is_made_anew(filed: Filed, damage: bytes) -> None:
    await filed.add("a")
    first = await filed.gallery.preview("a", 320)
    await filed.previews.put("a/320.png", Media(data=damage, media_type="image/png"))

    assert await filed.gallery.preview("a", 320) == first
    assert await filed.previews.get("a/320.png") == first


async def test_a_noisy_picture_is_a_small_jpeg_and_a_cut_out_keeps_its_ground(filed: Filed) -> None:
    noise = Media(data=noisy(600, 600), media_type="image/png")
    await filed.add("photo", noise)
    cut = Recipe(task="remove_background")
    await filed.add("cut", Media(data=noisy(500, 500, alpha=True), media_type="image/png"), rendered=cut)

    shown = await filed.gallery.preview("photo", 320)
    assert (shown.media_type, len(shown.data) <= 80_000) == ("image/jpeg", True)
    assert await filed.previews.keys("") == ["photo/320.jpg"]
    assert (await filed.gallery.preview("cut", 320)).media_type == "image/png"


def noisy(width: int, height: int, alpha: bool = False) -> bytes:
    from io import BytesIO

    from PIL import Image

    noise = Image.effect_noise((width, height), 80).convert("RGB")
    if alpha:
        noise.putalpha(100)
    buffer = BytesIO()
    noise.save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize("at", [1, 2, 3])
async def test_a_cache_that_breaks_harms_no_preview(filed: Filed, at: int) -> None:
    await filed.add("a")
    broken = BreakingStore(filed.previews, Breaking(at=at, mode="from then on"))

    assert await size(await filed.another(previews=broken).preview("a", 320)) == (300, 200)
    assert await size(await filed.another(previews=None).preview("a", 320)) == (300, 200)


async def test_the_oldest_previews_are_trimmed(filed: Filed) -> None:
    for place, name in enumerate(["new", "old", "older", "oldest"]):
        await filed.previews.put(f"{name}/320.png", Media(data=b"x" * 100, media_type="image/png"))
        path = (await filed.previews.locate(f"{name}/320.png")).path
        await asyncio.to_thread(os.utime, Path(str(path)), (1_000_000 - place, 1_000_000 - place))
    previews = Previews(filed.previews)

    assert await previews.trim() == 0
    assert await previews.trim(most=3) == 1
    assert await filed.previews.keys("") == ["new/320.png", "old/320.png", "older/320.png"]
    assert await previews.trim(most_bytes=199) == 2
    assert await filed.previews.keys("") == ["new/320.png"]
    assert await filed.gallery.trim_previews() == 0
