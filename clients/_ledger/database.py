"""Database: transactions on threads, over either dialect. What is particular to one is in sqlite.py and postgres.py.

A transaction is a function that runs whole on a thread of its own: an asynchronous driver would hand every statement
to such a thread one by one, and the handing over costs more than the statements.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from clients._ledger.tables import REVISIONS
from workflows.errors import StorageError

log = logging.getLogger("atelier.ledger")

T = TypeVar("T")

_migrating = threading.Lock()
"""Alembic keeps its context in module globals: one migration at a time in a process."""


@dataclass(frozen=True, kw_only=True)
class Backend:
    """What a dialect brings: engines with pools of so many connections, and its ways with errors."""

    reader: sa.Engine
    writer: sa.Engine
    readers: int
    writers: int
    errors: Callable[[], AbstractContextManager[None]]
    """Within it database errors become StorageError."""
    patiently: Callable[[Callable[[], Any]], Any]
    """Calls a transaction, and again where an error says that it was undone and may now go through."""


class Database:
    """The open ledger. `read` and `write` raise StorageError."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.sqlite = backend.reader.dialect.name == "sqlite"
        self._writing = ThreadPoolExecutor(backend.writers, "ledger-write")
        self._reading = ThreadPoolExecutor(backend.readers, "ledger-read")

    async def read(self, look: Callable[[sa.Connection], T]) -> T:
        """What `look` finds; it sees one state of the database. It may be called again, on a new connection."""

        def once() -> T:
            with self._backend.reader.connect() as connection:
                return look(connection)

        return await self._on(self._reading, once)

    async def write(self, work: Callable[[sa.Connection], T]) -> T:
        """`work` in one transaction: committed at its end, undone by any error. It is carried out once it has begun,
        whoever waits for it; it may be called again when the database has undone it, and is not when that is open."""

        def once() -> T:
            with self._backend.writer.connect() as connection:
                with _undone_by_errors(connection):
                    done = work(connection)
                _commit(connection)
                return done

        return await self._on(self._writing, once)

    async def close(self) -> None:
        """After the transactions that have begun."""
        await asyncio.to_thread(self._close)

    async def _on(self, threads: ThreadPoolExecutor, once: Callable[[], T]) -> T:
        def whole() -> T:
            with self._backend.errors():
                return self._backend.patiently(once)

        return await asyncio.get_running_loop().run_in_executor(threads, whole)

    def _close(self) -> None:
        for threads, engine in ((self._writing, self._backend.writer), (self._reading, self._backend.reader)):
            threads.shutdown()
            engine.dispose()


@contextmanager
def _undone_by_errors(connection: sa.Connection) -> Generator[None]:
    try:
        yield
    except BaseException:
        connection.rollback()
        raise


def _commit(connection: sa.Connection) -> None:
    try:
        connection.commit()
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
        raise StorageError(
            "The connection to the ledger was lost while a change was being written: it may be there or not. "
            "Look at the job or the picture before you ask for it again."
        ) from error


def upgrade(connection: sa.Connection, name: str) -> None:
    """Bring the database to the newest migration, in the connection's transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parents[1] / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    with _migrating:
        command.upgrade(config, "head")
    log.info("the ledger %s is at revision %s", name, REVISIONS[-1])


def checked(name: str, tables: set[str], revision: Callable[[], str | None]) -> str | None:
    """The migration that a database with these tables is at, None for an empty one.

    Raises StorageError for one from a newer Atelier, or that is no ledger: neither is ever changed.
    """
    if not tables:
        return None
    if not {"alembic_version", "jobs"} <= tables:
        raise StorageError(f"{name} is a database, but no ledger of Atelier. Move it aside or choose another one.")
    found = revision()
    if found not in REVISIONS:
        raise StorageError(
            f"The ledger {name} was written by a newer Atelier (revision {found}; this one knows {REVISIONS[-1]}). "
            "Update Atelier, or choose another ATELIER_HOME or DATABASE_URL; the ledger was not changed."
        )
    return found
