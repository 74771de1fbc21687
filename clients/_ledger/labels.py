"""What a picture is counted and found by besides its columns: tags and LoRAs; and the counts of all such values."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import sqlalchemy as sa

from clients._ledger.dialects import insert
from clients._ledger.tables import facets, versions
from workflows.types import Facets

MOST_FACETS = 500
"""Values of one kind that are told; a wall of filters longer than that helps nobody."""

ALL, MODEL, ENGINE, LORA, TAG = "all", "model", "engine", "lora", "tag"
GALLERY = "gallery"
"""The version that grows with every change of a picture's row. A transaction counts it up last, as the facets are
counted in one order: two never wait for each other crosswise."""
SHOWN = "shown"
"""The version that grows when a picture comes back from the trash."""
_ENDING = re.compile(r"\.(safetensors|ckpt|pth?|bin|gguf)$", re.IGNORECASE)


class Facet(NamedTuple):
    """A value that pictures are counted by: what it is compared by, and how it is shown."""

    kind: str
    label: str
    name: str = ""


def plain(lora: str) -> str:
    """A LoRA's name without folder and ending."""
    return _ENDING.sub("", lora.replace("\\", "/").rpartition("/")[2])


def with_folder(lora: str) -> str:
    """Its folder and plain name, casefolded; "/name" when it tells no folder."""
    folder = lora.replace("\\", "/").rpartition("/")[0].strip("/")
    return f"{folder}/{plain(lora)}".casefold()


def labels(tags: Iterable[str], loras: Iterable[str]) -> set[tuple[str, str]]:
    """(kind, label) of each row in item_labels. A LoRA is there by its plain name and by its name with the folder."""
    found = {(TAG, tag.casefold()) for tag in tags}
    for lora in loras:
        found |= {(LORA, plain(lora).casefold()), (LORA, with_folder(lora))}
    return found


def facets_of(model: str, engine: str, tags: Iterable[str], loras: Iterable[str]) -> list[Facet]:
    """All that one picture is counted by, each once."""
    single = [Facet(ALL, ""), Facet(MODEL, model.casefold(), model), Facet(ENGINE, engine.casefold(), engine)]
    several = {(TAG, tag.casefold()): tag for tag in tags}
    several |= {(LORA, plain(lora).casefold()): plain(lora) for lora in loras}
    return [*single, *(Facet(kind, label, name) for (kind, label), name in several.items())]


def count(connection: sa.Connection, more: Sequence[Facet], fewer: Sequence[Facet] = ()) -> None:
    """Add and take away. In the order of the labels: two transactions never wait for each other crosswise."""
    names = {one[:2]: one.name for one in (*fewer, *more)}
    changes = Counter(one[:2] for one in more)
    changes.subtract(one[:2] for one in fewer)
    rows = [
        {"kind": kind, "label": label, "name": names[kind, label], "count": change}
        for (kind, label), change in sorted(changes.items())
        if change
    ]
    if rows:
        new = insert(connection, facets)
        summed = {"count": facets.c.count + new.excluded.count}
        connection.execute(new.on_conflict_do_update(index_elements=["kind", "label"], set_=summed), rows)


def counted(connection: sa.Connection, kind: str, label: str = "") -> int:
    known = sa.select(facets.c.count).where(facets.c.kind == kind, facets.c.label == label)
    return connection.scalar(known) or 0


def told(connection: sa.Connection) -> Facets:
    """The commonest MOST_FACETS values of each kind."""

    def of(kind: str) -> tuple[tuple[str, int], ...]:
        some = sa.select(facets.c.name, facets.c.count).where(facets.c.kind == kind, facets.c.count > 0)
        order = (facets.c.count.desc(), facets.c.label)
        rows = connection.execute(some.order_by(*order).limit(MOST_FACETS))
        return tuple((name, number) for name, number in rows)

    return Facets(models=of(MODEL), engines=of(ENGINE), loras=of(LORA), tags=of(TAG))


def next_version(connection: sa.Connection, name: str) -> int:
    """One more than ever before. Whoever asks next waits until this transaction has ended, so that versions become
    visible in their order."""
    new = insert(connection, versions).values(name=name, number=1)
    grown = new.on_conflict_do_update(index_elements=["name"], set_={"number": versions.c.number + 1})
    return connection.execute(grown.returning(versions.c.number)).scalar_one()


def version(connection: sa.Connection, name: str) -> int:
    return connection.scalar(sa.select(versions.c.number).where(versions.c.name == name)) or 0
