"""Guards for every test: no socket but loopback, and no code of ours that blocks the event loop."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from blockbuster import BlockBuster

OURS = ("clients", "workflows", "utils", "mcp_server", "generate")
LIVE_SERVER = "ATELIER_TEST_COMFYUI"
"""Names a real ComfyUI for the contract suite alone."""
GOLDEN_GRAPHS = "ATELIER_WRITE_GRAPHS"
"""Asks for the golden graphs to be written anew."""
LOCAL_NAMES = {"localhost", "", None}


def pytest_configure() -> None:
    os.environ["HF_HUB_OFFLINE"] = "1"


@pytest.fixture(autouse=True)
def only_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any connection that leaves this machine fails the test that makes it."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in {socket.AF_INET, socket.AF_INET6} and not _is_loopback(str(address[0])):
            raise AssertionError(f"a test tried to reach {address[0]}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


def _is_loopback(host: str) -> bool:
    try:
        return host in LOCAL_NAMES or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@pytest.fixture(autouse=True)
def loop_is_never_blocked() -> Iterator[None]:
    """blockbuster: a blocking call made by our modules on the event loop raises BlockingError."""
    guard = BlockBuster(scanned_modules=list(OURS))
    guard.activate()
    yield
    guard.deactivate()


@pytest.fixture(autouse=True)
def own_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the developer's machine leaks into a test, and no ComfyUI that happens to run there is found."""
    for name in [name for name in os.environ if name.startswith(("ATELIER_", "COMFYUI_", "MINIO_", "DATABASE_"))]:
        if name not in {LIVE_SERVER, GOLDEN_GRAPHS}:
            monkeypatch.delenv(name)
    monkeypatch.setenv("COMFYUI_URL", "off")
    monkeypatch.setenv("ATELIER_HOME", str(tmp_path / "home"))
