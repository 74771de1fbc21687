"""Files of the gallery over HTTP: whole or in part, known again by their ETag. No other host is ever named."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from clients.web.faults import Fault
from clients.web.pages import known
from clients.web.sending import Json
from workflows.types import Media

FOREVER = "private, max-age=31536000, immutable"
"""What has an id never changes; it is the user's own, so no proxy keeps it."""
SANDBOX = "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; sandbox"
"""A file that is opened by itself runs nothing, whatever is in it."""
SHOWN = (
    *("image/png", "image/jpeg", "image/webp", "image/gif", "video/mp4", "video/webm"),
    *("audio/mpeg", "audio/wav", "audio/flac", "audio/ogg"),
)
"""What a browser is told the type of; anything else is only ever saved."""
RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


@dataclass(frozen=True, kw_only=True)
class Sent:
    """A file to be sent. `etag`: without quotes; "" for what changes from one look to the next."""

    load: Callable[[], Awaitable[Media]]
    """Asked only when the browser does not have it."""
    etag: str = ""
    name: str = ""
    """To save it under; "" to show it."""


async def sent_response(sent: Sent, request: Request) -> Response:
    """The file, the part of it that is asked for, or word that the browser's copy is good. Raises what loading does."""
    headers = _headers(sent)
    if sent.etag and known(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    media = await sent.load()
    shown = media.media_type if media.media_type in SHOWN else "application/octet-stream"
    headers["Content-Type"] = shown
    if shown not in SHOWN and not sent.name:
        headers["Content-Disposition"] = "attachment"
    return _part(media.data, headers, request) if sent.etag else Response(media.data, 200, headers)


def _headers(sent: Sent) -> dict[str, str]:
    headers = {
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": SANDBOX,
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": FOREVER if sent.etag else "no-store",
    }
    if sent.etag:
        headers |= {"ETag": f'"{sent.etag}"', "Accept-Ranges": "bytes"}
    if sent.name:
        headers["Content-Disposition"] = f'attachment; filename="{sent.name}"'
    return headers


def _part(content: bytes, headers: Mapping[str, str], request: Request) -> Response:
    """One range of bytes, as players of videos ask for; several ranges at once are answered with the whole."""
    asked = RANGE.fullmatch(request.headers.get("range", "").replace(" ", ""))
    if asked is None or asked[0] == "bytes=-" or request.headers.get("if-range", headers["ETag"]) != headers["ETag"]:
        return Response(content, 200, headers)
    size = len(content)
    if asked[1]:
        start, end = int(asked[1]), min(int(asked[2] or size), size - 1)
    else:
        start, end = max(size - int(asked[2]), 0), size - 1
    if asked[1] and asked[2] and int(asked[2]) < int(asked[1]):  # no range at all
        return Response(content, 200, headers)
    if start >= size:
        return _nothing_there(size)
    told = {**headers, "Content-Range": f"bytes {start}-{end}/{size}"}
    return Response(content[start : end + 1], 206, told)


def _nothing_there(size: int) -> Json:
    fault = Fault(
        error="No such part",
        message=f"The file has {size} bytes; the header Range asks for what comes after them.",
        status=416,
        type="range_not_satisfiable",
    )
    return Json(fault.model_dump(), 416, {"Content-Range": f"bytes */{size}"})
