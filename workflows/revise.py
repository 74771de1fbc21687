"""(recipe, attempts) -> the next recipe, by what the judges missed: pure wording, seeds and settings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from workflows.judges.ranking import best_of
from workflows.types import MAX_PROMPT, MAX_SEED, Advice, Attempt, Cause, FamilyProfile, Recipe, Region, RetryStrategy
from workflows.wording import (
    against_doubles,
    emphasise,
    emphasised,
    find_subject,
    joined,
    said,
    spell_out,
    weight_of,
)

SEED_STRIDE = 1_000_003
"""A prime between the seeds of rounds, so that they do not meet the seeds of a batch (seed + candidate)."""
MORE_STEPS = 1.25
"""Steps of the next round as a multiple, when quality was low; our judgement, after the usual advice of +25 %."""
MOST_STEPS = 200
WORDLESS_CAUSES: frozenset[Cause] = frozenset({"anatomy", "quality", "content"})
"""Faults that lie in how the wish was drawn, not in what was drawn: other words for the wish do not mend them."""
DRAWN_FROM_WORDS = frozenset({"txt2img", "img2img"})
"""Tasks whose pictures may be repaired in part, or drawn in two passes."""


@dataclass(frozen=True, kw_only=True)
class Repair:
    """Parts of an attempt's picture to be painted anew, instead of a new picture."""

    attempt: Attempt
    regions: tuple[Region, ...]


@dataclass(frozen=True, kw_only=True)
class Revision:
    """What a round draws, and what it changes, in words. `repair`, then `finer`, come first where the engine can."""

    recipe: Recipe
    change: str
    finer: Recipe | None = None
    repair: Repair | None = None


def reseeded(seed: int, number: int) -> int:
    """The seed of the `number`th attempt, from the seed of the first."""
    return (seed + SEED_STRIDE * (number - 1)) % (MAX_SEED + 1)


def revise(recipe: Recipe, attempts: Sequence[Attempt], profile: FamilyProfile) -> Revision:
    """What the next round draws after failed verdicts, from the user's own recipe.

    The advice is that of the best attempt so far: what it lacks is what there is left to win.
    """
    turn = Turn(recipe=recipe, attempts=tuple(attempts), profile=profile)
    return STRATEGIES[recipe.acceptance.retry_strategy](turn)


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One round about to be planned."""

    recipe: Recipe
    attempts: tuple[Attempt, ...]
    profile: FamilyProfile

    @property
    def told(self) -> Recipe:
        """The recipe as it is told to the model: what is reworded."""
        return self.recipe.as_told

    @property
    def round(self) -> int:
        return self.attempts[-1].round + 1

    @property
    def best(self) -> Attempt:
        return best_of(self.attempts)

    @property
    def advice(self) -> tuple[Advice, ...]:
        """Of the judges that said no."""
        return tuple(one for verdict in self.best.verdicts if verdict.passed is False for one in verdict.advice)

    @property
    def causes(self) -> frozenset[Cause]:
        return frozenset(one.cause for one in self.advice)

    @property
    def seed(self) -> int:
        return reseeded(self.recipe.seed or 0, len(self.attempts) + 1)


def _by_cause(turn: Turn) -> Revision:
    """A new seed always; words for what is missing; more steps for low quality; a repair for a lasting bad limb."""
    words, told = _worded(turn)
    changes: dict[str, object] = {**words, "seed": turn.seed}
    told = ["another seed", *told]
    finer = None
    if "quality" in turn.causes:
        changes["steps"] = _more_steps(turn.recipe)
        told.append(f"{changes['steps']} steps")
        finer = _in_two_passes(turn.told.but(**changes))
    return Revision(recipe=turn.told.but(**changes), change=", ".join(told), finer=finer, repair=_repair(turn))


def _by_seed(turn: Turn) -> Revision:
    return Revision(recipe=turn.told.but(seed=turn.seed), change="another seed")


def _by_prompt(turn: Turn) -> Revision:
    words, told = _worded(turn)
    recipe = turn.told.but(**words)
    if any((one.recipe.prompt, one.recipe.seed) == (recipe.prompt, recipe.seed) for one in turn.attempts):
        return Revision(recipe=recipe.but(seed=turn.seed), change="another seed: there are no new words left")
    return Revision(recipe=recipe, change=", ".join(told))


def _in_steps(turn: Turn) -> Revision:
    """First the seed alone, then words, then more steps too: the cheap change before the deep one."""
    if turn.round == 2:
        return _by_seed(turn)
    words, told = _worded(turn)
    changes: dict[str, object] = {**words, "seed": turn.seed}
    if turn.round > 3:
        changes["steps"] = _more_steps(turn.recipe)
        told.append(f"{changes['steps']} steps")
    return Revision(recipe=turn.told.but(**changes), change=", ".join(["another seed", *told]))


STRATEGIES: Mapping[RetryStrategy, Callable[[Turn], Revision]] = {
    "auto": _by_cause,
    "seed": _by_seed,
    "prompt": _by_prompt,
    "progressive": _in_steps,
}


def _worded(turn: Turn) -> tuple[dict[str, object], list[str]]:
    """Prompt and negative of the round, and what is new in them."""
    if turn.causes and turn.causes <= WORDLESS_CAUSES:
        return _steered(turn)
    phrases = _each(phrase for one in turn.advice for phrase in one.emphasise)
    prompt, told = _advised(turn, phrases) if phrases or _sayings(turn) else _plain(turn)
    subject = find_subject(turn.recipe.prompt)
    avoid = [against_doubles(subject.noun)] if subject and subject.alone else _avoided(turn)
    words, negative_told = _with_negative(turn, turn.told.negative, avoid)
    if len(prompt) > MAX_PROMPT:  # a wish that fills the field leaves no room to stress it
        return words, negative_told
    return {"prompt": prompt, **words}, [told, *negative_told] if told else negative_told


def _steered(turn: Turn) -> tuple[dict[str, object], list[str]]:
    """Away from a fault that the prompt did not ask for: negative words, or positive ones where those are not read."""
    if turn.profile.negatives or not _sayings(turn):
        return _with_negative(turn, turn.told.negative, _avoided(turn))
    prompt = joined(turn.told.prompt, *_sayings(turn))
    return ({"prompt": prompt}, [f"asked for {_quoted(_sayings(turn))}"]) if len(prompt) <= MAX_PROMPT else ({}, [])


def _plain(turn: Turn) -> tuple[str, str]:
    """Without advice the subject is what is most likely missed."""
    prompt = turn.told.prompt
    subject = find_subject(turn.recipe.prompt)
    phrase = turn.recipe.prompt[subject.start : subject.end] if subject else ""
    place = prompt.lower().find(phrase.lower())
    if subject is None or place < 0:  # the wording says it otherwise
        return prompt, ""
    reword = emphasise if turn.profile.weights else spell_out
    there = replace(subject, start=place, end=place + len(phrase))
    return reword(prompt, there, turn.round), f"more weight on {phrase!r}"


def _advised(turn: Turn, phrases: Sequence[str]) -> tuple[str, str]:
    wishes = _sayings(turn) or [f"The picture clearly shows {', '.join(phrases)}"]
    prompt = turn.told.prompt
    if turn.profile.weights and phrases:
        return emphasised(prompt, phrases, weight_of(turn.round)), f"more weight on {_quoted(phrases)}"
    return said(prompt, wishes, turn.round), f"said in more words: {_quoted(wishes)}"


def _with_negative(turn: Turn, negative: str, avoid: Sequence[str]) -> tuple[dict[str, object], list[str]]:
    if not turn.profile.negatives or not avoid:
        return {}, []
    wording = joined(negative, *avoid)
    return ({"negative": wording}, [f"against {_quoted(avoid)}"]) if len(wording) <= MAX_PROMPT else ({}, [])


def _sayings(turn: Turn) -> list[str]:
    return _each(wish for one in turn.advice for wish in one.say)


def _avoided(turn: Turn) -> list[str]:
    return _each(words for one in turn.advice for words in one.avoid)


def _more_steps(recipe: Recipe) -> int:
    return min(MOST_STEPS, max((recipe.steps or 1) + 1, round((recipe.steps or 1) * MORE_STEPS)))


def _in_two_passes(recipe: Recipe) -> Recipe | None:
    return None if recipe.hires or recipe.task != "txt2img" else recipe.but(hires=True)


def _repair(turn: Turn) -> Repair | None:
    """When a new seed did not mend the bodies of a picture that is right otherwise."""
    regions = tuple(region for one in turn.advice for region in one.repair)
    tried_a_seed = turn.round > 2
    only_bodies = all(one.cause == "anatomy" for one in turn.advice)
    if not (regions and only_bodies and tried_a_seed and turn.recipe.task in DRAWN_FROM_WORDS):
        return None
    return Repair(attempt=turn.best, regions=regions)


def _each(words: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(words))


def _quoted(words: Sequence[str]) -> str:
    return ", ".join(repr(word) for word in words)
