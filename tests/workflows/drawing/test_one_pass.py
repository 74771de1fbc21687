"""LTX-2 without what its second pass needs: one pass at full size, and a note that says what is missing."""

import re
from dataclasses import replace

import pytest

from tests.workflows.drawing.test_videos import CASES
from tests.workflows.drawing.video_kit import FILES, asked, studio
from workflows.drawing.checking import problems
from workflows.drawing.drafting import draft, sampler_steps
from workflows.drawing.fitting import fit

NAMES = sorted(name for name in CASES if name.startswith("ltx2"))
SAID = r"in one pass .* needs ltx-2.*upscaler.* in the folder latent_upscale_models"


@pytest.mark.parametrize("name", NAMES)
def test_without_the_files_of_a_second_pass_one_is_drawn_at_full_size(name: str) -> None:
    model, task = CASES[name]
    inventory = studio(lacking=FILES["latent_upscale_models"])
    recipe = asked(model=model, task=task, width=640, height=384, frames=33)
    setup = fit(recipe, inventory)
    graph = draft(recipe, replace(setup, pictures={"source": "first.png"}))
    (sampler,) = graph.of_class("SamplerCustomAdvanced")
    (empty,) = graph.of_class("EmptyLTXVLatentVideo")
    assert problems(graph, inventory) == []
    assert [graph[empty].inputs[name] for name in ("width", "height", "length")] == [640, 384, 33]
    held = [graph[node].inputs["strength"] for node in graph.of_class("LTXVImgToVideoInplace")]
    assert held == ([1.0] if task == "img2vid" else [])
    assert sampler in graph.upstream("decode") & graph.upstream("heard")
    assert len(sampler_steps(graph)) == 1
    assert [note for note in setup.notes if re.search(SAID, note)] != []


def test_a_second_pass_without_its_own_lora_is_left_out_too() -> None:
    setup = fit(asked(model=CASES["ltx2"][0]), studio(lacking=["ltx-2-19b-distilled-lora-384.safetensors"]))
    assert "quick" not in setup.template.slots
    assert "in the folder loras" in setup.notes[-1]


def test_with_both_files_there_are_two_passes() -> None:
    recipe = asked(model=CASES["ltx2"][0])
    setup = fit(recipe, studio())
    assert len(sampler_steps(draft(recipe, setup))) == 2
    assert not [note for note in setup.notes if "one pass" in note]
