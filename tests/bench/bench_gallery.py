"""The gallery's rows: filing and every kind of search over 200,000 of them, beside the bare driver in the same run.

ATELIER_BENCH_ROWS takes another number (1000000: 5 GB, some ten minutes). With ATELIER_BENCH_SERVER=1 it is the tests'
PostgreSQL instead of a file.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import sqlite3
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import psycopg
import sqlalchemy as sa

from clients._ledger import spans
from clients._ledger.search import Statement, asked_of
from clients.ledger import Ledger, open_ledger
from tests.bench.figure import Figure
from tests.clients.ledger_kit import engine
from tests.services.postgres import Server
from workflows.types import Item, ItemQuery, LoraUse, Recipe

ROWS = int(os.environ.get("ATELIER_BENCH_ROWS", "200000"))
ON_SERVER = bool(os.environ.get("ATELIER_BENCH_SERVER"))
FILED = min(ROWS, 20_000)
"""Rows that are filed; the others are copies of them."""
BATCH = 2_000
QUERIES = 100
DIMENSIONS = 512
WORDS = [f"{chr(97 + place % 26)}{chr(97 + place // 26 % 26)}{place}" for place in range(20_000)]
ZIPF = np.cumsum([1 / (place + 1) for place in range(len(WORDS))]).tolist()
MODELS = [f"model-{place}" for place in range(8)]
TAGS = [f"tag-{place}" for place in range(200)]
LORAS = [f"styles/lora-{place}.safetensors" for place in range(50)]
START = datetime(2026, 1, 1, tzinfo=UTC)
QUICK, SOUND = "p95 under 50 ms", "p95 under 150 ms"
"""The aims: of one filter or of words in the order of filing; and of several filters, or of words sorted by score."""
RECIPE = Recipe(prompt="x")

Bare = Callable[[Statement], Sequence[tuple[Any, ...]]]


async def figures() -> list[Figure]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if not ON_SERVER:
            with closing(sqlite3.connect(folder / "ledger.db", check_same_thread=False)) as connection:
                return await _figures(
                    folder / "ledger.db", lambda one: connection.execute(one.sql, one.values).fetchall()
                )
        folder.chmod(0o777)
        server = await asyncio.to_thread(Server, folder / "server")
        url = await asyncio.to_thread(server.new_database)
        with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
            found = await _figures(url, lambda one: connection.execute(_named(one.sql), one.values).fetchall())
        await asyncio.to_thread(server.stop)
        return found


def _named(statement: str) -> Any:
    """SQLAlchemy's names for values in psycopg's way."""
    return re.sub(r"(?<!:):([a-z_]+)", r"%(\1)s", statement)


async def _figures(where: Path | str, bare: Bare) -> list[Figure]:
    found = [await fill(where, ROWS)]
    async with open_ledger(where) as ledger:
        found += await _embedded(ledger)
        for name, queries in _sets():
            found += await _searched(ledger, name, queries, bare)
        found.append(await _once("facets", ledger.items.facets, 20))
        found.append(await _once("twins within 6 bits, first 50 groups", lambda: ledger.likenesses.twins(6, 50), 1))
        return found


async def fill(where: Path | str, rows: int) -> Figure:
    """Make a ledger with so many pictures, each of a job of its own; how long filing one took."""
    first = min(rows, FILED)
    async with open_ledger(where) as ledger:
        each = await _filed(ledger, first)
    await asyncio.to_thread(_grow, where, first, rows // first)
    return Figure(name=f"gallery of {rows:,}: filing one, {BATCH:,} at a time", ours=each, bare=None, unit="us", aim="")


async def _filed(ledger: Ledger, several: int) -> float:
    """Microseconds for one."""
    chance = random.Random(1)
    took = 0.0
    for first in range(0, several, BATCH):
        items = [_item(number, chance) for number in range(first + 1, min(first + BATCH, several) + 1)]
        began = time.perf_counter()
        await ledger.filing.add(items)
        took += time.perf_counter() - began
    return took / several * 1e6


def _grow(where: Path | str, filed: int, times: int) -> None:
    """The rows that were filed again and again, under other ids and later dates: the database copies them itself."""
    sqlite = isinstance(where, Path)
    later = filed * 60_000_000
    columns = "parent_id, key, name, kind, model_key, best, favourite, engine_key, deleted"
    drawn = "random()" if sqlite else "CAST(CAST('x' || md5(CAST(random() AS text)) AS bit(64)) AS bigint)"
    by, copied = "CAST(:by AS int)", "|| '-' || CAST(:by AS text)"
    tables = {
        "items": (
            f"seq, id, job_id, created, fingerprint, {columns}",
            f"seq + {by}, id {copied}, job_id {copied}, created + :copy * {later}, {drawn}, {columns}",
        ),
        "item_details": ("seq, prompt, negative, model, body", f"seq + {by}, prompt, negative, model, body"),
        "item_labels": ("kind, label, seq", f"kind, label, seq + {by}"),
    }
    if not sqlite:
        tables["items_words"] = ("seq, words", f"seq + {by}, words")
    made = engine(where)
    with made.begin() as connection:
        if sqlite:
            connection.exec_driver_sql("PRAGMA cache_size = -500000")
        for copy in range(1, times):
            for table, (into, values) in tables.items():
                statement = sa.text(f"INSERT INTO {table} ({into}) SELECT {values} FROM {table} WHERE seq <= {filed}")
                number = {"by": copy * filed}
                connection.execute(statement, number | {"copy": copy} if ":copy" in values else number)
        connection.exec_driver_sql(f"UPDATE facets SET count = count * {times}")
        connection.exec_driver_sql("DELETE FROM item_spans")
        connection.exec_driver_sql(
            f"INSERT INTO item_spans SELECT seq / {spans.ROWS}, min(created), max(created) FROM items GROUP BY 1"
        )
    if not sqlite:
        with made.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.text("VACUUM ANALYZE"))


async def _embedded(ledger: Ledger) -> list[Figure]:
    """Vectors for the pictures that were filed, around a hundred centres."""
    chance = np.random.default_rng(1)
    centres = chance.standard_normal((100, DIMENSIONS), np.float32)
    several = FILED
    start = time.perf_counter()
    for first in range(1, several + 1, BATCH):
        names = [_name(number) for number in range(first, min(first + BATCH, several + 1))]
        own = chance.standard_normal((len(names), DIMENSIONS), np.float32)
        drawn = centres[chance.integers(0, len(centres), len(names))] + own
        drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
        vectors = [row.tobytes() for row in drawn.astype("<f2")]
        await ledger.likenesses.keep("clip", dict(zip(names, vectors, strict=True)))
    each = (time.perf_counter() - start) / several * 1e6
    wanted = (centres[0] / np.linalg.norm(centres[0])).astype("<f2").tobytes()
    near = await _once(f"near among {several:,} vectors", lambda: ledger.likenesses.near("clip", wanted, 60), 20)
    return [Figure(name="keeping a vector", ours=each, bare=None, unit="us", aim=""), near]


async def _once(name: str, ask: Callable[[], Awaitable[object]], times: int) -> Figure:
    await ask()
    return Figure(name=f"{name}, p50", ours=_at(await _timed([ask] * times), 0.5), bare=None, unit="ms", aim="")


async def _searched(ledger: Ledger, name: str, queries: Sequence[ItemQuery], bare: Bare) -> list[Figure]:
    asked = [lambda query=query: ledger.items.search(query) for query in queries]
    await asked[0]()
    ours = await _timed(asked)
    plain = await asyncio.to_thread(_bare_times, queries, bare)
    aim = SOUND if " " in name else QUICK
    return [
        Figure(name=f"{name}, p{share * 100:.0f}", ours=_at(ours, share), bare=_at(plain, share), unit="ms", aim=aim)
        for share in (0.5, 0.95)
    ]


async def _timed(asked: Sequence[Callable[[], Awaitable[object]]]) -> list[float]:
    times: list[float] = []
    for ask in asked:
        start = time.perf_counter()
        await ask()
        times.append(time.perf_counter() - start)
    return sorted(times)


def _bare_times(queries: Sequence[ItemQuery], bare: Bare) -> list[float]:
    """Of the page alone, in the order of the list or of the text: without a total, and nothing made of the JSON."""
    times: list[float] = []
    for query in queries:
        asked = asked_of(query, sqlite=not ON_SERVER)
        way = (asked.by_text if asked.has_text else asked.by_order) if asked.sqlite else asked.by_plan
        statement = asked.page(way)
        start = time.perf_counter()
        seqs = [0, *(seq for seq, _ in bare(statement))]
        bare(Statement(f"SELECT seq, body FROM item_details WHERE seq IN ({', '.join(map(str, seqs))})", {}))
        times.append(time.perf_counter() - start)
    return sorted(times)


def _at(times: Sequence[float], share: float) -> float:
    return times[int(len(times) * share)] * 1000


def _sets() -> Iterator[tuple[str, list[ItemQuery]]]:
    chance = random.Random(2)

    def text() -> str:
        """One to three words, as often as they occur; in every second the last is only begun."""
        words = chance.choices(WORDS, cum_weights=ZIPF, k=chance.randint(1, 3))
        return " ".join([*words[:-1], words[-1][: chance.choice([3, 20])]])

    def moment() -> datetime:
        return START + timedelta(minutes=chance.randrange(ROWS))

    filters: dict[str, Callable[[], Any]] = {
        "model": lambda: chance.choice(MODELS),
        "lora": lambda: chance.choice(LORAS),
        "engine": lambda: chance.choice(["local", "comfyui", "fal"]),
        "tag": lambda: chance.choice(TAGS),
        "favourite": lambda: True,
        "kind": lambda: "video",
        "min_score": chance.random,
        "since": moment,
        "until": moment,
    }

    def some(count: int) -> dict[str, Any]:
        wanted = {name: filters[name]() for name in chance.sample(sorted(filters), count)}
        return wanted | {"sort": chance.choice(["newest", "oldest", "best"])}

    yield "newest", [ItemQuery(limit=60) for _ in range(QUERIES)]
    for name, value in filters.items():
        yield name, [ItemQuery.checked(**{name: value()}, sort=some(1)["sort"]) for _ in range(QUERIES)]
    yield "two filters", [ItemQuery.checked(**some(2)) for _ in range(QUERIES)]
    yield "text", [ItemQuery(query=text()) for _ in range(QUERIES)]
    yield "text, best first", [ItemQuery(query=text(), sort="best") for _ in range(QUERIES)]
    yield "text and a filter", [ItemQuery.checked(query=text(), **some(1)) for _ in range(QUERIES)]


def _name(number: int) -> str:
    """Ids as random as real ones: the order of filing says nothing of them."""
    return str(UUID(int=number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128))


def _item(number: int, chance: random.Random) -> Item:
    name = _name(number)
    prompt = " ".join(chance.choices(WORDS, cum_weights=ZIPF, k=chance.randint(8, 40)))
    loras = (LoraUse(name=chance.choice(LORAS)),) if number % 4 == 0 else ()
    recipe = RECIPE.model_copy(update={"prompt": prompt, "loras": loras})
    facts = {
        "id": name,
        "job_id": name,
        "key": f"{name}/1/1.png",
        "kind": "video" if number % 50 == 0 else "image",
        "created": START + timedelta(minutes=number),
        "prompt": prompt,
        "model": MODELS[min(int(chance.expovariate(0.8)), 7)],
        "engine": chance.choices(["local", "comfyui", "fal"], [60, 38, 2])[0],
        "seed": number,
        "score": chance.random(),
        "favourite": chance.random() < 0.01,
        "tags": tuple(sorted(set(chance.sample(TAGS, 2)))) if number % 5 == 0 else (),
        "fingerprint": f"{chance.getrandbits(64) if number % 20 else number:016x}",
        "recipe": recipe,
        "rendered": recipe,
    }
    return _PICTURE.model_copy(update=facts)


_PICTURE = Item(
    job_id="job",
    key="key",
    media_type="image/png",
    width=512,
    height=512,
    size=300_000,
    sha256="0" * 64,
    prompt="x",
    negative="blurry, text",
    model="model",
    engine="local",
    seed=1,
    passed=True,
    recipe=RECIPE,
    rendered=RECIPE,
)
