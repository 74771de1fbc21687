"""MetadataFetcher: what CivitAI says of weight files: by their hash, without a key, remembered for a day."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Self, TypeVar

from clients._civitai.answers import facts_of, side_car
from clients._civitai.records import Record, Records, write
from clients._civitai.site import BACKOFF, MIN_INTERVAL, PATIENCE, Site
from utils.civitai import SITE, count_of, table_of
from workflows.errors import BadRecipe, NotFound, ServiceError, ServiceUnavailable, StorageError, StudioError
from workflows.types import ModelDefaults, ModelFacts

Result = TypeVar("Result")
Report = Callable[[int, int], None]
TTL_HOURS = 24.0
SUFFIXES = frozenset({".safetensors", ".sft", ".gguf", ".ckpt", ".pt", ".pth", ".bin"})
SIDE_CARS = (".civitai.info", ".metadata.json", ".cm-info.json")
"""Any of these beside a file says already what CivitAI would."""
GIVEN_UP = 3
"""Files in a row for which nobody answered, after which no more are asked in one go."""


class ModelMetadata(ModelFacts):
    """What is known of a file: ModelFacts, when that was said, and a note where it is older than it should be."""

    asked: datetime
    note: str = ""

    @property
    def name(self) -> str:
        return self.title

    @property
    def trigger_words(self) -> tuple[str, ...]:
        return self.triggers

    @property
    def best_parameters(self) -> ModelDefaults:
        """The median of its example pictures' own settings."""
        return self.defaults


@dataclass(frozen=True, kw_only=True)
class Updated:
    """What became of the weight files in a folder."""

    written: tuple[str, ...] = ()
    """Paths of new side-cars."""
    kept: int = 0
    """Files that had one."""
    unknown: tuple[str, ...] = ()
    """Files that CivitAI does not know."""
    failures: Mapping[str, str] = field(default_factory=dict[str, str])
    """Files that could not be asked for, with the reason."""


class MetadataFetcher:
    """By hash, from the cache where that is fresh. `fetch_...` wait in place; `afetch_...` are for an event loop.

    Raises ServiceUnavailable, RateLimited, AccessDenied, ServiceError where nobody answers and nothing is remembered;
    what is remembered is given then, with a note. StorageError where the cache or a side-car cannot be written.
    """

    def __init__(
        self,
        cache_dir: Path | str | None = None,
        base_url: str = SITE,
        ttl_hours: float = TTL_HOURS,
        min_interval: float = MIN_INTERVAL,
        *,
        backoff: float = BACKOFF,
        patience: float = PATIENCE,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`cache_dir`: a folder for the answers; none: `civitai` in Atelier's data folder. Raises ValueError.

        No key is ever sent. Other settings as CivitAIClient has them; `clock`: seconds since 1970.
        """
        self._folder = Path(cache_dir) if cache_dir is not None else _default_folder()
        self._ttl = ttl_hours * 3600
        self._clock = clock
        self._records = Records(self._folder)
        self._opened = lambda: Site(base_url, min_interval=min_interval, backoff=backoff, patience=patience)
        self._site = self._opened()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections of the asynchronous calls; the next one opens new ones."""
        await self._site.aclose()

    def fetch_for_file(self, path: Path | str) -> ModelMetadata | None:
        """Of a file, by the SHA-256 of its bytes; None when CivitAI does not know it. Raises NotFound."""
        return self._waited("fetch_for_file", lambda site: self._for_file(site, Path(path)))

    def fetch_by_hash(self, sha256: str) -> ModelMetadata | None:
        """Of the file with that SHA-256; None when CivitAI does not know it. Raises BadRecipe for what is no hash."""
        return self._waited("fetch_by_hash", lambda site: self._by_hash(site, sha256))

    def update_directory(self, folder: Path | str, recursive: bool = True, report: Report | None = None) -> Updated:
        """Write `<name>.civitai.info` beside each weight file that has no side-car; `report` hears (done, to do).

        What fails is told in the answer, and the others are done all the same. Raises NotFound for the folder.
        """
        return self._waited("update_directory", lambda site: self._update(site, Path(folder), recursive, report))

    async def afetch_for_file(self, path: Path | str) -> ModelMetadata | None:
        return await self._for_file(self._site, Path(path))

    async def afetch_by_hash(self, sha256: str) -> ModelMetadata | None:
        return await self._by_hash(self._site, sha256)

    async def aupdate_directory(
        self, folder: Path | str, recursive: bool = True, report: Report | None = None
    ) -> Updated:
        return await self._update(self._site, Path(folder), recursive, report)

    async def facts_by_hash(self, sha256: str) -> ModelFacts | None:
        """What a catalogue keeps of it: the facts alone."""
        found = await self._by_hash(self._site, sha256)
        return ModelFacts(**{name: getattr(found, name) for name in ModelFacts.model_fields}) if found else None

    def _waited(self, name: str, call: Callable[[Site], Awaitable[Result]]) -> Result:
        """Run a call on a loop of its own, with connections of its own, which cannot outlive that loop."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            pass
        else:
            raise RuntimeError(f"{name} waits in place, which would stop the running event loop: await a{name} there.")

        async def alone() -> Result:
            async with self._opened() as site:
                return await call(site)

        return asyncio.run(alone())

    async def _for_file(self, site: Site, path: Path) -> ModelMetadata | None:
        return await self._by_hash(site, await self._hash(path))

    async def _hash(self, path: Path) -> str:
        try:
            return await asyncio.to_thread(self._records.sha256_of, path)
        except FileNotFoundError as error:
            raise NotFound("file", str(path)) from error
        except OSError as error:
            raise StorageError(f"{path} could not be read: {error.strerror or error}.") from error

    async def _by_hash(self, site: Site, sha256: str) -> ModelMetadata | None:
        key = _checked(sha256)
        record, note = await self._record(site, key)
        if record.version is None:
            return None
        facts = await asyncio.to_thread(facts_of, record.version, record.model, sha256=key)
        told = {name: getattr(facts, name) for name in ModelFacts.model_fields}
        return ModelMetadata(**told, note=note, asked=datetime.fromtimestamp(record.asked, UTC))

    async def _record(self, site: Site, key: str) -> tuple[Record, str]:
        """The answer of today, else the old one with a note why."""
        known = await asyncio.to_thread(self._records.read, key)
        if known is not None and 0 <= self._clock() - known.asked < self._ttl:
            return known, ""
        try:
            fresh = await self._ask(site, key)
        except ServiceError as error:
            if known is None:
                raise
            day = datetime.fromtimestamp(known.asked, UTC).date()
            return known, f"As it was on {day}, since there is no answer now: {error}"
        await asyncio.to_thread(self._records.keep, key, fresh)
        return fresh, ""

    async def _ask(self, site: Site, key: str) -> Record:
        """A version tells neither tags nor votes nor permissions: its model is asked for them."""
        version = table_of(await site.get(f"/model-versions/by-hash/{key.upper()}"))
        if count_of(version.get("id")) is None:
            return Record(self._clock(), None, None)
        model_id = count_of(version.get("modelId"))
        model = table_of(await site.get(f"/models/{model_id}")) if model_id else {}
        parent = {name: value for name, value in model.items() if name != "modelVersions"}
        return Record(self._clock(), version, parent or None)

    async def _update(self, site: Site, folder: Path, recursive: bool, report: Report | None) -> Updated:
        files, kept = await asyncio.to_thread(_without_side_car, folder, recursive)
        written: list[str] = []
        unknown: list[str] = []
        failures: dict[str, str] = {}
        silent = 0
        for number, path in enumerate(files, 1):
            try:
                beside = await self._describe(site, path) if silent < GIVEN_UP else _give_up()
                (written if beside else unknown).append(str(beside or path))
                silent = 0
            except StudioError as error:
                failures[str(path)] = str(error)
                silent += isinstance(error, ServiceUnavailable)
            if report is not None:
                report(number, len(files))
        return Updated(written=tuple(written), kept=kept, unknown=tuple(unknown), failures=failures)

    async def _describe(self, site: Site, path: Path) -> Path | None:
        """The side-car that was written; None for a file that CivitAI does not know."""
        record, _ = await self._record(site, await self._hash(path))
        if record.version is None:
            return None
        beside = path.with_suffix(SIDE_CARS[0])
        await asyncio.to_thread(write, beside, side_car(record.version, record.model))
        return beside


def _give_up() -> None:
    raise ServiceUnavailable(f"Not asked for: CivitAI gave no answer for {GIVEN_UP} files in a row. Try again later.")


def _checked(sha256: str) -> str:
    key = sha256.strip().lower()
    if len(key) != 64 or any(letter not in "0123456789abcdef" for letter in key):
        raise BadRecipe("sha256", sha256, "it is the SHA-256 of a file, 64 hexadecimal digits")
    return key


def _default_folder() -> Path:
    import platformdirs

    return Path(platformdirs.user_data_dir("atelier", appauthor=False)) / "civitai"


def _without_side_car(folder: Path, recursive: bool) -> tuple[list[Path], int]:
    """The weight files that nobody has described, in the order of their names, and the number of the others."""
    if not folder.is_dir():
        raise NotFound("folder", str(folder))
    found = sorted(path for path in _walk(folder, recursive) if path.suffix.lower() in SUFFIXES)
    bare = [path for path in found if not any(path.with_suffix(ending).exists() for ending in SIDE_CARS)]
    return bare, len(found) - len(bare)


def _walk(folder: Path, recursive: bool) -> Iterator[Path]:
    """Files below a folder, through links, each folder once; nothing hidden."""
    seen: set[str] = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        folders[:] = [] if real in seen or not recursive else [one for one in folders if not one.startswith(".")]
        names = [] if real in seen else names
        seen.add(real)
        yield from (Path(place, name) for name in names if not name.startswith("."))
