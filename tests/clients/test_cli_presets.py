"""`atelier presets`: what there is to pick, level by level, and the user's own; the desk is a fake."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.prompt_kit import House, Shown, answer, lines
from workflows.types import Preset


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_presets_are_listed_one_level_at_a_time(house: House, capsys: Shown) -> None:
    assert house("presets", "list") == 0
    shown = capsys.readouterr()
    assert "style (2): Ink, Mine" in shown.out and "  photography: portrait" in shown.out
    assert "broken.json" in shown.err

    listed: dict[tuple[str, ...], list[str]] = {}
    for level in (("--kind", "style"), ("photography",), ("photography", "portrait"), ("options",), ("packs",)):
        assert house("presets", "list", *level) == 0
        listed[level] = lines(capsys)
    assert listed == {
        ("--kind", "style"): ["style:ink  Ink  ink text", "style:mine  Mine  mine text (your own)"],
        ("photography",): ["photography/portrait  Portrait  portrait text  1 artists"],
        ("photography", "portrait"): ["photography/portrait/irving-penn  Irving-Penn  irving-penn text"],
        ("options",): ["Mood (several may be picked)", "mood:epic  Epic  epic text"],
        ("packs",): ["pack:start  Start  a start", "  style:ink, mood:epic"],
    }


def test_presets_in_json_are_the_answer_of_the_tool(house: House, capsys: Shown) -> None:
    assert house("presets", "list", "--json") == 0
    assert answer(capsys)["style"] == ["Ink", "Mine"]
    assert house("presets", "show", "Ink", "--json") == 0
    assert [row["path"] for row in answer(capsys)["presets"]] == ["style:ink"]
    assert house("presets", "list", "horror", "--json") == 1
    assert house("presets", "list", "--kind", "mood") == 2
    assert house("presets", "list", "photography", "--kind", "style") == 2


def test_a_preset_is_shown_with_all_that_it_adds(house: House, capsys: Shown) -> None:
    assert house("presets", "show", "ink") == 0
    assert lines(capsys) == ["style:ink  Ink", "  adds     ink text", "  without  photo", "  style    artistic"]
    assert house("presets", "show", "none") == 2
    assert house("presets", "show", "inc") == 1
    assert "ink" in capsys.readouterr().err.rpartition("Did you mean")[2]


def test_a_preset_of_ones_own_is_added_and_removed(house: House, capsys: Shown) -> None:
    options = ["--negative", "photo", "--hint", "artistic"]
    assert house("presets", "add", "lighting", "Café Noir", "dim light", *options) == 0
    assert lines(capsys)[0] == "lighting:cafe-noir  Café Noir (your own)"
    assert house("presets", "add", "style", "水墨", "ink wash", "--id", "ink-wash", "--json") == 0
    assert answer(capsys)["path"] == "style:ink-wash"
    cafe = Preset(
        id="cafe-noir", name="Café Noir", kind="lighting", text="dim light", negative="photo", hint="artistic"
    )
    wash = Preset(id="ink-wash", name="水墨", kind="style", text="ink wash")
    assert house.desk.asked == [("add", cafe), ("add", wash)]

    assert house("presets", "add", "style", "水墨", "ink wash") == 2
    assert "--id" in capsys.readouterr().err
    assert house("presets", "remove", "style", "mine") == 0
    assert lines(capsys) == ["Removed style:mine."]
    assert house("presets", "remove", "style", "min") == 1
    assert "Did you mean style:mine?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("mood", "Epic", "vast"), "kind cannot be 'mood': it is style, artist, composition or lighting."),
        (("style", "", "vast"), "name cannot be '': it says what the preset is called."),
        (("style", "!!", "vast"), "name cannot be '!!': no id can be made of it: give one with --id."),
        (
            ("style", "X", "x", "--id", "A B"),
            "id cannot be 'A B': it is small letters, digits and hyphens, at most 60.",
        ),
    ],
)
def test_a_preset_that_cannot_be_kept_says_what_to_change(
    house: House, capsys: Shown, given: tuple[str, ...], said: str
) -> None:
    assert house("presets", "add", *given) == 2
    assert said in capsys.readouterr().err
    assert house.desk.asked == []


def test_an_id_made_of_a_long_name_ends_with_a_word(house: House, capsys: Shown) -> None:
    assert house("presets", "add", "style", f"{'a' * 59} {'b' * 10}", "vast", "--json") == 0
    assert answer(capsys)["path"] == f"style:{'a' * 59}"
