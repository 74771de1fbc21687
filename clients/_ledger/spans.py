"""When the pictures of each stretch of numbers were made: where a time lies in the order of filing.

Rows are filed in the order of their time but for imports and clocks that differ, so that a time leaves few stretches.
A stretch only ever grows: what is deleted may leave it wider than it has to be, which costs a search nothing but time.
"""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from clients._ledger.dialects import insert
from clients._ledger.tables import item_spans

ROWS = 1024
"""Numbers in a stretch."""


def widen(connection: sa.Connection, rows: Iterable[tuple[int, int]]) -> None:
    """Take in rows, given by number and time."""
    times: dict[int, list[int]] = {}
    for seq, created in rows:
        times.setdefault(seq // ROWS, []).append(created)
    known = insert(connection, item_spans)
    mine, theirs = item_spans.c, known.excluded
    wider = {
        "oldest": sa.case((theirs.oldest < mine.oldest, theirs.oldest), else_=mine.oldest),
        "newest": sa.case((theirs.newest > mine.newest, theirs.newest), else_=mine.newest),
    }
    told = [{"span": span, "oldest": min(some), "newest": max(some)} for span, some in sorted(times.items())]
    connection.execute(known.on_conflict_do_update(index_elements=["span"], set_=wider), told)


def between(connection: sa.Connection, since: int | None, until: int | None) -> tuple[int, int] | None:
    """The first and the last number that a row of that time can have; None when there is none."""
    first, last = sa.func.min(item_spans.c.span), sa.func.max(item_spans.c.span)
    query = sa.select(first, last)
    if since is not None:
        query = query.where(item_spans.c.newest >= since)
    if until is not None:
        query = query.where(item_spans.c.oldest <= until)
    low, high = connection.execute(query).one()
    return None if low is None else (low * ROWS, high * ROWS + ROWS - 1)
