"""ResourceMonitor: what this machine has and how it fares: GPUs, CPU, RAM; and which device suits a model.

Gigabytes are decimal, 10^9 bytes, everywhere. It measures and recommends; it changes nothing, and never imports torch.
"""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from utils._resources.nvidia import nvidia_gpus
from utils._resources.others import amd_gpus, apple_gpu, intel_gpus
from utils._resources.stats import GB, CpuStats, GpuStats, RamStats, SystemStats
from utils.safetensors_header import BadHeader, read_header

__all__ = ["CpuStats", "GpuStats", "RamStats", "Recommendation", "ResourceMonitor", "SystemStats"]

WEIGHTS = (".safetensors", ".gguf", ".bin", ".pt", ".pth", ".ckpt")
"""Files of weights, the surest first: where a folder has the same weights twice, the first kind counts."""
VARIANT = re.compile(r"\.(?:fp16|bf16|fp8|non_ema|ema_only)(?=[.-])")
"""A second copy of the same weights, as diffusers names them."""
SHARD = re.compile(r"-\d{5}-of-\d{5}(?=\.)")
PIPELINE = "model_index.json"
"""Stands in a folder of diffusers, whose weights lie in folders below it; files beside it hold them a second time."""
LEAST = 1.5
"""Gigabytes below which a GPU draws nothing: the context of its library, and the least working memory of a step."""
CPU_SENSORS = ("coretemp", "k10temp", "zenpower", "cpu_thermal", "cpu-thermal", "acpitz")
DEVICES = {"nvidia": "cuda", "amd": "cuda", "intel": "xpu"}
"""What torch calls a vendor's GPUs; AMD's go by NVIDIA's name."""


@dataclass(frozen=True, kw_only=True)
class Recommendation:
    """Where to compute: 'cuda:0', 'xpu:0', 'mps' or 'cpu', and why."""

    device: str
    reason: str


class ResourceMonitor:
    """Looks when asked, and remembers nothing.

    `nvml` and `amdsmi` stand for the vendors' modules; None: the installed ones. `system` is what platform.system()
    says with the machine, such as "Darwin arm64"; None: this one. `visible`: CUDA_VISIBLE_DEVICES of the process that
    will compute, which counts its GPUs by it.
    """

    def __init__(
        self,
        *,
        nvml: Any = None,
        amdsmi: Any = None,
        torch: Any = None,
        system: str | None = None,
        visible: str | None = None,
    ) -> None:
        self._nvml = nvml
        self._amdsmi = amdsmi
        self._torch = torch
        self._apple = (system or f"{platform.system()} {platform.machine()}") == "Darwin arm64"
        self._visible = visible
        psutil.cpu_percent()  # the first answer of all would be 0

    def get_current_stats(self) -> SystemStats:
        """GPUs of every vendor, CPU and RAM now. What nobody tells is None; no GPU is no error."""
        ram = _ram()
        gpus = [*nvidia_gpus(self._nvml), *amd_gpus(self._amdsmi), *intel_gpus(self._loaded_torch())]
        return SystemStats(gpus=(*gpus, *([apple_gpu(ram)] if self._apple else [])), cpu=_cpu(), ram=ram)

    def throttling(self) -> tuple[GpuStats, ...]:
        """The GPUs that are slowed down for their heat now; `throttled` says by whom."""
        return tuple(gpu for gpu in self.get_current_stats().gpus if gpu.too_hot)

    def recommend_device(self, need_gb: float | None = None) -> Recommendation:
        """The device for a model that takes `need_gb` in all (None: for any): the GPU with the most free memory."""
        stats = self.get_current_stats()
        gpus = [(device, gpu) for device, gpu in self._named(stats.gpus) if (gpu.memory_free_gb or 0.0) >= LEAST]
        if not gpus:
            return Recommendation(device="cpu", reason=_no_gpu(stats.gpus))
        device, gpu = max(gpus, key=lambda named: named[1].memory_free_gb or 0.0)
        return Recommendation(device=device, reason=_because(gpu, need_gb))

    def model_size_gb(self, path: Path | str) -> float:
        """Gigabytes of a model's weights: a file by its header where it has one, a folder by all that it holds.

        Copies of the same weights in another precision or format count once. Raises FileNotFoundError.
        """
        path = Path(path)
        if not path.is_dir():
            return _weights_bytes(path) / GB
        folders = {file.parent for file in path.rglob("*") if file.suffix in WEIGHTS}
        return sum(_weights_bytes(file) for folder in folders for file in _without_copies(folder)) / GB

    def _loaded_torch(self) -> Any:
        return self._torch or sys.modules.get("torch")

    def _named(self, gpus: Sequence[GpuStats]) -> Iterable[tuple[str, GpuStats]]:
        """Each GPU under the name by which torch knows it; those that are hidden from it are left out."""
        for gpu in gpus:
            if gpu.vendor == "apple":
                yield "mps", gpu
                continue
            place = _place(gpu.index, self._visible) if gpu.vendor in {"nvidia", "amd"} else gpu.index
            if place is not None:
                yield f"{DEVICES[gpu.vendor]}:{place}", gpu


# ------------------------------------------------------------------ this machine


def _cpu() -> CpuStats:
    try:
        frequency = psutil.cpu_freq()
    except (OSError, NotImplementedError, RuntimeError):  # virtual machines and some boards have none to tell
        frequency = None
    return CpuStats(
        usage_percent=psutil.cpu_percent(),
        temperature_celsius=_cpu_temperature(),
        frequency_mhz=frequency.current if frequency else None,
        cores=psutil.cpu_count() or 1,
    )


def _cpu_temperature() -> float | None:
    """The hottest of the first sensor that is known to be the CPU's; psutil has sensors on Linux and FreeBSD alone."""
    sensors: Mapping[str, Sequence[Any]] = getattr(psutil, "sensors_temperatures", dict[str, Any])()
    told = next((sensors[name] for name in CPU_SENSORS if sensors.get(name)), ())
    return max((float(reading.current) for reading in told), default=None)


def _ram() -> RamStats:
    memory = psutil.virtual_memory()
    return RamStats(total_gb=memory.total / GB, used_gb=memory.used / GB, available_gb=memory.available / GB)


# ------------------------------------------------------------------ which device


def _place(index: int, visible: str | None) -> int | None:
    """The number by which a process counts a GPU that it may see; None for a hidden one.

    A list of names instead of numbers tells nothing here: then the first is meant.
    """
    if visible is None:
        return index
    numbers = [part.strip() for part in visible.split(",")]
    if not all(number.lstrip("-").isdigit() for number in numbers if number):
        return index
    shown = [int(number) for number in numbers if number]
    shown = shown[: shown.index(-1)] if -1 in shown else shown
    return shown.index(index) if index in shown else None


def _no_gpu(gpus: Sequence[GpuStats]) -> str:
    if not gpus:
        return "There is no GPU that could be asked."
    return f"No GPU of this process has {LEAST} GB free: {'; '.join(_have(gpu) for gpu in gpus)}."


def _have(gpu: GpuStats) -> str:
    free, total = gpu.memory_free_gb, gpu.memory_total_gb
    if free is None:
        return f"{gpu.name} does not tell its memory"
    return f"{gpu.name} has {free:.1f}{f' of {total:.1f}' if total else ''} GB free"


def _because(gpu: GpuStats, need: float | None) -> str:
    free, total = gpu.memory_free_gb or 0.0, gpu.memory_total_gb or 0.0
    if need is None or need <= free:
        return f"{_have(gpu)}{'' if need is None else f', which holds {need:.1f} GB'}."
    if need <= total:
        return f"{_have(gpu)}: {need:.1f} GB would fit if what else uses it were closed; till then part waits in RAM."
    return f"{_have(gpu)}: {need:.1f} GB do not fit whole, so part waits in RAM, which is slower."


# ------------------------------------------------------------------ how large a model is


def _weights_bytes(file: Path) -> int:
    """Of the weights alone where a header tells, else the file's size."""
    if file.suffix == ".safetensors":
        try:
            return read_header(file).data_bytes
        except BadHeader:
            pass
    return file.stat().st_size


def _without_copies(folder: Path) -> list[Path]:
    """The weight files of one folder: of one kind, and not again in another precision."""
    names = {file.name for file in folder.iterdir() if file.suffix in WEIGHTS or file.name == PIPELINE}
    kind = next((kind for kind in WEIGHTS if any(name.endswith(kind) for name in names)), None)
    if kind is None or PIPELINE in names:
        return []
    found = [name for name in names if name.endswith(kind)]
    plainly = {SHARD.sub("", name) for name in found if not VARIANT.search(name)}
    return [folder / name for name in found if not VARIANT.search(name) or _whole(name) not in plainly]


def _whole(name: str) -> str:
    return SHARD.sub("", VARIANT.sub("", name))
