"""Videos for tests: a square that wanders over a ground, in every form in which videos come."""

import io
import struct
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import av
import numpy as np
from PIL import Image, ImageDraw

from utils.video import encoded

RED, BLUE = (200, 40, 40), (20, 60, 220)


def pictures(count: int, size: tuple[int, int] = (64, 48), ground: tuple[int, int, int] = RED) -> list[Image.Image]:
    """A blue square that goes two pixels right at each frame."""
    drawn: list[Image.Image] = []
    for number in range(count):
        picture = Image.new("RGB", size, ground)
        ImageDraw.Draw(picture).rectangle((2 * number, 12, 2 * number + 11, 23), fill=BLUE)
        drawn.append(picture)
    return drawn


def plain(count: int = 8, fps: float = 8.0, size: tuple[int, int] = (64, 48)) -> bytes:
    return encoded(pictures(count, size), fps)


def with_sound(count: int = 8, fps: int = 8, pitch: float = 440.0) -> bytes:
    """The same with a tone as long as it."""
    library: Any = av
    buffer = io.BytesIO()
    with library.open(buffer, "w", format="mp4") as container:
        video = container.add_stream("libx264", rate=fps)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream("aac", rate=44100, layout="mono")
        for picture in pictures(count):
            container.mux(video.encode(library.VideoFrame.from_image(picture)))
        container.mux(video.encode(None))
        wave = 0.5 * np.sin(2 * np.pi * pitch * np.arange(44100 * count // fps) / 44100)
        for start in range(0, len(wave), 1024):
            piece = library.AudioFrame.from_ndarray(wave[None, start : start + 1024].astype(np.float32), "fltp", "mono")
            piece.sample_rate, piece.pts = 44100, start
            container.mux(sound.encode(piece))
        container.mux(sound.encode(None))
    return buffer.getvalue()


def loudness(video: bytes, parts: int) -> list[float]:
    """The loudest sample of each part of the sound."""
    library: Any = av
    with library.open(io.BytesIO(video)) as container:
        samples = np.concatenate([frame.to_ndarray().mean(axis=0) for frame in container.decode(audio=0)])
    return [round(float(abs(part).max()), 1) for part in np.array_split(samples, parts)]


def timed(
    times: Sequence[int],
    form: str = "webm",
    codec: str = "libvpx-vp9",
    size: tuple[int, int] = (64, 48),
    **options: str,
) -> bytes:
    """Frames at these times in milliseconds."""
    library: Any = av
    buffer = io.BytesIO()
    with library.open(buffer, "w", format=form, options=options) as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for time, picture in zip(times, pictures(len(times), size), strict=True):
            frame = library.VideoFrame.from_image(picture)
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def animated(form: str, durations: Sequence[int]) -> bytes:
    """A GIF or WebP."""
    first, *rest = pictures(len(durations))
    buffer = io.BytesIO()
    first.save(buffer, form, save_all=True, append_images=rest, duration=list(durations))
    return buffer.getvalue()


def turned(video: bytes) -> bytes:
    """As a telephone held upright writes it: the pixels lie, the header says to turn them by a quarter."""
    place = video.index(b"tkhd") + 4 + 40
    quarter = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
    return video[:place] + quarter + video[place + 36 :]
