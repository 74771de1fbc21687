"""What two real servers said of their node classes (object_info, hidden inputs left out); the official templates."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from workflows.drawing.inventory import Inventory

RECORDINGS = Path(__file__).parents[2] / "comfyui"
ERAS = {"0.3.64": "object_info_a.json.gz", "0.33.0": "object_info_b.json.gz"}


@cache
def inventory(version: str = "0.33.0") -> Inventory:
    return Inventory.read(json.loads(gzip.decompress((RECORDINGS / ERAS[version]).read_bytes())))


@cache
def templates() -> tuple[tuple[str, dict[str, Any]], ...]:
    """Name and content of each official template; the package has lists of them beside, which are none."""
    return tuple(_templates())


def _templates() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted(files("comfyui_workflow_templates_json").joinpath("templates").iterdir(), key=str):
        if path.name.endswith(".json"):
            found: Any = json.loads(path.read_text(encoding="utf-8"))
            if isinstance(found, dict) and "nodes" in found:
                yield path.name.removesuffix(".json"), found  # pyright: ignore[reportUnknownVariableType]
