"""The ledger's tables as of the newest migration, and how a job or an item becomes a row."""

from __future__ import annotations

import math
import re
import unicodedata
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from workflows.types import HistoryEntry, Item, Job

REVISIONS = ("0001", "0002", "0003")
"""Every migration, oldest first; the last is the head. Known here so that opening needs no Alembic."""

UNSCORED = -1e9
"""Stands for "no score" where rows are sorted by score: below every real one."""

metadata = sa.MetaData()

jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("token", sa.Text),
    sa.Column("claims", sa.Integer, nullable=False, server_default="0"),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("updated", sa.BigInteger, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Index("ix_jobs_state", "state", "seq"),
    sqlite_autoincrement=True,
)

attempts = sa.Table(
    "attempts",
    metadata,
    sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("picture", sa.Integer, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("score", sa.Float),
    sa.Column("passed", sa.Boolean),
    sa.Column("seconds", sa.Float, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("verdicts", sa.JSON, nullable=False),
    sa.Index("ix_attempts_passed", "job_id", "passed"),
)

# Narrow on purpose: filters walk these rows, and what is only shown lies in item_details.
items = sa.Table(
    "items",
    metadata,
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
    # Sorted by score, and covering every filter: neither a sorted walk nor a count touches the rows themselves.
    sa.Index("ix_items_best", "best", "seq", "favourite", "kind", "model_key", "created"),
    sa.Index("ix_items_model", "model_key", "seq"),
    sa.Index("ix_items_created", "created"),
    sa.Index("ix_items_key", "key"),
    sa.Index("ix_items_name", "name", "seq"),
    sa.Index("ix_items_parent", "parent_id"),
    sa.Index("ix_items_job", "job_id"),
    sa.Index("ix_items_job_model", "job_id", "model_key"),
    sqlite_autoincrement=True,
)

# The texts are as the search index wants them (see `searchable`); the item itself is in `body`.
item_details = sa.Table(
    "item_details",
    metadata,
    sa.Column("seq", sa.Integer, sa.ForeignKey("items.seq", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    sa.Column("prompt", sa.Text, nullable=False),
    sa.Column("negative", sa.Text, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
)

# Weight files on this machine. A file that is gone keeps its row, with an empty body, for the owner's corrections.
models = sa.Table(
    "models",
    metadata,
    sa.Column("path", sa.Text, primary_key=True),
    sa.Column("signature", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("corrections", sa.Text, nullable=False),
    sa.Column("stamp", sa.BigInteger, nullable=False),
    sa.Index("ix_models_stamp", "stamp"),
)

# Prompts that were written. The texts are as the search index wants them; the entry itself is in `body`.
history = sa.Table(
    "history",
    metadata,
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

# `turns` and `began` are what a save is held against; the rest of a conversation is in `body`.
conversations = sa.Table(
    "conversations",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("turns", sa.Integer, nullable=False),
    sa.Column("began", sa.BigInteger, nullable=False),
    sa.Column("updated", sa.BigInteger, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Index("ix_conversations_updated", "updated", "seq"),
    sqlite_autoincrement=True,
)

messages = sa.Table(
    "messages",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("conversation", sa.Integer, sa.ForeignKey("conversations.seq", ondelete="CASCADE"), nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Index("ix_messages_conversation", "conversation", "seq"),
    sqlite_autoincrement=True,
)

presets = sa.Table(
    "presets",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("id", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("stamp", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("kind", "id"),
    sa.Index("ix_presets_stamp", "stamp"),
    sqlite_autoincrement=True,
)

# Han, kana, hangul and their compatibility forms: written without spaces between words.
_UNSPACED = re.compile(r"([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff])")


def searchable(text: str) -> str:
    """The text with each CJK character a word of its own, so that any run of them is found as a phrase."""
    return _UNSPACED.sub(r" \1 ", unicodedata.normalize("NFKC", text))


def microseconds(moment: datetime) -> int:
    """Microseconds since 1970; a moment without a zone is taken as UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round(aware.timestamp() * 1_000_000)


def moment(since_1970: int) -> datetime:
    """What `microseconds` made a number of, in UTC."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=since_1970)


def job_row(job: Job) -> dict[str, Any]:
    """The columns of `jobs` that follow from the job."""
    return {
        "id": job.id,
        "state": job.state,
        "created": microseconds(job.created),
        "updated": microseconds(job.updated),
        "body": job.model_dump_json(),
    }


def attempt_rows(job: Job) -> list[dict[str, Any]]:
    """One row of `attempts` for each round of each picture; pictures are numbered from 1."""
    return [
        {
            "job_id": job.id,
            "picture": picture,
            "number": attempt.number,
            "score": attempt.score,
            "passed": attempt.passed,
            "seconds": attempt.seconds,
            "key": attempt.key,
            "verdicts": [verdict.model_dump(mode="json") for verdict in attempt.verdicts],
        }
        for picture, outcome in enumerate(job.outcomes, start=1)
        for attempt in outcome.attempts
    ]


def item_row(item: Item) -> dict[str, Any]:
    """The columns of `items`, without `seq`."""
    unscored = item.score is None or math.isnan(item.score)
    return {
        "id": item.id,
        "job_id": item.job_id,
        "parent_id": item.parent_id,
        "key": item.key,
        "name": item.key.rpartition("/")[2],
        "kind": item.kind,
        "model_key": item.model.casefold(),
        "best": UNSCORED if unscored else item.score,
        "favourite": item.favourite,
        "created": microseconds(item.created),
    }


def detail_row(item: Item) -> dict[str, Any]:
    """The columns of `item_details`, without `seq`."""
    return {
        "prompt": searchable(item.prompt),
        "negative": searchable(item.negative),
        "model": searchable(item.model),
        "body": item.model_dump_json(),
    }


def history_row(entry: HistoryEntry) -> dict[str, Any]:
    """The columns of `history`, without `seq`. A model is also found by its family's name."""
    return {
        "id": entry.id,
        "input": searchable(entry.input),
        "output": searchable(entry.output),
        "negative": searchable(entry.negative),
        "presets": searchable(" ".join(entry.presets)),
        "model": searchable(f"{entry.model} {entry.family}"),
        "body": entry.model_dump_json(),
    }
