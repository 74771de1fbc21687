"""A picture of a batch made again alone: the fake must be right about it, and a real server must do it."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest

from clients.comfyui_client import ComfyUIClient
from clients.comfyui_engine import ComfyUIEngine
from tests.fakes import png
from tests.live.conftest import REAL
from utils.images import decode
from workflows.types import Media, Recipe, Ticket, new_id

ROUNDING = 1 if REAL else 0
"""Of 255: what larger matrices change, seen with ComfyUI 0.3.64 and 0.27.0 on a CPU."""
SOURCE = Media(data=png(72, 72), media_type="image/png")


@pytest.mark.parametrize("changes", [{}, {"task": "img2img", "source": "s"}], ids=["txt2img", "img2img"])
async def test_a_picture_of_a_batch_can_be_made_again_alone(
    url: str, client: ComfyUIClient, tmp_path: Path, changes: dict[str, Any]
) -> None:
    checkpoints = await client.model_sizes("checkpoints")
    if not checkpoints:
        pytest.skip("the server has no checkpoint")
    model = min(checkpoints, key=lambda name: checkpoints[name])
    recipe = Recipe(prompt="a red fox", model=model, steps=3, cfg=4.0, sampler="euler", **changes)
    inputs = {"source": SOURCE} if recipe.source else {}
    async with ComfyUIEngine([url], tmp_path) as engine:
        # An odd size in latents, where the noise of a whole batch is not that of its pictures.
        odd = 64 + (await engine.profile(recipe)).multiple
        recipe = recipe.but(width=odd, height=odd, seed=random.randrange(2**32))
        (first,) = await engine.render(recipe, inputs, lambda step: None, Ticket(id=new_id()))
        graph = (await engine.draft(recipe.but(count=3))).graph
        for node in graph.values():  # a draft has stand-ins for input pictures
            node["inputs"] |= {"image": loaded(first.facts["graph"])} if node["class_type"] == "LoadImage" else {}
        drawn = [(await client.view(file)).data for file in (await client.run(graph)).files]
        (last,) = await engine.render(recipe.but(batch_index=2), inputs, lambda step: None, Ticket(id=new_id()))
    apart = [await asyncio.to_thread(difference, one, other) for one, other in pairs(drawn, first, last)]
    assert max(apart[:2]) <= ROUNDING < apart[2]


def loaded(graph: dict[str, Any]) -> str:
    return next(node["inputs"]["image"] for node in graph.values() if node["class_type"] == "LoadImage")


def pairs(drawn: list[bytes], first: Any, last: Any) -> list[tuple[bytes, bytes]]:
    return [(drawn[0], first.media.data), (drawn[2], last.media.data), (drawn[0], drawn[2])]


def difference(one: bytes, other: bytes) -> int:
    """The largest of any channel."""
    from PIL import ImageChops

    apart = ImageChops.difference(decode(one).convert("RGB"), decode(other).convert("RGB"))
    return max(apart.tobytes())
