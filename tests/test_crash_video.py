"""kill -9 in the middle of a video: the job goes on under the same name when a process starts again."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from tests.fakes import fake_app
from tests.video_kit import FilmEngine
from utils.images import sha256
from utils.video import probe

WORK = """
import asyncio, sys
from pathlib import Path
from tests.fakes import fake_app
from tests.video_kit import FilmEngine, film, mp4
from workflows.types import Recipe

async def main():
    given = await asyncio.to_thread(film)
    engine = FilmEngine(gate=asyncio.Event(), held_from=2)
    async with fake_app(Path(sys.argv[1]), engine=engine) as app:
        recipe = Recipe.checked(task="extend_video", prompt="on it goes", seed=3, frames=5, count=2)
        job = await app.studio.submit(recipe, {"source": mp4(given)})
        await engine.started.wait()
        while not app.studio.active()[0].item_ids:
            await asyncio.sleep(0.01)
        print(job.id, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_a_video_that_was_being_drawn_is_drawn_after_a_kill_and_what_was_filed_stays(tmp_path: Path) -> None:
    job_id = run_and_kill(tmp_path)
    engine = FilmEngine()
    async with fake_app(tmp_path, engine=engine, resume=True) as app:
        job = await app.studio.wait(job_id, 30)
        items = [await app.gallery.find(item_id) for item_id in job.item_ids]
        for item in items:
            media = await app.gallery.original(item.id)
            assert (sha256(media.data), probe(media.data).frames) == (item.sha256, 9)
        posters = [str(item.facts["poster"]) for item in items]
        listed = sorted([*(item.key for item in items), *posters, f"{job_id}/input/source.mp4"])
        assert sorted(await app.studio.store.keys("")) == listed
    assert (job.state, job.runs, len(items)) == ("succeeded", 2, 2)
    assert [ticket.again for ticket in engine.tickets] == [True]
    assert [one.seed for one in engine.recipes] == [4]


def run_and_kill(home: Path) -> str:
    """Start the worker, wait until its second video is being drawn, and kill it; the id of the job."""
    with subprocess.Popen([sys.executable, "-c", WORK, str(home)], stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        job_id = worker.stdout.readline().strip()
        worker.send_signal(signal.SIGKILL)
        worker.communicate()
    return job_id
