"""What a server would say against a graph, found without asking it, and said better: with names, values and next steps.

Only what the server itself looks at is judged: every node's class, and all that an output is made from. Besides, two
things are told that it takes and that go wrong later: a literal where only a node can give the value, and an input
whose name is a slip of another's.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from workflows.drawing.inventory import LOADERS, plain
from workflows.errors import nearest
from workflows.graph import as_link
from workflows.types import Problem

if TYPE_CHECKING:
    from workflows.drawing.inventory import Inventory, NodeClass, NodeInput
    from workflows.graph import Graph, Link, Node

SHOWN = 12
"""Valid values told of many."""
LINKED = frozenset(
    "MODEL CLIP VAE CONDITIONING LATENT IMAGE MASK CONTROL_NET SAMPLER SIGMAS NOISE GUIDER UPSCALE_MODEL STYLE_MODEL "
    "CLIP_VISION CLIP_VISION_OUTPUT MODEL_PATCH AUDIO VIDEO LATENT_UPSCALE_MODEL INTERP_MODEL".split()
)
"""Types that only another node can give; other unknown types may be a custom node's own literal."""
OPEN_LOADS = frozenset({"image", "audio", "video", "file", "latent"})
"""Inputs of Load... nodes that the server checks by looking for the file, not in its list."""
WRAPPED = 'a list that is a value is written {"__value__": [...]}.'
SLIP = 0.75
"""How alike two names are when one is taken for a slip of the other (difflib's ratio)."""


def problems(graph: Graph, inventory: Inventory) -> list[Problem]:
    """Every fault, in the order of the nodes; empty when the server would take the graph."""
    found = [problem for name in graph.nodes if (problem := _unknown_class(graph, name, inventory))]
    ends = [name for name, node in graph.nodes.items() if _ends(node, inventory)]
    if not ends and not found:
        found.append(Problem(node="", message=_no_output(inventory)))
    judged = graph.trimmed(*ends)
    if loop := judged.cycle():
        told = f"The links run in a circle: {' reads '.join(loop)}. Cut one of them."
        return [*found, Problem(node=loop[0], class_type=graph[loop[0]].class_type, message=told)]
    for name, node in judged.nodes.items():
        if known := inventory.classes.get(node.class_type):
            found.extend(_of_node(graph, name, node, known, inventory))
    return found


def _ends(node: Node, inventory: Inventory) -> bool:
    known = inventory.classes.get(node.class_type)
    return known is not None and known.is_output


def _no_output(inventory: Inventory) -> str:
    known = [name for name in ("SaveImage", "PreviewImage") if inventory.has(name)]
    return f"Nothing in the graph is an output: end it in a node such as {' or '.join(known) or 'SaveImage'}."


def _unknown_class(graph: Graph, name: str, inventory: Inventory) -> Problem | None:
    kind = graph[name].class_type
    if kind in inventory.classes:
        return None
    near = nearest(kind, inventory.classes)
    meant = f"did you mean {', '.join(near)}?" if near else "no node of a like name is installed."
    message = f"This server has no node class {kind}; {meant} It may belong to a custom node pack or a newer ComfyUI."
    return Problem(node=name, class_type=kind, message=message, valid=near)


def _of_node(graph: Graph, name: str, node: Node, known: NodeClass, inventory: Inventory) -> Iterator[Problem]:
    yield from _missing(name, node, known)
    yield from _slips(name, node, known)
    for field, value in node.inputs.items():
        given = known.inputs.get(field)
        link = as_link(value)
        if link is not None:
            yield from _of_link(graph, name, field, link, given, inventory)
        elif given is not None:
            yield from _of_literal(name, node, field, value, given)


def _missing(name: str, node: Node, known: NodeClass) -> Iterator[Problem]:
    for field, given in known.inputs.items():
        if given.required and field not in node.inputs and not given.type.startswith("COMFY_"):
            slip = next((one for one in node.inputs if one not in known.inputs and _alike(one, field)), None)
            hint = f" It has {slip!r} instead, which the node does not know." if slip else f" {_takes(given)}"
            message = f"{name} ({node.class_type}) needs the input {field}.{hint}"
            yield Problem(
                node=name,
                class_type=node.class_type,
                input=field,
                message=message,
                valid=(given.choices or ())[:SHOWN],
            )


def _takes(given: NodeInput) -> str:
    if given.choices is not None:
        return "It takes one of the server's choices."
    return f"It takes {given.type}" + (f", usually {given.default!r}." if given.default not in {None, ""} else ".")


def _slips(name: str, node: Node, known: NodeClass) -> Iterator[Problem]:
    """Unknown inputs are let be, save where an optional input of nearly that name is not given."""
    absent = [field for field, given in known.inputs.items() if field not in node.inputs and not given.required]
    for field in node.inputs:
        if field not in known.inputs and "." not in field:
            meant = tuple(one for one in absent if _alike(field, one))
            if meant:
                message = f"{name} ({node.class_type}) has no input {field}; did you mean {', '.join(meant)}?"
                yield Problem(node=name, class_type=node.class_type, input=field, message=message, valid=meant)


def _alike(one: str, other: str) -> bool:
    return difflib.SequenceMatcher(None, one, other).ratio() >= SLIP


# ------------------------------------------------------------------ links


def _of_link(
    graph: Graph, name: str, field: str, link: Link, given: NodeInput | None, inventory: Inventory
) -> Iterator[Problem]:
    source, slot = link
    kind = graph[name].class_type
    spot = f"{name}.{field}"
    if source not in graph:
        near = nearest(source, graph.nodes)
        message = f"{spot} reads node {source!r}, which is not in the graph."
        message += f" Did you mean {', '.join(near)}?" if near else ""
        yield Problem(node=name, class_type=kind, input=field, value=str(list(link)), message=message, valid=near)
        return
    maker = inventory.classes.get(graph[source].class_type)
    if maker is None:
        return
    if not -len(maker.outputs) <= slot < len(maker.outputs):
        gives = ", ".join(f"{number} {one}" for number, one in enumerate(maker.outputs)) or "nothing"
        message = f"{spot} reads output {slot} of {source} ({graph[source].class_type}), which gives {gives}."
        yield Problem(node=name, class_type=kind, input=field, value=str(list(link)), message=message)
    elif given is not None and not _fits(maker.outputs[slot], given.type):
        fitting = tuple(_makers(graph, given.type, inventory))
        message = f"{spot} takes {given.type}, but output {slot} of {source} is {maker.outputs[slot]}."
        message += f" {given.type} comes from {', '.join(fitting[:3])}." if fitting else ""
        yield Problem(node=name, class_type=kind, input=field, value=str(list(link)), message=message, valid=fitting)


def _fits(made: str, taken: str) -> bool:
    """'*' fits all; a list such as IMAGE,MASK fits when one type is common; dynamic types are the server's business."""
    if made.startswith("COMFY_") or taken.startswith("COMFY_"):
        return True
    types, wanted = ({one.strip() for one in each.split(",")} for each in (made, taken))
    return bool(types & wanted) or "*" in types | wanted


def _makers(graph: Graph, wanted: str, inventory: Inventory) -> Iterator[str]:
    """Outputs in this graph that give the type, as 'node:slot'."""
    for name, node in graph.nodes.items():
        known = inventory.classes.get(node.class_type)
        yield from (f"{name}:{slot}" for slot, one in enumerate(known.outputs if known else ()) if one == wanted)


# ------------------------------------------------------------------ literals


def _of_literal(name: str, node: Node, field: str, value: Any, given: NodeInput) -> Iterator[Problem]:
    message, valid = None, ()
    if given.type in LINKED:
        message = f"{name}.{field} takes {given.type} from another node: write [node id, output number]."
        if isinstance(value, list | tuple):
            message += " Node ids are strings."
    elif isinstance(value, list | tuple):
        message = f"{name}.{field}: a list is a link, [node id, output number]; " + WRAPPED
    elif given.choices is not None:
        message, valid = _of_choice(name, node, field, value, given)
    elif given.type in {"INT", "FLOAT"}:
        message = _of_number(f"{name}.{field}", value, given)
    if message:
        yield Problem(
            node=name, class_type=node.class_type, input=field, value=_shown(value), message=message, valid=valid
        )


def _of_choice(name: str, node: Node, field: str, value: Any, given: NodeInput) -> tuple[str | None, tuple[str, ...]]:
    choices = given.choices or ()
    looked_up = given.upload or (node.class_type.startswith("Load") and field in OPEN_LOADS)
    if looked_up or isinstance(value, dict) or str(value) in choices:
        return None, ()
    valid = _nearest_first(str(value), choices)
    folder = next((one for one, spot in LOADERS.items() if spot == (node.class_type, field)), None)
    where = f" It belongs in the server's folder {folder}." if folder else ""
    offered = f"it is one of {', '.join(valid)}" if valid else "the server has nothing there"
    more = f" and {len(choices) - len(valid)} more" if len(choices) > len(valid) else ""
    return f"{name}.{field} cannot be {_shown(value)!r}: {offered}{more}.{where}", valid


def _nearest_first(value: str, choices: tuple[str, ...]) -> tuple[str, ...]:
    wanted = plain(value)
    alike = {one: difflib.SequenceMatcher(None, wanted, plain(one)).ratio() for one in choices}
    return tuple(sorted(choices, key=lambda one: -alike[one]))[:SHOWN]


def _of_number(spot: str, value: Any, given: NodeInput) -> str | None:
    """Numbers written as text are taken as the server takes them."""
    if isinstance(value, dict) and "__value__" in value:
        return None
    try:
        number = float(cast("float", value))
    except (TypeError, ValueError):
        return (
            f"{spot} cannot be {_shown(value)!r}: it takes {'a whole number' if given.type == 'INT' else 'a number'}."
        )
    if given.least is not None and number < given.least:
        return f"{spot} cannot be {_shown(value)}: the least is {given.least}."
    if given.most is not None and number > given.most:
        return f"{spot} cannot be {_shown(value)}: the most is {given.most}."
    return None


def _shown(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
