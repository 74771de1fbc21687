"""The memory plan: needs against measured figures, and the levers for the usual cards in a table."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workflows.families import families, family
from workflows.footprints import FOOTPRINTS, LIKE, UNKNOWN, footprint
from workflows.memory import (
    COURSES,
    HARD,
    LEVERS,
    SERVER_LEVERS,
    WORDS,
    Device,
    Need,
    Streaming,
    decoding_bytes,
    need_of,
    plan,
    sampling_bytes,
)
from workflows.types import MemoryPlan, Recipe

GB, GIB = 10**9, 2**30
LEVELS = ("none", "balanced", "aggressive")
CARDS = (4, 6, 8, 12, 16, 24, 80)
"""GiB on the box."""


def need(family_name: str, model: float, text_encoder: float, **more: Any) -> Need:
    """Decimal gigabytes; a VAE of 0.17."""
    sizes = {"model": round(model * GB), "text_encoder": round(text_encoder * GB), "vae": round(0.17 * GB)}
    return Need(family=family_name, **sizes, **more)


SD15 = need("sd15", 1.72, 0.25, width=512, height=512, precision="fp16", title="SD 1.5")
SDXL = need("sdxl", 5.14, 1.64, precision="fp16", title="SDXL")
SD35 = need("sd35-large", 16.3, 11.4, precision="fp16", title="SD 3.5 Large")
FLUX = need("flux-dev", 23.8, 10.0, guided=False, title="FLUX.1 dev")
FLUX_FP8 = need("flux-dev", 11.9, 5.15, guided=False, precision="fp8", title="FLUX.1 dev")
QWEN_FP8 = need("qwen-image", 20.4, 9.35, width=1328, height=1328, precision="fp8", title="Qwen-Image")
Z_IMAGE = need("z-image", 12.3, 8.05, title="Z-Image")
WAN_FP8 = need("wan22-14b", 28.6, 6.74, width=640, height=640, frames=81, precision="fp8", title="Wan 2.2 14B")


def card(gib: float, *, streaming: Streaming = "dynamic", **more: Any) -> Device:
    """A card of that size with nothing else on it, in a machine or server of today."""
    size = gib * GIB / GB
    return Device(name=f"{gib:g} GB", total_gb=size, free_gb=size, streaming=streaming, **more)


def told(planned: MemoryPlan) -> str:
    return " ".join([planned.level, *planned.levers, str(planned.peak_gb)])


# ------------------------------------------------------------------ what is needed


def test_flux_takes_what_was_measured() -> None:
    """36.2 GiB at its peak on an H100 (Hugging Face, diffusers-quantization)."""
    assert plan(FLUX, card(80), engine="diffusers").need_gb == pytest.approx(36.2 * GIB / GB, rel=0.01)


@pytest.mark.parametrize(("taken", "share"), [(QWEN_FP8, 0.86), (WAN_FP8, 0.84)])
def test_a_server_takes_what_was_measured_on_24_gb(taken: Need, share: float) -> None:
    """Shares of a 4090's memory, as the notes of ComfyUI's own templates have them."""
    planned = plan(taken, card(24), engine="comfyui")
    assert planned.available_gb is not None
    assert planned.need_gb / planned.available_gb == pytest.approx(share, abs=0.02)


def test_sampling_and_decoding_are_comfyuis_own_estimates() -> None:
    assert sampling_bytes(SDXL, card(8)) == pytest.approx(524 * 2**20, rel=0.01)
    assert sampling_bytes(SDXL, card(8), pair=False) == pytest.approx(262 * 2**20, rel=0.01)
    assert decoding_bytes(SDXL, card(8)) == 2178 * 1024 * 1024 * 2
    assert decoding_bytes(SDXL, card(8, bf16=False)) == 2178 * 1024 * 1024 * 4
    assert decoding_bytes(SDXL, card(8), tiled=True) == 2178 * 512 * 512 * 2
    assert decoding_bytes(replace(SDXL, batch=4), card(8)) == 4 * decoding_bytes(SDXL, card(8))


def test_a_video_is_sampled_whole_and_decoded_in_chunks() -> None:
    still = replace(WAN_FP8, frames=1)
    assert sampling_bytes(WAN_FP8, card(24)) == pytest.approx(21 * sampling_bytes(still, card(24)), rel=1e-6)
    assert decoding_bytes(WAN_FP8, card(24)) == decoding_bytes(still, card(24)) == 7000 * 640 * 640 * 2


@pytest.mark.parametrize(
    ("name", "like"),
    [
        ("noobai-vpred", "sdxl"),
        ("sd15-anime", "sd15"),
        ("flux-kontext", "flux"),
        ("flux2-klein-base", "flux2-klein"),
        ("flux2-klein-base-9b", "flux2-klein-9b"),
        ("flux2-dev", "flux2"),
        ("pony", "sdxl"),
        ("wan21-14b", "wan"),
        ("qwen-image-edit", "qwen-image"),
        ("qwen-image-21", "qwen-image-21"),
        ("sd35-turbo", "sd35"),
        ("sd35-medium", "sd35-medium"),
        ("z-image-turbo", "z-image"),
    ],
)
def test_families_weigh_like_their_kin(name: str, like: str) -> None:
    assert footprint(name) is FOOTPRINTS[like]


NOBODY_WEIGHED = {"demo", "unknown", "stable-cascade", "sana", "hidream-o1", "seedvr2"}


def test_every_family_has_a_footprint_but_those_that_nobody_weighed() -> None:
    assert {name for name in families() if footprint(name) is UNKNOWN} <= NOBODY_WEIGHED
    assert {*LIKE.values()} <= {*FOOTPRINTS}
    assert footprint("somebody-elses-9000") is UNKNOWN


def test_two_experts_are_two_files_of_which_one_is_at_work() -> None:
    assert footprint("wan22-14b").model == 2 * footprint("wan").model
    taken = replace(WAN_FP8, text_encoder=0)
    assert plan(taken, card(24), engine="comfyui") == plan(WAN_FP8, card(24), engine="comfyui")
    assert WAN_FP8.at_once == 14_300_000_000


def test_a_checkpoint_is_taken_apart_by_its_familys_usual_companions() -> None:
    parts = ("model", "text_encoder", "vae")
    taken = need_of(6_940_000_000, family("sdxl"), Recipe(prompt="a"), parts=parts, precision="fp16")
    assert (taken.model, taken.text_encoder, taken.vae) == (5_130_000_000, 1_640_000_000, 170_000_000)
    assert (taken.width, taken.height, taken.guided, taken.precision) == (1024, 1024, True, "fp16")


def test_full_precision_is_halved_when_it_is_loaded_and_eight_bits_are_doubled_where_the_engine_does_so() -> None:
    recipe = Recipe(prompt="a", width=512, height=768, cfg=1.0, count=2)
    full = need_of(8_000_000_000, family("sd35-large"), recipe, precision="fp32")
    cast = need_of(8_000_000_000, family("flux-dev"), recipe, precision="fp8", held="bf16")
    assert (full.model, full.precision, full.guided, full.batch) == (4_000_000_000, "fp16", False, 2)
    assert (cast.model, cast.precision, cast.size) == (16_000_000_000, "bf16", "512x768, 2 at once")


def test_what_is_known_of_the_other_files_counts_and_an_unknown_size_is_the_usual_one() -> None:
    known = {"text_encoder": 5 * GB, "vae": GB}
    taken = need_of(None, family("flux-dev"), Recipe(prompt="a"), components=known)
    assert (taken.model, taken.text_encoder, taken.vae) == (23_800_000_000, 5 * GB, GB)
    assert taken.guided is False  # its guidance is distilled: a cfg above 1 draws nothing twice


# ------------------------------------------------------------------ the plan, by card

IN_PROCESS = """
          4 GB             6 GB           8 GB         12 GB           16 GB           24 GB         80 GB
SD15      none 3.7       | none 3.7     | none 3.7   | none 3.7      | none 3.7      | none 3.7    | none 3.7
SDXL      hard t g 1.9   | soft m 6.4   | soft t 8.5 | none 11.9     | none 11.9     | none 11.9   | none 11.9
SD35      hard t g 3.3   | hard g 5.2   | hard g 5.2 | soft f m 12.7 | soft f m 12.7 | soft m 17.6 | none 32.9
FLUX      hard t f g 3.4 | hard g 5.2   | hard g 5.2 | hard g 5.2    | soft f m 17.0 | soft m 25.3 | none 39.0
FLUX_FP8  hard t g 3.0   | hard g 5.2   | hard g 5.2 | hard g 5.2    | soft m 13.4   | none 22.2   | none 22.2
QWEN_FP8  hard t g 4.0   | hard t g 4.0 | hard g 8.3 | hard g 8.3    | hard g 8.3    | soft m 21.9 | none 38.1
Z_IMAGE   hard t g 3.9   | hard g 5.2   | hard g 5.2 | soft f m 10.3 | soft m 14.6   | none 25.5   | none 25.5
WAN_FP8   hard s 7.3 !   | hard s 7.3 ! | hard s 7.3 | hard g 8.7    | hard g 8.7    | soft m 21.2 | none 42.4
"""
"""Level (soft: balanced, hard: aggressive), levers (t tiles, f fp8, m model, g group, s sequential offload), GB at the
peak; ! for what will probably not fit."""
SERVED = """
          4 GB         6 GB         8 GB       12 GB       16 GB       24 GB       80 GB
SD15      none 3.0   | none 3.0   | none 3.0 | none 3.0  | none 3.0  | none 3.0  | none 3.0
SDXL      soft t 4.3 | none 6.4   | none 6.4 | none 6.4  | none 6.4  | none 6.4  | none 6.4
SD35      hard t 4.3 | hard 6.4   | hard 8.6 | soft 12.9 | soft 17.2 | none 17.6 | none 17.6
FLUX      hard t 4.3 | hard 6.4   | hard 8.6 | soft 12.9 | soft 17.2 | none 25.3 | none 25.3
FLUX_FP8  hard t 4.3 | hard 6.4   | soft 8.6 | soft 12.9 | none 13.4 | none 13.4 | none 13.4
QWEN_FP8  hard t 4.3 | hard t 6.4 | hard 8.6 | soft 12.9 | soft 17.2 | none 21.9 | none 21.9
Z_IMAGE   hard t 4.3 | hard 6.4   | soft 8.6 | soft 12.9 | none 13.7 | none 13.7 | none 13.7
WAN_FP8   hard 7.8 ! | hard 7.8 ! | hard 8.6 | soft 12.9 | soft 17.2 | none 21.2 | none 21.2
"""
"""The same for a ComfyUI that streams weights: what is streamed fills the card."""
SHORT = {
    "soft": "balanced",
    "hard": "aggressive",
    "f": "fp8_layerwise",
    "m": "model_offload",
    "g": "group_offload",
    "s": "sequential_offload",
}
MODELS = {
    "SD15": SD15,
    "SDXL": SDXL,
    "SD35": SD35,
    "FLUX": FLUX,
    "FLUX_FP8": FLUX_FP8,
    "QWEN_FP8": QWEN_FP8,
    "Z_IMAGE": Z_IMAGE,
    "WAN_FP8": WAN_FP8,
}


def rows(table: str) -> list[tuple[str, list[str]]]:
    lines = table.strip().splitlines()[1:]
    return [(line.split()[0], [cell.strip() for cell in line.split(maxsplit=1)[1].split("|")]) for line in lines]


@pytest.mark.parametrize(("model", "cells"), rows(IN_PROCESS))
def test_in_this_process_each_model_is_fitted_into_each_card(model: str, cells: list[str]) -> None:
    _check(model, cells, "diffusers", {**SHORT, "t": "vae_tiling"})


@pytest.mark.parametrize(("model", "cells"), rows(SERVED))
def test_on_a_server_each_model_is_fitted_into_each_card(model: str, cells: list[str]) -> None:
    _check(model, cells, "comfyui", {**SHORT, "t": "vae_tiled"})


def _check(model: str, cells: list[str], engine: str, words: dict[str, str]) -> None:
    planned = [plan(MODELS[model], card(gib), engine=engine) for gib in CARDS]
    expected = [" ".join(words.get(word, word) for word in cell.removesuffix(" !").split()) for cell in cells]
    assert [told(one) for one in planned] == expected
    assert ["probably not fit" in one.reason for one in planned] == [cell.endswith("!") for cell in cells]


SHOULD_RUN = {
    "comfyui": {4: "SD15 SDXL", 6: "SDXL", 8: "SDXL Z_IMAGE", 12: "FLUX_FP8 Z_IMAGE WAN_FP8", 16: "FLUX_FP8 WAN_FP8",
                24: "FLUX QWEN_FP8 WAN_FP8", 80: "SD35 FLUX QWEN_FP8 Z_IMAGE WAN_FP8"},
    "diffusers": {4: "SD15", 6: "SDXL", 8: "SDXL", 12: "Z_IMAGE", 16: "FLUX_FP8", 24: "FLUX QWEN_FP8", 80: "FLUX"},
}  # fmt: skip
"""What practitioners draw with on such cards (models.md, plan per VRAM)."""


@pytest.mark.parametrize("engine", SHOULD_RUN)
def test_what_runs_in_practice_is_not_refused(engine: str) -> None:
    for gib, models in SHOULD_RUN[engine].items():
        for model in models.split():
            planned = plan(MODELS[model], card(gib), engine=engine)
            assert planned.available_gb is not None
            assert planned.peak_gb <= planned.available_gb, (gib, model, planned.reason)


# ------------------------------------------------------------------ what is given up first


def test_quality_says_whether_precision_or_speed_goes_first() -> None:
    levers = {quality: plan(Z_IMAGE, card(12), engine="diffusers", quality=quality).levers for quality in COURSES}
    assert levers == {
        "fast": ("fp8_layerwise", "model_offload"),
        "balanced": ("fp8_layerwise", "model_offload"),
        "high": ("group_offload",),
        "ultra": ("group_offload",),
    }
    assert plan(FLUX, card(48 * 0.66), engine="diffusers", quality="fast").levers == ("fp8_layerwise",)
    assert plan(FLUX, card(48 * 0.66), engine="diffusers").levers == ("model_offload",)


def test_ultra_never_gives_up_precision() -> None:
    for gib in CARDS:
        for engine in ("diffusers", "comfyui"):
            planned = plan(FLUX, card(gib, streaming=""), engine=engine, quality="ultra")
            assert not {"fp8_layerwise", "weight_dtype_fp8"} & {*planned.levers}


def test_a_unet_and_a_file_in_eight_bits_already_are_not_cast() -> None:
    for taken in (SDXL, FLUX_FP8):
        assert not any("fp8" in lever for gib in CARDS for lever in plan(taken, card(gib), engine="diffusers").levers)


def test_several_pictures_are_decoded_one_by_one() -> None:
    four = replace(SDXL, batch=4)
    assert plan(four, card(16), engine="diffusers").levers == ("vae_slicing",)
    assert plan(replace(four, width=512, height=512), card(8), engine="diffusers").levers[0] == "vae_slicing"


def test_attention_is_sliced_only_where_it_is_not_efficient_already() -> None:
    old = card(10, flash=False, bf16=False)
    assert told(plan(SDXL, old, engine="diffusers")) == "balanced vae_tiling attention_slicing 9.7"
    assert not any("attention_slicing" in plan(SDXL, card(gib), engine="diffusers").levers for gib in CARDS)


def test_offloading_needs_memory_to_offload_to() -> None:
    planned = plan(FLUX, card(24, ram_free_gb=16.0), engine="diffusers")
    assert planned.levers == ("vae_tiling",)
    assert planned.level == "aggressive"
    assert "Offloading takes 34.0 GB of RAM, 16.0 GB are free." in planned.reason
    assert plan(FLUX, card(24, ram_free_gb=40.0), engine="diffusers").levers == ("model_offload",)


def test_one_memory_for_all_has_nowhere_to_offload_to() -> None:
    apple = Device(kind="mps", total_gb=16.0, free_gb=10.0, flash=False)
    assert told(plan(SDXL, apple, engine="diffusers")) == "balanced vae_tiling attention_slicing 9.4"
    too_small = plan(FLUX, apple, engine="diffusers")
    assert (too_small.level, too_small.levers) == ("aggressive", ("vae_tiling", "attention_slicing"))
    assert plan(SDXL, replace(apple, free_gb=None), engine="diffusers").available_gb == 11.2
    assert plan(SDXL, apple, engine="comfyui").available_gb == 11.2


def test_a_processor_draws_plainly_until_its_memory_is_short() -> None:
    processor = Device(kind="cpu", ram_free_gb=24.0)
    assert told(plan(SD15, processor, engine="diffusers")) == "none 4.8"
    slow = "it fits as it is. It draws on the CPU, which is slow: minutes for a picture."
    assert plan(SD15, processor, engine="diffusers").reason.endswith(slow)
    small = replace(SD15, model=10**8, text_encoder=0, vae=0)
    assert plan(small, processor, engine="diffusers").reason.endswith("it fits as it is.")
    short = plan(SDXL, replace(processor, ram_free_gb=8.0), engine="diffusers")
    assert (short.level, short.need_gb, short.peak_gb, short.available_gb) == ("aggressive", 16.5, 9.7, 8.0)
    assert short.reason == (
        "SDXL needs 16.5 GB at 1024x1024, 8.0 GB of memory are free: even with decoding in tiles it takes 9.7 GB, "
        "so it will probably not fit. Take a smaller model, or a file of this one in fewer bits (fp8, int8, GGUF)."
    )


# ------------------------------------------------------------------ a server's own ways


def test_a_server_that_streams_keeps_its_precision_and_one_that_cannot_does_not() -> None:
    able: dict[str, Any] = {"fp8": True, "encoder_on_cpu": True}
    assert plan(FLUX, card(12, **able), engine="comfyui").levers == ()
    assert plan(FLUX, card(12, **able, streaming="estimated"), engine="comfyui", quality="high").levers == ()
    fast = plan(FLUX, card(16, **able, streaming="estimated"), engine="comfyui", quality="fast")
    assert (fast.levers, fast.level) == (("weight_dtype_fp8",), "aggressive")
    assert plan(FLUX, card(16, **able), engine="comfyui", quality="fast").levers == ()
    resident = plan(FLUX, card(16, **able, streaming=""), engine="comfyui")
    assert resident.levers == ("vae_tiled", "text_encoder_cpu", "weight_dtype_fp8")


def test_a_lever_that_the_server_lacks_is_not_planned() -> None:
    lacking = card(24, fp8=False, encoder_on_cpu=False, streaming="")
    planned = plan(FLUX, lacking, engine="comfyui")
    assert planned.levers == ("vae_tiled",)
    assert "probably not fit" in planned.reason


def test_a_server_is_planned_by_its_whole_memory_and_this_process_by_what_is_free() -> None:
    busy = replace(card(12), free_gb=2.0)
    assert plan(SDXL, busy, engine="comfyui").level == "none"
    assert plan(SDXL, busy, engine="diffusers").available_gb == 2.0


def test_fewer_at_once_is_the_last_that_is_chosen() -> None:
    many = replace(FLUX, batch=8, width=2048, height=2048)
    planned = plan(many, card(16, fp8=False), engine="comfyui")
    assert planned.levers == ("vae_tiled", "smaller_batch")


# ------------------------------------------------------------------ promises


def test_the_reason_is_a_sentence_with_the_arithmetic() -> None:
    reasons = [plan(SDXL, card(gib), engine="diffusers").reason for gib in (4, 6, 12)]
    assert reasons == [
        "SDXL needs 11.9 GB at 1024x1024, 4.3 GB are free: decoding in tiles and group offload bring it to 1.9 GB.",
        "SDXL needs 11.9 GB at 1024x1024, 6.4 GB are free: model offload brings it to 6.4 GB.",
        "SDXL needs 11.9 GB at 1024x1024, 12.9 GB are free: it fits as it is.",
    ]
    assert plan(FLUX, card(12), engine="comfyui").reason == (
        "FLUX.1 dev needs 25.3 GB at 1024x1024, the GPU has 12.9 GB: ComfyUI streams what does not fit while it draws."
    )


def test_a_server_with_less_ram_than_the_files_is_said_to_be_slow() -> None:
    words = "The files take 34.0 GB, its machine has 34.0 GB of RAM: it reads them anew from the disk, which is slow."
    assert plan(FLUX, card(12, ram_free_gb=34.0), engine="comfyui").reason.endswith(f"while it draws. {words}")
    assert plan(FLUX, card(12, ram_free_gb=38.0), engine="comfyui").reason.endswith("while it draws.")


def test_what_cannot_fit_is_told_what_would() -> None:
    assert plan(WAN_FP8, card(6), engine="diffusers").reason.endswith("512x512, 81 frames would.")
    tiny = plan(FLUX, card(1), engine="diffusers").reason
    assert tiny.endswith("Take a smaller model, or a file of this one in fewer bits (fp8, int8, GGUF).")
    several = replace(SDXL, batch=4, width=2048, height=2048)
    told_of = plan(several, Device(kind="cpu", ram_free_gb=22.0), engine="diffusers").reason
    assert told_of.endswith("2048x2048 would.")


def test_a_device_that_does_not_tell_is_drawn_on_plainly() -> None:
    assert plan(FLUX, Device(name="somebody's GPU"), engine="diffusers") == MemoryPlan(
        level="none",
        need_gb=39.0,
        peak_gb=39.0,
        available_gb=None,
        device="somebody's GPU",
        reason="FLUX.1 dev needs 39.0 GB at 1024x1024; somebody's GPU does not tell how much it has.",
    )


def test_every_lever_has_words() -> None:
    assert {*WORDS} >= HARD
    assert {*WORDS} >= {lever for courses in COURSES.values() for course in courses for lever in course}


NEEDS = st.builds(
    need,
    st.sampled_from([*FOOTPRINTS]),
    st.floats(0.5, 60),
    st.floats(0, 30),
    width=st.integers(8, 256).map(lambda cells: cells * 8),
    height=st.integers(8, 256).map(lambda cells: cells * 8),
    batch=st.integers(1, 8),
    frames=st.sampled_from([1, 33, 81, 121]),
    guided=st.booleans(),
    precision=st.sampled_from(["fp16", "bf16", "fp8", "int4"]),
)
DEVICES = st.builds(
    Device,
    kind=st.sampled_from(["cuda", "mps", "cpu"]),
    fp8=st.booleans(),
    bf16=st.booleans(),
    flash=st.booleans(),
    encoder_on_cpu=st.booleans(),
    streaming=st.sampled_from(["", "estimated", "dynamic"]),
)


@settings(deadline=None, max_examples=150)
@given(
    taken=NEEDS,
    device=DEVICES,
    sizes=st.lists(st.floats(0.5, 100), min_size=2, max_size=6).map(sorted),
    ram=st.one_of(st.none(), st.floats(1, 200)),
    engine=st.sampled_from(["diffusers", "comfyui"]),
    quality=st.sampled_from([*COURSES]),
)
def test_more_memory_never_gives_a_harsher_plan(
    taken: Need, device: Device, sizes: list[float], ram: float | None, engine: str, quality: str
) -> None:
    def on(size: float) -> MemoryPlan:
        has = size if device.kind == "cpu" else ram
        return plan(
            taken, replace(device, total_gb=size, free_gb=size, ram_free_gb=has), engine=engine, quality=quality
        )

    planned = [on(size) for size in sizes]
    levels = [LEVELS.index(one.level) for one in planned]
    assert levels == sorted(levels, reverse=True)
    fitting = [one for one in planned if "probably not fit" not in one.reason]
    felt = [len(HARD & {*one.levers}) for one in fitting]
    assert felt == sorted(felt, reverse=True)
    for one in planned:
        available = one.available_gb or 0.0
        assert one.peak_gb <= available + 0.1 if one in fitting else one.peak_gb >= available - 0.1
        assert one.need_gb >= one.peak_gb
        assert sum(lever.endswith("_offload") for lever in one.levers) <= 1
        names = SERVER_LEVERS if engine == "comfyui" and device.kind != "cpu" else LEVERS
        assert list(one.levers) == [lever for lever in names if lever in one.levers]
