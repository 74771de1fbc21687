"""What somebody typed as an expression of FTS5. Pure: no SQL beyond the expression, no tables."""

from __future__ import annotations

from clients._ledger.tables import searchable

EXACT = 1_000
"""Totals under filters or a text are exact up to here; a larger one is given as this number."""


def expression(text: str, *further: str) -> str | None:
    """The words of `text`, each quoted, all needed, the last one also as a beginning; and the further terms.

    None when no word is left: signs and emoji are not indexed. Nothing that is typed can be FTS5 syntax.
    """
    words = [word for word in text.replace("\0", " ").split() if any(map(str.isalnum, word))]
    if not words:
        return None
    terms = [phrase(word) for word in words]
    if len(words[-1]) > 1:  # one letter would merge every word that starts with it: 150 ms at 100,000 rows
        terms[-1] += "*"
    return " AND ".join([*terms, *further])


def phrase(text: str) -> str:
    """The text as it stands, as one quoted phrase."""
    return '"' + searchable(text).replace('"', '""').replace("\0", " ") + '"'
