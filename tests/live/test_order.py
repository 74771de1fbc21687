"""The order in which a server says things, heard without our client: the fake's must be the real one's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
from websockets.asyncio.client import ClientConnection, connect

from tests.live import graphs
from tests.live.conftest import REAL
from workflows.types import new_id

ORDERS: dict[str, list[str]] = json.loads(
    (Path(__file__).parents[1] / "comfyui" / "orders.json").read_text(encoding="utf-8")
)
SECONDS = 120.0


class Listener:
    """One socket and the kinds of text messages it brings for its prompts; `status` is everyone's."""

    def __init__(self, url: str, client_id: str, socket: ClientConnection) -> None:
        self.url = url
        self.client_id = client_id
        self.socket = socket

    async def send(self, graph: graphs.Graph) -> str:
        async with httpx2.AsyncClient(trust_env=False) as http:
            body = {"prompt": graph, "client_id": self.client_id, "prompt_id": (name := new_id())}
            assert (await http.post(f"{self.url}/prompt", json=body)).status_code == 200
        return name

    async def hear(self, name: str, until: str = "") -> list[str]:
        """Kinds up to the end of a prompt, or up to the first of a kind."""
        heard: list[str] = []
        async with asyncio.timeout(SECONDS):
            async for raw in self.socket:
                message: dict[str, Any] = json.loads(raw) if isinstance(raw, str) else {"type": "picture"}
                if message["type"] == "status" or message["data"].get("prompt_id") == name:
                    heard.append(message["type"])
                if message["type"] == until:
                    return heard
                if message["type"] == "executing" and message["data"].get("node") is None:
                    return heard
        raise AssertionError("the socket ended early")


@asynccontextmanager
async def listening(url: str) -> AsyncGenerator[Listener]:
    client_id = new_id()
    async with connect(f"ws{url.removeprefix('http')}/ws?clientId={client_id}", max_size=None, proxy=None) as socket:
        assert json.loads(await socket.recv())["data"]["sid"] == client_id
        yield Listener(url, client_id, socket)


def same(heard: list[str], order: str) -> bool:
    """On a real server others make the status change too."""
    wanted = ORDERS[order]
    if REAL:
        return [kind for kind in heard if kind != "status"] == [kind for kind in wanted if kind != "status"]
    return heard == wanted


async def test_a_fresh_run_and_a_cached_one(url: str) -> None:
    graph = graphs.saved()
    async with listening(url) as listener:
        assert same(await listener.hear(await listener.send(graph)), "fresh")
        assert same(await listener.hear(await listener.send(graph)), "cached")


async def test_a_node_that_breaks(url: str) -> None:
    name = f"atelier-{new_id()[:8]}.png"
    async with httpx2.AsyncClient(trust_env=False) as http:
        await http.post(f"{url}/upload/image", files={"image": (name, b"no picture", "image/png")})
    async with listening(url) as listener:
        assert same(await listener.hear(await listener.send(graphs.loaded(name))), "error")


async def test_a_run_that_is_interrupted(url: str) -> None:
    async with listening(url) as listener:
        name = await listener.send(graphs.slow())
        heard = await listener.hear(name, until="executing")
        async with httpx2.AsyncClient(trust_env=False) as http:
            await http.post(f"{url}/interrupt", json={"prompt_id": name})
        heard += await listener.hear(name)
    # How many nodes end before the interrupt is noticed is the server's affair.
    node = ["progress_state", "progress_state", "executing"]
    while heard.count("executing") > ORDERS["interrupted"].count("executing"):
        place = next(at for at in range(len(heard)) if heard[at : at + 3] == node)
        del heard[place : place + 3]
    if heard.count("executing") == ORDERS["interrupted"].count("executing"):
        assert same(heard, "interrupted")
    else:
        assert heard[-3:] == ["execution_interrupted", "status", "executing"]


async def test_a_socket_that_comes_back_is_told_the_node_alone(url: str) -> None:
    graph = graphs.slow()
    async with listening(url) as first:
        name = await first.send(graph)
        await first.hear(name, until="executing")
    async with connect(
        f"ws{url.removeprefix('http')}/ws?clientId={first.client_id}", max_size=None, proxy=None
    ) as socket:
        said = [json.loads(await socket.recv()) for _ in range(2)]
        assert [one["type"] for one in said] == ["status", "executing"]
        assert list(said[1]["data"]) == ["node"]
        async with httpx2.AsyncClient(trust_env=False) as http:
            await http.post(f"{url}/interrupt", json={"prompt_id": name})
        again = Listener(url, first.client_id, socket)
        assert "execution_interrupted" in await again.hear(name)
