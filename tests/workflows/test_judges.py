"""The CLIP judge with the demo's CLIP: verdicts in the recipe's terms, and what it says when it cannot judge."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

import clients
from tests.fakes import PROFILE, png
from utils.validation import ClipScorer, JudgesMissing
from workflows.judges import ClipJudge
from workflows.types import Acceptance, Media, Recipe

DEMO_CLIP = Path(clients.__file__).parent / "demo" / "clip"
WISH = Recipe.checked(prompt="a red circle on a white background", negative="two blue squares")
PICTURE = Media(data=png(128, 128), media_type="image/png")


class Missing(ClipScorer):
    def scores(self, images: object, texts: object) -> object:  # type: ignore[override]
        raise JudgesMissing


@pytest.mark.models
async def test_a_wrong_picture_fails_with_both_scores_told() -> None:
    verdict = await ClipJudge(lambda profile: ClipScorer(DEMO_CLIP)).judge(PICTURE, WISH, PROFILE)
    assert verdict.passed is False
    assert verdict.reason == f"Low positive CLIP score: {verdict.score:.3f} < 0.25"
    assert set(verdict.measures) == {"positive_score", "negative_score", "score_delta"}


@pytest.mark.models
async def test_the_recipes_own_threshold_decides() -> None:
    judge = ClipJudge(lambda profile: ClipScorer(DEMO_CLIP))
    lenient = WISH.but(acceptance=Acceptance(positive_threshold=-1.0))
    assert (await judge.judge(PICTURE, lenient, PROFILE)).passed is True


async def test_a_judge_without_its_packages_says_what_to_install() -> None:
    verdict = await ClipJudge(lambda profile: Missing()).judge(PICTURE, WISH, PROFILE)
    assert verdict.passed is None
    assert "pip install 'atelier-mcp[judges]'" in verdict.reason


async def test_weights_that_cannot_be_had_are_told_not_raised(tmp_path: Path) -> None:
    verdict = await ClipJudge(lambda profile: ClipScorer(tmp_path)).judge(PICTURE, WISH, PROFILE)
    assert verdict.passed is None
    assert "ATELIER_CLIP_MODEL" in verdict.reason


@pytest.mark.models
async def test_an_idle_judge_leaves_memory_and_comes_back() -> None:
    scorer = ClipScorer(DEMO_CLIP)
    judge = ClipJudge(lambda profile: scorer, idle_unload=0.01)
    await judge.judge(PICTURE, WISH, PROFILE)
    async with asyncio.timeout(20):
        while scorer.loaded:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert (await judge.judge(PICTURE, WISH, PROFILE)).passed is False


class Loads(ClipScorer):
    """Counts itself as loaded once it has scored."""

    scored = False

    @property
    def loaded(self) -> bool:
        return self.scored

    def scores(self, images: object, texts: object) -> Any:
        self.scored = True
        return [[0.3, 0.1]]


async def test_others_are_asked_to_make_room_before_a_scorer_loads_and_only_then() -> None:
    scorer = Loads(DEMO_CLIP)
    told: list[tuple[ClipScorer, bool]] = []

    async def make_room(loading: ClipScorer) -> None:
        told.append((loading, loading.loaded))

    judge = ClipJudge(lambda profile: scorer, before_load=make_room)
    for _ in range(2):
        assert (await judge.judge(PICTURE, WISH, PROFILE)).passed is True
    assert told == [(scorer, False)]
