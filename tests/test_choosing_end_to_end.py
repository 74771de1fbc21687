"""Choosing with the real wiring: files on this machine, ComfyUI servers on loopback, the ledger in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from clients.config import load_settings
from clients.wiring import open_app
from tests.fake_comfyui import FakeComfyUI
from tests.weight_files import shapes, write_weights
from workflows.app import App
from workflows.families import family
from workflows.types import Acceptance, Recipe

PONY = "ponyDiffusionV6XL.safetensors"
WISH = Recipe(prompt="a red circle", width=64, height=64, seed=7, acceptance=Acceptance(validate=False))


@asynccontextmanager
async def process(home: Path, *servers: FakeComfyUI, **more: Any) -> AsyncGenerator[App]:
    """What another start of the program on the same home has."""
    urls = tuple(server.url for server in servers)
    settings = await asyncio.to_thread(load_settings, atelier_home=home, comfyui_url=None, comfyui_urls=urls, **more)
    async with open_app(settings) as app:
        yield app


async def test_the_owners_word_for_a_file_holds_in_a_process_that_has_not_looked_yet(tmp_path: Path) -> None:
    file = tmp_path / "models" / "checkpoints" / PONY
    file.parent.mkdir(parents=True)
    await asyncio.to_thread(write_weights, file, shapes("checkpoint", "sdxl", light=True))
    size = file.stat().st_size
    profile = (await asyncio.to_thread(family, "illustrious")).profile
    async with FakeComfyUI(models={"checkpoints": {PONY: size}}) as comfy:
        async with process(tmp_path, comfy) as app:
            await app.catalog.correct(PONY, {"family": "illustrious"})
        async with process(tmp_path, comfy) as app:
            job = await app.studio.wait((await app.studio.submit(WISH.but(model=PONY))).id, 30)
        async with process(tmp_path, comfy) as app:
            again = await app.studio.wait((await app.studio.regenerate(job.item_ids[0])).id, 30)

    assert [one.outcomes[0].chosen.facts["family"] for one in (job, again)] == ["illustrious"] * 2
    assert (job.recipe.steps, job.recipe.cfg) == (profile.steps, profile.cfg)


async def test_of_two_servers_a_lora_is_taken_only_where_the_model_is(tmp_path: Path) -> None:
    photo, other = {"checkpoints": ["juggernautXL_photo.safetensors"]}, ["sd_xl_base_1.0.safetensors"]
    lora = {"loras": ["neon_city_cyberpunk_sdxl.safetensors"], "checkpoints": other}
    async with FakeComfyUI(models=photo) as one, FakeComfyUI(models=lora) as two:
        wish = WISH.but(prompt="photo of a neon city, cyberpunk", auto_loras=True)
        async with process(tmp_path, one, two) as app:
            job = await app.studio.wait((await app.studio.submit(wish)).id, 30)

    assert (job.state, job.recipe.loras, len(one.prompts)) == ("succeeded", (), 1)
    assert job.choice is not None and job.choice.model is not None
    assert job.choice.model.name == "juggernautXL_photo.safetensors"


async def test_a_server_that_stumbles_takes_no_other_servers_models_along(tmp_path: Path) -> None:
    both = [FakeComfyUI(models={"checkpoints": [name]}) for name in ("a.safetensors", "b.safetensors")]
    async with both[0] as one, both[1] as two, process(tmp_path, one, two) as app:
        two.answer("/models", *[500] * 20)
        assert [info.name for info in await app.studio.engines[0].models()] == ["a.safetensors"]
