"""Tasks on a picture that is there: what the gallery gets, who judges, what is inherited; and making one again."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import PROFILE, FakeEngine, FakeGraphs, FakeJudge, fake_app, mask_png, png
from utils.images import decode
from utils.metadata import read_parameters, read_png
from workflows import answers
from workflows.app import App
from workflows.completion import complete
from workflows.errors import BadRecipe, EngineUnavailable, JobCancelled, NotFound, StorageError
from workflows.inputs import InputPicture
from workflows.run import ticket_ids
from workflows.types import Acceptance, Control, Extension, Item, Job, LoraUse, Media, Progress, Recipe

WISH = Recipe.checked(prompt="a single red door", seed=7)
SOURCE = Media(data=png(96, 64, (9, 9, 9)), media_type="image/png")
MASK = Media(data=mask_png(96, 64, (30, 20, 60, 40)), media_type="image/png")


async def made(app: App, recipe: Recipe = WISH, **pictures: Any) -> tuple[Job, Item]:
    job = await app.studio.wait((await app.studio.submit(recipe, pictures)).id, 30)
    assert job.state == "succeeded", job.fault
    return job, await app.gallery.find(job.item_ids[0])


async def pixels(app: App, item: Item) -> Any:
    return await asyncio.to_thread(decode, (await app.gallery.original(item.id)).data)


async def test_an_inpainted_picture_is_filed_whole_and_judged_whole(tmp_path: Path) -> None:
    engine, judge = FakeEngine(), FakeJudge()
    async with fake_app(tmp_path, engine=engine, judge=judge) as app:
        job, item = await made(app, WISH.but(task="inpaint"), source=SOURCE, mask=MASK)
        whole = await pixels(app, item)
    assert (whole.size, (item.width, item.height)) == ((96, 64), (96, 64))
    assert (whole.getpixel((0, 0)), whole.getpixel((45, 30))) == ((9, 9, 9), (7, 0, 0))
    assert (job.recipe.denoise, engine.recipes[0].width, engine.recipes[0].height) == (0.9, 80, 64)
    assert judge.prompts == [WISH.prompt]


async def test_every_attempt_of_an_inpaint_is_the_finished_picture(tmp_path: Path) -> None:
    async with fake_app(tmp_path, judge=FakeJudge(scores=[0.1, 0.2, 0.15])) as app:
        _, item = await made(app, WISH.but(task="inpaint"), source=SOURCE, mask=MASK)
        whole = await pixels(app, item)
    assert (item.attempt, whole.size, whole.getpixel((0, 0))) == (2, (96, 64), (9, 9, 9))


async def test_an_outpainted_picture_has_the_larger_size_and_the_original_in_it(tmp_path: Path) -> None:
    async with fake_app(tmp_path) as app:
        recipe = WISH.but(task="outpaint", extend=Extension(left=32, bottom=16))
        _, item = await made(app, recipe, source=SOURCE)
        whole = await pixels(app, item)
    assert whole.size == (128, 80)
    assert (whole.getpixel((32, 0)), whole.getpixel((31, 0)), whole.getpixel((127, 63))) == (
        (9, 9, 9),
        (7, 0, 0),
        (9, 9, 9),
    )


async def test_an_interrupted_inpaint_is_finished_by_the_next_process(tmp_path: Path) -> None:
    engine = FakeEngine(gate=asyncio.Event())
    async with fake_app(tmp_path, engine=engine) as app:
        job = await app.studio.submit(WISH.but(task="inpaint"), {"source": SOURCE, "mask": MASK})
        await engine.started.wait()
    again = FakeEngine()
    async with fake_app(tmp_path, engine=again, resume=True) as app:
        finished = await app.studio.wait(job.id, 30)
        whole = await pixels(app, await app.gallery.find(finished.item_ids[0]))
    assert (whole.size, whole.getpixel((0, 0))) == ((96, 64), (9, 9, 9))
    assert [(ticket.id, ticket.again) for ticket in engine.tickets + again.tickets] == [(job.id, False), (job.id, True)]


@pytest.mark.parametrize("task", ["upscale", "face_restore", "remove_background"])
async def test_a_task_without_words_is_not_judged_and_inherits_the_prompt(task: str, tmp_path: Path) -> None:
    engine, judge = FakeEngine(), FakeJudge()
    async with fake_app(tmp_path, engine=engine, judge=judge) as app:
        first, parent = await made(app)
        job, item = await made(app, Recipe.checked(task=task), source=parent.id)
        answer = await answers.job_answer(app.gallery, job)
    assert len(judge.prompts) == len(first.item_ids)
    assert (item.prompt, item.parent_id) == (WISH.prompt, parent.id)
    assert "validation" not in answer
    assert not {"steps", "cfg", "denoise"} & answer["metadata"].keys()
    assert (job.recipe.width, job.recipe.height, engine.recipes[1].seed is not None) == (None, None, True)


async def test_an_upscale_that_was_drawn_tells_its_steps(tmp_path: Path) -> None:
    async with fake_app(tmp_path, engine=FakeEngine(facts={"sampler": "euler"})) as app:
        job, _ = await made(app, Recipe.checked(task="upscale", steps=5), source=SOURCE)
        answer = await answers.job_answer(app.gallery, job)
    assert (answer["metadata"]["steps"], answer["metadata"]["denoise"]) == (5, 0.3)


async def test_a_picture_of_unknown_origin_has_no_words_and_is_filed_all_the_same(tmp_path: Path) -> None:
    async with fake_app(tmp_path) as app:
        _, item = await made(app, Recipe.checked(task="upscale", scale=2), source=SOURCE)
    assert (item.prompt, item.width, item.height, item.parent_id) == ("", 192, 128, None)


async def test_a_transparent_picture_keeps_its_transparency_in_the_gallery(tmp_path: Path) -> None:
    async with fake_app(tmp_path) as app:
        _, item = await made(app, Recipe.checked(task="remove_background"), source=SOURCE)
        whole = await pixels(app, item)
    assert (whole.mode, whole.getpixel((0, 0))[3]) == ("RGBA", 128)


def test_each_task_is_completed_with_its_own_defaults() -> None:
    picture = InputPicture(media=SOURCE, width=96, height=64)
    tasks = {
        "img2img": WISH.but(task="img2img"),
        "outpaint": WISH.but(task="outpaint", extend=Extension(left=8)),
        "upscale": WISH.but(task="upscale"),
        "by a model": WISH.but(task="upscale", method="model"),
        "face_restore": WISH.but(task="face_restore"),
        "txt2img": WISH.but(denoise=0.5),
    }
    done = {name: complete(recipe, PROFILE, picture) for name, recipe in tasks.items()}
    told = {name: (one.denoise, one.scale, one.strength) for name, one in done.items()}
    assert told == {
        "img2img": (0.7, None, None),
        "outpaint": (1.0, None, None),
        "upscale": (0.3, 4.0, None),
        "by a model": (None, 4.0, None),
        "face_restore": (None, None, 0.8),
        "txt2img": (None, None, None),
    }


@pytest.mark.parametrize(
    ("edge", "text"), [(4000, "at most 2 for this picture"), (8000, "as large as pictures may be")]
)
def test_an_upscale_beyond_what_a_picture_may_have_is_refused_with_the_most(edge: int, text: str) -> None:
    picture = InputPicture(media=SOURCE, width=edge, height=edge)
    with pytest.raises(BadRecipe, match=f"scale cannot be 4.0: .*{text}"):
        complete(Recipe.checked(task="upscale"), PROFILE, picture)


# ---------------------------------------------------------------------- masks by words


async def test_a_mask_is_found_by_words_within_the_job_and_kept_with_it(tmp_path: Path) -> None:
    engine, graphs = FakeEngine(), FakeGraphs(mask=MASK.data)
    async with fake_app(tmp_path, engine=engine, graphs=graphs) as app:
        job, item = await made(app, WISH.but(task="inpaint", mask_text="the door"), source=SOURCE)
        whole = await pixels(app, item)
    assert graphs.words == ["the door"]
    assert (job.recipe.mask, job.recipe.width, job.recipe.height) == (f"{job.id}/input/mask.png", 80, 64)
    assert engine.recipes[0].mask_text == "the door"
    assert (whole.getpixel((0, 0)), whole.getpixel((45, 30))) == ((9, 9, 9), (7, 0, 0))


async def test_words_that_name_nothing_in_the_picture_fail_the_job_and_say_so(tmp_path: Path) -> None:
    graphs = FakeGraphs(mask=png(96, 64, (0, 0, 0)))
    async with fake_app(tmp_path, graphs=graphs) as app:
        job = await app.studio.submit(WISH.but(task="inpaint", mask_text="a whale"), {"source": SOURCE})
        job = await app.studio.wait(job.id, 30)
        assert list(await app.studio.store.keys(job.id)) == []
    assert job.fault is not None
    assert job.fault.message.startswith("mask_text cannot be 'a whale': nothing like it was found")


async def test_looking_for_a_mask_can_be_cancelled(tmp_path: Path) -> None:
    graphs = FakeGraphs(mask=MASK.data, gate=asyncio.Event())
    async with fake_app(tmp_path, graphs=graphs) as app:
        job = await app.studio.submit(WISH.but(task="inpaint", mask_text="the door"), {"source": SOURCE})
        await graphs.started.wait()
        assert (await app.studio.find(job.id)).progress.message == "Looking for 'the door' in the picture"
        assert (await app.studio.cancel(job.id)).state == "cancelled"


async def test_a_mask_of_ones_own_is_used_and_nothing_is_looked_for(tmp_path: Path) -> None:
    graphs = FakeGraphs()
    async with fake_app(tmp_path, graphs=graphs) as app:
        await made(app, WISH.but(task="inpaint", mask_text="the door"), source=SOURCE, mask=MASK)
    assert graphs.words == []


async def test_without_comfyui_words_are_no_mask_and_the_next_step_is_told(tmp_path: Path) -> None:
    async with fake_app(tmp_path) as app:
        with pytest.raises(EngineUnavailable, match=r"mask_text needs ComfyUI.*COMFYUI_URL"):
            await app.studio.submit(WISH.but(task="inpaint", mask_text="the door"), {"source": SOURCE})


# ---------------------------------------------------------------------- tickets


async def test_the_first_render_has_the_jobs_own_id_and_every_other_one_of_its_own(tmp_path: Path) -> None:
    engine = FakeEngine()
    async with fake_app(tmp_path, engine=engine, judge=FakeJudge(scores=[0.1])) as app:
        job, _ = await made(app, WISH.but(count=2))
    ids = [ticket.id for ticket in engine.tickets]
    assert ids[0] == job.id
    assert len(ids) == len(set(ids)) == 6
    assert ticket_ids(job) >= frozenset(ids)
    assert not any(ticket.again for ticket in engine.tickets)


async def test_a_job_is_found_waited_for_and_cancelled_by_the_ticket_of_any_render(tmp_path: Path) -> None:
    engine = FakeEngine(gate=asyncio.Event(), held_from=2)
    async with fake_app(tmp_path, engine=engine, judge=FakeJudge(scores=[0.1])) as app:
        job = await app.studio.submit(WISH)
        await engine.started.wait()
        name = engine.tickets[1].id
        assert name != job.id
        assert (await app.studio.find(name)).id == job.id
        assert (await app.studio.wait(name, 0)).state == "running"
        assert (await app.studio.cancel(name)).state == "cancelled"


async def test_a_render_that_somebody_else_took_away_is_a_cancelled_job(tmp_path: Path) -> None:
    async with fake_app(tmp_path, engine=FakeEngine(errors=[JobCancelled("taken out of the queue")])) as app:
        job = await app.studio.wait((await app.studio.submit(WISH)).id, 30)
    assert job.fault is not None
    assert (job.state, job.fault.message) == ("cancelled", "taken out of the queue")


# ---------------------------------------------------------------------- regenerate


async def test_without_overrides_the_kept_attempt_is_rendered_again_once_on_the_same_engine(tmp_path: Path) -> None:
    engine = FakeEngine()
    async with fake_app(tmp_path, engine=engine, judge=FakeJudge(scores=[0.1, 0.4, 0.1])) as app:
        _, item = await made(app)
        job = await app.studio.wait((await app.studio.regenerate(f"{item.id}")).id, 30)
        twin = await app.gallery.find(job.item_ids[0])
        same = (await pixels(app, item)).tobytes() == (await pixels(app, twin)).tobytes()
    assert item.attempt == 2
    assert len(engine.recipes) == 3
    kept, again = engine.recipes[1:]
    assert again.prompt == kept.prompt == "a (single red door:1.3)"
    assert (again.seed, again.width, again.steps, again.cfg) == (kept.seed, kept.width, kept.steps, kept.cfg)
    assert same
    assert (twin.parent_id, again.engine, again.model, twin.passed) == (item.id, "fake", "fake-model", False)


async def test_another_seed_changes_nothing_else_and_another_prompt_is_a_new_wish(tmp_path: Path) -> None:
    engine = FakeEngine()
    async with fake_app(tmp_path, engine=engine, judge=FakeJudge(scores=[0.1, 0.4, 0.1])) as app:
        _, item = await made(app)
        other = await app.studio.wait((await app.studio.regenerate(item.id, seed=99)).id, 30)
        blue = await app.studio.wait((await app.studio.regenerate(item.id, prompt="a blue door")).id, 30)
    assert (other.recipe.prompt, other.recipe.seed) == (item.rendered.prompt, 99)
    assert (blue.recipe.prompt, blue.recipe.negative, blue.recipe.seed) == ("a blue door", "", item.seed)
    assert [len(job.outcomes[0].attempts) for job in (other, blue)] == [1, 3]


async def test_the_input_pictures_go_along_to_the_new_job(tmp_path: Path) -> None:
    engine = FakeEngine()
    async with fake_app(tmp_path, engine=engine) as app:
        recipe = WISH.but(task="inpaint", controls=(Control(kind="canny"),))
        _, item = await made(app, recipe, source=SOURCE, mask=MASK, control_1=SOURCE)
        job = await app.studio.wait((await app.studio.regenerate(item.id)).id, 30)
        keys = await app.studio.store.keys(f"{job.id}/input")
        same = (await pixels(app, item)).tobytes() == (
            await pixels(app, await app.gallery.find(job.item_ids[0]))
        ).tobytes()
    assert sorted(keys) == sorted(job.recipe.pictures.values())
    assert len(keys) == 3
    assert engine.inputs[0] == engine.inputs[1]
    assert (same, job.recipe.source_item) == (True, item.id)


async def test_a_picture_whose_input_is_gone_says_so(tmp_path: Path) -> None:
    async with fake_app(tmp_path) as app:
        job, item = await made(app, WISH.but(task="img2img"), source=SOURCE)
        await app.studio.store.delete(f"{job.id}/input/source.png")
        with pytest.raises(StorageError, match=f"image {item.id} cannot be made again.*Give it anew"):
            await app.studio.regenerate(item.id)


async def test_when_its_engine_no_longer_takes_it_another_may(tmp_path: Path) -> None:
    engine = FakeEngine()
    async with fake_app(tmp_path, engine=engine) as app:
        _, item = await made(app)
        engine.refuses = "gone"
        other = FakeEngine(name="other")
        app.studio.engines = [engine, other]
        job = await app.studio.wait((await app.studio.regenerate(item.id)).id, 30)
    assert (job.engine, other.recipes[0].model) == ("other", None)


async def test_an_unknown_name_and_a_bad_override_are_refused(tmp_path: Path) -> None:
    async with fake_app(tmp_path) as app:
        _, item = await made(app)
        with pytest.raises(NotFound, match="list_images"):
            await app.studio.regenerate("nothing.png")
        with pytest.raises(BadRecipe, match="steps"):
            await app.studio.regenerate(item.id, steps=0)


# ---------------------------------------------------------------------- what is told


async def test_graph_and_notes_have_their_own_places_in_the_answer(tmp_path: Path) -> None:
    facts: dict[str, object] = {"graph": {"1": {}}, "notes": ["Drawn smaller."], "prompt_id": "p-1", "sampler": "euler"}
    async with fake_app(tmp_path, engine=FakeEngine(facts=facts)) as app:
        job, item = await made(app)
        answer = await answers.job_answer(app.gallery, job)
        info = await answers.item_info(app.gallery, item)
    assert (answer["prompt_id"], answer["notes"], answer["metadata"]["sampler"]) == ("p-1", ["Drawn smaller."], "euler")
    assert not {"graph", "notes", "prompt_id"} & answer["metadata"].keys()
    assert info["workflow"] == {"1": {}}
    assert "graph" not in info["facts"]
    assert "graph" not in job.model_dump_json()


async def test_notes_of_every_picture_are_told_once(tmp_path: Path) -> None:
    async with fake_app(tmp_path, engine=FakeEngine(facts={"notes": ["Drawn smaller."]})) as app:
        job, _ = await made(app, WISH.but(count=2))
        answer = await answers.job_answer(app.gallery, job)
    assert answer["notes"] == ["Drawn smaller."]


async def test_the_time_left_is_told_from_the_second_step_on_but_for_the_last(tmp_path: Path) -> None:
    heard: list[Progress] = []
    async with fake_app(tmp_path) as app:
        job = await app.studio.submit(WISH.but(steps=4))
        await app.studio.wait(job.id, 30, heard.append)
    told = {progress.step: progress.seconds_left is not None for progress in heard if progress.step}
    assert told == {1: False, 2: True, 3: False, 4: False}


async def test_the_files_text_names_task_scheduler_and_loras(tmp_path: Path) -> None:
    async with fake_app(tmp_path, engine=FakeEngine(facts={"scheduler": "karras"})) as app:
        recipe = WISH.but(task="outpaint", extend=Extension(left=8), loras=(LoraUse(name="ink", strength=0.5),))
        _, item = await made(app, recipe, source=SOURCE)
        text = read_png((await app.gallery.original(item.id)).data).parameters or ""
    settings = read_parameters(text)
    assert (settings["Task"], settings["Schedule type"]) == ("outpaint", "karras")
    assert settings["prompt"].endswith(" <lora:ink:0.5>")


async def test_the_progress_of_a_job_tells_node_and_step(tmp_path: Path) -> None:
    engine = FakeEngine(gate=asyncio.Event())
    async with fake_app(tmp_path, engine=engine) as app:
        job = await app.studio.submit(WISH.but(acceptance=Acceptance(validate=False)))
        await engine.started.wait()
        answer = await answers.job_answer(app.gallery, await app.studio.find(job.id))
    assert {name: answer["progress"][name] for name in ("node", "step", "steps")} == {
        "node": "FakeSampler",
        "step": 1,
        "steps": 3,
    }
    assert "ahead" not in answer["progress"]


def test_a_job_that_has_ended_stands_in_no_queue() -> None:
    waiting = Job(recipe=WISH, state="running", progress=Progress(ahead=2, seconds_left=3.0))
    assert {"ahead": 2, "seconds_left": 3.0}.items() <= answers.job_row(waiting).items()
    assert not {"ahead", "seconds_left"} & answers.job_row(waiting.but(state="cancelled")).keys()


async def test_made_again_with_another_model_that_models_own_settings_count(tmp_path: Path) -> None:
    engine = FakeEngine()
    async with fake_app(tmp_path, engine=engine) as app:
        _, item = await made(app, WISH.but(steps=9, cfg=1.5))
        same = await app.studio.regenerate(item.id, model=item.model)
        other = await app.studio.regenerate(item.id, model="another")
        asked = await app.studio.regenerate(item.id, model="another", steps=7)
    assert (same.recipe.steps, same.recipe.cfg) == (9, 1.5)
    assert (other.recipe.steps, other.recipe.cfg, other.recipe.seed) == (PROFILE.steps, PROFILE.cfg, 7)
    assert (asked.recipe.steps, asked.recipe.cfg) == (7, PROFILE.cfg)
