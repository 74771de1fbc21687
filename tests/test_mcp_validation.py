"""The validation contract of generate_image, called as a plain function: the keys and sentences that are promised."""

from __future__ import annotations

from pathlib import Path

import pytest

from clients.tools.generation import generate_image
from tests.fakes import FakeEngine, FakeJudge, fake_app
from workflows.errors import OutOfMemory

LOW = "Low positive CLIP score: {:.3f} < 0.25"


async def test_defaults_validate_and_pass(tmp_path: Path) -> None:
    async with fake_app(tmp_path, judge=FakeJudge(scores=[0.342])):
        answer = await generate_image(
            prompt="single red car on a country road", negative_prompt="multiple cars, blurry"
        )
    assert answer["status"] == "success"
    assert answer["attempt"] == 1
    assert answer["prompt_id"] == answer["job_id"]
    assert answer["validation"]["passed"] is True
    assert answer["validation"]["positive_score"] == 0.342
    assert answer["validation"]["reason"] == "Image passed validation"
    assert Path(answer["path"]).is_file()
    assert answer["url"].startswith("file://")
    assert "warning" not in answer


async def test_validation_off_gives_no_validation_key(tmp_path: Path) -> None:
    judge = FakeJudge()
    async with fake_app(tmp_path, judge=judge):
        answer = await generate_image(prompt="landscape with mountains", validate=False)
    assert answer["status"] == "success"
    assert "validation" not in answer
    assert judge.prompts == []


async def test_a_custom_threshold_and_retry_limit_are_used(tmp_path: Path) -> None:
    engine = FakeEngine()
    async with fake_app(tmp_path, engine=engine, judge=FakeJudge(scores=[0.28, 0.29, 0.28, 0.33])):
        answer = await generate_image(prompt="single cat", retry_limit=5, positive_threshold=0.30)
    assert answer["attempt"] == 4
    assert answer["validation"]["passed"] is True
    assert len(engine.recipes) == 4


async def test_max_retries_reached_keeps_the_best_and_says_so(tmp_path: Path) -> None:
    async with fake_app(tmp_path, judge=FakeJudge(scores=[0.1, 0.218, 0.2])):
        answer = await generate_image(prompt="single car on a road")
    assert answer["status"] == "success"
    assert answer["attempt"] == 2
    assert answer["validation"]["passed"] is False
    assert answer["validation"]["reason"] == LOW.format(0.218)
    assert answer["validation"]["warning"] == answer["warning"] == "Max retries (3) reached"
    assert [row["score"] for row in answer["attempts"]] == [0.1, 0.218, 0.2]


async def test_auto_retry_off_draws_once_and_tells_the_verdict(tmp_path: Path) -> None:
    engine = FakeEngine()
    async with fake_app(tmp_path, engine=engine, judge=FakeJudge(scores=[0.1])):
        answer = await generate_image(prompt="single car", auto_retry=False)
    assert answer["validation"]["passed"] is False
    assert len(engine.recipes) == 1


async def test_missing_judges_skip_validation_and_name_the_extra(tmp_path: Path) -> None:
    missing = "Not judged: pip install 'atelier-mcp[judges]'"
    async with fake_app(tmp_path, judge=FakeJudge(missing=missing)):
        answer = await generate_image(prompt="single car")
    assert answer["status"] == "success"
    assert answer["validation"] == {"skipped": missing}
    assert len(answer["attempts"]) == 1


async def test_a_render_that_breaks_raises_its_own_error_and_names_the_job(tmp_path: Path) -> None:
    async with fake_app(tmp_path, engine=FakeEngine(errors=[OutOfMemory("needs 9 GB, has 8")])) as app:
        with pytest.raises(OutOfMemory, match="needs 9 GB, has 8") as caught:
            await generate_image(prompt="single car")
        [job] = await app.studio.history(1)
    assert job.id in str(caught.value)
