"""The command line: settings -> open_app -> clients.cli. Installed as `atelier`."""

from __future__ import annotations

import asyncio
import runpy
import sys
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager

from clients.cli import Parts, run
from clients.config import Settings, load_settings
from clients.doctor import Finding, examine
from clients.wiring import DEMO, comfyui_servers, open_app
from clients.wiring.models import model_places
from workflows.app import App
from workflows.stamp import own_version
from workflows.types import ServerStatus


def main() -> None:
    sys.exit(run(sys.argv[1:], Parts(open_app=_open_app, examine=_examine, serve=_serve, version=own_version())))


def _open_app() -> AbstractAsyncContextManager[App]:
    return open_app(load_settings())


def _examine() -> Sequence[Finding]:
    settings = load_settings()
    servers, storage = asyncio.run(_outside(settings))
    return examine(settings, DEMO, servers, model_places(settings), storage)


async def _outside(settings: Settings) -> tuple[Sequence[ServerStatus], dict[str, str | None]]:
    """How what the settings name besides this machine is."""
    from clients.wiring.storage import storage_faults

    return await comfyui_servers(settings), await storage_faults(settings)


def _serve(arguments: Sequence[str]) -> None:
    """Become the MCP server in this process; by name, because the command line itself knows no MCP."""
    sys.argv = ["atelier-mcp", *arguments]
    runpy.run_module("mcp_server", run_name="__main__")


if __name__ == "__main__":
    main()
