"""Which model a recipe means, where it lies, and what its family needs. Reads small files only; loads no library.

A caller may name the demo model, the configured model, a checkpoint of the owner's model folders by its name there, or
a Hugging Face id. Paths are the owner's to give; files that can run code when opened (pickles) are refused whoever
gives them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath
from typing import Any, Literal, cast

from clients.diffusers_engine.checkpoints import fault, read_checkpoint
from clients.diffusers_engine.films import EXPANDING, FILMS, film_family, guessed_film
from clients.diffusers_engine.folders import lacking
from utils.hub import hub_cache
from workflows.errors import BadRecipe, NotFound
from workflows.families import Family, family, family_of_pipeline
from workflows.types import FamilyProfile, ModelInfo

Kind = Literal["demo", "folder", "file", "repo"]
AUTO = {None, "", "auto"}
PICKLES = {".ckpt", ".pt", ".pth", ".bin", ".pkl"}
INDEX = "model_index.json"
BARE = (
    "that file holds the denoiser alone: ComfyUI draws with it; here it needs a checkpoint with its text encoder and "
    "autoencoder, or a diffusers folder"
)
VAES = {
    "sdxl": ("sdxl_vae.safetensors", "sdxl-vae-fp16-fix.safetensors", "sdxl.vae.safetensors"),
    "sd15": ("vae-ft-mse-840000-ema-pruned.safetensors", "vae-ft-ema-560000-ema-pruned.safetensors"),
}
"""By the kin of a family: autoencoders that people have beside checkpoints that come without, the best first."""
_REPO = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")


@dataclass(frozen=True)
class Known:
    """A weight file or diffusers folder that is indexed, and its family where the owner said it."""

    path: Path
    family: str | None = None


Library = Callable[[str, str], Known | None]
"""(name, kind) -> the file; kinds as in ModelKind."""


@dataclass(frozen=True)
class Source:
    """A model by the name that we show, and where it lies: a folder, a file, or a Hugging Face id."""

    name: str = field(compare=False)
    kind: Kind
    where: str
    told: str | None = None
    """Its family, as the owner said it."""

    @property
    def path(self) -> Path:
        return Path(self.where)


class Shelf:
    """The models that the engine may draw with."""

    def __init__(
        self,
        configured: str | None,
        demo: Path,
        hub_cache: Path | None = None,
        *,
        library: Library | None = None,
        hub: bool = True,
    ) -> None:
        self._configured = configured
        self._demo = demo
        self._hub_cache = hub_cache
        self._library = library
        self._hub = hub

    def find(self, model: str | None) -> Source:
        """The model that a recipe's `model` means. Raises BadRecipe, NotFound; both say what to do."""
        if model in AUTO:
            model = self._configured or "demo"
        assert model is not None
        if model in {"demo", self._demo_facts().get("name")}:
            return self._demo_source()
        own = self._configured_source()
        if own and model in {self._configured, own.name}:
            return own
        if pipeline := self._pipeline(model):
            return pipeline
        if known := self.file(model, "checkpoint", "model"):
            return Source(model, "file", str(known.path), known.family)
        if self.file(model, "diffusion_model", "model"):
            raise BadRecipe("model", model, BARE)
        if _REPO.fullmatch(model) and Path(model).suffix.lower() not in PICKLES | {".safetensors"}:
            return self._repo(model)
        names = [info.name for info in self.available()]
        folders = ", a checkpoint in the model folders" if self._library else ""
        raise BadRecipe(
            "model", model, f"it is 'auto', {', '.join(map(repr, names))}{folders} or a Hugging Face id 'owner/name'"
        )

    def file(self, name: str, kind: str, argument: str) -> Known | None:
        """The .safetensors file of that name in the model folders. Raises BadRecipe for files of other forms."""
        known = self._listed(name, kind)
        if known and known.path.is_dir():
            known = self._listed(f"{name}.safetensors", kind)
        if known and known.path.suffix.lower() in PICKLES:
            raise BadRecipe(argument, name, "that file can run code when it is opened; use a .safetensors file of it")
        if known and known.path.suffix.lower() != ".safetensors":
            raise BadRecipe(argument, name, f"this engine reads .safetensors files, not {known.path.suffix}")
        return known

    def _pipeline(self, name: str) -> Source | None:
        """The diffusers folder of that name in the model folders or the Hugging Face cache, which are indexed."""
        known = self._listed(name, "checkpoint")
        if known is None or not known.path.is_dir():
            return None
        if lacking(known.path) and self._listed(f"{name}.safetensors", "checkpoint"):
            return None  # the configuration of the file beside it
        cached = known.path.is_relative_to(self.hub_cache()) and self.cached(name) is not None
        return self._repo(name) if cached else Source(name, "folder", str(known.path))

    def _listed(self, name: str, kind: str) -> Known | None:
        plain = PureWindowsPath(name)  # knows both separators
        if self._library is None or plain.anchor or {"..", "~"}.intersection(plain.parts):
            return None
        return self._library(name, kind)

    def fault(self, source: Source) -> str | None:
        """Why a file or folder cannot be drawn with, or None. Raises NotFound, BadRecipe."""
        if source.kind != "file":
            return self._fault_of_folder(source)
        checkpoint = read_checkpoint(source.path, source.told)
        return fault(checkpoint, source.name, spare={"vae"} if self.spare_vae(checkpoint.family) else ())

    def _fault_of_folder(self, source: Source) -> str | None:
        """A repo that is fetched can still be completed where fetching is allowed."""
        folder = self.cached(source.where) if source.kind == "repo" else source.path
        parts = lacking(folder) if folder and source.kind != "demo" else ()
        if not parts or (source.kind == "repo" and self._hub):
            return None
        return f"{source.name} is not whole: there are no .safetensors weights of its {', '.join(parts)} in {folder}."

    def spare_vae(self, found: Family) -> Path | None:
        """An autoencoder of the model folders that fits a checkpoint without one."""
        known = (self.file(name, "vae", "model") for name in VAES.get(found.kin, ()))
        return next((one.path for one in known if one), None)

    def _repo(self, name: str) -> Source:
        if not self._hub and self.cached(name) is None:
            allowed = "it is not in the Hugging Face cache, and downloads are switched off (ATELIER_DOWNLOADS=off)"
            raise BadRecipe("model", name, allowed)
        return Source(name, "repo", name)

    def family(self, source: Source) -> Family:
        """The model's family with its profile completed from its own files; 'unknown' for a repo not fetched yet."""
        if source.kind == "demo":
            return _demo_family(family("demo"), self._demo_facts())
        if source.kind == "file":
            return read_checkpoint(source.path, source.told).family
        folder = self.cached(source.where) if source.kind == "repo" else source.path
        return family_of_folder(folder) if folder else _guessed_family(source.name)

    def film(self, source: Source) -> tuple[str | None, bool]:
        """The class of the model's pipeline where its folder is here, and whether one network of it begins both with
        words and with a picture (Wan 2.2 5B)."""
        folder = self.cached(source.where) if source.kind == "repo" else source.path
        if source.kind == "file" or folder is None or not (folder / INDEX).is_file():
            return None, False
        index = _json(folder / INDEX)
        return str(index.get("_class_name")), bool(index.get(EXPANDING))

    def cached(self, repo: str) -> Path | None:
        """The repo's newest snapshot in the Hugging Face cache that holds a pipeline."""
        snapshots = (self.hub_cache() / f"models--{repo.replace('/', '--')}" / "snapshots").glob(f"*/{INDEX}")
        newest = max(snapshots, key=lambda index: index.lstat().st_mtime, default=None)
        return newest.parent if newest else None

    def fetched(self, repo: str) -> Path | None:
        """As `cached`, where all its weights are there: it needs no network to draw."""
        folder = self.cached(repo)
        return None if folder is None or lacking(folder) else folder

    def available(self) -> Sequence[ModelInfo]:
        """The configured model, the demo model, and what the Hugging Face cache holds whole; none that is damaged."""
        found: dict[str, Source] = {}
        with suppress(BadRecipe, NotFound):
            if own := self._configured_source():
                found[own.name] = own
        demo = self._demo_source()
        found.setdefault(demo.name, demo)
        for folder in sorted(self.hub_cache().glob("models--*--*")):
            name = folder.name.removeprefix("models--").replace("--", "/")
            if self.fetched(name):
                found.setdefault(name, Source(name, "repo", name))
        infos: list[ModelInfo] = []
        for source in found.values():
            with suppress(BadRecipe, NotFound):
                infos.append(self._info(source))
        return infos

    def hub_cache(self) -> Path:
        """Where huggingface_hub keeps what it fetched."""
        return self._hub_cache or hub_cache()

    def _demo_source(self) -> Source:
        return Source(str(self._demo_facts().get("name", "demo")), "demo", str(self._demo))

    def _demo_facts(self) -> dict[str, Any]:
        facts = self._demo / "atelier.json"
        return _json(facts) if facts.is_file() else {}

    def _configured_source(self) -> Source | None:
        given = self._configured
        if not given or given == "demo":
            return None
        path = Path(given).expanduser()
        if path.suffix.lower() in PICKLES:
            allowed = "that file can run code when it is opened; use a .safetensors file of the same model"
            raise BadRecipe("model", given, allowed)
        if path.is_dir():
            return Source(path.name, "folder", str(path))
        if path.is_file():
            return Source(path.stem, "file", str(path))
        if _REPO.fullmatch(given) and path.suffix != ".safetensors":
            return Source(given, "repo", given)
        hint = "ATELIER_LOCAL_MODEL takes a Hugging Face id, a diffusers folder or a .safetensors file."
        raise NotFound("model file or folder", given, hint=hint)

    def _info(self, source: Source) -> ModelInfo:
        profile = self.family(source).profile
        weights = weight_files(source.path) if source.kind in {"demo", "folder"} else ()
        return ModelInfo(
            name=source.name,
            family=profile.name,
            engine="diffusers",
            size=sum(path.stat().st_size for path in weights) or None,
            description=profile.note or profile.title,
        )


def family_of_folder(folder: Path) -> Family:
    """The family of a diffusers folder; its native size is the one in its own configuration. Raises NotFound."""
    if not (folder / INDEX).is_file():
        raise NotFound("diffusers pipeline", str(folder), hint=f"A model folder holds a {INDEX}.")
    network = _first_json(folder / "unet" / "config.json", folder / "transformer" / "config.json")
    index = _json(folder / INDEX)
    pipeline = str(index.get("_class_name"))
    if pipeline in FILMS:
        return film_family(pipeline, index, network)
    found = family_of_pipeline(
        pipeline,
        text_width=network.get("cross_attention_dim"),
        guidance_embeds=network.get("guidance_embeds"),
    )
    sample = network.get("sample_size")
    if found.text_width is None or not isinstance(sample, int):
        return found
    return found.sized(sample * 8)  # the autoencoder of Stable Diffusion 1 and 2 shrinks eightfold


def weight_files(folder: Path) -> Sequence[Path]:
    """The weights of a pipeline folder's denoiser, in order."""
    for part in ("unet", "transformer"):
        files = sorted((folder / part).glob("*.safetensors"))
        if files:
            return files
    return ()


def _demo_family(base: Family, facts: dict[str, Any]) -> Family:
    known = {key: facts[key] for key in ("steps", "cfg", "guidance_rescale") if key in facts}
    size = facts.get("size", base.profile.width)
    return base.model_copy(update={"profile": base.profile.but(**known, width=size, height=size)})


def _guessed_family(repo: str) -> Family:
    """What the name of a repo that was never fetched gives away; its real configuration counts once it is here."""
    if film := guessed_film(repo):
        return film
    name = repo.lower()
    signs = {
        "flux-schnell": ("flux.1-schnell",),
        "flux-dev": ("flux.1",),
        "sdxl": ("sdxl", "stable-diffusion-xl"),
        "sd35": ("stable-diffusion-3",),
        "sd21": ("stable-diffusion-2",),
        "sd15": ("stable-diffusion-v1", "sd15", "sd-v1"),
    }
    return family(next((found for found, parts in signs.items() if any(part in name for part in parts)), "unknown"))


def _first_json(*paths: Path) -> dict[str, Any]:
    for path in paths:
        if path.is_file():
            return _json(path)
    return {}


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise NotFound("readable configuration", str(path), hint=f"It is damaged: {error}.") from error
    return cast(dict[str, Any], found) if isinstance(found, dict) else {}


def size_refusal(found: Family, profile: FamilyProfile, width: int | None, height: int | None) -> str | None:
    """Why the family cannot draw at this size, or None."""
    for name, edge in (("width", width), ("height", height)):
        if edge is None:
            continue
        if edge > found.largest:
            bigger = " A real model draws larger: set ATELIER_LOCAL_MODEL." if profile.name == "demo" else ""
            return f"{name} {edge} is more than {profile.title} draws: at most {found.largest}.{bigger}"
        if edge % profile.multiple:
            near = max(1, round(edge / profile.multiple)) * profile.multiple
            return (
                f"{name} {edge} is no multiple of {profile.multiple}, as {profile.title} needs; the nearest is {near}."
            )
    return None
