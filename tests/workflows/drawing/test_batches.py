"""How many pictures go into one prompt, and which samplers let one of them be made again alone."""

from dataclasses import replace
from typing import Any

import pytest

from tests.workflows.drawing import video_kit
from tests.workflows.drawing.golden import inventory
from workflows.drawing.batches import STEADY, at_once
from workflows.drawing.fitting import fit
from workflows.types import Recipe, Reference

GIB = 2**30
MODEL = "v1-5-pruned-emaonly.safetensors"
FOUR = Recipe(prompt="a red fox", model=MODEL, width=1024, height=1024, count=4)


def asked(recipe: Recipe, memory: int | None = 24 * GIB, weights: int | None = 4 * GIB, **more: Any) -> int:
    sizes = {} if weights is None else {("checkpoints", MODEL): weights}
    stock = replace(inventory(), sizes=sizes)
    return at_once(recipe, replace(fit(recipe, stock), **more), stock, memory)


@pytest.mark.parametrize(("memory", "count"), [(8, 1), (10, 1), (11, 2), (13, 3), (24, 4), (141, 4)])
def test_as_many_as_fit_beside_the_model(memory: int, count: int) -> None:
    assert asked(FOUR, memory * GIB) == count


def test_smaller_pictures_are_more_at_once() -> None:
    assert (asked(FOUR, 8 * GIB), asked(FOUR.but(width=512, height=512), 8 * GIB)) == (1, 4)


def test_a_model_of_unknown_size_is_taken_for_half_of_the_memory() -> None:
    assert (asked(FOUR, 8 * GIB, None), asked(FOUR, 16 * GIB, None)) == (1, 2)


def test_without_a_gpu_pictures_are_drawn_one_by_one() -> None:
    assert asked(FOUR, None) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"sampler": "euler_a"},
        {"sampler": "dpm_adaptive"},
        {"sampler": "dpmpp_2m_sde"},
        {"count": 1},
        {"task": "upscale", "method": "diffusion", "source": "s"},
    ],
    ids=str,
)
def test_what_could_not_be_made_again_alone_is_not_drawn_in_a_batch(changes: dict[str, Any]) -> None:
    assert asked(FOUR.but(**changes)) == 1


def test_what_packs_of_others_take_part_in_is_not_drawn_in_a_batch() -> None:
    assert asked(FOUR, finish={"transparent": "cut_out"}) == 1
    referred = FOUR.but(references=(Reference(image="r"),))
    stock = replace(inventory(), sizes={("checkpoints", MODEL): 4 * GIB})
    assert at_once(referred, fit(FOUR, stock), stock, 24 * GIB) == 1


def test_a_server_without_the_node_for_places_draws_one_by_one() -> None:
    stock = inventory()
    old = replace(stock, classes={name: node for name, node in stock.classes.items() if name != "LatentFromBatch"})
    assert at_once(FOUR, fit(FOUR, old), old, 24 * GIB) == 1


def test_steady_samplers_are_spelled_as_comfyui_spells_them() -> None:
    assert set(inventory().choices("KSampler", "sampler_name")) >= STEADY


def test_videos_are_made_one_by_one() -> None:
    here = video_kit.studio()
    recipe = video_kit.asked(model="wan2.1_t2v_1.3B_fp16", count=4)
    assert at_once(recipe, fit(recipe, here), here, 500 * GIB) == 1
