"""The ledger's tables as of the newest migration, and how a job or an item becomes a row."""

from __future__ import annotations

import math
import re
import unicodedata
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import sqlalchemy as sa

from workflows.types import HistoryEntry, Item, Job

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006")
"""Every migration, oldest first; the last is the head. Known here so that opening needs no Alembic."""

UNSCORED = -1e9
"""Stands for "no score" where rows are sorted by score: below every real one."""

_VIDEO = "kind = 'video'"
_TRASH = "deleted IS NOT NULL"
_FAILED = "status IN ('failed', 'refused')"

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

# Narrow on purpose: filters walk the indexes over these rows, and what is only shown lies in item_details. The wide
# indexes hold every column that a filter asks for, in the four orders in which lists are walked: neither a walk nor a
# count touches the rows themselves.
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
    sa.Column("engine_key", sa.Text, nullable=False, server_default=""),
    sa.Column("deleted", sa.BigInteger),
    sa.Column("fingerprint", sa.BigInteger),
    sa.Index("ix_items_walk", "deleted", "seq", "best", "created", "favourite", "kind", "model_key", "engine_key"),
    sa.Index("ix_items_best", "best", "seq", "favourite", "kind", "model_key", "created", "engine_key", "deleted"),
    sa.Index("ix_items_model", "model_key", "seq", "best", "created", "favourite", "kind", "engine_key", "deleted"),
    sa.Index("ix_items_engine", "engine_key", "seq", "best", "created", "favourite", "kind", "deleted"),
    sa.Index("ix_items_created", "created", "seq", "deleted"),
    sa.Index("ix_items_favourite", "seq", sqlite_where=sa.text("favourite"), postgresql_where=sa.text("favourite")),
    sa.Index("ix_items_video", "seq", sqlite_where=sa.text(_VIDEO), postgresql_where=sa.text(_VIDEO)),
    sa.Index("ix_items_trash", "deleted", "seq", sqlite_where=sa.text(_TRASH), postgresql_where=sa.text(_TRASH)),
    sa.Index("ix_items_fingerprint", "deleted", "seq", "fingerprint"),
    sa.Index("ix_items_key", "key"),
    sa.Index("ix_items_name", "name", "seq"),
    sa.Index("ix_items_parent", "parent_id"),
    sa.Index("ix_items_job", "job_id"),
    sa.Index("ix_items_job_model", "job_id", "model_key"),
    sqlite_autoincrement=True,
)

# The user's tags, and the LoRAs in all the ways in which they may be asked for (see `lora_labels`).
item_labels = sa.Table(
    "item_labels",
    metadata,
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("label", sa.Text, primary_key=True),
    sa.Column("seq", sa.Integer, sa.ForeignKey("items.seq", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    sa.Index("ix_item_labels_seq", "seq"),
    sqlite_with_rowid=False,
)

# The times of the pictures in each stretch of numbers (see spans).
item_spans = sa.Table(
    "item_spans",
    metadata,
    sa.Column("span", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("oldest", sa.BigInteger, nullable=False),
    sa.Column("newest", sa.BigInteger, nullable=False),
)

# How many pictures outside the trash there are of each value, counted by every transaction that changes it.
facets = sa.Table(
    "facets",
    metadata,
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("label", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("count", sa.BigInteger, nullable=False),
    sa.Index("ix_facets_count", "kind", "count"),
    sqlite_with_rowid=False,
)

# Numbers that grow with every change to something, so that what is kept in memory of it can be told to be old.
versions = sa.Table(
    "versions",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("number", sa.BigInteger, nullable=False),
)

# The processes of several machines that share a server: when each last said that it is alive (see heartbeats).
processes = sa.Table(
    "processes",
    metadata,
    sa.Column("owner", sa.Text, primary_key=True),
    sa.Column("beaten", sa.BigInteger, nullable=False),
)

# `sketch` stands for the vector where all are looked through (see likenesses); `stamp` is the version of its writing.
embeddings = sa.Table(
    "embeddings",
    metadata,
    sa.Column("seq", sa.Integer, sa.ForeignKey("items.seq", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    sa.Column("model", sa.Text, primary_key=True),
    sa.Column("stamp", sa.BigInteger, nullable=False),
    sa.Column("sketch", sa.LargeBinary, nullable=False),
    sa.Column("vector", sa.LargeBinary, nullable=False),
    sa.Index("ix_embeddings_sketch", "model", "stamp", "seq", "sketch"),
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

# `body` is the whole refinement; the tables below it hold its parts for whoever asks for them alone. Those of an
# earlier version of its prompt stay.
refinements = sa.Table(
    "refinements",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("run_id", sa.Text, nullable=False),
    sa.Column("brief_id", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("accepted", sa.Boolean),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("updated", sa.BigInteger, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Index("ix_refinements_run", "run_id", "seq"),
    sa.Index("ix_refinements_state", "state", "seq"),
    sqlite_autoincrement=True,
)


def _refinement() -> sa.Column[int]:
    held = sa.ForeignKey("refinements.seq", ondelete="CASCADE")
    return sa.Column("refinement", sa.Integer, held, primary_key=True, autoincrement=False)


def _round() -> list[sa.Column[int]]:
    numbers = [sa.Column(name, sa.Integer, primary_key=True, autoincrement=False) for name in ("version", "number")]
    return [_refinement(), *numbers]


prompts = sa.Table(
    "prompts",
    metadata,
    _refinement(),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("prompt", sa.Text, nullable=False),
    sa.Column("negative", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
)

tool_versions = sa.Table(
    "tool_versions",
    metadata,
    _refinement(),
    sa.Column("tool", sa.Text, primary_key=True),
    sa.Column("version", sa.Text, nullable=False),
)

iterations = sa.Table(
    "iterations",
    metadata,
    *_round(),
    sa.Column("prompt", sa.Text, nullable=False),
    sa.Column("negative", sa.Text, nullable=False),
    sa.Column("stage", sa.Text, nullable=False),
    sa.Column("job_id", sa.Text),
    sa.Column("image_id", sa.Text),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("seconds", sa.Float, nullable=False),
    sa.Index("ix_iterations_job", "job_id"),
)

evaluations = sa.Table(
    "evaluations",
    metadata,
    *_round(),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("score", sa.Float),
    sa.Column("passed", sa.Boolean),
    sa.Column("missing", sa.JSON, nullable=False),
    sa.Column("seconds", sa.Float, nullable=False),
)

refined_prompts = sa.Table(
    "refined_prompts",
    metadata,
    *_round(),
    sa.Column("prompt", sa.Text, nullable=False),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("why", sa.Text, nullable=False),
)

_TOLD = ("service", "operation", "model", "status", "seconds", "tries", "cost")

# Requests to services; both wide indexes hold all that the statistics add up.
calls = sa.Table(
    "calls",
    metadata,
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
    sa.Index("ix_calls_created", "created", *_TOLD),
    sa.Index("ix_calls_run", "run_id", "created", *_TOLD),
    sa.Index("ix_calls_failed", "created", "seq", sqlite_where=sa.text(_FAILED), postgresql_where=sa.text(_FAILED)),
    sqlite_autoincrement=True,
)

# Han, kana, hangul and their compatibility forms: written without spaces between words.
_UNSPACED = re.compile(r"([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff])")


_ACCENTS = re.compile("[\u0300-\u036f]+")
_LATIN = re.compile("[\u00c0-\u024f\u1e00-\u1eff]")


def searchable(text: str) -> str:
    """The text as both search indexes want it: Latin letters without accents, all small, and each CJK character a word
    of its own, so that any run of them is found as a phrase."""
    if text.isascii():
        return text.lower().replace("\0", " ")
    folded = _LATIN.sub(_bare, unicodedata.normalize("NFKC", text).lower())
    return _UNSPACED.sub(r" \1 ", folded).replace("\0", " ")


def _bare(letter: re.Match[str]) -> str:
    return _ACCENTS.sub("", unicodedata.normalize("NFD", letter[0]))


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
            "verdicts": [_finite(verdict.model_dump(mode="json")) for verdict in attempt.verdicts],
        }
        for picture, outcome in enumerate(job.outcomes, start=1)
        for attempt in outcome.attempts
    ]


def _finite(value: Any) -> Any:
    """JSON as others than Python can read it: NaN and the infinities become null."""
    if isinstance(value, dict):
        return {name: _finite(one) for name, one in cast(dict[str, Any], value).items()}
    if isinstance(value, list):
        return [_finite(one) for one in cast(list[Any], value)]
    return None if isinstance(value, float) and not math.isfinite(value) else value


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
        "engine_key": item.engine.casefold(),
        "deleted": None if item.deleted is None else microseconds(item.deleted),
        "fingerprint": None if item.fingerprint is None else signed(item.fingerprint),
    }


def signed(fingerprint: str) -> int:
    """16 hex digits as the signed number of 64 bits that a column can hold."""
    return int.from_bytes(int(fingerprint, 16).to_bytes(8), signed=True)


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
