"""What was learned of files and hashes, kept as small JSON files in a folder. Blocks: for threads, not for a loop."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from utils.civitai import number_of, table_of, text_of
from workflows.errors import StorageError

BLOCK = 1 << 22
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Record:
    """What CivitAI said of a hash. `version` None: that it does not know it."""

    asked: float
    """Seconds since 1970."""
    version: dict[str, Any] | None
    model: dict[str, Any] | None


class Records:
    """A folder of answers by hash, and of hashes by file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, sha256: str) -> Record | None:
        """None where nothing was kept, or it cannot be read."""
        said = _read(self._folder / f"{sha256}.json")
        asked = number_of(said.get("asked"))
        if asked is None or said.get("sha256") != sha256 or "version" not in said:
            return None
        return Record(asked, table_of(said["version"]) or None, table_of(said.get("model")) or None)

    def keep(self, sha256: str, record: Record) -> None:
        whole = {"sha256": sha256, "asked": record.asked, "version": record.version, "model": record.model}
        write(self._folder / f"{sha256}.json", json.dumps(whole))

    def sha256_of(self, path: Path) -> str:
        """Of a file's bytes, read only when it has changed since the last time. Raises OSError."""
        real = path.resolve(strict=True)
        if real.parent.name == "blobs" and _SHA256.fullmatch(real.name):
            return real.name  # the Hugging Face cache names large files so
        state = real.stat()
        mark = [str(real), state.st_size, state.st_mtime_ns]
        place = hashlib.sha256(os.fsencode(real)).hexdigest()
        note = self._folder / "files" / f"{place}.json"
        known = _read(note)
        told = text_of(known.get("sha256"))
        if known.get("file") == mark and _SHA256.fullmatch(told):
            return told
        with real.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        write(note, json.dumps({"file": mark, "sha256": found}))
        return found


def write(path: Path, text: str) -> None:
    """Whole or not at all. Raises StorageError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name[:40]}.{uuid4().hex}.part")
        try:
            part.write_text(text, encoding="utf-8", errors="surrogatepass")
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"{path} could not be written: {error.strerror or error}.") from error


def _read(path: Path) -> dict[str, Any]:
    try:
        return table_of(json.loads(path.read_bytes()))
    except (OSError, ValueError, RecursionError):
        return {}
