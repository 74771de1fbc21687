"""The gallery's rows: filing and every kind of search over 1,000,000 of them, beside the bare driver in the same run.

ATELIER_BENCH_ROWS takes another number. With ATELIER_BENCH_SERVER=1 it is the tests' PostgreSQL instead of a file.
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

from clients._ledger.search import Search, Statement
from clients.ledger import Ledger, open_ledger
from tests.bench.figure import Figure
from tests.clients.ledger_kit import change, engine
from tests.services.postgres import Server
from workflows.types import Item, ItemQuery, LoraUse, Recipe

ROWS = int(os.environ.get("ATELIER_BENCH_ROWS", "1000000"))
ON_SERVER = bool(os.environ.get("ATELIER_BENCH_SERVER"))
FILED = min(ROWS, 50_000)
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
AIM = "p95 under 50 ms"
RECIPE = Recipe(prompt="x")

Bare = Callable[[Statement], object]


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
    async with open_ledger(where) as ledger:
        found = [await _filed(ledger)]
        await asyncio.to_thread(_grow, where)
        found += await _embedded(ledger)
        for name, queries in _sets():
            found += await _searched(ledger, name, queries, bare)
        found.append(await _once("facets", ledger.items.facets, 20))
        found.append(await _once("twins within 6 bits, first 50 groups", lambda: ledger.likenesses.twins(6, 50), 1))
        return found


async def _filed(ledger: Ledger) -> Figure:
    chance = random.Random(1)
    start = time.perf_counter()
    made = 0.0
    for first in range(0, FILED, BATCH):
        began = time.perf_counter()
        items = [_item(number, chance) for number in range(first + 1, min(first + BATCH, FILED) + 1)]
        made += time.perf_counter() - began
        await ledger.filing.add(items)
    each = (time.perf_counter() - start - made) / FILED * 1e6
    return Figure(name=f"gallery of {ROWS:,}: filing one, {BATCH:,} at a time", ours=each, bare=None, unit="us", aim="")


def _grow(where: Path | str) -> None:
    """The rows that were filed again and again, under other ids and later dates: the database copies them itself."""
    later = FILED * 60_000_000
    columns = "job_id, parent_id, key, name, kind, model_key, best, favourite, engine_key, deleted"
    drawn = "CAST(CAST('x' || md5(CAST(random() AS text)) AS bit(64)) AS bigint)" if ON_SERVER else "random()"
    tables = {
        "items": (
            f"seq, id, created, fingerprint, {columns}",
            f"seq + CAST(:by AS int), id || '-' || CAST(:by AS text), created + :copy * {later}, {drawn}, {columns}",
        ),
        "item_details": ("seq, prompt, negative, model, body", "seq + CAST(:by AS int), prompt, negative, model, body"),
        "item_labels": ("kind, label, seq", "kind, label, seq + CAST(:by AS int)"),
    }
    if ON_SERVER:
        tables["items_words"] = ("seq, words", "seq + CAST(:by AS int), words")
    made = engine(where)
    for copy in range(1, ROWS // FILED):
        with made.begin() as connection:
            for table, (into, values) in tables.items():
                copied = sa.text(f"INSERT INTO {table} ({into}) SELECT {values} FROM {table} WHERE seq <= {FILED}")
                by = copy * FILED
                connection.execute(copied, {"by": by, "copy": copy} if ":copy" in values else {"by": by})
    change(where, f"UPDATE facets SET count = count * {ROWS // FILED}")
    if ON_SERVER:
        with made.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.text("ANALYZE"))


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
    return [
        Figure(name=f"{name}, p{share * 100:.0f}", ours=_at(ours, share), bare=_at(plain, share), unit="ms", aim=AIM)
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
    """Of the page alone, in the order of the list: without its total, and nothing made of the JSON."""
    times: list[float] = []
    for query in queries:
        asked = Search(query, sqlite=not ON_SERVER)
        statement = asked.page("match" if asked.has_text and query.sort != "best" else "walk")
        start = time.perf_counter()
        bare(statement)
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
