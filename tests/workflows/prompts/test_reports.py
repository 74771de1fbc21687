"""What a prompt says of a picture, what it leaves open, and what is wrong with it for a family."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workflows.families import families, family
from workflows.presets import Presets, Shelf
from workflows.prompts import reports
from workflows.prompts.reports import report
from workflows.types import Change, Preset, PromptReport

SHELF = Presets().shelf()


def wrong(prompt: str, name: str) -> list[str]:
    """What is wrong with the prompt, but for its length."""
    problems = report(prompt, family(name)).problems
    return [problem.what for problem in problems if "trained on long descriptions" not in problem.what]


def test_a_report_says_what_the_prompt_says_and_what_it_leaves_open() -> None:
    prompt = "a watercolor of a red fox in a snowy forest at dawn, close-up, soft light, melancholic"
    assert report(prompt, family("sdxl")) == PromptReport(
        family="sdxl",
        subject="red fox",
        style="artistic",
        content_type="animal",
        kind="sentences",
        has={
            "medium": ("watercolor",),
            "setting": ("snowy", "forest", "dawn"),
            "composition": ("close-up",),
            "lighting": ("light",),
            "colour": ("red",),
            "mood": ("melancholic",),
        },
        tokens=report(prompt, family("sdxl")).tokens,
        budget=75,
    )


def test_what_is_missing_is_suggested_from_the_shelf() -> None:
    found = report("portrait of a woman", family("sdxl"), SHELF)
    assert found.missing == ("medium", "setting", "lighting", "colour", "mood")
    assert found.suggestions[:3] == ("style:studio-portrait-photo", "time-of-day:dusk", "lighting:window-light")
    assert all(SHELF.find(path)[-1].path == path for path in found.suggestions)
    assert report("portrait of a woman", family("sdxl"), Shelf()).suggestions == ()
    assert report("portrait of a woman", family("sdxl")).suggestions == ()


def test_every_path_that_may_be_suggested_is_on_the_shelf() -> None:
    table = reports._FITTING  # pyright: ignore[reportPrivateUsage]
    paths = {path for area in table.values() for fitting in area.values() for path in fitting}
    assert [path for path in sorted(paths) if SHELF.find(path)[-1].path != path] == []


def test_no_suggestion_goes_against_the_prompt() -> None:
    preset = Preset(id="dusk", name="Dusk", kind="option", path="style:photorealistic", text="photo, midday sun")
    shelf = Shelf(flat={"style": (preset.but(kind="style", id="photorealistic", name="Photorealistic"),)})
    assert report("a cat in a garden", family("sdxl"), shelf).suggestions == ("style:photorealistic",)
    assert report("a cat in a garden at night", family("sdxl"), shelf).suggestions == ()


@pytest.mark.parametrize(
    ("prompt", "name", "what"),
    [
        ("(red car:1.3) on a street", "flux-dev", ["weights such as (red car:1.3)"]),
        ("a [red] car on a street", "flux-dev", ["weights such as brackets"]),
        ("(red car:1.3) on a street", "sdxl", []),
        ("(red car:1.9) on a street", "sdxl", ["a weight of 1.9 on red car"]),
        ("a red car, (blue sky", "sdxl", ["1 of ( and 0 of )"]),
        ("hatsune miku \\(vocaloid\\), 1girl", "illustrious", []),
        ("a street without any people, no cars", "flux-dev", ["without any people", "no cars"]),
        ("1girl, no humans in sight", "noobai", []),
        ('a sign that says "no dogs"', "sdxl", []),
        ("masterpiece, a cat", "flux-dev", ["masterpiece"]),
        ("masterpiece, a cat", "sdxl", []),
        ("score_9, source_anime, a knight", "sdxl", ["score_9, source_anime"]),
        ("a knight", "pony", ["no score tags"]),
        ("score_9, a knight", "pony", []),
        ("photorealistic anime girl", "sdxl", ["photorealistic and anime"]),
        ("a street at night, noon", "sdxl", ["night and noon"]),
        ("portrait of a man, wide panorama", "sdxl", ["portrait and wide panorama"]),
        ("a dog, cute, a dog", "sdxl", ["a dog, 2 times"]),
        ("long_hair, 1girl", "illustrious", ["underscores in tags"]),
        ("long_hair, 1girl", "sdxl", []),
        ("a, b, c, d, e, f, g", "flux-dev", ["a list of tags"]),
        ("一只红色的狐狸", "sdxl", ["a script that its encoder does not know"]),
        ("一只红色的狐狸", "qwen-image", []),
        ("  ", "sdxl", ["it says nothing"]),
        ("a quiet lake at dusk", "sdxl", []),
    ],
)
def test_what_is_wrong_is_told_apart_by_family(prompt: str, name: str, what: list[str]) -> None:
    assert wrong(prompt, name) == what


def test_lengths_are_told_both_ways() -> None:
    long = report("a lighthouse on a rocky coast, " * 20, family("sdxl"))
    assert long.tokens > 75 == long.budget
    assert long.problems[0].what == f"about {long.tokens} tokens, and 75 are read well"
    short = report("a cat", family("flux-dev"))
    assert short.problems == (
        Change(
            what="2 words, and the model was trained on long descriptions",
            why="about 40 words leave less to chance: place, light, framing, colours",
        ),
    )


def test_what_to_do_about_a_negative_depends_on_the_family() -> None:
    (read,) = (one.why for one in report("a street, no cars", family("sdxl")).problems)
    assert "put cars into the negative prompt" in read
    unread = [one.why for one in report("a street, no cars", family("flux-dev")).problems]
    assert "say what is there instead" in unread[-1]


@pytest.mark.parametrize(
    ("prompt", "kind"),
    [
        ("1girl, long hair, blue eyes, night", "tags"),
        ("a cat sits on a green sofa by the window", "sentences"),
        ("A cat sits on a green sofa by the window, cute, soft light, dusk, 85mm", "mixed"),
        ("a cat", "sentences"),
    ],
)
def test_tags_are_told_from_sentences(prompt: str, kind: str) -> None:
    assert report(prompt, family("sdxl")).kind == kind


def test_words_to_be_written_say_nothing_of_the_picture() -> None:
    found = report('a poster that says "NIGHT OF THE OIL PAINTING"', family("sdxl"))
    assert found.has == {"medium": ("poster",), "text": ("NIGHT OF THE OIL PAINTING",)}


@given(prompt=st.text(max_size=200), name=st.sampled_from(list(families())))
@settings(deadline=None, max_examples=60)
def test_any_prompt_has_a_report(prompt: str, name: str) -> None:
    assert report(prompt, family(name), SHELF).family == name


@pytest.mark.parametrize(
    "piece", ["(", "(a:", "no ", "a_b ", '"', "[", "no a ", ", ", "night ", "(a:1.9)", "score_9", "\\("]
)
def test_long_prompts_are_read_in_time(piece: str) -> None:
    assert report(piece * 8000, family("sdxl"), SHELF).family == "sdxl"


def test_marks_that_no_encoder_reads_are_named() -> None:
    problems = wrong('<lora:x:0.8> a knight BREAK a {red|blue} flag over __city__, "BREAK"', "sdxl")
    assert problems == ["<lora:x:0.8>", "BREAK", "{red|blue}", "__city__"]
    assert wrong('a sign that says "BREAK {a|b}"', "sdxl") == []


def test_the_subject_is_the_thing_and_not_that_it_says_something() -> None:
    assert report('a poster that says "OPEN"', family("qwen-image")).subject == "poster"
    assert report("knight BREAK castle", family("sdxl")).subject == "knight"


def test_a_model_of_simple_captions_is_not_told_to_say_more() -> None:
    assert report("three red stars", family("demo")).problems == ()
    assert report("cat", family("z-image-turbo")).problems[0].what.startswith("1 word, ")
