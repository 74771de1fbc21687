"""DiffusersEngine with models of all forms: a single checkpoint, two text encoders, and files that are none."""

import asyncio
import io
import json
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from clients.diffusers_engine import DiffusersEngine
from clients.diffusers_engine.prompts import prompt_arguments
from tests.clients.tiny_models import keep_configuration_only, library, save_single_file, save_tiny_sd, save_tiny_sdxl
from tests.fakes import TICKET
from workflows.errors import EngineUnavailable
from workflows.types import Artifact, Media, Recipe

NO_DEMO = Path("no-demo-model-here")
CAR = Recipe(prompt="red car on a road", seed=3, width=64, height=64, steps=3, cfg=7.0)


@pytest.fixture(scope="module")
def sd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_sd(tmp_path_factory.mktemp("sd") / "tiny")


@pytest.fixture(scope="module")
def sdxl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_sdxl(tmp_path_factory.mktemp("sdxl") / "tiny-xl")


@pytest.fixture
def checkpoint(sd: Path, tmp_path: Path) -> Path:
    return save_single_file(sd, tmp_path / "v1.5-tiny.safetensors")


async def drawn(model: Path, *recipes: Recipe, source: Media | None = None) -> list[Artifact]:
    async with DiffusersEngine(str(model), NO_DEMO, offline=True, hub_cache=model.parent / "hub") as engine:
        inputs = {"source": source} if source else {}
        made = [await engine.render(recipe, inputs, lambda step: None, TICKET) for recipe in recipes]
    return [artifact for [artifact] in made]


def pixels(artifact: Artifact) -> bytes:
    return Image.open(io.BytesIO(artifact.media.data)).convert("RGB").tobytes()


@pytest.mark.models
async def test_a_single_checkpoint_draws_the_pixels_of_the_folder_with_the_same_weights(
    sd: Path, checkpoint: Path
) -> None:
    keep_configuration_only(shutil.copytree(sd, checkpoint.with_suffix("")))
    recipes = CAR, CAR.but(prompt="(red car:1.4) on a road", negative="blurry")
    ours, folders = await drawn(checkpoint, *recipes), await drawn(sd, *recipes)
    assert [pixels(one) for one in ours] == [pixels(one) for one in folders]
    assert pixels(ours[0]) != pixels(ours[1])
    assert len(set(pixels(ours[0]))) > 20  # a picture, not one colour
    assert (ours[0].model, folders[0].model) == ("v1.5-tiny", "tiny")
    assert ours[0].model_hash and ours[0].model_hash != folders[0].model_hash


@pytest.mark.models
async def test_a_checkpoints_configuration_is_found_in_the_hub_cache_when_none_lies_beside_it(
    sd: Path, checkpoint: Path
) -> None:
    repo = checkpoint.parent / "hub" / "models--stable-diffusion-v1-5--stable-diffusion-v1-5"
    keep_configuration_only(shutil.copytree(sd, repo / "snapshots" / "0123456789abcdef0123456789abcdef01234567"))
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text("0123456789abcdef0123456789abcdef01234567", encoding="utf-8")
    [ours], [folders] = await drawn(checkpoint, CAR), await drawn(sd, CAR)
    assert pixels(ours) == pixels(folders)


@pytest.mark.models
async def test_a_checkpoint_without_configuration_says_where_to_put_it(checkpoint: Path) -> None:
    advice = r"v1\.5-tiny\.safetensors \(Stable Diffusion 1\.5\) needs.*a folder named 'v1\.5-tiny' beside the file"
    with pytest.raises(EngineUnavailable, match=advice):
        await drawn(checkpoint, CAR)


@pytest.mark.models
async def test_a_checkpoint_without_its_autoencoder_is_refused(sd: Path, checkpoint: Path) -> None:
    files = library("safetensors.torch")
    keep_configuration_only(shutil.copytree(sd, checkpoint.with_suffix("")))
    kept = {name: weight for name, weight in files.load_file(checkpoint).items() if "first_stage_model" not in name}
    files.save_file(kept, checkpoint)
    said = r"v1\.5-tiny \(Stable Diffusion 1\.5\) comes without its autoencoder \(VAE\)"
    with pytest.raises(EngineUnavailable, match=said):
        await drawn(checkpoint, CAR)
    assert re.search(
        "comes without its autoencoder", await DiffusersEngine(str(checkpoint), NO_DEMO).refusal(CAR) or ""
    )


async def test_a_checkpoint_is_known_by_its_header(checkpoint: Path) -> None:
    profile = await DiffusersEngine(str(checkpoint), NO_DEMO).profile(CAR)
    assert (profile.name, profile.width, profile.weights) == ("sd15", 512, True)


NO_CHECKPOINTS = {
    "a length of 2^63": (2**63).to_bytes(8, "little") + b"{}",
    "a length of zero": bytes(8),
    "no JSON": (4).to_bytes(8, "little") + b"\xff\xfe\xfd\xfc",
    "JSON of another kind": (1).to_bytes(8, "little") + b"3",
    "JSON without a bottom": (1 << 20).to_bytes(8, "little") + b"[" * (1 << 20),
    "a pickle": pickle.dumps({"model.diffusion_model.out.0.weight": [1.0]}),
    "nothing": b"",
}


@pytest.mark.parametrize("content", NO_CHECKPOINTS.values(), ids=NO_CHECKPOINTS.keys())
async def test_a_file_that_is_no_checkpoint_is_refused_and_listed_nowhere(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(content)
    engine = DiffusersEngine(str(file), NO_DEMO, hub_cache=tmp_path)
    said = await engine.refusal(CAR)
    assert said and re.search(r"'model\.safetensors'.*not a \.safetensors file", said)
    assert [info.name for info in await engine.models()] == ["demo"]


@pytest.mark.models
async def test_sdxl_hears_both_prompts_and_their_brackets(sdxl: Path) -> None:
    recipes = [
        CAR,
        CAR.but(prompt="(red car:1.3) on a road"),
        CAR.but(negative="blurry"),
        CAR.but(negative="(blurry:1.3)"),
        CAR.but(prompt="red car on a road " * 9),
    ]
    made = await drawn(sdxl, *recipes)
    assert len({pixels(artifact) for artifact in made}) == len(recipes)
    assert made[0].facts["pipeline"] == "StableDiffusionXLPipeline"


@pytest.mark.models
async def test_sdxl_redraws_a_picture_with_brackets(sdxl: Path) -> None:
    [source] = await drawn(sdxl, CAR)
    recipe = CAR.but(task="img2img", seed=4, denoise=0.5, prompt="blue car on a road")
    plain, strong = await drawn(sdxl, recipe, recipe.but(prompt="(blue car:1.3) on a road"), source=source.media)
    assert len({pixels(source), pixels(plain), pixels(strong)}) == 3
    assert plain.facts["pipeline"] == "StableDiffusionXLImg2ImgPipeline"


@pytest.mark.models
@pytest.mark.parametrize("negative", ["", "blurry"])
async def test_sdxl_embeddings_are_the_pipelines_own_but_for_the_weight(sdxl: Path, negative: str) -> None:
    own, ours, strong = await asyncio.to_thread(sdxl_embeddings, sdxl, negative)
    torch = library("torch")
    assert all(torch.allclose(one, other, atol=1e-4) for one, other in zip(own, ours, strict=True))
    assert not torch.allclose(own[0], strong[0], atol=1e-4)


def sdxl_embeddings(folder: Path, negative: str) -> list[list[Any]]:
    """Prompt, negative prompt and both pooled: of the pipeline, of a weight of almost one, of a real weight."""
    pipe = library("diffusers").DiffusionPipeline.from_pretrained(str(folder))
    names = "prompt_embeds", "negative_prompt_embeds", "pooled_prompt_embeds", "negative_pooled_prompt_embeds"
    made = [list(pipe.encode_prompt("red car on a road", negative_prompt=negative or None))]
    for weight in ("1.0000001", "1.3"):
        arguments, _ = prompt_arguments(pipe, f"(red car:{weight}) on a road", negative, weights=True)
        made.append([arguments[name] for name in names])
    return made


@pytest.mark.parametrize("package", ["diffusers", "compel"])
def test_without_a_package_of_the_extra_the_engine_says_what_to_install(package: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_ONE, package], capture_output=True, text=True, timeout=60, check=True
    )
    told = json.loads(done.stdout)
    advice = "Drawing in this process needs the extra 'local': pip install 'atelier-mcp[local]'."
    assert told == {"refusal": advice, "available": False, "detail": advice, "render": advice}


WITHOUT_ONE = """
import asyncio, json, sys
from importlib.machinery import PathFinder
from pathlib import Path

class WithoutOne:
    def find_spec(self, name, path=None, target=None):
        return None if name.split(".")[0] == sys.argv[1] else PathFinder.find_spec(name, path, target)

sys.meta_path = [WithoutOne() if finder is PathFinder else finder for finder in sys.meta_path]

from clients.diffusers_engine import DiffusersEngine
from workflows.errors import ExtraMissing
from workflows.types import Recipe, Ticket, new_id

async def main():
    async with DiffusersEngine(None, Path("nowhere")) as engine:
        recipe = Recipe(prompt="a red car")
        status = await engine.status()
        told = {"refusal": await engine.refusal(recipe), "available": status.available, "detail": status.detail}
        try:
            await engine.render(recipe, {}, lambda step: None, Ticket(id=new_id()))
        except ExtraMissing as error:
            told["render"] = str(error)
        print(json.dumps(told))

asyncio.run(main())
"""
