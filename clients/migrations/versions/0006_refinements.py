"""Refinements in rounds, with every version of their prompts; and the requests that were made of services."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_FAILED = "status IN ('failed', 'refused')"


def upgrade() -> None:
    _make_refinements()
    _make_prompts()
    _make_iterations()
    _make_calls()


def downgrade() -> None:
    for table in ("calls", "tool_versions", "refined_prompts", "evaluations", "iterations", "prompts", "refinements"):
        op.drop_table(table)


def _make_refinements() -> None:
    op.create_table(
        "refinements",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("brief_id", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("accepted", sa.Boolean),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("updated", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_refinements_run", "refinements", ["run_id", "seq"])
    op.create_index("ix_refinements_state", "refinements", ["state", "seq"])


def _make_prompts() -> None:
    op.create_table(
        "prompts",
        _refinement(),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("prompt", sa.Text, nullable=False),
        sa.Column("negative", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_table(
        "tool_versions",
        _refinement(),
        sa.Column("tool", sa.Text, primary_key=True),
        sa.Column("version", sa.Text, nullable=False),
    )


def _make_iterations() -> None:
    op.create_table(
        "iterations",
        *_round(),
        sa.Column("prompt", sa.Text, nullable=False),
        sa.Column("negative", sa.Text, nullable=False),
        sa.Column("stage", sa.Text, nullable=False),
        sa.Column("job_id", sa.Text),
        sa.Column("image_id", sa.Text),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
    )
    op.create_index("ix_iterations_job", "iterations", ["job_id"])
    op.create_table(
        "evaluations",
        *_round(),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("score", sa.Float),
        sa.Column("passed", sa.Boolean),
        sa.Column("missing", sa.JSON, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
    )
    op.create_table(
        "refined_prompts",
        *_round(),
        sa.Column("prompt", sa.Text, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
    )


def _make_calls() -> None:
    op.create_table(
        "calls",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("service", sa.Text, nullable=False),
        sa.Column("operation", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("cost", sa.Float),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    told = ["service", "operation", "model", "status", "seconds", "tries", "cost"]
    op.create_index("ix_calls_created", "calls", ["created", *told])
    op.create_index("ix_calls_run", "calls", ["run_id", "created", *told])
    op.execute(f"CREATE INDEX ix_calls_failed ON calls (created, seq) WHERE {_FAILED}")


def _refinement() -> sa.Column[int]:
    held = sa.ForeignKey("refinements.seq", ondelete="CASCADE")
    return sa.Column("refinement", sa.Integer, held, primary_key=True, autoincrement=False)


def _round() -> list[sa.Column[int]]:
    """A round is of one version of its prompt: what was made of an earlier one stays."""
    return [
        _refinement(),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    ]
