"""What lies in a bucket: its description, and the headers and checksums that describe it. Pure; no network."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote, unquote

PREFIX = "x-amz-meta-"
DIGEST = "sha256"
"""Metadata key under which every object of ours says what its bytes are; written after no other than those bytes."""
METADATA_BYTES = 1900
"""S3 allows 2 KB of metadata of one's own; the digest needs some of it."""
_KEY = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")


@dataclass(frozen=True, kw_only=True)
class Stored:
    """An object as the server tells it. Lists tell no media type and no metadata."""

    key: str
    size: int
    """Bytes."""
    etag: str
    """Without quotes: the MD5 of the bytes, or of the MD5s of its parts and their number; other servers' own."""
    modified: datetime | None = None
    media_type: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def sha256(self) -> str | None:
        """Of the bytes, when it was put by us."""
        return self.metadata.get(DIGEST)


@dataclass(frozen=True, kw_only=True)
class ObjectPage:
    """Some objects in the order of their keys; `next` is where to go on (start_after), None at the end."""

    objects: tuple[Stored, ...]
    next: str | None = None


def headers_of(metadata: Mapping[str, str]) -> dict[str, str]:
    """Percent-encoded headers, since HTTP carries ASCII alone. Raises ValueError for a key or an amount that no
    server takes."""
    for key in metadata:
        if not key or set(key) - _KEY:
            raise ValueError(f"metadata key {key!r} cannot be kept: use small letters, digits and '-'.")
    headers = {f"{PREFIX}{key}": quote(text, safe=" /:,;=+()!*'@") for key, text in metadata.items()}
    if sum(len(key) + len(text) for key, text in headers.items()) > METADATA_BYTES:
        raise ValueError(f"the metadata is over {METADATA_BYTES} bytes when encoded; keep long texts in the picture.")
    return headers


def metadata_in(headers: Mapping[str, str]) -> dict[str, str]:
    """What `headers_of` was given; foreign metadata comes as it is."""
    low = {name.lower(): text for name, text in headers.items()}
    return {name.removeprefix(PREFIX): unquote(text) for name, text in low.items() if name.startswith(PREFIX)}


def etag_of(content: bytes, part_bytes: int) -> str:
    """The ETag that a server gives these bytes when they came in parts of this size."""
    if len(content) <= part_bytes:
        return _md5(content).hex()
    view = memoryview(content)
    parts = [_md5(view[start : start + part_bytes]) for start in range(0, len(content), part_bytes)]
    return f"{_md5(b''.join(parts)).hex()}-{len(parts)}"


def attachment(name: str) -> str:
    """A Content-Disposition that saves the file under `name`, whatever letters it has (RFC 6266)."""
    flat = " ".join(name.replace("/", "_").replace("\\", "_").split()) or "picture"
    plain = "".join(mark if mark.isascii() and mark.isprintable() and mark not in '"%' else "_" for mark in flat)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(flat, safe='')}"


def _md5(content: bytes | memoryview) -> bytes:
    return hashlib.md5(content, usedforsecurity=False).digest()
