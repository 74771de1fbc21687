"""Videos as bytes: look into what nobody vouches for, take frames, encode, join, change the rate. PyAV on first use.

Frames are streamed: no function holds more than a few of them. All block; a caller with an event loop uses a thread.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, TypeAlias

from utils._video.reading import (
    MAX_BYTES,
    MAX_EDGE,
    MAX_SECONDS,
    BadVideo,
    PyAvMissing,
    Reel,
    TooLarge,
    opened,
    sniff_video,
)
from utils._video.sound import joined_sound, sound_of
from utils._video.writing import steady, written
from utils.images import encode_png

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

    Frame: TypeAlias = Image | np.ndarray[Any, Any]

__all__ = [
    "MAX_BYTES", "MAX_EDGE", "MAX_SECONDS", "BadVideo", "Clip", "PyAvMissing", "TooLarge", "as_mp4", "encoded", "frame",
    "joined", "pictures", "probe", "resampled", "sampled", "sheet", "sniff_video",
]  # fmt: skip

SHEET_EDGE = 1536
"""Pixels of a contact sheet's longer edge, at most."""
GAP = 4
"""Pixels between the frames of a contact sheet."""
COLUMNS = 3


@dataclass(frozen=True)
class Clip:
    """What is known of a video without decoding more than its first frame."""

    width: int
    """Upright, as a player shows it; so is the height."""
    height: int
    frames: int
    fps: float
    """The average: frames by seconds."""
    seconds: float
    has_audio: bool
    codec: str


def probe(data: bytes) -> Clip:
    """Size, frames, rate, length. Raises BadVideo where not even the first frame can be read, PyAvMissing."""
    with opened(data) as reel:
        return _clip(reel)


def pictures(data: bytes) -> Iterator[Image]:
    """Every frame, upright, RGB, all of the first one's size. Raises BadVideo, at the latest at the first frame."""
    with opened(data) as reel:
        for shot in reel.shots():
            yield shot.picture()


def sampled(data: bytes, count: int) -> list[bytes]:
    """PNGs of `count` frames spread evenly, the first and the last among them; of fewer where it has fewer."""
    with opened(data) as reel:
        wanted = _spread(reel.count, count)
        found: list[bytes] = []
        last = None
        for place, shot in enumerate(reel.shots()):
            last = (place, shot)
            if place in wanted:
                found.append(encode_png(shot.picture()))
        # A container may promise more frames than can be decoded.
        if last and last[0] not in wanted and len(found) < count:
            found.append(encode_png(last[1].picture()))
        return found


def frame(data: bytes, place: int) -> bytes:
    """The frame at that place as PNG, counted from 0, or from the end: -1 is the last. Raises BadVideo, IndexError."""
    with opened(data) as reel:
        wanted = place if place >= 0 else reel.count + place
        last = None
        for number, shot in enumerate(reel.shots()):
            last = shot
            if number == wanted:
                break
        else:
            if place != -1 or last is None:
                raise IndexError(f"there is no frame {place}")
        return encode_png(last.picture())


def encoded(frames: Iterable[Frame], fps: float, *, crf: int = 17) -> bytes:
    """An MP4 (H.264, yuv420p, BT.709, its index first) of pictures or arrays (height x width x 3, uint8).

    An odd edge grows by one pixel, a copy of the last. Frames of another size than the first are scaled to it.
    `crf`: 0 is lossless, 17 looks so, 51 is the worst. Raises ValueError without any frame.
    """
    return written(frames, _fraction(fps), crf=crf)


def joined(first: bytes, second: bytes, *, drop: int = 1) -> bytes:
    """Both one after the other as an MP4 of the first one's size and rate; of the second without `drop` frames.

    Sound is kept where either has it, with silence for the other. Raises BadVideo.
    """
    with opened(first) as one, opened(second) as two:
        clip, other = _clip(one), _clip(two)
        if drop >= other.frames:
            raise ValueError(f"the second video has {other.frames} frames; {drop} cannot be left out")
        fps = _fraction(clip.fps)
        start = steady(one.shots(), fps)
        rest = steady(islice(two.shots(), drop, None), fps)
        sound = joined_sound(first, clip.seconds, second, other.seconds, drop / other.fps)
        return written(chain(start, rest), fps, sound=sound)


def resampled(data: bytes, fps: float) -> bytes:
    """The same length at another rate, sound kept: frames between are made by following the motion (minterpolate).

    At a lower rate frames are left out. Raises BadVideo.
    """
    from utils._video.interpolation import between

    with opened(data) as reel:
        clip, rate = _clip(reel), _fraction(fps)
        total = max(1, round(clip.seconds * rate))
        own = _fraction(clip.fps)
        frames = between(reel.shots(), own, rate) if rate > own and clip.frames > 1 else steady(reel.shots(), rate)
        return written(_exactly(frames, total), rate, sound=sound_of(data, clip.seconds))


def as_mp4(data: bytes) -> bytes:
    """WebM, GIF, animated WebP and others as MP4 with their sound; an MP4 that every player shows stays as it is."""
    with opened(data) as reel:
        clip = _clip(reel)
        if reel.plays_everywhere:
            return data
        rate = _fraction(clip.fps)
        return written(steady(reel.shots(), rate), rate, sound=sound_of(data, clip.seconds))


def sheet(data: bytes, count: int = 9) -> bytes:
    """A contact sheet: `count` frames spread evenly, in rows of three, read like a page. A PNG."""
    from PIL import Image

    shots = [Image.open(io.BytesIO(png)) for png in sampled(data, count)]
    columns = min(COLUMNS, len(shots))
    rows = -(-len(shots) // columns)
    width, height = shots[0].size
    scale = min(1.0, SHEET_EDGE / max(columns * width, rows * height))
    width, height = max(1, round(width * scale)), max(1, round(height * scale))
    page = Image.new("RGB", (columns * (width + GAP) - GAP, rows * (height + GAP) - GAP), "white")
    for place, shot in enumerate(shots):
        row, column = divmod(place, columns)
        page.paste(shot.resize((width, height)), (column * (width + GAP), row * (height + GAP)))
    return encode_png(page)


def _clip(reel: Reel) -> Clip:
    width, height = reel.size
    return Clip(
        width=width,
        height=height,
        frames=reel.count,
        fps=reel.count / reel.seconds,
        seconds=reel.seconds,
        has_audio=reel.has_audio,
        codec=reel.codec,
    )


def _spread(frames: int, count: int) -> set[int]:
    if count < 1:
        raise ValueError(f"at least one frame must be asked for, not {count}")
    if count == 1:
        return {0}
    return {round(place * (frames - 1) / (count - 1)) for place in range(count)}


def _fraction(fps: float) -> Fraction:
    """The rate as containers write it; 23.976 becomes 24000/1001. Raises ValueError."""
    if not 0 < fps <= 1000:
        raise ValueError(f"a video has between 0 and 1000 frames a second, not {fps}")
    ntsc = Fraction(round(fps * 1.001) * 1000, 1001)
    exact = Fraction(fps).limit_denominator(1000)
    return ntsc if exact.denominator > 1 and abs(float(ntsc) - fps) < 0.001 else exact


def _exactly(frames: Iterable[Any], total: int) -> Iterator[Any]:
    """So many frames: what is too much is left out, what lacks is the last one again."""
    last = None
    made = 0
    for last in islice(frames, total):
        made += 1
        yield last
    for _ in range(total - made if last is not None else 0):
        yield last
