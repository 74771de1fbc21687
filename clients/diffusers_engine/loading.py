"""From a source to a pipeline in memory: device, precision, weights, and the hash that names them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from clients.diffusers_engine.models import INDEX, Shelf, Source, family_of_folder, header_names, weight_files
from clients.diffusers_engine.preview import LatentColours
from clients.diffusers_engine.prompts import Wordings
from workflows.errors import EngineUnavailable, ExtraMissing, NotFound
from workflows.families import Family, family_of_header
from workflows.types import MAX_CANDIDATES

PURPOSE = "Drawing in this process"
PACKAGES = ("torch", "diffusers", "transformers", "compel")
_hashes: dict[tuple[str, int, int], str] = {}


@dataclass(kw_only=True)
class Loaded:
    """A pipeline in memory. Only the worker thread touches it."""

    source: Source
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
    most: int = MAX_CANDIDATES
    """Pictures at once that its memory has held so far."""
    colours: LatentColours | None = None
    parameters: int = 0
    gigabytes: float = 0.0


def load(source: Source, shelf: Shelf, *, offline: bool = False) -> Loaded:
    """Load on the best device. Raises ExtraMissing, NotFound, EngineUnavailable, and torch's own when out of memory."""
    libraries()
    device, dtype = best_device()
    where = _fetched(source, shelf, dtype, offline)
    pipe, found = (
        _from_folder(where, source, shelf, dtype)
        if where
        else _from_file(source.path, shelf.hub_cache(), dtype, offline)
    )
    pipe.set_progress_bar_config(disable=True)
    pipe = pipe.to(device)
    parts = [part for part in pipe.components.values() if hasattr(part, "parameters")]
    weights = [weight for part in parts for weight in part.parameters()]
    return Loaded(
        source=source,
        family=found,
        pipe=pipe,
        device=device,
        dtype=str(dtype).removeprefix("torch."),
        model_hash=weights_hash([source.path] if where is None else weight_files(where)),
        scheduler=pipe.scheduler,
        parameters=sum(weight.numel() for weight in weights),
        gigabytes=round(sum(weight.numel() * weight.element_size() for weight in weights) / 1e9, 3),
    )


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


def _fetched(source: Source, shelf: Shelf, dtype: Any, offline: bool) -> Path | None:
    """The pipeline's folder, fetched from the Hub where it is a repo; None for a single file."""
    if source.kind == "file":
        return None
    if source.kind != "repo":
        if not (source.path / INDEX).is_file():
            raise NotFound("diffusers pipeline", source.where, hint=f"A model folder holds a {INDEX}.")
        return source.path
    return _from_hub(source.where, shelf.hub_cache(), dtype, offline)


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


def _from_folder(folder: Path, source: Source, shelf: Shelf, dtype: Any) -> tuple[Any, Family]:
    files = weight_files(folder)
    variant = "fp16" if files and all(".fp16." in f".{file.name}" for file in files) else None
    try:
        pipe = diffusers_library().DiffusionPipeline.from_pretrained(
            str(folder), dtype=dtype, variant=variant, use_safetensors=True, local_files_only=True
        )
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise EngineUnavailable(
            f"The model {source.name!r} in {folder} cannot be loaded: {first_line(error)}"
        ) from error
    return pipe, shelf.family(source) if source.kind == "demo" else family_of_folder(folder)


def _from_file(checkpoint: Path, cache: Path, dtype: Any, offline: bool) -> tuple[Any, Family]:
    """A single checkpoint; its configuration lies in a folder of the same name beside it, or comes from the Hub."""
    from diffusers.loaders.single_file_utils import SingleFileComponentError

    found = family_of_header(header_names(checkpoint))
    if not found.pipelines:
        raise EngineUnavailable(
            f"{checkpoint.name} is of a family that is not known here. Convert it to a diffusers folder "
            "(save_pretrained) and set ATELIER_LOCAL_MODEL to that folder."
        )
    beside = checkpoint.with_suffix("")
    folder = beside if (beside / INDEX).is_file() else _configuration(checkpoint, found, cache, offline)
    kind: Any = getattr(diffusers_library(), found.pipelines[0])
    try:
        pipe = kind.from_single_file(str(checkpoint), config=str(folder), dtype=dtype, local_files_only=True)
    except (OSError, ValueError, KeyError, AttributeError, RuntimeError, SingleFileComponentError) as error:
        title = f"{checkpoint.name} ({found.profile.title})"
        raise EngineUnavailable(
            f"{title} cannot be loaded with the configuration in {folder}: {first_line(error)}"
        ) from error
    return pipe, found


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
