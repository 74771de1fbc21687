"""Models of folders and of the Hugging Face cache, drawn with in this process, from the prompt to the picture."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from PIL.Image import Image

from clients.config import BadSettings
from clients.diffusers_engine import DiffusersEngine
from clients.diffusers_engine.folders import lacking
from clients.tools.editing import regenerate
from clients.tools.generation import generate_image
from clients.wiring import open_with
from tests.clients.tiny_models import (
    keep_configuration_only,
    library,
    save_single_file,
    save_tiny_lora,
    save_tiny_sd,
    save_tiny_sdxl,
)
from tests.fakes import TICKET
from workflows.app import App
from workflows.errors import BadRecipe, EngineUnavailable, JobCancelled, NotFound, OutOfMemory
from workflows.intelligent import IntelligentPipelineBuilder
from workflows.memory import Device
from workflows.types import Recipe

NO_DEMO = Path("no-demo-model-here")
FOX = Recipe(prompt="a photo of a fox", seed=3, width=64, height=64, steps=2)
PHOTO = {
    "baseModel": "SD 1.5",
    "model": {"name": "Real Photo", "type": "Checkpoint"},
    "stats": {"downloadCount": 90_000},
    "images": [{"meta": {"steps": 3, "cfgScale": 5.5, "sampler": "DPM++ 2M Karras", "Clip skip": "2"}}] * 3,
}
INK = {
    "baseModel": "SD 1.5",
    "trainedWords": ["inkstyle"],
    "model": {"name": "Ink Drawing Style", "type": "LORA", "tags": ["ink", "drawing", "style"]},
    "stats": {"downloadCount": 50_000},
}


@pytest.fixture(scope="module")
def sd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_sd(tmp_path_factory.mktemp("sd") / "tiny")


@pytest.fixture(scope="module")
def sdxl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_sdxl(tmp_path_factory.mktemp("sdxl") / "tiny")


@pytest.fixture
def comfyui(sd: Path, tmp_path: Path) -> Path:
    """A ComfyUI with a checkpoint and a LoRA, each with its side-car, a damaged file and a pickle."""
    root = tmp_path / "ComfyUI"
    checkpoints, loras = root / "models" / "checkpoints", root / "models" / "loras"
    checkpoints.mkdir(parents=True)
    (root / "main.py").write_text("", encoding="utf-8")
    save_single_file(sd, checkpoints / "realphoto_v5.safetensors")
    keep_configuration_only(shutil.copytree(sd, checkpoints / "realphoto_v5"))
    save_tiny_lora(sd, loras / "ink.safetensors", seed=1)
    (checkpoints / "realphoto_v5.civitai.info").write_text(json.dumps(PHOTO), encoding="utf-8")
    (loras / "ink.civitai.info").write_text(json.dumps(INK), encoding="utf-8")
    (checkpoints / "damaged.safetensors").write_bytes(b"\xff" * 100)
    (checkpoints / "old.ckpt").write_bytes(b"\x80\x02")
    return root


def settings(tmp_path: Path, **more: Any) -> dict[str, Any]:
    return {"atelier_home": tmp_path / "home", "comfyui_url": "off", "comfyui_path": ("off",)} | more


# ------------------------------------------------------------------ through the whole App


@pytest.mark.models
async def test_the_best_file_draws_with_its_makers_settings_and_a_lora_that_is_woken(
    tmp_path: Path, comfyui: Path
) -> None:
    async with open_with(**settings(tmp_path, comfyui_path=(str(comfyui),))):
        made = await generate_image(prompt="ink drawing of a fox", width=64, height=64, seed=3, validate=False)
        again = await regenerate(image_id=made["image_id"])
    told = made["metadata"]
    wanted = {"model": "realphoto_v5.safetensors", "steps": 3, "cfg": 5.5, "clip_skip": 2}
    assert {name: told[name] for name in wanted} == wanted
    assert (told["sampler"], told["loras"]) == ("dpmpp_2m_karras", ["ink.safetensors:0.8"])
    assert told["prompt"] == "ink drawing of a fox, inkstyle"
    assert told["memory"]["level"] == "none"
    assert Path(made["path"]).read_bytes() != Path(again["path"]).read_bytes()  # other ids are in the file
    assert pixels(made) == pixels(again)


def pixels(made: Mapping[str, Any]) -> bytes:
    return library("PIL.Image").open(made["path"]).tobytes()


@pytest.mark.models
def test_a_script_names_the_model_by_its_file_name_alone(tmp_path: Path, comfyui: Path) -> None:
    """The folder with its configuration has the same name."""
    with IntelligentPipelineBuilder.from_comfyui_auto(comfyui / "models", **no_server(tmp_path)) as builder:
        settings: dict[str, Any] = SMALL | {"prompt": "a fox", "cfg_scale": 5.0, "sampler": "Euler", "clip_skip": 1}
        one = builder.generate(**settings, model="realphoto_v5")
        same = builder.generate(**settings, model="realphoto_v5.safetensors")
        demo = builder.generate(**settings, model="demo")
    assert isinstance(one, Image) and isinstance(same, Image) and isinstance(demo, Image)
    assert one.tobytes() == same.tobytes() != demo.tobytes()


SMALL: dict[str, Any] = {"width": 64, "height": 64, "steps": 2, "seed": 3, "validate": False}


def no_server(tmp_path: Path) -> dict[str, Any]:
    return {"atelier_home": tmp_path / "home", "comfyui_url": "off"}


SAMPLERS = [
    "DPM++ 2M Karras",
    "Euler a",
    "DDIM",
    "DPM++ 2M SDE",
    "DPM++ 2M SDE Exponential",
    "LCM",
    "Euler SGM Uniform",
]


@pytest.mark.models
def test_samplers_are_understood_as_a1111_names_them(tmp_path: Path, comfyui: Path) -> None:
    with IntelligentPipelineBuilder.from_comfyui_auto([comfyui], **no_server(tmp_path)) as builder:
        fox: dict[str, Any] = SMALL | {"steps": 4}
        drawn = [builder.generate("a fox", model="realphoto_v5", sampler=one, **fox) for one in SAMPLERS]
    assert len({picture.tobytes() for picture in drawn if isinstance(picture, Image)}) == len(SAMPLERS)


# ------------------------------------------------------------------ the Hugging Face cache


def cached(hub: Path, name: str, pipeline: Path, *without: str) -> Path:
    repository = hub / f"models--{name.replace('/', '--')}"
    ignore = shutil.ignore_patterns(*without)
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0123", encoding="utf-8")
    return shutil.copytree(pipeline, repository / "snapshots" / "0123", ignore=ignore)


@pytest.mark.models
async def test_what_was_fetched_half_is_not_listed_and_what_is_whole_needs_no_network(
    tmp_path: Path, sd: Path, sdxl: Path
) -> None:
    cached(tmp_path, "a/whole", sdxl)
    cached(tmp_path, "a/half", sd, "diffusion_pytorch_model.safetensors")
    cached(tmp_path, "a/words", sd, "*.safetensors")
    engine = DiffusersEngine(None, NO_DEMO, hub_cache=tmp_path, offline=True)
    assert [info.name for info in await engine.models()] == ["demo", "a/whole"]
    [made] = await engine.render(FOX.but(model="a/whole"), {}, lambda step: None, TICKET)
    assert made.model == "a/whole"
    with pytest.raises(EngineUnavailable, match=r"'a/half' is not whole on this machine.*of its unet, vae"):
        await engine.render(FOX.but(model="a/half"), {}, lambda step: None, TICKET)
    closed = DiffusersEngine(None, NO_DEMO, hub_cache=tmp_path, hub=False)
    said = await closed.refusal(FOX.but(model="a/half"))
    assert said and said.startswith("a/half is not whole: there are no .safetensors weights of its unet, vae")


def test_a_part_in_shards_is_whole_when_every_shard_is_there(tmp_path: Path) -> None:
    index = {"_class_name": "FluxPipeline", "transformer": ["diffusers", "FluxTransformer2DModel"], "vae": [None, None]}
    index |= {"tokenizer": ["transformers", "CLIPTokenizer"], "scheduler": ["diffusers", "EulerDiscreteScheduler"]}
    part = tmp_path / "transformer"
    part.mkdir()
    (tmp_path / "model_index.json").write_text(json.dumps(index), encoding="utf-8")
    shards = [f"diffusion_pytorch_model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    weights = {"weight_map": {"a": shards[0], "b": shards[1]}}
    (part / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(weights), encoding="utf-8")
    found: list[object] = [lacking(tmp_path)]
    for shard in shards:
        (part / shard).write_bytes(b"")
        found.append(lacking(tmp_path))
    (part / shards[0]).unlink()
    (part / shards[0]).symlink_to(tmp_path / "blob.incomplete")
    assert [*found, lacking(tmp_path)] == [("transformer",), ("transformer",), (), ("transformer",)]


# ------------------------------------------------------------------ memory and packages


@pytest.mark.models
async def test_a_model_that_is_larger_than_the_machine_is_not_loaded(sd: Path) -> None:
    def tiny(kind: str) -> Device:
        return Device(kind="cpu", total_gb=0.5, ram_free_gb=0.4)

    engine = DiffusersEngine(str(sd), NO_DEMO, offline=True, measure=tiny)
    with pytest.raises(OutOfMemory, match=r"Out of memory: Stable Diffusion 1\.5 needs .* GB in all"):
        await engine.render(FOX, {}, lambda step: None, TICKET)
    assert (await engine.status()).loaded is None


async def test_a_sampler_that_needs_a_package_is_refused_before_anything_is_loaded(sd: Path) -> None:
    said = await DiffusersEngine(str(sd), NO_DEMO, offline=True).refusal(FOX.but(sampler="DPM++ SDE Karras"))
    assert (said is None) is (find_spec("torchsde") is not None)
    assert said is None or said.endswith("it needs a further package: pip install torchsde.")


@pytest.mark.parametrize(
    ("sampler", "scheduler", "said"),
    [
        (None, "sgm_uniform", "here it needs a sampler besides"),
        ("euler_a", "exponential", "euler_a has no exponential form"),
        ("euler", "exponential", None),
        ("ddim", "ddim_uniform", None),
    ],
)
async def test_a_scheduler_goes_with_the_samplers_that_have_it(
    sd: Path, sampler: str | None, scheduler: str, said: str | None
) -> None:
    engine = DiffusersEngine(str(sd), NO_DEMO, offline=True)
    found = await engine.refusal(FOX.but(sampler=sampler, scheduler=scheduler))
    assert found is None if said is None else found and re.search(said, found)


# ------------------------------------------------------------------ the builder


@pytest.fixture
def builder(tmp_path: Path) -> Iterator[IntelligentPipelineBuilder]:
    with IntelligentPipelineBuilder.from_paths({}, atelier_home=tmp_path / "home") as opened:
        yield opened


def test_an_argument_that_is_none_is_refused_with_the_nearest(builder: IntelligentPipelineBuilder) -> None:
    wrong: dict[str, Any]
    for wrong, near in (({"modle": 3}, "model"), ({"cfg": 3}, "cfg_scale"), ({"num_image": 3}, "num_images")):
        with pytest.raises(BadRecipe, match=f"argument cannot be '{next(iter(wrong))}': did you mean .*{near}"):
            builder.generate("a red circle", **wrong)


def test_a_setting_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="There is no setting 'atelier_hoem'; nearest: atelier_home"):
        IntelligentPipelineBuilder(atelier_hoem=tmp_path).get_stats()


def test_a_search_path_that_is_not_there_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="There is no folder"):
        IntelligentPipelineBuilder.from_comfyui_auto([tmp_path / "gone"])


def test_one_path_alone_and_the_folder_of_models_are_understood(tmp_path: Path, comfyui: Path) -> None:
    for path in (comfyui, str(comfyui), comfyui / "models", [comfyui.parent]):
        with IntelligentPipelineBuilder.from_comfyui_auto(path, **no_server(tmp_path)) as builder:
            assert builder.get_stats()["orchestrator"]["by_type"]["lora"] == 1


def test_kinds_may_be_called_as_their_folders(tmp_path: Path, comfyui: Path) -> None:
    paths = {"loras": comfyui / "models" / "loras"}
    with IntelligentPipelineBuilder.from_paths(paths, atelier_home=tmp_path / "home") as builder:
        assert builder.get_stats()["orchestrator"]["by_type"]["lora"] == 1


async def active(app: App) -> bool:
    return bool(app.studio.active())


@pytest.mark.models
def test_closing_ends_a_picture_that_is_drawn_with_an_error(builder: IntelligentPipelineBuilder) -> None:
    builder.generate("a red circle", **SMALL)
    heard: list[BaseException] = []

    def draw() -> None:
        try:
            builder.generate("a red circle", steps=150, width=512, height=512, num_images=4, validate=False)
        except JobCancelled as error:
            heard.append(error)

    drawing = threading.Thread(target=draw)
    drawing.start()
    while not builder._call(active):  # pyright: ignore[reportPrivateUsage]
        pass
    builder.close()
    drawing.join()
    assert [type(error) for error in heard] == [JobCancelled]


def test_a_script_that_forgets_to_close_ends_without_a_word(tmp_path: Path) -> None:
    script = (
        "import sys; from workflows.intelligent import IntelligentPipelineBuilder as Builder\n"
        "builder = Builder.from_paths({}, atelier_home=sys.argv[1])\n"
        "print(builder.get_stats()['orchestrator']['total_models'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, timeout=60, check=True
    )
    assert (done.stdout, done.stderr) == ("1\n", "")
    assert not list((tmp_path / "processes").iterdir())
