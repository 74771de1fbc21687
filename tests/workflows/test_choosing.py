"""Choosing of several, on a real ledger and store: what is filed, what overlaps, what a stop and a restart leave."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.fakes import FakeEngine, FakeJudge, fake_app, png, until
from workflows import answers
from workflows.app import App
from workflows.errors import BadRecipe, Refused, StudioError
from workflows.types import Acceptance, Advice, Job, Media, Recipe, Region

WISH = Recipe.checked(prompt="a red circle", seed=10)


def choosing(best_of: int, **acceptance: object) -> Recipe:
    return WISH.but(acceptance=Acceptance.checked(best_of=best_of, **acceptance))


async def made(app: App, recipe: Recipe) -> Job:
    return await app.studio.wait((await app.studio.submit(recipe)).id, 30)


class Notebook:
    """A recorder that remembers."""

    def __init__(self) -> None:
        self.entries: list[tuple[Job, dict[str, Media]]] = []

    def record(self, job: Job, pictures: Mapping[str, Media]) -> None:
        self.entries.append((job, dict(pictures)))


async def test_the_best_candidate_is_filed_and_the_others_leave_no_file(tmp_path: Path) -> None:
    async with fake_app(tmp_path, engine=FakeEngine(batch=4), judge=FakeJudge(scores=[0.26, 0.35, 0.3])) as app:
        job = await made(app, choosing(3))
        answer = await answers.job_answer(app.gallery, job)
        keys = list(await app.studio.store.keys(job.id))
    assert (answer["attempt"], answer["metadata"]["seed"], answer["validation"]["passed"]) == (2, 11, True)
    assert [row["score"] for row in answer["attempts"]] == [0.26, 0.35, 0.3]
    assert keys == [job.outcomes[0].chosen.key]
    assert "images" not in answer


async def test_all_candidates_are_filed_when_that_is_asked_the_best_one_first(tmp_path: Path) -> None:
    async with fake_app(tmp_path, judge=FakeJudge(scores=[0.26, 0.35, 0.3])) as app:
        job = await made(app, choosing(3, keep="all"))
        answer = await answers.job_answer(app.gallery, job)
        again = await app.studio.wait((await app.studio.regenerate(job.item_ids[2])).id, 30)
        third, copy = [await app.gallery.find(name) for name in (job.item_ids[2], again.item_ids[0])]
    assert [image["seed"] for image in answer["images"]] == [11, 10, 12]
    assert (copy.seed, copy.rendered.batch_index) == (third.seed, third.rendered.batch_index)


async def test_a_picture_of_a_batch_that_shares_its_seed_is_made_again_by_its_place(tmp_path: Path) -> None:
    engine = FakeEngine(batch=4, places=True)
    async with fake_app(tmp_path, engine=engine, judge=FakeJudge(scores=[0.26, 0.28, 0.35])) as app:
        job = await made(app, choosing(3))
        item = await app.gallery.find(job.item_ids[0])
        await app.studio.wait((await app.studio.regenerate(item.id)).id, 30)
        await app.studio.wait((await app.studio.regenerate(item.id, seed=5)).id, 30)
    assert (item.seed, item.rendered.batch_index) == (10, 2)
    assert [(recipe.seed, recipe.batch_index, recipe.count) for recipe in engine.recipes[1:]] == [
        (10, 2, 1),
        (5, None, 1),
    ]


async def test_pictures_of_a_choice_share_no_seed(tmp_path: Path) -> None:
    engine = FakeEngine()
    async with fake_app(tmp_path, engine=engine) as app:
        await made(app, choosing(2).but(count=3))
    assert sorted(recipe.seed or 0 for recipe in engine.recipes) == [10, 11, 12, 13, 14, 15]


async def test_the_next_picture_is_drawn_while_the_one_before_it_is_judged(tmp_path: Path) -> None:
    judge, engine = FakeJudge(gate=asyncio.Event()), FakeEngine(held_from=2, gate=asyncio.Event())
    async with fake_app(tmp_path, engine=engine, judge=judge) as app:
        job = await app.studio.submit(WISH.but(count=3))
        async with asyncio.timeout(5):
            await judge.started.wait()
            await engine.started.wait()
        assert (len(engine.recipes), judge.prompts) == (2, [])
        assert judge.gate and engine.gate
        judge.gate.set()
        engine.gate.set()
        done = await app.studio.wait(job.id, 30)
        seeds = [(await app.gallery.find(item_id)).seed for item_id in done.item_ids]
    assert (done.state, seeds) == ("succeeded", [10, 11, 12])


async def test_retries_of_two_pictures_in_hand_do_not_get_into_each_others_way(tmp_path: Path) -> None:
    judge = FakeJudge(scores=[0.1, 0.1, 0.1, 0.1, 0.3])
    async with fake_app(tmp_path, judge=judge) as app:
        job = await made(app, WISH.but(count=4))
        stored = list(await app.studio.store.keys(job.id))
    assert (job.state, len(job.item_ids), job.attempts) == ("succeeded", 4, ())
    assert sorted(stored) == sorted(outcome.chosen.key for outcome in job.outcomes)
    for place, outcome in enumerate(job.outcomes):
        assert {attempt.picture for attempt in outcome.attempts} == {place}
        assert [attempt.number for attempt in outcome.attempts] == list(range(1, len(outcome.attempts) + 1))


async def test_a_cancel_while_judging_stops_judge_and_engine_and_leaves_nothing(tmp_path: Path) -> None:
    judge = FakeJudge(gate=asyncio.Event())
    engine = FakeEngine(held_from=2, gate=asyncio.Event(), lingers="the server is still at it")
    async with fake_app(tmp_path, engine=engine, judge=judge) as app:
        job = await app.studio.submit(choosing(3))
        async with asyncio.timeout(5):
            await judge.started.wait()
            await engine.started.wait()
        cancelled = await app.studio.cancel(job.id)
        left = list(await app.studio.store.keys(job.id))
    assert (cancelled.state, cancelled.note, left) == ("cancelled", "the server is still at it", [])
    assert (judge.stopped, engine.stopped) == (1, 1)


async def test_an_interrupted_choice_goes_on_where_it_was(tmp_path: Path) -> None:
    engine = FakeEngine(held_from=3, gate=asyncio.Event())
    async with fake_app(tmp_path, engine=engine, judge=FakeJudge(scores=[0.26])) as app:
        job = await app.studio.submit(choosing(3))
        async with asyncio.timeout(5):
            await engine.started.wait()
            await until(app, lambda job: len(job.attempts) == 2)
    after = FakeEngine()
    async with fake_app(tmp_path, engine=after, judge=FakeJudge(scores=[0.35]), resume=True) as app:
        done = await app.studio.wait(job.id, 30)
    assert [recipe.seed for recipe in after.recipes] == [12]
    assert [attempt.score for attempt in done.outcomes[0].attempts] == [0.26, 0.26, 0.35]
    assert done.outcomes[0].best == 3


async def test_a_repaired_picture_keeps_what_it_was_repaired_from_so_that_it_can_be_made_again(tmp_path: Path) -> None:
    arm = Advice(cause="anatomy", repair=(Region(left=0.0, top=0.0, right=0.25, bottom=0.25),))
    async with fake_app(tmp_path, judge=FakeJudge(scores=[0.2, 0.1, 0.3], advice=(arm,))) as app:
        job = await made(app, WISH)
        item = await app.gallery.find(job.item_ids[0])
        stored = set(await app.studio.store.keys(job.id))
        again = await app.studio.wait((await app.studio.regenerate(item.id)).id, 30)
        same = [(await app.gallery.original(name)).data for name in (item.id, again.item_ids[0])]
    assert item.rendered.task == "inpaint"
    assert stored == {item.key, *item.rendered.pictures.values()}
    assert again.state == "succeeded"
    assert _pixels(same[0]) == _pixels(same[1])


async def test_what_was_repaired_in_vain_leaves_no_file(tmp_path: Path) -> None:
    arm = Advice(cause="anatomy", repair=(Region(left=0.0, top=0.0, right=0.25, bottom=0.25),))
    async with fake_app(tmp_path, judge=FakeJudge(scores=[0.2, 0.1, 0.15], advice=(arm,))) as app:
        job = await made(app, WISH)
        stored = list(await app.studio.store.keys(job.id))
    assert (job.outcomes[0].best, stored) == (1, [job.outcomes[0].chosen.key])


async def test_a_barred_picture_is_stored_nowhere_and_a_job_of_nothing_else_is_refused(tmp_path: Path) -> None:
    async with fake_app(tmp_path, gate=FakeJudge(name="content", barred=(1, 2, 3))) as app:
        job = await made(app, WISH)
        stored = list(await app.studio.store.keys(job.id))
        with pytest.raises(StudioError):
            await app.gallery.find(job.id)
    assert (job.state, job.fault and job.fault.code, job.item_ids, stored) == ("failed", "refused", (), [])


async def test_what_the_rules_forbid_is_refused_before_anything_is_written_down_or_drawn(tmp_path: Path) -> None:
    engine = FakeEngine()
    async with fake_app(tmp_path, engine=engine) as app:
        for forbidden in (WISH.but(prompt="a nude woman"), WISH.but(negative="a nude child")):
            with pytest.raises(Refused):
                await app.studio.submit(forbidden)
        kept = (await app.studio.history(10), list(await app.studio.store.keys("")))
    assert (engine.recipes, kept) == ([], ([], []))


async def test_what_is_drawn_has_words_against_nudity_where_people_are_and_the_users_recipe_has_not(
    tmp_path: Path,
) -> None:
    engine, judge = FakeEngine(), FakeJudge(scores=[0.1])
    async with fake_app(tmp_path, engine=engine, judge=judge) as app:
        job = await made(app, WISH.but(prompt="a woman in a red coat", negative="blurry"))
        item = await app.gallery.find(job.item_ids[0])
    assert {recipe.negative for recipe in engine.recipes} == {"nsfw, nude, blurry"}
    assert (item.negative, item.recipe.negative, item.rendered.negative) == ("blurry", "blurry", "nsfw, nude, blurry")


async def test_a_given_picture_that_the_gate_bars_is_not_worked_on_nor_kept(tmp_path: Path) -> None:
    engine = FakeEngine()
    async with fake_app(tmp_path, engine=engine, gate=FakeJudge(name="content", barred=(1,))) as app:
        job = await app.studio.submit(WISH, {"source": Media(data=png(), media_type="image/png")})
        ended = await app.studio.wait(job.id, 30)
        stored = list(await app.studio.store.keys(job.id))
    assert (ended.state, ended.fault and ended.fault.code, engine.recipes, stored) == ("failed", "refused", [], [])


async def test_every_ended_job_is_logged_with_the_pictures_it_filed(tmp_path: Path) -> None:
    notebook = Notebook()
    async with fake_app(tmp_path, recorder=notebook, judge=FakeJudge(scores=[0.1, 0.3])) as app:
        job = await made(app, WISH.but(count=2))
        stored = {name: await app.gallery.original(name) for name in job.item_ids}
    assert notebook.entries == [(job, stored)]


async def test_a_choice_without_judges_and_an_unknown_strategy_are_refused(tmp_path: Path) -> None:
    async with fake_app(tmp_path) as app:
        with pytest.raises(BadRecipe, match="the judges do the choosing"):
            await app.studio.submit(choosing(3, validate=False))
        with pytest.raises(BadRecipe, match="ATELIER_VISION_MODEL"):
            await app.studio.submit(choosing(1, checks=("vision",)))
    with pytest.raises(BadRecipe, match="retry_strategy"):
        Acceptance.checked(retry_strategy="harder")
    with pytest.raises(BadRecipe, match="it is at most 8"):
        Acceptance.checked(best_of=9)


async def test_several_judges_are_each_told_and_all_must_agree(tmp_path: Path) -> None:
    pose = FakeJudge(name="pose", scores=[0.1])
    async with fake_app(tmp_path, judge=FakeJudge(scores=[0.3]), further=[pose]) as app:
        job = await made(app, WISH.but(acceptance=Acceptance(checks=("pose", "clip"), retry_limit=1)))
        answer = await answers.job_answer(app.gallery, job)
    assert (answer["validation"]["passed"], answer["validation"]["positive_score"]) == (False, 0.3)
    assert list(answer["validation"]["checks"]) == ["clip", "pose"]  # in the order of cost, not of the asking
    assert answer["attempts"][0]["checks"]["pose"] == {"passed": False, "score": 0.1}


def _pixels(data: bytes) -> bytes:
    from utils.images import decode

    return decode(data).tobytes()


async def test_progress_of_several_pictures_is_the_sum_of_what_is_done_of_each(tmp_path: Path) -> None:
    heard: list[float] = []
    engine = FakeEngine(gate=asyncio.Event(), held_from=3)
    async with fake_app(tmp_path, engine=engine, judge=FakeJudge(scores=[0.1, 0.3])) as app:
        job = await app.studio.submit(WISH.but(count=4))
        watching = asyncio.create_task(app.studio.wait(job.id, 30, lambda progress: heard.append(progress.fraction)))
        async with asyncio.timeout(5):
            await engine.started.wait()
        assert engine.gate
        assert 0 < app.studio.active()[0].progress.fraction < 0.75  # two of four pictures are in hand, none is filed
        engine.gate.set()
        await watching
    assert heard == sorted(heard)


async def test_each_filed_candidate_says_which_picture_and_attempt_it_is_and_whether_it_was_chosen(
    tmp_path: Path,
) -> None:
    async with fake_app(tmp_path, judge=FakeJudge(scores=[0.26, 0.35, 0.3, 0.31])) as app:
        job = await made(app, choosing(2, keep="all").but(count=2))
        answer = await answers.job_answer(app.gallery, job)
    assert [(row["picture"], row["chosen"]) for row in answer["images"]] == [
        (1, True),
        (1, False),
        (2, True),
        (2, False),
    ]
    for outcome, rows in zip(job.outcomes, (answer["images"][:2], answer["images"][2:]), strict=True):
        assert [row["attempt"] for row in rows] == [outcome.best, 3 - outcome.best]


async def test_a_judge_that_could_not_say_is_named_beside_the_pass_of_the_others(tmp_path: Path) -> None:
    vision = FakeJudge(name="vision", missing="Not judged: Ollama does not answer.")
    async with fake_app(tmp_path, judge=FakeJudge(scores=[0.3]), further=[vision]) as app:
        job = await made(app, WISH.but(acceptance=Acceptance(checks=("clip", "vision"))))
        answer = await answers.job_answer(app.gallery, job)
    assert answer["validation"]["passed"] is True
    assert answer["validation"]["not_judged"] == {"vision": "Not judged: Ollama does not answer."}
    assert answer["attempts"][0]["reason"] == "Image passed validation"


async def test_erasing_takes_along_what_the_picture_was_made_of_but_nothing_that_another_one_needs(
    tmp_path: Path,
) -> None:
    arm = Advice(cause="anatomy", repair=(Region(left=0.0, top=0.0, right=0.25, bottom=0.25),))
    given = {"source": Media(data=png(), media_type="image/png")}
    async with fake_app(tmp_path, judge=FakeJudge(scores=[0.2, 0.1, 0.3], advice=(arm,))) as app:
        wish = WISH.but(task="img2img", acceptance=Acceptance(keep="all"))
        job = await app.studio.wait((await app.studio.submit(wish, given)).id, 30)
        best, first, second = job.item_ids
        await app.gallery.delete(first)
        still = await app.studio.wait((await app.studio.regenerate(best)).id, 30)
        await app.gallery.erase(first)
        again = await app.studio.wait((await app.studio.regenerate(best)).id, 30)
        await app.gallery.erase(second)
        await app.gallery.erase(best)
        left = list(await app.studio.store.keys(job.id))
    assert (still.state, again.state, left) == ("succeeded", "succeeded", [])
