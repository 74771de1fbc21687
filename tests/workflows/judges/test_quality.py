"""The quality judge on what the demo model draws, whole and spoilt, and its words to the next round."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import clients
from clients.diffusers_engine import DiffusersEngine
from tests.fakes import PROFILE, TICKET, png
from tests.utils.degraded import blurred, darkened, drawings, gained, jpeg, latticed, mosaic, noisy, photos, washed
from utils.aesthetics import AestheticPredictor
from utils.images import decode
from utils.quality import composed
from utils.validation import ClipScorer
from workflows.judges.quality import QualityJudge, verdict_on
from workflows.types import Advice, Media, Recipe, Verdict

DEMO = Path(clients.__file__).parent / "demo" / "t2i"
WISH = Recipe(prompt="anything")
FAULTLESS = {
    "blur": 0.3, "lightest": 1.0, "tones": 0.9, "blown": 0.0, "spread": 250.0, "luma_noise": 0.5, "colour_noise": 0.3,
    "correlation": 0.97, "seams": 0.1, "in_seams": 0.13, "lattice": 0.0, "tiles": 0.0, "detail": 1.0,
    "level_gap": 1.0, "contours": 0.8,
}  # fmt: skip
SPOILT: dict[str, Callable[[Image.Image], Image.Image]] = {
    "blurred": lambda picture: blurred(picture, 4),
    "noisy": lambda picture: noisy(picture, 20),
    "dark": lambda picture: darkened(picture, 8),
    "washed": lambda picture: washed(picture, 0.88),
    "mosaic": lambda picture: mosaic(picture, 8),
    "mosaic of 11": lambda picture: mosaic(picture, 11),
    "lattice": lambda picture: latticed(picture, 12),
}


def media(picture: Image.Image) -> Media:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return Media(data=buffer.getvalue(), media_type="image/png")


async def judged(*pictures: Image.Image) -> list[Verdict]:
    return list(await QualityJudge().judge([media(picture) for picture in pictures], WISH, PROFILE))


@pytest.fixture
async def drawn() -> list[Image.Image]:
    prompts = ("crimson disc on white", "two people standing side by side, black on a yellow background", "a cyan star")
    async with DiffusersEngine(None, DEMO) as engine:
        artifacts = [
            (await engine.render(await recipe(engine, text), {}, lambda step: None, TICKET))[0] for text in prompts
        ]
    return [decode(artifact.media.data) for artifact in artifacts]


async def recipe(engine: DiffusersEngine, prompt: str) -> Recipe:
    profile = await engine.profile(WISH)
    return Recipe(prompt=prompt, width=128, height=128, steps=profile.steps, cfg=profile.cfg, seed=3)


@pytest.mark.models
async def test_what_the_demo_draws_passes_and_the_same_spoilt_does_not(drawn: list[Image.Image]) -> None:
    assert [verdict.passed for verdict in await judged(*drawn)] == [True] * len(drawn)
    for name, spoil in SPOILT.items():
        assert [verdict.passed for verdict in await judged(*map(spoil, drawn))] == [False] * len(drawn), name


@pytest.mark.parametrize("name", SPOILT)
async def test_drawings_and_photos_pass_and_spoilt_ones_do_not(name: str) -> None:
    pictures = [*drawings().values(), *photos().values()]
    assert all(verdict.passed for verdict in await judged(*pictures))
    assert not any(verdict.passed for verdict in await judged(*(SPOILT[name](picture) for picture in pictures)))


async def test_strong_jpeg_loss_and_blown_light_fail_in_photos() -> None:
    spoilt = [jpeg(photos()["coffee"], 92), gained(photos()["coffee"], 2), gained(photos()["chelsea"], 2)]
    assert [verdict.passed for verdict in await judged(*spoilt)] == [False] * 3


async def test_verdicts_come_in_the_order_of_the_pictures_with_merit_around_the_threshold() -> None:
    coffee = photos()["coffee"]
    first, second, third = await judged(coffee, blurred(coffee, 8), blurred(coffee, 1))
    assert (first.passed, second.passed, third.passed) == (True, False, True)
    assert first.merit is not None and second.merit is not None and third.merit is not None
    assert first.merit > third.merit > 0.5 > second.merit


@pytest.mark.parametrize("colour", [(0, 0, 0), (128, 128, 128), (255, 255, 255)])
async def test_a_blank_picture_is_out_whatever_others_say(colour: tuple[int, int, int]) -> None:
    blank = Media(data=png(128, 128, colour), media_type="image/png")
    [verdict] = await QualityJudge().judge([blank], WISH, PROFILE)
    assert (verdict.passed, verdict.hard, verdict.score, verdict.merit) == (False, True, 0.0, 0.0)
    assert verdict.reason == "The picture is blank: all its pixels are nearly the same"
    assert verdict.advice == (Advice(cause="quality"),)


async def test_static_is_out_whatever_others_say() -> None:
    static = np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    [verdict] = await judged(Image.fromarray(static))
    assert (verdict.passed, verdict.hard) == (False, True)
    assert "static" in verdict.reason


@pytest.mark.parametrize(
    ("fault", "say", "avoid"),
    [
        ({"blur": 0.85}, "sharp focus", ("blurry", "out of focus")),
        ({"colour_noise": 25.0}, "clean smooth surfaces", ("noise", "grain")),
        ({"seams": 5.5}, "clean lines", ("jpeg artifacts", "banding")),
        ({"lightest": 0.08}, "well lit", ("underexposed", "too dark")),
        ({"blown": 0.65}, "soft even light", ("overexposed", "blown highlights")),
        ({"tones": 0.07}, "rich contrast", ("washed out", "low contrast")),
    ],
)
def test_the_advice_names_the_fault_that_was_found(fault: dict[str, float], say: str, avoid: tuple[str, ...]) -> None:
    verdict = verdict_on(composed(FAULTLESS | fault))
    assert verdict.passed is False and not verdict.hard
    assert verdict.advice == (Advice(cause="quality", say=(say,), avoid=avoid),)


def test_the_reason_tells_the_score_the_threshold_and_the_faults_worst_first() -> None:
    verdict = verdict_on(composed(FAULTLESS | {"blur": 0.8, "luma_noise": 12.0}))
    assert verdict.reason == "Low quality: 3.3 of 10 (F) < 6: sharpness 2.0, noise 3.9"
    assert verdict_on(composed(FAULTLESS)).reason == "Quality 10.0 of 10 (A)"


def test_a_picture_that_passes_gets_no_advice() -> None:
    assert verdict_on(composed(FAULTLESS | {"blur": 0.6})).advice == ()


def test_an_ugly_picture_without_a_fault_is_not_called_faulty() -> None:
    verdict = verdict_on(composed(FAULTLESS, aesthetic=1.0))
    assert verdict.passed is True
    assert verdict.measures["aesthetic"] == 1.0


async def test_what_is_no_picture_is_not_judged() -> None:
    verdicts = await QualityJudge().judge(
        [Media(data=b"no picture", media_type="image/png"), media(photos()["coffee"])], WISH, PROFILE
    )
    assert [verdict.passed for verdict in verdicts] == [None, True]
    assert verdicts[0].reason.startswith("Not judged: ")


class Rests(ClipScorer):
    """An encoder that tells when it leaves memory."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._loop = loop
        self.gone = asyncio.Event()

    def embed_images(self, images: Any) -> Any:
        return np.full((len(images), 512), 512**-0.5, np.float32)

    def unload(self) -> None:
        self._loop.call_soon_threadsafe(self.gone.set)


async def test_a_predictor_rates_and_its_encoder_leaves_memory_when_idle(tmp_path: Path) -> None:
    import torch

    library: Any = torch
    library.save({"weight": torch.zeros(1, 512), "bias": torch.full((1,), 5.0)}, tmp_path / "linear.pth")
    encoder = Rests(asyncio.get_running_loop())
    predictor = AestheticPredictor(tmp_path / "linear.pth", encoder)
    judge = QualityJudge(lambda profile: predictor, idle_unload=0.01)
    [verdict] = await judge.judge([media(photos()["coffee"])], WISH, PROFILE)
    assert verdict.measures["aesthetic"] == 5.0
    async with asyncio.timeout(10):
        await encoder.gone.wait()


async def test_blocks_are_no_fault_where_they_are_the_wish() -> None:
    blocks = [media(mosaic(picture, cell)) for picture, cell in zip(photos().values(), (8, 11, 14), strict=False)]
    for prompt, passed in (("a cat, 16-bit pixel art", True), ("a photo of a cat", False), ("a mosaic floor", True)):
        verdicts = await QualityJudge().judge(blocks, WISH.but(prompt=prompt), PROFILE)
        assert {verdict.passed for verdict in verdicts} == {passed}, prompt
