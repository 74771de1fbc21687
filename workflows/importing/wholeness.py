"""Whether a file is a whole picture or video, and its size: what may come into the gallery."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal, cast

from utils.images import MAX_BYTES, BadPicture, decode, encode_png, sniff
from utils.likeness import fingerprint_of
from workflows.errors import BadRecipe

if TYPE_CHECKING:
    from PIL.Image import Image

MP4 = "video/mp4"
MOST_VIDEO = 1_000_000_000
"""Bytes of a video; it is held in memory while it is taken in."""
MOST_BOXES = 10_000
SUFFIXES = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp", MP4: "mp4"}
WANTED = "it must be a whole PNG, JPEG, WebP or MP4"
_BROKEN = (OSError, ValueError, EOFError, IndexError, MemoryError)


@dataclass(frozen=True, kw_only=True)
class Whole:
    """A file that was looked at; sizes in pixels."""

    media_type: str
    kind: Literal["image", "video"]
    width: int
    height: int
    fingerprint: str | None = None
    poster: bytes | None = None
    """Of a video, a PNG of its first frame, where the extra for videos is installed."""


def looked_at(content: bytes, name: str) -> Whole:
    """The file, decoded to see that it can be. Raises BadRecipe for anything else than a whole picture or video."""
    if not content:
        raise BadRecipe("file", name, f"it is empty; {WANTED}")
    if content[4:8] == b"ftyp":
        return _video(content, name)
    media_type = sniff(content)
    if media_type is None:
        raise BadRecipe("file", name, WANTED)
    try:
        picture = decode(content)
    except BadPicture as error:
        raise BadRecipe("file", name, f"{WANTED} ({error})") from error
    width, height = picture.size
    return Whole(media_type=media_type, kind="image", width=width, height=height, fingerprint=fingerprint_of(picture))


def largest(name: str) -> int:
    """Bytes that a file of that name may have."""
    return MOST_VIDEO if name.lower().endswith((".mp4", ".m4v", ".mov")) else MAX_BYTES


def _video(content: bytes, name: str) -> Whole:
    if len(content) > MOST_VIDEO:
        raise BadRecipe("file", name, f"a video has at most {MOST_VIDEO:,} bytes")
    try:
        top = dict(_boxes(content, 0, len(content)))
        size = _edges(content, *top[b"moov"])
        _ = top[b"ftyp"], top[b"mdat"]
        poster = _first_frame(content)
    except (KeyError, struct.error, *_BROKEN) as error:
        raise BadRecipe("file", name, f"{WANTED}; this MP4 is damaged, cut short or without pictures") from error
    return Whole(media_type=MP4, kind="video", width=size[0], height=size[1], poster=poster)


def _boxes(content: bytes, place: int, end: int) -> Iterator[tuple[bytes, tuple[int, int]]]:
    """(kind, (begin, end) of what it holds) of each box there. Raises ValueError where one is longer than its place."""
    for _ in range(MOST_BOXES):
        if place == end:
            return
        length, kind = struct.unpack_from(">I4s", content, place)
        head = 8
        if length == 1:
            (length,), head = struct.unpack_from(">Q", content, place + 8), 16
        length = end - place if length == 0 else length
        if length < head or place + length > end:
            raise ValueError("a box ends beyond its place")
        yield kind, (place + head, place + length)
        place += length
    raise ValueError("too many boxes")


def _edges(content: bytes, begin: int, end: int) -> tuple[int, int]:
    """Width and height of the first track that has any: the last eight bytes of its header, 16.16 bits."""
    for kind, track in _boxes(content, begin, end):
        if kind != b"trak":
            continue
        head = dict(_boxes(content, *track))[b"tkhd"]
        wide, high = (edge >> 16 for edge in struct.unpack_from(">II", content, head[1] - 8))
        if wide and high:
            return wide, high
    raise ValueError("no track shows a picture")


def _first_frame(content: bytes) -> bytes | None:
    """The first picture as PNG; None where the extra for videos is not installed."""
    if find_spec("av") is None:
        return None
    import av

    with av.open(io.BytesIO(content), "r") as film:
        frame = next(iter(film.decode(video=0)), None)
        if frame is None:
            raise ValueError("it holds no picture")
        return encode_png(cast("Image", frame.to_image()))  # pyright: ignore[reportUnknownMemberType]
