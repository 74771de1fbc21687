"""What a picture or video says of itself, written into the file, read back, and taken out. No pixel ever changes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol

from utils.images import BadPicture, sniff
from utils.metadata import jpeg, mp4, png, webp, xmp
from utils.metadata.exif import NAMES as EXIF_NAMES
from utils.metadata.stamps import (
    COMMENT,
    PARAMETERS,
    PROMPT,
    RECORD,
    USER_COMMENT,
    WORKFLOW,
    XMP,
    Found,
    Stamp,
    Writing,
    document,
    first_of,
    record_of,
)

CREATOR = "Atelier"
VIDEO = "video/mp4"


class _Format(Protocol):
    """What the module of a format does. All raise BadPicture."""

    def found(self, _data: bytes, /) -> Found: ...

    def written(self, _data: bytes, writing: Writing, /) -> bytes: ...

    def stripped(self, _data: bytes, mark: bytes, /) -> bytes: ...


_FORMATS: dict[str, _Format] = {"image/png": png, "image/jpeg": jpeg, "image/webp": webp, VIDEO: mp4}
_CARRIED = (
    "xmp:CreatorTool",
    "Iptc4xmpExt:AISystemUsed",
    "Iptc4xmpExt:AISystemVersionUsed",
    "Iptc4xmpExt:AIPromptInformation",
    "Iptc4xmpExt:AIPromptWriterName",
)
MEDIA_TYPES = tuple(_FORMATS)
"""What can be written."""


def media_type_of(data: bytes) -> str | None:
    """image/png, image/jpeg, image/webp, video/mp4, or None."""
    return VIDEO if data[4:8] == b"ftyp" else sniff(data)


def stamped(
    data: bytes,
    media_type: str,
    *,
    parameters: str | None,
    record: Mapping[str, Any] | None,
    source_type: str | None,
    graph: Mapping[str, Any] | None = None,
    workflow: Mapping[str, Any] | None = None,
    creator: str = CREATOR,
) -> bytes:
    """The same file with what made it: pixels and streams stay as they are, to the byte.

    `parameters` is the A1111 text, `record` our own document, `graph` and `workflow` ComfyUI's, written as it writes
    them. `source_type` (of SourceType) becomes the XMP packet, with `creator` and, from the record's `prompt`, `model`
    and `model_hash`, IPTC's fields for AI; an earlier packet is replaced. What is None stays as it is in the file. A
    C2PA manifest, which any change breaks, is left out: sign last. Raises BadPicture.
    """
    texts = {
        PARAMETERS: parameters,
        RECORD: None if record is None else document(record),
        PROMPT: None if graph is None else json.dumps(graph),
        WORKFLOW: None if workflow is None else json.dumps(workflow),
    }
    told = {name: text for name, text in texts.items() if text is not None}
    facts = _facts(source_type, creator, record or {}) if source_type else {}
    return _format(data, media_type).written(data, Writing(texts=told, facts=facts))


def read(data: bytes) -> Stamp:
    """All that the file tells of itself, in whichever of the four formats. A damaged text is left out; raises
    BadPicture when the file is damaged itself, or none of them."""
    found = _format(data).found(data)
    texts = found.texts
    told = xmp.properties(texts.get(XMP, "").encode())
    xmp.own_texts(told, texts)
    return Stamp(
        parameters=texts.get(PARAMETERS, first_of(texts, (USER_COMMENT, COMMENT))),
        record=record_of(texts.get(RECORD)),
        texts=dict(texts),
        source_type=xmp.source_type(told, found.manifest),
        parts=found.parts,
        signed=bool(found.manifest),
    )


def stripped(data: bytes) -> bytes:
    """The file to share without: prompt, settings, graphs, names, dates, places and manifest are gone.

    What decides how it looks stays (pixels, colour profile, orientation), and so does the mark of what a machine made
    (the digital source type). Raises BadPicture.
    """
    mark = read(data).source_type
    return _format(data).stripped(data, xmp.packet({xmp.SOURCE_TYPE: mark}, {}) if mark else b"")


def carried(source: bytes, target: bytes, media_type: str) -> bytes:
    """`target`, the same picture in another format, with what `source` tells of how it was made. Raises BadPicture.

    Where a format has no place for a text, it stands in the XMP packet. What a camera told (EXIF) is not carried.
    """
    stamp = read(source)
    told = xmp.properties(stamp.texts.get(XMP, "").encode())
    texts = {PARAMETERS: stamp.parameters} if stamp.parameters is not None else {}
    texts |= {name: text for name, text in stamp.texts.items() if name not in {XMP, COMMENT, USER_COMMENT, *EXIF_NAMES}}
    facts = {name: told[name] for name in _CARRIED if told.get(name)}
    facts |= {xmp.SOURCE_TYPE: stamp.source_type} if stamp.source_type else {}
    return _format(target, media_type).written(target, Writing(texts=texts, facts=facts))


def stamp_png(png: bytes, parameters: str, record: Mapping[str, Any]) -> bytes:
    """The same PNG with `parameters` and, under the key `atelier`, `record` with its schema version, and no more.

    Earlier stamps of these two keys are replaced; every other chunk stays as it is. Raises BadPicture.
    """
    return stamped(png, "image/png", parameters=parameters, record=record, source_type=None)


def read_png(png: bytes) -> Stamp:
    """As `read`, of a PNG alone. Raises BadPicture."""
    if media_type_of(png) != "image/png":
        raise BadPicture("the bytes are not a PNG")
    return read(png)


def _format(data: bytes, claimed: str | None = None) -> _Format:
    seen = media_type_of(data)
    if seen is None or (claimed and claimed != seen):
        raise BadPicture(f"the bytes are not {claimed or 'a PNG, JPEG, WebP or MP4 file'}")
    return _FORMATS[seen]


def _facts(source_type: str, creator: str, record: Mapping[str, Any]) -> dict[str, str]:
    told = {
        xmp.SOURCE_TYPE: source_type,
        "xmp:CreatorTool": creator,
        "Iptc4xmpExt:AISystemUsed": record.get("model"),
        "Iptc4xmpExt:AISystemVersionUsed": record.get("model_hash"),
        "Iptc4xmpExt:AIPromptInformation": record.get("prompt"),
    }
    return {name: value for name, value in told.items() if isinstance(value, str) and value}
