"""What a server has, in all its folders; and what its files say of themselves: asked once, in the background."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from clients.comfyui_client import ComfyUIClient, Pace
from clients.comfyui_engine import ComfyUIEngine
from clients.comfyui_engine.gathering import AT_ONCE
from clients.comfyui_engine.server import Server
from clients.comfyui_engine.stock import Stock
from clients.comfyui_engine.told import Told, Words, words_of
from tests.fake_comfyui import FakeComfyUI
from tests.workflows.drawing.golden import inventory
from utils.sidecars import MOST_TAG
from workflows.drawing.belonging import installed
from workflows.drawing.drafting import draft
from workflows.drawing.fitting import fit
from workflows.errors import BadRecipe
from workflows.families import families
from workflows.types import ModelFacts, ModelInfo, Recipe, Ticket, new_id

MODEL = "v1-5-pruned-emaonly.safetensors"
SDXL = "sd_xl_base_1.0.safetensors"
INK: Mapping[str, str] = {
    "ss_base_model_version": "sdxl_base_v1-0",
    "modelspec.title": "Ink lines",
    "modelspec.trigger_phrase": "inkdrawing",
    "ss_tag_frequency": json.dumps({"10_ink": {"ink": 40, "lines": 30}}),
    "ss_bucket_info": "x" * 5000,
}
FILM: Mapping[str, str] = {"modelspec.architecture": "flux-1-dev/lora"}
LORAS: Mapping[str, int] = {"styles/a.safetensors": 11, "b.safetensors": 22, "c.safetensors": 33, "d.pt": 44}
SAYS: Mapping[str, Mapping[str, str]] = {"styles/a.safetensors": INK, "b.safetensors": FILM}
PACE = Pace(rest=0.01)


@pytest.fixture(autouse=True)
def tables() -> None:
    """Read before the loop runs, as the engine does off it."""
    families()


def server(**more: Any) -> FakeComfyUI:
    given: dict[str, Any] = {"models": {"checkpoints": {MODEL: 4_000_000_000}, "loras": LORAS}, "metadata": SAYS}
    return FakeComfyUI(**(given | more))


@asynccontextmanager
async def stock_of(fake: FakeComfyUI, home: Path) -> AsyncGenerator[Stock]:
    async with ComfyUIClient(fake.url, pace=PACE) as client:
        stock = Stock(client, Told(home, fake.url), rest=PACE.rest)
        try:
            yield stock
        finally:
            await stock.close()


async def gathered(fake: FakeComfyUI, home: Path) -> list[ModelInfo]:
    """The LoRAs as they are known in the end."""
    async with stock_of(fake, home) as stock:
        await stock.inventory()
        await stock.gathered()
        return installed(await stock.inventory(), "lora")


def kept(home: Path) -> list[Any]:
    (path,) = (home / "servers").iterdir()
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()[1:]]


# ------------------------------------------------------------------ every folder


@pytest.mark.parametrize("era", ["A", "B"])
async def test_every_model_folder_is_listed_with_its_kind(era: str, tmp_path: Path) -> None:
    folders: Mapping[str, Sequence[str]] = {
        "checkpoints": [MODEL],
        "diffusion_models": ["flux1-dev.safetensors"],
        "loras": ["sub\\ink_sdxl.safetensors"],
        "vae": ["ae.safetensors"],
        "text_encoders": ["clip_l.safetensors"],
        "controlnet": ["canny_sdxl.safetensors"],
        "upscale_models": ["4x.pth"],
        "embeddings": ["easynegative.pt"],
        "clip_vision": ["vit.safetensors"],
        "style_models": ["redux.safetensors"],
        "model_patches": ["patch.safetensors"],
        "audio_encoders": ["whisper.safetensors"],
        "ultralytics": ["bbox/face.pt", "readme.md"],
        "configs": ["v1-inference.yaml"],
        "custom_nodes": ["pack/hidden.safetensors"],
    }
    async with FakeComfyUI(era=era, models=folders) as fake, ComfyUIEngine([fake.url], tmp_path) as engine:
        rows = await engine.models()
        loras = await engine.models("loras")
        asked = {path for _, path in fake.requests}
    assert {(row.kind, row.name, row.family, row.size) for row in rows} == {
        ("checkpoint", MODEL, "sd15", 1000),
        ("diffusion_model", "flux1-dev.safetensors", "flux-dev", 1000),
        ("lora", "sub\\ink_sdxl.safetensors", "sdxl", 1000),
        ("vae", "ae.safetensors", "unknown", 1000),
        ("text_encoder", "clip_l.safetensors", "unknown", 1000),
        ("controlnet", "canny_sdxl.safetensors", "sdxl", 1000),
        ("upscaler", "4x.pth", "unknown", 1000),
        ("embedding", "easynegative.pt", "unknown", 1000),
        ("clip_vision", "vit.safetensors", "unknown", 1000),
        ("style_model", "redux.safetensors", "unknown", 1000),
        ("model_patch", "patch.safetensors", "unknown", 1000),
        ("other", "whisper.safetensors", "unknown", 1000),
        ("other", "bbox/face.pt", "unknown", None),
    }
    assert [row.name for row in loras] == ["sub\\ink_sdxl.safetensors"]
    assert not {"/models/custom_nodes", "/models/configs"} & asked


async def test_the_older_names_of_folders_are_understood(tmp_path: Path) -> None:
    models = {"unet": ["flux1-dev.safetensors"], "clip": ["clip_l.safetensors"]}
    async with FakeComfyUI(models=models) as fake:
        del fake.models["diffusion_models"], fake.models["text_encoders"]
        fake.models["unet"] = {"flux1-dev.safetensors": 7}
        async with ComfyUIEngine([fake.url], tmp_path) as engine:
            rows = await engine.models()
    assert [(row.kind, row.name, row.family, row.size) for row in rows] == [
        ("diffusion_model", "flux1-dev.safetensors", "flux-dev", 7),
        ("text_encoder", "clip_l.safetensors", "unknown", 1000),
    ]


async def test_a_folder_over_which_the_server_stumbles_costs_only_itself(tmp_path: Path) -> None:
    async with server(models={"loras": LORAS, "insightface": ["x.onnx"]}) as fake:
        fake.answer("/models/insightface", 500)
        async with ComfyUIEngine([fake.url], tmp_path) as engine:
            assert {row.name for row in await engine.models()} == set(LORAS)


async def test_of_two_files_of_one_name_the_one_that_is_loaded_tells_the_size(tmp_path: Path) -> None:
    async with server() as fake:
        fake.shadowed["loras"] = {"b.safetensors": 99}
        async with ComfyUIEngine([fake.url], tmp_path) as engine:
            sizes = {row.name: row.size for row in await engine.models("lora")}
    assert sizes == LORAS


async def test_of_two_servers_the_one_that_knows_more_tells(tmp_path: Path) -> None:
    name = "finalMix.safetensors"
    models = {"checkpoints": {name: 5}}
    said = {name: {"modelspec.architecture": "stable-diffusion-v1"}}
    dim, clear = FakeComfyUI(models=models), FakeComfyUI(models=models, metadata=said)
    async with dim, clear, ComfyUIEngine([dim.url, clear.url], tmp_path) as engine:
        (row,) = await engine.models("checkpoint")
    assert (row.family, row.guessed, row.told_by) == ("sd15", False, "metadata")


# ------------------------------------------------------------------ what the files say


async def test_names_are_told_at_once_and_grow_richer(tmp_path: Path) -> None:
    async with server() as fake:
        here = Server(fake.url, tmp_path, pace=PACE)
        await here.open()
        hold = fake.hold_request("/view_metadata/loras")
        first, again = await here.installed(), await here.installed()
        hold.release()
        await here.stock.gathered()
        rows = [row for row in await here.installed() if row.kind == "lora"]
        asked = fake.told_of
        await here.close()
    assert first is again
    plainly = [
        ModelInfo(name=name, kind="lora", family="unknown", engine="comfyui", size=n) for name, n in LORAS.items()
    ]
    assert [row for row in first if row.kind == "lora"] == plainly
    ink = ModelFacts(title="Ink lines", triggers=("inkdrawing",), tags=("ink", "lines"))
    assert rows == [
        plainly[0].but(family="sdxl", told_by="metadata", facts=ink),
        plainly[1].but(family="flux-dev", told_by="metadata"),
        *plainly[2:],
    ]
    assert sorted(asked) == sorted([("checkpoints", MODEL), *(("loras", name) for name in LORAS if name != "d.pt")])


async def test_nothing_is_asked_twice_not_even_by_the_next_process(tmp_path: Path) -> None:
    async with server() as fake:
        rows = await gathered(fake, tmp_path)
        fake.told_of.clear()
        async with stock_of(fake, tmp_path) as again:
            assert installed(await again.inventory(), "lora") == rows
            await again.gathered()
        assert fake.told_of == []


async def test_a_list_shows_a_file_that_was_just_put_there(tmp_path: Path) -> None:
    async with server() as fake, ComfyUIClient(fake.url, pace=PACE) as client:
        stock = Stock(client, Told(tmp_path, fake.url), rest=PACE.rest, listed=0.0)
        before = await stock.listed()
        fake.models["loras"]["new.safetensors"] = 55
        after, drawn = await stock.listed(), await stock.inventory()
        await stock.close()
    added = {*after.listed("loras")} - {*before.listed("loras")}
    assert (added, drawn) == ({"new.safetensors"}, after)


async def test_only_what_is_new_or_has_another_size_is_asked_and_what_is_gone_is_forgotten(tmp_path: Path) -> None:
    async with server() as fake:
        await gathered(fake, tmp_path)
        fake.told_of.clear()
        fake.models["loras"] = {"b.safetensors": 22, "c.safetensors": 34, "e.safetensors": 55}
        await gathered(fake, tmp_path)
        assert sorted(fake.told_of) == [("loras", "c.safetensors"), ("loras", "e.safetensors")]
    assert [row[:3] for row in kept(tmp_path) if row[0] == "loras"] == [
        ["loras", "b.safetensors", 22],
        ["loras", "c.safetensors", 34],
        ["loras", "e.safetensors", 55],
    ]


async def test_a_server_that_draws_is_left_alone_until_it_has_done(tmp_path: Path) -> None:
    recipe = Recipe(prompt="a red circle", model=MODEL, width=64, height=64, seed=1)
    graph = draft(recipe, fit(recipe, inventory("a"))).as_prompt()
    async with server() as fake, stock_of(fake, tmp_path) as stock, ComfyUIClient(fake.url) as other:
        hold = fake.hold("KSampler")
        await other.prompt(graph)
        await hold.reached.wait()
        await stock.inventory()
        await fake.until(lambda: fake.requests.count(("GET", "/queue")) > 3)
        assert fake.told_of == []
        hold.release()
        await stock.gathered()
        assert len(fake.told_of) == 4


async def test_a_few_are_asked_at_a_time(tmp_path: Path) -> None:
    many = {f"{number}.safetensors": 1 for number in range(200)}
    async with server(models={"loras": many}) as fake:
        await gathered(fake, tmp_path)
        assert len(fake.told_of) == len(set(fake.told_of)) == 200
        assert 1 < fake.most_read_at_once <= AT_ONCE


async def test_a_file_whose_header_is_broken_says_nothing_and_harms_nobody(tmp_path: Path) -> None:
    async with server(models={"checkpoints": ["broken.safetensors"], "loras": LORAS}) as fake:
        fake.broken = {"broken.safetensors", "c.safetensors"}
        rows = await gathered(fake, tmp_path)
        assert [row.family for row in rows] == ["sdxl", "flux-dev", "unknown", "unknown"]
        fake.told_of.clear()
        await gathered(fake, tmp_path)
        assert fake.told_of == []


async def test_a_server_lost_in_the_middle_is_asked_the_rest_when_it_is_back(tmp_path: Path) -> None:
    async with server() as fake, stock_of(fake, tmp_path) as stock:
        fake.answer("/view_metadata/loras", 503)
        await stock.inventory()
        await stock.gathered()
        stock.forget()
        await stock.inventory()
        await stock.gathered()
        rows = installed(await stock.inventory(), "lora")
    assert [row.family for row in rows] == ["sdxl", "flux-dev", "unknown", "unknown"]


async def test_closing_stops_it_and_keeps_what_was_heard(tmp_path: Path) -> None:
    many = {f"{number:03}.safetensors": 1 for number in range(100)}
    async with server(models={"checkpoints": [MODEL], "loras": many, "controlnet": ["z.safetensors"]}) as fake:
        fake.hold_request("/view_metadata/controlnet")
        async with stock_of(fake, tmp_path) as stock:
            await stock.inventory()
            await fake.until(lambda: ("GET", "/view_metadata/controlnet") in fake.requests)
    assert [row[:3] for row in kept(tmp_path)] == [
        ["checkpoints", MODEL, 1000],
        *(["loras", name, 1] for name in [*many][:95]),
    ]


# ------------------------------------------------------------------ what is remembered


def test_of_the_metadata_only_what_matters_is_kept() -> None:
    said = words_of({**INK, "modelspec.tags": f"ink, {'x' * 100_000}", "odd": {"not": "text"}})
    assert said.metadata == {"modelspec.title": "Ink lines", "ss_base_model_version": "sdxl_base_v1-0"}
    assert said.facts.triggers == ("inkdrawing",)
    assert said.facts.tags == ("ink", "x" * MOST_TAG)
    assert words_of({}) == Words()


OTHER_FORMAT = '{"format": 99}\n["loras", "b.safetensors", 22]'
BROKEN_ROW = '{"format": 1}\n["loras", "c.safetensors"]'


@pytest.mark.parametrize("text", ["", "no JSON", "[]", "{}", OTHER_FORMAT, BROKEN_ROW, "\0"])
async def test_a_memory_that_cannot_be_read_is_made_anew(text: str, tmp_path: Path) -> None:
    async with server() as fake:
        rows = await gathered(fake, tmp_path)
        (path,) = (tmp_path / "servers").iterdir()
        path.write_text(text, encoding="utf-8")
        assert await gathered(fake, tmp_path) == rows
        assert len(kept(tmp_path)) == 4


async def test_a_home_that_cannot_be_written_costs_only_the_memory(tmp_path: Path) -> None:
    (tmp_path / "servers").write_text("a file where the folder should be", encoding="utf-8")
    async with server() as fake:
        assert [row.family for row in await gathered(fake, tmp_path)] == ["sdxl", "flux-dev", "unknown", "unknown"]
    told = Told(tmp_path, "http://here:1")
    told.add({("loras", "a", 1): words_of(INK)})
    await told.save()


async def test_two_processes_add_to_one_memory(tmp_path: Path) -> None:
    one, other = Told(tmp_path, "http://here:1"), Told(tmp_path, "http://here:1")
    one.add({("loras", "a", 1): words_of(INK)})
    other.add({("loras", "b", 2): words_of(FILM)})
    await one.save()
    await other.save()
    third = Told(tmp_path, "http://here:1")
    await third.read()
    assert third.words(("loras", "a", 1)) == words_of(INK)
    assert third.words(("loras", "b", 2)) == words_of(FILM)
    assert [path.suffix for path in (tmp_path / "servers").iterdir()] == [".jsonl"]


# ------------------------------------------------------------------ drawing with it


async def test_a_file_that_this_machine_knows_better_is_drawn_as_what_it_is(tmp_path: Path) -> None:
    words = {("checkpoint", "abc.safetensors"): "pony", ("lora", "b.safetensors"): "sd15"}
    async with server(models={"checkpoints": ["abc.safetensors"], "loras": LORAS}) as fake:
        engine = ComfyUIEngine([fake.url], tmp_path, known=lambda kind, name: words.get((kind, name)))
        async with engine:
            recipe = Recipe(prompt="a fox", model="abc", width=64, height=64, steps=2)
            profile = await engine.profile(recipe)
            (artifact,) = await engine.render(recipe, {}, lambda step: None, Ticket(id=new_id()))
            with pytest.raises(BadRecipe, match=r"made for Stable Diffusion 1\.5, and the model is Pony Diffusion"):
                await engine.profile(recipe.but(loras=({"name": "b"},)))
            rows = {row.name: (row.family, row.guessed) for row in await engine.models()}
    assert (profile.name, artifact.facts["family"], artifact.facts["sampler"]) == ("pony", "pony", "euler_ancestral")
    assert rows["abc.safetensors"] == ("pony", False)
    assert rows["b.safetensors"] == ("sd15", False)


async def test_without_a_name_the_model_that_the_lora_is_made_for_is_taken(tmp_path: Path) -> None:
    old = {"a.safetensors": {"ss_base_model_version": "sd_v1"}}
    async with server(models={"checkpoints": [MODEL, SDXL], "loras": ["a.safetensors"]}, metadata=old) as fake:
        async with ComfyUIEngine([fake.url], tmp_path) as engine:
            bare = await engine.draft(Recipe(prompt="a fox"))
        await gathered(fake, tmp_path)
        async with ComfyUIEngine([fake.url], tmp_path) as engine:
            with_lora = await engine.draft(Recipe.checked(prompt="a fox", loras=({"name": "a"},)))
    assert (bare.model, with_lora.model) == (SDXL, MODEL)
