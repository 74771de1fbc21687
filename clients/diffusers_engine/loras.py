"""LoRAs on a loaded pipeline: read, checked to have an effect, kept between renders, and switched without a trace.

Which files there are is the model folders' business (`Library`); the words that wake a LoRA are the core's.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Hashable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from clients.diffusers_engine.checkpoints import header_of
from clients.diffusers_engine.models import Shelf
from utils.safetensors_header import Header
from workflows.errors import BadRecipe, ExtraMissing, NotFound
from workflows.families import Family, families, lora_fits
from workflows.recognition import recognise
from workflows.types import LoraUse, Recipe

PURPOSE = "Drawing with LoRAs in this process"
PIPELINES = frozenset(
    {"StableDiffusionPipeline", "StableDiffusionXLPipeline", "StableDiffusion3Pipeline", "FluxPipeline"}
)
KEPT = 8
"""LoRAs that stay in memory, as many as one picture can have; some 20 to 400 MB each."""
DOWN = ("lora_down", "lora_A", "lora.down", "lora_linear_layer.down")
"""Signs of the first of a pair of matrices, in the spellings of trainers."""
FOREIGN = {"loha": "LoHa", "lokr": "LoKr", "oft": "OFT", "glora": "GLoRA"}


@dataclass(frozen=True, kw_only=True)
class LoraFile:
    """A LoRA of a recipe, as a file with its strengths."""

    name: str
    path: Path
    strength: float
    clip_strength: float
    pairs: int
    """Pairs of matrices in the file."""
    signature: tuple[int, int]
    """Size and time of its last change."""
    dora: bool = False


@dataclass(frozen=True, kw_only=True)
class Adapter:
    """A LoRA in memory under the name that peft has for it."""

    name: str
    components: tuple[str, ...]
    note: str = ""


# ------------------------------------------------------------------ before anything is loaded


def refusal(recipe: Recipe, shelf: Shelf, found: Family) -> str | None:
    """Why these LoRAs cannot be used with that family, or None. Reads headers only."""
    try:
        lora_files(recipe.loras, shelf, found)
    except (BadRecipe, NotFound, ExtraMissing) as error:
        return str(error)
    return None


def lora_files(uses: Sequence[LoraUse], shelf: Shelf, found: Family) -> list[LoraFile]:
    """The files of a recipe's LoRAs; one that is named twice works with both strengths.

    Raises BadRecipe, NotFound, ExtraMissing.
    """
    if uses and not PIPELINES.intersection(found.pipelines) and found.profile.name != "unknown":
        raise BadRecipe("loras", uses[0].name, f"this engine does not do LoRAs with {found.profile.title}; ComfyUI may")
    if uses and find_spec("peft") is None:
        raise ExtraMissing("local", PURPOSE)
    files: dict[Path, LoraFile] = {}
    for use in uses:
        one = _lora_file(use, shelf, found)
        if before := files.get(one.path):
            one = replace(
                one, strength=before.strength + one.strength, clip_strength=before.clip_strength + one.clip_strength
            )
        files[one.path] = one
    return list(files.values())


def _lora_file(use: LoraUse, shelf: Shelf, found: Family) -> LoraFile:
    known = shelf.file(use.name, "lora", "loras")
    if known is None:
        raise BadRecipe("loras", use.name, "no LoRA of that name lies in the model folders; list_loras names them")
    header = header_of(known.path, "loras")
    told = recognise(header, known.path.name)
    if told.kind != "lora":
        raise BadRecipe("loras", use.name, f"it is a {told.kind.replace('_', ' ')}, not a LoRA")
    if known.family or not told.guessed:
        _check_fit(use.name, known.family or told.family, found)
    pairs = _pairs(header)
    if not pairs:
        raise BadRecipe(
            "loras",
            use.name,
            f"it is {FOREIGN.get(told.adapter, 'of a form')} that this engine cannot use; ComfyUI can",
        )
    status = known.path.stat()
    clip = use.strength if use.clip_strength is None else use.clip_strength
    return LoraFile(
        name=use.name,
        path=known.path,
        strength=use.strength,
        clip_strength=clip,
        pairs=pairs,
        signature=(status.st_size, status.st_mtime_ns),
        dora=told.adapter == "dora",
    )


def _check_fit(name: str, made_for: str, found: Family) -> None:
    """Raises BadRecipe where it cannot work. What is not known is tried: loading tells."""
    model = found.profile.name
    if "unknown" not in {made_for, model} and lora_fits(made_for, model) <= 0:
        title = families()[made_for].profile.title if made_for in families() else made_for
        raise BadRecipe("loras", name, f"it was made for {title} and does nothing sound with {found.profile.title}")


def _pairs(header: Header) -> int:
    return sum(any(f"{sign}." in name for sign in DOWN) for name in header.tensors)


# ------------------------------------------------------------------ on the pipeline


class Adapters:
    """The LoRAs of one loaded pipeline. Only the worker thread touches it.

    What is not wanted is switched off, not taken out: the layers then give what they gave before, bit for bit.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, Adapter] = OrderedDict()
        self._active: tuple[tuple[str, float, float], ...] | None = ()
        """None: not known, as after a load, which switches the new one on."""
        self._number = 0

    def use(self, pipe: Any, files: Sequence[LoraFile]) -> tuple[Hashable, list[str]]:
        """Make the pipeline draw with these and no others; what they do to the text encoders, and notes.

        The same set again does nothing, other strengths load nothing. Raises BadRecipe, and torch's own when out of
        memory.
        """
        if files and not hasattr(pipe, "load_lora_weights"):
            raise BadRecipe("loras", files[0].name, f"{type(pipe).__name__} takes none; name another model")
        chosen = [(file, self._adapter(pipe, file)) for file in files]
        wanted = tuple((adapter.name, file.strength, file.clip_strength) for file, adapter in chosen)
        if wanted != self._active:
            self._switch(pipe, chosen)
            self._active = wanted
        self._trim(pipe)
        voice = [(adapter.name, file.clip_strength) for file, adapter in chosen if _speaks(adapter)]
        return tuple(voice), [adapter.note for _, adapter in chosen if adapter.note]

    def _adapter(self, pipe: Any, file: LoraFile) -> Adapter:
        key = file.path, file.signature
        if key not in self._kept:
            self._active = None
            self._number += 1
            self._kept[key] = self._loaded(pipe, file, f"lora_{self._number}")
        self._kept.move_to_end(key)
        return self._kept[key]

    def _loaded(self, pipe: Any, file: LoraFile, name: str) -> Adapter:
        try:
            _load(pipe, file, name)
        except (ValueError, KeyError, TypeError, IndexError, AttributeError, RuntimeError) as error:
            if "out of memory" in str(error).lower():
                raise
            failure = error
        else:
            return self._checked(pipe, file, name)
        self._remove_all(pipe)
        reason = str(failure).strip().splitlines()[0][:160] if str(failure).strip() else type(failure).__name__
        raise BadRecipe("loras", file.name, f"it does not fit this model ({reason})") from failure

    def _checked(self, pipe: Any, file: LoraFile, name: str) -> Adapter:
        """Whether it has come where it belongs: keys that fit nothing are dropped without a word. Raises BadRecipe."""
        layers = {part: list(_layers(module, name)) for part, module in _components(pipe)}
        found = sum(map(len, layers.values()))
        if not any(_works(layer.lora_B[name].weight) for part in layers.values() for layer in part):
            self._remove_all(pipe)
            raise BadRecipe(
                "loras", file.name, "it has no effect on this model: none of its weights belongs to a part of it"
            )
        note = f"{file.name} is a DoRA: what it says of magnitudes is left out here." if file.dora else ""
        if found < file.pairs:
            note = f"Of the LoRA {file.name} {found} of {file.pairs} parts fit this model; the rest was left out."
        return Adapter(name=name, components=tuple(part for part, held in layers.items() if held), note=note)

    def _switch(self, pipe: Any, chosen: Sequence[tuple[LoraFile, Adapter]]) -> None:
        from diffusers.utils import peft_utils

        switches: Any = peft_utils
        for _, module in _components(pipe):
            switches.set_adapter_layers(module, enabled=bool(chosen))
        if chosen:
            strengths = [_strengths(file, adapter) for file, adapter in chosen]
            pipe.set_adapters([adapter.name for _, adapter in chosen], adapter_weights=strengths)

    def _trim(self, pipe: Any) -> None:
        while len(self._kept) > KEPT:
            _, adapter = self._kept.popitem(last=False)
            pipe.delete_adapters([adapter.name])

    def _remove_all(self, pipe: Any) -> None:
        """After a load that went half way: the pipeline as it was without any."""
        self._kept.clear()
        self._active = ()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with suppress(ValueError):
                pipe.unload_lora_weights()


def _load(pipe: Any, file: LoraFile, name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft warns of every adapter but the first
        pipe.load_lora_weights(
            str(file.path.parent),
            weight_name=file.path.name,
            adapter_name=name,
            local_files_only=True,
            use_safetensors=True,
        )


def _components(pipe: Any) -> Iterator[tuple[str, Any]]:
    """The networks of a pipeline that LoRAs change, by name."""
    for name in pipe._lora_loadable_modules:
        if (module := getattr(pipe, name, None)) is not None:
            yield name, module


def _layers(module: Any, adapter: str) -> Iterator[Any]:
    return (layer for layer in module.modules() if adapter in getattr(layer, "lora_B", ()))


def _works(weight: Any) -> bool:
    """Whether it is more than zeros; one that was moved away already (sequential offload) is taken to be."""
    return weight.is_meta or bool(weight.any())


def _speaks(adapter: Adapter) -> bool:
    return any(name.startswith("text_encoder") for name in adapter.components)


def _strengths(file: LoraFile, adapter: Adapter) -> dict[str, float]:
    return {
        name: file.clip_strength if name.startswith("text_encoder") else file.strength for name in adapter.components
    }
