"""Pairs of files: which half one is, and which is its twin."""

import pytest

from tests.workflows.drawing.video_kit import asked, studio
from workflows.drawing.fitting import fit
from workflows.drawing.halves import half_of, twin_name, twin_of
from workflows.types import LoraUse


@pytest.mark.parametrize(
    ("name", "half"),
    [
        ("wan2.2_t2v_high_noise_14B_fp8_scaled.safetensors", "high"),
        ("Wan2_2-I2V-A14B-LOW_fp8.safetensors", "low"),
        ("Wan2.2-T2V-A14B-HighNoise-Q4.gguf", "high"),
        ("smoothMix_Wan2214B_i2vHigh.safetensors", "high"),
        ("slowmotion_flow.safetensors", ""),
        ("highlights.safetensors", ""),
    ],
)
def test_the_name_tells_the_half(name: str, half: str) -> None:
    assert half_of(name) == half


def test_the_twin_of_the_same_number_format_is_preferred() -> None:
    offered = ["wan_low_noise_fp16.safetensors", "wan_low_noise_fp8.safetensors", "wan_high_noise_fp8.safetensors"]
    assert twin_of("wan_high_noise_fp8.safetensors", offered) == "wan_low_noise_fp8.safetensors"
    assert twin_of("wan_high_noise_bf16.safetensors", offered) == "wan_low_noise_fp16.safetensors"
    assert twin_of("other_high_noise.safetensors", offered) is None
    assert twin_name("wan_high_noise_fp8.safetensors") == "wan_low_noise_fp8.safetensors"


def test_two_named_halves_are_used_once_each() -> None:
    loras = tuple(LoraUse(name=f"wan22_arcane_style_{half}_noise") for half in ("high", "low"))
    setup = fit(asked(model="wan2.2_t2v_high_noise_14B_fp8_scaled", quality="high", loras=loras), studio())
    assert [len(setup.loras), len(setup.loras_2)] == [1, 1]
