"""Small files of every format for the tests of metadata, and what is in them."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image, ImageSequence

from utils.images import encode_png

PIXELS = Image.effect_mandelbrot((32, 24), (-2, -1, 1, 1), 40).convert("RGB")
PNG = encode_png(PIXELS)
GRAPH = {"3": {"class_type": "KSampler", "inputs": {"seed": 5, "text": '猫 "é" 😀'}}}
WORKFLOW: dict[str, Any] = {"nodes": [{"id": 1, "type": "KSampler"}], "links": []}


def encoded(form: str, image: Image.Image = PIXELS, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def video(folder: Path, codec: str = "mpeg4", metadata: dict[str, str] | None = None, **options: str) -> bytes:
    """Six frames of 64 x 64, as MP4; `options` are ffmpeg's for the container."""
    path = folder / "made.mp4"
    with av.open(str(path), "w", options=options) as container:
        container.metadata.update(metadata or {})
        stream: Any = container.add_stream(codec, rate=8)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for level in range(6):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), level * 40, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path.read_bytes()


def told(mp4: bytes) -> dict[str, str]:
    """What ffmpeg reads in the container."""
    with av.open(io.BytesIO(mp4)) as container:
        return dict(container.metadata)


def shown(content: bytes) -> list[bytes]:
    """What is seen: the pixels of a picture's frames in their own mode, the packets of a video."""
    if content[4:8] == b"ftyp":
        container: Any = av.open(io.BytesIO(content))
        with container:
            return [bytes(packet) for packet in container.demux(video=0)]
    with Image.open(io.BytesIO(content)) as opened:
        return [frame.mode.encode() + frame.tobytes() for frame in ImageSequence.Iterator(opened)]


def boxes(mp4: bytes, start: int = 0, end: int | None = None) -> list[tuple[str, bytes]]:
    """(type, content) of the boxes that lie side by side."""
    found: list[tuple[str, bytes]] = []
    end = len(mp4) if end is None else end
    while start < end:
        size, kind = struct.unpack_from(">I4s", mp4, start)
        found.append((kind.decode("latin-1"), mp4[start + 8 : start + size]))
        start += size
    return found
