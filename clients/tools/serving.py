"""How the MCP server meets its clients: over standard input and output, or over HTTP with its guards."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from typing import Any, cast

import anyio
from mcp.server.stdio import stdio_server
from mcp.server.transport_security import TransportSecuritySettings
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from clients.tools.guard import PATH, Entrance, Guard
from clients.tools.handshake import low_level
from clients.tools.server import StudioServer
from clients.tools.wire import Lines, Wire, on_stop_signal

log = logging.getLogger("atelier.serving")

HEALTH = "/health"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
GRACE_SECONDS = 3
"""How long open HTTP requests may go on once the server is told to stop."""


class NotAllowed(ValueError):
    """A bind that would expose the studio; the text says which settings are missing."""


async def serve_stdio(server: StudioServer, wire: Wire) -> None:
    """Serve one client until it closes the pipe or a stop signal comes; jobs that run are left resumable."""
    lines = Lines(wire.source, on_end=server.door.end)
    on_stop_signal(lines.end)
    sink = TextIOWrapper(os.fdopen(wire.sink, "wb"), encoding="utf-8")
    source = cast("anyio.AsyncFile[str]", lines)
    async with stdio_server(source, anyio.wrap_file(sink)) as (read, write):
        inner = low_level(server)
        await inner.run(read, write, inner.create_initialization_options())


def check_bind(host: str, token: str | None, allowed_hosts: tuple[str, ...]) -> None:
    """Raises NotAllowed for a bind beyond this machine that is not guarded."""
    missing = [
        name for name, value in (("ATELIER_TOKEN", token), ("ATELIER_ALLOWED_HOSTS", allowed_hosts)) if not value
    ]
    if host not in LOOPBACK and missing:
        raise NotAllowed(
            f"Serving on {host} lets other machines in. Set {' and '.join(missing)} first (a secret that clients send "
            "as 'Authorization: Bearer ...', and the host names under which they reach this server), or use 127.0.0.1."
        )


def http_app(
    server: StudioServer,
    *,
    token: str | None,
    allowed_hosts: tuple[str, ...],
    routes: Sequence[BaseRoute] = (),
    entrance: Entrance | None = None,
    **options: Any,
) -> ASGIApp:
    """The ASGI app: /mcp, /health and further routes, all behind the guard.

    `entrance`: where browsers are let in, which can send no token of their own. `options` go to the SDK's app (the
    tests' event store).
    """
    security = transport_security(allowed_hosts)

    @server.custom_route(HEALTH, methods=["GET"])
    async def health(_: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        return JSONResponse({"status": "ok", "name": server.name, "version": server.version})

    app = server.streamable_http_app(streamable_http_path=PATH, transport_security=security, **options)
    app.router.routes.extend(routes)
    return Guard(app, security, token, entrance)


async def serve_http(server: StudioServer, app: ASGIApp, host: str, port: int) -> None:
    """Serve until a stop signal comes. Raises OSError when the port is taken."""
    import uvicorn

    listener = listen(host, port)
    quiet: dict[str, Any] = {"log_config": None, "access_log": False, "server_header": False}
    config = uvicorn.Config(app, timeout_graceful_shutdown=GRACE_SECONDS, **quiet)

    class Web(uvicorn.Server):
        @contextmanager
        def capture_signals(self) -> Generator[None]:
            yield  # ours are set below; uvicorn's would kill the process with the signal once it is done

    web = Web(config)

    def stop() -> None:
        server.door.end()
        web.should_exit = True

    on_stop_signal(stop)
    log.info("Atelier serves MCP on %s", address(listener))
    await web.serve(sockets=[listener])


def listen(host: str, port: int) -> socket.socket:
    """A listener whose connections send at once. Raises OSError when the port is taken."""
    listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    # asyncio does this only for sockets that name their protocol, which these do not. Without it an answer in two
    # writes waits 40 ms for the client's acknowledgement of the first, and so does every piece of a stream.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}{PATH}"


def transport_security(allowed_hosts: tuple[str, ...]) -> TransportSecuritySettings:
    """Which Host and Origin headers are taken: this machine's and the allowed ones, on any port."""
    own = (name.lower().rpartition("://")[2].rstrip("/") for name in allowed_hosts)  # as browsers send them
    names = ["127.0.0.1", "localhost", "[::1]", *own]
    origins = [f"{scheme}://{name}" for name in names for scheme in ("http", "https")]
    return TransportSecuritySettings(
        enable_dns_rebinding_protection=True,
        allowed_hosts=[*names, *(f"{name}:*" for name in names)],
        allowed_origins=[*origins, *(f"{origin}:*" for origin in origins)],
    )
