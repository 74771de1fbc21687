"""Small files that lie about, such as side-cars and settings, read whole: never more than was agreed, never a pipe."""

from __future__ import annotations

import os
import stat
from pathlib import Path


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
