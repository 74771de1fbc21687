"""Choosing by words and numbers: what a prompt asks for, which model and LoRAs suit it, with which settings.

Pure: no file is read here and nobody is asked. `workflows.choosing` brings it to a recipe.
"""

from workflows.selection.analysis import STYLES, analyse
from workflows.selection.library import Library
from workflows.selection.loras import automatic_loras, rank_loras, together, triggers_of
from workflows.selection.parameters import defaults_for, with_triggers
from workflows.selection.ranking import rank_models
from workflows.selection.reading import question, read_analysis

__all__ = [
    "STYLES",
    "Library",
    "analyse",
    "automatic_loras",
    "defaults_for",
    "question",
    "rank_loras",
    "rank_models",
    "read_analysis",
    "together",
    "triggers_of",
    "with_triggers",
]
