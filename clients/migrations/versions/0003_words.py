"""Prompts that were written with the search index over them, conversations, the user's own presets."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_COLUMNS = "input, output, negative, presets, model"
_FORGET = f"""
    INSERT INTO history_fts(history_fts, rowid, {_COLUMNS})
    VALUES ('delete', old.seq, old.input, old.output, old.negative, old.presets, old.model);
"""
_LEARN = f"""
    INSERT INTO history_fts(rowid, {_COLUMNS})
    VALUES (new.seq, new.input, new.output, new.negative, new.presets, new.model);
"""

# As items_fts: no copy of the text, kept in step by triggers.
FULL_TEXT = (
    f"""
    CREATE VIRTUAL TABLE history_fts USING fts5(
        {_COLUMNS}, content='history', content_rowid='seq',
        prefix='2 3', tokenize='unicode61 remove_diacritics 2'
    )
    """,
    f"CREATE TRIGGER history_added AFTER INSERT ON history BEGIN {_LEARN} END",
    f"CREATE TRIGGER history_removed AFTER DELETE ON history BEGIN {_FORGET} END",
    f"CREATE TRIGGER history_changed AFTER UPDATE OF {_COLUMNS} ON history BEGIN {_FORGET} {_LEARN} END",
)

WORDS = (
    "CREATE TABLE history_words "
    "(seq INTEGER PRIMARY KEY REFERENCES history ON DELETE CASCADE, words TSVECTOR NOT NULL)",
    "CREATE INDEX ix_history_words ON history_words USING gin (words)",
)


def upgrade() -> None:
    _make_history()
    _make_conversations()
    _make_presets()
    for statement in FULL_TEXT if op.get_bind().dialect.name == "sqlite" else WORDS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE history_fts" if op.get_bind().dialect.name == "sqlite" else "DROP TABLE history_words")
    for table in ("presets", "messages", "conversations", "history"):
        op.drop_table(table)


def _make_history() -> None:
    op.create_table(
        "history",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("input", sa.Text, nullable=False),
        sa.Column("output", sa.Text, nullable=False),
        sa.Column("negative", sa.Text, nullable=False),
        sa.Column("presets", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )


def _make_conversations() -> None:
    op.create_table(
        "conversations",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("turns", sa.Integer, nullable=False),
        sa.Column("began", sa.BigInteger, nullable=False),
        sa.Column("updated", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_conversations_updated", "conversations", ["updated", "seq"])
    conversation = sa.ForeignKey("conversations.seq", ondelete="CASCADE")
    op.create_table(
        "messages",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("conversation", sa.Integer, conversation, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_messages_conversation", "messages", ["conversation", "seq"])


def _make_presets() -> None:
    op.create_table(
        "presets",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("stamp", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("kind", "id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_presets_stamp", "presets", ["stamp"])
