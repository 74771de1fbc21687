"""Which family each model file of a server belongs to, by what that is told, and the list of all its files. Pure.

The surest first: what this machine knows of the file, its metadata, its name, its size in bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, cast

from workflows.families import Family, families, family, family_of_file
from workflows.folders import FOLDERS, kind_of_folder
from workflows.types import ModelFacts, ModelInfo, ModelKind

if TYPE_CHECKING:
    from workflows.drawing.inventory import Inventory
    from workflows.types import ToldBy

DRAWING = frozenset({"checkpoint", "diffusion_model"})
ADAPTERS = frozenset({"lora", "controlnet", "embedding"})
"""Kinds of files that are made for the models of one family."""
ARCHITECTURE = ("modelspec.architecture", "ss_base_model_version")
TELLING = (*ARCHITECTURE, "modelspec.title", "ss_sd_model_name")
"""Metadata of which family_of_file makes something."""
SUFFIXES = (".safetensors", ".sft", ".gguf", ".ckpt", ".pt", ".pt2", ".pth", ".bin", ".onnx", ".pkl")
"""Of weights, where a folder of a node pack may hold anything."""


@dataclass(frozen=True, kw_only=True)
class Belonging:
    """The family of a file. `told_by` is empty where nothing tells, and where this machine's own word does."""

    family: Family
    told_by: ToldBy = ""
    guessed: bool = False

    @property
    def known(self) -> bool:
        return self.family.profile.name != "unknown"

    @property
    def sure(self) -> bool:
        """More than the file's name or size speaks for it."""
        return self.known and not self.guessed and self.told_by != "name"


def belonging(inventory: Inventory, folder: str, file: str) -> Belonging:
    """The family of one file of a folder; unknown for kinds that have none."""
    kind = kind_of_folder(folder) or "other"
    if kind not in DRAWING | ADAPTERS:
        return Belonging(family=family("unknown"))
    word = inventory.known(kind, file) if inventory.known else None
    if word is not None and word in families():
        return Belonging(family=families()[word])
    metadata = inventory.metadata.get((folder, file), {})
    told = tuple((key, metadata[key]) for key in TELLING if key in metadata)
    return _by_its_own_words(folder, file, told, inventory.sizes.get((folder, file)), kind in ADAPTERS)


@lru_cache(maxsize=32_768)
def _by_its_own_words(
    folder: str, file: str, told: tuple[tuple[str, str], ...], size: int | None, adapter: bool
) -> Belonging:
    metadata = dict(told)
    found, guessed = family_of_file(folder, file, metadata=metadata, size=None if adapter else size)
    if found.profile.name == "unknown" or (adapter and guessed):
        return Belonging(family=family("unknown"), guessed=guessed)
    if guessed:
        by_size = size is not None and family_of_file(folder, "", size=size)[0] != family_of_file(folder, "")[0]
        return Belonging(family=found, guessed=True, told_by="size" if by_size else "")
    return Belonging(family=found, told_by="metadata" if _tells(metadata) else "name")


def _tells(metadata: Mapping[str, str]) -> bool:
    """Whether the metadata tells the family by itself."""
    architecture = {key: metadata[key] for key in ARCHITECTURE if key in metadata}
    return bool(architecture) and not family_of_file("loras", "", metadata=architecture)[1]


def installed(inventory: Inventory, kind: str = "all") -> list[ModelInfo]:
    """The server's model files with what is known of each; of one kind, one folder, or all. Each kind and name once."""
    found: dict[tuple[str, str], ModelInfo] = {}
    for folder in dict.fromkeys((*FOLDERS.values(), *inventory.files)):
        of = cast("ModelKind", kind_of_folder(folder) or "other")
        for file in inventory.listed(folder) if kind in {"all", of, folder} else ():
            if of != "other" or file.lower().endswith(SUFFIXES):
                found[of, file] = _info(inventory, folder, file, of)
    return list(found.values())


def _info(inventory: Inventory, folder: str, file: str, kind: str) -> ModelInfo:
    belongs = belonging(inventory, folder, file)
    return ModelInfo(
        name=file,
        kind=kind,
        family=belongs.family.profile.name,
        engine="comfyui",
        size=inventory.sizes.get((folder, file)),
        guessed=belongs.guessed and belongs.known,
        told_by=belongs.told_by,
        facts=inventory.facts.get((folder, file), ModelFacts()),
    )
