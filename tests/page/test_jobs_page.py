"""Jobs in a real browser: ordered from the page, watched while they are drawn, stopped, failed, tried again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
import uvicorn
from playwright.async_api import Browser, Page, expect

from clients.presence import LockedPresence
from clients.tools.door import Door
from clients.tools.server import build_server
from clients.tools.serving import http_app, listen
from clients.web import entrance, routes
from clients.wiring import open_app
from tests.fakes import FakeJudge, fake_app
from tests.page.kit import Faults, Served, axe, studio, tab
from tests.page.pictures import painter
from tests.web.served import Quiet, serving
from workflows.app import App
from workflows.errors import RenderFailed
from workflows.types import Job, Progress, Recipe

STARS = "two yellow stars on a purple background"


@pytest_asyncio.fixture(loop_scope="session")
async def served(tmp_path: Path) -> AsyncGenerator[Served]:
    """A studio without pictures, with two judges."""
    async with studio(tmp_path, items=0, further=[FakeJudge(name="pose")]) as one:
        yield one


async def make(page: Page, url: str, words: str = "a heron") -> None:
    await page.goto(f"{url}/#/studio")
    await page.get_by_label("What the picture shows").fill(words)
    await page.get_by_role("button", name="Make the picture").click()


async def ended(app: App) -> Job:
    (job,) = await app.studio.history(1)
    return await app.studio.wait(job.id, 20)


async def test_an_ordered_picture_is_watched_and_arrives_on_the_wall_without_a_reload(
    page: Page, served: Served
) -> None:
    gate = served.engine.gate = asyncio.Event()
    await page.evaluate("window.here = true")
    await make(page, served.url)
    live = page.get_by_role("region", name="The picture", exact=True)
    await expect(live).to_contain_text("step 1 of 3")
    await expect(live.get_by_role("progressbar", name="Progress")).to_be_visible()
    await expect(live.get_by_alt_text("The picture as it develops")).to_have_js_property("naturalWidth", 64)
    gate.set()
    await expect(live).to_contain_text("Accepted")
    await expect(live).to_contain_text("score 0.30")
    (item_id,) = (await ended(served.app)).item_ids
    await expect(live.get_by_alt_text("a heron")).to_have_js_property("naturalWidth", 64)
    await expect(live.get_by_role("link", name="Look closer")).to_have_attribute("href", f"#/image/{item_id}")
    await page.get_by_role("link", name="Gallery", exact=True).click()
    await expect(page.locator(f"main a[href*='{item_id}'], main [data-id='{item_id}']").first).to_be_visible()
    assert await page.evaluate("window.here") is True


async def test_what_was_left_open_is_left_out_and_the_rest_is_sent_as_it_was_set(page: Page, served: Served) -> None:
    await page.goto(f"{served.url}/#/studio")
    await page.get_by_role("tab", name="Mood and more").click()
    await page.get_by_role("button", name="Epic", exact=True).click()
    async with page.expect_request("**/api/jobs") as plain:
        await make(page, served.url)
    assert (await plain.value).post_data_json == {
        "prompt": "a heron",
        "preset": ["mood:epic"],
        "quality": "balanced",
        "count": 1,
        "best_of": 1,
    }
    await page.get_by_label("Shape").select_option("square")
    await page.get_by_label("Quality").select_option("fast")
    await page.get_by_label("Pictures", exact=True).fill("2")
    await page.get_by_text("More settings").click()
    for name, value in {"Seed": "7", "Steps": "2", "Guidance": "3.5", "Best of": "2", "LoRAs": "ink:0.5, wash"}.items():
        await page.get_by_label(name, exact=True).fill(value)
    await page.get_by_label("Sampler", exact=True).fill("euler")
    await page.get_by_label("Scheduler", exact=True).fill("karras")
    await page.get_by_label("Engine", exact=True).select_option("fake")
    await page.get_by_label("Bodies and hands").check()
    await page.get_by_label("Add the preset Epic").uncheck()
    async with page.expect_request("**/api/jobs") as full:
        await page.get_by_role("button", name="Make 2 pictures").click()
    assert (await full.value).post_data_json == {
        "prompt": "a heron",
        "aspect": "square",
        "quality": "fast",
        "count": 2,
        "seed": 7,
        "steps": 2,
        "cfg": 3.5,
        "sampler": "euler",
        "scheduler": "karras",
        "engine": "fake",
        "loras": ["ink:0.5", "wash"],
        "checks": ["clip", "pose"],
        "best_of": 2,
    }


async def test_an_order_that_cannot_be_drawn_says_why(page: Page, served: Served, faults: Faults) -> None:
    served.engine.refuses = "no model is loaded"
    await make(page, served.url)
    await expect(page.get_by_role("alert")).to_contain_text("no model is loaded")
    faults.told.clear()


async def test_a_running_job_is_stopped_and_says_what_was_stopped(page: Page, served: Served) -> None:
    served.engine.gate = asyncio.Event()
    await make(page, served.url)
    await page.get_by_role("button", name="Jobs, 1 at work").click()
    drawer = page.get_by_role("complementary", name="Jobs")
    await drawer.get_by_role("button", name="Stop").click()
    await expect(page.get_by_text("is stopped.")).to_be_visible()
    await expect(drawer.locator(".job")).to_contain_text("Stopped")
    assert (await ended(served.app)).state == "cancelled"
    assert served.engine.stopped == 1
    await page.keyboard.press("Escape")
    await expect(drawer).to_have_count(0)
    await expect(page.get_by_role("button", name="Jobs", exact=True)).to_be_focused()


async def test_a_job_that_is_watched_in_the_drawer_stays_open_when_it_is_done(page: Page, served: Served) -> None:
    gate = served.engine.gate = asyncio.Event()
    await make(page, served.url)
    await page.get_by_role("button", name="Jobs, 1 at work").click()
    drawer = page.get_by_role("complementary", name="Jobs")
    await expect(drawer).to_contain_text("step 1 of 3")
    gate.set()
    await expect(page.get_by_role("button", name="Jobs", exact=True)).to_be_visible()  # none is at work any more
    await expect(drawer.get_by_role("link", name="Look closer")).to_be_visible()


async def test_a_failed_job_tells_its_error_and_is_tried_again(page: Page, served: Served) -> None:
    served.engine.errors.append(
        RenderFailed("The sampler broke: 'euler' is unknown in /home/mia/nodes/k.py.", node="K")
    )
    await make(page, served.url)
    live = page.get_by_role("region", name="The picture", exact=True)
    await expect(live.get_by_role("alert")).to_contain_text("The sampler broke: 'euler' is unknown in …/k.py.")
    await expect(live.get_by_role("alert")).to_contain_text("Mend what the error says")
    await live.get_by_role("button", name="Try again").click()
    await expect(live).to_contain_text("Accepted")


async def test_a_picture_is_made_again_with_other_luck_and_varied(page: Page, served: Served) -> None:
    await make(page, served.url)
    live = page.get_by_role("region", name="The picture", exact=True)
    await expect(live).to_contain_text("Accepted")
    (first,) = (await ended(served.app)).item_ids
    for act in ("Again", "Vary"):
        async with page.expect_response(lambda answer: answer.request.method == "POST" and answer.status == 202):
            await live.get_by_role("button", name=act).click()
        await ended(served.app)
        await expect(live.get_by_role("button", name="Vary")).to_be_enabled()
    drawn, again, varied = served.engine.recipes
    assert (again.prompt, again.task, varied.prompt, varied.task) == ("a heron", "txt2img", "a heron", "img2img")
    assert again.seed != drawn.seed and varied.denoise == 0.6 and varied.source_item is not None and first


async def test_many_jobs_and_their_words_are_listed_as_text(page: Page, served: Served) -> None:
    evil = "<img src=x onerror=\"document.title='broken'\">"
    for number in range(25):
        job = await served.app.studio.submit(Recipe(prompt=f"{evil} {number}"))
        await served.app.studio.wait(job.id, 20)
    await page.get_by_role("button", name="Jobs", exact=True).click()
    drawer = page.get_by_role("complementary", name="Jobs")
    await expect(drawer.locator(".job")).to_have_count(20)
    await expect(drawer.locator(".job").first).to_contain_text(f"{evil} 24")
    await drawer.locator(".job__head").first.click()
    await expect(drawer.get_by_role("link", name="Look closer")).to_be_visible()
    assert await page.title() != "broken"
    assert await axe(page) == []


async def test_a_job_of_another_process_is_shown_as_it_goes(page: Page, served: Served, tmp_path: Path) -> None:
    async with LockedPresence(tmp_path / "processes") as other:
        going = Progress(fraction=0.4, message="Attempt 1", step=8, steps=20)
        job = Job(recipe=Recipe(prompt="a walrus"), state="running", owner=other.owner, progress=going)
        token = await served.app.studio.jobs.add(job)
        served.app.studio.changes.tell("images")
        await page.get_by_role("button", name="Jobs, 1 at work").click()
        drawer = page.get_by_role("complementary", name="Jobs")
        card = drawer.locator(".job").filter(has_text="a walrus")
        await card.get_by_role("button").click()
        await expect(card).to_contain_text("At work")
        await expect(card).to_contain_text("step 8 of 20")
        await expect(card).to_contain_text("Another Atelier process runs it; it is stopped there.")
        await expect(card.get_by_role("button", name="Stop")).to_have_count(0)
        await served.app.studio.jobs.save(job.but(state="cancelled"), token)
        await expect(card).to_contain_text("Stopped")


async def test_a_job_whose_connection_is_lost_is_followed_again(page: Page, served: Served, faults: Faults) -> None:
    gate = served.engine.gate = asyncio.Event()
    await page.route("**/api/jobs/*/events", lambda route: route.abort(), times=1)
    await make(page, served.url)
    live = page.get_by_role("region", name="The picture", exact=True)
    await expect(live.get_by_alt_text("The picture as it develops")).to_be_visible()
    gate.set()
    await expect(live).to_contain_text("score 0.30")
    assert [one for one in faults.told if "ERR_FAILED" not in one] == []
    faults.told.clear()


@asynccontextmanager
async def at_port(home: Path, port: int) -> AsyncGenerator[tuple[int, App]]:
    """A server on that port, or on any (0); it does not wait for its clients when it ends."""
    door = Door(lambda: fake_app(home, engine=painter()))
    app = http_app(
        build_server(door, version="0"), token=None, allowed_hosts=(), routes=routes(door.app), entrance=entrance(None)
    )
    listener = listen("127.0.0.1", port)
    web = Quiet(uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=0))
    running = asyncio.create_task(web.serve(sockets=[listener]))
    try:
        yield listener.getsockname()[1], await door.app()
    finally:
        web.should_exit = True
        await running


async def test_jobs_are_live_again_after_the_server_was_restarted(browser: Browser, tmp_path: Path) -> None:
    async with at_port(tmp_path, 0) as (port, app):
        url = f"http://127.0.0.1:{port}"
        opened = tab(browser, f"{url}/#/studio")
        page, _ = await opened.__aenter__()
        await page.get_by_role("button", name="Jobs", exact=True).click()
        await app.studio.wait((await app.studio.submit(Recipe(prompt="a heron"))).id, 20)
        drawer = page.get_by_role("complementary", name="Jobs")
        await expect(drawer).to_contain_text("a heron")
    await expect(page.get_by_text("What you see may be old")).to_be_visible()
    async with at_port(tmp_path, port) as (_, app):
        await app.studio.wait((await app.studio.submit(Recipe(prompt="a walrus"))).id, 20)
        await expect(drawer).to_contain_text("a walrus", timeout=15_000)
        await expect(page.get_by_text("What you see may be old")).to_have_count(0)
        await expect(drawer.get_by_text("The connection was lost")).to_have_count(0)
        await opened.__aexit__(None, None, None)


@pytest.mark.models
async def test_the_demo_draws_what_it_was_asked_for_and_the_judge_accepts_it(browser: Browser) -> None:
    async with serving(Door(open_app)) as url, tab(browser, url) as (page, faults):
        await make(page, url, STARS)
        live = page.get_by_role("region", name="The picture", exact=True)
        await expect(live.get_by_role("progressbar", name="Progress")).to_be_visible()
        await expect(live.get_by_role("link", name="Look closer")).to_be_visible(timeout=90_000)
        await expect(live).to_contain_text("Accepted")
        picture = live.get_by_alt_text(STARS)
        await expect(picture).to_have_js_property("complete", True)
        assert await picture.evaluate("picture => picture.naturalWidth") >= 64
        assert faults.told == []
