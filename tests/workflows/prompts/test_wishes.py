"""What somebody picked, as presets: names are looked up, free words stand for themselves."""

from __future__ import annotations

import pytest

from workflows.errors import NotFound
from workflows.presets import Shelf
from workflows.prompts.wishes import Picked, picked, with_setting
from workflows.types import OptionGroup, Pack, Preset

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
