"""From a tool call to a checked picture in the gallery, through a ComfyUI: everything real but the server."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path

import pytest
from mcp import Client
from PIL import Image

from clients.comfyui_client import ComfyUIClient
from clients.comfyui_engine import ComfyUIEngine
from clients.comfyui_engine.drains import Drains
from clients.config import Settings, load_settings
from clients.limits import Limits
from clients.prices import Prices
from clients.tools.door import Door
from clients.tools.server import build_server
from clients.wiring import DEMO, comfyui_servers, open_app
from clients.wiring.judges import open_judges
from tests.clients.test_comfyui_engine import MODEL, OOM, QUICK, fake
from tests.fake_comfyui import FakeComfyUI
from tests.fakes import PROFILE, FakeJudge, fake_app, png
from tests.mcp.desk import pictures, told
from utils.images import decode
from workflows.app import App
from workflows.types import Acceptance, ItemQuery, Job, Media, Recipe

RECIPE = Recipe(
    prompt="a red circle", model=MODEL, width=64, height=64, steps=4, seed=7, acceptance=Acceptance(validate=False)
)


async def settings_for(home: Path, *urls: str) -> Settings:
    """Read off the loop, as open_app does."""
    return await asyncio.to_thread(load_settings, atelier_home=home, comfyui_url=None, comfyui_urls=urls)


@asynccontextmanager
async def production(home: Path, *servers: FakeComfyUI) -> AsyncGenerator[Client]:
    """A client before the MCP server as it is wired for use."""
    settings = await settings_for(home, *(server.url for server in servers))
    door = Door(lambda: open_app(settings))
    async with Client(build_server(door, inline=True, version="0")) as client:
        yield client


@asynccontextmanager
async def studio(home: Path, *servers: FakeComfyUI, resume: bool = False) -> AsyncGenerator[App]:
    """The app with an impatient engine and a judge of no weight."""
    urls = [server.url for server in servers]
    async with (
        ComfyUIEngine(urls, home, pace=QUICK) as engine,
        fake_app(home, engine=engine, graphs=engine, judge=FakeJudge(), resume=resume) as app,
    ):
        yield app


async def finished(app: App, job: Job) -> Job:
    return await app.studio.wait(job.id, 20)


async def test_a_tool_call_becomes_a_picture_in_the_gallery(tmp_path: Path) -> None:
    async with fake() as comfy, production(tmp_path, comfy) as client:
        asked = {"prompt": "a red circle", "width": 64, "height": 64, "steps": 4, "seed": 7, "validate": False}
        result = await client.call_tool("generate_image", asked)
        answer = told(result)
        info = told(await client.call_tool("get_image_info", {"image_name": answer["image_id"]}))
        listed = told(await client.call_tool("list_images", {}))
    (posted,) = comfy.prompts
    assert answer["status"] == "success"
    assert answer["prompt_id"] == answer["job_id"] == posted["prompt_id"]
    assert (answer["metadata"]["engine"], answer["metadata"]["model"], answer["metadata"]["seed"]) == (
        "comfyui",
        MODEL,
        7,
    )
    assert "graph" not in answer["metadata"]
    (shown,) = pictures(result)
    assert decode(shown).size == (64, 64)
    assert listed["total"] == 1
    assert posted["prompt"] in info.values()
    with Image.open(answer["path"]) as image:
        assert "Seed: 7" in str(image.info["parameters"])


async def test_the_settings_name_the_server_and_the_doctor_hears_of_it(tmp_path: Path) -> None:
    off = await asyncio.to_thread(load_settings, comfyui_url="off")
    async with fake() as comfy:
        (status,) = await comfyui_servers(await settings_for(tmp_path, comfy.url))
        assert (status.url, status.available) == (comfy.url, True)
    assert await comfyui_servers(off) == ()


async def test_nothing_is_asked_of_a_server_before_it_is_needed(tmp_path: Path) -> None:
    async with fake() as comfy:
        async with open_app(await settings_for(tmp_path, comfy.url)) as app:
            assert [engine.name for engine in app.studio.engines] == ["comfyui", "diffusers", "fal", "gemini"]
            assert comfy.requests == []
            notices = (await app.status())["notices"]
        assert not any("demo model draws" in notice for notice in notices)
        assert any("published vulnerability" in notice for notice in notices)


async def test_a_server_that_was_named_and_is_silent_is_told_of_one_that_was_not_is_passed_over(tmp_path: Path) -> None:
    async with open_app(await settings_for(tmp_path, "http://127.0.0.1:1")) as app:
        notices = (await app.status())["notices"]
    assert any(notice.startswith("ComfyUI at http://127.0.0.1:1 does not answer") for notice in notices)
    assert any("demo model draws" in notice for notice in notices)


async def test_the_status_and_the_queue_tell_which_server_drains_though_another_hangs(tmp_path: Path) -> None:
    async with fake() as comfy, fake() as hung, production(tmp_path, comfy, hung) as client:
        before = told(await client.call_tool("get_system_status", {}))
        await Drains(tmp_path).drain(comfy.url)  # another process
        holds = [hung.hold_request(path) for path in ("/queue", "/system_stats")]
        queue = told(await client.call_tool("get_queue", {}))
        after = told(await client.call_tool("get_system_status", {}))
        for hold in holds:
            hold.release()
    states = [[server["draining"] for server in status["engines"][0]["servers"]] for status in (before, after)]
    assert states == [[False, False], [True, False]]
    assert [(server["url"], server["available"]) for server in queue["servers"]] == [
        (comfy.url, True),
        (hung.url, False),
    ]


async def test_a_full_memory_is_said_in_the_answer(tmp_path: Path) -> None:
    async with fake() as comfy, production(tmp_path, comfy) as client:
        comfy.fail("VAEDecode", *OOM)
        asked = {"prompt": "a red circle", "width": 64, "height": 64, "steps": 4, "validate": False}
        answer = told(await client.call_tool("generate_image", asked))
    assert "ran out of memory" in str(answer["notes"])


async def test_a_job_whose_server_dies_is_in_the_gallery_once_with_its_seed(tmp_path: Path) -> None:
    async with fake() as one, fake() as other, studio(tmp_path, one, other) as app:
        hold = one.hold("KSampler", step=2)
        job = await app.studio.submit(RECIPE)
        await hold.reached.wait()
        await one.stop()
        job = await finished(app, job)
        page = await app.gallery.search(ItemQuery())
        stored = await app.studio.store.keys("")
    assert job.state == "succeeded"
    (item,) = page.items
    assert (item.seed, item.facts["server"], len(stored)) == (7, other.url, 1)
    assert [len(one.prompts), len(other.prompts)] == [1, 1]


async def test_a_process_that_comes_back_joins_the_prompt_that_still_runs(tmp_path: Path) -> None:
    async with fake() as comfy, ComfyUIClient(comfy.url) as earlier:
        hold = comfy.hold("KSampler")
        async with studio(tmp_path, comfy) as app:
            job = await app.studio.submit(RECIPE)
            await hold.reached.wait()
        # Leaving stopped the prompt; a kill would have left it running, as somebody else's hand does here.
        await comfy.until(lambda: job.id in comfy.history)
        comfy.history.clear()
        await earlier.prompt(comfy.prompts[0]["prompt"], prompt_id=job.id)
        async with studio(tmp_path, comfy, resume=True) as app:
            await comfy.until(lambda: comfy.requests.count(("GET", f"/history/{job.id}")) >= 2)
            hold.release()
            job = await finished(app, job)
            page = await app.gallery.search(ItemQuery())
    assert (job.state, len(page.items), len(comfy.prompts)) == ("succeeded", 1, 2)
    assert page.items[0].facts["prompt_id"] == job.id


async def test_cancelling_a_job_stops_its_prompt_alone(tmp_path: Path) -> None:
    async with fake() as comfy, studio(tmp_path, comfy) as app, ComfyUIClient(comfy.url) as other:
        hold = comfy.hold("KSampler")
        running = await app.studio.submit(RECIPE)
        await hold.reached.wait()
        assert app.library.graphs is not None
        theirs = await other.prompt((await app.library.graphs.draft(RECIPE.but(seed=1))).graph)
        waiting = await app.studio.submit(RECIPE.but(seed=2))
        await comfy.until(lambda: len(comfy.prompts) == 3)
        assert [(await app.studio.cancel(job.id)).state for job in (waiting, running)] == ["cancelled"] * 2
        hold.release()
        await comfy.until(lambda: theirs.prompt_id in comfy.history)
        assert comfy.history[theirs.prompt_id]["status"]["status_str"] == "success"
        assert waiting.id not in comfy.history
        assert (await app.gallery.search(ItemQuery())).total == 0


async def test_two_processes_share_one_server(tmp_path: Path) -> None:
    async with fake() as comfy, studio(tmp_path / "one", comfy) as one, studio(tmp_path / "two", comfy) as two:
        jobs = [
            (app, await app.studio.submit(RECIPE.but(seed=seed, count=2))) for seed in (10, 20) for app in (one, two)
        ]
        ended = await asyncio.gather(*(finished(app, job) for app, job in jobs))
        seeds = [[item.seed for item in (await app.gallery.search(ItemQuery())).items] for app in (one, two)]
    assert {job.state for job in ended} == {"succeeded"}
    assert [sorted(found) for found in seeds] == [[10, 11, 20, 21]] * 2


async def test_the_loop_answers_while_renders_run(tmp_path: Path) -> None:
    async with fake() as comfy, production(tmp_path, comfy) as client:
        hold = comfy.hold("KSampler")
        asked = {"prompt": "a red circle", "model": MODEL, "width": 64, "height": 64, "steps": 4, "validate": False}
        rendering = asyncio.create_task(client.call_tool("generate_image", asked))
        await hold.reached.wait()
        queue = told(await client.call_tool("get_queue", {}))
        hold.release()
        await rendering
    assert [row["job_id"] for row in queue["running"]] == [comfy.prompts[0]["prompt_id"]]
    assert queue["servers"][0] | {"url": comfy.url, "running": 1, "ours": 1} == queue["servers"][0]


@pytest.mark.parametrize("check", ["clip", "pose"])
@pytest.mark.parametrize(("family", "full", "freed"), [("sd15", True, 1), ("sd15", False, 0), ("demo", True, 0)])
async def test_a_full_gpu_is_cleared_before_a_judge_of_weight_loads(
    tmp_path: Path, check: str, family: str, full: bool, freed: int
) -> None:
    none = str(tmp_path / "none")
    settings = await asyncio.to_thread(
        load_settings, atelier_home=tmp_path, atelier_clip_model=none, atelier_pose_model=none
    )
    profile = PROFILE.but(name=family)
    async with fake() as comfy, ComfyUIEngine([comfy.url], tmp_path) as engine:
        async with open_judges(settings, DEMO, Limits(Prices({})), engine.make_room, lambda: full) as bench:
            await bench.judges[check].judge([Media(data=png(), media_type="image/png")], RECIPE, profile)
        assert len(comfy.freed) == freed


def half_white() -> str:
    """A mask whose left half is painted anew, as a data URI."""
    buffer = BytesIO()
    mask = Image.new("L", (64, 64))
    mask.paste(255, (0, 0, 32, 64))
    mask.save(buffer, "PNG")
    return f"data:image/png;base64,{b64encode(buffer.getvalue()).decode()}"


@pytest.mark.parametrize("task", ["img2img", "inpaint", "upscale"])
async def test_pictures_go_in_and_come_out(tmp_path: Path, task: str) -> None:
    models = {"checkpoints": {MODEL: 4_270_000_000}, "upscale_models": {"RealESRGAN_x2.pth": 1}}
    async with FakeComfyUI(models=models) as comfy, production(tmp_path, comfy) as client:
        asked = {"prompt": "a red circle", "model": MODEL, "width": 64, "height": 64, "steps": 4, "validate": False}
        source = told(await client.call_tool("generate_image", asked))["image_id"]
        given = {
            "img2img": {"prompt": "a blue circle", "width": 64, "height": 64, "steps": 2, "validate": False},
            "inpaint": {"prompt": "a blue circle", "mask_image": half_white(), "steps": 2, "validate": False},
            "upscale": {"scale": 2},
        }[task]
        answer = told(await client.call_tool(task, {"input_image": source, "wait_seconds": 20, **given}))
    assert (answer["status"], answer["metadata"]["engine"]) == ("success", "comfyui")
    assert answer["metadata"]["width"] == (128 if task == "upscale" else 64)
