"""The seed of a workflow of the user's own, as it is told with what came of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.test_comfyui_engine import engine_on, silent, ticket
from tests.clients.test_comfyui_engine_flows import RECIPE, fake, given
from tests.workflows.flows.kit import PRIMITIVES, changed, node, portrait


@pytest.mark.parametrize(("known", "told"), [(None, 2**50), (5, None)])
async def test_a_seed_larger_than_a_recipe_takes_is_told_as_it_is(
    tmp_path: Path, known: int | None, told: int | None
) -> None:
    graph = changed(portrait(held=node("PrimitiveInt", value=2**50)), "sampler.seed", ["held", 0])
    graph = changed(graph, "loader.ckpt_name", "tiny.safetensors")
    async with fake() as comfy, engine_on(tmp_path, comfy.url) as engine:
        comfy.nodes.update(PRIMITIVES)
        (artifact,) = await engine.render(RECIPE.but(seed=known), given(graph), silent, ticket())
    assert artifact.facts.get("seed") == told
