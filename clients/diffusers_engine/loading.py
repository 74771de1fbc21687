"""From a source to a pipeline in memory: device, precision, weights, and the hash that names them.

In two steps, as what is on the disk says how it must be loaded: `locate`, then `load` by a plan of the memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from clients.diffusers_engine.checkpoints import read_checkpoint
from clients.diffusers_engine.films import FILMS
from clients.diffusers_engine.fitting import LONG_NAMES, OFFLOADS, Weights, place, weigh_file, weigh_folder
from clients.diffusers_engine.folders import lacking
from clients.diffusers_engine.loras import Adapters
from clients.diffusers_engine.models import INDEX, Shelf, Source, family_of_folder, weight_files
from clients.diffusers_engine.preview import LatentColours
from clients.diffusers_engine.prompts import Wordings
from workflows.errors import EngineUnavailable, ExtraMissing, NotFound
from workflows.families import Family
from workflows.types import MAX_CANDIDATES, MemoryPlan

PURPOSE = "Drawing in this process"
PACKAGES = ("torch", "diffusers", "transformers", "compel")
_hashes: dict[tuple[str, int, int], str] = {}


@dataclass(frozen=True, kw_only=True)
class Located:
    """A model on this machine's disk, not in memory yet."""

    source: Source
    folder: Path | None
    """Of the pipeline; None: a single file."""
    family: Family
    weights: Weights
    vae: Path | None = None
    """Of its own file, where a single file comes without one."""
    device: str
    dtype: Any

    @property
    def held(self) -> str:
        """The precision in which its weights will lie in memory, such as bf16."""
        return LONG_NAMES.get(_name(self.dtype), "")


@dataclass(kw_only=True)
class Loaded:
    """A pipeline in memory. Only the worker thread touches it."""

    source: Source
    located: Located
    family: Family
    pipe: Any
    device: str
    dtype: str
    model_hash: str | None
    scheduler: Any
    """The pipeline's own scheduler; every sampler starts from its configuration."""
    others: dict[str, Any] = field(default_factory=dict[str, Any])
    """Pipelines of other tasks on the same weights, made when they are first needed."""
    words: Wordings = field(default_factory=Wordings)
    adapters: Adapters = field(default_factory=Adapters)
    most: int = MAX_CANDIDATES
    """Pictures at once that its memory has held so far."""
    colours: LatentColours | None = None
    parameters: int = 0
    gigabytes: float = 0.0
    resident: float = 0.0
    """Gigabytes that would be free without it."""
    plan: MemoryPlan | None = None
    """By which it was loaded; None: nothing was planned, as for the demo model."""
    asked: MemoryPlan | None = None
    """What the latest picture would have needed; gentler than `plan`, or the same."""
    forced: bool = False
    """It was loaded by `plan` after it ran out of memory in a gentler way."""
    placed: tuple[str, ...] = ()
    """Levers that stay until it is loaded anew."""
    eased: tuple[str, ...] = ()
    """Levers that are on now and can go off."""


def locate(source: Source, shelf: Shelf, *, offline: bool = False) -> Located:
    """Find the model, fetching it where it is a repo. Raises ExtraMissing, NotFound, BadRecipe, EngineUnavailable."""
    libraries()
    device, dtype = best_device()
    if source.kind == "file":
        return _located_file(source, shelf, device, dtype)
    folder = _fetched(source, shelf, dtype, offline)
    return Located(
        source=source,
        folder=folder,
        family=shelf.family(source) if source.kind == "demo" else family_of_folder(folder),
        weights=weigh_folder(folder, LONG_NAMES.get(_name(dtype), "")),
        device=device,
        dtype=dtype,
    )


def _located_file(source: Source, shelf: Shelf, device: str, dtype: Any) -> Located:
    if why := shelf.fault(source):
        raise EngineUnavailable(why)
    checkpoint = read_checkpoint(source.path, source.told)
    return Located(
        source=source,
        folder=None,
        family=checkpoint.family,
        weights=weigh_file(checkpoint),
        vae=None if "vae" in checkpoint.recognised.parts else shelf.spare_vae(checkpoint.family),
        device=device,
        dtype=dtype,
    )


def load(located: Located, shelf: Shelf, plan: MemoryPlan | None = None, *, offline: bool = False) -> Loaded:
    """Load as planned. Raises EngineUnavailable, and torch's own when out of memory."""
    pipe = (
        _from_folder(located.folder, located.source, located.dtype)
        if located.folder
        else _from_file(located, shelf.hub_cache(), offline)
    )
    pipe.set_progress_bar_config(disable=True)
    if type(pipe).__name__.startswith("Wan"):
        pipe.vae.float()  # in half precision its frames flicker; it is small
    parts = [part for part in pipe.components.values() if hasattr(part, "parameters")]
    weights = [weight for part in parts for weight in part.parameters()]
    loaded = Loaded(
        source=located.source,
        located=located,
        family=located.family,
        pipe=pipe,
        device=located.device,
        dtype=_name(located.dtype),
        model_hash=weights_hash(weight_files(located.folder) if located.folder else [located.source.path]),
        scheduler=pipe.scheduler,
        parameters=sum(weight.numel() for weight in weights),
        gigabytes=round(sum(weight.numel() * weight.element_size() for weight in weights) / 1e9, 3),
        plan=plan,
    )
    _place(loaded, plan)
    return loaded


def _place(loaded: Loaded, plan: MemoryPlan | None) -> None:
    levers = plan.levers if plan else ()
    offloaded = any(lever in levers for lever in OFFLOADS)
    if offloaded:
        loaded.most = 1  # what is free then is for one picture's weights to come and go in
        loaded.colours = _colours(loaded.pipe)  # asked for half-way, they would push the network out
    loaded.placed = place(loaded.pipe, levers, loaded.device, loaded.located.dtype)
    loaded.resident = 0.0 if offloaded else loaded.gigabytes


def _colours(pipe: Any) -> LatentColours | None:
    """None where latents are packed or have frames: these are not shown half-way."""
    kind = type(pipe).__name__
    return None if kind.startswith("Flux") or kind in FILMS else LatentColours(pipe.vae)


def _name(dtype: Any) -> str:
    return str(dtype).removeprefix("torch.")


def incomplete() -> bool:
    """Whether a package that drawing needs is not installed; imports none."""
    return any(find_spec(package) is None for package in PACKAGES)


def libraries() -> None:
    """Import what drawing needs and quiet it: its bars and hints would mix with ours. Raises ExtraMissing."""
    if incomplete():
        raise ExtraMissing("local", PURPOSE)
    from diffusers.utils import logging as diffusers_log
    from huggingface_hub.utils import disable_progress_bars
    from transformers.utils import logging as transformers_log

    disable_progress_bars()
    for log in (diffusers_log, transformers_log):
        quiet: Any = log
        quiet.set_verbosity_error()
        quiet.disable_progress_bar()


def diffusers_library() -> Any:
    """The library, without the types that it only half has."""
    import diffusers

    return diffusers


def best_device() -> tuple[str, Any]:
    """CUDA with bfloat16 where it has it, else float16; Apple's GPU with float16; the CPU with float32."""
    import torch

    if torch.cuda.is_available():
        return "cuda", torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    if torch.backends.mps.is_available():
        return "mps", torch.float16
    return "cpu", torch.float32


def weights_hash(files: Sequence[Path]) -> str | None:
    """First ten hex digits of the SHA-256 of the weights; several shards are hashed one after the other."""
    if not files:
        return None
    if len(files) == 1 and len(files[0].resolve().name) == 64:
        return files[0].resolve().name[:10]  # the Hugging Face cache names large files by their SHA-256
    status = [file.stat() for file in files]
    key = (str(files[0]), sum(one.st_size for one in status), max(one.st_mtime_ns for one in status))
    if key not in _hashes:
        digest = hashlib.sha256()
        for file in files:
            with file.open("rb") as opened:
                while block := opened.read(1 << 22):
                    digest.update(block)
        _hashes[key] = digest.hexdigest()[:10]
    return _hashes[key]


def _fetched(source: Source, shelf: Shelf, dtype: Any, offline: bool) -> Path:
    """The pipeline's folder, fetched from the Hub where it is a repo."""
    if source.kind != "repo":
        if not (source.path / INDEX).is_file():
            raise NotFound("diffusers pipeline", source.where, hint=f"A model folder holds a {INDEX}.")
        return source.path
    if here := shelf.fetched(source.where):  # without asking the Hub, which takes long where there is no network
        return here
    folder = _from_hub(source.where, shelf.hub_cache(), dtype, offline)
    if parts := lacking(folder):
        raise EngineUnavailable(
            f"The model {source.where!r} is not whole on this machine: there are no .safetensors weights of its "
            f"{', '.join(parts)}. Connect to the Hugging Face Hub for the rest, or name another model."
        )
    return folder


def _from_hub(repo: str, cache: Path, dtype: Any, offline: bool) -> Path:
    options: dict[str, Any] = {"use_safetensors": True, "local_files_only": offline, "cache_dir": str(cache)}
    half = [] if str(dtype) == "torch.float32" else ["fp16"]
    failure: Exception | None = None
    for variant in [*half, None]:
        try:
            return Path(diffusers_library().DiffusionPipeline.download(repo, variant=variant, **options))
        except (OSError, ValueError, RuntimeError) as error:  # huggingface_hub's errors are OSErrors and ValueErrors
            failure = error
    raise EngineUnavailable(
        f"The model {repo!r} cannot be had: {first_line(failure)} Check the id, connect to the Hugging Face Hub "
        "for the first use (HF_TOKEN for gated models), or use the demo model: model='demo'."
    ) from failure


def _from_folder(folder: Path, source: Source, dtype: Any) -> Any:
    files = weight_files(folder)
    variant = "fp16" if files and all(".fp16." in f".{file.name}" for file in files) else None
    try:
        return diffusers_library().DiffusionPipeline.from_pretrained(
            str(folder), dtype=dtype, variant=variant, use_safetensors=True, local_files_only=True
        )
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise EngineUnavailable(
            f"The model {source.name!r} in {folder} cannot be loaded: {first_line(error)}"
        ) from error


def _from_file(located: Located, cache: Path, offline: bool) -> Any:
    """A single checkpoint; its configuration lies in a folder of the same name beside it, or comes from the Hub."""
    from diffusers.loaders.single_file_utils import SingleFileComponentError

    checkpoint, found, dtype = located.source.path, located.family, located.dtype
    beside = checkpoint.with_suffix("")
    folder = beside if (beside / INDEX).is_file() else _configuration(checkpoint, found, cache, offline)
    kind: Any = getattr(diffusers_library(), found.pipelines[0])
    options: dict[str, Any] = {"config": str(folder), "dtype": dtype, "local_files_only": True}
    try:
        vae = {"vae": _autoencoder(located.vae, options)} if located.vae else {}
        pipe = kind.from_single_file(str(checkpoint), **options, **vae)
    except (OSError, ValueError, KeyError, AttributeError, RuntimeError, SingleFileComponentError) as error:
        title = f"{checkpoint.name} ({found.profile.title})"
        raise EngineUnavailable(
            f"{title} cannot be loaded with the configuration in {folder}: {first_line(error)}"
        ) from error
    if found.profile.name in V_PREDICTION:
        pipe.scheduler = _predicting_velocity(pipe.scheduler)
    return pipe


def _autoencoder(file: Path, options: dict[str, Any]) -> Any:
    return diffusers_library().AutoencoderKL.from_single_file(str(file), subfolder="vae", **options)


V_PREDICTION = {"noobai-vpred"}
"""Families that predict velocity, which the configuration of their kin does not say."""


def _predicting_velocity(scheduler: Any) -> Any:
    settings = {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
    return diffusers_library().EulerDiscreteScheduler.from_config(scheduler.config, **settings)


def _configuration(checkpoint: Path, found: Family, cache: Path, offline: bool) -> Path:
    """The configuration of the repo that diffusers tells from the tensors' names and shapes. Raises EngineUnavailable.

    Not left to from_single_file, which asks the Hub even when it is told to use local files only.
    """
    import huggingface_hub

    hub: Any = huggingface_hub
    repo = _original_repo(checkpoint)
    patterns = ["*.json", "*.txt", "*.model"]
    try:
        return Path(hub.snapshot_download(repo, cache_dir=cache, local_files_only=offline, allow_patterns=patterns))
    except (OSError, ValueError) as error:
        raise EngineUnavailable(
            f"{checkpoint.name} ({found.profile.title}) needs its family's configuration, which could not be fetched "
            f"from {repo!r}. Connect to the Hugging Face Hub for the first use, or put the configuration (a diffusers "
            f"folder without weights) into a folder named {checkpoint.stem!r} beside the file."
        ) from error


def _original_repo(checkpoint: Path) -> str:
    import torch
    from diffusers.loaders import single_file_utils
    from safetensors import safe_open

    opener: Any = safe_open
    with opener(str(checkpoint), framework="pt") as opened:
        names: list[str] = opened.keys()
        shapes = {name: torch.empty(opened.get_slice(name).get_shape(), device="meta") for name in names}
    rules: Any = single_file_utils
    return str(rules.fetch_diffusers_config(shapes)["pretrained_model_name_or_path"])


def first_line(error: BaseException | None) -> str:
    """The first line of a foreign error's text, as a sentence."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return f"{lines[0][:300].rstrip('.:')}."
