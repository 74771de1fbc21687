"""The few statements that SQLite and PostgreSQL say differently."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

Insert = sqlite.Insert | postgresql.Insert


def is_sqlite(connection: sa.Connection) -> bool:
    return connection.dialect.name == "sqlite"


def insert(connection: sa.Connection, table: sa.Table) -> Insert:
    """An INSERT that can say what to do about a row that is there."""
    return sqlite.insert(table) if is_sqlite(connection) else postgresql.insert(table)


def alone(connection: sa.Connection, name: str) -> None:
    """Until the end of the transaction nobody else goes past this with the same name. SQLite has one writer anyway."""
    if not is_sqlite(connection):
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": name})


def among(connection: sa.Connection, column: str, name: str) -> str:
    """A condition: the column's number is in the list bound as `name` (a JSON list on SQLite: see `listed`)."""
    if is_sqlite(connection):
        return f"{column} IN (SELECT value FROM json_each(:{name}))"
    return f"{column} = ANY(CAST(:{name} AS bigint[]))"


def listed(connection: sa.Connection, numbers: Sequence[int]) -> Any:
    """Numbers as `among` wants them bound."""
    return json.dumps(list(numbers)) if is_sqlite(connection) else list(numbers)
