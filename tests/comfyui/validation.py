"""What ComfyUI says against a graph before it queues it: types and order of its answers, by era. Pure.

Era A is 2025 (0.3.x), era B from 2026 on: it knows missing_node_type and dependency_cycle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

Json = Mapping[str, Any]
CASTS: Mapping[str, Callable[[Any], Any]] = {"INT": int, "FLOAT": float, "STRING": str, "BOOLEAN": bool}
DYNAMIC = "COMFY_DYNAMICCOMBO_V3"
"""A choice that brings inputs of its own, written sampling_mode.seed; as 0.27.0 answers to it."""
LONG_LIST = 20
"""Longer lists of choices are left out of the answer."""


@dataclass
class Verdict:
    """`error` None: the good outputs run, and `node_errors` tells of the others."""

    error: Json | None
    node_errors: dict[str, Any] = field(default_factory=dict[str, Any])
    outputs: list[str] = field(default_factory=list[str])


@dataclass
class Checker:
    """`exists` says whether LoadImage would find a file."""

    nodes: Json
    era: str
    exists: Callable[[str], bool]

    def check(self, graph: Json, targets: list[str] | None) -> Verdict:
        for name, node in graph.items():
            if fault := self._unknown(name, node):
                return Verdict(fault)
        outputs = [name for name, node in graph.items() if self.nodes[node["class_type"]].get("output_node")]
        outputs = [name for name in outputs if targets is None or name in targets]
        if not outputs:
            return Verdict(error("prompt_no_outputs", "Prompt has no outputs"))
        return self._outputs(graph, outputs)

    def _unknown(self, name: str, node: Any) -> Json | None:
        class_type = cast(Json, node).get("class_type") if isinstance(node, dict) else None
        if class_type in self.nodes:
            return None
        what = f"node {class_type} does not exist" if class_type else "a node is missing the class_type property"
        kind = "invalid_prompt" if self.era == "A" else "missing_node_type"
        extra: Json = {} if self.era == "A" else {"node_id": name, "class_type": class_type, "node_title": class_type}
        return error(kind, f"Cannot execute because {what}.", f"Node ID '#{name}'", extra)

    def _outputs(self, graph: Json, outputs: list[str]) -> Verdict:
        faults: dict[str, list[Json]] = {}
        node_errors: dict[str, Any] = {}
        good: list[str] = []
        for output in outputs:
            upstream, circle = _upstream(graph, output)
            if circle:
                faults |= self._circle(graph, circle)
            for name in upstream:
                if name in graph and name not in faults:
                    faults[name] = list(self._faults(graph, name))
            bad = [name for name in upstream if faults.get(name)]
            for name in bad:
                entry = {"errors": faults[name], "dependent_outputs": [], "class_type": graph[name]["class_type"]}
                node_errors.setdefault(name, entry)["dependent_outputs"].append(output)
            if not bad and not circle:
                good.append(output)
        if good:
            return Verdict(None, node_errors, good)
        own = [fault for output in outputs for fault in faults.get(output, [])]
        details = "\n".join(f"{fault['message']}: {fault['details']}" for fault in own)
        return Verdict(
            error("prompt_outputs_failed_validation", "Prompt outputs failed validation", details), node_errors
        )

    def _circle(self, graph: Json, circle: list[str]) -> dict[str, list[Json]]:
        if self.era == "A":
            return {}
        path = " -> ".join(f"{name} ({graph[name]['class_type']})" for name in [*circle, circle[0]])
        extra = {"cycle_nodes": circle}
        return {name: [error("dependency_cycle", "Dependency cycle detected", path, extra)] for name in circle}

    def _faults(self, graph: Json, name: str) -> Iterator[Json]:
        yield from self._fields(graph, graph[name], self.nodes[graph[name]["class_type"]]["input"])

    def _fields(self, graph: Json, node: Json, spec: Json, prefix: str = "") -> Iterator[Json]:
        given = node.get("inputs", {})
        for group in ("required", "optional"):
            for field_name, config in spec.get(group, {}).items():
                whole = prefix + field_name
                if config[0] == DYNAMIC:  # missing, or no choice at all, is not told before it runs
                    inner = [one["inputs"] for one in config[1]["options"] if one["key"] == given.get(whole)]
                    for fields in inner:
                        yield from self._fields(graph, node, fields, f"{whole}.")
                elif whole in given:
                    yield from self._input(graph, node, whole, config)
                elif group == "required":
                    extra = {"input_name": whole}
                    yield error("required_input_missing", "Required input is missing", field_name, extra)

    def _input(self, graph: Json, node: Json, name: str, config: list[Any]) -> Iterator[Json]:
        value = node["inputs"][name]
        if isinstance(value, list):
            yield from self._link(graph, name, cast("list[Any]", value), config)
            return
        kind = config[0]
        options: Json = config[1] if len(config) > 1 else {}
        extra = {"input_name": name, "input_config": config, "received_value": value}
        try:
            value = CASTS.get(str(kind), lambda same: same)(value)
        except (TypeError, ValueError) as fault:
            message = f"Failed to convert an input value to a {kind} value"
            yield error("invalid_input_type", message, f"{name}, {value}, {fault}", extra)
            return
        if "min" in options and value < options["min"]:
            yield error("value_smaller_than_min", f"Value {value} smaller than min of {options['min']}", name, extra)
        elif "max" in options and value > options["max"]:
            yield error("value_bigger_than_max", f"Value {value} bigger than max of {options['max']}", name, extra)
        elif any(options.get(one) for one in ("image_upload", "video_upload", "audio_upload")):
            if not self.exists(str(value)):
                details = f"{name} - Invalid image file: {value}"
                yield error(
                    "custom_validation_failed", "Custom validation failed for node", details, {"input_name": name}
                )
        elif (choices := _choices(config)) is not None and value not in choices:
            yield _not_in_list(name, value, choices, extra)

    def _link(self, graph: Json, name: str, link: list[Any], config: list[Any]) -> Iterator[Json]:
        extra: dict[str, Any] = {"input_name": name, "input_config": config}
        if len(link) != 2:
            message = "Bad linked input, must be a length-2 list of [node_id, slot_index]"
            yield error("bad_linked_input", message, name, extra | {"received_value": link})
            return
        source, slot = link
        if source not in graph:
            kind, details = "KeyError", repr(source)
        elif slot >= len(given := self.nodes[graph[source]["class_type"]]["output"]):
            kind, details = "IndexError", "tuple index out of range"
        elif _fits(given[slot], config[0]):
            return
        else:
            details = f"{name}, received_type({given[slot]}) mismatch input_type({config[0]})"
            extra |= {"received_type": given[slot], "linked_node": link}
            yield error("return_type_mismatch", "Return type mismatch between linked nodes", details, extra)
            return
        extra = {"exception_type": kind, "traceback": ['  File "/srv/ComfyUI/execution.py", line 1\n']}
        yield error("exception_during_validation", "Exception when validating node", details, extra)


def error(kind: str, message: str, details: str = "", extra: Json | None = None) -> dict[str, Any]:
    return {"type": kind, "message": message, "details": details, "extra_info": dict(extra or {})}


def _choices(config: list[Any]) -> list[Any] | None:
    if isinstance(config[0], list):
        return cast("list[Any]", config[0])
    return config[1].get("options") if config[0] == "COMBO" and len(config) > 1 else None


def _not_in_list(name: str, value: Any, choices: list[Any], extra: Json) -> Json:
    long = len(choices) > LONG_LIST
    shown = f"(list of length {len(choices)})" if long else str(choices)
    config = None if long else extra["input_config"]
    details = f"{name}: '{value}' not in {shown}"
    return error("value_not_in_list", "Value not in list", details, {**extra, "input_config": config})


def _fits(given: Any, wanted: Any) -> bool:
    if isinstance(given, list) or isinstance(wanted, list):
        return True
    return "*" in {given, wanted} or bool(set(given.split(",")) & set(wanted.split(",")))


def _upstream(graph: Json, name: str) -> tuple[list[str], list[str]]:
    """What a node is made from, itself last, and a cycle among it when there is one."""
    order: list[str] = []
    circle: list[str] = []

    def visit(node: str, path: tuple[str, ...]) -> None:
        if node in path:
            circle[:] = path[path.index(node) :]
        elif node not in order and node in graph:
            for value in graph[node].get("inputs", {}).values():
                link = cast("list[Any]", value) if isinstance(value, list) else []
                if len(link) == 2 and isinstance(link[0], str):
                    visit(link[0], (*path, node))
            order.append(node)

    visit(name, ())
    return order, circle
