"""Workflows of the folders as tools of their own, in both eras: schemas, calls, and changes that are told."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest
from mcp_types import Tool, ToolListChangedNotification

from tests.mcp.desk import ERAS, Desk, Era, desk, pictures, told
from tests.workflows.flows.kit import FakeWorkshop, changed, node, portrait, retouch, server
from workflows.drawing.inventory import Inventory
from workflows.library import Library


def keep(folder: Path, name: str, graph: object) -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(graph), encoding="utf-8")
    return path


def library(home: Path, workshop: FakeWorkshop | None = None, **more: Any) -> Library:
    return Library(None, workshop or FakeWorkshop(), folders=[home / "flows"], published=["all"], **more)


async def published(here: Desk) -> dict[str, Tool]:
    found = (await here.client.list_tools()).tools
    return {tool.name: tool for tool in found if tool.name.startswith("run_") and tool.name != "run_workflow"}


@pytest.mark.parametrize("era", ERAS)
async def test_a_workflow_in_the_folder_is_a_tool_with_its_inputs(tmp_path: Path, era: Era) -> None:
    keep(
        tmp_path / "flows",
        "fox.json",
        portrait(good=node("CLIPTextEncode", "@words", text="a fox", clip=["loader", 1])),
    )
    async with desk(tmp_path, era, library=library(tmp_path)) as here:
        tool = (await published(here))["run_fox"]
        schema = tool.input_schema["properties"]
        made = await here.client.call_tool("run_fox", {"words": "an owl", "seed": 11})
    assert schema["words"] == {"type": "string", "description": "text of @words (CLIPTextEncode)", "default": "a fox"}
    assert schema["steps"] == {
        **{"type": "integer", "description": "steps of KSampler"},
        **{"minimum": 1, "maximum": 1000, "default": 20},
    }
    assert (schema["seed"]["minimum"], "maximum" in schema["seed"]) == (-1, False)
    assert tool.input_schema["additionalProperties"] is False
    answer = told(made)
    assert (answer["metadata"]["prompt"], answer["seed"], len(pictures(made))) == ("an owl", 11, 1)


async def test_what_is_given_wrongly_is_refused_with_what_is_right(tmp_path: Path) -> None:
    keep(tmp_path / "flows", "fox.json", portrait())
    keep(tmp_path / "flows", "retouch.json", retouch("nobody.png"))
    async with desk(tmp_path, library=library(tmp_path)) as here:
        assert (await published(here))["run_retouch"].input_schema["required"] == ["image"]
        said = [
            await here.refused("run_fox", promt="a cat"),
            await here.refused("run_fox", prompt="a cat", wait_seconds=99),
            await here.refused("run_fox", steps=0),
            await here.refused("run_retouch"),
            await here.refused("run_fx"),
        ]
    assert said == [
        "There is no argument 'promt'. Did you mean prompt, negative_prompt?",
        "wait_seconds must be a number from 0 to 45.",
        "steps cannot be 0: it takes a whole number from 1 to 1000.",
        "image cannot be None: the workflow needs image (image); its author's own is not on the server.",
        "There is no tool 'run_fx'. Did you mean run_fox?",
    ]


async def test_bad_files_take_nothing_from_the_good_ones(tmp_path: Path) -> None:
    flows = tmp_path / "flows"
    for name in ("Red Fox", "red-fox", "workflow"):
        keep(flows, f"{name}.json", portrait())
    keep(flows, "paid.json", portrait(guest=node("KlingTextToVideoNode", prompt="x")))
    (flows / "broken.json").write_text("{", encoding="utf-8")
    (flows / "empty.png").write_bytes(b"")
    async with desk(tmp_path, "legacy", library=library(tmp_path)) as here:
        assert [*await published(here)] == ["run_red_fox", "run_red_fox_2", "run_workflow_2"]
        keep(flows, "red_fox.json", portrait())
        keep(flows, "A fox.json", portrait())
        names = {tool.title: name for name, tool in (await published(here)).items()}
    assert (names["Red Fox"], names["red-fox"], names["red_fox"]) == ("run_red_fox", "run_red_fox_2", "run_red_fox_3")


async def test_a_client_of_the_handshake_era_hears_that_a_workflow_changed(tmp_path: Path) -> None:
    heard = asyncio.Event()

    async def hear(message: Any) -> None:
        if isinstance(message, ToolListChangedNotification):
            heard.set()

    path = keep(tmp_path / "flows", "fox.json", portrait())
    async with desk(tmp_path, "legacy", library=library(tmp_path), hear=hear) as here:
        capabilities = here.client.server_capabilities
        await published(here)
        path.write_text(json.dumps(changed(portrait(), "good.text", "an owl")), encoding="utf-8")
        await asyncio.wait_for(heard.wait(), 20)
        tool = (await published(here))["run_fox"]
    assert capabilities.tools and capabilities.tools.list_changed
    assert tool.input_schema["properties"]["prompt"]["default"] == "an owl"


async def test_a_client_of_the_newer_era_hears_it_on_its_stream(tmp_path: Path) -> None:
    path = keep(tmp_path / "flows", "fox.json", portrait())
    async with desk(tmp_path, library=library(tmp_path)) as here:
        await published(here)
        async with here.client.listen(tools_list_changed=True) as events:
            path.unlink()
            first = await asyncio.wait_for(anext(aiter(events)), 20)
        assert await published(here) == {}
    assert "ToolsListChanged" in type(first).__name__


class Slow(FakeWorkshop):
    """Servers that answer when they are let."""

    def __init__(self) -> None:
        super().__init__()
        self.let = asyncio.Event()

    async def inventories(self) -> list[Inventory]:
        await self.let.wait()
        return [server()]


async def test_servers_that_do_not_answer_hold_no_list_and_their_answer_is_told(tmp_path: Path) -> None:
    keep(tmp_path / "flows", "fox.json", portrait())
    workshop = Slow()
    async with desk(tmp_path, library=library(tmp_path, workshop, patience=0.01)) as here:
        assert await published(here) == {}
        async with here.client.listen(tools_list_changed=True) as events:
            workshop.let.set()
            await asyncio.wait_for(anext(aiter(events)), 20)
        assert [*await published(here)] == ["run_fox"]


async def test_what_is_known_stays_while_the_servers_are_away(tmp_path: Path) -> None:
    path, workshop = keep(tmp_path / "flows", "fox.json", portrait()), FakeWorkshop()
    async with desk(tmp_path, "legacy", library=library(tmp_path, workshop)) as here:
        before = await published(here)
        workshop.servers = []
        keep(tmp_path / "flows", "owl.json", portrait())
        assert await published(here) == before
        assert await here.refused("run_fox") == "no server answers"
        os.utime(path, ns=(1, 1))  # what it is now nobody can tell
        assert await published(here) == {}
