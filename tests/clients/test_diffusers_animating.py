"""Videos by the embedded engine without a video model: the demo model's animations, and interpolation."""

import asyncio
import io
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import clients
from clients.diffusers_engine import DiffusersEngine
from clients.diffusers_engine.animating import slerp
from tests.clients.tiny_models import save_tiny_sdxl
from tests.fakes import TICKET
from tests.utils import films
from utils.motion import motion_of
from utils.video import Clip, frame, pictures, probe
from workflows.errors import BadRecipe
from workflows.types import Artifact, Media, Recipe, RenderStep

DEMO = Path(clients.__file__).parent / "demo" / "t2i"
CIRCLE = Recipe(
    task="txt2vid", prompt="a red circle on a white background", seed=7, width=96, height=96, steps=5, frames=6
)


@pytest.fixture(scope="module")
def engine() -> Iterator[DiffusersEngine]:
    shared = DiffusersEngine(None, DEMO, idle_unload=0, offline=True)
    yield shared
    asyncio.run(shared.__aexit__(None, None, None))


def shown(artifact: Artifact) -> list[Image.Image]:
    return list(pictures(artifact.media.data))


def distance(one: Image.Image, other: Image.Image) -> float:
    return float(np.abs(np.asarray(one, float) - np.asarray(other, float)).mean())


def colour(picture: Image.Image) -> tuple[float, float]:
    """How red and how blue the darker part is: the shape before its white ground."""
    levels = np.asarray(picture, float)
    shape = levels[levels.min(axis=2) < 120]
    return float(shape[:, 0].mean()), float(shape[:, 2].mean())


async def filmed(engine: DiffusersEngine, recipe: Recipe, source: Media | None = None) -> Artifact:
    steps: list[RenderStep] = []
    inputs = {"source": source} if source else {}
    [artifact] = await engine.render(recipe, inputs, steps.append, TICKET)
    await asyncio.sleep(0)  # the last report is on its way
    assert {step.steps for step in steps if step.preview} <= {recipe.frames}
    return artifact


def test_between_two_directions_lengths_and_arcs_are_kept() -> None:
    torch = pytest.importorskip("torch")
    one, other = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    assert torch.allclose(slerp(one, other, 0.5), torch.tensor([[0.5**0.5, 0.5**0.5]]))
    assert torch.allclose(slerp(one, one, 0.3), one)
    assert torch.allclose(slerp(one, other, 1.0), other, atol=1e-6)


@pytest.mark.models
async def test_the_demo_model_animates_and_says_what_it_is(engine: DiffusersEngine) -> None:
    assert await engine.refusal(CIRCLE) is None
    artifact = await filmed(engine, CIRCLE)
    assert (artifact.media.media_type, artifact.width, artifact.height, artifact.seed) == ("video/mp4", 96, 96, 7)
    facts = artifact.facts
    assert (facts["frames"], facts["fps"], facts["seconds"], facts["scenes"]) == (6, 8.0, 0.75, 1)
    assert facts["notes"][0].startswith("This is an animation of stills")
    assert facts["notes"][1] == "96x96 is not the demo model's own size; it draws best at 128x128."
    assert await asyncio.to_thread(probe, artifact.media.data) == Clip(96, 96, 6, 8.0, 0.75, False, "h264")
    found = await asyncio.to_thread(lambda: motion_of(shown(artifact)))
    assert not found.frozen
    assert (await filmed(engine, CIRCLE)).media.data == artifact.media.data
    assert (await filmed(engine, CIRCLE.but(seed=8))).media.data != artifact.media.data


@pytest.mark.models
async def test_a_prompt_of_two_scenes_goes_from_one_to_the_other(engine: DiffusersEngine) -> None:
    prompt = "a red circle on a white background, then a blue square on a white background"
    artifact = await filmed(engine, CIRCLE.but(prompt=prompt, width=128, height=128, steps=8))
    drawn = await asyncio.to_thread(shown, artifact)
    (red, _), (_, blue) = colour(drawn[0]), colour(drawn[-1])
    assert red > 150
    assert blue > 150
    assert colour(drawn[0])[1] < 100 > colour(drawn[-1])[0]
    assert artifact.facts["scenes"] == 2


@pytest.mark.models
async def test_a_video_from_a_picture_begins_with_it_and_motion_says_how_far_it_goes(engine: DiffusersEngine) -> None:
    still = films.pictures(1, (96, 96))[0]
    buffer = io.BytesIO()
    still.save(buffer, "PNG")
    source = Media(data=buffer.getvalue(), media_type="image/png")
    ways: list[float] = []
    for motion in (0.3, 1.2):
        recipe = CIRCLE.but(task="img2vid", width=None, height=None, motion=motion)
        drawn = await asyncio.to_thread(shown, await filmed(engine, recipe, source))
        assert drawn[0].size == (128, 128)
        assert distance(drawn[0], still.resize((128, 128), Image.Resampling.LANCZOS)) < 4
        ways.append(distance(drawn[0], drawn[-1]))
    assert ways[1] > 1.5 * ways[0] > 5


@pytest.mark.models
async def test_motion_says_how_much_an_animation_moves(engine: DiffusersEngine) -> None:
    def moved(artifact: Artifact) -> float:
        return sum(distance(one, other) for one, other in pairwise(shown(artifact)))

    calm, wild = [await filmed(engine, CIRCLE.but(motion=motion)) for motion in (0.0, 1.5)]
    assert await asyncio.to_thread(moved, calm) < 1 < await asyncio.to_thread(moved, wild)


@pytest.mark.models
async def test_a_cancelled_animation_stops_within_a_batch(engine: DiffusersEngine) -> None:
    begun = asyncio.Event()
    reports: list[RenderStep] = []

    def report(step: RenderStep) -> None:
        reports.append(step)
        begun.set()

    render = asyncio.create_task(engine.render(CIRCLE.but(frames=64), {}, report, TICKET))
    await begun.wait()
    render.cancel()
    with pytest.raises(asyncio.CancelledError):
        await render
    assert max(step.step for step in reports) < 20
    assert (await filmed(engine, CIRCLE)).facts["frames"] == 6


async def test_the_profile_of_a_picture_model_for_videos(engine: DiffusersEngine) -> None:
    profile = await engine.profile(CIRCLE)
    assert (profile.frames, profile.frame_step, profile.fps, profile.width) == (16, 1, 8.0, 128)
    assert profile.note == (await engine.profile(Recipe(prompt="a red circle"))).note != ""
    assert (await engine.profile(Recipe(task="interpolate"))).note == ""
    assert (await engine.profile(Recipe(prompt="a red circle"))).frames == 1


@pytest.mark.models
async def test_other_picture_models_animate_too(tmp_path: Path) -> None:
    folder = await asyncio.to_thread(save_tiny_sdxl, tmp_path / "tiny")
    async with DiffusersEngine(str(folder), DEMO, offline=True) as engine:
        recipe = CIRCLE.but(prompt="a car -> a boat", width=64, height=64, steps=2)
        assert await engine.refusal(recipe) is None
        first, second = [await filmed(engine, recipe) for _ in range(2)]
    assert first.media.data == second.media.data
    assert (await asyncio.to_thread(probe, first.media.data)).frames == 6


async def test_interpolation_needs_no_model_and_keeps_the_length(engine: DiffusersEngine) -> None:
    source = Media(data=await asyncio.to_thread(films.plain, 8), media_type="video/mp4")
    recipe = Recipe(task="interpolate", fps=24.0)
    assert await engine.refusal(recipe) is None
    artifact = await filmed(engine, recipe, source)
    assert {name: artifact.facts[name] for name in ("frames", "fps", "seconds")} == {
        "frames": 24, "fps": 24.0, "seconds": 1.0,
    }  # fmt: skip
    assert (await filmed(engine, recipe.but(fps=None), source)).facts["fps"] == 16.0
    with pytest.raises(BadRecipe, match="not an MP4"):
        await filmed(engine, recipe, Media(data=b"no video", media_type="video/mp4"))


async def test_an_extension_begins_with_the_last_frame(engine: DiffusersEngine) -> None:
    last = await asyncio.to_thread(lambda: frame(films.plain(8, size=(96, 96)), -1))
    artifact = await filmed(engine, CIRCLE.but(task="extend_video"), Media(data=last, media_type="image/png"))
    drawn = await asyncio.to_thread(shown, artifact)
    assert distance(drawn[0], Image.open(io.BytesIO(last)).convert("RGB")) < 4


async def test_workflows_are_refused_and_a_source_is_asked_for(engine: DiffusersEngine) -> None:
    assert await engine.refusal(Recipe(task="workflow")) == "This engine runs no workflows; they run on ComfyUI."
    for task in ("img2vid", "interpolate"):
        with pytest.raises(BadRecipe, match="needs an input"):
            await filmed(engine, CIRCLE.but(task=task))
