"""Golden graphs: whole graphs that a change must not alter unseen.

To take over a wanted change: ATELIER_WRITE_GRAPHS=1 pytest tests/workflows, then read the difference.
"""

import json
import os
from pathlib import Path
from typing import Any

from workflows.drawing.inventory import Inventory

HERE = Path(__file__).parent
NODES = HERE.parents[1] / "comfyui"


def inventory(era: str = "b", **more: Any) -> Inventory:
    """Every node class that our graphs use, as ComfyUI 0.3.64 ("a") or 0.33.0 ("b") has it, with invented files."""
    return Inventory.read(json.loads((NODES / f"nodes_{era}.json").read_text(encoding="utf-8")), **more)


def golden(name: str, graphs: dict[str, Any]) -> dict[str, Any]:
    """What the file of that name holds; first written anew when asked for."""
    path = HERE / "graphs" / f"{name}.json"
    if os.environ.get("ATELIER_WRITE_GRAPHS"):
        path.write_text(_written(graphs), encoding="utf-8")
    return json.loads(path.read_text(encoding="utf-8"))


def _written(graphs: dict[str, Any]) -> str:
    """A line per node, so that a difference can be read."""
    blocks = [
        f"  {json.dumps(variant)}: {{\n"
        + ",\n".join(f"    {json.dumps(node)}: {json.dumps(body)}" for node, body in graph.items())
        + "\n  }"
        for variant, graph in graphs.items()
    ]
    return "{\n" + ",\n".join(blocks) + "\n}\n"
