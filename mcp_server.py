"""The MCP server: over standard input and output, or over HTTP with --http."""

from __future__ import annotations

import argparse
import asyncio
import gc
import importlib
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from clients.tools.wire import Wire
from utils.collecting import no_collecting

if TYPE_CHECKING:
    from clients.config import Settings
    from clients.tools.server import StudioServer
    from workflows.app import App

USAGE_ERROR = 2


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    from clients.tools.snippets import CLIENTS

    parser = argparse.ArgumentParser(prog="atelier-mcp", description=__doc__)
    parser.add_argument("--http", action="store_true", help="serve streamable HTTP instead of stdio")
    parser.add_argument("--host", default="127.0.0.1", help="address for --http (%(default)s)")
    parser.add_argument("--port", type=int, default=8765, help="port for --http (%(default)s); 0: any free one")
    parser.add_argument("--print-config", choices=list(CLIENTS), metavar="CLIENT", help=f"one of {', '.join(CLIENTS)}")
    return parser.parse_args(given)


def main() -> None:
    asked = arguments()
    if asked.print_config:
        from clients.tools.snippets import snippet

        sys.stdout.write(snippet(asked.print_config, Path(__file__)) + "\n")
        return
    # Before any import that might print: nothing but JSON-RPC goes to the client.
    wire = None if asked.http else Wire.take()
    sys.exit(serve(asked, wire))


def serve(asked: argparse.Namespace, wire: Wire | None) -> int:
    """Serve until the end; the exit code."""
    with no_collecting():
        from clients.config import BadSettings, load_settings
        from clients.tools import serving

        gc.freeze()  # none of it becomes garbage, and to look for some takes a tenth of the whole start
    try:
        settings = load_settings()
        server = production_server(settings)
        if wire is not None:
            asyncio.run(serving.serve_stdio(server, wire))
        else:
            asyncio.run(_serve_http(server, settings, asked))
    except (BadSettings, serving.NotAllowed) as error:
        sys.stderr.write(f"{error}\n")
        return USAGE_ERROR
    except OSError as error:
        sys.stderr.write(f"Cannot serve on {asked.host}:{asked.port}: {error}. Choose another --port.\n")
        return 1
    return 0


async def _serve_http(server: StudioServer, settings: Settings, asked: argparse.Namespace) -> None:
    from clients.tools.serving import check_bind, http_app, serve_http
    from clients.web import entrance, routes

    token = settings.atelier_token.get_secret_value() if settings.atelier_token else None
    check_bind(asked.host, token, settings.atelier_allowed_hosts)
    hosts = settings.atelier_allowed_hosts
    pages = routes(server.door.app)
    app = http_app(server, token=token, allowed_hosts=hosts, routes=pages, entrance=entrance(token))
    await serve_http(server, app, asked.host, asked.port)


def production_server(settings: Settings) -> StudioServer:
    """The server as it is served, not yet open."""
    from clients.tools.door import Door
    from clients.tools.server import build_server
    from workflows.stamp import own_version

    _log_to_stderr(settings.atelier_log_level)

    @asynccontextmanager
    async def opener() -> AsyncGenerator[App]:
        await asyncio.to_thread(importlib.import_module, "clients.wiring")
        from clients.wiring import open_app

        async with open_app(settings, resume=True) as app:
            yield app

    def unfinished() -> bool:
        from clients.wiring import has_unfinished

        return has_unfinished(settings)

    inline = settings.atelier_inline_images != "never"
    return build_server(
        Door(opener, unfinished),
        inline=inline,
        version=own_version(),
        log_level=settings.atelier_log_level,
        publishes=bool(settings.atelier_workflow_tools),
    )


def _log_to_stderr(level: str) -> None:
    """Ours at the level that was asked for; of libraries only what goes wrong."""
    import logging

    logging.basicConfig(level="WARNING", stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("atelier").setLevel(level)


if __name__ == "__main__":
    main()
