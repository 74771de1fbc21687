"""What the keyword analyser reads out of prompts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows.selection import analyse
from workflows.types import PromptAnalysis


def test_a_photograph_in_a_sentence_is_read_as_a_whole() -> None:
    assert analyse("a photo of a woman with pink hair under neon lights in tokyo, 35mm") == PromptAnalysis(
        style="realistic",
        content_type="character",
        key_concepts=("woman", "pink hair", "neon lights", "tokyo", "35mm"),
        recommended_lora_tags=(
            "neon lights", "neon", "glow", "cyberpunk", "night city", "tokyo", "japan", "japanese street", "35mm",
            "analog", "film photography",
        ),
    )  # fmt: skip


def test_tags_are_anime_and_their_quality_words_no_concepts() -> None:
    found = analyse("masterpiece, best quality, 1girl, solo, (silver_hair:1.2), kimono, <lora:kimono_v2:0.8>")
    assert found == PromptAnalysis(
        style="anime",
        content_type="character",
        suggested_base_model="Illustrious",
        key_concepts=("1girl", "silver hair", "kimono"),
        recommended_lora_tags=("kimono", "japanese clothes", "yukata"),
    )


@pytest.mark.parametrize(
    ("prompt", "style"),
    [
        ("RAW photo, woman, film grain", "realistic"),
        ("shot on Kodak Portra 400, a boy on a bicycle", "realistic"),
        ("anime key visual of a mage", "anime"),
        ("oil painting of a ship", "artistic"),
        ("a ukiyo-e print of a wave", "artistic"),
        ("isometric low poly island", "3d"),
        ("16-bit sprite of a mushroom", "pixel art"),
        ("sticker of a happy avocado", "illustration"),
        ("comic book page, a detective", "illustration"),
        ("ein Ölgemälde einer alten Burg", "artistic"),
        ("fotografía de un perro en la playa", "realistic"),
        ("une aquarelle d'un chat", "artistic"),
        ("赤い着物の少女、アニメ", "anime"),
        ("一座山的水墨画", "artistic"),
        ("a cat on a windowsill", ""),
        ("not a photo, a cat", ""),
        ("a wooden house without anime characters", ""),
    ],
)
def test_the_style_is_what_the_words_say(prompt: str, style: str) -> None:
    assert analyse(prompt).style == style


@pytest.mark.parametrize(
    ("asked", "style"),
    [("photorealistic", "realistic"), ("Anime", "anime"), ("digital_art", "illustration"), ("3D", "3d"), ("cosy", "")],
)
def test_a_style_that_is_asked_for_is_read_in_any_spelling(asked: str, style: str) -> None:
    assert analyse("a house", asked).style == style


def test_a_style_that_is_asked_for_stands_above_the_prompt_and_is_a_concept() -> None:
    found = analyse("photo of a street", "cyberpunk anime")
    assert (found.style, found.key_concepts) == ("anime", ("street", "cyberpunk anime"))
    assert "neon" in found.recommended_lora_tags


@pytest.mark.parametrize(
    ("prompt", "base"),
    [
        ("score_9, score_8_up, a fox", "Pony"),
        ("rating_safe, source_cartoon, two cats", "Pony"),
        ("1boy, solo, red_eyes, cape, absurdres", "Illustrious"),
        ("furry, anthro, solo, fox, looking at viewer", "NoobAI"),
        ("an anime girl in a field", "Illustrious"),
        ('a neon sign that says "BAR"', "Qwen-Image"),
        ("a birthday card with the words Happy Birthday", "Qwen-Image"),
        ("夕暮れの海", "Qwen-Image"),
        ("an old man called 'Big Joe' by his friends", ""),
        ("a red car", ""),
        (" ".join(["the fisherman mends his nets while gulls circle above the quiet harbour"] * 5) + ".", "Flux.1"),
        ("woman, red dress, 85mm, bokeh, photo", ""),
        ("girl, solo", ""),
        ("photo of 1girl, realistic, dslr, solo, long hair", ""),
    ],
)
def test_the_base_model_is_the_one_that_reads_such_prompts(prompt: str, base: str) -> None:
    assert analyse(prompt).suggested_base_model == base


@pytest.mark.parametrize(
    ("prompt", "content"),
    [
        ("portrait of a queen", "portrait"),
        ("a knight on a hill", "character"),
        ("two dogs in a park", "animal"),
        ("a gothic cathedral", "architecture"),
        ("mountains at dawn", "landscape"),
        ("a bottle of perfume on marble", "object"),
        ("a poster with the text SALE", "text"),
        ("fractal pattern", "abstract"),
        ("something wonderful", "scene"),
        ("", "scene"),
    ],
)
def test_what_the_picture_shows_is_told(prompt: str, content: str) -> None:
    assert analyse(prompt).content_type == content


def test_steps_and_guidance_are_suggested_only_in_so_many_words() -> None:
    def numbers(prompt: str) -> tuple[int | None, float | None]:
        found = analyse(prompt)
        return found.suggested_steps, found.suggested_cfg

    assert numbers("a car, 30 steps, cfg 6.5") == (30, 6.5)
    assert numbers("quick sketch of a castle") == (15, None)
    assert numbers("ultra detailed castle") == (40, None)
    assert numbers("a castle with 12 steps leading up, 8k, masterpiece") == (None, None)
    assert numbers("a highly detailed castle") == (None, None)
    assert numbers("stairs, steps: 900, cfg scale: 99") == (None, None)


def test_adult_wishes_are_told_and_innocent_words_are_not() -> None:
    assert analyse("naked woman, explicit").adult
    assert not analyse("nude coloured lipstick on a table").adult
    assert not analyse("a statue by a naked rock").adult


def test_words_that_are_to_be_written_are_no_concepts() -> None:
    assert analyse('a sign that says "DRAGON KNIGHT" over a bakery').key_concepts == ("sign", "bakery")


@given(st.text(max_size=300))
def test_any_text_is_read_without_failing_and_within_bounds(prompt: str) -> None:
    found = analyse(prompt, prompt[:50])
    assert len(found.key_concepts) <= 24 and len(found.recommended_lora_tags) <= 16
    assert all(0 < len(concept) <= 60 for concept in found.key_concepts)
    assert found.by == "keywords"


def test_the_longest_prompts_are_read_too() -> None:
    assert analyse("castle, " * 2500).key_concepts == ("castle",)
    assert analyse("(" * 20_000).key_concepts == ()
