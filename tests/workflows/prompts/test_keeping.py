"""What of the user's words a prompt no longer has."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workflows.prompts.keeping_cases import FAITHFUL, UNFAITHFUL
from workflows.prompts.keeping import lost


@pytest.mark.parametrize(("words", "prompt"), FAITHFUL)
def test_a_faithful_prompt_lost_nothing(words: str, prompt: str) -> None:
    assert lost(words, prompt) == ()


@pytest.mark.parametrize(("words", "prompt", "gone"), UNFAITHFUL)
def test_what_an_unfaithful_prompt_lost_is_named(words: str, prompt: str, gone: str) -> None:
    assert gone in lost(words, prompt)


def test_everything_that_is_gone_is_named_once_in_the_user_s_words() -> None:
    words = 'Marie Curie with two green bottles and a lamp under a sign "RADIUM", two green bottles'
    assert lost(words, "A woman in a laboratory.") == ('"RADIUM"', "Marie Curie", "two green bottles", "lamp", "sign")


def test_quotes_are_kept_in_any_quotes_and_letter_by_letter() -> None:
    assert lost('a shirt with "Hello, World!"', "A shirt with the words “Hello, World!” on it.") == ()
    assert lost('a shirt with "Hello, World!"', 'A shirt with the words "Hello World, you" on it.') == ()
    assert lost('a shirt with "Hello, World!"', 'A shirt with the words "Hallo Welt" on it.') == ('"Hello, World!"',)


def test_names_are_kept_as_they_are_spelled_but_for_accents_and_endings() -> None:
    assert lost("a park in São Paulo at noon", "A park in Sao Paulo at noon, palms.") == ()
    assert lost("a photo of Frida Kahlo", "Frida Kahlo's face, painted.") == ()
    assert lost("a photo of Frida Kahlo", "A painter with flowers in her hair.") == ("Frida Kahlo",)


@pytest.mark.parametrize("words", ["", "   ", "?!", "8k, masterpiece, best quality", "please", "<lora:x:1>"])
def test_words_that_name_nothing_are_lost_nowhere(words: str) -> None:
    assert lost(words, "A meadow.") == ()


def test_a_prompt_in_another_language_is_looked_at_for_texts_alone() -> None:
    assert lost("ein Schild mit „Halt“ und ein Hund", "A sign and a dog.") == ()
    assert lost('ein Schild mit "Halt" und ein Hund', "A sign and a dog.") == ('"Halt"',)


@given(st.text(max_size=200), st.text(max_size=200))
@settings(deadline=None)
def test_any_text_keeps_itself(words: str, prompt: str) -> None:
    assert isinstance(lost(words, prompt), tuple)
    assert lost(words, words) == ()


@pytest.mark.parametrize(
    "piece", ["A ", "a a ", '"', "'a", "( ", "two ", "A of ", "红", "é", "1girl, ", "_", "Ab the "]
)
def test_long_texts_are_read_in_time(piece: str) -> None:
    assert isinstance(lost(piece * 8000, piece * 8000), tuple)
