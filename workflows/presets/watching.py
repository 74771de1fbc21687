"""Folders of preset files, read again when they change: a file that broke keeps its last good version."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from utils.small_files import read_small
from utils.strangers_text import without_controls
from workflows.presets.files import MOST_BYTES, PresetFile, read
from workflows.presets.sheet import Sheet

MOST_FILES = 200
"""Of one folder."""
MOST_OF_FOLDER = 4 * 2**20
"""Bytes that are read of one folder: its texts go through the content rules, a second for each 0.8 MB."""
UNSETTLED_NS = 2_000_000_000
"""A file that was changed so lately is looked into again, whatever its times say: the coarsest file systems count in
steps of 2 s, so that a second change can leave size and times as they were."""

Stamp = tuple[int, ...]


@dataclass
class _Seen:
    stamp: Stamp = ()
    settled: bool = True
    raw: bytes | None = field(default=None, repr=False)
    """None: what lies there is broken."""
    good: Sheet | None = None
    fault: str = ""

    def broke(self, why: str) -> None:
        self.raw = None
        self.fault = f"{why}; its last good version is used" if self.good else why


class Folder:
    """One folder of preset files. `made` turns what was read into what is kept of it; `stamp` says when a file was
    changed (its time in ns first) and its size, or nothing where it cannot."""

    def __init__(
        self, path: Path, made: Callable[[PresetFile], Sheet], stamp: Callable[[Path], Stamp] | None = None
    ) -> None:
        self._path = path
        self._made = made
        self._stamp = stamp or stamp_of
        self._seen: Mapping[str, _Seen] = {}
        self._fault = ""

    def look(self) -> bool:
        """Read what changed; whether anything did."""
        before = self._fault
        try:
            stamps = self._stamps()
        except OSError as error:  # what was read of it stays
            self._fault = f"the folder {self._path.name} cannot be read: {_reason(error)}"
            return self._fault != before
        seen = {name: self._seen.get(name) or _Seen() for name in stamps}
        gone = self._seen.keys() != seen.keys()
        self._seen = seen
        changed = [self._look_into(seen[name], name, stamp) for name, stamp in stamps.items()]
        return gone or self._fault != before or any(changed)

    @property
    def sheets(self) -> Iterator[Sheet]:
        """In the order of the files' names."""
        return (seen.good for seen in self._seen.values() if seen.good is not None)

    @property
    def faults(self) -> Iterator[str]:
        if self._fault:
            yield self._fault
        for name, seen in self._seen.items():
            told = [seen.fault] if seen.fault else []
            for fault in [*told, *(seen.good.faults if seen.good else ())]:
                yield _shown(f"{self._path.name}/{name}: {fault}")

    def _stamps(self) -> dict[str, Stamp]:
        """The files that are read and when they changed; an empty stamp for one that cannot be looked at."""
        self._fault = ""
        try:
            with os.scandir(self._path) as entries:
                # Hidden files are editors' locks and systems' notes.
                names = sorted(one.name for one in entries if one.name[0] != "." and one.name.lower().endswith(".json"))
        except FileNotFoundError:
            return {}
        stamps = {name: self._stamp(self._path / name) for name in names[:MOST_FILES]}
        kept: dict[str, Stamp] = {}
        room = MOST_OF_FOLDER
        for name, stamp in stamps.items():
            room -= min(stamp[1], MOST_BYTES) if stamp else 0
            if room >= 0:
                kept[name] = stamp
        if len(kept) < len(names):
            most = f"{MOST_FILES} files and {MOST_OF_FOLDER // 2**20} MB"
            self._fault = f"the folder {self._path.name} has more than {most}: {len(names) - len(kept)} are not read"
        return kept

    def _look_into(self, seen: _Seen, name: str, stamp: Stamp) -> bool:
        if stamp == seen.stamp and stamp and seen.settled:
            return False
        good, fault = seen.good, seen.fault
        settled = not stamp or time.time_ns() - stamp[0] > UNSETTLED_NS
        try:
            raw = read_small(self._path / name, MOST_BYTES)
            if raw != seen.raw:
                seen.good, seen.fault, seen.raw = self._made(read(raw)), "", raw
        except OSError as error:
            seen.broke(f"it cannot be read: {_reason(error)}")
        except ValueError as error:
            seen.broke(str(error))
        seen.stamp, seen.settled = stamp, settled
        return seen.good is not good or seen.fault != fault


def stamp_of(path: Path) -> Stamp:
    """Of a file that cannot be looked at: ()."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_mtime_ns, found.st_size, found.st_ino, found.st_ctime_ns


def _reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()


def _shown(fault: str) -> str:
    """Names of files need not be text, and keys of files may hold what steers a terminal."""
    return without_controls(fault.encode("utf-8", "replace").decode("utf-8"))
