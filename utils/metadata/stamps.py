"""What a picture or video file says of itself, and what is written into one: values, their names, their bounds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

PARAMETERS, RECORD = "parameters", "atelier"
PROMPT, WORKFLOW = "prompt", "workflow"
"""Names under which ComfyUI keeps the graph that it ran, and the drawing of it that its page opens."""
COMMENT, USER_COMMENT = "comment", "UserComment"
XMP = "XML:com.adobe.xmp"
"""Keyword of an XMP packet in a PNG; here its name in every format."""
SCHEMA = 1
"""Version of the record's layout; raised when a reader of the old one would misread the new one."""
MAX_TEXT = 4_000_000
"""Characters of one text that are unpacked from a file; more is a decompression bomb."""
MOST_TEXT = 4 * MAX_TEXT
"""Characters of all texts of a file together."""
MOST_TEXTS = 1000
MOST_PARTS = 200_000
"""Chunks, segments or boxes of a file: a PNG of 250 MB in chunks of 8 KB, as most write them, has 32,000."""

_SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"


class SourceType:
    """The IPTC digital source types that Atelier writes: how far a machine made the picture."""

    TRAINED = f"{_SOURCE_TYPES}trainedAlgorithmicMedia"
    """Made by a model."""
    COMPOSITE = f"{_SOURCE_TYPES}compositeWithTrainedAlgorithmicMedia"
    """A picture from elsewhere, changed by a model."""
    ENHANCED = f"{_SOURCE_TYPES}algorithmicallyEnhanced"
    """A picture from elsewhere, enlarged, repaired or cut out."""


@dataclass(frozen=True, kw_only=True)
class Stamp:
    """What a file says of itself; None where it says nothing (or nothing readable)."""

    parameters: str | None = None
    """The text that stands where A1111 writes its own, whoever wrote it."""
    record: dict[str, Any] | None = None
    """Atelier's own record."""
    texts: dict[str, str] = field(default_factory=dict[str, str])
    """Every text by its name: a PNG's keywords; UserComment, Make, Model, ... of EXIF; comment, ... of a video; the
    XMP packet as XML:com.adobe.xmp. What ComfyUI wrote stands under prompt and workflow, in every format."""
    source_type: str | None = None
    """The IPTC digital source type (a URI), from XMP or else from a C2PA manifest, which is not checked here."""
    parts: tuple[tuple[str, int], ...] = ()
    """Chunks, segments or boxes besides the pixels, each with its bytes."""
    signed: bool = False
    """Whether a C2PA manifest is in it; utils.signing tells whether it holds."""


class Texts(dict[str, str]):
    """Texts by name, within the bounds of one file: what is too much is left out. The first of a name stays."""

    def __init__(self) -> None:
        super().__init__()
        self._left = MOST_TEXT

    @property
    def left(self) -> int:
        """Characters that the next text may have."""
        return min(self._left, MAX_TEXT) if len(self) < MOST_TEXTS else 0

    def take(self, name: str, text: str | None) -> None:
        if text is not None and name not in self and len(text) <= self.left:
            self._left -= len(text)
            self[name] = text


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a format's reader found, before it is understood."""

    texts: Texts
    parts: tuple[tuple[str, int], ...]
    manifest: bytes = field(default=b"", repr=False)
    """The C2PA manifest as it lies in the file."""


@dataclass(frozen=True, kw_only=True)
class Writing:
    """What goes into a file; what is None stays as it is there."""

    texts: Mapping[str, str]
    """By name: parameters, atelier, prompt, workflow, and others, which a PNG takes under keywords that it allows."""
    facts: Mapping[str, str]
    """Properties for XMP, as `prefix:name`."""


def document(value: Mapping[str, Any]) -> str:
    """The record as JSON with its schema version; readable letters where they can be encoded."""
    shown = json.dumps({"schema": SCHEMA, **value}, ensure_ascii=False, separators=(",", ":"))
    try:
        shown.encode()
    except UnicodeEncodeError:  # half a surrogate pair
        return json.dumps({"schema": SCHEMA, **value}, separators=(",", ":"))
    return shown


def record_of(text: str | None) -> dict[str, Any] | None:
    """The JSON object that a text is which nobody vouches for, or None."""
    try:
        record: Any = json.loads(text or "null")
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", record) if isinstance(record, dict) else None


def clean(text: str) -> str:
    """The text as every format can hold it: without NUL, which ends texts, and without halves of surrogate pairs."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def first_of(texts: Mapping[str, str], names: Iterable[str]) -> str | None:
    """The text under the first of these names that is there and not blank."""
    return next((texts[name] for name in names if texts.get(name, "").strip()), None)
