"""utils.images: untrusted bytes in, plain pictures out."""

from __future__ import annotations

import contextlib
import io
import random
import struct
import warnings
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from utils.images import MAX_BYTES, MAX_PIXELS, BadPicture, decode, encode_png, preview, sha256
from utils.metadata import stamp_png


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def noise(width: int, height: int, mode: str = "RGB") -> Image.Image:
    return Image.frombytes(mode, (width, height), random.Random(7).randbytes(width * height * len(mode)))


def png_header(width: int, height: int) -> bytes:
    """A valid PNG start that promises this size; the pixels never come."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    idat = b"IDAT" + zlib.compress(b"\0" * 100)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in (body, idat)
    )


@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_lossless_formats_decode_to_the_same_pixels(form: str) -> None:
    picture = noise(40, 30)

    assert decode(encoded(picture, form, lossless=True)).tobytes() == picture.tobytes()


def test_jpeg_is_turned_upright_by_its_orientation_tag() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90 degrees to show

    assert decode(encoded(noise(40, 20), "JPEG", exif=exif)).size == (20, 40)


def test_grey_of_sixteen_bits_is_scaled_and_not_clipped() -> None:
    grey = Image.new("I;16", (8, 8), 32896)

    assert decode(encoded(grey, "PNG")).getpixel((0, 0)) == (128, 128, 128)


def test_alpha_is_kept_only_where_something_is_transparent() -> None:
    opaque, pane = Image.new("RGBA", (8, 8), (9, 9, 9, 255)), Image.new("RGBA", (8, 8), (9, 9, 9, 100))

    assert [decode(encoded(picture, "PNG")).mode for picture in (opaque, pane)] == ["RGB", "RGBA"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not a PNG, JPEG or WebP"),
        (b"GIF89a" + bytes(40), "not a PNG, JPEG or WebP"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a PNG, JPEG or WebP"),
        (encoded(noise(64, 64), "PNG")[:-2000], "damaged or cut short"),
        (encoded(noise(64, 64), "JPEG")[:-900], "damaged or cut short"),
        (encoded(noise(64, 64), "WEBP")[:-900], "damaged or cut short"),
        (png_header(8001, 8000), "at most 64,000,000 pixels"),
        (png_header(60_000, 60_000), "pixels"),
    ],
    ids=["empty", "gif", "svg", "cut png", "cut jpeg", "cut webp", "bomb", "huge bomb"],
)
def test_what_is_no_usable_picture_is_refused_with_the_reason(content: bytes, words: str) -> None:
    with pytest.raises(BadPicture, match=words):
        decode(content)


@settings(max_examples=150, deadline=None)
@given(
    form=st.sampled_from(["PNG", "JPEG", "WEBP"]),
    edits=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=8),
)
def test_damaged_bytes_give_a_picture_or_bad_picture_and_nothing_else(form: str, edits: list[tuple[int, int]]) -> None:
    content = bytearray(encoded(noise(24, 24), form))
    for place, value in edits:
        content[place % len(content)] = value

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with contextlib.suppress(BadPicture):
            assert decode(bytes(content)).mode in {"RGB", "RGBA"}


def test_encoding_drops_the_text_of_the_file_it_came_from_and_leaves_the_picture_alone() -> None:
    picture = Image.open(io.BytesIO(encoded(noise(8, 8), "JPEG", comment=b"secret place")))
    picture.load()

    assert b"secret" not in encode_png(picture)
    assert picture.info["comment"] == b"secret place"


def test_a_small_preview_is_a_png_of_the_same_pixels() -> None:
    picture = noise(100, 50)
    content, media_type, width, height = preview(encode_png(picture))

    assert (media_type, width, height) == ("image/png", 100, 50)
    assert decode(content).tobytes() == picture.tobytes()


def test_a_preview_keeps_the_long_edge_and_the_shape() -> None:
    assert preview(encode_png(Image.new("RGB", (2000, 500), "red")), max_edge=256)[2:] == (256, 64)


@pytest.mark.parametrize("most", [400_000, 60_000, 3_000])
def test_a_noisy_preview_falls_back_to_jpeg_within_its_bytes(most: int) -> None:
    content, media_type, width, height = preview(encode_png(noise(1100, 900)), max_bytes=most)

    assert media_type == "image/jpeg"
    assert len(content) <= most
    assert decode(content).size == (width, height)


def test_transparency_lies_on_white_when_only_jpeg_fits() -> None:
    pane = noise(600, 600, "RGBA")
    pane.putalpha(0)
    content, media_type, *_ = preview(encode_png(pane), max_bytes=20_000)

    assert media_type == "image/jpeg"
    assert decode(content).getpixel((300, 300)) == (255, 255, 255)


def test_the_hash_is_the_known_sha256() -> None:
    assert sha256(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_small_png_is_shown_without_its_texts_and_otherwise_as_it_is() -> None:
    bare = encode_png(noise(100, 80))
    stamped = stamp_png(bare, "a secret wish", {"prompt": "a secret wish"})
    assert preview(stamped) == (bare, "image/png", 100, 80)


def test_a_png_that_is_damaged_is_not_shown() -> None:
    content = encode_png(noise(100, 80))
    with pytest.raises(BadPicture):
        preview(content[:-30])
    with pytest.raises(BadPicture, match="damaged"):
        preview(content[:200] + bytes([content[200] ^ 1]) + content[201:])


def test_a_png_with_an_orientation_is_turned_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert preview(encoded(Image.new("RGB", (60, 20), "red"), "PNG", exif=exif))[2:] == (20, 60)


def test_a_file_heavier_than_any_picture_may_be_is_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("utils.images.MAX_BYTES", 1000)
    with pytest.raises(BadPicture, match="at most 1,000 are read"):
        decode(encoded(noise(64, 64), "PNG"))


def test_the_largest_picture_that_may_be_drawn_may_be_read_however_badly_it_packs() -> None:
    worst = encoded(Image.new("RGBA", (4000, 4000), (1, 2, 3, 4)), "PNG", compress_level=0)
    assert len(worst) * MAX_PIXELS / 16_000_000 < MAX_BYTES
    assert decode(worst).size == (4000, 4000)
