"""ResourceMonitor against stand-ins with the vendors' own function names, and against this machine as it is."""
# ruff: noqa: N802, N815

from __future__ import annotations

import json
import struct
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from utils.resources import GpuStats, Recommendation, ResourceMonitor

GIB = 2**30
LINUX = "Linux x86_64"


class NVMLError(Exception):
    """As pynvml's: every refusal is one."""


@dataclass
class Card:
    """What a driver tells of one GPU; None: it refuses the question."""

    name: str | bytes = "NVIDIA GeForce RTX 4090"
    memory: tuple[int, int] | None = (24 * GIB, 10 * GIB)
    use: int | None = 37
    heat: int | None = 61
    milliwatts: int | None = 218_450
    limit: int | None = 450_000
    fan: int | None = 30
    reasons: int | None = 0
    slowdown: int | None = 90


@dataclass
class Nvml:
    """The functions of pynvml that are used, by their real names."""

    cards: list[Card | None] = field(default_factory=list[Card | None])
    driver: bool = True
    opened: int = 0
    NVMLError = NVMLError
    NVML_TEMPERATURE_GPU = 0
    NVML_TEMPERATURE_THRESHOLD_SLOWDOWN = 1
    nvmlClocksEventReasonSwPowerCap = 4
    nvmlClocksEventReasonHwSlowdown = 8
    nvmlClocksEventReasonSwThermalSlowdown = 32
    nvmlClocksEventReasonHwThermalSlowdown = 64
    nvmlClocksEventReasonHwPowerBrakeSlowdown = 128

    def nvmlInit(self) -> None:
        if not self.driver:
            raise NVMLError("Driver Not Loaded")
        self.opened += 1

    def nvmlShutdown(self) -> None:
        self.opened -= 1

    def nvmlDeviceGetCount(self) -> int:
        return len(self.cards)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Card:
        return self._told(self.cards[index])

    def nvmlDeviceGetName(self, handle: Card) -> str | bytes:
        return handle.name

    def nvmlDeviceGetMemoryInfo(self, handle: Card) -> SimpleNamespace:
        total, used = self._told(handle.memory)
        return SimpleNamespace(total=total, used=used, free=total - used)

    def nvmlDeviceGetUtilizationRates(self, handle: Card) -> SimpleNamespace:
        return SimpleNamespace(gpu=self._told(handle.use), memory=5)

    def nvmlDeviceGetTemperature(self, handle: Card, sensor: int) -> int:
        assert sensor == self.NVML_TEMPERATURE_GPU
        return self._told(handle.heat)

    def nvmlDeviceGetTemperatureThreshold(self, handle: Card, threshold: int) -> int:
        assert threshold == self.NVML_TEMPERATURE_THRESHOLD_SLOWDOWN
        return self._told(handle.slowdown)

    def nvmlDeviceGetPowerUsage(self, handle: Card) -> int:
        return self._told(handle.milliwatts)

    def nvmlDeviceGetEnforcedPowerLimit(self, handle: Card) -> int:
        return self._told(handle.limit)

    def nvmlDeviceGetFanSpeed(self, handle: Card) -> int:
        return self._told(handle.fan)

    def nvmlDeviceGetCurrentClocksEventReasons(self, handle: Card) -> int:
        return self._told(handle.reasons)

    def _told(self, answer: Any) -> Any:
        if answer is None:
            raise NVMLError("Not Supported")
        return answer


def monitor(*cards: Card | None, **more: Any) -> ResourceMonitor:
    return ResourceMonitor(nvml=Nvml(list(cards)), torch=SimpleNamespace(), system=LINUX, **more)


# ------------------------------------------------------------------ what there is


def test_an_nvidia_gpu_is_told_in_decimal_gigabytes_watts_and_percent() -> None:
    nvml = Nvml([Card(name=b"NVIDIA H200")])
    stats = ResourceMonitor(nvml=nvml, torch=SimpleNamespace(), system=LINUX).get_current_stats()
    assert stats.get_primary_gpu() == GpuStats(
        index=0,
        name="NVIDIA H200",
        vendor="nvidia",
        memory_total_gb=24 * GIB / 1e9,
        memory_used_gb=10 * GIB / 1e9,
        memory_free_gb=14 * GIB / 1e9,
        utilization_percent=37,
        temperature_celsius=61,
        power_watts=218.45,
        power_limit_watts=450.0,
        fan_percent=30,
        throttled=(),
    )
    assert nvml.opened == 0


def test_what_a_driver_refuses_is_none() -> None:
    silent = Card(memory=None, use=None, heat=None, milliwatts=None, limit=None, fan=None, reasons=None, slowdown=None)
    told = GpuStats(index=0, name="NVIDIA GeForce RTX 4090", vendor="nvidia")
    assert monitor(silent).get_current_stats().gpus == (told,)


def test_a_gpu_that_fell_off_the_bus_leaves_the_others() -> None:
    assert [gpu.index for gpu in monitor(None, Card()).get_current_stats().gpus] == [1]


def test_without_a_driver_there_is_no_gpu_and_no_error() -> None:
    one = ResourceMonitor(nvml=Nvml(driver=False), torch=SimpleNamespace(), system=LINUX)
    stats = one.get_current_stats()
    assert (stats.gpus, stats.get_primary_gpu(), one.throttling()) == ((), None, ())
    assert one.recommend_device(4.0) == Recommendation(device="cpu", reason="There is no GPU that could be asked.")


def test_the_primary_gpu_is_the_largest_and_of_equals_the_first() -> None:
    small, large = Card(memory=(8 * GIB, 0)), Card(memory=(24 * GIB, 0))
    primary = monitor(small, large, large).get_current_stats().get_primary_gpu()
    assert primary is not None
    assert primary.index == 1


def test_this_machine_tells_its_processor_and_memory() -> None:
    stats = ResourceMonitor().get_current_stats()
    assert stats.cpu.cores >= 1
    assert 0 <= stats.cpu.usage_percent <= 100
    assert 0 < stats.ram.available_gb <= stats.ram.total_gb
    assert 0 < stats.ram.used_gb < stats.ram.total_gb


# ------------------------------------------------------------------ heat


@pytest.mark.parametrize(
    ("card", "reasons", "hot"),
    [
        (Card(reasons=64), ("thermal slowdown (hardware)",), True),
        (Card(reasons=32 | 4), ("thermal slowdown (driver)", "power cap"), True),
        (Card(reasons=4), ("power cap",), False),
        (Card(reasons=1 | 2 | 16 | 256), (), False),
        (Card(reasons=8 | 128), ("power brake (from outside)", "slowdown (hardware)"), False),
        (Card(reasons=None, heat=90), ("thermal (at its slowdown temperature)",), True),
        (Card(reasons=None, heat=89), (), False),
        (Card(reasons=0, heat=99), (), False),
    ],
)
def test_heat_is_told_by_the_drivers_reasons_and_without_them_by_the_temperature(
    card: Card, reasons: tuple[str, ...], hot: bool
) -> None:
    one = monitor(card)
    assert one.get_current_stats().gpus[0].throttled == reasons
    assert [gpu.index for gpu in one.throttling()] == ([0] if hot else [])


def test_a_module_from_before_the_new_words_is_understood() -> None:
    class Older(Nvml):
        nvmlClocksThrottleReasonHwThermalSlowdown = 64

        def __getattribute__(self, name: str) -> Any:
            if "ClocksEvent" in name and not name.endswith("Throttle"):
                raise AttributeError(name)
            return super().__getattribute__(name)

        def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle: Card) -> int:
            return self._told(handle.reasons)

    one = ResourceMonitor(nvml=Older([Card(reasons=64)]), torch=SimpleNamespace(), system=LINUX)
    assert one.get_current_stats().gpus[0].throttled == ("thermal slowdown (hardware)",)


# ------------------------------------------------------------------ other vendors


class AmdSmiException(Exception):
    """As amdsmi's."""


def amdsmi(power: Any = None, **refused: bool) -> SimpleNamespace:
    """The functions of AMD's module that are used, for one card; megabytes, watts and degrees as it gives them."""

    def answer(name: str, told: Any) -> Any:
        def function(*_: Any) -> Any:
            if refused.get(name):
                raise AmdSmiException(name)
            return told

        return function

    told = {
        "init": None,
        "shut_down": None,
        "get_processor_handles": ["card"],
        "get_gpu_asic_info": {"market_name": "Radeon RX 7900 XTX"},
        "get_gpu_vram_usage": {"vram_total": 24560, "vram_used": 560},
        "get_gpu_activity": {"gfx_activity": 12, "umc_activity": 3, "mm_activity": "N/A"},
        "get_temp_metric": 48,
        "get_power_info": power or {"current_socket_power": 0, "average_socket_power": 70, "power_limit": 355},
        "get_gpu_fan_speed": 51,
        "get_gpu_fan_speed_max": 255,
    }
    return SimpleNamespace(
        AmdSmiException=AmdSmiException,
        AmdSmiTemperatureType=SimpleNamespace(EDGE=0),
        AmdSmiTemperatureMetric=SimpleNamespace(CURRENT=0),
        **{f"amdsmi_{name}": answer(name, value) for name, value in told.items()},
    )


def test_an_amd_gpu_is_told_through_its_own_library() -> None:
    one = ResourceMonitor(nvml=Nvml(driver=False), amdsmi=amdsmi(), torch=SimpleNamespace(), system=LINUX)
    assert one.get_current_stats().gpus == (
        GpuStats(
            index=0,
            name="Radeon RX 7900 XTX",
            vendor="amd",
            memory_total_gb=24560 * 2**20 / 1e9,
            memory_used_gb=560 * 2**20 / 1e9,
            memory_free_gb=24000 * 2**20 / 1e9,
            utilization_percent=12.0,
            temperature_celsius=48.0,
            power_watts=70.0,
            power_limit_watts=355.0,
            fan_percent=20.0,
        ),
    )
    assert one.recommend_device().device == "cuda:0"


def test_an_amd_card_that_knows_its_power_now_is_believed_before_its_average() -> None:
    power = {"current_socket_power": 81, "average_socket_power": "N/A", "power_limit": "N/A"}
    one = ResourceMonitor(nvml=Nvml(driver=False), amdsmi=amdsmi(power), torch=SimpleNamespace(), system=LINUX)
    assert [(gpu.power_watts, gpu.power_limit_watts) for gpu in one.get_current_stats().gpus] == [(81.0, None)]


def test_an_amd_library_that_refuses_is_survived() -> None:
    refused = amdsmi(get_gpu_vram_usage=True, get_temp_metric=True, get_power_info=True, get_gpu_fan_speed=True)
    one = ResourceMonitor(nvml=Nvml(driver=False), amdsmi=refused, torch=SimpleNamespace(), system=LINUX)
    expected = GpuStats(index=0, name="Radeon RX 7900 XTX", vendor="amd", utilization_percent=12.0)
    assert one.get_current_stats().gpus == (expected,)
    none = ResourceMonitor(nvml=Nvml(driver=False), amdsmi=amdsmi(init=True), torch=SimpleNamespace(), system=LINUX)
    assert none.get_current_stats().gpus == ()


def test_intels_gpus_are_told_by_a_torch_that_is_there_already() -> None:
    xpu = SimpleNamespace(
        is_available=lambda: True,
        device_count=lambda: 1,
        get_device_properties=lambda index: SimpleNamespace(name="Intel Arc B580", total_memory=12 * 10**9),  # type: ignore[reportUnknownLambdaType]
        mem_get_info=lambda index: (9 * 10**9, 12 * 10**9),  # type: ignore[reportUnknownLambdaType]
    )
    one = ResourceMonitor(nvml=Nvml(driver=False), torch=SimpleNamespace(xpu=xpu), system=LINUX)
    (gpu,) = one.get_current_stats().gpus
    assert (gpu.vendor, gpu.memory_total_gb, gpu.memory_free_gb) == ("intel", 12.0, 9.0)
    assert one.recommend_device(6.0).device == "xpu:0"


def test_torch_is_never_imported_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    ResourceMonitor().get_current_stats()
    assert "torch" not in sys.modules


def test_apples_gpu_is_seven_tenths_of_the_memory() -> None:
    one = ResourceMonitor(nvml=Nvml(driver=False), torch=SimpleNamespace(), system="Darwin arm64")
    stats = one.get_current_stats()
    (gpu,) = stats.gpus
    assert (gpu.vendor, gpu.memory_total_gb) == ("apple", stats.ram.total_gb * 0.7)
    assert gpu.memory_free_gb is not None
    assert gpu.memory_free_gb <= stats.ram.total_gb * 0.7
    assert one.recommend_device().device == "mps"


# ------------------------------------------------------------------ which device


def test_the_gpu_with_the_most_free_memory_is_recommended() -> None:
    full, free = Card(memory=(24 * 10**9, 22 * 10**9)), Card(name="NVIDIA RTX A4000", memory=(16 * 10**9, 10**9))
    assert monitor(full, free).recommend_device(9.8) == Recommendation(
        device="cuda:1", reason="NVIDIA RTX A4000 has 15.0 of 16.0 GB free, which holds 9.8 GB."
    )


@pytest.mark.parametrize(
    ("need", "words"),
    [
        (None, ""),
        (
            20.0,
            "20.0 GB would fit if what else uses it were closed; till then part waits in RAM.",
        ),
        (40.0, "40.0 GB do not fit whole, so part waits in RAM, which is slower."),
    ],
)
def test_the_reason_says_what_is_free_and_what_is_wanted(need: float | None, words: str) -> None:
    told = monitor(Card(memory=(24 * 10**9, 14 * 10**9))).recommend_device(need)
    have = "NVIDIA GeForce RTX 4090 has 10.0 of 24.0 GB free"
    assert told == Recommendation(device="cuda:0", reason=f"{have}: {words}" if words else f"{have}.")


def test_a_gpu_with_no_room_at_all_is_worth_less_than_the_processor() -> None:
    told = monitor(Card(memory=(4 * 10**9, 3 * 10**9))).recommend_device(2.0)
    assert told.device == "cpu"
    assert "has 1.0 of 4.0 GB free" in told.reason


@pytest.mark.parametrize(
    ("visible", "device"),
    [("1,0", "cuda:0"), ("1", "cuda:0"), ("0", "cpu"), ("", "cpu"), (None, "cuda:1"), ("GPU-5f3", "cuda:1")],
)
def test_gpus_are_counted_as_the_process_sees_them(visible: str | None, device: str) -> None:
    full, free = Card(memory=(8 * 10**9, 8 * 10**9)), Card()
    assert monitor(full, free, visible=visible).recommend_device().device == device


# ------------------------------------------------------------------ how large a model is


def weights(path: Path, **tensors: tuple[str, tuple[int, ...], int]) -> Path:
    """A safetensors file of zeros: dtype, shape and bytes by name."""
    head: dict[str, Any] = {}
    at = 0
    for name, (dtype, shape, size) in tensors.items():
        head[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + size]}
        at += size
    raw = json.dumps(head).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(raw)) + raw + bytes(at))
    return path


def test_a_files_header_says_its_weights_and_without_one_its_size(tmp_path: Path) -> None:
    file = weights(tmp_path / "a.safetensors", one=("F16", (10, 10), 200), two=("F8_E4M3", (50,), 50))
    (tmp_path / "b.gguf").write_bytes(bytes(1000))
    (tmp_path / "c.safetensors").write_bytes(b"no header at all" * 10)
    one = ResourceMonitor(nvml=Nvml())
    assert one.model_size_gb(file) == 250 / 1e9
    assert one.model_size_gb(str(tmp_path / "b.gguf")) == 1000 / 1e9
    assert one.model_size_gb(tmp_path / "c.safetensors") == 160 / 1e9
    with pytest.raises(FileNotFoundError):
        one.model_size_gb(tmp_path / "gone.safetensors")


def test_a_pipelines_folder_counts_each_weight_once(tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text("{}", encoding="utf-8")
    whole, half = ("F32", (25,), 100), ("F16", (25,), 50)
    weights(tmp_path / "all-in-one.safetensors", one=whole)
    weights(tmp_path / "unet" / "model-00001-of-00002.safetensors", one=whole)
    weights(tmp_path / "unet" / "model-00002-of-00002.safetensors", one=whole)
    weights(tmp_path / "unet" / "model.fp16.safetensors", one=half)
    (tmp_path / "unet" / "model.bin").write_bytes(bytes(300))
    weights(tmp_path / "vae" / "model.fp16.safetensors", one=half)
    (tmp_path / "tokenizer").mkdir()
    (tmp_path / "tokenizer" / "vocab.json").write_text("{}", encoding="utf-8")
    assert ResourceMonitor(nvml=Nvml()).model_size_gb(tmp_path) == 250 / 1e9
