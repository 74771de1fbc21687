"""Refinements: rounds of drawing, looking and rewording, which outlive failures, stops and processes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.fakes import FakeEngine, FakeJudge
from tests.workflows.refinery.kit import WISH, FakeEvaluator, FakeWriter, brief, house, seen
from workflows.errors import AccessDenied, BadRecipe, NotFound, Refused, RenderFailed, ServiceFailed
from workflows.types import Progress, Refinement, Round

REPLY = '{"prompt": "a red circle in a tall black hat", "negative": "cat", "said": "The hat was missing."}'


def told(rounds: Sequence[Round]) -> list[tuple[str, str | None, str]]:
    return [(one.prompt, one.refined, one.stage) for one in rounds]


async def test_each_round_draws_what_the_one_before_reworded_and_the_wish_stays_the_measure(tmp_path: Path) -> None:
    engine, look, writer = (
        FakeEngine(),
        FakeEvaluator(says=[seen(4), seen(9, passed=True)]),
        FakeWriter(replies=[REPLY]),
    )
    judge = FakeJudge()
    async with house(tmp_path, engine=engine, judge=judge, evaluators=[look], writers=[writer]) as at:
        done = await at.refine()

        better = "a red circle in a tall black hat"
        assert told(done.rounds) == [(WISH, better, "done"), (better, None, "done")]
        assert (done.state, done.best, done.fault) == ("succeeded", 2, "")
        assert [recipe.prompt for recipe in engine.recipes] == [WISH, better]
        assert [one.negative for one in done.rounds] == [recipe.negative for recipe in engine.recipes] == ["", "cat"]
        assert look.prompts == judge.prompts == [WISH, WISH]
        assert look.profiles == ["fake", "fake"]
        assert WISH in writer.asked[0] and "It scores 4." in writer.asked[0]
        first, second = [await at.gallery.find(one.image_id or "") for one in done.rounds]
        assert (second.prompt, second.rendered.prompt, second.parent_id) == (WISH, better, first.id)
        assert done.rounds[0].why == "The hat was missing." and done.rounds[0].refined_by == "writer"
        assert (done.versions["engine"], done.versions["model"]) == ("fake", "fake-model")
        assert done == await at.ledger.refinements.get(done.id)


async def test_the_best_round_is_told_when_none_is_accepted(tmp_path: Path) -> None:
    look = FakeEvaluator(says=[seen(4), seen(6), seen(5)])
    async with house(tmp_path, evaluators=[look]) as at:
        done = await at.refine()
        assert (len(done.rounds), done.best, done.state) == (3, 2, "succeeded")
        answer = await at.refinery.answer(done)
    best = done.rounds[1]
    place = tmp_path / "pictures"
    assert answer["best"]["prompt"] == best.prompt and answer["image_id"] == best.image_id
    assert Path(answer["path"]).is_relative_to(place) and Path(answer["path"]).is_file()
    assert (answer["status"], answer["job_id"], answer["passed"]) == ("success", done.id, False)
    assert [(row["iteration"], row["score"]) for row in answer["iterations"]] == [(1, 4.0), (2, 6.0), (3, 5.0)]
    assert "refined" not in answer["iterations"][2]  # nothing is asked that nobody draws


async def test_of_equal_evaluations_the_judges_decide(tmp_path: Path) -> None:
    look = FakeEvaluator(says=[seen(5)])
    async with house(tmp_path, judge=FakeJudge(scores=[0.3, 0.4, 0.35]), evaluators=[look]) as at:
        assert (await at.refine()).best == 2


async def test_rules_say_what_is_missing_where_no_language_model_is(tmp_path: Path) -> None:
    engine, look = (
        FakeEngine(),
        FakeEvaluator(says=[seen(4, missing=["the hat"]), seen(4, missing=["a nose"]), seen(4)]),
    )
    async with house(tmp_path, engine=engine, evaluators=[look]) as at:
        done = await at.refine()
    assert [recipe.prompt for recipe in engine.recipes] == [
        WISH,
        f"{WISH}. The picture clearly shows the hat.",
        f"The picture clearly shows a nose. The picture clearly shows the hat. {WISH}. "
        "The picture clearly shows a nose. The picture clearly shows the hat.",
    ]
    assert done.rounds[0].refined_by == "rules"


async def test_a_failed_round_costs_no_other(tmp_path: Path) -> None:
    engine = FakeEngine(errors=[RenderFailed("the card fell out")])
    look = FakeEvaluator(says=[seen(4), seen(8, passed=True)])
    async with house(tmp_path, engine=engine, evaluators=[look]) as at:
        done = await at.refine()
    assert [one.image_id is not None for one in done.rounds] == [False, True, True]
    assert done.rounds[0].why == "Not drawn: the card fell out"
    assert (done.state, done.best, done.fault) == ("succeeded", 3, "")


async def test_what_another_try_does_not_mend_ends_it_at_once_and_keeps_what_there_is(tmp_path: Path) -> None:
    engine = FakeEngine(errors=[AccessDenied("no key", "FAL_KEY")])
    async with house(tmp_path, engine=engine, evaluators=[FakeEvaluator()]) as at:
        done = await at.refine()
        assert (done.state, len(done.rounds), done.fault) == ("failed", 1, "no key")
        answer = await at.refinery.answer(done)
        assert (answer["status"], answer["error"]) == ("failed", "no key") and "image_id" not in answer


async def test_an_evaluator_that_fails_leaves_the_picture_and_is_asked_again_on_resume(tmp_path: Path) -> None:
    engine, look = FakeEngine(), FakeEvaluator(says=[ServiceFailed("it is tired"), seen(9, passed=True)])
    async with house(tmp_path, engine=engine, evaluators=[look]) as at:
        failed = await at.refine(evaluator="fake")
        assert (failed.state, failed.fault, failed.rounds[0].stage) == ("failed", "it is tired", "evaluating")
        assert (await at.refinery.answer(failed))["image_id"] == failed.rounds[0].image_id
        done = await at.ended(await at.refinery.resume(failed))
    assert (done.state, done.best, len(engine.recipes)) == ("succeeded", 1, 1)


async def test_auto_asks_the_next_evaluator_when_one_fails(tmp_path: Path) -> None:
    tired, awake = FakeEvaluator(says=[ServiceFailed("tired")]), FakeEvaluator(name="clip", says=[seen(9, passed=True)])
    async with house(tmp_path, evaluators=[awake, tired]) as at:
        assert at.refinery.evaluating.names == ("fake", "clip")
        done = await at.refine()
    assert (done.state, len(tired.prompts), len(awake.prompts)) == ("succeeded", 1, 1)


async def test_what_cannot_be_done_is_said_before_anything_is_written(tmp_path: Path) -> None:
    async with house(tmp_path) as at:
        for wrong, error, words in (
            ({"evaluator": "gemini"}, BadRecipe, "it is auto, clip; gemini needs GEMINI_API_KEY"),
            ({"iterations": 11}, BadRecipe, "iterations cannot be 11"),
            ({"prompt": ""}, BadRecipe, "it says what the picture shows"),
            ({"options": {"stepz": 4}}, BadRecipe, "did you mean step"),
            ({"options": {"steps": 0}}, BadRecipe, "steps cannot be 0"),
            ({"options": {"task": "upscale"}}, BadRecipe, "task cannot be 'upscale'"),
            ({"prompt": "a nude child"}, Refused, "Refused"),
        ):
            with pytest.raises(error, match=words):
                await at.refine(**wrong)  # pyright: ignore[reportArgumentType]
        assert await at.ledger.refinements.recent(9) == []


async def test_progress_goes_over_all_iterations_and_never_back(tmp_path: Path) -> None:
    gate, heard = asyncio.Event(), list[Progress]()
    look = FakeEvaluator(says=[seen(4), seen(5)])
    async with house(tmp_path, engine=FakeEngine(gate=gate), evaluators=[look]) as at:
        begun = await at.refinery.start(brief(options={"steps": 4}), 2)
        waiting = asyncio.create_task(at.refinery.wait(begun.id, 30, heard.append))
        await asyncio.sleep(0)
        gate.set()
        await waiting
    words = [one.message for one in heard]
    assert "Iteration 2 of 2: drawing, step 3 of 4" in words
    assert words[-1] == "Done" and "Iteration 1 of 2: looking at the picture" in words
    fractions = [one.fraction for one in heard]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0


async def test_a_cancel_stops_the_job_too_and_lasts(tmp_path: Path) -> None:
    engine = FakeEngine(gate=asyncio.Event())
    async with house(tmp_path, engine=engine, evaluators=[FakeEvaluator()]) as at:
        begun = await at.refinery.start(brief())
        await engine.started.wait()
        cancelled = await at.refinery.cancel(begun.id)
        assert cancelled.state == "cancelled" and engine.stopped == 1
        job = await at.studio.find(cancelled.rounds[0].job_id or "")
        assert job.state == "cancelled"
        assert await at.refinery.cancel(begun.id) == cancelled == await at.ledger.refinements.get(begun.id)
        at_once = await at.refinery.start(brief(2))
        assert (await at.refinery.cancel(at_once.id)).state == "cancelled"
        assert await at.refinery.recover(resume=True) == []


async def test_a_job_that_is_cancelled_ends_its_refinement(tmp_path: Path) -> None:
    engine = FakeEngine(gate=asyncio.Event())
    async with house(tmp_path, engine=engine, evaluators=[FakeEvaluator()]) as at:
        begun = await at.refinery.start(brief())
        await engine.started.wait()
        await at.studio.cancel(at.studio.active()[0].id)
        assert (await at.ended(begun)).state == "cancelled"


@pytest.mark.parametrize("while_it", ["draws", "looks"])
async def test_the_next_process_goes_on_where_this_one_ended(tmp_path: Path, while_it: str) -> None:
    held = asyncio.Event()
    engine = FakeEngine(gate=held if while_it == "draws" else None, held_from=2)
    look = FakeEvaluator(says=[seen(4), seen(9, passed=True)])
    second_look = FakeEvaluator(gate=held)
    evaluator = look if while_it == "draws" else second_look
    async with house(tmp_path, engine=engine, evaluators=[evaluator]) as at:
        begun = await at.refinery.start(brief())
        await (engine.started if while_it == "draws" else second_look.started).wait()
    assert at.refinery.unfinished

    again = FakeEngine()
    async with house(tmp_path, engine=again, evaluators=[look]) as at:
        [left] = await at.ledger.refinements.recent(9)
        assert (left.state, left.id) == ("interrupted", begun.id)
        assert [one.id for one in await at.refinery.recover(resume=True)] == [begun.id]
        done = await at.ended(begun)
    assert (done.state, len(done.rounds), done.best) == ("succeeded", 2, 2)
    assert len(again.recipes) == 1  # the round that was drawn, or looked at, is not drawn again
    assert [recipe.prompt for recipe in again.recipes] == [done.rounds[1].prompt]


async def test_an_answer_on_its_way_is_waited_for_and_nothing_more_is_asked(tmp_path: Path) -> None:
    look, writer = FakeEvaluator(gate=asyncio.Event()), FakeWriter(replies=[REPLY])
    async with house(tmp_path, evaluators=[look], writers=[writer], grace=30) as at:
        begun = await at.refinery.start(brief())
        await look.started.wait()
        assert look.gate is not None
        asyncio.get_running_loop().call_soon(look.gate.set)  # once it is being left
    async with house(tmp_path) as at:
        left = await at.refinery.find(begun.id)
    assert (left.state, left.rounds[0].stage) == ("interrupted", "refining")
    assert left.rounds[0].evaluation is not None and writer.asked == []


async def test_those_of_a_batch_are_only_marked_by_a_server(tmp_path: Path) -> None:
    engine = FakeEngine(gate=asyncio.Event())
    async with house(tmp_path, engine=engine, evaluators=[FakeEvaluator()]) as at:
        lost = Refinement(brief=brief(), run_id="run", state="running", owner="1-gone")
        await at.ledger.refinements.save(lost)
        assert [(one.id, one.state) for one in await at.refinery.recover(resume=True)] == [(lost.id, "interrupted")]
        assert at.refinery.active() == []


async def test_a_name_that_is_none_brings_the_nearest(tmp_path: Path) -> None:
    async with house(tmp_path, evaluators=[FakeEvaluator(says=[seen(9, passed=True)])]) as at:
        done = await at.refine()
        with pytest.raises(NotFound, match=done.id):
            await at.refinery.find(f"{done.id[:-1]}x")
        assert (await at.refinery.known(done.id), await at.refinery.known("nothing")) == (True, False)


async def test_the_same_words_are_not_drawn_twice_from_one_seed(tmp_path: Path) -> None:
    engine = FakeEngine(errors=[])
    writer = FakeWriter(replies=['{"prompt": "' + WISH + '", "negative": "", "said": "fine"}'])
    async with house(tmp_path, engine=engine, evaluators=[FakeEvaluator()], writers=[writer]) as at:
        await at.refine(iterations=2, options={"seed": 7})
    assert engine.recipes[0].seed == 7 != engine.recipes[1].seed
