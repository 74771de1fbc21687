"""Clients of both eras hear that the gallery changed, whoever changed it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from mcp import Client
from mcp_types import Resource, ResourceListChangedNotification

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


async def test_what_another_process_deletes_is_told_once_and_a_client_that_left_harms_nobody(tmp_path: Path) -> None:
    told: asyncio.Queue[str] = asyncio.Queue()

    async def hear(message: Any) -> None:
        if isinstance(message, ResourceListChangedNotification):
            told.put_nowait("changed")

    door = Door(lambda: fake_app(tmp_path))
    server = build_server(door)
    async with (
        fake_app(tmp_path) as neighbour,
        Client(server, mode="legacy", message_handler=hear) as client,
    ):
        job = await neighbour.studio.submit(Recipe(prompt="a cat"))
        image_id = (await neighbour.studio.wait(job.id, 20)).item_ids[0]
        await client.list_resources()
        door.news._readers[0] = cast(Any, Gone())  # pyright: ignore[reportPrivateUsage]
        await neighbour.gallery.delete(image_id)
        await asyncio.wait_for(told.get(), 20)
        async with (await door.app()).watch.heard_by(lambda _: None, "images"):  # the ledger is looked at once more
            left = dict(door.news._readers)  # pyright: ignore[reportPrivateUsage]
        names = [one.name for one in await resources(client)]
    assert (told.empty(), 0 in left, image_id in str(names)) == (True, False, False)


class Gone:
    """The session of a client that is not there any more."""

    async def send_resource_list_changed(self) -> None:
        raise BrokenPipeError("it left")


async def resources(client: Client) -> Sequence[Resource]:
    return (await client.list_resources()).resources
