"""generate_image(validate=false) through the MCP server beside a bare httpx2 + websockets client on the same graph.

In turn, on the fake ComfyUI in a process of its own (a real render and an empty one), and on the server that
ATELIER_TEST_COMFYUI names.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import os
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import websockets
from mcp import Client

from clients.config import load_settings
from clients.tools.door import Door
from clients.tools.server import build_server
from clients.wiring import open_app
from tests.bench.figure import Figure
from workflows.types import Recipe

ROOT = Path(__file__).parents[2]
FAKE = """
import asyncio, sys
from tests.fake_comfyui import FakeComfyUI

async def main():
    async with FakeComfyUI(models={"checkpoints": {"v1-5-pruned-emaonly.safetensors": 4_270_000_000}}) as fake:
        fake.worker.step_seconds = float(sys.argv[1])
        print(fake.url, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""
CALLERS = (1, 4, 16)
WARM_UP = 2
AIMS = {"empty": {1: "ratio at most 1.5", 4: "ratio at most 1.1", 16: "ratio at most 1.1"}}
REAL_AIM = "ratio at most 1.05"


@dataclass(frozen=True, kw_only=True)
class Case:
    """A kind of render: what is asked for, and how often each caller asks."""

    name: str
    recipe: Recipe
    rounds: int


async def figures() -> list[Figure]:
    logging.basicConfig(level="WARNING")  # as the production server does
    live = os.environ.get("ATELIER_TEST_COMFYUI")
    found: list[Figure] = []
    async with fakes() as urls:
        for name, url in urls.items():
            case = Case(name=name, recipe=Recipe(prompt="a red circle", width=256, height=256, steps=4), rounds=20)
            found += await _measured(url, case)
    if live:
        small = Recipe(prompt="a red circle", width=64, height=64, steps=4)
        found += await _measured(live, Case(name="live, 64 px, 4 steps", recipe=small, rounds=20))
    return found


@asynccontextmanager
async def fakes() -> AsyncGenerator[dict[str, str]]:
    """Two fakes: one that takes a step's time, and one that takes what an empty graph takes the real server.

    That is 16 to 18 ms of its one worker for EmptyImage -> SaveImage (292 ms for 16 callers at once).
    """
    async with AsyncExitStack() as stack:
        yield {
            "real": await stack.enter_async_context(_fake(step_seconds=0.05)),
            "empty": await stack.enter_async_context(_fake(step_seconds=0.002)),
        }


@asynccontextmanager
async def _fake(step_seconds: float) -> AsyncGenerator[str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", FAKE, str(step_seconds), stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    assert process.stdout
    try:
        yield (await process.stdout.readline()).decode().strip()
    finally:
        process.terminate()
        await process.wait()


async def _measured(url: str, case: Case) -> list[Figure]:
    """Ours and bare in turn, round by round, so that both meet the same load."""
    found: list[Figure] = []
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ours = await stack.enter_async_context(_ours(url, folder, case))
        for callers in CALLERS:
            bare = [await stack.enter_async_context(_bare(url, ours.graph)) for _ in range(callers)]
            seconds: tuple[list[float], list[float]] = ([], [])
            for number in range(max(4, case.rounds // callers) + WARM_UP):
                for times, calls in zip(seconds, ([ours.call] * callers, bare), strict=True):
                    taken = await asyncio.gather(*(_seconds(call) for call in calls))
                    times += taken if number >= WARM_UP else []
            found.append(
                Figure(
                    name=f"{case.name} render, {callers} caller{'s' if callers > 1 else ''}",
                    ours=statistics.median(seconds[0]) * 1000,
                    bare=statistics.median(seconds[1]) * 1000,
                    unit="ms",
                    aim=AIMS.get(case.name, {}).get(callers, REAL_AIM),
                )
            )
        found.append(await _glance(ours, case))
    return found


async def _seconds(call: Callable[[], Awaitable[object]]) -> float:
    began = time.perf_counter()
    await call()
    return time.perf_counter() - began


SEEDS = itertools.count(1)


@dataclass(frozen=True, kw_only=True)
class Ours:
    """The production server with a client before it, in one process."""

    client: Client
    arguments: Mapping[str, Any]
    graph: Mapping[str, Any]

    async def call(self) -> None:
        result = await self.client.call_tool("generate_image", {**self.arguments, "seed": next(SEEDS)})
        assert not result.is_error, result

    async def glance(self) -> None:
        result = await self.client.call_tool("get_queue", {})
        assert not result.is_error, result


@asynccontextmanager
async def _ours(url: str, home: Path, case: Case) -> AsyncGenerator[Ours]:
    settings = load_settings(atelier_home=home, comfyui_url=url, comfyui_urls=())
    door = Door(lambda: open_app(settings, resume=True))
    recipe = case.recipe
    async with Client(build_server(door, inline=True, version="0")) as client:
        app = await door.app()
        assert app.library.graphs is not None
        drafted = await app.library.graphs.draft(recipe)
        arguments = {
            "prompt": recipe.prompt,
            "model": drafted.model,
            "width": recipe.width,
            "height": recipe.height,
            "steps": recipe.steps,
            "validate": False,
            "wait_seconds": 45,
        }
        yield Ours(client=client, arguments=arguments, graph=drafted.graph)


async def _glance(ours: Ours, case: Case) -> Figure:
    """The slowest look at the queue while renders run: the loop is never blocked for long."""
    await ours.glance()  # the client's first look imports what checks the answer
    rendering = asyncio.gather(*(ours.call() for _ in range(4)))
    times: list[float] = []
    while not rendering.done():
        times.append(await _seconds(ours.glance))
        await asyncio.sleep(0.005)
    await rendering
    return Figure(
        name=f"get_queue while {case.name} renders run, slowest",
        ours=max(times) * 1000,
        bare=None,
        unit="ms",
        aim="under 50 ms on the fake",
    )


@asynccontextmanager
async def _bare(url: str, graph: Mapping[str, Any]) -> AsyncGenerator[Callable[[], Awaitable[None]]]:
    """POST /prompt, wait on the socket, GET /view: no more than the protocol asks for."""
    me = uuid.uuid4().hex
    address = f"ws{url.removeprefix('http')}/ws?clientId={me}"
    async with (
        httpx2.AsyncClient(base_url=url, timeout=60) as http,
        websockets.connect(address, max_size=None) as socket,
    ):

        async def render() -> None:
            prompt_id = str(uuid.uuid4())
            body = {"prompt": _varied(graph, next(SEEDS)), "client_id": me, "prompt_id": prompt_id}
            (await http.post("/prompt", json=body)).raise_for_status()
            files: list[dict[str, str]] = []
            async for raw in socket:
                if isinstance(raw, bytes):
                    continue
                message = json.loads(raw)
                body = message["data"]
                if body.get("prompt_id") != prompt_id:
                    continue
                if message["type"] == "executed":
                    files += body["output"]["images"]
                if message["type"] == "executing" and body["node"] is None:
                    break
            for file in files:
                (await http.get("/view", params=file)).raise_for_status()
            assert files

        yield render


def _varied(graph: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """The same graph with another seed and file name, as ours has at every call."""
    changed = {"seed": seed, "noise_seed": seed, "filename_prefix": f"atelier/bench/{seed}"}
    return {
        name: {**node, "inputs": {key: changed.get(key, value) for key, value in node["inputs"].items()}}
        for name, node in graph.items()
    }
