"""list_images and search over 100,000 items, through Gallery.search on a real ledger in a temporary folder."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from clients._ledger.tables import detail_row, item_row
from clients.ledger import open_ledger
from clients.local_store import LocalStore
from tests.bench.figure import Figure
from workflows.gallery import Gallery
from workflows.types import Item, ItemQuery, Recipe

ROWS = 100_000
BATCH = 2_000
WORDS = [f"{chr(97 + place % 26)}{chr(97 + place // 26 % 26)}{place}" for place in range(20_000)]
ZIPF = [1 / (place + 1) for place in range(len(WORDS))]
START = datetime(2026, 1, 1, tzinfo=UTC)
AIM = "p95 under 20 ms"


async def figures() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.db"
        async with open_ledger(path):
            pass
        await asyncio.to_thread(_fill, path)
        async with open_ledger(path) as ledger:
            gallery = Gallery(ledger.items, LocalStore(Path(folder) / "pictures"))
            return [figure for name, queries in _sets() for figure in await _measured(gallery, path, name, queries)]


def _sets() -> Iterator[tuple[str, list[ItemQuery]]]:
    chance = random.Random(2)
    models = [f"model-{place}" for place in range(8)]

    def text() -> str:
        """One to three words, as often as they occur; in every second the last is only begun."""
        words = chance.choices(WORDS, ZIPF, k=chance.randint(1, 3))
        return " ".join([*words[:-1], words[-1][: chance.choice([3, 20])]])

    def filters() -> dict[str, Any]:
        wanted = chance.choice(["model", "favourite", "min_score", "since"])
        since = START + timedelta(minutes=chance.randrange(ROWS))
        values = {"model": chance.choice(models), "favourite": True, "min_score": chance.random(), "since": since}
        return {wanted: values[wanted], "sort": chance.choice(["newest", "oldest", "best"])}

    yield "list, newest", [ItemQuery() for _ in range(100)]
    yield "list, filters and sorts", [ItemQuery(**filters()) for _ in range(200)]
    yield "text", [ItemQuery(query=text()) for _ in range(200)]
    yield (
        "text, filters and sorts",
        [ItemQuery(query=text(), **filters()) for _ in range(200)],
    )


async def _measured(gallery: Gallery, path: Path, name: str, queries: Sequence[ItemQuery]) -> list[Figure]:
    await gallery.search(queries[0])
    times = sorted([await _seconds(gallery, query) for query in queries])
    bare = await asyncio.to_thread(_bare, path) if name == "list, newest" else None
    return [
        Figure(name=f"gallery {name}, p50", ours=_at(times, 0.5), bare=bare, unit="ms", aim=AIM),
        Figure(name=f"gallery {name}, p95", ours=_at(times, 0.95), bare=None, unit="ms", aim=AIM),
    ]


async def _seconds(gallery: Gallery, query: ItemQuery) -> float:
    start = time.perf_counter()
    await gallery.search(query)
    return time.perf_counter() - start


def _at(times: Sequence[float], share: float) -> float:
    return times[int(len(times) * share)] * 1000


def _bare(path: Path) -> float:
    """Milliseconds (p50) of the same page with sqlite3 alone and nothing made of the JSON."""
    times: list[float] = []
    with closing(sqlite3.connect(path)) as connection:
        for _ in range(50):
            start = time.perf_counter()
            connection.execute("SELECT body FROM item_details ORDER BY seq DESC LIMIT 20").fetchall()
            connection.execute("SELECT count(*) FROM items").fetchall()
            times.append(time.perf_counter() - start)
    return _at(sorted(times), 0.5)


def _fill(path: Path) -> None:
    chance = random.Random(1)
    with closing(sqlite3.connect(path)) as connection:
        for first in range(0, ROWS, BATCH):
            items = [_item(number, chance) for number in range(first + 1, first + BATCH + 1)]
            _insert(connection, "items", [{"seq": seq, **item_row(item)} for seq, item in items])
            _insert(connection, "item_details", [{"seq": seq, **detail_row(item)} for seq, item in items])
            connection.commit()


def _insert(connection: sqlite3.Connection, table: str, rows: Sequence[dict[str, Any]]) -> None:
    names = ", ".join(rows[0])
    marks = ", ".join(f":{name}" for name in rows[0])
    connection.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", rows)


def _item(number: int, chance: random.Random) -> tuple[int, Item]:
    recipe = Recipe(prompt=" ".join(chance.choices(WORDS, ZIPF, k=chance.randint(8, 40))), negative="blurry, text")
    name = str(UUID(int=chance.getrandbits(128)))
    item = Item(
        id=name,
        job_id=name,
        key=f"{name}/1/1.png",
        media_type="image/png",
        width=512,
        height=512,
        size=300_000,
        sha256=f"{number:064x}",
        created=START + timedelta(minutes=number),
        prompt=recipe.prompt,
        negative=recipe.negative,
        model=f"model-{min(int(chance.expovariate(0.8)), 7)}",
        engine="local",
        seed=number,
        score=chance.random(),
        passed=True,
        favourite=chance.random() < 0.01,
        recipe=recipe,
        rendered=recipe,
    )
    return number, item
