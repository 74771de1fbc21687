"""What the ledger's tests file and look for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

from clients._ledger.tables import metadata
from clients.ledger import Ledger
from workflows.types import Item, ItemQuery, Job, Recipe

Where = str | Path
"""A SQLite file, or the URL of a PostgreSQL database."""
RECIPE = Recipe(prompt="a red circle")
START = datetime(2026, 11, 1, tzinfo=UTC)


def item(number: int, **changes: Any) -> Item:
    facts: dict[str, Any] = {
        "id": f"{number:04d}-item",
        "job_id": "job",
        "key": f"job/1/{number}.png",
        "media_type": "image/png",
        "width": 64,
        "height": 64,
        "size": 100,
        "sha256": "0" * 64,
        "created": START + timedelta(hours=number),
        "prompt": f"picture {number}",
        "model": "Demo",
        "engine": "local",
        "seed": number,
        "recipe": RECIPE,
        "rendered": RECIPE,
    }
    return Item(**facts | changes)


async def file_items(ledger: Ledger, *items: Item) -> None:
    job = Job(recipe=RECIPE)
    await ledger.jobs.add(job)
    assert await ledger.jobs.save(job, await ledger.jobs.claim(job.id), items)


async def found(ledger: Ledger, **query: Any) -> list[int]:
    """The seeds (which number the items) on the first page."""
    return [item.seed for item in (await ledger.items.search(ItemQuery(**query))).items]


# beside the ledger


def engine(where: Where) -> sa.Engine:
    """For looking at the tables themselves."""
    if isinstance(where, Path):
        made = sa.create_engine(sa.URL.create("sqlite", database=str(where)), poolclass=sa.NullPool)
        event.listen(made, "connect", _with_foreign_keys)
        return made
    return sa.create_engine(sa.make_url(where).set(drivername="postgresql+psycopg"), poolclass=sa.NullPool)


def _with_foreign_keys(connection: Any, _: Any) -> None:
    connection.execute("PRAGMA foreign_keys = ON")


def rows(where: Where, statement: str) -> list[tuple[Any, ...]]:
    with engine(where).connect() as connection:
        return [tuple(row) for row in connection.execute(sa.text(statement))]


def change(where: Where, statement: str) -> None:
    with engine(where).begin() as connection:
        connection.exec_driver_sql(statement)


def with_unknown_field(where: Where, table: str, condition: str) -> None:
    """As if a newer Atelier had written the row's JSON."""
    change(where, f"UPDATE {table} SET body = replace(body, '{{\"', '{{\"holograms\":3,\"') WHERE {condition}")


def emptied(url: str) -> str:
    """The same database without rows, its numbers counted from 1. Row by row: TRUNCATE makes new files for every table
    and index."""
    deleted = [f"DELETE FROM {table.name}" for table in reversed(metadata.sorted_tables)]
    counted = [
        f"SELECT setval(pg_get_serial_sequence('{table.name}', 'seq'), 1, false)"
        for table in metadata.sorted_tables
        if table.autoincrement_column is not None and table.autoincrement_column.autoincrement is True
    ]
    change(url, "; ".join([*deleted, *counted]))
    return url
