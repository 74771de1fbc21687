"""Imports on a real ledger and a real store: what is taken in, what is not, and what is there already."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import pytest

from clients.ledger import Ledger, open_ledger
from clients.local_store import LocalStore
from tests.fakes import FakeJudge, fake_app, png
from tests.utils import films
from tests.video_kit import FilmEngine
from tests.workflows.importing import foreign_files as made
from utils.images import sha256
from utils.likeness import distance
from utils.video import encoded
from workflows.errors import BadRecipe, EngineUnavailable, Refused, StorageError
from workflows.gallery import Gallery
from workflows.importing import Imports
from workflows.importing.taking import safe_name
from workflows.stamp import as_format
from workflows.studio import again
from workflows.types import Item, ItemQuery, Media, Recipe

COMFY = made.png({"prompt": json.dumps(made.ksampler()), "workflow": json.dumps(made.EDITOR)})


@dataclass
class Room:
    """A gallery with its way in."""

    ledger: Ledger
    store: LocalStore
    gallery: Gallery
    imports: Imports

    async def take(self, content: bytes, name: str = "a.png", **more: Any) -> Item:
        return await self.imports.take(Media(data=content, media_type=""), name, **more)

    async def all(self) -> tuple[Item, ...]:
        return (await self.gallery.search(ItemQuery())).items


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    async with open_ledger(tmp_path / "ledger.db") as ledger:
        store = LocalStore(tmp_path / "pictures")
        gallery = Gallery(ledger.items, store, filing=ledger.filing)
        yield Room(ledger, store, gallery, Imports(gallery=gallery, filing=ledger.filing))


async def test_a_picture_is_filed_with_its_recipe_and_its_bytes_as_they_are(room: Room) -> None:
    item = await room.take(COMFY, "ComfyUI 00001_.png", tags=("Found", "found "))

    assert (item.source, item.engine, item.prompt, item.model) == (
        "ComfyUI",
        "ComfyUI",
        "a glass bottle",
        "sd_xl_base_1.0.safetensors",
    )
    assert (item.width, item.height, item.size, item.media_type) == (64, 48, len(COMFY), "image/png")
    assert (item.tags, item.recipe, item.fingerprint is not None) == (("found",), item.rendered, True)
    assert (item.facts["graph"], item.facts["workflow"]) == (made.ksampler(), made.EDITOR)
    assert item.facts["original_name"] == "ComfyUI 00001_.png"
    assert item.key == f"{item.job_id}/1/ComfyUI-00001_.png"
    assert (await room.gallery.original(item.id)).data == COMFY
    assert (await room.gallery.search(ItemQuery(query="bottle", tag="found"))).items == (item,)


@pytest.mark.parametrize(
    ("content", "ending", "media_type"),
    [
        (made.with_exif("JPEG", comment=made.A1111), "jpg", "image/jpeg"),
        (made.with_exif("WEBP", comment=made.A1111), "webp", "image/webp"),
    ],
)
async def test_jpeg_and_webp_come_in_whatever_their_name_says(
    room: Room, content: bytes, ending: str, media_type: str
) -> None:
    item = await room.take(content, "castle.PNG")

    assert item.key.endswith(f"/1/castle.{ending}")
    assert (item.media_type, item.source, item.seed) == (media_type, "A1111", 1234567890)
    assert (await room.gallery.original(item.id)).media_type == media_type


async def test_a_picture_that_tells_nothing_is_filed_as_unknown(room: Room) -> None:
    item = await room.take(png(40, 30), "")

    assert (item.source, item.recipe, item.prompt, item.key.rpartition("/")[2]) == (
        "file",
        Recipe(task="unknown"),
        "",
        "picture.png",
    )


async def test_the_same_bytes_twice_give_the_item_that_is_there(room: Room) -> None:
    first = await room.take(COMFY)
    again, new = await room.imports.taken(Media(data=COMFY, media_type=""), "other.png")

    assert (again, new) == (first, False)
    assert (await room.all(), await room.store.keys("")) == ((first,), [first.key])


async def test_the_same_bytes_at_the_same_time_are_filed_once(room: Room) -> None:
    items = await asyncio.gather(*(room.take(COMFY) for _ in range(4)))

    assert len({item.id for item in items}) == 1
    assert len(await room.all()) == 1
    assert await room.store.keys("") == [items[0].key]


async def test_what_lay_in_the_trash_comes_back(room: Room) -> None:
    item = await room.take(COMFY)
    await room.gallery.delete(item.id)

    assert await room.take(COMFY) == item
    assert (await room.gallery.original(item.id)).data == COMFY


async def test_what_was_erased_is_taken_anew(room: Room) -> None:
    item = await room.take(COMFY)
    await room.gallery.erase(item.id)

    assert (await room.take(COMFY)).job_id != item.job_id


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "it is empty"),
        (b"GIF89a not this", "WebP, MP4, WebM or animated GIF"),
        (COMFY[:-40], "cut short"),
        (COMFY[:200] + b"\0" * 40 + COMFY[240:], "damaged"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isom\0\0\0\0", "damaged, cut short or without pictures"),
        (b"\0\0\0\x18ftypisom" + b"\xff" * 60, "damaged, cut short or without pictures"),
    ],
)
async def test_what_is_no_whole_picture_is_refused_and_nothing_is_kept(room: Room, content: bytes, says: str) -> None:
    with pytest.raises(BadRecipe, match=says):
        await room.take(content, "broken.png")
    assert (await room.all(), await room.store.keys("")) == ((), [])


async def test_the_content_rules_hold_for_words_in_any_form(room: Room) -> None:
    words = "a naked child"
    forms = [
        made.png({"parameters": f"{words}\nSteps: 20, Seed: 1"}),
        made.png(
            {"prompt": json.dumps(made.ksampler(**{"6": {"class_type": "CLIPTextEncode", "inputs": {"text": words}}}))}
        ),
        made.png({"invokeai_metadata": json.dumps(made.INVOKE | {"positive_prompt": words})}),
        made.png({"Description": words}),
        made.with_exif("JPEG", comment=f"{words}\nSteps: 20, Seed: 1"),
    ]
    for content in forms:
        with pytest.raises(Refused):
            await room.take(content)
    assert await room.store.keys("") == []


async def test_the_gate_looks_at_the_picture_and_bars_it(room: Room) -> None:
    room.imports.gate = FakeJudge(name="content", barred=(1,))
    with pytest.raises(Refused, match="may not be kept"):
        await room.take(COMFY)

    item = await room.take(COMFY)
    assert [verdict.judge for verdict in item.verdicts] == ["content"]


class FullFiling:
    """A ledger that cannot write."""

    async def add(self, items: object) -> None:
        raise StorageError("the disk is full")


async def test_when_the_row_cannot_be_written_the_file_goes_too(room: Room) -> None:
    room.imports.filing = FullFiling()  # pyright: ignore[reportAttributeAccessIssue]

    with pytest.raises(StorageError, match="disk is full"):
        await room.take(COMFY)
    assert await room.store.keys("") == []


async def test_our_own_picture_goes_to_another_gallery_and_comes_back_whole(tmp_path: Path) -> None:
    async with fake_app(tmp_path / "one") as app:
        job = await app.studio.submit(Recipe(prompt="a red circle", seed=3))
        done = await app.studio.wait(job.id, 20)
        drawn = await app.gallery.find(done.item_ids[0])
        media = await app.gallery.original(drawn.id)
        assert await app.imports.taken(media, "again.png") == (drawn, False)
        other, new = await app.imports.taken(as_format(drawn, media, "image/jpeg"), "again.jpg")
        assert (new, other.recipe, other.media_type) == (True, drawn.recipe, "image/jpeg")
    async with fake_app(tmp_path / "two") as app:
        item, new = await app.imports.taken(media, "mine.png")
        kept = ("recipe", "rendered", "seed", "engine", "score", "passed", "verdicts", "model", "model_hash", "prompt")
        assert (new, item.source) == (True, "Atelier")
        assert {name: getattr(item, name) for name in kept} == {name: getattr(drawn, name) for name in kept}
        made_again = await app.studio.wait((await app.studio.regenerate(item.id)).id, 20)
        child = await app.gallery.find(made_again.item_ids[0])
        assert (child.parent_id, child.rendered.seed, child.rendered.steps) == (item.id, 3, drawn.rendered.steps)


async def test_a_foreign_picture_is_made_again_where_an_engine_knows_its_model(tmp_path: Path) -> None:
    from tests.fakes import FakeEngine

    engine = FakeEngine()
    async with fake_app(tmp_path, engine=engine) as app:
        item = await app.imports.take(Media(data=made.png({"parameters": made.A1111}), media_type=""), "castle.png")
        await app.studio.wait((await app.studio.regenerate(item.id)).id, 20)
        drawn = engine.recipes[0]
        assert (drawn.prompt, drawn.seed, drawn.steps, drawn.sampler, drawn.model) == (
            item.prompt,
            1234567890,
            30,
            "dpmpp_2m",
            "juggernautXL_v9",
        )
        engine.refuses = "no model 'juggernautXL_v9'"
        with pytest.raises(EngineUnavailable, match="no model 'juggernautXL_v9'"):
            await app.studio.regenerate(item.id)


def film(width: int = 64, height: int = 48, comment: str = "") -> bytes:
    """A real MP4 of three frames."""
    import av
    from PIL import Image

    buffer = BytesIO()
    with av.open(buffer, "w", format="mp4", options={"movflags": "use_metadata_tags"}) as container:
        if comment:
            container.metadata["comment"] = comment
        stream: Any = container.add_stream("mpeg4", rate=Fraction(8))
        stream.width, stream.height = width, height
        for shade in (20, 120, 220):
            picture = Image.new("RGB", (width, height), (shade, 40, 90))
            frame = cast("Any", av.VideoFrame).from_image(picture)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return buffer.getvalue()


async def test_a_video_comes_in_with_its_graph_and_a_poster_and_is_not_made_again(room: Room) -> None:
    content = film(comment=json.dumps({"prompt": json.dumps(made.FLUX), "workflow": made.EDITOR}))
    item = await room.take(content, "clip.mp4")

    assert (item.kind, item.media_type, item.width, item.height) == ("video", "video/mp4", 64, 48)
    assert (item.prompt, item.recipe.task, item.source) == ("a paper boat, on a puddle", "unknown", "ComfyUI")
    assert item.facts["graph"] == made.FLUX
    assert (await room.gallery.original(item.id)).data == content
    assert (await room.gallery.preview(item.id, 64)).media_type.startswith("image/")
    with pytest.raises(BadRecipe, match="it is a video"):
        again(item, {})
    assert (item.facts["frames"], item.facts["fps"], item.facts["seconds"]) == (3, 8.0, 0.375)
    assert item.fingerprint
    with pytest.raises(BadRecipe):
        await room.take(content[:-100], "cut.mp4")


async def test_webm_comes_in_as_it_is_and_what_no_browser_plays_as_mp4(room: Room) -> None:
    webm = await asyncio.to_thread(films.timed, [0, 100, 200, 300])
    item = await room.take(webm, "clip.webm")
    assert (item.media_type, item.key[-10:], item.facts["frames"], item.size) == (
        "video/webm",
        "/clip.webm",
        4,
        len(webm),
    )
    assert (await room.gallery.original(item.id)).data == webm
    gif = films.animated("GIF", [100] * 4)
    for content, name in ((gif, "clip.gif"), (await asyncio.to_thread(films.timed, [0, 100], "matroska"), "a.mkv")):
        item = await room.take(content, name)
        kept = await room.gallery.original(item.id)
        assert (item.kind, item.media_type, kept.data[4:8]) == ("video", "video/mp4", b"ftyp")
        assert item.sha256 == sha256(kept.data)
        assert item.facts["original_name"] == name
        assert (await room.gallery.preview(item.id, 64)).media_type.startswith("image/")
        assert await room.imports.taken(Media(data=content, media_type=""), name) == (item, False)
    assert len(await room.all()) == 3
    with pytest.raises(BadRecipe, match="damaged or cut short"):
        await room.take(webm[:300], "cut.webm")


async def test_videos_that_show_the_same_have_near_fingerprints(room: Room) -> None:
    frames = await asyncio.to_thread(films.pictures, 8)
    one, other = [await asyncio.to_thread(encoded, frames, 8, crf=crf) for crf in (10, 30)]
    marks = [(await room.take(content, "a.mp4")).fingerprint or "" for content in (one, other, film())]
    assert distance(marks[0], marks[1]) <= 6 < distance(marks[0], marks[2])


async def test_a_video_beyond_what_is_read_here_is_kept_without_a_poster(room: Room) -> None:
    item = await room.take(await asyncio.to_thread(films.timed, [0, 700_000], "mp4", "libx264"), "long.mp4")
    assert (item.kind, item.width, item.facts.get("poster"), item.facts.get("frames")) == ("video", 64, None, None)


async def test_the_gate_looks_at_frames_of_a_video(room: Room) -> None:
    room.imports.gate = FakeJudge(name="content", barred=(3,))
    with pytest.raises(Refused, match=r"The video may not be kept here\. In 1 of 3 frames"):
        await room.take(film())
    assert await room.store.keys("") == []


async def test_our_own_video_comes_back_with_all_that_it_was_made_of(tmp_path: Path) -> None:
    async with fake_app(tmp_path / "one", engine=FilmEngine()) as app:
        job = await app.studio.submit(Recipe(task="txt2vid", prompt="a red circle", seed=3))
        done = await app.studio.wait(job.id, 20)
        drawn = await app.gallery.find(done.item_ids[0])
        media = await app.gallery.original(drawn.id)
    async with fake_app(tmp_path / "two", engine=FilmEngine()) as app:
        item = await app.imports.take(media, "mine.mp4")
        told = ("recipe", "rendered", "seed", "prompt", "fingerprint", "width", "height")
        assert {name: getattr(item, name) for name in told} == {name: getattr(drawn, name) for name in told}
        assert {name: item.facts[name] for name in ("frames", "fps", "seconds")} == {
            name: drawn.facts[name] for name in ("frames", "fps", "seconds")
        }
        again_ = await app.studio.wait((await app.studio.regenerate(item.id)).id, 20)
        assert (await app.gallery.find(again_.item_ids[0])).kind == "video"


async def test_what_was_made_from_another_picture_is_not_made_again_without_it(room: Room) -> None:
    line = "a door\nSteps: 4, Sampler: Euler, Seed: 1, Size: 64x64, Denoising strength: 0.6"
    item = await room.take(made.png({"parameters": line}), "door.png")

    with pytest.raises(BadRecipe, match=r"another picture \(img2img\), which is not in its file"):
        again(item, {"seed": 2})


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("a b.png", "a-b"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\x\\föö 猫.png", "foo"),
        ("猫.png", "picture"),
        ("CON.png", "picture-CON"),
        ("x" * 500, "x" * 80),
        (".hidden", "hidden"),
        ("-._-.png", "_"),
    ],
)
def test_any_name_becomes_part_of_a_key(name: str, safe: str) -> None:
    assert safe_name(name) == safe
