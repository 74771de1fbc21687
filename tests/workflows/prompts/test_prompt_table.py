"""Prompts of all kinds, written by the rules for eight families: what holds for every one of them."""

from __future__ import annotations

import re
from functools import cache

import pytest

from tests.workflows.prompts.table import PROMPTS
from utils.content_validator import check_texts
from utils.emphasis import emphasis
from utils.reading.phrases import noun_phrases
from workflows.families import family
from workflows.prompts.dialects import boosters, dialect_of
from workflows.prompts.rules import write
from workflows.types import Wish, Written

SENTENCES = ("flux-dev", "qwen-image", "z-image-turbo", "sd35")
TAGS = ("sdxl", "sd15", "illustrious", "pony")
CLIP = ("sdxl", "sd15", "illustrious", "pony")
RULED_OUT = {"people", "cars", "clouds", "text"}
OUR_QUALITY = {"masterpiece", "best quality"}


@cache
def written(name: str, kind: str) -> Written:
    return write(Wish(words=PROMPTS[name]), family(kind))


def each(*kinds: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("name", "kind"), [(name, kind) for kind in kinds for name in PROMPTS])


@each(*SENTENCES, *TAGS)
def test_the_users_things_are_all_kept(name: str, kind: str) -> None:
    prompt, negative = written(name, kind).prompt.lower(), written(name, kind).negative.lower()
    for phrase in noun_phrases(PROMPTS[name]):
        if phrase.noun not in {*RULED_OUT, "masterpiece", "quality"}:
            assert re.sub(r"[_ ]+", " ", phrase.noun.split("_")[0]) in prompt
        elif phrase.noun in RULED_OUT:
            assert phrase.noun in prompt or phrase.noun in negative
    for number in re.findall(r"\b(?:two|three|\d+girl)\b", PROMPTS[name]):
        assert number in prompt
    for quoted in re.findall(r"\"[^\"]+\"|(?<=words )'[^']+'", PROMPTS[name]):
        assert quoted in written(name, kind).prompt


@each(*SENTENCES, *TAGS)
def test_the_words_are_kept_apart_from_what_was_added(name: str, kind: str) -> None:
    found = written(name, kind)
    assert found.words == PROMPTS[name]
    assert all(part in found.prompt or part.rstrip(".") in found.prompt for part in found.added)
    left = found.prompt
    for part in found.added:
        left = left.replace(part.rstrip("."), "", 1)
    theirs = set(re.findall(r"\w+", re.sub(r"[_:\d.]+", " ", PROMPTS[name].lower())))
    assert set(re.findall(r"[^\W\d_]+", left.lower())) <= {*theirs, "a", "an"}


@each(*SENTENCES)
def test_sentences_have_no_weights_and_no_words_of_quality(name: str, kind: str) -> None:
    found = written(name, kind)
    plain = re.sub(r"\"[^\"]*\"", "", found.prompt)
    assert all(part.weight == 1.0 for part in emphasis(plain) if "fate" not in part.text)
    own = {word.lower().strip(" .") for last in dialect_of(kind).last for word in last.split(",")}
    assert {part.strip(" .").lower() for part in re.split(r"[,.]", plain)} & boosters() <= own
    assert "score_" not in found.prompt and "_" not in plain


@each(*SENTENCES)
def test_sentences_begin_with_a_capital_and_end_with_a_full_stop(name: str, kind: str) -> None:
    prompt = written(name, kind).prompt
    assert prompt[-1] in ".。"
    for sentence in re.split(r"(?<=[.。]) ", prompt):
        assert not sentence[0].islower()
    assert not re.search(r" ,|,,|\.\.|, \.|\s\.|  ", prompt)


@each(*SENTENCES, *TAGS)
def test_nothing_is_said_twice(name: str, kind: str) -> None:
    found = written(name, kind)
    parts = [part.strip(" .").lower() for part in re.split(r"[,.]", found.prompt) if part.strip(" .")]
    assert len(parts) == len(set(parts))
    assert not re.search(r"\b(\w+) \1\b", found.prompt.lower())


@each(*SENTENCES, *TAGS)
def test_the_budget_is_kept_unless_the_users_own_words_exceed_it(name: str, kind: str) -> None:
    found = written(name, kind)
    assert found.budget
    if found.tokens > found.budget:
        assert name == "long" and not found.added
        assert any("longer than" in note for note in found.notes)


@each(*CLIP)
def test_the_budget_is_kept_by_clips_own_count(name: str, kind: str) -> None:
    from open_clip.tokenizer import SimpleTokenizer

    found = written(name, kind)
    if name != "long":
        tokens = len(SimpleTokenizer().encode(found.prompt))  # pyright: ignore[reportUnknownArgumentType]
        assert tokens <= (found.budget or 0)


@pytest.mark.parametrize("name", PROMPTS)
def test_pony_begins_with_its_score_tags_and_has_no_other_words_of_quality(name: str) -> None:
    found = written(name, "pony")
    scores = "score_9, score_8_up, score_7_up, score_6_up, score_5_up, score_4_up, "
    assert found.prompt.startswith(scores)
    assert "rating_safe" in found.prompt and not OUR_QUALITY & set(found.prompt.split(", "))


@pytest.mark.parametrize("name", PROMPTS)
def test_illustrious_has_its_quality_tags_once_and_last(name: str) -> None:
    parts = written(name, "illustrious").prompt.split(", ")
    assert all(parts.count(tag) == 1 for tag in dialect_of("illustrious").last)
    assert parts[-3:] == ["absurdres", "newest", "general"]


@each("flux-dev", "z-image-turbo")
def test_families_that_read_no_negative_prompt_get_none(name: str, kind: str) -> None:
    assert written(name, kind).negative == ""


@each("qwen-image", "sd35", *TAGS)
def test_what_is_ruled_out_goes_where_it_is_read(name: str, kind: str) -> None:
    found = written(name, kind)
    assert found.negative
    if name.startswith("negated"):
        out = {"negated": {"people", "cars"}, "negated clauses": {"clouds", "text"}}[name]
        assert out <= {part.strip() for part in found.negative.split(",")}
        assert not out & set(re.findall(r"\w+", found.prompt))


@each(*SENTENCES, *TAGS)
def test_the_content_rules_pass(name: str, kind: str) -> None:
    found = written(name, kind)
    assert check_texts(found.prompt, found.negative) is None


@each(*SENTENCES, *TAGS)
def test_nobody_is_added(name: str, kind: str) -> None:
    added = " ".join(written(name, kind).added).lower().replace("no humans", "")
    assert not re.search(r"\b(?:people|person|man|woman|child|crowd|dog|bird|tree|flower|house|car)s?\b", added)


def test_the_same_wish_is_written_in_the_same_words_and_other_wishes_in_others() -> None:
    again = [write(Wish(words=PROMPTS[name]), family("flux-dev")) for name in PROMPTS]
    assert again == [written(name, "flux-dev") for name in PROMPTS]
    additions = [part for name in PROMPTS for part in written(name, "flux-dev").added if part.endswith(".")]
    assert len(set(additions)) >= 0.7 * len(additions)
    assert max(map(additions.count, additions)) <= 4
