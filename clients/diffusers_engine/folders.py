"""Whether a diffusers folder holds the weights that its index promises. Looks at names and small files alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

INDEX = "model_index.json"
MOST_INDEX = 4 * 1024 * 1024
"""Bytes of an index of shards; that of the largest model has some 200 KB."""
WEIGHTLESS = ("Scheduler", "Tokenizer", "TokenizerFast", "Extractor", "Processor", "ImageProcessor", "Backend")
"""Ends of the names of classes that have no weights; transformers 5 calls some tokenizers TokenizersBackend."""
SHARDS = ".safetensors.index.json"


def lacking(folder: Path) -> Sequence[str]:
    """The parts of the pipeline whose weights are not all there as .safetensors, as after a fetch that was cut.

    A file of the Hugging Face cache is a link to what was fetched; one that leads nowhere is not there.
    """
    parts = [name for name, kind in _table(folder / INDEX).items() if _has_weights(kind)]
    return tuple(name for name in parts if not _is_whole(folder / name))


def _has_weights(kind: object) -> bool:
    """[library, class] of a network; [null, null] stands for a part that the pipeline goes without."""
    if not isinstance(kind, list):
        return False
    words = cast(list[object], kind)
    made_of = words[1] if len(words) == 2 else None
    return isinstance(made_of, str) and not made_of.endswith(WEIGHTLESS)


def _is_whole(part: Path) -> bool:
    """One file, or all shards of one precision."""
    if not part.is_dir():
        return False
    files = {file.name for file in part.glob("*.safetensors") if file.is_file()}
    indices = list(part.glob(f"*{SHARDS.removesuffix('.json')}*.json"))
    plain = any("-of-" not in name for name in files)
    return plain or any(_shards(index) <= files for index in indices)


def _shards(index: Path) -> set[str]:
    found = _table(index).get("weight_map")
    names = set(cast(dict[str, str], found).values()) if isinstance(found, dict) else set[str]()
    return names or {""}  # an index that names nothing is of no use


def _table(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            found = json.loads(file.read(MOST_INDEX))
    except (OSError, ValueError, RecursionError):
        return {}
    return cast(dict[str, Any], found) if isinstance(found, dict) else {}
