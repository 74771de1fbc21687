"""LedgerFiling: the Filing port on the ledger's tables; and how items are filed, which jobs do as well."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from clients._ledger import labels, spans
from clients._ledger.database import Database
from clients._ledger.dialects import insert
from clients._ledger.full_text import forget, learn
from clients._ledger.reading import parsed, readable
from clients._ledger.tables import (
    detail_row,
    embeddings,
    item_details,
    item_labels,
    item_row,
    items,
    microseconds,
)
from workflows.types import Item

_SEQ = sa.insert(items).returning(items.c.seq, items.c.id, sort_by_parameter_order=True)


class LedgerFiling:
    """Pictures filed and changed without a job. Every change keeps labels, counts and the search index in step."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, items: Sequence[Item]) -> None:
        """File them in their order, as the newest; all or none. StorageError when an id is already there."""
        await self._database.write(lambda connection: file_items(connection, items))

    async def change(self, item_id: str, change: Callable[[Item], Item]) -> Item | None:
        """The row as it is afterwards; None when there is none. `change` may be called again, on a newer row.

        StorageError for a row that cannot be read, and for a change of its id.
        """

        def write(connection: sa.Connection) -> Item | None:
            held = _hold(connection, item_id)
            if held is None:
                return None
            seq, body = held
            before = parsed(Item, body, item_id)
            after = change(before)
            if after != before:
                _change(connection, seq, before, after)
            return after

        return await self._database.write(write)

    async def remove(self, item_id: str) -> bool:
        """Drop the row and what the search index, the labels and the counts know of it; False when there was none."""

        def write(connection: sa.Connection) -> bool:
            held = _hold(connection, item_id)
            if held is None:
                return False
            seq, body = held
            item = readable(Item, body, item_id)
            if item is not None and item.deleted is None:
                labels.count(connection, [], _facets(item))
            connection.execute(sa.delete(items).where(items.c.seq == seq))
            labels.next_version(connection, labels.GALLERY)
            return True

        return await self._database.write(write)

    async def trashed(self, before: datetime, limit: int) -> Sequence[Item]:
        """What went to the trash before that moment, oldest first; what cannot be read is left out and logged."""
        query = (
            sa.select(items.c.id, item_details.c.body)
            .join(item_details, item_details.c.seq == items.c.seq)
            .where(items.c.deleted.is_not(None), items.c.deleted < microseconds(before))
            .order_by(items.c.deleted, items.c.seq)
            .limit(limit)
        )
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        found = [readable(Item, row.body, row.id) for row in rows]
        return [item for item in found if item is not None]


def file_items(connection: sa.Connection, new: Sequence[Item]) -> None:
    """Write items with all that hangs on them, in their order."""
    if not new:
        return
    rows = connection.execute(_SEQ, [item_row(item) for item in new])
    seqs = {name: int(seq) for seq, name in rows}
    details = [{"seq": seqs[item.id], **detail_row(item)} for item in new]
    connection.execute(sa.insert(item_details), details)
    learn(connection, "items", details)
    spans.widen(connection, [(seqs[item.id], microseconds(item.created)) for item in new])
    _label(connection, {seqs[item.id]: labels.labels(item.tags, _loras(item)) for item in new})
    labels.count(connection, [facet for item in new if item.deleted is None for facet in _facets(item)])
    labels.next_version(connection, labels.GALLERY)


def _hold(connection: sa.Connection, item_id: str) -> tuple[int, str] | None:
    """The row's number and JSON, as nobody else can change them until the end of the transaction. Two statements: one
    that waited for the row would see the JSON as it was before the wait."""
    seq = connection.scalar(sa.select(items.c.seq).where(items.c.id == item_id).with_for_update())
    if seq is None:
        return None
    return seq, connection.execute(sa.select(item_details.c.body).where(item_details.c.seq == seq)).scalar_one()


def _change(connection: sa.Connection, seq: int, before: Item, after: Item) -> None:
    connection.execute(sa.update(items).where(items.c.seq == seq).values(item_row(after)))
    was, details = detail_row(before), detail_row(after)
    changed = {name: value for name, value in details.items() if value != was[name]}
    connection.execute(sa.update(item_details).where(item_details.c.seq == seq).values(changed))
    if changed.keys() != {"body"}:
        forget(connection, "items", seq)
        learn(connection, "items", [{"seq": seq, **details}])
    old, new = labels.labels(before.tags, _loras(before)), labels.labels(after.tags, _loras(after))
    for kind, label in old - new:
        gone = sa.and_(item_labels.c.seq == seq, item_labels.c.kind == kind, item_labels.c.label == label)
        connection.execute(sa.delete(item_labels).where(gone))
    _label(connection, {seq: new - old})
    spans.widen(connection, [(seq, microseconds(after.created))])
    shown, fewer = (_facets(one) if one.deleted is None else [] for one in (after, before))
    labels.count(connection, shown, fewer)
    if before.deleted is not None and after.deleted is None:
        _show_again(connection, seq)
    labels.next_version(connection, labels.GALLERY)


def _show_again(connection: sa.Connection, seq: int) -> None:
    """Whoever read the vectors, or asked for pictures without one, while it was in the trash has to look again."""
    labels.next_version(connection, labels.SHOWN)
    if connection.scalar(sa.select(sa.func.count()).where(embeddings.c.seq == seq)):
        stamp = labels.next_version(connection, "embeddings")
        connection.execute(sa.update(embeddings).where(embeddings.c.seq == seq).values(stamp=stamp))


def _label(connection: sa.Connection, found: dict[int, set[tuple[str, str]]]) -> None:
    rows: list[dict[str, Any]] = [
        {"kind": kind, "label": label, "seq": seq} for seq, several in found.items() for kind, label in several
    ]
    if rows:
        connection.execute(insert(connection, item_labels).on_conflict_do_nothing(), rows)


def _loras(item: Item) -> list[str]:
    return [lora.name for lora in item.rendered.loras]


def _facets(item: Item) -> list[labels.Facet]:
    return labels.facets_of(item.model, item.engine, item.tags, _loras(item))
