"""Nothing in a stranger's workflow holds up the conversion or breaks it: it converts, or is refused with a reason."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workflows.editor.drawn import Json, empty, link, node, save, subgraph, workflow
from tests.workflows.editor.recorded import inventory, templates
from workflows.editor import MOST_NODES, converted, is_editors
from workflows.errors import GraphRejected
from workflows.graph import Graph

ALLOWED_SECONDS = 20.0
"""Far more than any takes on a busy machine; without bounds they would take hours."""
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.just("-10"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def circle_of_reroutes() -> Json:
    ring = [node(n, "Reroute", reads={"": n}, gives="*") for n in (1, 2)]
    return workflow(*ring, link(1, 2, 0, 1, 0), link(2, 1, 0, 2, 0), link(3, 1, 0, 5, 0), save(5, 3))


def circle_of_bypassed() -> Json:
    one = node(1, "ImageInvert", reads={"image:IMAGE": 1}, gives="IMAGE", mode=4)
    return workflow(one, link(1, 1, 0, 1, 0), link(3, 1, 0, 5, 0), save(5, 3))


def circle_of_words() -> Json:
    setter = node(1, "SetNode", "a", reads={"IMAGE": 1}, gives="IMAGE")
    getter = node(2, "GetNode", "a", gives="IMAGE")
    return workflow(setter, getter, link(1, 2, 0, 1, 0), link(3, 2, 0, 5, 0), save(5, 3))


def contains_itself() -> Json:
    return workflow(node(1, "a"), subgraphs=(subgraph("a", "", "", node(1, "b")), subgraph("b", "", "", node(2, "a"))))


def doubled(levels: int) -> Json:
    """Each subgraph holds the next one twice."""
    inner = [subgraph(f"s{n}", "", "", node(1, f"s{n + 1}"), node(2, f"s{n + 1}")) for n in range(levels)]
    return workflow(node(1, "s0"), subgraphs=(*inner, subgraph(f"s{levels}", "", "", empty(1))))


def deep(levels: int) -> Json:
    inner = [subgraph(f"s{n}", "", "", node(1, f"s{n + 1}")) for n in range(levels)]
    return workflow(node(1, "s0"), subgraphs=(*inner, subgraph(f"s{levels}", "", "", empty(1))))


def many_readers_of_a_long_chain() -> Json:
    chain = [node(n, "Reroute", reads={"": n}, gives="*") for n in range(1, 1000)]
    links = [link(n, n + 1, 0, n, 0) for n in range(1, 1000)] + [link(2000, 1, 0, 0, 0)]
    readers = [node(n, "EmptyImage", reads={f"i{k}": 2000 for k in range(400)}) for n in range(3000, 3900)]
    return workflow(*chain, *links, *readers)


REFUSED: dict[str, tuple[Callable[[], Json], str]] = {
    "reroutes in a circle": (circle_of_reroutes, "circle"),
    "a bypassed node that reads itself": (circle_of_bypassed, "circle"),
    "words in a circle": (circle_of_words, "circle"),
    "a subgraph that contains itself": (contains_itself, "contains itself"),
    "subgraphs doubled thirteen times": (lambda: doubled(13), f"more than {MOST_NODES} nodes"),
    "subgraphs doubled forty times": (lambda: doubled(40), "deep"),
    "subgraphs a thousand deep": (lambda: deep(1000), "deep"),
    "too many nodes": (lambda: workflow(*(empty(n) for n in range(MOST_NODES + 1))), "nodes"),
    "too many links": (lambda: workflow(empty(1), *(link(n, 1, 0, 1, 0) for n in range(20_001))), "links"),
    "too many values": (lambda: workflow(node(1, "EmptyImage", *range(501))), "widget values"),
    "too many inputs": (lambda: workflow(node(1, "EmptyImage", reads={f"a{n}": 1 for n in range(501)})), "inputs"),
    "a long chain read often": (many_readers_of_a_long_chain, "too many reroutes"),
    "two nodes of one id": (lambda: workflow(empty(1), empty(1)), "Two nodes"),
    "nodes that are no list": (lambda: {"nodes": {"1": {}}}, "list of nodes"),
    "API format": (lambda: {"1": {"class_type": "EmptyImage", "inputs": {}}}, "list of nodes"),
    "an empty list": (lambda: {"nodes": []}, "Nothing is at work"),
    "nodes without kinds": (lambda: {"nodes": [{"id": 1}, 5, None, {"id": [], "type": {}}]}, "Nothing is at work"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_soon_and_with_the_reason(name: str) -> None:
    made, reason = REFUSED[name]
    body = made()
    begun = time.monotonic()

    with pytest.raises(GraphRejected, match=reason):
        converted(body, inventory())
    assert time.monotonic() - begun < ALLOWED_SECONDS


def test_rows_that_fit_nothing_in_two_thousand_nodes_end_soon() -> None:
    row: list[Any] = ["fixed", None, {}, 1.5, "x", True] * 80
    body = workflow(*(node(n, "KSampler", *row) for n in range(MOST_NODES)))
    begun = time.monotonic()
    made = converted(body, inventory())

    assert time.monotonic() - begun < ALLOWED_SECONDS
    assert len(made.graph.nodes) == MOST_NODES
    assert len(made.notes) < 50


def test_two_thousand_unknown_classes_are_all_named_and_soon() -> None:
    begun = time.monotonic()

    with pytest.raises(GraphRejected) as caught:
        converted(workflow(*(node(n, f"Unknown{n}") for n in range(MOST_NODES))), inventory())
    assert len(caught.value.problems) == MOST_NODES
    assert len(str(caught.value)) < 400
    assert time.monotonic() - begun < ALLOWED_SECONDS


def _small() -> Iterator[Json]:
    """Templates of modest size that convert."""
    for _, body in templates():
        if len(json.dumps(body)) < 40_000:
            try:
                converted(body, inventory())
            except GraphRejected:
                continue
            yield body


SMALL = list(islice(_small(), 8))


def damaged(value: Any, draw: st.DataObject) -> Any:
    """The document with something replaced somewhere."""
    if isinstance(value, dict) and value and draw.draw(st.integers(0, 5)):
        body: Json = value  # pyright: ignore[reportUnknownVariableType]
        key = draw.draw(st.sampled_from(sorted(body)))
        return {**body, key: damaged(body[key], draw)}
    if isinstance(value, list) and value and draw.draw(st.integers(0, 5)):
        rows: list[Any] = value  # pyright: ignore[reportUnknownVariableType]
        place = draw.draw(st.integers(0, len(rows) - 1))
        return [*rows[:place], damaged(rows[place], draw), *rows[place + 1 :]]
    return draw.draw(VALUES)


@settings(max_examples=300, deadline=None)
@given(body=st.sampled_from(SMALL), draw=st.data(), times=st.integers(1, 6))
def test_a_real_workflow_with_damage_anywhere_converts_or_is_refused(
    body: Json, draw: st.DataObject, times: int
) -> None:
    for _ in range(times):
        body = damaged(body, draw)
    if not is_editors(body):
        return
    try:
        graph = converted(body, inventory()).graph
    except GraphRejected as refusal:
        assert str(refusal)
    else:
        assert Graph.read(graph.as_prompt()) == graph
