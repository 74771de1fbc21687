"""Where the ledger's tests keep their rows: each test runs on a SQLite file and on a real PostgreSQL server."""

from __future__ import annotations

import asyncio
import shutil
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
    with tempfile.TemporaryDirectory(prefix="atelier-postgres-", ignore_cleanup_errors=True) as folder:
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


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with all migrations, of which each test has a copy: the migrations take longer than most tests."""

    async def migrate(path: Path) -> Path:
        async with open_ledger(path):
            return path

    return asyncio.run(migrate(tmp_path_factory.mktemp("migrated") / "ledger.db"))


@pytest.fixture(params=["sqlite", "postgres"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Where:
    """A ledger without rows."""
    if request.param == "sqlite":
        path = tmp_path / "ledger #1?.db"
        shutil.copy(request.getfixturevalue("migrated_file"), path)
        return path
    return emptied(request.getfixturevalue("shared_database"))


@pytest.fixture
async def ledger(where: Where) -> AsyncIterator[Ledger]:
    async with open_ledger(where) as opened:
        yield opened
