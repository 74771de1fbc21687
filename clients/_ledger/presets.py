"""LedgerPresets: the OwnPresets port on the ledger's tables."""

from __future__ import annotations

import time
from collections.abc import Sequence

import sqlalchemy as sa

from clients._ledger.database import Database
from clients._ledger.dialects import alone, insert
from clients._ledger.reading import readable
from clients._ledger.tables import presets
from workflows.types import Preset

_STATE = sa.select(sa.func.coalesce(sa.func.max(presets.c.stamp), 0), sa.func.count())
_ALL = sa.select(presets.c.kind, presets.c.id, presets.c.body).order_by(presets.c.seq)


class LedgerPresets:
    """The user's own presets. What one process writes the others see at their next `all`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: tuple[tuple[int, int], tuple[Preset, ...]] = ((0, 0), ())

    async def all(self) -> Sequence[Preset]:
        """In the order in which they were made; the very same tuple as before when nothing changed.

        A preset that today's types cannot read is left out and logged.
        """
        state, found = self._known

        def look(connection: sa.Connection) -> tuple[tuple[int, int], tuple[Preset, ...]]:
            newest, count = connection.execute(_STATE).one()
            if (newest, count) == state:
                return state, found
            rows = connection.execute(_ALL).all()
            read = [readable(Preset, row.body, f"{row.kind}:{row.id}") for row in rows]
            return (newest, count), tuple(one for one in read if one is not None)

        self._known = await self._database.read(look)
        return self._known[1]

    async def put(self, preset: Preset) -> None:
        """Written as the user's own; over the one of that kind and id, whose place it takes."""
        own = preset.but(own=True)
        fields = {"kind": own.kind, "id": own.id, "body": own.model_dump_json()}

        def write(connection: sa.Connection) -> None:
            alone(connection, "presets")  # stamps become visible in their order
            newest = connection.execute(_STATE).one()[0]
            new = insert(connection, presets)
            over = {name: new.excluded[name] for name in ("body", "stamp")}
            # Never a stamp that was there before, and never one that a deleted row had.
            written = fields | {"stamp": max(time.time_ns(), newest + 1)}
            connection.execute(new.on_conflict_do_update(index_elements=["kind", "id"], set_=over), written)

        await self._database.write(write)

    async def remove(self, kind: str, preset_id: str) -> bool:
        """Whether there was one."""
        gone = sa.delete(presets).where(presets.c.kind == kind, presets.c.id == preset_id)
        return await self._database.write(lambda connection: connection.execute(gone).rowcount > 0)
