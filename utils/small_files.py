"""Small files, read whole and written whole: side-cars, settings, results. Never more than was agreed, never a pipe."""

from __future__ import annotations

import os
import stat
import time
from contextlib import suppress
from pathlib import Path

PART = ".part"
"""Ending of a file that is being written."""
DAY = 86_400.0


def read_small(path: Path, most: int) -> bytes:
    """The bytes of that file. Raises ValueError when it has more than `most`, or is a pipe, a device or a folder;
    OSError when it cannot be opened. It never waits for somebody to write."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    with os.fdopen(os.open(path, flags), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError("it is not a regular file")
        raw = file.read(most + 1)
    if len(raw) > most:
        raise ValueError(f"it is larger than {most // 2**20} MB" if most >= 2**20 else f"it has over {most:,} bytes")
    return raw


def write_whole(path: Path, content: bytes) -> None:
    """Write it whole or not at all, on the disk before it has its name; its folder is made. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}{PART}")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def forget_old(folder: Path, days: float) -> None:
    """Delete the files of a folder that nobody has written for so many days; what cannot be deleted stays."""
    limit = time.time() - days * DAY
    for path in folder.glob("*"):
        with suppress(OSError):
            if path.is_file() and path.stat().st_mtime < limit:
                path.unlink()
