"""The gallery's rows: tags, LoRAs, engines, the trash, counts, likenesses, twins."""

from __future__ import annotations

import asyncio
import math
import random
import struct
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from clients._ledger import twins
from clients.ledger import Ledger, open_ledger
from tests.clients.ledger_kit import START, Where, file_items, found, item
from workflows.errors import StorageError
from workflows.types import Facets, Item, ItemQuery, LoraUse, Recipe


def with_loras(*names: str) -> dict[str, Recipe]:
    loras = tuple(LoraUse(name=name) for name in names)
    return {"rendered": Recipe(prompt="x", loras=loras)}


def deleted(one: Item) -> Item:
    return one.but(deleted=START)


def restored(one: Item) -> Item:
    return one.but(deleted=None)


SHELF = (
    item(
        1, tags=("sea", "strasse"), engine="ComfyUI", **with_loras("styles/Ink.safetensors", "styles/ink.safetensors")
    ),
    item(2, score=0.9, tags=("sea",), **with_loras("ink")),
    item(3, score=0.5, kind="video", **with_loras("other\\ink.pt", "glow")),
    item(4, favourite=True, tags=("sea",), prompt="a lighthouse", deleted=START),
)


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ({}, [3, 2, 1]),
        ({"deleted": True}, [4]),
        ({"deleted": True, "favourite": True}, [4]),
        ({"deleted": True, "tag": "sea"}, [4]),
        ({"deleted": True, "query": "lighthouse"}, [4]),
        ({"query": "lighthouse"}, []),
        ({"favourite": True}, []),
        ({"prefix": "0004"}, []),
        ({"tag": "Sea"}, [2, 1]),
        ({"tag": "STRASSE"}, [1]),
        ({"tag": "straße", "sort": "oldest"}, [1]),
        ({"tag": "sea", "sort": "best"}, [2, 1]),
        ({"tag": "sea", "query": "picture"}, [2, 1]),
        ({"tag": "se"}, []),
        ({"lora": "INK"}, [3, 2, 1]),
        ({"lora": "ink.safetensors", "sort": "oldest"}, [1, 2, 3]),
        ({"lora": "styles/ink"}, [2, 1]),
        ({"lora": "styles\\ink.safetensors"}, [2, 1]),
        ({"lora": "other/ink"}, [3, 2]),
        ({"lora": "glow", "kind": "video"}, [3]),
        ({"lora": "in"}, []),
        ({"engine": "comfyui"}, [1]),
        ({"engine": "local", "min_score": 0.6}, [2]),
        ({"until": START + timedelta(hours=2)}, [2, 1]),
        ({"since": START + timedelta(hours=2), "until": START + timedelta(hours=2)}, [2]),
        ({"kind": "video"}, [3]),
        ({"kind": "image"}, [2, 1]),
        ({"model": "demo", "engine": "local", "tag": "sea", "lora": "ink", "since": START}, [2]),
    ],
)
async def test_each_filter_finds_its_pictures_and_counts_them(
    ledger: Ledger, query: dict[str, Any], numbers: list[int]
) -> None:
    await ledger.filing.add(SHELF)

    assert await found(ledger, **query) == numbers
    assert (await ledger.items.search(ItemQuery.checked(**query, limit=1))).total == len(numbers)


async def test_pictures_are_filed_all_or_none(ledger: Ledger) -> None:
    await ledger.filing.add([item(1), item(2)])
    with pytest.raises(StorageError, match="already there"):
        await ledger.filing.add([item(3, tags=("new",)), item(1)])

    assert await found(ledger) == [2, 1]
    assert (await ledger.items.facets()).tags == ()
    await ledger.filing.add([])


async def test_a_change_is_written_whole_and_seen_by_every_search(ledger: Ledger) -> None:
    await ledger.filing.add([item(1, tags=("old",)), item(2)])

    after = item(1, tags=("new",), favourite=True, prompt="cliff")
    assert await ledger.filing.change("0001-item", lambda _: after) == after
    assert await ledger.items.get("0001-item") == after
    queries: Sequence[dict[str, Any]] = [{"tag": "new"}, {"tag": "old"}, {"favourite": True}, {"query": "cliff"}]
    assert [await found(ledger, **query) for query in [*queries, {"query": "picture"}]] == [[1], [], [1], [1], [2]]
    assert await ledger.filing.change("nothing", restored) is None


async def test_what_a_change_raises_is_raised_and_nothing_is_written(ledger: Ledger) -> None:
    await ledger.filing.add([item(1)])

    def refuse(_: Item) -> Item:
        raise StorageError("not this one")

    with pytest.raises(StorageError, match=r"^not this one$"):
        await ledger.filing.change("0001-item", refuse)
    assert await ledger.items.get("0001-item") == item(1)


async def test_changes_of_one_picture_at_once_are_all_there(where: Where) -> None:
    def tag(name: str, one: Item) -> Item:
        return one.but(tags=tuple(sorted({*one.tags, name})))

    async with open_ledger(where) as mine, open_ledger(where) as theirs:
        await mine.filing.add([item(1)])
        names = [f"tag-{number:02d}" for number in range(20)]
        changes = [
            (mine, theirs)[place % 2].filing.change("0001-item", lambda one, name=name: tag(name, one))
            for place, name in enumerate(names)
        ]
        await asyncio.gather(*changes)

        known = await theirs.items.get("0001-item")
        assert known is not None and known.tags == tuple(names)
        assert (await mine.items.facets()).tags == tuple((name, 1) for name in names)


async def test_facets_count_what_is_shown_commonest_first(ledger: Ledger) -> None:
    await file_items(ledger, *SHELF[:2])
    await ledger.filing.add(SHELF[2:])
    shelf = Facets(
        models=(("Demo", 3),),
        loras=(("ink", 3), ("glow", 1)),
        engines=(("local", 2), ("ComfyUI", 1)),
        tags=(("sea", 2), ("strasse", 1)),
    )
    assert await ledger.items.facets() == shelf

    await ledger.filing.change("0004-item", restored)
    assert (await ledger.items.facets()).tags == (("sea", 3), ("strasse", 1))
    await ledger.filing.change("0004-item", deleted)
    assert await ledger.items.facets() == shelf
    await ledger.filing.remove("0004-item")
    assert await ledger.items.facets() == shelf
    for number in (1, 2, 3):
        await ledger.filing.remove(f"000{number}-item")
    assert await ledger.items.facets() == Facets()
    assert (await ledger.items.search(ItemQuery())).total == 0


async def test_the_trash_is_out_of_lists_and_children_but_found_by_name(ledger: Ledger) -> None:
    await ledger.filing.add([item(1), item(2, parent_id="0001-item"), item(3, parent_id="0001-item")])
    await ledger.filing.change("0002-item", deleted)

    assert await ledger.items.get("0002-item") == deleted(item(2, parent_id="0001-item"))
    assert [one.seed for one in await ledger.items.children("0001-item")] == [3]
    assert [one.seed for one in await ledger.items.of_job("job")] == [1, 2, 3]
    assert (await ledger.items.search(ItemQuery(limit=1))).total == 2


async def test_the_trash_gives_what_went_there_before_a_moment_oldest_first(ledger: Ledger) -> None:
    hours = {1: 5, 2: 3, 3: 4, 4: 9}
    await ledger.filing.add([item(n, deleted=START + timedelta(hours=hour)) for n, hour in hours.items()])
    await ledger.filing.add([item(5)])

    assert [one.seed for one in await ledger.filing.trashed(START + timedelta(hours=9), 9)] == [2, 3, 1]
    assert [one.seed for one in await ledger.filing.trashed(START + timedelta(hours=9), 2)] == [2, 3]


@pytest.mark.parametrize("sort", ["newest", "oldest", "best"])
@pytest.mark.parametrize("filters", [{"tag": "sea"}, {"lora": "ink"}, {"engine": "local", "query": "picture"}])
async def test_pages_of_a_filter_join_without_gap_or_repeat(ledger: Ledger, sort: Any, filters: dict[str, Any]) -> None:
    await ledger.filing.add([item(n, score=n % 3, tags=("sea",), **with_loras("a/ink")) for n in range(10)])
    everything = await found(ledger, sort=sort, **filters)

    seen: list[int] = []
    page = await ledger.items.search(ItemQuery(limit=3, sort=sort, **filters))
    while page.cursor is not None:
        seen += [one.seed for one in page.items]
        await ledger.filing.change(page.items[0].id, deleted)
        page = await ledger.items.search(ItemQuery(limit=3, sort=sort, cursor=page.cursor, **filters))
    assert (seen + [one.seed for one in page.items], len(everything)) == (everything, 10)


# likenesses


def vector(*angles: float) -> bytes:
    """Of length 1 in a space of 8 dimensions."""
    floats = [math.cos(angles[0]), math.sin(angles[0]), *([0.0] * 6)]
    return struct.pack("<8e", *floats)


async def test_vectors_are_kept_and_the_nearest_come_first(ledger: Ledger) -> None:
    await ledger.filing.add([item(n) for n in range(1, 6)])
    await ledger.likenesses.keep("clip", {f"000{n}-item": vector(n / 4) for n in (1, 2, 3, 4)} | {"gone": vector(0)})
    await ledger.likenesses.keep("other", {"0005-item": vector(0)})

    near = await ledger.likenesses.near("clip", vector(0.5), 3)
    assert [name for name, _ in near] == ["0002-item", "0001-item", "0003-item"]
    assert [alike for _, alike in near] == pytest.approx([1.0, math.cos(0.25), math.cos(0.25)], abs=0.002)
    assert await ledger.likenesses.vector("clip", "0003-item") == vector(0.75)
    assert await ledger.likenesses.vector("other", "0003-item") is None
    assert await ledger.likenesses.near("nobody", vector(0), 3) == []
    assert [one.seed for one in await ledger.likenesses.missing("other", 3)] == [4, 3, 2]


async def test_the_nearest_follow_what_is_filed_trashed_removed_and_embedded_anew(where: Where) -> None:
    async with open_ledger(where) as mine, open_ledger(where) as theirs:

        async def names() -> list[str]:
            return [name for name, _ in await theirs.likenesses.near("clip", vector(0), 5)]

        await mine.filing.add([item(n) for n in (1, 2, 3)])
        await mine.filing.change("0003-item", deleted)
        await mine.likenesses.keep("clip", {"0001-item": vector(1), "0002-item": vector(2), "0003-item": vector(0)})
        assert await names() == ["0001-item", "0002-item"]
        await mine.likenesses.keep("clip", {"0002-item": vector(0.5)})
        assert await names() == ["0002-item", "0001-item"]
        await mine.filing.change("0003-item", restored)
        await mine.filing.change("0002-item", deleted)
        assert await names() == ["0003-item", "0001-item"]
        await mine.filing.remove("0003-item")
        await mine.filing.add([item(3)])
        assert await names() == ["0001-item"]
        assert [one.seed for one in await mine.likenesses.missing("clip", 9)] == [3]


async def test_pictures_without_a_vector_are_told_until_they_have_one(ledger: Ledger) -> None:
    async def missing(limit: int = 9) -> list[int]:
        return [one.seed for one in await ledger.likenesses.missing("clip", limit)]

    def has(number: int) -> dict[str, bytes]:
        return {f"{number:04d}-item": vector(0)}

    video = {"kind": "video", "prompt": '"poster":"'}
    await ledger.filing.add([item(n) for n in range(5)])
    await ledger.filing.add([item(5, **video), item(6, **video, facts={"poster": "job/p.png"}), item(7, deleted=START)])
    assert [await missing(2), await missing(2), await missing()] == [[6, 4], [6, 4], [6, 4, 3, 2, 1, 0]]
    await ledger.likenesses.keep("clip", has(6) | has(4) | has(3) | has(1))
    assert [await missing(1), await missing(), await missing()] == [[2], [2, 0], [2, 0]]
    await ledger.filing.add([item(8)])
    assert [await missing(), await missing(2)] == [[8, 2, 0], [8, 2]]
    await ledger.likenesses.keep("clip", has(8) | has(2) | has(0))
    assert await missing() == []
    await ledger.filing.change("0007-item", restored)
    assert await missing() == [7]


async def test_among_thousands_the_sketches_lose_none_of_the_nearest(ledger: Ledger) -> None:
    chance = random.Random(7)

    def somewhere(near: Sequence[float] | None = None, spread: float = 1.0) -> list[float]:
        floats = [chance.gauss(0, 1) * spread + (near[place] if near else 0) for place in range(32)]
        length = math.sqrt(sum(one * one for one in floats))
        return [one / length for one in floats]

    wanted = somewhere()
    twins = {f"{n:04d}-item": somewhere(wanted, 0.05) for n in range(0, 3000, 300)}
    vectors = {f"{n:04d}-item": twins.get(f"{n:04d}-item") or somewhere() for n in range(3000)}
    await ledger.filing.add([item(n) for n in range(3000)])
    await ledger.likenesses.keep("clip", {name: struct.pack("<32e", *floats) for name, floats in vectors.items()})

    near = await ledger.likenesses.near("clip", struct.pack("<32e", *wanted), 10)
    assert {name for name, _ in near} == twins.keys()
    assert [alike for _, alike in near] == sorted((alike for _, alike in near), reverse=True)


async def test_twins_are_grouped_newest_first_the_trash_apart(ledger: Ledger) -> None:
    prints = {1: "7000000000000000", 2: "8fffffffffffffff", 3: "700000000000000f", 4: "8ffffffffffffff0", 5: None}
    await ledger.filing.add([item(n, fingerprint=one) for n, one in prints.items()])
    await ledger.filing.add([item(6, fingerprint="7000000000000000"), item(7, fingerprint="70000000000000ff")])
    await ledger.filing.change("0007-item", deleted)

    assert await ledger.likenesses.twins(4, 9) == [["0006-item", "0003-item", "0001-item"], ["0004-item", "0002-item"]]
    assert await ledger.likenesses.twins(4, 1) == [["0006-item", "0003-item", "0001-item"]]
    assert await ledger.likenesses.twins(0, 9) == [["0006-item", "0001-item"]]


async def test_even_pictures_are_no_twins_for_their_empty_fingerprints(ledger: Ledger) -> None:
    prints = ["0" * 16, "0" * 16, "f" * 16, "f" * 16, "0" * 15 + "1", "0" * 15 + "3"]
    await ledger.filing.add([item(n, fingerprint=one) for n, one in enumerate(prints)])

    assert await ledger.likenesses.twins(2, 9) == [["0005-item", "0004-item"]]


def test_many_hashes_are_grouped_as_if_each_was_compared_with_each() -> None:
    chance = random.Random(3)
    seeds = [chance.getrandbits(64) for _ in range(1500)]
    hashes = [seed for seed in seeds for _ in range(2)]
    for place in range(1, len(hashes), 2):  # each second one differs from the first in up to nine bits
        for bit in chance.sample(range(64), chance.randrange(10)):
            hashes[place] ^= 1 << bit
    chance.shuffle(hashes)

    numbered = list(enumerate(hashes))
    expected = [[i, j] for i, one in numbered for j, other in numbered[i + 1 :] if (one ^ other).bit_count() <= 6]
    assert len(set(hashes)) > twins.FEW
    assert twins.groups(hashes, 6, 10_000) == expected
