"""kill -9 at any moment: every job is found again, finished ones whole, nothing half-written is listed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.fakes import FakeEngine, fake_app
from utils.images import decode, sha256
from workflows.types import ItemQuery

WORK = """
import asyncio, sys
from pathlib import Path
from tests.fakes import FakeJudge, fake_app
from workflows.types import Recipe

async def main():
    async with fake_app(Path(sys.argv[1]), judge=FakeJudge(scores=[0.1, 0.2, 0.4, 0.1, 0.5])) as app:
        number = 0
        while True:
            job = await app.studio.submit(Recipe.checked(prompt=f"picture {number}", seed=number, count=2))
            print(job.id, flush=True)
            await app.studio.wait(job.id, 30)
            number += 1

asyncio.run(main())
"""


@pytest.mark.parametrize("milliseconds", [0, 15, 45, 90, 200])
async def test_a_killed_process_loses_no_job_and_lists_nothing_half_made(tmp_path: Path, milliseconds: int) -> None:
    started = run_and_kill(tmp_path, milliseconds / 1000)
    async with fake_app(tmp_path, engine=FakeEngine(), resume=True) as app:
        for job_id in started:
            job = await app.studio.wait(job_id, 30)
            assert (job.state, len(job.item_ids)) == ("succeeded", 2)
        for job in app.studio.active():  # one that was written down, and killed before its id was told
            await app.studio.wait(job.id, 30)
        page = await app.gallery.search(ItemQuery(limit=200))
        assert page.total >= 2 * len(started)
        for item in page.items:
            media = await app.gallery.original(item.id)
            assert sha256(media.data) == item.sha256
            assert decode(media.data).size == (item.width, item.height)
        listed = {item.key for item in page.items}
        assert set(await app.studio.store.keys("")) == listed


def run_and_kill(home: Path, later: float) -> list[str]:
    """Start the worker, wait for its third job, and kill it `later` seconds after; returns the ids it told."""
    with subprocess.Popen([sys.executable, "-c", WORK, str(home)], stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        started = [worker.stdout.readline().strip() for _ in range(3)]
        time.sleep(later)
        worker.send_signal(signal.SIGKILL)
        rest, _ = worker.communicate()
    return [job_id for job_id in [*started, *rest.split()] if job_id]
