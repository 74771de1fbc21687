"""Folders of the user's presets, written as the user writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def style(name: str = "Fog", text: str = "thick fog", **more: Any) -> dict[str, Any]:
    return {"id": name.lower().replace(" ", "-"), "name": name, "text": text} | more


def flat(*presets: dict[str, Any], kind: str = "style") -> dict[str, Any]:
    return {"kind": kind, "presets": list(presets)}


def group(name: str, *options: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "name": name.title(), "options": [style(option, f"{option} text") for option in options]} | more


def put(folder: Path, name: str, content: object) -> Path:
    """Write a file of that folder: bytes as they are, anything else as JSON."""
    folder.mkdir(exist_ok=True, parents=True)
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path
