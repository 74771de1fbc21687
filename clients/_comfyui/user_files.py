"""The library of ComfyUI's editor: the workflows that people saved at a server. They are read, never written.

A server's answers are anybody's: names are held to a shape, and sizes and numbers to bounds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import quote

from clients._comfyui.web import TooLarge, Unheard, Web
from workflows.errors import EngineUnavailable, GraphRejected, NotFound

FOLDER, ENDING = "workflows", ".json"
MOST_NAMES = 500
MOST_BYTES = 5 * 2**20
"""Of one workflow, and of the list of them."""
LONGEST = 200
"""Characters of a name, its folders included."""
ABSENT = frozenset({400, 404, 405})


class UserFiles:
    """The calls about one server's user data."""

    def __init__(self, web: Web) -> None:
        self._web = web

    async def names(self) -> list[str]:
        """Sorted, at most MOST_NAMES; [] before the first was saved, and where each user has a library of their own.

        Raises EngineUnavailable for an answer that is no list.
        """
        asked = {"dir": FOLDER, "recurse": "true", "split": "false", "full_info": "true"}
        try:
            response, content = await self._web.bounded("/userdata", MOST_BYTES, **asked)
        except Unheard as silence:
            if silence.status == 500:
                return []
            raise
        except TooLarge as error:
            raise EngineUnavailable(f"{self._web.address.url} lists more saved workflows than can be read.") from error
        if response.status_code in ABSENT:
            return []
        rows = _read(content)
        if not isinstance(rows, list):
            raise EngineUnavailable(f"{self._web.address.url} answers, but its list of saved workflows is none.")
        names = {name for row in cast("list[object]", rows) if (name := _name(row))}
        return sorted(names)[:MOST_NAMES]

    async def read(self, name: str) -> dict[str, Any]:
        """One workflow. Raises NotFound, GraphRejected."""
        if not is_name(name):
            raise NotFound("saved workflow", name)
        try:
            response, content = await self._web.bounded(_address(name), MOST_BYTES)
        except TooLarge as error:
            most = f"{MOST_BYTES / 2**20:.0f} MB"
            raise GraphRejected(f"The saved workflow {name!r} has more than {most}; no more are read.") from error
        if response.status_code in ABSENT:
            raise NotFound("saved workflow", name)
        read = _read(content)
        if not isinstance(read, dict):
            raise GraphRejected(f"The saved workflow {name!r} is no JSON object: save it anew in ComfyUI's editor.")
        return cast("dict[str, Any]", read)


def is_name(name: str) -> bool:
    """Whether this can be a workflow's name: folders and a name, none of them hidden, none that leads elsewhere."""
    parts = name.split("/")
    plain = name.isprintable() and "\\" not in name and len(name) <= LONGEST
    return plain and all(part and not part.startswith(".") for part in parts)


def _name(row: object) -> str:
    """From {path, size}, or from the bare path that older servers give; "" for what is no workflow."""
    told = cast("Mapping[str, Any]", row) if isinstance(row, Mapping) else {"path": row}
    path, size = told.get("path"), told.get("size")
    if not isinstance(path, str) or not path.endswith(ENDING) or (isinstance(size, int) and size > MOST_BYTES):
        return ""
    name = path.removesuffix(ENDING)
    return name if is_name(name) else ""


def _address(name: str) -> str:
    """One segment of a path. The server decodes it once more than the web does, so that a % is written twice."""
    return f"/userdata/{quote(f'{FOLDER}/{name}{ENDING}'.replace('%', '%25'), safe='')}"


def _read(content: bytes) -> object:
    """The JSON, or None for what is none."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None
