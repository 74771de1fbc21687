"""ComfyUI's `extra_model_paths.yaml`: folders of weights outside of the installation, as ComfyUI itself reads them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from utils.small_files import read_small
from workflows.folders import kind_of_folder, plain_folder

MOST_BYTES = 256 * 1024
"""Of such a file; a real one has one or two KB, and YAML is read slowly."""
MOST_MERGED = 1_000


@dataclass(frozen=True, kw_only=True)
class ExtraFolder:
    """One folder that a file names for a kind of weights."""

    folder: Path
    shelf: str
    """Today's name of ComfyUI's own folder for such files, such as loras."""
    default: bool = False
    """New files of the kind are meant to go there."""


def extra_folders(file: Path) -> tuple[list[ExtraFolder], list[str]]:
    """The folders that such a file names, and what was wrong with it; a file that is not there names none.

    Paths are relative to `base_path`, and that to the file; several stand in one value, a line each.
    """
    import yaml

    try:
        sections = _table(_parsed(read_small(file, MOST_BYTES)))
    except FileNotFoundError:
        return [], []
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())[:200]
        return [], [f"{file} was passed over: {reason}"]
    return [folder for section in sections.values() for folder in _section(_table(section), file.parent)], []


def _parsed(raw: bytes) -> object:
    """The YAML as plain values. Merges (`<<`) of merges multiply, so they are counted. Raises ValueError, YAMLError."""
    import yaml

    class Bounded(yaml.SafeLoader):
        def flatten_mapping(self, node: yaml.MappingNode) -> None:
            super().flatten_mapping(node)
            if len(node.value) > MOST_MERGED:
                raise ValueError(f"a table in it has more than {MOST_MERGED:,} values")

    return yaml.load(raw, Bounded)


def _section(section: Mapping[str, Any], beside: Path) -> Iterator[ExtraFolder]:
    base = _path(section.get("base_path"), beside) or beside
    default = str(section.get("is_default", "")).lower() in {"true", "1", "yes"}
    for name, value in section.items():
        if not isinstance(value, str) or kind_of_folder(name) in {None, "other"}:
            continue
        for line in value.splitlines():
            folder = _path(line.strip(), base)
            if folder is not None and folder != Path(folder.anchor):  # a whole disk is nobody's folder of models
                yield ExtraFolder(folder=folder, shelf=plain_folder(name), default=default)


def _path(text: object, base: Path) -> Path | None:
    if not isinstance(text, str) or not text or "\0" in text:
        return None
    # os.path: pathlib raises for a home that is nobody's
    return Path(os.path.normpath(base / os.path.expanduser(os.path.expandvars(text))))  # noqa: PTH111


def _table(found: object) -> dict[str, Any]:
    table = cast(dict[object, Any], found) if isinstance(found, dict) else {}
    return {name: value for name, value in table.items() if isinstance(name, str)}
