"""Why the server will not take a graph, in words that help: its node_errors as Problems. Pure.

The server's own text is thin in places: a cycle has none (before 0.33), a link to nowhere is a KeyError, and long
lists of choices are left out. What it leaves out is read from the graph and from object_info.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from clients._comfyui.answers import redacted
from workflows.errors import GraphRejected, nearest
from workflows.types import Problem

Json = Mapping[str, Any]

MOST_VALID = 6
"""Valid options named for one input."""
UNKNOWN_CLASS = {"invalid_prompt", "missing_node_type"}
NO_OUTPUTS = "no node of it writes an output; end it in a SaveImage or PreviewImage node"


def problems(body: Json, graph: Json, classes: Json) -> tuple[Problem, ...]:
    """From a 400's body, or a 200's with node_errors. `classes`: object_info of the classes that are known, if any."""
    nodes = cast(Json, body.get("node_errors") or {})
    found = [
        _problem(str(node), cast(Json, faults), cast(Json, fault), graph, classes)
        for node, faults in nodes.items()
        for fault in faults.get("errors") or ()
    ]
    return tuple(found or _whole(cast(Json, body.get("error") or {}), graph, classes))


def rejection(found: Sequence[Problem]) -> GraphRejected:
    """The error, whose text names every problem."""
    lines = "; ".join(map(described, found))
    return GraphRejected(f"ComfyUI does not take the graph: {lines}.", found)


def described(problem: Problem) -> str:
    """One problem in a sentence without its full stop."""
    of = f" ({problem.class_type})" if problem.class_type else ""
    where = f"node {problem.node}{of}: " if problem.node else ""
    allowed = f" (valid: {', '.join(problem.valid)})" if problem.valid else ""
    return f"{where}{problem.message}{allowed}"


def unlisted(body: Json) -> set[str]:
    """Classes whose choices the server left out because they are many."""
    nodes = cast(Json, body.get("node_errors") or {})
    return {
        str(faults.get("class_type"))
        for faults in cast("Mapping[str, Json]", nodes).values()
        for fault in cast("list[Json]", faults.get("errors") or [])
        if fault.get("type") == "value_not_in_list" and not _choices(_extra(fault).get("input_config"))
    }


def names_unknown_class(body: Json) -> bool:
    return cast(Json, body.get("error") or {}).get("type") in UNKNOWN_CLASS


def _problem(node: str, faults: Json, fault: Json, graph: Json, classes: Json) -> Problem:
    kind, class_type = str(fault.get("type")), str(faults.get("class_type") or "")
    extra = _extra(fault)
    name = str(extra.get("input_name") or "")
    value = extra.get("received_value", _inputs(graph, node).get(name))
    shown = "" if value is None else str(value)[:200]
    valid: tuple[str, ...] = ()
    if kind == "value_not_in_list":
        choices = _choices(extra.get("input_config")) or _known_choices(classes, class_type, name)
        valid = offered(shown, choices)
        text = f"{name} cannot be {shown!r}" if choices else f"{name} cannot be {shown!r}: nothing is installed for it"
    elif kind == "exception_during_validation":
        return _broken_link(node, class_type, graph) or _plain(node, class_type, fault)
    else:
        text = _wording(kind, name, shown, fault)
    return Problem(node=node, class_type=class_type, input=name, value=shown, message=text, valid=valid)


def _wording(kind: str, name: str, value: str, fault: Json) -> str:
    details, config = str(fault.get("details") or ""), _extra(fault).get("input_config")
    spec = cast("list[Any]", config) if isinstance(config, list) and config else ["another type"]
    limits = cast(Json, spec[1] if len(spec) > 1 else {})
    match kind:
        case "required_input_missing":
            return f"input {name} is missing"
        case "value_smaller_than_min":
            return f"{name} cannot be {value}: at least {limits.get('min')}"
        case "value_bigger_than_max":
            return f"{name} cannot be {value}: at most {limits.get('max')}"
        case "invalid_input_type":
            return f"{name} cannot be {value!r}: it takes {spec[0]}"
        case "bad_linked_input":
            return f"{name} is no link: a link is [node id, output number]"
        case "dependency_cycle":
            return f"it reads its own output: {details}"
        case "custom_validation_failed":
            return redacted(details) or "it is not what the node takes"
        case _:
            return _sentence(fault)


def _plain(node: str, class_type: str, fault: Json) -> Problem:
    return Problem(node=node, class_type=class_type, message=_sentence(fault))


def _sentence(fault: Json) -> str:
    message, details = str(fault.get("message") or "it is wrong"), str(fault.get("details") or "")
    return redacted(f"{message}: {details}" if details else message).rstrip(". ")[:300]


def _broken_link(node: str, class_type: str, graph: Json) -> Problem | None:
    """The link behind a KeyError or IndexError: to a node that is not there, or to an output that it has not."""
    for name, value in _inputs(graph, node).items():
        if not (isinstance(value, list | tuple) and len(cast("Sequence[Any]", value)) == 2):
            continue
        source, slot = cast("Sequence[Any]", value)
        if isinstance(source, int):
            text = f'{name} reads node {source}: a link names its node by a string, such as ["{source}", {slot}]'
        elif isinstance(source, str) and source not in graph:
            text = f"{name} reads node {source!r}, which is not in the graph"
        else:
            continue
        return Problem(node=node, class_type=class_type, input=name, value=str(source), message=text)
    return None


def _whole(error: Json, graph: Json, classes: Json) -> Iterator[Problem]:
    """A fault that the server lays to no node."""
    kind = str(error.get("type") or "")
    extra = cast(Json, error.get("extra_info") or {})
    if kind in UNKNOWN_CLASS:
        yield from _unknown_classes(str(extra.get("node_id") or ""), error, graph, classes)
    elif kind == "prompt_no_outputs":
        yield Problem(node="", message=NO_OUTPUTS)
    elif circle := _circle(graph):
        names = " -> ".join(f"{node} ({_class(graph, node)})" for node in circle)
        yield Problem(node=circle[0], class_type=_class(graph, circle[0]), message=f"it reads its own output: {names}")
    else:
        yield Problem(node=str(extra.get("node_id") or ""), message=_sentence(error))


def _unknown_classes(node: str, error: Json, graph: Json, classes: Json) -> Iterator[Problem]:
    """Every node whose class the server has not; it names only the first."""
    node = node or str(error.get("details") or "").rpartition("#")[2].strip("'")
    unknown = [name for name in graph if classes and _class(graph, name) not in classes]
    for name in unknown or [node]:
        class_type = _class(graph, name)
        text = f"the server has no node {class_type!r}; an extension may have it" if class_type else _sentence(error)
        yield Problem(node=name, class_type=class_type, message=text, valid=nearest(class_type, classes))


def _circle(graph: Json) -> list[str]:
    """The nodes of a cycle, the first one again at the end; empty when there is none."""
    reads = {node: {source for source in _sources(graph, node) if source in graph} for node in graph}
    while free := [node for node, sources in reads.items() if not sources & reads.keys()]:
        for node in free:
            del reads[node]
    path: list[str] = []
    node = next(iter(reads), None)  # every node left reads another that is left, so following them closes a circle
    while node is not None and node not in path:
        path.append(node)
        node = next(source for source in reads[node] if source in reads)
    return [] if node is None else [*path[path.index(node) :], node]


def _sources(graph: Json, node: str) -> Iterator[str]:
    for value in _inputs(graph, node).values():
        if isinstance(value, list | tuple) and len(cast("Sequence[Any]", value)) == 2:
            yield str(cast("Sequence[Any]", value)[0])


def offered(value: str, choices: Sequence[str]) -> tuple[str, ...]:
    """A few valid options, the nearest to `value` first."""
    near = nearest(value, choices, most=3)
    return (*near, *(choice for choice in choices if choice not in near))[:MOST_VALID]


def _choices(config: object) -> list[str]:
    """The options of an input, in either of the two forms that servers use."""
    spec = cast("list[Any]", config) if isinstance(config, list) and config else [None]
    if isinstance(spec[0], list):
        return [str(choice) for choice in cast("list[Any]", spec[0])]
    if len(spec) > 1 and isinstance(spec[1], dict):
        return [str(choice) for choice in cast(Json, spec[1]).get("options") or ()]
    return []


def _known_choices(classes: Json, class_type: str, name: str) -> list[str]:
    inputs = cast(Json, cast(Json, classes.get(class_type) or {}).get("input") or {})
    for group in ("required", "optional"):
        if config := cast(Json, inputs.get(group) or {}).get(name):
            return _choices(config)
    return []


def _extra(fault: Json) -> Json:
    return cast(Json, fault.get("extra_info") or {})


def _class(graph: Json, node: str) -> str:
    body = graph.get(node)
    return str(cast(Json, body).get("class_type") or "") if isinstance(body, Mapping) else ""


def _inputs(graph: Json, node: str) -> Json:
    body = graph.get(node)
    inputs = cast(Json, body).get("inputs") if isinstance(body, Mapping) else None
    return cast(Json, inputs) if isinstance(inputs, Mapping) else {}
