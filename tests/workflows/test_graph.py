"""A graph as a value: what is read is written again, and edits leave the original as it was."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows.errors import GraphRejected
from workflows.graph import Graph

IDS = st.text(min_size=1, max_size=8)
LITERALS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.lists(st.integers(), max_size=4),
    st.dictionaries(st.text(max_size=4), st.integers(), max_size=2),
)
LINKS = st.tuples(IDS, st.integers(0, 5)).map(list)


def node(kind: str, inputs: dict[str, Any], title: str) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs} | ({"_meta": {"title": title}} if title else {})


INPUTS = st.dictionaries(st.text(max_size=8), LITERALS | LINKS, max_size=5)
NODES = st.builds(node, st.text(min_size=1, max_size=12), INPUTS, st.text(max_size=8))
PROMPTS = st.dictionaries(IDS, NODES, min_size=1, max_size=6)


def line() -> Graph:
    """a -> b -> c, and d beside them."""
    return (
        Graph({})
        .plus("a", "EmptyImage", width=64)
        .plus("b", "ImageInvert", image=("a", 0))
        .plus("c", "SaveImage", "Picture", images=("b", 0), filename_prefix="x")
        .plus("d", "PreviewImage", images=("a", 0))
    )


@given(PROMPTS)
def test_what_is_read_is_written_again(prompt: dict[str, Any]) -> None:
    graph = Graph.read(prompt)
    assert graph.as_prompt() == prompt
    assert Graph.read(graph.as_prompt()) == graph


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ({"nodes": [], "links": []}, "editor's format, and only a ComfyUI that runs"),
        ([], "A graph is an object of nodes"),
        ({}, "with at least one node"),
        (None, "A graph is an object of nodes"),
        ({"1": {"inputs": {}}}, r"Node '1' is no node: it needs a class_type"),
        ({"1": {"class_type": "X", "inputs": []}}, "inputs"),
        ({"1": "X"}, "Node '1' is no node"),
    ],
)
def test_what_is_no_graph_is_rejected_in_words(prompt: object, words: str) -> None:
    with pytest.raises(GraphRejected, match=words):
        Graph.read(prompt)


def test_integer_ids_and_missing_inputs_are_read() -> None:
    assert Graph.read({1: {"class_type": "X"}}).as_prompt() == {"1": {"class_type": "X", "inputs": {}}}


def test_an_edit_gives_a_new_graph() -> None:
    graph = line()
    edited = (
        graph.but("a", width=128).moved(("a", 0), ("b", 0), besides={"b"}).swapped("c", "PreviewImage", images=("d", 0))
    )
    assert edited.as_prompt() == {
        "a": {"class_type": "EmptyImage", "inputs": {"width": 128}},
        "b": {"class_type": "ImageInvert", "inputs": {"image": ["a", 0]}},
        "c": {"class_type": "PreviewImage", "inputs": {"images": ["d", 0]}, "_meta": {"title": "Picture"}},
        "d": {"class_type": "PreviewImage", "inputs": {"images": ["b", 0]}},
    }
    assert graph == line()


def test_a_taken_id_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="'a' already"):
        line().plus("a", "EmptyImage")


def test_a_graph_tells_who_reads_whom() -> None:
    graph = line()
    assert graph.readers(("a", 0)) == [("b", "image"), ("d", "images")]
    assert graph.upstream("c") == {"a", "b", "c"}
    assert graph.ends() == ("c", "d")
    assert list(graph.trimmed("d").nodes) == ["a", "d"]
    assert list(graph.of_class("SaveImage", "PreviewImage")) == ["c", "d"]
    assert (graph.link("b", "image"), graph.link("a", "width"), graph.link("a", "nothing")) == (("a", 0), None, None)
    assert "b" in graph.without("a")
    assert "a" not in graph.without("a")


def test_a_loop_is_named_link_by_link() -> None:
    loop = line().but("a", image=("c", 0))
    assert loop.cycle() == ("a", "c", "b", "a")
    assert loop.upstream("a") == {"a", "b", "c"}
    assert line().but("a", image=("a", 0)).cycle() == ("a", "a")


@given(st.dictionaries(st.sampled_from("abcdef"), st.sets(st.sampled_from("abcdef"), max_size=3), min_size=1))
def test_a_loop_is_found_exactly_when_there_is_one(reads: dict[str, set[str]]) -> None:
    graph = Graph({})
    for name, sources in reads.items():
        graph = graph.plus(name, "X", **{f"in_{source}": (source, 0) for source in sorted(sources)})
    loop = graph.cycle()
    assert (loop is not None) == _never_ready(reads)
    if loop:
        assert loop[0] == loop[-1]
        assert all(after in reads[before] for before, after in pairwise(loop))


def _never_ready(reads: dict[str, set[str]]) -> bool:
    """By taking away, again and again, what waits for nothing that is left."""
    left = dict(reads)
    while ready := [name for name, sources in left.items() if not sources & set(left)]:
        for name in ready:
            del left[name]
    return bool(left)
