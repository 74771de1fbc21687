"""Weighing a render against one server's memory: from what it says of itself and its files to a MemoryPlan."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakKeyDictionary

from workflows.drawing.inventory import plain
from workflows.errors import EngineUnavailable, ServiceError
from workflows.footprints import GB, footprint
from workflows.memory import BYTES, Device, Need, Streaming, need_of, plan
from workflows.template import ENCODER_LOADERS
from workflows.types import WORDLESS

if TYPE_CHECKING:
    from clients.comfyui_engine.server import Server
    from workflows.drawing.inventory import Inventory
    from workflows.drawing.setup import Setup
    from workflows.types import MemoryPlan, Recipe

KEPT = 300.0
"""Seconds for which what a server says of its memory is good; a GPU does not change, a restart may."""
PATIENCE = 3.0
"""Seconds for its answer: a plan is not worth a longer wait."""
DYNAMIC_SINCE = (0, 18)
"""The first version that streams weights on demand unasked (comfy-aimdo; issue 28 there, March 2026)."""
RESIDENT = frozenset({"--gpu-only", "--highvram"})
"""Flags under which nothing leaves the GPU."""
NO_BF16 = re.compile(r"GTX|RTX 20\d\d|TITAN|Tesla|Quadro (?:P|RTX)|\b(?:V100|P100|P40|T4)\b", re.IGNORECASE)
"""NVIDIA's cards from before Ampere: ComfyUI decodes in fp32 there."""
MARKS: Mapping[str, str] = {
    r"nvfp4": "nvfp4",
    r"svdq|(?<![a-z])int4|nf4|q4": "int4",
    r"fp8|float8|f8": "fp8",
    r"int8|q8": "int8",
    r"bf16": "bf16",
    r"fp16|half": "fp16",
    r"fp32|full": "fp32",
}
"""How a file's name says its precision."""

_said: WeakKeyDictionary[Server, tuple[float, Mapping[str, Any] | None]] = WeakKeyDictionary()


async def planned(server: Server, recipe: Recipe, setup: Setup, inventory: Inventory) -> MemoryPlan | None:
    """How to draw so that it fits; None where nothing can be planned: tools, a CPU, a server that does not tell."""
    if recipe.task in WORDLESS:
        return None
    device = device_of(await _stats(server) or {}, setup, inventory)
    if device is None:
        return None
    return plan(need_on(recipe, setup, inventory), device, engine="comfyui", quality=recipe.quality)


async def _stats(server: Server) -> Mapping[str, Any] | None:
    """As said in the last minutes; asked once for many renders, and a silence is remembered as well."""
    now = asyncio.get_running_loop().time()
    at, said = _said.get(server, (float("-inf"), None))
    if now - at > KEPT:
        try:
            async with asyncio.timeout(PATIENCE):
                said = await server.client.system_stats()
        except (EngineUnavailable, ServiceError, TimeoutError):
            said = None
        _said[server] = now, said
    return said


# ------------------------------------------------------------------ pure


def device_of(stats: Mapping[str, Any], setup: Setup, inventory: Inventory) -> Device | None:
    """The GPU that draws, as far as it matters for this setup; None for a CPU and for one that does not tell."""
    devices = cast("list[Mapping[str, Any]]", stats.get("devices") or [{}])
    system = cast("Mapping[str, Any]", stats.get("system") or {})
    kind, total = str(devices[0].get("type") or ""), devices[0].get("vram_total")
    if kind in {"", "cpu"} or not isinstance(total, int | float) or total <= 0:
        return None
    name = str(devices[0].get("name") or "").partition(" : ")[0]
    ram, loader = system.get("ram_total"), ENCODER_LOADERS.get(setup.template.encoders, "")
    return Device(
        kind=kind,
        name=name,
        total_gb=total / GB,
        ram_free_gb=ram / GB if isinstance(ram, int | float) else None,
        fp8=kind == "cuda" and _casts(setup, inventory),
        bf16=not NO_BF16.search(name),
        flash=kind != "mps",
        encoder_on_cpu="cpu" in inventory.choices(loader, "device"),
        streaming=_streaming(system, kind),
    )


def _casts(setup: Setup, inventory: Inventory) -> bool:
    offered = inventory.choices("UNETLoader", "weight_dtype")
    return "weight_dtype" in setup.template.slots and "fp8_e4m3fn" in offered


def _streaming(system: Mapping[str, Any], kind: str) -> Streaming:
    flags = {str(flag) for flag in cast("list[object]", system.get("argv") or [])}
    if flags & RESIDENT:
        return ""
    version = tuple(int(part) for part in re.findall(r"\d+", str(system.get("comfyui_version") or ""))[:2])
    on_demand = kind == "cuda" and version >= DYNAMIC_SINCE and "--disable-dynamic-vram" not in flags
    return "dynamic" if on_demand else "estimated"


def need_on(recipe: Recipe, setup: Setup, inventory: Inventory) -> Need:
    """What drawing takes with these files, by their sizes on the server, or the family's usual ones."""
    slots = setup.template.slots
    checkpoint = any(field == "ckpt_name" for _, field in slots.get("model", ()))  # some want an encoder besides
    size = inventory.sizes.get(("checkpoints" if checkpoint else "diffusion_models", setup.model))
    besides = {"text_encoder": setup.template.encoders > 0, "vae": "vae" in slots}
    components = _components(setup, inventory)
    return need_of(
        size,
        setup.family,
        recipe,
        parts=("model", *(part for part, separate in besides.items() if not separate)),
        precision=precision_of(setup, size),
        components={part: size for part, size in components.items() if besides[part]} or None,
    )


def _components(setup: Setup, inventory: Inventory) -> dict[str, int]:
    """Bytes of the further files, of each part of which all are known."""
    encoders = [inventory.sizes.get(("text_encoders", file)) for slot, file in _files(setup) if slot != "vae"]
    vae = [inventory.sizes.get(("vae", file)) for slot, file in _files(setup) if slot == "vae"]
    known = {"text_encoder": encoders, "vae": vae}
    return {part: sum(filter(None, sizes)) for part, sizes in known.items() if sizes and all(sizes)}


def _files(setup: Setup) -> list[tuple[str, str]]:
    return [(slot, file) for slot, file in setup.components.items() if slot == "vae" or slot.startswith("clip_")]


def precision_of(setup: Setup, size: int | None) -> str:
    """As the file's name says it, else what its size comes nearest to."""
    name = plain(setup.model)
    if told := next((precision for mark, precision in MARKS.items() if re.search(mark, name)), ""):
        return told
    usual = footprint(setup.family.profile.name)
    rest = 0 if setup.template.encoders else usual.text_encoder + usual.vae
    if size is None or not usual.model:
        return "bf16"
    each = 2 * size / (usual.model + rest)
    return min(("fp32", "bf16", "fp8"), key=lambda precision: abs(BYTES[precision] - each))
