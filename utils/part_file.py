"""PartFile: a file that arrives piece by piece and survives every kind of end; it knows of no network.

Beside the file it is to be lie `<name>.part` with the bytes so far and `<name>.part.json` with what they are of.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, cast

STRETCH = 64 << 20
"""Bytes that are read again in one go: a caller can stop between two stretches."""
IDENTITY = ("reference", "sha256", "size")


class PartFile:
    """Blocking: call it from a thread. Methods raise OSError; one caller at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.part = path.with_name(f"{path.name}.part")
        self.note = path.with_name(f"{path.name}.part.json")
        self.received = 0
        self.etag = ""
        self._origin: dict[str, Any] = {}
        self._digest = hashlib.sha256()
        self._hashed = 0
        self._file: BinaryIO | None = None

    def begin(self, origin: Mapping[str, Any]) -> None:
        """Open it. What is there is kept when it comes of the same `origin`: reference, sha256 and size."""
        before = _read(self.note)
        self._origin = dict(origin)
        kept = self.part.exists() and all(before.get(key) == origin.get(key) for key in IDENTITY)
        self.etag = str(before.get("etag") or "") if kept else ""
        # Unbuffered, so that what was written outlives a killed process.
        self._file = cast(BinaryIO, self.part.open("r+b" if kept else "w+b", buffering=0))
        self.received = self._file.seek(0, os.SEEK_END)
        self._write_note()

    def catch_up(self) -> bool:
        """Hash a stretch of what was there before; True when all of it is hashed."""
        file = self._opened()
        file.seek(self._hashed)
        ends = min(self._hashed + STRETCH, self.received)
        while self._hashed < ends:
            block = file.read(min(1 << 20, ends - self._hashed))
            self._digest.update(block)
            self._hashed += len(block)
        file.seek(self.received)
        return self._hashed == self.received

    def of(self, etag: str) -> None:
        """Write down which version of the file the bytes are of."""
        if etag != self.etag:
            self.etag = etag
            self._write_note()

    def anew(self) -> None:
        """Throw away what arrived."""
        file = self._opened()
        file.seek(0)
        file.truncate()
        self._digest, self._hashed, self.received = hashlib.sha256(), 0, 0
        self.of("")

    def write(self, piece: bytes | bytearray) -> None:
        view = memoryview(piece)
        while view:  # an unbuffered file may take less than all, and a full disk takes what still fits
            taken = self._opened().write(view)
            self._digest.update(view[:taken])
            self.received += taken
            self._hashed += taken
            view = view[taken:]

    def head(self, count: int) -> bytes:
        """The first bytes."""
        file = self._opened()
        file.seek(0)
        first = file.read(count)
        file.seek(self.received)
        return first

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def keep(self) -> None:
        """Make it the whole file, on the disk before it has its name."""
        os.fsync(self._opened().fileno())
        self.close()
        self.part.replace(self.path)
        self.note.unlink(missing_ok=True)

    def discard(self) -> None:
        """Leave nothing."""
        self.close()
        self.part.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _opened(self) -> BinaryIO:
        assert self._file is not None, "begin comes first"
        return self._file

    def _write_note(self) -> None:
        fresh = self.note.with_name(f"{self.note.name}.new")
        fresh.write_text(json.dumps(self._origin | {"etag": self.etag}), encoding="utf-8")
        fresh.replace(self.note)


def _read(note: Path) -> dict[str, Any]:
    """Empty when it is not there or damaged: then nothing is known of the part."""
    try:
        told = json.loads(note.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return cast(dict[str, Any], told) if isinstance(told, dict) else {}
