"""What is told of workflows, with ComfyUI and without, and which of them the caller means."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import FakeGraphs
from tests.workflows.flows.kit import (
    CHECKPOINT,
    FakeWorkshop,
    changed,
    drawn_portrait,
    having,
    node,
    portrait,
    retouch,
    server,
)
from tests.workflows.flows.test_shelf import png
from workflows.errors import BadRecipe, EngineUnavailable, NotFound
from workflows.library import INVALID_STEP, MOST_SAVED, NO_GRAPHS, REFUSED_STEP, VALID_STEP, Library
from workflows.types import FlowInfo, Media, Problem, Recipe, TemplateInfo

GRAPH = {"1": {"class_type": "EmptyImage", "inputs": {"width": 64}}}
DRAWN = 'flowchart LR\n  n0["EmptyImage"]'
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
        "mermaid": DRAWN,
        "next": VALID_STEP,
    }


async def test_every_problem_is_told_with_what_is_allowed() -> None:
    answer = await Library(FakeGraphs(faults=(FAULT,))).validate(GRAPH)
    assert answer == {
        "valid": False,
        "problems": [FAULT.model_dump(mode="json") | {"valid": ["16"]}],
        "nodes": 1,
        "mermaid": f"{DRAWN}\n  classDef faulty stroke:#d33\n  class n0 faulty",
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
        "mermaid": DRAWN,
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
    with pytest.raises(EngineUnavailable, match="COMFYUI_URL"):
        await Library(FakeGraphs()).prepare(GRAPH, {})
    assert await Library().tools() == ()


# ------------------------------------------------------------------ the user's own


def keep(folder: Path, name: str, graph: object = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(json.dumps(portrait() if graph is None else graph), encoding="utf-8")
    return path


def library(folder: Path, workshop: FakeWorkshop | None = None, **more: Any) -> Library:
    return Library(FakeGraphs(infos=INFOS), workshop or FakeWorkshop(), folders=[folder], **more)


async def test_a_graph_of_the_users_is_told_with_its_inputs_and_a_diagram() -> None:
    answer = await Library(workshop=FakeWorkshop()).validate(retouch("stranger.png"))
    assert (answer["valid"], answer["problems"], answer["nodes"]) == (True, [], 9)
    assert answer["next"] == "It would run once these inputs are given: image."
    assert answer["inputs"][2] == {
        "name": "image",
        "kind": "image",
        "role": "image",
        "required": True,
        "about": "image of LoadImage",
    }
    assert len(next(one for one in answer["inputs"] if one["name"] == "sampler")["choices"]) == 20
    assert answer["mermaid"].startswith("flowchart LR\n")
    assert "refused" not in answer


async def test_what_may_not_run_is_refused_apart_from_what_is_wrong() -> None:
    known = server()
    classes = {**known.classes, "RunPython": known.classes["PreviewAny"]}
    strange = FakeWorkshop([type(known)(classes=classes)])
    graph = portrait(guest=node("RunPython", source=["decode", 0]))
    answer = await Library(workshop=strange).validate(graph)
    assert (answer["valid"], answer["problems"], answer["next"]) == (False, [], REFUSED_STEP)
    (reason,) = answer["refused"]
    assert reason.startswith("Node guest (RunPython) may not run: it runs code")
    assert "ATELIER_WORKFLOW_NODES" in reason
    allowing = Library(workshop=strange, allowed=["RunPython"])
    assert (await allowing.validate(graph))["valid"] is True


async def test_problems_come_with_the_nearest_values_of_the_likeliest_server() -> None:
    poor = having(CheckpointLoaderSimple_ckpt_name=[], VAELoader_vae_name=[])
    graph = changed(portrait(), "sampler.sampler_name", "eulr")
    answer = await Library(workshop=FakeWorkshop([poor, server()])).validate(graph)
    assert [(one["input"], one["valid"][0]) for one in answer["problems"]] == [("sampler_name", "euler")]
    assert answer["next"] == INVALID_STEP


async def test_nodes_that_nobody_here_knows_are_told_of() -> None:
    graph = portrait(guest=node("Sparkle", image=["decode", 0], amount=1.0, place="x"))
    answer = await Library(workshop=FakeWorkshop()).validate(changed(graph, "save.images", ["guest", 0]))
    assert (answer["valid"], answer["notes"]) == (True, ["Of node packs that no rule here knows: Sparkle."])


async def test_the_users_own_are_listed_with_the_templates(tmp_path: Path) -> None:
    keep(tmp_path, "fox.json")
    (tmp_path / "broken.json").write_text("{", encoding="utf-8")
    keep(tmp_path, "paid.json", portrait(guest=node("KlingTextToVideoNode", prompt="x")))
    saved = {"mine.json": retouch("stranger.png")}
    answer = await library(tmp_path, FakeWorkshop(library=saved)).list()
    rows = {row["name"]: row for row in answer["workflows"]}
    assert {name: row["usable"] for name, row in rows.items()} == {
        "plain": True,
        "flux": False,
        "fox": True,
        "mine": True,
        "broken": False,
        "paid": False,
    }
    assert answer["usable"] == 3
    assert rows["fox"]["inputs"][0] == {
        "name": "prompt",
        "kind": "text",
        "role": "prompt",
        "default": "a red fox in the snow",
        "about": "text of CLIPTextEncode",
    }
    assert (rows["fox"]["origin"], rows["mine"]["origin"], rows["fox"]["outputs"]) == ("folder", "saved", ["image"])
    assert "it is no JSON" in rows["broken"]["missing"][0]
    assert "costs money" in rows["paid"]["refused"][0]


async def test_what_is_missing_is_told_with_where_the_workflow_has_it_from(tmp_path: Path) -> None:
    url = "https://models.example/gone.safetensors"
    answer = await library(tmp_path).validate(drawn_portrait(checkpoint="gone.safetensors", url=url))
    (problem,) = answer["problems"]
    assert problem["message"].endswith(
        f"It belongs in the server's folder checkpoints. The workflow says that it is to be had at {url}"
    )
    for odd in ("http://models.example/gone", "https://models.example/a b", "javascript:1", f"{url}{'x' * 300}"):
        answer = await library(tmp_path).validate(drawn_portrait(checkpoint="gone.safetensors", url=odd))
        assert "to be had" not in answer["problems"][0]["message"]


async def test_a_file_with_a_graph_is_taken_as_its_bytes_are(tmp_path: Path) -> None:
    here, texts = library(tmp_path), {"prompt": json.dumps(portrait())}
    for content in (
        json.dumps(portrait()).encode(),
        b"\xef\xbb\xbf " + json.dumps(drawn_portrait()).encode(),
        png(**texts),
    ):
        ready = await here.prepare(Media(data=content, media_type="application/octet-stream"), {"prompt": "an owl"})
        assert (ready.recipe.prompt, ready.recipe.workflow_name) == ("an owl", None)
    for content in (b"", b"{", b"\xff{", b"no graph", png()):
        with pytest.raises(BadRecipe, match="a file of"):
            await here.prepare(Media(data=content, media_type="image/png"), {})


async def test_a_file_is_looked_at_again_only_when_it_changed(tmp_path: Path) -> None:
    path, here = keep(tmp_path, "fox.json"), library(tmp_path, published=["all"])
    (first,) = await here.tools()
    (again,) = await here.tools()
    assert again == first
    assert again.inputs[0] is first.inputs[0]
    path.write_text(json.dumps(changed(portrait(), "good.text", "an owl")), encoding="utf-8")
    os.utime(path, ns=(1, 1))
    (new,) = await here.tools()
    assert new.inputs[0].default == "an owl"


async def test_many_of_the_editors_library_are_named_and_not_opened(tmp_path: Path) -> None:
    workshop = FakeWorkshop(library={f"w{number:02}.json": portrait() for number in range(MOST_SAVED + 5)})
    answer = await library(tmp_path, workshop).list()
    assert len(workshop.asked) == MOST_SAVED
    assert next(row for row in answer["workflows"] if row["name"] == "w34")["about"].startswith("Not opened")


async def test_published_workflows_are_tools_with_names_of_their_own(tmp_path: Path) -> None:
    keep(tmp_path, "Red Fox.json")
    keep(tmp_path, "red-fox.json", retouch("stranger.png"))
    keep(tmp_path, "paid.json", portrait(guest=node("KlingTextToVideoNode", prompt="x")))
    keep(tmp_path, "aside.json")
    (tmp_path / "broken.json").write_text("{", encoding="utf-8")

    async def told(*published: str, taken: tuple[str, ...] = ()) -> dict[str, str | None]:
        return {info.name: info.tool for info in await library(tmp_path, published=published).tools(taken)}

    assert await told("all") == {"Red Fox": "run_red_fox", "aside": "run_aside", "red-fox": "run_red_fox_2"}
    assert await told("aside", "paid", "nobody", taken=("run_aside",)) == {"aside": "run_aside_2"}
    assert await told() == {}


async def test_a_change_of_the_folder_is_told_once(tmp_path: Path) -> None:
    keep(tmp_path, "fox.json")
    here = library(tmp_path)
    assert [await here.changed(), await here.changed()] == [False, False]
    path = keep(tmp_path, "owl.json")
    assert [await here.changed(), await here.changed()] == [True, False]
    os.utime(path, ns=(1, 1))
    assert [await here.changed(), await here.changed()] == [True, False]
    path.unlink()
    assert [await here.changed(), await here.changed()] == [True, False]


async def test_a_server_that_answers_again_is_a_change(tmp_path: Path) -> None:
    keep(tmp_path, "fox.json")
    workshop = FakeWorkshop([])
    here = library(tmp_path, workshop, published=["all"])
    assert [await here.changed(), len(await here.tools()), await here.changed()] == [False, 0, False]
    workshop.servers = [server()]
    assert [await here.changed(), await here.changed(), len(await here.tools())] == [True, False, 1]


# ------------------------------------------------------------------ which one is meant


async def test_a_workflow_is_found_in_the_folder_the_gallery_and_the_editors_library(tmp_path: Path) -> None:
    keep(tmp_path, "fox.json", changed(portrait(), "good.text", "from the folder"))
    saved = {
        "owl.json": changed(portrait(), "good.text", "from the library"),
        "fox.json": changed(portrait(), "good.text", "not this one"),
    }

    async def item_graph(item: str) -> Mapping[str, Any] | None:
        return changed(portrait(), "good.text", "from the gallery") if item == "item-1" else None

    here = library(tmp_path, FakeWorkshop(library=saved), item_graph=item_graph)
    told = {name: (await here.prepare(name, {})).recipe for name in ("fox", "fox.json", "owl", "owl.json", "item-1")}
    assert {name: (recipe.prompt, recipe.workflow_name, recipe.source_item) for name, recipe in told.items()} == {
        "fox": ("from the folder", "fox", None),
        "fox.json": ("from the folder", "fox", None),
        "owl": ("from the library", "owl", None),
        "owl.json": ("from the library", "owl", None),
        "item-1": ("from the gallery", "image item-1", "item-1"),
    }
    assert (await here.validate("owl"))["workflow"] == "owl"
    with pytest.raises(NotFound, match="Did you mean owl"):
        await here.prepare("owls", {})


async def test_our_own_templates_are_made_with_the_tools_that_fill_them(tmp_path: Path) -> None:
    with pytest.raises(BadRecipe, match="use generate_image"):
        await library(tmp_path).prepare("plain", {})
    keep(tmp_path, "plain.json")
    assert (await library(tmp_path).prepare("plain", {})).recipe.model == CHECKPOINT


@pytest.mark.parametrize("workflow", [None, ""])
async def test_nothing_cannot_be_run(workflow: object, tmp_path: Path) -> None:
    with pytest.raises(BadRecipe, match="list_workflows shows them"):
        await library(tmp_path).prepare(workflow, {})


async def test_without_servers_the_files_are_named_with_the_reason(tmp_path: Path) -> None:
    keep(tmp_path, "fox.json")
    here = Library(workshop=FakeWorkshop([]), folders=[tmp_path], published=["all"])
    (row,) = (await here.list())["workflows"]
    assert row == FlowInfo(name="fox", origin="folder", usable=False, missing=("no server answers",)).model_dump(
        mode="json", exclude_defaults=True
    ) | {"usable": False}
    assert await here.tools() == []
    with pytest.raises(EngineUnavailable):
        await here.prepare("fox", {})


async def test_a_graph_in_the_editors_format_is_converted_for_the_server() -> None:
    workflow = {
        "nodes": [
            {"id": 1, "type": "EmptyImage", "widgets_values": [64, 64, 1, 0], "inputs": [], "outputs": []},
            {"id": 2, "type": "SaveImage", "widgets_values": ["x"], "inputs": [{"name": "images", "link": 5}]},
        ],
        "links": [[5, 1, 0, 2, 0, "IMAGE"]],
        "version": 0.4,
    }
    ready = await Library(workshop=FakeWorkshop()).prepare(json.dumps(workflow), {"width": 128})
    assert (ready.recipe.width, ready.recipe.height, ready.recipe.prompt) == (128, 64, "")
