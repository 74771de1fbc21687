"""Twenty prompts with the choices that a practitioner would make, over a library of the seed's size."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import pytest

from tests.workflows.selection.library import loras, models
from workflows.families import lora_fits
from workflows.selection import Library, analyse, automatic_loras, rank_loras, rank_models
from workflows.types import RankedLora

ANIME = ("waiIllustrious", "hassakuXL", "novaAnimeXL", "Illustrious-XL")
PHOTO = ("flux1-krea", "realvisxl", "juggernautXL_ragnarok", "epicrealismXL", "z_image_turbo")
GENERAL = ("flux1-dev-fp8", "flux1-krea", "z_image_turbo", "qwen_image", "juggernautXL_ragnarok")
ART = ("dreamshaperXL", "artUniverse")


@dataclass(frozen=True)
class Row:
    """A prompt, and which models and LoRAs may be chosen for it, by the beginning of their names."""

    prompt: str
    models: tuple[str, ...]
    style: str | None = None
    quality: str = "balanced"
    wanted: tuple[str, ...] = ()
    """LoRAs that must be among those that are suggested."""
    never: tuple[str, ...] = ()
    memory: float | None = None


TABLE = [
    Row("a photo of a woman with pink hair walking through neon lights in tokyo, 35mm, portra 400", PHOTO,
        wanted=("neon_lights",), never=("sports_car", "pixel_art")),
    Row("1girl, solo, long_hair, blue_eyes, school_uniform, looking_at_viewer, masterpiece, best quality", ANIME,
        never=("hatsune", "lara", "yor")),
    Row("score_9, score_8_up, score_7_up, source_anime, elf girl with a bow in a forest",
        ("ponyDiffusionV6", "autismmix")),
    Row('a shop sign that says "OPEN 24 HOURS", rainy street', ("qwen_image",), never=("movie_poster",)),
    Row("cyberpunk city at night, (neon lights:1.3), flying cars, masterpiece, 8k", GENERAL, never=("desert", "cozy")),
    Row("pixel art of a knight fighting a dragon", ("pixelArtDiffusion",), wanted=("pixel_art", "dragon"),
        never=("low_poly", "sports_car")),
    Row("watercolor painting of a fox in autumn leaves", ART, wanted=("watercolor", "fox", "autumn_leaves"),
        never=("oil_painting", "cat")),
    Row("a cat on a windowsill", GENERAL, never=("fox", "owl")),
    Row("a cat on a windowsill", ("z_image_turbo", "flux1-schnell", "dreamshaperXL_light", "juggernautXL_rundiff"),
        quality="fast"),
    Row("portrait of an old fisherman with a white beard", PHOTO, style="photorealistic", quality="high",
        never=("emma", "tom-holland")),
    Row("hatsune miku singing on a stage, anime style", ANIME, wanted=("hatsune-miku",),
        never=("makima", "rem", "tifa")),
    Row("3d render of a cute robot, pixar style", ("toonPixar",), wanted=("mecha_robot",), never=("samurai",)),
    Row("interior of a modern villa, architecture photography, wide angle", ("architectureRealMix", *PHOTO),
        wanted=("cozy_interior",)),
    Row("score_9, score_8_up, photo of a woman in the rain, realistic", ("cyberrealisticPony", "ponyRealism")),
    Row("一只猫坐在窗台上，照片", ("qwen_image", "z_image_turbo")),
    Row("anthro wolf, furry, solo, forest, standing, looking at viewer", ("NoobAI-XL",), never=("fox",)),
    Row("manga panel, monochrome, samurai with a katana, screentone", ("mangaInk", *ANIME)),
    Row("a knight before a ruined castle", ART, style="dark fantasy art", wanted=("dark_fantasy",), never=("emma",)),
    Row("logo for a coffee shop, flat vector, the words 'Blue Bean'", ("qwen_image", "flux1-dev-fp8"), quality="ultra"),
    Row("photo of a red sports car on a coastal road, golden hour", ("realisticVision", "epicrealism_natural"),
        memory=4.0, wanted=("sports_car",), never=("motorcycle",)),
]  # fmt: skip


@cache
def library() -> Library:
    return Library([*models(), *loras()])


def chosen(row: Row) -> tuple[str, str, list[RankedLora]]:
    """Name and family of the model, and the LoRAs that are suggested for it."""
    analysis = analyse(row.prompt, row.style)
    best = rank_models(library(), analysis, quality=row.quality, memory_gb=row.memory)[0]
    info = next(info for info in models() if info.name == best.name)
    return best.name, best.family, rank_loras(library(), analysis, info)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.prompt[:36]}-{row.quality}")
def test_the_choice_is_one_that_a_practitioner_would_make(row: Row) -> None:
    model, family, found = chosen(row)
    assert model.startswith(row.models)
    names = [lora.name for lora in found]
    assert [wish for wish in row.wanted if not any(name.startswith(wish) for name in names)] == []
    assert [name for name in names if row.never and name.startswith(row.never)] == []
    assert [lora.name for lora in found if lora_fits(lora.family, family) == 0] == []


def test_most_prompts_get_no_lora_that_nobody_asked_for() -> None:
    taken = {row.prompt: [lora.name for lora in automatic_loras(chosen(row)[2])] for row in TABLE}
    assert all(len(names) <= 2 for names in taken.values())
    assert taken["a cat on a windowsill"] == []
    assert taken["portrait of an old fisherman with a white beard"] == []
    assert [name.rpartition("-")[0] for name in taken["hatsune miku singing on a stage, anime style"]] == [
        "hatsune-miku-illustrious"
    ]
    assert sum(not names for names in taken.values()) >= len(taken) / 2
