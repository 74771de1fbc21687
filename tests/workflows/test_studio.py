"""The studio on a real ledger and store: durable jobs, waiting, cancelling, interruption and recovery."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import pytest

from tests.fakes import PROFILE, FakeEngine, FakeGraphs, FakeJudge, fake_app, png
from utils.metadata import read_png
from workflows import answers
from workflows.app import App
from workflows.completion import complete
from workflows.errors import BadRecipe, EngineUnavailable, NotFound, OutOfMemory, StorageError
from workflows.types import Acceptance, Item, ItemQuery, Job, Media, Progress, Quality, Recipe

WISH = Recipe.checked(prompt="a red circle")


async def made(app: App, recipe: Recipe = WISH, image: str | None = None) -> Job:
    return await app.studio.wait((await app.studio.submit(recipe, {"source": image} if image else {})).id, 30)


async def test_a_job_is_in_the_ledger_before_the_engine_starts(tmp_path: Path) -> None:
    engine = FakeEngine(gate=asyncio.Event())
    async with fake_app(tmp_path, engine=engine) as app:
        job = await app.studio.submit(WISH)
        row = await app.studio.jobs.get(job.id)
        assert row is not None
        assert row.recipe.seed is not None
        assert (row.recipe.width, row.recipe.steps, row.engine) == (64, 3, "fake")


async def test_the_best_picture_is_filed_with_what_made_it(tmp_path: Path) -> None:
    async with fake_app(tmp_path, judge=FakeJudge(scores=[0.1, 0.4])) as app:
        job = await made(app, WISH.but(seed=5))
        item = await app.gallery.find(job.item_ids[0])
        media = await app.gallery.original(item.id)
        stamp = read_png(media.data)
    assert (job.state, item.attempt, item.score, item.passed) == ("succeeded", 2, 0.4, True)
    assert item.facts["change"] == "another seed, more weight on 'red circle'"
    assert stamp.parameters is not None
    assert f"Seed: {item.seed}" in stamp.parameters
    assert stamp.record is not None
    assert (stamp.record["job_id"], stamp.record["verdicts"][0]["score"]) == (job.id, 0.4)
    assert item.size == len(media.data)


async def test_losing_attempts_leave_no_file(tmp_path: Path) -> None:
    async with fake_app(tmp_path, judge=FakeJudge(scores=[0.1, 0.4])) as app:
        job = await made(app)
        assert list(await app.studio.store.keys(job.id)) == [job.outcomes[0].chosen.key]


async def test_a_batch_has_neighbouring_seeds_and_one_item_each(tmp_path: Path) -> None:
    async with fake_app(tmp_path) as app:
        job = await made(app, WISH.but(count=3, seed=10))
        answer = await answers.job_answer(app.gallery, job)
    assert [image["seed"] for image in answer["images"]] == [10, 11, 12]
    assert len(set(job.item_ids)) == 3


async def test_waiting_ends_with_the_time_and_the_job_goes_on(tmp_path: Path) -> None:
    engine = FakeEngine(gate=asyncio.Event())
    async with fake_app(tmp_path, engine=engine) as app:
        job = await app.studio.submit(WISH)
        assert (await app.studio.wait(job.id, 0.01)).state in {"queued", "running"}
        assert engine.gate is not None
        engine.gate.set()
        assert (await app.studio.wait(job.id, 30)).state == "succeeded"


async def test_a_listener_hears_rising_progress(tmp_path: Path) -> None:
    heard: list[Progress] = []
    async with fake_app(tmp_path, judge=FakeJudge(scores=[0.1, 0.4])) as app:
        job = await app.studio.submit(WISH)
        await app.studio.wait(job.id, 30, heard.append)
    fractions = [progress.fraction for progress in heard]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


async def test_a_job_can_be_stopped_before_its_first_step(tmp_path: Path) -> None:
    async with fake_app(tmp_path) as app:
        job = await app.studio.submit(WISH)
        assert (await app.studio.cancel(job.id)).state == "cancelled"
        left = await app.studio.submit(WISH)
    async with fake_app(tmp_path, resume=True) as app:
        assert (await app.studio.wait(left.id, 30)).state == "succeeded"


async def test_cancel_stops_the_engine_and_leaves_nothing_behind(tmp_path: Path) -> None:
    engine = FakeEngine(gate=asyncio.Event())
    async with fake_app(tmp_path, engine=engine) as app:
        job = await app.studio.submit(WISH)
        await engine.started.wait()
        cancelled = await app.studio.cancel(job.id)
        row = await app.studio.jobs.get(job.id)
        assert row is not None
        assert (cancelled.state, row.state, engine.stopped) == ("cancelled", "cancelled", 1)
        assert list(await app.studio.store.keys(job.id)) == []
        assert (await app.studio.cancel(job.id)).state == "cancelled"
        assert app.studio.active() == []


async def test_a_failed_job_leaves_no_input_picture_behind(tmp_path: Path) -> None:
    async with fake_app(tmp_path, engine=FakeEngine(errors=[OutOfMemory("needs 9 GB")])) as app:
        given = Media(data=png(), media_type="image/png")
        job = await app.studio.submit(WISH.but(task="img2img"), {"source": given})
        await app.studio.wait(job.id, 30)
        assert list(await app.studio.store.keys(job.id)) == []


async def test_a_cancel_that_comes_after_the_end_was_written_changes_nothing(tmp_path: Path) -> None:
    written, gate = asyncio.Event(), asyncio.Event()
    async with fake_app(tmp_path) as app:
        save = app.studio.jobs.save

        async def held(job: Job, token: str, items: Sequence[Item] = ()) -> bool:
            done = await save(job, token, items)
            if job.state == "succeeded":
                written.set()
                await gate.wait()
            return done

        app.studio.jobs.save = held  # type: ignore[method-assign]
        job = await app.studio.submit(WISH)
        await written.wait()
        cancelling = asyncio.create_task(app.studio.cancel(job.id))
        await asyncio.sleep(0)
        gate.set()
        row = await app.studio.jobs.get(job.id)
        assert row is not None
        assert ((await cancelling).state, row.state) == ("succeeded", "succeeded")


async def test_losers_that_cannot_be_removed_do_not_fail_a_filed_picture(tmp_path: Path) -> None:
    async with fake_app(tmp_path, judge=FakeJudge(scores=[0.1, 0.4])) as app:

        async def stuck(key: str) -> None:
            raise StorageError(f"{key} is in use")

        app.studio.store.delete = stuck  # type: ignore[method-assign]
        job = await made(app)
        assert (job.state, len(job.item_ids)) == ("succeeded", 1)


async def test_a_row_that_cannot_be_written_leaves_no_picture_in_the_job(tmp_path: Path) -> None:
    async with fake_app(tmp_path) as app:
        save = app.studio.jobs.save

        async def full(job: Job, token: str, items: Sequence[Item] = ()) -> bool:
            if items:
                raise StorageError("disk full")
            return await save(job, token, items)

        app.studio.jobs.save = full  # type: ignore[method-assign]
        job = await made(app)
        row = await app.studio.jobs.get(job.id)
        assert row is not None
        assert (job.state, row.state, row.item_ids, row.outcomes) == ("failed", "failed", (), ())


async def test_an_engine_error_fails_the_job_with_its_own_words(tmp_path: Path) -> None:
    async with fake_app(tmp_path, engine=FakeEngine(errors=[OutOfMemory("needs 9 GB, has 8")])) as app:
        job = await made(app)
    assert job.state == "failed"
    assert job.fault is not None
    assert (job.fault.code, job.fault.message) == ("out_of_memory", "needs 9 GB, has 8")


async def test_an_unexpected_error_ends_the_job_and_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with fake_app(tmp_path, engine=FakeEngine(errors=[ZeroDivisionError("secret")])) as app:
        job = await made(app)
        assert (await made(app)).state == "succeeded"
    assert job.fault is not None
    assert job.fault.code == "internal_error"
    assert "secret" not in job.fault.message
    assert "ZeroDivisionError" in caplog.text


async def test_a_stopped_process_leaves_its_job_interrupted_and_the_next_takes_it_up(tmp_path: Path) -> None:
    engine = FakeEngine(gate=asyncio.Event())
    async with fake_app(tmp_path, engine=engine) as app:
        job = await app.studio.submit(WISH.but(seed=99))
        await engine.started.wait()
    async with fake_app(tmp_path) as app:
        assert (await app.studio.find(job.id)).state == "interrupted"
    async with fake_app(tmp_path, resume=True) as app:
        finished = await app.studio.wait(job.id, 30)
        item = await app.gallery.find(finished.item_ids[0])
    assert (finished.state, finished.runs, item.seed) == ("succeeded", 2, 99)


async def test_attempts_made_before_an_interruption_are_not_made_again(tmp_path: Path) -> None:
    engine = FakeEngine(gate=asyncio.Event(), held_from=2)
    async with fake_app(tmp_path, engine=engine, judge=FakeJudge(scores=[0.1])) as app:
        job = await app.studio.submit(WISH)
        await engine.started.wait()
    again = FakeEngine()
    async with fake_app(tmp_path, engine=again, judge=FakeJudge(scores=[0.5]), resume=True) as app:
        finished = await app.studio.wait(job.id, 30)
    assert [attempt.number for attempt in finished.outcomes[0].attempts] == [1, 2]
    assert len(again.recipes) == 1


async def test_a_job_that_keeps_taking_the_process_down_is_given_up(tmp_path: Path) -> None:
    for _ in range(3):
        engine = FakeEngine(gate=asyncio.Event())
        async with fake_app(tmp_path, engine=engine, resume=True) as app:
            if not app.studio.active():
                await app.studio.submit(WISH)
            await engine.started.wait()
    async with fake_app(tmp_path, resume=True) as app:
        [job] = await app.studio.history(1)
    assert job.state == "failed"
    assert job.fault is not None
    assert "3 starts" in job.fault.message


async def test_one_that_somebody_takes_up_by_its_name_is_given_as_many_starts_as_they_have_patience(
    tmp_path: Path,
) -> None:
    job_id = ""
    for _ in range(4):
        engine = FakeEngine(gate=asyncio.Event())
        async with fake_app(tmp_path, engine=engine) as app:
            job_id = job_id or (await app.studio.submit(WISH)).id
            await app.studio.resume(job_id, patient=True)
            await engine.started.wait()
    async with fake_app(tmp_path) as app:
        await app.studio.resume(job_id, patient=True)
        assert (await app.studio.wait(job_id, 30)).state == "succeeded"


async def test_a_neighbours_job_is_left_alone_and_can_be_watched(tmp_path: Path) -> None:
    engine = FakeEngine(gate=asyncio.Event())
    async with fake_app(tmp_path, engine=engine) as mine:
        job = await mine.studio.submit(WISH)
        await engine.started.wait()
        async with fake_app(tmp_path, resume=True) as neighbour:
            assert neighbour.studio.active() == []
            assert (await neighbour.studio.find(job.id)).state == "running"
            with pytest.raises(BadRecipe, match="another Atelier process"):
                await neighbour.studio.cancel(job.id)
            assert engine.gate is not None
            engine.gate.set()
            assert (await neighbour.studio.wait(job.id, 30)).state == "succeeded"


async def test_only_the_holder_of_the_token_may_write_the_result(tmp_path: Path) -> None:
    engine = FakeEngine(gate=asyncio.Event())
    async with fake_app(tmp_path, engine=engine) as app:
        job = await app.studio.submit(WISH)
        await engine.started.wait()
        await app.studio.jobs.claim(job.id)
        assert engine.gate is not None
        engine.gate.set()
        finished = await app.studio.wait(job.id, 30)
        assert finished.state == "failed"
        assert (await app.gallery.search(ItemQuery())).items == ()


async def test_a_picture_of_the_gallery_becomes_the_parent_of_what_is_made_from_it(tmp_path: Path) -> None:
    engine = FakeEngine()
    async with fake_app(tmp_path, engine=engine) as app:
        parent = (await made(app)).item_ids[0]
        job = await made(app, WISH.but(task="img2img"), parent)
        parents, _ = await app.gallery.lineage(await app.gallery.find(job.item_ids[0]))
    assert [item.id for item in parents] == [parent]
    assert engine.inputs[-1]["source"].media_type == "image/png"
    assert engine.recipes[-1].denoise == 0.7


async def test_img2img_without_a_picture_and_unknown_checks_and_engines_are_refused(tmp_path: Path) -> None:
    async with fake_app(tmp_path) as app:
        with pytest.raises(BadRecipe, match="input_image"):
            await app.studio.submit(WISH.but(task="img2img"))
        with pytest.raises(BadRecipe, match="the checks are: clip"):
            await app.studio.submit(WISH.but(acceptance=Acceptance(checks=("klip",))))
        with pytest.raises(NotFound, match="Did you mean fake"):
            await app.studio.submit(WISH.but(engine="fakee"))
        assert await app.studio.history(5) == []


async def test_an_interrupted_job_whose_engine_is_down_waits_for_the_next_start(tmp_path: Path) -> None:
    async with fake_app(tmp_path, engine=FakeEngine(gate=asyncio.Event())) as app:
        job = await app.studio.submit(WISH)
    async with fake_app(tmp_path, engine=FakeEngine(refuses="its server is down"), resume=True) as app:
        waiting = await app.studio.find(job.id)
    async with fake_app(tmp_path, resume=True) as app:
        done = await app.studio.wait(job.id, 30)
    assert (waiting.state, waiting.fault, done.state) == ("interrupted", None, "succeeded")
    assert "its server is down" in (waiting.note or "")


async def test_when_every_engine_refuses_each_reason_is_told(tmp_path: Path) -> None:
    async with fake_app(tmp_path, engine=FakeEngine(refuses="no GPU")) as app:
        with pytest.raises(EngineUnavailable, match="fake: no GPU"):
            await app.studio.submit(WISH)


async def test_what_only_comfyui_does_is_told_with_the_next_step_unless_it_is_there_already(tmp_path: Path) -> None:
    engine = FakeEngine(refuses="It does not do LoRAs; ComfyUI does.")
    async with fake_app(tmp_path / "without", engine=engine) as app:
        with pytest.raises(EngineUnavailable, match=r"ComfyUI does\. To have it: start ComfyUI, or set COMFYUI_URL"):
            await app.studio.submit(WISH)
    async with fake_app(tmp_path / "with", engine=engine, graphs=FakeGraphs()) as app:
        with pytest.raises(EngineUnavailable, match=r"ComfyUI does\.$"):
            await app.studio.submit(WISH)


async def test_a_store_that_is_full_fails_the_job_and_lists_nothing(tmp_path: Path) -> None:
    class FullStore:
        def __init__(self, keys: list[str]) -> None:
            self.tried = keys

        async def put(self, key: str, media: Media) -> None:
            self.tried.append(key)
            raise StorageError("no space left: free some or set ATELIER_HOME")

    tried: list[str] = []
    async with fake_app(tmp_path) as app:
        app.studio.store = FullStore(tried)  # type: ignore[assignment]
        job = await made(app)
        assert (await app.gallery.search(ItemQuery())).total == 0
    assert job.fault is not None
    assert job.fault.code == "storage_error"
    assert len(tried) == 1


def test_a_distilled_model_draws_in_no_fewer_steps_than_its_own_and_in_few_more() -> None:
    turbo = PROFILE.but(steps=8)
    steps = [complete(Recipe(prompt="a cat", quality=quality), turbo).steps for quality in get_args(Quality)]
    assert steps == [8, 8, 11, 12]


def test_explicit_arguments_win_over_quality_and_family() -> None:
    family = PROFILE.but(steps=20)
    fast = complete(WISH.but(quality="fast"), family)
    explicit = complete(WISH.but(quality="ultra", steps=7, cfg=0.0, seed=0, width=128, height=64), family)
    assert (fast.steps, fast.cfg, fast.width) == (12, 4.0, 64)
    assert (explicit.steps, explicit.cfg, explicit.seed, explicit.width, explicit.height) == (7, 0.0, 0, 128, 64)
