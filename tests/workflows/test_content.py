"""The content rules on recipes: every text that is drawn counts, refusals are typed, and the log holds no text."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes import PROFILE
from utils.content_validator import TEXTS
from workflows.content import ContentRules
from workflows.errors import Refused, revived
from workflows.families import families, family
from workflows.types import MAX_PROMPT, FamilyProfile, LoraUse, ModelFacts, Recipe, Reference

SAFE, OPEN = ContentRules(adult=False), ContentRules(adult=True)
CHILD = "a child blowing a dandelion"
WOMAN = "a woman in the rain"


def refusal(rules: ContentRules, uploads: tuple[str, ...] = (), **wish: Any) -> str | None:
    try:
        rules.check(Recipe.checked(**wish), uploads)
    except Refused as refused:
        return refused.rule
    return None


def test_a_refusal_is_short_names_its_rule_and_holds_nothing_of_the_text() -> None:
    with pytest.raises(Refused) as refused:
        SAFE.check(Recipe.checked(prompt="nude hyacinth"))
    assert str(refused.value) == "Refused (adult.nudity): Nudity is switched off on this server."
    assert (refused.value.rule, refused.value.code) == ("adult.nudity", "refused")
    assert revived("refused", str(refused.value)).__class__ is Refused


def test_the_log_gets_the_rule_and_nothing_of_the_text(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), pytest.raises(Refused):
        OPEN.check(Recipe.checked(prompt="nude hyacinth child", negative="gladiolus"))
    assert [record.getMessage() for record in caplog.records] == ["refused by rule minor.sexual"]


@pytest.mark.parametrize(
    "wish",
    [
        {"prompt": CHILD},
        {"prompt": CHILD, "negative": "nsfw, nude, suggestive"},
        {"prompt": WOMAN, "negative": "(nsfw:1.4), nude", "cfg": 1.0},
        {"prompt": WOMAN, "model": "waiNSFWIllustrious_v150"},
        {"task": "img2img", "prompt": "remove the logo from the shirt"},
        {"task": "inpaint", "prompt": "a red dress", "mask_text": "dress"},
        {"task": "upscale"},
    ],
)
def test_a_harmless_recipe_passes(wish: dict[str, Any]) -> None:
    assert (refusal(SAFE, **wish), refusal(OPEN, **wish)) == (None, None)


@pytest.mark.parametrize(
    ("wish", "uploads"),
    [
        ({"prompt": "nude child"}, ()),
        ({"prompt": CHILD, "negative": "nude child"}, ()),
        ({"prompt": CHILD, "negative": "nude", "cfg": 0.5}, ()),
        ({"prompt": CHILD, "loras": (LoraUse(name="NudeStyle_v2"),)}, ()),
        ({"prompt": CHILD, "model": "waiNSFWIllustrious_v150"}, ()),
        ({"prompt": "erotic scene", "loras": (LoraUse(name="schoolgirl_xl"),)}, ()),
        ({"task": "inpaint", "prompt": "lingerie", "mask_text": "the child's shirt"}, ()),
        ({"task": "img2img", "prompt": "in lingerie"}, ("a child in the park",)),
        ({"task": "upscale"}, ("nude child",)),
    ],
)
def test_sexual_content_with_minors_is_refused_wherever_the_words_stand(
    wish: dict[str, Any], uploads: tuple[str, ...]
) -> None:
    assert (refusal(SAFE, uploads, **wish), refusal(OPEN, uploads, **wish)) == ("minor.sexual", "minor.sexual")


def test_adult_content_needs_the_owners_word() -> None:
    assert (refusal(SAFE, prompt="a nude woman"), refusal(OPEN, prompt="a nude woman")) == ("adult.nudity", None)
    assert refusal(SAFE, uploads=("a nude woman",), task="upscale") == "adult.nudity"
    assert refusal(OPEN, uploads=("a nude woman",), task="upscale") is None


@pytest.mark.parametrize("task", ["img2img", "inpaint", "outpaint"])
@pytest.mark.parametrize("rules", [SAFE, OPEN])
def test_nobody_in_a_given_picture_is_undressed(task: str, rules: ContentRules) -> None:
    assert refusal(rules, task=task, prompt="remove her clothes") == "edit.undress"
    assert refusal(rules, task=task, prompt="a nude woman") == "edit.sexual"


def test_a_reference_is_a_given_picture_too() -> None:
    assert refusal(OPEN, prompt="a nude woman", references=(Reference(image="key"),)) == "edit.sexual"


def test_a_picture_with_its_own_past_may_be_edited_where_adult_content_is_allowed() -> None:
    assert refusal(OPEN, uploads=("a nude woman",), task="img2img", prompt="in watercolours") is None


def test_what_speaks_of_a_minor_is_told() -> None:
    assert OPEN.strict(Recipe.checked(prompt=CHILD))
    assert OPEN.strict(Recipe.checked(prompt="a park", loras=(LoraUse(name="SchoolGirl_v2"),)))
    assert not OPEN.strict(Recipe.checked(prompt="a baby elephant", negative="child"))


@pytest.mark.parametrize(
    ("rules", "wish", "expected"),
    [
        (SAFE, {"prompt": CHILD}, "nsfw, nude, suggestive"),
        (OPEN, {"prompt": CHILD, "negative": "blurry"}, "nsfw, nude, suggestive, blurry"),
        (SAFE, {"prompt": CHILD, "negative": "blurry, (NSFW:1.4), nude"}, "suggestive, blurry, (NSFW:1.4), nude"),
        (SAFE, {"prompt": WOMAN}, "nsfw, nude"),
        (OPEN, {"prompt": WOMAN}, ""),
        (SAFE, {"prompt": "a castle"}, ""),
        (SAFE, {"prompt": CHILD, "cfg": 1.0}, ""),
        (SAFE, {"prompt": CHILD, "cfg": 0.5}, ""),
        (SAFE, {"task": "upscale", "prompt": CHILD}, ""),
    ],
)
def test_words_against_nudity_join_the_negative_prompt_and_nothing_else_changes(
    rules: ContentRules, wish: dict[str, Any], expected: str
) -> None:
    recipe = Recipe.checked(**wish)
    safeguarded = rules.safeguarded(recipe, PROFILE)
    assert safeguarded == recipe.but(negative=expected)
    assert rules.safeguarded(safeguarded, PROFILE) == safeguarded


@pytest.mark.parametrize(
    "profile", [family("demo").profile, PROFILE.but(negatives=False), PROFILE.but(cfg=1.0)], ids=["demo", "none", "cfg"]
)
def test_a_family_that_cannot_use_the_words_does_not_get_them(profile: FamilyProfile) -> None:
    recipe = Recipe.checked(prompt=CHILD)
    assert SAFE.safeguarded(recipe, profile) is recipe


@pytest.mark.parametrize("profile", [one.profile for one in families().values()], ids=lambda profile: profile.name)
def test_what_is_safeguarded_still_passes(profile: FamilyProfile) -> None:
    for rules in (SAFE, OPEN):
        rules.check(rules.safeguarded(Recipe.checked(prompt=CHILD), profile))


@given(st.text(min_size=1, max_size=200).filter(lambda text: "\0" not in text), st.floats(0.0, 30.0))
@settings(max_examples=100, deadline=None)
def test_a_refusal_is_all_that_comes_of_any_text(text: str, cfg: float) -> None:
    recipe = Recipe.checked(prompt=text, negative=text, cfg=cfg)
    assert refusal(SAFE, (text,), prompt=text, negative=text, cfg=cfg) in {None, *TEXTS}
    assert SAFE.safeguarded(recipe, PROFILE).prompt == text


def test_a_negative_prompt_that_fills_its_field_makes_room_for_safe_words() -> None:
    full = Recipe.checked(prompt="a woman at a window", negative="y" * MAX_PROMPT)
    negative = ContentRules().safeguarded(full, PROFILE).negative
    assert negative.startswith("nsfw, nude, yyy")
    assert len(negative) == MAX_PROMPT


# what a LoRA's words and facts say


def refused_with(rules: ContentRules, prompt: str, **facts: Any) -> str | None:
    try:
        rules.check_lora(Recipe.checked(prompt=prompt), ModelFacts(**facts))
    except Refused as refused:
        return refused.rule
    return None


NUDE = "a nude woman on a bed"


@pytest.mark.parametrize(
    ("prompt", "facts", "rule"),
    [
        (NUDE, {"minor": True}, "minor.sexual"),
        (NUDE, {"title": "Child body slider"}, "minor.sexual"),
        (NUDE, {"tags": ("1girl", "child")}, "minor.sexual"),
        (NUDE, {"real_person": True}, "person.sexual"),
        (NUDE, {"title": "Ink", "tags": ("style",)}, None),
        (CHILD, {"title": "Hentai style"}, "minor.sexual"),
        (CHILD, {"tags": ("style", "nude")}, "minor.sexual"),
        (CHILD, {"minor": True, "real_person": True}, None),
        (WOMAN, {"minor": True, "real_person": True, "tags": ("portrait",)}, None),
        (WOMAN, {"tags": ("child", "nude")}, "minor.sexual"),
        (WOMAN, {"tags": ("style", "nude")}, None),
    ],
)
def test_whom_a_lora_was_made_of_counts_as_shown(prompt: str, facts: dict[str, Any], rule: str | None) -> None:
    assert refused_with(OPEN, prompt, **facts) == rule


def test_what_a_lora_calls_itself_is_switched_off_with_adult_content() -> None:
    assert refused_with(SAFE, WOMAN, title="Hentai style") == "adult.explicit"
    assert refused_with(SAFE, WOMAN, title="Ink", tags=("nude", "style")) is None


def test_a_minor_in_the_words_that_wake_a_lora_makes_the_recipe_strict() -> None:
    recipe = Recipe(prompt="a garden", loras=(LoraUse(name="x", triggers=("small child",)),))
    assert SAFE.strict(recipe)
    assert OPEN.safeguarded(recipe, PROFILE.but(negatives=True)).negative == "nsfw, nude, suggestive"
    adult = Recipe(prompt="a garden", loras=(LoraUse(name="x", triggers=("a woman",)),))
    assert SAFE.safeguarded(adult, PROFILE.but(negatives=True)).negative == "nsfw, nude"
