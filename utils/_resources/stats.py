"""The figures of a machine as plain values. Gigabytes are 10^9 bytes; None: not told."""

from __future__ import annotations

from dataclasses import dataclass

GB = 10**9
HEAT = "thermal"
"""Reasons that begin so are for heat."""


@dataclass(frozen=True, kw_only=True)
class GpuStats:
    """One GPU now."""

    index: int
    """As its vendor's library counts."""
    name: str
    vendor: str
    """nvidia, amd, apple or intel."""
    memory_total_gb: float | None = None
    memory_used_gb: float | None = None
    memory_free_gb: float | None = None
    """What a new process could take."""
    utilization_percent: float | None = None
    temperature_celsius: float | None = None
    power_watts: float | None = None
    power_limit_watts: float | None = None
    fan_percent: float | None = None
    throttled: tuple[str, ...] = ()
    """Why it is slower than it could be now, such as 'thermal slowdown (hardware)' or 'power cap'."""

    @property
    def too_hot(self) -> bool:
        """Whether it is slowed down for its heat."""
        return any(reason.startswith(HEAT) for reason in self.throttled)


@dataclass(frozen=True, kw_only=True)
class CpuStats:
    """All cores together; use since the look before this one."""

    usage_percent: float
    temperature_celsius: float | None = None
    frequency_mhz: float | None = None
    cores: int


@dataclass(frozen=True, kw_only=True)
class RamStats:
    total_gb: float
    used_gb: float
    available_gb: float
    """What a new process could take without swapping."""


@dataclass(frozen=True, kw_only=True)
class SystemStats:
    """A machine at one moment."""

    gpus: tuple[GpuStats, ...]
    cpu: CpuStats
    ram: RamStats

    def get_primary_gpu(self) -> GpuStats | None:
        """The one with the most memory, of equals the first; None without any."""
        return max(self.gpus, key=lambda gpu: gpu.memory_total_gb or 0.0, default=None)
