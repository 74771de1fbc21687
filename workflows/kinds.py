"""Kinds of files: what the gallery calls a media type, and how a file of it is named. It looks into none."""

from __future__ import annotations

from collections.abc import Mapping

from workflows.types import ItemKind

PNG, JPEG, WEBP, GIF = "image/png", "image/jpeg", "image/webp", "image/gif"
MP4, WEBM = "video/mp4", "video/webm"
JSON, TEXT, BYTES = "application/json", "text/plain", "application/octet-stream"

PICTURES = frozenset({PNG, JPEG, WEBP})
"""Pictures that are read and shown here."""
CLIPS = frozenset({MP4, WEBM})

ENDINGS: Mapping[str, str] = {
    PNG: "png",
    JPEG: "jpg",
    WEBP: "webp",
    GIF: "gif",
    MP4: "mp4",
    WEBM: "webm",
    "audio/wav": "wav",
    "audio/mpeg": "mp3",
    "audio/flac": "flac",
    "audio/ogg": "ogg",
    "audio/mp4": "m4a",
    JSON: "json",
    TEXT: "txt",
    "model/gltf-binary": "glb",
    "model/obj": "obj",
    "image/svg+xml": "svg",
    "image/x-exr": "exr",
}
"""Endings of files by their media types, without the dot."""
OTHER_NAMES: Mapping[str, str] = {
    "image/jpg": JPEG,
    "audio/x-wav": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/vnd.wave": "audio/wav",
    "audio/mp3": "audio/mpeg",
    "audio/x-flac": "audio/flac",
    "audio/opus": "audio/ogg",
    "application/ogg": "audio/ogg",
    "audio/x-m4a": "audio/mp4",
    "text/json": JSON,
}


def plain(media_type: str) -> str:
    """The media type without parameters, in its usual name; every text is plain text: nothing of it is run."""
    bare = media_type.partition(";")[0].strip().lower()
    known = OTHER_NAMES.get(bare, bare)
    return TEXT if known.startswith("text/") else known or BYTES


def ending_of(media_type: str) -> str:
    """Without a dot; bin for what is not known."""
    return ENDINGS.get(plain(media_type), "bin")


def kind_of(media_type: str) -> ItemKind:
    """What the gallery calls it. A picture that cannot be shown here is a file."""
    known = plain(media_type)
    if known in PICTURES:
        return "image"
    if known in CLIPS:
        return "video"
    return "audio" if known.startswith("audio/") else "file"


def called(kind: ItemKind) -> str:
    """What a person calls it, with its article."""
    return {"image": "a picture", "video": "a video", "audio": "a sound"}.get(kind, "a file")
