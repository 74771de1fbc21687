"""The production HTTP server with the suite's fixtures on it: `python -m tests.conformance.served PORT`."""

from __future__ import annotations

import asyncio
import sys

from mcp.server.streamable_http import EventCallback, EventMessage, EventStore
from mcp_types import JSONRPCMessage

from clients.config import load_settings
from clients.tools.serving import http_app, serve_http
from mcp_server import production_server
from tests.conformance.fixtures import add_fixtures

RETRY_MS = 500


class Events(EventStore):
    """Every event of every stream, in memory; what lets a client come back to a stream that was closed."""

    def __init__(self) -> None:
        self._events: list[tuple[str, JSONRPCMessage | None]] = []

    async def store_event(self, stream_id: str, message: JSONRPCMessage | None) -> str:
        self._events.append((stream_id, message))
        return str(len(self._events))

    async def replay_events_after(self, last_event_id: str, send_callback: EventCallback) -> str | None:
        if not last_event_id.isdigit() or not 0 < int(last_event_id) <= len(self._events):
            return None
        last = int(last_event_id)
        stream = self._events[last - 1][0]
        for number, (owner, message) in enumerate(self._events[last:], last + 1):
            if owner == stream and message is not None:
                await send_callback(EventMessage(message, str(number)))
        return stream


async def serve(port: int) -> None:
    server = production_server(load_settings())
    add_fixtures(server)
    app = http_app(server, token=None, allowed_hosts=(), event_store=Events(), retry_interval=RETRY_MS)
    await serve_http(server, app, "127.0.0.1", port)


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
