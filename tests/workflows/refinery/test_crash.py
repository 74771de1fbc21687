"""kill -9 at any moment of a batch: nothing is lost, and no call is repeated whose answer had arrived."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from clients.ledger import open_ledger
from tests.workflows.refinery.kit import house
from tests.workflows.refinery.worker import colour_of
from utils.images import decode, sha256
from workflows.types import ItemQuery, Refinement

KILLS = 20
BRIEFS = 12
Question = tuple[str, str]


@dataclass
class Service:
    """Answers one worker after the other and counts. It ends the worker at the `nth` question that it asks, without an
    answer, or so long after the answer to that."""

    port: int = 0
    nth: int = 0
    delay: float | None = None
    sign: signal.Signals = signal.SIGKILL
    worker: int = 0
    """Its process; 0 when none runs."""
    here: int = 0
    """Questions of the worker that runs."""
    answered: Counter[Question] = field(default_factory=Counter[Question])

    async def hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readline()
        if line:  # else it was killed between its call and its question
            kind, words = json.loads(line)
            await self.heard(kind, words, reader, writer)
        writer.close()

    async def heard(self, kind: str, words: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.here += 1
        if self.here == self.nth:
            asyncio.get_running_loop().call_later(self.delay or 0, self.end)
        if self.nth and self.here >= self.nth and self.delay is None:
            await reader.read()  # until it is dead
        else:
            self.answered[kind, words] += 1
            writer.write((json.dumps(f"{words}, more") + "\n").encode())

    def end(self) -> None:
        if self.worker:
            os.kill(self.worker, self.sign)


@dataclass
class Workers:
    """Processes that run the batch, one after the other."""

    service: Service
    host: asyncio.subprocess.Process

    async def run(self, batch_size: int, nth: int = 0, delay: float | None = None) -> int:
        """One to its end; the answer is how it ended."""
        self.service.here, self.service.nth, self.service.delay = 0, nth, delay
        assert self.host.stdin is not None
        self.host.stdin.write(f"{batch_size}\n".encode())
        self.service.worker = await self._told()
        ended = await self._told()
        self.service.worker = 0
        return ended

    async def _told(self) -> int:
        assert self.host.stdout is not None
        return int(await self.host.stdout.readline())


@asynccontextmanager
async def working(home: Path, briefs: int) -> AsyncGenerator[Workers]:
    prompts = [f"- {{id: b{number}, prompt: picture {number}}}" for number in range(briefs)]
    (home / "prompts.yaml").write_text("\n".join(prompts), encoding="utf-8")
    service = Service()
    async with await asyncio.start_server(service.hear, "127.0.0.1", 0) as server:
        service.port = server.sockets[0].getsockname()[1]
        program = (sys.executable, "-m", "tests.workflows.refinery.worker", str(home), str(service.port))
        pipe = asyncio.subprocess.PIPE
        host = await asyncio.create_subprocess_exec(*program, stdin=pipe, stdout=pipe, start_new_session=True)
        yield Workers(service, host)
        host.kill()
        await host.wait()


async def written(home: Path) -> set[Question]:
    """The questions whose answers the ledger has."""
    async with open_ledger(home / "atelier.db") as ledger:
        known: set[Question] = set()
        for one in [one for refinement in await ledger.refinements.recent(99) for one in refinement.rounds]:
            known |= {("render", one.prompt)} if one.image_id else set()
            known |= {("evaluate", str(colour_of(one.prompt)))} if one.evaluation else set()
            known |= {("refine", one.prompt)} if one.refined else set()
        return known


async def check_all_is_there(home: Path, briefs: int) -> None:
    """Every round of every brief, its picture in the gallery and in the folder, and nothing besides."""
    async with house(home) as at:
        done = await at.ledger.refinements.recent(99)
        wanted = {(f"b{number}", "succeeded", 2) for number in range(briefs)}
        assert {(one.brief.id, one.state, len(one.rounds)) for one in done} == wanted
        page = await at.gallery.search(ItemQuery(limit=200))
        assert {item.id for item in page.items} == {one.image_id for refinement in done for one in refinement.rounds}
        assert set(await at.studio.store.keys("")) == {item.key for item in page.items}
        for refinement in done:
            await check_files(home, refinement, {item.id: item.sha256 for item in page.items})
    assert list((home / "out").rglob("*.part")) == []
    assert json.loads((home / "out/summary.json").read_bytes())["states"] == {"succeeded": briefs}


async def check_files(home: Path, refinement: Refinement, sums: dict[str, str]) -> None:
    folder = home / "out/results" / refinement.brief.id
    for one in refinement.rounds:
        picture = (folder / f"iteration_{one.number}.png").read_bytes()
        assert sha256(picture) == sums[one.image_id or ""]
        assert decode(picture).getpixel((0, 0)) == colour_of(one.prompt)
        assert json.loads((folder / f"iteration_{one.number}_results.json").read_bytes())["prompt"] == one.prompt


async def test_a_batch_killed_at_20_points_loses_nothing_and_repeats_no_call(tmp_path: Path) -> None:
    """Half of the kills are at a question, half some time after an answer, which may not have been written down yet:
    at most so many answers are lost then as briefs are in work, and they alone are asked for again."""
    chance = random.Random(8)
    async with working(tmp_path, BRIEFS) as workers:
        answered, lost, known = workers.service.answered, set[Question](), set[Question]()
        for kill in range(KILLS):
            before = answered.copy()
            size, delay = (1, None) if kill % 2 == 0 else (3, chance.random() * 0.06)
            assert await workers.run(size, chance.randint(2, 3), delay) == -signal.SIGKILL
            repeated = {one for one in answered - before if before[one]}
            assert repeated <= lost and not repeated & known
            known = await written(tmp_path)
            assert len(set(answered) - known - lost) <= (0 if delay is None else size)
            lost = set(answered) - known
        before = answered.copy()
        assert await workers.run(3) == 0
        assert {one for one in answered - before if before[one]} <= lost
        assert {kind for kind, _ in answered} == {"render", "evaluate", "refine"}
        assert len(answered) == BRIEFS * 5
    await check_all_is_there(tmp_path, BRIEFS)


async def test_control_c_ends_it_in_order_and_what_was_answered_is_not_asked_again(tmp_path: Path) -> None:
    async with working(tmp_path, 4) as workers:
        workers.service.sign = signal.SIGINT
        assert await workers.run(3, 8, delay=0) == 130
        told = json.loads((tmp_path / "out/summary.json").read_bytes())
        assert told["states"]["interrupted"] >= 1 and told["prompts"] == 4
        words = {one for one in workers.service.answered if one[0] != "render"}
        assert words <= await written(tmp_path)
        assert await workers.run(3) == 0
        assert {count for one, count in workers.service.answered.items() if one[0] != "render"} == {1}
    await check_all_is_there(tmp_path, 4)
