"""Pictures and videos as a server hands them out: are they whole, how large are they, and how long?"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from utils.images import BadPicture, decode, sniff
from utils.video import BadVideo, Clip, PyAvMissing, as_mp4, probe, sniff_video
from workflows.types import Media

_PNG_START = 8


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A picture or video that is whole. Its facts are a video's: frames, fps, and seconds, which are its length."""

    media: Media
    width: int
    height: int
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])


def size_of(content: bytes) -> tuple[int, int]:
    """(width, height) of a picture that is whole. Raises BadPicture for one that is cut short or damaged.

    A PNG is walked chunk by chunk with its checksums, which finds what a broken transfer does without unpacking a
    pixel; other formats are decoded. Takes milliseconds: call it on a thread.
    """
    if sniff(content) == "image/png":
        return _png_size(content)
    image = decode(content)
    return image.size


def facts_of_source(content: bytes) -> dict[str, Any]:
    """What drafting wants to know of a source: source_size, and of a video source_fps and source_frames.

    Nothing of a video where nothing can read one. Raises BadPicture, BadVideo. Call it on a thread.
    """
    if sniff_video(content) is None:
        return {"source_size": size_of(content)}
    try:
        clip = probe(content)
    except PyAvMissing:
        return {}
    return {
        "source_size": (clip.width, clip.height),
        "source_fps": round(clip.fps, 3),
        "source_frames": clip.frames,
    }


def video_of(media: Media) -> Shown:
    """A video as MP4, with its size and length; an MP4 that is to be read by everyone stays as it is.

    Raises BadVideo for what is damaged or no video at all. Where nothing can read a video it is taken as it came, and
    its size is 0 by 0. Takes as long as decoding and encoding it: call it on a thread.
    """
    kind = sniff_video(media.data)
    if kind is None:
        raise BadVideo("the file is no video")
    try:
        content = as_mp4(media.data)
        clip = probe(content)
    except PyAvMissing:
        return Shown(media=Media(data=media.data, media_type=kind), width=0, height=0)
    mp4 = Media(data=content, media_type="video/mp4")
    return Shown(media=mp4, width=clip.width, height=clip.height, facts=told_of(clip))


def told_of(clip: Clip) -> dict[str, Any]:
    """A video's length as facts."""
    return {"frames": clip.frames, "fps": round(clip.fps, 3), "seconds": round(clip.seconds, 3)}


def _png_size(content: bytes) -> tuple[int, int]:
    view, at, size = memoryview(content), _PNG_START, None
    while at + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, at)
        end = at + 12 + length
        if end > len(content) or zlib.crc32(view[at + 4 : end - 4]) != struct.unpack_from(">I", content, end - 4)[0]:
            break
        kind = bytes(view[at + 4 : at + 8])
        if kind == b"IHDR" and length == 13:
            size = struct.unpack_from(">II", content, at + 8)
        if kind == b"IEND" and size:
            return int(size[0]), int(size[1])
        at = end
    raise BadPicture("the picture is damaged or cut short")


def same_pixels(one: bytes, other: bytes) -> bool:
    """Whether two pictures look the same to the last bit, transparency aside. Takes as long as decoding both."""
    from PIL import ImageChops

    images = decode(one).convert("RGB"), decode(other).convert("RGB")
    return images[0].size == images[1].size and ImageChops.difference(*images).getbbox() is None
