"""Names for what strangers named: inputs, tools, files. Plain ASCII words, each once."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Mapping

MOST_NAME = 40
MOST_TOOL = 60
TAKEN = frozenset({"workflow", "inputs", "wait_seconds"})
"""Arguments of the tools themselves."""


def slug(text: str, most: int = MOST_NAME, otherwise: str = "input") -> str:
    """Letters a to z, digits and single underscores; `otherwise` where nothing of it can be written so."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "_", plain).strip("_")[:most].strip("_") or otherwise


def unlike(wish: str, taken: Collection[str], most: int = MOST_NAME) -> str:
    """The wish, or the wish with the first number that makes it nobody else's."""
    if wish not in taken:
        return wish
    number = 2
    while (name := f"{wish[: most - 1 - len(str(number))].rstrip('_')}_{number}") in taken:
        number += 1
    return name


def tool_names(
    names: Collection[str], taken: Collection[str] = (), before: Mapping[str, str] | None = None
) -> dict[str, str]:
    """A tool's name for each workflow: run_..., at most 60 of a-z, 0-9 and _, none of them in `taken`.

    What has a name from `before` keeps it, and of several that wish the same one that is called so gets it: a file
    that comes besides takes no tool away.
    """
    given = {name: kept for name, kept in (before or {}).items() if name in names and kept not in taken}
    for name in sorted(names, key=lambda one: one != _wish(one)):
        if name not in given:
            given[name] = unlike(f"run_{_wish(name)}", {*taken, *given.values()}, MOST_TOOL)
    return {name: given[name] for name in names}


def _wish(name: str) -> str:
    return slug(name, MOST_TOOL - 4, "workflow")
