"""The server as it is started: what is served beside /mcp, and what is not loaded without it."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx2

from clients.tools.serving import listen
from clients.web.operations import ROOT
from tests.mcp.process import ROOT as HOUSE
from tests.mcp.process import over_http
from tests.web.served import told


async def test_the_real_server_serves_the_prompt_studio_behind_its_guards_and_ends_cleanly(tmp_path: Path) -> None:
    async with over_http(tmp_path, ATELIER_TOKEN="secret") as (url, process):
        async with httpx2.AsyncClient(base_url=url, timeout=60) as client:
            assert (await client.get(f"{ROOT}/presets")).status_code == 401
            client.headers["authorization"] = "Bearer secret"
            assert (await client.get(f"{ROOT}/presets", headers={"host": "evil.example"})).status_code == 421
            assert len((await client.get(f"{ROOT}/presets")).json()["styles"]) > 14
            heard = await told(client, f"{ROOT}/generate-stream", {"input": "a red fox", "model": "pony"})
            assert heard[-1]["done"] is True
            assert heard[-1]["result"].startswith("score_9")
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0


def test_a_server_on_standard_input_loads_nothing_of_it() -> None:
    program = (
        "import sys, mcp_server\n"
        "from clients.config import Settings\n"
        "mcp_server.production_server(Settings())\n"
        "print([name for name in sys.modules if name.startswith('clients.web')])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=HOUSE, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_importing_it_loads_neither_the_tools_nor_a_database() -> None:
    heavy = ("mcp", "sqlalchemy", "httpx2", "uvicorn", "torch", "clients.tools", "clients.wiring")
    program = f"import sys, clients.web; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], cwd=HOUSE, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_connections_send_at_once_so_that_no_piece_waits_for_the_one_before() -> None:
    with listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        connection, _ = listener.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
