"""Videos through a whole job: what goes in, what the engine is asked for, what is filed and made again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import FakeEngine, FakeJudge, fake_app, png
from tests.video_kit import BLUE, GREEN, FilmEngine, colour_of, film, moving_gif, mp4
from utils.metadata import read
from utils.video import frame, probe
from workflows import answers
from workflows.app import App
from workflows.errors import BadRecipe, BudgetSpent, RateLimited
from workflows.ports import Report
from workflows.spending import Account, account, spending
from workflows.stamp import SourceType
from workflows.types import Acceptance, Artifact, FamilyProfile, Item, Job, Media, Recipe, Ticket, Verdict

WISH = Recipe.checked(task="txt2vid", prompt="a red bar moves", seed=5)
ONCE = Acceptance(retry_limit=1)
CLIP = mp4(film())
PICTURE = Media(data=png(96, 64), media_type="image/png")


class LookingJudge(FakeJudge):
    """Remembers what it was shown."""

    def __init__(self, name: str = "clip", barred: tuple[int, ...] = ()) -> None:
        super().__init__(name=name, barred=barred)
        self.seen: list[Media] = []

    async def judge(self, pictures: Sequence[Media], recipe: Recipe, profile: FamilyProfile) -> Sequence[Verdict]:
        self.seen.extend(pictures)
        return await super().judge(pictures, recipe, profile)


class OneScoreAVideo(FakeJudge):
    """Its next score goes for all frames that it is shown together."""

    async def judge(self, pictures: Sequence[Media], recipe: Recipe, profile: FamilyProfile) -> Sequence[Verdict]:
        return [*await super().judge(pictures[:1], recipe, profile)] * len(pictures)


async def made(app: App, recipe: Recipe, **given: Any) -> Job:
    job = await app.studio.wait((await app.studio.submit(recipe, given)).id, 60)
    assert job.state == "succeeded", job.fault
    return job


async def filed(app: App, recipe: Recipe, **given: Any) -> Item:
    return await app.gallery.find((await made(app, recipe, **given)).item_ids[0])


async def test_a_video_is_filed_with_its_measures_its_poster_and_what_made_it(tmp_path: Path) -> None:
    async with fake_app(tmp_path, engine=FilmEngine()) as app:
        job = await made(app, WISH)
        item = await app.gallery.find(job.item_ids[0])
        media = await app.gallery.original(item.id)
        poster = await app.gallery.picture(item)
        shown = await app.gallery.preview(item.id, 64)
        answer = await answers.job_answer(app.gallery, job)
        assert await app.studio.store.keys(job.id) == sorted([item.key, f"{item.key}.poster.png"])
    assert (item.kind, item.media_type, item.width, item.height) == ("video", "video/mp4", 64, 64)
    assert item.key == f"{job.id}/1/1.mp4"
    assert {name: item.facts[name] for name in ("frames", "fps", "seconds", "poster")} == {
        "frames": 9,
        "fps": 8.0,
        "seconds": 1.125,
        "poster": f"{item.key}.poster.png",
    }
    stamp = read(media.data)
    assert stamp.record is not None
    assert (stamp.record["job_id"], stamp.source_type) == (job.id, SourceType.TRAINED)
    assert "Frames: 9, FPS: 8" in (stamp.parameters or "")
    assert (probe(media.data).frames, colour_of(poster.data), shown.media_type) == (9, GREEN, "image/png")
    assert item.fingerprint is not None
    assert (answer["kind"], answer["metadata"]["frames"], answer["metadata"]["seconds"]) == ("video", 9, 1.125)
    assert f"extend_video(input_video='{item.id}'" in answer["next"]


@pytest.mark.parametrize(
    ("asked", "drawn", "told"),
    [
        (None, 9, "A fake drew this."),
        (13, 13, "A fake drew this."),
        (12, 13, "13 frames instead of 12: Fake Film draws 4n+1 frames."),
        (80, 17, "17 frames instead of 80: Fake Film draws at most 17"),
    ],
)
async def test_frames_are_what_the_family_draws_and_the_answer_says_so(
    asked: int | None, drawn: int, told: str, tmp_path: Path
) -> None:
    engine = FilmEngine()
    async with fake_app(tmp_path, engine=engine) as app:
        job = await made(app, WISH.but(frames=asked))
        answer = await answers.job_answer(app.gallery, job)
    assert (engine.recipes[0].frames, engine.recipes[0].fps) == (drawn, 8.0)
    assert told in answer["note"]
    assert ("instead of" in answer["note"]) == (asked not in {None, drawn})


async def test_a_picture_is_set_in_motion_in_its_own_shape_and_is_the_parent(tmp_path: Path) -> None:
    engine = FilmEngine()
    async with fake_app(tmp_path, engine=engine) as app:
        picture = await filed(app, WISH.but(task="txt2img"))
        ours = await filed(app, WISH, source=picture.id)
        theirs = await filed(app, WISH.but(task="img2vid"), source=PICTURE)
    assert (ours.recipe.task, ours.parent_id, theirs.parent_id) == ("img2vid", picture.id, None)
    assert ours.recipe.source == f"{ours.job_id}/input/source.png"
    assert (theirs.width, theirs.height) == (80, 64)  # nearly 3:2 at the area of 64 x 64; no edge is shorter
    assert "digital_source_type" not in ours.facts
    assert theirs.facts["digital_source_type"] == SourceType.COMPOSITE


async def test_a_video_goes_on_from_its_last_frame_and_the_whole_is_filed(tmp_path: Path) -> None:
    engine, judge = FilmEngine(), LookingJudge()
    gate = LookingJudge(name="content")
    async with fake_app(tmp_path, engine=engine, judge=judge, gate=gate) as app:
        first = await filed(app, WISH.but(width=96, height=64))
        given = await app.gallery.original(first.id)
        engine.colour = BLUE
        whole = await filed(app, WISH.but(task="extend_video", frames=6, acceptance=ONCE), source=first.id)
        media = await app.gallery.original(whole.id)
    asked, inputs = engine.recipes[1], engine.inputs[1]
    assert (asked.task, asked.frames, asked.width, asked.height) == ("extend_video", 5, 96, 64)
    assert inputs["source"] == Media(data=frame(given.data, 8), media_type="image/png")
    assert inputs["source"].data != frame(given.data, 7)
    assert (whole.parent_id, whole.recipe.source) == (first.id, f"{whole.job_id}/input/source.mp4")
    told = {name: whole.facts[name] for name in ("frames", "fps", "seconds", "added")}
    assert told == {"frames": 13, "fps": 8.0, "seconds": 1.625, "added": 4}
    assert [colour_of(frame(media.data, place)) for place in (0, 8, 9, 12)] == [GREEN, GREEN, BLUE, BLUE]
    # The judges are asked about what is new; the gate sees the given video and the whole.
    assert [colour_of(seen.data) for seen in judge.seen[8:]] == [BLUE] * 5
    assert {colour_of(seen.data) for seen in gate.seen[8:14]} == {GREEN}
    assert {colour_of(seen.data) for seen in gate.seen[14:]} == {GREEN, BLUE}


async def test_more_frames_a_second_keep_the_length_and_need_no_words(tmp_path: Path) -> None:
    engine = FilmEngine()
    async with fake_app(tmp_path, engine=engine) as app:
        item = await filed(app, Recipe.checked(task="interpolate", fps=24), source=CLIP)
        twice = await made(app, Recipe.checked(task="interpolate"), source=item.id)
        with pytest.raises(BadRecipe, match=r"target_fps cannot be 8.0: the video has 8 frames a second already"):
            await app.studio.submit(Recipe.checked(task="interpolate", fps=8), {"source": CLIP})
    asked, inputs = engine.recipes[0], engine.inputs[0]
    assert (asked.fps, asked.frames, asked.width, item.recipe.acceptance.validate_) == (24, None, None, False)
    assert (inputs["source"].media_type, probe(inputs["source"].data).frames) == ("video/mp4", 5)
    assert item.facts["digital_source_type"] == SourceType.ENHANCED
    assert twice.recipe.fps == 48


@pytest.mark.parametrize(
    ("task", "given", "text"),
    [
        ("extend_video", PICTURE, "input_video cannot be 'image/png': it must be a video .*image_to_video makes one"),
        ("img2vid", mp4(film(2)), "input_image .*it is a video, and a picture is needed; extend_video and interpolate"),
        ("img2img", mp4(film(2)), "input_image .*it is a video, and a picture is needed"),
        ("interpolate", mp4(film(3)[:-200]), "input_video .*whole video"),
        ("extend_video", None, "input_video cannot be None: extend_video needs an input video"),
        ("img2vid", None, "input_image cannot be None: img2vid needs an input picture"),
        ("interpolate", None, "input_video cannot be None: interpolate needs an input video"),
    ],
)
async def test_what_a_task_cannot_use_is_refused_in_words(
    task: Any, given: Media | None, text: str, tmp_path: Path
) -> None:
    async with fake_app(tmp_path, engine=FilmEngine()) as app:
        with pytest.raises(BadRecipe, match=text):
            await app.studio.submit(WISH.but(task=task), {"source": given} if given else {})
        assert await app.studio.store.keys("") == []


async def test_gallery_items_of_the_wrong_kind_are_refused_by_their_id(tmp_path: Path) -> None:
    async with fake_app(tmp_path, engine=FilmEngine()) as app:
        picture, video = await filed(app, WISH.but(task="txt2img")), await filed(app, WISH)
        with pytest.raises(BadRecipe, match=f"input_video cannot be '{picture.id}': it is a picture; image_to_video"):
            await app.studio.submit(WISH.but(task="extend_video"), {"source": picture.id})
        with pytest.raises(BadRecipe, match=f"'{video.id}': it is a video, and a picture is needed; extend_video"):
            await app.studio.submit(WISH.but(task="img2vid"), {"source": video.id})


async def test_a_gif_is_taken_as_the_video_that_it_is(tmp_path: Path) -> None:
    async with fake_app(tmp_path, engine=FilmEngine()) as app:
        gif = Media(data=moving_gif(), media_type="image/gif")
        item = await filed(app, WISH.but(task="extend_video", frames=5), source=gif)
        kept = await app.studio.store.get(item.recipe.source or "")
    assert (kept.media_type, probe(kept.data).frames) == ("video/mp4", 4)
    assert (item.width, item.height) == (32, 32)
    assert item.facts["frames"] > 4


async def test_a_video_says_nothing_of_its_own_making_to_the_engine_but_its_words_are_checked(tmp_path: Path) -> None:
    async with fake_app(tmp_path, engine=FilmEngine()) as app:
        first = await filed(app, WISH)
        item = await filed(app, WISH.but(task="extend_video"), source=first.id)
        kept = await app.studio.store.get(item.recipe.source or "")
    assert (read(kept.data).record, read(kept.data).parameters) == (None, None)


async def test_the_gate_looks_at_frames_of_a_given_video_and_bars_it(tmp_path: Path) -> None:
    gate = LookingJudge(name="content", barred=(2,))
    engine = FilmEngine()
    async with fake_app(tmp_path, engine=engine, gate=gate) as app:
        job = await app.studio.submit(WISH.but(task="extend_video"), {"source": CLIP})
        job = await app.studio.wait(job.id, 30)
        assert await app.studio.store.keys("") == []
    assert (job.state, job.fault.code if job.fault else "") == ("failed", "refused")
    assert ([seen.media_type for seen in gate.seen], engine.recipes) == (["image/png"] * 5, [])


async def test_candidates_are_drawn_one_by_one_and_the_losers_leave_nothing(tmp_path: Path) -> None:
    engine = FilmEngine(batch=3)
    judge = OneScoreAVideo(scores=[0.1, 0.4, 0.2])
    async with fake_app(tmp_path, engine=engine, judge=judge) as app:
        job = await made(app, WISH.but(acceptance=Acceptance(best_of=3, retry_limit=1)))
        item = await app.gallery.find(job.item_ids[0])
        keys = await app.studio.store.keys(job.id)
    assert ([one.count for one in engine.recipes], item.attempt) == ([1, 1, 1], 2)
    assert keys == sorted([item.key, f"{item.key}.poster.png"])


async def test_what_is_no_video_fails_the_job_in_words(tmp_path: Path) -> None:
    async with fake_app(tmp_path, engine=FilmEngine(broken=b"RIFF nothing")) as app:
        job = await app.studio.wait((await app.studio.submit(WISH)).id, 30)
    assert job.fault is not None
    assert (job.fault.code, "no usable video" in job.fault.message) == ("render_failed", True)


async def test_a_video_is_made_again_from_its_kept_input(tmp_path: Path) -> None:
    engine = FilmEngine()
    async with fake_app(tmp_path, engine=engine) as app:
        first = await filed(app, WISH.but(task="extend_video", frames=5), source=CLIP)
        job = await app.studio.wait((await app.studio.regenerate(first.id)).id, 30)
        again = await app.gallery.find(job.item_ids[0])
        text = await app.studio.wait((await app.studio.regenerate((await filed(app, WISH)).id, frames=13)).id, 30)
    assert (again.parent_id, again.seed, again.recipe.frames) == (first.id, first.seed, 5)
    assert (again.facts["frames"], again.facts["added"]) == (9, 4)
    assert text.recipe.frames == 13


async def test_the_trash_takes_a_video_and_an_erasure_its_poster_and_input(tmp_path: Path) -> None:
    async with fake_app(tmp_path, engine=FilmEngine()) as app:
        item = await filed(app, WISH.but(task="extend_video", frames=5), source=CLIP)
        await app.gallery.delete(item.id)
        await app.gallery.restore(item.id)
        assert (await app.gallery.preview(item.id, 64)).data
        await app.gallery.erase(item.id)
        assert await app.studio.store.keys("") == []


async def test_progress_tells_how_long_the_video_will_be(tmp_path: Path) -> None:
    heard: list[str] = []
    async with fake_app(tmp_path, engine=FilmEngine()) as app:
        job = await app.studio.submit(WISH.but(count=2))
        job = await app.studio.wait(job.id, 30, lambda progress: heard.append(progress.message))
    assert "Video 1 of 2. Attempt 1 (9 frames, 1.1 s): step 1 of 3" in heard
    assert len(job.item_ids) == 2


async def test_calls_of_a_job_are_on_its_account_and_the_callers_budget(tmp_path: Path) -> None:
    class Paying(FilmEngine):
        async def render(
            self, recipe: Recipe, inputs: Mapping[str, Media], report: Report, ticket: Ticket
        ) -> Sequence[Artifact]:
            accounts.append(account())
            return await super().render(recipe, inputs, report, ticket)

    accounts: list[Account] = []
    async with fake_app(tmp_path, engine=Paying()) as app:
        with spending(Account(run_id="night", brief_id="one")):
            job = await made(app, WISH)
    assert accounts == [Account(run_id="night", brief_id="one", job_id=job.id)]
    assert account() == Account()


@pytest.mark.parametrize("error", [BudgetSpent("fal costs about $1, and $0.5 are left."), RateLimited("Too many.")])
async def test_a_spent_budget_fails_the_job_unless_something_was_drawn_before(error: Exception, tmp_path: Path) -> None:
    engine = FakeEngine(errors=[error])
    async with fake_app(tmp_path, engine=engine, judge=FakeJudge(scores=[0.1])) as app:
        failed = await app.studio.wait((await app.studio.submit(WISH.but(task="txt2img"))).id, 30)

        class Second(list[Exception]):
            def __bool__(self) -> bool:
                return len(engine.recipes) > 2

            def pop(self, _index: Any = 0) -> Exception:
                return error

        engine.errors = Second()
        kept = await app.studio.wait((await app.studio.submit(WISH.but(task="txt2img"))).id, 30)
    assert failed.fault is not None
    assert (failed.state, failed.fault.message) == ("failed", str(error))
    assert (kept.state, len(kept.item_ids)) == ("succeeded", 1)
    assert str(error) in (kept.outcomes[0].warning or "")


async def test_a_video_that_would_grow_too_long_is_refused_before_anything_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workflows.completion.MAX_SECONDS", 1.0)
    engine = FilmEngine()
    async with fake_app(tmp_path, engine=engine) as app:
        with pytest.raises(BadRecipe, match="with 9 frames more it would be longer than the 1 s"):
            await app.studio.submit(WISH.but(task="extend_video"), {"source": CLIP})
    assert engine.recipes == []


async def test_videos_are_known_again_by_all_of_their_frames_and_never_taken_for_their_first(tmp_path: Path) -> None:
    engine = FilmEngine()
    async with fake_app(tmp_path, engine=engine) as app:
        first = await filed(app, WISH.but(width=96, height=64))
        same = await filed(app, WISH.but(width=96, height=64))
        engine.colour = BLUE
        longer = await filed(app, WISH.but(task="extend_video", frames=17), source=first.id)
        await filed(app, WISH.but(task="txt2img", width=96, height=64))
        groups = await app.gallery.duplicates()
    assert [{item.id for item in group} for group in groups] == [{first.id, same.id}]
    assert longer.fingerprint not in {None, first.fingerprint}
