"""Jobs, attempts, items and the search index over them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

# An index over item_details that holds no copy of the text; triggers keep it in step. unicode61 folds case and
# accents; the prefix indexes answer the first two and three letters of a word without merging all its endings.
FULL_TEXT = (
    """
    CREATE VIRTUAL TABLE items_fts USING fts5(
        prompt, negative, model, content='item_details', content_rowid='seq',
        prefix='2 3', tokenize='unicode61 remove_diacritics 2'
    )
    """,
    """
    CREATE TRIGGER item_details_added AFTER INSERT ON item_details BEGIN
        INSERT INTO items_fts(rowid, prompt, negative, model) VALUES (new.seq, new.prompt, new.negative, new.model);
    END
    """,
    """
    CREATE TRIGGER item_details_removed AFTER DELETE ON item_details BEGIN
        INSERT INTO items_fts(items_fts, rowid, prompt, negative, model)
        VALUES ('delete', old.seq, old.prompt, old.negative, old.model);
    END
    """,
    """
    CREATE TRIGGER item_details_changed AFTER UPDATE OF prompt, negative, model ON item_details BEGIN
        INSERT INTO items_fts(items_fts, rowid, prompt, negative, model)
        VALUES ('delete', old.seq, old.prompt, old.negative, old.model);
        INSERT INTO items_fts(rowid, prompt, negative, model) VALUES (new.seq, new.prompt, new.negative, new.model);
    END
    """,
)

# PostgreSQL: the words of each item (see clients._ledger.full_text), and ids in the order of their bytes.
WORDS = (
    "CREATE TABLE items_words (seq INTEGER PRIMARY KEY REFERENCES items ON DELETE CASCADE, words TSVECTOR NOT NULL)",
    "CREATE INDEX ix_items_words ON items_words USING gin (words)",
    'CREATE INDEX ix_items_id_bytes ON items (id COLLATE "C")',
)


def upgrade() -> None:
    _make_jobs()
    _make_attempts()
    _make_items()
    _make_item_details()
    for statement in FULL_TEXT if op.get_bind().dialect.name == "sqlite" else WORDS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE items_fts" if op.get_bind().dialect.name == "sqlite" else "DROP TABLE items_words")
    for table in ("item_details", "items", "attempts", "jobs"):
        op.drop_table(table)


def _make_jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("token", sa.Text),
        sa.Column("claims", sa.Integer, nullable=False, server_default="0"),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("updated", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_jobs_state", "jobs", ["state", "seq"])


def _make_attempts() -> None:
    op.create_table(
        "attempts",
        sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("picture", sa.Integer, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("score", sa.Float),
        sa.Column("passed", sa.Boolean),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("verdicts", sa.JSON, nullable=False),
    )


def _make_items() -> None:
    op.create_table(
        "items",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("job_id", sa.Text, nullable=False),
        sa.Column("parent_id", sa.Text),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("model_key", sa.Text, nullable=False),
        sa.Column("best", sa.Float, nullable=False),
        sa.Column("favourite", sa.Boolean, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_items_best", "items", ["best", "seq", "favourite", "kind", "model_key", "created"])
    op.create_index("ix_items_model", "items", ["model_key", "seq"])
    op.create_index("ix_items_created", "items", ["created"])
    op.create_index("ix_items_key", "items", ["key"])
    op.create_index("ix_items_name", "items", ["name", "seq"])
    op.create_index("ix_items_parent", "items", ["parent_id"])
    op.create_index("ix_items_job", "items", ["job_id"])


def _make_item_details() -> None:
    seq = sa.ForeignKey("items.seq", ondelete="CASCADE")
    op.create_table(
        "item_details",
        sa.Column("seq", sa.Integer, seq, primary_key=True, autoincrement=False),
        sa.Column("prompt", sa.Text, nullable=False),
        sa.Column("negative", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
