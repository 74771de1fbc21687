"""The ledger: jobs, gallery items, weight files, history, conversations, own presets, in one SQLite file.

SQLAlchemy loads when one is opened.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workflows.errors import StorageError
from workflows.ports import Conversations, History, Items, Jobs, ModelRows, OwnPresets

if TYPE_CHECKING:
    from clients._ledger.database import Database

SQLITE_URL = "sqlite:///"


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """The ports on one database; several processes may have it open."""

    jobs: Jobs
    items: Items
    models: ModelRows
    history: History
    conversations: Conversations
    presets: OwnPresets


@asynccontextmanager
async def open_ledger(where: str | Path) -> AsyncGenerator[Ledger]:
    """Open the database at a path or `sqlite:///` URL, made and migrated as needed.

    Raises StorageError with what to do for a file that is damaged, read-only, locked, not a ledger, or written by a
    newer Atelier. Such a file is never changed or deleted.
    """
    ledger, database = await asyncio.to_thread(_open, _path(where))
    try:
        yield ledger
    finally:
        await database.close()


def _open(path: Path) -> tuple[Ledger, Database]:
    from clients._ledger.conversations import LedgerConversations
    from clients._ledger.database import open_database
    from clients._ledger.history import LedgerHistory
    from clients._ledger.items import LedgerItems
    from clients._ledger.jobs import LedgerJobs
    from clients._ledger.models import LedgerModels
    from clients._ledger.presets import LedgerPresets

    database = open_database(path)
    ledger = Ledger(
        jobs=LedgerJobs(database),
        items=LedgerItems(database),
        models=LedgerModels(database),
        history=LedgerHistory(database),
        conversations=LedgerConversations(database),
        presets=LedgerPresets(database),
    )
    return ledger, database


def _path(where: str | Path) -> Path:
    if isinstance(where, Path) or "://" not in where:
        return Path(where)
    if not where.startswith(SQLITE_URL):
        raise StorageError(f"The ledger can be a file or a {SQLITE_URL} URL, not {where.partition('://')[0]}://.")
    return Path(where.removeprefix(SQLITE_URL))
