"""Videos by ComfyUIEngine on fake servers over real sockets: how they come, what goes wrong, what hours survive."""

from __future__ import annotations

import asyncio
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from clients.comfyui_client import ComfyUIClient
from clients.comfyui_engine import ComfyUIEngine
from tests.clients.test_comfyui_engine import OOM, QUICK, engine_on, nodes, silent, ticket
from tests.comfyui import clips
from tests.fake_comfyui import FakeComfyUI, recorded
from utils.images import sha256
from utils.video import pictures, probe
from workflows.errors import BadRecipe, OutOfMemory, RenderFailed
from workflows.types import Artifact, Media, Recipe, RenderStep, Ticket

MODEL = "wan2.1_t2v_1.3B_fp16.safetensors"
PAIR = ["wan2.2_t2v_high_noise_14B_fp8_scaled.safetensors", "wan2.2_t2v_low_noise_14B_fp8_scaled.safetensors"]
SHELVES = {
    "diffusion_models": [MODEL, *PAIR],
    "text_encoders": ["umt5_xxl_fp8_e4m3fn_scaled.safetensors"],
    "vae": ["wan_2.1_vae.safetensors"],
    "frame_interpolation": ["film_net_fp16.safetensors"],
}
RECIPE = Recipe(task="txt2vid", prompt="a fox runs", model=MODEL, width=64, height=96, frames=9, steps=3, seed=4)
SMOOTHER = Recipe(task="interpolate", source="job/input/source.mp4", fps=20)
FRAMES = [Image.new("RGB", (64, 48), (60 * place, 0, 0)) for place in range(4)]
FILM = clips.video(FRAMES, 8, "mp4")


def fake(era: str = "a", **more: Any) -> FakeComfyUI:
    known = recorded(f"nodes_{era}", f"nodes_video_{era}")
    return FakeComfyUI(era=era.upper(), nodes=known, models=SHELVES, **more)


async def draw(engine: ComfyUIEngine, recipe: Recipe = RECIPE) -> Artifact:
    (artifact,) = await engine.render(recipe, {}, silent, ticket())
    return artifact


def measures(artifact: Artifact) -> tuple[str, int, int, int, float, float]:
    facts = artifact.facts
    return (
        artifact.media.media_type,
        artifact.width,
        artifact.height,
        facts["frames"],
        facts["fps"],
        facts["seconds"],
    )


# ------------------------------------------------------------------ how they come


@pytest.mark.parametrize("era", ["a", "b"])
async def test_a_recipe_becomes_a_video_with_its_length(tmp_path: Path, era: str) -> None:
    steps: list[RenderStep] = []
    async with fake(era) as comfy, engine_on(tmp_path, comfy.url) as engine:
        assert await engine.refusal(RECIPE) is None
        assert (await engine.profile(RECIPE)).frame_step == 4
        (artifact,) = await engine.render(RECIPE, {}, steps.append, ticket())
    assert measures(artifact) == ("video/mp4", 64, 96, 9, 16.0, 0.562)
    assert (artifact.seed, artifact.model) == (4, MODEL)
    assert 0 < artifact.facts["render_seconds"] < 10
    assert len(list(pictures(artifact.media.data))) == 9
    assert (steps[-1].step, {step.steps for step in steps}) == (4, {4})
    assert "Encoding the video" in {step.message for step in steps}


async def test_a_server_that_writes_only_animated_pictures_gives_mp4_all_the_same(tmp_path: Path) -> None:
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine:
        del comfy.nodes["SaveVideo"]
        artifact = await draw(engine)
        ((_, _, name),) = comfy.files
    assert name.endswith(".webp")
    assert (artifact.media.media_type, artifact.facts["frames"]) == ("video/mp4", 9)
    assert probe(artifact.media.data).codec == "h264"


async def test_a_video_is_found_in_lists_of_other_names_beside_pictures(tmp_path: Path) -> None:
    film = clips.video(FRAMES, 8, "webm")
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine:
        comfy.files["output", "", "w.webm"], comfy.files["output", "", "w.png"] = film, b""
        row = {"subfolder": "", "type": "output"}
        images = {"images": [{"filename": "w.png", **row}], "gifs": [{"filename": "w.webm", "format": "webm", **row}]}
        comfy.worker.gives["SaveVideo"] = images
        artifact = await draw(engine)
    assert measures(artifact) == ("video/mp4", 64, 48, 4, 8.0, 0.5)
    assert probe(artifact.media.data).codec == "h264"


async def test_a_video_that_comes_in_pieces_is_fetched_again(tmp_path: Path) -> None:
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine:
        comfy.answer("/view", 500)
        assert (await draw(engine)).width == 64


@pytest.mark.parametrize("content", [FILM[: len(FILM) // 2], b"", b"<html>", FILM[:40] + bytes(len(FILM) - 40)])
async def test_a_video_that_stays_broken_is_an_error(tmp_path: Path, content: bytes) -> None:
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine:
        comfy.files["output", "", "v.mp4"] = content
        comfy.worker.gives["SaveVideo"] = {"images": [{"filename": "v.mp4"}]}
        with pytest.raises(RenderFailed, match="cannot be used"):
            await draw(engine)


async def test_a_render_without_a_video_says_so(tmp_path: Path) -> None:
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine:
        comfy.worker.gives["SaveVideo"] = {}
        with pytest.raises(RenderFailed, match="without a video"):
            await draw(engine)


async def test_a_video_template_is_usable_with_a_model_for_its_own_task_alone(tmp_path: Path) -> None:
    async with fake("b") as comfy, engine_on(tmp_path, comfy.url) as engine:
        found = {template.name: template for template in await engine.templates()}
        assert (found["wan"].usable, found["wan"].families) == (True, ("wan21-1.3b", "wan21-14b"))
        assert "makes videos from words alone" in found["wan_image"].missing[0]


# ------------------------------------------------------------------ frames between frames


async def test_a_source_video_is_uploaded_as_such_and_its_rate_decides_how_many_frames_come(tmp_path: Path) -> None:
    source = Media(data=FILM, media_type="video/mp4")
    async with fake("b") as comfy, engine_on(tmp_path, comfy.url) as engine:
        (artifact,) = await engine.render(SMOOTHER, {"source": source}, silent, ticket())
        (load,), (between,) = nodes(comfy, "LoadVideo"), nodes(comfy, "FrameInterpolate")
    assert load["inputs"]["file"] == f"atelier/{sha256(FILM)[:32]}.mp4"
    assert between["inputs"]["multiplier"] == 3
    assert (artifact.facts["frames"], artifact.facts["fps"]) == (10, 24.0)
    assert any(note.startswith("24 frames a second instead of 20") for note in artifact.facts["notes"])


@pytest.mark.parametrize(("pack", "model"), [("RIFE VFI", "rife49.pth"), ("FILM VFI", "film_net_fp32.pt")])
async def test_a_pack_puts_frames_between_frames_where_the_servers_own_nodes_lack_their_file(
    tmp_path: Path, pack: str, model: str
) -> None:
    nodes = recorded("nodes_b", "nodes_video_b") | {pack: recorded("nodes_films_packs")[pack]}
    source = Media(data=FILM, media_type="video/mp4")
    async with FakeComfyUI(era="B", nodes=nodes) as comfy, engine_on(tmp_path, comfy.url) as engine:
        (artifact,) = await engine.render(SMOOTHER.but(fps=16), {"source": source}, silent, ticket())
    assert (artifact.model, artifact.facts["frames"], artifact.facts["fps"]) == (model, 7, 16.0)


async def test_a_source_that_no_player_shows_is_refused(tmp_path: Path) -> None:
    source = Media(data=FILM[:200], media_type="video/mp4")
    async with fake("b") as comfy, engine_on(tmp_path, comfy.url) as engine:
        with pytest.raises(BadRecipe, match="source"):
            await engine.render(SMOOTHER, {"source": source}, silent, ticket())
    assert comfy.prompts == []


# ------------------------------------------------------------------ a memory that is too small


async def test_a_video_is_decoded_in_tiles_of_space_and_time_where_the_memory_is_full(tmp_path: Path) -> None:
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine:
        comfy.fail("VAEDecode", *OOM)
        artifact = await draw(engine)
        (tiled,) = nodes(comfy, "VAEDecodeTiled")
    assert (tiled["inputs"]["temporal_size"], tiled["inputs"]["temporal_overlap"]) == (64, 8)
    assert "decoded in tiles" in artifact.facts["notes"][-1]
    assert (artifact.width, artifact.height, artifact.facts["frames"]) == (64, 96, 9)


async def test_a_video_is_never_drawn_smaller_than_asked(tmp_path: Path) -> None:
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine:
        comfy.fail("KSampler", *OOM, times=99)
        with pytest.raises(OutOfMemory, match="Ask for fewer frames or a smaller video"):
            await draw(engine)
        sizes = {(one["inputs"]["width"], one["inputs"]["height"]) for one in nodes(comfy, "EmptyHunyuanLatentVideo")}
    assert sizes == {(64, 96)}
    assert len(comfy.prompts) > 1


# ------------------------------------------------------------------ hours


async def test_a_render_that_takes_longer_than_any_patience_is_waited_for(tmp_path: Path) -> None:
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine:
        hold, mine = comfy.hold("KSampler", step=2), ticket()
        running = asyncio.create_task(engine.render(RECIPE, {}, silent, mine))
        await hold.reached.wait()
        looks = ("GET", f"/history/{mine.id}")
        await comfy.until(lambda: comfy.requests.count(looks) > 8)  # each after QUICK.silence
        hold.release()
        (artifact,) = await running
    assert artifact.facts["frames"] == 9


async def test_the_steps_of_both_halves_of_a_pair_are_counted_together(tmp_path: Path) -> None:
    steps: list[RenderStep] = []
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine:
        recipe = RECIPE.but(model=PAIR[0], steps=20)
        await engine.render(recipe, {}, steps.append, ticket())
        assert len(nodes(comfy, "KSamplerAdvanced")) == 2
    assert {step.steps for step in steps} == {21}
    assert [step.step for step in steps] == sorted(step.step for step in steps)


async def test_a_video_that_a_killed_process_asked_for_goes_on_where_it_is(tmp_path: Path) -> None:
    mine, steps = ticket(), list[RenderStep]()
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine, ComfyUIClient(comfy.url) as killed:
        hold = comfy.hold("KSampler", step=2)
        drafted = await engine.draft(RECIPE)
        await killed.prompt(drafted.graph, prompt_id=mine.id)
        await hold.reached.wait()
        joining = asyncio.create_task(engine.render(RECIPE, {}, steps.append, Ticket(id=mine.id, again=True)))
        await comfy.until(lambda: ("GET", f"/history/{mine.id}") in comfy.requests)
        hold.release()
        (artifact,) = await joining
    assert (len(comfy.prompts), comfy.worker.executed.count("KSampler")) == (1, 1)
    assert (artifact.facts["prompt_id"], artifact.facts["frames"]) == (mine.id, 9)
    told = f"At work (asked for before a restart: ComfyUI does not tell its steps) on {comfy.url}"
    assert [step.message for step in steps] == [told, "Drawn"]


async def test_a_stopped_video_stops_at_its_next_step(tmp_path: Path) -> None:
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine:
        hold = comfy.hold("KSampler", step=2)
        running = asyncio.create_task(draw(engine))
        await hold.reached.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        await comfy.until(lambda: comfy.history)
    assert "VAEDecode" not in comfy.worker.executed


async def test_a_server_that_is_out_of_reach_twice_and_still_draws_is_waited_for_twice(tmp_path: Path) -> None:
    """What it has done is lost only when it does not know the render any more."""
    pace = replace(QUICK, comeback=20.0)
    losses: list[str] = []
    async with fake() as comfy, ComfyUIEngine([comfy.url], tmp_path, pace=pace) as engine:
        hold, mine = comfy.hold("KSampler", step=2), ticket()

        def hear(step: RenderStep) -> None:
            if "looking for another server" in step.message:
                losses.append(step.message)
                comfy.well("/history/" + mine.id)

        running = asyncio.create_task(engine.render(RECIPE, {}, hear, mine))
        await hold.reached.wait()
        for times in (1, 2):
            comfy.answer(f"/history/{mine.id}", *[500] * 50)
            await comfy.cut()
            await comfy.until(lambda times=times: len(losses) == times and comfy.sockets)
        hold.release()
        (artifact,) = await running
    assert (len(comfy.prompts), comfy.worker.executed.count("KSampler")) == (1, 1)
    assert artifact.facts["notes"][-1] == f"{comfy.url} was lost in the middle and came back."


def test_the_fake_writes_videos_that_can_be_read() -> None:
    assert [image.size for image in pictures(FILM)] == [(64, 48)] * 4
    assert Image.open(io.BytesIO(clips.video(FRAMES, 8, "webp"))).n_frames == 4  # pyright: ignore[reportAttributeAccessIssue]
