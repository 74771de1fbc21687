"""Deleted, restored, erased: what is where afterwards, who may do it twice, and when it is over."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from clients.local_store import LocalStore
from tests.workflows.gallery.kit import PICTURE, Breaking, BreakingFiling, Filed
from workflows.errors import NotFound, StorageError
from workflows.gallery import Gallery
from workflows.gallery.finding import MOVING
from workflows.ports import Items
from workflows.types import ItemQuery, Page


async def test_a_deleted_picture_lies_in_the_trash_and_nowhere_else(filed: Filed) -> None:
    item, other = await filed.add("a"), await filed.add("b")
    deleted = await filed.gallery.delete("a.png")

    assert deleted == item.but(deleted=deleted.deleted) and deleted.deleted is not None
    assert await filed.keys() == [other.key, f"trash/{item.key}"]
    assert (await filed.listed(), await filed.listed(deleted=True)) == (["b"], ["a"])
    assert await filed.gallery.find("a") == deleted
    assert await filed.gallery.original("a") == PICTURE
    assert (await filed.gallery.preview("a", 64)).media_type == "image/png"
    path = (await filed.gallery.locate(deleted)).path
    assert path is not None and "trash" in path and await asyncio.to_thread(Path(path).is_file)


async def test_what_is_in_the_trash_cannot_be_deleted_again_and_the_way_back_is_told(filed: Filed) -> None:
    await filed.add("a")
    await filed.gallery.delete("a")

    with pytest.raises(NotFound, match=r"in the trash since .*atelier gallery restore a"):
        await filed.gallery.delete("a")


@pytest.mark.parametrize("name", ["a", "a.png", "job-a/1/a.png"])
async def test_a_restored_picture_is_as_it_was(filed: Filed, name: str) -> None:
    item = await filed.add("a")
    await filed.gallery.delete("a")

    assert await filed.gallery.restore(name) == item
    assert await filed.keys() == [item.key]
    assert (await filed.listed(), await filed.listed(deleted=True)) == (["a"], [])
    assert await filed.gallery.original("a") == PICTURE
    with pytest.raises(NotFound, match="not deleted"):
        await filed.gallery.restore("a")
    assert (await filed.gallery.delete("a")).deleted is not None


async def test_what_was_in_the_trash_for_its_days_is_not_restored_and_goes(filed: Filed) -> None:
    item = await filed.add("a")
    await filed.gallery.delete("a")
    long_ago = datetime.now(UTC) - timedelta(days=31)
    await filed.ledger.filing.change("a", lambda row: row.but(deleted=long_ago))
    await filed.add("b")
    recent = await filed.gallery.delete("b")

    assert filed.gallery.until(item.but(deleted=long_ago)) == long_ago + timedelta(days=30)
    with pytest.raises(NotFound, match="the trash keeps pictures for 30 days"):
        await filed.gallery.restore("a")
    assert await filed.gallery.expire() == 1
    assert await filed.keys() == [f"trash/{recent.key}"]
    with pytest.raises(NotFound):
        await filed.gallery.find("a")


async def test_without_days_in_the_trash_a_deleted_picture_is_gone_at_once(filed: Filed) -> None:
    item = await filed.add("a")

    assert await filed.another(trash_days=0).delete("a") == item
    assert await filed.keys() == []
    assert await filed.ledger.items.get("a") is None


@pytest.mark.parametrize("in_trash", [True, False])
async def test_an_erased_picture_leaves_nothing(filed: Filed, in_trash: bool) -> None:
    item = await filed.add("a")
    await filed.ledger.likenesses.keep("m", {"a": b"\x00\x3c\x00\x00"})
    found = await filed.gallery.delete("a") if in_trash else item
    await filed.gallery.preview("a", 320)

    assert await filed.gallery.erase("a") == found
    assert await filed.keys() == []
    assert await filed.previews.keys("") == []
    assert await filed.ledger.likenesses.vector("m", "a") is None
    for name in ("a", "a.png", item.key):
        with pytest.raises(NotFound):
            await filed.gallery.erase(name)


async def test_inputs_go_with_the_last_picture_that_needs_them(filed: Filed) -> None:
    one, two = await filed.add_of_job("j", ["one", "two"], ["source", "mask"])
    inputs = ["j/input/mask.png", "j/input/source.png"]

    await filed.gallery.delete("one")
    assert await filed.keys() == [two.key, *inputs, f"trash/{one.key}"]
    await filed.gallery.erase("one")
    assert await filed.keys() == [two.key, *inputs]
    await filed.gallery.erase("two")
    assert await filed.keys() == []


async def test_inputs_of_another_job_are_left_alone(filed: Filed) -> None:
    parent = await filed.add("parent")
    recipe = parent.recipe.but(source=parent.key, task="img2img")
    await filed.add("child", recipe=recipe, rendered=recipe)

    await filed.gallery.erase("child")
    assert await filed.keys() == [parent.key]


async def test_a_videos_poster_goes_with_it(filed: Filed) -> None:
    await filed.store.put("job-film/1/poster.png", PICTURE)
    await filed.add("film", kind="video", facts={"poster": "job-film/1/poster.png"})

    await filed.gallery.delete("film")
    assert (await filed.gallery.preview("film", 320)).media_type == "image/png"
    await filed.gallery.erase("film")
    assert await filed.keys() == []


async def test_a_picture_whose_file_is_gone_can_be_deleted_restored_and_erased(filed: Filed) -> None:
    item = await filed.add("a")
    await filed.store.delete(item.key)

    assert (await filed.gallery.delete("a")).deleted is not None
    assert await filed.gallery.restore("a") == item
    with pytest.raises(StorageError, match=r"is gone: nothing is at .*delete_image"):
        await filed.gallery.original("a")
    assert await filed.gallery.erase("a") == item
    assert await filed.ledger.items.get("a") is None


async def test_the_trash_is_emptied_of_all_or_of_what_is_older(filed: Filed) -> None:
    for name in ("a", "b", "c"):
        await filed.add(name)
    await filed.gallery.delete("a")
    between = datetime.now(UTC)
    await filed.gallery.delete("b")

    assert await filed.gallery.empty_trash(before=between) == 1
    assert (await filed.listed(), await filed.listed(deleted=True)) == (["c"], ["b"])
    assert await filed.gallery.empty_trash() == 1
    assert await filed.gallery.empty_trash() == 0
    assert len(await filed.keys()) == 1


class StuckStore(LocalStore):
    """Refuses to delete the keys that it is told; waits for its gate, where it has one, before any delete."""

    def __init__(self, root: Path, stuck: str = "", gate: asyncio.Event | None = None) -> None:
        super().__init__(root)
        self.stuck, self.gate, self.reached = stuck, gate, asyncio.Event()

    async def delete(self, key: str) -> None:
        self.reached.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.stuck and self.stuck in key:
            raise StorageError("the disk is read-only")
        await super().delete(key)


async def test_one_picture_that_cannot_be_erased_does_not_keep_the_others(filed: Filed) -> None:
    for name in ("a", "b", "c"):
        await filed.add(name)
        await filed.gallery.delete(name)
    stuck = filed.another(store=StuckStore(filed.home / "pictures", "b.png"))

    with pytest.raises(StorageError, match=r"2 pictures were erased.*read-only"):
        await stuck.empty_trash()
    assert await filed.listed(deleted=True) == ["b"]
    assert await filed.gallery.restore("b")


@pytest.mark.parametrize("act", ["delete", "erase"])
@pytest.mark.parametrize("apart", [True, False], ids=["two processes", "one process"])
async def test_of_two_at_once_one_wins(filed: Filed, act: str, apart: bool) -> None:
    await filed.add("a")
    galleries = [filed.gallery, filed.another() if apart else filed.gallery]
    calls = [getattr(gallery, act)("a") for gallery in galleries]
    results = await asyncio.gather(*calls, return_exceptions=True)

    assert sum(not isinstance(result, Exception) for result in results) == 1
    assert all(isinstance(result, (NotFound, StorageError)) for result in results if isinstance(result, Exception))
    assert await filed.keys() == (["trash/job-a/1/a.png"] if act == "delete" else [])


async def test_delete_and_restore_over_and_over_from_two_sides_lose_nothing(filed: Filed) -> None:
    await filed.add("a")
    other = filed.another()
    for _ in range(10):
        acts: list[Any] = [filed.gallery.delete("a"), other.restore("a"), other.delete("a"), filed.gallery.restore("a")]
        await asyncio.gather(*acts, return_exceptions=True)
        assert await filed.gallery.original("a") == PICTURE
    item = await filed.gallery.find("a")
    assert MOVING not in item.facts
    assert await filed.keys() == [f"trash/{item.key}" if item.deleted else item.key]


async def test_in_one_process_a_restore_waits_for_the_deletion_that_is_on_its_way(filed: Filed) -> None:
    item = await filed.add("a")
    gate = asyncio.Event()
    store = StuckStore(filed.home / "pictures", gate=gate)
    gallery = filed.another(store=store)
    deleting = asyncio.create_task(gallery.delete("a"))
    await store.reached.wait()
    restoring = asyncio.create_task(gallery.restore("a"))
    done, _ = await asyncio.wait({restoring}, timeout=0.3)

    assert not done
    gate.set()
    assert (await deleting).deleted is not None
    assert await restoring == item
    assert await filed.keys() == [item.key]


async def test_inputs_of_two_pictures_that_go_at_once_are_not_left_by_both(filed: Filed) -> None:
    await filed.add_of_job("j", ["one", "two"], ["source"])
    with_row_left = BreakingFiling(filed.ledger.filing, Breaking(at=2))

    await filed.another(filing=with_row_left).erase("one")
    assert await filed.ledger.items.get("one") is not None
    await filed.gallery.erase("two")
    assert await filed.keys() == []


class StaleItems:
    """Rows as they were when it was made; everything else is asked of the real ones."""

    def __init__(self, items: Items, stale: Page) -> None:
        self.get, self.children, self.of_job, self.facets = items.get, items.children, items.of_job, items.facets
        self.version = items.version
        self._stale = stale

    async def search(self, query: ItemQuery) -> Page:
        return self._stale


async def test_a_row_that_was_put_in_order_since_it_was_read_is_not_touched(filed: Filed) -> None:
    item = await filed.add("a")
    stale = item.but(deleted=datetime.now(UTC), facts={MOVING: "2020-01-01T00:00:00+00:00"})
    items = StaleItems(filed.ledger.items, Page(items=(stale,), total=1))

    assert await Gallery(items, filed.store, filing=filed.ledger.filing).mend(timedelta(0)) == 0
    assert await filed.gallery.find("a") == item
    assert await filed.keys() == [item.key]


async def test_what_another_process_moves_is_left_alone_until_that_process_is_surely_gone(filed: Filed) -> None:
    item = await filed.add("a")
    moment = datetime.now(UTC)
    facts = {MOVING: moment.isoformat()}
    await filed.ledger.filing.change("a", lambda row: row.but(deleted=moment, facts=facts))

    for act in (filed.gallery.restore, filed.gallery.erase):
        with pytest.raises(StorageError, match="another process; ask again in a moment"):
            await act("a")
    assert await filed.gallery.mend() == 0
    assert await filed.gallery.original("a") == PICTURE
    old = {MOVING: (moment - timedelta(minutes=11)).isoformat()}
    await filed.ledger.filing.change("a", lambda row: row.but(facts=old))
    assert await filed.gallery.mend() == 1
    assert await filed.keys() == [f"trash/{item.key}"]
    assert await filed.gallery.restore("a") == item


async def test_a_deletion_whose_caller_goes_away_is_carried_to_its_end(filed: Filed) -> None:
    await filed.add("a")
    gate = asyncio.Event()
    store = StuckStore(filed.home / "pictures", gate=gate)
    call = asyncio.create_task(filed.another(store=store).delete("a"))
    await store.reached.wait()
    carried = asyncio.all_tasks() - {call, asyncio.current_task()}
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    gate.set()
    await asyncio.wait_for(asyncio.gather(*carried), 10)

    assert await filed.listed(deleted=True) == ["a"]
    assert await filed.keys() == ["trash/job-a/1/a.png"]


async def test_a_damaged_copy_is_noticed_before_the_original_goes(filed: Filed) -> None:
    item = await filed.add("a")

    class Garbling(LocalStore):
        async def put(self, key: str, media: Any) -> None:
            await super().put(key, type(media)(data=media.data[:-1], media_type=media.media_type))

    with pytest.raises(StorageError, match="reads differently"):
        await filed.another(store=Garbling(filed.home / "pictures")).delete("a")
    assert await filed.gallery.find("a") == item
    assert await filed.keys() == [item.key]


async def test_the_trash_is_told_apart_in_searches_with_words_too(filed: Filed) -> None:
    for name in ("a", "b"):
        await filed.add(name)
    await filed.gallery.delete("a")

    for deleted, names in ((False, ["b"]), (True, ["a"])):
        page = await filed.gallery.search(ItemQuery(query="circle", deleted=deleted))
        assert ([item.id for item in page.items], page.total) == (names, 1)
