"""How long until a client has its first answer, and what an idle server weighs, beside a server that does nothing."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import psutil

from tests.bench.figure import Figure

ROUNDS = 7
ROOT = Path(__file__).parents[2]
HELLO = """
from mcp.server import MCPServer

server = MCPServer("hello")


@server.tool()
def hello(name: str) -> str:
    return f"Hello, {name}"


server.run()
"""
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}},
}


async def first_answer(*command: str, home: Path) -> tuple[float, float]:
    """Milliseconds from the spawn to the answer to initialize, and megabytes resident after it."""
    begun = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={"PATH": "/usr/bin:/bin", "ATELIER_HOME": str(home), "COMFYUI_URL": "off"},
        cwd=home,
    )
    assert process.stdin and process.stdout
    process.stdin.write(json.dumps(INITIALIZE).encode() + b"\n")
    answer = json.loads(await process.stdout.readline())
    took = (time.perf_counter() - begun) * 1000
    assert answer["result"]["serverInfo"]["name"], answer
    weight = psutil.Process(process.pid).memory_info().rss / 1e6
    process.stdin.close()
    await process.wait()
    return took, weight


async def figures() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        hello = home / "hello.py"
        hello.write_text(HELLO, encoding="utf-8")
        ours: list[tuple[float, float]] = []
        bare: list[tuple[float, float]] = []
        for _ in range(ROUNDS):
            ours.append(await first_answer(str(ROOT / "mcp_server.py"), home=home))
            bare.append(await first_answer(str(hello), home=home))
    return [
        Figure(
            name="first answer to initialize, against a hello-world server",
            ours=median(took for took, _ in ours),
            bare=median(took for took, _ in bare),
            unit="ms",
            aim="at most 1.3 times",
        ),
        Figure(
            name="idle memory, against a hello-world server",
            ours=median(weight for _, weight in ours),
            bare=median(weight for _, weight in bare),
            unit="MB",
            aim="at most 1.3 times",
        ),
    ]
