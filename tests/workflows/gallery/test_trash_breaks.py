"""Whatever breaks while a picture moves or is erased, it is there or it is gone, and `mend` leaves no trace."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Literal

import pytest

from tests.workflows.gallery.kit import PICTURE, Breaking, BreakingFiling, BreakingStore, Filed, open_filed
from workflows.errors import StorageError
from workflows.gallery import Gallery
from workflows.gallery.finding import MOVING

Act = Literal["delete", "restore", "erase", "erase from trash"]
AT_ONCE = timedelta(0)
"""For `mend` in these tests: nobody else is moving anything."""


@pytest.fixture
async def fresh(tmp_path: Path) -> AsyncIterator[Filed]:
    async with open_filed(tmp_path) as filed:
        yield filed


async def prepared(filed: Filed, act: Act, name: str) -> None:
    await filed.add_of_job(f"job-{name}", [name], ["source"])
    if act in {"restore", "erase from trash"}:
        await filed.gallery.delete(name)


async def carried_out(gallery: Gallery, act: Act, name: str) -> bool:
    call = {"delete": gallery.delete, "restore": gallery.restore}.get(act, gallery.erase)
    try:
        await call(name)
    except StorageError:
        return False
    return True


async def seen(filed: Filed, name: str) -> str:
    """Where a user sees it; it must be readable there, and listed there alone."""
    here = [where for where, deleted in (("gallery", False), ("trash", True)) if name in await filed.listed(deleted)]
    if not here:
        return "nowhere"
    assert await filed.gallery.original(name) == PICTURE
    (where,) = here
    return where


async def settled(filed: Filed, name: str) -> str:
    """Where it is after `mend`, with nothing on the way and its files where they belong."""
    await filed.gallery.mend(AT_ONCE)
    where = await seen(filed, name)
    own = [key for key in await filed.keys() if f"job-{name}/" in key]
    if where == "nowhere":
        assert own == []
        assert await filed.ledger.items.get(name) is None
        return where
    item = await filed.gallery.find(name)
    assert MOVING not in item.facts
    assert {f"trash/{item.key}" if item.deleted else item.key, f"job-{name}/input/source.png"} <= {*own}
    return where


BEFORE = {"delete": "gallery", "restore": "trash", "erase": "gallery", "erase from trash": "trash"}
AFTER = {"delete": "trash", "restore": "gallery", "erase": "nowhere", "erase from trash": "nowhere"}


@pytest.mark.parametrize("late", [False, True], ids=["refused", "done but told otherwise"])
@pytest.mark.parametrize("mode", ["once", "from then on"])
@pytest.mark.parametrize("act", BEFORE)
async def test_a_store_that_breaks_at_any_call_leaves_it_as_it_was_or_as_it_should_be(
    fresh: Filed, act: Act, mode: Literal["once", "from then on"], late: bool
) -> None:
    outcomes: list[bool] = []
    for at in itertools.count(1):
        name, breaking = f"p{at}", Breaking(at=at, mode=mode, late=late)
        await prepared(fresh, act, name)
        done = await carried_out(fresh.another(store=BreakingStore(fresh.store, breaking)), act, name)
        outcomes.append(done)
        lost = act.startswith("erase") and late and mode == "from then on" and at == 2 and not done
        if lost:  # the store deleted it, said it did not, and answers nothing more: its row says that the file is gone
            assert name in await fresh.listed(deleted=act == "erase from trash")
            continue
        possible = {AFTER[act]} if done else {BEFORE[act]} if mode == "once" else {BEFORE[act], "trash"}
        assert await seen(fresh, name) in possible
        assert await settled(fresh, name) in possible
        if not breaking.broke:
            break
    assert outcomes[-1] and not outcomes[0]


@pytest.mark.parametrize("late", [False, True], ids=["refused", "done but told otherwise"])
@pytest.mark.parametrize("mode", ["once", "from then on"])
@pytest.mark.parametrize("act", BEFORE)
async def test_a_ledger_that_breaks_at_any_change_does_too(
    fresh: Filed, act: Act, mode: Literal["once", "from then on"], late: bool
) -> None:
    for at in itertools.count(1):
        name, breaking = f"p{at}", Breaking(at=at, mode=mode, late=late)
        await prepared(fresh, act, name)
        done = await carried_out(fresh.another(filing=BreakingFiling(fresh.ledger.filing, breaking)), act, name)
        possible = {AFTER[act]} if done else {BEFORE[act], AFTER[act]}
        assert await seen(fresh, name) in possible
        assert await settled(fresh, name) in possible
        if not breaking.broke:
            assert done
            break


async def test_a_failed_deletion_changes_nothing_at_all(fresh: Filed) -> None:
    item = (await fresh.add_of_job("j", ["a"], ["source"]))[0]
    before = await fresh.keys()
    for at in (1, 2, 3, 4):
        broken = fresh.another(store=BreakingStore(fresh.store, Breaking(at=at)))
        with pytest.raises(StorageError, match="on fire"):
            await broken.delete("a")
        assert await fresh.gallery.find("a") == item
        assert await fresh.keys() == before


async def test_previews_that_cannot_be_deleted_do_not_keep_a_picture(fresh: Filed) -> None:
    await fresh.add("a")
    broken = fresh.another(previews=BreakingStore(fresh.previews, Breaking(at=1, mode="from then on")))

    await broken.delete("a")
    await broken.erase("a")
    assert await fresh.keys() == []


async def test_a_picture_that_cannot_be_mended_does_not_keep_the_others(fresh: Filed) -> None:
    for name in ("a", "b"):
        await prepared(fresh, "delete", name)
        broken = BreakingFiling(fresh.ledger.filing, Breaking(at=2, mode="from then on"))
        await carried_out(fresh.another(filing=broken), "delete", name)

    assert await fresh.another(store=BreakingStore(fresh.store, Breaking(at=1))).mend(AT_ONCE) == 1
    assert await fresh.gallery.mend(AT_ONCE) == 1
    assert await fresh.gallery.mend(AT_ONCE) == 0
