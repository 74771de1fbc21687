"""The ledger in a file: opened, migrated, SQLite's errors put into words. One writer connection, several readers."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import SQLAlchemyError

from clients._ledger.database import Backend, Database, checked, upgrade
from clients._ledger.tables import REVISIONS
from workflows.errors import StorageError

BUSY_SECONDS = 10
"""How long a write waits for another process's write."""
READERS = 4

PRAGMAS = (
    f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}",
    "PRAGMA synchronous = NORMAL",  # with WAL: a power cut may lose the last commits, never the database
    "PRAGMA foreign_keys = ON",
)

_REMEDIES = {
    "SQLITE_CORRUPT": "The file is damaged. Stop Atelier, move it aside (the pictures stay) and start again; "
    "'sqlite3 FILE .recover' often saves the rows",
    "SQLITE_NOTADB": "The file is not a database. Move it aside, or point ATELIER_HOME elsewhere",
    "SQLITE_READONLY": "The file or its folder is read-only. Give this user the right to write there",
    "SQLITE_CANTOPEN": "The file cannot be opened. Check that its folder exists and that this user may write there",
    "SQLITE_PERM": "Give this user the right to read and write the file",
    "SQLITE_BUSY": f"Another process kept it locked for more than {BUSY_SECONDS} s. Try again, or end that process",
    "SQLITE_LOCKED": f"Another process kept it locked for more than {BUSY_SECONDS} s. Try again, or end that process",
    "SQLITE_FULL": "The disk is full. Free some space",
    "SQLITE_IOERR": "The disk gave an error. Check the disk and the free space",
    "SQLITE_CONSTRAINT": "A row of that id is already there, or one that it needs is missing",
}


def open_file(path: Path) -> Database:
    """Make or migrate the file and open it. Blocking: call it off the event loop. Raises StorageError."""
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if _revision(path) != REVISIONS[-1]:
            _migrate(path)
        return Database(
            Backend(
                reader=_engine(path, "BEGIN", READERS),
                writer=_engine(path, "BEGIN IMMEDIATE", 1),
                readers=READERS,
                writers=1,
                errors=lambda: storage_errors(path),
                patiently=_at_once,
            )
        )


def _at_once(transaction: Callable[[], Any]) -> Any:
    """SQLite waits for other processes by itself."""
    return transaction()


@contextmanager
def storage_errors(path: Path) -> Generator[None]:
    """Database errors become StorageError with the file and the next step."""
    try:
        yield
    except (sqlite3.Error, SQLAlchemyError) as error:
        raise StorageError(f"The ledger {path} could not be used: {_in_words(error)}.") from error
    except OSError as error:
        remedy = "Check its folder, or set ATELIER_HOME to another one"
        raise StorageError(f"The ledger {path} could not be opened: {error.strerror or error}. {remedy}.") from error


def _in_words(error: Exception) -> str:
    cause = getattr(error, "orig", None) or error
    name = getattr(cause, "sqlite_errorname", None) or ""
    # Extended codes carry the plain one in front: SQLITE_READONLY_DBMOVED, SQLITE_IOERR_WRITE.
    remedy = next((text for code, text in _REMEDIES.items() if str(name).startswith(code)), None)
    said = str(cause).partition("\n")[0]
    return f"{said}. {remedy}" if remedy else said


def _revision(path: Path) -> str | None:
    """The migration that the file is at, None for a new file. Raises StorageError for one that is no usable ledger."""
    if not path.exists():
        return None
    with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:

        def version() -> str | None:
            return (connection.execute("SELECT version_num FROM alembic_version").fetchone() or (None,))[0]

        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        return checked(str(path), {name for (name,) in names}, version)


def _migrate(path: Path) -> None:
    """Bring the file to the newest migration: one transaction, so that two processes may try at once."""
    _use_wal(path)
    engine = sa.create_engine(_url(path), connect_args={"timeout": BUSY_SECONDS})
    _prepare(engine, "BEGIN IMMEDIATE")
    try:
        with engine.begin() as connection:
            upgrade(connection, str(path))
    finally:
        engine.dispose()


def _use_wal(path: Path) -> None:
    """Switch the file to write-ahead logging, which it keeps. SQLite does not wait here by itself when locked."""
    until = time.monotonic() + BUSY_SECONDS
    with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL").fetchone()
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorname != "SQLITE_BUSY" or time.monotonic() > until:
                    raise
                time.sleep(0.02)


def _engine(path: Path, begin: str, connections: int) -> sa.Engine:
    threads = {"timeout": BUSY_SECONDS, "check_same_thread": False}  # the pool hands each connection to one at a time
    engine = sa.create_engine(_url(path), connect_args=threads, pool_size=connections, max_overflow=0)
    _prepare(engine, begin)
    return engine


def _url(path: Path) -> sa.URL:
    return sa.URL.create("sqlite", database=str(path))


def _prepare(engine: sa.Engine, begin: str) -> None:
    """Set the pragmas on each connection and begin transactions ourselves: the driver would begin them too late."""

    def connected(connection: Any, _: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in PRAGMAS:
            cursor.execute(pragma)
        cursor.close()

    def begun(connection: sa.Connection) -> None:
        connection.exec_driver_sql(begin)

    event.listen(engine, "connect", connected)
    event.listen(engine, "begin", begun)
