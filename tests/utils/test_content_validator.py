"""What may be asked for: harmless prompts pass, sexual content with minors never does, however it is spelled."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.utils.clothing_cases import BARED, BARED_MINORS, CHOICES, EDITS, UNDRESSING
from tests.utils.content_cases import ADULT, EXTREME, GROWN, HARMLESS, MINORS, REAL, SPELLINGS, STRICT
from utils.content_validator import TEXTS, Finding, check_text, check_texts, shows_minor, shows_person


@pytest.mark.parametrize("prompt", HARMLESS)
def test_a_harmless_prompt_passes_with_safe_settings(prompt: str) -> None:
    assert check_text(prompt) is None


def rule(found: Finding | None) -> str | None:
    return found.rule if found else None


@pytest.mark.parametrize("adult", [False, True])
@pytest.mark.parametrize("prompt", MINORS + SPELLINGS)
def test_sexual_content_with_minors_is_refused_whatever_is_switched_on(prompt: str, adult: bool) -> None:
    assert check_text(prompt, adult=adult) == Finding("minor.sexual", TEXTS["minor.sexual"])


@pytest.mark.parametrize(
    ("expected", "prompt"), [(name, line) for name, text in ADULT.items() for line in text.strip().splitlines()]
)
def test_adult_content_is_refused_until_it_is_switched_on(expected: str, prompt: str) -> None:
    assert rule(check_text(prompt)) == expected
    assert check_text(prompt, adult=True) is None


@pytest.mark.parametrize("prompt", GROWN)
def test_numbers_and_names_make_no_minor_of_a_grown_up(prompt: str) -> None:
    assert check_text(prompt, adult=True) is None


@pytest.mark.parametrize("prompt", EXTREME)
def test_some_content_is_refused_with_adults_too(prompt: str) -> None:
    assert rule(check_text(prompt, adult=True)) == "extreme.sexual"


@pytest.mark.parametrize("prompt", REAL)
def test_sexual_content_with_real_people_is_refused_always(prompt: str) -> None:
    assert rule(check_text(prompt, adult=True)) == "person.sexual"
    assert rule(check_text(prompt)) == "person.sexual"


@pytest.mark.parametrize("adult", [False, True])
@pytest.mark.parametrize("prompt", UNDRESSING)
def test_nobody_in_a_picture_is_undressed(prompt: str, adult: bool) -> None:
    assert rule(check_texts(prompt, adult=adult, edits=True)) == "edit.undress"


@pytest.mark.parametrize("prompt", EDITS + HARMLESS)
def test_harmless_edits_pass(prompt: str) -> None:
    assert check_texts(prompt, edits=True) is None


def test_nudity_is_drawn_from_words_alone_never_into_a_given_picture() -> None:
    assert check_texts("a nude woman", adult=True) is None
    assert rule(check_texts("a nude woman", adult=True, edits=True)) == "edit.sexual"


def test_skin_painted_over_clothing_is_undressing() -> None:
    assert rule(check_texts("smooth skin", adult=True, edits=True, masked="dress")) == "edit.undress"
    assert check_texts("a blue coat", edits=True, masked="dress") is None
    assert check_texts("smooth skin", edits=True, masked="scratch on the cheek") is None


@pytest.mark.parametrize("prompt", ["a child in a park", "a woman in a park", "a castle", "1girl, solo"])
@pytest.mark.parametrize(
    "negative",
    [
        "nsfw, nude",
        "nsfw, nude, naked, sexy, suggestive, lingerie, bikini, underwear, cleavage",
        "(nsfw:1.4), ((nude)), child, loli, worst quality",
        "blurry, extra fingers, red shirt, torn clothes, text on clothing",
        "hat, glasses, jacket",
        "nudity; child; watermark",
    ],
)
def test_a_careful_negative_prompt_passes(prompt: str, negative: str) -> None:
    assert check_texts(prompt, negative) is None
    assert check_texts(prompt, negative, cfg=1.0) is None


@pytest.mark.parametrize(
    "negative", ["nude child", "blurry, sexy little girl", "child porn", "n u d e k i d", "裸体 小女孩"]
)
def test_a_phrase_that_waits_to_be_turned_around_is_refused_in_a_negative_prompt(negative: str) -> None:
    assert rule(check_texts("a castle", negative, adult=True)) == "minor.sexual"


@pytest.mark.parametrize("cfg", [0.0, 0.5, 0.99])
def test_with_guidance_below_one_the_negative_prompt_is_what_is_drawn(cfg: float) -> None:
    assert rule(check_texts("a castle", "nude, woman", cfg=cfg)) == "adult.nudity"
    assert rule(check_texts("a child", "nude", cfg=cfg, adult=True)) == "minor.sexual"
    assert check_texts("a castle", "blurry", cfg=cfg) is None


def test_a_negative_weight_turns_a_negative_prompt_around() -> None:
    assert rule(check_texts("a castle", "(nude:-1.2), blurry")) == "adult.nudity"
    assert rule(check_texts("a woman, (clothes:-1.5)")) == "adult.clothing"


@pytest.mark.parametrize(
    ("prompt", "negative", "adult", "expected"),
    [
        ("a child in a park", "clothes, dress", True, "minor.clothing"),
        ("a child in a park", "dress", True, "minor.clothing"),
        ("a child in a park", "(clothing:1.5)", False, "minor.clothing"),
        ("a woman in a park", "clothes, dress", False, "adult.clothing"),
        ("a woman in a park", "shirt, pants, dress", False, "adult.clothing"),
        ("a woman in a park", "clothes, dress", True, None),
        ("a woman in a suit", "dress", False, None),
        ("a woman in a suit", "modern clothes", False, None),
        ("a castle", "clothes, dress", False, None),
    ],
)
def test_clothing_is_not_ruled_out_where_somebody_would_wear_it(
    prompt: str, negative: str, adult: bool, expected: str | None
) -> None:
    assert rule(check_texts(prompt, negative, adult=adult)) == expected


@pytest.mark.parametrize("adult", [False, True])
@pytest.mark.parametrize(("prompt", "negative"), CHOICES)
def test_another_choice_of_clothes_passes(prompt: str, negative: str, adult: bool) -> None:
    assert check_texts(prompt, negative, adult=adult) is None


@pytest.mark.parametrize(("prompt", "negative"), BARED)
def test_a_negative_prompt_that_leaves_nothing_to_wear_is_refused(prompt: str, negative: str) -> None:
    assert rule(check_texts(prompt, negative)) == "adult.clothing"
    assert check_texts(prompt, negative, adult=True) is None


@pytest.mark.parametrize("adult", [False, True])
@pytest.mark.parametrize(("prompt", "negative"), BARED_MINORS)
def test_with_a_minor_it_is_refused_whatever_is_switched_on(prompt: str, negative: str, adult: bool) -> None:
    assert rule(check_texts(prompt, negative, adult=adult)) == "minor.clothing"


@pytest.mark.parametrize(("prompt", "expected"), STRICT.items())
def test_what_would_open_a_hole_stays_refused(prompt: str, expected: str) -> None:
    assert rule(check_text(prompt)) == expected


def test_every_text_that_is_drawn_counts_together() -> None:
    assert rule(check_texts("a child", others=["NudeStyle_v2"], adult=True)) == "minor.sexual"
    assert rule(check_texts("nude", others=["schoolgirl_xl"], adult=True)) == "minor.sexual"
    assert rule(check_texts("a castle", others=["nude_v1"])) == "adult.nudity"


def test_the_name_of_a_model_counts_beside_a_minor_only() -> None:
    assert check_texts("a castle", names=["waiNSFWIllustrious_v150"]) is None
    assert rule(check_texts("a child", names=["waiNSFWIllustrious_v150"])) == "minor.sexual"
    assert rule(check_texts("nude", names=["LoliDiffusion"], adult=True)) == "minor.sexual"
    assert rule(check_texts("a castle", names=["lolicon-mix"])) == "minor.sexual"


@pytest.mark.parametrize("negative", ["", "child, loli"])
def test_adult_content_passes_where_it_is_switched_on(negative: str) -> None:
    assert check_texts("a nude woman, 25 years old, lingerie", negative, adult=True) is None


def test_minors_and_people_are_told() -> None:
    assert shows_minor("a child blowing a dandelion")
    assert shows_minor("a portrait", "she is ten years old")
    assert not shows_minor("a baby elephant", "a 12 year old whisky", "girl with a pearl earring", "school bus")
    assert shows_person("a woman in the rain")
    assert not shows_person("a castle in the rain")


def test_a_finding_holds_nothing_of_the_text() -> None:
    assert check_text("nude hyacinth child") == Finding("minor.sexual", "Sexual content with minors is never made.")


@given(st.text(alphabet=st.characters(), max_size=300), st.text(max_size=100))
@settings(max_examples=300, deadline=None)
def test_no_text_makes_it_raise(prompt: str, negative: str) -> None:
    check_texts(prompt, negative, [negative], 0.5, edits=True, masked=prompt)
    check_texts(prompt, negative, names=[prompt])


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40))
@settings(max_examples=200, deadline=None)
def test_words_around_it_do_not_hide_it(words: str) -> None:
    assert rule(check_text(f"{words}\nnude child\n{words}", adult=True)) == "minor.sexual"


HOSTILE = """
a_ a, a. n.u.d. nu_de_ nud_ed_ ch_il_ nu_d_e_ super_bowl_xxx_ stripped_down_
(a ( :1.1) (:- a' 12_ she_looks_about_ 1a_ nU aabb n4k nude_a_ no_ little_ remove_the_
very_young_ nude \ufdfa \u33d5 n\u0301 пude_ ロリ 十 1
"""


@pytest.mark.parametrize("piece", HOSTILE.split())
def test_the_time_grows_with_the_length_and_no_faster(piece: str) -> None:
    piece = piece.replace("_", " ")
    check_text("a")
    short, long = (_seconds((piece * 20_000)[:length]) for length in (2_500, 20_000))
    assert long < 30 * short + 0.05


def _seconds(text: str) -> float:
    """CPU time of the quickest of three."""
    taken: list[float] = []
    for _ in range(3):
        started = time.process_time()
        check_texts(text, text)
        taken.append(time.process_time() - started)
    return min(taken)
