"""Serve the page with made-up pictures, to look at it: python -m tests.page.serve [--items N] [--port N]."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from clients.tools.door import Door
from clients.tools.server import build_server
from clients.tools.serving import http_app, serve_http
from clients.web import entrance, routes
from tests.fakes import fake_app
from tests.page.pictures import painter, seeded


async def serve(items: int, port: int, token: str | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        door = Door(lambda: fake_app(home, engine=painter()))
        server = build_server(door, version="0")
        pages = routes(door.app)
        app = http_app(server, token=token, allowed_hosts=(), routes=pages, entrance=entrance(token))
        await seeded(await door.app(), home, items)
        sys.stdout.write(f"http://127.0.0.1:{port}/ with {items} pictures\n")
        sys.stdout.flush()
        await serve_http(server, app, "127.0.0.1", port)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=200)
    parser.add_argument("--port", type=int, default=8770)
    parser.add_argument("--token")
    asked = parser.parse_args()
    asyncio.run(serve(asked.items, asked.port, asked.token))
