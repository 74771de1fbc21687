"""The tools about workflows of the user's: listed, looked over, run, by name, graph, file and gallery id."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.fakes import FakeEngine
from tests.mcp.desk import desk, pictures, told
from tests.workflows.editor.drawn import node as drawn
from tests.workflows.flows.kit import FakeWorkshop, drawn_portrait, node, portrait, retouch
from workflows.library import Library


def library(home: Path, **graphs: object) -> Library:
    folder = home / "flows"
    folder.mkdir()
    for name, graph in graphs.items():
        (folder / f"{name}.json").write_text(json.dumps(graph), encoding="utf-8")
    return Library(None, FakeWorkshop(library={"mine.json": portrait()}), folders=[folder])


async def test_a_workflow_is_found_run_and_its_picture_shown(tmp_path: Path) -> None:
    engine = FakeEngine()
    async with desk(tmp_path, engine=engine, library=library(tmp_path, fox=portrait())) as here:
        rows = (await here.client.call_tool("list_workflows", {})).structured_content
        made = await here.client.call_tool("run_workflow", {"workflow": "fox", "inputs": {"prompt": "an owl"}})
    assert rows and [(row["name"], row["origin"], row["usable"]) for row in rows["workflows"]] == [
        ("fox", "folder", True),
        ("mine", "saved", True),
    ]
    answer = told(made)
    assert (answer["status"], answer["metadata"]["workflow"], len(pictures(made))) == ("success", "fox", 1)
    assert answer["note"].startswith("seed stayed 7, as the workflow has it; -1 draws another.")
    graph: dict[str, Any] = json.loads(engine.inputs[0]["workflow"].data)
    assert graph["good"]["inputs"]["text"] == "an owl"


async def test_a_drawn_seed_and_what_was_left_out_are_told(tmp_path: Path) -> None:
    body = drawn_portrait(drawn(9, "PreviewImage", reads={"images:IMAGE": None}, mode=2))
    async with desk(tmp_path, library=library(tmp_path)) as here:
        answer = await here.ask("run_workflow", workflow=body, inputs={"seed": -1})
    assert answer["note"].startswith(f"seed was drawn: {answer['seed']}.")
    assert "muted and left out: 9 (PreviewImage)" in answer["note"]


async def test_a_seed_that_only_the_graph_has_is_told_everywhere(tmp_path: Path) -> None:
    engine = FakeEngine(facts={"seed": 2**50})
    async with desk(tmp_path, engine=engine, library=library(tmp_path)) as here:
        answer = await here.ask("run_workflow", workflow=portrait())
    assert [answer["seed"], answer["metadata"]["seed"], answer["attempts"][0]["seed"]] == [2**50] * 3


async def test_a_file_that_cannot_be_used_is_told_by_the_inputs_name(tmp_path: Path) -> None:
    async with desk(tmp_path, library=library(tmp_path, retouch=retouch("nobody.png"))) as here:
        said = await here.refused("run_workflow", workflow="retouch", inputs={"image": "/etc/passwd"})
    assert said.startswith("image cannot be '/etc/passwd': ")


async def test_what_is_no_workflow_is_refused_before_anything_is_drawn(tmp_path: Path) -> None:
    engine = FakeEngine()
    paid = portrait(guest=node("KlingTextToVideoNode", prompt="x"))
    given: list[object] = ["../fox", "https://x.org/a.json", "{", [], {}, {"nodes": []}, 5, "nobody", paid, None]
    async with desk(tmp_path, engine=engine, library=library(tmp_path, fox=portrait())) as here:
        said = [await here.refused("run_workflow", workflow=one) for one in given]
        verdict = (await here.client.call_tool("validate_workflow", {"workflow": paid})).structured_content
    assert all(text and "Traceback" not in text for text in said)
    assert "costs money" in said[8]
    assert verdict and (verdict["valid"], len(verdict["refused"])) == (False, 1)
    assert engine.recipes == []
