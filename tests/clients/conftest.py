"""Where the ledger's tests keep their rows: each test runs on a SQLite file and on a real PostgreSQL server."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from clients.ledger import Ledger, open_ledger
from tests.clients.ledger_kit import Where, emptied
from tests.services.postgres import Server


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    # Not below pytest's own folder: each run of pytest closes that to all users but its own, and the server has one.
    with tempfile.TemporaryDirectory(prefix="atelier-postgres-") as folder:
        server = Server(Path(folder))
        yield server
        server.stop()


@pytest.fixture(scope="session")
def shared_database(postgres: Server) -> str:
    """A migrated database, which tests have one after the other."""

    async def migrate(url: str) -> str:
        async with open_ledger(url):
            return url

    return asyncio.run(migrate(postgres.new_database()))


@pytest.fixture(params=["sqlite", "postgres"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Where:
    """A ledger without rows."""
    if request.param == "sqlite":
        return tmp_path / "home" / "ledger #1?.db"
    return emptied(request.getfixturevalue("shared_database"))


@pytest.fixture
async def ledger(where: Where) -> AsyncIterator[Ledger]:
    async with open_ledger(where) as opened:
        yield opened
