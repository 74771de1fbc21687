"""Shelf: what the servers know and keep for graphs that are not ours: node classes, and people's saved workflows."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from clients.comfyui_client import MOST_NAMES
from workflows.errors import EngineUnavailable, NotFound, ServiceError, StudioError

if TYPE_CHECKING:
    from clients.comfyui_engine.fleet import Fleet
    from clients.comfyui_engine.server import Server
    from workflows.drawing.inventory import Inventory

log = logging.getLogger("atelier.comfyui")


async def inventories(fleet: Fleet) -> Sequence[Inventory]:
    """Of every server that answers. Raises EngineUnavailable when none does."""
    found = await asyncio.gather(*(_inventory(server) for server in await _up(fleet)))
    known = [inventory for inventory in found if inventory is not None]
    if not known:
        raise EngineUnavailable(fleet.silence())
    return known


async def saved(fleet: Fleet) -> Sequence[str]:
    """Names in every library, each once, sorted. Raises EngineUnavailable when no server gives an answer."""
    answers = await asyncio.gather(*(_names(server) for server in await _up(fleet)))
    names = [answer for answer in answers if not isinstance(answer, StudioError)]
    errors = [answer for answer in answers if isinstance(answer, StudioError)]
    if errors and not names:
        raise errors[0]
    return sorted({name for some in names for name in some})[:MOST_NAMES]


async def saved_workflow(fleet: Fleet, name: str) -> Mapping[str, object]:
    """From the first server that has it. Raises NotFound, GraphRejected, EngineUnavailable."""
    wanted = name.removesuffix(".json")
    failed: StudioError | None = None
    for server in await _up(fleet):
        try:
            return await server.client.saved_workflow(wanted)
        except NotFound:
            continue
        except (EngineUnavailable, ServiceError) as error:
            failed = error
    if failed is not None:
        raise failed
    hint = "Its name is that in ComfyUI's editor, with folders, such as video/wan."
    raise NotFound("saved workflow", name, await saved(fleet), hint)


async def _up(fleet: Fleet) -> Sequence[Server]:
    servers = [server for server in await fleet.up() if not server.unknown]
    if not servers:
        raise EngineUnavailable(fleet.silence())
    return servers


async def _inventory(server: Server) -> Inventory | None:
    try:
        return await server.inventory()
    except (EngineUnavailable, ServiceError):  # the server remembers why
        return None


async def _names(server: Server) -> Sequence[str] | StudioError:
    """What one library has, or why that is not known."""
    try:
        return await server.client.saved_workflows()
    except (EngineUnavailable, ServiceError) as error:
        log.info("%s did not tell its saved workflows: %s", server.url, error)
        return error
