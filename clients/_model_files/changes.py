"""What changed between the rows that are known and the files that are there. Pure."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from clients._model_files.places import Layout
from clients._model_files.walking import Found, Walk
from workflows.types import ModelRow


@dataclass(frozen=True, kw_only=True)
class Changes:
    added: tuple[Found, ...]
    changed: tuple[Found, ...]
    gone: tuple[str, ...]
    absent: tuple[str, ...]
    """Known paths of whose folders nothing can be said now: a disk that is not there, a folder that is closed."""

    @property
    def stale(self) -> tuple[Found, ...]:
        return (*self.added, *self.changed)


def changes(known: Mapping[str, ModelRow], walk: Walk, layout: Layout, *, anew: bool = False) -> Changes:
    """A file is gone when its folder could be looked through and it was not there."""
    added = tuple(file for path, file in walk.files.items() if path not in known)
    present = _beginnings(layout.present)
    unread = _beginnings(walk.unread)
    missing = [path for path in known.keys() - walk.files.keys() if path.startswith(present)]
    closed = {path for path in missing if f"{path}{os.sep}".startswith(unread)} if unread else set[str]()
    roots = _beginnings([*layout.searched])
    lost = (path for path in known.keys() - walk.files.keys() if roots and path.startswith(roots))
    return Changes(
        added=added,
        changed=tuple(file for path, file in walk.files.items() if path in known and (anew or _is_stale(file, known))),
        gone=tuple(sorted(set(missing) - closed)),
        absent=tuple(sorted((set(lost) - set(missing)) | closed)),
    )


def absence(absent: Collection[str], searched: Iterable[Path]) -> list[str]:
    """A line for each place that is not there now though files of it are known."""
    counted = {str(root): sum(path.startswith(f"{root}{os.sep}") for path in absent) for root in searched}
    return [
        f"{root} cannot be looked through now, or a part of it; {count:,} files known there are kept for later"
        for root, count in counted.items()
        if count
    ]


def _is_stale(file: Found, known: Mapping[str, ModelRow]) -> bool:
    row = known[file.path]
    return row.signature != file.signature or row.info.name != file.name


def _beginnings(folders: Iterable[Path | str]) -> tuple[str, ...]:
    return tuple(f"{folder}{os.sep}" for folder in folders)
