"""A render starts as thriftily as its server's memory needs, and says so: ComfyUIEngine on fake servers."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clients.comfyui_client import Pace
from clients.comfyui_engine import ComfyUIEngine
from clients.comfyui_engine.memory import FIRST, LADDER, ladder, thrift_of
from clients.comfyui_engine.weighing import device_of, need_on, precision_of
from tests.fake_comfyui import FakeComfyUI, recorded
from tests.fakes import png
from tests.workflows.drawing.video_kit import asked, studio
from workflows.drawing.fitting import fit
from workflows.drawing.inventory import Inventory
from workflows.drawing.setup import Setup, Thrift
from workflows.types import Artifact, Media, MemoryPlan, Recipe, Ticket, new_id

GIB = 2**30
OOM = ("torch.OutOfMemoryError", "CUDA out of memory. Tried to allocate 2.00 GiB")
QUICK = Pace(silence=0.2, first=0.2, blind=0.05, apart=0.1, refused=0.2, unreachable=0.4, comeback=0.3, reopen=0.05)
SDXL = "sd_xl_base_1.0.safetensors"
FLUX = "flux1-dev.safetensors"
FILES: Mapping[str, Mapping[str, int]] = {
    "checkpoints": {SDXL: 6_938_078_334},
    "diffusion_models": {FLUX: 23_802_932_552},
    "text_encoders": {"clip_l.safetensors": 246_144_152, "t5xxl_fp16.safetensors": 9_787_841_024},
    "vae": {"ae.safetensors": 335_304_388},
}
RECIPE = Recipe(prompt="a red circle", model=SDXL, width=1024, height=1024, steps=2, seed=7)
ON_FLUX = RECIPE.but(model=FLUX)


def fake(vram: float, **more: Any) -> FakeComfyUI:
    return FakeComfyUI(
        era="B", models={folder: {**files} for folder, files in FILES.items()}, vram=round(vram * GIB), **more
    )


@asynccontextmanager
async def engine_on(home: Path, comfy: FakeComfyUI) -> AsyncGenerator[ComfyUIEngine]:
    async with ComfyUIEngine([comfy.url], home, pace=QUICK) as engine:
        yield engine


async def drawn(engine: ComfyUIEngine, recipe: Recipe, **inputs: Media) -> Sequence[Artifact]:
    return await engine.render(recipe, inputs, lambda step: None, Ticket(id=new_id()))


def classes(comfy: FakeComfyUI, prompt: int = -1) -> list[str]:
    return [node["class_type"] for node in comfy.prompts[prompt]["prompt"].values()]


def values(comfy: FakeComfyUI, class_type: str, name: str) -> list[Any]:
    """An input of every node of a class in the last prompt."""
    nodes = comfy.prompts[-1]["prompt"].values()
    return [node["inputs"].get(name) for node in nodes if node["class_type"] == class_type]


# ------------------------------------------------------------------ where it starts


async def test_what_fits_is_drawn_plainly_and_its_arithmetic_is_a_fact(tmp_path: Path) -> None:
    async with fake(12) as comfy, engine_on(tmp_path, comfy) as engine:
        (artifact,) = await drawn(engine, RECIPE)
    assert artifact.facts["memory"] == {
        "level": "none",
        "levers": [],
        "need_gb": 6.4,
        "peak_gb": 6.4,
        "available_gb": 12.9,
        "device": "cuda:0 FakeRTX",
        "reason": "Stable Diffusion XL needs 6.4 GB at 1024x1024, the GPU has 12.9 GB: it fits as it is.",
    }
    assert "VAEDecode" in classes(comfy)


async def test_a_small_card_gets_tiles_at_once_and_not_after_a_failure(tmp_path: Path) -> None:
    async with fake(4) as comfy, engine_on(tmp_path, comfy) as engine:
        (artifact,) = await drawn(engine, RECIPE)
    assert (len(comfy.prompts), comfy.freed) == (1, [])
    assert "VAEDecodeTiled" in classes(comfy)
    assert artifact.facts["memory"]["levers"] == ["vae_tiled"]
    assert artifact.facts["memory"]["level"] == "balanced"
    assert "notes" not in artifact.facts


async def test_weights_that_are_streamed_keep_their_precision(tmp_path: Path) -> None:
    async with fake(8) as comfy, engine_on(tmp_path, comfy) as engine:
        (artifact,) = await drawn(engine, ON_FLUX)
    assert values(comfy, "UNETLoader", "weight_dtype") == ["default"]
    assert values(comfy, "DualCLIPLoader", "device") == [None]
    memory = artifact.facts["memory"]
    assert (memory["levers"], memory["need_gb"], memory["available_gb"]) == ([], 25.3, 8.6)
    assert ": ComfyUI streams what does not fit while it draws." in memory["reason"]


async def test_the_last_levers_are_in_the_graph_that_is_sent(tmp_path: Path) -> None:
    async with fake(2) as comfy, engine_on(tmp_path, comfy) as engine:
        (artifact,) = await drawn(engine, ON_FLUX)
    assert artifact.facts["memory"]["levers"] == ["vae_tiled", "text_encoder_cpu", "weight_dtype_fp8"]
    assert values(comfy, "UNETLoader", "weight_dtype") == ["fp8_e4m3fn"]
    assert values(comfy, "DualCLIPLoader", "device") == ["cpu"]
    assert "VAEDecodeTiled" in classes(comfy)
    assert (artifact.width, artifact.height) == (1024, 1024)


async def test_ultra_keeps_its_precision_whatever_it_costs(tmp_path: Path) -> None:
    async with fake(2) as comfy, engine_on(tmp_path, comfy) as engine:
        (artifact,) = await drawn(engine, ON_FLUX.but(quality="ultra"))
    assert artifact.facts["memory"]["levers"] == ["vae_tiled"]
    assert values(comfy, "UNETLoader", "weight_dtype") == ["default"]


async def test_what_a_server_does_not_offer_is_not_asked_of_it(tmp_path: Path) -> None:
    nodes = deepcopy(recorded("nodes_b"))
    nodes["UNETLoader"]["input"]["required"]["weight_dtype"] = [["default"]]
    del nodes["DualCLIPLoader"]["input"]["optional"]["device"]
    async with fake(2, nodes=nodes) as comfy, engine_on(tmp_path, comfy) as engine:
        (artifact,) = await drawn(engine, ON_FLUX)
    assert artifact.facts["memory"]["levers"] == ["vae_tiled"]
    assert values(comfy, "UNETLoader", "weight_dtype") == ["default"]


# ------------------------------------------------------------------ when it was wrong


async def test_a_plan_that_was_too_hopeful_goes_down_the_ladder_from_where_it_was(tmp_path: Path) -> None:
    async with fake(4) as comfy, engine_on(tmp_path, comfy) as engine:
        comfy.fail("KSampler", *OOM)
        (artifact,) = await drawn(engine, RECIPE.but(width=512, height=512))
    words = "with the server's memory freed and the picture decoded in tiles"
    memory = artifact.facts["memory"]
    assert (memory["planned"], memory["levers"], memory["level"]) == ([], ["vae_tiled"], "aggressive")
    assert memory["reason"].endswith(f" The server ran out of memory all the same; this was drawn {words}.")
    assert artifact.facts["notes"] == [f"The server ran out of memory, so this was drawn {words}."]
    assert comfy.freed == [{"unload_models": True, "free_memory": True}]


async def test_a_rung_that_the_plan_has_already_taken_is_not_tried_again(tmp_path: Path) -> None:
    async with fake(4) as comfy, engine_on(tmp_path, comfy) as engine:
        comfy.fail("KSampler", *OOM)
        (artifact,) = await drawn(engine, RECIPE)
    assert [("VAEDecodeTiled" in classes(comfy, n)) for n in range(len(comfy.prompts))] == [True, True]
    assert artifact.facts["memory"]["planned"] == ["vae_tiled"]
    assert artifact.facts["memory"]["levers"] == ["vae_tiled", "lower_resolution"]


# ------------------------------------------------------------------ what is asked of the server


async def test_a_servers_memory_is_asked_once_for_many_renders(tmp_path: Path) -> None:
    async with fake(12) as comfy, engine_on(tmp_path, comfy) as engine:
        for seed in range(3):
            await drawn(engine, RECIPE.but(seed=seed))
    assert comfy.requests.count(("GET", "/system_stats")) == 1


async def test_a_server_that_does_not_tell_its_memory_draws_plainly(tmp_path: Path) -> None:
    async with fake(2) as comfy, engine_on(tmp_path, comfy) as engine:
        comfy.answer("/system_stats", 500, 500, 500, 500)
        made = [*await drawn(engine, RECIPE), *await drawn(engine, RECIPE.but(seed=8))]
    assert ["memory" in artifact.facts for artifact in made] == [False, False]
    assert [("VAEDecode" in classes(comfy, n)) for n in range(2)] == [True, True]


async def test_on_a_cpu_nothing_is_planned(tmp_path: Path) -> None:
    async with fake(2, device="cpu") as comfy, engine_on(tmp_path, comfy) as engine:
        (artifact,) = await drawn(engine, RECIPE)
    assert "memory" not in artifact.facts
    assert "VAEDecode" in classes(comfy)


async def test_a_tool_draws_nothing_and_has_no_plan(tmp_path: Path) -> None:
    upscale = Recipe(task="upscale", scale=2.0, method="model", source="job/input/source.png")
    source = Media(data=png(64, 64), media_type="image/png")
    async with fake(2, nodes=recorded("nodes_b", "nodes_guides_b")) as comfy, engine_on(tmp_path, comfy) as engine:
        comfy.models["upscale_models"] = {"RealESRGAN_x2plus.pth": 1}
        (artifact,) = await drawn(engine, upscale, source=source)
    assert "memory" not in artifact.facts
    assert ("GET", "/system_stats") not in comfy.requests


# ------------------------------------------------------------------ pure


def stats(**more: Any) -> dict[str, Any]:
    device = {"name": "cuda:0 NVIDIA GeForce RTX 4090 : cudaMallocAsync", "type": "cuda", "vram_total": 24 * GIB}
    system = {"comfyui_version": "0.27.0", "ram_total": 32 * GIB, "argv": ["main.py"]}
    known = {name: more.pop(name) for name in [*more] if name in system}
    return {"system": system | known, "devices": [device | more]}


def on(recipe: Recipe = RECIPE) -> tuple[Setup, Inventory]:
    nodes = deepcopy(recorded("nodes_b"))
    files = {folder: tuple(found) for folder, found in FILES.items()}
    sizes = {(folder, name): size for folder, found in FILES.items() for name, size in found.items()}
    for folder, (class_type, name) in {
        "checkpoints": ("CheckpointLoaderSimple", "ckpt_name"),
        "text_encoders": ("CLIPLoader", "clip_name"),
        "vae": ("VAELoader", "vae_name"),
    }.items():
        nodes[class_type]["input"]["required"][name] = [[*files[folder]]]
    inventory = Inventory.read(nodes, files=files, sizes=sizes)
    return fit(recipe, inventory), inventory


@pytest.mark.parametrize(
    ("said", "streaming"),
    [
        ({}, "dynamic"),
        ({"comfyui_version": "0.18.2"}, "dynamic"),
        ({"comfyui_version": "0.3.64"}, "estimated"),
        ({"comfyui_version": ""}, "estimated"),
        ({"argv": ["main.py", "--disable-dynamic-vram"]}, "estimated"),
        ({"argv": ["main.py", "--highvram"]}, ""),
        ({"argv": ["main.py", "--gpu-only"]}, ""),
        ({"type": "mps"}, "estimated"),
    ],
)
def test_how_a_server_streams_is_told_by_its_version_and_flags(said: dict[str, Any], streaming: str) -> None:
    device = device_of(stats(**said), *on())
    assert device is not None
    assert device.streaming == streaming


def test_a_device_is_described_as_the_server_has_it() -> None:
    device = device_of(stats(), *on(ON_FLUX))
    assert device is not None
    assert (device.kind, device.name, device.total_gb) == ("cuda", "cuda:0 NVIDIA GeForce RTX 4090", 24 * GIB / 1e9)
    assert (device.fp8, device.encoder_on_cpu, device.bf16, device.flash) == (True, True, True, True)
    whole = device_of(stats(), *on())
    assert whole is not None
    assert (whole.fp8, whole.encoder_on_cpu) == (False, False)
    old = device_of(stats(name="cuda:0 NVIDIA GeForce GTX 1080 Ti"), *on())
    assert old is not None
    assert old.bf16 is False


@pytest.mark.parametrize("said", [{"type": "cpu"}, {"vram_total": 0}, {"vram_total": None}, {"type": ""}])
def test_nothing_is_planned_for_what_is_no_gpu_or_does_not_tell(said: dict[str, Any]) -> None:
    assert device_of(stats(**said), *on()) is None
    assert device_of({}, *on()) is None


def test_a_need_is_the_sum_of_the_servers_own_files() -> None:
    setup, inventory = on(ON_FLUX)
    need = need_on(ON_FLUX, setup, inventory)
    assert (need.model, need.text_encoder, need.vae) == (23_802_932_552, 246_144_152 + 9_787_841_024, 335_304_388)
    setup, inventory = on()
    need = need_on(RECIPE, setup, inventory)
    assert (need.model, need.weights) == (6_938_078_334 - 1_810_000_000, 6_938_078_334)


def test_a_checkpoint_that_wants_an_encoder_besides_is_weighed_without_one() -> None:
    film = asked(model="ltx-video-2b-v0.9.5")
    sizes = {
        ("checkpoints", "ltx-video-2b-v0.9.5.safetensors"): 6_340_000_000,
        ("text_encoders", "t5xxl_fp8_e4m3fn_scaled.safetensors"): 5_160_000_000,
    }
    inventory = replace(studio(), sizes=sizes)
    need = need_on(film, fit(film, inventory), inventory)
    assert need.text_encoder == 5_160_000_000
    assert need.model + need.vae == 6_340_000_000


@pytest.mark.parametrize(
    ("file", "size", "precision"),
    [
        ("juggernaut_fp16.safetensors", 13_900_000_000, "fp16"),
        ("juggernaut.safetensors", 6_900_000_000, "bf16"),
        ("juggernaut.safetensors", 13_900_000_000, "fp32"),
        ("juggernaut.safetensors", 3_500_000_000, "fp8"),
        ("sub/juggernaut_fp8_e4m3fn.safetensors", None, "fp8"),
        ("juggernaut-Q4_K_S.gguf", None, "int4"),
        ("juggernaut_int8.safetensors", None, "int8"),
        ("juggernaut.safetensors", None, "bf16"),
    ],
)
def test_a_files_precision_is_told_by_its_name_or_else_its_size(file: str, size: int | None, precision: str) -> None:
    setup, _ = on()
    assert precision_of(Setup(template=setup.template, family=setup.family, model=file), size) == precision


def a_plan(*levers: str) -> MemoryPlan:
    return MemoryPlan(level="aggressive", levers=levers, need_gb=2.0, peak_gb=1.0, available_gb=1.0)


def test_a_plan_is_where_the_ladder_begins() -> None:
    assert list(ladder(1)) == [FIRST, *LADDER[1:]]
    assert thrift_of(a_plan("vae_tiled", "text_encoder_cpu")) == Thrift(tiled=True, encoder_on_cpu=True)
    rungs = list(ladder(2, a_plan("vae_tiled", "text_encoder_cpu")))
    assert [rung.count for rung in rungs] == [2, 1, 1, 1, 1, 1]
    assert {(rung.thrift.tiled, rung.thrift.encoder_on_cpu) for rung in rungs} == {(True, True)}
    assert [rung.thrift.shrink for rung in rungs[-2:]] == [0.75, 0.5]
    assert next(ladder(4, a_plan("smaller_batch"))).count == 1
