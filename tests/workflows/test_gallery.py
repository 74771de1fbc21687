"""Gallery on a real ledger and a real store: finding, showing, deleting, tracing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from clients.ledger import Ledger, open_ledger
from clients.local_store import LocalStore
from tests.fakes import png
from utils.images import decode
from workflows.errors import BadRecipe, NotFound, StorageError
from workflows.gallery import Gallery
from workflows.types import Item, ItemQuery, Job, Media, Recipe

RECIPE = Recipe(prompt="a red circle")
PICTURE = Media(data=png(300, 200), media_type="image/png")


class Filed:
    """A gallery with what it stands on, and a quick way to file a picture."""

    def __init__(self, ledger: Ledger, store: LocalStore) -> None:
        self.ledger, self.store, self.gallery = ledger, store, Gallery(ledger.items, store)

    async def add(self, name: str, media: Media = PICTURE, **changes: Any) -> Item:
        job = Job(recipe=RECIPE)
        facts: dict[str, Any] = {
            "id": name,
            "job_id": job.id,
            "key": f"{job.id}/1/{name}.png",
            "media_type": media.media_type,
            "width": 300,
            "height": 200,
            "size": len(media.data),
            "sha256": "0" * 64,
            "prompt": "a red circle",
            "model": "demo",
            "engine": "local",
            "seed": 1,
            "recipe": RECIPE,
            "rendered": RECIPE,
        }
        item = Item(**facts | changes)
        await self.store.put(item.key, media)
        await self.ledger.jobs.add(job)
        assert await self.ledger.jobs.save(job, await self.ledger.jobs.claim(job.id), [item])
        return item


@pytest.fixture
async def filed(tmp_path: Path) -> AsyncIterator[Filed]:
    async with open_ledger(tmp_path / "ledger.db") as ledger:
        yield Filed(ledger, LocalStore(tmp_path / "pictures"))


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


async def test_a_file_removed_by_hand_is_named_with_the_way_out_and_that_way_works(filed: Filed) -> None:
    item = await filed.add("a")
    location = await filed.gallery.locate(item)
    assert location.path is not None
    await asyncio.to_thread(Path(location.path).unlink)

    for look in (filed.gallery.original("a"), filed.gallery.preview("a")):
        with pytest.raises(StorageError, match=f"nothing is at {location.path}.*delete_image"):
            await look
    assert await filed.gallery.delete("a") == item
    assert (await filed.gallery.search(ItemQuery())).items == ()


async def test_deleting_takes_file_and_row_and_a_second_time_is_not_found(filed: Filed) -> None:
    item, other = await filed.add("a"), await filed.add("b")

    assert await filed.gallery.delete("a.png") == item
    assert await filed.store.keys("") == [other.key]
    assert (await filed.gallery.search(ItemQuery())).items == (other,)
    with pytest.raises(NotFound):
        await filed.gallery.delete("a")


async def test_of_two_deletions_at_once_one_wins(filed: Filed) -> None:
    item = await filed.add("a")
    results = await asyncio.gather(*(filed.gallery.delete("a") for _ in range(2)), return_exceptions=True)

    assert sorted(map(type, results), key=str) == sorted([Item, NotFound], key=str)
    assert item in results


class StuckStore(LocalStore):
    """A store that refuses to delete, or waits for its gate before it does."""

    gate: asyncio.Event | None = None

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.reached = asyncio.Event()

    async def delete(self, key: str) -> None:
        self.reached.set()
        if self.gate is None:
            raise StorageError("the disk is read-only")
        await self.gate.wait()
        await super().delete(key)


async def test_a_file_that_cannot_be_deleted_keeps_its_row(filed: Filed, tmp_path: Path) -> None:
    item = await filed.add("a")

    with pytest.raises(StorageError, match="read-only"):
        await Gallery(filed.ledger.items, StuckStore(tmp_path / "pictures")).delete("a")
    assert await filed.gallery.find("a") == item


async def test_a_deletion_whose_caller_goes_away_is_carried_to_its_end(filed: Filed, tmp_path: Path) -> None:
    await filed.add("a")
    store = StuckStore(tmp_path / "pictures")
    store.gate = asyncio.Event()
    call = asyncio.create_task(Gallery(filed.ledger.items, store).delete("a"))
    await store.reached.wait()
    carried = asyncio.all_tasks() - {call, asyncio.current_task()}
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    store.gate.set()
    await asyncio.wait_for(asyncio.gather(*carried), 10)

    assert await filed.ledger.items.get("a") is None
    assert await filed.store.keys("") == []


async def test_lineage_gives_parents_nearest_first_and_children_newest_first(filed: Filed) -> None:
    line = [await filed.add(str(n), parent_id=str(n - 1) if n else None) for n in range(4)]
    twin = await filed.add("twin", parent_id="1")

    assert await filed.gallery.lineage(line[1]) == ([line[0]], [twin, line[2]])
    assert await filed.gallery.lineage(line[3]) == ([line[2], line[1], line[0]], [])


async def test_lineage_ends_at_a_deleted_parent_and_at_a_circle(filed: Filed) -> None:
    orphan = await filed.add("orphan", parent_id="gone")
    one, two = await filed.add("one", parent_id="two"), await filed.add("two", parent_id="one")

    assert await filed.gallery.lineage(orphan) == ([], [])
    assert (await filed.gallery.lineage(one))[0] == [two]
