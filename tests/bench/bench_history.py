"""prompt_history over 100,000 entries, on a real ledger in a temporary folder, beside sqlite3 and FTS5 alone."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from pathlib import Path
from uuid import UUID

from clients._ledger.full_text import expression
from clients._ledger.tables import history_row
from clients.ledger import open_ledger
from tests.bench.figure import Figure
from workflows.ports import History
from workflows.types import HistoryEntry, HistoryQuery

ROWS = 100_000
BATCH = 2_000
QUERIES = 200
WORDS = [f"{chr(97 + place % 26)}{chr(97 + place // 26 % 26)}{place}" for place in range(20_000)]
ZIPF = list(accumulate(1 / (place + 1) for place in range(len(WORDS))))
PRESETS = ["style:cinematic", "style:oil-painting", "mood:epic", "photography/portrait", "lighting:golden-hour"]
START = datetime(2026, 1, 1, tzinfo=UTC)
AIM = "p95 under 20 ms"
_BARE_LIST = "SELECT body FROM history ORDER BY seq DESC LIMIT 51"
_BARE_TEXT = "SELECT rowid FROM history_fts WHERE history_fts MATCH ? ORDER BY rowid DESC LIMIT 51"


async def figures() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.db"
        async with open_ledger(path):
            pass
        await asyncio.to_thread(_fill, path)
        async with open_ledger(path) as ledger:
            return [figure for name, texts in _sets() for figure in await _measured(ledger.history, path, name, texts)]


def _sets() -> Iterator[tuple[str, list[str]]]:
    """Names of what is typed, and what: words as often as they occur, unless it says otherwise."""
    chance = random.Random(2)
    drawn = [chance.choices(WORDS, cum_weights=ZIPF, k=2) for _ in range(QUERIES)]
    yield "newest, no words", [""] * QUERIES
    yield "two words", [" ".join(words) for words in drawn]
    yield "one word", [words[0] for words in drawn]
    yield "two of the ten commonest", [" ".join(chance.sample(WORDS[:10], 2)) for _ in range(QUERIES)]
    yield "rare words", [" ".join(chance.choices(WORDS[5_000:], k=2)) for _ in range(QUERIES)]
    yield "a beginning of two letters", [words[0][:2] for words in drawn]
    yield "a word and a beginning of three", [f"{words[0]} {words[1][:3]}" for words in drawn]
    yield "no match", [f"{words[0]} nothing{number}" for number, words in enumerate(drawn)]


async def _measured(history: History, path: Path, name: str, texts: Sequence[str]) -> list[Figure]:
    await history.search(HistoryQuery(query=texts[0]))
    times = sorted([await _seconds(history, text) for text in texts])
    bare = sorted(await asyncio.to_thread(_bare, path, texts))
    return [
        Figure(
            name=f"history {name}, p{share * 100:.0f}",
            ours=_at(times, share),
            bare=_at(bare, share),
            unit="ms",
            aim=AIM,
        )
        for share in (0.5, 0.95)
    ]


async def _seconds(history: History, text: str) -> float:
    start = time.perf_counter()
    await history.search(HistoryQuery(query=text))
    return time.perf_counter() - start


def _at(times: Sequence[float], share: float) -> float:
    return times[int(len(times) * share)] * 1000


def _bare(path: Path, texts: Sequence[str]) -> list[float]:
    """Seconds of the same searches with sqlite3 alone: the numbers of the rows, without bodies and without a count."""
    times: list[float] = []
    with closing(sqlite3.connect(path)) as connection:
        for text in [texts[0], *texts]:
            match = expression(text)
            start = time.perf_counter()
            connection.execute(_BARE_TEXT if match else _BARE_LIST, [match] if match else []).fetchall()
            times.append(time.perf_counter() - start)
    return times[1:]


def _fill(path: Path) -> None:
    chance = random.Random(1)
    with closing(sqlite3.connect(path)) as connection:
        for first in range(0, ROWS, BATCH):
            rows = [history_row(_entry(number, chance)) for number in range(first + 1, first + BATCH + 1)]
            marks = ", ".join(f":{name}" for name in rows[0])
            connection.executemany(f"INSERT INTO history ({', '.join(rows[0])}) VALUES ({marks})", rows)
            connection.commit()


def _entry(number: int, chance: random.Random) -> HistoryEntry:
    said = chance.choices(WORDS, cum_weights=ZIPF, k=chance.randint(4, 20))
    added = chance.choices(WORDS, cum_weights=ZIPF, k=chance.randint(10, 40))
    return HistoryEntry(
        id=str(UUID(int=chance.getrandbits(128))),
        created=START + timedelta(minutes=number),
        input=" ".join(said),
        output=" ".join([*said, *added]),
        negative="blurry, text, watermark",
        family=chance.choice(["sdxl", "flux-dev", "pony"]),
        model=f"model-{min(int(chance.expovariate(0.8)), 7)}",
        presets=tuple(chance.sample(PRESETS, 2)),
        mode=chance.choice(["build", "oneshot", "chat"]),
        by=chance.choice(["rules", "qwen3:4b"]),
    )
