"""Videos by the graphs that we draft ourselves: the fake in every run, a real server where it has a model for videos.

A real one needs Wan's files under names that tell what they are, of any size: wan2.1_t2v_1.3B, both halves of
wan2.2_i2v_..._14B, umt5_xxl and wan_2.1_vae. What it has not is skipped.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from clients.comfyui_client import ComfyUIClient, Pace
from clients.comfyui_engine import ComfyUIEngine
from tests.fakes import png
from tests.live.conftest import HASTY, REAL
from tests.live.graphs import colour
from utils.video import pictures, probe
from workflows.types import Artifact, Media, Recipe, RenderStep, Ticket, new_id

WORDS = Recipe(task="txt2vid", prompt="a red fox runs", width=64, height=64, frames=9, steps=3)
PICTURE = WORDS.but(task="img2vid", source="job/input/source.png")


@pytest.fixture
async def engine(url: str, tmp_path: Path) -> AsyncIterator[ComfyUIEngine]:
    async with ComfyUIEngine([url], tmp_path, pace=Pace() if REAL else HASTY) as engine:
        yield engine


async def drawable(engine: ComfyUIEngine, recipe: Recipe) -> Recipe:
    """The recipe with a seed that nobody drew before; skips where the server lacks what it takes."""
    if reason := await engine.refusal(recipe):
        pytest.skip(reason)
    return recipe.but(seed=colour())


def measures(artifact: Artifact) -> tuple[Any, ...]:
    facts = artifact.facts
    return artifact.media.media_type, artifact.width, artifact.height, facts["frames"], facts["fps"]


async def test_words_become_a_video_and_every_step_is_told(engine: ComfyUIEngine) -> None:
    recipe = await drawable(engine, WORDS)
    steps: list[RenderStep] = []
    (artifact,) = await engine.render(recipe, {}, steps.append, Ticket(id=new_id()))
    assert measures(artifact) == ("video/mp4", 64, 64, 9, 16.0)
    assert probe(artifact.media.data).codec == "h264"
    assert len(list(pictures(artifact.media.data))) == 9
    assert "Step 3 of 3" in {step.message for step in steps}


async def test_a_picture_is_set_in_motion_by_both_halves_of_a_pair(engine: ComfyUIEngine) -> None:
    recipe = await drawable(engine, PICTURE)
    source = Media(data=png(96, 64), media_type="image/png")
    (artifact,) = await engine.render(recipe, {"source": source}, lambda step: None, Ticket(id=new_id()))
    assert measures(artifact) == ("video/mp4", 64, 64, 9, 16.0)
    assert artifact.facts["template"] in {"wan22_image", "wan_image"}


async def test_a_video_that_a_killed_process_asked_for_is_joined(url: str, engine: ComfyUIEngine) -> None:
    recipe = await drawable(engine, WORDS)
    mine = new_id()
    async with ComfyUIClient(url) as killed:
        await killed.prompt((await engine.draft(recipe)).graph, prompt_id=mine)
    (artifact,) = await engine.render(recipe, {}, lambda step: None, Ticket(id=mine, again=True))
    assert (artifact.facts["prompt_id"], artifact.facts["frames"]) == (mine, 9)


async def test_a_video_is_stopped_in_the_middle_of_its_steps(url: str, engine: ComfyUIEngine) -> None:
    recipe = (await drawable(engine, WORDS)).but(steps=150)
    drawing, mine = asyncio.Event(), Ticket(id=new_id())

    def hear(step: RenderStep) -> None:
        if step.step:
            drawing.set()

    running = asyncio.create_task(engine.render(recipe, {}, hear, mine))
    await drawing.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    async with ComfyUIClient(url) as client:
        assert (await client.queue()).ahead(mine.id) is None
        finished = await client.history(mine.id)
    assert finished is not None
    assert (finished.status, finished.outputs) == ("interrupted", {})
