"""How an answer leaves: as JSON in ASCII, never kept by a cache."""

from __future__ import annotations

import json
from collections.abc import Mapping

from starlette.responses import Response
from starlette.types import Message, Send

NEVER_KEPT: Mapping[str, str] = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def compact(content: object) -> bytes:
    """JSON in ASCII: a half character that a language model left in its words can be told like any other."""
    return json.dumps(content, separators=(",", ":"), allow_nan=False).encode("ascii")


class Sending:
    """An ASGI send that knows how far the answer is."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.begun = False
        self.ended = False

    async def __call__(self, message: Message) -> None:
        self.begun = True
        self.ended = message["type"] == "http.response.body" and not message.get("more_body", False)
        await self._send(message)


class Json(Response):
    """An answer as JSON."""

    media_type = "application/json"

    def __init__(self, content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(compact(content), status, {**NEVER_KEPT, **(headers or {})})
