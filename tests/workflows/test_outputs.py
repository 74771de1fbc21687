"""A workflow of the user's own: run once, every file that it makes kept for itself, in its order."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import FakeEngine, FakeJudge, fake_app, png
from tests.video_kit import FlowEngine, film, moving_gif, mp4, output
from utils.images import decode
from utils.metadata import read
from utils.video import probe
from workflows import answers
from workflows.app import App
from workflows.errors import BadRecipe, OutOfMemory, StorageError
from workflows.exporting import Exports
from workflows.stamp import SourceType, as_format
from workflows.types import Acceptance, Item, ItemKind, ItemQuery, Job, Media, Recipe

GRAPH = {"9": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "atelier://file_1"}}}
FLOW = Media(data=json.dumps(GRAPH).encode(), media_type="application/json")
WISH = Recipe.checked(task="workflow", workflow_name="mine")
WAV = b"RIFF\x24\0\0\0WAVEfmt " + b"\0" * 30
FILM, GIF, PICTURE = film(), moving_gif(), png(96, 64)
KINDS: tuple[ItemKind, ...] = ("image", "video", "audio", "file")
NOTHING: Mapping[str, Media | str] = {}


def jpeg() -> bytes:
    import io

    buffer = io.BytesIO()
    decode(PICTURE).save(buffer, "JPEG")
    return buffer.getvalue()


async def ran(app: App, recipe: Recipe = WISH, files: Mapping[str, Media | str] = NOTHING) -> Job:
    job = await app.studio.submit(recipe, {"workflow": FLOW, **files})
    return await app.studio.wait(job.id, 60)


async def items_of(app: App, job: Job) -> list[Item]:
    return [await app.gallery.find(item_id) for item_id in job.item_ids]


async def test_every_output_is_an_item_of_its_own_kind_in_the_order_of_the_outputs(tmp_path: Path) -> None:
    letters = "a poem" * 1000
    outputs = [
        output(PICTURE, "image/png"),
        output(jpeg(), "image/jpeg"),
        output(FILM, "video/mp4"),
        output(GIF, "image/gif"),
        output(WAV, "audio/x-wav"),
        output(letters.encode(), "text/plain; charset=utf-8"),
        output(b"glTF\2\0\0\0", "model/gltf-binary"),
        output(b"\1\2\3", "application/x-latent"),
    ]
    async with fake_app(tmp_path, engine=FlowEngine(outputs=outputs)) as app:
        job = await ran(app)
        items = await items_of(app, job)
        files = [await app.gallery.original(item.id) for item in items]
        answer = await answers.job_answer(app.gallery, job)
        with pytest.raises(BadRecipe, match=r"it is a sound \(audio/wav\), which has no picture to show"):
            await app.gallery.preview(items[4].id)
    assert job.state == "succeeded"
    assert [(item.kind, item.media_type, item.key.rpartition("/1/")[2], item.width) for item in items] == [
        ("image", "image/png", "1.png", 96),
        ("image", "image/png", "2.png", 96),
        ("video", "video/mp4", "3.mp4", 64),
        ("video", "video/mp4", "4.mp4", 32),
        ("audio", "audio/wav", "5.wav", 0),
        ("file", "text/plain", "6.txt", 0),
        ("file", "model/gltf-binary", "7.glb", 0),
        ("file", "application/x-latent", "8.bin", 0),
    ]
    assert [file.data for file in files[4:]] == [WAV, letters.encode(), b"glTF\2\0\0\0", b"\1\2\3"]
    assert (read(files[0].data).record or {})["job_id"] == job.id
    assert probe(files[3].data).frames == 4
    assert items[3].facts["notes"] == ["It was image/gif, and is kept as MP4."]
    assert [row["image_id"] for row in answer["images"]] == [item.id for item in items[:4]]
    assert [row["id"] for row in answer["outputs"]] == [item.id for item in items[4:]]
    assert answer["outputs"][1]["text"] == letters[:2000]
    assert (answer["metadata"]["workflow"], "text" in answer["metadata"]) == ("mine", False)


async def test_graph_and_files_reach_the_engine_as_they_are_and_stay_with_the_job(tmp_path: Path) -> None:
    engine = FlowEngine(outputs=[output(PICTURE, "image/png")])
    async with fake_app(tmp_path, engine=engine) as app:
        given = {
            "file_1": Media(data=jpeg(), media_type="image/jpeg"),
            "file_2": mp4(FILM),
            "file_3": Media(data=WAV, media_type="application/octet-stream"),
        }
        job = await ran(app, files=given)
        keys = sorted(await app.studio.store.keys(f"{job.id}/input"))
    inputs = engine.inputs[0]
    assert inputs["workflow"] == FLOW
    assert (inputs["file_1"].media_type, decode(inputs["file_1"].data).size) == ("image/png", (96, 64))
    assert (inputs["file_2"].data, inputs["file_3"].data) == (FILM, WAV)
    places = ("file_1.png", "file_2.mp4", "file_3.wav", "workflow.json")
    assert keys == [f"{job.id}/input/{place}" for place in places]
    assert job.recipe.files == tuple(keys[:3])
    assert engine.recipes[0].count == 1


async def test_the_first_item_of_the_gallery_that_goes_in_is_the_parent(tmp_path: Path) -> None:
    drawing, running = FakeEngine(), FlowEngine(outputs=[output(PICTURE, "image/png")])
    async with fake_app(tmp_path, engine=drawing) as app:
        drawn = await app.studio.wait((await app.studio.submit(Recipe.checked(prompt="a"))).id, 30)
        app.studio.engines = [running]
        (alone,) = await items_of(app, await ran(app, files={"file_1": drawn.item_ids[0]}))
        outside = {"file_1": Media(data=PICTURE, media_type="image/png"), "file_2": drawn.item_ids[0]}
        (mixed,) = await items_of(app, await ran(app, files=outside))
        (free,) = await items_of(app, await ran(app))
    origin = "digital_source_type"
    assert (alone.parent_id, mixed.parent_id, free.parent_id) == (*drawn.item_ids, *drawn.item_ids, None)
    assert (origin in alone.facts, mixed.facts[origin], origin in free.facts) == (False, SourceType.COMPOSITE, False)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({}, "workflow cannot be None: run_workflow needs a graph"),
        ({"workflow": "graph.json"}, "workflow cannot be 'graph.json': it is a graph in API format"),
        (
            {"workflow": FLOW, "source": mp4(FILM)},
            "input_image .*workflow takes none; it takes files of its own, workflow",
        ),
        (
            {"workflow": FLOW, "file_1": Media(data=PICTURE[:90], media_type="image/png")},
            "file 1 cannot be .*whole PNG",
        ),
    ],
)
async def test_a_workflow_without_its_graph_or_with_anothers_pictures_is_refused(
    given: dict[str, Any], text: str, tmp_path: Path
) -> None:
    async with fake_app(tmp_path, engine=FlowEngine()) as app:
        with pytest.raises(BadRecipe, match=text):
            await app.studio.submit(WISH, given)


async def test_pictures_and_videos_are_judged_where_a_prompt_is_known_and_never_tried_again(tmp_path: Path) -> None:
    outputs = [output(b"words", "text/plain"), output(PICTURE, "image/png"), output(FILM, "video/mp4")]
    engine, judge = FlowEngine(outputs=outputs), FakeJudge(scores=[0.1])
    async with fake_app(tmp_path, engine=engine, judge=judge) as app:
        silent = await ran(app)
        assert judge.prompts == []
        job = await ran(app, WISH.but(prompt="a red door", acceptance=Acceptance(best_of=1)))
        scores = [item.score for item in await items_of(app, job)]
        answer = await answers.job_answer(app.gallery, job)
    assert (len(engine.recipes), silent.recipe.acceptance.validate_) == (2, False)
    assert (scores, job.state) == ([None, 0.1, 0.1], "succeeded")
    assert answer["validation"]["passed"] is False


async def test_what_may_not_be_shown_is_not_kept_and_nothing_of_it_tells(tmp_path: Path) -> None:
    outputs = [output(PICTURE, "image/png"), output(png(32, 32), "image/png"), output(WAV, "audio/wav")]
    gate = FakeJudge(name="content", barred=(1,))
    async with fake_app(tmp_path, engine=FlowEngine(outputs=outputs), gate=gate) as app:
        job = await ran(app)
        items = await items_of(app, job)
        assert await app.studio.store.keys(f"{job.id}/1") == sorted(item.key for item in items)
    assert [item.key.rpartition("/")[2] for item in items] == ["2.png", "3.wav"]
    assert job.note == "A fake drew this. Output 1 may not be shown (content rules), and is not kept."


async def test_where_nothing_may_be_shown_the_job_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    gate = FakeJudge(name="content", barred=(1,))
    async with fake_app(tmp_path, engine=FlowEngine(outputs=[output(PICTURE, "image/png")]), gate=gate) as app:
        job = await ran(app)
        assert await app.studio.store.keys("") == []
    assert job.fault is not None
    assert (job.state, job.fault.code) == ("failed", "refused")


async def test_a_damaged_output_costs_none_of_the_others(tmp_path: Path) -> None:
    outputs = [output(PICTURE[:90], "image/png"), output(b"", "text/plain"), output(PICTURE, "image/png")]
    async with fake_app(tmp_path, engine=FlowEngine(outputs=outputs)) as app:
        job = await ran(app)
        (item,) = await items_of(app, job)
    assert item.key == f"{job.id}/1/3.png"
    assert "Output 1 (image/png) is not kept: it is damaged" in (job.note or "")
    assert "Output 2 (text/plain) is not kept: it is empty." in (job.note or "")


async def test_an_output_that_the_store_does_not_take_costs_none_of_the_others(tmp_path: Path) -> None:
    outputs = [output(png(32, 32), "image/png"), output(PICTURE, "image/png")]
    async with fake_app(tmp_path, engine=FlowEngine(outputs=outputs)) as app:
        put = app.studio.store.put

        async def refusing(key: str, media: Media) -> None:
            if key.endswith("/1/1.png"):
                raise StorageError("The disk is full.")
            await put(key, media)

        app.studio.store.put = refusing  # type: ignore[method-assign]
        job = await ran(app)
    assert (job.state, len(job.item_ids)) == ("succeeded", 1)
    assert "Output 1 could not be kept: The disk is full." in (job.note or "")


async def test_an_engine_that_fails_or_gives_nothing_fails_the_job(tmp_path: Path) -> None:
    engine = FlowEngine(errors=[OutOfMemory("needs 90 GB")])
    async with fake_app(tmp_path, engine=engine) as app:
        failed, empty = await ran(app), await ran(app)
        assert await app.studio.store.keys("") == []
    assert [job.fault.code if job.fault else "" for job in (failed, empty)] == ["out_of_memory", "render_failed"]


async def test_a_cancelled_workflow_stops_its_engine_and_leaves_nothing(tmp_path: Path) -> None:
    engine = FlowEngine(outputs=[output(PICTURE, "image/png")], gate=asyncio.Event())
    async with fake_app(tmp_path, engine=engine) as app:
        job = await app.studio.submit(WISH, {"workflow": FLOW})
        await engine.started.wait()
        stopped = await app.studio.cancel(job.id)
        assert await app.studio.store.keys("") == []
    assert (stopped.state, engine.stopped) == ("cancelled", 1)


async def test_an_interrupted_workflow_goes_on_under_the_same_ticket(tmp_path: Path) -> None:
    first = FlowEngine(outputs=[output(PICTURE, "image/png")], gate=asyncio.Event())
    async with fake_app(tmp_path, engine=first) as app:
        job = await app.studio.submit(WISH, {"workflow": FLOW, "file_1": mp4(FILM)})
        await first.started.wait()
    second = FlowEngine(outputs=first.outputs)
    async with fake_app(tmp_path, engine=second, resume=True) as app:
        done = await app.studio.wait(job.id, 30)
    assert (done.state, len(done.item_ids)) == ("succeeded", 1)
    assert [(one.id, one.again) for one in (*first.tickets, *second.tickets)] == [(job.id, False), (job.id, True)]
    assert second.inputs == first.inputs


async def test_what_a_workflow_made_is_made_again_by_the_same_graph(tmp_path: Path) -> None:
    engine = FlowEngine(outputs=[output(PICTURE, "image/png"), output(WAV, "audio/wav")])
    async with fake_app(tmp_path, engine=engine) as app:
        job = await ran(app, files={"file_1": mp4(FILM)})
        again = await app.studio.wait((await app.studio.regenerate(job.item_ids[1])).id, 30)
        parents = {item.parent_id for item in await items_of(app, again)}
        with pytest.raises(BadRecipe, match=r"steps cannot be 9: .*call run_workflow with this input"):
            await app.studio.regenerate(job.item_ids[0], steps=9)
    assert engine.inputs[1] == engine.inputs[0]
    assert parents == {job.item_ids[1]}


async def test_only_sounds_and_texts_make_an_answer_without_a_picture(tmp_path: Path) -> None:
    async with fake_app(tmp_path, engine=FlowEngine(outputs=[output(b"yes", "text/plain")])) as app:
        answer = await answers.job_answer(app.gallery, await ran(app))
    assert "image_id" not in answer
    assert (answer["outputs"][0]["text"], answer["next"]) == ("yes", "It made no picture: outputs lists what it made.")


async def test_sounds_and_files_are_found_exported_and_thrown_away_but_look_like_nothing(tmp_path: Path) -> None:
    outputs = [output(PICTURE, "image/png"), output(WAV, "audio/wav"), output(b"yes", "text/plain")]
    async with fake_app(tmp_path, engine=FlowEngine(outputs=outputs)) as app:
        _, sound, text = (await ran(app)).item_ids
        found = {kind: await app.gallery.search(ItemQuery(kind=kind)) for kind in KINDS}
        export = await Exports(app.gallery).zip([sound, text], tmp_path / "all.zip")
        await app.gallery.delete(sound)
        await app.gallery.erase(text)
        row = answers.item_row(item := await app.gallery.find(sound), await app.gallery.locate(item))
        with pytest.raises(BadRecipe, match="is a sound, which is given out as it is"):
            as_format(item, await app.gallery.original(sound), "image/png")
    assert [page.total for page in found.values()] == [1, 0, 1, 1]
    assert [name.rpartition(".")[2] for name in export.files.values()] == ["wav", "txt"]
    assert (row["kind"], row["media_type"], "deleted" in row) == ("audio", "audio/wav", True)


async def test_the_gate_looks_at_files_that_move_before_the_workflow_runs(tmp_path: Path) -> None:
    engine, gate = FlowEngine(outputs=[output(PICTURE, "image/png")]), FakeJudge(name="content", barred=(3,))
    async with fake_app(tmp_path, engine=engine, gate=gate) as app:
        job = await ran(app, files={"file_1": Media(data=GIF, media_type="image/gif")})
        assert await app.studio.store.keys("") == []
    assert job.fault is not None
    assert (job.fault.code, len(gate.prompts), engine.recipes) == ("refused", 4, [])
