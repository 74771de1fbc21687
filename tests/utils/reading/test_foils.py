"""A picture's likeness to its prompt beside that to prompts that differ in one fact."""

from __future__ import annotations

import math

import pytest

from utils.reading.foils import BEATEN_BY, Contrast, Foils, foils, share

WISH = "two red stars"


def read(wish: Foils, cosines: dict[str, float], scale: float = 100.0, other: float = 0.0) -> Contrast:
    return wish.read([cosines.get(text, other) for text in wish.texts], scale)


def test_the_gist_is_scored_first_and_every_text_once() -> None:
    wish = foils("masterpiece, two red stars, 8k")
    assert wish.texts[0] == WISH
    assert len(set(wish.texts)) == len(wish.texts)
    assert {swap.text for swap in wish.swaps} | set(wish.general) <= set(wish.texts)


def test_a_picture_of_the_prompt_is_first_and_meets_every_fact() -> None:
    contrast = read(foils(WISH), {WISH: 0.3})
    assert (contrast.rank, contrast.beaten) == (1, False)
    assert contrast.margin == pytest.approx(0.3)
    assert contrast.nats == pytest.approx(30.0)
    assert contrast.share > 0.99
    assert all(met > 0.99 for met in contrast.atoms.values())


def test_the_fact_that_is_wrong_is_found_and_the_others_stay_met() -> None:
    contrast = read(foils(WISH), {WISH: 0.25, "two blue stars": 0.31})
    assert contrast.rival is not None and contrast.rival.text == "two blue stars"
    assert (contrast.rank, contrast.beaten) == (2, True)
    low = {atom.text for atom, met in contrast.atoms.items() if met < 0.5}
    assert low == {"red stars"}


def test_a_foil_must_win_clearly_in_the_models_own_logits() -> None:
    wish = foils(WISH)
    narrow, clear = BEATEN_BY - 0.1, BEATEN_BY + 0.1
    for scale in (20.0, 100.0):
        assert not read(wish, {WISH: 0.3, "one red star": 0.3 + narrow / scale}, scale).beaten
        assert read(wish, {WISH: 0.3, "one red star": 0.3 + clear / scale}, scale).beaten


def test_a_general_foil_counts_in_the_rank_but_does_not_beat_the_prompt() -> None:
    contrast = read(foils(WISH), {WISH: 0.3, "a blurry photo": 0.4})
    assert (contrast.rank, contrast.beaten) == (2, False)
    assert contrast.share < 0.01


def test_a_prompt_that_is_not_understood_is_compared_with_general_foils_alone() -> None:
    contrast = read(foils("一只黑猫"), {"一只黑猫": 0.2, "a random pattern": 0.3})
    assert (contrast.rival, contrast.beaten, contrast.atoms) == (None, False, {})
    assert contrast.margin == pytest.approx(-0.1)


def test_a_relation_is_compared_by_its_own_words_and_never_beats_the_prompt() -> None:
    prompt = "a cat above a dog"
    wish = foils(prompt)
    contrast = read(wish, {prompt: 0.3, "a dog above a cat": 0.4})
    [relation] = [atom for atom in contrast.atoms if atom.kind == "relation"]
    assert contrast.atoms[relation] < 0.01
    assert (contrast.rank, contrast.beaten) == (1, False)


def test_a_share_is_a_softmax_and_survives_any_scale() -> None:
    assert share(0.3, [], 100) == 1.0
    assert share(0.2, [0.2, 0.2, 0.2], 100) == pytest.approx(0.25)
    assert share(0.2, [0.21], 100) == pytest.approx(1 / (1 + math.e))
    assert share(-1.0, [1.0], 1e6) == pytest.approx(0.0)
