"""Whatever lies in the user's folder, there is a shelf: the file is used, or keeps what it was and is named."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.workflows.presets.kit import flat, group, put, style
from workflows.errors import NotFound
from workflows.presets import Presets, Shelf

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
WHOLE: list[dict[str, Any]] = [
    flat(style(negative="sun", artist="Ada", dates="1900-1950"), style("Rain")),
    style("Sea", "open sea", kind="category", types=[style("A", "b", artists=[style("C", lens=1)])]),
    {"kind": "universal", "groups": [group("mood", "salty")]},
    {"kind": "packs", "packs": [{"id": "a", "name": "A", "presets": ["style:cinematic"]}]},
]


def places(here: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value of a file."""
    keys: list[Any] = [*here] if hasattr(here, "items") else [*range(len(here))] if hasattr(here, "append") else []
    for key in keys:
        yield (*way, key)
        yield from places(here[key], (*way, key))


@st.composite
def nearly_whole(draw: st.DrawFn) -> object:
    """A file that is right but for one place."""
    file: Any = json.loads(json.dumps(draw(st.sampled_from(WHOLE))))
    *way, last = draw(st.sampled_from([*places(file)]))
    here = file
    for step in way:
        here = here[step]
    here[last] = draw(ANYTHING)
    return file


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("presets")


@pytest.fixture(scope="module")
def presets(folder: Path) -> Presets:
    return Presets([folder], adult=True)


@pytest.fixture(scope="module")
def ours() -> Shelf:
    return Presets(adult=True).shelf()


def look_at(raw: bytes, folder: Path, presets: Presets, ours: Shelf) -> None:
    put(folder, "a.json", flat(style("Before", "as it was")))
    assert presets.shelf().has("style:before")
    put(folder, "a.json", raw)
    shelf = presets.shelf()
    kept = any(fault.endswith("its last good version is used") for fault in shelf.faults)
    assert shelf.has("style:before") == kept
    added = [path for path in {*shelf.references()} - {*ours.references()} if not path.startswith("pack:")]
    assert [shelf.find(path)[-1].path for path in added] == added
    "\n".join(shelf.faults).encode()


@settings(max_examples=60, deadline=None)
@given(content=st.one_of(ANYTHING, nearly_whole()))
@example(content={"kind": "style", "presets": [style("!!!") | {"id": "a"}]})
@example(content={"kind": "universal", "groups": [group("pack-", "a"), group("style-", "b", "b-", "gray", "grey")]})
@example(
    content=style("Sea", kind="category", types=[style("A", artists=[style("gray"), style("grey"), style("gray-")])])
)
def test_any_json_leaves_a_shelf(content: Any, folder: Path, presets: Presets, ours: Shelf) -> None:
    look_at(json.dumps(content).encode(), folder, presets, ours)


@settings(max_examples=60, deadline=None)
@given(raw=st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-16")))
@example(raw=b'{"kind": "style", "presets": [{"id": "a", "name": "\\ud800", "text": "b"}]}')
@example(raw=b'{"kind": "style", "kind": "style", "presets": []}')
def test_any_bytes_leave_a_shelf(raw: bytes, folder: Path, presets: Presets, ours: Shelf) -> None:
    look_at(raw, folder, presets, ours)


@settings(max_examples=60, deadline=None)
@given(
    reference=st.text(max_size=60)
    | st.lists(st.sampled_from(["style", "photography", ":", "/", "a", " "])).map("".join)
)
def test_any_reference_is_found_or_not_found(reference: str, ours: Shelf) -> None:
    try:
        found = ours.find(reference)
    except NotFound as error:
        assert not ours.has(reference)
        assert all(map(ours.has, error.near))
    else:
        assert ours.has(reference)
        assert ours.pick([*(preset.path for preset in found), reference]) == found
    ours.matching(reference)
