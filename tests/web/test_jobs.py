"""Jobs over HTTP: begun, listed, told of, shown while they are drawn, stopped."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Any

from tests.fakes import FakeEngine, mask_png, png
from tests.utils import films
from tests.video_kit import FilmEngine
from tests.web.studio import visited
from workflows.types import Media

NOWHERE = "/api/jobs/nothing"
GLIMPSE = Media(data=png(8, 8), media_type="image/png")


async def test_a_job_is_begun_and_told_of_as_the_tools_tell_it(tmp_path: Path) -> None:
    engine = FakeEngine()
    async with visited(tmp_path, items=0, engine=engine) as (client, served):
        begun = await client.post("/api/jobs", json={"prompt": "a fox", "steps": 4, "seed": 9, "count": 2})
        job_id = begun.json()["job_id"]
        await served.app.studio.wait(job_id, 5)
        told = (await client.get(f"/api/jobs/{job_id}")).json()
        listed = (await client.get("/api/jobs")).json()["jobs"]
    assert begun.status_code == 202
    assert (told["status"], told["job_id"], len(told["images"])) == ("success", job_id, 2)
    places = [{"path", "url"} & picture.keys() for picture in (told, *told["images"])]
    assert (places, str(tmp_path) in str(told)) == ([set()] * 3, False)  # a browser is told of no place here
    assert told["validation"]["passed"] is True
    assert [(row["job_id"], row["status"], row["prompt"]) for row in listed] == [(job_id, "success", "a fox")]
    assert listed[0]["image_ids"] == [picture["image_id"] for picture in told["images"]]
    assert (engine.recipes[0].prompt, engine.recipes[0].steps, engine.recipes[0].seed) == ("a fox", 4, 9)


async def test_a_job_takes_its_picture_from_the_gallery(tmp_path: Path) -> None:
    engine = FakeEngine()
    async with visited(tmp_path, items=1, engine=engine) as (client, served):
        source = served.items[0]
        body = {"prompt": "a fox", "task": "img2img", "input_image": source.id, "denoise": 0.4}
        job = await served.app.studio.wait((await client.post("/api/jobs", json=body)).json()["job_id"], 5)
        child = await served.app.gallery.find(job.item_ids[0])
    assert (child.parent_id, engine.recipes[0].task, engine.recipes[0].denoise) == (source.id, "img2img", 0.4)
    assert set(engine.inputs[0]) == {"source"}


async def test_videos_are_made_of_words_pictures_and_videos_and_sent_in_parts(tmp_path: Path) -> None:
    engine = FilmEngine()
    async with visited(tmp_path, items=1, engine=engine) as (client, served):
        last = served.items[0].id
        for body in (
            {"task": "txt2vid", "prompt": "a fox", "frames": 9},
            {"task": "img2vid", "prompt": "it runs", "motion_strength": 0.5, "input_image": last},
            {"task": "extend_video", "prompt": "on it runs", "extend_frames": 5, "input_video": ""},
            {"task": "interpolate", "target_fps": 24, "input_video": ""},
        ):
            asked = body | ({"input_video": last} if "input_video" in body else {})
            begun = await client.post("/api/jobs", json=asked)
            [last] = (await served.app.studio.wait(begun.json()["job_id"], 20)).item_ids
        told = (await client.get("/api/images", params={"kind": "video"})).json()["images"]
        part = await client.get(f"/api/images/{last}/file", headers={"Range": "bytes=0-99"})
        webm = await asyncio.to_thread(films.timed, [0, 100, 200])
        sent = await client.post("/api/images", content=webm, headers={"Content-Type": "video/webm"})
        refused = await client.post("/api/jobs", json={"task": "img2vid", "prompt": "it runs"})
    assert [recipe.task for recipe in engine.recipes] == ["txt2vid", "img2vid", "extend_video", "interpolate"]
    assert (len(told), told[0]["kind"], told[0]["image_id"]) == (4, "video", last)
    assert (part.status_code, part.headers["content-type"], len(part.content)) == (206, "video/mp4", 100)
    assert (sent.json()["kind"], sent.json()["media_type"]) == ("video", "video/webm")
    assert refused.status_code == 400


async def test_a_mask_that_was_painted_in_the_browser_comes_as_itself(tmp_path: Path) -> None:
    engine = FakeEngine()
    async with visited(tmp_path, items=1, engine=engine) as (client, served):
        source = served.items[0]
        mask = base64.b64encode(mask_png(256, 256, (0, 0, 100, 100))).decode()
        body = {"prompt": "a fox", "task": "inpaint", "input_image": source.id}
        begun = await client.post("/api/jobs", json=body | {"mask_image": f"data:image/png;base64,{mask}"})
        job = await served.app.studio.wait(begun.json()["job_id"], 5)
        total = (await client.get("/api/images")).json()["total"]
    assert (job.state, set(engine.inputs[0])) == ("succeeded", {"source", "mask"})
    assert total == 2  # the mask is no picture of the gallery


PLACES = (
    "/etc/passwd",
    "file:///etc/passwd",
    "https://example.com/a.png",
    "data:image/png;base64,AAAA",
    "../a.png",
    "",
)


async def test_a_browser_names_no_place_to_read_from(tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    (folder / "a.png").write_bytes(png())
    async with visited(tmp_path / "home", items=0, allowed_roots=(folder,)) as (client, served):
        for place in PLACES:
            several: list[dict[str, Any]] = [
                {"input_image": place},
                {"control": [{"kind": "canny", "image": place}]},
                {"reference": [{"image": place}]},
            ]
            answers = [await client.post("/api/jobs", json={"prompt": "a", **one}) for one in several]
            assert [(one.status_code, one.json()["type"]) for one in answers] == [(400, "bad_request")] * 3
        below = await client.post("/api/jobs", json={"prompt": "a", "input_image": "a.png"})
        jobs = await served.app.studio.history(5)
    assert (below.status_code, below.json()["type"], jobs) == (404, "not_found", [])


REFUSED: tuple[tuple[dict[str, Any], int, str], ...] = (
    ({}, 400, "prompt"),
    ({"prompt": "a", "stesp": 5}, 400, "Did you mean steps"),
    ({"prompt": "a", "steps": 500}, 400, "at most 200"),
    ({"prompt": "a", "task": "paint"}, 400, "txt2img"),
    ({"prompt": "a", "task": "img2img"}, 400, "needs an input picture"),
    ({"prompt": "a", "checks": ["taste"]}, 400, "taste"),
    ({"prompt": "a", "validate": "no"}, 400, "true or false"),
    ({"prompt": "a", "engine": "other"}, 404, "engine"),
    ({"prompt": "a", "preset": "style:nothing"}, 404, "preset"),
)


async def test_a_job_that_cannot_be_done_is_refused_in_words(tmp_path: Path) -> None:
    async with visited(tmp_path, items=0) as (client, served):
        for body, status, said in REFUSED:
            answer = await client.post("/api/jobs", json=body)
            assert (answer.status_code, said in answer.json()["message"]) == (status, True), body
        assert await served.app.studio.history(5) == []


async def test_an_engine_that_does_not_answer_is_said_to_be_away(tmp_path: Path) -> None:
    async with visited(tmp_path, items=0, engine=FakeEngine(refuses="It sleeps.")) as (client, _):
        answer = await client.post("/api/jobs", json={"prompt": "a"})
    assert (answer.status_code, answer.json()["type"]) == (503, "engine_unavailable")
    assert "It sleeps." in answer.json()["message"]


async def test_a_job_that_runs_shows_what_it_draws_and_is_stopped(tmp_path: Path) -> None:
    engine = FakeEngine(gate=asyncio.Event(), preview=GLIMPSE)
    async with visited(tmp_path, items=0, engine=engine) as (client, _):
        job_id = (await client.post("/api/jobs", json={"prompt": "a"})).json()["job_id"]
        await engine.started.wait()
        running = (await client.get(f"/api/jobs/{job_id}")).json()
        glimpse = await client.get(f"/api/jobs/{job_id}/preview")
        stopped = (await client.delete(f"/api/jobs/{job_id}")).json()
        again = (await client.delete(f"/api/jobs/{job_id}")).json()
        gone = await client.get(f"/api/jobs/{job_id}/preview")
    assert (running["status"], "progress" in running) == ("running", True)
    assert (glimpse.content, glimpse.headers["cache-control"]) == (GLIMPSE.data, "no-store")
    assert (stopped["status"], stopped["stopped"], again["stopped"]) == ("cancelled", True, False)
    assert (gone.status_code, engine.stopped) == (404, 1)


async def test_a_job_that_failed_tells_why(tmp_path: Path) -> None:
    engine = FakeEngine(errors=[RuntimeError("secret")])
    async with visited(tmp_path, items=0, engine=engine) as (client, served):
        job_id = (await client.post("/api/jobs", json={"prompt": "a"})).json()["job_id"]
        await served.app.studio.wait(job_id, 5)
        told = (await client.get(f"/api/jobs/{job_id}")).json()
    assert (told["status"], told["error"]["code"]) == ("failed", "internal_error")
    assert "secret" not in str(told)


async def test_what_is_not_there_is_told_by_every_route(tmp_path: Path) -> None:
    async with visited(tmp_path, items=0) as (client, _):
        answers = [await client.get(f"{NOWHERE}{end}") for end in ("", "/events", "/preview")]
        answers.append(await client.delete(NOWHERE))
        wrong = await client.get("/api/jobs", params={"limit": 0})
    assert [(one.status_code, one.json()["type"]) for one in answers] == [(404, "not_found")] * 4
    assert (wrong.status_code, wrong.json()["type"]) == (400, "bad_request")


async def test_the_state_of_the_whole_tells_who_draws_and_judges_and_no_place(tmp_path: Path) -> None:
    async with visited(tmp_path, items=2) as (client, _):
        told = (await client.get("/api/status")).json()
    assert told == {
        "version": "0",
        "engines": [{"name": "fake", "available": True, "detail": "fake"}],
        "judges": ["clip"],
        "writers": ["rules"],
        "notices": [],
        "pictures": 2,
        "signed_in": False,
    }
