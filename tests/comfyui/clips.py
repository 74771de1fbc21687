"""Videos and sounds as a real server writes them: small, whole, made at test time with PyAV. Pure."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, cast

from PIL import Image

Json = Mapping[str, Any]

CODECS = {"mp4": ("libx264", "yuv420p"), "webm": ("libvpx-vp9", "yuv420p")}
RATE = 8000
"""Samples of a sound in a second."""


def video(frames: Sequence[Image.Image], fps: float, kind: str) -> bytes:
    """As SaveVideo (mp4), SaveWEBM (webm) and SaveAnimatedWEBP (webp) write them."""
    if kind == "webp":
        return _webp(frames, fps)
    import av

    codec, pixels = CODECS[kind]
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=kind) as container:
        stream: Any = container.add_stream(codec, rate=Fraction(fps).limit_denominator(1000))
        stream.width, stream.height = frames[0].size
        stream.pix_fmt = pixels
        stream.codec_context.thread_count = 1
        for frame in frames:
            for packet in stream.encode(av.VideoFrame.from_image(frame.convert("RGB"))):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return buffer.getvalue()


def sound(seconds: float, kind: str) -> bytes:
    """Silence, as SaveAudio (flac) and SaveAudioMP3 (mp3) write it."""
    import av
    import numpy as np

    buffer = io.BytesIO()
    codec, samples, rate = {"flac": ("flac", "s16", RATE), "mp3": ("libmp3lame", "s16p", 2 * RATE)}[kind]
    with av.open(buffer, "w", format=kind) as container:
        stream: Any = container.add_stream(codec, rate=rate)
        stream.layout = "mono"
        silence: Any = np.zeros((1, int(seconds * rate)), dtype=np.int16)
        frame: Any = av.AudioFrame.from_ndarray(silence, format=samples, layout="mono")
        frame.sample_rate = rate
        for packet in [*stream.encode(frame), *stream.encode()]:
            container.mux(packet)
    return buffer.getvalue()


def size_of(content: bytes) -> tuple[tuple[int, int], int]:
    """Width and height of a video, and how many frames it has."""
    import av

    with av.open(io.BytesIO(content), "r") as container:
        stream = container.streams.video[0]
        return (stream.width, stream.height), sum(1 for _ in container.decode(stream))


def rate(graph: Json, node: str) -> float:
    """The frames a second that a node, or the nearest upstream of it, says."""
    pending, seen = [node], set[str]()
    while pending:
        current = pending.pop(0)
        if current in seen or current not in graph:
            continue
        seen.add(current)
        inputs: Json = graph[current].get("inputs", {})
        for name in ("fps", "frame_rate"):
            if isinstance(inputs.get(name), int | float):
                return float(inputs[name])
        links = [cast("list[Any]", value) for value in inputs.values() if isinstance(value, list)]
        pending += [str(link[0]) for link in links if link]
    return 24.0


def _webp(frames: Sequence[Image.Image], fps: float) -> bytes:
    buffer = io.BytesIO()
    first, *rest = frames
    first.save(buffer, "WEBP", save_all=True, append_images=rest, duration=round(1000 / fps), lossless=True)
    return buffer.getvalue()
