"""The demo models' world, from the folder next door; its modules call each other by their plain names."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "clients" / "demo"
for folder in (ROOT / "examples" / "train_demo_models", ROOT):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

if TYPE_CHECKING:
    from examples.train_demo_models import captions, reader, scenes
else:
    captions, reader, scenes = (import_module(name) for name in ("captions", "reader", "scenes"))

__all__ = ["DEMO", "ROOT", "captions", "reader", "scenes"]
