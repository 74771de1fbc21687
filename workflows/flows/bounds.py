"""How large and how deep a stranger's workflow may be, and that its numbers are numbers. Says nothing of its nodes."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, cast

from workflows.errors import BadRecipe, GraphRejected
from workflows.graph import Graph, as_link
from workflows.importing.values import whole
from workflows.types import MAX_FRAMES, Problem

MOST_BYTES = 5_000_000
"""Of a workflow's file or text; the largest of the official templates has 0.7 MB."""
MOST_NODES = 1000
"""The largest of the official templates has some hundred when its subgraphs are unfolded."""
MOST_DEPTH = 40
MOST_VALUES = 200_000
MOST_INPUTS = 200
MOST_LINKS = 5000
MOST_NAME = 200
"""Characters of a node's id, its class, or an input's name."""
MOST_TEXT = 20_000
"""Characters of one text of a graph, as of a prompt."""
MOST_TEXTS = 200_000
"""Characters of all texts together: as many as the content rules read."""
MOST_SAMPLERS = 50
LARGEST_WHOLE = 2**64
MOST_EDGE = 16_384
MOST_PIXELS = 2**27
"""width x height x batch of one node: 8 pictures of 4096 x 4096."""
MOST_FRAME_PIXELS = 2**31
"""width x height x frames x batch of one node: 1025 frames of full HD."""
MOST_COUNT = 64
MOST_STEPS = 1000
COUNTS: Mapping[str, int] = {
    "batch_size": MOST_COUNT,
    "amount": MOST_COUNT,
    "repeats": MOST_COUNT,
    "steps": MOST_STEPS,
    "length": MAX_FRAMES,
    "width": MOST_EDGE,
    "height": MOST_EDGE,
}
"""The most that these inputs may hold, whatever the server's own limit is: they decide memory and time."""


def document(text: str, name: str | None = None) -> object:
    """The JSON that a workflow's text is; `name`: of its file. Raises BadRecipe."""
    if len(text) > MOST_BYTES:
        raise BadRecipe("workflow", f"{len(text):,} characters", f"at most {MOST_BYTES:,} are read")
    try:
        return cast(object, json.loads(text))
    except (ValueError, RecursionError) as error:
        step = "save it from ComfyUI anew, with Save or with Export (API)"
        raise BadRecipe("workflow", name or text, f"it is no JSON ({error}); {step}") from error


def check_document(found: object) -> None:
    """Whether it is small and shallow enough to be looked at. Raises BadRecipe. Takes any nesting."""
    pending: list[tuple[object, int]] = [(found, 0)]
    seen = size = 0
    while pending:
        value, depth = pending.pop()
        seen += 1
        size += len(value) if isinstance(value, str) else 8
        if depth > MOST_DEPTH:
            raise BadRecipe("workflow", "its nesting", f"values lie at most {MOST_DEPTH} deep in each other")
        if seen > MOST_VALUES or size > MOST_BYTES:
            raise BadRecipe("workflow", "its size", f"it has at most {MOST_VALUES:,} values and {MOST_BYTES:,} letters")
        pending.extend((one, depth + 1) for one in _inside(value))


def _inside(value: object) -> list[object]:
    if isinstance(value, Mapping):
        return list(cast("Mapping[object, object]", value).values())
    return list(cast("list[object]", value)) if isinstance(value, list | tuple) else []


# ------------------------------------------------------------------ the editor's format


def check_unfolded(workflow: Mapping[str, Any]) -> None:
    """Whether it stays small when every subgraph is put in its places. Raises GraphRejected."""
    bodies = {str(one.get("id")): one for one in _tables(_table(workflow.get("definitions")).get("subgraphs"))}
    if _unfolded(workflow, bodies, {}, 0) > MOST_NODES:
        raise GraphRejected(f"The workflow has more than {MOST_NODES} nodes with its subgraphs unfolded.")


def _unfolded(
    body: Mapping[str, Any], bodies: Mapping[str, Mapping[str, Any]], known: dict[str, int], deep: int
) -> int:
    if deep > MOST_DEPTH:
        raise GraphRejected("A subgraph of the workflow lies in itself, or too many in each other.")
    total = 0
    for node in _tables(body.get("nodes")):
        kind = str(node.get("type"))
        if kind in bodies and kind not in known:
            known[kind] = _unfolded(bodies[kind], bodies, known, deep + 1)
        total += known.get(kind, 1)
    return total


def kinds_of(workflow: Mapping[str, Any]) -> dict[str, str]:
    """The classes of the editor's nodes by their ids, those of subgraphs too; as many as may be."""
    bodies = [workflow, *_tables(_table(workflow.get("definitions")).get("subgraphs"))]
    nodes = (node for body in bodies for node in _tables(body.get("nodes")))
    found = ((str(node.get("id"))[:MOST_NAME], str(node.get("type"))[:MOST_NAME]) for node in nodes)
    return dict(islice(found, MOST_NODES))


def _table(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def _tables(value: object) -> Iterator[Mapping[str, Any]]:
    return (_table(one) for one in (cast("list[object]", value) if isinstance(value, list) else []))


# ------------------------------------------------------------------ a graph


def check_graph(graph: Graph) -> None:
    """Whether it may be looked at closer. Raises GraphRejected with the place of every fault of its kind."""
    if len(graph.nodes) > MOST_NODES:
        raise GraphRejected(f"The graph has {len(graph.nodes):,} nodes; at most {MOST_NODES:,} are taken.")
    if faults := [*_misnamed(graph)]:
        raise GraphRejected(faults[0].message, faults)
    links = sum(len(node.links()) for node in graph.nodes.values())
    if links > MOST_LINKS:
        raise GraphRejected(f"The graph has {links:,} links; at most {MOST_LINKS:,} are taken.")
    samplers = sum("steps" in node.inputs or "sigmas" in node.inputs for node in graph.nodes.values())
    if samplers > MOST_SAMPLERS:
        raise GraphRejected(f"The graph samples {samplers} times; at most {MOST_SAMPLERS} are taken.")


def ill_values(graph: Graph) -> list[Problem]:
    """Values that no server should be sent: no numbers, too large ones, too many words."""
    faults = [fault for name in graph.nodes for fault in _values(graph, name)]
    total = sum(len(text) for text in strings(graph))
    if total > MOST_TEXTS:
        faults.append(Problem(node="", message=f"The graph's texts have {total:,} letters; {MOST_TEXTS:,} are read."))
    return faults


def strings(graph: Graph) -> Iterator[str]:
    """Every text in the inputs, however deep."""
    for node in graph.nodes.values():
        for value in node.inputs.values():
            if as_link(value) is None:
                yield from (one for one in leaves(value) if isinstance(one, str))


def leaves(value: object) -> Iterator[object]:
    """The values within a value that hold no others, the names of fields among them."""
    pending = [value]
    while pending:
        one = pending.pop()
        if isinstance(one, Mapping):
            pending.extend(cast("Mapping[object, object]", one).keys())
            pending.extend(cast("Mapping[object, object]", one).values())
        elif isinstance(one, list | tuple):
            pending.extend(cast("list[object]", one))
        else:
            yield one


def _misnamed(graph: Graph) -> Iterator[Problem]:
    for name, node in graph.nodes.items():
        shown = name[:40]
        if len(node.inputs) > MOST_INPUTS:
            yield Problem(node=shown, message=f"Node {shown!r} has more than {MOST_INPUTS} inputs.")
        for written in (name, node.class_type, *node.inputs):
            if not 0 < len(written) <= MOST_NAME or not written.isprintable():
                message = f"{written[:40]!r} in node {shown!r} is no name: 1 to {MOST_NAME} printable letters."
                yield Problem(node=shown, message=message)


def _values(graph: Graph, name: str) -> Iterator[Problem]:
    node = graph[name]
    for field, value in node.inputs.items():
        link = as_link(value)
        reason = None if link else _ill(value) or _too_much(field, value)
        if reason:
            yield Problem(node=name, class_type=node.class_type, input=field, message=f"{name}.{field}: {reason}.")
    yield from _too_large(graph, name)


def _ill(value: object) -> str | None:
    for one in leaves(value):
        if isinstance(one, float) and not math.isfinite(one):
            return f"{one} is no number that can be sent"
        if isinstance(one, int) and abs(one) >= LARGEST_WHOLE:
            return "the number is larger than any seed"
        if isinstance(one, str) and len(one) > MOST_TEXT:
            return f"the text has {len(one):,} letters, and at most {MOST_TEXT:,} are taken"
        if isinstance(one, str) and _unwritable(one):
            return "the text holds NUL or half a letter, which nobody can write"
    return None


def _unwritable(text: str) -> bool:
    return "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text)


def _too_much(field: str, value: object) -> str | None:
    number, most = whole(value), COUNTS.get(field)
    return f"{number} is too much: at most {most}" if number is not None and most and number > most else None


def _too_large(graph: Graph, name: str) -> Iterator[Problem]:
    read = {field: literal(graph, name, field) for field in COUNTS}
    wide, high = read["width"], read["height"]
    if wide is None or high is None:
        return
    pixels = wide * high * (read["batch_size"] or 1)
    frames = read["length"]
    most = MOST_PIXELS if frames is None else MOST_FRAME_PIXELS
    if pixels * (frames or 1) > most:
        told = f"{wide} x {high}, {read['batch_size'] or 1} at once" + (f", {frames} frames" if frames else "")
        message = f"{name} asks for {told}: more than {most:,} pixels together."
        yield Problem(node=name, class_type=graph[name].class_type, input="width", message=message)


def literal(graph: Graph, name: str, field: str) -> int | None:
    """The whole number of an input, also where a node that only holds a number gives it."""
    seen: set[tuple[str, str]] = set()
    while name in graph and (name, field) not in seen:
        seen.add((name, field))
        value: Any = graph[name].inputs.get(field)
        link = as_link(value)
        if link is None:
            return whole(value)
        name, field = link[0], "value"
    return None
