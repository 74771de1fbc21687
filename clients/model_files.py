"""InstalledModels: the weight files on this machine, each known by what it holds. It downloads nothing and loads none.

The index lies in the ledger, so that a later look reads only what changed. Several processes may share it.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from clients._model_files.changes import absence, changes
from clients._model_files.headers import Headers
from clients._model_files.hub import hub_files
from clients._model_files.places import Layout, find_comfyui, kind_named, layout
from clients._model_files.reading import CORRECTABLE, KINDS, corrected, fault_of, read
from clients._model_files.walking import Found, Walk, walk
from utils.collecting import no_collecting
from workflows.errors import BadRecipe, NotFound
from workflows.families import families, family, family_of_base_model
from workflows.folders import FOLDERS
from workflows.ports import ModelRows
from workflows.types import ModelInfo, ModelRow, Scanned

__all__ = ["InstalledModels", "find_comfyui"]

Report = Callable[[int, int], None]
PATIENCE = 3.0
"""Seconds between two looks at the folders."""
AT_ONCE = 32
"""Files that one thread reads before it tells how far it is; a scan that is cancelled ends after so many."""
THREADS = 2
"""More would only wait for each other: a header is parsed by Python."""
OTHER_SHELF = {"checkpoint": "diffusion_model", "diffusion_model": "checkpoint"}
HASHED_AT_ONCE = 64 * 1024 * 1024


class InstalledModels:
    """The ModelFiles port over folders on this machine."""

    def __init__(
        self,
        rows: ModelRows,
        roots: Sequence[Path],
        comfyui: Sequence[Path] | None = None,
        folders: Mapping[str, Sequence[Path]] | None = None,
        hub_cache: Path | None = None,
        *,
        patience: float = PATIENCE,
    ) -> None:
        """`roots`: model folders in ComfyUI's layout (checkpoints/, loras/, ...), our own first. `comfyui`:
        installations, or folders that hold some; None looks in the usual places, () uses none. `folders`: further
        folders by the kind of their files (or ComfyUI's word for it). Raises BadRecipe for a kind that is none.
        """
        self._rows = rows
        self._where = ([_plain(root) for root in roots], comfyui, _by_kind(folders or {}))
        self._hub_cache = hub_cache
        self._patience = patience
        self._looking = asyncio.Lock()
        self._looked: float | None = None
        self._layout: Layout | None = None
        self._known: dict[str, ModelRow] = {}
        self._listed: list[ModelInfo] = []
        self._by_name: dict[str, list[ModelInfo]] | None = None

    async def all(self) -> Sequence[ModelInfo]:
        """Every file, with the owner's corrections. Looks for changes first, at most every few seconds; while another
        call looks, what was known before is handed out."""
        if not self._is_fresh() and not (self._looking.locked() and self._looked is not None):
            async with self._looking:
                if not self._is_fresh():
                    await self._look(None, anew=False)
        return list(self._listed)

    async def scan(self, report: Report | None = None, *, anew: bool = False) -> Scanned:
        """Look at every folder now. What was read stays known even when the scan is cancelled on its way."""
        async with self._looking:
            return await self._look(report, anew=anew)

    async def correct(self, path: str, corrections: Mapping[str, str]) -> ModelInfo:
        """Put the owner's word above what was read; `path` may be the file's name too. Raises NotFound, BadRecipe."""
        said = _checked(corrections)
        await self.all()
        row = await self._rows.correct(self._path(path), said)
        if row is None:
            raise self._missing(path)
        self._known[row.path] = row
        self._show(list(self._known.values()))
        return corrected(row)

    async def hash_of(self, path: str | Path) -> str:
        """The SHA-256 of a file in lower-case hex: from its side-car, from an earlier call, or computed now (some
        seconds per gigabyte) and kept. Raises NotFound when it cannot be read."""
        row = self._known.get(str(path))
        if row is not None and row.info.facts.sha256:
            return row.info.facts.sha256
        digest = await _sha256(Path(path))
        row = self._known.get(str(path))
        if row is not None:
            known = row.but(info=row.info.but(facts=row.info.facts.but(sha256=digest)))
            await self._rows.replace([known], ())
            self._known[row.path] = known
            self._show(list(self._known.values()))
        return digest

    def path_of(self, name: str, kind: str | None = None) -> Path | None:
        """Where the file of that name lies, from what the last look found: its path, its name with folders, its file
        name, or that without the suffix. None when there is none, or several of different names are meant."""
        if self._by_name is None:
            self._by_name = _named(self._listed)
        row = self._known.get(name)
        found = [corrected(row)] if row else self._by_name.get(_spelled(name), [])
        fitting = [info for info in found if info.path and (kind is None or info.kind == kind)]
        exact = [info for info in fitting if _spelled(info.name) == _spelled(name)]
        best = exact or fitting
        return Path(best[0].path) if best and best[0].path and (exact or len(best) == 1) else None

    def family_of(self, kind: str, name: str) -> str | None:
        """The family of the file of that name; None when it is not known for sure, or no such file is. A bare model
        may lie among the checkpoints."""
        path = self.path_of(name, kind) or (self.path_of(name, OTHER_SHELF[kind]) if kind in OTHER_SHELF else None)
        info = corrected(self._known[str(path)]) if path else None
        return None if info is None or info.guessed or info.family == "unknown" else info.family

    def folder_for(self, kind: str, destination: str = "auto") -> str:
        """Where a file of that kind belongs: in ComfyUI's folders when there is one, else in our own.

        `destination`: auto, a model root, a ComfyUI installation, or a folder below one of them. The folder need not
        be there yet. It looks at the disk only when no look was made before. Raises BadRecipe.
        """
        folder = FOLDERS.get(kind)
        if folder is None:
            raise BadRecipe("kind", kind, f"it is one of {', '.join(FOLDERS)}")
        there = self._layout or layout(*self._where)
        if destination == "auto":
            wished = [place.folder for place in there.places if place.default and place.kind == kind]
            return str(wished[0] if wished else there.roots[0] / folder)
        return str(_destination(destination, kind, folder, there))

    # looking

    def _is_fresh(self) -> bool:
        return self._looked is not None and time.monotonic() - self._looked < self._patience

    async def _look(self, report: Report | None, *, anew: bool) -> Scanned:
        began = time.monotonic()
        rows = {row.path: row for row in await self._rows.all()}
        there, walked = await asyncio.to_thread(_walked, self._where, self._hub_cache)
        found = changes(rows, walked, there, anew=anew)
        await self._read(found.stale, rows, report)
        await self._rows.replace((), found.gone)
        if found.stale or found.gone:
            rows = {row.path: row for row in await self._rows.all()}
        self._layout = there
        self._show([rows[path] for path in walked.files if path in rows])
        self._looked = time.monotonic()
        faults = (f"{info.path}: {fault}" for info in self._listed if (fault := fault_of(info)))
        return Scanned(
            folders=tuple(str(place.folder) for place in there.places),
            files=len(self._listed),
            added=len(found.added),
            changed=len(found.changed),
            gone=len(found.gone),
            unreadable=(*walked.notes, *absence(found.absent, there.searched), *faults),
            seconds=round(time.monotonic() - began, 3),
        )

    async def _read(self, files: Sequence[Found], known: Mapping[str, ModelRow], report: Report | None) -> None:
        """Read files on a few threads; after each round their rows are kept, and `report` hears of it."""
        headers = Headers()
        for first in range(0, len(files), AT_ONCE * THREADS):
            some = files[first : first + AT_ONCE * THREADS]
            shares = [asyncio.to_thread(_rows_of, some[turn::THREADS], headers, known) for turn in range(THREADS)]
            await self._rows.replace([row for share in await asyncio.gather(*shares) for row in share], ())
            if report is not None:
                report(min(first + len(some), len(files)), len(files))

    def _show(self, rows: Sequence[ModelRow]) -> None:
        self._known = {row.path: row for row in rows}
        self._listed = [corrected(row) for row in rows]
        self._by_name = None

    def _path(self, name: str) -> str:
        found = None if name in self._known else self.path_of(name)
        return str(found) if found else name

    def _missing(self, path: str) -> NotFound:
        known = [info.name for info in self._listed]
        return NotFound("weight file", path, known, hint="list_models tells the files of this machine.")


Where = tuple[Sequence[Path], Sequence[Path] | None, Mapping[str, Sequence[Path]]]


def _walked(where: Where, hub_cache: Path | None) -> tuple[Layout, Walk]:
    with no_collecting():
        there = layout(*where)
        walked = walk(there)
    if hub_cache is not None and hub_cache.is_dir():
        there = replace(there, present=(*there.present, hub_cache), searched=(*there.searched, hub_cache))
        for file in hub_files(hub_cache):
            walked.files.setdefault(file.path, file)
    return there, walked


def _rows_of(files: Sequence[Found], headers: Headers, known: Mapping[str, ModelRow]) -> list[ModelRow]:
    with no_collecting():
        return [read(file, headers, known.get(file.path)) for file in files]


def _by_kind(folders: Mapping[str, Sequence[Path]]) -> Mapping[str, Sequence[Path]]:
    kinds: dict[str, list[Path]] = {}
    for name, given in folders.items():
        kind = kind_named(name)
        if kind is None:
            raise BadRecipe("folders", name, f"the kinds are {', '.join(FOLDERS)}")
        kinds.setdefault(kind, []).extend(_plain(folder) for folder in given)
    return kinds


def _plain(path: Path) -> Path:
    """Without ~ and dots; links stay, because the owner's names of places are the ones to show."""
    return Path(os.path.normpath(os.path.expanduser(path)))  # noqa: PTH111  which raises for a home that is nobody's


def _checked(corrections: Mapping[str, str]) -> dict[str, str]:
    said = {name: word.strip() for name, word in corrections.items()}
    for name, word in said.items():
        if name not in CORRECTABLE:
            raise BadRecipe("correction", name, f"it is one of {', '.join(CORRECTABLE)}")
        if name == "family" and word:
            said[name] = word if word in families() else family_of_base_model(word) or family(word).profile.name
        if name == "kind" and word and word not in KINDS:
            raise BadRecipe("kind", word, f"it is one of {', '.join(KINDS)}")
    return said


def _destination(wished: str, kind: str, folder: str, there: Layout) -> Path:
    path = _plain(Path(wished))
    if path in there.installations:
        return path / "models" / folder
    if path in there.roots:
        return path / folder
    own = [root / folder for root in there.roots] + [place.folder for place in there.places if place.kind == kind]
    if any(path == one or one in path.parents for one in own):
        return path
    allowed = ", ".join(str(root) for root in there.roots)
    raise BadRecipe("destination", wished, f"it is auto, or one of the model folders: {allowed}")


async def _sha256(path: Path) -> str:
    """In pieces, so that it can be cancelled: a file may have 20 GB."""
    digest = hashlib.sha256()
    at, more = 0, True
    try:
        while more:
            more = await asyncio.to_thread(_hash_some, path, at, digest.update)
            at += HASHED_AT_ONCE
    except OSError as error:
        raise NotFound("weight file", str(path), hint=f"It cannot be read: {error.strerror or error}.") from error
    return digest.hexdigest()


def _hash_some(path: Path, at: int, update: Callable[[bytes], None]) -> bool:
    with path.open("rb") as file:
        file.seek(at)
        left = HASHED_AT_ONCE
        while left and (piece := file.read(min(left, 1024 * 1024))):
            update(piece)
            left -= len(piece)
    return not left


def _named(infos: Sequence[ModelInfo]) -> dict[str, list[ModelInfo]]:
    found: dict[str, list[ModelInfo]] = {}
    for info in infos:
        name = _spelled(info.name)
        alone = name.rpartition("/")[2]
        for spelling in {name, alone, name.rpartition(".")[0], alone.rpartition(".")[0]}:
            found.setdefault(spelling, []).append(info)
    return found


def _spelled(name: str) -> str:
    return name.replace("\\", "/").casefold()
