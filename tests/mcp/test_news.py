"""Clients of both eras hear that the gallery changed, whoever changed it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from mcp import Client
from mcp_types import ResourceListChangedNotification

from clients.tools.door import Door
from clients.tools.server import build_server
from tests.fakes import fake_app
from workflows.types import Recipe


async def test_a_client_of_the_handshake_era_hears_of_a_picture_that_it_did_not_ask_for(tmp_path: Path) -> None:
    heard = asyncio.Event()

    async def hear(message: Any) -> None:
        if isinstance(message, ResourceListChangedNotification):
            heard.set()

    door = Door(lambda: fake_app(tmp_path))
    async with Client(build_server(door), mode="legacy", message_handler=hear) as client:
        capabilities = client.server_capabilities
        await client.list_tools()
        app = await door.app()
        await app.studio.submit(Recipe(prompt="a cat"))
        await asyncio.wait_for(heard.wait(), 20)
    assert capabilities.resources and capabilities.resources.list_changed


async def test_a_client_of_the_newer_era_hears_it_on_its_stream(tmp_path: Path) -> None:
    door = Door(lambda: fake_app(tmp_path))
    async with Client(build_server(door), mode="2026-07-28") as client:
        app = await door.app()
        async with client.listen(resources_list_changed=True) as events:
            await app.studio.submit(Recipe(prompt="a cat"))
            first = await asyncio.wait_for(anext(aiter(events)), 20)
    assert "ResourcesListChanged" in type(first).__name__
