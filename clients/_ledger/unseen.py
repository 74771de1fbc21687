"""Pictures without a vector of a model, without going through all the others each time.

Up to which number all were looked at is remembered, with those that were still without a vector there; only these and
later ones are looked at again. What comes back from the trash makes it begin anew.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from clients._ledger import labels
from clients._ledger.dialects import among, is_sqlite, listed

AT_ONCE = 1_000
"""Numbers that may be taken by transactions of other machines that have not ended: they are looked at again."""

_WITHOUT = """
SELECT i.seq FROM items AS i JOIN item_details AS d ON d.seq = i.seq WHERE {which} AND i.deleted IS NULL
AND NOT EXISTS (SELECT 1 FROM embeddings AS e WHERE e.seq = i.seq AND e.model = :model)
AND (i.kind = 'image' OR (i.kind = 'video' AND d.body LIKE '%"poster":"%')) ORDER BY i.seq DESC LIMIT :limit
"""


@dataclass(frozen=True, kw_only=True)
class Looked:
    """`version` is that of the restored pictures."""

    version: int
    through: int = -1
    left: tuple[int, ...] = ()


def without(connection: sa.Connection, model: str, limit: int, before: Looked | None) -> tuple[list[int], Looked]:
    """The numbers of up to so many pictures, newest first, and what to give the next time. A video counts where it has
    a poster; sounds and other files never do."""
    version = labels.version(connection, labels.SHOWN)
    known = before if before is not None and before.version == version else Looked(version=version)
    values = {"model": model, "through": known.through, "seqs": listed(connection, known.left)}

    def asked(which: str, most: int) -> list[int]:
        return list(connection.execute(sa.text(_WITHOUT.format(which=which)), values | {"limit": most}).scalars())

    newest = connection.scalar(sa.text("SELECT max(seq) FROM items")) or 0
    newer = asked("i.seq > :through", limit)
    left = asked(among(connection, "i.seq", "seqs"), len(known.left)) if known.left else []
    if len(newer) >= limit:
        return newer, known
    through = newest if is_sqlite(connection) else max(known.through, newest - AT_ONCE)
    still = [seq for seq in (*newer, *left) if seq <= through]
    return [*newer, *left][:limit], Looked(version=version, through=through, left=tuple(still))
