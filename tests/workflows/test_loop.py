"""The loop on scripted engines and judges: what is retried, what is kept, what the judges see."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from tests.fakes import PROFILE, FakeEngine, FakeJudge, png
from utils.images import decode
from workflows.errors import Refused, RenderFailed, ServiceUnavailable
from workflows.judges.panel import Panel
from workflows.loop import Loop
from workflows.types import (
    Acceptance,
    Advice,
    Attempt,
    FamilyProfile,
    Media,
    Outcome,
    Progress,
    Recipe,
    Region,
    Ticket,
    Verdict,
)

RECIPE = Recipe.checked(prompt="single car on a road", width=64, height=64, steps=2, cfg=4.0, seed=7)


class Bench:
    """Runs one loop and remembers what it was told."""

    def __init__(
        self,
        *scores: float,
        engine: FakeEngine | None = None,
        judge: FakeJudge | None = None,
        gate: FakeJudge | None = None,
        missing: str | None = None,
    ) -> None:
        self.engine = engine or FakeEngine()
        self.judge = judge or FakeJudge(scores=list(scores) or [0.3], missing=missing)
        self.gate = gate
        self.kept: list[int] = []
        self.stored: dict[str, Media] = {}
        self.fresh: dict[int, Media] = {}
        self.heard: list[Progress] = []
        self.glimpses: list[Media | None] = []

    def ticket(self, number: int) -> Ticket:
        return Ticket(id=str(number))

    def key(self, number: int) -> str:
        return f"{number}.png"

    async def keep(self, attempt: Attempt, picture: Media | None) -> None:
        self.kept.append(attempt.number)
        if picture is not None:
            self.stored[attempt.key] = picture

    async def fetch(self, key: str) -> Media:
        return self.stored[key]

    async def put(self, key: str, media: Media) -> None:
        self.stored[key] = media

    def report(self, progress: Progress, glimpse: Media | None) -> None:
        self.heard.append(progress)
        self.glimpses.append(glimpse)

    async def run(self, recipe: Recipe = RECIPE, done: tuple[Attempt, ...] = ()) -> Outcome:
        loop = Loop(
            recipe=recipe,
            profile=PROFILE,
            engine=self.engine,
            panel=Panel(judges=[self.judge], gate=self.gate),
            inputs={},
            desk=self,
            done=done,
        )
        try:
            return await loop.run()
        finally:
            self.fresh = loop.fresh


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


async def test_of_one_round_nobody_says_that_it_was_tried_again() -> None:
    outcome = await Bench(0.1).run(RECIPE.but(acceptance=Acceptance(retry_limit=1)))
    assert (len(outcome.attempts), outcome.warning) == (1, "Not tried again: retry_limit is 1")


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


# ---------------------------------------------------------------------- candidates


def choosing(best_of: int, **acceptance: object) -> Recipe:
    return RECIPE.but(acceptance=Acceptance.checked(best_of=best_of, **acceptance))


async def test_of_several_candidates_the_best_is_chosen_and_all_are_told() -> None:
    bench = Bench(0.26, 0.35, 0.3)
    outcome = await bench.run(choosing(3))
    assert [recipe.seed for recipe in bench.engine.recipes] == [7, 8, 9]
    assert [recipe.count for recipe in bench.engine.recipes] == [3, 2, 1]
    assert [attempt.round for attempt in outcome.attempts] == [1, 1, 1]
    assert (outcome.accepted, outcome.best, outcome.warning) == (True, 2, None)
    assert {attempt.recipe.count for attempt in outcome.attempts} == {1}


async def test_an_engine_that_draws_a_batch_is_asked_once() -> None:
    bench = Bench(0.26, 0.35, 0.3, engine=FakeEngine(batch=4))
    outcome = await bench.run(choosing(3))
    assert ([recipe.count for recipe in bench.engine.recipes], outcome.best) == ([3], 2)
    assert sorted(bench.fresh) == [1, 2, 3]
    assert [ticket.id for ticket in bench.engine.tickets] == ["1"]


async def test_a_candidate_that_is_clearly_good_ends_the_choice() -> None:
    bench = Bench(0.95)
    outcome = await bench.run(choosing(4))
    assert (len(outcome.attempts), outcome.accepted, outcome.best) == (1, True, 1)


async def test_all_candidates_are_drawn_when_all_are_to_be_kept() -> None:
    outcome = await Bench(0.95).run(choosing(3, keep="all"))
    assert (len(outcome.attempts), outcome.best) == (3, 1)


async def test_when_no_candidate_passes_the_rounds_go_on_one_by_one() -> None:
    bench = Bench(0.1, 0.2, 0.15, 0.4)
    outcome = await bench.run(choosing(2))
    assert [(attempt.number, attempt.round) for attempt in outcome.attempts] == [(1, 1), (2, 1), (3, 2), (4, 3)]
    assert (outcome.accepted, outcome.best) == (True, 4)
    assert len({attempt.recipe.seed for attempt in outcome.attempts}) == 4


async def test_candidates_of_an_interrupted_choice_are_not_drawn_again() -> None:
    first = (await Bench(0.26).run(RECIPE.but(acceptance=Acceptance(retry_limit=1)))).attempts
    bench = Bench(0.3)
    outcome = await bench.run(choosing(3), done=first)
    assert [(recipe.seed, recipe.count) for recipe in bench.engine.recipes] == [(8, 2), (9, 1)]
    assert [attempt.number for attempt in outcome.attempts] == [1, 2, 3]


async def test_the_next_candidate_is_drawn_while_the_one_before_it_is_judged() -> None:
    judge = FakeJudge(scores=[0.3], gate=asyncio.Event())
    engine = FakeEngine(held_from=2, gate=asyncio.Event())
    bench = Bench(engine=engine, judge=judge)
    task = asyncio.create_task(bench.run(choosing(2)))
    async with asyncio.timeout(5):
        await judge.started.wait()
        await engine.started.wait()  # the second render has begun, and no verdict is there
    assert judge.prompts == []
    assert judge.gate and engine.gate
    judge.gate.set()
    engine.gate.set()
    assert len((await task).attempts) == 2


async def test_what_is_drawn_ahead_is_stopped_with_the_loop_and_the_engines_word_on_it_is_told() -> None:
    judge = FakeJudge(gate=asyncio.Event())
    engine = FakeEngine(held_from=2, gate=asyncio.Event(), lingers="the server is still at it")
    task = asyncio.create_task(Bench(engine=engine, judge=judge).run(choosing(2)))
    async with asyncio.timeout(5):
        await engine.started.wait()
        await judge.started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError, match="the server is still at it"):
            await task
    assert (engine.stopped, judge.stopped) == (1, 1)


async def test_a_candidate_that_cannot_be_drawn_does_not_cost_those_before_it() -> None:
    class Failing(FakeEngine):
        async def render(self, *asked: Any, **named: Any) -> Any:
            if len(self.recipes) == 1:
                self.errors.append(RenderFailed("the sampler broke"))
            return await super().render(*asked, **named)

    outcome = await Bench(0.3, engine=Failing()).run(choosing(3))
    assert (outcome.accepted, len(outcome.attempts)) == (True, 1)
    assert outcome.warning == "Attempt 2 could not be drawn: the sampler broke"


# ---------------------------------------------------------------------- what may not be shown


async def test_what_the_gate_bars_is_not_kept_and_another_is_drawn() -> None:
    bench = Bench(0.3, gate=FakeJudge(name="content", barred=(1,)))
    outcome = await bench.run()
    assert (outcome.accepted, outcome.best, bench.stored) == (True, 2, {})
    assert list(bench.fresh) == [2]
    assert bench.judge.prompts == ["single car on a road"]  # the barred one was shown to nobody else
    assert [verdict.judge for verdict in outcome.attempts[1].verdicts] == ["clip"]


async def test_the_gate_is_asked_without_validation_too_and_once_more() -> None:
    bench = Bench(gate=FakeJudge(name="content", barred=(1,)))
    outcome = await bench.run(RECIPE.but(acceptance=Acceptance(validate=False)))
    assert (len(bench.engine.recipes), outcome.accepted, outcome.best) == (2, None, 2)


async def test_when_all_that_is_drawn_is_barred_the_job_is_refused_and_nothing_is_kept() -> None:
    bench = Bench(gate=FakeJudge(name="content", barred=(1, 2, 3)))
    with pytest.raises(Refused):
        await bench.run()
    assert (bench.stored, bench.fresh, len(bench.engine.recipes)) == ({}, {}, 3)


async def test_no_glimpse_of_an_unfinished_picture_is_shown_while_a_gate_watches() -> None:
    preview = Media(data=png(), media_type="image/png")
    seen: list[Media | None] = []
    for gate in (None, FakeJudge(name="content")):
        bench = Bench(engine=FakeEngine(preview=preview), gate=gate)
        await bench.run()
        seen.append(next((glimpse for glimpse in bench.glimpses if glimpse), None))
    assert seen == [preview, None]


# ---------------------------------------------------------------------- repairs


async def test_a_limb_that_another_seed_did_not_mend_is_painted_anew_in_the_best_picture() -> None:
    arm = Advice(cause="anatomy", repair=(Region(left=0.0, top=0.0, right=0.25, bottom=0.25),))
    bench = Bench(judge=FakeJudge(scores=[0.2, 0.1, 0.3], advice=(arm,)))
    outcome = await bench.run()
    repair = bench.engine.recipes[2]
    assert (repair.task, repair.source, repair.mask) == ("inpaint", "1.png", "3.png.mask.png")
    assert set(bench.engine.inputs[2]) == {"source", "mask"}
    assert outcome.attempts[2].change == "1 part(s) of attempt 1 painted anew"
    repaired, first = decode(bench.fresh[3].data), decode(bench.stored["1.png"].data)
    assert repaired.getpixel((63, 63)) == first.getpixel((63, 63))
    assert repaired.getpixel((2, 2)) != first.getpixel((2, 2))


async def test_an_engine_that_does_not_paint_draws_again_instead() -> None:
    class NoPaint(FakeEngine):
        async def refusal(self, recipe: Recipe) -> str | None:
            return "no masks here" if recipe.task == "inpaint" else None

    arm = Advice(cause="anatomy", repair=(Region(left=0.0, top=0.0, right=0.25, bottom=0.25),))
    bench = Bench(engine=NoPaint(), judge=FakeJudge(scores=[0.2, 0.1, 0.3], advice=(arm,)))
    await bench.run()
    assert [recipe.task for recipe in bench.engine.recipes] == ["txt2img"] * 3


async def test_what_nobody_can_check_is_not_drawn_again_and_the_reason_is_told() -> None:
    class Closed(FakeJudge):
        async def judge(self, pictures: Sequence[Media], recipe: Recipe, profile: FamilyProfile) -> Sequence[Verdict]:
            closed = Verdict(judge="content", passed=False, reason="Not checked: no weights.", hard=True, barred=True)
            return [closed] * len(pictures)

    bench = Bench(gate=Closed(name="content"))
    with pytest.raises(ServiceUnavailable, match=r"Not checked: no weights\. Nothing is shown unchecked"):
        await bench.run(choosing(3))
    assert (len(bench.engine.recipes) <= 2, bench.stored) == (True, {})
