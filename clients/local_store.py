"""LocalStore: artifacts as files below one folder (the embedded default). A key is there whole or not at all."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import re
import threading
import time
import uuid
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from workflows.errors import NotFound, StorageError
from workflows.types import Location, Media

log = logging.getLogger("atelier.store")

MAX_KEY = 400
STALE_SECONDS = 3600
"""A file still being written is younger than this; an older one was left by a process that died."""
INCOMING = ".incoming"
"""Folder of unfinished files: below the root, so that renaming stays within one disk; never a key, see _SEGMENT."""

MEDIA_TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".gif": "image/gif",
    ".mp4": "video/mp4",
    ".webm": "video/webm",
    ".wav": "audio/wav",
    ".mp3": "audio/mpeg",
    ".flac": "audio/flac",
    ".ogg": "audio/ogg",
    ".m4a": "audio/mp4",
    ".json": "application/json",
    ".txt": "text/plain",
    ".glb": "model/gltf-binary",
    ".obj": "model/obj",
    ".svg": "image/svg+xml",
    ".exr": "image/x-exr",
}

# No leading dot, no trailing dot or space (Windows drops them), nothing but these letters.
_SEGMENT = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,118}[A-Za-z0-9_-])?")
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?", re.IGNORECASE)

_REMEDIES = {
    errno.ENOSPC: "The disk is full: free some space, or set ATELIER_HOME to a folder on another disk",
    errno.EDQUOT: "The disk quota is used up: free some space, or set ATELIER_HOME to a folder on another disk",
    errno.EFBIG: "The system's limit on file size is too low: raise it (ulimit -f)",
    errno.EACCES: "Give this user the right to write there, or set ATELIER_HOME to another folder",
    errno.EPERM: "Give this user the right to write there, or set ATELIER_HOME to another folder",
    errno.EROFS: "That disk is read-only: set ATELIER_HOME to another folder",
}


class LocalStore:
    """The Store port on the file system. `root` is made when it is missing; the media type is told by the suffix."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._opened: Path | None = None
        self._opening = threading.Lock()

    async def put(self, key: str, media: Media) -> None:
        """Keep the bytes under `key`, replacing what was there. Raises StorageError."""
        await asyncio.to_thread(self._put, key, media.data)

    async def get(self, key: str) -> Media:
        """Raises NotFound when no file is there, StorageError when it cannot be read."""
        content = await asyncio.to_thread(self._get, key)
        return Media(data=content, media_type=MEDIA_TYPES.get(Path(key).suffix.lower(), "application/octet-stream"))

    async def delete(self, key: str) -> None:
        """Remove the file and the folders that it leaves empty; what is not there is no error."""
        await asyncio.to_thread(self._delete, key)

    async def locate(self, key: str) -> Location:
        """Path and file:// URL of the key, whether or not a file is there."""
        path = await asyncio.to_thread(self._path, key)
        return Location(path=str(path), url=path.as_uri())

    async def keys(self, prefix: str) -> Sequence[str]:
        """All keys that start with `prefix`, sorted."""
        return await asyncio.to_thread(self._keys, prefix)

    def _put(self, key: str, content: bytes) -> None:
        path = self._path(key)
        with _storage_errors("written to", path):
            unfinished = self._open_root() / INCOMING / f"{uuid.uuid4().hex}.tmp"
            try:
                _write(unfinished, content)
                _move(unfinished, path)
            finally:
                unfinished.unlink(missing_ok=True)

    def _get(self, key: str) -> bytes:
        path = self._path(key)
        try:
            with _storage_errors("read from", path, may_miss=True):
                return path.read_bytes()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise NotFound("file", key, hint=f"It is not at {path}; it was deleted, or moved by hand.") from error

    def _delete(self, key: str) -> None:
        path = self._path(key)
        with suppress(FileNotFoundError, NotADirectoryError), _storage_errors("deleted from", path, may_miss=True):
            path.unlink()
        for folder in path.parents:
            if folder == self._open_root():
                return
            with suppress(OSError):  # not empty, or another process was faster: both are fine
                folder.rmdir()

    def _keys(self, prefix: str) -> list[str]:
        root = self._open_root()
        start = root.joinpath(*[part for part in prefix.split("/")[:-1] if _SEGMENT.fullmatch(part)])
        found: list[str] = []
        for folder, folders, files in os.walk(start):
            folders[:] = [name for name in folders if _SEGMENT.fullmatch(name)]
            below = Path(folder).relative_to(root)
            found += [(below / name).as_posix() for name in files if _SEGMENT.fullmatch(name)]
        return sorted(key for key in found if key.startswith(prefix))

    def _path(self, key: str) -> Path:
        """Where the key lies. Raises StorageError for a key that could leave the root or not exist everywhere."""
        parts = key.split("/")
        safe = all(_SEGMENT.fullmatch(part) and not _RESERVED.fullmatch(part) for part in parts)
        if len(key) > MAX_KEY or not safe:
            raise StorageError(
                f"{key[:80]!r} cannot be a storage key: use names of letters, digits, '.', '_' and '-' "
                f"joined by '/', at most {MAX_KEY} characters."
            )
        root = self._open_root()
        path = root.joinpath(*parts)
        if path.resolve() != path:
            raise StorageError(f"{path} passes through a symbolic link; remove the link, pictures are not kept there.")
        return path

    def _open_root(self) -> Path:
        """The root, resolved; made and swept of left-over files on first use."""
        with self._opening:
            if self._opened is None:
                with _storage_errors("kept in", self._root):
                    (self._root / INCOMING).mkdir(parents=True, exist_ok=True)
                    self._opened = self._root.resolve()
                    _sweep(self._opened / INCOMING)
            return self._opened


TURNS = 8
"""How often a folder is made anew that deletes next door keep taking away."""


def _sweep(folder: Path) -> None:
    before = time.time() - STALE_SECONDS
    for path in folder.glob("*.tmp"):
        with suppress(FileNotFoundError):  # another process sweeps too
            if path.stat().st_mtime < before:
                path.unlink()
                log.info("removed %s, left by a process that died while writing", path)


def _write(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _move(unfinished: Path, path: Path) -> None:
    """Rename into place and make the rename itself survive a power cut."""
    made: list[Path] = []
    for turns_left in reversed(range(TURNS)):
        try:
            made += _make_folders(path.parent)
            unfinished.replace(path)
            break
        except (FileNotFoundError, FileExistsError):  # a delete next door took the empty folder away again
            if not turns_left:
                raise
    for folder in {path.parent, *(folder.parent for folder in made)}:
        _sync_folder(folder)


def _make_folders(folder: Path) -> list[Path]:
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return missing


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows cannot open folders; NTFS journals the rename itself
        return
    with suppress(FileNotFoundError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def _storage_errors(done: str, path: Path, *, may_miss: bool = False) -> Generator[None]:
    """OSError becomes StorageError with the path and the next step; with `may_miss` a missing file stays itself."""
    try:
        yield
    except OSError as error:
        if may_miss and isinstance(error, FileNotFoundError | NotADirectoryError):
            raise
        remedy = _REMEDIES.get(error.errno or 0, "Check the folder, or set ATELIER_HOME to another one")
        raise StorageError(f"The picture could not be {done} {path}: {error.strerror or error}. {remedy}.") from error
