"""A graph as a Mermaid flowchart, whatever its author wrote into it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.workflows.flows.kit import Json, node, portrait, server
from workflows.flows import understood
from workflows.flows.diagram import MOST_NODES, escaped, mermaid
from workflows.graph import Graph, Node

LINE = re.compile(
    r"flowchart LR"
    r'|  n\d+\["[^"\[\]<>`|]*(<br/>[^"\[\]<>`|]*)?"\]'
    r'|  n\d+ -->\|"[^"\[\]<>`|]*"\| n\d+'
    r'|  more\["and \d+ nodes more"\]'
    r"|  classDef (faulty|refused) [a-z:#\d,]+"
    r"|  class n\d+(,n\d+)* (faulty|refused)"
)
"""All that a diagram consists of."""


def test_a_graph_is_drawn_from_left_to_right() -> None:
    graph = Graph.read(
        {
            "1": node("LoadImage", "Your picture", image="x.png"),
            "2": node("ImageInvert", image=["1", 0]),
            "3": node("SaveImage", images=["2", 0]),
        }
    )
    assert mermaid(graph, faulty=["2"], refused=["3"]).splitlines() == [
        "flowchart LR",
        '  n0["Your picture<br/>LoadImage"]',
        '  n1["ImageInvert"]',
        '  n2["SaveImage"]',
        '  n0 -->|"image"| n1',
        '  n1 -->|"images"| n2',
        "  classDef faulty stroke:#d33",
        "  class n1 faulty",
        "  classDef refused stroke:#d33,fill:#fdd",
        "  class n2 refused",
    ]


INJECTIONS = (
    '"] --> evil["x',
    '"]\nclick n0 "javascript:alert(1)"',
    "<script>alert(1)</script>",
    '<img src=x onerror="alert(1)">',
    "%%{init: {'theme': 'x'}}%%",
    "`**bold**`",
    "#quot;] --> evil",
    "&quot;]",
    "end",
    "\u2028subgraph x",
    "]; style n0 fill:#000",
    "|x| n0",
    "```\nnew fence",
    "\u202egnp.exe",
    "\x1b[31mred",
)


@pytest.mark.parametrize("evil", INJECTIONS)
@pytest.mark.parametrize("place", ["title", "class", "input", "id"])
def test_nothing_breaks_out_of_a_label(evil: str, place: str) -> None:
    graph = Graph(
        {
            evil if place == "id" else "a": Node(
                evil if place == "class" else "A", {}, evil if place == "title" else ""
            ),
            "b": Node("B", {evil if place == "input" else "x": (evil if place == "id" else "a", 0)}),
        }
    )
    lines = mermaid(graph).splitlines()
    assert [line for line in lines if not LINE.fullmatch(line)] == []
    assert len(lines) == 4


@given(st.text(max_size=200))
def test_a_label_holds_only_plain_signs_and_numbers_of_others(text: str) -> None:
    shown = escaped(text)
    assert re.fullmatch(r"(?:[^\W_]|[ .,_+-]|#\d+;)*", shown)
    assert "\n" not in shown
    assert len(re.sub(r"#\d+;", "x", shown)) <= 60


@given(st.lists(st.tuples(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20)), max_size=6))
def test_every_line_of_any_diagram_is_one_of_ours(parts: list[tuple[str, str, str]]) -> None:
    nodes = {name: Node(kind, {kind: (name, 0)}, title) for name, kind, title in parts}
    lines = mermaid(Graph(nodes), faulty=list(nodes)).splitlines()
    assert [line for line in lines if not LINE.fullmatch(line)] == []


def test_large_graphs_are_drawn_in_part_and_say_so() -> None:
    graph = Graph({str(number): Node("EmptyImage", {}) for number in range(MOST_NODES + 7)})
    lines = mermaid(graph).splitlines()
    assert len(lines) == 1 + MOST_NODES + 1
    assert lines[-1] == '  more["and 7 nodes more"]'


def test_faulty_and_refused_nodes_are_marked() -> None:
    body: Json = portrait(guest=node("RunPython"))
    body["sampler"]["inputs"]["steps"] = -1
    drawing = understood(body, server()).drawing
    assert "  class n4,n7 faulty" in drawing
    assert "  class n7 refused" in drawing
