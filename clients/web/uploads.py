"""Uploads: a file as the body of a request, which no form of another site's page can send."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote

from starlette.requests import Request

from clients.web.bodies import read_bytes
from clients.web.faults import BadRequest

MAX_UPLOAD = 64_000_000
"""Bytes."""
KINDS = ("image/png", "image/jpeg", "image/webp", "image/gif", "video/mp4", "video/webm", "video/x-matroska")
MAX_NAME = 200


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A file that a browser sent."""

    content: bytes
    media_type: str
    name: str
    """As the user's machine calls it, without folders; "" where it was not told."""


async def read_upload(request: Request) -> Upload:
    """Raises BadRequest for another type, or too much."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    content = await read_bytes(request, MAX_UPLOAD)
    if media_type not in KINDS:
        allowed = ", ".join(KINDS)
        raise BadRequest(f"The picture comes as the body, with the header Content-Type: {allowed}; not {media_type!r}.")
    return Upload(content=content, media_type=media_type, name=_name(request.headers.get("x-filename", "")))


def _name(told: str) -> str:
    """Percent-encoded, because a header holds no other letters."""
    plain = unquote(told, errors="replace").replace("\\", "/").rpartition("/")[2]
    return "".join(letter for letter in plain if letter.isprintable())[:MAX_NAME]
