"""LedgerItems: the Items port on the ledger's tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from clients._ledger import search
from clients._ledger.database import Database
from clients._ledger.reading import parsed, readable
from clients._ledger.tables import item_details, items
from workflows.types import Item, ItemQuery, Page

MOST_CHILDREN = 200


class LedgerItems:
    """The gallery's rows. Rows that today's types cannot read are left out of lists, with a logged warning."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, name: str) -> Item | None:
        """By id, by key, or by file name: the newest of that name. StorageError for a row that cannot be read."""
        body = sa.select(items.c.id, item_details.c.body).join(item_details, item_details.c.seq == items.c.seq)
        columns = (items.c.id, items.c.key, items.c.name)
        queries = [body.where(column == name).order_by(items.c.seq.desc()).limit(1) for column in columns]

        def look(connection: sa.Connection) -> sa.Row[Any, Any] | None:
            rows = (connection.execute(query).first() for query in queries)
            return next((row for row in rows if row is not None), None)

        row = await self._database.read(look)
        return None if row is None else parsed(Item, row.body, row.id)

    async def search(self, query: ItemQuery) -> Page:
        """One page and its cursor, which stays right while items come and go; "newest" is the order of filing.

        Every word of `query.query` must occur in prompt, negative prompt or model (the last one may be a beginning).
        `total` is exact without text and filters; with them it is exact up to 1,000, which then means "or more".
        Raises BadRecipe for a cursor that is not ours.
        """
        wanted = search.page(query)
        if search.has_text(query) and search.full_text(query) is None:
            return Page(items=(), total=0)

        def look(connection: sa.Connection) -> tuple[Sequence[sa.Row[Any]], int]:
            rows = connection.execute(sa.text(wanted.sql), wanted.values).all()
            return rows, _total(connection, query, len(rows))

        rows, total = await self._database.read(look)
        shown = rows[: query.limit]
        more = len(rows) > query.limit
        found = [readable(Item, row.body, row.id) for row in shown]
        return Page(
            items=tuple(item for item in found if item is not None),
            cursor=search.cursor_after(query.sort, shown[-1].best, shown[-1].seq) if more else None,
            total=total,
        )

    async def remove(self, item_id: str) -> bool:
        """Drop the row and what the search index knows of it; False when there was none."""
        gone = sa.delete(items).where(items.c.id == item_id)
        return await self._database.write(lambda connection: connection.execute(gone).rowcount > 0)

    async def children(self, item_id: str) -> Sequence[Item]:
        """What was made from this item, newest first, at most 200."""
        return await self._where(items.c.parent_id == item_id, items.c.seq.desc())

    async def of_job(self, job_id: str) -> Sequence[Item]:
        """What one job filed, oldest first."""
        return await self._where(items.c.job_id == job_id, items.c.seq)

    async def _where(self, condition: sa.ColumnElement[bool], order: sa.ColumnElement[Any]) -> list[Item]:
        joined = sa.select(items.c.id, item_details.c.body).join(item_details, item_details.c.seq == items.c.seq)
        query = joined.where(condition).order_by(order).limit(MOST_CHILDREN)
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        found = [readable(Item, row.body, row.id) for row in rows]
        return [item for item in found if item is not None]


def _total(connection: sa.Connection, query: ItemQuery, rows: int) -> int:
    if query.cursor is None and rows <= query.limit:  # the first page holds them all
        return rows
    statement = search.total(query)
    counted: Any = connection.scalar(sa.text(statement.sql), statement.values)
    return int(counted)
