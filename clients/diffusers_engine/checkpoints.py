"""What a single checkpoint file is, from its header alone: its family, and whether a pipeline here can take it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from utils.safetensors_header import BadHeader, Header, read_header
from workflows.errors import BadRecipe, NotFound
from workflows.families import Family, families, family
from workflows.recognition import Recognised, recognise

UNET_INPUT = "model.diffusion_model.input_blocks.0.0.weight"
"""Its second dimension is the number of channels that the model reads: 4, but for models made for one purpose."""
PURPOSES = {9: "inpainting", 8: "editing by instruction", 5: "drawing by depth"}


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A file's family, with the pipelines that draw it, and what its header says."""

    family: Family
    recognised: Recognised
    channels: int | None
    """That a UNet of the original layout reads; None: another layout."""
    size: int


def read_checkpoint(path: Path, told: str | None = None) -> Checkpoint:
    """What that file is; `told`: its family where the owner said it. Raises NotFound, BadRecipe."""
    status = _status(path)
    return _checkpoint(path, told, status[0], status[1])


def header_of(path: Path, argument: str = "model") -> Header:
    """The file's header. Raises NotFound, BadRecipe."""
    try:
        return read_header(path)
    except FileNotFoundError as error:
        raise NotFound("model file", path.name) from error
    except (BadHeader, OSError) as error:
        why = str(error) if isinstance(error, BadHeader) else "it cannot be read"
        raise BadRecipe(argument, path.name, f"it is not a .safetensors file that can be used: {why}") from error


@lru_cache(maxsize=64)
def _checkpoint(path: Path, told: str | None, size: int, changed: int) -> Checkpoint:
    header = header_of(path)
    recognised = recognise(header, path.name, size)
    first = header.tensors.get(UNET_INPUT)
    return Checkpoint(
        family=with_pipelines(_family(told or recognised.family)),
        recognised=recognised,
        channels=first.shape[1] if first and len(first.shape) > 1 else None,
        size=size,
    )


def _status(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError as error:
        raise NotFound("model file", path.name) from error
    return status.st_size, status.st_mtime_ns


def _family(name: str) -> Family:
    return families().get(name) or family("unknown")


def with_pipelines(found: Family) -> Family:
    """The family with the pipelines of its kin, where it has none of its own and is no model for one purpose."""
    if found.pipelines or found.comfyui.special:
        return found
    kin = (one.pipelines for one in families().values() if one.kin == found.kin and one.pipelines)
    return found.model_copy(update={"pipelines": next(kin, ())})


def fault(checkpoint: Checkpoint, name: str, *, spare: Collection[str] = ()) -> str | None:
    """Why no pipeline here draws with it, in words; None: one does. `spare`: parts that can be had elsewhere."""
    title = checkpoint.family.profile.title
    found = checkpoint.recognised
    if found.kind not in {"checkpoint", "diffusion_model", "other"}:
        return f"{name} is a {found.kind.replace('_', ' ')}, not a model that draws alone."
    if not checkpoint.family.pipelines:
        known = "of a family that is not known here" if checkpoint.family.profile.name == "unknown" else title
        return (
            f"{name} is {known}, which has no pipeline here. ComfyUI may draw with it; or convert it to a diffusers "
            "folder (save_pretrained) and set ATELIER_LOCAL_MODEL to that folder."
        )
    if checkpoint.channels not in {None, 4} and checkpoint.family.profile.name != "unknown":
        purpose = PURPOSES.get(checkpoint.channels or 0, "a purpose of its own")
        return f"{name} ({title}) is made for {purpose}; ComfyUI draws with it."
    return _incomplete(found, f"{name} ({title})", spare)


def _incomplete(found: Recognised, name: str, spare: Collection[str]) -> str | None:
    missing = [part for part in ("text_encoder", "vae") if part not in found.parts and part not in spare]
    if "model" not in found.parts:
        return f"{name} holds no denoiser: it cannot draw."
    if len(missing) == 2:
        return (
            f"{name} holds the denoiser alone: ComfyUI draws with it; here it needs a checkpoint with its text encoder "
            "and autoencoder, or a diffusers folder."
        )
    if missing:
        words = {"text_encoder": "text encoder", "vae": "autoencoder (VAE)"}[missing[0]]
        return (
            f"{name} comes without its {words}: ComfyUI can add one; here it needs a checkpoint that holds all parts."
        )
    return None
