"""Estimates of tokens against CLIP's own vocabulary, which open_clip ships."""

from __future__ import annotations

from functools import cache
from statistics import median

import pytest

from tests.utils.content_cases import HARMLESS
from tests.workflows.prompts.table import PROMPTS
from tests.workflows.selection.test_twenty_prompts import TABLE
from utils.tokens import estimate

OTHERS = (
    "score_9, score_8_up, score_7_up, score_6_up, score_5_up, score_4_up, source_anime, rating_safe",
    "1girl, solo, long hair, blue eyes, pleated skirt, looking at viewer, masterpiece, best quality, absurdres",
    "8k, 35mm, f/1.8, ISO 100, 1/250 s, 1920x1080",
    "一只猫坐在窗台上,照片",
    "夕暮れの海と古い灯台",
    "아이스크림을 먹는 아이",
    "дети играют в парке",
    "a party 🎉 with a cat 🐈 and a rocket 🚀",
    "(red car:1.3), [blurry background], ((sunset))",
)


@cache
def clip(text: str) -> int:
    from open_clip.tokenizer import SimpleTokenizer

    return len(SimpleTokenizer().encode(text))  # pyright: ignore[reportUnknownArgumentType]


def texts() -> list[str]:
    kept = [text for text in HARMLESS if len(text.split()) > 3]
    return [*kept, *(row.prompt for row in TABLE), *PROMPTS.values(), *OTHERS]


def test_estimates_for_clip_are_hardly_ever_too_low_and_not_much_too_high() -> None:
    ratios = sorted(estimate(text) / clip(text) for text in texts() if clip(text) >= 8)
    assert len(ratios) > 100
    assert ratios[len(ratios) // 10] >= 0.92
    assert 1.0 <= median(ratios) <= 1.15
    assert sum(map(estimate, texts())) >= sum(map(clip, texts()))


@pytest.mark.parametrize("text", [text for text in (*PROMPTS.values(), *OTHERS) if len(text) > 40])
def test_a_long_text_is_never_taken_for_much_shorter_than_it_is(text: str) -> None:
    assert 0.9 * clip(text) <= estimate(text) <= 1.5 * clip(text) + 2


def test_a_language_model_reads_chinese_in_fewer_tokens_than_clip() -> None:
    text = "一只橘猫坐在窗台上看雨"
    assert estimate(text, "llm") < estimate(text, "t5") < estimate(text, "clip")
    assert estimate("a cat on a windowsill", "t5") >= estimate("a cat on a windowsill", "clip")


def test_nothing_is_no_token_and_an_endless_text_takes_no_time() -> None:
    assert estimate("") == 0
    assert estimate("cat, " * 4000) == pytest.approx(8000, abs=2)  # pyright: ignore[reportUnknownMemberType]
    assert estimate("x" * 20_000) > 3000
