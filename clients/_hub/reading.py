"""What the Hub's answers say of a repository: its kind, family, facts and files. Pure: it asks nobody."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from workflows.families import family_of_base_model, family_of_pipeline
from workflows.types import ModelFacts

SAFE = (".safetensors", ".sft")
CONFIGURATION = (".json", ".txt", ".model", ".jinja")
INDEX = "model_index.json"
"""What makes a repository a pipeline of diffusers."""
ADULT = "not-for-all-audiences"
LORA, CHECKPOINT = "lora", "checkpoint"
KIND_TAGS: Mapping[str, str] = {
    "lora": LORA,
    "controlnet": "controlnet",
    "textual_inversion": "embedding",
    "textual-inversion": "embedding",
    "vae": "vae",
    "upscaler": "upscaler",
    "super-resolution": "upscaler",
    "image-upscaling": "upscaler",
}
FAMILY_TAGS: Mapping[str, str] = {
    "stable-diffusion-xl": "sdxl",
    "stable-diffusion-xl-diffusers": "sdxl",
    "stable-diffusion-diffusers": "sd15",
    "flux": "flux-dev",
}
"""Tags that tell a family where neither the base model nor the pipeline does."""
NOT_WORDS = re.compile(r":|^(diffusers|safetensors|en|region|endpoints_compatible|template|text-to-image)$")
GENERIC = re.compile(
    r"(diffusion_)?(pytorch_|flax_)?(model|lora_weights|adapter_model|weights)([._-](fp16|bf16|fp32))?", re.IGNORECASE
)
"""Stems that say nothing: thousands of repositories have a file of that name."""
_PICKLED = re.compile(r"(diffusion_)?pytorch_model.*\.bin|.*\.ckpt")


@dataclass(frozen=True)
class HubFile:
    """A file of a repository. `sha256`: of large files only."""

    path: str
    size: int | None = None
    sha256: str = ""

    @property
    def folder(self) -> str:
        return self.path.rpartition("/")[0]

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def stem(self) -> str:
        return self.name.rpartition(".")[0]


def files_of(info: Any) -> list[HubFile]:
    """The files that the Hub lists; sizes and hashes where it was asked for them."""
    return [
        HubFile(one.rfilename, one.size, str(one.lfs.sha256).lower() if one.lfs else "")
        for one in cast(Sequence[Any], info.siblings or ())
    ]


def weights_of(files: Sequence[HubFile]) -> list[HubFile]:
    """Single files that could be meant: those at the root, or where there are none, those in folders."""
    weights = [file for file in files if file.name.endswith((*SAFE, ".gguf"))]
    return [file for file in weights if not file.folder] or weights


def pipeline_files(files: Sequence[HubFile], half: bool) -> list[HubFile]:
    """What a pipeline needs: its configuration, and each part's weights once; empty for what is no pipeline.

    `half`: in half precision, where a part has it.
    """
    if not any(file.path == INDEX for file in files):
        return []
    parts = [file for file in files if file.folder]
    chosen = [file for file in files if file.path == INDEX or (file.folder and file.name.endswith(CONFIGURATION))]
    for folder in dict.fromkeys(file.folder for file in parts):
        weights = [file for file in parts if file.folder == folder and file.name.endswith(SAFE)]
        halves = [file for file in weights if variant(file) == "fp16"]
        chosen += halves if halves and half else [file for file in weights if not variant(file)]
    return chosen


def pickled_parts(files: Sequence[HubFile]) -> list[str]:
    """The parts of a pipeline that are there as pickles only."""
    safe = {file.folder for file in files if file.name.endswith(SAFE)}
    return sorted({file.folder for file in files if file.folder and _PICKLED.fullmatch(file.name)} - safe)


def variant(file: HubFile) -> str:
    """fp16 in model.fp16.safetensors and model.fp16-00001-of-00002.safetensors; empty where there is none."""
    return file.stem.partition(".")[2].partition("-")[0]


def size_of(files: Sequence[HubFile]) -> int | None:
    """All together; None when one is not known."""
    sizes = [file.size for file in files]
    return None if not sizes or None in sizes else sum(size for size in sizes if size is not None)


def file_name(repository: str, file: HubFile) -> str:
    """A name that can lie beside those of other repositories: one that says nothing is named after its own."""
    if not GENERIC.fullmatch(file.stem):
        return file.name
    words = [repository.rpartition("/")[2], *([file.folder.replace("/", "-")] if file.folder else [])]
    return f"{'-'.join(words)}.{file.name.rpartition('.')[2]}"


def kind_of(info: Any) -> str:
    """The kind of ours that its tags tell; a repository that says nothing is taken for a checkpoint."""
    tags = [str(tag).lower() for tag in info.tags or ()]
    told = next((KIND_TAGS[tag] for tag in tags if tag in KIND_TAGS), "")
    return told or ("diffusion_model" if "gguf" in tags else CHECKPOINT)


def family_of(info: Any) -> str:
    """A family of ours: by the repository's name, the model that it was made from, its pipeline class, its tags."""
    tags = [str(tag) for tag in info.tags or ()]
    name, base = str(info.id).rpartition("/")[2], base_model(tags).rpartition("/")[2]
    names = (base, name) if kind_of(info) == LORA else (name, base)
    for word in names:
        if word and (found := family_of_base_model(word)):
            return found
    pipeline = next((tag.partition(":")[2] for tag in tags if tag.startswith("diffusers:")), "")
    found = family_of_pipeline(pipeline).profile.name if pipeline else "unknown"
    return found if found != "unknown" else next((FAMILY_TAGS[tag] for tag in tags if tag in FAMILY_TAGS), "unknown")


def base_model(tags: Sequence[str]) -> str:
    """The repository that it was made from, out of base_model:OWNER/NAME and base_model:adapter:OWNER/NAME."""
    told = (tag.removeprefix("base_model:").rpartition(":")[2] for tag in tags if tag.startswith("base_model:"))
    return next((one for one in told if "/" in one), "")


def facts_of(info: Any, endpoint: str) -> ModelFacts:
    """What the Hub says of it, without file and hash."""
    tags, card = [str(tag) for tag in info.tags or ()], card_of(info)
    words = [tag for tag in tags if not NOT_WORDS.search(tag)]
    trigger = card.get("instance_prompt")
    return ModelFacts(
        title=str(info.id).rpartition("/")[2],
        base_model=base_model(tags),
        kind=kind_of(info),
        triggers=(trigger.strip(),) if isinstance(trigger, str) and trigger.strip() else (),
        tags=tuple(words[:40]),
        downloads=info.downloads,
        nsfw=ADULT in tags,
        licence=_licence(info, tags, card),
        preview_url=_preview(info, card, endpoint),
        source="huggingface",
        page_url=f"{endpoint}/{info.id}",
    )


def card_of(info: Any) -> dict[str, Any]:
    """The head of the model card."""
    card = info.card_data
    told = card.to_dict() if hasattr(card, "to_dict") else card
    return cast(dict[str, Any], told) if isinstance(told, dict) else {}


def _licence(info: Any, tags: Sequence[str], card: Mapping[str, Any]) -> str:
    told = next((tag.removeprefix("license:") for tag in tags if tag.startswith("license:")), "")
    name = card.get("license_name")
    told = name if told in {"", "other"} and isinstance(name, str) else told
    gate = "gated: accept the terms on its page and set HF_TOKEN" if info.gated else ""
    return f"{told} ({gate})" if told and gate else told or gate


def _preview(info: Any, card: Mapping[str, Any], endpoint: str) -> str:
    """The first picture of the card's gallery."""
    shown = card.get("widget")
    first: object = cast(list[object], shown)[0] if isinstance(shown, list) and shown else None
    output = cast(dict[str, Any], first).get("output") if isinstance(first, dict) else None
    url = cast(dict[str, Any], output).get("url") if isinstance(output, dict) else None
    if not isinstance(url, str) or not url:
        return ""
    return url if url.startswith("https://") else f"{endpoint}/{info.id}/resolve/main/{url.lstrip('/')}"


def side_car(name: str, file: HubFile, facts: ModelFacts) -> str:
    """What the Hub says, in the shape that model managers read beside a file (a model-version of CivitAI, with no id:
    it is none of CivitAI's)."""
    told = {
        "baseModel": facts.base_model.rpartition("/")[2],
        "trainedWords": list(facts.triggers),
        "downloadUrl": facts.page_url,
        "model": {"name": facts.title, "type": facts.kind, "nsfw": facts.nsfw, "tags": list(facts.tags)},
        "files": [{"name": name, "sizeKB": (file.size or 0) / 1024, "hashes": {"SHA256": file.sha256}}],
        "source": {"name": facts.source, "reference": facts.reference, "licence": facts.licence},
    }
    return json.dumps(told, ensure_ascii=False, indent=1)
