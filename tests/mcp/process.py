"""The real server in a process of its own, with the demo engine."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcp import StdioServerParameters

ROOT = Path(__file__).parents[2]
SERVER = str(ROOT / "mcp_server.py")
PROMPT = "a red circle on a white background"
END_SECONDS = 30
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
}
INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}


def environment(home: Path, **settings: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ATELIER_")}
    return {**kept, "ATELIER_HOME": str(home), "HF_HUB_OFFLINE": "1", **settings}


def over_stdio(home: Path) -> StdioServerParameters:
    return StdioServerParameters(command=sys.executable, args=[SERVER], env=environment(home), cwd=home)


def call(number: int, tool: str, **arguments: Any) -> dict[str, Any]:
    return {
        "jsonrpc": "2.0",
        "id": number,
        "method": "tools/call",
        "params": {"name": tool, "arguments": arguments},
    }


@dataclass(frozen=True)
class Pipe:
    """A client that writes its JSON by hand and looks at every byte that comes back."""

    process: asyncio.subprocess.Process

    def send(self, *messages: Mapping[str, Any]) -> None:
        assert self.process.stdin
        for message in messages:
            self.process.stdin.write(json.dumps(message).encode() + b"\n")

    async def answer(self, number: int) -> dict[str, Any]:
        """The answer with that id; anything on the way that is no JSON-RPC fails the test."""
        assert self.process.stdout
        async with asyncio.timeout(60):
            while line := await self.process.stdout.readline():
                message = json.loads(line)
                assert message["jsonrpc"] == "2.0"
                if message.get("id") == number:
                    return message
        raise AssertionError(f"the server ended without answering {number}")

    async def ended(self) -> int:
        async with asyncio.timeout(END_SECONDS):
            return await self.process.wait()


@asynccontextmanager
async def piped(home: Path, *arguments: str, **settings: str) -> AsyncGenerator[Pipe]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *(arguments or (SERVER,)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=environment(home, **settings),
        cwd=ROOT,
        limit=2**24,
    )
    try:
        yield Pipe(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@asynccontextmanager
async def over_http(home: Path, **settings: str) -> AsyncGenerator[tuple[str, asyncio.subprocess.Process]]:
    """The base URL of a running HTTP server, and its process."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        SERVER,
        "--http",
        "--port",
        str(port),
        stderr=asyncio.subprocess.PIPE,
        env=environment(home, **settings),
        cwd=ROOT,
    )
    assert process.stderr
    try:
        async with asyncio.timeout(60):
            while b"serves MCP on" not in (line := await process.stderr.readline()):
                assert line, "the server did not come up"
        drain = asyncio.create_task(process.stderr.read())
        yield f"http://127.0.0.1:{port}", process
        drain.cancel()
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
