"""When the pictures of each stretch of numbers were made."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

ROWS = 1024


def upgrade() -> None:
    op.create_table(
        "item_spans",
        sa.Column("span", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("oldest", sa.BigInteger, nullable=False),
        sa.Column("newest", sa.BigInteger, nullable=False),
    )
    op.execute(
        "INSERT INTO item_spans (span, oldest, newest) "
        f"SELECT seq / {ROWS}, min(created), max(created) FROM items GROUP BY seq / {ROWS}"
    )


def downgrade() -> None:
    op.drop_table("item_spans")
