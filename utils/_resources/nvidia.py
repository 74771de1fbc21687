"""NVIDIA's GPUs through NVML (nvidia-ml-py). No driver is no GPU, and what a driver refuses is None."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from utils._resources.stats import GB, GpuStats

REASONS: Mapping[str, str] = {
    "HwThermalSlowdown": "thermal slowdown (hardware)",
    "SwThermalSlowdown": "thermal slowdown (driver)",
    "HwPowerBrakeSlowdown": "power brake (from outside)",
    "SwPowerCap": "power cap",
    "HwSlowdown": "slowdown (hardware)",
}
"""NVML's clocks event reasons, in its own spelling, that mean less speed than there could be. Not among them: being
idle, clocks that the owner set, and waiting for other GPUs or the display."""
OVERHEATED = "thermal (at its slowdown temperature)"
"""Said where the driver tells no reasons."""


def nvidia_gpus(nvml: Any = None) -> list[GpuStats]:
    """`nvml`: the module pynvml or what behaves like it; None imports it."""
    if nvml is None:
        try:
            import pynvml as nvml
        except ImportError:
            return []
    try:
        nvml.nvmlInit()
    except nvml.NVMLError:  # no driver, or none that answers
        return []
    try:
        return [gpu for index in range(_count(nvml)) if (gpu := _gpu(nvml, index))]
    finally:
        _asked(nvml, nvml.nvmlShutdown)


def _count(nvml: Any) -> int:
    return _asked(nvml, nvml.nvmlDeviceGetCount) or 0


def _gpu(nvml: Any, index: int) -> GpuStats | None:
    """None for one that fell off the bus."""
    handle = _asked(nvml, nvml.nvmlDeviceGetHandleByIndex, index)
    if handle is None:
        return None
    memory = _asked(nvml, nvml.nvmlDeviceGetMemoryInfo, handle)
    rates = _asked(nvml, nvml.nvmlDeviceGetUtilizationRates, handle)
    name = _asked(nvml, nvml.nvmlDeviceGetName, handle)
    heat = _asked(nvml, nvml.nvmlDeviceGetTemperature, handle, nvml.NVML_TEMPERATURE_GPU)
    return GpuStats(
        index=index,
        name=name.decode(errors="replace") if isinstance(name, bytes) else name or "NVIDIA GPU",
        vendor="nvidia",
        memory_total_gb=memory.total / GB if memory else None,
        memory_used_gb=memory.used / GB if memory else None,
        memory_free_gb=memory.free / GB if memory else None,
        utilization_percent=rates.gpu if rates else None,
        temperature_celsius=heat,
        power_watts=_watts(_asked(nvml, nvml.nvmlDeviceGetPowerUsage, handle)),
        power_limit_watts=_watts(_asked(nvml, nvml.nvmlDeviceGetEnforcedPowerLimit, handle)),
        fan_percent=_asked(nvml, nvml.nvmlDeviceGetFanSpeed, handle),
        throttled=_throttled(nvml, handle, heat),
    )


def _throttled(nvml: Any, handle: Any, heat: float | None) -> tuple[str, ...]:
    """From the driver's reasons; without them from the temperature at which it begins to slow down."""
    bits = _asked(nvml, _newer(nvml), handle)
    if bits is not None:
        told = {reason: _bit(nvml, name) for name, reason in REASONS.items()}
        return tuple(reason for reason, bit in told.items() if bits & bit)
    limit = _asked(nvml, nvml.nvmlDeviceGetTemperatureThreshold, handle, nvml.NVML_TEMPERATURE_THRESHOLD_SLOWDOWN)
    return (OVERHEATED,) if heat is not None and limit and heat >= limit else ()


def _newer(nvml: Any) -> Callable[..., Any]:
    """The driver's word for it changed with NVML 12.2; an older module knows the older name alone."""
    newer = getattr(nvml, "nvmlDeviceGetCurrentClocksEventReasons", None)
    return newer or nvml.nvmlDeviceGetCurrentClocksThrottleReasons


def _bit(nvml: Any, name: str) -> int:
    return getattr(nvml, f"nvmlClocksEventReason{name}", None) or getattr(nvml, f"nvmlClocksThrottleReason{name}", 0)


def _asked(nvml: Any, question: Callable[..., Any], *given: Any) -> Any:
    """The answer; None where the driver or this GPU has none."""
    try:
        return question(*given)
    except nvml.NVMLError:
        return None


def _watts(milliwatts: float | None) -> float | None:
    return None if milliwatts is None else milliwatts / 1000
