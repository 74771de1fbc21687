"""Nothing that a stranger writes into a file crashes or holds up the reading of it."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workflows.importing import foreign_files as made
from utils.metadata import Stamp
from workflows.importing import Foreign, read_recipe
from workflows.importing.a1111 import settings_of, taken_apart
from workflows.types import Recipe

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
FIELDS = sorted({*made.FOOOCUS, *made.SWARM["sui_image_params"], *made.INVOKE, *made.OLD_INVOKE, *made.EASY, "uc", "c"})
DOCUMENTS = [made.FOOOCUS, made.SWARM, made.INVOKE, made.OLD_INVOKE, made.EASY, made.FLUX, made.EDITOR, made.ksampler()]
ALLOWED_SECONDS = 20.0
"""Far more than any of them takes on a busy machine; without bounds they would take hours."""


def holds(foreign: Foreign | None) -> None:
    """A recipe that is one, also after a way through JSON."""
    if foreign is not None:
        assert Recipe.model_validate_json(foreign.recipe.model_dump_json()) == foreign.recipe


def stamp(**texts: str) -> Stamp:
    return Stamp(parameters=texts.get("parameters"), texts=texts)


@settings(max_examples=150, deadline=None)
@given(name=st.sampled_from(["parameters", "prompt", "workflow", "Comment", "UserComment", "x"]), text=st.text())
def test_any_text_under_any_name(name: str, text: str) -> None:
    holds(read_recipe(stamp(**{name: text})))


@settings(max_examples=150, deadline=None)
@given(body=st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=8))
def test_any_values_under_the_names_of_any_program(body: dict[str, Any]) -> None:
    marks = [{"sui_image_params": body}, body | {"metadata_scheme": "fooocus", "base_model": 1}]
    marks += [body | {"positive_prompt": "x", "app_version": 3}, {"image": body, "model_weights": []}]
    marks += [body | {"uc": 1, "scale": [], "c": {}}, body | {"guidance_scale": 1}]
    for document in marks:
        holds(read_recipe(stamp(parameters=json.dumps(document))))
    holds(read_recipe(Stamp(record=body, texts={})))
    holds(read_recipe(stamp(Software="NovelAI", Comment=json.dumps(body))))


def damaged(value: Any, draw: st.DataObject) -> Any:
    """The document with something replaced somewhere."""
    if isinstance(value, dict) and value and draw.draw(st.integers(0, 3)):
        body: dict[str, Any] = value  # pyright: ignore[reportUnknownVariableType]
        key = draw.draw(st.sampled_from(sorted(body)))
        return body | {key: damaged(body[key], draw)}
    if isinstance(value, list) and value and draw.draw(st.integers(0, 3)):
        rows: list[Any] = value  # pyright: ignore[reportUnknownVariableType]
        place = draw.draw(st.integers(0, len(rows) - 1))
        return [*rows[:place], damaged(rows[place], draw), *rows[place + 1 :]]
    return draw.draw(JSON | st.lists(st.sampled_from(["3", "6", 0, 1]), max_size=2))


@settings(max_examples=300, deadline=None)
@given(document=st.sampled_from(DOCUMENTS), draw=st.data())
def test_a_real_document_with_damage_anywhere(document: dict[str, Any], draw: st.DataObject) -> None:
    holds(read_recipe(stamp(prompt=json.dumps(damaged(document, draw)))))


@settings(max_examples=150, deadline=None)
@given(
    values=st.dictionaries(
        st.sampled_from(["Steps", "Seed", "Size", "Model", "CFG scale", "Clip skip"]), st.text(max_size=30), min_size=1
    )
)
def test_settings_as_a1111_quotes_them_come_back(values: dict[str, str]) -> None:
    line = ", ".join(f"{name}: {json.dumps(value)}" for name, value in values.items())

    assert settings_of(line) == values


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs}


def circle() -> dict[str, Any]:
    """Every input of every node leads back to the node before it, in a ring."""
    graph = made.ksampler()
    ids = list(graph)
    for place, name in enumerate(ids):
        graph[name] = node(graph[name]["class_type"], **{key: [ids[place - 1], 0] for key in graph[name]["inputs"]})
    return graph


def ladder(rungs: int) -> dict[str, Any]:
    """Texts joined from the one before twice: 2 to the power of `rungs` ways."""
    graph = {"0": node("PrimitiveString", value="a")}
    for rung in range(1, rungs):
        graph[str(rung)] = node("StringConcatenate", string_a=[str(rung - 1), 0], string_b=[str(rung - 1), 0])
    return made.ksampler(**{"6": node("CLIPTextEncode", text=[f"s{rungs - 1}", 0], clip=["12", 0])}) | {
        f"s{name}": node(body["class_type"], **{k: [f"s{v[0]}", 0] if isinstance(v, list) else v
                                               for k, v in body["inputs"].items()})
        for name, body in graph.items()
    }  # fmt: skip


def crowd(nodes: int) -> dict[str, Any]:
    """A chain of LoRAs without an end."""
    chain = {
        f"l{n}": node("LoraLoader", lora_name=f"{n}", strength_model=1, model=[f"l{n + 1}", 0]) for n in range(nodes)
    }
    return {"3": node("KSampler", model=["l0", 0], seed=1), "9": node("SaveImage", images=["3", 0])} | chain


def mesh(nodes: int) -> dict[str, Any]:
    """Every node reads many others."""
    return {
        str(n): node("KSampler" if n == 0 else "X", **{f"i{k}": [str((n * 7 + k) % nodes), 0] for k in range(30)})
        for n in range(nodes)
    }


BOMBS = {
    "a ring": lambda: circle(),
    "a node that reads itself": lambda: {
        "1": node("KSampler", model=["1", 0], positive=["1", 0], latent_image=["1", 0])
    },
    "texts doubled forty times": lambda: ladder(40),
    "100,000 nodes": lambda: crowd(100_000),
    "a mesh": lambda: mesh(3_000),
    "deep JSON": lambda: json.loads("[" * 900 + "]" * 900),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_hostile_graph_ends_soon(name: str) -> None:
    text = json.dumps(BOMBS[name]() if name != "deep JSON" else {"1": BOMBS[name]()})
    begun = time.monotonic()

    holds(read_recipe(stamp(prompt=text)))
    assert time.monotonic() - begun < ALLOWED_SECONDS


def test_subgraphs_within_each_other_end() -> None:
    one = {"id": "u", "nodes": [{"id": n, "type": "u"} for n in range(30)], "links": []}
    workflow = {"nodes": [{"id": 1, "type": "u"}], "links": [], "definitions": {"subgraphs": [one]}}
    begun = time.monotonic()

    holds(read_recipe(stamp(workflow=json.dumps(workflow))))
    assert time.monotonic() - begun < ALLOWED_SECONDS


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"a":' * 50_000,
        "Steps: 1, " + 'a: "' * 40_000,
        "Steps: 1, " + "a: {" * 40_000,
        "Steps: 1" + ", " * 60_000,
        "Negative prompt: \n" * 30_000 + "Steps: 1",
        "x\nSteps: 1, Hashes: " + "{" * 30_000,
        "<lora:" * 20_000 + "\nSteps: 1, Seed: 2",
        "<lora:a:" + ":" * 20_000 + ">\nSteps: 1, Seed: 2",
        '{"prompt": ' + "9" * 100_000 + "}",
        "{" + f'"sui_image_params": {{"seed": {"9" * 4000}, "steps": 1e999, "width": -1}}}}',
    ],
    ids=lambda text: text[:16],
)
def test_long_texts_of_brackets_and_quotes_end_soon(text: str) -> None:
    begun = time.monotonic()

    holds(read_recipe(stamp(parameters=text, prompt=text)))
    assert isinstance(taken_apart(text), tuple)
    assert time.monotonic() - begun < ALLOWED_SECONDS
