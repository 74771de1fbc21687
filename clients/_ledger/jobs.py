"""LedgerJobs: the Jobs port on the ledger's tables."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from clients._ledger.database import Database
from clients._ledger.dialects import insert
from clients._ledger.filing import file_items
from clients._ledger.labels import next_version
from clients._ledger.reading import parsed, readable
from clients._ledger.tables import attempt_rows, attempts, items, job_row, jobs, microseconds
from workflows.errors import NotFound, StorageError
from workflows.types import Item, Job, new_id, now

ENDED = ("succeeded", "failed", "cancelled")
MOST = 1000


class LedgerJobs:
    """Durable jobs. An ended job is final: it can be neither claimed nor saved again."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, job: Job) -> str:
        """Write a new job down; the answer is the token of whoever added it, who has claimed it thereby."""
        token = new_id()
        row = job_row(job) | {"token": token, "claims": 1}
        await self._database.write(lambda connection: connection.execute(sa.insert(jobs).values(row)))
        return token

    async def claim(self, job_id: str) -> str:
        """A fresh token; the job is `running` from here on. NotFound without such a job, StorageError if it ended."""
        token = new_id()
        taken = {"token": token, "state": "running", "claims": jobs.c.claims + 1, "updated": microseconds(now())}
        open_job = sa.and_(jobs.c.id == job_id, jobs.c.state.not_in(ENDED))

        def take(connection: sa.Connection) -> None:
            if connection.execute(sa.update(jobs).where(open_job).values(taken)).rowcount:
                return
            state = connection.scalar(sa.select(jobs.c.state).where(jobs.c.id == job_id))
            if state is None:
                raise NotFound("job", job_id, hint="get_history lists the jobs.")
            raise StorageError(f"The job {job_id} has already {state}; ask for a new one instead of running it again.")

        await self._database.write(take)
        return token

    async def save(self, job: Job, token: str, items: Sequence[Item] = ()) -> bool:
        """Write job, attempts and new items at once, or nothing and False when `token` no longer holds the job.

        Items that are already filed are left as they are, so saving the same again is harmless.
        """
        held = sa.and_(jobs.c.id == job.id, jobs.c.token == token, jobs.c.state.not_in(ENDED))

        def keep(connection: sa.Connection) -> bool:
            if not connection.execute(sa.update(jobs).where(held).values(job_row(job))).rowcount:
                return False
            _save_attempts(connection, job)
            _add_items(connection, items)
            return True

        return await self._database.write(keep)

    async def get(self, job_id: str) -> Job | None:
        """Raises StorageError when the row is there but today's types cannot read it."""
        query = sa.select(jobs.c.body, jobs.c.state, jobs.c.updated).where(jobs.c.id == job_id)
        row = await self._database.read(lambda connection: connection.execute(query).first())
        return None if row is None else _as_now(parsed(Job, row.body, job_id), row.state)

    async def recent(self, limit: int, states: Sequence[str] = ()) -> Sequence[Job]:
        """At most 1,000 jobs, newest first. A row that cannot be read is left out and logged."""
        query = sa.select(jobs.c.id, jobs.c.body, jobs.c.state).order_by(jobs.c.seq.desc()).limit(min(limit, MOST))
        if states:
            query = query.where(jobs.c.state.in_(states))
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        found = [(readable(Job, row.body, row.id), row.state) for row in rows]
        return [_as_now(job, state) for job, state in found if job is not None]


def _as_now(job: Job, state: str) -> Job:
    """A claim changes the row's state but not the stored JSON: the row is right."""
    return job if job.state == state else job.but(state=state)


def _save_attempts(connection: sa.Connection, job: Job) -> None:
    """Rounds that were written down before are left as they are: a round does not change once it is over."""
    rows = attempt_rows(job)
    if rows:
        connection.execute(insert(connection, attempts).on_conflict_do_nothing(), rows)
        next_version(connection, "attempts")


def _add_items(connection: sa.Connection, new: Sequence[Item]) -> None:
    known = sa.select(items.c.id).where(items.c.id.in_([item.id for item in new]))
    filed = set(connection.execute(known).scalars()) if new else set[str]()
    file_items(connection, [item for item in new if item.id not in filed])
