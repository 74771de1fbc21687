"""BucketStore: nothing waits for the bucket, nothing is lost, and readers see the last wish at once."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clients.bucket_store import BucketClient, BucketStore
from clients.local_store import LocalStore
from clients.minio_client import MinIOClient
from tests.clients.bucket_kit import Bucket
from tests.services.faults import FaultProxy
from tests.services.s3 import BOTH, S3Server, fresh_bucket, named
from workflows.errors import NotFound, StorageError
from workflows.types import Location, Media

KEY = "0b9c/1/1.png"
PICTURE = Media(data=b"\x89PNG and so on", media_type="image/png")
OTHER = Media(data=b"another", media_type="image/png")


@pytest.fixture
def bucket() -> Bucket:
    return Bucket()


def store_of(bucket: BucketClient, home: Path, wait_seconds: float = 30, first_pause: float = 1000) -> BucketStore:
    """A store that waits for the bucket as long as it takes, and tries nothing again by itself, unless told to."""
    return BucketStore(
        bucket,
        LocalStore(home / "waiting"),
        home / "locks",
        wait_seconds=wait_seconds,
        first_pause=first_pause,
        read_pause=0,
        close_seconds=1,
    )


def waiting(home: Path) -> list[str]:
    return sorted(str(path.relative_to(home / "waiting")) for path in (home / "waiting").rglob("*") if path.is_file())


# On real servers, over a network that breaks


@pytest.fixture(params=BOTH)
def server(request: pytest.FixtureRequest) -> S3Server:
    return named(request.param)


@pytest.fixture
async def proxy(server: S3Server) -> AsyncIterator[FaultProxy]:
    async with FaultProxy(server.port) as opened:
        yield opened


@pytest.fixture
async def client(server: S3Server, proxy: FaultProxy) -> AsyncIterator[MinIOClient]:
    async with server.client(port=proxy.port) as opened:
        yield opened


async def test_a_picture_goes_into_the_bucket_and_leaves_nothing_here(client: MinIOClient, tmp_path: Path) -> None:
    async with store_of(client, tmp_path) as store:
        await store.put(KEY, PICTURE)

        assert (await client.get(KEY), await store.get(KEY)) == (PICTURE, PICTURE)
        assert (waiting(tmp_path), await store.keys("0b9c/")) == ([], [KEY])
        where = await store.locate(KEY)
        assert where == Location(path=None, url=where.url) and f"/{KEY}?" in where.url
        assert (await store.status()).words is None

        await store.delete(KEY)
        assert (await store.keys(""), waiting(tmp_path)) == ([], [])
        with pytest.raises(NotFound):
            await store.get(KEY)


async def test_while_the_store_is_down_pictures_wait_here_and_are_uploaded_later(
    client: MinIOClient, proxy: FaultProxy, tmp_path: Path
) -> None:
    async with store_of(client, tmp_path) as store:
        await store.put("old/1.png", OTHER)
        proxy.go_down()
        await store.put(KEY, PICTURE)
        await store.delete("old/1.png")

        path = tmp_path / "waiting" / KEY
        assert await store.locate(KEY) == Location(path=str(path), url=path.as_uri(), waiting=True)
        assert await store.get(KEY) == PICTURE
        with pytest.raises(NotFound, match="It was deleted"):
            await store.get("old/1.png")
        told = await store.status()
        assert (told.pictures, told.deletes, told.since is None) == (1, 1, False)
        assert "Waiting on this machine for the object store: 1 picture and 1 delete since" in str(told.words)
        with pytest.raises(StorageError, match=r"The S3 server at .*(does not answer|broke off)"):
            await store.keys("")

        proxy.come_up()
        await store.flush()
        assert [stored.key async for stored in client.all()] == [KEY] == await store.keys("")
        assert ((await store.status()).words, waiting(tmp_path)) == (None, [])


async def test_an_upload_that_hangs_is_not_waited_for(client: MinIOClient, proxy: FaultProxy, tmp_path: Path) -> None:
    async with store_of(client, tmp_path, wait_seconds=0.05, first_pause=0.05) as store:
        await client.ensure_bucket()
        proxy.up.hold_after = 0
        await store.put(KEY, PICTURE)
        assert (await store.locate(KEY)).waiting and await store.get(KEY) == PICTURE

        proxy.up.forget()
        proxy.cut()
        while (await store.status()).pictures:
            await asyncio.to_thread(lambda: None)
        assert await client.get(KEY) == PICTURE


UPLOADER = """
import asyncio, sys
from pathlib import Path
from clients.bucket_store import BucketStore
from clients.local_store import LocalStore
from clients.minio_client import MinIOClient
from workflows.types import Media

async def main(endpoint, bucket, home, name, count):
    home = Path(home)
    async with MinIOClient(endpoint, "testaccess", "testsecretkey", bucket=bucket, answer_seconds=5) as client:
        spool = LocalStore(home / "waiting")
        async with BucketStore(client, spool, home / "locks", wait_seconds=0.01, first_pause=0.05) as store:
            for number in range(int(count)):
                key = f"{name}/{number}.png"
                await store.put(key, Media(data=key.encode() * 1000, media_type="image/png"))
                print(key, flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


def uploading(server: S3Server, port: int, bucket: str, home: Path, name: str, count: int) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", UPLOADER, f"127.0.0.1:{port}", bucket, str(home), name, str(count)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True, encoding="utf-8")


async def test_a_process_that_is_killed_loses_no_picture_that_it_kept(
    server: S3Server, proxy: FaultProxy, tmp_path: Path
) -> None:
    bucket = fresh_bucket()
    with uploading(server, proxy.port, bucket, tmp_path, "a", 10_000) as victim:
        assert victim.stdout is not None
        kept = [(await asyncio.to_thread(victim.stdout.readline)).strip() for _ in range(15)]
        proxy.up.hold_after = 0  # the last of them are killed in the middle of their upload
        kept += [(await asyncio.to_thread(victim.stdout.readline)).strip() for _ in range(15)]
        victim.kill()
        kept += [line.strip() for line in victim.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
    proxy.up.forget()
    proxy.cut()

    assert waiting(tmp_path)
    async with server.client(bucket) as client, store_of(client, tmp_path) as store:
        await store.flush()
        assert set(kept) <= set(await store.keys("a/"))
        assert [key for key in kept if (await client.get(key)).data != key.encode() * 1000] == []
        assert (await store.status()).words is None


async def test_two_processes_of_one_home_upload_everything_once_and_whole(server: S3Server, tmp_path: Path) -> None:
    bucket = fresh_bucket()
    async with server.client(bucket) as client:
        with (
            uploading(server, server.port, bucket, tmp_path, "a", 12) as one,
            uploading(server, server.port, bucket, tmp_path, "b", 12) as other,
        ):
            codes = await asyncio.gather(*(asyncio.to_thread(process.wait) for process in (one, other)))
        async with store_of(client, tmp_path) as store:
            await store.flush()
        assert codes == [0, 0]
        assert waiting(tmp_path) == []
        stored = [stored.key async for stored in client.all()]
        assert stored == sorted(f"{name}/{number}.png" for name in "ab" for number in range(12))
        assert [key for key in stored if (await client.get(key)).data != key.encode() * 1000] == []


# Against a bucket in memory: orders of events


async def test_what_an_earlier_process_left_is_taken_up_at_the_start(bucket: Bucket, tmp_path: Path) -> None:
    bucket.down = True
    async with store_of(bucket, tmp_path) as earlier:
        await earlier.put(KEY, PICTURE)
    bucket.down = False

    async with store_of(bucket, tmp_path) as store:
        await bucket.until(lambda there: KEY in there.objects)
        assert await store.get(KEY) == PICTURE


async def test_a_bucket_that_comes_back_is_found_by_itself(bucket: Bucket, tmp_path: Path) -> None:
    bucket.down = True
    async with store_of(bucket, tmp_path, first_pause=0.001) as store:
        await store.put(KEY, PICTURE)
        bucket.down = False
        await bucket.until(lambda there: KEY in there.objects)


async def test_once_it_failed_nobody_waits_for_it_to_fail_again(bucket: Bucket, tmp_path: Path) -> None:
    bucket.down = True
    async with store_of(bucket, tmp_path, wait_seconds=1000) as store:
        await store.put("a/1.png", PICTURE)
        bucket.gate, bucket.down = asyncio.Event(), False  # whoever waits for it now, waits for ever
        await store.put("a/2.png", PICTURE)
        await store.delete("a/1.png")

        assert waiting(tmp_path) == ["a/1.png", "a/2.png"]
        assert await store.locate("a/1.png") == Location(path=None, url="http://bucket/a/1.png?86400")


async def test_a_read_that_succeeds_sends_what_waits_on_its_way(bucket: Bucket, tmp_path: Path) -> None:
    bucket.objects["a/0.png"] = OTHER
    bucket.down = True
    async with store_of(bucket, tmp_path) as store:
        await store.put(KEY, PICTURE)
        bucket.down = False
        assert await store.get("a/0.png") == OTHER
        await bucket.until(lambda there: KEY in there.objects)


async def test_reads_do_not_ask_a_bucket_that_just_failed(bucket: Bucket, tmp_path: Path) -> None:
    bucket.down = True
    spool = LocalStore(tmp_path / "waiting")
    async with BucketStore(bucket, spool, tmp_path / "locks", read_pause=1000) as store:
        for _ in range(3):
            with pytest.raises(StorageError, match="The bucket does not answer"):
                await store.get("a/0.png")
    assert bucket.asked.count("get a/0.png") <= 1


async def test_a_put_during_the_upload_of_the_same_key_is_what_stays(bucket: Bucket, tmp_path: Path) -> None:
    bucket.gate = asyncio.Event()
    async with store_of(bucket, tmp_path) as store:
        first = asyncio.create_task(store.put(KEY, PICTURE))
        await bucket.begun.wait()
        second = asyncio.create_task(store.put(KEY, OTHER))
        while (await store.get(KEY)) != OTHER:
            await asyncio.to_thread(lambda: None)
        bucket.gate.set()
        await asyncio.gather(first, second)

    assert (bucket.objects, waiting(tmp_path)) == ({KEY: OTHER}, [])


async def test_a_delete_during_the_upload_of_the_same_key_is_what_stays(bucket: Bucket, tmp_path: Path) -> None:
    bucket.gate = asyncio.Event()
    async with store_of(bucket, tmp_path) as store:
        first = asyncio.create_task(store.put(KEY, PICTURE))
        await bucket.begun.wait()
        second = asyncio.create_task(store.delete(KEY))
        while (await store.locate(KEY)).waiting:
            await asyncio.to_thread(lambda: None)
        bucket.gate.set()
        await asyncio.gather(first, second)

    assert (bucket.objects, waiting(tmp_path)) == ({}, [])


async def test_a_caller_who_goes_away_takes_nothing_along(bucket: Bucket, tmp_path: Path) -> None:
    bucket.gate = asyncio.Event()
    async with store_of(bucket, tmp_path) as store:
        caller = asyncio.create_task(store.put(KEY, PICTURE))
        await bucket.begun.wait()
        caller.cancel()
        await asyncio.wait({caller})
        bucket.gate.set()
        await bucket.until(lambda there: KEY in there.objects)


async def test_a_bucket_that_is_out_of_reach_is_told_before_anything_waits(bucket: Bucket, tmp_path: Path) -> None:
    bucket.down, bucket.greeting = True, asyncio.Event()
    async with store_of(bucket, tmp_path, first_pause=0.001) as store:
        state = asyncio.create_task(store.status())  # just after the start it waits for the first answer
        await asyncio.wait({state}, timeout=0.1)
        bucket.greeting.set()
        assert str((await state).words).startswith("The bucket does not answer. What is made")

        bucket.down = False
        while (await store.status()).error is not None:
            await asyncio.to_thread(lambda: None)
        assert (await store.status()).words is None


async def test_keys_that_are_refused_hold_up_no_others(bucket: Bucket, tmp_path: Path) -> None:
    keys = [f"a/{number:02}.png" for number in range(12)]
    bucket.down = True
    async with store_of(bucket, tmp_path) as store:
        for key in keys:
            await store.put(key, PICTURE)
        bucket.down, bucket.refused = False, set(keys[:4])
        await store.flush()

        assert sorted(bucket.objects) == keys[4:]
        words = str((await store.status()).words)
        assert "4 pictures since" in words and words.endswith("The bucket is full.")
        bucket.refused.clear()
        await store.flush()
        assert ((await store.status()).words, sorted(bucket.objects)) == (None, keys)


async def test_a_put_after_a_read_that_failed_is_uploaded_without_delay(bucket: Bucket, tmp_path: Path) -> None:
    async with store_of(bucket, tmp_path, first_pause=0.001) as store:
        await store.put("a/0.png", OTHER)
        bucket.down = True
        with pytest.raises(StorageError, match="does not answer"):
            await store.get("a/0.png")
        bucket.down = False
        await store.put(KEY, PICTURE)
        await bucket.until(lambda there: KEY in there.objects)


async def test_a_picture_whose_delete_waits_is_in_no_list(bucket: Bucket, tmp_path: Path) -> None:
    async with store_of(bucket, tmp_path) as store:
        await store.put(KEY, PICTURE)
        await store.put("a/1.png", PICTURE)
        bucket.refused = {KEY}
        await store.delete(KEY)

        assert (await store.keys(""), sorted(bucket.objects)) == (["a/1.png"], [KEY, "a/1.png"])


async def test_closing_leaves_what_hangs_for_the_next_process(bucket: Bucket, tmp_path: Path) -> None:
    bucket.gate = asyncio.Event()
    spool = LocalStore(tmp_path / "waiting")
    async with BucketStore(bucket, spool, tmp_path / "locks", wait_seconds=0.01, close_seconds=0.01) as store:
        await store.put(KEY, PICTURE)
    assert waiting(tmp_path) == [KEY]

    bucket.gate = None
    async with store_of(bucket, tmp_path):
        await bucket.until(lambda there: KEY in there.objects)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own with little room."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk needs root")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


async def test_with_a_full_disk_pictures_go_straight_into_the_bucket(bucket: Bucket, small_disk: Path) -> None:
    big = Media(data=bytes(300_000), media_type="image/png")
    async with store_of(bucket, small_disk) as store:
        bucket.down = True
        await store.put(KEY, PICTURE)
        bucket.down = False
        await store.put(KEY, big)
        await store.flush()
        assert (bucket.objects, await store.get(KEY)) == ({KEY: big}, big)

        bucket.down = True
        with pytest.raises(StorageError, match=r"disk is full.*object store does not take it either.*does not answer"):
            await store.put("a/2.png", big)
        assert waiting(small_disk) == []


KEYS = ("a/1.png", "a/2.png", "b/1.png")
STEPS = st.one_of(
    st.tuples(st.just("put"), st.sampled_from(KEYS), st.binary(max_size=4)),
    st.tuples(st.just("delete"), st.sampled_from(KEYS)),
    st.sampled_from([("down",), ("up",), ("flush",), ("restart",), ("refuse",), ("allow",)]),
)


@settings(max_examples=25, deadline=None)
@given(steps=st.lists(STEPS, max_size=12))
def test_whatever_happens_readers_see_the_last_wish_and_the_bucket_has_it_in_the_end(
    tmp_path_factory: pytest.TempPathFactory, steps: Sequence[tuple[object, ...]]
) -> None:
    asyncio.run(_live_through(steps, tmp_path_factory.mktemp("home")))


async def _live_through(steps: Sequence[tuple[object, ...]], home: Path) -> None:
    bucket, wished = Bucket(), dict[str, bytes]()
    store = await store_of(bucket, home).__aenter__()
    for step in steps:
        match step:
            case ("put", str(key), bytes(content)):
                await store.put(key, Media(data=content, media_type="image/png"))
                wished[key] = content
            case ("delete", str(key)):
                await store.delete(key)
                wished.pop(key, None)
            case ("restart",):
                await store.__aexit__(None, None, None)
                store = await store_of(bucket, home).__aenter__()
            case ("flush",):
                await store.flush()
            case ("refuse",) | ("allow",):
                bucket.refused = {KEYS[0]} if step == ("refuse",) else set()
            case _:
                bucket.down = step == ("down",)
        await _agree(store, bucket, wished)
    bucket.down, bucket.refused = False, set()
    await store.flush()
    assert {key: media.data for key, media in bucket.objects.items()} == wished
    assert await store.keys("") == sorted(wished) and waiting(home) == []
    await store.__aexit__(None, None, None)


async def _agree(store: BucketStore, bucket: Bucket, wished: dict[str, bytes]) -> None:
    for key in KEYS:
        try:
            found = (await store.get(key)).data
        except NotFound:
            found = None
        except StorageError:
            assert bucket.down
            continue
        assert found == wished.get(key)
