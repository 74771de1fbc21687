"""Frames out of a file that nobody vouches for: bounds, times, rotation; one family of errors.

MP4 and WebM are read by FFmpeg (through PyAV), GIF and WebP by Pillow, which composes their partial frames.
"""

from __future__ import annotations

import io
import struct
import sys
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_EDGE = 4096
MAX_SECONDS = 600.0
MAX_BYTES = 200_000_000
MAX_FRAMES = 72_000
"""Ten minutes at 120 frames a second."""
STILL_SECONDS = 0.1
"""A frame of a GIF that names no time, or hardly one, as browsers show it."""

PLAIN = ("yuv420p", "yuvj420p")
PICTURES = (b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1", b"hevc", b"M4A ", b"jp2 ", b"crx ")
"""Kinds of ISO files that are pictures or sound."""
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, IndexError, KeyError, TypeError)
"""What Pillow's readers raise at damaged files; PyAV's too, but for its own FFmpegError."""


class BadVideo(ValueError):
    """These bytes are no video that can be used; the text says why."""


class TooLarge(BadVideo):
    """A video that is beyond what is read here: bytes, edges, time or frames. Nothing is said of its wholeness."""


class PyAvMissing(ImportError):
    """PyAV (the package `av`) is not installed."""


def pyav() -> Any:
    """PyAV, silent. Raises PyAvMissing."""
    try:
        import av
        import av.logging
    except ImportError as missing:
        raise PyAvMissing("Reading and writing videos needs PyAV: the package av.") from missing
    av.logging.set_level(None)
    return av


@dataclass(frozen=True)
class Shot:
    """One frame, not yet made a picture, and when it is shown."""

    time: float
    """Seconds since the first frame."""
    seconds: float
    picture: Callable[[], Image]
    """Upright RGB of the video's size."""


class Reel(Protocol):
    """A video that was opened."""

    count: int
    seconds: float
    has_audio: bool
    codec: str
    plays_everywhere: bool
    size: tuple[int, int]

    def shots(self) -> Iterator[Shot]:
        """All frames, from the first one; raises BadVideo."""
        ...


def sniff_video(data: bytes) -> str | None:
    """The media type that the bytes show: video/mp4 (QuickTime, too), video/webm (Matroska, too), image/gif and
    image/webp where they are animated, or None."""
    if data[4:8] == b"ftyp":
        return None if data[8:12] in PICTURES else "video/mp4"
    if data.startswith(b"\x1a\x45\xdf\xa3"):
        return "video/webm" if b"webm" in data[:64] or b"matroska" in data[:64] else None
    if data[:4] == b"RIFF" and data[8:16] == b"WEBPVP8X":
        return "image/webp" if len(data) > 20 and data[20] & 2 else None
    return "image/gif" if data[:6] in {b"GIF87a", b"GIF89a"} and _moves(data) else None


@contextmanager
def opened(data: bytes) -> Generator[Reel]:
    """The video, to be read inside the block. Raises BadVideo, PyAvMissing."""
    if len(data) > MAX_BYTES:
        raise TooLarge(f"the file has {len(data):,} bytes; at most {MAX_BYTES:,} are read")
    kind = sniff_video(data)
    if kind is None:
        raise BadVideo("the bytes are not an MP4, a WebM, or an animated GIF or WebP")
    if kind.startswith("image/"):
        yield _Animation(data)
        return
    with container_of(data) as (_, container):
        with readable():
            film = _Film(container, data[8:12] == b"qt  ")
        yield film


@contextmanager
def container_of(data: bytes) -> Generator[tuple[Any, Any]]:
    """PyAV, and the MP4 or WebM opened by it. Raises BadVideo, PyAvMissing."""
    av = pyav()
    # Named, as FFmpeg would take a playlist for a video, too, and open the files that it names.
    form = "mp4" if data[4:8] == b"ftyp" else "matroska"
    options = {"max_pixels": str(MAX_EDGE * MAX_EDGE), "protocol_whitelist": "none"}
    with readable():
        container = av.open(io.BytesIO(data), format=form, options=options, metadata_errors="replace")
    with container:
        yield av, container


@contextmanager
def readable() -> Generator[None]:
    """Whatever the readers raise inside leaves as BadVideo."""
    try:
        yield
    except BadVideo:
        raise
    except broken() as error:
        raise BadVideo(f"the video is damaged or cut short ({_first_line(error)})") from error


def broken() -> tuple[type[Exception], ...]:
    """What readers raise at damaged files; PyAV is not imported for it, and another thread may be about to."""
    own = getattr(sys.modules.get("av"), "FFmpegError", None)
    return _BROKEN if own is None else (*_BROKEN, own)


def _first_line(error: BaseException) -> str:
    lines = str(error).splitlines()
    return lines[0][:200] if lines else type(error).__name__


def check_size(size: tuple[int, int]) -> None:
    if not 0 < min(size) <= max(size) <= MAX_EDGE:
        raise TooLarge(f"its frames are {size[0]} x {size[1]}; edges of 1 to {MAX_EDGE} pixels are read")


def _check_time(seconds: float) -> None:
    if seconds > MAX_SECONDS:
        raise TooLarge(f"it is longer than {MAX_SECONDS:g} seconds")


def _check_count(count: int) -> None:
    if count > MAX_FRAMES:
        raise TooLarge(f"it has more than {MAX_FRAMES:,} frames")


class _Film:
    """What FFmpeg reads."""

    def __init__(self, container: Any, quicktime: bool) -> None:
        self._container = container
        if not container.streams.video:
            raise BadVideo("there is no video in it")
        self._stream = container.streams.video[0]
        self._stream.thread_type = "SLICE"  # threads by frame lose, of a video that was cut, what they hold back
        coder = self._stream.codec_context
        if coder is None:
            raise BadVideo("its codec is not known here")
        check_size((coder.width or 1, coder.height or 1))
        self.has_audio = bool(container.streams.audio)
        self.codec = str(coder.name)
        self.count, self.seconds = self._counted()
        self._begin()
        first = next(self._decoded(), None)
        if first is None:
            raise BadVideo("not one frame of it can be read")
        self._turned = int(first.rotation) % 360
        self.size = (first.width, first.height) if self._turned % 180 == 0 else (first.height, first.width)
        plain = self.codec == "h264" and first.format.name in PLAIN
        self.plays_everywhere = plain and not quicktime and "mp4" in container.format.name

    def shots(self) -> Iterator[Shot]:
        with readable():
            self._begin()
            usual = self.seconds / self.count
            waiting: tuple[float, Any] | None = None
            start: float | None = None
            for number, frame in enumerate(self._decoded()):
                _check_count(number)
                told = float(frame.time) if frame.time is not None else number * usual
                if start is None:
                    start = told
                time = max(0.0, told - start)
                _check_time(time)
                if waiting is not None:
                    yield self._shot(waiting[0], max(0.0, time - waiting[0]), waiting[1])
                waiting = (time, frame)
            if waiting is not None:
                yield self._shot(waiting[0], usual, waiting[1])

    def _shot(self, time: float, seconds: float, frame: Any) -> Shot:
        return Shot(time, seconds, lambda: self._picture(frame))

    def _picture(self, frame: Any) -> Image:
        with readable():
            check_size((frame.width, frame.height))
            picture: Image = frame.to_image()
            picture = picture.rotate(self._turned, expand=True) if self._turned else picture
            return picture if picture.size == self.size else picture.resize(self.size)

    def _decoded(self) -> Iterator[Any]:
        """All frames that can be read; what is damaged is passed over, as players do. Without any, the error."""
        failure: BaseException | None = None
        seen = False
        for packet in self._packets(flush=True):
            try:
                frames = packet.decode()
            except broken() as error:
                failure = error
                continue
            for frame in frames:
                check_size((frame.width, frame.height))
                seen = True
                yield frame
        if failure is not None and not seen:
            raise failure

    def _begin(self) -> None:
        self._container.seek(0)

    def _counted(self) -> tuple[int, float]:
        """Frames and seconds, by the packets: what the header says may be missing or wrong."""
        count, times, step = 0, (float("inf"), float("-inf")), 0.0
        for packet in self._packets():
            count += 1
            _check_count(count)
            if packet.pts is None or packet.time_base is None:
                continue
            time = float(packet.pts * packet.time_base)
            step = float((packet.duration or 0) * packet.time_base) or step
            times = min(times[0], time), max(times[1], time)
        if not count:
            raise BadVideo("there is not one frame in it")
        rate = float(self._stream.average_rate or self._stream.guessed_rate or 25)
        told = max(0.0, times[1] - times[0])
        if told <= 0 and count > 1:
            told = (count - 1) / rate
        seconds = told + (step or (told / (count - 1) if count > 1 else 1 / rate))
        _check_time(seconds)
        return count, max(seconds, count / 1000)

    def _packets(self, flush: bool = False) -> Iterator[Any]:
        """Up to where the file is cut; `flush`: with the empty one that makes a decoder give what it holds back."""
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except broken():
                return
            if packet is None:
                return
            if packet.size or flush:
                yield packet


class _Animation:
    """What Pillow reads: GIF and WebP."""

    has_audio = False
    plays_everywhere = False

    def __init__(self, data: bytes) -> None:
        self._bytes = data
        self.count, self.seconds, self.size = 0, 0.0, (0, 0)
        self.codec = "gif" if data.startswith(b"GIF") else "webp"
        for shot in self._read(False):
            self.count += 1
            self.seconds += shot.seconds
        if not self.count:
            raise BadVideo("not one frame of it can be read")

    def shots(self) -> Iterator[Shot]:
        return self._read(True)

    def _read(self, composed: bool) -> Iterator[Shot]:
        from PIL import Image

        with readable(), Image.open(io.BytesIO(self._bytes), formats=("GIF", "WEBP")) as opened:
            check_size(opened.size)
            self.size = opened.size
            time = 0.0
            for number in range(MAX_FRAMES + 1):
                _check_count(number)
                try:
                    opened.seek(number)
                    if self.codec == "webp":
                        opened.load()  # which tells its time
                    page = _on_white(opened) if composed or not number else None
                except broken():
                    if not number:
                        raise
                    return
                told = float(opened.info.get("duration") or 0) / 1000
                seconds = told if told > 0.01 else STILL_SECONDS
                yield Shot(time, seconds, lambda page=page: page or Image.new("RGB", self.size))
                time += seconds
                _check_time(time)


def _on_white(picture: Image) -> Image:
    from PIL import Image

    if not picture.has_transparency_data:
        return picture.convert("RGB")
    layer = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")


def _moves(gif: bytes) -> bool:
    """Whether there is a second frame."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(gif), formats=("GIF",)) as opened:
            if max(opened.size) > MAX_EDGE:
                return False
            opened.seek(1)
            return True
    except broken():
        return False
