"""How a model is brought into the memory that there is: weighed, planned by workflows.memory, and the plan carried out.

It decides nothing: levers come from the plan. Weights are weighed on the disk, before anything is loaded.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from clients.diffusers_engine.batches import free_memory
from clients.diffusers_engine.checkpoints import Checkpoint, header_of
from workflows.errors import BadRecipe, NotFound
from workflows.families import Family
from workflows.memory import TILE, WORDS, Device, Need, need_of, plan
from workflows.types import MemoryPlan, Recipe

GB = 1e9
EIGHT_BITS = "fp8_layerwise"
OFFLOADS = ("model_offload", "group_offload", "sequential_offload")
"""From the gentlest to the harshest; one of them at most is in a plan."""
DENOISERS = ("transformer", "unet")
ENCODERS = ("text_encoder", "text_encoder_2", "text_encoder_3")
LONG_NAMES: Mapping[str, str] = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16"}
PRECISIONS: Mapping[str, str] = {"F64": "fp32", "F32": "fp32", "F16": "fp16", "BF16": "bf16"}
"""As safetensors headers spell them; what is not here is fp8 or smaller, and is turned into the working precision."""
SHARES = (0.9, 0.75, 0.6, 0.45, 0.3, 0.15, 0.05)
"""Of the peak that was planned and was too much: tried for a harsher plan one after the other."""


@dataclass(frozen=True, kw_only=True)
class Weights:
    """What a model weighs on the disk, in bytes, and in which precision."""

    size: int
    """Of the denoiser, or of the whole checkpoint."""
    parts: tuple[str, ...] = ("model",)
    """What `size` holds."""
    precision: str = ""
    components: Mapping[str, int] = field(default_factory=dict[str, int])
    """The other parts, where each has files of its own; as they will lie in memory."""


def weigh_file(checkpoint: Checkpoint) -> Weights:
    """A single checkpoint."""
    found = checkpoint.recognised
    return Weights(size=checkpoint.size, parts=found.parts or ("model",), precision=found.precision)


def weigh_folder(folder: Path, held: str) -> Weights:
    """A pipeline's folder, whose weights will be held in that precision."""
    denoiser = next((files for part in DENOISERS if (files := weights_in(folder / part))), ())
    others = {"text_encoder": ENCODERS, "vae": ("vae",)}
    return Weights(
        size=_bytes(denoiser),
        precision=_precision(denoiser),
        components={
            part: sum(_held(weights_in(folder / name), held) for name in names) for part, names in others.items()
        },
    )


def weights_in(folder: Path) -> Sequence[Path]:
    """The files that are loaded from it: those of full names, or the half-precision ones where there are no others."""
    files = sorted(folder.glob("*.safetensors"))
    return [file for file in files if ".fp16." not in file.name] or files


def _bytes(files: Sequence[Path]) -> int:
    return sum(file.stat().st_size for file in files)


def _held(files: Sequence[Path], held: str) -> int:
    """Bytes in memory."""
    wide = {"fp32": 4, "fp16": 2, "bf16": 2}
    return round(_bytes(files) * wide.get(held, 2) / wide.get(_precision(files), 2))


def _precision(files: Sequence[Path]) -> str:
    """Of the first file's first matrix."""
    try:
        tensors = header_of(files[0]).tensors.values() if files else ()
    except (BadRecipe, NotFound):  # loading it will say so
        return ""
    return next((PRECISIONS.get(one.dtype, "fp8") for one in tensors if len(one.shape) > 1), "")


def need_for(weights: Weights, found: Family, recipe: Recipe, held: str) -> Need:
    """What one picture of the recipe takes: how many are drawn at once is found out later, by what is free then."""
    need = need_of(
        weights.size,
        found,
        recipe.but(count=1),
        parts=weights.parts,
        precision=weights.precision,
        held=held,
        components=weights.components,
    )
    return replace(need, frames=recipe.frames or found.profile.frames) if found.video else need


def measure(kind: str) -> Device:
    """The device as it is now. What torch holds for reuse counts as free."""
    import psutil

    machine: Any = psutil.virtual_memory()
    ram = round(machine.available / GB, 2)
    if kind == "cuda":
        cuda: Any = sys.modules["torch"].cuda
        _, total = cuda.mem_get_info()
        return Device(
            kind="cuda",
            name=str(cuda.get_device_name()),
            total_gb=round(total / GB, 2),
            free_gb=round(free_memory("cuda") / GB, 2),
            ram_free_gb=ram,
            bf16=bool(cuda.is_bf16_supported()),
        )
    total = round(machine.total / GB, 2)
    return Device(kind=kind, total_gb=total, ram_free_gb=ram, fp8=kind == "cpu", flash=kind == "cpu")


def planned(need: Need, device: Device, recipe: Recipe) -> MemoryPlan:
    """The plan for this engine.

    With LoRAs the weights are not kept in eight bits: peft would round the LoRAs to the same, and most of their numbers
    are smaller than eight bits can tell from zero.
    """
    fp8 = device.fp8 and not recipe.loras
    return plan(need, replace(device, fp8=fp8), engine="diffusers", quality=recipe.quality)


def harsher(need: Need, device: Device, recipe: Recipe, than: MemoryPlan) -> MemoryPlan | None:
    """The next plan that leaves less on the device than `than`; None where there is none."""
    for share in SHARES if device.kind not in {"cpu", "mps"} else ():
        found = planned(need, replace(device, free_gb=than.peak_gb * share), recipe)
        if found.peak_gb < than.peak_gb and set(found.levers) != set(than.levers):
            return found
    return None


def covers(held: MemoryPlan, wanted: MemoryPlan, recipe: Recipe) -> bool:
    """Whether a model loaded by `held` can draw what `wanted` was made for; the gentle levers are set each time."""
    stage, needed = _stage(held.levers), _stage(wanted.levers)
    if recipe.loras and EIGHT_BITS in held.levers:
        return False
    return stage > needed or (stage == needed and (EIGHT_BITS in held.levers or EIGHT_BITS not in wanted.levers))


def _stage(levers: Collection[str]) -> int:
    return next((number for number, lever in enumerate(OFFLOADS, 1) if lever in levers), 0)


def said(levers: Collection[str]) -> str:
    """Levers in words."""
    return " and ".join(WORDS[lever] for lever in levers)


# ------------------------------------------------------------------ carried out


def place(pipe: Any, levers: Collection[str], device: str, dtype: Any) -> tuple[str, ...]:
    """Cast and move the weights as the plan says; the levers that were applied. Once for each pipeline.

    One memory for all (CPU, Apple) leaves nowhere to offload to: the plan has none then, and none is applied.
    """
    import torch

    applied: list[str] = []
    if EIGHT_BITS in levers:
        denoiser_of(pipe).enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=dtype)
        applied.append(EIGHT_BITS)
    offload = next((lever for lever in reversed(OFFLOADS) if lever in levers), None)
    if offload is None:
        pipe.to(device)
        return tuple(applied)
    OFFLOADERS[offload](pipe, device)
    return (*applied, offload)


def denoiser_of(pipe: Any) -> Any:
    """The network that draws."""
    return next(part for name in DENOISERS if (part := getattr(pipe, name, None)) is not None)


def _offload_models(pipe: Any, device: str) -> None:
    pipe.enable_model_cpu_offload(device=device)


def _offload_layers(pipe: Any, device: str) -> None:
    pipe.enable_sequential_cpu_offload(device=device)


def _offload_groups(pipe: Any, device: str) -> None:
    """A transformer block by block, the next one on its way while one works; a UNet and the encoders layer by layer.

    What is small, such as the autoencoder, stays on the device.
    """
    import torch
    from diffusers.hooks import group_offloading

    offload: Any = group_offloading.apply_group_offloading
    blocks, leaves = {"offload_type": "block_level", "num_blocks_per_group": 1}, {"offload_type": "leaf_level"}
    for name, part in pipe.components.items():
        if not isinstance(part, torch.nn.Module):
            continue
        if name not in {*DENOISERS, *ENCODERS}:
            part.to(device)
            continue
        offload(
            part,
            onload_device=torch.device(device),
            offload_device=torch.device("cpu"),
            use_stream=device == "cuda" and name in DENOISERS,
            **(blocks if name == "transformer" else leaves),
        )


OFFLOADERS = {
    "model_offload": _offload_models,
    "group_offload": _offload_groups,
    "sequential_offload": _offload_layers,
}


def ease(pipe: Any, levers: Collection[str], before: Collection[str] = ()) -> tuple[str, ...]:
    """Set the levers that can change from picture to picture, as tiles and slices do; those that are on now.

    What was on `before` and is not wanted any more is switched off: a picture of the same recipe is the same.
    """
    applied: list[str] = []
    for lever, switch in SWITCHES.items():
        if (lever in levers or lever in before) and switch(pipe, lever in levers):
            applied.append(lever)
    return tuple(applied)


def _slice_decoding(pipe: Any, on: bool) -> bool:
    if not hasattr(pipe.vae, "use_slicing"):
        return False
    (pipe.vae.enable_slicing if on else pipe.vae.disable_slicing)()
    return on


def _tile_decoding(pipe: Any, on: bool) -> bool:
    """In tiles of TILE pixels: diffusers' own are as large as the autoencoder's native picture."""
    vae = pipe.vae
    if not hasattr(vae, "use_tiling"):
        return False
    if on and hasattr(vae, "tile_latent_min_size"):
        vae.tile_sample_min_size = TILE
        vae.tile_latent_min_size = TILE // 2 ** (len(vae.config.block_out_channels) - 1)
    (vae.enable_tiling if on else vae.disable_tiling)()
    return on


def _slice_attention(pipe: Any, on: bool) -> bool:
    (pipe.enable_attention_slicing if on else pipe.disable_attention_slicing)()
    return on


SWITCHES = {
    "vae_slicing": _slice_decoding,
    "vae_tiling": _tile_decoding,
    "attention_slicing": _slice_attention,
}
