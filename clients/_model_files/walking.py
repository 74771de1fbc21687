"""The weight files below a place, with a signature that changes when one of them or its side-cars does."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from clients._model_files.places import Layout, Place
from utils.sidecars import side_car_names

SUFFIXES = frozenset({".safetensors", ".sft", ".gguf", ".ckpt", ".pt", ".pth", ".bin"})
PIPELINE = "model_index.json"
"""A folder that holds it is one model, in diffusers' layout."""
READING = 2
"""Counted up when the same file would be read as something else, so that known rows are read anew."""
MOST_FILES = 200_000
"""Files in one place, of any sort; where there are more, somebody gave the wrong folder."""
_UNSHOWN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")

Entries = Mapping[str, os.DirEntry[str]]


@dataclass(frozen=True, kw_only=True)
class Found:
    """One weight file, or a folder in diffusers' layout."""

    path: str
    name: str
    """As ComfyUI spells it: the path below its folder."""
    kind: str
    """By the folder that it lies in."""
    size: int
    signature: str
    beside: tuple[str, ...] = ()
    """Names of its side-cars."""
    pipeline: bool = False


@dataclass
class Walk:
    """What was found, by path; the folders that could not be looked into, and why."""

    files: dict[str, Found] = field(default_factory=dict[str, Found])
    unread: list[str] = field(default_factory=list[str])
    notes: list[str] = field(default_factory=list[str])


def walk(layout: Layout) -> Walk:
    """Every file of every place. Blocking: one look at each folder, and one at each weight file and side-car."""
    found = Walk(unread=[str(path) for path in layout.blocked], notes=list(layout.notes))
    for place in layout.places:
        for file in _files(place, found):
            found.files.setdefault(file.path, file)
    return found


def file_part(signature: str) -> str:
    """The part of a signature that is about the file alone."""
    return signature.split("|")[2] if signature.count("|") >= 2 else ""


def signature(kind: str, size: int, changed: int, beside: Sequence[str] = ()) -> str:
    return "|".join([str(READING), kind, f"{size}:{changed}", *beside])


def _files(place: Place, walk: Walk) -> Iterator[Found]:
    """Links are followed; a folder that was seen on the way is not entered again."""
    pending: list[tuple[str, str]] = [(str(place.folder), "")]
    seen: set[tuple[int, int]] = set()
    count = 0
    while pending:
        folder, below = pending.pop()
        try:
            facts = os.stat(folder)  # noqa: PTH116  strings: a Path for each of 20,000 entries would cost more than all
            if (facts.st_dev, facts.st_ino) in seen:
                continue
            seen.add((facts.st_dev, facts.st_ino))
            with os.scandir(folder) as listed:
                entries = {entry.name: entry for entry in listed if _spelled(entry.name)}
        except OSError as error:
            walk.unread.append(folder)
            walk.notes.append(f"{folder} cannot be looked through: {error.strerror or error}")
            continue
        count += len(entries)
        if count > MOST_FILES:
            walk.unread.append(str(place.folder))
            walk.notes.append(f"{place.folder} holds more than {MOST_FILES:,} files; the rest was passed over")
            return
        if below and PIPELINE in entries and _is_file(entries[PIPELINE]):
            if size_of(Path(folder)):  # else it is the configuration of a single file
                yield _pipeline(place, folder, below, entries[PIPELINE])
            continue
        yield from _weights(place, folder, below, entries, walk)
        pending += [(entry.path, f"{below}{name}{os.sep}") for name, entry in entries.items() if _is_folder(entry)]


def _weights(place: Place, folder: str, below: str, entries: Entries, walk: Walk) -> Iterator[Found]:
    for name, entry in entries.items():
        stem, dot, suffix = name.rpartition(".")
        if f"{dot}{suffix}".lower() not in SUFFIXES or not stem:
            if _leads_nowhere(entry):
                walk.unread.append(entry.path)  # perhaps to a folder on a disk that is not there now
            continue
        try:
            facts = entry.stat()
            if stat.S_ISREG(facts.st_mode):
                beside = [car for car in side_car_names(stem) if car in entries]
                told = [_changed(entries[car], car[len(stem) :]) for car in beside]
                sign = signature(place.kind, facts.st_size, facts.st_mtime_ns, told)
                yield Found(
                    path=entry.path,
                    name=f"{below}{name}",
                    kind=place.kind,
                    size=facts.st_size,
                    signature=sign,
                    beside=tuple(beside),
                )
        except FileNotFoundError:  # gone since, or a link that leads nowhere
            if _leads_nowhere(entry):
                walk.unread.append(entry.path)
        except OSError as error:
            walk.unread.append(entry.path)
            walk.notes.append(f"{entry.path} cannot be looked at: {error.strerror or error}")


def _pipeline(place: Place, folder: str, below: str, index: os.DirEntry[str]) -> Found:
    facts = index.stat()
    sign = signature("checkpoint", facts.st_size, facts.st_mtime_ns)
    name = below.rstrip(os.sep)
    return Found(path=folder, name=name, kind="checkpoint", size=0, signature=sign, pipeline=True)


def _changed(entry: os.DirEntry[str], suffix: str) -> str:
    try:
        facts = entry.stat()
    except OSError:
        return f"{suffix}:0"
    return f"{suffix}:{facts.st_size}:{facts.st_mtime_ns}"


def _is_file(entry: os.DirEntry[str]) -> bool:
    """The entry keeps what it learns here, so that its facts are known even when it is gone a moment later."""
    try:
        return stat.S_ISREG(entry.stat().st_mode)
    except OSError:
        return False


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _leads_nowhere(entry: os.DirEntry[str]) -> bool:
    return entry.is_symlink() and not os.path.exists(entry.path)  # noqa: PTH110


def _spelled(name: str) -> bool:
    """Hidden ones are left out, and names that are no text or steer a terminal: they could not be stored or shown."""
    if name.startswith(".") or _UNSHOWN.search(name):
        return False
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def size_of(folder: Path) -> int:
    """Bytes of all weight files below a folder, as far as they can be looked at."""
    size = 0
    for path in folder.rglob("*"):
        if path.suffix in SUFFIXES:
            with suppress(OSError):
                facts = path.stat()
                size += facts.st_size if stat.S_ISREG(facts.st_mode) else 0
    return size
