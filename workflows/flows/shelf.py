"""The user's workflow folders: which files lie there by name, and the graph in one of them. Blocking: use a thread.

A name is looked up among the files that were found, so that no name leads out of a folder.
"""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, cast

from utils import metadata
from utils.images import BadPicture
from workflows.errors import BadRecipe, GraphRejected
from workflows.flows.bounds import MOST_BYTES, document
from workflows.importing.reading import read_recipe

MOST_FILES = 500
MOST_DEPTH = 3
MOST_PICTURE = 250_000_000
"""Bytes of a picture or video in whose metadata a graph is looked for."""
ENDINGS = (".json", ".png", ".webp", ".mp4")
MOST_NAME = 150
LINKED = "It is a link to a file outside the folder, which is not followed."


@dataclass(frozen=True)
class Opened:
    """A workflow as it was given or found. `body`: API format or the editor's, not yet looked at."""

    name: str
    body: Mapping[str, Any]
    origin: str = "given"
    item_id: str | None = None


@dataclass(frozen=True)
class Shelved:
    """A file in a folder. `fault`: why it is not opened."""

    name: str
    path: Path
    root: Path
    stamp: tuple[int, int]
    """Its time of change in nanoseconds, and its bytes."""
    fault: str = ""


@dataclass(frozen=True)
class Shelf:
    """Some folders; of two files with one name that of the later folder counts."""

    folders: Sequence[Path] = ()

    def files(self) -> dict[str, Shelved]:
        """Every workflow file by its name: its path in the folder, without the ending."""
        found: dict[str, Shelved] = {}
        for folder in self.folders:
            for one in _files(folder):
                found[one.name] = one
        return dict(sorted(found.items()))

    def signature(self) -> tuple[tuple[str, tuple[int, int]], ...]:
        """What changes when a file is added, changed or taken away."""
        return tuple((str(one.path), one.stamp) for one in self.files().values())

    def find(self, name: str) -> Shelved | None:
        """The file of that name, with or without its ending."""
        found = self.files()
        bare = name.removesuffix(Path(name).suffix) if Path(name).suffix.lower() in ENDINGS else name
        return found.get(name) or found.get(bare)


def _files(folder: Path) -> Iterator[Shelved]:
    try:
        root = folder.resolve(strict=True)
    except (OSError, RuntimeError):
        return
    for path in islice(_walk(root, MOST_DEPTH), MOST_FILES):
        name = path.relative_to(root).as_posix()
        name = name[: -len(path.suffix)]
        if len(name) <= MOST_NAME and name.isprintable():
            yield _shelved(name, path, root)


def _walk(folder: Path, depth: int) -> Iterator[Path]:
    """Files first, in their order; hidden ones and linked folders are passed over."""
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda one: one.name)
    except OSError:
        return
    for one in found:
        if (
            not one.name.startswith(".")
            and Path(one.name).suffix.lower() in ENDINGS
            and not one.is_dir(follow_symlinks=False)
        ):
            yield Path(one.path)
    for one in found:
        if depth > 1 and not one.name.startswith(".") and one.is_dir(follow_symlinks=False):
            yield from _walk(Path(one.path), depth - 1)


def _shelved(name: str, path: Path, root: Path) -> Shelved:
    try:
        if not path.resolve(strict=True).is_relative_to(root):
            return Shelved(name, path, root, (0, 0), LINKED)
        seen = path.stat()
    except (OSError, RuntimeError) as error:
        return Shelved(name, path, root, (0, 0), f"It cannot be opened ({type(error).__name__}).")
    most = MOST_BYTES if path.suffix.lower() == ".json" else MOST_PICTURE
    fault = f"It has {seen.st_size:,} bytes; at most {most:,} are read." if seen.st_size > most else ""
    fault = fault or ("" if path.is_file() else "It is no file.")
    return Shelved(name, path, root, (seen.st_mtime_ns, seen.st_size), fault)


def opened(one: Shelved) -> Opened:
    """The graph in that file. Raises BadRecipe with why there is none."""
    if one.fault:
        raise BadRecipe("workflow", one.name, one.fault.rstrip("."))
    try:
        content = _content(one)
    except OSError as error:
        raise BadRecipe("workflow", one.name, f"it cannot be read ({error.strerror})") from error
    if one.path.suffix.lower() != ".json":
        return Opened(one.name, _in_metadata(one.name, content), "folder")
    return Opened(one.name, _in_text(one.name, content), "folder")


def opened_file(content: bytes, name: str) -> Opened:
    """The graph in a file that a caller has: JSON, or a picture or video that was made with one. Raises BadRecipe."""
    shown = f"a file of {len(content):,} bytes"
    if len(content) > MOST_PICTURE:
        raise BadRecipe("workflow", shown, f"at most {MOST_PICTURE:,} bytes are read")
    begins = content[:200].removeprefix(codecs.BOM_UTF8).lstrip()
    return Opened(name, _in_text(shown, content) if begins[:1] in {b"{", b"["} else _in_metadata(shown, content))


def _content(one: Shelved) -> bytes:
    """The file as it was looked at: a link that took its place meanwhile is not followed."""
    most = MOST_BYTES if one.path.suffix.lower() == ".json" else MOST_PICTURE
    path = one.path.resolve(strict=True)
    if not path.is_relative_to(one.root):
        raise BadRecipe("workflow", one.name, LINKED.rstrip("."))
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    with os.fdopen(handle, "rb") as file:
        return file.read(most + 1)[:most]


def _in_text(name: str, content: bytes) -> Mapping[str, Any]:
    try:
        return bare(document(content.decode("utf-8-sig"), name))
    except UnicodeDecodeError as error:
        raise BadRecipe("workflow", name, "it is no text in UTF-8") from error


def _in_metadata(name: str, content: bytes) -> Mapping[str, Any]:
    """The graph that ran, else the editor's, as ComfyUI and Atelier write them into what they make."""
    try:
        found = read_recipe(metadata.read(content))
    except BadPicture as error:
        raise BadRecipe("workflow", name, f"it cannot be read ({error})") from error
    graph = (found.graph or found.workflow) if found else None
    if not graph:
        raise BadRecipe("workflow", name, "no graph is in it: ComfyUI's pictures carry theirs unless it was taken out")
    return graph


def bare(given: object) -> Mapping[str, Any]:
    """The graph out of what programs keep it in: the body of a POST /prompt. Raises GraphRejected for no object."""
    if not isinstance(given, Mapping):
        raise GraphRejected("A graph is an object of nodes: {id: {class_type, inputs}}, with at least one node.")
    body = cast("Mapping[str, Any]", given)
    inner = body.get("prompt")
    return cast("Mapping[str, Any]", inner) if isinstance(inner, Mapping) and "class_type" not in inner else body
