"""What only a strict S3 server shows: Ceph's gateway refuses wrong keys, bad links and skewed clocks, and can be
killed and started again."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from clients.bucket_store import BucketStore
from clients.local_store import LocalStore
from clients.minio_client import MinIOClient
from tests.services.apt import have
from tests.services.faults import FaultProxy
from tests.services.s3 import ACCESS_KEY, SECRET_KEY, Ceph, ceph, fresh_bucket
from workflows.errors import AccessDenied, ServiceUnavailable
from workflows.types import Media

KEY = "0b9c/1/1.png"
PICTURE = Media(data=b"\x89PNG and so on", media_type="image/png")
FILM = Media(data=os.urandom(24 << 20), media_type="video/mp4")


@pytest.fixture
def cluster() -> Ceph:
    running = ceph()
    if isinstance(running, str):
        pytest.skip(running)
    return running


def store_of(client: MinIOClient, home: Path, wait_seconds: float = 2) -> BucketStore:
    spool = LocalStore(home / "waiting")
    return BucketStore(client, spool, home / "locks", wait_seconds=wait_seconds, first_pause=0.05, read_pause=0)


@pytest.mark.parametrize(
    ("access", "secret", "setting"),
    [(ACCESS_KEY, "wrong" + SECRET_KEY, "MINIO_SECRET_KEY"), ("nobody", SECRET_KEY, "MINIO_ACCESS_KEY")],
)
async def test_wrong_keys_are_told_with_their_settings_and_the_picture_is_kept(
    cluster: Ceph, tmp_path: Path, access: str, secret: str, setting: str
) -> None:
    async with MinIOClient(cluster.server.endpoint, access, secret, bucket=fresh_bucket()) as client:
        with pytest.raises(AccessDenied, match="check MINIO_ACCESS_KEY and MINIO_SECRET_KEY") as told:
            await client.list()
        async with store_of(client, tmp_path) as store:
            await store.put(KEY, PICTURE)
            assert (await store.locate(KEY)).waiting and await store.get(KEY) == PICTURE
            words = str((await store.status()).words)
    assert told.value.setting == setting
    assert "check MINIO_ACCESS_KEY and MINIO_SECRET_KEY" in words and secret not in words + repr(told.value)


async def test_without_keys_nothing_is_seen(cluster: Ceph) -> None:
    bucket = fresh_bucket()
    async with cluster.server.client(bucket) as owner, MinIOClient(cluster.server.endpoint, bucket=bucket) as stranger:
        await owner.put(KEY, PICTURE.data, PICTURE.media_type)

        for call in (stranger.get(KEY), stranger.list(), stranger.put("a.png", b"x", "image/png")):
            with pytest.raises(AccessDenied, match="MINIO_ACCESS_KEY"):
                await call


async def test_a_link_that_was_tampered_with_or_expired_is_refused(cluster: Ceph) -> None:
    async with cluster.server.client() as client, httpx2.AsyncClient() as anyone:
        await client.put(KEY, PICTURE.data, PICTURE.media_type)
        await client.put("0b9c/other.png", b"secret", PICTURE.media_type)
        link, short = await client.presigned(KEY, 600), await client.presigned(KEY, 1)

        assert (await anyone.get(link)).content == PICTURE.data
        for changed in (
            link.replace(KEY, "0b9c/other.png"),
            link.replace("X-Amz-Expires=600", "X-Amz-Expires=6000"),
            link.replace("X-Amz-Signature=", "X-Amz-Signature=0"),
            link.partition("?")[0],
        ):
            assert (await anyone.get(changed)).status_code == 403
        while (await anyone.get(short)).status_code == 200:
            pass
        refused = await anyone.get(short)
        assert (refused.status_code, PICTURE.data in refused.content) == (403, False)


SKEWED = """
import asyncio, sys
from clients.minio_client import MinIOClient
from workflows.errors import StorageError

async def main(endpoint, bucket):
    async with MinIOClient(endpoint, "testaccess", "testsecretkey", bucket=bucket) as client:
        try:
            await client.put("a.png", b"x", "image/png")
        except StorageError as error:
            print(error)

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.parametrize(("clock", "words"), [("+3h", "3 hours (ahead of"), ("-2d", "2 days (behind")])
def test_a_clock_that_is_off_is_told_with_how_much(cluster: Ceph, clock: str, words: str) -> None:
    if not have("faketime", "faketime"):
        pytest.skip("faketime of Debian's packages is not here")
    command = ["faketime", "-f", clock, sys.executable, "-c", SKEWED, cluster.server.endpoint, fresh_bucket()]
    environment = os.environ | {"FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)

    assert done.stdout == (
        f"The S3 server at http://{cluster.server.endpoint} refuses every request: the clock of this machine is off by "
        f"{words} the server). Set it right (turn on NTP).\n"
    )


async def test_a_server_that_is_killed_in_the_middle_of_an_upload_gets_the_film_after_its_restart(
    cluster: Ceph, tmp_path: Path
) -> None:
    async with (
        FaultProxy(cluster.server.port) as proxy,
        cluster.server.client(port=proxy.port) as client,
        store_of(client, tmp_path, wait_seconds=0.01) as store,
    ):
        await store.put(KEY, PICTURE)
        await store.flush()
        proxy.up.hold_after = 4 << 20  # each connection carries most of a part, and then nothing more
        await store.put("0b9c/1/1.mp4", FILM)
        await proxy.up.happened.wait()
        cluster.kill_gateway()
        try:
            proxy.up.forget()
            proxy.go_down()
            assert (await store.locate("0b9c/1/1.mp4")).waiting
            assert await store.get("0b9c/1/1.mp4") == FILM
            with pytest.raises(ServiceUnavailable):
                await client.get(KEY)
        finally:
            cluster.start_gateway()
        proxy.come_up()
        while (await store.status()).pictures:
            await asyncio.to_thread(lambda: None)
        assert await client.get("0b9c/1/1.mp4") == FILM
        assert await client.get(KEY) == PICTURE


async def test_ten_thousand_objects_come_in_ten_pages(cluster: Ceph) -> None:
    keys = [f"a/{number:05}.png" for number in range(10_000)]
    async with cluster.server.client() as client:
        await asyncio.gather(*(client.put(key, b"x", "image/png") for key in keys))

        page = await client.list()
        assert ([stored.key for stored in page.objects], page.next) == (keys[:1000], keys[999])
        assert [stored.key async for stored in client.all()] == keys
