"""Tags, LoRAs, engines, the trash, fingerprints and embeddings; and the counts of what pictures are filtered by."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

from clients._ledger import labels

revision = "0004"
down_revision = "0003"

AT_ONCE = 500
"""Rows whose JSON is in memory at a time."""

_LOST = ("ix_items_best", "ix_items_model", "ix_items_created")
_INDEXES = {
    "ix_items_walk": "deleted, seq, best, created, favourite, kind, model_key, engine_key",
    "ix_items_best": "best, seq, favourite, kind, model_key, created, engine_key, deleted",
    "ix_items_model": "model_key, seq, best, created, favourite, kind, engine_key, deleted",
    "ix_items_engine": "engine_key, seq, best, created, favourite, kind, deleted",
    "ix_items_created": "created, seq, deleted",
    "ix_items_fingerprint": "deleted, seq, fingerprint",
}
_PARTIAL = {
    "ix_items_favourite": ("seq", "favourite"),
    "ix_items_video": ("seq", "kind = 'video'"),
    "ix_items_trash": ("deleted, seq", "deleted IS NOT NULL"),
}
_BEFORE = {
    "ix_items_best": "best, seq, favourite, kind, model_key, created",
    "ix_items_model": "model_key, seq",
    "ix_items_created": "created",
}


def upgrade() -> None:
    op.add_column("items", sa.Column("engine_key", sa.Text, nullable=False, server_default=""))
    op.add_column("items", sa.Column("deleted", sa.BigInteger))
    op.add_column("items", sa.Column("fingerprint", sa.BigInteger))
    _make_labels()
    _make_facets()
    _make_embeddings()
    for name in _LOST:
        op.drop_index(name, "items")
    _fill(op.get_bind())
    for name, columns in _INDEXES.items():
        op.execute(f"CREATE INDEX {name} ON items ({columns})")
    for name, (columns, where) in _PARTIAL.items():
        op.execute(f"CREATE INDEX {name} ON items ({columns}) WHERE {where}")


def downgrade() -> None:
    for name in (*_INDEXES, *_PARTIAL):
        op.drop_index(name, "items")
    for table in ("processes", "embeddings", "versions", "facets", "item_labels"):
        op.drop_table(table)
    for column in ("fingerprint", "deleted", "engine_key"):
        op.execute(f"ALTER TABLE items DROP COLUMN {column}")
    for name, columns in _BEFORE.items():
        op.execute(f"CREATE INDEX {name} ON items ({columns})")


def _make_labels() -> None:
    op.create_table(
        "item_labels",
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("label", sa.Text, primary_key=True),
        _item(),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_item_labels_seq", "item_labels", ["seq"])


def _make_facets() -> None:
    op.create_table(
        "facets",
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("label", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_facets_count", "facets", ["kind", "count"])
    op.create_table(
        "versions",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False),
    )


def _make_embeddings() -> None:
    op.create_table(
        "processes",
        sa.Column("owner", sa.Text, primary_key=True),
        sa.Column("beaten", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "embeddings",
        _item(),
        sa.Column("model", sa.Text, primary_key=True),
        sa.Column("stamp", sa.BigInteger, nullable=False),
        sa.Column("sketch", sa.LargeBinary, nullable=False),
        sa.Column("vector", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_embeddings_sketch", "embeddings", ["model", "stamp", "seq", "sketch"])


def _item() -> sa.Column[int]:
    held = sa.ForeignKey("items.seq", ondelete="CASCADE")
    return sa.Column("seq", sa.Integer, held, primary_key=True, autoincrement=False)


def _fill(connection: sa.Connection) -> None:
    """What the rows written before have in their JSON alone. A row that cannot be read keeps its empty columns."""
    engines = sa.text("UPDATE items SET engine_key = :engine WHERE seq = :seq")
    label = sa.text("INSERT INTO item_labels (kind, label, seq) VALUES (:kind, :label, :seq)")
    for rows in _batches(connection):
        told = [(seq, _told(body)) for seq, body in rows]
        read = [(seq, *one) for seq, one in told if one is not None]
        if not read:
            continue
        connection.execute(engines, [{"engine": engine.casefold(), "seq": seq} for seq, _, engine, _ in read])
        found = [
            {"kind": kind, "label": name, "seq": seq}
            for seq, _, _, loras in read
            for kind, name in sorted(labels.labels((), loras))
        ]
        if found:
            connection.execute(label, found)
        counts = [one for _, model, engine, loras in read for one in labels.facets_of(model, engine, (), loras)]
        labels.count(connection, counts)


def _batches(connection: sa.Connection) -> Iterator[list[tuple[int, str]]]:
    query = sa.text("SELECT seq, body FROM item_details WHERE seq > :after ORDER BY seq LIMIT :limit")
    after = -1
    while rows := [(seq, body) for seq, body in connection.execute(query, {"after": after, "limit": AT_ONCE})]:
        yield rows
        after = rows[-1][0]


def _told(body: str) -> tuple[str, str, list[str]] | None:
    """Model, engine and LoRAs of an item's JSON."""
    try:
        item: dict[str, Any] = json.loads(body)
        names = [str(lora["name"]) for lora in item["rendered"].get("loras", ())]
        return str(item["model"]), str(item["engine"]), names
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
