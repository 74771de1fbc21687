"""A made-up library of weight files at the size of a collector's: what each file is, and files that say so.

`entries` is the library as plain values, `infos` as the catalogue shows it, `make_library` writes it to a folder in
ComfyUI's layout: real headers, no weights (the data is a hole in the file), and the side-cars of three tools. The same
numbers give the same library.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from tests.weight_files import data_bytes, described, framed, shapes
from workflows.types import ModelDefaults, ModelFacts, ModelInfo


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One file of the library. `family` as families.toml has it, `base_model` as CivitAI spells it."""

    name: str
    kind: str
    family: str
    base_model: str
    title: str
    tags: tuple[str, ...] = ()
    triggers: tuple[str, ...] = ()
    downloads: int = 0
    rating: float = 0.95
    nsfw: bool = False
    defaults: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def facts(self) -> ModelFacts:
        """What a catalogue that has read its side-car knows."""
        return ModelFacts(
            title=self.title,
            base_model=self.base_model,
            kind={"lora": "LORA", "vae": "VAE"}.get(self.kind, "Checkpoint"),
            triggers=self.triggers,
            tags=self.tags,
            downloads=self.downloads,
            rating=self.rating,
            nsfw=self.nsfw,
            defaults=ModelDefaults(**self.defaults),
        )


def _model(line: str) -> Entry:
    """family | base model | file | title | tags | downloads | defaults as words."""
    family, base, name, title, tags, downloads, settings = [part.strip() for part in line.split("|")]
    kind = "diffusion_model" if family.startswith(("flux", "qwen", "z-image", "chroma")) else "checkpoint"
    return Entry(
        name=f"{name}.safetensors",
        kind=kind,
        family=family,
        base_model=base,
        title=title,
        tags=tuple(tags.split()),
        downloads=int(downloads),
        nsfw="nsfw" in tags.split(),
        defaults=dict(_setting(word) for word in settings.split()),
    )


def _setting(word: str) -> tuple[str, Any]:
    name, _, value = word.partition("=")
    return name, value if name in {"sampler", "scheduler"} else float(value) if "." in value else int(value)


MODELS = Path(__file__).with_name("library_models.txt").read_text(encoding="utf-8").splitlines()
"""45 models, as many as the seed's library had: the common ones of every family, and some for one style."""

CONCEPTS = Path(__file__).with_name("library_concepts.txt").read_text(encoding="utf-8").splitlines()

BASES = {
    "sd15": ("SD 1.5", 0.22),
    "sdxl": ("SDXL 1.0", 0.24),
    "pony": ("Pony", 0.17),
    "illustrious": ("Illustrious", 0.17),
    "noobai": ("NoobAI", 0.04),
    "flux-dev": ("Flux.1 D", 0.12),
    "qwen-image": ("Qwen", 0.02),
    "z-image-turbo": ("ZImageTurbo", 0.02),
}
"""Families of the LoRAs, with CivitAI's word for each and its share of the library."""

VAES = """
sd15 vae-ft-mse-840000-ema-pruned
sd15 kl-f8-anime2
sdxl sdxl_vae
sdxl sdxl-vae-fp16-fix
flux-dev ae
flux2-dev flux2-vae
qwen-image qwen_image_vae
sd35 sd35_vae
sd15 orangemix.vae
sd15 clearvae_v2
sdxl xlVAE_c9
sdxl sdxl_vae_brighter
""".strip().splitlines()


def entries(checkpoints: int = 45, loras: int = 3678, vaes: int = 12) -> list[Entry]:
    """The library; more models than it has names for are further versions of the same ones."""
    models = [_model(line) for line in MODELS]
    versions = [_version(models[place % len(models)], place // len(models)) for place in range(checkpoints)]
    boxes = [_vae(VAES[place % len(VAES)], place // len(VAES)) for place in range(vaes)]
    return [*versions, *_loras(loras), *boxes]


def infos(checkpoints: int = 45, loras: int = 3678, vaes: int = 12, *, engine: str = "comfyui") -> list[ModelInfo]:
    """The library as the catalogue shows it, with nothing on the disk."""
    return [
        ModelInfo(
            name=entry.name,
            kind=entry.kind,
            family=entry.family,
            engine=engine,
            size=data_bytes(shapes(entry.kind, entry.family, light=False)),
            told_by="header",
            parts={"checkpoint": ("model", "text_encoder", "vae"), "lora": ()}.get(entry.kind, ("model",)),
            precision="fp16",
            facts=entry.facts,
        )
        for entry in entries(checkpoints, loras, vaes)
    ]


def _version(entry: Entry, number: int) -> Entry:
    if not number:
        return entry
    stem = entry.name.removesuffix(".safetensors")
    fewer = entry.downloads // (3 * number)
    return replace(entry, name=f"{stem}_r{number}.safetensors", title=f"{entry.title} r{number}", downloads=fewer)


def _vae(line: str, number: int) -> Entry:
    family, name = line.split()
    name = f"{name}_{number}" if number else name
    return Entry(name=f"{name}.safetensors", kind="vae", family=family, base_model="", title=name)


def _loras(count: int) -> Iterator[Entry]:
    chance = random.Random(5)
    families = chance.choices(list(BASES), [share for _, share in BASES.values()], k=count)
    for place, family in enumerate(families):
        about, _, tags = CONCEPTS[place % len(CONCEPTS)].partition(": ")
        number = place // len(CONCEPTS) + 1
        word = "".join(part[:4] for part in about.split())
        adult = chance.random() < 0.06
        yield Entry(
            name=f"{family}/{about.replace(' ', '_')}_{number:02d}.safetensors",
            kind="lora",
            family=family,
            base_model=BASES[family][0],
            title=f"{about.title()} {number}",
            tags=(*tags.split(), *(("nsfw",) if adult else ())),
            triggers=() if "tool" in tags else (f"{word}{number:02d}", about),
            downloads=int(400_000 / (1 + place) ** 0.7) + chance.randrange(50),
            rating=round(chance.uniform(0.7, 1.0), 3),
            nsfw=adult,
            defaults={"strength": chance.choice([0.6, 0.7, 0.8, 1.0])},
        )


Trained = tuple[int, bool, str]
"""A LoRA's rank, whether it changes the text encoder too, and the type of its weights."""


@cache
def _written(kind: str, family: str, light: bool, trained: Trained) -> tuple[str, int]:
    rank, words, dtype = trained
    tensors = shapes(kind, family, light=light, rank=rank, words=words)
    return described(tensors, dtype), data_bytes(tensors, dtype)


def make_library(
    folder: Path, checkpoints: int = 45, loras: int = 3678, vaes: int = 12, *, light: bool = True
) -> list[Entry]:
    """Write the library below a folder, as ComfyUI lays its models out. `light`: short headers, for tests."""
    found = entries(checkpoints, loras, vaes)
    places = {"checkpoint": "checkpoints", "diffusion_model": "diffusion_models", "lora": "loras", "vae": "vae"}
    for number, entry in enumerate(found):
        path = folder / places[entry.kind] / entry.name
        path.parent.mkdir(parents=True, exist_ok=True)
        trained = _trained(random.Random(number)) if entry.kind == "lora" else (16, True, "F16")
        tensors, size = _written(entry.kind, entry.family, light, trained)
        told = {"__metadata__": _metadata(entry, trained)} if entry.kind == "lora" else {}
        with path.open("wb") as file:
            file.write(begin := framed(json.dumps(told, separators=(",", ":"))[1:-1], tensors))
            file.truncate(len(begin) + size)
        _write_side_car(path, entry, number)
    return found


def _trained(chance: random.Random) -> Trained:
    [rank] = chance.choices([4, 8, 16, 32, 64, 128], [1, 2, 4, 6, 2, 1])
    return rank, chance.random() < 0.6, "F16" if chance.random() < 0.7 else "BF16"


def _metadata(entry: Entry, trained: Trained) -> dict[str, str]:
    """What the usual trainer leaves; the words are counted over twenty pictures."""
    counts = {word: 20 - place for place, word in enumerate((*entry.triggers, *entry.tags))}
    return {
        "ss_network_module": "networks.lora",
        "ss_network_dim": str(trained[0]),
        "ss_output_name": Path(entry.name).stem,
        "ss_tag_frequency": json.dumps({"20_pictures": counts}),
    }


def _write_side_car(path: Path, entry: Entry, number: int) -> None:
    """Of ten files seven have the side-car of the commonest tool, two those of others, one has none."""
    if not entry.base_model or number % 10 == 9:
        return
    version = {
        "id": 20_000 + number,
        "modelId": 10_000 + number,
        "name": "v1",
        "baseModel": entry.base_model,
        "trainedWords": list(entry.triggers),
        "model": {"name": entry.title, "type": entry.facts.kind, "nsfw": entry.nsfw, "tags": list(entry.tags)},
        "stats": {"downloadCount": entry.downloads, "thumbsUpCount": 1000, "thumbsDownCount": 50},
        "images": _pictures(entry),
    }
    suffix, said = {7: (".civitai.info", version), 8: (".cm-info.json", _matrix(entry, number))}.get(
        number % 10, (".metadata.json", _manager(entry, version))
    )
    path.with_name(path.name.removesuffix(".safetensors") + suffix).write_text(json.dumps(said), encoding="utf-8")


def _pictures(entry: Entry) -> list[dict[str, Any]]:
    told = {"steps": "steps", "cfg": "cfgScale", "clip_skip": "clipSkip"}
    meta = {there: entry.defaults[ours] for ours, there in told.items() if ours in entry.defaults}
    return [{"type": "image", "width": 832, "height": 1216, "meta": meta}] * 4 if meta else []


def _manager(entry: Entry, version: Mapping[str, Any]) -> dict[str, Any]:
    strength = entry.defaults.get("strength")
    return {
        "file_name": Path(entry.name).stem,
        "model_name": entry.title,
        "base_model": entry.base_model,
        "tags": list(entry.tags),
        "modelDescription": f"<p>{entry.title} for <b>{entry.base_model}</b>.</p>",
        "usage_tips": json.dumps({"strength": strength}) if strength else "{}",
        "civitai": version,
    }


def _matrix(entry: Entry, number: int) -> dict[str, Any]:
    return {
        "ModelId": 10_000 + number,
        "VersionId": 20_000 + number,
        "ModelName": entry.title,
        "ModelType": entry.facts.kind,
        "Nsfw": entry.nsfw,
        "Tags": list(entry.tags),
        "BaseModel": entry.base_model,
        "TrainedWords": list(entry.triggers),
        "Stats": {"downloadCount": entry.downloads, "thumbsUpCount": 1000, "thumbsDownCount": 50},
    }
