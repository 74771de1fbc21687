"""Downloader: one file over HTTP into a part file, resumed after cuts and checked to the last byte; it chooses none."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import json
import re
import shutil
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from clients._http import USER_AGENT, check_answer, service_errors
from utils.part_file import PartFile
from workflows.downloads.fetching import Arrived, Check, Report, Speed
from workflows.errors import (
    AccessDenied,
    NotFound,
    RateLimited,
    ServiceError,
    ServiceUnavailable,
    StorageError,
    StudioError,
)
from workflows.types import Offer

if TYPE_CHECKING:
    import httpx2

SETTINGS: Mapping[str, str] = {"civitai": "CIVITAI_API_KEY", "huggingface": "HF_TOKEN"}
"""Which setting holds the key of a source."""
PIECE = 1 << 20
"""Bytes that are gathered before they are written: a thread is entered for each."""
HEAD = 16
"""First bytes by which a file is looked at before the rest is fetched."""
TRIES = 5
"""Attempts in a row that bring nothing new, before it is given up."""
HOPS = 10
"""Redirects that are followed."""
RESERVE = 256 << 20
"""Bytes that stay free on the disk."""
ROUGHLY = 1024
"""Bytes by which the size in a catalogue may be off: CivitAI tells kibibytes."""
LONGEST_PAUSE = 60.0
LONGEST_WORDS = 200
"""Characters that are repeated of what a server says."""
MOST_REFUSAL = 1 << 16
"""Bytes of a refusal that are read."""
_RANGE = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+)")


@dataclass(kw_only=True)
class Downloader:
    """The Fetcher port. Seconds; `transport`, `pause`, `clock` and `free` stand for network, time and disk in tests."""

    transport: Callable[[], httpx2.AsyncBaseTransport] | None = None
    connect_timeout: float = 20.0
    read_timeout: float = 60.0
    """Of silence on the line, after which the connection is given up and another made."""
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep
    clock: Callable[[], float] = time.monotonic
    free: Callable[[Path], int] = field(default=lambda folder: shutil.disk_usage(folder).free)

    async def fetch(
        self, offer: Offer, headers: Mapping[str, str], path: Path, report: Report, check: Check | None = None
    ) -> str:
        with _disk_errors(path):
            await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
            async with _alone(path), await asyncio.to_thread(self._client) as client:
                transfer = _Transfer(
                    self, client, offer, headers, PartFile(path), Speed(self.clock), report, check or _anything
                )
                try:
                    return await transfer.run()
                finally:
                    transfer.part.close()

    def _client(self) -> httpx2.AsyncClient:
        """On a thread: the library reads files when it is imported."""
        import httpx2

        timeout = httpx2.Timeout(self.read_timeout, connect=self.connect_timeout)
        return httpx2.AsyncClient(timeout=timeout, transport=self.transport() if self.transport else None)

    async def discard(self, path: Path) -> None:
        with _disk_errors(path):
            await asyncio.to_thread(PartFile(path).discard)


class _Unlike(ServiceUnavailable):
    """What the server has now is not what the part is of: begin anew."""


@dataclass
class _Transfer:
    """One call of fetch."""

    by: Downloader
    client: httpx2.AsyncClient
    offer: Offer
    headers: Mapping[str, str]
    part: PartFile
    speed: Speed
    report: Report
    check: Check
    looked: bool = False

    @property
    def host(self) -> str:
        return self.offer.url.split("/")[2] if "://" in self.offer.url else self.offer.source

    async def run(self) -> str:
        origin = {"reference": self.offer.reference, "url": self.offer.url}
        origin |= {"size": self.offer.size, "sha256": self.offer.sha256}
        await _finished(self.part.begin, origin)
        while not await _finished(self.part.catch_up):
            self._tell(self.offer.size)
        kept = self.part.received
        if not (kept and self.offer.sha256 and self._as_promised()):
            await self._check_room(self.offer.size)
            await self._receive_all()
        if not self._as_promised() and kept:  # the disk may have lost what an earlier process wrote
            await _finished(self.part.anew)
            await self._receive_all()
        if not self._as_promised():
            await self._throw_away(self._other_hash())
        await _finished(self.part.keep)
        return self.part.sha256

    async def _receive_all(self) -> None:
        """Attempts until one comes to the end; those that bring bytes are not counted."""
        fruitless, farthest = 0, self.part.received
        while True:
            try:
                return await self._receive()
            except (ServiceUnavailable, RateLimited) as error:
                fruitless = 0 if self.part.received > farthest else fruitless + 1
                farthest = max(farthest, self.part.received)
                if isinstance(error, _Unlike):
                    await _finished(self.part.anew)
                if fruitless >= TRIES:
                    raise
                await self.by.pause(_pause_after(error, fruitless))

    async def _receive(self) -> None:
        """One request, from where the part ends to the end of the file."""
        with service_errors(self.host):
            async with self._answer() as response:
                total = await self._agreed(response)
                if total is not None and self.part.received == total:
                    return
                await self._check_room(total)
                await self._write(response, total)
        if self.part.received < (total or 0):
            raise ServiceUnavailable(f"{self.host} ended after {self.part.received:,} of {total:,} bytes.")

    @asynccontextmanager
    async def _answer(self) -> AsyncGenerator[httpx2.Response]:
        """The last answer of a chain of redirects; httpx2 takes the Authorization off for another host."""
        headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity"} | dict(self.headers)
        if self.part.received:
            headers["Range"] = f"bytes={self.part.received}-"
            if self.part.etag.startswith('"'):  # a weak one may not be asked with
                headers["If-Range"] = self.part.etag
        request = self.client.build_request("GET", self.offer.url, headers=headers)
        for _ in range(HOPS):
            response = await self.client.send(request, stream=True)
            try:
                if response.next_request is None:
                    yield response
                    return
            finally:
                await response.aclose()
            request = _safe_hop(request, response.next_request)
        raise ServiceError(f"{self.host} redirects more than {HOPS} times; give up, or try again later.")

    async def _agreed(self, response: httpx2.Response) -> int | None:
        """The file's size as the server says, when it sends what is wanted, from the byte that is wanted."""
        said = await _said(response) if response.status_code in {401, 403} else ""
        self._check_status(response, said)
        etag = response.headers.get("etag", "")
        if response.status_code == 416:
            await self._check_size(self.part.received)
            return self._whole_already(response)
        if response.status_code == 206:
            start, total = _ranged(response)
            changed = etag and self.part.etag and etag != self.part.etag
            if start != self.part.received or changed:
                raise _Unlike(f"{self.host} has another version of the file than the one that was begun.")
        else:
            length = response.headers.get("content-length", "")
            total = int(length) if length.isdecimal() else None
            if self.part.received:
                await _finished(self.part.anew)
        await self._check_size(total)
        await _finished(self.part.of, etag)
        return total

    def _check_status(self, response: httpx2.Response, said: str) -> None:
        status, setting = response.status_code, SETTINGS.get(self.offer.source)
        page = response.headers.get("content-type", "").partition(";")[0].strip() == "text/html"
        elsewhere = response.request.url.host != self.client.build_request("GET", self.offer.url).url.host
        if status in {401, 403} and elsewhere:  # a presigned address that ran out; the source gives another
            raise ServiceUnavailable(f"{response.request.url.host} does not give the file ({status}). Try again later.")
        if status in {401, 403} or (status < 300 and page):
            raise _no_entry(self.offer, response, setting or "the key of its source", self.headers, said)
        check_answer(response, self.host)
        if status in {404, 410}:
            raise NotFound("file", self.offer.reference, hint=f"{self.host} has it no longer: search for it anew.")
        if status not in {200, 206, 416}:
            raise ServiceError(f"{self.host} answered {status} when asked for {self.offer.name!r}.")
        if response.headers.get("content-encoding", "identity") != "identity":
            raise ServiceError(f"{self.host} sends {self.offer.name!r} compressed, which was not asked for.")

    def _whole_already(self, response: httpx2.Response) -> int:
        found = _RANGE.fullmatch(response.headers.get("content-range", ""))
        if found is None or int(found[2]) != self.part.received:
            raise _Unlike(f"{self.host} has a shorter file than what arrived of it.")
        return self.part.received

    async def _check_size(self, total: int | None) -> None:
        said = self.offer.size
        if total is not None and said is not None and abs(total - said) > ROUGHLY:
            words = f"{self.host} has {total:,} bytes for {self.offer.name!r}, and its catalogue says {said:,}"
            await self._throw_away(f"{words}: the file was changed. Search for it anew.")

    async def _write(self, response: httpx2.Response, total: int | None) -> None:
        most = total if total is not None else self.offer.size and self.offer.size + ROUGHLY
        gathered = bytearray()
        try:
            async for piece in response.aiter_raw():
                gathered += piece
                if len(gathered) >= PIECE:
                    await self._flush(gathered, total)
                    if most and self.part.received > most:
                        await self._throw_away(f"{self.host} sends more than the {most:,} bytes that it promised.")
        finally:  # a cut or a cancel keeps what came
            await self._flush(gathered, total)
        least = total if total is not None else self.offer.size and self.offer.size - ROUGHLY
        if least and self.part.received < least:
            raise ServiceUnavailable(f"{self.host} ended after {self.part.received:,} of {least:,} bytes.")
        if most and self.part.received > most:
            await self._throw_away(f"{self.host} sends more than the {most:,} bytes that it promised.")

    async def _flush(self, gathered: bytearray, total: int | None) -> None:
        if not gathered:
            return
        taken = bytes(gathered)
        gathered.clear()
        await _finished(self.part.write, taken)
        self._tell(total if total is not None else self.offer.size)
        if not self.looked and self.part.received >= HEAD:
            self.looked = True
            try:
                self.check(await _finished(self.part.head, HEAD))
            except StudioError:
                await _finished(self.part.discard)
                raise

    def _tell(self, size: int | None) -> None:
        self.report(Arrived(received=self.part.received, size=size, speed=self.speed.after(self.part.received)))

    def _as_promised(self) -> bool:
        return self.offer.sha256.lower() in {"", self.part.sha256}

    def _other_hash(self) -> str:
        return (
            f"The SHA-256 of {self.offer.name!r} is {self.part.sha256[:10]}..., and {self.offer.source} says "
            f"{self.offer.sha256[:10]}...: it is damaged or another file, and was thrown away. Download it again; when "
            "it happens twice, choose another version."
        )

    async def _throw_away(self, why: str) -> None:
        await _finished(self.part.discard)
        raise ServiceError(why)

    async def _check_room(self, total: int | None) -> None:
        folder = self.part.path.parent
        missing = max(0, (total or 0) - self.part.received)
        room = await asyncio.to_thread(self.by.free, folder)
        if missing and room < missing + RESERVE:
            raise StorageError(
                f"{self.offer.name!r} needs {missing / 1e9:.2f} GB more and the disk of {folder} has {room / 1e9:.2f} "
                f"GB free, {RESERVE / 1e9:.2f} GB of which stay free. Make room, or choose another destination."
            )


async def _finished(work: Callable[..., Any], *arguments: object) -> Any:
    """Do it on a thread, to its end: the part must not be written to any more when whoever waited is gone."""
    doing = asyncio.ensure_future(asyncio.to_thread(work, *arguments))
    try:
        return await asyncio.shield(doing)
    except asyncio.CancelledError:
        await asyncio.wait([doing])
        raise


def _anything(_: bytes) -> None:
    """The check of a caller who has none."""


def _ranged(response: httpx2.Response) -> tuple[int, int]:
    found = _RANGE.fullmatch(response.headers.get("content-range", ""))
    return (int(found[1] or -1), int(found[2])) if found else (-1, -1)


def _pause_after(error: StudioError, fruitless: int) -> float:
    """Seconds: what the server asks for, else one, two, four, ... after attempts that brought nothing."""
    asked = error.retry_after if isinstance(error, RateLimited) else None
    return min(asked if asked is not None else 2.0 ** max(0, fruitless - 1), LONGEST_PAUSE)


def _safe_hop(before: httpx2.Request, after: httpx2.Request) -> httpx2.Request:
    """The redirected request. Raises ServiceError for one that would leave https, but to this machine."""
    plain = after.url.scheme == "http" and before.url.scheme == "https"
    if after.url.scheme not in {"http", "https"} or (plain and not _is_loopback(after.url.host)):
        raise ServiceError(f"{before.url.host} redirects from https to {after.url.scheme}://{after.url.host}: refused.")
    return after


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def _said(refusal: httpx2.Response) -> str:
    """Why, in the server's own words: a header of the Hub's, or CivitAI's JSON; empty where there are none."""
    if words := refusal.headers.get("x-error-message", "").strip():
        return words[:LONGEST_WORDS]
    body = bytearray()
    if "json" in refusal.headers.get("content-type", ""):
        async for piece in refusal.aiter_raw():
            body += piece
            if len(body) > MOST_REFUSAL:
                return ""
    try:
        told = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        return ""
    words = cast(dict[str, object], told).get("message") if isinstance(told, dict) else ""
    return " ".join(words.split())[:LONGEST_WORDS] if isinstance(words, str) else ""


def _no_entry(
    offer: Offer, response: httpx2.Response, setting: str, headers: Mapping[str, str], said: str
) -> AccessDenied:
    how = said or (f"it answers {response.status_code}" if response.status_code >= 400 else "it sends a web page")
    known = any(name.lower() == "authorization" for name in headers)
    step = f"the key in {setting} is not let in" if known else f"it wants a key: set {setting}"
    page = f" Its page, where terms can be accepted: {offer.facts.page_url}" if offer.facts.page_url else ""
    return AccessDenied(f"{offer.source} does not give {offer.name!r} ({how.rstrip('.')}): {step}.{page}", setting)


@asynccontextmanager
async def _alone(path: Path) -> AsyncGenerator[None]:
    """One transfer to a path at a time, over all processes of the machine. Raises StorageError when there is one."""
    from filelock import FileLock, Timeout

    lock = FileLock(path.with_name(f"{path.name}.lock"), thread_local=False)
    try:
        await asyncio.to_thread(lock.acquire, timeout=0)
    except Timeout as error:
        words = "is being downloaded by another Atelier process: wait for it, or cancel it there"
        raise StorageError(f"{path.name!r} {words}.") from error
    try:
        yield
    finally:
        await asyncio.to_thread(_let_go, lock)


def _let_go(lock: object) -> None:
    from filelock import FileLock

    assert isinstance(lock, FileLock)
    with suppress(OSError):  # Windows keeps an open file
        Path(lock.lock_file).unlink(missing_ok=True)
    lock.release()


@contextmanager
def _disk_errors(path: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            words = f"The disk of {path.parent} is full. What arrived of {path.name!r} is kept"
            raise StorageError(f"{words}: make room and ask for it again, and it goes on there.") from error
        words = f"{path} cannot be written ({error.strerror or error})"
        raise StorageError(f"{words}: choose another destination, or make the folder writable.") from error
