"""What is told while it happens: a job's way to its end, and the work of the whole studio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2

from clients.web import live
from clients.web.operations import Call
from tests.fakes import FakeEngine, fake_app, png
from tests.web.served import events
from tests.web.studio import visited
from workflows.app import App
from workflows.types import Media, Recipe

GLIMPSE = Media(data=png(8, 8), media_type="image/png")
SECONDS = 10
Heard = AsyncIterator[dict[str, Any]]


@asynccontextmanager
async def hearing(client: httpx2.AsyncClient, path: str) -> AsyncGenerator[Heard]:
    """The events of a stream, for a while."""
    async with asyncio.timeout(SECONDS), client.stream("GET", path) as response:
        assert response.status_code == 200
        assert response.headers["content-type"] == "text/event-stream"
        yield events(response)


async def first(heard: Heard, key: str, **wanted: Any) -> dict[str, Any]:
    """The next event with that key, and in its first row these values."""
    async for event in heard:
        if key in event and (not wanted or (event[key] and wanted.items() <= event[key][0].items())):
            return event
    raise AssertionError(f"the stream ended without {key}")


async def end_and_change(heard: Heard, job_id: str) -> list[dict[str, Any]]:
    """The event of the job's end and the one of the gallery's change, whichever comes first."""
    missing = {"jobs", "images"}
    seen: list[dict[str, Any]] = []
    async for event in heard:
        rows = event.get("jobs", [{"job_id": job_id, "status": "success"}])
        if rows and (rows[0]["job_id"], rows[0]["status"]) == (job_id, "success"):
            missing -= set(event)
            seen.append(event)
        if not missing:
            break
    return sorted(seen, key=lambda event: "images" in event)


async def begin(client: httpx2.AsyncClient, **body: Any) -> str:
    return (await client.post("/api/jobs", json={"prompt": "a fox"} | body)).json()["job_id"]


async def test_a_job_tells_how_far_it_is_what_it_looks_like_and_how_it_ends(tmp_path: Path) -> None:
    engine = FakeEngine(gate=asyncio.Event(), preview=GLIMPSE)
    async with visited(tmp_path, items=0, engine=engine) as (client, _):
        job_id = await begin(client)
        async with hearing(client, f"/api/jobs/{job_id}/events") as heard:
            seen = [await first(heard, "preview")]
            assert engine.gate is not None
            engine.gate.set()
            seen += [event async for event in heard]
        told = (await client.get(f"/api/jobs/{job_id}")).json()
    assert seen[0] == {"preview": True}
    assert seen[-1] == {"done": True} | told
    fractions = [event["progress"]["fraction"] for event in seen if "progress" in event]
    assert fractions == sorted(fractions)
    assert told["status"] == "success"


async def test_a_job_that_has_ended_tells_its_end_at_once(tmp_path: Path) -> None:
    async with visited(tmp_path, items=0) as (client, served):
        job_id = await begin(client)
        await served.app.studio.wait(job_id, SECONDS)
        async with hearing(client, f"/api/jobs/{job_id}/events") as heard:
            seen = [event async for event in heard]
    assert [(event["done"], event["status"]) for event in seen] == [(True, "success")]


async def test_whoever_leaves_a_job_does_not_stop_it(tmp_path: Path) -> None:
    engine = FakeEngine(gate=asyncio.Event())
    async with visited(tmp_path, items=0, engine=engine) as (client, served):
        job_id = await begin(client)
        async with hearing(client, f"/api/jobs/{job_id}/events") as heard:
            await first(heard, "progress")
        assert engine.gate is not None
        engine.gate.set()
        job = await served.app.studio.wait(job_id, SECONDS)
    assert (job.state, engine.stopped) == ("succeeded", 0)


async def test_the_studio_tells_of_jobs_and_that_the_gallery_changed(tmp_path: Path) -> None:
    engine = FakeEngine(gate=asyncio.Event())
    async with (
        visited(tmp_path, items=1, engine=engine) as (client, served),
        hearing(client, "/api/events") as heard,
    ):
        before = await first(heard, "jobs")
        job_id = await begin(client)
        running = await first(heard, "jobs", job_id=job_id, status="running")
        assert engine.gate is not None
        engine.gate.set()
        ended, *_, changed = await end_and_change(heard, job_id)
        await client.patch(f"/api/images/{served.items[0].id}", json={"favourite": True})
        marked = await first(heard, "images")
    assert [row["status"] for row in before["jobs"]] == ["success"]
    assert (len(running["jobs"]), len(ended["jobs"])) == (2, 2)
    assert ended["jobs"][0]["image_ids"] != []
    assert changed == marked == {"images": True}


async def test_what_another_process_makes_is_seen_too(tmp_path: Path) -> None:
    async with visited(tmp_path, items=0) as (client, _), hearing(client, "/api/events") as heard:
        assert (await first(heard, "jobs")) == {"jobs": []}
        async with fake_app(tmp_path) as neighbour:
            job = await neighbour.studio.submit(Recipe(prompt="a hare"))
            await neighbour.studio.wait(job.id, SECONDS)
            seen, *_, changed = await end_and_change(heard, job.id)
            await neighbour.gallery.tag((await neighbour.studio.find(job.id)).item_ids[0], favourite=True)
            marked = await first(heard, "images")
    assert (seen["jobs"][0]["prompt"], changed, marked) == ("a hare", {"images": True}, {"images": True})


async def test_whoever_asks_only_how_a_stream_would_begin_is_not_kept_waiting(tmp_path: Path) -> None:
    async with visited(tmp_path, items=0) as (client, _), asyncio.timeout(SECONDS):
        whole = await client.head("/api/events")
        nothing = await client.head("/api/jobs/nothing/events")
    assert (whole.status_code, whole.headers["content-type"], nothing.status_code) == (200, "text/event-stream", 404)


async def test_a_silent_stream_shows_that_it_goes_on(tmp_path: Path) -> None:
    async with visited(tmp_path, items=0, heartbeat=0.05) as (client, _), hearing(client, "/api/events") as heard:
        await first(heard, "jobs")
        beat = await first(heard, "comment")
    assert beat["comment"].startswith(": ")


async def test_several_who_listen_each_hear_it(tmp_path: Path) -> None:
    async with (
        visited(tmp_path, items=0) as (client, served),
        hearing(client, "/api/events") as one,
        hearing(client, "/api/events") as other,
    ):
        await asyncio.gather(first(one, "jobs"), first(other, "jobs"))
        job_id = await begin(client)
        await served.app.studio.wait(job_id, SECONDS)
        ends = await asyncio.gather(*(first(heard, "jobs", job_id=job_id, status="success") for heard in (one, other)))
    assert ends[0] == ends[1]


async def test_whoever_leaves_the_studio_is_not_told_any_more(tmp_path: Path) -> None:
    async with fake_app(tmp_path) as app:

        async def opened() -> App:
            return app

        told = live.events(Call(app=opened))
        await anext(told)
        another = live.events(Call(app=opened))
        await anext(another)
        hearers = app.studio.changes._hearers  # pyright: ignore[reportPrivateUsage]
        before = len(hearers)
        await another.aclose()
        still = len(hearers)
        await told.aclose()
    assert (before, still, len(hearers)) == (1, 1, 0)  # all who listen have one who looks
