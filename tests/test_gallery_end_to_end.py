"""The gallery end to end: the whole app with its real settings, on a folder, an S3 server and PostgreSQL."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import zipfile
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from clients.bucket_store import BucketStore
from clients.config import BadSettings, Settings, load_settings
from clients.tools.generation import generate_image, img2img
from clients.wiring import open_app
from clients.wiring.storage import storage_faults
from tests.fakes import FakeEngine, FakeJudge
from tests.services.postgres import PASSWORD, USER, Server
from tests.services.s3 import S3Server, free_port, fresh_bucket, moto
from tests.utils.certificates import pair
from utils.metadata import SourceType
from utils.signing import manifest_of
from workflows import orphans
from workflows.app import App
from workflows.errors import NotFound
from workflows.types import Item, ItemQuery, Media, Recipe

EVERYTHING = ItemQuery()


@pytest.fixture(scope="module")
def postgres() -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="atelier-postgres-", ignore_cleanup_errors=True) as folder:
        server = Server(Path(folder))
        yield server
        server.stop()


def s3(server: S3Server, bucket: str) -> dict[str, Any]:
    keys = {"minio_access_key": server.access_key, "minio_secret_key": server.secret_key}
    return {"minio_endpoint": server.endpoint, "minio_bucket": bucket, **keys}


@pytest.fixture(params=["folder", "bucket", "bucket and server"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    further: dict[str, Any] = {} if request.param == "folder" else s3(moto(), fresh_bucket())
    if request.param == "bucket and server":
        further["database_url"] = request.getfixturevalue("postgres").new_database()
    return load_settings(atelier_home=tmp_path / "home", **further)


async def read(**given: Any) -> Settings:
    """The settings, read off the loop as the app does."""
    return await asyncio.to_thread(load_settings, **given)


@asynccontextmanager
async def opened(settings: Settings, *, resume: bool = False) -> AsyncGenerator[App]:
    """The app as the settings make it, but for who draws and who judges."""
    async with open_app(settings, resume=resume) as app:
        app.studio.engines, app.studio.judges, app.studio.chooser = [FakeEngine()], {"clip": FakeJudge()}, None
        yield app


async def drawn(app: App, prompt: str, seed: int = 1) -> Item:
    job = await app.studio.submit(Recipe.checked(prompt=prompt, seed=seed, steps=1))
    return await ended(app, job.id)


async def ended(app: App, job_id: str) -> Item:
    job = await app.studio.wait(job_id, 60)
    assert job.state == "succeeded", job.fault
    return await app.gallery.find(job.item_ids[0])


async def names(app: App, query: ItemQuery = EVERYTHING) -> list[str]:
    return [item.id for item in (await app.gallery.search(query)).items]


async def fetched(url: str) -> tuple[int, bytes]:
    async with httpx2.AsyncClient() as anyone:
        answer = await anyone.get(url)
        return answer.status_code, answer.content


async def test_the_gallery_outlives_its_process_wherever_it_lies(settings: Settings, tmp_path: Path) -> None:
    async with opened(settings) as app:
        first = await drawn(app, "Ein roter Kreis, 赤い円")
        child = await ended(app, (await app.studio.regenerate(first.id, seed=2)).id)
        await app.gallery.tag(first.id, ["Für Oma"], favourite=True)
        before = await app.gallery.original(first.id)
    async with opened(settings) as app:
        assert await names(app) == [child.id, first.id]
        assert await names(app, ItemQuery(query="roter kre", tag="für oma", favourite=True)) == [first.id]
        assert await app.gallery.original(first.id) == before
        tree = await app.gallery.tree(first)
        assert [(node.image_id, node.change) for node in tree.nodes][1:] == [(child.id, "another seed (1 to 2)")]
        assert (await app.gallery.preview(first.id, 320)).media_type in {"image/png", "image/jpeg"}
        assert not await app.storage_remarks()

        where = await app.gallery.locate(first)
        assert (where.path is None) is (settings.minio_endpoint is not None) and not where.waiting
        if where.path is None:
            assert await fetched(where.url) == (200, before.data)

        await app.gallery.delete(first.id)
        assert (await names(app), await names(app, ItemQuery(deleted=True))) == ([child.id], [first.id])
        if where.path is None:
            assert (await fetched(where.url))[0] == 404
        await app.gallery.restore(first.id)
        assert await app.gallery.original(first.id) == before
        await app.exports.zip(EVERYTHING, tmp_path / "all.zip")
        await app.gallery.erase(first.id)
        assert list(await app.gallery.store.keys("")) == [child.key]
    assert await taken(tmp_path / "all.zip", tmp_path / "another") == {
        (1, before.data),
        (2, await original(settings, child)),
    }


async def original(settings: Settings, item: Item) -> bytes:
    async with opened(settings) as app:
        return (await app.gallery.original(item.id)).data


async def taken(archive: Path, home: Path) -> set[tuple[int, bytes]]:
    """Seeds and files of what another house makes of a zip."""
    with zipfile.ZipFile(archive) as packed:
        files = {name: packed.read(name) for name in packed.namelist() if name.endswith(".png")}
    async with opened(await read(atelier_home=home)) as app:
        items = [await app.imports.take(Media(data=data, media_type=""), name) for name, data in files.items()]
        assert {item.recipe.prompt for item in items} == {"Ein roter Kreis, 赤い円"}
        return {(item.seed, (await app.gallery.original(item.id)).data) for item in items}


async def test_pictures_made_before_the_bucket_are_shown_deleted_and_brought_along(tmp_path: Path) -> None:
    home = tmp_path / "home"
    async with opened(await read(atelier_home=home)) as app:
        shown, deleted = await drawn(app, "shown"), await drawn(app, "deleted")
        before = await app.gallery.original(shown.id)
    settings = await read(atelier_home=home, **s3(moto(), fresh_bucket()))
    async with opened(settings) as app:
        assert await app.gallery.original(shown.id) == before
        assert (await app.gallery.locate(shown)).path == str(home / "pictures" / shown.key)
        [remark] = await app.storage_remarks()
        assert "gallery migrate --to s3 --remove" in remark
        await app.gallery.delete(deleted.id)
        assert not (home / "pictures" / deleted.key).exists()
        await app.gallery.restore(deleted.id)
        assert (await app.gallery.original(deleted.id)).data
        moved = await app.migration("s3").run(remove=True)
        assert (moved.whole, moved.copied, moved.removed) == (True, 1, 1)
        assert (await app.gallery.locate(shown)).path is None
        assert await app.gallery.original(shown.id) == before
    async with opened(settings) as app:
        assert not await app.storage_remarks()


async def test_a_bucket_that_is_down_keeps_nobody_waiting_and_the_next_process_uploads(tmp_path: Path) -> None:
    bucket = fresh_bucket()
    down = s3(S3Server("127.0.0.1", free_port()), bucket)
    async with opened(await read(atelier_home=tmp_path, **down)) as app:
        item = await drawn(app, "kept here")
        where = await app.gallery.locate(item)
        before = await app.gallery.original(item.id)
        [notice] = [words for words in (await app.status())["notices"] if "object store" in words]
        assert where.waiting and where.path is not None
        assert "1 picture since" in notice and "does not answer" in notice and "testsecretkey" not in notice
    async with opened(await read(atelier_home=tmp_path, **s3(moto(), bucket))) as app:
        assert isinstance(app.gallery.store, BucketStore)
        await app.gallery.store.flush()
        assert await fetched((await app.gallery.locate(item)).url) == (200, before.data)


DIES = """
import asyncio, sys
from tests.fakes import FakeEngine
from tests.test_gallery_end_to_end import opened, read
from workflows.types import Recipe

async def main():
    async with opened(await read()) as app:
        engine = FakeEngine(gate=asyncio.Event(), held_from=2)
        app.studio.engines = [engine]
        job = await app.studio.submit(Recipe.checked(prompt="taken over", seed=1, count=3))
        await engine.started.wait()
        while not (await app.studio.find(job.id)).outcomes:
            await asyncio.sleep(0.01)
        print(job.id, app.studio.presence.owner, flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


async def test_a_job_is_taken_over_by_another_machine_once_its_process_is_dead(
    postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, bucket = postgres.new_database(), fresh_bucket()
    monkeypatch.setattr(orphans, "EVERY_SECONDS", 0.05)
    shared: dict[str, Any] = {"database_url": url, **s3(moto(), bucket)}
    told = {name.upper(): str(value) for name, value in shared.items()} | {"ATELIER_HOME": str(tmp_path / "one")}
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    dying = await asyncio.create_subprocess_exec(sys.executable, "-c", DIES, stdout=asyncio.subprocess.PIPE)
    assert dying.stdout is not None
    job_id, owner = (await dying.stdout.readline()).decode().split()
    async with opened(await read(atelier_home=tmp_path / "two", **shared), resume=True) as app:
        assert await app.studio.recover(resume=True) == []
        dying.kill()
        await dying.wait()
        assert (await app.studio.find(job_id)).state == "running"  # nobody can know yet
        postgres.do(f"UPDATE processes SET beaten = 0 WHERE owner = '{owner}'", url.rpartition("/")[2].split("?")[0])
        job = await app.studio.wait(job_id, 60)
        while not job.ended or job.state == "interrupted":
            await asyncio.sleep(0.02)
            job = await app.studio.find(job_id)
        assert (job.state, len(job.item_ids), job.runs) == ("succeeded", 3, 2)
        assert [(await app.gallery.original(name)).data[:4] for name in job.item_ids] == [b"\x89PNG"] * 3


async def test_two_machines_share_one_gallery(postgres: Server, tmp_path: Path) -> None:
    shared: dict[str, Any] = {"database_url": postgres.new_database(), **s3(moto(), fresh_bucket())}
    one, two = [await read(atelier_home=tmp_path / name, **shared) for name in ("one", "two")]
    async with opened(one) as here, opened(two) as there:
        first, second = await asyncio.gather(drawn(here, "made here"), drawn(there, "made there"))
        assert set(await names(here)) == set(await names(there)) == {first.id, second.id}
        before = await there.gallery.original(first.id)
        await there.gallery.preview(first.id, 320)
        await here.gallery.delete(first.id)
        assert await names(there) == [second.id]
        with pytest.raises(NotFound, match="in the trash"):
            await there.gallery.delete(first.id)
        await there.gallery.restore(first.id)
        assert await here.gallery.original(first.id) == before
        await here.gallery.erase(first.id)
        with pytest.raises(NotFound):
            await there.gallery.original(first.id)


async def test_every_new_picture_is_signed_where_a_certificate_is_set(tmp_path: Path) -> None:
    made = pair(tmp_path)
    settings = await read(atelier_home=tmp_path, atelier_c2pa_cert=made.cert, atelier_c2pa_key=made.key)
    async with opened(settings) as app:
        item = await drawn(app, "signed")
        found = manifest_of((await app.gallery.original(item.id)).data)
    assert found is not None and found.valid
    assert (found.signer, found.source_types) == ("Test signer, Tests", (SourceType.TRAINED,))


async def test_what_is_set_and_cannot_be_used_is_told_without_a_password(postgres: Server, tmp_path: Path) -> None:
    nobody = free_port()
    settings = await read(
        atelier_home=tmp_path,
        database_url=postgres.url("nothing", USER, PASSWORD),
        atelier_c2pa_cert=tmp_path / "none.pem",
        atelier_c2pa_key=tmp_path / "none.key",
        **s3(S3Server("127.0.0.1", nobody), "pictures"),
    )
    faults = await storage_faults(settings)
    assert list(faults) == [f"Object store http://127.0.0.1:{nobody}/pictures", "PostgreSQL", "Certificate"]
    said = " ".join(map(str, faults.values()))
    assert "does not answer" in said and 'database "nothing" does not exist' in said and "cannot be read" in said
    assert PASSWORD not in said and "w%3Ard" not in said and "testsecretkey" not in said
    with pytest.raises(BadSettings, match="needed both, or neither"):
        await read(minio_endpoint="127.0.0.1:1", minio_access_key="alone")


@pytest.mark.models
async def test_real_pictures_are_found_by_likeness_and_know_their_family() -> None:
    async with open_app() as app:
        circle = await generate_image(prompt="a red circle", seed=1, validate=False)
        star = await generate_image(prompt="a blue star", seed=2, validate=False)
        child = await img2img(circle["image_id"], "a red circle", denoise=0.4, seed=3, validate=False)
        page = await app.gallery.search(ItemQuery(similar_to=circle["image_id"]))
        tree = await app.gallery.tree(page.items[1])
    assert [item.id for item in page.items] == [child["image_id"], star["image_id"]]
    assert page.likeness[0] > page.likeness[1]
    assert [node.image_id for node in tree.nodes] == [star["image_id"]]
