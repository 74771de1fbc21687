"""ComfyUIEngine asked for several pictures at once: batches, their places, and what is done when they are too many."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from clients.comfyui_client import ComfyUIClient
from tests.clients.test_comfyui_engine import OOM, PICTURE, RECIPE, engine_on, fake, nodes, render, silent, ticket
from utils.images import decode
from workflows.errors import GraphRejected
from workflows.types import Media, Ticket


async def test_several_pictures_come_from_one_prompt_and_each_can_be_made_again_alone(tmp_path: Path) -> None:
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine:
        batch = await engine.render(RECIPE.but(count=3), {}, silent, ticket())
        assert len(comfy.prompts) == 1
        alone = [(await render(engine, RECIPE.but(batch_index=place)))[0] for place in range(3)]
        (plain,) = await render(engine)
    assert [(one.seed, one.facts["batch_index"]) for one in batch] == [(7, 0), (7, 1), (7, 2)]
    assert [colour(one.media) for one in batch] == [colour(one.media) for one in alone]
    assert len({colour(one.media) for one in batch}) == 3
    assert [one.facts["batch_index"] for one in alone] == [0, 1, 2]
    assert (colour(plain.media), "batch_index" in plain.facts) == (colour(batch[0].media), False)


def colour(media: Media) -> Any:
    return decode(media.data).convert("RGB").getpixel((0, 0))


@pytest.mark.parametrize("task", ["img2img", "inpaint"])
async def test_a_batch_begins_with_its_source_as_often_as_it_is_long(task: str, tmp_path: Path) -> None:
    recipe = RECIPE.but(task=task, source="s", mask="m" if task == "inpaint" else None, count=2)
    inputs = {"source": PICTURE} | ({"mask": PICTURE} if task == "inpaint" else {})
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine:
        batch = await engine.render(recipe, inputs, silent, ticket())
        (second,) = await engine.render(recipe.but(count=1, batch_index=1), inputs, silent, ticket())
    assert colour(second.media) == colour(batch[1].media) != colour(batch[0].media)


async def test_a_batch_that_is_too_much_is_halved_and_the_server_remembered_for_it(tmp_path: Path) -> None:
    recipe = RECIPE.but(count=8)
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine:
        comfy.fail("KSampler", *OOM, times=2)
        first = await engine.render(recipe, {}, silent, ticket())
        again = await engine.render(recipe.but(seed=9), {}, silent, ticket())
        other = await engine.render(recipe.but(width=32 * 8), {}, silent, ticket())
        sizes = [node["inputs"]["batch_size"] for node in nodes(comfy, "EmptyLatentImage")]
    assert sizes == [8, 4, 2, 2, 8]
    assert [len(made) for made in (first, again, other)] == [2, 2, 8]
    assert first[1].facts["notes"] == ["The server ran out of memory, so this was drawn 2 at once."]
    assert "notes" not in again[0].facts


async def test_what_did_not_fit_is_forgotten_with_the_rest_when_the_server_has_changed(tmp_path: Path) -> None:
    recipe = RECIPE.but(count=4)
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine:
        comfy.fail("KSampler", *OOM)
        assert len(await engine.render(recipe, {}, silent, ticket())) == 2
        kept = comfy.models["checkpoints"]
        comfy.models["checkpoints"] = {"other.safetensors": 1}
        with pytest.raises(GraphRejected):
            await render(engine, RECIPE.but(seed=8))
        comfy.models["checkpoints"] = kept
        assert len(await engine.render(recipe.but(seed=9), {}, silent, ticket())) == 4


async def test_one_picture_alone_goes_on_down_the_ladder(tmp_path: Path) -> None:
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine:
        comfy.fail("VAEDecode", *OOM, times=2)
        made = await engine.render(RECIPE.but(count=2), {}, silent, ticket())
        sizes = [node["inputs"]["batch_size"] for node in nodes(comfy, "EmptyLatentImage")]
    assert (sizes, len(made), len(nodes(comfy, "VAEDecodeTiled"))) == ([2, 1, 1], 1, 1)


@pytest.mark.parametrize(("vram", "count"), [(8, 4), (6, 1)])
async def test_a_small_memory_is_asked_for_fewer_from_the_start(vram: int, count: int, tmp_path: Path) -> None:
    async with fake(vram=vram * 2**30) as comfy, engine_on(tmp_path, comfy.url) as engine:
        made = await engine.render(RECIPE.but(count=4, width=512, height=512), {}, silent, ticket())
    assert len(made) == count


async def test_on_a_cpu_pictures_come_one_by_one(tmp_path: Path) -> None:
    async with fake(device="cpu") as comfy, engine_on(tmp_path, comfy.url) as engine:
        assert len(await engine.render(RECIPE.but(count=4), {}, silent, ticket())) == 1


async def test_a_batch_of_an_earlier_process_is_joined_with_all_its_pictures(tmp_path: Path) -> None:
    mine = ticket()
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine, ComfyUIClient(comfy.url) as earlier:
        hold = comfy.hold("KSampler")
        await earlier.prompt((await engine.draft(RECIPE.but(count=3))).graph, prompt_id=mine.id)
        await hold.reached.wait()
        again = Ticket(id=mine.id, again=True)
        joining = asyncio.create_task(engine.render(RECIPE.but(count=3), {}, silent, again))
        await comfy.until(lambda: ("GET", f"/history/{mine.id}") in comfy.requests)
        hold.release()
        made = await joining
    assert (len(comfy.prompts), [one.facts["batch_index"] for one in made]) == (1, [0, 1, 2])
