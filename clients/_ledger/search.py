"""Searches as SQL. Pure: values in, SQL and values out; `finding` chooses among the ways.

"Newest" is the order of filing, which is the row's number. SQLite has no statistics to choose by, so each way names
its index (CROSS JOIN: the first table is the outer one); PostgreSQL chooses itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from clients._ledger.cursors import cursor_of, is_row, not_ours, place_of
from clients._ledger.filters import BY_NUMBER, Filter, filters
from clients._ledger.full_text import expression, phrase, tsquery
from workflows.types import ItemQuery

_ORDER = {"newest": "i.seq DESC", "oldest": "i.seq", "best": "i.best DESC, i.seq DESC"}
_AFTER = {"newest": "i.seq < :seq", "oldest": "i.seq > :seq", "best": "(i.best, i.seq) < (:best, :seq)"}
_WORDS = "i.seq IN (SELECT seq FROM items_words WHERE words @@ CAST(:match AS tsquery))"
_MATCH = "items_fts MATCH :match"
_SPAN = "i.seq BETWEEN :low AND :high"


class Statement(NamedTuple):
    """SQL with named values."""

    sql: str
    values: dict[str, Any]


class Way(NamedTuple):
    """What to go through, the conditions that it needs, and the name that the order of filing has there."""

    source: str
    conditions: tuple[str, ...] = ()
    seq: str = "i.seq"
    sure: str = ""
    """A condition that all rows pass anyway."""


@dataclass(frozen=True)
class Search:
    """One query in the words of one dialect; made by `asked_of`."""

    query: ItemQuery
    sqlite: bool
    after: tuple[float, int] | None = None
    """The place (best, seq) that the cursor names."""
    span: tuple[int, int] | None = None
    """The numbers between which the rows of its time lie."""

    @property
    def has_text(self) -> bool:
        return bool(self.query.query.strip())

    @cached_property
    def match(self) -> str | None:
        """The query's text as an expression of the full text index; None when no word is left."""
        if not self.sqlite:
            return tsquery(self.query.query)
        model = self.query.model
        if model is None or not any(map(str.isalnum, model)):
            return expression(self.query.query)
        return expression(self.query.query, f"model : {phrase(model)}")  # the exact filter follows; this leaves few

    @cached_property
    def filters(self) -> list[Filter]:
        return filters(self.query, self.sqlite)

    @property
    def narrowing(self) -> list[Filter]:
        """The filters that leave few rows out of many."""
        return [one for one in self.filters if one.source]

    @property
    def is_plain(self) -> bool:
        """Nothing is asked but what is not in the trash."""
        return not self.has_text and not self.query.deleted and len(self.filters) == 1

    @property
    def facet(self) -> tuple[str, str] | None:
        """Under which the rows are counted already, where one filter alone says what is wanted."""
        alone = not self.has_text and not self.query.deleted and len(self.filters) == 2
        # A LoRA asked for with its folder is counted with those of other folders.
        exact = alone and self.filters[1].condition.count(":") == 1
        return self.filters[1].facet if exact else None

    # the ways of SQLite

    def by(self, one: Filter) -> Way:
        seq = "w.seq" if one.source.startswith("(") else "i.seq"
        return Way(one.source, (), seq, one.condition if one.sure else "")

    @property
    def by_order(self) -> Way:
        index = "ix_items_best" if self.query.sort == "best" else "ix_items_walk"
        return Way(f"items AS i INDEXED BY {index}")

    @property
    def by_text(self) -> Way:
        # items_fts.rowid is the same number as i.seq, and the only name by which FTS5 knows that it walks in order.
        source = f"items_fts CROSS JOIN {BY_NUMBER} ON i.seq = items_fts.rowid"
        return Way(source, (_MATCH,), "items_fts.rowid")

    def by_text_among(self, way: Way) -> Way:
        """The matches among the rows of another way, which are gathered first: the numbers in the full text index are
        held against them without a look at any row."""
        return self._among(f"SELECT i.seq FROM {way.source}{self._where(way)}")

    def by_text_among_first(self, way: Way, first: int) -> Way:
        """The matches among so many rows that a walk finds first, after the cursor."""
        further = () if self.after is None else (_AFTER[self.query.sort],)
        walked = f"SELECT i.seq FROM {way.source}{self._where(way, *further)} ORDER BY {self._order(way)} LIMIT {first}"
        return self._among(f"SELECT seq FROM ({walked})")

    def _among(self, rows: str) -> Way:
        return self.by_text._replace(conditions=(_MATCH, f"+items_fts.rowid IN ({rows})"))

    # the one of PostgreSQL

    @property
    def by_plan(self) -> Way:
        return Way("items AS i", (_WORDS,) if self.has_text else ())

    # statements

    def some(self, way: Way, limit: int) -> Statement:
        """Up to so many places (seq, best) of all that is wanted, in no order."""
        return Statement(
            f"SELECT i.seq, i.best FROM {way.source}{self._where(way)} LIMIT :limit", self._values | {"limit": limit}
        )

    def page(self, way: Way) -> Statement:
        """The places of the page, and one more when there is a next one."""
        place = {} if self.after is None else dict(zip(("best", "seq"), self.after, strict=True))
        further = () if self.after is None else (_AFTER[self.query.sort],)
        return Statement(
            f"SELECT i.seq, i.best FROM {way.source}{self._where(way, *further)} "
            f"ORDER BY {self._order(way)} LIMIT :limit OFFSET :skip",
            self._values | place | {"limit": self.query.limit + 1, "skip": self.query.skip},
        )

    def matches(self, most: int) -> Statement:
        """How many rows the text alone matches, up to so many, the trash included: no row is looked at."""
        matching = f"SELECT 1 FROM items_fts WHERE {_MATCH} LIMIT {most}"
        return Statement(f"SELECT count(*) FROM ({matching})", {"match": self.match})

    def size(self, one: Filter, most: int) -> Statement:
        """How many rows a filter leaves at least, up to so many."""
        return Statement(f"SELECT count(*) FROM (SELECT 1 FROM {one.counted} LIMIT {most}) AS c", one.values)

    def _order(self, way: Way) -> str:
        return _ORDER[self.query.sort].replace("i.seq", way.seq)

    def _where(self, way: Way, *further: str) -> str:
        placed = [one.replace("i.seq", way.seq) for one in (*([_SPAN] if self.span else []), *further)]
        asked = [one.condition for one in self.filters if one.condition != way.sure]
        return f" WHERE {' AND '.join([*asked, *placed, *way.conditions])}"

    @cached_property
    def _values(self) -> dict[str, Any]:
        values = {name: value for one in self.filters for name, value in one.values.items()}
        values |= {"match": self.match} if self.has_text else {}
        return values | (dict(zip(("low", "high"), self.span, strict=True)) if self.span else {})


def asked_of(query: ItemQuery, sqlite: bool) -> Search:
    """Raises BadRecipe for a cursor that is not ours."""
    if not sqlite:  # no text in PostgreSQL has a NUL in it
        given = query.model_dump(exclude_none=True)
        kept = {name: value.replace("\0", "\ufffd") for name, value in given.items() if isinstance(value, str)}
        query = query.but(**kept)
    return Search(query, sqlite, _place(query))


def _place(query: ItemQuery) -> tuple[float, int] | None:
    if query.cursor is None:
        return None
    match place_of(query.cursor):
        case [named, float(best), seq] if named == query.sort and is_row(seq):
            return best, seq
        case _:
            raise not_ours(query.cursor, "sort")


def cursor_after(sort: str, best: float, seq: int) -> str:
    """The opaque name of a place in a sorted list."""
    return cursor_of([sort, best, seq])
