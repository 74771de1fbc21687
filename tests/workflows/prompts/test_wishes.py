"""What somebody picked, as presets: names are looked up, free words stand for themselves."""

from __future__ import annotations

import pytest

from workflows.errors import BadRecipe, NotFound
from workflows.presets import Shelf
from workflows.prompts.wishes import Picked, left_out, picked, taken_up, with_setting
from workflows.types import OptionGroup, Pack, Preset, Wish

NOIR = Preset(id="noir", name="Film noir", kind="style", path="style:noir", text="hard key light", hint="realistic")
NEON = Preset(id="neon", name="Neon", kind="lighting", path="lighting:neon", text="neon glow")
EPIC = Preset(id="epic", name="Epic", kind="option", path="mood:epic", text="vast scale")
SHELF = Shelf(
    flat={"style": (NOIR,), "lighting": (NEON,)},
    universal=(OptionGroup(id="mood", name="Mood", several=True, options=(EPIC,)),),
    packs=(Pack(id="city", name="City", presets=("style:noir", "mood:epic")),),
)


def test_references_come_first_each_preset_once_and_the_first_hint_is_the_style() -> None:
    chosen = picked(SHELF, {"lighting": "neon", "style": "Film Noir"}, ["pack:city, mood:epic", "None"])
    assert chosen == Picked(presets=(NOIR, EPIC, NEON), style="realistic")


def test_words_that_are_no_preset_stand_for_themselves() -> None:
    chosen = picked(SHELF, {"style": "anime", "lighting": "torch light, long shadows", "artist": " "})
    assert [(one.kind, one.text) for one in chosen.presets] == [
        ("style", "anime"),
        ("lighting", "torch light, long shadows"),
    ]
    assert chosen.style == "anime"


def test_a_part_may_be_a_preset_of_another_kind() -> None:
    assert picked(SHELF, {"lighting": "mood:epic"}).presets == (EPIC,)


def test_a_reference_that_is_none_is_refused_with_near_names() -> None:
    with pytest.raises(NotFound, match="pack:city"):
        picked(SHELF, {}, ["pack:citty"])
    with pytest.raises(NotFound, match="list_presets lists them"):
        picked(SHELF, {}, ["zzzz"])


@pytest.mark.parametrize(
    ("setting", "whole"),
    [
        (None, "a fox"),
        ("a snowy forest", "a fox in a snowy forest"),
        ("on the moon", "a fox on the moon"),
        ("Paris", "a fox, Paris"),
        ("inland waters", "a fox, inland waters"),
    ],
)
def test_a_subject_stands_in_its_setting(setting: str | None, whole: str) -> None:
    assert with_setting("a fox", setting) == whole


def test_more_presets_than_a_wish_takes_are_refused_with_their_number() -> None:
    many = tuple(Preset(id=f"s-{n}", name=f"S {n}", kind="style", path=f"style:s-{n}") for n in range(41))
    with pytest.raises(BadRecipe, match=r"41 presets.* at most 40"):
        picked(Shelf(flat={"style": many}), {}, [one.path for one in many])


def test_what_a_prompt_says_nothing_of_is_left_out_and_a_category_goes_with_what_is_below() -> None:
    photo = Preset(id="photography", name="Photography", kind="category", path="photography", text="true texture")
    street = Preset(id="street", name="Street", kind="type", path="photography/street", text="candid pedestrians")
    wish = Wish(words="a light rain", presets=(NOIR, EPIC, photo, street))
    assert left_out(wish, "A light rain under a key lamp, hard shadows.") == (EPIC, street)
    assert left_out(wish, "Rain on a vast scale; candid pedestrians in hard light by a key.") == ()


def test_presets_are_taken_up_in_the_form_of_the_family() -> None:
    assert taken_up("A fox runs", (EPIC,), "sentences") == "A fox runs. The mood comes from vast scale."
    assert taken_up("a fox, snow", (NOIR, NEON), "tags") == "hard key light, neon glow, a fox, snow"
