"""The weight files on this machine, and indexes for what the judges said by model."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "models",
        sa.Column("path", sa.Text, primary_key=True),
        sa.Column("signature", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("corrections", sa.Text, nullable=False),
        sa.Column("stamp", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_models_stamp", "models", ["stamp"])
    op.create_index("ix_attempts_passed", "attempts", ["job_id", "passed"])
    op.create_index("ix_items_job_model", "items", ["job_id", "model_key"])


def downgrade() -> None:
    op.drop_index("ix_items_job_model", "items")
    op.drop_index("ix_attempts_passed", "attempts")
    op.drop_table("models")
