"""Programs of Debian's packages that tests need: found, or installed where this machine may do that."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from filelock import FileLock

LOCK = Path(tempfile.gettempdir()) / "atelier-tests-apt.lock"
"""Two test runs on one machine install one after the other."""


def have(program: str, *packages: str) -> bool:
    """Whether `program` is on this machine; apt-get is asked for `packages` when it is not and we are root."""
    if shutil.which(program):
        return True
    if not (packages and shutil.which("apt-get") and os.geteuid() == 0):
        return False
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    with FileLock(LOCK):
        for step in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
            subprocess.run(["apt-get", "-qq", *step], check=False, capture_output=True, env=quiet)
    return shutil.which(program) is not None
