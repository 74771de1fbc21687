"""Small workflows of the editor, written down by hand."""

from __future__ import annotations

from typing import Any

from tests.workflows.editor.recorded import inventory
from workflows.editor import Converted, converted

Json = dict[str, Any]


def node(name: int | str, kind: str, *values: Any, reads: Json | None = None, gives: str = "", **more: Any) -> Json:
    """`reads`: link (or nothing) by input as "name:TYPE"; `gives`: types of its outputs."""
    inputs = [{"name": key.partition(":")[0], "type": key.partition(":")[2] or "*", "link": link}
              for key, link in (reads or {}).items()]  # fmt: skip
    outputs = [{"name": one, "type": one} for one in gives.split()]
    body = {"id": name, "type": kind, "mode": 0, "inputs": inputs, "outputs": outputs}
    return body | ({"widgets_values": list(values)} if values else {}) | more


def link(name: int, origin: int, slot: int, target: int, place: int, kind: str = "*") -> Json:
    ends = {"origin_id": origin, "origin_slot": slot, "target_id": target, "target_slot": place}
    return {"id": name, **ends, "type": kind}


def workflow(*parts: Json, subgraphs: tuple[Json, ...] = (), **more: Any) -> Json:
    """Nodes and links in any order."""
    nodes = [one for one in parts if "mode" in one]
    links = [one for one in parts if "origin_id" in one]
    return {"nodes": nodes, "links": links, "definitions": {"subgraphs": list(subgraphs)}, **more}


def subgraph(name: str, inputs: str, outputs: str, *parts: Json, **more: Any) -> Json:
    """`inputs`, `outputs`: "name:TYPE name:TYPE"."""
    ends = [[{"name": one.partition(":")[0], "type": one.partition(":")[2]} for one in side.split()]
            for side in (inputs, outputs)]  # fmt: skip
    return {"id": name, "name": name, "inputs": ends[0], "outputs": ends[1], **workflow(*parts), **more}


def convert(*parts: Json, **more: Any) -> Converted:
    return converted(workflow(*parts, **more), inventory())


def prompt(*parts: Json, **more: Any) -> Json:
    """The inputs of each node in the converted graph, links as lists."""
    return {name: body["inputs"] for name, body in convert(*parts, **more).graph.as_prompt().items()}


def empty(name: int, **more: Any) -> Json:
    return node(name, "EmptyImage", 64, 64, 1, 0, gives="IMAGE", **more)


def save(name: int, link_: int | None, **more: Any) -> Json:
    return node(name, "SaveImage", "x", reads={"images:IMAGE": link_}, **more)


EMPTY = {"width": 64, "height": 64, "batch_size": 1, "color": 0}
