"""A client in front of the production server whose engine and judge are fakes, all in one process."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from mcp import Client
from mcp.client.session import MessageHandlerFnT
from mcp_types import CallToolResult, ImageContent, TextContent

from clients.tools.door import Door
from clients.tools.news import News
from clients.tools.server import StudioServer, build_server
from tests.fakes import FakeEngine, FakeGraphs, FakeJudge, fake_app
from workflows.app import App
from workflows.library import Library
from workflows.ports import ChatModel

Era = Literal["legacy", "auto", "2026-07-28"]
LOOK_SECONDS = 0.02
ERAS: tuple[Era, ...] = ("legacy", "2026-07-28")


@dataclass(frozen=True)
class Desk:
    client: Client
    server: StudioServer
    door: Door

    async def app(self) -> App:
        return await self.door.app()

    async def ask(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """The answer as a mapping. An error fails the test with its text."""
        return told(await self.client.call_tool(tool, arguments))

    async def refused(self, tool: str, **arguments: Any) -> str:
        """The text of the error that the call has to end in."""
        result = await self.client.call_tool(tool, arguments)
        assert result.is_error, result
        return text_of(result)


@asynccontextmanager
async def desk(
    home: Path,
    era: Era = "2026-07-28",
    *,
    engine: FakeEngine | None = None,
    judge: FakeJudge | None = None,
    graphs: FakeGraphs | None = None,
    inline: bool = True,
    writers: Sequence[ChatModel] = (),
    library: Library | None = None,
    hear: MessageHandlerFnT | None = None,
) -> AsyncGenerator[Desk]:
    """`library`: whose published workflows are tools; their folders are looked at all the time. `hear`: what the
    client does with messages that it did not ask for."""
    door = Door(
        lambda: fake_app(home, engine=engine, judge=judge, graphs=graphs, writers=writers, library=library),
    )
    door.news = News(look=LOOK_SECONDS)
    publishes = library is not None and bool(library.published)
    server = build_server(door, inline=inline, version="0", publishes=publishes)
    async with Client(server, mode=era, message_handler=hear) as client:
        yield Desk(client, server, door)


def text_of(result: CallToolResult) -> str:
    first = result.content[0]
    assert isinstance(first, TextContent), result
    return first.text


def told(result: CallToolResult) -> dict[str, Any]:
    text = text_of(result)
    assert not result.is_error, text
    return cast(dict[str, Any], json.loads(text))


def pictures(result: CallToolResult) -> list[bytes]:
    return [base64.b64decode(block.data) for block in result.content if isinstance(block, ImageContent)]
