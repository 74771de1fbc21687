"""The tools as a client sees them, in both protocol eras, on a fake engine with the real ledger, store and gallery."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import anyio
import pytest

from clients.tools.generation import generate_image
from clients.tools.server import INSTRUCTIONS, TOOLS
from tests.fakes import FakeEngine, FakeGraphs, FakeJudge, fake_app
from tests.mcp.desk import ERAS, Era, desk, pictures, text_of, told
from workflows.app import current_app
from workflows.errors import RenderFailed

both_eras = pytest.mark.parametrize("era", ERAS)


@both_eras
async def test_the_first_answer_has_the_picture_its_id_and_the_verdict(era: Era, tmp_path: Path) -> None:
    async with desk(tmp_path, era) as at:
        result = await at.client.call_tool("generate_image", {"prompt": "a red circle", "seed": 7})
    answer = told(result)
    assert answer["status"] == "success"
    assert answer["validation"]["passed"] is True
    assert answer["metadata"]["seed"] == 7
    assert Path(answer["path"]).is_file()
    assert pictures(result)[0].startswith((b"\x89PNG", b"\xff\xd8\xff"))
    assert result.structured_content is None


async def test_a_tool_can_be_awaited_straight_from_python(tmp_path: Path) -> None:
    async with fake_app(tmp_path):
        result = await generate_image(prompt="a red circle")
    assert result["validation"]["passed"] is True


async def test_the_arguments_reach_the_engine(tmp_path: Path) -> None:
    engine = FakeEngine()
    async with desk(tmp_path, engine=engine) as at:
        await at.ask(
            "generate_image", prompt="a cat", negative_prompt="dogs", width="128", height=64, steps=2, cfg=3, seed=5
        )
    recipe = engine.recipes[0]
    assert (recipe.prompt, recipe.negative) == ("a cat", "dogs")
    assert (recipe.width, recipe.height, recipe.steps, recipe.cfg, recipe.seed) == (128, 64, 2, 3.0, 5)


async def test_a_picture_of_the_gallery_can_be_the_input(tmp_path: Path) -> None:
    engine = FakeEngine()
    async with desk(tmp_path, engine=engine) as at:
        first = await at.ask("generate_image", prompt="a cat")
        second = await at.ask("img2img", input_image=first["image_id"], prompt="a dog", denoise=0.5)
        info = await at.ask("get_image_info", image_name=second["image_id"])
    assert engine.recipes[1].denoise == 0.5
    assert info["parents"] == [first["image_id"]]


@both_eras
async def test_a_job_that_is_not_done_in_time_goes_on_and_is_asked_for_later(era: Era, tmp_path: Path) -> None:
    engine = FakeEngine(gate=asyncio.Event())
    async with desk(tmp_path, era, engine=engine) as at:
        first = await at.ask("generate_image", prompt="a cat", wait_seconds=0)
        assert first["status"] in {"queued", "running"}
        assert first["job_id"] in first["next"]
        assert engine.gate is not None
        engine.gate.set()
        result = await at.client.call_tool("get_progress", {"job_id": first["job_id"], "wait_seconds": 20})
    assert told(result)["status"] == "success"
    assert len(pictures(result)) == 1


async def test_several_pictures_come_smaller_and_together(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        result = await at.client.call_tool("generate_image", {"prompt": "a cat", "count": 3})
    assert len(told(result)["images"]) == len(pictures(result)) == 3


async def test_a_rejected_picture_is_handed_over_with_its_verdict(tmp_path: Path) -> None:
    async with desk(tmp_path, judge=FakeJudge(scores=[0.1])) as at:
        answer = await at.ask("generate_image", prompt="a cat", retry_limit=2)
    assert answer["validation"]["passed"] is False
    assert [attempt["attempt"] for attempt in answer["attempts"]] == [1, 2]


async def test_inline_pictures_can_be_switched_off_in_one_place(tmp_path: Path) -> None:
    async with desk(tmp_path, inline=False) as at:
        made = await at.client.call_tool("generate_image", {"prompt": "a cat"})
        shown = await at.client.call_tool("get_image", {"image_id": told(made)["image_id"]})
    assert pictures(made) == pictures(shown) == []


async def test_an_unknown_argument_is_refused_with_the_nearest_real_one(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        text = await at.refused("generate_image", prompt="a cat", negativ_prompt="dogs")
    assert text == "There is no argument 'negativ_prompt'. Did you mean negative_prompt, prompt?"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"width": 513}, "width cannot be 513: must be a whole number from 64 to 4096 and a multiple of 8."),
        ({"quality": "best"}, "quality cannot be 'best': must be one of fast, balanced, high, ultra."),
        ({"seed": "many"}, "seed cannot be 'many': must be a whole number from -1 to 4294967295."),
        ({"validate": "perhaps"}, "validate cannot be 'perhaps': must be true or false."),
        ({"wait_seconds": 46}, "wait_seconds cannot be 46: must be a number from 0 to 45."),
        ({"prompt": "a\x00b"}, "prompt must not contain NUL characters."),
        ({"prompt": ""}, "prompt cannot be '': must be text of 1 to 20000 characters."),
    ],
)
async def test_a_wrong_value_is_refused_in_words(arguments: dict[str, object], text: str, tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        assert await at.refused("generate_image", **({"prompt": "a cat"} | arguments)) == text


async def test_a_missing_argument_is_named(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        text = await at.refused("generate_image")
    assert text == "prompt is missing: it must be text of 1 to 20000 characters."


async def test_an_error_of_the_studio_reaches_the_model_word_for_word(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        text = await at.refused("generate_image", prompt="a cat", engine="comfy")
        lost = await at.refused("get_image_info", image_name="nothing.png")
    assert text.startswith("There is no engine 'comfy'.")
    assert lost.startswith("There is no image 'nothing.png'.")


async def test_a_failed_render_is_told_with_its_reason(tmp_path: Path) -> None:
    async with desk(tmp_path, engine=FakeEngine(errors=[RenderFailed("the lamp broke")])) as at:
        assert (await at.refused("generate_image", prompt="a cat")).startswith("the lamp broke")
        jobs = (await at.ask("get_history"))["jobs"]
    assert [(job["status"], job["error"]) for job in jobs] == [("failed", "the lamp broke")]


async def test_what_nobody_foresaw_stays_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk(tmp_path) as at:
        app = await at.app()
        monkeypatch.setattr(app.studio, "active", lambda: 1 / 0)
        with caplog.at_level(logging.ERROR):
            text = await at.refused("get_queue")
    assert "division" not in text
    assert "ZeroDivisionError" in caplog.text


async def test_an_unknown_tool_is_refused_with_the_nearest_real_one(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        assert "generate_image" in await at.refused("generate_images")


@both_eras
async def test_the_list_of_tools_is_short_and_described(era: Era, tmp_path: Path) -> None:
    async with desk(tmp_path, era) as at:
        listed = await at.client.list_tools()
    assert [tool.name for tool in listed.tools] == [tool.name for tool in TOOLS]
    assert len(listed.tools) <= 40
    assert len(listed.model_dump_json(by_alias=True, exclude_none=True)) < 32_000
    for tool in listed.tools:
        hints = tool.annotations
        assert tool.title and tool.description and hints
        assert tool.description.startswith("Use this") and len(tool.description) < 1000
        assert None not in (
            hints.read_only_hint,
            hints.destructive_hint,
            hints.idempotent_hint,
            hints.open_world_hint,
        )
        assert all("description" in argument for argument in tool.input_schema["properties"].values())


async def test_tools_without_a_picture_answer_structured_content_mirrored_as_text(tmp_path: Path) -> None:
    async with desk(tmp_path, graphs=FakeGraphs()) as at:
        made = await at.ask("generate_image", prompt="a cat")
        calls = {
            "list_images": {},
            "get_image_info": {"image_name": made["image_id"]},
            "tag_image": {"image_id": made["image_id"], "add": ["cats"], "favourite": True},
            "get_history": {},
            "get_queue": {},
            "get_system_status": {},
            "validate_workflow": {},
            "list_workflows": {},
            "cancel": {"job_id": made["job_id"]},
            "delete_image": {"image_name": made["image_id"]},
            "list_models": {},
            "list_loras": {},
            "get_model_info": {"model_name": "fake-model"},
            "suggest_model": {"task": "a cat"},
            "suggest_loras": {"prompt": "a cat"},
            "build_prompt": {"subject": "a cat"},
            "enhance_prompt": {"prompt": "a cat"},
            "refine_prompt": {"message": "a cat"},
            "suggest_negative": {},
            "analyze_prompt": {"prompt": "a cat"},
            "list_presets": {},
            "prompt_history": {},
        }
        listed = {tool.name: tool for tool in (await at.client.list_tools()).tools}
        for name, arguments in calls.items():
            result = await at.client.call_tool(name, arguments)
            assert result.structured_content == told(result), name
            promised = (listed[name].output_schema or {})["required"]
            assert promised and set(promised) <= set(result.structured_content or {}), name
    outside = {"search_models", "download_model"}  # see test_models
    assert {name for name, tool in listed.items() if tool.output_schema} == set(calls) | outside


async def test_the_gallery_is_listed_page_by_page(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        made = [(await at.ask("generate_image", prompt=f"cat {n}"))["image_id"] for n in range(3)]
        first = await at.ask("list_images", limit=2)
        second = await at.ask("list_images", limit=2, cursor=first["cursor"])
        found = await at.ask("list_images", query="cat 1", since="2020-01-01")
    assert first["total"] == 3
    assert [row["image_id"] for row in first["images"] + second["images"]] == made[::-1]
    assert "cursor" not in second
    assert [row["image_id"] for row in found["images"]] == [made[1]]


async def test_a_deleted_picture_is_gone(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        made = await at.ask("generate_image", prompt="a cat")
        await at.ask("delete_image", image_name=made["image_id"])
        assert (await at.ask("list_images"))["images"] == []
        assert (await at.ask("get_progress", job_id=made["job_id"]))["next"].startswith("Its picture was deleted")
    assert not await anyio.Path(made["path"]).exists()


async def test_cancel_says_when_the_server_is_still_at_it(tmp_path: Path) -> None:
    engine = FakeEngine(gate=asyncio.Event(), lingers="The server finishes its step first.")
    async with desk(tmp_path, engine=engine) as at:
        job = await at.ask("generate_image", prompt="a red circle", wait_seconds=0)
        await engine.started.wait()
        stopped = await at.ask("cancel", job_id=job["job_id"])
    assert (stopped["stopped"], stopped["message"][-35:]) == (True, "The server finishes its step first.")


async def test_cancel_says_what_was_really_stopped(tmp_path: Path) -> None:
    engine = FakeEngine(gate=asyncio.Event())
    async with desk(tmp_path, engine=engine) as at:
        job = await at.ask("generate_image", prompt="a cat", wait_seconds=0)
        await engine.started.wait()
        stopped = await at.ask("cancel", job_id=job["job_id"])
        again = await at.ask("cancel", prompt_id=job["job_id"])
    assert (stopped["stopped"], stopped["status"]) == (True, "cancelled")
    assert again["stopped"] is False
    assert engine.stopped == 1


async def test_the_queue_tells_what_runs_and_what_waits(tmp_path: Path) -> None:
    engine = FakeEngine(gate=asyncio.Event())
    async with desk(tmp_path, engine=engine) as at:
        job = await at.ask("generate_image", prompt="a cat", wait_seconds=0)
        await engine.started.wait()
        queue = await at.ask("get_queue")
        assert [row["job_id"] for row in queue["running"] + queue["waiting"]] == [job["job_id"]]
        await at.ask("cancel", job_id=job["job_id"])
        assert await at.ask("get_queue") == {"running": [], "waiting": []}


async def test_one_job_has_to_be_named(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        assert "give one job_id" in await at.refused("get_progress")
        assert "give one job_id" in await at.refused("cancel", job_id="a", prompt_id="b")


@both_eras
async def test_progress_only_grows_and_is_told_in_words(era: Era, tmp_path: Path) -> None:
    heard: list[tuple[float, float | None, str | None]] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append((progress, total, message))

    async with desk(tmp_path, era, judge=FakeJudge(scores=[0.1, 0.2, 0.3])) as at:
        await at.client.call_tool("generate_image", {"prompt": "a cat"}, progress_callback=hear)
    values = [progress for progress, _, _ in heard]
    assert values and values == sorted(set(values))
    assert {total for _, total, _ in heard} == {100.0}
    assert all(message for _, _, message in heard)


@both_eras
async def test_a_cancelled_request_takes_its_job_along(era: Era, tmp_path: Path) -> None:
    engine = FakeEngine(gate=asyncio.Event())
    async with desk(tmp_path, era, engine=engine) as at:
        call = asyncio.create_task(at.client.call_tool("generate_image", {"prompt": "a cat"}))
        await engine.started.wait()
        call.cancel()
        await asyncio.wait({call})
        app = await at.app()
        job = (await app.studio.history(1))[0]
        assert (await app.studio.wait(job.id, 20)).state == "cancelled"


async def test_a_job_that_was_handed_over_survives_a_cancelled_wait(tmp_path: Path) -> None:
    engine = FakeEngine(gate=asyncio.Event())
    async with desk(tmp_path, engine=engine) as at:
        job = await at.ask("generate_image", prompt="a cat", wait_seconds=0)
        await engine.started.wait()
        call = asyncio.create_task(at.client.call_tool("get_progress", {"job_id": job["job_id"], "wait_seconds": 20}))
        await asyncio.sleep(0)
        call.cancel()
        await asyncio.wait({call})
        assert engine.gate is not None
        engine.gate.set()
        assert (await at.ask("get_progress", job_id=job["job_id"], wait_seconds=20))["status"] == "success"


async def test_a_server_that_ends_leaves_its_jobs_resumable(tmp_path: Path) -> None:
    engine = FakeEngine(gate=asyncio.Event())
    async with desk(tmp_path, engine=engine) as at:
        call = asyncio.create_task(at.client.call_tool("generate_image", {"prompt": "a cat"}))
        await engine.started.wait()
        at.door.end()
        call.cancel()
        await asyncio.wait({call})
    async with fake_app(tmp_path):
        assert [job.state for job in await current_app().studio.history(5)] == ["interrupted"]


async def test_an_answer_that_clients_would_choke_on_is_refused(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:

        async def flood() -> str:
            """Far too much."""
            return "x" * 1_000_000

        at.server.add_tool(flood)
        result = await at.client.call_tool("flood", {})
    assert result.is_error
    assert "more than the 900000" in text_of(result)
    assert result.structured_content is None


@pytest.mark.parametrize("era", ["legacy", "auto"])
async def test_the_instructions_are_given_and_short(era: Era, tmp_path: Path) -> None:
    async with desk(tmp_path, era) as at:
        assert at.client.instructions == INSTRUCTIONS
    assert len(INSTRUCTIONS) < 2000
