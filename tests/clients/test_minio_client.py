"""MinIOClient on moto's server and on a real one, through a network with faults, and against scripted refusals."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import minio
import pytest

from clients.minio_client import MinIOClient, ObjectPage
from tests.services.faults import FaultProxy
from tests.services.s3 import ACCESS_KEY, BOTH, SECRET_KEY, S3Server, free_port, fresh_bucket, moto, named, seeded
from workflows.errors import (
    BadRecipe,
    NotFound,
    ServiceTimedOut,
    ServiceUnavailable,
    StorageError,
)
from workflows.types import Media

KEY = "0b9c/1/1.png"
PICTURE = b"\x89PNG and so on" * 9
BIG = os.urandom(12 << 20)


@pytest.fixture(params=BOTH)
def server(request: pytest.FixtureRequest) -> S3Server:
    return named(request.param)


@pytest.fixture
async def client(server: S3Server) -> AsyncIterator[MinIOClient]:
    async with server.client() as opened:
        yield opened


async def test_what_is_put_is_got_with_its_type_and_texts_of_any_letters(client: MinIOClient) -> None:
    texts = {"prompt": "кот, 猫 & 50% é\n🐈", "seed": "42"}
    told = await client.put(KEY, PICTURE, "image/png", texts)

    stored = await client.stat(KEY)
    assert (stored.key, stored.size, stored.media_type) == (KEY, len(PICTURE), "image/png")
    assert stored.metadata == texts | {"sha256": hashlib.sha256(PICTURE).hexdigest()} == told.metadata
    assert stored.etag == told.etag == hashlib.md5(PICTURE, usedforsecurity=False).hexdigest()
    assert stored.modified is not None
    assert await client.get(KEY) == Media(data=PICTURE, media_type="image/png")


async def test_a_second_put_replaces_the_first_and_a_delete_can_be_repeated(client: MinIOClient) -> None:
    await client.put(KEY, PICTURE, "image/png")
    await client.put(KEY, b"new", "image/webp")
    assert await client.get(KEY) == Media(data=b"new", media_type="image/webp")

    await client.delete(KEY)
    await client.delete(KEY)
    for call in (client.get(KEY), client.stat(KEY)):
        with pytest.raises(NotFound, match=rf"no file '{KEY}'.*bucket {client.bucket}"):
            await call


async def test_a_big_file_goes_up_in_parts_and_comes_back_the_same(client: MinIOClient) -> None:
    stored = await client.put("0b9c/1/1.mp4", BIG, "video/mp4", {"name": "фильм"})

    assert stored.etag.endswith("-3")
    assert await client.stat("0b9c/1/1.mp4") == stored.__class__(
        key=stored.key,
        size=len(BIG),
        etag=stored.etag,
        modified=(await client.stat("0b9c/1/1.mp4")).modified,
        media_type="video/mp4",
        metadata={"name": "фильм", "sha256": hashlib.sha256(BIG).hexdigest()},
    )
    assert (await client.get("0b9c/1/1.mp4")).data == BIG


async def test_an_empty_file_is_a_file(client: MinIOClient) -> None:
    await client.put("0b9c/empty.json", b"", "application/json")

    assert await client.get("0b9c/empty.json") == Media(data=b"", media_type="application/json")


async def test_lists_come_in_pages_in_the_order_of_the_keys(client: MinIOClient) -> None:
    keys = [f"a/{number:02}.png" for number in range(7)]
    await asyncio.gather(*(client.put(key, b"x", "image/png") for key in [*keys, "b/1.png"]))

    first = await client.list("a/", limit=3)
    second = await client.list("a/", limit=4, start_after=first.next)
    assert [stored.key for stored in (*first.objects, *second.objects)] == keys
    assert (first.next, second.next) == (keys[2], None)
    assert [stored.key async for stored in client.all()] == [*keys, "b/1.png"]
    assert await client.list("none/") == ObjectPage(objects=())


async def test_ten_thousand_objects_are_listed_page_by_page_and_deleted() -> None:
    keys = [f"{number // 1000}/{number:05}.png" for number in range(10_000)]
    async with moto().client() as client:
        await client.ensure_bucket()
        seeded(client.bucket, keys)

        pages = [await client.list()]
        while pages[-1].next is not None:
            pages.append(await client.list(start_after=pages[-1].next))
        assert [len(page.objects) for page in pages] == [1000] * 10
        assert [stored.key for page in pages for stored in page.objects] == keys

        await client.delete_many([*keys[:2500], "never/was.png"])
        assert [stored.key async for stored in client.all("2/")] == keys[2500:3000]


async def test_many_are_deleted_at_once(client: MinIOClient) -> None:
    await asyncio.gather(*(client.put(f"a/{number}.png", b"x", "image/png") for number in range(12)))
    await client.delete_many([f"a/{number}.png" for number in range(11)] + ["a/none.png"])
    await client.delete_many([])

    assert [stored.key async for stored in client.all()] == ["a/11.png"]


async def test_a_link_is_fetched_by_anyone_and_saves_under_a_name_of_any_letters(client: MinIOClient) -> None:
    await client.put(KEY, PICTURE, "image/png")
    plain, named = await client.presigned(KEY), await client.presigned(KEY, 60, 'Кот "猫"/1.png')

    async with httpx2.AsyncClient() as anyone:
        shown, saved = await anyone.get(plain), await anyone.get(named)
    assert (shown.status_code, shown.content, shown.headers["content-type"]) == (200, PICTURE, "image/png")
    assert saved.content == PICTURE
    assert saved.headers["content-disposition"] == (
        "attachment; filename=\"___ ____1.png\"; filename*=UTF-8''%D0%9A%D0%BE%D1%82%20%22%E7%8C%AB%22_1.png"
    )


async def test_a_link_is_signed_for_the_public_endpoint_without_asking_anybody(server: S3Server) -> None:
    bucket = fresh_bucket()
    async with server.client(bucket) as near:
        await near.put(KEY, PICTURE, "image/png")
    nobody = f"127.0.0.1:{free_port()}"
    outside = f"http://localhost:{server.port}"
    async with MinIOClient(nobody, ACCESS_KEY, SECRET_KEY, public_endpoint=outside, bucket=bucket) as client:
        link = await client.presigned(KEY, 3600)

    assert link.startswith(f"{outside}/{bucket}/{KEY}?") and "X-Amz-Expires=3600" in link and SECRET_KEY not in link
    async with httpx2.AsyncClient() as anyone:
        assert (await anyone.get(link)).content == PICTURE


async def test_the_scheme_of_a_public_endpoint_is_its_own(server: S3Server) -> None:
    async with MinIOClient(server.endpoint, "a", "bcdefgh1", public_endpoint="https://pictures.example.org") as client:
        assert (await client.presigned(KEY)).startswith("https://pictures.example.org/comfy-gen/0b9c/1/1.png?")


@pytest.mark.parametrize("seconds", [0, 604_801])
async def test_a_link_lives_at_most_a_week(seconds: int) -> None:
    async with moto().client() as client:
        with pytest.raises(BadRecipe, match="1 to 604800 seconds"):
            await client.presigned(KEY, seconds)


async def test_two_who_make_the_bucket_at_the_same_time_share_it(server: S3Server) -> None:
    bucket = fresh_bucket()
    async with server.client(bucket) as one, server.client(bucket) as other:
        await asyncio.gather(one.put("a.png", b"1", "image/png"), other.put("b.png", b"2", "image/png"))

        assert [stored.key async for stored in one.all()] == ["a.png", "b.png"]
        assert one.remark is None


async def test_a_bucket_that_is_taken_away_is_made_again_for_the_next_picture(server: S3Server) -> None:
    async with server.client() as client:
        await client.put(KEY, PICTURE, "image/png")
        await client.delete(KEY)
        await asyncio.to_thread(_plain(server).remove_bucket, client.bucket)
        with pytest.raises(StorageError, match=rf"no bucket {client.bucket}.*MINIO_BUCKET"):
            await client.list()

        await client.put(KEY, PICTURE, "image/png")
        assert (await client.get(KEY)).data == PICTURE


async def test_a_bucket_that_somebody_made_public_is_left_so_and_told(
    server: S3Server, caplog: pytest.LogCaptureFixture
) -> None:
    bucket, owner = fresh_bucket(), _plain(server)
    everybody = {"Effect": "Allow", "Principal": {"AWS": ["*"]}, "Action": ["s3:GetObject"]}
    policy = {"Version": "2012-10-17", "Statement": [everybody | {"Resource": [f"arn:aws:s3:::{bucket}/*"]}]}
    await asyncio.to_thread(owner.make_bucket, bucket)
    await asyncio.to_thread(owner.set_bucket_policy, bucket, json.dumps(policy))

    with caplog.at_level(logging.WARNING, logger="atelier.s3"):
        async with server.client(bucket) as client:
            await client.put(KEY, PICTURE, "image/png")
            remark = client.remark
    assert remark == (
        f"Bucket {bucket} at http://{server.endpoint} is open to everybody by its policy. "
        "Atelier did not do that and leaves it so; make it private if that was not meant."
    )
    assert caplog.messages == [remark]
    kept = json.loads(await asyncio.to_thread(owner.get_bucket_policy, bucket))
    assert kept["Statement"][0]["Effect"] == "Allow"


# The network


@pytest.fixture
async def proxy(server: S3Server) -> AsyncIterator[FaultProxy]:
    async with FaultProxy(server.port) as opened:
        yield opened


LONG = os.urandom(300_000)


async def test_a_byte_that_changes_on_the_way_up_is_noticed_and_sent_again(server: S3Server, proxy: FaultProxy) -> None:
    async with server.client(port=proxy.port) as client:
        await client.ensure_bucket()
        proxy.up.flip_at, proxy.up.once = 150_000, True
        await client.put(KEY, LONG, "image/png")

        assert proxy.up.happened.is_set()
        assert (await client.get(KEY)).data == LONG


async def test_bytes_that_always_change_on_the_way_up_leave_nothing_behind(server: S3Server, proxy: FaultProxy) -> None:
    async with server.client(port=proxy.port) as client:
        await client.ensure_bucket()
        proxy.up.flip_every = 100_000
        with pytest.raises(StorageError, match=r"arrives damaged.*2 times in a row"):
            await client.put(KEY, LONG, "image/png")

        proxy.up.forget()
        assert await client.list() == ObjectPage(objects=())


async def test_a_byte_that_changes_on_the_way_down_is_noticed(server: S3Server, proxy: FaultProxy) -> None:
    async with server.client(port=proxy.port) as client:
        await client.put(KEY, LONG, "image/png")
        proxy.cut()
        proxy.down.flip_at, proxy.down.once = 200_000, True

        assert (await client.get(KEY)).data == LONG
        assert proxy.down.happened.is_set()


async def test_an_upload_that_is_cut_once_goes_up_all_the_same(server: S3Server, proxy: FaultProxy) -> None:
    async with server.client(port=proxy.port) as client:
        await client.ensure_bucket()
        proxy.up.cut_after, proxy.up.once = 150_000, True
        await client.put(KEY, LONG, "image/png")

        assert proxy.up.happened.is_set()
        assert (await client.get(KEY)).data == LONG


@pytest.mark.parametrize("content", [LONG, BIG], ids=["whole", "in parts"])
async def test_an_upload_that_is_always_cut_is_told_and_leaves_no_file(
    server: S3Server, proxy: FaultProxy, content: bytes
) -> None:
    async with server.client(port=proxy.port) as client:
        await client.ensure_bucket()
        proxy.up.cut_after = 150_000
        with pytest.raises(ServiceUnavailable, match=r"broke off|does not answer"):
            await client.put(KEY, content, "image/png")

        proxy.up.forget()
        assert await client.list() == ObjectPage(objects=())


async def test_a_download_that_is_cut_once_comes_down_all_the_same(server: S3Server, proxy: FaultProxy) -> None:
    async with server.client(port=proxy.port) as client:
        await client.put(KEY, LONG, "image/png")
        proxy.down.cut_after, proxy.down.once = 100_000, True

        assert (await client.get(KEY)).data == LONG
        assert proxy.down.happened.is_set()


async def test_a_server_that_says_nothing_is_given_up(server: S3Server, proxy: FaultProxy) -> None:
    proxy.up.hold_after = 0
    near = f"127.0.0.1:{proxy.port}"
    async with MinIOClient(near, ACCESS_KEY, SECRET_KEY, answer_seconds=0.1) as client:
        with pytest.raises(ServiceTimedOut, match=f"{near} did not answer in time"):
            await client.get(KEY)


async def test_a_server_that_is_not_there_is_told_with_the_setting() -> None:
    near = f"127.0.0.1:{free_port()}"
    async with MinIOClient(near, ACCESS_KEY, SECRET_KEY) as client:
        with pytest.raises(ServiceUnavailable, match=f"http://{near} does not answer.*MINIO_ENDPOINT") as told:
            await client.put(KEY, PICTURE, "image/png")
    assert SECRET_KEY not in repr(told.value)


async def test_over_tls_a_certificate_must_be_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority, context = _certificate(tmp_path)
    async with FaultProxy(moto().port, tls=context) as proxy:
        near = f"https://localhost:{proxy.port}"
        async with MinIOClient(near, "a", "bcdefgh1", bucket=fresh_bucket()) as stranger:
            with pytest.raises(ServiceUnavailable, match=r"cannot agree on TLS.*MINIO_SECURE"):
                await stranger.ensure_bucket()
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
        async with MinIOClient(near, "a", "bcdefgh1", bucket=fresh_bucket(), part_bytes=5 << 20) as client:
            await client.put(KEY, PICTURE, "image/png")
            await client.put("big.mp4", BIG, "video/mp4")
            assert (await client.get(KEY)).data == PICTURE
            assert (await client.presigned(KEY)).startswith(near)


def _plain(server: S3Server) -> minio.Minio:
    return minio.Minio(server.endpoint, server.access_key, server.secret_key, secure=False)


def _certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate for localhost that signs itself, and a server's context with it."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key, name = (
        ec.generate_private_key(ec.SECP256R1()),
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")]),
    )
    today = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    kept, secret = folder / "cert.pem", folder / "key.pem"
    kept.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, plain)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(kept, secret)
    return kept, context
