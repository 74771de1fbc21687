"""InputPictures: pictures, videos and other files by reference, from an allowed folder, an https URL or a data URI;
never from elsewhere. What a file is, its content says and never its name."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import os
import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

from clients._addresses import REDIRECTED, Resolve, is_public, pinned, resolve
from clients._http import check_answer, service_errors
from utils import images
from utils.sounds import sniff_sound
from utils.video import sniff_video
from workflows.errors import BadRecipe, ServiceUnavailable
from workflows.ports import SourceKind
from workflows.types import Media

if TYPE_CHECKING:
    import httpx2

MAX_DOWNLOAD = 25_000_000
DOWNLOAD_SECONDS = 20.0
MAX_FILE = 200_000_000
"""Bytes of a video or sound; of JSON a tenth."""
FILE_SECONDS = 120.0
"""For the download of one that may have so many."""
REDIRECTS = 3
FORMS = (
    "pass a gallery image id, a path below a folder named in ATELIER_ALLOWED_ROOTS, an https:// URL, "
    "or a data:image/png;base64,... URI (PNG, JPEG or WebP)"
)

VIDEO_FORMS = (
    "pass a gallery id, a path below a folder named in ATELIER_ALLOWED_ROOTS, an https:// URL, or a "
    "data:video/mp4;base64,... URI (MP4, WebM, animated GIF or WebP)"
)
FILE_FORMS = f"{VIDEO_FORMS[:-1]}; PNG, JPEG; WAV, MP3, FLAC, OGG; JSON)"
TOLD: Mapping[SourceKind, str] = {"image": FORMS, "video": VIDEO_FORMS, "any": FILE_FORMS}
"""What may be passed instead, by what is wanted."""

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")  # two letters at least: C: is a drive
_DATA = re.compile(r"data:[^,;]*(?:;[^,;]*)*;base64,", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class _Wish:
    """What is asked for, by what reference."""

    reference: str
    kind: SourceKind

    @property
    def forms(self) -> str:
        return TOLD[self.kind]

    @property
    def noun(self) -> str:
        return {"image": "picture", "video": "video"}.get(self.kind, "file")

    @property
    def most(self) -> int:
        """Bytes of a download."""
        return MAX_DOWNLOAD if self.kind == "image" else MAX_FILE

    @property
    def seconds(self) -> float:
        return DOWNLOAD_SECONDS if self.kind == "image" else FILE_SECONDS

    def refusal(self, allowed: str) -> BadRecipe:
        argument = {"image": "input_image", "video": "input_video"}.get(self.kind, "file")
        return BadRecipe(argument, self.reference.strip()[:200], allowed)


class InputPictures:
    """The Sources port. `resolver` and `transport` stand for the network, so that tests can bring their own."""

    def __init__(
        self,
        allowed_roots: tuple[Path, ...],
        resolver: Resolve = resolve,
        transport: Callable[[], httpx2.AsyncBaseTransport] | None = None,
    ) -> None:
        self._roots = allowed_roots
        self._resolve = resolver
        self._transport = transport or _direct

    async def open(self, reference: str, kind: SourceKind = "image") -> Media:
        """The file as it is, known by its content: what it says of itself is for the content rules to read.

        A picture is known to be whole, of a video or sound only the beginning. Raises BadRecipe (input_image,
        input_video, file) for what may not be read or is something else, ServiceError when a URL fails.
        """
        wish = _Wish(reference=reference, kind=kind)
        content = await self._read(reference.strip(), wish)
        return Media(data=content, media_type=await asyncio.to_thread(_media_type, content, wish))

    async def _read(self, reference: str, wish: _Wish) -> bytes:
        scheme = _SCHEME.match(reference)
        match scheme.group().lower() if scheme else "":
            case "data:":
                return await asyncio.to_thread(_from_data_uri, reference, wish)
            case "https:":
                return await self._download(reference, wish)
            case "file:":
                return await asyncio.to_thread(self._from_path, _path_of_url(reference, wish), wish)
            case "":
                return await asyncio.to_thread(self._from_path, reference, wish)
            case other:
                raise wish.refusal(f"{other} references are not read; {wish.forms}")

    def _from_path(self, written: str, wish: _Wish) -> bytes:
        if not self._roots:
            raise wish.refusal(f"no folder is open for input pictures: set ATELIER_ALLOWED_ROOTS, or {wish.forms}")
        # A UNC path would make Windows log in at a stranger's server merely by looking.
        path = None if written.startswith(("//", "\\\\")) or "\0" in written else self._below_roots(written)
        content = _file_content(path) if path is not None else None
        if content is None:
            folders = ", ".join(str(root) for root in self._roots)
            raise wish.refusal(
                f"there is no such file below the folders in ATELIER_ALLOWED_ROOTS ({folders}); {wish.forms}"
            )
        if len(content) > images.MAX_BYTES:
            raise wish.refusal(f"the file has more than {images.MAX_BYTES:,} bytes")
        return content

    def _below_roots(self, written: str) -> Path | None:
        """The real path, links followed, when it lies below a root; a relative path is tried below each."""
        for root in self._roots:
            try:
                path = (root / Path(written).expanduser()).resolve()
                if path.is_relative_to(root.resolve()) and path.is_file():
                    return path
            except (OSError, RuntimeError, ValueError):  # too long, a loop of links, a home of nobody
                continue
        return None

    async def _download(self, reference: str, wish: _Wish) -> bytes:
        import httpx2

        try:
            async with asyncio.timeout(wish.seconds):
                return await self._follow(httpx2.URL(reference), wish)
        except httpx2.InvalidURL as error:
            raise wish.refusal(f"it is, or redirects to, no valid URL ({error}); {wish.forms}") from error
        except TimeoutError as error:
            said = f"{reference[:200]} did not give its {wish.noun} within {wish.seconds:g} s. Try again later."
            raise ServiceUnavailable(said) from error

    async def _follow(self, url: httpx2.URL, wish: _Wish) -> bytes:
        import httpx2

        transport = await asyncio.to_thread(self._transport)  # reads the certificates from disk
        async with httpx2.AsyncClient(transport=transport, timeout=wish.seconds, trust_env=False) as client:
            for _ in range(REDIRECTS + 1):
                answer = await self._fetch(client, url, wish)
                if isinstance(answer, bytes):
                    return answer
                url = answer
        raise wish.refusal(f"it redirects more than {REDIRECTS} times")

    async def _fetch(self, client: httpx2.AsyncClient, url: httpx2.URL, wish: _Wish) -> bytes | httpx2.URL:
        """The body, or where the answer sends us."""
        address = await self._public_address(url, wish)
        request = pinned(client, url, address)
        with service_errors(url.host):
            response = await client.send(request, stream=True)
            try:
                check_answer(response, url.host)
                if response.status_code in REDIRECTED and "location" in response.headers:
                    return url.join(response.headers["location"])
                return await _body(response, wish)
            finally:
                await response.aclose()

    async def _public_address(self, url: httpx2.URL, wish: _Wish) -> str:
        if url.scheme != "https" or not url.host or url.userinfo:
            raise wish.refusal("only https:// URLs without a password are read, redirects included")
        try:
            addresses = await self._resolve(url.raw_host.decode("ascii").strip("[]"), url.port or 443)
        except OSError as error:
            raise ServiceUnavailable(
                f"The name {url.host} could not be resolved: {error.strerror or error}."
            ) from error
        if not addresses or not all(is_public(address) for address in addresses):
            raise wish.refusal(f"{url.host} is not a public address; {wish.noun}s of this network are read from a path")
        return addresses[0]


def _direct() -> httpx2.AsyncBaseTransport:
    import httpx2

    return httpx2.AsyncHTTPTransport(trust_env=False)


def _media_type(content: bytes, wish: _Wish) -> str:
    """What the file is. Raises BadRecipe where that is not what is wanted."""
    moving = sniff_video(content)
    if wish.kind == "image" or (wish.kind == "any" and moving is None and images.sniff(content)):
        return _picture(content, wish, moving)
    if len(content) > MAX_FILE:
        raise wish.refusal(f"a file has at most {MAX_FILE:,} bytes, this one {len(content):,}")
    if wish.kind == "video" and moving is None:
        seen = "it is a picture, of which image_to_video makes a video" if images.sniff(content) else "it is no video"
        raise wish.refusal(f"{seen}; {wish.forms}")
    found = moving or sniff_sound(content) or _json(content)
    if found is None:
        raise wish.refusal(f"its content is none of what is read; {wish.forms}")
    return found


def _picture(content: bytes, wish: _Wish, moving: str | None) -> str:
    try:
        images.decode(content)
    except images.BadPicture as error:
        seen = "it is a video, which extend_video and interpolate_frames take" if moving else str(error)
        raise wish.refusal(f"{seen}; {wish.forms}") from error
    return images.sniff(content) or ""


def _json(content: bytes) -> str | None:
    """Whether it is a JSON object or list."""
    if len(content) > MAX_FILE // 10 or content.lstrip()[:1] not in {b"{", b"["}:
        return None
    try:
        json.loads(content)
    except (ValueError, RecursionError):
        return None
    return "application/json"


def _from_data_uri(reference: str, wish: _Wish) -> bytes:
    start = _DATA.match(reference[:200])
    if start is None:
        raise wish.refusal(f"a data URI must be base64; {wish.forms}")
    if len(reference) > images.MAX_BYTES * 4 // 3 + 200:
        raise wish.refusal(f"the {wish.noun} has more than {images.MAX_BYTES:,} bytes")
    try:
        return base64.b64decode("".join(reference[start.end() :].split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise wish.refusal(f"its base64 is damaged ({error}); {wish.forms}") from error


def _path_of_url(reference: str, wish: _Wish) -> str:
    parts = urlsplit(reference)
    if parts.netloc not in {"", "localhost"}:
        raise wish.refusal(f"a file:// URL must name this machine; {wish.forms}")
    return url2pathname(parts.path)


def _file_content(path: Path) -> bytes | None:
    """At most one byte more than MAX_BYTES of a regular file; the last step may no longer be a link."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(handle, "rb") as file:
            return file.read(images.MAX_BYTES + 1) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else None
    except OSError:
        return None


async def _body(response: httpx2.Response, wish: _Wish) -> bytes:
    if response.status_code != 200:
        raise wish.refusal(f"its server answers {response.status_code}; give a URL that anyone may open")
    if response.headers.get("content-encoding", "identity") != "identity":
        raise ServiceUnavailable(f"{response.url.host} sends a compressed answer that was not asked for.")
    content = bytearray()
    async for piece in response.aiter_raw():
        content += piece
        if len(content) > wish.most:
            raise wish.refusal(f"the download has more than {wish.most:,} bytes")
    return bytes(content)
