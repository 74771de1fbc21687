"""What huggingface_hub's cache holds: whole pipelines, and single weight files. It only lists; nothing is fetched."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from clients._model_files.walking import PIPELINE, Found, signature
from utils.small_files import read_small

WEIGHTS = (".safetensors", ".sft", ".gguf")
LARGEST_DEPTH = 4
MOST_REVISION = 1_000
"""Bytes of a file that names a commit."""


def hub_files(cache: Path) -> Iterator[Found]:
    """Each repository's current snapshot: a pipeline under the repository's name, or its single weight files.

    Repositories of the transformers library (config.json beside the weights) hold no picture model, nor do parts of a
    model that was split (-00001-of-00003). Blocking.
    """
    for repository in sorted(cache.glob("models--*")):
        with suppress(OSError):  # closed to us, or deleted meanwhile
            yield from list(_of_repository(repository))


def _of_repository(repository: Path) -> Iterator[Found]:
    name = repository.name.removeprefix("models--").replace("--", "/")
    snapshot = _current(repository)
    if snapshot is None:
        return
    index = snapshot / PIPELINE
    if index.is_file():
        stat = index.stat()
        sign = signature("checkpoint", stat.st_size, stat.st_mtime_ns, (snapshot.name,))
        yield Found(path=str(snapshot), name=name, kind="checkpoint", size=0, signature=sign, pipeline=True)
    elif not (snapshot / "config.json").exists():
        yield from _single(snapshot, name)


def _current(repository: Path) -> Path | None:
    """The snapshot that main stands at; without that the newest one."""
    try:
        revision = read_small(repository / "refs" / "main", MOST_REVISION).decode().strip()
    except (OSError, ValueError):
        revision = ""
    snapshots = repository / "snapshots"
    if revision and revision.isalnum() and (snapshots / revision).is_dir():
        return snapshots / revision
    try:
        dated = [(entry.stat().st_mtime_ns, entry.path) for entry in os.scandir(snapshots) if entry.is_dir()]
    except OSError:
        return None
    return Path(max(dated)[1]) if dated else None


def _single(snapshot: Path, repository: str) -> Iterator[Found]:
    for path in sorted(snapshot.rglob("*")):
        below = path.relative_to(snapshot)
        if path.suffix.lower() not in WEIGHTS or len(below.parts) > LARGEST_DEPTH or "-of-" in path.stem:
            continue
        if not path.is_file() or (path.parent / "config.json").exists():
            continue
        stat = path.stat()
        sign = signature("other", stat.st_size, stat.st_mtime_ns)
        name = f"{repository}/{below.as_posix()}"
        yield Found(path=str(path), name=name, kind="other", size=stat.st_size, signature=sign)
