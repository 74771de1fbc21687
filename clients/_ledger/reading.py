"""Stored JSON back to values, when today's types can read it."""

from __future__ import annotations

import logging
import re
from typing import TypeVar

from pydantic import ValidationError

from workflows.errors import StorageError
from workflows.types import Value

log = logging.getLogger("atelier.ledger")

V = TypeVar("V", bound=Value)


def parsed(kind: type[V], body: str, name: str) -> V:
    """Raises StorageError when the row was written by a version whose types differ."""
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise StorageError(
            f"The {_words(kind.__name__)} {name} is in the ledger, but this version of Atelier cannot read it "
            f"({where}: {fault['msg']}). The version that wrote it can; the row was not changed."
        ) from error


def readable(kind: type[V], body: str, name: str) -> V | None:
    """The value, or None with a logged warning: one bad row must not hide the others."""
    try:
        return parsed(kind, body, name)
    except StorageError as error:
        log.warning("left out of a list: %s", error)
        return None


def _words(name: str) -> str:
    """A class's name as one would say it: HistoryEntry is a history entry."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
