"""Frames, and sound where there is some, into an MP4 that every player and browser shows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from utils._video.reading import Shot, check_size, pyav

if TYPE_CHECKING:
    from PIL.Image import Image

    from utils._video.sound import Sound

BT709 = 1
"""H.264's number of HD video's colours; without one players guess, by the size."""
LIMITED = 1
RATE = 48_000
"""Samples of sound a second."""


def written(frames: Iterable[Any], fps: Fraction, *, crf: int = 17, sound: Sound | None = None) -> bytes:
    """The MP4. Frames: pictures or arrays. Raises ValueError without any."""
    av = pyav()
    with TemporaryDirectory(prefix="atelier-video-") as folder:
        file = Path(folder) / "made.mp4"  # a real file, as the index is moved to the front in the end
        with av.open(str(file), "w", format="mp4", options={"movflags": "+faststart"}) as container:
            _write(av, container, frames, fps, crf, sound)
        return file.read_bytes()


def _write(av: Any, container: Any, frames: Iterable[Any], fps: Fraction, crf: int, sound: Sound | None) -> None:
    pictures = (_picture(one) for one in frames)
    first = next(pictures, None)
    if first is None:
        raise ValueError("a video needs at least one frame")
    check_size(first.size)
    video = _video_stream(container, first, fps, crf)
    voice = container.add_stream("aac", rate=RATE, layout="stereo") if sound else None
    spoken = sound.frames(av) if sound else iter(())
    heard = 0
    for number, picture in enumerate(_chained(first, pictures)):
        shown = av.VideoFrame.from_image(_even(picture, (video.width, video.height))).reformat(
            format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG"
        )
        shown.pts, shown.time_base = number, 1 / fps
        container.mux(video.encode(shown))
        while voice is not None and heard <= (number + 1) / fps * RATE:
            piece = next(spoken, None)
            if piece is None:
                break
            heard = piece.pts + piece.samples
            container.mux(voice.encode(piece))
    container.mux(video.encode(None))
    if voice is not None:
        for piece in spoken:
            container.mux(voice.encode(piece))
        container.mux(voice.encode(None))


def _video_stream(container: Any, first: Image, fps: Fraction, crf: int) -> Any:
    # x264's choice of B frames depends on what lies in memory: without them the same frames give the same bytes.
    options = {"crf": str(crf), "preset": "medium", "bf": "0", "flags": "bitexact"}
    stream = container.add_stream("libx264", rate=fps, options=options)
    stream.width, stream.height = (edge + edge % 2 for edge in first.size)
    stream.pix_fmt = "yuv420p"
    coder = stream.codec_context
    coder.time_base = 1 / fps
    coder.color_primaries = coder.color_trc = coder.colorspace = BT709
    coder.color_range = LIMITED
    return stream


def _chained(first: Image, rest: Iterator[Image]) -> Iterator[Image]:
    yield first
    for picture in rest:
        yield picture if picture.size == first.size else picture.resize(first.size)


def _picture(frame: Any) -> Image:
    from PIL import Image

    picture = frame if isinstance(frame, Image.Image) else Image.fromarray(frame)
    return picture.convert("RGB")


def _even(picture: Image, size: tuple[int, int]) -> Image:
    """With its last column and row once more where an edge is odd, which H.264's colours do not take."""
    from PIL import Image

    if picture.size == size:
        return picture
    page = Image.new("RGB", size)
    page.paste(picture.resize(size, Image.Resampling.NEAREST, (0, 0, *picture.size)))
    page.paste(picture)
    return page


def steady(shots: Iterable[Shot], fps: Fraction) -> Iterator[Image]:
    """The frames at a constant rate: one is shown again, or left out, where its time is longer or shorter."""
    start: float | None = None
    made = 0
    for shot in shots:
        start = shot.time if start is None else start
        until = max(round((shot.time + shot.seconds - start) * fps), 0 if made else 1)
        if until > made:
            picture = shot.picture()
            for _ in range(until - made):
                yield picture
            made = until
