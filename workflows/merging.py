"""One list out of what the engines have and what lies on this machine: pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from pathlib import PurePosixPath

from workflows.families import families
from workflows.types import ModelInfo

IN_PROCESS = "diffusers"
"""The engine that can draw with files of the model folders."""
OPENED_IN_PROCESS = frozenset({".safetensors"})


def merged(listed: Sequence[ModelInfo], files: Sequence[ModelInfo], engines: Collection[str]) -> list[ModelInfo]:
    """Every model once: an engine's row knows who draws, the file's row knows what it is.

    `listed`: the engines' own rows; `files`: those on this machine; `engines`: the names of the engines in use.
    A file belongs to a row of the same kind and name, unless their sizes say that they are two.
    """
    by_place = {_place(info): info for info in files}
    by_name: dict[tuple[str, str], list[ModelInfo]] = {}
    for info in files:
        by_name.setdefault(_alone(info), []).append(info)
    taken: set[str | None] = set()
    rows: list[ModelInfo] = []
    for row in listed:
        same = by_place.get(_place(row)) or _only(by_name.get(_alone(row), []))
        if same is None or not _same_size(row, same):
            rows.append(row)
            continue
        taken.add(same.path)
        rows.append(_better_known(row, same))
    names = {(row.kind, row.name) for row in rows}
    rest = (_usable(info, engines) for info in files if info.path not in taken)
    return [*rows, *(info for info in rest if (info.kind, info.name) not in names)]


def _better_known(row: ModelInfo, file: ModelInfo) -> ModelInfo:
    """The engine's name for it, and all that the file tells."""
    known = file.family != "unknown" and not (file.guessed and not row.guessed)
    source = file if known else row
    return file.model_copy(
        update={
            "name": row.name,
            "engine": row.engine,
            "size": row.size or file.size,
            "family": source.family,
            "guessed": source.guessed,
            "told_by": source.told_by,
            "description": row.description or file.description,
        }
    )


def _usable(info: ModelInfo, engines: Collection[str]) -> ModelInfo:
    """The file with the engine of this process, where that one can use it."""
    if info.engine or IN_PROCESS not in engines or not drawn_in_process(info, families()):
        return info
    return info.model_copy(update={"engine": IN_PROCESS})


def drawn_in_process(info: ModelInfo, known: Mapping[str, object]) -> bool:
    """Whether the in-process engine takes such a file: a whole checkpoint or a LoRA of a family with a pipeline."""
    if info.kind not in {"checkpoint", "lora"} or info.family not in known:
        return False
    if info.family not in _with_pipelines() or PurePosixPath(info.path or "").suffix not in OPENED_IN_PROCESS:
        return False
    return info.kind == "lora" or {"model", "text_encoder"} <= set(info.parts)


@cache
def _with_pipelines() -> frozenset[str]:
    """Families with a pipeline of their own or of their kin; none that is made for one purpose has its kin's."""
    kins = {one.kin for one in families().values() if one.pipelines}
    return frozenset(
        name for name, one in families().items() if one.pipelines or (one.kin in kins and not one.comfyui.special)
    )


def _place(info: ModelInfo) -> tuple[str, str]:
    return info.kind, info.name.replace("\\", "/").lower()


def _alone(info: ModelInfo) -> tuple[str, str]:
    return info.kind, info.plain_name.lower()


def _only(found: Iterable[ModelInfo]) -> ModelInfo | None:
    several = list(found)
    return several[0] if len(several) == 1 else None


def _same_size(row: ModelInfo, file: ModelInfo) -> bool:
    return row.size is None or file.size is None or row.size == file.size
