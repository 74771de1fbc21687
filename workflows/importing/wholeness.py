"""Whether a file is a whole picture or video, and its size: what may come into the gallery."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from utils.images import MAX_BYTES, BadPicture, decode, sniff
from utils.likeness import fingerprint, fingerprint_of
from utils.video import BadVideo, Clip, PyAvMissing, TooLarge, as_mp4, frame, probe, sheet, sniff_video
from workflows.errors import BadRecipe, ExtraMissing
from workflows.kinds import GIF, MP4, WEBM

MOST_VIDEO = 1_000_000_000
"""Bytes of a video; it is held in memory while it is taken in."""
MOST_BOXES = 10_000
SUFFIXES = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp", MP4: "mp4", WEBM: "webm"}
WANTED = "it must be a whole PNG, JPEG, WebP, MP4, WebM or animated GIF"
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
    """Of a video, a PNG of its first frame, where the extra for videos is installed; so are fingerprint and clip."""
    clip: Clip | None = None
    """Of a video, its length and rate."""
    converted: bytes | None = None
    """What is kept instead of the file, where browsers play it as no video: a GIF or Matroska file as MP4."""


def looked_at(content: bytes, name: str) -> Whole:
    """The file, decoded to see that it can be. Raises BadRecipe for anything else than a whole picture or video."""
    if not content:
        raise BadRecipe("file", name, f"it is empty; {WANTED}")
    if content[4:8] == b"ftyp":
        return _video(content, name)
    moving = sniff_video(content)
    if moving in {WEBM, GIF}:
        return _other_video(content, name, moving)
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
    return MOST_VIDEO if name.lower().endswith((".mp4", ".m4v", ".mov", ".webm", ".mkv")) else MAX_BYTES


def _video(content: bytes, name: str) -> Whole:
    if len(content) > MOST_VIDEO:
        raise BadRecipe("file", name, f"a video has at most {MOST_VIDEO:,} bytes")
    try:
        top = dict(_boxes(content, 0, len(content)))
        width, height = _edges(content, *top[b"moov"])
        _ = top[b"ftyp"], top[b"mdat"]
        return _measured(content, MP4) or Whole(media_type=MP4, kind="video", width=width, height=height)
    except BadVideo as error:
        raise BadRecipe("file", name, f"{WANTED} ({error})") from error
    except (KeyError, struct.error, *_BROKEN) as error:
        raise BadRecipe("file", name, f"{WANTED}; this MP4 is damaged, cut short or without pictures") from error


def _other_video(content: bytes, name: str, media_type: str) -> Whole:
    if len(content) > MOST_VIDEO:
        raise BadRecipe("file", name, f"a video has at most {MOST_VIDEO:,} bytes")
    try:
        converted = None if media_type == WEBM and b"webm" in content[:64] else as_mp4(content)
        clip = probe(converted or content)
        return replace(_seen(converted or content, MP4 if converted else WEBM, clip), converted=converted)
    except PyAvMissing as error:
        raise ExtraMissing("video", "Taking in a video that is no MP4") from error
    except BadVideo as error:
        raise BadRecipe("file", name, f"{WANTED} ({error})") from error


def _measured(content: bytes, media_type: str) -> Whole | None:
    """None where it cannot be looked into here, which says nothing against it. Raises BadVideo."""
    try:
        return _seen(content, media_type, probe(content))
    except (PyAvMissing, TooLarge):
        return None


def _seen(content: bytes, media_type: str, clip: Clip) -> Whole:
    """Raises BadVideo."""
    return Whole(
        media_type=media_type,
        kind="video",
        width=clip.width,
        height=clip.height,
        poster=frame(content, 0),
        fingerprint=fingerprint(sheet(content)),
        clip=clip,
    )


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
