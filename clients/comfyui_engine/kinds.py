"""What kind of file some bytes are, and what its name should end in. Pure."""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workflows.types import Media

STARTS: Sequence[tuple[int, bytes, str]] = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF8", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (8, b"WAVE", "audio/wav"),
    (8, b"AVI ", "video/x-msvideo"),
    (4, b"ftypM4A", "audio/mp4"),
    (4, b"ftypavif", "image/avif"),
    (4, b"ftypqt", "video/quicktime"),
    (4, b"ftyp", "video/mp4"),
    (0, b"fLaC", "audio/flac"),
    (0, b"OggS", "audio/ogg"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (0, b"\xff\xf3", "audio/mpeg"),
    (0, b"\xff\xf2", "audio/mpeg"),
    (0, b"glTF", "model/gltf-binary"),
)
"""Where in a file which bytes stand, and what it is then; the first that fits."""
MATROSKA = b"\x1a\x45\xdf\xa3"
ENDINGS: Mapping[str, str] = {
    ".obj": "model/obj",
    ".stl": "model/stl",
    ".ply": "model/ply",
    ".gltf": "model/gltf+json",
    ".json": "application/json",
    ".txt": "text/plain",
    ".srt": "text/plain",
    ".csv": "text/csv",
    ".aac": "audio/aac",
    ".opus": "audio/ogg",
    ".exr": "image/x-exr",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".ts": "video/mp2t",
}
"""What is believed of a name where the bytes say nothing: no kind that a browser would run, none that has a start."""
UNKNOWN = "application/octet-stream"
SUFFIXES: Mapping[str, str] = {
    "image/jpeg": ".jpg",
    "audio/wav": ".wav",
    "audio/x-wav": ".wav",
    "audio/flac": ".flac",
    "audio/mpeg": ".mp3",
    "audio/ogg": ".ogg",
    "audio/mp4": ".m4a",
    "model/gltf-binary": ".glb",
}
"""Where the standard library has another idea, or none."""


def media_type_of(content: bytes, name: str, told: str = "") -> str:
    """By the bytes; else by the name's ending, or by what the server told, where that is a harmless kind."""
    head = content[:64]
    if head.startswith(MATROSKA):
        return "video/webm" if b"webm" in head else "video/x-matroska"
    for place, start, kind in STARTS:
        if head[place:].startswith(start) and (place != 8 or head.startswith(b"RIFF")):
            return kind
    ending = f".{name.rpartition('.')[2].lower()}"
    return ENDINGS.get(ending) or (told if told in ENDINGS.values() else UNKNOWN)


def suffix_of(media: Media) -> str:
    """The ending of a file's name that suits its bytes, by which nodes choose their readers."""
    kind = media_type_of(media.data, "", media.media_type)
    kind = media.media_type if kind == UNKNOWN else kind
    known = next((ending for ending, of_it in ENDINGS.items() if of_it == kind), None)
    return SUFFIXES.get(kind) or known or mimetypes.guess_extension(kind) or ".bin"
