"""A graph drawn in the editor's format, with anything between its nodes, converts to the same graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.workflows.editor.recorded import inventory
from tests.workflows.editor.writer import BETWEEN, Drawing
from workflows.drawing.inventory import NodeClass, NodeInput
from workflows.editor import converted
from workflows.editor.flattening import fits
from workflows.editor.widgets import DRAWN, is_widget
from workflows.graph import Graph, Node

NODES = inventory()


def givable(node: NodeClass) -> bool:
    """Whether a value can be thought of for every widget: a choice without choices has none."""
    inner = [one for given in node.inputs.values() for branch in given.branches.values() for one in branch.values()]
    return not any(one.choices == () for one in [*node.inputs.values(), *inner])


CLASSES = sorted(name for name, node in NODES.classes.items() if givable(node))


def value_of(given: NodeInput) -> st.SearchStrategy[Any]:
    kind = given.widget or given.type
    least, most = (None if edge is None else max(min(edge, 2**53), -(2**53)) for edge in (given.least, given.most))
    if given.choices:
        return st.sampled_from(given.choices)
    if given.branches:
        return st.sampled_from(sorted(given.branches))
    if kind in DRAWN:
        return st.just({"x": 1}) | st.just({"__value__": [1, "a"]})
    plain: dict[str, st.SearchStrategy[Any]] = {
        "INT": st.integers(*(None if edge is None else int(edge) for edge in (given.least, given.most))),
        "FLOAT": st.floats(least, most, allow_nan=False, allow_infinity=False),
        "BOOLEAN": st.booleans(),
        "COLOR": st.sampled_from(["#000000", "#ff8800"]),
    }
    return plain.get(kind, st.text(max_size=20))


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    nodes: dict[str, Node] = {}
    for place in range(draw(st.integers(2, 6))):
        kind = draw(st.sampled_from(CLASSES))
        inputs: dict[str, Any] = {}
        pending = list(NODES.classes[kind].inputs.items())
        for name, given_ in pending:
            if is_widget(given_):
                inputs[name] = draw(value_of(given_))
                branch: Mapping[str, NodeInput] = given_.branches.get(str(inputs[name])) or {}
                pending += [(f"{name}.{inner}", one) for inner, one in branch.items()]
            elif sources := list(makers(nodes, given_.type)):
                inputs[name] = draw(st.sampled_from(sources))
        nodes[str(place + 1)] = Node(kind, inputs, draw(st.sampled_from(["", "A title", "@prompt"])))
    return Graph(nodes)


def makers(nodes: dict[str, Node], wanted: str) -> list[tuple[str, int]]:
    outputs = {name: NODES.classes[node.class_type].outputs for name, node in nodes.items()}
    return [(name, at) for name, made in outputs.items() for at, one in enumerate(made) if fits(one, wanted)]


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    graph=graphs(),
    between=st.lists(st.sampled_from(BETWEEN), min_size=1, max_size=5),
    flags=st.tuples(st.booleans(), st.booleans()),
    depth=st.integers(0, 3),
    draw=st.data(),
)
def test_what_is_drawn_converts_to_the_graph_it_was_drawn_from(
    graph: Graph, between: list[str], flags: tuple[bool, bool], depth: int, draw: st.DataObject
) -> None:
    literals = [(name, field) for name, node in graph.nodes.items() for field in node.inputs
                if field not in node.links() and "." not in field
                and not NODES.classes[node.class_type].inputs[field].branches]  # fmt: skip
    given_ = frozenset(draw.draw(st.lists(st.sampled_from(literals), max_size=3)) if literals else [])
    drawing = Drawing(NODES, tuple(between), given_, *flags)
    found = converted(drawing.drawn(graph, depth), NODES).graph

    assert found == within(graph, "9:" * depth)


def within(graph: Graph, prefix: str) -> Graph:
    """The graph as it is called in a subgraph."""
    return Graph(
        {
            prefix + name: Node(
                node.class_type,
                {**node.inputs, **{field: (prefix + source, slot) for field, (source, slot) in node.links().items()}},
                node.title,
            )
            for name, node in graph.nodes.items()
        }
    )
