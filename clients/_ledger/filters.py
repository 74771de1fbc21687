"""The filters of a search as SQL conditions on a row `i`, each with the index that finds its rows. Pure."""

from __future__ import annotations

from typing import Any, NamedTuple

from clients._ledger.labels import ENGINE, LORA, MODEL, TAG, plain, with_folder
from clients._ledger.tables import microseconds
from workflows.types import ItemQuery

BY_NUMBER = "items AS i NOT INDEXED"
"""SQLite: single rows by their number alone, whatever else is asked of it."""

_LABELS = "SELECT seq FROM item_labels WHERE kind = '{kind}' AND label = :{name}"
_LABELLED = "SELECT 1 FROM item_labels AS l WHERE l.kind = '{kind}' AND l.label {wanted} AND l.seq = i.seq"


class Filter(NamedTuple):
    """A condition on the row `i`, and how its rows are found on SQLite."""

    condition: str
    values: dict[str, Any]
    source: str = ""
    """What to go through to find them; empty where nearly all rows pass."""
    in_order: bool = False
    """The source gives its rows in the order of filing."""
    counted: str = ""
    """FROM and WHERE that count the rows, as far as its index knows: the trash is among them."""
    sure: bool = False
    """The source gives no other rows: the condition need not be asked of them."""
    facet: tuple[str, str] | None = None
    """The kind and label under which the rows outside the trash are counted already."""


def filters(query: ItemQuery, sqlite: bool) -> list[Filter]:
    """All that the query asks besides its text, the trash first."""
    return [_trash(query), *_one_id(query, sqlite), *_labelled(query), *_kinds(query), *_ranges(query)]


def _trash(query: ItemQuery) -> Filter:
    if not query.deleted:
        return Filter("i.deleted IS NULL", {})
    index = "items AS i INDEXED BY ix_items_trash"
    return Filter("i.deleted IS NOT NULL", {}, index, counted=f"{index} WHERE i.deleted IS NOT NULL")


def _one_id(query: ItemQuery, sqlite: bool) -> list[Filter]:
    if not query.prefix:
        return []
    column = "i.id" if sqlite else 'i.id COLLATE "C"'
    bounds = {"prefix": query.prefix, "prefix_end": query.prefix + "\U0010ffff"}
    condition, index = (
        f"{column} >= :prefix AND {column} < :prefix_end",
        "items AS i INDEXED BY sqlite_autoindex_items_1",
    )
    return [Filter(condition, bounds, index, counted=f"{index} WHERE {condition}")]


def _labelled(query: ItemQuery) -> list[Filter]:
    found: list[Filter] = []
    if query.tag is not None:
        found.append(_label(TAG, query.tag.casefold(), "= :tag", {}))
    if query.lora is not None:
        folder, name = with_folder(query.lora), plain(query.lora).casefold()
        # Of a LoRA that was filed without its folder any folder may be right.
        this, bare = (name, name) if folder.startswith("/") else (folder, f"/{name}")
        found.append(_label(LORA, name, "IN (:this, :bare)", {"this": this, "bare": bare}))
    return found


def _label(kind: str, label: str, wanted: str, values: dict[str, Any]) -> Filter:
    found = _LABELS.format(kind=kind, name=kind)
    return Filter(
        f"EXISTS ({_LABELLED.format(kind=kind, wanted=wanted)})",
        {kind: label, **values},
        f"({found}) AS w CROSS JOIN {BY_NUMBER} ON i.seq = w.seq",
        in_order=True,
        counted=f"({found}) AS w",
        sure=not values,
        facet=(kind, label),
    )


def _kinds(query: ItemQuery) -> list[Filter]:
    found: list[Filter] = []
    if query.favourite is not None:
        found.append(
            _partial("i.favourite", "ix_items_favourite") if query.favourite else Filter("NOT i.favourite", {})
        )
    if query.kind is not None:
        video = _partial("i.kind = 'video'", "ix_items_video")
        found.append(video if query.kind == "video" else Filter("i.kind = :kind", {"kind": query.kind}))
    if query.model is not None:
        found.append(_keyed(MODEL, query.model.casefold()))
    if query.engine is not None:
        found.append(_keyed(ENGINE, query.engine.casefold()))
    return found


def _partial(condition: str, name: str) -> Filter:
    index = f"items AS i INDEXED BY {name}"
    return Filter(condition, {}, index, True, f"{index} WHERE {condition}")


def _keyed(kind: str, key: str) -> Filter:
    index, condition = f"items AS i INDEXED BY ix_items_{kind}", f"i.{kind}_key = :{kind}"
    return Filter(condition, {kind: key}, index, True, f"{index} WHERE {condition}", facet=(kind, key))


def _ranges(query: ItemQuery) -> list[Filter]:
    found: list[Filter] = []
    if query.min_score is not None:
        found.append(_range("i.best >= :min_score", {"min_score": query.min_score}, "ix_items_best"))
    moments = {"since": query.since, "until": query.until}
    values = {name: microseconds(moment) for name, moment in moments.items() if moment is not None}
    if values:
        signs = {"since": ">=", "until": "<="}
        condition = " AND ".join(f"i.created {signs[name]} :{name}" for name in values)
        found.append(_range(condition, values, "ix_items_created"))
    return found


def _range(condition: str, values: dict[str, Any], name: str) -> Filter:
    index = f"items AS i INDEXED BY {name}"
    return Filter(condition, values, index, counted=f"{index} WHERE {condition}")
