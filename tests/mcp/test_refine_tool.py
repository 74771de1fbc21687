"""refine_image as a client sees it, on a fake engine and a fake judge: rounds, progress, stops, and what is refused."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.fakes import FakeEngine, FakeJudge
from tests.mcp.desk import desk, pictures, told
from workflows.errors import OutOfMemory


async def test_rounds_are_told_with_what_was_seen_and_the_best_is_shown(tmp_path: Path) -> None:
    engine, judge = FakeEngine(), FakeJudge(scores=[0.1, 0.1, 0.4, 0.4])
    async with desk(tmp_path, engine=engine, judge=judge) as at:
        result = await at.client.call_tool("refine_image", {"prompt": "a red fox", "validate": False, "seed": 3})
    answer = told(result)
    assert (answer["status"], answer["passed"], answer["evaluator"]) == ("success", True, "auto")
    assert [(row["iteration"], row["passed"]) for row in answer["iterations"]] == [(1, False), (2, False), (3, True)]
    assert answer["iterations"][0]["prompt"] == "a red fox" == engine.recipes[0].prompt
    assert answer["best"]["image_id"] == answer["image_id"] == answer["iterations"][2]["image_id"]
    assert Path(answer["path"]).is_file() and len(pictures(result)) == 1
    assert "the evaluator accepts it" in answer["next"]


async def test_the_best_is_given_where_none_is_accepted(tmp_path: Path) -> None:
    judge = FakeJudge(scores=[0.1, 0.2, 0.15])
    async with desk(tmp_path, judge=judge) as at:
        answer = await at.ask("refine_image", prompt="a fox", validate=False)
    assert (answer["status"], answer["passed"], answer["best"]["iteration"]) == ("success", False, 2)
    assert answer["next"].startswith("No round was accepted")


async def test_it_can_be_left_alone_followed_and_stopped(tmp_path: Path) -> None:
    engine = FakeEngine(gate=asyncio.Event())
    async with desk(tmp_path, engine=engine) as at:
        begun = await at.ask("refine_image", prompt="a fox", wait_seconds=0)
        assert begun["status"] in {"queued", "running"} and "get_progress" in begun["next"]
        async with asyncio.timeout(20):
            await engine.started.wait()
        far = await at.ask("get_progress", job_id=begun["job_id"])
        assert far["progress"]["message"].startswith("Iteration 1 of 3")
        stopped = await at.ask("cancel", job_id=begun["job_id"])
        assert (stopped["stopped"], stopped["status"]) == (True, "cancelled")
        assert (await at.ask("cancel", job_id=begun["job_id"]))["stopped"] is False
        assert (await at.ask("get_progress", job_id=begun["job_id"]))["status"] == "cancelled"
        assert (await at.app()).studio.active() == []


async def test_cancelling_the_request_stops_it_and_its_job(tmp_path: Path) -> None:
    engine = FakeEngine(gate=asyncio.Event())
    async with desk(tmp_path, engine=engine) as at:
        asking = asyncio.create_task(at.client.call_tool("refine_image", {"prompt": "a fox"}))
        async with asyncio.timeout(20):
            await engine.started.wait()
        app = await at.app()
        [begun] = app.refinery.active()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert (await app.refinery.wait(begun.id, 10)).state == "cancelled"
        [job] = await app.studio.history(1)
    assert job.state == "cancelled"


async def test_a_failure_is_told_with_its_reason_and_the_next_step(tmp_path: Path) -> None:
    engine = FakeEngine(errors=[OutOfMemory("needs 9 GB")] * 9)
    async with desk(tmp_path, engine=engine) as at:
        answer = await at.ask("refine_image", prompt="a fox", iterations=2)
    assert answer["status"] == "failed" and "needs 9 GB" in answer["error"]
    assert "image_id" not in answer and answer["next"].startswith("Mend what the error says")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"prompt": "a fox", "evaluator": "gemini"}, "evaluator cannot be 'gemini'.+gemini needs GEMINI_API_KEY"),
        ({"prompt": "a fox", "iterations": 0}, "iterations cannot be 0"),
        ({"prompt": "a fox", "iteration": 2}, "no argument 'iteration'. Did you mean iterations"),
        ({"prompt": " "}, "prompt"),
        ({"prompt": "a fox", "engine": "fall"}, "engine"),
    ],
)
async def test_wrong_arguments_are_refused_in_words(arguments: dict[str, object], words: str, tmp_path: Path) -> None:
    import re

    async with desk(tmp_path) as at:
        result = await at.client.call_tool("refine_image", arguments)
        said = str(result.content[0])
    assert re.search(words, said), said
