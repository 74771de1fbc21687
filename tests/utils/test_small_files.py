"""Small files: whole, bounded, and never a pipe."""

import os
from pathlib import Path

import pytest

from utils.small_files import read_small


def test_a_file_is_read_whole_up_to_the_bound(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"12345")
    assert read_small(file, 5) == b"12345"
    with pytest.raises(ValueError, match="over 4 bytes"):
        read_small(file, 4)


def test_a_pipe_and_a_device_are_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    for name in ("pipe", "zero"):
        with pytest.raises(ValueError, match="not a regular file"):
            read_small(tmp_path / name, 100)
