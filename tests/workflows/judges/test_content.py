"""The content judge with tiny classifiers: what is unsafe is barred, and so is what cannot be checked."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest

from tests.fakes import PROFILE, png
from tests.utils.classifiers import alarmed, calm, make_classifier
from utils.content_validator import ClassifierUnavailable, Exposure, NoClassifier, PictureClassifier, classifier_for
from workflows.content import ContentRules
from workflows.judges.content import ContentJudge, verdict_on
from workflows.types import Advice, Media, Recipe, Verdict

SAFE, OPEN = ContentRules(adult=False), ContentRules(adult=True)
WISH, CHILD = Recipe.checked(prompt="a castle"), Recipe.checked(prompt="a child blowing a dandelion")
PICTURE = Media(data=png(), media_type="image/png")
BARRED = Verdict(
    judge="content",
    passed=False,
    score=0.9933,
    merit=0.0223,
    reason="Image failed the content check: 0.99 >= 0.85",
    measures={"unsafe": 0.9933, "suggestive": 0.9933},
    advice=(Advice(cause="content", avoid=("nsfw", "nude")),),
    hard=True,
    barred=True,
)
PASSED = Verdict(
    judge="content",
    passed=True,
    score=0.0067,
    merit=0.9961,
    reason="Image passed the content check",
    measures={"unsafe": 0.0067, "suggestive": 0.0067},
)


def judge_with(classifier: PictureClassifier, rules: ContentRules = SAFE, idle_unload: float = 0.0) -> ContentJudge:
    return ContentJudge(lambda: classifier, rules, idle_unload)


async def verdicts(judge: ContentJudge, recipe: Recipe = WISH, pictures: int = 1) -> Sequence[Verdict]:
    return await judge.judge([PICTURE] * pictures, recipe, PROFILE)


async def test_an_unsafe_picture_is_barred_and_a_safe_one_passes(tmp_path: Path) -> None:
    assert (
        await verdicts(judge_with(PictureClassifier(alarmed(tmp_path / "a"), device="cpu")), pictures=2) == [BARRED] * 2
    )
    assert await verdicts(judge_with(PictureClassifier(calm(tmp_path / "b"), device="cpu")), pictures=2) == [PASSED] * 2


async def test_where_adult_content_is_allowed_only_pictures_of_minors_are_looked_at(tmp_path: Path) -> None:
    judge = judge_with(PictureClassifier(alarmed(tmp_path), device="cpu"), OPEN)
    [free] = await verdicts(judge)
    assert (free.passed, free.barred, free.reason) == (
        None, False, "Not checked: adult content is allowed on this server."
    )  # fmt: skip
    [strict] = await verdicts(judge, CHILD)
    assert (strict.passed, strict.barred, strict.hard) == (False, True, True)


@pytest.mark.parametrize(
    ("unsafe", "suggestive", "graded", "strict", "passed"),
    [
        (0.84, 0.84, False, False, True),
        (0.85, 0.85, False, False, False),
        (0.49, 0.49, False, True, True),
        (0.50, 0.50, False, True, False),
        (0.49, 0.99, True, False, True),
        (0.50, 0.50, True, False, False),
        (0.00, 0.50, True, True, False),
        (0.00, 0.49, True, True, True),
    ],
)
def test_the_threshold_is_lower_beside_a_minor_and_counts_what_is_suggestive(
    unsafe: float, suggestive: float, graded: bool, strict: bool, passed: bool
) -> None:
    verdict = verdict_on(Exposure(unsafe=unsafe, suggestive=suggestive, graded=graded), strict)
    assert (verdict.passed, verdict.barred, verdict.hard) == (passed, not passed, not passed)
    assert verdict.merit is not None
    assert (verdict.merit > 0.5) is passed


async def test_a_classifier_that_was_asked_for_and_cannot_be_had_bars_everything(tmp_path: Path) -> None:
    for model in ("nobody/nothing", str(tmp_path)):
        [verdict] = await verdicts(ContentJudge(partial(classifier_for, model), SAFE))
        assert (verdict.passed, verdict.barred, verdict.hard) == (False, True, True)
        assert verdict.reason.startswith(f"Not checked: The image classifier {model!r} cannot be used")
        assert "ATELIER_CONTENT_MODEL" in verdict.reason


async def test_unknown_labels_bar_everything(tmp_path: Path) -> None:
    folder = make_classifier(tmp_path, ["LABEL_0", "LABEL_1"], [0.0, 0.0])
    [verdict] = await verdicts(judge_with(PictureClassifier(folder, device="cpu")))
    assert (verdict.passed, verdict.barred) == (False, True)


async def test_a_picture_that_cannot_be_read_is_barred_alone(tmp_path: Path) -> None:
    judge = judge_with(PictureClassifier(calm(tmp_path), device="cpu"))
    broken = Media(data=b"no picture", media_type="image/png")
    found = await judge.judge([PICTURE, broken, PICTURE], WISH, PROFILE)
    assert [(verdict.passed, verdict.barred) for verdict in found] == [(True, False), (False, True), (True, False)]


class Nobody:
    def __init__(self) -> None:
        self.asked = 0

    def __call__(self) -> PictureClassifier:
        self.asked += 1
        raise NoClassifier("ATELIER_CONTENT_MODEL is off.")


async def test_without_a_classifier_it_says_so_and_bars_nothing() -> None:
    nobody = Nobody()
    judge = ContentJudge(nobody, SAFE)
    expected = Verdict(judge="content", passed=None, reason="Not checked: ATELIER_CONTENT_MODEL is off.")
    assert await verdicts(judge, pictures=2) == [expected, expected]
    await verdicts(judge)
    assert nobody.asked == 2  # it may have come meanwhile


class Breaks(PictureClassifier):
    def exposures(self, pictures: Sequence[bytes]) -> list[Exposure]:
        raise ClassifierUnavailable("the memory is full")


async def test_a_classifier_that_breaks_bars_the_picture() -> None:
    [verdict] = await verdicts(judge_with(Breaks("any")))
    assert verdict == Verdict(
        judge="content", passed=False, reason="Not checked: the memory is full", hard=True, barred=True
    )


async def test_an_idle_classifier_leaves_memory(tmp_path: Path) -> None:
    classifier = PictureClassifier(calm(tmp_path), device="cpu")
    await verdicts(judge_with(classifier, idle_unload=0.01))
    async with asyncio.timeout(20):
        while classifier.loaded:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_the_classifier_is_looked_for_once(tmp_path: Path) -> None:
    classifier, found = PictureClassifier(calm(tmp_path), device="cpu"), list[int]()

    def find() -> PictureClassifier:
        found.append(1)
        return classifier

    judge = ContentJudge(find, SAFE)
    assert [await verdicts(judge), await verdicts(judge)] == [[PASSED], [PASSED]]
    assert found == [1]
