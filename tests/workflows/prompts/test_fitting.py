"""What a language model wrote, brought into a family's form."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workflows.families import family
from workflows.prompts.dialects import dialect_of
from workflows.prompts.fitting import fitted
from workflows.prompts.spelling import spelt
from workflows.types import Change, Preset, Wish, Written


def fit(prompt: str, kind: str, words: str = "a cat on a windowsill", negative: str = "", **more: str) -> Written:
    return fitted(prompt, negative, Wish(words=words, **more), family(kind), by="llama")  # pyright: ignore[reportArgumentType]


def test_a_reply_for_flux_loses_weights_qualities_and_its_negative() -> None:
    found = fit(
        "A photo of (a cat:1.3) on a windowsill, masterpiece, 8k. Rain runs down the glass", "flux-dev", negative="dog"
    )
    assert found.prompt == "A photo of a cat on a windowsill. Rain runs down the glass."
    assert (found.negative, found.by, found.budget) == ("", "llama", 512)
    assert found.added == ("A photo of", "Rain runs down the glass")
    whats = [change.what for change in found.changes]
    assert "took the weights and brackets out, and kept their words" in whats
    assert "left out masterpiece, 8k" in whats


def test_a_reply_for_pony_has_the_score_tags_in_front_whatever_it_wrote() -> None:
    found = fit("cat, windowsill, score_9, rain, sitting, masterpiece", "pony")
    tags = found.prompt.split(", ")
    assert tags[:2] == ["score_8_up", "score_7_up"] or tags[0] == "score_9"
    assert tags.count("score_9") == 1 and "rating_safe" in tags and "masterpiece" not in tags


def test_what_the_user_said_in_other_words_is_still_the_users() -> None:
    found = fit("A tabby cat dozes on the wide windowsill, lit from behind. Dust floats in the air.", "flux-dev")
    assert found.added == ("lit from behind", "Dust floats in the air.")


def test_additions_give_way_to_the_budget_from_the_end_and_the_users_words_do_not() -> None:
    extra = ", ".join(
        f"{word} colored glow behind the old glass panes" for word in "red blue green teal pink gold gray white".split()
    )
    found = fit(f"a cat on a windowsill, {extra}", "sdxl")
    assert found.prompt.startswith("a cat on a windowsill, red colored glow") and "white" not in found.prompt
    assert found.tokens <= 75
    assert any(change.what.startswith("left out") and "addition" in change.what for change in found.changes)


def test_negatives_come_from_the_user_then_the_reply_then_the_family_each_once() -> None:
    found = fit("a cat on a windowsill", "sdxl", negative="Blurry, dogs", words="a cat on a windowsill, no curtains")
    parts = found.negative.split(", ")
    assert parts[:4] == ["curtains", "Blurry", "dogs", "lowres"] and "blurry" not in parts[1:][1:]
    assert "curtains" not in found.prompt


def test_a_negative_that_is_not_read_is_said_to_be_left_out() -> None:
    found = fit("A cat on a windowsill.", "flux-dev", negative="", words="a cat on a windowsill")
    assert found.changes == ()
    asked = fitted("A cat.", "", Wish(words="a cat", negative="dogs"), family("flux-dev"), by="llama")
    assert asked.changes == (
        Change(what="left out your negative prompt", why="FLUX.1 dev reads none: say what you want to see"),
    )


def test_the_reply_may_not_rule_out_what_the_user_wants() -> None:
    assert "cat" not in fit("a cat on a windowsill", "sdxl", negative="cat, dogs").negative.split(", ")


def test_quoted_text_stays_letter_by_letter() -> None:
    words = 'a sign that says "8k, masterpiece (OPEN) at_9"'
    for kind in ("flux-dev", "illustrious", "sdxl"):
        assert '"8k, masterpiece (OPEN) at_9"' in fit(words, kind, words=words).prompt


def test_lumina_gets_its_system_prompt_once() -> None:
    once = fit("A cat on a windowsill.", "lumina2").prompt
    assert once.count("<Prompt Start>") == 1 and once.startswith("You are an assistant")
    assert fit(once, "lumina2").prompt.count("<Prompt Start>") == 1


@pytest.mark.parametrize(
    "text",
    [r"\\)", r"\(a)", r"a\\(", r"(\\(", r"saber \(fate\)", "((((a:1.2))))", "[[a], b]", "(,]", "[a, b,)", "[[m,]"],
)
def test_brackets_with_backslashes_and_commas_are_spelt_once_too(text: str) -> None:
    once = spelt(text, family("flux-dev"), dialect_of("flux-dev")).text
    assert spelt(once, family("flux-dev"), dialect_of("flux-dev")).text == once


@pytest.mark.parametrize("kind", ["flux-dev", "sdxl", "illustrious", "pony", "qwen-image", "demo"])
@settings(max_examples=40, deadline=None)
@given(text=st.text(alphabet=st.sampled_from("ab ,.()[]:1._\"'\\nmo8k-\u732b"), max_size=60))
def test_words_are_spelt_once_and_for_all(kind: str, text: str) -> None:
    once = spelt(text, family(kind), dialect_of(kind)).text
    assert spelt(once, family(kind), dialect_of(kind)).text == once
    fitted(text, text, Wish(words=text), family(kind), by="llama")


def test_what_the_reply_says_of_the_wish_again_gives_way_and_the_family_s_own_words_stay_longest() -> None:
    again = ", ".join(["one cat by the windowsill"] * 30)  # the user's words, so that none of them is an addition
    found = fit(again, "sdxl")
    assert found.prompt.startswith("one cat by the windowsill, ") and 60 < found.tokens <= 75
    filled = fit("a cat on a windowsill, " + ", ".join(f"glow of lamp number {n}" for n in range(60)), "illustrious")
    assert filled.prompt.endswith("masterpiece, best quality, very aesthetic, absurdres, newest, general")
    assert filled.tokens <= 150 and filled.prompt.startswith("a cat on a windowsill, glow of lamp number 0, ")


def test_a_source_that_was_given_stays_alone_and_the_rating_of_everybody_stays() -> None:
    words = "anime girl, source_cartoon"
    found = fit(words, "pony", words=words)
    assert found.prompt.count("source_") == 1 and "rating_safe" in found.prompt
    assert "rating_safe" in fit("a cat, rating_questionable", "pony", words="a cat, rating_questionable").prompt


def test_qwen_s_ending_is_for_photographs_without_lettering() -> None:
    assert fit("A photo of a cat.", "qwen-image", words="a photo of a cat").prompt.endswith("cinematic composition.")
    for words in ('a photo of a mug that says "HI"', "a watercolor of a cat"):
        assert "Ultra HD" not in fit(words, "qwen-image", words=words).prompt


def test_an_addition_that_is_said_twice_stands_once() -> None:
    assert fit("a cat on a windowsill, warm light, Warm light", "sdxl").prompt.count("arm light") == 1


def test_the_demo_model_is_ruled_out_nothing_that_was_not_asked_for() -> None:
    fog = Preset(id="fog", name="Fog", kind="lighting", text="fog", negative="hard shadows")
    wish = Wish(words="three red stars", presets=(fog,), negative="blue")
    assert fitted("three red stars", "", wish, family("demo"), by="rules").negative in {"", "blue"}


def test_a_wish_for_photorealism_does_not_rule_photographs_out() -> None:
    found = fit("a photorealistic oil painting", "sd15", negative="photo", words="a photorealism oil painting of a cat")
    assert "photo" not in found.negative.split(", ")


def test_only_encoders_that_read_english_alone_are_said_to() -> None:
    assert fit("ein Hund und eine Katze", "sdxl", words="ein Hund und eine Katze").notes
    assert fit("ein Hund und eine Katze", "qwen-image", words="ein Hund und eine Katze").notes == ()


def test_score_tags_stand_first_and_in_their_order_wherever_they_were_written() -> None:
    found = fitted("score_8_up, a cat, score_9", "", Wish(words="a cat, score_9"), family("pony"), by="rules")
    assert found.prompt.startswith(f"{', '.join(dialect_of('pony').first)}, ")
    assert found.prompt.count("score_9") == 1 and "score_9" not in found.added
