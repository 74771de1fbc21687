"""LedgerHistory: the History port on the ledger's tables. Only prompts that were written; conversations are apart.

"Newest" is the order of filing, which is the rowid: FTS5 walks its matches in that order and stops early, so that a
page never sorts. CROSS JOIN keeps the index the outer table.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from clients._ledger.cursors import cursor_of, is_row, not_ours, place_of
from clients._ledger.database import Database
from clients._ledger.full_text import EXACT, expression, learn, tsquery
from clients._ledger.reading import parsed, readable
from clients._ledger.tables import history, history_row
from workflows.types import HistoryEntry, HistoryPage, HistoryQuery

_LIST = "SELECT seq, id, body FROM history WHERE seq < :below ORDER BY seq DESC LIMIT :limit"
_FOUND = """
SELECT h.seq, h.id, h.body FROM history_fts CROSS JOIN history AS h ON h.seq = history_fts.rowid
WHERE history_fts MATCH :match AND history_fts.rowid < :below ORDER BY history_fts.rowid DESC LIMIT :limit
"""
_FOUND_WORDS = """
SELECT h.seq, h.id, h.body FROM history AS h
WHERE h.seq IN (SELECT seq FROM history_words WHERE words @@ CAST(:match AS tsquery)) AND h.seq < :below
ORDER BY h.seq DESC LIMIT :limit
"""
_ALL = "SELECT count(*) FROM history"
_MATCHING = f"SELECT count(*) FROM (SELECT 1 FROM history_fts WHERE history_fts MATCH :match LIMIT {EXACT})"
_MATCHING_WORDS = f"""
SELECT count(*) FROM (SELECT 1 FROM history_words WHERE words @@ CAST(:match AS tsquery) LIMIT {EXACT}) AS c
"""
_TOP = 2**63 - 1


class LedgerHistory:
    """Prompts as they were written. Entries that today's types cannot read are left out of pages and logged."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, entry: HistoryEntry) -> None:
        """File it as the newest. StorageError when its id is already there."""
        row = history_row(entry)

        def file(connection: sa.Connection) -> None:
            seq = connection.execute(sa.insert(history).returning(history.c.seq), row).scalar_one()
            learn(connection, "history", [{"seq": seq, **row}])

        await self._database.write(file)

    async def search(self, query: HistoryQuery) -> HistoryPage:
        """One page and its cursor, which stays right while entries come and go; newest first.

        Every word of `query.query` must occur in input, output, negative, presets, model or family (the last one may
        be a beginning). Raises BadRecipe for a cursor that is not ours.
        """
        below = _TOP if query.cursor is None else _place(query.cursor)
        sqlite = self._database.sqlite
        match = expression(query.query) if sqlite else tsquery(query.query)
        if match is None and query.query.strip():
            return HistoryPage(entries=(), total=0)
        values = {"below": below, "limit": query.limit + 1, "match": match}

        def look(connection: sa.Connection) -> tuple[Sequence[sa.Row[Any]], int]:
            found = _FOUND if sqlite else _FOUND_WORDS
            rows = connection.execute(sa.text(found if match else _LIST), values).all()
            if query.cursor is None and len(rows) <= query.limit:  # the first page holds them all
                return rows, len(rows)
            matching = _MATCHING if sqlite else _MATCHING_WORDS
            counted: Any = connection.scalar(sa.text(matching if match else _ALL), values)
            return rows, int(counted)

        rows, total = await self._database.read(look)
        shown = rows[: query.limit]
        found = [readable(HistoryEntry, row.body, row.id) for row in shown]
        return HistoryPage(
            entries=tuple(entry for entry in found if entry is not None),
            cursor=cursor_of(["history", shown[-1].seq]) if len(rows) > query.limit else None,
            total=total,
        )

    async def get(self, entry_id: str) -> HistoryEntry | None:
        """StorageError for an entry that cannot be read."""
        body = sa.select(history.c.body).where(history.c.id == entry_id)
        stored = await self._database.read(lambda connection: connection.scalar(body))
        return None if stored is None else parsed(HistoryEntry, stored, entry_id)

    async def remove(self, entry_id: str) -> bool:
        """Drop the entry and what the search index knows of it; whether there was one."""
        gone = sa.delete(history).where(history.c.id == entry_id)
        return await self._database.write(lambda connection: connection.execute(gone).rowcount > 0)


def _place(cursor: str) -> int:
    match place_of(cursor):
        case ["history", seq] if is_row(seq):
            return seq
        case _:
            raise not_ours(cursor, "query")
