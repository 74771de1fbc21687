"""The tools that work on pictures and tell of workflows, as a client sees them, on a fake engine."""

from __future__ import annotations

import asyncio
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from clients.tools.generation import img2img
from tests.fakes import FakeEngine, FakeGraphs, FakeJudge, fake_app, mask_png, png, until
from tests.mcp.desk import Desk, desk, pictures, told
from workflows.types import Control, LoraUse, Reference, ServerStatus, TemplateInfo


def data_uri(picture: bytes) -> str:
    import base64

    return f"data:image/png;base64,{base64.b64encode(picture).decode()}"


SOURCE = data_uri(png(96, 64))
MASK = data_uri(mask_png(96, 64, (30, 20, 60, 40)))


async def cat(at: Desk) -> str:
    return (await at.ask("generate_image", prompt="a cat", seed=3))["image_id"]


async def test_loras_controls_and_references_reach_the_engine(tmp_path: Path) -> None:
    engine = FakeEngine()
    async with desk(tmp_path, engine=engine) as at:
        await at.ask(
            "generate_image",
            prompt="a cat",
            scheduler="karras",
            loras=["detail:0.8", {"name": "ink"}],
            control=[{"kind": "canny", "image": SOURCE, "strength": 0.5}],
            reference=[{"image": SOURCE, "mode": "style"}],
            transparent=True,
            hires=True,
        )
    recipe = engine.recipes[0]
    assert recipe.loras == (LoraUse(name="detail", strength=0.8), LoraUse(name="ink"))
    assert [control.but(image="") for control in recipe.controls] == [Control(kind="canny", strength=0.5)]
    assert [one.but(image="") for one in recipe.references] == [Reference(mode="style")]
    assert (recipe.scheduler, recipe.transparent, recipe.hires) == ("karras", True, True)
    assert engine.inputs[0].keys() == {"control_1", "reference_1"}


@pytest.mark.parametrize(
    ("name", "value", "count"),
    [
        ("control", '[{"kind": "canny", "image": "%s"}]', 1),
        ("control", '{"kind": "canny", "image": "%s"}', 1),
        ("control", {"kind": "canny", "image": "%s"}, 1),
        ("reference", "%s", 1),
    ],
)
async def test_lists_of_objects_may_come_as_text_or_alone(name: str, value: Any, count: int, tmp_path: Path) -> None:
    engine = FakeEngine()
    async with desk(tmp_path, engine=engine) as at:
        given = value.replace("%s", SOURCE) if isinstance(value, str) else value | {"image": SOURCE}
        await at.ask("generate_image", prompt="a cat", **{name: given})
    assert len(engine.inputs[0]) == count


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"loras": [{"nmae": "x"}]}, "lora 1 cannot be 'nmae': did you mean name? its keys are name, strength, "),
        (
            {"control": [{"kind": "canny", "image": "x", "strenth": 1}]},
            "control 1 cannot be 'strenth': did you mean str",
        ),
        ({"control": ["canny"]}, "control 1 cannot be 'canny': it is an object of kind, image, "),
        ({"control": 7}, "control cannot be 7: must be a list of objects, at most 4."),
        ({"loras": ["a"] * 9}, "loras cannot be"),
        ({"control": [{"kind": "canny", "image": "a\x00b"}]}, "control must not contain NUL characters."),
        ({"loras": [{"name": "\ud800"}]}, "loras must be valid Unicode text."),
    ],
)
async def test_what_is_wrong_within_a_list_is_told_in_words(
    arguments: dict[str, Any], text: str, tmp_path: Path
) -> None:
    async with desk(tmp_path) as at:
        said = await at.refused("generate_image", prompt="a cat", **arguments)
    assert said.startswith(text)


async def test_an_inpaint_answers_with_the_whole_picture(tmp_path: Path) -> None:
    async with desk(tmp_path, judge=FakeJudge(scores=[0.4])) as at:
        parent = await cat(at)
        result = await at.client.call_tool("inpaint", {"input_image": parent, "prompt": "a hat", "mask_image": MASK})
        info = await at.ask("get_image_info", image_name=told(result)["image_id"])
    answer = told(result)
    assert (answer["metadata"]["task"], answer["metadata"]["width"], answer["validation"]["passed"]) == (
        "inpaint",
        64,
        True,
    )
    assert info["parents"] == [parent]
    assert len(pictures(result)) == 1


async def test_a_mask_can_be_named_in_words(tmp_path: Path) -> None:
    graphs = FakeGraphs(mask=mask_png(96, 64, (30, 20, 60, 40)))
    async with desk(tmp_path, graphs=graphs) as at:
        await at.ask("inpaint", input_image=SOURCE, prompt="a hat", mask_text="the head")
    assert graphs.words == ["the head"]


async def test_an_outpaint_answers_with_the_larger_picture(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        answer = await at.ask("outpaint", input_image=SOURCE, prompt="a wide sea", left=32, right=32)
        said = await at.refused("outpaint", input_image=SOURCE, prompt="a wide sea")
    assert (answer["metadata"]["width"], answer["metadata"]["height"]) == (160, 64)
    assert said.startswith("left cannot be 0")


async def test_enlarging_repairing_and_cutting_out_need_no_words(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        parent = await cat(at)
        large = await at.ask("upscale", input_image=parent, scale=2)
        face = await at.ask("face_restore", input_image=parent, strength=0.5)
        cut = await at.client.call_tool("remove_background", {"input_image": parent})
        found = await at.ask("list_images", query="cat")
    assert (large["metadata"]["width"], large["metadata"]["scale"], face["metadata"]["strength"]) == (128, 2.0, 0.5)
    assert "validation" not in large
    shown = await asyncio.to_thread(lambda: Image.open(BytesIO(pictures(cut)[0])).mode)
    assert shown == "RGBA"
    assert found["total"] == 4


async def test_a_picture_is_made_again_with_another_seed(tmp_path: Path) -> None:
    engine = FakeEngine()
    async with desk(tmp_path, engine=engine) as at:
        parent = await cat(at)
        again = await at.ask("regenerate", image_id=parent)
        other = await at.ask(
            "regenerate", image_id=f"{Path((await at.ask('get_image', image_id=parent))['path']).name}", seed=4
        )
        lost = await at.refused("regenerate", image_id="nothing")
    assert ([recipe.seed for recipe in engine.recipes], again["metadata"]["seed"]) == ([3, 3, 4], 3)
    assert other["metadata"]["seed"] == 4
    assert lost.startswith("There is no image 'nothing'.")


async def test_the_queue_shows_how_busy_each_server_is(tmp_path: Path) -> None:
    server = ServerStatus(url="http://a", available=True, detail="answers", running=1, pending=3, ours=2)
    async with desk(tmp_path, engine=FakeEngine(servers=(server,))) as at:
        queue = await at.ask("get_queue")
        status = await at.ask("get_system_status")
    shown = {"url": "http://a", "available": True, "detail": "answers", "draining": False}
    assert queue == {"running": [], "waiting": [], "servers": [shown | {"running": 1, "pending": 3, "ours": 2}]}
    assert status["engines"][0]["servers"][0]["url"] == "http://a"


async def test_progress_is_found_by_prompt_id_too_and_tells_node_and_step(tmp_path: Path) -> None:
    engine = FakeEngine(gate=asyncio.Event(), held_from=2)
    async with desk(tmp_path, engine=engine, judge=FakeJudge(scores=[0.1])) as at:
        job = await at.ask("generate_image", prompt="a cat", wait_seconds=0)
        await engine.started.wait()
        running = await at.ask("get_progress", prompt_id=engine.tickets[1].id)
        stopped = await at.ask("cancel", prompt_id=engine.tickets[1].id)
    assert running["job_id"] == job["job_id"]
    assert (running["progress"]["node"], running["progress"]["attempt"]) == ("FakeSampler", 2)
    assert stopped["message"] == "It was running (Attempt 2: step 1 of 3) and is stopped."


async def test_a_cancel_says_which_pictures_stay(tmp_path: Path) -> None:
    engine = FakeEngine(gate=asyncio.Event(), held_from=2)
    async with desk(tmp_path, engine=engine) as at:
        job = await at.ask("generate_image", prompt="a cat", count=2, wait_seconds=0)
        await until(await at.app(), lambda job: len(job.item_ids) == 1)
        stopped = await at.ask("cancel", job_id=job["job_id"])
    assert stopped["message"].endswith("1 of 2 pictures were done and stay in the gallery.")


async def test_workflows_are_listed_and_checked(tmp_path: Path) -> None:
    info = TemplateInfo(name="plain", title="Plain", about="b", tasks=("txt2img",), usable=True)
    async with desk(tmp_path, graphs=FakeGraphs(infos=(info,))) as at:
        listed = await at.ask("list_workflows")
        by_name = await at.ask("validate_workflow", workflow="plain")
        by_graph = await at.ask("validate_workflow", workflow={"1": {"class_type": "X", "inputs": {}}})
        drafted = await at.ask("validate_workflow", model="m.safetensors")
        broken = await at.ask("validate_workflow", workflow={"1": "no node"})
    assert [row["name"] for row in listed["workflows"]] == ["plain"]
    assert (by_name["valid"], by_graph["valid"], drafted["workflow"], broken["valid"]) == (True, True, "fake", False)


async def test_without_comfyui_the_tools_say_what_to_set(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        assert "COMFYUI_URL" in (await at.ask("list_workflows"))["note"]
        assert "COMFYUI_URL" in await at.refused("validate_workflow")
        assert "COMFYUI_URL" in await at.refused("inpaint", input_image=SOURCE, prompt="x", mask_text="y")


@pytest.mark.parametrize("tool", ["img2img", "inpaint", "outpaint", "regenerate"])
async def test_what_is_as_in_generate_image_is_taken_and_checked_without_being_spelt_out_again(
    tool: str, tmp_path: Path
) -> None:
    engine = FakeEngine()
    async with desk(tmp_path, engine=engine) as at:
        made = await at.ask("generate_image", prompt="a cat")
        listed = {one.name: one.input_schema for one in (await at.client.list_tools()).tools}
        wanted: dict[str, Any] = {"image_id": made["image_id"]}
        if tool != "regenerate":
            mask = {"mask_image": data_uri(mask_png(64, 64, (0, 0, 32, 32)))} if tool == "inpaint" else {}
            wanted = {"input_image": made["image_id"], "prompt": "a dog"} | mask
        wanted |= {"right": 64} if tool == "outpaint" else {}
        answer = await at.ask(tool, **wanted, sampler="euler", scheduler="karras")
        refused = await at.refused(tool, **wanted, samplr="euler")
    assert (answer["status"], engine.recipes[-1].sampler) == ("success", "euler")
    assert "sampler" not in listed[tool]["properties"] and "sampler" in listed["generate_image"]["properties"]
    assert "sampler" in refused


async def test_a_picture_in_the_trash_is_not_worked_on(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        made = await at.ask("generate_image", prompt="a cat")
        gone = await at.ask("delete_image", image_name=made["image_id"])
        text = await at.refused("upscale", input_image=made["image_id"])
        there = await at.ask("list_images", deleted=True)
    assert "in the trash" in text and made["image_id"] in gone["next"]
    assert [row["image_id"] for row in there["images"]] == [made["image_id"]]


async def test_a_python_caller_hears_of_an_argument_that_is_none(tmp_path: Path) -> None:
    async with fake_app(tmp_path):
        with pytest.raises(TypeError, match="samplr"):
            await img2img(input_image=SOURCE, prompt="a dog", samplr="euler")  # pyright: ignore[reportCallIssue]
