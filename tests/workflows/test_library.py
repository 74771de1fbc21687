"""What is told of workflows, with ComfyUI and without."""

from __future__ import annotations

import json

import pytest

from tests.fakes import FakeGraphs
from workflows.errors import BadRecipe, EngineUnavailable, NotFound
from workflows.library import INVALID_STEP, NO_GRAPHS, VALID_STEP, Library
from workflows.types import Problem, Recipe, TemplateInfo

GRAPH = {"1": {"class_type": "EmptyImage", "inputs": {"width": 64}}}
FAULT = Problem(node="1", class_type="EmptyImage", input="width", value="7", message="too small", valid=("16",))
INFOS = (
    TemplateInfo(name="flux", title="Flux", about="a", tasks=("txt2img",), usable=False, missing=("node X", "file y")),
    TemplateInfo(name="plain", title="Plain", about="b", tasks=("txt2img", "img2img"), families=("sd15",), usable=True),
)


async def test_usable_workflows_come_first_and_the_others_say_what_they_lack() -> None:
    answer = await Library(FakeGraphs(infos=INFOS)).list()
    assert [row["name"] for row in answer["workflows"]] == ["plain", "flux"]
    assert answer["usable"] == 1
    assert answer["workflows"][1]["missing"] == ["node X", "file y"]


@pytest.mark.parametrize(
    "workflow",
    [
        GRAPH,
        json.dumps(GRAPH),
        f"  {json.dumps(GRAPH)}",
        {"prompt": GRAPH, "client_id": "x"},
        json.dumps({"prompt": GRAPH}),
    ],
)
async def test_a_graph_is_checked_as_an_object_or_as_text(workflow: object) -> None:
    assert await Library(FakeGraphs()).validate(workflow) == {
        "valid": True,
        "problems": [],
        "nodes": 1,
        "next": VALID_STEP,
    }


async def test_every_problem_is_told_with_what_is_allowed() -> None:
    answer = await Library(FakeGraphs(faults=(FAULT,))).validate(GRAPH)
    assert answer == {
        "valid": False,
        "problems": [FAULT.model_dump(mode="json") | {"valid": ["16"]}],
        "nodes": 1,
        "next": INVALID_STEP,
    }


async def test_without_a_workflow_the_graph_of_the_words_and_the_model_is_checked() -> None:
    graphs = FakeGraphs()
    answer = await Library(graphs).validate(None, "m.safetensors", "a cat", 256, 128)
    assert graphs.drafted == [Recipe(prompt="a cat", model="m.safetensors", width=256, height=128, seed=0)]
    assert answer == {
        "valid": True,
        "problems": [],
        "workflow": "fake",
        "family": "sd15",
        "model": "m.safetensors",
        "server": "http://fake",
        "nodes": 1,
        "next": VALID_STEP,
    }


async def test_a_workflow_by_its_name_is_valid_when_nothing_is_missing() -> None:
    library = Library(FakeGraphs(infos=INFOS))
    assert (await library.validate("plain"))["valid"] is True
    lacking = await library.validate("flux")
    assert (lacking["valid"], [problem["message"] for problem in lacking["problems"]]) == (
        False,
        ["Flux needs: node X", "Flux needs: file y"],
    )
    with pytest.raises(NotFound, match="Did you mean plain"):
        await library.validate("plane")


async def test_a_graph_of_the_editor_is_a_problem_with_its_remedy() -> None:
    answer = await Library(FakeGraphs()).validate({"nodes": [], "links": []})
    assert answer["valid"] is False
    assert "Export (API)" in answer["problems"][0]["message"]


@pytest.mark.parametrize("workflow", ["{broken", "[" * 100_000, 7, ["a"]])
async def test_what_is_neither_graph_nor_name_is_refused(workflow: object) -> None:
    with pytest.raises(BadRecipe, match="workflow cannot be"):
        await Library(FakeGraphs()).validate(workflow)


async def test_without_comfyui_the_next_step_is_told() -> None:
    assert await Library().list() == {"workflows": [], "usable": 0, "note": NO_GRAPHS}
    with pytest.raises(EngineUnavailable, match="COMFYUI_URL"):
        await Library().validate(GRAPH)
