"""The index of weight files at the size of a collector's library: cold, warm, unchanged; and what the judges said.

The library is made anew in a temporary folder (about 1 GB of headers, no weights): tests.library.
"""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from statistics import median

from clients.ledger import open_ledger
from clients.model_files import InstalledModels
from tests.bench import bench_gallery
from tests.bench.figure import Figure
from tests.library import make_library

ROUNDS = 5
MANY = 20_000


async def figures() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        whole, many = Path(folder) / "whole", Path(folder) / "many"
        await asyncio.to_thread(make_library, whole, light=False)
        await asyncio.to_thread(make_library, many, 45, MANY - 57, 12)
        return [
            *await _index(whole, "3,735 files", "within 10 s", "within 200 ms"),
            *await _index(many, "20,000 files, short headers", "it works", "it works"),
            await _records(Path(folder) / "gallery.db"),
        ]


async def _index(root: Path, name: str, cold: str, warm: str) -> list[Figure]:
    """Cold beside the bare reading of the same headers with json; then as a process that starts finds it."""
    ledger = root.with_suffix(".db")
    bare = await asyncio.to_thread(_bare, root)
    begun = time.perf_counter()
    await _listed(ledger, root)
    took = time.perf_counter() - begun
    async with open_ledger(ledger) as opened:
        files = InstalledModels(opened.models, [root], comfyui=())
        await files.all()
        again = await _milliseconds(files.scan)
    started = await _milliseconds(lambda: _listed(ledger, root))
    return [
        Figure(name=f"index cold, {name}, against json alone", ours=took, bare=bare, unit="s", aim=cold),
        Figure(name=f"index warm start, {name}", ours=started, bare=None, unit="ms", aim=warm),
        Figure(name=f"index scan without changes, {name}", ours=again, bare=None, unit="ms", aim=warm),
    ]


async def _listed(ledger: Path, root: Path) -> object:
    async with open_ledger(ledger) as opened:
        return await InstalledModels(opened.models, [root], comfyui=()).all()


def _bare(root: Path) -> float:
    begun = time.perf_counter()
    for path in root.rglob("*.safetensors"):
        with path.open("rb") as file:
            json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return time.perf_counter() - begun


async def _milliseconds(work: Callable[[], Awaitable[object]]) -> float:
    times: list[float] = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        await work()
        times.append((time.perf_counter() - begun) * 1000)
    return median(times)


async def _records(path: Path) -> Figure:
    """Over 100,000 pictures of as many jobs with one to three attempts each, as a process that starts asks for it."""
    await bench_gallery.fill(path, 100_000)
    await asyncio.to_thread(_judged, path)
    times: list[float] = []
    for _ in range(ROUNDS):
        async with open_ledger(path) as ledger:
            begun = time.perf_counter()
            await ledger.models.records()
            times.append((time.perf_counter() - begun) * 1000)
    return Figure(name="records by model, 100,000 items", ours=median(times), bare=None, unit="ms", aim="under 300 ms")


def _judged(path: Path) -> None:
    chance = random.Random(3)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "INSERT INTO jobs (id, state, created, updated, body) SELECT job_id, 'succeeded', 0, 0, '{}' FROM items"
        )
        jobs = [name for (name,) in connection.execute("SELECT id FROM jobs")]
        attempts = [(name, turn, chance.random() < 0.7) for name in jobs for turn in range(chance.choice([1, 2, 3]))]
        connection.executemany(
            "INSERT INTO attempts (job_id, picture, number, passed, seconds, key, verdicts) "
            "VALUES (?, 1, ?, ?, 1, '', '[]')",
            attempts,
        )
