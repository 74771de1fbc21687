"""Searches as SQL, written so that 1,000,000 rows stay quick. Pure: values in, SQL and values out.

"Newest" is the order of filing, which is the row's number. A list is either walked in its order until a page is full,
or, where few rows are left, gathered through the narrowest index and sorted. SQLite has no statistics to choose by,
so each way names its index (CROSS JOIN: the first table is the outer one); PostgreSQL chooses itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from clients._ledger.cursors import cursor_of, is_row, not_ours, place_of
from clients._ledger.full_text import EXACT, expression, phrase, tsquery
from clients._ledger.labels import ENGINE, LORA, MODEL, TAG, plain, with_folder
from clients._ledger.tables import microseconds
from workflows.types import ItemQuery

Way = Literal["walk", "gather", "match"]
"""walk: in the order of the list; gather: by the narrowest filter; match: by the full text."""

MANY = 5_000
"""Matches of a text from which the list of the best is walked in its order instead of sorted."""

_ORDER = {"newest": "i.seq DESC", "oldest": "i.seq", "best": "i.best DESC, i.seq DESC"}
_AFTER = {"newest": "i.seq < :seq", "oldest": "i.seq > :seq", "best": "(i.best, i.seq) < (:best, :seq)"}
_WORDS = "i.seq IN (SELECT seq FROM items_words WHERE words @@ CAST(:match AS tsquery))"
_MATCH = "items_fts MATCH :match"
_WITH_LABEL = """
(SELECT seq FROM item_labels WHERE kind = '{kind}' AND label = :{name}) AS w CROSS JOIN items AS i ON i.seq = w.seq
""".strip()
_LABELLED = "SELECT 1 FROM item_labels AS l WHERE l.kind = '{kind}' AND l.label {wanted} AND l.seq = i.seq"


@dataclass(frozen=True)
class Statement:
    """SQL with named values."""

    sql: str
    values: dict[str, Any]


class Filter(NamedTuple):
    """A condition on the row `i`, the values it needs, and the index through which its rows are found at once."""

    condition: str
    values: dict[str, Any]
    source: str = ""
    in_order: bool = False
    """The index gives its rows in the order of filing."""


@dataclass(frozen=True)
class Search:
    """One query in the words of one dialect."""

    query: ItemQuery
    sqlite: bool

    @property
    def has_text(self) -> bool:
        return bool(self.query.query.strip())

    @property
    def match(self) -> str | None:
        """The query's text as an expression of the full text index; None when no word is left."""
        if not self.sqlite:
            return tsquery(self.query.query)
        model = self.query.model
        if model is None or not any(map(str.isalnum, model)):
            return expression(self.query.query)
        return expression(self.query.query, f"model : {phrase(model)}")  # the exact filter follows; this leaves few

    @property
    def is_plain(self) -> bool:
        """Nothing is filtered: the count of all is known."""
        return not self.has_text and not self.query.deleted and len(self._filters) == 1

    @property
    def is_filtered(self) -> bool:
        """Some filter leaves rows that can be gathered without the text."""
        return any(one.source for one in self._filters)

    def page(self, way: Way) -> Statement:
        """Rows (seq, best, id, body) of the page, and one more when there is a next page. Raises BadRecipe (cursor)."""
        after, place = self._cursor()
        source, conditions = self._ways(way, [*after])
        order = _ORDER[self.query.sort]
        # items_fts.rowid is the same number as i.seq, and the only name by which FTS5 knows that it walks in order.
        walked = order.replace("i.seq", "items_fts.rowid") if source.startswith("items_fts") else order
        walked = order.replace("i.seq", "w.seq") if source.startswith("(") else walked
        inner = f"SELECT i.seq AS seq, i.best AS best, i.id AS id FROM {source}{_where(conditions)}"
        if way == "gather" and not self.sqlite:  # kept from being walked in order after all
            inner, walked = f"SELECT * FROM ({inner} OFFSET 0) AS g", order.replace("i.", "")
        return Statement(
            f"SELECT i.seq, i.best, i.id, d.body FROM ({inner} ORDER BY {walked} LIMIT :limit OFFSET :skip) AS i "
            f"JOIN item_details AS d ON d.seq = i.seq ORDER BY {order}",
            self._values | place | {"limit": self.query.limit + 1, "skip": self.query.skip},
        )

    def count(self, way: Way) -> Statement:
        """How many match, up to EXACT."""
        source, conditions = self._ways(way, [])
        return Statement(
            f"SELECT count(*) FROM (SELECT 1 FROM {source}{_where(conditions)} LIMIT {EXACT}) AS c", self._values
        )

    def without_text(self) -> Search:
        return Search(self.query.but(query=""), self.sqlite)

    def matches(self) -> Statement:
        """How many rows the text alone matches, up to MANY, the trash included: no row is looked at."""
        source = "items_fts WHERE items_fts MATCH :match" if self.sqlite else f"items AS i WHERE {_WORDS}"
        match = {"match": expression(self.query.query) if self.sqlite else self.match}
        return Statement(f"SELECT count(*) FROM (SELECT 1 FROM {source} LIMIT {MANY}) AS c", match)

    @property
    def facet(self) -> tuple[str, str] | None:
        """The kind and label under which the rows are counted already, where one filter alone says what is wanted."""
        if self.has_text or self.query.deleted or len(self._filters) != 2:
            return None
        query = self.query
        asked = {MODEL: query.model, ENGINE: query.engine, TAG: query.tag}
        return next(((kind, value.casefold()) for kind, value in asked.items() if value is not None), None)

    def _ways(self, way: Way, conditions: list[str]) -> tuple[str, list[str]]:
        """What to go through, with the conditions that it needs."""
        filters = [one.condition for one in self._filters]
        if not self.sqlite:
            return "items AS i", [*([_WORDS] if self.has_text else []), *filters, *conditions]
        if way == "match":
            walked = [condition.replace("i.seq", "items_fts.rowid") for condition in conditions]
            return "items_fts CROSS JOIN items AS i ON i.seq = items_fts.rowid", [_MATCH, *walked, *filters]
        probe = f"EXISTS (SELECT 1 FROM items_fts WHERE {_MATCH} AND items_fts.rowid = i.seq)"
        return self._source(way), [*filters, *conditions, *([probe] if self.has_text else [])]

    def _source(self, way: Way) -> str:
        if way == "walk" and self.query.sort == "best":
            return "items AS i INDEXED BY ix_items_best"
        able = [one.source for one in self._filters if one.source and (one.in_order or way == "gather")]
        source = able[0] if able else "ix_items_walk"
        return source if " " in source else f"items AS i INDEXED BY {source}"

    def _cursor(self) -> tuple[list[str], dict[str, Any]]:
        if self.query.cursor is None:
            return [], {}
        match place_of(self.query.cursor):
            case [named, float(best), seq] if named == self.query.sort and is_row(seq):
                return [_AFTER[named]], {"seq": seq} | ({"best": best} if named == "best" else {})
            case _:
                raise not_ours(self.query.cursor, "sort")

    @property
    def _values(self) -> dict[str, Any]:
        values = {name: value for one in self._filters for name, value in one.values.items()}
        if not self.sqlite:  # no text in PostgreSQL has a NUL in it
            values = {name: _storable(value) for name, value in values.items()}
        return values | ({"match": self.match} if self.has_text else {})

    @property
    def _filters(self) -> list[Filter]:
        """The narrowest first, as far as one can tell without counting."""
        query = self.query
        return [*_one_id(query, self.sqlite), *_trash(query), *_labelled(query), *_kinds(query), *_ranges(query)]


def cursor_after(sort: str, best: float, seq: int) -> str:
    """The opaque name of a place in a sorted list."""
    return cursor_of([sort, best, seq])


def _one_id(query: ItemQuery, sqlite: bool) -> list[Filter]:
    if not query.prefix:
        return []
    column = "i.id" if sqlite else 'i.id COLLATE "C"'
    # From three letters on few ids are left, and the index on ids finds them at once.
    source = "sqlite_autoindex_items_1" if len(query.prefix) >= 3 else ""
    bounds = {"prefix": query.prefix, "prefix_end": query.prefix + "\U0010ffff"}
    return [Filter(f"{column} >= :prefix AND {column} < :prefix_end", bounds, source)]


def _trash(query: ItemQuery) -> list[Filter]:
    if query.deleted:
        return [Filter("i.deleted IS NOT NULL", {}, "ix_items_trash")]
    return [Filter("i.deleted IS NULL", {})]


def _labelled(query: ItemQuery) -> list[Filter]:
    found: list[Filter] = []
    if query.tag is not None:
        wanted = _LABELLED.format(kind=TAG, wanted="= :tag")
        source = _WITH_LABEL.format(kind=TAG, name="tag")
        found.append(Filter(f"EXISTS ({wanted})", {"tag": query.tag.casefold()}, source, True))
    if query.lora is not None:
        folder, name = with_folder(query.lora), plain(query.lora).casefold()
        # Of a LoRA that was filed without its folder any folder may be right.
        this, bare = (name, name) if folder.startswith("/") else (folder, f"/{name}")
        wanted = _LABELLED.format(kind=LORA, wanted="IN (:this, :bare)")
        source = _WITH_LABEL.format(kind=LORA, name="lora")
        found.append(Filter(f"EXISTS ({wanted})", {"lora": name, "this": this, "bare": bare}, source, True))
    return found


def _kinds(query: ItemQuery) -> list[Filter]:
    found: list[Filter] = []
    if query.favourite is not None:
        rare = Filter("i.favourite", {}, "ix_items_favourite", True)
        found.append(rare if query.favourite else Filter("NOT i.favourite", {}))
    if query.kind is not None:
        rare = Filter("i.kind = 'video'", {}, "ix_items_video", True)
        found.append(rare if query.kind == "video" else Filter("i.kind <> 'video'", {}))
    if query.model is not None:
        found.append(Filter("i.model_key = :model", {"model": query.model.casefold()}, "ix_items_model", True))
    if query.engine is not None:
        found.append(Filter("i.engine_key = :engine", {"engine": query.engine.casefold()}, "ix_items_engine", True))
    return found


def _ranges(query: ItemQuery) -> list[Filter]:
    found: list[Filter] = []
    if query.min_score is not None:
        found.append(Filter("i.best >= :min_score", {"min_score": query.min_score}, "ix_items_best"))
    if query.since is not None:
        found.append(Filter("i.created >= :since", {"since": microseconds(query.since)}, "ix_items_created"))
    if query.until is not None:
        found.append(Filter("i.created <= :until", {"until": microseconds(query.until)}, "ix_items_created"))
    return found


def _storable(value: Any) -> Any:
    return value.replace("\0", "\ufffd") if isinstance(value, str) else value


def _where(conditions: list[str]) -> str:
    return f" WHERE {' AND '.join(conditions)}" if conditions else ""
