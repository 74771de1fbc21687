"""LedgerLikenesses: the Likenesses port on the ledger's tables.

To find what is near, all sketches (see `sketches`) are gone through in memory, and the vectors of the best are read
and compared exactly. Sketches that other processes write are seen by their stamps.
"""

from __future__ import annotations

import threading
from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from clients._ledger import labels, twins, unseen
from clients._ledger.database import Database
from clients._ledger.dialects import among, insert, listed
from clients._ledger.reading import readable
from clients._ledger.tables import embeddings, items
from workflows.types import Item

if TYPE_CHECKING:
    from clients._ledger.sketches import Sketches

CANDIDATES = 2_000
"""Vectors that are compared exactly at least, of the nearest sketches."""

AT_ONCE = 20_000
"""Sketches in memory at a time while they are read: a row takes several times the room of its sketch."""
_EMPTY = (0, -1)
"""Fingerprints of pictures of one colour, or of one even slope: all bits off, all on. They say nothing."""
_NEW = sa.select(embeddings.c.stamp, embeddings.c.seq, embeddings.c.sketch)
_HASHES = (
    sa.select(items.c.fingerprint, items.c.seq)
    .where(items.c.fingerprint.not_in(_EMPTY), items.c.deleted.is_(None))
    .order_by(items.c.seq.desc())
)


class LedgerLikenesses:
    """Vectors and fingerprints. `keep` and `near` need numpy (ExtraMissing without it)."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[str, Sketches] = {}
        self._looked: dict[str, unseen.Looked] = {}
        self._reading = threading.Lock()

    async def missing(self, model: str, limit: int) -> Sequence[Item]:
        """Newest first, videos without a poster apart; rows that today's types cannot read are left out and logged."""

        def look(connection: sa.Connection) -> tuple[Sequence[sa.Row[Any]], unseen.Looked]:
            seqs, looked = unseen.without(connection, model, limit, self._looked.get(model))
            joined = sa.text(
                "SELECT i.id, d.body FROM items AS i JOIN item_details AS d ON d.seq = i.seq "
                f"WHERE {among(connection, 'i.seq', 'seqs')} ORDER BY i.seq DESC"
            )
            return connection.execute(joined, {"seqs": listed(connection, seqs)}).all(), looked

        rows, self._looked[model] = await self._database.read(look)
        found = [readable(Item, row.body, row.id) for row in rows]
        return [item for item in found if item is not None]

    async def keep(self, model: str, vectors: Mapping[str, bytes]) -> None:
        """Written, or written over, in one transaction."""
        from clients._ledger.sketches import sketches_of

        if not vectors:
            return

        def write(connection: sa.Connection) -> None:
            known = sa.select(items.c.id, items.c.seq).where(items.c.id.in_(list(vectors)))
            found = sorted(connection.execute(known), key=lambda row: row[1])
            if not found:
                return
            stamp = labels.next_version(connection, "embeddings")
            sketches = sketches_of([vectors[name] for name, _ in found])
            new = insert(connection, embeddings)
            over = {name: new.excluded[name] for name in ("stamp", "sketch", "vector")}
            rows: list[dict[str, Any]] = [
                {"seq": seq, "model": model, "stamp": stamp, "sketch": sketch, "vector": vectors[name]}
                for (name, seq), sketch in zip(found, sketches, strict=True)
            ]
            connection.execute(new.on_conflict_do_update(index_elements=["seq", "model"], set_=over), rows)

        await self._database.write(write)

    async def vector(self, model: str, item_id: str) -> bytes | None:
        joined = sa.select(embeddings.c.vector).join(items, items.c.seq == embeddings.c.seq)
        query = joined.where(items.c.id == item_id, embeddings.c.model == model)
        return await self._database.read(lambda connection: connection.scalar(query))

    async def near(self, model: str, vector: bytes, limit: int) -> Sequence[tuple[str, float]]:
        """Up to CANDIDATES vectors (or 20 times `limit`) exactly; of more, those whose sketches are nearest, which
        miss hardly any of the first. ValueError for a vector of another length than the model's."""
        from clients._ledger.sketches import nearest

        def look(connection: sa.Connection) -> list[tuple[str, float]]:
            seqs = self._sketches(connection, model).nearest(vector, max(CANDIDATES, 20 * limit))
            rows = connection.execute(
                sa.text(
                    "SELECT i.id, e.vector FROM embeddings AS e JOIN items AS i ON i.seq = e.seq "
                    f"WHERE e.model = :model AND i.deleted IS NULL AND {among(connection, 'e.seq', 'seqs')}"
                ),
                {"model": model, "seqs": listed(connection, seqs)},
            ).all()
            return nearest(vector, [(name, bytes(stored)) for name, stored in rows], limit)

        return await self._database.read(look)

    async def twins(self, distance: int, limit: int) -> Sequence[Sequence[str]]:
        """Each picture is in one group at most. Pictures without a fingerprint are in none."""

        def look(connection: sa.Connection) -> list[list[str]]:
            hashes, seqs = array("q"), array("q")
            for fingerprint, seq in connection.execute(_HASHES):
                hashes.append(fingerprint)
                seqs.append(seq)
            groups = twins.groups(hashes, distance, limit)
            wanted = sorted({seqs[place] for group in groups for place in group})
            named = sa.text(f"SELECT seq, id FROM items WHERE {among(connection, 'seq', 'seqs')}")
            ids = dict(connection.execute(named, {"seqs": listed(connection, wanted)}).all())
            return [[ids[seqs[place]] for place in group] for group in groups]

        return await self._database.read(look)

    def _sketches(self, connection: sa.Connection, model: str) -> Sketches:
        """All of the model's, with those that were written since they were looked at last."""
        from clients._ledger.sketches import Sketches

        with self._reading:
            known = self._known.get(model) or Sketches()
            newer = _NEW.where(embeddings.c.model == model, embeddings.c.stamp > known.stamp)
            rows = connection.execution_options(stream_results=True).execute(newer.order_by(embeddings.c.stamp))
            self._known[model] = known = known.with_more(_batches(rows))
            return known


def _batches(rows: sa.CursorResult[int, int, bytes]) -> Iterator[Sequence[tuple[int, int, bytes]]]:
    while some := rows.fetchmany(AT_ONCE):
        yield some
