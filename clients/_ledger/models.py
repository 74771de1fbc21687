"""LedgerModels: the ModelRows port on the ledger's tables."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from pydantic import TypeAdapter, ValidationError

from clients._ledger.database import Database
from clients._ledger.dialects import alone, insert, is_sqlite
from clients._ledger.reading import log
from clients._ledger.tables import UNSCORED, models
from utils.collecting import no_collecting
from workflows.types import ModelRow, TrackRecord

AT_ONCE = 500
"""Rows that are parsed in one go: a few milliseconds, in which no other thread of this process runs."""

_ROWS = TypeAdapter(list[ModelRow])
_GONE = models.c.path == sa.bindparam("gone")
_FORGET = sa.delete(models).where(_GONE, models.c.corrections == "{}")
# The owner's word is kept for a file that is gone, because it may come back: a disk, a sync, a second download.
_BURY = sa.update(models).where(_GONE).values(signature="", body="", stamp=sa.bindparam("at"))
_THERE = sa.select(models.c.path, models.c.signature, models.c.body, models.c.corrections).where(models.c.body != "")
_NEWEST = sa.select(sa.func.coalesce(sa.func.max(models.c.stamp), 0))
_COUNT = sa.select(sa.func.count()).select_from(models).where(models.c.body != "")

# An attempt counts for the model that its job's pictures are by. Both walks read nothing but an index.
_JUDGED = """
SELECT made.model_key, count(*), sum(CASE WHEN attempts.passed THEN 1 ELSE 0 END)
FROM (SELECT job_id, min(model_key) AS model_key FROM items {jobs} GROUP BY job_id) AS made
JOIN attempts {passed} ON attempts.job_id = made.job_id
WHERE attempts.passed IS NOT NULL GROUP BY made.model_key
"""
_KEPT = f"SELECT model_key, avg(best) FROM items {{best}} WHERE best > {UNSCORED} GROUP BY model_key"
_NAMED = {
    "jobs": "INDEXED BY ix_items_job_model",
    "passed": "INDEXED BY ix_attempts_passed",
    "best": "INDEXED BY ix_items_best",
}
"""The indexes that SQLite, which has no statistics, is told to walk."""
_HISTORY = """
SELECT (SELECT number FROM versions WHERE name = 'attempts'), (SELECT max(seq) FROM items),
(SELECT count(*) FROM items)
"""


class State(NamedTuple):
    """Changes with every change to the table: the newest row's stamp, and how many rows there are."""

    newest: int = 0
    rows: int = 0


class LedgerModels:
    """The weight files as they were read last. What one process writes the others see at their next `all`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._state = State()
        self._rows: dict[str, ModelRow] = {}
        self._history: tuple[object, dict[str, TrackRecord]] = (None, {})

    async def all(self) -> Sequence[ModelRow]:
        """Every row; of the rows that this process has read before, only the changed ones are read again.

        A row that today's types cannot read is left out and logged; the next scan reads its file anew.
        """
        known, rows = self._state, self._rows

        def look(connection: sa.Connection) -> tuple[State, dict[str, ModelRow]]:
            state = State(connection.scalar(_NEWEST) or 0, connection.scalar(_COUNT) or 0)
            if state == known:
                return known, rows
            merged = rows | _parsed(connection.execute(_THERE.where(models.c.stamp > known.newest)).all())
            if len(merged) != state.rows:
                merged = _parsed(connection.execute(_THERE).all())
            return state, merged

        self._state, self._rows = await self._database.read(look)
        return list(self._rows.values())

    async def replace(self, changed: Sequence[ModelRow], gone: Sequence[str]) -> None:
        """Write rows and forget paths in one transaction; the owner's corrections stay, even those of a path that is
        forgotten, in case it comes back."""

        def write(connection: sa.Connection) -> None:
            stamp = _stamp(connection)
            if changed:
                connection.execute(_over(connection), [_row(row, stamp) for row in changed])
            if gone:
                connection.execute(_FORGET, [{"gone": path} for path in gone])
                connection.execute(_BURY, [{"gone": path, "at": stamp} for path in gone])

        if changed or gone:
            await self._database.write(write)

    async def correct(self, path: str, corrections: Mapping[str, str]) -> ModelRow | None:
        """The row as it is afterwards; "" removes a correction; None when the path is not there."""
        this = sa.and_(models.c.path == path, models.c.body != "")

        def write(connection: sa.Connection) -> sa.Row[Any, Any, Any, Any] | None:
            stamp = _stamp(connection)
            before = connection.scalar(sa.select(models.c.corrections).where(this))
            if before is None:
                return None
            after = {name: word for name, word in (json.loads(before) | dict(corrections)).items() if word}
            said = {"corrections": json.dumps(after), "stamp": stamp}
            connection.execute(sa.update(models).where(this).values(said))
            return connection.execute(_THERE.where(this)).one()

        row = await self._database.write(write)
        return None if row is None else _parsed([row]).get(path)

    async def records(self) -> Mapping[str, TrackRecord]:
        """By casefolded model name: attempts that were judged and accepted, and the mean score of the kept pictures.

        An attempt counts for the model that its job's pictures in the gallery are by.
        """
        known, before = self._history

        def look(connection: sa.Connection) -> tuple[object, dict[str, TrackRecord]]:
            state = tuple(connection.exec_driver_sql(_HISTORY).one())
            return (known, before) if state == known else (state, _records(connection))

        self._history = await self._database.read(look)
        return self._history[1]


def _records(connection: sa.Connection) -> dict[str, TrackRecord]:
    named = _NAMED if is_sqlite(connection) else dict.fromkeys(_NAMED, "")
    found = connection.exec_driver_sql(_JUDGED.format_map(named))
    judged = {model: (count, accepted) for model, count, accepted in found}
    scores: dict[str, float] = {model: score for model, score in connection.exec_driver_sql(_KEPT.format_map(named))}
    return {
        model: TrackRecord(judged=count, accepted=accepted, score=scores.get(model))
        for model in sorted(judged.keys() | scores.keys())
        for count, accepted in [judged.get(model, (0, 0))]
    }


def _over(connection: sa.Connection) -> sa.Executable:
    """Writes rows, over what is there of their paths."""
    new = insert(connection, models)
    over = {name: new.excluded[name] for name in ("signature", "body", "stamp")}
    return new.on_conflict_do_update(index_elements=["path"], set_=over)


def _stamp(connection: sa.Connection) -> int:
    """Above every stamp there is, and never one that a deleted row had; stamps become visible in their order."""
    alone(connection, "models")
    return max(time.time_ns(), (connection.scalar(_NEWEST) or 0) + 1)


def _row(row: ModelRow, stamp: int) -> dict[str, Any]:
    body = row.info.model_dump_json(exclude_defaults=True)
    said = json.dumps(row.corrections)
    return {"path": row.path, "signature": row.signature, "body": body, "corrections": said, "stamp": stamp}


def _parsed(found: Sequence[sa.Row[Any, Any, Any, Any]]) -> dict[str, ModelRow]:
    rows: dict[str, ModelRow] = {}
    with no_collecting():
        for first in range(0, len(found), AT_ONCE):
            some = found[first : first + AT_ONCE]
            for (path, *_), row in zip(some, _rows([_text(*row) for row in some]), strict=True):
                if row is None:
                    log.warning("left out until it is read anew: the weight file %s", path)
                    continue
                rows[path] = row
    return rows


def _text(path: str, signature: str, body: str, corrections: str) -> str:
    """A ModelRow as JSON: to have it parsed whole is twice as fast as to put it together in Python."""
    told = f'"path":{json.dumps(path)},"signature":{json.dumps(signature)}'
    return f'{{{told},"info":{body},"corrections":{corrections}}}'


def _rows(texts: Sequence[str]) -> Iterable[ModelRow | None]:
    """Parsed together, which is twice as fast as one by one; alone where one of them is of another version."""
    try:
        return _ROWS.validate_json(f"[{','.join(texts)}]")
    except ValidationError:
        return [_alone(text) for text in texts]


def _alone(text: str) -> ModelRow | None:
    try:
        return ModelRow.model_validate_json(text)
    except ValidationError:
        return None
