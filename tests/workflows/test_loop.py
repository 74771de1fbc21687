"""The loop on scripted engines and judges: what is retried, what is kept, what the judges see."""

from __future__ import annotations

import pytest

from tests.fakes import PROFILE, FakeEngine, FakeJudge
from workflows.errors import RenderFailed
from workflows.loop import Loop
from workflows.types import Acceptance, Attempt, Media, Outcome, Progress, Recipe, Ticket

RECIPE = Recipe.checked(prompt="single car on a road", width=64, height=64, steps=2, cfg=4.0, seed=7)


class Bench:
    """Runs one loop and remembers what it was told."""

    def __init__(self, *scores: float, engine: FakeEngine | None = None, missing: str | None = None) -> None:
        self.engine = engine or FakeEngine()
        self.judge = FakeJudge(scores=list(scores) or [0.3], missing=missing)
        self.kept: list[int] = []
        self.last: Media | None = None
        self.heard: list[Progress] = []

    async def keep(self, attempt: Attempt, picture: Media) -> None:
        self.kept.append(attempt.number)

    def hear(self, progress: Progress, glimpse: Media | None) -> None:
        self.heard.append(progress)

    async def run(self, recipe: Recipe = RECIPE, done: tuple[Attempt, ...] = ()) -> Outcome:
        loop = Loop(
            recipe=recipe,
            profile=PROFILE,
            engine=self.engine,
            judges=[self.judge],
            inputs={},
            ticket_of=lambda number: Ticket(id=str(number)),
            key_of=lambda number: f"{number}.png",
            keep=self.keep,
            report=self.hear,
            done=done,
        )
        outcome = await loop.run()
        self.last = loop.last
        return outcome


async def test_a_picture_that_passes_is_drawn_once() -> None:
    bench = Bench(0.31)
    outcome = await bench.run()
    assert (outcome.accepted, outcome.best, outcome.warning, len(bench.engine.recipes)) == (True, 1, None, 1)


async def test_a_failed_verdict_retries_with_a_new_seed_and_more_weight() -> None:
    bench = Bench(0.1, 0.2, 0.4)
    outcome = await bench.run()
    drawn = bench.engine.recipes
    assert [recipe.prompt for recipe in drawn] == [
        "single car on a road",
        "(single car:1.3) on a road",
        "(single car:1.6) on a road",
    ]
    assert len({recipe.seed for recipe in drawn}) == 3
    assert (outcome.accepted, outcome.best, bench.kept) == (True, 3, [1, 2])


async def test_the_judges_always_see_the_users_own_words() -> None:
    bench = Bench(0.1)
    await bench.run()
    assert bench.judge.prompts == ["single car on a road"] * 3


async def test_without_a_pass_the_best_attempt_is_kept_not_the_last() -> None:
    outcome = await Bench(0.1, 0.24, 0.2).run()
    assert (outcome.accepted, outcome.best, outcome.warning) == (False, 2, "Max retries (3) reached")


async def test_no_retry_when_retries_are_off() -> None:
    bench = Bench(0.1)
    outcome = await bench.run(RECIPE.but(acceptance=Acceptance(auto_retry=False)))
    assert (len(bench.engine.recipes), outcome.accepted, outcome.warning) == (1, False, None)


async def test_validation_off_asks_no_judge() -> None:
    bench = Bench()
    outcome = await bench.run(RECIPE.but(acceptance=Acceptance(validate=False)))
    assert (bench.judge.prompts, outcome.accepted, outcome.chosen.verdicts) == ([], None, ())


async def test_a_judge_that_cannot_judge_is_no_reason_to_draw_again() -> None:
    bench = Bench(missing="install the extra")
    outcome = await bench.run()
    assert (len(bench.engine.recipes), outcome.accepted) == (1, None)
    assert outcome.chosen.verdicts[0].reason == "install the extra"


async def test_the_retry_limit_is_the_number_of_attempts() -> None:
    bench = Bench(0.1)
    outcome = await bench.run(RECIPE.but(acceptance=Acceptance(retry_limit=5)))
    assert (len(outcome.attempts), outcome.warning) == (5, "Max retries (5) reached")


async def test_attempts_of_an_interrupted_run_are_not_made_again() -> None:
    first = (await Bench(0.1).run(RECIPE.but(acceptance=Acceptance(retry_limit=1)))).attempts
    bench = Bench(0.4)
    outcome = await bench.run(done=first)
    assert ([recipe.prompt for recipe in bench.engine.recipes], outcome.best) == (["(single car:1.3) on a road"], 2)


async def test_progress_never_falls_and_tells_the_verdict() -> None:
    bench = Bench(0.1, 0.4)
    await bench.run()
    fractions = [progress.fraction for progress in bench.heard]
    assert fractions == sorted(fractions)
    assert any("Low positive CLIP score: 0.100 < 0.25" in progress.message for progress in bench.heard)


async def test_an_engine_that_breaks_breaks_the_loop_with_its_own_words() -> None:
    bench = Bench(engine=FakeEngine(errors=[RenderFailed("the sampler broke", node="3")]))
    with pytest.raises(RenderFailed, match="the sampler broke"):
        await bench.run()
