"""The ledger on a PostgreSQL server: opened, migrated, reconnected, and its errors put into words."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from clients._ledger.database import Backend, Database, checked, upgrade
from clients._ledger.dialects import alone
from clients._ledger.tables import REVISIONS
from workflows.errors import ExtraMissing, StorageError

READERS = 4
WRITERS = 4
CONNECT_SECONDS = 10
PATIENCE_SECONDS = 15.0
"""How long a transaction waits for a server that went away."""
PAUSE_SECONDS = 0.2

# Of errors that were undone whole: deadlock, serialization failure. Then the server going down or coming up.
_AGAIN = {"40P01", "40001"}
_AWAY = {"57P01", "57P02", "57P03"}

_REMEDIES = {
    "28P01": "Check the user and the password in DATABASE_URL; signs such as @ : / in them are written as %40 %3A %2F",
    "28000": "Check the user in DATABASE_URL, and that the server lets it in from here (pg_hba.conf)",
    "3D000": "Make the database first (createdb -E UTF8 NAME), or correct the name in DATABASE_URL",
    "53300": "The server has no connection left. End other programs, or raise its max_connections",
    "25006": "The database is read-only. Name the primary server in DATABASE_URL, not a standby",
    "42501": "Give this user the right to make and change tables there (GRANT ALL ON SCHEMA public TO ...)",
    "53100": "The server's disk is full. Free some space",
    "53200": "The server is out of memory. Try again later",
    "22021": "The database must hold UTF-8. Make another one with createdb -E UTF8",
    "57P03": "The server is starting or stopping. Try again in a moment",
    "57P01": "The server was stopped. Start it and try again",
    "23": "A row of that id is already there, or one that it needs is missing",
    "08": "Check that the server runs and can be reached from here",
}
# Until a connection is made the driver gives no code, only the server's words.
_CONNECTING = {
    "password authentication failed": "28P01",
    "no password supplied": "28P01",
    "no pg_hba.conf entry": "28000",
    "too many clients": "53300",
    "remaining connection slots": "53300",
    "too many connections": "53300",
    "starting up": "57P03",
    "shutting down": "57P03",
    "not yet accepting connections": "57P03",
    "role ": "28000",
    "database ": "3D000",
}


def open_server(where: str) -> Database:
    """Make or migrate the ledger's tables and open them. Blocking: call it off the event loop.

    Raises StorageError, ExtraMissing without the driver.
    """
    url = server_url(where)
    writer = engine(url, WRITERS)
    reader = engine(url, READERS, isolation_level="REPEATABLE READ").execution_options(postgresql_readonly=True)
    try:
        with storage_errors(url):
            if _revision(writer, url) != REVISIONS[-1]:
                _migrate(writer, url)
    except StorageError:
        writer.dispose()
        raise
    return Database(
        Backend(
            reader=reader,
            writer=writer,
            readers=READERS,
            writers=WRITERS,
            errors=lambda: storage_errors(url),
            patiently=patiently,
        )
    )


def server_url(where: str) -> sa.URL:
    """The driver's URL. Raises StorageError (never with the URL, which may hold a password), ExtraMissing."""
    if find_spec("psycopg") is None:
        raise ExtraMissing("postgres", "A ledger on PostgreSQL")
    try:
        return sa.make_url(where).set(drivername="postgresql+psycopg")
    except (ArgumentError, ValueError):
        said = "DATABASE_URL cannot be read: it is postgresql://USER:PASSWORD@HOST:5432/DATABASE"
    raise StorageError(f"{said}, with signs such as @ : / in the password written as %40 %3A %2F.")


def engine(url: sa.URL, connections: int, **options: Any) -> sa.Engine:
    # Never prepared on the server: the plan of a search depends on the words and filters that it is given.
    ways: dict[str, Any] = {"prepare_threshold": None, "application_name": "atelier"}
    if "connect_timeout" not in url.query:
        ways["connect_timeout"] = CONNECT_SECONDS
    return sa.create_engine(
        url,
        connect_args=ways,
        pool_size=connections,
        max_overflow=0,
        pool_pre_ping=True,
        hide_parameters=True,
        **options,
    )


def patiently(transaction: Callable[[], Any]) -> Any:
    """Again after a deadlock, and after a lost connection once the server is back."""
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return transaction()
        except DBAPIError as error:
            if not _may_go_through(error) or time.monotonic() > until:
                raise
        time.sleep(PAUSE_SECONDS)


@contextmanager
def storage_errors(url: sa.URL) -> Generator[None]:
    """Database errors become StorageError with the server, without the password, and with the next step."""
    try:
        yield
    except SQLAlchemyError as error:
        words = _without_password(_in_words(error), url)
        raise StorageError(f"The ledger {named(url)} could not be used: {words}.") from error


def named(url: sa.URL) -> str:
    """The server and the database, without password and options."""
    place = f"{url.host or 'localhost'}{f':{url.port}' if url.port else ''}"
    return f"postgresql://{f'{url.username}@' if url.username else ''}{place}/{url.database or ''}"


def _in_words(error: SQLAlchemyError) -> str:
    cause = getattr(error, "orig", None) or error
    said = str(cause).strip()
    lines = [line.strip() for line in said.splitlines() if line.strip()] or [type(cause).__name__]
    told = next((line for line in lines if "FATAL" in line), lines[0]).rstrip(".")
    code = _code(error)
    remedy = _REMEDIES.get(code) or _REMEDIES.get(code[:2])
    return f"{told}. {remedy}" if remedy else told


def _code(error: SQLAlchemyError) -> str:
    """The SQLSTATE; 08006 for a connection that was lost or never made."""
    cause = getattr(error, "orig", None)
    code = str(getattr(cause, "sqlstate", None) or "")
    if code or cause is None:
        return code
    fatal = str(cause).rpartition("FATAL:")[2].lower() if "FATAL:" in str(cause) else ""
    known = next((state for words, state in _CONNECTING.items() if words in fatal), "")
    return known or ("08006" if type(cause).__name__ == "OperationalError" else "")


def _may_go_through(error: DBAPIError) -> bool:
    code = _code(error)
    return error.connection_invalidated or code in _AGAIN | _AWAY or code.startswith("08")


def _without_password(words: str, url: sa.URL) -> str:
    secret = str(url.password or "")
    return words if not secret or secret in named(url) else words.replace(secret, "***")


def _revision(server: sa.Engine, url: sa.URL) -> str | None:
    with server.connect() as connection:

        def version() -> str | None:
            return connection.scalar(sa.text("SELECT version_num FROM alembic_version"))

        found = connection.execute(sa.text("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"))
        revision = checked(named(url), set(found.scalars()), version)
        encoding = connection.scalar(sa.text("SELECT current_setting('server_encoding')"))
        if encoding != "UTF8":
            raise StorageError(f"The database {named(url)} holds {encoding}, not UTF-8. {_REMEDIES['22021']}.")
        return revision


def _migrate(server: sa.Engine, url: sa.URL) -> None:
    """Bring the database to the newest migration; of several processes that try at once the others wait and find it
    done."""
    with server.begin() as connection:
        alone(connection, "atelier migrations")
        upgrade(connection, named(url))
