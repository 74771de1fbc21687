"""ComfyUIEngine on fake servers over real sockets: one server. The pool has its own tests below tests/clients."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import pytest
from PIL import Image

from clients.comfyui_client import ComfyUIClient, Pace
from clients.comfyui_engine import ComfyUIEngine
from clients.comfyui_engine.drawing import NO_FACE
from tests.fake_comfyui import FakeComfyUI, recorded
from tests.fakes import png
from utils.images import decode, encode_png, sha256
from workflows.errors import (
    EngineUnavailable,
    GraphRejected,
    JobCancelled,
    NotFound,
    OutOfMemory,
    RenderFailed,
    StudioError,
)
from workflows.types import Control, Media, Recipe, RenderStep, ServerStatus, Ticket, new_id

MODEL = "v1-5-pruned-emaonly.safetensors"
RECIPE = Recipe(prompt="a red circle", model=MODEL, width=64, height=64, steps=4, cfg=5.0, seed=7)
QUICK = Pace(silence=0.2, first=0.2, blind=0.05, apart=0.1, refused=0.2, unreachable=0.4, comeback=0.3, reopen=0.05)
"""The client's patience, cut down so that a test need not wait for it."""
PICTURE = Media(data=png(72, 40), media_type="image/png")
OOM = ("torch.OutOfMemoryError", "CUDA out of memory. Tried to allocate 2.00 GiB")


def fake(**more: Any) -> FakeComfyUI:
    return FakeComfyUI(models={"checkpoints": {MODEL: 4_270_000_000}}, **more)


@asynccontextmanager
async def engine_on(home: Path, *urls: str) -> AsyncGenerator[ComfyUIEngine]:
    async with ComfyUIEngine(urls, home, pace=QUICK) as engine:
        yield engine


def silent(step: RenderStep) -> None:
    pass


def ticket() -> Ticket:
    return Ticket(id=new_id())


# ------------------------------------------------------------------ a picture


async def test_a_recipe_becomes_a_picture_that_tells_how_it_was_made(tmp_path: Path) -> None:
    steps: list[RenderStep] = []
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine:
        assert await engine.refusal(RECIPE) is None
        profile = await engine.profile(RECIPE)
        mine = ticket()
        (artifact,) = await engine.render(RECIPE, {}, steps.append, mine)
        (posted,) = comfy.prompts
    assert (profile.name, posted["prompt_id"]) == ("sd15", mine.id)
    assert decode(artifact.media.data).size == (artifact.width, artifact.height) == (64, 64)
    assert (artifact.seed, artifact.model) == (7, MODEL)
    facts = dict(artifact.facts)
    assert facts.pop("graph") == posted["prompt"]
    assert 0 < facts.pop("seconds") < 10
    assert facts.pop("memory")["level"] == "none"
    assert facts == {
        "prompt_id": mine.id,
        "server": comfy.url,
        "family": "sd15",
        "template": "checkpoint",
        "steps": 4,
        "cfg": 5.0,
        "sampler": "dpmpp_2m",
        "scheduler": "karras",
    }
    assert [step.step for step in steps] == sorted(step.step for step in steps)
    assert {step.steps for step in steps} == {5}
    assert (steps[-1].step, "Step 3 of 4" in {step.message for step in steps}) == (5, True)


async def test_pictures_are_saved_in_a_folder_of_ours_one_a_day(tmp_path: Path) -> None:
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine:
        mine = ticket()
        await engine.render(RECIPE, {}, silent, mine)
        ((_, subfolder, name),) = comfy.files
    assert subfolder.startswith("atelier/20")
    assert name == f"{mine.id[:8]}_00001_.png"


async def test_equal_pictures_travel_once_under_the_name_of_their_content(tmp_path: Path) -> None:
    recipe = RECIPE.but(task="img2img", source="job/input/source.png", denoise=0.5)
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine:
        for _ in range(2):
            await engine.render(recipe, {"source": PICTURE}, silent, ticket())
        uploads = [asked for asked in comfy.requests if asked == ("POST", "/upload/image")]
        loads = [node["inputs"]["image"] for node in nodes(comfy, "LoadImage")]
    assert len(uploads) == 1
    assert loads == [f"atelier/{sha256(PICTURE.data)[:32]}.png"] * 2


def nodes(comfy: FakeComfyUI, class_type: str) -> list[dict[str, Any]]:
    """The nodes of a class in everything that was posted."""
    return [node for body in comfy.prompts for node in body["prompt"].values() if node["class_type"] == class_type]


# ------------------------------------------------------------------ refusals


async def test_a_refusal_says_what_is_there_instead(tmp_path: Path) -> None:
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine:
        refused = await engine.refusal(RECIPE.but(model="v1-5-prooned"))
        with pytest.raises(NotFound):
            await engine.profile(RECIPE.but(model="v1-5-prooned"))
    assert refused is not None
    assert MODEL in refused


async def test_a_model_that_was_just_put_there_is_found_without_a_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clients.comfyui_engine.stock.JUST_READ", 0.0)
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine:
        assert await engine.refusal(RECIPE.but(model="sd_xl_base_1.0")) is not None
        comfy.models["checkpoints"]["sd_xl_base_1.0.safetensors"] = 6_900_000_000
        assert await engine.refusal(RECIPE.but(model="sd_xl_base_1.0")) is None
        (artifact,) = await engine.render(RECIPE.but(model="sd_xl_base_1.0"), {}, silent, ticket())
    assert (artifact.model, artifact.facts["family"]) == ("sd_xl_base_1.0.safetensors", "sdxl")


async def test_a_tool_that_took_its_turn_is_not_the_model_that_the_server_has_loaded(tmp_path: Path) -> None:
    upscale = Recipe(task="upscale", scale=2.0, method="model", source="job/input/source.png")
    async with fake(nodes=recorded("nodes_b", "nodes_guides_b")) as comfy, engine_on(tmp_path, comfy.url) as engine:
        comfy.models["upscale_models"] = {"RealESRGAN_x2plus.pth": 1}
        await engine.render(RECIPE, {}, silent, ticket())
        (artifact,) = await engine.render(upscale, {"source": PICTURE}, silent, ticket())
        assert (artifact.model, (await engine.status()).loaded) == ("RealESRGAN_x2plus.pth", MODEL)


async def test_what_is_known_is_not_asked_again(tmp_path: Path) -> None:
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine:
        await engine.render(RECIPE, {}, silent, ticket())
        before = len(comfy.requests)
        await engine.refusal(RECIPE)
        await engine.profile(RECIPE)
        await engine.render(RECIPE, {}, silent, ticket())
        later = comfy.requests[before:]
    assert later == [("POST", "/prompt"), ("GET", "/view")]


async def test_a_server_that_is_not_there_is_refused_at_once_and_noticed_when_it_comes(tmp_path: Path) -> None:
    comfy = fake()
    await comfy.start()
    await comfy.stop()
    async with engine_on(tmp_path, comfy.url) as engine:
        refused = await engine.refusal(RECIPE)
        assert refused is not None
        assert f"{comfy.url} refuses the connection" in refused
        await comfy.start()
        assert await engine.refusal(RECIPE) == refused  # looked at again after two seconds, not at every call
        async with asyncio.timeout(5):
            while await engine.refusal(RECIPE) is not None:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
    await comfy.stop()


async def test_a_model_that_is_gone_is_told_by_the_server_and_then_known(tmp_path: Path) -> None:
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine:
        await engine.render(RECIPE, {}, silent, ticket())
        comfy.models["checkpoints"] = {"other.safetensors": 1}
        with pytest.raises(GraphRejected, match="other"):
            await engine.render(RECIPE, {}, silent, ticket())
        with pytest.raises(NotFound):
            await engine.render(RECIPE, {}, silent, ticket())


async def test_a_graph_that_the_server_would_refuse_is_not_sent(tmp_path: Path) -> None:
    async with fake() as comfy:
        del comfy.nodes["VAEDecode"]
        async with engine_on(tmp_path, comfy.url) as engine:
            with pytest.raises(StudioError, match="VAEDecode"):
                await engine.render(RECIPE, {}, silent, ticket())
        assert comfy.prompts == []


# ------------------------------------------------------------------ the memory ladder


async def test_a_full_memory_is_answered_with_tiles_and_said(tmp_path: Path) -> None:
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine:
        comfy.fail("VAEDecode", *OOM)
        mine = ticket()
        steps: list[RenderStep] = []
        (artifact,) = await engine.render(RECIPE, {}, steps.append, mine)
        ids = [body["prompt_id"] for body in comfy.prompts]
    words = "with the server's memory freed and the picture decoded in tiles"
    assert artifact.facts["notes"] == [f"The server ran out of memory, so this was drawn {words}."]
    assert comfy.freed == [{"unload_models": True, "free_memory": True}]
    assert len(nodes(comfy, "VAEDecodeTiled")) == 1
    assert ids == [mine.id, str(uuid5(UUID(mine.id), "rung 2"))]
    assert artifact.facts["prompt_id"] == ids[1]
    assert f"Out of memory; drawing again {words}" in [step.message for step in steps]
    assert [step.step for step in steps] == sorted(step.step for step in steps)


async def test_the_ladder_ends_in_a_smaller_drawing_of_the_asked_size(tmp_path: Path) -> None:
    recipe = RECIPE.but(width=512, height=512)
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine:
        comfy.fail("KSampler", *OOM, times=3)
        (artifact,) = await engine.render(recipe, {}, silent, ticket())
        drawn = [node["inputs"]["width"] for node in nodes(comfy, "EmptyLatentImage")]
    assert (artifact.width, artifact.height) == (512, 512)
    assert drawn == [512, 512, 384, 256]
    assert artifact.facts["notes"] == [
        "The server ran out of memory, so this was drawn at half the size, then enlarged."
    ]


async def test_at_the_foot_of_the_ladder_everything_tried_is_told(tmp_path: Path) -> None:
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine:
        comfy.fail("KSampler", *OOM, times=9)
        with pytest.raises(OutOfMemory, match=r"Tried: as asked; .*in tiles; .*half the size.*Ask for a smaller"):
            await engine.render(RECIPE.but(width=512, height=512), {}, silent, ticket())


async def test_a_failure_tells_what_was_guessed_before_it(tmp_path: Path) -> None:
    recipe = RECIPE.but(controls=(Control(kind="canny", image="job/input/control_1.png"),))
    async with fake(nodes=recorded("nodes_b", "nodes_guides_b")) as comfy, engine_on(tmp_path, comfy.url) as engine:
        comfy.models["controlnet"] = {"mystery.safetensors": 1}
        comfy.fail("KSampler", "RuntimeError", "shapes do not match")
        with pytest.raises(RenderFailed) as caught:
            await engine.render(recipe, {"control_1": PICTURE}, silent, ticket())
    assert str(caught.value).endswith(
        "shapes do not match. Mind: mystery.safetensors is the only control net here, so it was used for canny."
    )
    assert caught.value.node


async def test_another_failure_is_not_tried_again(tmp_path: Path) -> None:
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine:
        comfy.fail("KSampler", "ValueError", "shapes do not match")
        with pytest.raises(RenderFailed, match="shapes do not match"):
            await engine.render(RECIPE, {}, silent, ticket())
        assert len(comfy.prompts) == 1


# ------------------------------------------------------------------ files that are not as they should be


async def test_a_picture_that_comes_in_pieces_is_fetched_again(tmp_path: Path) -> None:
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine:
        comfy.answer("/view", 500)
        (artifact,) = await engine.render(RECIPE, {}, silent, ticket())
    assert artifact.width == 64


async def test_a_picture_that_stays_broken_is_an_error(tmp_path: Path) -> None:
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine:
        hold = comfy.hold("SaveImage")
        rendering = asyncio.create_task(render(engine))
        await hold.reached.wait()
        comfy.short = 20
        hold.release()
        with pytest.raises((RenderFailed, EngineUnavailable)):
            await rendering


async def render(engine: ComfyUIEngine, recipe: Recipe = RECIPE) -> Any:
    return await engine.render(recipe, {}, silent, ticket())


async def test_a_finished_prompt_whose_file_is_gone_is_drawn_again(tmp_path: Path) -> None:
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine:
        mine = ticket()
        await engine.render(RECIPE, {}, silent, mine)
        comfy.files.clear()
        (artifact,) = await engine.render(RECIPE, {}, silent, Ticket(id=mine.id, again=True))
    assert len(comfy.prompts) == 2
    assert artifact.facts["prompt_id"] == comfy.prompts[1]["prompt_id"] == str(uuid5(UUID(mine.id), "rung 1 again"))


# ------------------------------------------------------------------ going on, and stopping


async def test_a_render_that_an_earlier_process_asked_for_is_joined(tmp_path: Path) -> None:
    mine = ticket()
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine, ComfyUIClient(comfy.url) as earlier:
        hold = comfy.hold("KSampler")
        drafted = await engine.draft(RECIPE)
        await earlier.prompt(drafted.graph, prompt_id=mine.id)
        await hold.reached.wait()
        joining = asyncio.create_task(engine.render(RECIPE, {}, silent, Ticket(id=mine.id, again=True)))
        await comfy.until(lambda: ("GET", f"/history/{mine.id}") in comfy.requests)
        hold.release()
        (artifact,) = await joining
    assert (len(comfy.prompts), artifact.facts["prompt_id"]) == (1, mine.id)


async def test_a_cancel_stops_what_runs_and_what_waits_and_nobody_elses(tmp_path: Path) -> None:
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine, ComfyUIClient(comfy.url) as other:
        hold = comfy.hold("KSampler")
        running = asyncio.create_task(render(engine))
        await hold.reached.wait()
        theirs = await other.prompt((await engine.draft(RECIPE.but(seed=8))).graph)
        waiting = asyncio.create_task(render(engine, RECIPE.but(seed=9)))
        await comfy.until(lambda: len(comfy.prompts) == 3)
        for task in (waiting, running):
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        hold.release()
        await comfy.until(lambda: theirs.prompt_id in comfy.history)
        states = {body["prompt_id"]: comfy.history.get(body["prompt_id"]) for body in comfy.prompts}
    ended = [state["status"]["status_str"] if state else "never ran" for state in states.values()]
    assert ended == ["error", "success", "never ran"]


async def test_a_render_that_somebody_takes_out_of_the_queue_is_cancelled_not_drawn_again(tmp_path: Path) -> None:
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine, ComfyUIClient(comfy.url) as other:
        hold = comfy.hold("KSampler")
        await other.prompt((await engine.draft(RECIPE)).graph)
        await hold.reached.wait()
        waiting = asyncio.create_task(render(engine, RECIPE.but(seed=9)))
        await comfy.until(lambda: len(comfy.prompts) == 2)
        await other.delete([comfy.prompts[1]["prompt_id"]])
        with pytest.raises(JobCancelled, match="Somebody took this render out of the queue"):
            await waiting
        hold.release()
    assert len(comfy.prompts) == 2


async def test_a_server_that_was_restarted_in_the_middle_draws_it_again(tmp_path: Path) -> None:
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine:
        hold = comfy.hold("KSampler")
        mine = ticket()
        rendering = asyncio.create_task(engine.render(RECIPE, {}, silent, mine))
        await hold.reached.wait()
        hold.release()
        await comfy.restart()
        (artifact,) = await rendering
    assert [body["prompt_id"] for body in comfy.prompts] == [mine.id, mine.id]
    assert artifact.facts["notes"] == [f"{comfy.url} was lost in the middle and came back."]


# ------------------------------------------------------------------ what it says of itself


async def test_the_status_tells_of_queue_memory_model_and_version(tmp_path: Path) -> None:
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine, ComfyUIClient(comfy.url) as other:
        await render(engine)
        hold = comfy.hold("KSampler")
        await other.prompt((await engine.draft(RECIPE.but(seed=8))).graph)
        await hold.reached.wait()
        waiting = asyncio.create_task(render(engine, RECIPE.but(seed=9)))
        await comfy.until(lambda: len(comfy.prompts) == 3)
        status = await engine.status()
        hold.release()
        await waiting
    assert status.servers == (
        ServerStatus(
            url=comfy.url,
            available=True,
            detail="checkpoints: 1, diffusion models: 0, LoRAs: 0",
            version="0.3.64",
            device="cuda:0 FakeRTX",
            running=1,
            pending=1,
            ours=1,
            loaded=MODEL,
            memory={"total": 25.77, "free": 25.77},
            warnings=status.servers[0].warnings,
        ),
    )
    assert "before 0.28" in status.servers[0].warnings[0]
    assert (status.available, status.device, status.loaded, status.waiting) == (True, "cuda:0 FakeRTX", MODEL, 1)


async def test_a_new_enough_server_gets_no_warning(tmp_path: Path) -> None:
    async with fake(era="B") as comfy, engine_on(tmp_path, comfy.url) as engine:
        (artifact,) = await render(engine)
        assert (await engine.status()).servers[0].warnings == ()
    assert artifact.width == 64


async def test_a_server_that_wants_a_token_gets_it_and_its_address_is_shown_without_password(tmp_path: Path) -> None:
    async with fake(basic=("me", "word")) as comfy:
        url = comfy.url.replace("http://", "http://me:word@")
        async with ComfyUIEngine([url], tmp_path) as engine:
            (artifact,) = await render(engine)
            status = await engine.status()
        assert artifact.facts["server"] == status.servers[0].url == comfy.url
        async with ComfyUIEngine([comfy.url], tmp_path) as engine:
            refused = await engine.refusal(RECIPE)
        assert refused is not None
        assert "COMFYUI_TOKEN" in refused


async def test_models_are_listed_by_kind(tmp_path: Path) -> None:
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine:
        comfy.models["loras"]["pixels.safetensors"] = 9
        everything = [(model.kind, model.name, model.family) for model in await engine.models()]
        loras = [model.name for model in await engine.models("lora")]
    assert ("checkpoint", MODEL, "sd15") in everything
    assert loras == ["pixels.safetensors"]


async def test_templates_say_whether_they_can_be_used_and_what_is_missing(tmp_path: Path) -> None:
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine:
        found = {info.name: info for info in await engine.templates()}
    assert (found["checkpoint"].usable, "sd15" in found["checkpoint"].families) == (True, True)
    assert not found["flux"].usable
    assert "a model of the family" in found["flux"].missing[0]


async def test_without_a_server_no_template_can_be_used(tmp_path: Path) -> None:
    async with engine_on(tmp_path, "http://127.0.0.1:1") as engine:
        found = await engine.templates()
        with pytest.raises(EngineUnavailable, match="refuses the connection"):
            await engine.problems({"1": {"class_type": "EmptyImage", "inputs": {}}})
    assert {info.missing for info in found} == {("a ComfyUI server that answers",)}


async def test_a_graph_is_checked_without_being_sent(tmp_path: Path) -> None:
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine:
        drafted = await engine.draft(RECIPE)
        assert await engine.problems(drafted.graph) == []
        drafted.graph["sampler"]["inputs"]["sampler_name"] = "eulr"
        (problem,) = await engine.problems(drafted.graph)
        assert comfy.prompts == []
    assert (problem.node, problem.input, problem.valid[0]) == ("sampler", "sampler_name", "euler")
    assert (drafted.template, drafted.family, drafted.model, drafted.server) == ("checkpoint", "sd15", MODEL, comfy.url)


async def test_a_mask_by_words_that_nobody_can_find_is_refused_with_the_way_out(tmp_path: Path) -> None:
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine:
        with pytest.raises(EngineUnavailable, match="give mask_image"):
            await engine.find_mask(PICTURE, "the hat")


async def test_servers_on_this_machine_are_asked_to_make_room(tmp_path: Path) -> None:
    async with fake() as comfy, engine_on(tmp_path, comfy.url, "http://127.0.0.1:1") as engine:
        await engine.make_room()
    assert comfy.freed == [{"unload_models": True, "free_memory": True}]


# ------------------------------------------------------------------ faces


@pytest.mark.parametrize(("found", "notes"), [(False, [NO_FACE]), (True, None)])
async def test_a_picture_in_which_no_face_was_found_says_so(
    found: bool, notes: list[str] | None, tmp_path: Path
) -> None:
    recipe = Recipe(task="face_restore", source="job/input/source.png", seed=7)
    files = {"LoadMediaPipeFaceLandmarker": "model_name"}
    info = deepcopy(recorded("nodes_b", "nodes_guides_b"))
    for name, field in files.items():
        info[name]["input"]["required"][field] = [["mediapipe_face_fp32.safetensors"]]
    async with fake(nodes=info) as comfy, engine_on(tmp_path, comfy.url) as engine:
        colour = Image.new("RGB", (72, 40), (0, 0, 8) if found else (0, 0, 7))  # what the fake draws with seed 7
        source = Media(data=encode_png(colour), media_type="image/png")
        (artifact,) = await engine.render(recipe, {"source": source}, silent, ticket())
    assert artifact.facts.get("notes") == notes
