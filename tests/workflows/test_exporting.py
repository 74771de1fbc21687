"""Exports: a zip that is whole or not there, with everything needed to make its pictures again."""

from __future__ import annotations

import asyncio
import json
import zipfile
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.fakes import fake_app, png
from tests.workflows.importing import foreign_files as made
from utils.metadata import read
from workflows import exporting
from workflows.app import App
from workflows.errors import BadRecipe, NotFound, StorageError
from workflows.exporting import RECIPES
from workflows.types import Item, ItemQuery, Media, Recipe


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[App]:
    async with fake_app(tmp_path / "home") as app:
        yield app


async def drawn(app: App, prompt: str, seed: int) -> Item:
    job = await app.studio.submit(Recipe(prompt=prompt, seed=seed))
    return await app.gallery.find((await app.studio.wait(job.id, 20)).item_ids[0])


def rows(archive: zipfile.ZipFile) -> list[dict[str, Any]]:
    return [json.loads(line) for line in archive.read(RECIPES).decode().splitlines()]


async def test_a_zip_holds_the_pictures_as_they_are_and_a_line_for_each(app: App, tmp_path: Path) -> None:
    first, second = await drawn(app, "a red circle, on white", 1), await drawn(app, "Ein Bär / 熊?", 2)
    steps: list[tuple[int, int]] = []
    target = tmp_path / "out.zip"
    done = await app.exports.zip(
        ItemQuery(sort="oldest"), target, report=lambda done, total: steps.append((done, total))
    )

    with zipfile.ZipFile(target) as archive:
        assert archive.testzip() is None
        day = f"{first.created:%Y-%m-%d}"
        names = [f"{day}_a-red-circle-on-white_{first.id[:8]}.png", f"{day}_Ein-Bär-熊_{second.id[:8]}.png"]
        assert archive.namelist() == [*names, RECIPES]
        for item, name in zip((first, second), names, strict=True):
            assert archive.read(name) == (await app.gallery.original(item.id)).data
        told = rows(archive)
    assert [Recipe.model_validate(row["recipe"]) for row in told] == [first.recipe, second.recipe]
    assert [(row["id"], row["file"], row["score"], row["model"]) for row in told] == [
        (item.id, name, item.score, "fake-model") for item, name in zip((first, second), names, strict=True)
    ]
    assert (done.files, done.size, done.skipped) == (
        {first.id: names[0], second.id: names[1]},
        target.stat().st_size,
        {},
    )
    assert steps == [(1, 2), (2, 2)]


@pytest.mark.parametrize("form", ["stored", "png", "jpeg", "webp"])
async def test_a_zips_pictures_taken_in_elsewhere_have_their_recipes(tmp_path: Path, form: Any) -> None:
    async with fake_app(tmp_path / "one") as app:
        items = {item.id: item for item in [await drawn(app, "a blue square", 5), await drawn(app, "a hat", 6)]}
        done = await app.exports.zip(list(items), tmp_path / "out.zip", form=form)
    async with fake_app(tmp_path / "two") as app:
        with zipfile.ZipFile(done.path) as archive:
            for name, file in done.files.items():
                taken = await app.imports.take(Media(data=archive.read(file), media_type=""), file)
                assert (taken.recipe, taken.rendered) == (items[name].recipe, items[name].rendered)
                assert (taken.source, taken.score) == ("Atelier", items[name].score)


async def test_a_stripped_zip_tells_nothing_but_that_a_machine_made_it(app: App, tmp_path: Path) -> None:
    item = await drawn(app, "a secret garden", 1)
    done = await app.exports.zip([item.id], tmp_path / "out.zip", strip=True, form="jpeg")

    with zipfile.ZipFile(done.path) as archive:
        assert archive.namelist() == list(done.files.values())
        content = archive.read(done.files[item.id])
    stamp = read(content)
    assert b"secret" not in content and (stamp.parameters, stamp.record) == (None, None)
    assert stamp.source_type is not None and stamp.source_type.endswith("trainedAlgorithmicMedia")
    assert list(done.files.values()) == [f"{item.created:%Y-%m-%d}_{item.id[:8]}.jpg"]


async def test_a_picture_from_elsewhere_goes_out_as_it_came(app: App, tmp_path: Path) -> None:
    content = made.png({"parameters": made.A1111})
    item = await app.imports.take(Media(data=content, media_type=""), "castle.png")
    done = await app.exports.zip(ItemQuery(), tmp_path / "out.zip")

    with zipfile.ZipFile(done.path) as archive:
        assert archive.read(done.files[item.id]) == content
        assert rows(archive)[0]["source"] == "A1111"


async def test_names_are_unlike_each_other_and_short(app: App, tmp_path: Path) -> None:
    for shade in range(3):
        await app.imports.take(Media(data=png(8, 8, (shade, 0, 0)), media_type=""), "x.png")
    await drawn(app, "word " * 200, 1)
    done = await app.exports.zip(ItemQuery(), tmp_path / "out.zip")

    assert len({name.casefold() for name in done.files.values()}) == 4
    assert max(map(len, done.files.values())) < 80


async def test_more_pictures_than_a_page_are_all_there(
    app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "PAGE", 2)
    taken = [await app.imports.take(Media(data=png(8, 8, (n, 0, 9)), media_type=""), f"{n}.png") for n in range(5)]
    done = await app.exports.zip(ItemQuery(limit=3), tmp_path / "out.zip")

    assert set(done.files) == {item.id for item in taken}


async def test_a_picture_whose_file_is_gone_is_told_and_the_others_are_there(app: App, tmp_path: Path) -> None:
    gone, here = await drawn(app, "a", 1), await drawn(app, "b", 2)
    await app.gallery.store.delete(gone.key)
    done = await app.exports.zip([gone.id, here.id], tmp_path / "out.zip")

    assert list(done.files) == [here.id]
    assert "is gone" in done.skipped[gone.id]


async def test_a_zip_of_nothing_that_can_be_read_replaces_none(app: App, tmp_path: Path) -> None:
    gone, target = await drawn(app, "a", 1), tmp_path / "out.zip"
    await app.gallery.store.delete(gone.key)
    target.write_bytes(b"the one before")
    with pytest.raises(StorageError, match=r"None of the pictures could be read\. The file of image .* is gone"):
        await app.exports.zip([gone.id], target)
    assert [path.name for path in tmp_path.glob("*out*")] == ["out.zip"] and target.read_bytes() == b"the one before"


async def test_wrong_wishes_are_refused_before_anything_is_written(app: App, tmp_path: Path) -> None:
    item, target = await drawn(app, "a", 1), tmp_path / "out.zip"
    for wanted, where, form, error in (
        (["nobody"], target, "stored", NotFound),
        (ItemQuery(query="nothing like it"), target, "stored", BadRecipe),
        ([item.id], tmp_path, "stored", BadRecipe),
        ([item.id], tmp_path / "none" / "out.zip", "stored", BadRecipe),
        ([item.id], target, "gif", BadRecipe),
    ):
        with pytest.raises(error):
            await app.exports.zip(wanted, where, form=form)  # pyright: ignore[reportArgumentType]
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


@contextmanager
def files_of_at_most(size: int) -> Generator[None]:
    """The system lets this process write no file longer than that, as a full disk does."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_a_full_disk_leaves_the_old_file_and_nothing_else(app: App, tmp_path: Path) -> None:
    noise = Image.effect_noise((700, 700), 90)
    buffer, target = BytesIO(), tmp_path / "out.zip"
    noise.save(buffer, "PNG")
    item = await app.imports.take(Media(data=buffer.getvalue(), media_type=""), "noise.png")
    target.write_bytes(b"before")

    with files_of_at_most(200_000), pytest.raises(StorageError, match="Nothing is left of it"):
        await app.exports.zip([item.id], target)
    assert (target.read_bytes(), sorted(path.name for path in tmp_path.iterdir())) == (b"before", ["home", "out.zip"])


async def test_a_cancelled_export_leaves_nothing(app: App, tmp_path: Path) -> None:
    for seed in range(3):
        await drawn(app, "a", seed)
    task: asyncio.Task[Any] | None = None

    def stop(done: int, total: int) -> None:
        if done == 2 and task is not None:
            task.cancel()

    task = asyncio.ensure_future(app.exports.zip(ItemQuery(), tmp_path / "out.zip", report=stop))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


async def test_a_zip_opens_with_any_reader(app: App, tmp_path: Path) -> None:
    await drawn(app, "a", 1)
    done = await app.exports.zip(ItemQuery(), tmp_path / "out.zip")

    packed = {info.filename: info.compress_type for info in zipfile.ZipFile(BytesIO(done.path.read_bytes())).infolist()}
    assert packed == {next(iter(done.files.values())): zipfile.ZIP_STORED, RECIPES: zipfile.ZIP_DEFLATED}
