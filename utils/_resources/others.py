"""GPUs of AMD (amdsmi), Intel (torch, where it is imported already) and Apple (the machine's own memory)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from utils._resources.stats import GB, GpuStats, RamStats

MIB = 2**20
UNIFIED = 0.7
"""Share of Apple's memory that a GPU may take; our judgement, a little under Metal's own limit of two thirds to three
quarters on the larger machines."""


def amd_gpus(amdsmi: Any = None) -> list[GpuStats]:
    """`amdsmi`: AMD's module of that name or what behaves like it; None imports it where it is installed."""
    if amdsmi is None:
        try:
            import amdsmi  # pyright: ignore[reportMissingImports]
        except (ImportError, OSError, KeyError):  # the module looks for its library as it is imported
            return []
    smi: Any = amdsmi
    try:
        smi.amdsmi_init()
    except smi.AmdSmiException:
        return []
    try:
        handles: list[Any] = _asked(smi, smi.amdsmi_get_processor_handles) or []
        return [_amd_gpu(smi, index, handle) for index, handle in enumerate(handles)]
    finally:
        _asked(smi, smi.amdsmi_shut_down)


def _amd_gpu(smi: Any, index: int, handle: Any) -> GpuStats:
    memory = _table(smi, smi.amdsmi_get_gpu_vram_usage, handle)
    total, used = (_number(memory.get(name)) for name in ("vram_total", "vram_used"))
    power = _table(smi, smi.amdsmi_get_power_info, handle)
    sensor, metric = smi.AmdSmiTemperatureType.EDGE, smi.AmdSmiTemperatureMetric.CURRENT
    watts = _number(power.get("current_socket_power"))
    return GpuStats(
        index=index,
        name=str(_table(smi, smi.amdsmi_get_gpu_asic_info, handle).get("market_name") or "AMD GPU"),
        vendor="amd",
        memory_total_gb=None if total is None else total * MIB / GB,
        memory_used_gb=None if used is None else used * MIB / GB,
        memory_free_gb=None if total is None or used is None else (total - used) * MIB / GB,
        utilization_percent=_number(_table(smi, smi.amdsmi_get_gpu_activity, handle).get("gfx_activity")),
        temperature_celsius=_number(_asked(smi, smi.amdsmi_get_temp_metric, handle, sensor, metric)),
        power_watts=watts if watts else _number(power.get("average_socket_power")),
        power_limit_watts=_number(power.get("power_limit")),
        fan_percent=_fan(smi, handle),
    )


def _fan(smi: Any, handle: Any) -> float | None:
    speed = _number(_asked(smi, smi.amdsmi_get_gpu_fan_speed, handle, 0))
    most = _number(_asked(smi, smi.amdsmi_get_gpu_fan_speed_max, handle, 0))
    return 100 * speed / most if speed is not None and most else None


def _asked(smi: Any, question: Callable[..., Any], *given: Any) -> Any:
    try:
        return question(*given)
    except smi.AmdSmiException:
        return None


def _table(smi: Any, question: Callable[..., Any], handle: Any) -> dict[str, Any]:
    return _asked(smi, question, handle) or {}


def _number(told: Any) -> float | None:
    """AMD's module says "N/A" for what it does not know."""
    return float(told) if isinstance(told, int | float) and not isinstance(told, bool) else None


def intel_gpus(torch: Any) -> list[GpuStats]:
    """Through torch's XPU backend; `torch`: the module, None where nothing has imported it."""
    xpu = getattr(torch, "xpu", None)
    if xpu is None or not xpu.is_available():
        return []
    return [_intel_gpu(xpu, index) for index in range(xpu.device_count())]


def _intel_gpu(xpu: Any, index: int) -> GpuStats:
    known = xpu.get_device_properties(index)
    try:
        free: float | None = xpu.mem_get_info(index)[0] / GB
    except (AttributeError, RuntimeError):  # not every driver tells
        free = None
    total = known.total_memory / GB
    used = None if free is None else total - free
    return GpuStats(
        index=index, name=str(known.name), vendor="intel",
        memory_total_gb=total, memory_used_gb=used, memory_free_gb=free,
    )  # fmt: skip


def apple_gpu(ram: RamStats) -> GpuStats:
    """A part of the machine's memory; nothing else is told without being root."""
    total = ram.total_gb * UNIFIED
    free = min(total, ram.available_gb)
    return GpuStats(
        index=0, name="Apple GPU", vendor="apple",
        memory_total_gb=total, memory_used_gb=total - free, memory_free_gb=free,
    )  # fmt: skip
