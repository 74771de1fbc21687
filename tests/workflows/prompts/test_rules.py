"""The rule-based writer."""

from __future__ import annotations

import pytest

from workflows.families import family
from workflows.prompts.rules import write
from workflows.types import Preset, PresetKind, Wish, Written


def preset(kind: PresetKind, name: str, text: str, **more: str) -> Preset:
    found = {"id": name.lower().replace(" ", "-"), "name": name, "kind": kind, "text": text} | more
    return Preset.checked(**found)


WATERCOLOR = preset("style", "Watercolor", "watercolor painting, soft wet edges, visible paper grain", hint="artistic")
MUCHA = preset("artist", "Alphonse Mucha", "art nouveau lithograph, strong contour lines", artist="Alphonse Mucha")
LOW = preset("composition", "Low Angle", "low angle shot looking up, subject towers against the sky")
DAWN = preset("option", "Dawn", "dawn, pale pink horizon, low mist", path="time-of-day:dawn")
COOL = preset("option", "Cool", "cool palette of blue, teal and slate", path="colour-palette:cool")
FOGGY = preset("lighting", "Foggy", "soft diffuse light", negative="hard shadows, lighthouse")


def wrote(words: str, kind: str, *presets: Preset, **more: str) -> Written:
    return write(Wish.checked(words=words, presets=presets, **more), family(kind))


def test_a_preset_s_medium_comes_first_and_its_looks_follow_in_sentences() -> None:
    found = wrote("a lighthouse on a cliff", "flux-dev", WATERCOLOR, DAWN, COOL)
    assert found.prompt.startswith(
        "A watercolor painting of a lighthouse on a cliff. It has soft wet edges and visible paper grain. "
        "It is dawn, with a pale pink horizon and low mist. It keeps to a cool palette of blue, teal and slate. "
    )
    assert found.added[0] == "A watercolor painting of"
    assert found.presets == ("watercolor", "time-of-day:dawn", "colour-palette:cool")


def test_the_user_s_medium_is_never_changed() -> None:
    assert wrote("photo of a lighthouse", "flux-dev", WATERCOLOR).prompt.startswith("Photo of a lighthouse. ")
    assert wrote("watercolor painting of a fox", "flux-dev", style="realistic").prompt.startswith("Watercolor painting")


@pytest.mark.parametrize(
    ("words", "begins"),
    [
        ("cat on a windowsill", "A photograph of a cat on a windowsill."),
        ("portrait of a queen", "A photographic portrait of a queen."),
        ("two wolves", "A photograph of two wolves."),
        ("an owl", "A photograph of an owl."),
        ("a dragon", "A dragon."),
        ("An old man sits on a bench.", "An old man sits on a bench. "),
        ("please create an image of a cat", "An image of a cat."),
        ("Berlin at night", "A photograph of Berlin at night."),
        ("octopus", "A photograph of an octopus."),
        ("kids playing football", "A photograph of kids playing football."),
        ("pov of a skateboarder on a ramp", "A photographic pov of a skateboarder on a ramp."),
        ("could you please draw me a fox? thank you so much!", "A photograph of a fox."),
        ("a girl in the style of Greg Rutkowski", "A girl in the style of Greg Rutkowski."),
    ],
)
def test_sentences_begin_as_the_words_allow(words: str, begins: str) -> None:
    assert wrote(words, "flux-dev").prompt.startswith(begins)


def test_artists_are_named_only_to_families_that_know_them() -> None:
    assert "by Alphonse Mucha" in wrote("a queen", "sdxl", MUCHA).prompt
    assert "alphonse mucha" in wrote("a queen", "illustrious", MUCHA).prompt
    for kind in ("flux-dev", "qwen-image", "pony"):
        found = wrote("a queen", kind, MUCHA)
        assert "mucha" not in found.prompt.lower() and "strong contour lines" in found.prompt
        assert any("without the name" in change.what for change in found.changes)


def test_artists_whom_the_user_names_stay() -> None:
    assert "Pieter Bruegel" in wrote("a village in the style of Pieter Bruegel", "flux-dev").prompt


def test_danbooru_families_get_counts_first_and_names_escaped() -> None:
    found = wrote("a woman with saber_(fate), red_scarf", "illustrious")
    assert found.prompt.startswith(r"1girl, solo, a woman with saber \(fate\), red scarf, ")
    assert {"wrote underscores as spaces", "escaped the brackets of names"} <= {one.what for one in found.changes}


@pytest.mark.parametrize(
    ("words", "style", "source"),
    [
        ("a fox", "anime", "source_anime"),
        ("a fox", "comic", "source_cartoon"),
        ("anthro fox, furry", "", "source_furry"),
    ],
)
def test_pony_is_told_which_pictures_to_draw_like(words: str, style: str, source: str) -> None:
    assert wrote(words, "pony", style=style).prompt.split(", ")[6:8] == [source, "rating_safe"]


def test_ratings_are_left_to_the_owner_who_allows_more() -> None:
    assert "rating_safe" not in write(Wish(words="a fox"), family("pony"), adult=True).prompt


def test_what_presets_say_already_is_not_added_again() -> None:
    found = wrote("a lighthouse", "flux-dev", FOGGY, LOW)
    assert "light" not in " ".join(found.added[3:]).replace("lighthouse", "")
    assert "The subject towers against the sky." in found.prompt
    assert "hard shadows" in wrote("a lighthouse", "sdxl", FOGGY).negative
    assert "lighthouse" not in wrote("a lighthouse", "sdxl", FOGGY).negative


@pytest.mark.parametrize(
    ("words", "prompt", "negative"),
    [
        ("a street without people or cars", "a street", ["people", "cars"]),
        ("a street, no people, rain", "a street, rain", ["people"]),
        ("a man with no hat and a red scarf", "a man with no hat and a red scarf", []),
        ("a sign, no parking", "a sign, no parking", []),
        ("a man without a shirt", "a man without a shirt", []),
    ],
)
def test_what_is_ruled_out_moves_to_the_negative_prompt_where_that_is_sure(
    words: str, prompt: str, negative: list[str]
) -> None:
    found = wrote(words, "sdxl")
    assert found.prompt.startswith(prompt) and found.words == words
    assert found.negative.split(", ")[: len(negative)] == negative


def test_a_negative_that_is_not_read_is_said_the_other_way_round_where_a_sentence_can() -> None:
    found = wrote("a city street", "flux-dev", negative="people, watermark")
    assert "The place is deserted." in found.prompt and found.negative == ""
    assert "The place is deserted." not in wrote("a man in a street", "flux-dev", negative="people").prompt


def test_a_long_wish_is_only_polished() -> None:
    words = " ".join(["the fisherman mends his nets while gulls circle above the harbour"] * 6)
    found = wrote(words, "flux-dev")
    assert found.prompt == f"{words[0].upper()}{words[1:]}." and found.added == ()


def test_edits_are_given_nothing_that_was_not_asked_for() -> None:
    assert wrote("make the sky purple", "flux-kontext").added == ()


def test_the_demo_model_gets_the_words_alone() -> None:
    found = wrote("three red stars", "demo", WATERCOLOR)
    assert (found.prompt, found.negative, found.added) == ("three red stars", "", ())
    assert [change.what for change in found.changes] == ["left out the presets"]


def test_videos_are_told_how_the_camera_moves() -> None:
    assert "camera" in wrote("a red car driving through the desert", "wan22-14b").prompt
    assert "camera" not in wrote("a red car driving through the desert", "flux-dev").prompt


def test_other_languages_stay_as_they_are_with_a_note_where_only_english_is_read() -> None:
    assert wrote("一只猫", "qwen-image").prompt == "一只猫。"
    assert any("reads English" in note for note in wrote("ein Hund und eine Katze", "sdxl").notes)


CATEGORY = preset(
    "category", "Photography", "photograph, natural lens perspective, true surface texture, fine tonal gradation"
)
TYPE = preset(
    "type", "Portrait", "portrait photograph, sharp focus on the eyes, natural skin texture, simple background tones"
)
PENN = preset(
    "artist",
    "Irving Penn",
    "black and white studio portrait, bare gray corner formed by two flats, soft north skylight, sculptural stillness, "
    "plain worn floor, economical props, rich platinum print tones, austere elegance",
    artist="Irving Penn",
)
NIGHT = preset("option", "Night", "night, dark sky, pools of artificial light", path="time-of-day:night")


@pytest.mark.parametrize("kind", ["sdxl", "sd15", "pony", "illustrious"])
def test_of_a_path_the_most_special_comes_first_and_the_category_goes_first(kind: str) -> None:
    found = wrote("a lighthouse keeper on a rocky shore", kind, CATEGORY, TYPE, PENN, NIGHT)
    special = [*PENN.text.split(", "), *NIGHT.text.split(", ")]
    assert all(part in found.prompt for part in special) and found.tokens <= (found.budget or 0)
    places = [found.prompt.find(part) for part in (special[0], "portrait photograph", "natural lens perspective")]
    assert places == sorted(places) or places[2] < 0
    if kind in {"sdxl", "sd15"}:
        assert "natural lens perspective" not in found.prompt
        assert any("all of Photography" in change.what for change in found.changes)


def test_where_even_the_picks_do_not_fit_each_keeps_what_it_says_first() -> None:
    many = [
        preset("option", f"Option {n}", f"mark {n}, of the {n} th kind, seen in {n} ways, all over") for n in range(9)
    ]
    found = wrote("a lighthouse keeper on a rocky shore", "sdxl", CATEGORY, PENN, *many)
    assert all(f"mark {n}" in found.prompt for n in range(9)) and "by Irving Penn, black and white" in found.prompt
    assert found.tokens <= 75


def test_the_medium_of_a_category_leads_where_nothing_below_it_names_one() -> None:
    hokusai = preset("artist", "A", "strong contour lines, flat color")
    prompt = wrote("a queen", "sdxl", CATEGORY, hokusai).prompt
    assert prompt.startswith("a queen, photograph, strong contour lines, flat color, natural lens perspective")


@pytest.mark.parametrize(
    ("words", "never"),
    [
        ("three firefighters and a dalmatian on a fire engine", ["flicker", "the figure,"]),
        ("app icon of a paper plane", ["depth", "distance", "shadow"]),
        ("a map of the London Underground", ["horizon", "depth", "shadow"]),
        ("a can of Coca-Cola on a beach towel", ["horizon", "water"]),
        ("a wheat field by Vincent van Gogh", ["highlights"]),
        ("a small attic bedroom at night", ["horizon"]),
        ("a crowd at a rock concert", ["long and soft", "daylight"]),
        ("a moonlit cemetery, close-up of a raven", ["skin", "hair"]),
        ("a nun praying in a gothic cathedral", ["the structure"]),
        ("roman legionaries marching across a bridge", ["the structure", "the figure,"]),
        ("a giant squid attacking a ship", ["off the center"]),
    ],
)
def test_nothing_is_added_that_the_picture_cannot_have(words: str, never: list[str]) -> None:
    for kind in ("flux-dev", "z-image-turbo", "sd35"):
        added = " ".join(wrote(words, kind).added[1:]).lower()
        assert not [word for word in never if word in added]


@pytest.mark.parametrize(
    ("words", "begins"),
    [
        ("a lighthouse keeper on a rocky shore", "a lighthouse"),
        ("roman legionaries marching across a bridge", "roman"),
        ("a giant squid attacking a ship", "a giant"),
        ("a beach with no people", "no humans, a beach"),
        ("two women hugging at an airport", "2girls, two women"),
        ("a man and a woman under an umbrella", "1boy, 1girl, a man"),
        ("two women and a dog", "2girls, two women and a dog"),
        ("two women with two men", "two women with"),
    ],
)
def test_people_are_counted_in_tags_only_where_that_is_sure(words: str, begins: str) -> None:
    assert wrote(words, "illustrious").prompt.startswith(begins)


def test_marks_that_no_encoder_reads_are_taken_out_and_wildcards_stay() -> None:
    words = "<lora:add_detail:0.8> a knight BREAK embedding:bad_hands, a {red|blue} flag over __city__"
    assert wrote(words, "flux-kontext").prompt == "A knight, a {red|blue} flag over __city__."
    found = wrote(words, "sdxl")
    assert found.prompt.startswith("a knight, embedding:bad_hands, a {red|blue} flag over __city__")
    whats = [change.what for change in found.changes]
    assert "took out <lora:add_detail:0.8>" in whats and "wrote BREAK as a comma" in whats
    assert wrote("DO NOT BREAK THE GLASS, a poster", "sdxl").prompt.startswith("DO NOT BREAK THE GLASS")
    assert "<lora:x:1>" in wrote("<lora:x:1>", "flux-dev").prompt


def test_a_map_is_not_told_to_have_no_text() -> None:
    assert "text" not in wrote("a map of an island", "sdxl").negative.split(", ")
