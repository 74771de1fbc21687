"""A plan of the memory, carried out: which levers really move on tiny pipelines, and when a model is loaded anew.

All of them move on the CPU here, with the CPU in the GPU's place, but for sequential offload, which needs a GPU: of
that only the call is seen.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import clients
from clients.diffusers_engine import DiffusersEngine
from clients.diffusers_engine.fitting import (
    EIGHT_BITS,
    Weights,
    covers,
    ease,
    harsher,
    measure,
    need_for,
    place,
    planned,
    said,
    weigh_folder,
)
from clients.diffusers_engine.loading import Loaded
from clients.diffusers_engine.loras import Adapters, LoraFile
from tests.clients.tiny_models import library, save_tiny_lora, save_tiny_sd, save_tiny_sdxl, tiny_flux, tiny_sd3
from tests.fakes import TICKET
from workflows.errors import OutOfMemory
from workflows.families import family
from workflows.memory import LEVERS, Device
from workflows.types import Artifact, LoraUse, MemoryPlan, Recipe

NO_DEMO = Path("no-demo-model-here")
CAR = Recipe(prompt="red car on a road", seed=3, width=64, height=64, steps=2, cfg=7.0)
GIB = 2**30


@pytest.fixture(scope="module")
def sd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_sd(tmp_path_factory.mktemp("sd") / "tiny")


@pytest.fixture(scope="module")
def sdxl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_sdxl(tmp_path_factory.mktemp("sdxl") / "tiny")


def opened(folder: Path) -> Any:
    pipe = library("diffusers").DiffusionPipeline.from_pretrained(str(folder), local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def picture(pipe: Any, width: int = 64) -> Any:
    chance = library("torch").Generator("cpu").manual_seed(3)
    size = {"width": width, "height": 64, "num_inference_steps": 2, "guidance_scale": 4.0}
    return pipe("red car", **size, generator=chance, output_type="np").images


# ------------------------------------------------------------------ levers on real pipelines


@pytest.mark.models
@pytest.mark.parametrize("kind", ["sd", "sdxl"])
@pytest.mark.parametrize("lever", ["model_offload", "group_offload"])
def test_offloaded_weights_draw_the_same_picture(request: pytest.FixtureRequest, kind: str, lever: str) -> None:
    folder = request.getfixturevalue(kind)
    pipe = opened(folder)
    assert place(pipe, (lever, "vae_tiling"), "cpu", library("torch").float32) == (lever,)
    layers = [*pipe.unet.modules()]
    hooked = any(hasattr(layer, "_hf_hook" if lever == "model_offload" else "_diffusers_hook") for layer in layers)
    assert hooked
    assert abs(picture(pipe) - picture(opened(folder))).max() < 1e-4


@pytest.mark.models
@pytest.mark.parametrize("make", [tiny_sd3, tiny_flux])
def test_a_transformer_is_offloaded_block_by_block(make: Any) -> None:
    torch = library("torch")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        pipe = make()
    pipe.set_progress_bar_config(disable=True)
    before = picture(pipe)
    assert place(pipe, ("group_offload",), "cpu", torch.float32) == ("group_offload",)
    assert abs(picture(pipe) - before).max() < 1e-4


@pytest.mark.models
def test_eight_bits_hold_the_weights_and_cost_a_little_of_the_picture(sd: Path) -> None:
    torch, pipe = library("torch"), opened(sd)
    assert place(pipe, ("fp8_layerwise",), "cpu", torch.float32) == ("fp8_layerwise",)
    held = [weight.dtype for name, weight in pipe.unet.named_parameters() if "to_q" in name]
    assert held and set(held) == {torch.float8_e4m3fn}
    assert 0 < abs(picture(pipe) - picture(opened(sd))).mean() < 0.05


@pytest.mark.models
def test_a_lora_works_on_weights_that_come_in_groups(sd: Path, tmp_path: Path) -> None:
    pipe, file = opened(sd), save_tiny_lora(sd, tmp_path / "ink.safetensors")
    place(pipe, ("group_offload",), "cpu", library("torch").float32)
    before, adapters = picture(pipe), Adapters()
    ink = LoraFile(name="ink", path=file, strength=1.0, clip_strength=1.0, pairs=1, signature=(0, 0))
    adapters.use(pipe, [ink])
    inked = picture(pipe)
    adapters.use(pipe, [])
    assert abs(inked - before).max() > 0.01
    assert (picture(pipe) == before).all()


@pytest.mark.models
def test_the_gentle_levers_go_on_and_off(sd: Path) -> None:
    pipe = opened(sd)
    before = picture(pipe, 640)
    on = ease(pipe, ("vae_slicing", "vae_tiling", "attention_slicing", "model_offload"))
    assert on == ("vae_slicing", "vae_tiling", "attention_slicing")
    assert (pipe.vae.use_slicing, pipe.vae.use_tiling, pipe.vae.tile_sample_min_size) == (True, True, 512)
    assert "Sliced" in type(next(iter(pipe.unet.attn_processors.values()))).__name__
    assert abs(picture(pipe, 640) - before).max() > 0.01  # seams of two tiles; random weights make much of them
    assert ease(pipe, (), on) == ()
    assert (picture(pipe, 640) == before).all()


class Recorded:
    """A pipeline that notes what is asked of it; for what needs a GPU."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []

    def __getattr__(self, name: str) -> Any:
        def call(*given: Any, **named: Any) -> None:
            self.calls.append((name, given or named))

        return call


CALLS = {
    (): [("to", ("cuda",))],
    ("model_offload",): [("enable_model_cpu_offload", {"device": "cuda"})],
    ("sequential_offload",): [("enable_sequential_cpu_offload", {"device": "cuda"})],
    ("model_offload", "sequential_offload"): [("enable_sequential_cpu_offload", {"device": "cuda"})],
}


@pytest.mark.parametrize(("levers", "calls"), CALLS.items(), ids=map(str, CALLS))
def test_one_offload_is_asked_for_and_nothing_is_moved_besides(
    levers: tuple[str, ...], calls: list[tuple[str, Any]]
) -> None:
    pipe = Recorded()
    assert place(pipe, levers, "cuda", None) == levers[-1:]
    assert pipe.calls == calls


# ------------------------------------------------------------------ arithmetic


XL = Weights(size=6_938_040_682, parts=("model", "text_encoder", "vae"), precision="fp16")
CARD = Device(kind="cuda", name="card", total_gb=24, free_gb=24, ram_free_gb=64)
LARGE = CAR.but(width=1024, height=1024)


def test_after_every_way_that_was_too_large_comes_a_tighter_one_until_there_is_none() -> None:
    need = need_for(XL, family("sdxl"), LARGE, "fp16")
    plan: MemoryPlan | None = planned(need, CARD, CAR)
    tried: list[MemoryPlan] = []
    while plan and len(tried) < 20:
        tried.append(plan)
        plan = harsher(need, CARD, CAR, plan)
    peaks = [plan.peak_gb for plan in tried]
    assert peaks == sorted(peaks, reverse=True) and len(set(peaks)) == len(peaks) > 2
    assert (tried[0].levers, tried[-1].levers[-1]) == ((), "sequential_offload")
    assert harsher(need, replace(CARD, kind="cpu"), CAR, tried[0]) is None


def of(*levers: str) -> MemoryPlan:
    return MemoryPlan(level="balanced", levers=levers, need_gb=1, peak_gb=1, available_gb=1)


@pytest.mark.parametrize(
    ("held", "wanted", "enough"),
    [
        ((), (), True),
        ((), ("vae_tiling", "vae_slicing", "attention_slicing"), True),
        ((), ("model_offload",), False),
        (("model_offload",), (), True),
        (("model_offload",), ("group_offload",), False),
        (("sequential_offload",), ("fp8_layerwise", "group_offload"), True),
        (("model_offload",), ("fp8_layerwise", "model_offload"), False),
        (("fp8_layerwise", "model_offload"), ("model_offload",), True),
        (("fp8_layerwise",), ("model_offload",), False),
    ],
)
def test_a_tighter_way_serves_what_a_looser_one_would(
    held: Collection[str], wanted: Collection[str], enough: bool
) -> None:
    assert covers(of(*held), of(*wanted), CAR) is enough


def test_loras_are_not_drawn_on_weights_of_eight_bits() -> None:
    """Peft gives them the type of the weights beside them, in which their small numbers vanish."""
    inked = LARGE.but(loras=(LoraUse(name="ink"),), quality="fast")
    weights = Weights(size=23_800_000_000, precision="bf16", components={"text_encoder": 10**10, "vae": 17 * 10**7})
    need = need_for(weights, family("flux-dev"), LARGE, "bf16")
    rooms = [replace(CARD, free_gb=free) for free in (6, 12, 16, 24, 32, 80)]
    eight = [[EIGHT_BITS in planned(need, room, one).levers for room in rooms] for one in (inked.but(loras=()), inked)]
    assert any(eight[0]) and not any(eight[1])
    assert not covers(of(EIGHT_BITS, "model_offload"), of("model_offload"), inked)


@pytest.mark.models
def test_a_folder_is_weighed_by_its_files_as_they_will_lie_in_memory(sdxl: Path) -> None:
    def size(*parts: str) -> int:
        return sum(file.stat().st_size for part in parts for file in (sdxl / part).glob("*.safetensors"))

    full = weigh_folder(sdxl, "fp32")
    encoders = size("text_encoder", "text_encoder_2")
    assert full == Weights(
        size=size("unet"), precision="fp32", components={"text_encoder": encoders, "vae": size("vae")}
    )
    half = weigh_folder(sdxl, "bf16")
    assert half.components == {"text_encoder": round(encoders / 2), "vae": round(size("vae") / 2)}
    found = family("sdxl")
    assert need_for(half, found, CAR, "bf16").model == round(size("unet") / 2)
    assert need_for(full, found, CAR.but(count=4), "fp32").batch == 1


def test_the_cpu_is_measured_by_its_free_memory() -> None:
    device = measure("cpu")
    assert (device.kind, device.free_gb) == ("cpu", None)
    assert 0 < (device.ram_free_gb or 0) <= (device.total_gb or 0)


def test_every_lever_of_the_plans_has_a_word_and_a_hand() -> None:
    assert said(LEVERS).count(" and ") == len(LEVERS) - 1


# ------------------------------------------------------------------ the engine


class Machine:
    """A tiny model on a device whose free memory the test sets; it says "cuda" and computes on the CPU."""

    def __init__(self, folder: Path, device: Device) -> None:
        self.device = device
        self.heard: list[str] = []
        self.engine = DiffusersEngine(str(folder), NO_DEMO, offline=True, measure=lambda kind: self.device)

    async def draw(self, recipe: Recipe = CAR) -> Artifact:
        self.heard.clear()
        [made] = await self.engine.render(recipe, {}, lambda step: self.heard.append(step.message), TICKET)
        return made

    @property
    def loaded(self) -> Loaded:
        held = self.engine._keeper.loaded  # pyright: ignore[reportPrivateUsage]
        assert held
        return held

    @property
    def loads(self) -> list[str]:
        return [message for message in self.heard if message.startswith("Loading")]


SMALL_CARD = replace(CARD, total_gb=4, free_gb=4)
"""Too small for the heavy model at once, large enough for its parts one after the other."""


@pytest.fixture(scope="module")
def heavy(sd: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with encoder and autoencoder of 2 GB each: files of holes, which are weighed and never loaded."""
    folder = shutil.copytree(sd, tmp_path_factory.mktemp("heavy") / "tiny")
    for part in ("text_encoder", "vae"):
        with (folder / part / "weight.safetensors").open("wb") as file:
            file.truncate(2 * 10**9)
    return folder


@pytest.fixture
def machine(heavy: Path) -> Machine:
    return Machine(heavy, CARD)


@pytest.mark.models
async def test_the_plan_is_in_the_answer_and_room_enough_changes_nothing(machine: Machine, sd: Path) -> None:
    made = await machine.draw()
    memory = made.facts["memory"]
    assert memory | {"level": "none", "levers": [], "available_gb": 24.0} == memory
    assert memory.keys() == {"level", "levers", "need_gb", "peak_gb", "available_gb", "reason"}
    assert memory["need_gb"] == memory["peak_gb"] > 4
    bare = DiffusersEngine(str(sd), NO_DEMO, offline=True)
    [same] = await bare.render(CAR, {}, lambda step: None, TICKET)
    assert same.media.data == made.media.data
    assert (same.facts["memory"]["level"], same.facts["memory"]["levers"]) == ("none", [])


@pytest.mark.models
async def test_a_tighter_model_is_kept_and_a_looser_one_is_loaded_anew(machine: Machine) -> None:
    first = await machine.draw()
    machine.device = SMALL_CARD
    tight = await machine.draw()
    assert (tight.facts["memory"]["levers"], tight.facts["memory"]["level"]) == (["model_offload"], "balanced")
    assert machine.loads == ["Loading tiny anew: this picture needs more room"]
    assert machine.loaded.colours  # for previews: half-way it would push the network out
    machine.device = CARD
    again = await machine.draw()
    memory = again.facts["memory"]
    assert (machine.loads, memory["levers"], memory["level"]) == ([], ["model_offload"], "balanced")
    assert memory["reason"].endswith("It is held with model offload since an earlier picture.")
    assert first.media.data == tight.media.data == again.media.data


@pytest.mark.models
async def test_other_tasks_and_previews_work_on_an_offloaded_model(machine: Machine) -> None:
    source = (await machine.draw()).media
    recipe = CAR.but(task="img2img", source="s", denoise=0.6, steps=8)

    async def redrawn() -> Artifact:
        [made] = await machine.engine.render(recipe, {"source": source}, previews.append, TICKET)
        return made

    previews: list[Any] = []
    loose = await redrawn()
    machine.device = SMALL_CARD
    tight = await redrawn()
    after = await machine.draw()
    assert (tight.facts["memory"]["levers"], loose.facts["memory"]["levers"]) == (["model_offload"], [])
    assert tight.media.data == loose.media.data
    assert after.media.data == source.data
    seen = [step.preview.data for step in previews if step.preview]
    assert seen and seen[: len(seen) // 2] == seen[len(seen) // 2 :]


@pytest.mark.models
async def test_out_of_memory_is_tried_once_more_in_a_tighter_way(machine: Machine) -> None:
    before = await machine.draw()
    overflowing(machine.loaded.pipe)
    made = await machine.draw()
    note = made.facts["notes"][0]
    assert note.startswith("The memory was too small for it; it was drawn again with ")
    assert note in machine.heard
    assert made.facts["memory"]["levers"] == ["model_offload"]
    assert made.media.data == before.media.data
    kept = await machine.draw()
    assert (machine.loads, kept.facts["memory"]["levers"]) == ([], ["model_offload"])


@pytest.mark.models
async def test_what_ran_out_of_memory_keeps_its_tiles_too(machine: Machine) -> None:
    await machine.draw()
    machine.loaded.forced, machine.loaded.plan = True, of("vae_tiling")
    assert (await machine.draw()).facts["memory"]["levers"] == ["vae_tiling"]


@pytest.mark.models
async def test_out_of_memory_without_a_tighter_way_is_told_and_frees_the_model(sd: Path) -> None:
    machine = await asyncio.to_thread(Machine, sd, Device(kind="cpu", ram_free_gb=64))
    await machine.draw()
    overflowing(machine.loaded.pipe)
    with pytest.raises(OutOfMemory, match=r"Out of memory: CUDA out of memory.*Draw smaller"):
        await machine.draw()
    assert (await machine.engine.status()).loaded is None
    await machine.draw()
    assert machine.loads == ["Loading tiny"]


def overflowing(pipe: Any) -> None:
    """The network in memory now does not fit; one that is loaded after it does."""

    def check(*_: Any) -> None:
        raise library("torch").OutOfMemoryError("CUDA out of memory. Tried to allocate 9.00 GiB")

    pipe.unet.register_forward_pre_hook(check)


@pytest.mark.models
async def test_a_large_picture_is_decoded_in_tiles_where_memory_is_short_and_a_small_one_is_as_ever(sd: Path) -> None:
    machine = await asyncio.to_thread(Machine, sd, Device(kind="cpu", ram_free_gb=64))
    large = CAR.but(width=2048, height=144, steps=1)
    small, whole = await machine.draw(), await machine.draw(large)
    machine.device = Device(kind="cpu", ram_free_gb=2.9)
    tiled = await machine.draw(large)
    assert tiled.facts["memory"]["levers"] == ["vae_tiling"]
    assert tiled.media.data != whole.media.data
    machine.device = Device(kind="cpu", ram_free_gb=64)
    assert (await machine.draw(large)).media.data == whole.media.data
    assert (await machine.draw()).media.data == small.media.data
    assert machine.loads == []


@pytest.mark.models
async def test_nothing_is_planned_for_the_demo_model() -> None:
    demo = Path(clients.__file__).parent / "demo" / "t2i"
    narrow = Device(kind="cpu", ram_free_gb=0.1)
    async with DiffusersEngine(None, demo, offline=True, measure=lambda kind: narrow) as engine:
        [made] = await engine.render(CAR.but(steps=1), {}, lambda step: None, TICKET)
    assert "memory" not in made.facts
