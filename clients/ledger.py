"""The ledger: jobs, gallery items, weight files, history, conversations, own presets, refinements and the calls to
services, in one database: a SQLite file, or a PostgreSQL server that several machines share.

SQLAlchemy loads when one is opened, PostgreSQL's driver only for a server.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workflows.errors import StorageError
from workflows.ports import (
    Calls,
    Conversations,
    Filing,
    History,
    Items,
    Jobs,
    Likenesses,
    ModelRows,
    OwnPresets,
    Refinements,
)

if TYPE_CHECKING:
    from clients._ledger.calls import LedgerCalls
    from clients._ledger.database import Database
    from clients._ledger.heartbeats import ServerPresence

SQLITE_URL = "sqlite:///"
SERVER_URLS = ("postgresql://", "postgres://")


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """The ports on one database; several processes may have it open."""

    jobs: Jobs
    items: Items
    filing: Filing
    likenesses: Likenesses
    models: ModelRows
    history: History
    conversations: Conversations
    presets: OwnPresets
    refinements: Refinements
    calls: Calls
    presence: ServerPresence | None
    """Of the processes that share a server, to be entered; None with a file, whose processes are of one machine."""


@asynccontextmanager
async def open_ledger(where: str | Path) -> AsyncGenerator[Ledger]:
    """Open the database at a path, a `sqlite:///` or a `postgresql://` URL, made and migrated as needed.

    Raises StorageError with what to do for a file that is damaged, read-only, locked, for a server that is down or
    lets nobody in, and for what is not a ledger, or written by a newer Atelier: that is never changed or deleted.
    ExtraMissing when PostgreSQL's driver is not installed. No text of any error holds the URL's password.
    """
    ledger, calls, database = await asyncio.to_thread(_open, where)
    try:
        yield ledger
    finally:
        try:
            await calls.flush()
        finally:
            await database.close()


def _open(where: str | Path) -> tuple[Ledger, LedgerCalls, Database]:
    from clients._ledger.calls import LedgerCalls
    from clients._ledger.conversations import LedgerConversations
    from clients._ledger.filing import LedgerFiling
    from clients._ledger.history import LedgerHistory
    from clients._ledger.items import LedgerItems
    from clients._ledger.jobs import LedgerJobs
    from clients._ledger.likenesses import LedgerLikenesses
    from clients._ledger.models import LedgerModels
    from clients._ledger.presets import LedgerPresets
    from clients._ledger.refinements import LedgerRefinements

    database = _database(where)
    calls = LedgerCalls(database)
    ledger = Ledger(
        jobs=LedgerJobs(database),
        items=LedgerItems(database),
        filing=LedgerFiling(database),
        likenesses=LedgerLikenesses(database),
        models=LedgerModels(database),
        history=LedgerHistory(database),
        conversations=LedgerConversations(database),
        presets=LedgerPresets(database),
        refinements=LedgerRefinements(database),
        calls=calls,
        presence=_presence(where),
    )
    return ledger, calls, database


def _presence(where: str | Path) -> ServerPresence | None:
    if isinstance(where, Path) or not where.startswith(SERVER_URLS):
        return None
    from clients._ledger.heartbeats import ServerPresence
    from clients._ledger.postgres import server_url

    return ServerPresence(server_url(where))


def _database(where: str | Path) -> Database:
    if not isinstance(where, Path) and where.startswith(SERVER_URLS):
        from clients._ledger.postgres import open_server

        return open_server(where)
    from clients._ledger.sqlite import open_file

    return open_file(_path(where))


def _path(where: str | Path) -> Path:
    if isinstance(where, Path) or "://" not in where:
        return Path(where)
    if not where.startswith(SQLITE_URL):
        allowed = f"a file, a {SQLITE_URL} or a {SERVER_URLS[0]} URL"
        raise StorageError(f"The ledger can be {allowed}, not {where.partition('://')[0]}://.")
    return Path(where.removeprefix(SQLITE_URL))
