"""Pictures as bytes: decode what nobody vouches for, encode, shrink for showing, hash. Pillow loads on first use."""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_PIXELS = 64_000_000
"""A decoded picture of this many pixels takes 256 MB; more is a mistake or a decompression bomb."""
MAX_BYTES = MAX_PIXELS * 4 + 4_000_000
"""A file of so many pixels that does not compress at all, with what PNG and our texts add: what we drew can be read."""

FORMATS = ("PNG", "JPEG", "WEBP")
SIGNATURE = b"\x89PNG\r\n\x1a\n"
PIXELS = frozenset({b"IHDR", b"IDAT", b"IEND"})
TEXTS = frozenset({b"tEXt", b"zTXt", b"iTXt", b"tIME", b"pHYs"})
"""Chunks that say nothing of how the pixels look."""
PLAIN = {(8, 2), (8, 6)}
"""Bits and colour type: RGB and RGBA of 8 bits."""
QUALITIES = (90, 80, 70, 55, 40, 25)
"""JPEG qualities tried in turn; below 25 a smaller picture looks better than a coarser one."""

_BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, IndexError, KeyError, TypeError)
"""What Pillow's readers raise at damaged files (found by fuzzing; Pillow promises no single class)."""


class BadPicture(ValueError):
    """These bytes are no picture that can be used; the text says why."""


def sha256(content: bytes) -> str:
    """The SHA-256 of the bytes, 64 hex digits."""
    return hashlib.sha256(content).hexdigest()


def sniff(content: bytes) -> str | None:
    """The media type that the first bytes show: image/png, image/jpeg, image/webp or None."""
    if content.startswith(SIGNATURE):
        return "image/png"
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    return "image/webp" if content[:4] == b"RIFF" and content[8:12] == b"WEBP" else None


def decode(content: bytes) -> Image:
    """The first frame, upright, as RGB, or as RGBA when some of it is transparent.

    Raises BadPicture for anything but PNG, JPEG and WebP, for more than MAX_BYTES or MAX_PIXELS (seen in the
    header, before any pixel is unpacked) and for files that are damaged or cut short.
    """
    from PIL import Image, ImageOps

    if len(content) > MAX_BYTES:
        raise BadPicture(f"the file has {len(content):,} bytes; at most {MAX_BYTES:,} are read")
    if sniff(content) is None:
        raise BadPicture("the bytes are not a PNG, JPEG or WebP picture")
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as opened:
            _check_size(opened.size)
            opened.load()
            return _plain(ImageOps.exif_transpose(opened))
    except BadPicture:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise BadPicture(f"the picture has far more than {MAX_PIXELS:,} pixels") from error
    except _BROKEN as error:
        raise BadPicture(f"the picture is damaged or cut short ({error})") from error


def encode_png(image: Image) -> bytes:
    """The picture as PNG, without any metadata."""
    return _encoded(image, "PNG", compress_level=6)


def preview(content: bytes, max_edge: int = 1024, max_bytes: int = 400_000) -> tuple[bytes, str, int, int]:
    """A copy small enough to show: (bytes, media type, width, height).

    At most `max_edge` pixels on the long edge and at most `max_bytes` bytes (which should be 2,000 or more).
    PNG if it fits, else JPEG of falling quality, else smaller still. Transparency survives in a PNG and lies on
    white in a JPEG. Raises BadPicture.
    """
    ready = _as_it_is(content, max_edge, max_bytes)
    if ready is not None:
        return ready
    image = decode(content)
    before = image.width * image.height
    image.thumbnail((max_edge, max_edge))
    # Shrinking packs more detail into each pixel, and PNG is never smaller than the JPEG it came from: when the
    # file's own density does not fit, a PNG will not, and the most costly encoding can be left out.
    expected = len(content) * (image.width * image.height) / before
    if expected < 1.5 * max_bytes:
        png = encode_png(image)
        if len(png) <= max_bytes:
            return png, "image/png", image.width, image.height
    return _as_jpeg(_on_white(image), max_bytes)


def chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(type, content) of each chunk of a PNG up to IEND. Raises BadPicture at a wrong length or checksum."""
    if not png.startswith(SIGNATURE):
        raise BadPicture("the bytes are not a PNG")
    place, kind = len(SIGNATURE), b""
    while kind != b"IEND":
        if place + 12 > len(png):
            raise BadPicture("the PNG is cut short")
        length, kind = struct.unpack_from(">I4s", png, place)
        body = png[place + 8 : place + 8 + length]
        place += 12 + length
        if png[place - 4 : place] != struct.pack(">I", zlib.crc32(kind + body)):
            raise BadPicture(f"the PNG's chunk {kind!r} is damaged or cut short")
        yield kind, body


def packed(kind: bytes, body: bytes) -> bytes:
    """A chunk of a PNG as its bytes."""
    return struct.pack(">I4s", len(body), kind) + body + struct.pack(">I", zlib.crc32(kind + body))


def _as_it_is(content: bytes, max_edge: int, max_bytes: int) -> tuple[bytes, str, int, int] | None:
    """A plain PNG that is small enough, but for its texts: shown without being drawn anew, which takes far longer."""
    if not content.startswith(SIGNATURE):
        return None
    parts = list(chunks(content))
    if parts[0][0] != b"IHDR" or len(parts[0][1]) < 10:
        return None
    width, height, depth, colours = struct.unpack_from(">IIBB", parts[0][1])
    kept = [packed(kind, body) for kind, body in parts if kind in PIXELS]
    told = {kind for kind, _ in parts} - PIXELS
    if max(width, height) > max_edge or (depth, colours) not in PLAIN or not told <= TEXTS:
        return None
    shown = SIGNATURE + b"".join(kept)
    return (shown, "image/png", width, height) if len(shown) <= max_bytes else None


def _as_jpeg(image: Image, max_bytes: int) -> tuple[bytes, str, int, int]:
    for quality in QUALITIES:
        jpeg = _encoded(image, "JPEG", quality=quality)
        if len(jpeg) <= max_bytes:
            return jpeg, "image/jpeg", image.width, image.height
    smaller = image.resize((max(1, image.width * 3 // 4), max(1, image.height * 3 // 4)))
    if smaller.size == image.size:
        raise BadPicture(f"no preview fits {max_bytes:,} bytes")
    return _as_jpeg(smaller, max_bytes)


def _check_size(size: tuple[int, int]) -> None:
    if size[0] * size[1] > MAX_PIXELS:
        raise BadPicture(f"the picture is {size[0]} x {size[1]}; at most {MAX_PIXELS:,} pixels are decoded")


def _plain(image: Image) -> Image:
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        lowest = rgba.getchannel("A").getextrema()[0]
        return rgba.convert("RGB") if lowest == 255 else rgba
    if image.mode.startswith("I"):  # 16 bits of grey, which convert() would clip at 255
        return image.convert("I").point(lambda value: value * (1 / 257)).convert("L").convert("RGB")
    return image.convert("RGB")


def _on_white(image: Image) -> Image:
    from PIL import Image

    if image.mode != "RGBA":
        return image

    ground = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(ground, image).convert("RGB")


def _encoded(image: Image, form: str, **options: int) -> bytes:
    buffer, bare = io.BytesIO(), image.copy()
    bare.info.clear()  # Pillow would write comments and profiles of the file it came from
    bare.save(buffer, form, **options)
    return buffer.getvalue()
