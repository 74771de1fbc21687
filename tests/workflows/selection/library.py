"""A collector's library as plain values: 45 models that people know by these names, and thousands of LoRAs for them."""

from __future__ import annotations

import random
from functools import cache
from typing import Any

from workflows.types import ModelDefaults, ModelFacts, ModelInfo, TrackRecord

MODELS = """
illustrious | waiIllustriousSDXL_v140 | WAI-illustrious-SDXL | anime, base model, character, girls | 980000 | 6.9
illustrious | hassakuXLIllustrious_v22 | Hassaku XL (Illustrious) | anime, base model, style | 610000 | 6.9
illustrious | Illustrious-XL-v1.0 | Illustrious XL | anime, base model, illustration | 340000 | 6.9
illustrious | novaAnimeXL_ilV80 | Nova Anime XL | anime, base model, 2d | 450000 | 6.9
illustrious | mangaInkIL_v3 | Manga Ink IL | manga, monochrome, comic | 31000 | 6.9
noobai | NoobAI-XL-v1.1 | NoobAI-XL (NAI-XL) | anime, base model, furry | 290000 | 6.9
noobai-vpred | NoobAI-XL-Vpred-v1.0 | NoobAI-XL v-pred | anime, base model | 180000 | 6.9
pony | ponyDiffusionV6XL_v6StartWithThis | Pony Diffusion V6 XL | anime, cartoon, furry, base model | 1450000 | 6.9
pony | autismmixSDXL_autismmixConfetti | AutismMix SDXL | anime, base model | 420000 | 6.9
pony | cyberrealisticPony_v110 | CyberRealistic Pony | photorealistic, realistic, base model | 690000 | 6.9
pony | ponyRealism_v22 | Pony Realism | realistic, photorealistic | 520000 | 6.9
pony | hentaiMixPony_v4 | Hentai Mix Pony | anime, hentai, nsfw | 260000 | 6.9
sdxl | sd_xl_base_1.0 | SDXL 1.0 | base model | 480000 | 6.9
sdxl | juggernautXL_ragnarok | Juggernaut XL | photorealistic, cinematic, photo, landscape | 1200000 | 6.9
sdxl | realvisxlV50_v50 | RealVisXL V5.0 | photorealistic, realistic, photo, woman | 990000 | 6.9
sdxl | epicrealismXL_vxvii | epiCRealism XL | photorealistic, photo | 410000 | 6.9
sdxl | dreamshaperXL_alpha2 | DreamShaper XL | art, fantasy, illustration, general | 520000 | 6.9
sdxl | animagineXL40 | Animagine XL 4.0 | anime, base model | 310000 | 6.9
sdxl | pixelArtDiffusionXL_spriteShaper | Pixel Art Diffusion XL | pixel art, game, sprite | 64000 | 6.9
sdxl | artUniverseXL_v70 | Art Universe | art, painting, watercolor, illustration | 77000 | 6.9
sdxl | toonPixarXL_v2 | 3D Toon XL | 3d, cartoon, pixar, render | 81000 | 6.9
sdxl | architectureRealMixXL | Architecture Real Mix XL | architecture, interior, photorealistic | 38000 | 6.9
sdxl | sd_xl_refiner_1.0 | SDXL refiner | base model | 210000 | 6.1
sdxl | juggernautXL_inpainting | Juggernaut XL Inpainting | photorealistic, inpainting | 64000 | 6.9
sdxl-lightning | dreamshaperXL_lightningDPMSDE | DreamShaper XL Lightning | art, fantasy, general | 610000 | 6.9
sdxl-lightning | juggernautXL_rundiffusionHyper | Juggernaut XL Hyper | photorealistic, photo | 190000 | 6.9
sdxl-turbo | sd_xl_turbo_1.0_fp16 | SDXL Turbo | base model | 120000 | 6.9
sd15 | v1-5-pruned-emaonly-fp16 | Stable Diffusion 1.5 | base model | 330000 | 2.1
sd15 | realisticVisionV60B1_v51VAE | Realistic Vision V6.0 B1 | photorealistic, realistic, portrait | 1300000 | 2.1
sd15 | dreamshaper_8 | DreamShaper | art, fantasy, anime, illustration | 1500000 | 2.1
sd15 | epicrealism_naturalSinRC1VAE | epiCRealism | photorealistic, photo | 870000 | 2.1
sd15 | revAnimated_v2Rebirth | ReV Animated | 3d, fantasy, animated | 640000 | 2.1
sd15 | sd-v1-5-inpainting | SD 1.5 inpainting | inpainting | 90000 | 2.1
sd15-anime | counterfeitV30_v30 | Counterfeit-V3.0 | anime | 560000 | 2.1
sd15-anime | meinamix_v12Final | MeinaMix | anime, girls | 720000 | 2.1
sd35-large | sd3.5_large | Stable Diffusion 3.5 Large | base model | 120000 | 16.5
flux-dev | flux1-dev-fp8 | FLUX.1 [dev] | base model | 1100000 | 11.9
flux-schnell | flux1-schnell-fp8 | FLUX.1 [schnell] | base model | 410000 | 11.9
flux-krea | flux1-krea-dev_fp8_scaled | FLUX.1 Krea [dev] | base model, realistic | 160000 | 11.9
flux-fill | flux1-fill-dev | FLUX.1 Fill | inpainting | 130000 | 23.8
flux-kontext | flux1-dev-kontext_fp8_scaled | FLUX.1 Kontext | edit | 240000 | 11.9
qwen-image | qwen_image_fp8_e4m3fn | Qwen-Image | base model | 210000 | 20.4
z-image-turbo | z_image_turbo_bf16 | Z-Image Turbo | base model | 330000 | 12.3
chroma | Chroma1-HD-fp8mixed | Chroma1-HD | base model | 64000 | 9.2
wan22-14b | wan2.2_t2v_high_noise_14B_fp8 | Wan 2.2 T2V | video | 190000 | 14.3
"""
LATER = frozenset(
    {"flux-dev", "flux-schnell", "flux-krea", "flux-fill", "flux-kontext", "qwen-image", "chroma", "wan22-14b"}
)

STYLES = (
    "cyberpunk city", "pixel art", "watercolor", "oil painting impasto", "ukiyo-e", "film noir", "analog film grain",
    "neon lights", "steampunk", "gothic horror", "art nouveau", "line art", "ink wash", "claymation", "low poly",
    "isometric diorama", "vaporwave", "studio ghibli", "retro anime 90s", "comic book", "stained glass", "papercut",
    "origami", "voxel", "double exposure", "macro photography", "product photography", "fashion editorial",
    "polaroid", "tarot card", "logo design", "sticker", "movie poster", "charcoal sketch", "blueprint",
    "dark fantasy", "sci-fi spaceship", "mecha robot", "dragon", "medieval armor", "samurai armor", "kimono",
    "wedding dress", "school uniform", "cherry blossoms", "underwater", "galaxy nebula", "autumn leaves",
    "snowy mountain", "tropical beach", "misty forest", "desert dunes", "cozy interior", "brutalist architecture",
    "food photography", "sports car", "motorcycle", "cat", "fox", "owl", "butterfly", "crystal", "fire magic",
)  # fmt: skip
"""What style and concept LoRAs are for."""
PEOPLE = (
    "Hatsune Miku", "Makima", "Violet Evergarden", "Asuka Langley", "Rem Rezero", "Lucy Kushinada", "Geralt Rivia",
    "Lara Croft", "Frieren Sousou", "Marin Kitagawa", "Raiden Shogun", "Ganyu Liyue", "Saber Artoria",
    "Tifa Lockhart", "Zelda Hyrule", "Samus Aran", "Emma Watson", "Tom Holland", "Yor Forger", "Kafka Starrail",
)  # fmt: skip
FAMILIES = {
    "sd15": 0.24, "sdxl": 0.2, "pony": 0.2, "illustrious": 0.2, "noobai": 0.03, "flux-dev": 0.1,
    "qwen-image": 0.015, "z-image-turbo": 0.015,
}  # fmt: skip
SYLLABLES = "ka ri mo zu ven tal or shi ne lu dra xi pho bra kel tir nya quo".split()


def models(count: int = 45) -> list[ModelInfo]:
    rows = [line for line in MODELS.strip().splitlines() if line]
    return [_model(line) for line in rows[:count]]


def _model(line: str) -> ModelInfo:
    family, name, title, tags, downloads, size = (part.strip() for part in line.split("|"))
    listed = tuple(tags.split(", "))
    return ModelInfo(
        name=f"{name}.safetensors",
        kind="diffusion_model" if family in LATER else "checkpoint",
        family=family,
        engine="comfyui",
        size=int(float(size) * 1e9),
        told_by="header",
        facts=ModelFacts(title=title, tags=listed, downloads=int(downloads), rating=0.95, nsfw="nsfw" in listed),
    )


@cache
def loras(count: int = 3678, seed: int = 7) -> tuple[ModelInfo, ...]:
    """Three of ten for a style or thing, four for a character or person, the rest without any side-car."""
    chance = random.Random(seed)
    families = chance.choices(list(FAMILIES), list(FAMILIES.values()), k=count)
    return tuple(_lora(place, family, chance) for place, family in enumerate(families))


def _lora(place: int, family: str, chance: random.Random) -> ModelInfo:
    sort = place % 10
    if sort < 3:
        return _concept(place, family, chance)
    return _person(place, family, chance) if sort < 7 else _bare(place, family, chance)


def _concept(place: int, family: str, chance: random.Random) -> ModelInfo:
    about = STYLES[(place // 10 * 3 + place % 10) % len(STYLES)]
    adult = chance.random() < 0.05
    return _file(
        f"{about.replace(' ', '_')}_{family}_v{place}",
        family,
        title=f"{about.title()} Style v{place % 9} [{family}]",
        tags=(*about.split(), "style", *(("nsfw",) if adult else ())),
        triggers=(about, f"{about.split()[0][:4]}sty{place}"),
        downloads=int(60_000 / (1 + place / 30)),
        nsfw=adult,
        strength=chance.choice([None, 0.6, 0.8, 1.0]),
    )


def _person(place: int, family: str, chance: random.Random) -> ModelInfo:
    known = place % 13 == 3
    name = PEOPLE[place // 13 % len(PEOPLE)] if known else f"{_made_up(chance)} {_made_up(chance)}"
    real = name in {"Emma Watson", "Tom Holland"} or chance.random() < 0.1
    return _file(
        f"{name.replace(' ', '-').lower()}-{family}-{place}",
        family,
        title=f"{name} ({_made_up(chance)})",
        tags=("character", "girl", "anime", "woman") if not real else ("celebrity", "woman", "realistic"),
        triggers=(name.lower(), f"{name.lower()}, 1girl, long hair, blue eyes", "school uniform"),
        downloads=chance.randrange(20, 90_000),
        nsfw=chance.random() < 0.1,
        real_person=real,
    )


def _bare(place: int, family: str, chance: random.Random) -> ModelInfo:
    words = [chance.choice([*STYLES, *SYLLABLES]).replace(" ", "_") for _ in range(2)]
    return ModelInfo(
        name=f"misc/{'_'.join(words)}{_made_up(chance)}_{place}.safetensors",
        kind="lora",
        family=family,
        engine="comfyui",
    )


def _made_up(chance: random.Random) -> str:
    return "".join(chance.choices(SYLLABLES, k=3)).title()


def _file(name: str, family: str, *, strength: float | None = None, **facts: Any) -> ModelInfo:
    return ModelInfo(
        name=f"{name}.safetensors",
        kind="lora",
        family=family,
        engine="comfyui",
        told_by="side-car",
        facts=ModelFacts(rating=0.9, defaults=ModelDefaults(strength=strength), **facts),
    )


def lora(name: str, family: str = "sdxl", **facts: Any) -> ModelInfo:
    return ModelInfo(name=name, kind="lora", family=family, engine="comfyui", facts=ModelFacts(**facts))


def model(name: str, family: str = "sdxl", size: int | None = None, **facts: Any) -> ModelInfo:
    return ModelInfo(name=name, family=family, engine="comfyui", size=size, facts=ModelFacts(**facts))


def record(judged: int, accepted: int) -> TrackRecord:
    return TrackRecord(judged=judged, accepted=accepted)
