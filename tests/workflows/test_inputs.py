"""Input pictures on their way into a job: which a task needs, how each is opened, kept and let go."""

from __future__ import annotations

import asyncio
import base64
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, PngImagePlugin

from tests.fakes import FakeEngine, fake_app, mask_png, png, until
from utils.images import decode
from workflows.errors import BadRecipe, Refused, RenderFailed
from workflows.types import Control, Extension, Media, Recipe, Reference

PICTURE = Media(data=png(96, 64), media_type="image/png")
MASK = Media(data=mask_png(96, 64, (20, 20, 60, 40)), media_type="image/png")
WISH = Recipe.checked(prompt="a red door")


@pytest.mark.parametrize(
    ("changes", "pictures", "text"),
    [
        ({"task": "img2img"}, {}, "input_image cannot be None: img2img needs an input picture"),
        ({"task": "upscale", "prompt": ""}, {}, "input_image cannot be None: upscale needs an input picture"),
        ({"task": "inpaint"}, {"source": PICTURE}, "mask_image cannot be None: inpaint needs it"),
        ({"task": "outpaint"}, {"source": PICTURE}, "left cannot be 0: outpaint needs pixels to add"),
        ({"task": "outpaint", "extend": Extension()}, {"source": PICTURE}, "left cannot be 0"),
        ({"task": "img2img"}, {"source": PICTURE, "mask": MASK}, "mask_image cannot be.*img2img takes none"),
        ({"controls": (Control(kind="canny"),)}, {}, "image of control 1 cannot be None"),
        ({}, {"control_1": PICTURE}, "image of control 1 cannot be 'a picture': txt2img takes none"),
        ({"references": (Reference(),)}, {"reference_2": PICTURE}, "image of reference 2"),
    ],
)
async def test_a_task_without_its_pictures_is_refused_in_words(
    changes: dict[str, Any], pictures: dict[str, Media], text: str, tmp_path: Path
) -> None:
    async with fake_app(tmp_path) as app:
        with pytest.raises(BadRecipe, match=text):
            await app.studio.submit(WISH.but(**changes), pictures)
        assert await app.studio.history(5) == []


async def test_every_picture_reaches_the_engine_by_its_role_and_is_kept_with_the_job(tmp_path: Path) -> None:
    engine = FakeEngine()
    recipe = WISH.but(
        controls=(Control(kind="canny"), Control(kind="depth", strength=0.5)), references=(Reference(mode="style"),)
    )
    pictures = {role: PICTURE for role in ("control_1", "control_2", "reference_1")}
    async with fake_app(tmp_path, engine=engine) as app:
        job = await app.studio.wait((await app.studio.submit(recipe, pictures)).id, 30)
        keys = await app.studio.store.keys(f"{job.id}/input")
    assert job.recipe.task == "txt2img"
    assert job.recipe.pictures == {role: f"{job.id}/input/{role}.png" for role in pictures}
    assert sorted(keys) == sorted(job.recipe.pictures.values())
    assert engine.inputs[0].keys() == pictures.keys()


async def test_pictures_come_from_the_gallery_a_folder_or_a_data_uri(tmp_path: Path) -> None:
    engine, folder = FakeEngine(), tmp_path / "open"
    folder.mkdir()
    (folder / "blue.png").write_bytes(png(32, 32, (0, 0, 255)))
    uri = f"data:image/png;base64,{base64.b64encode(png(16, 16)).decode()}"
    async with fake_app(tmp_path, engine=engine, allowed_roots=(folder,)) as app:
        first = await app.studio.wait((await app.studio.submit(WISH)).id, 30)
        recipe = WISH.but(references=(Reference(), Reference()))
        given = {"source": first.item_ids[0], "reference_1": "blue.png", "reference_2": uri}
        job = await app.studio.wait((await app.studio.submit(recipe, given)).id, 30)
    sizes = {role: decode(media.data).size for role, media in engine.inputs[1].items()}
    assert sizes == {"source": (64, 64), "reference_1": (32, 32), "reference_2": (16, 16)}
    assert (job.recipe.task, job.recipe.source_item) == ("img2img", first.item_ids[0])


async def test_a_picture_that_may_not_be_read_is_told_by_the_name_of_its_argument(tmp_path: Path) -> None:
    async with fake_app(tmp_path) as app:
        with pytest.raises(BadRecipe, match="mask_image cannot be '/etc/passwd'"):
            await app.studio.submit(WISH.but(task="inpaint"), {"source": PICTURE, "mask": "/etc/passwd"})
        with pytest.raises(BadRecipe, match="image of control 1 cannot be 'image/png': it must be a whole PNG"):
            broken = Media(data=b"broken", media_type="image/png")
            await app.studio.submit(WISH.but(controls=(Control(kind="tile"),)), {"control_1": broken})


async def test_a_mask_is_kept_in_black_and_white_at_the_size_of_its_source(tmp_path: Path) -> None:
    async with fake_app(tmp_path) as app:
        grey = Media(data=mask_png(48, 32, (0, 0, 24, 32)), media_type="image/png")
        job = await app.studio.submit(WISH.but(task="inpaint"), {"source": PICTURE, "mask": grey})
        assert job.recipe.mask is not None
        kept = await app.studio.store.get(job.recipe.mask)
        mask = await asyncio.to_thread(decode, kept.data)
    assert (mask.size, set(mask.convert("L").tobytes())) == ((96, 64), {0, 255})


async def test_a_failed_job_lets_go_of_all_its_pictures(tmp_path: Path) -> None:
    async with fake_app(tmp_path, engine=FakeEngine(errors=[RenderFailed("broke")])) as app:
        given = {"source": PICTURE, "mask": MASK}
        job = await app.studio.submit(WISH.but(task="inpaint"), given)
        assert (await app.studio.wait(job.id, 30)).state == "failed"
        assert list(await app.studio.store.keys(job.id)) == []


async def test_pictures_stay_while_something_made_from_them_does(tmp_path: Path) -> None:
    engine = FakeEngine(gate=asyncio.Event(), held_from=2)
    async with fake_app(tmp_path, engine=engine) as app:
        job = await app.studio.submit(WISH.but(count=2), {"source": PICTURE})
        await until(app, lambda job: len(job.item_ids) == 1)
        cancelled = await app.studio.cancel(job.id)
        assert len(cancelled.item_ids) == 1
        assert list(await app.studio.store.keys(f"{job.id}/input")) == [f"{job.id}/input/source.png"]


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
async def test_nothing_but_the_pixels_of_an_input_picture_is_kept(tmp_path: Path, form: str) -> None:
    async with fake_app(tmp_path) as app:
        job = await app.studio.submit(WISH, {"source": told(form, "a secret garden")})
        kept = await app.studio.store.get(f"{job.id}/input/source.png")
    assert kept.media_type == "image/png"
    assert b"secret" not in kept.data


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
async def test_a_picture_that_says_it_was_made_from_refused_words_is_refused_and_nothing_is_kept(
    tmp_path: Path, form: str
) -> None:
    async with fake_app(tmp_path) as app:
        with pytest.raises(Refused, match=r"adult\.nudity") as refused:
            await app.studio.submit(WISH, {"source": told(form, "a nude woman")})
        assert "woman" not in str(refused.value)
        assert (await app.studio.history(10), list(await app.studio.store.keys(""))) == ([], [])


def told(form: str, prompt: str) -> Media:
    """A picture whose file says what it was made from, in the A1111 way."""
    text = f"{prompt}\nSteps: 20, Sampler: Euler, CFG scale: 7, Seed: 1, Size: 64x64"
    image, buffer = Image.new("RGB", (64, 64), (10, 200, 30)), BytesIO()
    if form == "PNG":
        info = PngImagePlugin.PngInfo()
        info.add_text("parameters", text)
        image.save(buffer, form, pnginfo=info)
    else:
        exif = Image.Exif()
        exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + text.encode("utf-16-be")
        image.save(buffer, form, exif=exif)
    return Media(data=buffer.getvalue(), media_type=f"image/{form.lower()}")
