"""InputPictures: what may be read is read and cleaned, what may not is refused, over real sockets and real links."""

from __future__ import annotations

import asyncio
import base64
import io
import os
import ssl
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from PIL import Image, PngImagePlugin

from clients.input_pictures import InputPictures
from tests.video_kit import film, moving_gif
from workflows.errors import BadRecipe, RateLimited, ServiceUnavailable
from workflows.ports import SourceKind
from workflows.types import Media

PUBLIC = "93.184.216.34"


def picture(form: str = "PNG") -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", "secret prompt")
    buffer = io.BytesIO()
    Image.new("RGB", (12, 8), (10, 200, 30)).save(buffer, form, **({"pnginfo": info} if form == "PNG" else {}))
    return buffer.getvalue()


def assert_whole(media: Media, form: str = "PNG") -> None:
    assert media == Media(data=picture(form), media_type=f"image/{form.lower()}")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "open").mkdir()
    (tmp_path / "open" / "my cat.png").write_bytes(picture())
    (tmp_path / "secret.png").write_bytes(picture())
    return tmp_path / "open"


# data URIs


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
async def test_a_data_uri_is_read_as_it_is(form: str) -> None:
    coded = base64.encodebytes(picture(form)).decode()

    assert_whole(await InputPictures(()).open(f"data:image/{form.lower()};base64,{coded}"), form)


@pytest.mark.parametrize(
    "reference",
    [
        "data:image/png;base64,###",
        "data:image/png,abc",
        "data:image/svg+xml;base64,PHN2Zy8+",
        "data:image/png;base64,",
        "data:",
    ],
)
async def test_a_data_uri_that_holds_no_picture_is_refused_with_the_allowed_forms(reference: str) -> None:
    with pytest.raises(BadRecipe, match="data:image/png;base64,") as refused:
        await InputPictures(()).open(reference)
    assert refused.value.argument == "input_image"


# paths


async def test_a_file_below_an_allowed_root_is_read_by_path_by_relative_path_and_by_file_url(root: Path) -> None:
    sources = InputPictures((root.parent / "missing", root))

    for reference in (str(root / "my cat.png"), "my cat.png", (root / "my cat.png").as_uri()):
        assert_whole(await sources.open(reference))


async def test_a_link_inside_the_root_that_stays_inside_is_followed(root: Path) -> None:
    (root / "link.png").symlink_to(root / "my cat.png")

    assert_whole(await InputPictures((root,)).open("link.png"))


@pytest.mark.parametrize(
    "reference",
    [
        *("../secret.png", "{parent}/secret.png", "{root}/../secret.png", "link.png", "linked/secret.png"),
        *("file://{parent}/secret.png", "file:///{root}/%2e%2e/secret.png", "{root}-other/x.png", "nothing.png"),
        *("/etc/passwd", "/dev/zero", "~/x.png", "//host/share/x.png", "\\\\host\\share\\x.png"),
        *("a\0.png", "fifo", ".", "x" * 5000),
    ],
)
async def test_what_lies_outside_the_roots_is_refused_in_the_same_words_as_what_is_missing(
    root: Path, reference: str
) -> None:
    (root / "link.png").symlink_to(root.parent / "secret.png")
    (root / "linked").symlink_to(root.parent)
    (root.parent / "open-other").mkdir()
    (root.parent / "open-other" / "x.png").write_bytes(picture())
    os.mkfifo(root / "fifo")

    with pytest.raises(BadRecipe, match="no such file below the folders in ATELIER_ALLOWED_ROOTS"):
        await InputPictures((root,)).open(reference.format(parent=root.parent, root=root))


async def test_without_allowed_roots_the_setting_is_named(root: Path) -> None:
    with pytest.raises(BadRecipe, match="set ATELIER_ALLOWED_ROOTS"):
        await InputPictures(()).open(str(root / "my cat.png"))


async def test_a_file_that_is_no_picture_is_refused(root: Path) -> None:
    (root / "notes.png").write_text("root:x:0:0", encoding="utf-8")

    with pytest.raises(BadRecipe, match="not a PNG, JPEG or WebP"):
        await InputPictures((root,)).open("notes.png")


@pytest.mark.parametrize(
    "reference", ["http://example.org/a.png", "ftp://x/a.png", "upload://1", "javascript:x", "file://host/x.png"]
)
async def test_other_schemes_are_refused_with_the_allowed_forms(root: Path, reference: str) -> None:
    with pytest.raises(BadRecipe, match="https:// URL"):
        await InputPictures((root,)).open(reference)


# https, from a loopback server that stands behind a public address


@dataclass(repr=False)
class Site:
    """An HTTPS server for pics.example: each path has its raw HTTP answer; requests are written down."""

    answers: dict[str, bytes]
    context: ssl.SSLContext
    requests: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    names: list[str] = field(default_factory=list[str])
    dialled: list[str] = field(default_factory=list[str])
    addresses: Sequence[str] = (PUBLIC,)
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        path = head.split(" ")[1]
        host = next(line.split(": ")[1] for line in head.split("\r\n") if line.lower().startswith("host:"))
        self.requests.append((host, path))
        writer.write(self.answers[path])
        writer.close()

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        self.names.append(host)
        return self.addresses

    def transport(self) -> httpx2.AsyncBaseTransport:
        return Detour(self)

    def sources(self) -> InputPictures:
        return InputPictures((), resolver=self.resolve, transport=self.transport)


class Detour(httpx2.AsyncHTTPTransport):
    """Dials the loopback server in place of the address that was asked for, and notes which one that was."""

    def __init__(self, site: Site) -> None:
        super().__init__(verify=site.context, trust_env=False)
        self._site = site

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self._site.dialled.append(request.url.host)
        request.url = request.url.copy_with(host="127.0.0.1", port=self._site.port)
        return await super().handle_async_request(request)


def certificate(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """(server's, client's) contexts of a certificate for pics.example that signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name, today = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pics.example")]), datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, today - timedelta(days=1), today + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("pics.example")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = signed.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "both.pem").write_bytes(private + pem)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "both.pem")
    return server, ssl.create_default_context(cadata=pem.decode())


def answer(status: int, body: bytes = b"", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, f"content-length: {len(body)}", "connection: close", "", ""]).encode() + body


ANSWERS = {
    "/cat.png": answer(200, picture()),
    "/moved": answer(302, location="/cat.png"),
    "/loop": answer(302, location="/loop"),
    "/down": answer(301, location="http://pics.example/cat.png"),
    "/inside": answer(307, location="https://localhost/cat.png"),
    "/bad": answer(307, location="https://[::1"),
    "/page": answer(200, b"<html>", content_type="image/png"),
    "/404": answer(404),
    "/500": answer(503),
    "/429": answer(429, retry_after="7"),
    "/gzip": answer(200, picture(), content_encoding="gzip"),
    "/huge": answer(200, bytes(25_000_001)),
    "/cut": answer(200, picture())[:-9],
}


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    return certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
async def site(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> AsyncIterator[Site]:
    served, trusted = contexts
    site = Site(answers=ANSWERS, context=trusted)
    server = await asyncio.start_server(site.serve, "127.0.0.1", 0, ssl=served)
    site.port = server.sockets[0].getsockname()[1]
    yield site
    server.close()


async def test_a_url_is_fetched_from_the_address_that_was_checked_under_its_own_name(site: Site) -> None:
    assert_whole(await site.sources().open("https://pics.example:8443/cat.png"))

    assert (site.names, site.dialled) == (["pics.example"], [PUBLIC])
    assert site.requests == [("pics.example:8443", "/cat.png")]


async def test_a_certificate_of_another_name_is_refused(site: Site) -> None:
    with pytest.raises(ServiceUnavailable, match=r"other\.example could not be reached"):
        await site.sources().open("https://other.example/cat.png")


async def test_a_redirect_is_followed_and_checked_again(site: Site) -> None:
    assert_whole(await site.sources().open("https://pics.example/moved"))

    assert site.names == ["pics.example", "pics.example"]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/loop", "redirects more than 3 times"),
        ("/down", "only https:// URLs"),
        ("/bad", "no valid URL"),
        ("/page", "not a PNG, JPEG or WebP"),
        ("/404", "answers 404"),
        ("/huge", "more than 25,000,000 bytes"),
    ],
)
async def test_an_answer_that_cannot_be_used_is_the_references_fault(site: Site, path: str, words: str) -> None:
    with pytest.raises(BadRecipe, match=words):
        await site.sources().open(f"https://pics.example{path}")
    assert len(site.requests) == (4 if path == "/loop" else 1)


@pytest.mark.parametrize(
    ("path", "kind", "words"),
    [
        ("/500", ServiceUnavailable, "answered 503"),
        ("/429", RateLimited, "again in 7 s"),
        ("/gzip", ServiceUnavailable, "compressed"),
        ("/cut", ServiceUnavailable, "could not be reached"),
    ],
)
async def test_a_server_that_fails_is_a_service_error(site: Site, path: str, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        await site.sources().open(f"https://pics.example{path}")


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),
        *("224.0.0.1", "240.0.0.1", "::1", "::", "fe80::1%eth0", "fc00::1", "ff02::1"),
        *("::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::"),
    ],
)
async def test_no_address_of_this_machine_or_its_network_is_dialled(site: Site, address: str) -> None:
    site.addresses = (PUBLIC, address)

    with pytest.raises(BadRecipe, match="not a public address"):
        await site.sources().open("https://pics.example/cat.png")
    assert site.dialled == []


async def test_a_redirect_into_this_network_is_not_followed(site: Site) -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"] if host == "localhost" else [PUBLIC]

    with pytest.raises(BadRecipe, match="localhost is not a public address"):
        await InputPictures((), resolver=resolve, transport=site.transport).open("https://pics.example/inside")
    assert len(site.dialled) == 1


@pytest.mark.parametrize(
    "reference", ["https://127.0.0.1/a.png", "https://[::1]/a.png", "https://0x7f.1/a.png", "https://localhost/a.png"]
)
async def test_an_address_written_out_is_checked_by_the_real_resolver(reference: str) -> None:
    with pytest.raises(BadRecipe, match="not a public address"):
        await InputPictures(()).open(reference)


@pytest.mark.parametrize(
    "reference", ["https://", "https://user:pw@pics.example/", "https://pics.example:x/", "https://a\nb/"]
)
async def test_a_url_that_is_none_or_holds_a_password_is_refused(site: Site, reference: str) -> None:
    with pytest.raises(BadRecipe, match="https"):
        await site.sources().open(reference)
    assert site.dialled == []


async def test_a_name_that_does_not_resolve_is_a_service_error(site: Site) -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        raise OSError(-2, "Name or service not known")

    with pytest.raises(ServiceUnavailable, match=r"pics\.example could not be resolved"):
        await InputPictures((), resolver=resolve, transport=site.transport).open("https://pics.example/cat.png")


# videos, sounds and other files

WAV = b"RIFF\x24\0\0\0WAVEfmt " + b"\0" * 30
MP3_FRAME = b"\xff\xfb\x90\x64" + b"\0" * 60
FILM, GIF = film(3), moving_gif()
KINDS: tuple[SourceKind, ...] = ("video", "any")


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (FILM, "video/mp4"),
        (GIF, "image/gif"),
        (picture(), "image/png"),
        (picture("JPEG"), "image/jpeg"),
        (WAV, "audio/wav"),
        (b"fLaC" + b"\0" * 40, "audio/flac"),
        (b"OggS" + b"\0" * 40, "audio/ogg"),
        (b"ID3\4" + b"\0" * 40, "audio/mpeg"),
        (MP3_FRAME, "audio/mpeg"),
        (b' {"a": [1]}', "application/json"),
    ],
)
async def test_any_file_is_known_by_its_content_whatever_it_is_called(
    content: bytes, media_type: str, root: Path
) -> None:
    (root / "thing.exe").write_bytes(content)

    assert await InputPictures((root,)).open("thing.exe", "any") == Media(data=content, media_type=media_type)


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"#!/bin/sh\nrm -rf /", b"MZ\x90\0", b"<svg/>", b'{"a": ', b"12", b"\xff\xfb\xf0\x64", picture()[:60]),
        *(b"[" * 200_000, b"\xff\xfe{\0}\0"),
    ],
)
async def test_what_is_none_of_them_is_refused_whatever_it_is_called(content: bytes, root: Path) -> None:
    (root / "song.mp3").write_bytes(content)

    with pytest.raises(BadRecipe) as refused:
        await InputPictures((root,)).open("song.mp3", "any")
    assert (refused.value.argument, "WAV, MP3" in str(refused.value)) == ("file", True)


async def test_a_video_is_taken_where_one_is_wanted_and_refused_where_a_picture_is(root: Path) -> None:
    (root / "clip.png").write_bytes(FILM)
    sources = InputPictures((root,))

    assert await sources.open("clip.png", "video") == Media(data=FILM, media_type="video/mp4")
    coded = f"data:video/mp4;base64,{base64.b64encode(FILM).decode()}"
    assert (await sources.open(coded, "video")).data == FILM
    with pytest.raises(BadRecipe, match=r"input_image .*it is a video, which extend_video and interpolate_frames take"):
        await sources.open("clip.png")
    with pytest.raises(BadRecipe, match=r"input_video .*it is a picture, of which image_to_video makes a video"):
        await sources.open("my cat.png", "video")
    with pytest.raises(BadRecipe, match=r"input_video .*it is no video; pass"):
        await sources.open(f"data:;base64,{base64.b64encode(WAV).decode()}", "video")


async def test_a_video_of_more_bytes_than_allowed_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clients.input_pictures.MAX_FILE", len(FILM) - 1)
    (root / "clip.mp4").write_bytes(FILM)

    for kind in KINDS:
        with pytest.raises(BadRecipe, match=f"at most {len(FILM) - 1:,} bytes"):
            await InputPictures((root,)).open("clip.mp4", kind)
