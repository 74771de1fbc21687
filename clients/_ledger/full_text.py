"""What somebody typed as a search: an expression of FTS5 on SQLite, a tsquery on PostgreSQL, of the same meaning.

SQLite keeps its index in step by triggers. PostgreSQL has a tsvector beside each row, written here: the words come
from Python, because its own parser goes by the server's locale and would take `oil-painting` for three words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from clients._ledger.dialects import is_sqlite
from clients._ledger.tables import searchable

EXACT = 1_000
"""Totals under filters or a text are exact up to here; a larger one is given as this number."""
INDEXED = {"items": ("prompt", "negative", "model"), "history": ("input", "output", "negative", "presets", "model")}
"""The columns that are searched, by table."""

LAST_PLACE = 16_383
"""The highest position in a tsvector."""
MOST_BYTES = 500
"""Of a word in a tsvector, which allows 2,046: longer ones are cut, in searches too."""
_WORD = re.compile(r"[^\W_]+")


def expression(text: str, *further: str) -> str | None:
    """The words of `text`, each quoted, all needed, the last one also as a beginning; and the further terms (FTS5).

    None when no word is left: signs and emoji are not indexed. Nothing that is typed can be FTS5 syntax.
    """
    words = _typed(text)
    if not words:
        return None
    terms = [phrase(word) for word in words]
    if _is_begun(words[-1]):
        terms[-1] += "*"
    return " AND ".join([*terms, *further])


def phrase(text: str) -> str:
    """The text as it stands, as one quoted phrase of FTS5."""
    return '"' + searchable(text).replace('"', '""').replace("\0", " ") + '"'


def tsquery(text: str) -> str | None:
    """As `expression`, in PostgreSQL's words."""
    words = _typed(text)
    phrases = [part for part in (words_of(word) for word in words) if part]
    if not phrases:
        return None
    if _is_begun(words[-1]):
        phrases[-1][-1] += ":*"
    return " & ".join(f"({' <-> '.join(part)})" for part in phrases)


def words_of(text: str) -> list[str]:
    """The words of a text as PostgreSQL's index holds them: what FTS5's unicode61 makes of it."""
    return [_cut(word) for word in _WORD.findall(searchable(text))]


def tsvector(texts: Sequence[str]) -> str:
    """The words of some columns with their positions; no phrase reaches from one column into the next."""
    places: dict[str, list[int]] = {}
    place = 0
    for text in texts:
        for word in words_of(text):
            place += 1
            places.setdefault(word, []).append(min(place, LAST_PLACE))
        place += 1
    return " ".join(f"'{word}':{','.join(map(str, found[:255]))}" for word, found in places.items())


def learn(connection: sa.Connection, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Index the texts of new rows by their `seq`."""
    if is_sqlite(connection) or not rows:
        return
    statement = sa.text(f"INSERT INTO {table}_words (seq, words) VALUES (:seq, CAST(:words AS tsvector))")
    told = [{"seq": row["seq"], "words": tsvector([row[name] for name in INDEXED[table]])} for row in rows]
    connection.execute(statement, told)


def forget(connection: sa.Connection, table: str, seq: int) -> None:
    """Take a row out of the index that is to be indexed anew; one that is deleted leaves it by itself."""
    if not is_sqlite(connection):
        connection.execute(sa.text(f"DELETE FROM {table}_words WHERE seq = :seq"), {"seq": seq})


def _typed(text: str) -> list[str]:
    return [word for word in text.replace("\0", " ").split() if any(map(str.isalnum, word))]


def _is_begun(word: str) -> bool:
    """One letter would merge every word that starts with it: 150 ms at 100,000 rows."""
    return len(word) > 1


def _cut(word: str) -> str:
    return word if len(word) <= MOST_BYTES // 4 else word.encode()[:MOST_BYTES].decode(errors="ignore")
