"""Checkpoints of the owner's model folders, by their names there; clip skip; and Hugging Face ids without downloads."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from clients.diffusers_engine import DiffusersEngine
from clients.diffusers_engine.models import Known
from clients.diffusers_engine.prompts import layers_to_skip, prompt_arguments
from tests.clients.tiny_models import (
    keep_configuration_only,
    library,
    save_single_file,
    save_tiny_lora,
    save_tiny_sd,
    save_tiny_sdxl,
    tiny_flux,
)
from tests.fakes import TICKET
from workflows.errors import BadRecipe
from workflows.families import families
from workflows.types import Artifact, Recipe

NO_DEMO = Path("no-demo-model-here")
CAR = Recipe(prompt="red car on a road", seed=3, width=64, height=64, steps=2, cfg=7.0)


@pytest.fixture(scope="module")
def sd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_sd(tmp_path_factory.mktemp("sd") / "tiny")


@pytest.fixture(scope="module")
def sdxl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_sdxl(tmp_path_factory.mktemp("sdxl") / "tiny")


@pytest.fixture
def folder(sd: Path, tmp_path: Path) -> Path:
    """A model folder with one whole checkpoint and its configuration."""
    save_single_file(sd, tmp_path / "cars.safetensors")
    keep_configuration_only(shutil.copytree(sd, tmp_path / "cars"))
    return tmp_path


def engine_for(folder: Path, told: str | None = None, *, kind: str = "checkpoint") -> DiffusersEngine:
    def known(name: str, wanted: str) -> Known | None:
        path = folder / name
        return Known(path, told) if wanted in kind.split() and path.is_file() else None

    return DiffusersEngine(None, NO_DEMO, offline=True, hub_cache=folder / "hub", library=known)


async def drawn(engine: DiffusersEngine, recipe: Recipe) -> Artifact:
    [made] = await engine.render(recipe, {}, lambda step: None, TICKET)
    return made


# ------------------------------------------------------------------ checkpoints by name


@pytest.mark.models
async def test_a_checkpoint_of_the_model_folders_is_drawn_with_by_its_name(folder: Path, sd: Path) -> None:
    engine, recipe = engine_for(folder), CAR.but(model="cars.safetensors")
    assert await engine.refusal(recipe) is None
    assert (await engine.profile(recipe)).name == "sd15"
    made, same = await drawn(engine, recipe), await drawn(DiffusersEngine(str(sd), NO_DEMO, offline=True), CAR)
    assert made.media.data == same.media.data
    assert made.model == "cars.safetensors"
    assert [info.name for info in await engine.models()] == ["demo"]


@pytest.mark.models
async def test_a_checkpoint_is_never_named_by_a_path(folder: Path) -> None:
    for name in (str(folder / "cars.safetensors"), "../cars.safetensors", "~/cars.safetensors", "C:\\cars.safetensors"):
        said = await engine_for(folder).refusal(CAR.but(model=name)) or ""
        assert said.startswith("model cannot be ") and "a checkpoint in the model folders" in said


@pytest.mark.models
async def test_the_owners_word_on_the_family_counts(folder: Path) -> None:
    """An anime model reads the last but one layer by itself, as its family says."""
    recipe = CAR.but(model="cars.safetensors")
    engine = engine_for(folder, told="sd15-anime")
    assert (await engine.profile(recipe)).name == "sd15-anime"
    made = await drawn(engine, recipe)
    plain = engine_for(folder)
    assert made.media.data == (await drawn(plain, recipe.but(clip_skip=2))).media.data
    assert made.media.data != (await drawn(plain, recipe)).media.data


@pytest.mark.models
async def test_a_pipeline_of_the_index_is_drawn_with_by_its_name(sd: Path, tmp_path: Path) -> None:
    repository = tmp_path / "hub" / "models--a--cars"
    fetched = shutil.copytree(sd, repository / "snapshots" / "0123")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0123")
    own = shutil.copytree(sd, tmp_path / "models" / "diffusers" / "vans")
    lying = {"a/cars": fetched, "diffusers/vans": own}

    def known(name: str, kind: str) -> Known | None:
        return Known(lying[name]) if kind == "checkpoint" and name in lying else None

    engine = DiffusersEngine(None, NO_DEMO, offline=True, hub_cache=tmp_path / "hub", library=known)
    told = await drawn(DiffusersEngine(str(sd), NO_DEMO, offline=True), CAR)
    for name in lying:
        made = await drawn(engine, CAR.but(model=name))
        assert (made.model, made.media.data) == (name, told.media.data)


Weights = dict[str, Any]


def without_vae(weights: Weights) -> Weights:
    return {name: weight for name, weight in weights.items() if not name.startswith("first_stage")}


def bare(weights: Weights) -> Weights:
    return {name: weight for name, weight in weights.items() if name.startswith("model.diffusion_model.")}


def for_inpainting(weights: Weights) -> Weights:
    first = "model.diffusion_model.input_blocks.0.0.weight"
    return weights | {first: library("torch").zeros(16, 9, 3, 3)}


MISFITS: dict[str, tuple[Callable[[Weights], Weights], str]] = {
    "without VAE": (without_vae, r"cars\.safetensors \(Stable Diffusion 1\.5\) comes without its autoencoder"),
    "denoiser alone": (bare, r"holds the denoiser alone: ComfyUI draws with it; here it needs a checkpoint"),
    "for inpainting": (for_inpainting, r"is made for inpainting; ComfyUI draws with it"),
}


@pytest.mark.models
@pytest.mark.parametrize(("edit", "said"), MISFITS.values(), ids=MISFITS.keys())
async def test_what_cannot_be_drawn_with_is_refused_in_words(
    folder: Path, edit: Callable[[Weights], Weights], said: str
) -> None:
    files = library("safetensors.torch")
    files.save_file(edit(files.load_file(folder / "cars.safetensors")), folder / "cars.safetensors")
    assert re.search(said, await engine_for(folder).refusal(CAR.but(model="cars.safetensors")) or "")


@pytest.mark.models
async def test_a_checkpoint_without_its_autoencoder_takes_one_of_the_model_folders(folder: Path) -> None:
    files, recipe = library("safetensors.torch"), CAR.but(model="cars.safetensors")
    whole = await drawn(engine_for(folder), recipe)
    weights = files.load_file(folder / "cars.safetensors")
    files.save_file(without_vae(weights), folder / "cars.safetensors")
    prefix = "first_stage_model."
    alone = {name.removeprefix(prefix): weight for name, weight in weights.items() if name.startswith(prefix)}
    files.save_file(alone, folder / "vae-ft-mse-840000-ema-pruned.safetensors")
    engine = engine_for(folder, kind="checkpoint vae")
    assert await engine.refusal(recipe) is None
    made = await drawn(engine, recipe)
    assert made.facts["vae"] == "vae-ft-mse-840000-ema-pruned.safetensors"
    assert made.media.data == whole.media.data
    assert "vae" not in whole.facts


@pytest.mark.models
async def test_a_file_of_another_kind_is_no_model(folder: Path, sd: Path) -> None:
    save_tiny_lora(sd, folder / "ink.safetensors")
    (folder / "old.ckpt").write_bytes(b"\x80\x02")
    (folder / "small.gguf").write_bytes(b"GGUF")
    engine = engine_for(folder)
    said = [await engine.refusal(CAR.but(model=name)) for name in ("ink.safetensors", "old.ckpt", "small.gguf")]
    assert said[0] == "ink.safetensors is a lora, not a model that draws alone."
    assert "can run code when it is opened; use a .safetensors file of it" in (said[1] or "")
    assert said[2] == "model cannot be 'small.gguf': this engine reads .safetensors files, not .gguf."


@pytest.mark.models
async def test_a_bare_model_of_the_folders_is_for_comfyui(folder: Path) -> None:
    said = await engine_for(folder, kind="diffusion_model").refusal(CAR.but(model="cars.safetensors"))
    assert said and "that file holds the denoiser alone: ComfyUI draws with it" in said


@pytest.mark.models
async def test_a_family_without_a_pipeline_is_for_comfyui(folder: Path) -> None:
    said = await engine_for(folder, told="z-image").refusal(CAR.but(model="cars.safetensors")) or ""
    assert re.search(r"cars\.safetensors is Z-Image.*which has no pipeline here", said)


# ------------------------------------------------------------------ without downloads


async def test_without_downloads_a_caller_may_name_what_is_in_the_cache_alone(tmp_path: Path) -> None:
    kept = tmp_path / "models--someone--sdxl-kept" / "snapshots" / "0"
    kept.mkdir(parents=True)
    (kept / "model_index.json").write_text('{"_class_name": "StableDiffusionXLPipeline"}', encoding="utf-8")
    engine = DiffusersEngine("owner/sdxl-own", NO_DEMO, hub_cache=tmp_path, hub=False)
    said = {name: await engine.refusal(CAR.but(model=name)) for name in ("someone/sdxl-kept", "someone/new", None)}
    assert said == {
        "someone/sdxl-kept": None,
        "someone/new": "model cannot be 'someone/new': it is not in the Hugging Face cache, and downloads are switched "
        "off (ATELIER_DOWNLOADS=off).",
        None: None,
    }
    assert await DiffusersEngine(None, NO_DEMO, hub_cache=tmp_path).refusal(CAR.but(model="someone/sdxl-new")) is None


# ------------------------------------------------------------------ clip skip


def bare_picture(folder: Path, layer: int | None) -> bytes:
    """The pipeline's own without guidance, from that hidden state of its encoder; None: as it reads by itself.

    Its own clip_skip does not find the last norm of Stable Diffusion's encoder in transformers 5, so this does.
    """
    torch, pipe = library("torch"), library("diffusers").DiffusionPipeline.from_pretrained(str(folder))
    pipe.set_progress_bar_config(disable=True)
    words: dict[str, Any] = {"prompt": CAR.prompt}
    if layer is not None and getattr(pipe, "text_encoder_2", None) is None:
        filled = pipe.tokenizer(CAR.prompt, padding="max_length", return_tensors="pt").input_ids
        state = pipe.text_encoder(filled, output_hidden_states=True).hidden_states[layer]
        words = {"prompt_embeds": pipe.text_encoder.final_layer_norm(state)}
    elif layer is not None:
        words["clip_skip"] = -layer - 2
    size = {"width": 64, "height": 64, "num_inference_steps": 2, "guidance_scale": 1.0}
    chance = torch.Generator("cpu").manual_seed(3)
    return pipe(**words, generator=chance, **size).images[0].convert("RGB").tobytes()


async def pictures(folder: Path, *recipes: Recipe) -> list[bytes]:
    async with DiffusersEngine(str(folder), NO_DEMO, offline=True) as engine:
        made = [await drawn(engine, recipe) for recipe in recipes]
    return [Image.open(BytesIO(one.media.data)).convert("RGB").tobytes() for one in made]


@pytest.mark.models
@pytest.mark.parametrize(("kind", "unchanged", "deeper"), [("sd", 1, 2), ("sdxl", 2, 3)])
async def test_clip_skip_reads_an_earlier_layer_as_a1111_counts(
    request: pytest.FixtureRequest, kind: str, unchanged: int, deeper: int
) -> None:
    folder = request.getfixturevalue(kind)
    recipe = CAR.but(cfg=1.0)
    skipped, *ours = await pictures(folder, *(recipe.but(clip_skip=skip) for skip in (deeper, None, unchanged)))
    bare = [await asyncio.to_thread(bare_picture, folder, layer) for layer in (None, -deeper)]
    assert [ours[0], skipped] == bare
    assert ours[0] == ours[1] != skipped


@pytest.mark.models
@pytest.mark.parametrize("kind", ["sd", "sdxl"])
def test_clip_skip_counts_for_the_negative_prompt_and_for_weighted_words(
    request: pytest.FixtureRequest, kind: str
) -> None:
    torch, pipe = (
        library("torch"),
        library("diffusers").DiffusionPipeline.from_pretrained(str(request.getfixturevalue(kind))),
    )

    def embeddings(prompt: str, skip: int) -> dict[str, Any]:
        return prompt_arguments(pipe, prompt, "blurry", weights=True, skip=skip)[0]

    whole, skipped = [embeddings("red car on a road", skip) for skip in (0, 1)]
    weighted = embeddings("(red car:1.0000001) on a road", 1)
    for name, tensor in skipped.items():
        assert torch.allclose(tensor, weighted[name], atol=1e-4)
        assert torch.allclose(tensor, whole[name], atol=1e-3) is name.endswith("pooled_prompt_embeds")
    assert pipe.text_encoder(torch.tensor([[1]]), output_hidden_states=True).hidden_states[2] is not None


@pytest.mark.models
@pytest.mark.parametrize(("kind", "most"), [("sd", 2), ("sdxl", 3)])
async def test_a_clip_skip_beyond_the_encoder_says_what_it_allows(
    request: pytest.FixtureRequest, kind: str, most: int
) -> None:
    with pytest.raises(BadRecipe, match=f"clip_skip cannot be 9: the text encoder of this model allows 1 to {most}"):
        await pictures(request.getfixturevalue(kind), CAR.but(clip_skip=9))


@pytest.mark.models
def test_a_model_without_layers_to_skip_says_so() -> None:
    flux = families()["flux-dev"]
    assert layers_to_skip(tiny_flux(), flux, 2) == (0, [f"{flux.profile.title} has no clip skip; it was left out."])
    assert layers_to_skip(tiny_flux(), flux, 1) == layers_to_skip(tiny_flux(), flux, None) == (0, [])
