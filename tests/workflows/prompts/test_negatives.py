"""What families are told to keep out of a picture."""

from __future__ import annotations

import pytest

from utils.content_validator import check_texts
from workflows.families import families, family
from workflows.prompts.negatives import joined, merged, negative_for, parts_of


def parts(kind: str, words: str, hint: str = "", *, adult: bool = False) -> set[str]:
    return set(parts_of(negative_for(family(kind), words, hint, adult=adult).negative))


@pytest.mark.parametrize("kind", ["flux-dev", "z-image-turbo", "krea2", "sdxl-turbo"])
def test_a_family_that_reads_none_gets_none_and_is_told_why(kind: str) -> None:
    found = negative_for(family(kind), "a woman")
    assert (found.negative, found.used, found.family) == ("", False, kind)
    assert "reads no negative prompt" in found.why


def test_hands_are_spoken_of_only_where_people_are_drawn() -> None:
    assert "bad hands" in parts("sd15", "a man on a bench")
    assert "bad hands" not in parts("sd15", "a mountain lake")
    assert "tilted horizon" in parts("sd15", "a mountain lake")


def test_photographs_are_kept_from_being_drawn_and_drawings_from_being_photographs() -> None:
    assert {"cartoon", "painting"} <= parts("sdxl", "a cat", "realistic")
    assert "photo" in parts("sdxl", "a cat", "anime") and "painting" not in parts("sdxl", "a cat", "anime")


def test_lettering_is_kept_out_unless_it_was_asked_for() -> None:
    assert "text" in parts("sdxl", "a shop in a street")
    assert not {"text", "logo"} & parts("sd15", 'a shop sign that says "OPEN"')


def test_nothing_that_was_asked_for_is_kept_out() -> None:
    assert "blurry" not in parts("sdxl", "a portrait with a blurry background")
    assert "furry" not in parts("noobai", "anthro wolf, furry, solo") and "furry" in parts("noobai", "1girl, solo")


@pytest.mark.parametrize("kind", families())
@pytest.mark.parametrize("words", ["a child with a kite", "a woman on a beach", "two dogs", "a red car", ""])
def test_the_content_rules_pass_for_every_family(kind: str, words: str) -> None:
    assert check_texts(words, negative_for(family(kind), words).negative) is None


def test_where_adult_content_is_allowed_it_is_not_kept_out() -> None:
    assert "nsfw" in parts("illustrious", "1girl, solo")
    assert "nsfw" not in parts("illustrious", "1girl, solo", adult=True)


def test_chroma_is_told_in_sentences() -> None:
    assert negative_for(family("chroma"), "a man").negative.count(".") == 3


def test_parts_are_kept_once_and_brackets_whole() -> None:
    assert parts_of("blurry, (bad hands, extra fingers:1.3),  text\nlogo") == [
        "blurry", "(bad hands, extra fingers:1.3)", "text", "logo",
    ]  # fmt: skip
    assert merged(["Blurry", "cars"], ["blurry", "car", "text"]) == ["Blurry", "cars", "text"]
    assert joined(["It is unfinished.", "blurry", "dark"]) == "blurry, dark. It is unfinished."
