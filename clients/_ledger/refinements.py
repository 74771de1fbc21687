"""LedgerRefinements: the Refinements port on the ledger's tables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from clients._ledger.database import Database
from clients._ledger.dialects import alone, insert
from clients._ledger.reading import parsed, readable
from clients._ledger.tables import (
    evaluations,
    iterations,
    microseconds,
    prompts,
    refined_prompts,
    refinements,
    tool_versions,
)
from workflows.types import Brief, Refinement, Round, now

MOST = 1000
_KEYS: Mapping[str, Sequence[str]] = {
    "iterations": ("refinement", "version", "number"),
    "evaluations": ("refinement", "version", "number"),
    "refined_prompts": ("refinement", "version", "number"),
    "tool_versions": ("refinement", "tool"),
}
_NEWEST = sa.select(prompts.c.version, prompts.c.body).order_by(prompts.c.version.desc()).limit(1)


class LedgerRefinements:
    """Refinements, each written whole: as it is, and its parts in tables of their own."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def save(self, refinement: Refinement) -> None:
        """Another brief than the one before makes a new version of the prompt; what was made of the earlier one
        stays."""

        def write(connection: sa.Connection) -> None:
            alone(connection, f"refinement {refinement.id}")
            seq = _written(connection, refinement)
            version = _version(connection, seq, refinement.brief)
            _write_over(connection, iterations, [_iteration(seq, version, one) for one in refinement.rounds])
            _write_over(connection, evaluations, _evaluations(seq, version, refinement.rounds))
            _write_over(connection, refined_prompts, _refined(seq, version, refinement.rounds))
            _write_over(connection, tool_versions, _tools(seq, refinement.versions))

        await self._database.write(write)

    async def get(self, refinement_id: str) -> Refinement | None:
        """Raises StorageError when the row is there but today's types cannot read it."""
        query = sa.select(refinements.c.body).where(refinements.c.id == refinement_id)
        body = await self._database.read(lambda connection: connection.scalar(query))
        return None if body is None else parsed(Refinement, body, refinement_id)

    async def of_run(self, run_id: str) -> Sequence[Refinement]:
        """All of them: a row that cannot be read is a StorageError, because a batch may not pass it over."""
        query = sa.select(refinements.c.id, refinements.c.body)
        query = query.where(refinements.c.run_id == run_id).order_by(refinements.c.seq)
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        return [parsed(Refinement, row.body, row.id) for row in rows]

    async def recent(self, limit: int, states: Sequence[str] = ()) -> Sequence[Refinement]:
        """At most 1,000, newest first. A row that cannot be read is left out and logged."""
        query = sa.select(refinements.c.id, refinements.c.body).order_by(refinements.c.seq.desc())
        if states:
            query = query.where(refinements.c.state.in_(states))
        rows = await self._database.read(lambda connection: connection.execute(query.limit(min(limit, MOST))).all())
        found = [readable(Refinement, row.body, row.id) for row in rows]
        return [one for one in found if one is not None]


def _written(connection: sa.Connection, refinement: Refinement) -> int:
    """The refinement's row, new or over the one with its id; its number."""
    chosen = refinement.chosen
    fields = {
        "run_id": refinement.run_id,
        "brief_id": refinement.brief.id,
        "state": refinement.state,
        "accepted": chosen.evaluation.passed if chosen and chosen.evaluation else None,
        "updated": microseconds(refinement.updated),
        "body": refinement.model_dump_json(),
    }
    row = {"id": refinement.id, "created": microseconds(refinement.created), **fields}
    new = insert(connection, refinements).values(row)
    made = new.on_conflict_do_update(index_elements=["id"], set_=fields).returning(refinements.c.seq)
    return int(connection.execute(made).scalar_one())


def _version(connection: sa.Connection, seq: int, brief: Brief) -> int:
    """The number of the version that this brief is, written down when it is another than the newest."""
    body = brief.model_dump_json()
    newest = connection.execute(_NEWEST.where(prompts.c.refinement == seq)).first()
    if newest is not None and newest.body == body:
        return int(newest.version)
    version = 1 if newest is None else int(newest.version) + 1
    fields = {"prompt": brief.prompt, "negative": brief.negative, "body": body, "created": microseconds(now())}
    connection.execute(sa.insert(prompts).values(refinement=seq, version=version, **fields))
    return version


def _write_over(connection: sa.Connection, table: sa.Table, rows: Sequence[dict[str, Any]]) -> None:
    if not rows:
        return
    keys = _KEYS[table.name]
    new = insert(connection, table)
    over = {name: new.excluded[name] for name in rows[0] if name not in keys}
    connection.execute(new.on_conflict_do_update(index_elements=list(keys), set_=over), rows)


def _iteration(seq: int, version: int, one: Round) -> dict[str, Any]:
    return {
        "refinement": seq,
        "version": version,
        "number": one.number,
        "prompt": one.prompt,
        "negative": one.negative,
        "stage": one.stage,
        "job_id": one.job_id,
        "image_id": one.image_id,
        "created": microseconds(one.created),
        "seconds": one.seconds,
    }


def _evaluations(seq: int, version: int, rounds: Sequence[Round]) -> list[dict[str, Any]]:
    return [
        {
            "refinement": seq,
            "version": version,
            "number": one.number,
            "by": one.evaluation.by,
            "text": one.evaluation.text,
            "score": _finite(one.evaluation.score),
            "passed": one.evaluation.passed,
            "missing": list(one.evaluation.missing),
            "seconds": one.evaluation.seconds,
        }
        for one in rounds
        if one.evaluation is not None
    ]


def _refined(seq: int, version: int, rounds: Sequence[Round]) -> list[dict[str, Any]]:
    numbers = {"refinement": seq, "version": version}
    return [
        numbers | {"number": one.number, "prompt": one.refined, "by": one.refined_by, "why": one.why}
        for one in rounds
        if one.refined is not None
    ]


def _tools(seq: int, versions: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"refinement": seq, "tool": name, "version": version} for name, version in versions.items()]


def _finite(score: float | None) -> float | None:
    return score if score is not None and math.isfinite(score) else None
