"""Workflows of every kind of output, through the engine: the fake in every run, a real server where one is named."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from clients.comfyui_client import ComfyUIClient, Pace
from clients.comfyui_engine import ComfyUIEngine
from tests.comfyui import clips
from tests.live.conftest import HASTY, REAL
from tests.live.graphs import Graph, colour, node
from utils.video import pictures, probe
from workflows.types import Artifact, Media, Recipe, RenderStep, Ticket, new_id

RECIPE = Recipe(task="workflow", workflow="job/input/workflow.json", seed=1)
WAN, ENCODER, VAE = "random-tiny-wan21-t2v.safetensors", "random-clip-l.safetensors", "random-wan21-vae.safetensors"


@pytest.fixture
async def engine(url: str, tmp_path: Path) -> AsyncIterator[ComfyUIEngine]:
    async with ComfyUIEngine([url], tmp_path, pace=Pace() if REAL else HASTY) as engine:
        yield engine


def prefix() -> str:
    return f"atelier-test/{new_id()[:8]}"


def frames(count: int = 9) -> Graph:
    """Frames of one colour, as a video would be drawn."""
    return {"1": node("EmptyImage", width=96, height=64, batch_size=count, color=colour())}


def film(count: int = 9, fps: float = 8.0) -> Graph:
    save = node("SaveVideo", video=["2", 0], filename_prefix=prefix(), format="auto", codec="auto")
    return frames(count) | {"2": node("CreateVideo", images=["1", 0], fps=fps), "3": save}


def given(graph: Graph, **files: Media) -> dict[str, Media]:
    return {"workflow": Media(data=json.dumps(graph).encode(), media_type="application/json"), **files}


async def run(engine: ComfyUIEngine, graph: Graph, **files: Media) -> list[Artifact]:
    return list(await engine.render(RECIPE, given(graph, **files), lambda step: None, Ticket(id=new_id())))


def measures(artifact: Artifact) -> tuple[Any, ...]:
    facts = artifact.facts
    return artifact.media.media_type, artifact.width, artifact.height, facts["frames"], facts["fps"]


async def test_frames_become_a_video_of_their_number_and_rate(engine: ComfyUIEngine) -> None:
    (artifact,) = await run(engine, film())
    assert measures(artifact) == ("video/mp4", 96, 64, 9, 8.0)
    assert artifact.facts["seconds"] == pytest.approx(9 / 8, abs=0.01)
    assert len(list(pictures(artifact.media.data))) == 9


async def test_frames_become_webm_and_an_animated_picture(engine: ComfyUIEngine) -> None:
    webp = {"fps": 8.0, "lossless": True, "quality": 80, "method": "default"}
    graph = frames() | {
        "2": node("SaveWEBM", images=["1", 0], filename_prefix=prefix(), codec="vp9", fps=8.0, crf=32.0),
        "3": node("SaveAnimatedWEBP", images=["1", 0], filename_prefix=prefix(), **webp),
    }
    webm, animated = sorted(await run(engine, graph), key=lambda one: one.facts["node"])
    assert measures(webm)[:4] == ("video/webm", 96, 64, 9)
    assert (animated.media.media_type, animated.width, animated.height) == ("image/webp", 96, 64)


async def test_a_sound_and_a_text_are_outputs_too(engine: ComfyUIEngine) -> None:
    graph = {
        "1": node("EmptyAudio", duration=0.5, sample_rate=44100, channels=2),
        "2": node("SaveAudio", audio=["1", 0], filename_prefix=prefix()),
        "3": node("PreviewAny", source=f"a red fox {colour()}"),
    }
    sound, text = sorted(await run(engine, graph), key=lambda one: one.facts["node"])
    assert (sound.media.media_type, sound.media.data[:4]) == ("audio/flac", b"fLaC")
    assert (text.media.media_type, text.media.data[:9]) == ("text/plain", b"a red fox")


async def test_a_video_that_is_given_is_opened_and_taken_apart(engine: ComfyUIEngine) -> None:
    shots = [Image.new("RGB", (64, 48), (colour() % 256, 60 * place, 0)) for place in range(4)]
    source = Media(data=clips.video(shots, 8, "mp4"), media_type="video/mp4")
    graph = {
        "1": node("LoadVideo", file="atelier://file_1"),
        "2": node("GetVideoComponents", video=["1", 0]),
        "3": node("SaveImage", images=["2", 0], filename_prefix=prefix()),
    }
    artifacts = await run(engine, graph, file_1=source)
    assert [(one.media.media_type, one.width, one.height) for one in artifacts] == [("image/png", 64, 48)] * 4


async def test_a_video_of_a_process_that_was_killed_is_joined(url: str, engine: ComfyUIEngine) -> None:
    mine, graph = new_id(), film(count=120)
    async with ComfyUIClient(url) as killed:
        await killed.prompt(graph, prompt_id=mine)
    (artifact,) = await engine.render(RECIPE, given(graph), lambda step: None, Ticket(id=mine, again=True))
    assert (artifact.facts["prompt_id"], artifact.facts["frames"]) == (mine, 120)


async def test_saved_workflows_are_listed_and_read(url: str, engine: ComfyUIEngine) -> None:
    import httpx2

    name = f"atelier-test/{new_id()[:8]} 50%20 ünï"
    path = f"workflows/{name}.json".replace("%", "%25")
    async with httpx2.AsyncClient(trust_env=False) as http:
        from urllib.parse import quote

        address = f"{url}/userdata/{quote(path, safe='')}"
        await http.post(address, content=b'{"nodes": [], "links": []}')
        try:
            assert name in await engine.saved()
            assert await engine.saved_workflow(name) == {"nodes": [], "links": []}
        finally:
            await http.delete(address)


async def test_the_servers_node_classes_are_known(engine: ComfyUIEngine) -> None:
    (inventory,) = await engine.inventories()
    assert inventory.has("EmptyImage", "CreateVideo", "SaveVideo")


def wan(steps: int = 3) -> Graph:
    return {
        "4": node("UNETLoader", unet_name=WAN, weight_dtype="default"),
        "10": node("CLIPLoader", clip_name=ENCODER, type="sd3"),
        "11": node("VAELoader", vae_name=VAE),
        "6": node("CLIPTextEncode", text="a cat", clip=["10", 0]),
        "7": node("CLIPTextEncode", text="", clip=["10", 0]),
        "5": node("EmptyHunyuanLatentVideo", width=64, height=64, length=5, batch_size=1),
        "3": node(
            "KSampler",
            model=["4", 0],
            seed=colour(),
            steps=steps,
            cfg=5.0,
            sampler_name="euler",
            scheduler="simple",
            positive=["6", 0],
            negative=["7", 0],
            latent_image=["5", 0],
            denoise=1.0,
        ),
        "8": node("VAEDecode", samples=["3", 0], vae=["11", 0]),
        "13": node("CreateVideo", images=["8", 0], fps=16.0),
        "9": node("SaveVideo", video=["13", 0], filename_prefix=prefix(), format="auto", codec="auto"),
    }


async def test_a_video_model_draws_and_its_steps_are_told(engine: ComfyUIEngine) -> None:
    (inventory,) = await engine.inventories()
    if WAN not in inventory.choices("UNETLoader", "unet_name"):
        pytest.skip("the server has no tiny Wan")
    steps: list[RenderStep] = []
    artifacts = await engine.render(RECIPE, given(wan()), steps.append, Ticket(id=new_id()))
    assert measures(artifacts[0]) == ("video/mp4", 64, 64, 5, 16.0)
    assert {step.steps for step in steps} == {4}
    assert "Step 3 of 3" in {step.message for step in steps}
    assert probe(artifacts[0].media.data).codec == "h264"


async def test_a_stopped_video_workflow_stops(url: str, engine: ComfyUIEngine) -> None:
    told = asyncio.Event()
    mine = Ticket(id=new_id())
    running = asyncio.create_task(engine.render(RECIPE, given(film(count=400)), lambda step: told.set(), mine))
    await told.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    async with ComfyUIClient(url) as client:
        assert (await client.queue()).ahead(mine.id) is None
