"""MinIOClient against scripted refusals, as servers of all makes word them, and settings that cannot be right."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients._s3.objects import attachment, headers_of, metadata_in
from clients.minio_client import MinIOClient
from tests.services.s3 import ACCESS_KEY, SECRET_KEY, free_port, moto
from workflows.errors import AccessDenied, RateLimited, ServiceFailed, StorageError, StudioError

KEY = "0b9c/1/1.png"


@contextmanager
def scripted(status: int, body: str, headers: dict[str, str] | None = None) -> Generator[tuple[str, list[str]]]:
    """A server that always says the same; gives its endpoint, and the Authorization of each request so far."""
    heard: list[str] = []

    class Answers(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            heard.append(self.headers.get("authorization", ""))
            self.send_response_only(status)
            for name, value in ({"content-type": "application/xml"} | (headers or {})).items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = _answer  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as http:
        http.daemon_threads = True
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"127.0.0.1:{http.server_address[1]}", heard
        http.shutdown()
        thread.join()


LISTED = "<ListBucketResult><Name>b</Name><IsTruncated>false</IsTruncated></ListBucketResult>"


@contextmanager
def raced(looks: int) -> Generator[str]:
    """A server whose bucket somebody else is making: it is there after so many looks, and cannot be made meanwhile."""
    seen: list[str] = []

    class Answers(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if "list-type" not in self.path:
                self._say(404, refusal("NoSuchBucketPolicy"))
            elif len(seen) < looks:
                seen.append(self.path)
                self._say(404, refusal("NoSuchBucket"))
            else:
                self._say(200, LISTED)

        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            if self.path.rstrip("/").count("/") == 1:
                self._say(409, refusal("BucketAlreadyExists"))
            else:
                self._say(200, "", etag=f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"')

        def _say(self, status: int, body: str, **headers: str) -> None:
            self.send_response_only(status)
            for name, value in ({"content-type": "application/xml"} | headers).items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as http:
        http.daemon_threads = True
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"127.0.0.1:{http.server_address[1]}"
        http.shutdown()
        thread.join()


@pytest.mark.parametrize("looks", [1, 3])
async def test_a_bucket_that_another_process_is_making_is_waited_for(looks: int) -> None:
    with raced(looks) as endpoint:
        async with MinIOClient(endpoint, ACCESS_KEY, SECRET_KEY, region="us-east-1") as client:
            await client.put(KEY, b"1", "image/png")


async def test_a_bucket_of_that_name_that_never_comes_is_told() -> None:
    with raced(99) as endpoint:
        async with MinIOClient(endpoint, ACCESS_KEY, SECRET_KEY, region="us-east-1") as client:
            with pytest.raises(StorageError, match="no bucket"):
                await client.put(KEY, b"1", "image/png")


def refusal(code: str, extra: str = "") -> str:
    return (
        f"<Error><Code>{code}</Code><Message>no</Message><AWSAccessKeyId>{ACCESS_KEY}</AWSAccessKeyId>{extra}</Error>"
    )


@pytest.mark.parametrize(
    ("status", "code", "kind", "words"),
    [
        (403, "InvalidAccessKeyId", AccessDenied, "does not know the access key.*MINIO_ACCESS_KEY"),
        (403, "SignatureDoesNotMatch", AccessDenied, "secret key does not belong.*MINIO_SECRET_KEY"),
        (403, "RequestTimeTooSkewed", StorageError, "the clock of this machine is off"),
        (507, "XMinioStorageFull", StorageError, "is full"),
        (403, "QuotaExceeded", StorageError, "quota of bucket comfy-gen"),
        (503, "SlowDown", RateLimited, "wants fewer requests"),
        (500, "InternalError", ServiceFailed, "answered 500"),
        (400, "InvalidRequest", StorageError, "refused a request: InvalidRequest"),
        (400, "AuthorizationHeaderMalformed", AccessDenied, "set MINIO_REGION"),
        (409, "BucketAlreadyExists", StorageError, "BucketAlreadyExists"),
    ],
)
async def test_a_refusal_says_what_to_do(status: int, code: str, kind: type[StudioError], words: str) -> None:
    with scripted(status, refusal(code)) as (near, _):
        async with MinIOClient(near, ACCESS_KEY, SECRET_KEY) as client:
            with pytest.raises(kind, match=words) as told:
                await client.ensure_bucket()
    assert type(told.value) is kind
    assert ACCESS_KEY not in str(told.value) and SECRET_KEY not in str(told.value)


@pytest.mark.parametrize(("hours", "words"), [(3, "3 hours .behind"), (-48, "2 days .ahead of")])
async def test_a_clock_that_is_off_is_told_by_how_much(hours: int, words: str) -> None:
    theirs = format_datetime(datetime.now(UTC) + timedelta(hours=hours), usegmt=True)
    with scripted(403, refusal("RequestTimeTooSkewed"), {"date": theirs}) as (near, _):
        async with MinIOClient(near, ACCESS_KEY, SECRET_KEY) as client:
            with pytest.raises(StorageError, match=f"clock of this machine is off by {words} the server"):
                await client.ensure_bucket()


async def test_a_web_console_is_taken_for_no_s3_server() -> None:
    with scripted(200, "<html>Console</html>", {"content-type": "text/html"}) as (near, _):
        async with MinIOClient(near, ACCESS_KEY, SECRET_KEY) as client:
            with pytest.raises(ServiceFailed, match=r"does not answer as an S3 server does.*MINIO_ENDPOINT"):
                await client.list()


@pytest.mark.parametrize(
    "body",
    [
        refusal("AuthorizationHeaderMalformed", "<Region>garage</Region>"),
        "<Error><Code>AuthorizationHeaderMalformed</Code><Message>Authorization header malformed, "
        "expected scope: 20261121/garage/s3/aws4_request</Message></Error>",
    ],
    ids=["told apart", "told in words"],
)
async def test_a_region_that_the_server_names_is_taken_when_none_was_set(body: str) -> None:
    with scripted(400, body) as (near, heard):
        async with MinIOClient(near, ACCESS_KEY, SECRET_KEY) as client:
            with pytest.raises(AccessDenied, match="set MINIO_REGION to garage"):
                await client.list()
            assert "%2Fgarage%2Fs3%2F" in await client.presigned(KEY)
    assert ["/us-east-1/s3/" in heard[0], "/garage/s3/" in heard[1], len(heard)] == [True, True, 2]


@pytest.mark.parametrize(
    ("endpoint", "words"),
    [
        ("ftp://host", "http or https"),
        ("https://host/bucket", "the bucket is MINIO_BUCKET"),
        ("http://", "write it like"),
        ("host:port", "write it like"),
        ("", "write it like"),
        ("https://me:hunter2@host", "MINIO_ACCESS_KEY"),
    ],
)
def test_an_endpoint_that_cannot_be_right_is_refused_with_the_setting(endpoint: str, words: str) -> None:
    with pytest.raises(ValueError, match=rf"^MINIO_ENDPOINT.*{words}") as told:
        MinIOClient(endpoint)
    assert "hunter2" not in str(told.value)


@pytest.mark.parametrize(
    ("endpoint", "secure", "url"),
    [
        ("s3.example.org", None, "http://s3.example.org"),
        ("https://s3.example.org/", None, "https://s3.example.org"),
        ("http://s3.example.org", True, "https://s3.example.org"),
        ("[::1]:9000", None, "http://[::1]:9000"),
    ],
)
async def test_a_scheme_decides_about_tls_unless_it_was_said(endpoint: str, secure: bool | None, url: str) -> None:
    async with MinIOClient(endpoint, secure=secure) as client:
        assert (client.url, repr(client)) == (url, f"MinIOClient('{url}', bucket='comfy-gen')")


@pytest.mark.parametrize("bucket", ["ab", "Pictures", "a..b", "-ab", "10.0.0.1", "a" * 64, "b_c"])
def test_a_name_that_is_no_bucket_is_refused(bucket: str) -> None:
    with pytest.raises(ValueError, match="MINIO_BUCKET is"):
        MinIOClient("127.0.0.1:9000", bucket=bucket)


@pytest.mark.parametrize(("keys", "missing"), [(("a", None), "MINIO_SECRET_KEY"), ((None, "b"), "MINIO_ACCESS_KEY")])
def test_half_a_pair_of_keys_is_refused(keys: tuple[str | None, str | None], missing: str) -> None:
    with pytest.raises(AccessDenied, match=f"{missing} is not set") as told:
        MinIOClient("127.0.0.1:9000", *keys)
    assert told.value.setting == missing


@pytest.mark.parametrize("key", ["", " ", "../x", "a/./b", "x" * 1025])
async def test_a_key_that_servers_do_not_take_is_refused_before_they_are_asked(key: str) -> None:
    async with MinIOClient(f"127.0.0.1:{free_port()}") as client:
        with pytest.raises(StorageError, match="cannot be a key"):
            await client.put(key, b"", "image/png")


async def test_a_closed_client_says_so() -> None:
    client = moto().client()
    await client.close()
    await client.close()

    with pytest.raises(StorageError, match="is closed"):
        await client.get(KEY)


@given(st.dictionaries(st.text("abc-1", min_size=1, max_size=5), st.text(max_size=20), max_size=4))
def test_metadata_of_any_letters_survives_headers(texts: dict[str, str]) -> None:
    try:
        headers = headers_of(texts)
        [text.encode() for text in texts.values()]
    except ValueError:  # lone surrogates, which no text of ours has
        return
    assert all(value.isascii() and value.isprintable() for value in headers.values())
    assert metadata_in({name.title(): value for name, value in headers.items()}) == texts


def test_metadata_that_no_server_takes_is_refused() -> None:
    for texts, words in (({"Ключ": "x"}, "small letters"), ({"a": "猫" * 300}, "1900 bytes")):
        with pytest.raises(ValueError, match=words):
            headers_of(texts)


@given(st.text(max_size=40))
def test_a_download_name_never_leaves_its_header(name: str) -> None:
    try:
        header = attachment(name)
    except UnicodeEncodeError:  # lone surrogates
        return
    assert header.isascii() and header.isprintable() and header.count('"') == 2
