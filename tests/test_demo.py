"""The whole house with the real demo models: what a newcomer sees with `make run`."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from clients.tools.gallery import get_image_info
from clients.tools.generation import generate_image, img2img
from clients.wiring import open_app
from utils.images import decode
from utils.metadata import read_png

pytestmark = pytest.mark.models
EXAMPLES = Path(__file__).parents[1] / "examples"


async def test_what_the_demo_knows_passes_and_what_it_does_not_know_fails_honestly() -> None:
    async with open_app():
        known = await generate_image(prompt="a red circle on a white background", seed=1)
        unknown = await generate_image(prompt="single red car on a country road", seed=1)
    assert known["validation"]["passed"] is True
    assert known["validation"]["positive_score"] >= 0.25
    assert unknown["status"] == "success"
    assert unknown["validation"]["passed"] is False
    assert unknown["warning"] == "Max retries (3) reached"
    assert "prompt" not in unknown["attempts"][0]
    for row, weight in zip(unknown["attempts"][1:], ("1.3", "1.6"), strict=True):
        assert f":{weight})" in row["prompt"]
        assert "more weight on" in row["change"]
    assert "ATELIER_LOCAL_MODEL" in known["note"]


async def test_the_file_tells_how_to_make_it_again_and_it_is_made_again_to_the_pixel() -> None:
    async with open_app():
        first = await generate_image(prompt="two blue squares", seed=11, validate=False)
        stamp = read_png(Path(first["path"]).read_bytes())
        assert stamp.record is not None
        recipe: dict[str, Any] = stamp.record["rendered"]
        again = await generate_image(
            prompt=recipe["prompt"], seed=recipe["seed"], steps=recipe["steps"], cfg=recipe["cfg"], validate=False
        )
    pixels = [decode(Path(answer["path"]).read_bytes()).tobytes() for answer in (first, again)]
    assert pixels[0] == pixels[1]
    assert first["image_id"] != again["image_id"]
    assert stamp.parameters is not None
    assert stamp.parameters.startswith("two blue squares\nSteps: ")


async def test_a_picture_made_from_a_picture_is_its_child() -> None:
    async with open_app():
        parent = await generate_image(prompt="a green triangle on white", seed=2, validate=False)
        child = await img2img(parent["image_id"], "a purple triangle on white", denoise=0.6, seed=2, validate=False)
        info = await get_image_info(child["image_id"])
    assert info["parents"] == [parent["image_id"]]
    assert decode(Path(child["path"]).read_bytes()).tobytes() != decode(Path(parent["path"]).read_bytes()).tobytes()


async def test_the_validation_example_runs() -> None:
    checked, unchecked, strict, hopeless = await example("mcp_validation_example").main()
    assert checked["validation"]["passed"] is True
    assert "validation" not in unchecked
    assert len(strict["attempts"]) <= 5
    assert hopeless["validation"]["passed"] is False


async def test_the_contact_sheet_example_runs() -> None:
    sheets = example("contact_sheet")
    prompts = ["a red circle", "a blue square", "a green star", "a pink heart", "single red car"]
    page = decode(sheets.sheet(prompts, await sheets.drawn(prompts)))
    assert page.size == (980, 596)


async def test_the_animation_example_runs() -> None:
    sheets = example("animation")
    prompts = ["a red circle"]
    page = decode(sheets.sheet(prompts, await sheets.animated(prompts)))
    assert page.size[0] > 6 * 160


def example(name: str) -> Any:
    """An example as a module."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
