"""What the next round asks for: weights, words, seeds, steps, a repair; by cause and by strategy."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import PROFILE
from workflows.revise import Revision, reseeded, revise
from workflows.types import (
    MAX_PROMPT,
    MAX_SEED,
    Acceptance,
    Advice,
    Attempt,
    FamilyProfile,
    Recipe,
    Region,
    RetryStrategy,
    Verdict,
    Wording,
)
from workflows.wording import find_subject

NO_BRACKETS = PROFILE.but(weights=False)
AGAINST_CARS = "multiple cars, duplicate, cloned, ghosting, mirrored, two cars, extra car"
ARM = Region(left=0.1, top=0.2, right=0.3, bottom=0.4)


def recipe(prompt: str, negative: str = "", strategy: RetryStrategy = "auto", steps: int = 20) -> Recipe:
    acceptance = Acceptance(retry_strategy=strategy)
    return Recipe.checked(prompt=prompt, negative=negative, seed=42, steps=steps, acceptance=acceptance)


def failed(round_: int, *advice: Advice, merit: float = 0.3, wish: Recipe | None = None) -> Attempt:
    verdict = Verdict(judge="clip", passed=False, merit=merit, reason="no", advice=advice)
    return Attempt(
        number=round_,
        round=round_,
        recipe=wish or recipe("x"),
        key=f"{round_}.png",
        media_type="image/png",
        width=64,
        height=64,
        model="m",
        verdicts=(verdict,),
    )


def next_of(wish: Recipe, round_: int, *advice: Advice, profile: FamilyProfile = PROFILE) -> Revision:
    """The revision that makes that round, all rounds before it having failed for the same reasons."""
    return revise(wish, [failed(number, *advice, wish=wish) for number in range(1, round_)], profile)


def drawn(wish: Recipe, round_: int, *advice: Advice, profile: FamilyProfile = PROFILE) -> Recipe:
    return next_of(wish, round_, *advice, profile=profile).recipe


def test_without_advice_the_second_round_raises_the_subject_and_the_third_raises_it_further() -> None:
    wish = recipe("single car on a road")
    assert drawn(wish, 2).prompt == "(single car:1.3) on a road"
    assert drawn(wish, 3).prompt == "(single car:1.6) on a road"
    assert drawn(wish, 5).prompt == "(single car:1.6) on a road"


def test_one_subject_gets_words_against_doubles_with_its_own_name() -> None:
    assert drawn(recipe("single car on a road"), 2).negative == AGAINST_CARS
    assert drawn(recipe("one old wolf, snow", "blurry"), 2).negative == (
        "blurry, multiple wolves, duplicate, cloned, ghosting, mirrored, two wolves, extra wolf"
    )


def test_what_is_missing_gets_the_weight_and_not_the_subject() -> None:
    red = Advice(cause="attribute", emphasise=("red hat",))
    revision = next_of(recipe("an old man with a red hat in the rain"), 2, red)
    assert revision.recipe.prompt == "an old man with a (red hat:1.3) in the rain"
    assert revision.change == "another seed, more weight on 'red hat'"


def test_a_wrong_count_gets_its_wording_and_words_against_more() -> None:
    three = Advice(cause="count", emphasise=("three",), say=("exactly three stars",), avoid=("four stars",))
    read = next_of(recipe("three stars on blue", "blurry"), 2, three)
    assert (read.recipe.prompt, read.recipe.negative) == ("(three:1.3) stars on blue", "blurry, four stars")
    plain = next_of(recipe("three stars on blue"), 2, three, profile=NO_BRACKETS.but(negatives=False))
    assert (plain.recipe.prompt, plain.recipe.negative) == ("three stars on blue. exactly three stars.", "")
    assert plain.change == "another seed, said in more words: 'exactly three stars'"


def test_a_phrase_within_the_users_own_brackets_has_their_weight_raised() -> None:
    red = Advice(cause="attribute", emphasise=("red hat",))
    assert drawn(recipe("a man, (old, red hat:1.2), rain"), 2, red).prompt == "a man, (old, red hat:1.56), rain"


def test_a_bad_body_gets_another_seed_and_no_other_words() -> None:
    arm = Advice(cause="anatomy", repair=(ARM,))
    revision = next_of(recipe("a dancer"), 2, arm)
    assert (revision.recipe.prompt, revision.recipe.seed, revision.repair) == ("a dancer", reseeded(42, 2), None)


def test_a_body_that_another_seed_did_not_mend_is_repaired_in_the_best_attempt() -> None:
    arm = Advice(cause="anatomy", repair=(ARM,))
    wish = recipe("a dancer")
    attempts = [failed(1, arm, merit=0.45, wish=wish), failed(2, arm, merit=0.2, wish=wish)]
    repair = revise(wish, attempts, PROFILE).repair
    assert repair is not None
    assert (repair.attempt.number, repair.regions) == (1, (ARM,))


def test_a_body_is_not_repaired_in_a_picture_that_lacks_something_else_too() -> None:
    faults = Advice(cause="anatomy", repair=(ARM,)), Advice(cause="attribute", emphasise=("red",))
    assert next_of(recipe("a dancer in red"), 3, *faults).repair is None


def test_low_quality_gets_more_steps_and_a_second_pass_where_there_is_one() -> None:
    revision = next_of(recipe("a lake"), 2, Advice(cause="quality", avoid=("blurry",)))
    assert (revision.recipe.steps, revision.recipe.prompt, revision.recipe.negative) == (25, "a lake", "blurry")
    assert revision.finer == revision.recipe.but(hires=True)


def test_words_that_were_tried_already_are_not_drawn_from_the_same_seed_again() -> None:
    wish = recipe("red stars", strategy="prompt")
    red = Advice(cause="attribute", emphasise=("red",))
    tried = [failed(1, red, wish=wish)]
    for number in (2, 3):
        tried.append(failed(number, red, wish=revise(wish, tried, PROFILE).recipe))
    fourth = revise(wish, tried, PROFILE)
    assert (fourth.recipe.prompt, fourth.change) == (
        "(red:1.6) stars",
        "another seed: there are no new words left",
    )
    assert fourth.recipe.seed != 42


def test_the_advice_taken_is_that_of_the_best_attempt() -> None:
    wish = recipe("three red stars")
    near = failed(1, Advice(cause="attribute", emphasise=("red",)), merit=0.48, wish=wish)
    far = failed(2, Advice(cause="count", emphasise=("three",)), merit=0.1, wish=wish)
    assert revise(wish, [near, far], PROFILE).recipe.prompt == "three (red:1.6) stars"


def test_each_strategy_changes_what_its_name_says() -> None:
    red = Advice(cause="attribute", emphasise=("red",))

    def told(strategy: RetryStrategy, round_: int) -> tuple[str, bool, int | None]:
        made = drawn(recipe("red stars", strategy=strategy), round_, red)
        return made.prompt, made.seed == 42, made.steps

    assert [told("seed", number) for number in (2, 3)] == [("red stars", False, 20)] * 2
    assert told("prompt", 2) == ("(red:1.3) stars", True, 20)
    assert [told("progressive", number) for number in (2, 3, 4)] == [
        ("red stars", False, 20),
        ("(red:1.6) stars", False, 20),
        ("(red:1.6) stars", False, 25),
    ]


@pytest.mark.parametrize(
    ("prompt", "phrase", "noun", "alone"),
    [
        ("single red car on a country road", "single red car", "car", True),
        ("a single cat sitting on a windowsill", "single cat", "cat", True),
        ("a photo of one old man, smiling", "one old man", "man", True),
        ("single red flying bird", "single red flying bird", "bird", True),
        ("1 green triangle", "1 green triangle", "triangle", True),
        ("a stone wall", "stone wall", "wall", False),
        ("one-eyed pirate on a ship", "one-eyed pirate", "pirate", False),
        ("someone alone in a phone booth", "someone alone", "alone", False),
        ("three small green stars, black backdrop", "three small green stars", "stars", False),
        ("portrait of a woman with flowers", "woman", "woman", False),
        ("draw me a big red circle please", "big red circle", "circle", False),
        ("a dancer with one arm up", "dancer", "dancer", False),
        ("a flamingo standing on one leg", "flamingo", "flamingo", False),
        ("a picture with one tree", "one tree", "tree", True),
        ("a man with one arm, one cat", "one cat", "cat", True),
        ("one bird looking left", "one bird", "bird", True),
        ("one bird looking up at the sky", "one bird", "bird", True),
        ("one cat sleeping peacefully", "one cat", "cat", True),
        ("one red flying butterfly", "one red flying butterfly", "butterfly", True),
        ("a woman lying down", "woman", "woman", False),
        ("one cat only", "one cat", "cat", True),
        ("a stone building on a hill", "stone building", "building", False),
    ],
)
def test_the_subject_is_found_in_the_prompt(prompt: str, phrase: str, noun: str, alone: bool) -> None:
    subject = find_subject(prompt)
    assert subject is not None
    assert (prompt[subject.start : subject.end], subject.noun, subject.alone) == (phrase, noun, alone)


@pytest.mark.parametrize("piece", ["one cat with one arm up, ", "with  with  one ", "holding the the "])
def test_no_prompt_takes_long(piece: str) -> None:
    began = time.process_time()
    find_subject(piece * 10_000)
    assert time.process_time() - began < 2.0


def test_a_prompt_that_fills_its_field_is_drawn_as_it_is() -> None:
    wish = recipe("single car on a road " + "x" * (MAX_PROMPT - 21), negative="y" * MAX_PROMPT)
    made = drawn(wish, 2)
    assert (made.prompt, made.negative) == (wish.prompt, wish.negative)


def test_a_count_inside_another_word_is_no_count() -> None:
    assert drawn(recipe("a stone bridge, alone in the rain"), 2).negative == ""


def test_an_encoder_that_reads_brackets_as_text_gets_other_words_instead() -> None:
    second = drawn(recipe("single car on a road"), 2, profile=NO_BRACKETS).prompt
    third = drawn(recipe("single car on a road"), 3, profile=NO_BRACKETS).prompt
    assert "(" not in second + third
    assert "exactly one car" in second
    assert "single car on a road" in second
    assert third != second


def test_a_family_without_negatives_gets_none() -> None:
    assert drawn(recipe("single car on a road"), 2, profile=PROFILE.but(negatives=False)).negative == ""


def test_the_users_own_brackets_are_raised_not_nested() -> None:
    assert drawn(recipe("a (single car:1.2) on a road"), 2).prompt == "a (single car:1.56) on a road"


def test_every_attempt_has_its_own_seed() -> None:
    assert reseeded(42, 1) == 42
    assert len({reseeded(MAX_SEED, number) for number in range(1, 11)}) == 10
    assert drawn(recipe("x"), 2).seed == reseeded(42, 2)


@given(
    st.text(min_size=1, max_size=300).filter(lambda text: "\0" not in text),
    st.integers(2, 6),
    st.sampled_from(["auto", "prompt", "progressive"]),
    st.data(),
)
def test_any_prompt_can_be_revised_by_any_advice(
    prompt: str, round_: int, strategy: RetryStrategy, draw: st.DataObject
) -> None:
    start = draw.draw(st.integers(0, len(prompt) - 1))
    advice = Advice(cause="attribute", emphasise=(prompt[start : start + 9],), say=("exactly that",))
    for profile in (PROFILE, NO_BRACKETS):
        for given_advice in ((), (advice,)):
            assert drawn(recipe(prompt, strategy=strategy), round_, *given_advice, profile=profile).prompt


def test_a_wording_is_revised_by_what_the_users_own_words_are_about() -> None:
    told = Wording(prompt="score_9, a single red car on a road, golden hour", negative="blurry")
    wish = recipe("a single red car on a road").but(wording=told, presets=("style:cinematic",))
    second = drawn(wish, 2)
    assert second.prompt == "score_9, a (single red car:1.3) on a road, golden hour"
    assert second.negative == f"blurry, {AGAINST_CARS}"
    assert not second.wants_wording and second.wording is None


def test_a_wording_that_says_the_subject_otherwise_gets_another_seed_alone() -> None:
    wish = recipe("a single red car on a road").but(wording=Wording(prompt="One scarlet automobile."))
    second = drawn(wish, 2, profile=PROFILE.but(negatives=False))
    assert (second.prompt, second.seed) == ("One scarlet automobile.", reseeded(42, 2))
