"""Videos by video pipelines of diffusers, in small and with random weights: what goes where, and what is refused."""

import asyncio
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import clients
from clients.diffusers_engine import DiffusersEngine
from clients.diffusers_engine.films import FILMS, film_family, guessed_film
from tests.clients.tiny_models import library, save_tiny_ltx, save_tiny_wan
from tests.fakes import TICKET
from tests.utils import films
from utils.video import Clip, pictures, probe
from workflows.types import Artifact, LoraUse, Media, Recipe, RenderStep

DEMO = Path(clients.__file__).parent / "demo" / "t2i"
CAR = Recipe(task="txt2vid", prompt="a red car", seed=7, width=64, height=64, frames=9, steps=2)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    base = tmp_path_factory.mktemp("films")
    return {"wan": save_tiny_wan(base / "wan"), "ltx": save_tiny_ltx(base / "ltx")}


@pytest.fixture(scope="module", params=["wan", "ltx"])
def engine(request: pytest.FixtureRequest, folders: dict[str, Path]) -> Iterator[DiffusersEngine]:
    shared = DiffusersEngine(str(folders[request.param]), DEMO, idle_unload=0, offline=True)
    yield shared
    asyncio.run(shared.__aexit__(None, None, None))


async def filmed(engine: DiffusersEngine, recipe: Recipe, steps: list[RenderStep] | None = None) -> Artifact:
    buffer = io.BytesIO()
    films.pictures(1, (64, 64))[0].save(buffer, "PNG")
    source = Media(data=buffer.getvalue(), media_type="image/png")
    report = (steps if steps is not None else []).append
    [artifact] = await engine.render(recipe, {"source": source}, report, TICKET)
    await asyncio.sleep(0)
    return artifact


@pytest.mark.models
async def test_a_video_model_draws_all_frames_from_words(engine: DiffusersEngine) -> None:
    assert await engine.refusal(CAR) is None
    fps = (await engine.profile(CAR)).fps
    steps: list[RenderStep] = []
    artifact = await filmed(engine, CAR, steps)
    assert await asyncio.to_thread(probe, artifact.media.data) == Clip(64, 64, 9, fps, 9 / fps, False, "h264")
    assert (artifact.facts["frames"], artifact.facts["fps"], artifact.seed) == (9, fps, 7)
    assert FILMS[artifact.facts["pipeline"]].picture is False
    assert [(step.step, step.steps) for step in steps][-2:] == [(1, 2), (2, 2)]
    assert not any("animation" in note for note in artifact.facts["notes"])
    assert (await filmed(engine, CAR)).media.data == artifact.media.data
    assert (await filmed(engine, CAR.but(seed=8))).media.data != artifact.media.data


@pytest.mark.models
async def test_frames_and_rate_are_the_recipes_where_it_says(engine: DiffusersEngine) -> None:
    artifact = await filmed(engine, CAR.but(frames=17, fps=12.0, steps=1))
    assert (artifact.facts["frames"], artifact.facts["fps"]) == (17, 12.0)


@pytest.mark.models
async def test_a_cancelled_film_stops_at_the_next_step(engine: DiffusersEngine) -> None:
    begun = asyncio.Event()
    steps: list[RenderStep] = []

    def report(step: RenderStep) -> None:
        steps.append(step)
        if step.step:
            begun.set()

    render = asyncio.create_task(engine.render(CAR.but(steps=200), {}, report, TICKET))
    await begun.wait()
    render.cancel()
    with pytest.raises(asyncio.CancelledError):
        await render
    assert max(step.step for step in steps) < 100


@pytest.mark.models
async def test_one_set_of_weights_begins_with_words_or_with_a_picture(folders: dict[str, Path]) -> None:
    async with DiffusersEngine(str(folders["ltx"]), DEMO, offline=True) as engine:
        for task in ("img2vid", "extend_video"):
            assert await engine.refusal(CAR.but(task=task)) is None
            artifact = await filmed(engine, CAR.but(task=task))
            assert artifact.facts["pipeline"] == "LTXImageToVideoPipeline"
        plain = await filmed(engine, CAR)
        assert plain.facts["pipeline"] == "LTXPipeline"
        assert await asyncio.to_thread(lambda: next(pictures(plain.media.data)).size) == (64, 64)


@pytest.mark.models
async def test_what_a_video_model_does_not_do_is_refused_before_it_loads(folders: dict[str, Path]) -> None:
    async with DiffusersEngine(str(folders["wan"]), DEMO, offline=True) as engine:
        for recipe, words in (
            (CAR.but(task="img2vid"), "begins with words alone"),
            (CAR.but(loras=(LoraUse(name="x"),)), "LoRAs"),
            (Recipe(prompt="a red car"), "draws videos, not pictures: use generate_video"),
            (CAR.but(width=72), "no multiple of 16"),
        ):
            assert words in str(await engine.refusal(recipe))
        assert (await engine.status()).loaded is None


@pytest.mark.models
async def test_a_pipeline_without_callbacks_reports_and_stops_by_its_network(folders: dict[str, Path]) -> None:
    """As HunyuanVideo 1.5's: the call of Wan's, without the callbacks."""
    library("torch")
    from clients.diffusers_engine.drawing import Stopped, Watch
    from clients.diffusers_engine.filming import watched

    pipe = library("diffusers").WanPipeline.from_pretrained(str(folders["wan"]), local_files_only=True)
    steps: list[RenderStep] = []
    watch = Watch(tell=steps.append)

    def drawn() -> None:
        known = {"num_inference_steps": 3}
        with watched(None, pipe, watch, known, {}):  # pyright: ignore[reportArgumentType]
            pipe("a car", num_frames=5, width=32, height=32, guidance_scale=3.0, **known)

    await asyncio.to_thread(drawn)
    assert [step.step for step in steps] == [0, 0, 1, 1, 2, 2]  # prompt and negative prompt
    watch.stop.set()
    with pytest.raises(Stopped):
        await asyncio.to_thread(drawn)


def test_every_pipeline_of_the_table_is_one_of_diffusers() -> None:
    diffusers = library("diffusers")
    for name, film in FILMS.items():
        assert hasattr(diffusers, name)
        assert not film.kin or FILMS[film.kin].picture is not film.picture


@pytest.mark.parametrize(
    ("index", "network", "family"),
    [
        ({"boundary_ratio": 0.875}, {"num_attention_heads": 40}, "wan22-14b"),
        ({"expand_timesteps": True}, {"num_attention_heads": 24}, "wan22-5b"),
        ({}, {"num_attention_heads": 12}, "wan21-1.3b"),
        ({}, {"num_attention_heads": 40}, "wan21-14b"),
    ],
)
def test_wan_models_are_told_apart(index: dict[str, object], network: dict[str, object], family: str) -> None:
    found = film_family("WanPipeline", index, network)
    assert (found.profile.name, found.profile.frame_step, found.video) == (family, 4, True)


def test_families_without_an_entry_of_their_own_have_their_pipelines_measure() -> None:
    profile = film_family("CogVideoXPipeline", {}, {}).profile
    assert (profile.title, profile.width, profile.frames, profile.frame_step) == ("CogVideoX", 720, 49, 8)
    profile = film_family("AnimateDiffPipeline", {}, {}).profile
    assert (profile.title, profile.width, profile.frames) == ("AnimateDiff", 512, 16)


def test_the_name_of_a_repo_gives_its_family_away() -> None:
    found = guessed_film("Wan-AI/Wan2.1-T2V-1.3B-Diffusers")
    assert found is not None
    assert found.profile.name == "wan21-1.3b"
    assert guessed_film("stabilityai/stable-diffusion-xl-base-1.0") is None


async def test_a_folder_is_known_by_its_small_files(tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": "LTX2Pipeline"}), encoding="utf-8")
    async with DiffusersEngine(str(tmp_path), DEMO, offline=True) as engine:
        profile = await engine.profile(CAR)
        assert (profile.name, profile.frame_step) == ("ltx2", 8)
