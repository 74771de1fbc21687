"""ComfyUIEngine on several fake servers: who draws, and what becomes of a render whose server dies."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from clients.comfyui_client import ComfyUIClient
from clients.comfyui_engine import ComfyUIEngine
from clients.comfyui_engine.drains import Drains
from tests.clients.test_comfyui_engine import MODEL, QUICK, RECIPE, engine_on, fake, silent, ticket
from tests.fake_comfyui import FakeComfyUI
from workflows.drawing.inventory import LOADERS
from workflows.errors import EngineUnavailable, NotFound
from workflows.types import Recipe, RenderStep, Ticket, new_id

SDXL = "sd_xl_base_1.0.safetensors"
PATIENT = replace(QUICK, comeback=20.0)
BOTH = {"checkpoints": {MODEL: 4_270_000_000, SDXL: 6_900_000_000}}


async def where(engine: ComfyUIEngine, recipe: Recipe = RECIPE) -> str:
    (artifact,) = await engine.render(recipe, {}, silent, ticket())
    return artifact.facts["server"]


def heard(words: str, event: asyncio.Event) -> Callable[[RenderStep], None]:
    """A listener that sets the event once a step says these words."""
    return lambda step: event.set() if words in step.message else None


async def two(stack: AsyncExitStack) -> tuple[FakeComfyUI, FakeComfyUI]:
    servers = [await stack.enter_async_context(FakeComfyUI(models=BOTH)) for _ in range(2)]
    return servers[0], servers[1]


async def test_calls_that_come_together_are_spread(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        one, other = await two(stack)
        holds = [one.hold("KSampler"), other.hold("KSampler")]
        engine = await stack.enter_async_context(engine_on(tmp_path, one.url, other.url))
        calls = [asyncio.create_task(where(engine, RECIPE.but(seed=seed))) for seed in range(4)]
        await one.until(lambda: len(one.prompts) == 2)
        await other.until(lambda: len(other.prompts) == 2)
        for hold in holds:
            hold.release()
        assert sorted(await asyncio.gather(*calls)) == sorted([one.url, other.url] * 2)


async def test_a_server_that_has_the_model_in_memory_is_preferred(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        one, other = await two(stack)
        engine = await stack.enter_async_context(engine_on(tmp_path, one.url, other.url))
        assert await where(engine) == one.url
        hold = one.hold("KSampler")
        busy = asyncio.create_task(where(engine, RECIPE.but(seed=8)))
        await hold.reached.wait()
        assert await where(engine, RECIPE.but(model=SDXL)) == other.url
        hold.release()
        await busy
        assert await where(engine, RECIPE.but(model=SDXL)) == other.url
        assert await where(engine) == one.url


async def test_a_recipe_without_a_model_is_drawn_with_the_same_one_on_every_server(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(fake())
        other = await stack.enter_async_context(FakeComfyUI(models=BOTH))
        engine = await stack.enter_async_context(engine_on(tmp_path, one.url, other.url))
        alone = await stack.enter_async_context(engine_on(tmp_path / "alone", other.url))
        anything = RECIPE.but(model=None)
        await engine.drain(one.url)
        drawn = [(await which.render(anything, {}, silent, ticket()))[0] for which in (engine, alone)]
        assert (await engine.profile(anything)).name == "sd15"
    assert [(artifact.facts["server"], artifact.model) for artifact in drawn] == [(other.url, MODEL), (other.url, SDXL)]


async def test_other_peoples_renders_count(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        one, other = await two(stack)
        engine = await stack.enter_async_context(engine_on(tmp_path, one.url, other.url))
        somebody = await stack.enter_async_context(ComfyUIClient(one.url))
        drafted = await engine.draft(RECIPE)
        hold = one.hold("KSampler")
        await somebody.prompt(drafted.graph)
        await hold.reached.wait()
        assert await where(engine) == other.url
        hold.release()


async def test_a_server_without_the_model_is_passed_over_and_the_reasons_are_told(tmp_path: Path) -> None:
    async with fake() as small, FakeComfyUI(models=BOTH) as large, engine_on(tmp_path, small.url, large.url) as engine:
        assert await where(engine, RECIPE.but(model=SDXL)) == large.url
        refused = await engine.refusal(RECIPE.but(model="flux1-dev"))
    assert refused is not None
    assert small.url in refused
    assert large.url in refused


async def test_a_draining_server_ends_what_it_has_and_gets_nothing_new(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        one, other = await two(stack)
        engine = await stack.enter_async_context(engine_on(tmp_path, one.url, other.url))
        hold = one.hold("KSampler")
        running = asyncio.create_task(where(engine))
        await hold.reached.wait()
        assert await Drains(tmp_path).drain(one.url) == {one.url}  # from another process
        assert await where(engine) == other.url
        assert [(server.url, server.draining) for server in (await engine.status()).servers] == [
            (one.url, True),
            (other.url, False),
        ]
        hold.release()
        assert await running == one.url
        await engine.drain(other.url)
        refused = await engine.refusal(RECIPE)
        await engine.resume(one.url)
        assert await where(engine) == one.url
    assert refused is not None
    assert "draining" in refused


async def test_only_servers_that_are_named_can_be_drained(tmp_path: Path) -> None:
    async with engine_on(tmp_path, "http://gpu:8188") as engine:
        with pytest.raises(NotFound, match="http://gpu:8188"):
            await engine.drain("http://gpu:8189")


async def test_a_render_whose_server_dies_is_drawn_on_another_with_the_same_seed_and_id(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        one, other = await two(stack)
        engine = await stack.enter_async_context(engine_on(tmp_path, one.url, other.url))
        hold = one.hold("KSampler", step=2)
        mine, steps = ticket(), list[RenderStep]()
        rendering = asyncio.create_task(engine.render(RECIPE, {}, steps.append, mine))
        await hold.reached.wait()
        await one.stop()
        (artifact,) = await rendering
        assert await where(engine) == other.url  # and the dead one is not tried at the next call
    assert artifact.facts["server"] == other.url
    assert artifact.facts["notes"] == [f"{one.url} was lost in the middle; drawn anew on {other.url}."]
    first, second = one.prompts[0], other.prompts[0]
    assert first["prompt_id"] == second["prompt_id"] == artifact.facts["prompt_id"] == mine.id
    assert first["prompt"]["sampler"]["inputs"]["seed"] == second["prompt"]["sampler"]["inputs"]["seed"] == 7
    assert [step.step for step in steps] == sorted(step.step for step in steps)
    assert f"{one.url} was lost; looking for another server" in [step.message for step in steps]


async def test_when_both_die_the_error_names_both(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        servers = await two(stack)
        engine = await stack.enter_async_context(engine_on(tmp_path, *(server.url for server in servers)))
        holds = [server.hold("KSampler") for server in servers]
        rendering = asyncio.create_task(where(engine))
        for server, hold in zip(servers, holds, strict=True):
            await hold.reached.wait()
            await server.stop()
        with pytest.raises(EngineUnavailable) as caught:
            await rendering
    assert all(server.url in str(caught.value) for server in servers)
    assert "get_system_status" in str(caught.value)


async def test_when_nobody_else_takes_it_the_error_says_so(tmp_path: Path) -> None:
    async with FakeComfyUI(models=BOTH) as one, fake() as small, engine_on(tmp_path, one.url, small.url) as engine:
        hold = one.hold("KSampler")
        rendering = asyncio.create_task(where(engine, RECIPE.but(model=SDXL)))
        await hold.reached.wait()
        await one.stop()
        with pytest.raises(EngineUnavailable, match="No other server takes it: There is no model"):
            await rendering


async def test_where_nobody_else_takes_it_a_server_that_comes_back_draws_it(tmp_path: Path) -> None:
    async with fake() as comfy, ComfyUIEngine([comfy.url], tmp_path, pace=PATIENT) as engine:
        hold, mine, waiting = comfy.hold("KSampler"), ticket(), asyncio.Event()
        rendering = asyncio.create_task(engine.render(RECIPE, {}, heard("waiting for it to come back", waiting), mine))
        await hold.reached.wait()
        hold.release()
        await comfy.stop()
        await asyncio.wait_for(waiting.wait(), 5)
        comfy.answer("/models", 500)  # not quite there yet
        await comfy.start()
        (artifact,) = await rendering
    assert [body["prompt_id"] for body in comfy.prompts] == [mine.id, mine.id]
    assert artifact.facts["notes"] == [f"{comfy.url} was lost in the middle and came back."]


async def test_a_server_that_was_only_out_of_reach_is_asked_for_the_prompt_it_still_has(tmp_path: Path) -> None:
    async with fake() as comfy, ComfyUIEngine([comfy.url], tmp_path, pace=PATIENT) as engine:
        hold, mine, waiting = comfy.hold("KSampler"), ticket(), asyncio.Event()
        rendering = asyncio.create_task(engine.render(RECIPE, {}, heard("waiting for it to come back", waiting), mine))
        await hold.reached.wait()
        comfy.deaf = True
        for path in (f"/history/{mine.id}", "/queue", "/models"):
            comfy.answer(path, *[500] * 200)
        await asyncio.wait_for(waiting.wait(), 5)
        for path in (f"/history/{mine.id}", "/queue", "/models"):
            comfy.well(path)
        await comfy.until(lambda: comfy.requests.count(("GET", f"/history/{mine.id}")) > 2)
        hold.release()
        (artifact,) = await rendering
    assert [body["prompt_id"] for body in comfy.prompts] == [mine.id]
    assert artifact.facts["prompt_id"] == mine.id


async def test_a_server_that_never_comes_back_is_given_up_within_the_bound(tmp_path: Path) -> None:
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine:
        hold = comfy.hold("KSampler")
        rendering = asyncio.create_task(where(engine))
        await hold.reached.wait()
        await comfy.stop()
        with pytest.raises(EngineUnavailable, match=r"did not come back within 0\.3 s"):
            await asyncio.wait_for(rendering, 5)


async def test_a_render_can_be_stopped_while_its_server_is_waited_for(tmp_path: Path) -> None:
    async with fake() as comfy, ComfyUIEngine([comfy.url], tmp_path, pace=PATIENT) as engine:
        hold, waiting = comfy.hold("KSampler"), asyncio.Event()
        listener = heard("waiting for it to come back", waiting)
        rendering = asyncio.create_task(engine.render(RECIPE, {}, listener, ticket()))
        await hold.reached.wait()
        await comfy.stop()
        await asyncio.wait_for(waiting.wait(), 5)
        rendering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(rendering, 1)


async def test_an_engine_that_is_closed_while_it_reads_the_lists_leaves_nothing_behind(tmp_path: Path) -> None:
    folders = list(LOADERS)
    async with FakeComfyUI(models={folder: ["a.safetensors"] for folder in folders}) as comfy:
        holds = [comfy.hold_request(f"/models/{folder}") for folder in folders]
        async with engine_on(tmp_path, comfy.url) as engine:
            asking = asyncio.create_task(engine.models())
            await holds[0].reached.wait()
            asking.cancel()
            await asyncio.wait({asking})
        for hold in holds:
            hold.release()


async def test_a_render_that_was_taken_elsewhere_is_stopped_where_it_was(tmp_path: Path) -> None:
    """Its server was only out of reach: requests fail, and the prompt goes on."""
    async with AsyncExitStack() as stack:
        one, other = await two(stack)
        engine = await stack.enter_async_context(engine_on(tmp_path, one.url, other.url))
        onlooker = await stack.enter_async_context(ComfyUIClient(one.url))
        hold = one.hold("KSampler")
        rendering = asyncio.create_task(where(engine))
        await hold.reached.wait()
        one.deaf = True
        one.answer("/history/" + one.prompts[0]["prompt_id"], *[500] * 40)
        assert await rendering == other.url
        for _ in range(40):
            with suppress(EngineUnavailable):
                await onlooker.history(one.prompts[0]["prompt_id"])
        async with asyncio.timeout(10):
            while one.worker.running is not None:
                await engine.refusal(RECIPE)
                await asyncio.sleep(0.1)
        assert one.history[one.prompts[0]["prompt_id"]]["status"]["status_str"] == "error"


async def test_a_server_that_swallows_calls_slows_one_of_them_and_by_seconds_only(tmp_path: Path) -> None:
    with socket.socket() as black_hole:
        black_hole.bind(("127.0.0.1", 0))
        black_hole.listen(0)
        silent_url = f"http://127.0.0.1:{black_hole.getsockname()[1]}"
        async with FakeComfyUI(models=BOTH) as other, engine_on(tmp_path, silent_url, other.url) as engine:
            began = time.perf_counter()
            assert await where(engine) == other.url
            first = time.perf_counter() - began
            for _ in range(3):
                assert await where(engine) == other.url
            later = time.perf_counter() - began - first
    assert first < 3.5
    assert later < 1.0


async def test_a_server_that_hangs_or_died_since_it_was_asked_last_gets_nothing_while_another_answers(
    tmp_path: Path,
) -> None:
    async with AsyncExitStack() as stack:
        one, other = await two(stack)
        engine = await stack.enter_async_context(engine_on(tmp_path, one.url, other.url))
        assert await where(engine) == one.url
        hold = one.hold_request("/queue")
        assert await where(engine, RECIPE.but(seed=8)) == other.url
        began = time.perf_counter()
        assert await where(engine, RECIPE.but(seed=9)) == other.url  # and is waited for once
        assert time.perf_counter() - began < 1.5
        hold.release()
        assert await where(engine, RECIPE.but(seed=11)) == one.url
        await one.stop()
        (artifact,) = await engine.render(RECIPE.but(seed=10), {}, silent, ticket())
    assert (artifact.facts["server"], artifact.facts.get("notes")) == (other.url, None)
    assert (len(one.prompts), len(other.prompts)) == (2, 3)


async def test_a_render_that_was_stopped_while_its_server_hung_is_stopped_there_once_it_answers(tmp_path: Path) -> None:
    pace = replace(QUICK, call_off=0.2)
    async with fake() as comfy, ComfyUIEngine([comfy.url], tmp_path, pace=pace) as engine:
        hold = comfy.hold("KSampler")
        rendering = asyncio.create_task(where(engine))
        await hold.reached.wait()
        questions = comfy.hold_request("/queue")
        rendering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(rendering, 2)
        assert comfy.worker.running is not None
        questions.release()
        assert await engine.refusal(RECIPE) is None
        await comfy.until(lambda: comfy.worker.running is None)
    assert len(comfy.prompts) == 1


async def test_a_render_that_was_asked_for_before_is_found_on_the_server_that_has_it(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        one, other = await two(stack)
        engine = await stack.enter_async_context(engine_on(tmp_path, one.url, other.url))
        earlier = await stack.enter_async_context(ComfyUIClient(other.url))
        drafted = await engine.draft(RECIPE)
        name = new_id()
        hold = other.hold("KSampler")
        await earlier.prompt(drafted.graph, prompt_id=name)
        await hold.reached.wait()
        joining = asyncio.create_task(engine.render(RECIPE, {}, silent, Ticket(id=name, again=True)))
        await other.until(lambda: other.requests.count(("GET", f"/history/{name}")) >= 2)
        hold.release()
        (artifact,) = await joining
        assert artifact.facts["server"] == other.url
        assert (one.prompts, len(other.prompts)) == ([], 1)
