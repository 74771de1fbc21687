"""Whatever way a search goes, it finds what going through all rows would find."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from clients._ledger import finding, spans
from clients._ledger.finding import Limits
from clients._ledger.search import asked_of, cursor_after
from clients.ledger import Ledger, open_ledger
from tests.clients.ledger_kit import START, Where, engine, found, item
from workflows.types import Item, ItemQuery, LoraUse, Recipe

SHELF = 90
ALL = 10_000
TEXTS = st.sampled_from(["red", "red sea", "se", "blue", "red nothing"])
FILTERS: dict[str, st.SearchStrategy[Any]] = {
    "model": st.sampled_from(["wide", "Rare", "none"]),
    "engine": st.sampled_from(["local", "far"]),
    "tag": st.sampled_from(["often", "once"]),
    "lora": st.sampled_from(["ink", "styles/ink", "other/ink.pt", "none"]),
    "min_score": st.sampled_from([0.0, 0.5, 0.9, 1.0]),
    "since": st.integers(-9, SHELF).map(lambda hours: START + timedelta(hours=hours)),
    "until": st.integers(-9, SHELF).map(lambda hours: START + timedelta(hours=hours)),
    "favourite": st.booleans(),
    "kind": st.sampled_from(["image", "video"]),
    "prefix": st.sampled_from(["0", "001", "00"]),
    "deleted": st.booleans(),
}
SKIPS = st.sampled_from([0, 0, 0, 0, 1, 9])
LIMITS = st.builds(
    Limits,
    exact=st.sampled_from([1, 4, 45, ALL]),
    many=st.sampled_from([1, 8, ALL]),
    matches=st.sampled_from([1, 30, ALL]),
    first=st.sampled_from([2, 40]),
)


def pictures() -> list[Item]:
    chance = random.Random(5)

    def one(number: int) -> Item:
        loras = tuple(LoraUse(name=name) for name in ["styles/ink", "ink.safetensors", "other/ink"][: number % 4])
        return item(
            number,
            created=START + timedelta(hours=chance.choice([number, number, chance.randrange(SHELF)])),
            prompt=" ".join(word for word in ("red", "sea", "blue") if chance.random() < 0.6),
            model=chance.choice(["Wide"] * 9 + ["rare"]),
            engine=chance.choice(["local"] * 4 + ["far"]),
            tags=tuple(tag for tag, share in (("often", 0.7), ("once", 0.1)) if chance.random() < share),
            score=chance.choice([None, 0.2, 0.5, 0.7, 0.95]),
            favourite=chance.random() < 0.2,
            kind="video" if chance.random() < 0.2 else "image",
            deleted=START if chance.random() < 0.2 else None,
            rendered=Recipe(prompt="x", loras=loras),
        )

    return [one(number) for number in range(SHELF)]


def fits(one: Item, query: ItemQuery) -> bool:
    """What a search means, said row by row."""
    words = query.query.split()
    begun, whole = words[-1:], one.prompt.split()
    folders = {"ink": {"styles/ink", "ink.safetensors", "other/ink"}, "styles/ink": {"styles/ink", "ink.safetensors"}}
    folders |= {"other/ink.pt": {"other/ink", "ink.safetensors"}, "none": set()}
    return all(
        [
            (one.deleted is not None) == query.deleted,
            all(word in whole for word in words[:-1]) and all(any(w.startswith(b) for w in whole) for b in begun),
            query.model is None or one.model.lower() == query.model.lower(),
            query.engine is None or one.engine == query.engine,
            query.tag is None or query.tag in one.tags,
            query.lora is None or any(lora.name in folders[query.lora] for lora in one.rendered.loras),
            query.min_score is None or (one.score is not None and one.score >= query.min_score),
            query.since is None or one.created >= query.since,
            query.until is None or one.created <= query.until,
            query.favourite is None or one.favourite == query.favourite,
            query.kind is None or one.kind == query.kind,
            one.id.startswith(query.prefix),
        ]
    )


def in_order(some: Sequence[Item], sort: str) -> list[int]:
    best = {one.seed: (-9.0 if one.score is None else one.score) if sort == "best" else 0.0 for one in some}
    return sorted(best, key=lambda seed: (best[seed], seed), reverse=sort != "oldest")


@st.composite
def asked(draw: st.DrawFn) -> dict[str, Any]:
    names = draw(st.lists(st.sampled_from(sorted(FILTERS)), max_size=3, unique=True))
    text = {"query": draw(TEXTS)} if draw(st.booleans()) else {}
    return {name: draw(FILTERS[name]) for name in names} | text


@pytest.fixture
def shelf(where: Where) -> Iterator[tuple[Where, list[Item]]]:
    async def file() -> list[Item]:
        filed = pictures()
        async with open_ledger(where) as ledger:
            await ledger.filing.add(filed)
        return filed

    yield where, asyncio.run(file())


def test_every_way_of_a_search_gives_the_same_pages(shelf: tuple[Where, list[Item]]) -> None:
    where, filed = shelf
    sqlite = isinstance(where, Path)
    with engine(where).connect() as connection:

        @example({"query": "red"}, "best", 5, 0, Limits(exact=1, many=1, matches=1, first=2))
        @example({"lora": "other/ink.pt"}, "newest", 5, 0, Limits(exact=45))
        @settings(max_examples=150, deadline=None)
        @given(asked(), st.sampled_from(["newest", "oldest", "best"]), st.integers(1, 7), SKIPS, LIMITS)
        def search(filters: dict[str, Any], sort: Any, limit: int, skip: int, limits: Limits) -> None:
            query = ItemQuery(**filters, sort=sort, limit=limit, skip=skip)
            expected = in_order([one for one in filed if fits(one, query)], sort)
            seen: list[int] = []
            while True:
                rows, total = finding.found(connection, asked_of(query, sqlite), limits)
                seen += [int(row.id[:4]) for row in rows[:limit]]
                assert total == len(expected) or limits.exact <= total < len(expected)
                if len(rows) <= limit:
                    break
                last = rows[limit - 1]
                query = query.but(cursor=cursor_after(sort, last.best, last.seq), skip=0)
            assert seen == expected[skip:]

        search()


async def test_a_jump_passes_over_rows_and_the_cursor_goes_on_from_there(ledger: Ledger) -> None:
    await ledger.filing.add([item(number) for number in range(9)])

    assert await found(ledger, skip=3, limit=2) == [5, 4]
    page = await ledger.items.search(ItemQuery(skip=3, limit=2, sort="oldest"))
    assert ([one.seed for one in page.items], page.total) == ([3, 4], 9)
    assert await found(ledger, cursor=page.cursor, limit=2, sort="oldest") == [5, 6]
    assert await found(ledger, skip=9) == []


@pytest.mark.parametrize("name", ["model", "engine", "tag", "lora", "prefix", "query"])
async def test_a_filter_that_no_row_can_have_finds_nothing(ledger: Ledger, name: str) -> None:
    await ledger.filing.add([item(1)])

    for value in ("a\0b", "%", "'", "\ud7ff\U0010ffff"):
        page = await ledger.items.search(ItemQuery.checked(**{name: value}))
        assert (page.items, page.total) == ((), 0)


async def test_times_lie_between_the_numbers_of_their_stretches(ledger: Ledger, where: Where) -> None:
    days = [item(n, created=START + timedelta(days=n)) for n in range(spans.ROWS * 2)]
    await ledger.filing.add(days)
    await ledger.filing.change(days[-1].id, lambda one: one.but(created=START - timedelta(days=1)))
    first = [one for one in days if one.seed < 2]

    assert await found(ledger, until=first[1].created) == [days[-1].seed, 1, 0]
    assert await found(ledger, since=days[-2].created) == [days[-2].seed]
    assert await found(ledger, until=START - timedelta(days=2)) == []
