"""Which models the FAL engine draws with, who may use it, and what it learns from FAL itself, over real sockets."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from clients.fal_client import FalEngine
from tests.clients.fal_kit import FOX, WAN, drawn, engine_in, sent
from tests.fake_fal import FakeFal
from workflows.families import family
from workflows.types import Control, LoraUse, Recipe, Reference


@pytest.fixture
async def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[FakeFal]:
    async with FakeFal() as fake:
        fake.environment(monkeypatch, tmp_path)
        yield fake


@pytest.fixture
async def engine(fake: FakeFal, tmp_path: Path) -> AsyncIterator[FalEngine]:
    async with engine_in(tmp_path) as engine:
        yield engine


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        (FOX.but(engine="auto"), 'costs money: ask for engine "fal", or set ATELIER_CLOUD=true'),
        (FOX.but(model="sd_xl_base_1.0.safetensors"), "is no model of FAL's.+owner/name"),
        (FOX.but(model="models/sdxl.safetensors"), "is no model of FAL's"),
        (FOX.but(task="upscale", scale=2.0), "does txt2img, img2img, inpaint, and not upscale"),
        (FOX.but(controls=(Control(kind="canny"),)), "is not told of control pictures"),
        (FOX.but(references=(Reference(),)), "takes no reference pictures"),
        (FOX.but(loras=(LoraUse(name="x.safetensors"),)), "takes no LoRAs; fal-ai/flux-lora"),
        (FOX.but(model="fal-ai/fast-sdxl", loras=(LoraUse(name="x.safetensors"),)), "an https:// address or a Hug"),
        (FOX.but(model="fal-ai/nothing-here"), "FAL has no model 'fal-ai/nothing-here'"),
    ],
)
async def test_refusals_say_how(fake: FakeFal, engine: FalEngine, recipe: Recipe, words: str) -> None:
    reason = await engine.refusal(recipe)
    assert reason is not None
    assert re.search(words, reason), reason


async def test_the_owner_may_let_auto_choose_it(fake: FakeFal, tmp_path: Path) -> None:
    async with engine_in(tmp_path, allowed=True) as engine:
        assert await engine.refusal(FOX.but(engine="auto")) is None
    async with engine_in(tmp_path, key=None, allowed=True) as engine:
        assert "FAL_KEY" in str(await engine.refusal(FOX.but(engine="auto")))
        status = await engine.status()
        assert (status.available, status.set_up) == (False, False)
        assert await engine.models() == ()


async def test_a_known_model_has_its_familys_profile(engine: FalEngine) -> None:
    profile = await engine.profile(FOX)
    assert profile.name == "sdxl-lightning" and profile.negatives is False
    sdxl = await engine.profile(FOX.but(model="fal-ai/fast-sdxl"))
    assert (sdxl.name, sdxl.steps, sdxl.cfg, sdxl.negatives) == ("sdxl", 25, 7.5, True)
    assert (await engine.profile(FOX.but(model=WAN))).most_frames == 161
    assert [one.kind for one in await engine.models()] == ["cloud"] * len(await engine.models("cloud"))
    assert await engine.models("checkpoint") == ()


SCHEMA: dict[str, Any] = {
    "info": {"title": "A drawer"},
    "components": {
        "schemas": {
            "In": {
                "required": ["prompt"],
                "properties": {
                    "prompt": {"type": "string"},
                    "aspect_ratio": {"anyOf": [{"enum": ["1:1", "16:9", "9:16"]}, {"type": "null"}]},
                    "steps": {"type": "integer"},
                    "num_inference_steps": {"type": "integer", "minimum": 2, "maximum": 3},
                    "image_size": {"anyOf": [{"$ref": "#/components/schemas/Size"}, {"enum": ["square"]}]},
                    "image_url": {"type": "string"},
                },
            },
            "Size": {"type": "object", "properties": {"width": {}, "height": {}}},
            "Out": {"properties": {"images": {}, "seed": {}}},
            "Status": {"properties": {"status": {}, "request_id": {}}},
        }
    },
    "paths": {
        "/someone/draws": {
            "post": {
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/In"}}}},
                "responses": {"200": {"content": {"application/json": {"schema": {"$ref": "#/c/s/Status"}}}}},
            }
        },
        "/someone/draws/requests/{request_id}": {
            "get": {"responses": {"200": {"content": {"application/json": {"schema": {"$ref": "#/c/s/Out"}}}}}}
        },
    },
}


async def test_an_unknown_endpoint_is_learned_from_its_schema(fake: FakeFal, engine: FalEngine) -> None:
    fake.schemas["someone/draws"] = SCHEMA
    recipe = FOX.but(model="someone/draws", width=1024, height=576, steps=9)
    assert await engine.refusal(recipe) is None
    assert await engine.profile(recipe) == family("unknown").profile.but(title="A drawer", negatives=False)
    artifact, _ = await drawn(engine, recipe)
    assert sent(fake)[0][1] == {
        "prompt": "a fox",
        "image_size": {"width": 1024, "height": 576},
        "aspect_ratio": "16:9",
        "num_inference_steps": 3,
    }
    assert artifact.facts["notes"] == ["num inference steps 3 instead of 9: what the endpoint allows"]
    assert await engine.refusal(recipe.but(task="img2vid", source="a")) is not None
    assert sum("openapi" in path for path in fake.paths) == 1


async def test_an_endpoint_that_draws_nothing_is_refused(fake: FakeFal, engine: FalEngine) -> None:
    out: dict[str, Any] = {"properties": {"text": {}}}
    schemas = SCHEMA["components"]["schemas"] | {"Out": out}
    fake.schemas["someone/draws"] = SCHEMA | {"components": {"schemas": schemas}}
    reason = await engine.refusal(FOX.but(model="someone/draws"))
    assert reason is not None and "makes neither pictures nor a video" in reason


async def test_a_schema_that_cannot_be_read_leaves_the_common_inputs(fake: FakeFal, engine: FalEngine) -> None:
    fake.schemas["someone/draws"] = {"paths": 3}
    await drawn(engine, FOX.but(model="someone/draws"))
    assert sent(fake)[0][1] == {
        "prompt": "a fox",
        "image_size": {"width": 128, "height": 64},
        "num_inference_steps": 4,
        "guidance_scale": 1,
        "seed": 5,
        "num_images": 1,
    }


async def test_a_price_is_asked_once(fake: FakeFal, engine: FalEngine) -> None:
    fake.prices["fal-ai/flux/dev"] = ("megapixels", 0.025)
    assert await engine.price("fal-ai/flux/dev") == ("megapixels", 0.025)
    assert await engine.price("fal-ai/flux/dev") == ("megapixels", 0.025)
    assert await engine.price("someone/draws") is None
    assert len(fake.paths) == 2
