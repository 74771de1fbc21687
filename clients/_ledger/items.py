"""LedgerItems: the Items port on the ledger's tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from clients._ledger import finding, labels, search
from clients._ledger.database import Database
from clients._ledger.reading import parsed, readable
from clients._ledger.tables import item_details, items
from workflows.types import Facets, Item, ItemQuery, Page

MOST_CHILDREN = 200


class LedgerItems:
    """The gallery's rows. Rows that today's types cannot read are left out of lists, with a logged warning."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, name: str) -> Item | None:
        """By id, by key, or by file name: the newest of that name. StorageError for a row that cannot be read."""
        body = sa.select(items.c.id, item_details.c.body).join(item_details, item_details.c.seq == items.c.seq)
        if "\0" in name:  # no name has one, and PostgreSQL would not even look
            return None
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
        asked = search.asked_of(query, self._database.sqlite)
        if asked.has_text and asked.match is None:
            return Page(items=(), total=0)
        rows, total = await self._database.read(lambda connection: finding.found(connection, asked))
        shown = rows[: query.limit]
        more = len(rows) > query.limit
        found = [readable(Item, row.body, row.id) for row in shown]
        return Page(
            items=tuple(item for item in found if item is not None),
            cursor=search.cursor_after(query.sort, shown[-1].best, shown[-1].seq) if more else None,
            total=total,
        )

    async def children(self, item_id: str) -> Sequence[Item]:
        """What was made from this item, newest first, at most 200, the trash apart."""
        shown = sa.and_(items.c.parent_id == item_id, items.c.deleted.is_(None))
        return await self._where(shown, items.c.seq.desc())

    async def of_job(self, job_id: str) -> Sequence[Item]:
        """What one job filed, oldest first, the trash included."""
        return await self._where(items.c.job_id == job_id, items.c.seq)

    async def facets(self) -> Facets:
        """Counted as pictures come and go: quick at any number of them. At most the commonest 500 values of a kind."""
        return await self._database.read(labels.told)

    async def version(self) -> int:
        """Grows with every change of a row."""
        return await self._database.read(lambda connection: labels.version(connection, labels.GALLERY))

    async def _where(self, condition: sa.ColumnElement[bool], order: sa.ColumnElement[Any]) -> list[Item]:
        joined = sa.select(items.c.id, item_details.c.body).join(item_details, item_details.c.seq == items.c.seq)
        query = joined.where(condition).order_by(order).limit(MOST_CHILDREN)
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        found = [readable(Item, row.body, row.id) for row in rows]
        return [item for item in found if item is not None]
