"""The server over HTTP: who gets in, and that it draws."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest
from mcp import Client

from clients.tools.serving import HEALTH, PATH, NotAllowed, check_bind
from tests.mcp.desk import ERAS, pictures, told
from tests.mcp.process import INITIALIZE, PROMPT, SERVER, environment, over_http

ACCEPT = {"accept": "application/json, text/event-stream"}


@pytest.mark.models
async def test_a_real_server_draws_for_clients_of_both_eras_and_ends_cleanly(tmp_path: Path) -> None:
    async with over_http(tmp_path) as (url, process):
        for era in ERAS:
            async with Client(url + PATH, mode=era) as client:
                result = await client.call_tool("generate_image", {"prompt": PROMPT, "seed": 1})
                assert told(result)["status"] == "success"
                assert len(pictures(result)) == 1
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0


async def test_foreign_hosts_and_origins_are_refused_on_every_route(tmp_path: Path) -> None:
    async with over_http(tmp_path) as (url, _), httpx2.AsyncClient(base_url=url, headers=ACCEPT) as web:
        assert (await web.get(HEALTH)).json()["status"] == "ok"
        assert (await web.post(PATH, json=INITIALIZE)).status_code == 200
        for route in (HEALTH, PATH):
            assert (await web.get(route, headers={"host": "evil.example"})).status_code == 421
            assert (await web.get(route, headers={"origin": "http://evil.example"})).status_code == 403
        assert (await web.post(PATH, json=INITIALIZE, headers={"host": "evil.example"})).status_code == 421
        assert (await web.post(PATH, json=INITIALIZE, headers={"origin": "null"})).status_code == 403


async def test_the_token_is_asked_for_on_every_request(tmp_path: Path) -> None:
    async with (
        over_http(tmp_path, ATELIER_TOKEN="secret") as (url, _),
        httpx2.AsyncClient(base_url=url, headers=ACCEPT) as web,
    ):
        for wrong in ({}, {"authorization": "Bearer wrong"}, {"authorization": "Basic secret"}):
            for route in (HEALTH, PATH):
                answer = await web.get(route, headers=wrong)
                assert answer.status_code == 401
                assert answer.headers["www-authenticate"].startswith("Bearer")
        right = {"authorization": "Bearer secret"}
        assert (await web.get(HEALTH, headers=right)).status_code == 200
        assert (await web.post(PATH, json=INITIALIZE, headers=right)).status_code == 200


def test_a_bind_beyond_this_machine_needs_a_token_and_host_names() -> None:
    for token, hosts in ((None, ()), ("secret", ()), (None, ("studio.lan",))):
        with pytest.raises(NotAllowed, match="ATELIER_"):
            check_bind("0.0.0.0", token, hosts)
    check_bind("0.0.0.0", "secret", ("studio.lan",))
    check_bind("127.0.0.1", None, ())


def test_an_unguarded_bind_and_a_taken_port_end_with_clear_words(tmp_path: Path) -> None:
    def start(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, SERVER, "--http", *arguments]
        return subprocess.run(
            command, env=environment(tmp_path), capture_output=True, text=True, timeout=60, check=False
        )

    unguarded = start("--host", "0.0.0.0")
    assert unguarded.returncode == 2
    assert "ATELIER_TOKEN and ATELIER_ALLOWED_HOSTS" in unguarded.stderr
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        occupied = start("--port", port)
    assert occupied.returncode == 1
    assert port in occupied.stderr and "--port" in occupied.stderr
