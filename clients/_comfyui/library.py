"""What a server has and how it is: node classes, model files, memory, features."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from typing import Any, cast
from urllib.parse import quote

from clients._comfyui.web import Unheard, Web
from workflows.errors import EngineUnavailable, NotFound

KEPT_SECONDS = 30.0
"""How long object_info is believed while no socket is open that would tell of a restart."""
SAFE_VERSION = (0, 28)
"""The first version without the vulnerabilities published up to it."""

Json = Mapping[str, Any]


class Library:
    """The calls that change nothing. `opening` tells the socket's opening, or None while it is not open."""

    def __init__(self, web: Web, opening: Callable[[], int | None]) -> None:
        self._web = web
        self._opening = opening
        self._classes: Json | None = None
        self._read_at: tuple[int | None, float] = (None, 0.0)
        self._reading = asyncio.Lock()

    async def object_info(self, node_class: str | None = None, *, fresh: bool = False) -> Json:
        if node_class is not None and (fresh or self._current() is None):
            return await self._web.object(f"/object_info/{quote(node_class, safe='')}")
        async with self._reading:
            classes = None if fresh else self._current()
            if classes is None:
                classes = await self._read()
        if node_class is None:
            return classes
        return {node_class: classes[node_class]} if node_class in classes else {}

    def forget(self) -> None:
        """Ask for the node classes anew: their choices change with the files on the server's disk."""
        self._classes = None

    async def models(self, folder: str | None = None) -> list[str]:
        if folder is None:
            return [str(name) for name in await self._web.list("/models")]
        response = await self._web.get(f"/models/{quote(folder, safe='')}")
        if response.status_code == 404:
            raise NotFound("model folder at the ComfyUI server", folder, await self.models())
        return [str(name) for name in self._web.json(response, list)]

    async def model_sizes(self, folder: str) -> dict[str, int]:
        response = await self._web.get(f"/experiment/models/{quote(folder, safe='')}")
        if response.status_code == 404:
            return {}
        files = cast("list[Json]", self._web.json(response, list))
        sizes: dict[str, int] = {}
        for file in files:
            if file.get("name") and file.get("size"):  # of two files of one name the server loads the first
                sizes.setdefault(str(file["name"]), int(file["size"]))
        return sizes

    async def embeddings(self) -> list[str]:
        return [str(name) for name in await self._web.list("/embeddings")]

    async def view_metadata(self, folder: str, filename: str) -> dict[str, Any]:
        """{} also for a file whose header is broken, over which the server stumbles."""
        try:
            response = await self._web.get(f"/view_metadata/{quote(folder, safe='')}", filename=filename)
        except Unheard as silence:
            if silence.status == 500:
                return {}
            raise
        return {} if response.status_code == 404 else self._web.json(response)

    async def system_stats(self) -> dict[str, Any]:
        stats = await self._web.object("/system_stats")
        if "system" not in stats:
            url = self._web.address.url
            raise EngineUnavailable(f"{url} answers, but not like a ComfyUI; COMFYUI_URL says where it is.")
        return stats

    async def features(self) -> dict[str, Any]:
        """{} on servers from before there were any."""
        response = await self._web.get("/features")
        return {} if response.status_code == 404 else self._web.json(response)

    async def version(self) -> str:
        system = cast(Json, (await self.system_stats())["system"])
        return str(system.get("comfyui_version") or "")

    def _current(self) -> Json | None:
        """The node classes while they can be believed: through one opening of the socket, or for a short time."""
        opening, at = self._read_at
        if opening is None:
            return self._classes if asyncio.get_running_loop().time() - at <= KEPT_SECONDS else None
        return self._classes if opening == self._opening() else None

    async def _read(self) -> Json:
        opening = self._opening()
        self._classes = await self._web.object("/object_info")
        self._read_at = (opening, asyncio.get_running_loop().time())
        return self._classes


def version_warnings(version: str) -> tuple[str, ...]:
    """What is to be said of a server's version; nothing of one that we cannot read."""
    numbers = re.match(r"v?(\d+)\.(\d+)", version)
    if numbers is None or tuple(map(int, numbers.groups())) >= SAFE_VERSION:
        return ()
    safe = ".".join(map(str, SAFE_VERSION))
    return (f"ComfyUI {version} has a published vulnerability: versions before {safe} do. Update the server.",)
