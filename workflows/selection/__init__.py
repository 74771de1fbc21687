"""Choosing by words and numbers: what a prompt asks for, which model and LoRAs suit it, with which settings.

Pure: no file is read here and nobody is asked. `workflows.choosing` brings it to a recipe. A part is loaded when it is
first asked for: a server that starts answers without its tables of words.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workflows.selection.analysis import STYLES, analyse
    from workflows.selection.library import Library
    from workflows.selection.loras import automatic_loras, rank_loras, together, triggers_of
    from workflows.selection.parameters import defaults_for, with_triggers
    from workflows.selection.ranking import makes_videos, rank_models
    from workflows.selection.reading import question, read_analysis

__all__ = [
    "STYLES",
    "Library",
    "analyse",
    "automatic_loras",
    "defaults_for",
    "makes_videos",
    "question",
    "rank_loras",
    "rank_models",
    "read_analysis",
    "together",
    "triggers_of",
    "with_triggers",
]

PARTS = {
    "analysis": ("STYLES", "analyse"),
    "library": ("Library",),
    "loras": ("automatic_loras", "rank_loras", "together", "triggers_of"),
    "parameters": ("defaults_for", "with_triggers"),
    "ranking": ("makes_videos", "rank_models"),
    "reading": ("question", "read_analysis"),
}
"""Which module has which of the names."""


def __getattr__(name: str) -> Any:
    part = next((part for part, names in PARTS.items() if name in names), None)
    if part is None:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    value = getattr(import_module(f"{__name__}.{part}"), name)
    globals()[name] = value
    return value
