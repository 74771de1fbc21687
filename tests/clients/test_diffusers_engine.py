"""DiffusersEngine against the shipped demo model: real renders, small and short."""

import asyncio
import hashlib
import io
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageStat

import clients
from clients.diffusers_engine import DiffusersEngine
from clients.diffusers_engine.engine import as_engine_error
from tests.fakes import TICKET
from utils.torch_threads import threads_for
from workflows.errors import BadRecipe, EngineUnavailable, OutOfMemory, RenderFailed
from workflows.types import Artifact, Control, LoraUse, Media, Recipe, Reference, RenderStep

DEMO = Path(clients.__file__).parent / "demo" / "t2i"
UNET = DEMO / "unet" / "diffusion_pytorch_model.safetensors"
CIRCLE = Recipe(prompt="a red circle on a white background", seed=7, width=64, height=64, steps=4, cfg=4.0)


@pytest.fixture(scope="module")
def engine() -> Iterator[DiffusersEngine]:
    """One engine for all tests here, so that the demo model loads once."""
    shared = DiffusersEngine(None, DEMO, idle_unload=0, offline=True)
    yield shared
    asyncio.run(shared.__aexit__(None, None, None))


async def drawn(engine: DiffusersEngine, recipe: Recipe, source: Media | None = None) -> Artifact:
    [artifact] = await engine.render(recipe, {"source": source} if source else {}, lambda step: None, TICKET)
    return artifact


def opened(artifact: Artifact) -> Image.Image:
    return Image.open(io.BytesIO(artifact.media.data)).convert("RGB")


def difference(one: Image.Image, other: Image.Image) -> float:
    """Mean absolute difference of the channels, 0 to 255."""
    return sum(ImageStat.Stat(ImageChops.difference(one, other)).mean) / 3


@pytest.mark.models
async def test_a_plain_prompt_gives_exactly_the_bare_pipelines_pixels(engine: DiffusersEngine) -> None:
    ours = opened(await drawn(engine, CIRCLE.but(negative="blurry")))
    assert ours.tobytes() == (await asyncio.to_thread(bare_render)).tobytes()


def bare_render() -> Image.Image:
    import diffusers
    import torch

    library: Any = diffusers
    pipe = library.DiffusionPipeline.from_pretrained(str(DEMO), dtype=torch.float32, local_files_only=True)
    with threads_for(0):
        return pipe(
            CIRCLE.prompt,
            negative_prompt="blurry",
            width=64,
            height=64,
            num_inference_steps=4,
            guidance_scale=4.0,
            guidance_rescale=0.6,
            generator=torch.Generator("cpu").manual_seed(7),
        ).images[0]


@pytest.mark.models
async def test_a_seed_means_the_same_bytes_and_another_seed_another_picture(engine: DiffusersEngine) -> None:
    first, again, other = [await drawn(engine, recipe) for recipe in (CIRCLE, CIRCLE, CIRCLE.but(seed=8))]
    assert first.media.data == again.media.data
    assert first.media.data != other.media.data
    assert (first.seed, other.seed) == (7, 8)


@pytest.mark.models
async def test_a_sampler_of_one_render_does_not_stay_for_the_next(engine: DiffusersEngine) -> None:
    before = await drawn(engine, CIRCLE)
    euler = await drawn(engine, CIRCLE.but(sampler="Euler a"))
    after = await drawn(engine, CIRCLE)
    assert (euler.facts["sampler"], euler.facts["scheduler"]) == ("euler_a", "EulerAncestralDiscreteScheduler")
    assert euler.media.data != before.media.data == after.media.data


@pytest.mark.models
async def test_the_artifact_says_what_it_was_made_with(engine: DiffusersEngine) -> None:
    made = await drawn(engine, CIRCLE)
    expected = {"steps": 4, "cfg": 4.0, "device": made.facts["device"], "pipeline": "StableDiffusionPipeline"}
    assert made.facts | expected == made.facts
    assert made.model_hash == hashlib.sha256(UNET.read_bytes()).hexdigest()[:10]
    assert made.media.media_type == "image/png"
    if made.facts["device"] == "cpu":
        assert made.facts["dtype"] == "float32"


@pytest.mark.models
async def test_the_requested_size_is_drawn_and_said_to_be_foreign(engine: DiffusersEngine) -> None:
    made = await drawn(engine, CIRCLE.but(width=96, height=72))
    assert opened(made).size == (96, 72) == (made.width, made.height)
    assert any("96x72 is not the demo model's own size" in note for note in made.facts["notes"])


@pytest.mark.models
async def test_brackets_change_the_picture_and_a_weight_of_one_does_not(engine: DiffusersEngine) -> None:
    plain = await drawn(engine, CIRCLE)
    neutral = await drawn(engine, CIRCLE.but(prompt="a (red circle:1.0) on a white background"))
    strong = await drawn(engine, CIRCLE.but(prompt="a (red circle:1.6) on a white background"))
    weak = await drawn(engine, CIRCLE.but(prompt="a (red circle:0.3) on a white background"))
    assert neutral.media.data == plain.media.data
    assert len({plain.media.data, strong.media.data, weak.media.data}) == 3


@pytest.mark.models
async def test_emphasis_on_a_colour_makes_more_of_it(engine: DiffusersEngine) -> None:
    recipe = CIRCLE.but(steps=10)
    plain, strong = [
        opened(await drawn(engine, recipe.but(prompt=f"a {red} circle on a white background")))
        for red in ("red", "(red:0.1)")
    ]
    assert redness(plain) > redness(strong)


def redness(picture: Image.Image) -> float:
    red, green, blue = ImageStat.Stat(picture).mean
    return red - (green + blue) / 2


@pytest.mark.models
async def test_a_prompt_beyond_the_encoders_context_is_heard_to_its_end(engine: DiffusersEngine) -> None:
    long = "a red circle on a white background, " * 5
    one, other = [await drawn(engine, CIRCLE.but(prompt=long + end)) for end in ("small", "black background")]
    assert one.media.data != other.media.data
    assert any("was encoded in parts" in note for note in one.facts["notes"])


@pytest.mark.models
async def test_steps_are_reported_in_order_with_a_small_preview(engine: DiffusersEngine) -> None:
    heard: list[RenderStep] = []
    await drawn(engine, CIRCLE)  # loaded: no loading message in what follows
    await engine.render(CIRCLE.but(steps=8), {}, heard.append, TICKET)
    assert [(step.step, step.steps) for step in heard] == [(number, 8) for number in range(1, 9)]
    previews = [Image.open(io.BytesIO(step.preview.data)) for step in heard if step.preview]
    assert previews and all(max(preview.size) <= 96 for preview in previews)


@pytest.mark.models
async def test_the_last_preview_looks_like_the_picture(engine: DiffusersEngine) -> None:
    heard: list[RenderStep] = []
    [made] = await engine.render(CIRCLE.but(steps=12), {}, heard.append, TICKET)
    last = [step.preview for step in heard if step.preview][-1]
    preview = Image.open(io.BytesIO(last.data)).convert("RGB").resize((8, 8))
    assert difference(preview, opened(made).resize((8, 8))) < 40


@pytest.mark.models
async def test_a_cancelled_render_stops_at_the_next_step_and_the_engine_goes_on(engine: DiffusersEngine) -> None:
    heard: list[int] = []

    def report(step: RenderStep) -> None:
        heard.append(step.step)
        if step.step == 2:
            task.cancel()

    task = asyncio.ensure_future(engine.render(CIRCLE.but(steps=200), {}, report, TICKET))
    with pytest.raises(asyncio.CancelledError):
        await task
    told = max(heard)
    await drawn(engine, CIRCLE)
    assert told < 200 and max(heard) <= told + 1


@pytest.mark.models
async def test_a_render_cancelled_while_it_waits_never_begins(engine: DiffusersEngine) -> None:
    begun: list[str] = []
    first = asyncio.ensure_future(engine.render(CIRCLE, {}, lambda step: begun.append("first"), TICKET))
    second = asyncio.ensure_future(engine.render(CIRCLE, {}, lambda step: begun.append("second"), TICKET))
    await asyncio.sleep(0)
    second.cancel()
    await first
    await asyncio.gather(second, return_exceptions=True)
    await drawn(engine, CIRCLE)
    assert second.cancelled() and set(begun) == {"first"}


@pytest.mark.models
async def test_renders_run_one_after_the_other_in_the_order_of_asking(engine: DiffusersEngine) -> None:
    heard: list[int] = []
    await asyncio.gather(
        *(engine.render(CIRCLE, {}, lambda step, number=number: heard.append(number), TICKET) for number in range(3))
    )
    assert heard == sorted(heard) and set(heard) == {0, 1, 2}


@pytest.mark.models
async def test_the_event_loop_goes_on_during_a_render(engine: DiffusersEngine) -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.ensure_future(count())
    await drawn(engine, CIRCLE)
    counting.cancel()
    assert turns > 10


@pytest.mark.models
async def test_img2img_keeps_more_of_its_source_the_less_it_may_draw(engine: DiffusersEngine) -> None:
    source = await drawn(engine, CIRCLE.but(steps=10))
    recipe = CIRCLE.but(task="img2img", prompt="a blue square on a black background", steps=10)
    little, much = [opened(await drawn(engine, recipe.but(denoise=denoise), source.media)) for denoise in (0.2, 1.0)]
    assert difference(opened(source), little) < 30 < difference(opened(source), much)


@pytest.mark.models
async def test_a_source_of_another_shape_is_cropped_and_said_to_be(engine: DiffusersEngine) -> None:
    source = await drawn(engine, CIRCLE)
    made = await drawn(engine, CIRCLE.but(task="img2img", width=128), source.media)
    assert opened(made).size == (128, 64)
    assert made.facts["notes"][0] == "The source was cropped around its middle to 128x64."


@pytest.mark.models
async def test_img2img_without_a_source_says_so(engine: DiffusersEngine) -> None:
    with pytest.raises(BadRecipe, match="img2img needs an input picture"):
        await drawn(engine, CIRCLE.but(task="img2img"))


@pytest.mark.models
async def test_an_idle_model_leaves_memory_and_comes_back() -> None:
    async with DiffusersEngine(None, DEMO, idle_unload=0.01, offline=True) as engine, asyncio.timeout(60):
        await drawn(engine, CIRCLE)
        while (await engine.status()).loaded:  # noqa: ASYNC110 - the engine has no bell to ring
            await asyncio.sleep(0.01)
        assert (await drawn(engine, CIRCLE)).model == (await engine.models())[0].name


@pytest.mark.models
async def test_the_model_is_kept_until_it_is_unloaded(engine: DiffusersEngine) -> None:
    await drawn(engine, CIRCLE)
    warm = await engine.status()
    await engine.unload()
    cold = await engine.status()
    assert warm.available and warm.loaded and warm.device and warm.memory["used"] > 0
    assert cold.available and cold.loaded is None


@pytest.mark.models
async def test_a_repo_in_the_hugging_face_cache_is_drawn_with_offline(tmp_path: Path) -> None:
    snapshot = tmp_path / "models--someone--shapes" / "snapshots" / "0123456789abcdef0123456789abcdef01234567"
    shutil.copytree(DEMO, snapshot)
    refs = tmp_path / "models--someone--shapes" / "refs"
    refs.mkdir()
    (refs / "main").write_text(snapshot.name, encoding="utf-8")
    async with DiffusersEngine(None, DEMO, hub_cache=tmp_path, offline=True) as engine:
        made = await drawn(engine, CIRCLE.but(model="someone/shapes"))
        assert made.model == "someone/shapes"
        assert "someone/shapes" in [info.name for info in await engine.models()]


@pytest.mark.models
async def test_a_repo_that_cannot_be_had_says_what_to_do(tmp_path: Path) -> None:
    async with DiffusersEngine(None, DEMO, hub_cache=tmp_path, offline=True) as engine:
        with pytest.raises(
            EngineUnavailable, match=r"'someone/nothing' cannot be had.*connect to the Hugging Face Hub"
        ):
            await drawn(engine, CIRCLE.but(model="someone/nothing"))


@pytest.mark.models
async def test_a_configured_folder_is_drawn_with_under_its_own_name(tmp_path: Path) -> None:
    folder = shutil.copytree(DEMO, tmp_path / "my-shapes")
    async with DiffusersEngine(str(folder), DEMO, offline=True) as engine:
        made = await drawn(engine, CIRCLE.but(prompt="a (red circle) on a white background"))
        assert made.model == "my-shapes"
        assert await engine.refusal(CIRCLE.but(model="my-shapes")) is None


@pytest.mark.models
async def test_a_damaged_model_is_unavailable_and_the_demo_still_draws(tmp_path: Path) -> None:
    folder = shutil.copytree(DEMO, tmp_path / "broken")
    (folder / "unet" / UNET.name).unlink()
    async with DiffusersEngine(str(folder), DEMO, offline=True) as engine:
        with pytest.raises(EngineUnavailable, match=r"'broken'.*cannot be loaded"):
            await drawn(engine, CIRCLE)
        assert (await drawn(engine, CIRCLE.but(model="demo"))).seed == 7


@pytest.mark.models
async def test_a_render_that_breaks_is_a_failed_render_and_the_engine_goes_on(engine: DiffusersEngine) -> None:
    broken = CIRCLE.model_copy(update={"width": 65})  # past the check, as no face lets it
    with pytest.raises(RenderFailed, match="divisible by 8"):
        await drawn(engine, broken)
    assert (await drawn(engine, CIRCLE)).seed == 7


@pytest.mark.models
def test_torch_without_memory_is_out_of_memory() -> None:
    import torch

    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60)
    assert isinstance(as_engine_error(caught.value), OutOfMemory)
    assert isinstance(as_engine_error(RuntimeError("sizes do not match")), RenderFailed)


@pytest.mark.models
async def test_karras_as_a_scheduler_is_the_samplers_karras_form(engine: DiffusersEngine) -> None:
    made = await drawn(engine, CIRCLE.but(sampler="dpmpp_2m", scheduler="karras"))
    assert made.facts["sampler"] == "dpmpp_2m_karras"


REFUSALS = [
    ({"width": 1024}, "width 1024 is more than Atelier's demo model draws: at most 512.*ATELIER_LOCAL_MODEL"),
    ({"model": "/etc/passwd"}, "model cannot be '/etc/passwd'"),
    ({"model": "../secrets/model.safetensors"}, "model cannot be"),
    ({"model": "a/b/c"}, "Hugging Face id 'owner/name'"),
    ({"model": "someone/model.ckpt"}, "model cannot be"),
    ({"sampler": "eulr"}, "nearest: euler"),
    ({"sampler": "lms"}, "demo model takes euler"),
    ({"sampler": "euler a karras"}, "euler_a has no Karras form"),
    ({"scheduler": "karras", "sampler": "euler_a"}, "euler_a has no Karras form"),
    ({"scheduler": "karras"}, "scheduler cannot be 'karras': here it needs a sampler besides"),
    ({"scheduler": "beta"}, "does not do the scheduler 'beta'; ComfyUI does"),
    ({"task": "outpaint"}, "does not do outpaint; ComfyUI does"),
    ({"task": "remove_background"}, "does not do remove background; ComfyUI does"),
    ({"loras": (LoraUse(name="ink"),)}, "does not do LoRAs"),
    ({"controls": (Control(kind="canny"),)}, "does not do control pictures"),
    ({"references": (Reference(),)}, "does not do reference pictures"),
    ({"task": "inpaint", "mask_text": "the head"}, "does not do masks by words"),
    ({"transparent": True}, "does not do transparent pictures"),
    ({"hires": True}, "does not do the hires second pass"),
]


@pytest.mark.parametrize(("changes", "reason"), REFUSALS)
async def test_what_cannot_be_drawn_is_refused_with_its_reason(
    engine: DiffusersEngine, changes: dict[str, Any], reason: str
) -> None:
    said = await engine.refusal(CIRCLE.but(**changes))
    assert said and re.search(reason, said)


CAN: list[dict[str, Any]] = [
    {},
    {"model": "auto"},
    {"model": "demo"},
    {"sampler": "DPM++ 2M Karras"},
    {"sampler": "DPM++ 2M", "scheduler": "karras"},
    {"scheduler": "normal"},
    {"task": "inpaint", "mask": "m", "source": "s"},
]


@pytest.mark.parametrize("changes", CAN)
async def test_what_can_be_drawn_is_not_refused(engine: DiffusersEngine, changes: dict[str, Any]) -> None:
    assert await engine.refusal(CIRCLE.but(**changes)) is None


@pytest.mark.parametrize("name", ["model.ckpt", "model.pt", "model.bin"])
async def test_pickles_are_refused_even_from_the_owner(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x80\x04")
    said = await DiffusersEngine(str(tmp_path / name), DEMO).refusal(CIRCLE)
    assert said and "can run code when it is opened" in said


async def test_a_missing_model_file_is_refused_with_what_the_setting_takes(tmp_path: Path) -> None:
    said = await DiffusersEngine(str(tmp_path / "gone"), DEMO).refusal(CIRCLE)
    assert said and "ATELIER_LOCAL_MODEL takes" in said


async def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"\xff" * 40)
    said = await DiffusersEngine(str(tmp_path / "model.safetensors"), DEMO).refusal(CIRCLE)
    assert said and "not a .safetensors file" in said


async def test_the_demos_profile_is_that_of_its_own_file(engine: DiffusersEngine) -> None:
    profile = await engine.profile(CIRCLE)
    assert (profile.name, profile.weights, profile.negatives) == ("demo", True, True)
    assert profile.width == profile.height == 128
