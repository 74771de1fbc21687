"""How a model is fitted into the memory that there is: what a render needs, and which levers bring it below that.

Arithmetic alone: it loads nothing, asks no device, and changes nothing; engines carry its plans out. Gigabytes are
10^9 bytes. The estimates are ComfyUI's own (`workflows.footprints`) and hold for diffusers as well: FLUX.1 dev in bf16
at 1024x1024 comes to 39.0 GB, where 36.2 GiB (38.9 GB) were measured on an H100 (Hugging Face, diffusers-quantization).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from workflows.footprints import GB, GIB, MIB, footprint
from workflows.frames import allowed_frames
from workflows.sizes import size_for
from workflows.types import VIDEOS, MemoryLevel, MemoryPlan

if TYPE_CHECKING:
    from workflows.families import Family
    from workflows.types import Recipe

Streaming = Literal["", "estimated", "dynamic"]
"""How a ComfyUI brings in weights that do not fit: not at all, part of them by an estimate, or all on demand."""

WORK = round(0.8 * GIB)
"""Least working memory of any phase: minimum_inference_memory of ComfyUI's comfy/model_management.py."""
RESERVE = 400 * MIB
"""For the desktop, the driver and the library's own context: EXTRA_RESERVED_VRAM there, on Linux."""
TILE = 512
"""Edge in pixels of a tile that the picture is decoded in, for every engine. Set it: diffusers' own is the VAE's
sample_size, which for SDXL is 1024, so that a picture of 1024x1024 would not be tiled at all."""
WITHOUT_FLASH = 7.5
"""So many times as much does sampling take without memory-efficient attention: 0.15 against 2 bytes times 0.01."""
SLICED = 0.5
"""Share of that with attention slicing, which halves the largest product; our judgement."""
LAYERWISE = 0.65
"""What is left of 16-bit weights with fp8 storage, as norms and embeddings stay: FLUX.1 dev went from 31.4 to 23.7 GiB
in all, which is 14.5 of its transformer's 22.2 (Hugging Face, diffusers-quantization)."""
CAST = 0.5
"""The same for ComfyUI's weight_dtype fp8_e4m3fn, which casts every weight."""
GROUP_SHARE = 1 / 8
"""Weights on the device with group offload: the block at work and the next, of 30 to 60, and the layers around them."""
LEAF_SHARE = 1 / 32
"""The same with sequential offload: a single layer, of which the embeddings are the largest."""
STREAM_SHARE = 1 / 16
"""The least of a model's weights that ComfyUI needs on the device while it streams the rest; our judgement."""
MOSTLY = 0.5
"""Where less than this share of a render is in the memory, streaming is felt; our judgement."""
FILES = 1.1
"""RAM that streaming takes, in sizes of the files."""
SLOW_GB = 1.0
"""Weights from which on a CPU takes minutes for a picture: Stable Diffusion 1.5 has twice as much in full precision."""
UNIFIED = 0.7
"""Share of Apple's unified memory that a model may take."""
BYTES: Mapping[str, float] = {
    "fp32": 4, "fp16": 2, "bf16": 2, "fp8": 1, "int8": 1, "nf4": 0.5, "int4": 0.5, "nvfp4": 0.5, "mxfp8": 1,
}  # fmt: skip
"""Of a weight in each precision; scales are left out."""
LEVERS = (
    "vae_slicing",
    "vae_tiling",
    "attention_slicing",
    "fp8_layerwise",
    "model_offload",
    "group_offload",
    "sequential_offload",
)
"""What the in-process engine can do. At most one offload is in a plan: their hooks conflict."""
SERVER_LEVERS = ("vae_tiled", "text_encoder_cpu", "weight_dtype_fp8", "smaller_batch")
"""What a request can ask of a ComfyUI server. A smaller picture is told, never chosen."""


@dataclass(frozen=True, kw_only=True)
class Need:
    """What one render takes: weights in bytes as they lie in memory, and what is drawn."""

    family: str
    model: int
    """All experts together, where a family has several that take turns."""
    text_encoder: int = 0
    vae: int = 0
    width: int = 1024
    height: int = 1024
    batch: int = 1
    frames: int = 1
    guided: bool = True
    """There is a negative to draw beside the prompt (cfg above 1), which doubles the work in progress."""
    precision: str = "bf16"
    """Of the model's weights in memory."""
    title: str = ""
    """What people call the model."""

    @property
    def weights(self) -> int:
        return self.model + self.text_encoder + self.vae

    @property
    def at_once(self) -> int:
        """Bytes of the one expert that is at work."""
        return self.model // footprint(self.family).experts

    @property
    def name(self) -> str:
        return self.title or self.family or "This model"

    @property
    def size(self) -> str:
        """Such as 832x480, 81 frames."""
        frames = f", {self.frames} frames" if self.frames > 1 else ""
        several = f", {self.batch} at once" if self.batch > 1 else ""
        return f"{self.width}x{self.height}{frames}{several}"


@dataclass(frozen=True, kw_only=True)
class Device:
    """Where it is drawn. None: not known. `free_gb` is what a new process may take; ComfyUI is planned by the total."""

    kind: str = "cuda"
    """cuda (AMD's too), xpu, mps, or cpu."""
    name: str = ""
    total_gb: float | None = None
    """Apple's: of the machine, of which a share can be used."""
    free_gb: float | None = None
    ram_free_gb: float | None = None
    """ComfyUI: of its whole machine, for it makes room there too."""
    fp8: bool = True
    """Can hold weights as fp8_e4m3fn and compute in another format; ComfyUI: its loader offers it."""
    bf16: bool = True
    """Else the VAE works in fp32, because fp16 gives black pictures."""
    flash: bool = True
    """Has memory-efficient attention; old cards and Apple's do not."""
    encoder_on_cpu: bool = False
    """ComfyUI: the loader of the text encoders can be told to use the CPU."""
    streaming: Streaming = ""
    """ComfyUI only."""


# ------------------------------------------------------------------ what is needed


def need_of(
    size: int | None,
    family: Family,
    recipe: Recipe,
    *,
    parts: Collection[str] = ("model",),
    precision: str = "",
    held: str = "",
    components: Mapping[str, int] | None = None,
) -> Need:
    """What drawing the recipe with a model file takes.

    size: bytes of the file; None: the family's usual. parts: what is in it (model, text_encoder, vae); what is not is
    counted with `components` (bytes by part) or the family's usual size. precision: of the file; held: of the weights
    in memory, where the engine loads them otherwise (the in-process engine turns fp8 files into bf16); full precision
    is taken to be halved while it is loaded.
    """
    name = family.profile.name
    usual = footprint(name)
    known = dict(components or {})
    encoder, vae = known.get("text_encoder", usual.text_encoder), known.get("vae", usual.vae)
    precision = precision or "fp16"
    held = held or ("fp16" if precision == "fp32" else precision)
    scale = BYTES.get(held, 2) / BYTES.get(precision, 2)
    model = usual.model if size is None else _model_in(round(size * scale), parts, encoder, vae) * usual.experts
    width, height = size_for(family.profile, recipe.width, recipe.height, recipe.aspect)
    cfg = family.profile.cfg if recipe.cfg is None else recipe.cfg
    return Need(
        family=name,
        model=model,
        text_encoder=encoder,
        vae=vae,
        width=width,
        height=height,
        batch=1 if recipe.task in VIDEOS else recipe.count,
        frames=allowed_frames(family.profile, recipe.frames or family.profile.frames) if recipe.task in VIDEOS else 1,
        guided=family.profile.negatives and cfg > 1,
        precision=held,
        title=family.profile.title,
    )


def _model_in(size: int, parts: Collection[str], encoder: int, vae: int) -> int:
    """The denoiser's share of a file; at least half of it, whatever is supposed of the rest."""
    rest = (encoder if "text_encoder" in parts else 0) + (vae if "vae" in parts else 0)
    return max(size - rest, size // 2)


def _cells(need: Need) -> int:
    """Latent cells of one frame of one picture."""
    scale = footprint(need.family).scale
    return -(-need.width // scale) * -(-need.height // scale)


def _latent_frames(need: Need) -> int:
    return 1 + (need.frames - 1) // footprint(need.family).frames


def sampling_bytes(need: Need, device: Device, *, pair: bool = True, sliced: bool = False) -> int:
    """Working memory of a step; `pair`: prompt and negative together."""
    usual = footprint(need.family)
    area = _cells(need) * _latent_frames(need) * need.batch * (2 if need.guided and pair and usual.pairs else 1)
    number = 4 if device.kind == "cpu" else 2
    slow = 1.0 if device.flash else WITHOUT_FLASH * (SLICED if sliced else 1.0)
    return round(area * number * 0.01 * usual.factor * slow * MIB)


def decoding_bytes(need: Need, device: Device, *, tiled: bool = False, batch: int | None = None) -> int:
    """Working memory of turning latents into pixels; `batch`: pictures at a time."""
    usual = footprint(need.family)
    edge = TILE // usual.scale
    cells = min(_cells(need), edge * edge) if tiled else _cells(need)
    frames = _latent_frames(need) if usual.decodes_whole else 1
    number = 2 if device.bf16 and device.kind != "cpu" else 4
    return cells * frames * usual.decode * number * (batch or need.batch)


# ------------------------------------------------------------------ the ways to fit


@dataclass(frozen=True, kw_only=True)
class Way:
    """Levers to draw with, and how hard they are felt. `streamed`: ComfyUI brings weights in while it draws."""

    levers: tuple[str, ...] = ()
    level: MemoryLevel = "none"
    streamed: bool = False

    def pulls(self, lever: str) -> bool:
        return lever in self.levers


FAST = ((), ("fp8_layerwise",), ("model_offload",), ("fp8_layerwise", "model_offload"))
BALANCED = ((), ("model_offload",), ("fp8_layerwise", "model_offload"))
EXACT = ((), ("model_offload",))
SLOW = (("group_offload",), ("fp8_layerwise", "group_offload"), ("sequential_offload",))
COURSES: Mapping[str, Sequence[tuple[str, ...]]] = {
    "fast": (*FAST, *SLOW),
    "balanced": (*BALANCED, *SLOW),
    "high": (*EXACT, *SLOW),
    "ultra": (*EXACT, ("group_offload",), ("sequential_offload",)),
}
"""In the order in which they are tried, by quality. Sequential offload is 5 to 20 times slower and last; group offload
waits for its blocks in a picture of one step, and hides that in a video."""
HARD = frozenset({"group_offload", "sequential_offload", "text_encoder_cpu", "weight_dtype_fp8", "smaller_batch"})
"""Levers that are felt."""


def _way(*levers: str, streamed: bool = False) -> Way:
    level: MemoryLevel = "aggressive" if HARD & {*levers} else "balanced" if levers or streamed else "none"
    return Way(levers=levers, level=level, streamed=streamed)


def _ways_in_process(need: Need, device: Device, quality: str) -> Iterator[Way]:
    """The gentlest first. The CPU and Apple have one memory for all, so there is nowhere to offload to."""
    gentle = tuple(_gentle(need, device))
    eight = device.fp8 and footprint(need.family).transformer and need.precision in {"fp16", "bf16"}
    courses = COURSES.get(quality, COURSES["balanced"]) if device.kind not in {"cpu", "mps"} else ((),)
    for course in courses:
        if "fp8_layerwise" in course and not eight:
            continue
        if course and not _has_ram(need, device, course):
            continue
        for count in range(len(gentle) + 1):
            yield _way(*gentle[:count], *course)


def _gentle(need: Need, device: Device) -> Iterator[str]:
    if need.batch > 1:
        yield "vae_slicing"
    if _can_be_tiled(need, device):
        yield "vae_tiling"
    if not device.flash and device.kind != "cpu":
        yield "attention_slicing"


def _can_be_tiled(need: Need, device: Device) -> bool:
    return decoding_bytes(need, device, tiled=True) < decoding_bytes(need, device)


def _has_ram(need: Need, device: Device, course: Collection[str]) -> bool:
    """Whether what is not on the device has room beside it."""
    moved = need.weights - round(need.model * (1 - LAYERWISE) if "fp8_layerwise" in course else 0)
    offloads = any(lever.endswith("_offload") for lever in course)
    return not offloads or device.ram_free_gb is None or moved <= device.ram_free_gb * GB


def _ways_of_server(need: Need, device: Device, quality: str) -> Iterator[Way]:
    """The gentlest first: exact and whole, in tiles, streamed; then less exact, and one picture at a time.

    A server that streams on demand loses little by it, so precision stays; one that goes by estimates is slow then.
    """
    tiles: tuple[tuple[str, ...], ...] = ((), ("vae_tiled",)) if _can_be_tiled(need, device) else ((),)
    eight = ("weight_dtype_fp8",) if device.fp8 and quality != "ultra" and need.precision in {"fp16", "bf16"} else ()
    yield from (_way(*tiled) for tiled in tiles)
    always: tuple[str, ...] = ()
    if device.streaming != "dynamic" and quality == "fast" and eight:
        always, eight = eight, ()
        yield from (_way(*tiled, *always) for tiled in tiles)
    streamed = bool(device.streaming)
    if streamed:
        yield from (_way(*tiled, *always, streamed=True) for tiled in tiles)
    levers = (*tiles[-1], *always)
    for more in (("text_encoder_cpu",) if device.encoder_on_cpu else (), eight, ("smaller_batch",)[: need.batch - 1]):
        if more:
            levers = (*levers, *more)
            yield _way(*sorted(levers, key=SERVER_LEVERS.index), streamed=streamed)


# ------------------------------------------------------------------ what each of them takes


def _in_process(need: Need, device: Device, way: Way) -> int:
    """Bytes at the worst moment, in this process."""
    eighth = LAYERWISE if way.pulls("fp8_layerwise") else 1.0
    batch = 1 if way.pulls("vae_slicing") else need.batch
    sampling = max(WORK, sampling_bytes(need, device, sliced=way.pulls("attention_slicing")))
    decoding = max(WORK, decoding_bytes(need, device, tiled=way.pulls("vae_tiling"), batch=batch))
    share = GROUP_SHARE if way.pulls("group_offload") else LEAF_SHARE if way.pulls("sequential_offload") else 1.0
    if share == 1.0 and not way.pulls("model_offload"):
        resident = round(need.model * eighth) + need.text_encoder + need.vae
        return resident + max(sampling, decoding) + RESERVE
    model = round(need.at_once * eighth * share)
    return max(round(need.text_encoder * share) + WORK, model + sampling, need.vae + decoding) + RESERVE


def _on_server(need: Need, device: Device, way: Way) -> int:
    """Bytes at the worst moment on a ComfyUI server, which takes text encoder, model and VAE one after the other.

    Prompt and negative are drawn one after the other where both do not fit. Streamed weights count with the least.
    """
    one = replace(need, batch=1) if way.pulls("smaller_batch") else need
    share = STREAM_SHARE if way.streamed else 1.0
    model = round(need.at_once * (CAST if way.pulls("weight_dtype_fp8") else 1.0) * share)
    encoder = 0 if way.pulls("text_encoder_cpu") else round(need.text_encoder * share)
    sampling = max(WORK, sampling_bytes(one, device, pair=False))
    decoding = max(WORK, decoding_bytes(one, device, tiled=way.pulls("vae_tiled"), batch=1))
    if not device.streaming:  # started with --gpu-only or --highvram: nothing leaves the device
        return model + encoder + need.vae + max(sampling, decoding) + RESERVE
    return max(encoder + WORK, model + sampling, need.vae + decoding) + RESERVE


# ------------------------------------------------------------------ the plan


def plan(need: Need, device: Device, *, engine: str, quality: str = "balanced") -> MemoryPlan:
    """The gentlest way in which the render fits: no levers, balanced (hardly felt), aggressive (slow or less exact).

    engine: "comfyui" is planned with what a request can change and by the whole memory, as ComfyUI makes room itself;
    everything else as diffusers, by what is free. quality: fast gives up precision before speed, high speed before
    precision, ultra never gives up precision. Nothing fits: aggressive, and the reason says so and what would. More
    memory never gives a harsher plan.
    """
    ways, peaks = _weighed(need, device, engine, quality)
    available = _available(device, engine)
    if available is None:
        return _planned(need, device, ways[0], peaks[0], peaks[0], None, _unknown(need, device, peaks[0]))
    for way, peak in zip(ways, peaks, strict=True):
        if peak <= available:
            taken = min(peaks[0], round(available)) if way.streamed else peak
            felt = replace(way, level="aggressive") if way.streamed and taken < MOSTLY * peaks[0] else way
            words = _fits(need, device, engine, way, peaks[0], taken, available)
            return _planned(need, device, felt, peaks[0], taken, available, words)
    least = min(range(len(ways)), key=lambda number: (peaks[number], number))
    words = _too_much(need, device, engine, quality, ways[least], peaks[0], peaks[least], available)
    return _planned(need, device, replace(ways[least], level="aggressive"), peaks[0], peaks[least], available, words)


def _weighed(need: Need, device: Device, engine: str, quality: str) -> tuple[list[Way], list[int]]:
    """Every way, the gentlest first, and its bytes."""
    served = engine == "comfyui" and device.kind != "cpu"
    ways = list((_ways_of_server if served else _ways_in_process)(need, device, quality))
    weigh = _on_server if served else _in_process
    return ways, [weigh(need, device, way) for way in ways]


def _available(device: Device, engine: str) -> float | None:
    """Bytes that the render may take."""
    if device.kind == "cpu":
        known = device.ram_free_gb
    elif engine == "comfyui" or device.free_gb is None:
        known = device.total_gb
    else:
        known = device.free_gb
    if device.kind == "mps" and known is not None and device.total_gb is not None:
        known = min(known, device.total_gb * UNIFIED)
    return None if known is None else known * GB


def _planned(
    need: Need, device: Device, way: Way, whole: int, peak: int, available: float | None, reason: str
) -> MemoryPlan:
    return MemoryPlan(
        level=way.level,
        levers=way.levers,
        need_gb=_gb(whole),
        peak_gb=_gb(peak),
        available_gb=None if available is None else _gb(available),
        device=device.name or device.kind,
        reason=reason,
    )


def _gb(size: float) -> float:
    return round(size / GB, 1)


# ------------------------------------------------------------------ in words

WORDS: Mapping[str, str] = {
    "vae_slicing": "decoding picture by picture",
    "vae_tiling": "decoding in tiles",
    "vae_tiled": "decoding in tiles",
    "attention_slicing": "attention in slices",
    "fp8_layerwise": "weights kept in fp8",
    "weight_dtype_fp8": "weights kept in fp8",
    "model_offload": "model offload",
    "group_offload": "group offload",
    "sequential_offload": "sequential offload",
    "text_encoder_cpu": "the text encoder on the CPU",
    "smaller_batch": "one picture at a time",
}
EDGES = (0.875, 0.75, 0.625, 0.5, 0.375)
"""Shares of the edges that are tried for a size that would fit."""


def _needs(need: Need, whole: int) -> str:
    return f"{need.name} needs {_gb(whole)} GB at {need.size}"


def _have(device: Device, engine: str, available: float) -> str:
    if device.kind == "cpu":
        return f"{_gb(available)} GB of memory are free"
    return f"the GPU has {_gb(available)} GB" if engine == "comfyui" else f"{_gb(available)} GB are free"


def _unknown(need: Need, device: Device, whole: int) -> str:
    return f"{_needs(need, whole)}; {device.name or device.kind} does not tell how much it has."


def _fits(need: Need, device: Device, engine: str, way: Way, whole: int, peak: int, available: float) -> str:
    start = f"{_needs(need, whole)}, {_have(device, engine, available)}"
    steps = [WORDS[lever] for lever in way.levers]
    if way.streamed:
        also = f", with {_listed(steps)}" if steps else ""
        return f"{start}: ComfyUI streams what does not fit while it draws{also}.{_from_disk(need, device)}"
    if not steps:
        return f"{start}: it fits as it is.{_on_the_cpu(need, device)}"
    brought = f"{_listed(steps)} {'bring' if len(steps) > 1 else 'brings'} it to {_gb(peak)} GB."
    return f"{start}: {brought}{_on_the_cpu(need, device)}"


def _on_the_cpu(need: Need, device: Device) -> str:
    slow = device.kind == "cpu" and need.weights > SLOW_GB * GB
    return " It draws on the CPU, which is slow: minutes for a picture." if slow else ""


def _from_disk(need: Need, device: Device) -> str:
    if device.ram_free_gb is None or need.weights * FILES <= device.ram_free_gb * GB:
        return ""
    files = f"The files take {_gb(need.weights)} GB, its machine has {_gb(device.ram_free_gb * GB)} GB of RAM"
    return f" {files}: it reads them anew from the disk, which is slow."


def _too_much(
    need: Need, device: Device, engine: str, quality: str, way: Way, whole: int, peak: int, available: float
) -> str:
    """What will probably fail, and what would not."""
    steps = _listed([WORDS[lever] for lever in way.levers])
    even = f"even with {steps} it takes {_gb(peak)} GB, so it" if steps else "it"
    ram = ""
    if not {"cpu", "mps"} & {device.kind} and engine != "comfyui" and not _has_ram(need, device, ("model_offload",)):
        ram = f" Offloading takes {_gb(need.weights)} GB of RAM, {device.ram_free_gb} GB are free."
    would = _what_would(need, device, engine, quality, available)
    return f"{_needs(need, whole)}, {_have(device, engine, available)}: {even} will probably not fit.{ram} {would}"


def _what_would(need: Need, device: Device, engine: str, quality: str, available: float) -> str:
    """A smaller picture that fits, fewer at once, or another model."""
    others = [replace(need, batch=1)] if need.batch > 1 else []
    others += [_at_share(need, edge) for edge in EDGES]
    for other in others:
        if min(_weighed(other, device, engine, quality)[1]) <= available:
            return f"{other.size}{' one at a time' if other.size == need.size else ''} would."
    return "Take a smaller model, or a file of this one in fewer bits (fp8, int8, GGUF)."


def _at_share(need: Need, edge: float) -> Need:
    width, height = (max(64, int(whole * edge) // 64 * 64) for whole in (need.width, need.height))
    return replace(need, batch=1, width=width, height=height)


def _listed(steps: Sequence[str]) -> str:
    return " and ".join([", ".join(steps[:-1]), steps[-1]] if len(steps) > 1 else steps)
