"""The CLIP judge with the demo's CLIP: verdicts in the recipe's terms, and what it says when it cannot judge."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

import clients
from tests.fakes import PROFILE, png
from utils.reading.foils import Contrast, foils
from utils.validation import ClipScorer, JudgesMissing
from workflows.judges.clip import ClipJudge, advice_on, merit
from workflows.types import Acceptance, Advice, Media, Recipe, Verdict

DEMO_CLIP = Path(clients.__file__).parent / "demo" / "clip"
WISH = Recipe.checked(prompt="a red circle on a white background", negative="two blue squares")
PLAIN = Media(data=png(128, 128), media_type="image/png")


@pytest.fixture(scope="module")
def scorer() -> ClipScorer:
    return ClipScorer(DEMO_CLIP)


def drawing(*circles: tuple[int, str], page: str = "white") -> Media:
    """Circles of these radii and colours side by side."""
    picture = Image.new("RGB", (128, 128), page)
    for place, (radius, colour) in enumerate(circles, 1):
        x = 128 * place // (len(circles) + 1)
        ImageDraw.Draw(picture).ellipse((x - radius, 64 - radius, x + radius, 64 + radius), fill=colour)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return Media(data=buffer.getvalue(), media_type="image/png")


ONE_RED = drawing((28, "red"))


async def verdict_of(scorer: ClipScorer, picture: Media, recipe: Recipe = WISH) -> Verdict:
    [verdict] = await ClipJudge(lambda profile: scorer).judge([picture], recipe, PROFILE)
    return verdict


@pytest.mark.models
async def test_a_right_picture_passes_with_all_its_measures_and_facts(scorer: ClipScorer) -> None:
    verdict = await verdict_of(scorer, ONE_RED)
    assert (verdict.passed, verdict.reason, verdict.advice) == (True, "Image passed validation", ())
    assert verdict.score == verdict.measures["positive_score"] > 0.25
    assert verdict.measures["rank"] == 1 and verdict.measures["margin"] > 0 and verdict.measures["share"] > 0.9
    assert list(verdict.measures) == ["positive_score", "negative_score", "score_delta", "margin", "rank", "share"]
    assert min(verdict.atoms.values()) > 0.9
    assert verdict.merit is not None and verdict.merit > 0.6


@pytest.mark.models
@pytest.mark.parametrize(
    ("picture", "prompt", "advice"),
    [
        (
            drawing((28, "blue")),
            "a red circle on a white background",
            Advice(cause="attribute", emphasise=("red circle",), say=("a red circle",)),
        ),
        (
            drawing((18, "red"), (18, "red")),
            "three red circles on a white background",
            Advice(cause="count", emphasise=("three red circles",), say=("exactly three circles",)),
        ),
        (
            ONE_RED,
            "a red square on a white background",
            Advice(cause="subject", emphasise=("red square",), say=("a square, clearly visible",)),
        ),
    ],
)
async def test_a_wrong_picture_fails_and_the_first_advice_names_what_is_missing(
    scorer: ClipScorer, picture: Media, prompt: str, advice: Advice
) -> None:
    verdict = await verdict_of(scorer, picture, Recipe(prompt=prompt))
    assert verdict.passed is False
    assert verdict.reason == f"Low positive CLIP score: {verdict.score:.3f} < 0.25"
    assert verdict.merit is not None and verdict.merit < 0.5
    assert verdict.advice[0] == advice


@pytest.mark.models
async def test_candidates_are_judged_in_one_batch_each_as_if_alone(scorer: ClipScorer) -> None:
    pictures = [ONE_RED, drawing((28, "blue")), PLAIN]
    together = await ClipJudge(lambda profile: scorer).judge(pictures, WISH, PROFILE)
    fresh = ClipScorer(DEMO_CLIP)
    alone = [await verdict_of(fresh, picture) for picture in pictures]
    assert [one.passed for one in together] == [True, False, False]
    assert [one.score for one in together] == pytest.approx([one.score for one in alone], abs=1e-5)


@pytest.mark.models
async def test_what_is_no_picture_is_not_judged_and_its_neighbours_are(scorer: ClipScorer) -> None:
    broken = Media(data=b"no picture", media_type="image/png")
    verdicts = await ClipJudge(lambda profile: scorer).judge([broken, ONE_RED], WISH, PROFILE)
    assert [one.passed for one in verdicts] == [None, True]
    assert verdicts[0].reason == "Not judged: the bytes are not a PNG, JPEG or WebP picture"


class Told(ClipScorer):
    """Gives the cosines that it is told by text; `threshold` and `scale` as said."""

    threshold = 0.06  # pyright: ignore[reportAssignmentType, reportIncompatibleMethodOverride]
    scale = 100.0  # pyright: ignore[reportAssignmentType, reportIncompatibleMethodOverride]

    def __init__(self, cosines: dict[str, float]) -> None:
        super().__init__(DEMO_CLIP)
        self.cosines = cosines
        self.batches: list[int] = []

    @property
    def loaded(self) -> bool:
        return bool(self.batches)

    def scores(self, images: Sequence[Any], texts: Sequence[str]) -> Any:
        self.batches.append(len(images))
        return np.array([[self.cosines.get(text, -0.5) for text in texts]] * len(images), np.float32)


async def test_the_scorers_own_threshold_decides_unless_the_recipe_has_another() -> None:
    told = Told({WISH.prompt: 0.1})
    own = await verdict_of(told, PLAIN)
    strict = await verdict_of(told, PLAIN, WISH.but(acceptance=Acceptance(positive_threshold=0.3)))
    assert own.passed is True
    assert (strict.passed, strict.reason) == (False, "Low positive CLIP score: 0.100 < 0.3")


async def test_a_picture_that_looks_more_like_a_foil_fails_and_says_like_which() -> None:
    verdict = await verdict_of(
        Told({"three red stars": 0.28, "two red stars": 0.31}), PLAIN, Recipe(prompt="three red stars")
    )
    assert verdict.passed is False
    assert verdict.reason == "The picture looks more like 'two red stars' than the prompt (0.310 > 0.280)"
    assert verdict.score == pytest.approx(0.28)
    assert verdict.advice == (Advice(cause="count", emphasise=("three red stars",), say=("exactly three stars",)),)
    assert verdict.merit is not None and verdict.merit < 0.5


async def test_all_candidates_go_through_the_encoder_at_once() -> None:
    told = Told({})
    await ClipJudge(lambda profile: told).judge([PLAIN] * 5, WISH, PROFILE)
    assert told.batches == [5]


async def test_a_recipe_without_words_is_not_judged() -> None:
    verdict = await verdict_of(Told({}), PLAIN, Recipe(task="upscale"))
    assert (verdict.passed, verdict.reason) == (None, "Not judged: there is no prompt to compare the picture with.")


class Missing(ClipScorer):
    def scores(self, images: object, texts: object) -> Any:
        raise JudgesMissing


async def test_a_judge_without_its_packages_says_what_to_install() -> None:
    verdict = await verdict_of(Missing(), PLAIN)
    assert verdict.passed is None
    assert "pip install 'atelier-mcp[judges]'" in verdict.reason


async def test_weights_that_cannot_be_had_are_told_for_every_picture_not_raised(tmp_path: Path) -> None:
    verdicts = await ClipJudge(lambda profile: ClipScorer(tmp_path)).judge([PLAIN, PLAIN], WISH, PROFILE)
    assert [one.passed for one in verdicts] == [None, None]
    assert "ATELIER_CLIP_MODEL" in verdicts[0].reason


def contrast_of(**atoms: float) -> Contrast:
    """For "two red cats above a dog": how far each of its facts is met, by kind."""
    named = {atom.kind: atom for atom in foils("two red cats above a dog").alone}
    named |= {swap.atom.kind: swap.atom for swap in reversed(foils("two red cats above a dog").swaps)}
    met = {named[kind]: value for kind, value in atoms.items()}  # pyright: ignore[reportArgumentType]
    return Contrast(prompt=0.2, rival=None, best=0.1, rank=1, share=0.9, scale=100.0, atoms=met)


def test_advice_names_the_worst_first_and_does_not_emphasise_a_phrase_twice() -> None:
    assert advice_on(contrast_of(subject=0.9, count=0.3, colour=0.1)) == (
        Advice(cause="attribute", emphasise=("red cats",), say=("red cats",)),
        Advice(cause="count", say=("exactly two cats",)),
    )


def test_a_relation_is_named_only_when_nothing_else_is_missing() -> None:
    [only] = advice_on(contrast_of(subject=0.9, relation=0.1))
    assert (only.cause, only.say) == ("relation", ("two red cats above a dog",))
    assert [one.cause for one in advice_on(contrast_of(subject=0.4, relation=0.1))] == ["subject"]


ABOVE = st.integers(-1000, 1000).map(lambda thousandths: thousandths / 1000)
NATS = st.integers(-300, 300).map(lambda tenths: tenths / 10)


def told(nats: float) -> Contrast:
    swap = foils("two stars").swaps[0]
    return Contrast(prompt=nats / 100, rival=swap, best=0.0, rank=1, share=0.5, scale=100.0)


@given(ABOVE, ABOVE, NATS, NATS)
def test_merit_rises_with_the_score_and_with_the_margin(one: float, other: float, near: float, far: float) -> None:
    low, high = merit(min(one, other), told(min(near, far))), merit(max(one, other), told(max(near, far)))
    assert 0 <= low <= high <= 1


@given(ABOVE, NATS)
def test_merit_is_half_exactly_where_a_picture_just_passes(above: float, nats: float) -> None:
    contrast = told(nats)
    passes = above >= 0 and contrast.nats >= -2.0
    assert (merit(above, contrast) >= 0.5) == passes
    assert merit(0.0, told(5.0)) == merit(0.5, told(-2.0)) == 0.5
