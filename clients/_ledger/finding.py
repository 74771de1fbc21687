"""How a search goes about it: the sizes of its filters are looked up, and the way that goes through the fewest rows is
taken. Short lists are gathered whole and sorted here; longer ones are walked in their order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import sqlalchemy as sa

from clients._ledger import labels, spans
from clients._ledger.dialects import among, listed
from clients._ledger.filters import Filter
from clients._ledger.full_text import EXACT
from clients._ledger.search import Search, Statement, Way
from clients._ledger.tables import microseconds
from workflows.types import ItemQuery


class Limits(NamedTuple):
    """From how many rows on a search goes about it otherwise."""

    exact: int = EXACT
    """Lists up to here are gathered whole."""
    many: int = 20_000
    """Rows from which a filter is no longer gathered for its own sake, some 20 ms."""
    matches: int = 50_000
    """Matches of a text from which rows are not looked up for each of them, some 50 ms."""
    first: int = 5_000
    """Rows of the list of the best among which a page of many matches is looked for before all matches are sorted."""


LIMITS = Limits()

Place = tuple[float, int]
"""(best, seq): what every list is sorted by."""


class _Sized(NamedTuple):
    one: Filter
    rows: int


class _Plan(NamedTuple):
    """To gather all; to walk a list that is long; and what is tried before that, as it may do."""

    gather: Way
    walk: Way
    first: Way | None = None


def found(connection: sa.Connection, asked: Search, limits: Limits = LIMITS) -> tuple[Sequence[sa.Row[Any]], int]:
    """Rows (seq, best, id, body) of the page, with one more when there is a next one; and the total, up to EXACT."""
    timed = _in_time(connection, asked)
    if timed is None:
        return (), 0
    places, total = _places(connection, timed, limits)
    return _rows(connection, places), total


def _places(connection: sa.Connection, asked: Search, limits: Limits) -> tuple[Sequence[Place], int]:
    known = _known(connection, asked, limits.exact)
    plan = _planned(connection, asked, limits)
    if known is None or known < limits.exact:
        some = _places_of(connection, asked.some(plan.gather, limits.exact))
        if len(some) < limits.exact:
            return _cut(asked, some), len(some)
    total = limits.exact if known is None else known
    if plan.first is not None:
        page = _places_of(connection, asked.page(plan.first))
        if len(page) > asked.query.limit:
            return page, total
    return _places_of(connection, asked.page(plan.walk)), total


def _known(connection: sa.Connection, asked: Search, exact: int) -> int | None:
    """The total where the rows are counted as they come and go: of all, exactly, and of single values."""
    if asked.is_plain:
        return labels.counted(connection, labels.ALL)
    return None if asked.facet is None else min(labels.counted(connection, *asked.facet), exact)


def _planned(connection: sa.Connection, asked: Search, limits: Limits) -> _Plan:
    if not asked.sqlite:
        return _Plan(asked.by_plan, asked.by_plan)
    everything = labels.counted(connection, labels.ALL)
    sized = _sized(connection, asked, everything, limits.many)
    best = asked.query.sort == "best"
    wide = not sized or sized[0].rows >= limits.many
    gather = asked.by(sized[0].one) if sized else asked.by_order
    walk = gather
    if wide and not (best and sized and _walked(asked.query, sized, everything) > sized[0].rows):
        in_order = [] if best else [one for one, _ in sized if one.in_order]
        walk = asked.by(in_order[0]) if in_order else asked.by_order
    if not asked.has_text:
        return _Plan(gather, walk)
    if (wide and not best) or _number(connection, asked.matches(limits.matches)) < limits.matches:
        return _Plan(asked.by_text, asked.by_text)
    if not wide:
        among = asked.by_text_among(gather)
        return _Plan(among, among)
    first = None if asked.query.skip else asked.by_text_among_first(walk, limits.first)
    return _Plan(asked.by_text, asked.by_text, first)


def _sized(connection: sa.Connection, asked: Search, everything: int, many: int) -> list[_Sized]:
    """The filters that leave few rows out of many, the narrowest first. One that is not counted yet and leaves `many`
    may leave all."""

    def rows(one: Filter) -> int:
        if one.facet is not None and not asked.query.deleted:
            return labels.counted(connection, *one.facet)
        some = _number(connection, asked.size(one, many))
        return some if some < many else max(everything, many)

    return sorted((_Sized(one, rows(one)) for one in asked.narrowing), key=lambda sized: sized.rows)


def _walked(query: ItemQuery, sized: Sequence[_Sized], everything: int) -> float:
    """Rows that a walk in the order of the list goes through to fill a page, if the filters do not go together."""
    passed = (query.limit + query.skip) * math.prod(everything / max(1, one.rows) for one in sized)
    return min(passed, everything)


def _in_time(connection: sa.Connection, asked: Search) -> Search | None:
    """With the numbers between which rows of the wanted time are; None when there are none."""
    query = asked.query
    if query.since is None and query.until is None:
        return asked
    since, until = (None if one is None else microseconds(one) for one in (query.since, query.until))
    span = spans.between(connection, since, until)
    return None if span is None else replace(asked, span=span)


def _cut(asked: Search, some: Sequence[Place]) -> Sequence[Place]:
    """The page of a list that is here whole."""
    query, after = asked.query, asked.after

    def place(one: Place) -> Place:
        return one if query.sort == "best" else (0, one[1])

    falling = query.sort != "oldest"
    follow = [
        one for one in some if after is None or (place(one) < place(after) if falling else place(one) > place(after))
    ]
    return sorted(follow, key=place, reverse=falling)[query.skip : query.skip + query.limit + 1]


def _places_of(connection: sa.Connection, wanted: Statement) -> Sequence[Place]:
    return [(best, seq) for seq, best in connection.execute(sa.text(wanted.sql), wanted.values)]


def _number(connection: sa.Connection, wanted: Statement) -> int:
    counted: Any = connection.scalar(sa.text(wanted.sql), wanted.values)
    return int(counted)


def _rows(connection: sa.Connection, places: Sequence[Place]) -> Sequence[sa.Row[Any]]:
    """What is shown of these places, in their order."""
    shown = sa.text(
        "SELECT i.seq, i.best, i.id, d.body FROM items AS i JOIN item_details AS d ON d.seq = i.seq "
        f"WHERE {among(connection, 'i.seq', 'seqs')}"
    )
    seqs = [seq for _, seq in places]
    told = {row.seq: row for row in connection.execute(shown, {"seqs": listed(connection, seqs)})}
    return [told[seq] for seq in seqs if seq in told]
