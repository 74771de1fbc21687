"""LedgerCalls: the Calls port on the ledger's tables. Calls are written behind the back of whoever made them."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from clients._ledger.database import Database
from clients._ledger.dialects import insert
from clients._ledger.reading import readable
from clients._ledger.tables import calls, iterations, microseconds, moment, refinements
from workflows.errors import StorageError
from workflows.types import Call, RunStats, ServiceStats

log = logging.getLogger("atelier.ledger")

MOST_WAITING = 10_000
"""Calls that wait to be written while the ledger cannot be; the oldest give way."""
AT_ONCE = 500
"""Calls of one transaction."""
MOST = 1000
FAILED = ("failed", "refused")
"""What is counted, listed and pruned as a failure. A cancelled call failed nobody."""

_OURS = (calls.c.service, calls.c.operation, calls.c.model)


class LedgerCalls:
    """Every request to a service, with statistics. What is asked of it knows all that was recorded before."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: deque[Call] = deque(maxlen=MOST_WAITING)
        self._drain: asyncio.Task[None] | None = None
        self._writing = asyncio.Lock()

    def record(self, call: Call) -> None:
        """From the event loop it is written soon; from another thread with the next that comes, or at the end."""
        self._waiting.append(call)
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        if self._drain is None or self._drain.done():
            self._drain = loop.create_task(self._write_down(), name="calls to the ledger")

    async def flush(self) -> None:
        """Write what waits. A ledger that cannot be written is logged."""
        await asyncio.shield(asyncio.ensure_future(self._write_down()))

    async def stats(self, since: datetime | None = None, run_id: str = "") -> Sequence[ServiceStats]:
        await self.flush()
        query = _stats(since, run_id)
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        return [_service(row) for row in rows]

    async def failures(self, limit: int, since: datetime | None = None) -> Sequence[Call]:
        """At most 1,000. A row that cannot be read is left out and logged."""
        await self.flush()
        query = sa.select(calls.c.id, calls.c.body).where(_failed())
        if since is not None:
            query = query.where(calls.c.created >= microseconds(since))
        query = query.order_by(calls.c.created.desc(), calls.c.seq.desc()).limit(min(limit, MOST))
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        found = [readable(Call, row.body, row.id) for row in rows]
        return [one for one in found if one is not None]

    async def runs(self, limit: int) -> Sequence[RunStats]:
        """`rounds` and `pictures` count those of earlier versions of a prompt, too."""
        await self.flush()
        return await self._database.read(lambda connection: _runs(connection, min(limit, MOST)))

    async def prune(self, before: datetime) -> int:
        await self.flush()
        gone = sa.delete(calls).where(_failed(), calls.c.created < microseconds(before))
        return await self._database.write(lambda connection: connection.execute(gone).rowcount)

    async def _write_down(self) -> None:
        async with self._writing:
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
                try:
                    await self._write(batch)
                except StorageError as error:
                    room = MOST_WAITING - len(self._waiting)
                    self._waiting.extendleft(reversed(batch[-room:] if room else []))
                    log.warning("%d call(s) are not written down yet: %s", len(self._waiting), error)
                    return

    async def _write(self, batch: Sequence[Call]) -> None:
        rows = [_row(call) for call in batch]

        def write(connection: sa.Connection) -> None:
            connection.execute(insert(connection, calls).on_conflict_do_nothing(index_elements=["id"]), rows)

        await self._database.write(write)


def _row(call: Call) -> dict[str, Any]:
    told = call.model_dump(include={"id", "service", "operation", "model", "status", "seconds", "tries", "run_id"})
    return told | {"created": microseconds(call.created), "cost": call.cost, "body": call.model_dump_json()}


def _failed() -> sa.ColumnElement[bool]:
    """In the very words of the partial index."""
    return sa.text("status IN ('failed', 'refused')")  # pyright: ignore[reportReturnType]


def _stats(since: datetime | None, run_id: str) -> sa.Executable:
    """One row for each service, operation and model; the median is the mean of the one or two in the middle."""
    place = sa.func.row_number().over(partition_by=_OURS, order_by=calls.c.seconds)
    count = sa.func.count().over(partition_by=_OURS)
    query = sa.select(
        *_OURS, calls.c.status, calls.c.seconds, calls.c.tries, calls.c.cost, place.label("place"), count.label("many")
    )
    if since is not None:
        query = query.where(calls.c.created >= microseconds(since))
    if run_id:
        query = query.where(calls.c.run_id == run_id)
    ranked = query.cte("ranked")
    middle = sa.and_(ranked.c.place * 2 >= ranked.c.many, ranked.c.place * 2 <= ranked.c.many + 2)
    ours = (ranked.c.service, ranked.c.operation, ranked.c.model)
    made = sa.func.count().label("calls")
    return (
        sa.select(
            *ours,
            made,
            sa.func.sum(sa.case((ranked.c.status.in_(FAILED), 1), else_=0)).label("failed"),
            sa.func.sum(ranked.c.tries).label("tries"),
            sa.func.avg(sa.case((middle, ranked.c.seconds))).label("median_seconds"),
            sa.func.max(ranked.c.seconds).label("slowest_seconds"),
            sa.func.sum(ranked.c.cost).label("cost"),
            sa.func.count(ranked.c.cost).label("priced"),
        )
        .group_by(*ours)
        .order_by(made.desc(), *ours)
    )


def _service(row: sa.Row[Any]) -> ServiceStats:
    return ServiceStats(
        service=row.service,
        operation=row.operation,
        model=row.model,
        calls=row.calls,
        failed=row.failed,
        tries=row.tries,
        median_seconds=row.median_seconds,
        slowest_seconds=row.slowest_seconds,
        cost=row.cost,
        priced=row.priced,
    )


def _runs(connection: sa.Connection, limit: int) -> list[RunStats]:
    began = sa.func.min(refinements.c.created).label("created")
    query = sa.select(refinements.c.run_id, began, sa.func.count().label("briefs"))
    accepted = sa.func.sum(sa.case((refinements.c.accepted, 1), else_=0)).label("accepted")
    query = query.add_columns(accepted).where(refinements.c.run_id != "").group_by(refinements.c.run_id)
    found = connection.execute(query.order_by(began.desc(), refinements.c.run_id).limit(limit)).all()
    return [_run(connection, row) for row in found]


def _run(connection: sa.Connection, row: sa.Row[Any]) -> RunStats:
    of_run = refinements.c.run_id == row.run_id
    states = sa.select(refinements.c.state, sa.func.count()).where(of_run).group_by(refinements.c.state)
    drawn = sa.select(sa.func.count(), sa.func.count(iterations.c.image_id)).select_from(iterations)
    drawn = drawn.join(refinements, refinements.c.seq == iterations.c.refinement).where(of_run)
    asked = sa.select(sa.func.count(), sa.func.sum(calls.c.cost)).where(calls.c.run_id == row.run_id)
    rounds, pictures = connection.execute(drawn).one()
    made, cost = connection.execute(asked).one()
    return RunStats(
        run_id=row.run_id,
        created=moment(row.created),
        briefs=row.briefs,
        states={state: count for state, count in connection.execute(states)},
        rounds=rounds,
        pictures=pictures,
        accepted=row.accepted,
        calls=made,
        cost=cost,
    )
