"""Finding and showing what was filed, on a real ledger and a real store."""

from __future__ import annotations

import asyncio

import pytest

from tests.workflows.gallery.kit import PICTURE, Filed
from utils.images import decode
from workflows.errors import BadRecipe, NotFound, StorageError
from workflows.types import ItemQuery, Media


async def test_a_picture_is_found_by_id_file_name_and_key(filed: Filed) -> None:
    item = await filed.add("abc-1")

    for name in ("abc-1", "abc-1.png", item.key):
        assert await filed.gallery.find(name) == item
        assert await filed.gallery.original(name) == PICTURE
    assert (await filed.gallery.search(ItemQuery(query="circle"))).items == (item,)


async def test_an_unknown_name_suggests_near_ones_and_the_tool_that_lists(filed: Filed) -> None:
    await filed.add("lighthouse-1")
    await filed.add("other")

    with pytest.raises(NotFound, match=r"Did you mean lighthouse-1.*list_images"):
        await filed.gallery.find("lighthouse-l")


@pytest.mark.parametrize("name", ["", "x" * 100_000, "../../etc/passwd", "a\0b", "%", "'"])
async def test_any_text_as_a_name_is_only_not_found(filed: Filed, name: str) -> None:
    await filed.add("a")

    with pytest.raises(NotFound):
        await filed.gallery.find(name)


async def test_a_preview_is_small_and_the_original_stays(filed: Filed) -> None:
    await filed.add("a")
    shown = await filed.gallery.preview("a", max_edge=64)

    assert shown.media_type == "image/png"
    assert (await asyncio.to_thread(decode, shown.data)).size == (64, 43)
    assert await filed.gallery.original("a") == PICTURE


@pytest.mark.parametrize("edge", [-1, 0, 63, 1569, 10**12])
async def test_a_preview_of_an_unusable_size_is_refused_with_the_range(filed: Filed, edge: int) -> None:
    await filed.add("a")

    with pytest.raises(BadRecipe, match="64 to 1568"):
        await filed.gallery.preview("a", max_edge=edge)


async def test_a_video_has_no_preview_and_the_text_says_so(filed: Filed) -> None:
    await filed.add("film", Media(data=b"mp4", media_type="video/mp4"), kind="video")

    with pytest.raises(BadRecipe, match="a video"):
        await filed.gallery.preview("film")


async def test_a_damaged_file_is_a_storage_error_that_names_it(filed: Filed) -> None:
    item = await filed.add("a", Media(data=PICTURE.data[:100], media_type="image/png"))

    with pytest.raises(StorageError, match=f"{item.key}.*damaged"):
        await filed.gallery.preview("a")
