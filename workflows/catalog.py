"""Catalog: the models that are here, whoever has them, and those that could be had. It chooses nothing itself."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from workflows import selection
from workflows.errors import BadRecipe, NotFound, ServiceError, ServiceUnavailable, StorageError, StudioError
from workflows.families import families
from workflows.merging import merged
from workflows.ports import Engine, ModelFiles, ModelRows, ModelSource
from workflows.types import FoundModel, ModelInfo, ModelKind, ModelQuery, Scanned, TrackRecord

if TYPE_CHECKING:
    from workflows.downloads import Downloads

log = logging.getLogger("atelier.catalog")

FRESH_SECONDS = 10.0
"""How long a list of models is good; a download or a scan makes a new one at once."""
RECORD_SECONDS = 300.0
"""How long the sums over the gallery's verdicts are good."""
DRAWABLE = frozenset({"checkpoint", "diffusion_model"})
SOURCES_OFF = "downloads are switched off here; the owner sets ATELIER_DOWNLOADS=on"


Report = Callable[[int, int], None]
"""Hears how many files are done, of how many."""


@dataclass(frozen=True, kw_only=True)
class LookedUp:
    """What became of files whose side-cars were asked for."""

    written: Sequence[str] = ()
    """Paths of new side-cars."""
    kept: int = 0
    """Files that had one."""
    unknown: Sequence[str] = ()
    """Files that nobody knows by their hash."""
    failures: Mapping[str, str] = field(default_factory=dict[str, str])
    """Files that could not be asked for, with the reason."""


@dataclass(frozen=True, kw_only=True)
class Stand:
    """The catalogue at one moment: every model, and for each engine what can be chosen from."""

    models: Sequence[ModelInfo]
    libraries: Mapping[str, selection.Library]
    names: Sequence[Mapping[str, Sequence[ModelInfo]]]
    """The models by each of SPELLINGS."""
    made_of: Sequence[object]
    """What the engines list, what lies on this machine, and what the judges said: while that is the same, so is this.
    """
    until: float


@dataclass(kw_only=True)
class Catalog:
    """Models from engines and disk in one list; searches and downloads where there are sources."""

    engines: Sequence[Engine]
    files: ModelFiles | None = None
    rows: ModelRows | None = None
    sources: Mapping[str, ModelSource] = field(default_factory=dict[str, ModelSource])
    downloads: Downloads | None = None
    lookup: Callable[[Path, Report], Awaitable[LookedUp]] | None = None
    """Writes side-cars for the files of a folder that have none, by what the world knows of their hashes."""
    pinned: Mapping[str, str] = field(default_factory=dict[str, str])
    """The model that the owner named for an engine: the only one that is chosen there."""
    adult: bool = False
    """Whether a search may show what was made for adult pictures."""
    _stand: Stand | None = field(default=None, init=False)
    _latest: Stand | None = field(default=None, init=False)
    """The result of the last look, however old."""
    _changes: int = field(default=0, init=False)
    _records: tuple[float, Mapping[str, TrackRecord]] = field(default=(float("-inf"), {}), init=False)
    _looking: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    # ------------------------------------------------------------------ what is here

    async def models(self, kind: str = "all") -> list[ModelInfo]:
        """Everything of that kind, in the engines' order. Raises BadRecipe for a kind that nothing is of."""
        stand = await self.stand()
        if kind not in {"all", *KINDS}:
            raise BadRecipe("kind", kind, f"it is all, {', '.join(KINDS)}")
        return [info for info in stand.models if kind in {"all", info.kind}]

    async def find(self, name: str, kinds: Collection[str] = ()) -> ModelInfo:
        """The model of that name: as the engines spell it, its file name alone, or its title. Raises NotFound."""
        stand = await self.stand()
        found = _named(stand, name, kinds)
        if found is not None:
            return found
        others = [info.plain_name for info in stand.models if not kinds or info.kind in kinds]
        raise NotFound("model", name, others, "list_models tells what is here.")

    async def known(self, name: str, kinds: Collection[str] = ()) -> ModelInfo | None:
        """As `find`; None for a name that is not in the catalogue, which an engine may know all the same."""
        with suppress(NotFound):
            return await self.find(name, kinds)
        return None

    def short_hash(self, name: str, kinds: Collection[str] = ()) -> str | None:
        """The first ten hex digits of the file's SHA-256 (AutoV2), where the last look knew them. It asks nobody, and
        nothing is read from disk for it."""
        info = _named(self._latest, name, kinds) if self._latest else None
        return info.facts.sha256[:10].lower() or None if info else None

    async def stand(self) -> Stand:
        """The catalogue now; at most FRESH_SECONDS old."""
        while (held := self._stand) is None or held.until < time.monotonic():
            async with self._looking:
                if self._stand is held:
                    changes = self._changes
                    self._latest = await self._look(self._latest)
                    if changes == self._changes:  # else it may be from before the change: once more
                        self._stand = self._latest
        return held

    async def look_ahead(self) -> None:
        """Take the first look before somebody asks; whoever asks meanwhile waits for this one."""
        try:
            await self.stand()
        except StudioError as error:  # who asks will hear of it
            log.warning("the first look at the models: %s", error)

    async def scan(self, anew: bool = False) -> Scanned:
        """Look at every folder now. Raises StorageError."""
        if self.files is None:
            return Scanned(folders=(), files=0)
        scanned = await self.files.scan(anew=anew)
        self.forget()
        return scanned

    async def look_up(self, folders: Sequence[Path], report: Report) -> LookedUp:
        """Write side-cars for the files in these folders that have none. Raises ServiceError, StorageError, NotFound,
        BadRecipe where nobody can be asked."""
        if self.lookup is None:
            raise BadRecipe("folder", "", SOURCES_OFF)
        written: list[str] = []
        kept, unknown, failures = 0, list[str](), dict[str, str]()
        for folder in folders:
            found = await self.lookup(folder, report)
            written += found.written
            unknown += found.unknown
            failures |= found.failures
            kept += found.kept
        self.forget()
        return LookedUp(written=written, kept=kept, unknown=unknown, failures=failures)

    async def correct(self, name: str, corrections: Mapping[str, str]) -> ModelInfo:
        """Put the owner's word above what a file says of itself. Raises NotFound, BadRecipe."""
        info = await self.find(name)
        if self.files is None or info.path is None:
            raise BadRecipe("model", name, "it does not lie on this machine, so nothing can be noted of it")
        corrected = await self.files.correct(info.path, corrections)
        self.forget()
        return corrected

    def forget(self) -> None:
        """Something changed: look anew when next asked."""
        self._changes += 1
        self._stand = None

    async def records(self) -> Mapping[str, TrackRecord]:
        """What the judges said of earlier pictures, by casefolded model name."""
        until, records = self._records
        if self.rows is not None and until < time.monotonic():
            with suppress(StorageError):
                records = await self.rows.records()
            self._records = (time.monotonic() + RECORD_SECONDS, records)
        return records

    async def _look(self, before: Stand | None) -> Stand:
        """What is here now. Where nothing changed it is `before` again: to know a large library takes a while."""
        await asyncio.to_thread(families)  # reads its table from the disk the first time
        *listed, files = await asyncio.gather(*(_listed(engine) for engine in self.engines), self._files())
        made_of = (*listed, files, await self.records())
        return await asyncio.to_thread(self._stand_of, made_of, before)

    async def _files(self) -> list[ModelInfo]:
        return list(await self.files.all()) if self.files is not None else []

    def _stand_of(self, made_of: tuple[Any, ...], before: Stand | None) -> Stand:
        until = time.monotonic() + FRESH_SECONDS
        if before is not None and before.made_of == made_of:
            return replace(before, until=until)
        *listed, files, records = made_of
        names = [engine.name for engine in self.engines]
        models = merged([info for rows in listed for info in rows], files, names)
        choosable = {name: [info for info in models if self._choosable(info, name)] for name in names}
        return Stand(
            models=models,
            libraries={name: selection.Library(infos, records) for name, infos in choosable.items()},
            names=[_by(spelling, models) for spelling in SPELLINGS],
            made_of=made_of,
            until=until,
        )

    def _choosable(self, info: ModelInfo, engine: str) -> bool:
        if info.engine != engine:
            return False
        pinned = self.pinned.get(engine)
        return pinned is None or info.kind not in DRAWABLE or pinned in {info.name, info.path}

    # ------------------------------------------------------------------ what could be had

    async def search(self, query: ModelQuery, source: str = "all") -> tuple[list[FoundModel], dict[str, str]]:
        """What the sources offer, in turn, and by source why one could not answer.

        Raises BadRecipe for a source that is not there, and the error itself when none answered.
        """
        if not self.sources:
            raise BadRecipe("source", source, SOURCES_OFF)
        if source not in {"all", *self.sources}:
            raise BadRecipe("source", source, f"it is all, {', '.join(self.sources)}")
        query = query.but(nsfw=query.nsfw and self.adult)
        asked = {name: port for name, port in self.sources.items() if source in {"all", name}}
        answers = await asyncio.gather(*(port.search(query) for port in asked.values()), return_exceptions=True)
        found: list[Sequence[FoundModel]] = []
        faults: dict[str, str] = {}
        for name, answer in zip(asked, answers, strict=True):
            if isinstance(answer, ServiceError):
                faults[name] = str(answer)
            elif isinstance(answer, BaseException):
                raise answer
            else:
                found.append(answer)
        if not found:
            raise _nobody_answered([answer for answer in answers if isinstance(answer, ServiceError)])
        return in_turn(found)[: query.limit], faults


KINDS = get_args(ModelKind)


def _named(stand: Stand, name: str, kinds: Collection[str]) -> ModelInfo | None:
    """The first model of that name, by the surest spelling."""
    wanted = name.replace("\\", "/").lower()
    every = (info for named in stand.names for info in named.get(wanted, ()) if not kinds or info.kind in kinds)
    return next(every, None)


def _nobody_answered(faults: Sequence[ServiceError]) -> ServiceError:
    return faults[0] if len(faults) == 1 else ServiceUnavailable(" ".join(map(str, faults)))


def in_turn(lists: Sequence[Sequence[FoundModel]]) -> list[FoundModel]:
    """The first of each list, then the second of each, ..."""
    most = max((len(one) for one in lists), default=0)
    return [one[place] for place in range(most) for one in lists if place < len(one)]


async def _listed(engine: Engine) -> list[ModelInfo]:
    """An engine that is down has nothing now."""
    with suppress(StudioError):
        return list(await engine.models())
    return []


def _by(spelling: Callable[[ModelInfo], str], models: Sequence[ModelInfo]) -> Mapping[str, Sequence[ModelInfo]]:
    found: dict[str, list[ModelInfo]] = {}
    for info in models:
        found.setdefault(spelling(info), []).append(info)
    return found


def _spelled(info: ModelInfo) -> str:
    return info.name.replace("\\", "/").lower()


def _file_name(info: ModelInfo) -> str:
    return _spelled(info).rpartition("/")[2]


def _plain(info: ModelInfo) -> str:
    return info.plain_name.lower()


def _title(info: ModelInfo) -> str:
    return info.facts.title.lower()


SPELLINGS = (_spelled, _file_name, _plain, _title)
"""How a model may be named, the surest way first."""
