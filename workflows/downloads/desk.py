"""Where downloads are planned, begun, followed and taken up again. What one does meanwhile is in `run`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from workflows.downloads import placing
from workflows.downloads.fetching import Fetcher, Snapshots
from workflows.downloads.log import DownloadLog, Entry
from workflows.downloads.run import DownloadRun, Listener, progress
from workflows.errors import BadRecipe, NotFound, Refused, StorageError, StudioError
from workflows.ports import ModelFiles, ModelSource
from workflows.types import Download, ModelInfo, Offer, now
from workflows.types.values import Value

log = logging.getLogger("atelier.downloads")

CONSENT_ABOVE = 2_000_000_000
"""Bytes that are not fetched before somebody agreed."""
AT_ONCE = 2
MAX_WAITING = 50
"""Downloads that may wait at once; more is a runaway caller."""
MAX_RUNS = 5
"""Starts of one download over restarts, before it is given up."""
POLL_SECONDS = 0.5
"""How often a download of another process is looked up while someone waits for it."""
PIPELINE = "pipeline"
"""The kind of an offer that is a whole folder of files, which its source keeps in a cache of its own."""
SCHEMES: Mapping[str, str] = {
    "civitai:": "civitai",
    "urn:air:": "civitai",
    "air:": "civitai",
    "hf:": "huggingface",
    "huggingface:": "huggingface",
}
HOSTS: Mapping[str, str] = {"civitai": "civitai", "huggingface": "huggingface", "hf.co": "huggingface"}
REFERENCES = (
    "it is civitai:MODEL@VERSION, hf:OWNER/NAME, hf:OWNER/NAME/FILE.safetensors or the URL of a page of these sites; "
    "search_models gives references"
)


class Plan(Value):
    """What a download would do."""

    reference: str
    destination: str = "auto"
    offer: Offer
    folder: str
    """Where the file would go by what its source says; its header decides."""
    free: int
    """Bytes free on that disk."""
    installed: str = ""
    """The path of the same file, where it is here already."""

    @property
    def needs_consent(self) -> bool:
        """Whether somebody has to agree: it is large, or nobody knows how large."""
        return not self.installed and (self.offer.size is None or self.offer.size > CONSENT_ABOVE)

    @property
    def question(self) -> str:
        size = "unknown size" if self.offer.size is None else f"{self.offer.size / 1e9:.2f} GB"
        licence = f", licence {self.offer.facts.licence}" if self.offer.facts.licence else ""
        told = f"Download {self.offer.name} ({size}{licence}) from {self.offer.source} to {self.folder}?"
        return f"{told} {self.free / 1e9:.1f} GB are free there."


@dataclass(kw_only=True)
class Downloads:
    """Enter it to work, leave it to stop; what still runs is left behind as interrupted, with what arrived."""

    sources: Mapping[str, ModelSource]
    fetch: Fetcher
    files: ModelFiles
    journal: Path
    """Folder of the small files that outlive the process."""
    pickles: bool = False
    """Whether the owner allows files that can run code when they are opened."""
    adult: bool = False
    """Whether the owner allows models made for adult pictures."""
    changed: Callable[[], object] = lambda: None
    """Called when a new file is here."""
    free: Callable[[Path], int] = placing.room
    _runs: dict[str, DownloadRun] = field(default_factory=dict[str, DownloadRun], init=False)
    _known: dict[str, Download] = field(default_factory=dict[str, Download], init=False)
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE), init=False)
    _starting: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    def __post_init__(self) -> None:
        self._log = DownloadLog(self.journal)

    async def __aenter__(self) -> Self:
        await self.recent()
        return self

    async def __aexit__(self, *_: object) -> None:
        runs = list(self._runs.values())
        for run in runs:
            run.stop("interrupted")
        await asyncio.gather(*(run.ended.wait() for run in runs))

    # ------------------------------------------------------------------ what faces may ask

    async def plan(self, reference: str, version: str | None = None, destination: str = "auto") -> Plan:
        """What a download would do. Raises BadRecipe, NotFound, Refused, ServiceError; nothing is written."""
        offer = await self._source(reference).offer(reference.strip(), version)
        self._permit(offer)
        installed = ""
        if offer.kind == PIPELINE:
            folder = str(self._snapshots(offer).cache)
            room = await asyncio.to_thread(self.free, Path(folder))
        else:
            placing.check_name(offer.name, self.pickles)
            folder = await asyncio.to_thread(self.files.folder_for, placing.likely_kind(offer), destination)
            room = await asyncio.to_thread(self.free, Path(folder))
            installed = await self._installed(offer)
        return Plan(
            reference=reference.strip(),
            destination=destination,
            offer=offer,
            folder=folder,
            free=room,
            installed=installed,
        )

    async def start(self, plan: Plan) -> Download:
        """Begin what was planned; the consent is the caller's to have. The same file twice is one download."""
        async with self._starting:
            twin = await asyncio.to_thread(self._twin, plan.offer)
            if twin is not None:
                return twin
            if plan.installed:
                return await self._here_already(plan)
            if len(self._runs) >= MAX_WAITING:
                raise BadRecipe("reference", plan.reference, f"{MAX_WAITING} downloads wait already: cancel some")
            before = await asyncio.to_thread(self._unfinished, plan.offer)
            download = before or Download(reference=plan.reference, offer=plan.offer)
            download = download.but(offer=plan.offer, destination=plan.destination, state="queued", note="")
            part = None if plan.offer.kind == PIPELINE else placing.quarantine(Path(plan.folder), plan.offer)
            return await self._begin(DownloadRun(download=download, part=part))

    async def find(self, download_id: str) -> Download:
        """Raises NotFound with the ids that are most like it."""
        run = self._runs.get(download_id)
        if run is not None:
            return run.download
        entry = await asyncio.to_thread(self._log.read, download_id)
        if entry is None:
            raise NotFound("download", download_id, self._known, "get_queue lists those that run.")
        found = self._known[download_id] = await asyncio.to_thread(self._as_it_is, entry)
        return found

    def known(self, download_id: str) -> Download | None:
        """A download of this home, as this process last saw it; None for what is no download."""
        run = self._runs.get(download_id)
        return run.download if run else self._known.get(download_id)

    async def wait(self, download_id: str, seconds: float, listener: Listener | None = None) -> Download:
        """The download at its end, or as it is after `seconds`. Giving up the wait does not touch it."""
        run = self._runs.get(download_id)
        if run is not None:
            return await run.watch(seconds, listener)
        deadline = asyncio.get_running_loop().time() + seconds
        download = await self.find(download_id)
        while download.state in {"queued", "running"} and asyncio.get_running_loop().time() < deadline:
            if listener is not None:
                listener(progress(download))
            await asyncio.sleep(POLL_SECONDS)
            download = await self.find(download_id)
        return download

    async def cancel(self, download_id: str) -> Download:
        """Stop it. What arrived is kept, and another start goes on there. One that has ended stays as it is."""
        run = self._runs.get(download_id)
        if run is not None:
            run.stop("cancelled")
            await run.ended.wait()
            return run.download
        download = await self.find(download_id)
        if download.state in {"queued", "running"}:
            words = "another Atelier process on this machine is at it; cancel it there"
            raise BadRecipe("job_id", download_id, words)
        if not download.ended:
            download = download.but(state="cancelled", updated=now())
            entry = await asyncio.to_thread(self._log.read, download_id)
            assert entry is not None
            await self._save(entry.but(download=download))
        return download

    def active(self) -> list[Download]:
        """Those of this process that wait or run, in the order in which they were asked for."""
        return [run.download for run in self._runs.values()]

    async def recent(self, limit: int = 20) -> list[Download]:
        """The latest of all processes, newest first."""
        entries = await asyncio.to_thread(self._log.all)
        for entry in entries:
            self._known[entry.download.id] = entry.download
        latest = entries[-limit:][::-1]
        return [await asyncio.to_thread(self._as_it_is, entry) for entry in latest]

    async def recover(self, resume: bool) -> list[Download]:
        """Take over the unfinished downloads of processes that are gone: go on, or mark them interrupted."""
        entries = await asyncio.to_thread(self._log.all)
        orphans = [entry for entry in entries if not entry.download.ended and entry.download.id not in self._runs]
        return [await self._adopt(entry, resume) for entry in orphans if await asyncio.to_thread(self._free, entry)]

    # ------------------------------------------------------------------ steps of a start

    def _source(self, reference: str) -> ModelSource:
        text = reference.strip().lower()
        name = next((source for scheme, source in SCHEMES.items() if text.startswith(scheme)), None)
        if name is None and text.startswith(("https://", "http://")):
            host = text.split("/")[2]
            name = next((source for word, source in HOSTS.items() if word in host), None)
        if name is None and text.partition("@")[0].isdecimal():
            name = "civitai"
        if name is None or name not in self.sources:
            raise BadRecipe("reference", reference, REFERENCES)
        return self.sources[name]

    def _snapshots(self, offer: Offer) -> Snapshots:
        source = self.sources[offer.source]
        if not isinstance(source, Snapshots):
            raise BadRecipe("reference", offer.reference, f"{offer.source} gives single files only")
        return source

    def _permit(self, offer: Offer) -> None:
        facts = offer.facts
        if facts.nsfw and (facts.minor or facts.real_person):
            raise Refused("This model may not be downloaded here, whatever the settings are.", "models")
        if facts.nsfw and not self.adult:
            raise Refused("This model is made for adult pictures, which the owner has not allowed here.", "models")

    async def _installed(self, offer: Offer) -> str:
        """The path of a file with the same content, as far as hashes are known."""
        if not offer.sha256:
            return ""
        same = offer.sha256.lower()
        return next((one.path for one in await self.files.all() if one.path and one.facts.sha256.lower() == same), "")

    def _twin(self, offer: Offer) -> Download | None:
        """The same file on its way here, in this process or another."""
        entries = [entry for entry in self._log.all() if not entry.download.ended]
        same = (entry for entry in entries if _same(entry.download.offer, offer) and not self._free(entry))
        return next((self._as_it_is(entry) for entry in same), None)

    def _unfinished(self, offer: Offer) -> Download | None:
        """An interrupted download of the same file: it goes on under its own id."""
        entries = [entry.download for entry in self._log.all() if not entry.download.ended]
        return next((download for download in entries if _same(download.offer, offer)), None)

    async def _here_already(self, plan: Plan) -> Download:
        infos = await self.files.all()
        info = next((one for one in infos if one.path == plan.installed), None)
        download = Download(
            reference=plan.reference,
            destination=plan.destination,
            offer=plan.offer,
            state="succeeded",
            received=plan.offer.size or 0,
            path=plan.installed,
            info=info,
            note="The same file was here already.",
        )
        await self._save(Entry(download=download))
        return download

    async def _begin(self, run: DownloadRun) -> Download:
        download_id = run.download.id
        if not await asyncio.to_thread(self._log.take, download_id):
            return await self.find(download_id)
        try:
            await self._save(run.entry)
        except BaseException:
            await asyncio.to_thread(self._log.let_go, download_id)
            raise
        self._runs[download_id] = run
        begun = asyncio.Event()
        run.task = asyncio.create_task(self._work(run, begun), name=f"download {download_id}")
        await begun.wait()  # a task that is cancelled before its first step runs none of its code, its end included
        return run.download

    async def _adopt(self, entry: Entry, resume: bool) -> Download:
        download = entry.download
        if entry.runs >= MAX_RUNS:
            fault = f"Given up after {entry.runs} starts: the process ended each time while it ran."
            return await self._settled(entry, state="failed", fault=fault)
        if not resume:
            return await self._settled(entry, state="interrupted")
        part = Path(entry.part) if entry.part else None
        return await self._begin(DownloadRun(download=download.but(state="queued"), part=part, runs=entry.runs + 1))

    async def _settled(self, entry: Entry, **changes: Any) -> Download:
        download = entry.download.but(**changes, updated=now())
        await self._save(entry.but(download=download))
        return download

    async def _save(self, entry: Entry) -> None:
        self._known[entry.download.id] = entry.download
        await asyncio.to_thread(self._log.write, entry)

    def _free(self, entry: Entry) -> bool:
        return not self._log.worked_on(entry.download.id)

    def _as_it_is(self, entry: Entry) -> Download:
        """What its file says; one whose process is gone does not run, whatever the file says."""
        run = self._runs.get(entry.download.id)
        if run is not None:
            return run.download
        stale = entry.download.state in {"queued", "running"} and self._free(entry)
        return entry.download.but(state="interrupted") if stale else entry.download

    # ------------------------------------------------------------------ the task

    async def _work(self, run: DownloadRun, begun: asyncio.Event) -> None:
        begun.set()
        try:
            async with self._slots:
                run.change(state="running")
                await self._save(run.entry)
                await (self._pipeline(run) if run.part is None else self._file(run, run.part))
        except asyncio.CancelledError:
            run.change(state=run.stopping, speed=None, seconds_left=None)
        except StudioError as error:
            run.change(state="failed", fault=str(error), speed=None, seconds_left=None)
        except Exception:  # the top of the task: the download must not stay "running" for ever
            log.exception("download %s broke", run.download.id)
            fault = "Something broke inside Atelier; its log (stderr) has the details."
            run.change(state="failed", fault=fault, speed=None, seconds_left=None)
        finally:
            run.closing = True
            await self._close(run)

    async def _close(self, run: DownloadRun) -> None:
        try:
            await self._save(run.entry)
            dropped = await asyncio.to_thread(self._log.forget_oldest)
            for entry in dropped:
                self._known.pop(entry.download.id, None)
                if entry.part and entry.download.state != "succeeded":
                    await self.fetch.discard(Path(entry.part))
        except StudioError as error:
            log.warning("download %s: %s", run.download.id, error)
        finally:
            self._runs.pop(run.download.id, None)
            await asyncio.to_thread(self._log.let_go, run.download.id)
            run.ended.set()

    async def _pipeline(self, run: DownloadRun) -> None:
        offer = run.download.offer
        folder = await self._snapshots(offer).snapshot(offer, run.arrived)
        name = offer.reference.partition(":")[2].partition("@")[0]
        info = ModelInfo(
            name=name, family=offer.family or "unknown", engine="diffusers", size=offer.size, facts=offer.facts
        )
        self.changed()
        self._done(run, str(folder), info)

    async def _file(self, run: DownloadRun, part: Path) -> None:
        offer = run.download.offer
        there = part.with_name(offer.name)
        if await asyncio.to_thread(placing.same_file, there, offer.sha256):
            run.change(note="The same file was here already.")
        else:
            there = await self._fetched(run, part)
        await self._take_in(run, there)

    async def _fetched(self, run: DownloadRun, part: Path) -> Path:
        offer = run.download.offer

        def check(first: bytes) -> None:
            placing.check_first(offer.name, first, self.pickles)

        headers = await self.sources[offer.source].headers(offer)
        sha256 = await self.fetch.fetch(offer, headers, part, run.arrived, check)
        return await self._placed(run, part, sha256)

    async def _placed(self, run: DownloadRun, unchecked: Path, sha256: str) -> Path:
        """Read the header, and move the file where that says. Raises BadRecipe, and nothing stays."""
        offer, destination = run.download.offer, run.download.destination
        try:
            found = await asyncio.to_thread(placing.recognised, unchecked, offer.name)
        except StudioError:
            await asyncio.to_thread(unchecked.unlink, missing_ok=True)
            raise
        kind = placing.kind_of(found, offer)
        folder = Path(await asyncio.to_thread(self.files.folder_for, kind, destination))
        path, was_there = await asyncio.to_thread(placing.place, unchecked, folder, offer.name, sha256)
        if was_there:
            run.change(note="The same file was here already.")
        elif path.name != offer.name:
            run.change(note=f"Another file had the name {offer.name}, so this one is {path.name}.")
        return path

    async def _take_in(self, run: DownloadRun, path: Path) -> None:
        """The side-car, the index, the end."""
        await asyncio.to_thread(placing.write_side_car, path, run.download.offer.side_car)
        info: ModelInfo | None = None
        try:
            await self.files.scan()
            info = next((one for one in await self.files.all() if one.path and Path(one.path) == path), None)
        except StorageError as error:  # the file is here; the next scan finds it
            run.change(note=f"{run.download.note} It is not indexed yet: {error}".strip())
        self.changed()
        self._done(run, str(path), info)

    def _done(self, run: DownloadRun, path: str, info: ModelInfo | None) -> None:
        size = run.download.offer.size or run.download.received
        run.change(state="succeeded", path=path, info=info, received=size, speed=None, seconds_left=None)


def _same(one: Offer, other: Offer) -> bool:
    """Whether two offers are of the same bytes."""
    return one.reference == other.reference or (bool(one.sha256) and one.sha256.lower() == other.sha256.lower())
