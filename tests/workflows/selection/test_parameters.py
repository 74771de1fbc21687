"""Steps, guidance and the rest that suit a model, and the words that wake LoRAs."""

from __future__ import annotations

from typing import Any

import pytest

from tests.workflows.selection.library import model
from workflows.completion import steps_for
from workflows.families import family
from workflows.selection import analyse, defaults_for, with_triggers
from workflows.types import MAX_PROMPT, LoraUse, ModelDefaults, Quality


def fields(of: str, quality: Quality = "balanced", *loras: LoraUse, prompt: str = "", **own: Any) -> dict[str, Any]:
    info = model("m.safetensors", family=of, defaults=ModelDefaults(**own))
    analysis = analyse(prompt) if prompt else None
    return defaults_for(info, family(of).profile, quality, loras=loras, analysis=analysis)[0]


def test_the_files_own_settings_come_first_and_the_reason_is_told() -> None:
    own = ModelDefaults(steps=32, cfg=4.5, sampler="dpmpp_2m_sde", scheduler="karras", clip_skip=2)
    found = defaults_for(model("m.safetensors", defaults=own), family("sdxl").profile, "balanced")
    assert found == (
        {"steps": 32, "cfg": 4.5, "sampler": "dpmpp_2m_sde", "scheduler": "karras", "clip_skip": 2},
        ("Steps, cfg, sampler, scheduler and clip_skip as the model's own pictures have them.",),
    )


def test_a_file_that_says_nothing_gets_its_familys_and_no_reason() -> None:
    assert defaults_for(model("m.safetensors"), family("sdxl").profile, "balanced") == ({"steps": 28, "cfg": 6.0}, ())


@pytest.mark.parametrize(
    ("steps", "by_quality"),
    [(28, [17, 28, 39, 56]), (50, [30, 50, 70, 100]), (4, [4, 4, 6, 6]), (8, [8, 8, 11, 12]), (90, [54, 90, 100, 100])],
)
def test_quality_counts_on_the_steps_but_never_below_what_a_distilled_model_needs(
    steps: int, by_quality: list[int]
) -> None:
    assert [steps_for(steps, quality) for quality in ("fast", "balanced", "high", "ultra")] == by_quality
    assert [fields("sdxl", quality, steps=steps)["steps"] for quality in ("fast", "high")] == by_quality[::2]


@pytest.mark.parametrize(
    ("of", "said", "used"),
    [
        ("flux-dev", 1.0, 3.5),
        ("flux-dev", 2.2, 2.2),
        ("flux-krea", 30.0, 3.5),
        ("z-image-turbo", 7.0, 1.0),
        ("sdxl-lightning", 2.0, 2.0),
        ("sdxl", 2.0, 2.0),
        ("sdxl", 0.0, 6.0),
        ("qwen-image", 1.0, 1.0),
    ],
)
def test_guidance_that_cannot_be_meant_is_not_taken_over(of: str, said: float, used: float) -> None:
    assert fields(of, cfg=said)["cfg"] == used


def test_what_the_prompt_suggests_counts_where_the_file_is_silent_and_the_model_not_distilled() -> None:
    wish = "quick sketch of a castle, cfg 5"
    assert fields("sdxl", prompt=wish) == fields("sdxl", "ultra", prompt=wish) == {"steps": 15, "cfg": 5.0}
    assert fields("sdxl", prompt=wish, steps=40) == {"steps": 40, "cfg": 6.0}
    assert fields("z-image-turbo", prompt=wish) == {"steps": 8, "cfg": 1.0}


@pytest.mark.parametrize(
    ("of", "name", "found"),
    [
        ("sdxl", "sdxl_lightning_4step_lora", {"steps": 4, "cfg": 1.0, "sampler": "euler", "scheduler": "sgm_uniform"}),
        ("sdxl", "speed/dmd2_sdxl_4step_lora", {"steps": 4, "cfg": 1.0, "sampler": "lcm", "scheduler": "sgm_uniform"}),
        ("sd15", "lcm-lora-sdv1-5", {"steps": 8, "cfg": 1.5, "sampler": "lcm", "scheduler": "sgm_uniform"}),
        ("sdxl", "Hyper-SDXL-8steps-lora", {"steps": 8, "cfg": 1.0, "sampler": "euler", "scheduler": "sgm_uniform"}),
        ("flux-dev", "Hyper-FLUX.1-dev-16steps-lora", {"steps": 16, "cfg": 3.5}),
        ("flux-dev", "FLUX.1-Turbo-Alpha", {"steps": 8, "cfg": 3.5}),
        ("qwen-image", "Qwen-Image-Lightning-8steps-V1.1", {"steps": 8, "cfg": 1.0}),
        ("wan22-14b", "wan2.2_t2v_lightx2v_4steps_lora_v1.1_high_noise", {"steps": 4, "cfg": 1.0}),
    ],
)
def test_a_speed_lora_decides_steps_and_guidance_at_any_quality(of: str, name: str, found: dict[str, Any]) -> None:
    use = LoraUse(name=f"{name}.safetensors")
    assert fields(of, "ultra", use, steps=40, cfg=7.0) == found
    assert fields(of, "ultra", use.but(strength=0.1), steps=40)["steps"] == 80


@pytest.mark.parametrize(
    "name", ["turbo_car_xl", "lightning bolts", "hyperrealism", "dmdragon", "falcon_lcmd", "hyper-detail"]
)
def test_a_lora_that_only_sounds_quick_changes_nothing(name: str) -> None:
    quick = name == "lightning bolts"
    assert (fields("sdxl", "balanced", LoraUse(name=f"{name}.safetensors")) != {"steps": 28, "cfg": 6.0}) is quick


def use(*triggers: str, strength: float = 1.0) -> LoraUse:
    return LoraUse(name="x.safetensors", strength=strength, triggers=triggers)


@pytest.mark.parametrize(
    ("prompt", "loras", "drawn"),
    [
        ("a ship", [use("pixel art")], "a ship, pixel art"),
        ("a Pixel_Art ship", [use("pixel art")], "a Pixel_Art ship"),
        ("a ship, ", [use("pxl, 16 bit"), use("PXL", "retro")], "a ship, pxl, 16 bit, retro"),
        ("a ship", [use("score_9, ship, score_8_up, sail")], "score_9, score_8_up, a ship, sail"),
        ("score_9, a ship", [use("score_9")], "score_9, a ship"),
        ("a shipyard", [use("ship")], "a shipyard, ship"),
        ("a ship", [use("off", strength=0.0)], "a ship"),
        ("a ship", [use(" , ", "")], "a ship"),
        ("a ship", [], "a ship"),
        ("", [use("pixel art")], ""),
        ("miku \\(vocaloid\\)", [use("miku (vocaloid)")], "miku \\(vocaloid\\)"),
    ],
)
def test_triggers_are_added_once_and_only_where_the_prompt_lacks_them(
    prompt: str, loras: list[LoraUse], drawn: str
) -> None:
    assert with_triggers(prompt, loras) == drawn
    assert with_triggers(drawn, loras) == drawn


def test_triggers_never_crowd_out_the_prompt() -> None:
    many = [use(*(f"word{n} of lora {m}" for n in range(20))) for m in range(8)]
    assert len(with_triggers("a ship", many)) <= 700
    full = "a" * (MAX_PROMPT - 5)
    assert len(with_triggers(full, many)) <= MAX_PROMPT
