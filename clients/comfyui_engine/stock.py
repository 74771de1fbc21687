"""Stock: what one server has, kept fresh. Node classes change with a restart, model files at any time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar, TypeVarTuple

from workflows.drawing.inventory import LOADERS, Inventory
from workflows.errors import EngineError, ServiceError
from workflows.families import family_of_file

if TYPE_CHECKING:
    from clients.comfyui_client import ComfyUIClient

Found = TypeVar("Found")
Arguments = TypeVarTuple("Arguments")

log = logging.getLogger("atelier.comfyui")

KEPT = 30.0
"""Seconds for which the model lists are good; older ones are used once more while new ones are fetched."""
JUST_READ = 1.0
"""Lists this young are not read again, even for something that is not in them."""
ALSO = ("embeddings",)
"""Folders of interest that no loader lists."""
WEIGHED = ("checkpoints", "diffusion_models")
"""Folders whose files' sizes help to tell what they are."""
MOST_ASKED = 64
"""Files whose metadata is asked for, of those that neither name nor size explains."""
AT_ONCE = 8
"""Requests at a time: the server answers from one thread, which also feeds the sampler."""


class Stock:
    """The Inventory of a server. Close it with the server's client."""

    def __init__(self, client: ComfyUIClient) -> None:
        self._client = client
        self._inventory: Inventory | None = None
        self._info: object = None
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()
        self._few = asyncio.Semaphore(AT_ONCE)
        self._asked: dict[tuple[str, str, int], Mapping[str, str]] = {}
        self._refreshing: asyncio.Task[None] | None = None

    @property
    def known(self) -> Inventory | None:
        """What was read last, if anything was."""
        return self._inventory

    async def inventory(self, *, anew: bool = False) -> Inventory:
        """What the server has. `anew`: read the lists now, because something was not in them.

        Raises EngineUnavailable, AccessDenied.
        """
        age = _now() - self._read_at
        if self._inventory is None or (anew and age > JUST_READ):
            return await self._read()
        if age > KEPT and self._refreshing is None:
            self._refreshing = asyncio.create_task(self._refresh(), name=f"stock of {self._client.url}")
        return self._inventory

    def forget(self) -> None:
        """The server may have changed: read it anew when next asked."""
        self._inventory = None

    async def close(self) -> None:
        if self._refreshing is not None:
            self._refreshing.cancel()
            await asyncio.wait({self._refreshing})

    async def _refresh(self) -> None:
        try:
            await self._read()
        except (EngineError, ServiceError) as error:  # who needs the server next will hear of it
            log.info("the lists of %s could not be read: %s", self._client.url, error)
        finally:
            self._refreshing = None

    async def _read(self) -> Inventory:
        """One reading at a time; who waited for another's reading takes that one."""
        began = _now()
        async with self._reading:
            if self._inventory is None or self._read_at < began:
                self._inventory = await self._fetch()
                self._read_at = _now()
            return self._inventory

    async def _fetch(self) -> Inventory:
        """The lists are small and read every time; the node classes (megabytes) only when a list has changed."""
        folders = await self._client.models()
        wanted = [folder for folder in folders if folder in LOADERS or folder in ALSO]
        lists = await self._each(self._client.models, [(folder,) for folder in wanted])
        files = {folder: tuple(names) for folder, names in zip(wanted, lists, strict=True)}
        if self._inventory is not None and files != self._inventory.files:
            self._client.forget()
        info = await self._client.object_info()
        if self._inventory is not None and files == self._inventory.files and info is self._info:
            return self._inventory
        self._info = info
        inventory = await asyncio.to_thread(partial(Inventory.read, info, files=files))
        sizes = await self._sizes([folder for folder in WEIGHED if folder in folders])
        return await self._with_metadata(replace(inventory, sizes=sizes))

    async def _sizes(self, folders: Sequence[str]) -> dict[tuple[str, str], int]:
        lists = await self._each(self._client.model_sizes, [(folder,) for folder in folders])
        return {
            (folder, name): size for folder, found in zip(folders, lists, strict=True) for name, size in found.items()
        }

    async def _with_metadata(self, inventory: Inventory) -> Inventory:
        """Ask the files that nothing else explains what they say of themselves."""
        dim = [
            (folder, name, inventory.sizes.get((folder, name), 0))
            for folder in WEIGHED
            for name in inventory.loaders.get(folder, ())
            if family_of_file(folder, name, metadata={}, size=inventory.sizes.get((folder, name)))[1]
        ]
        fresh = [file for file in dim if file not in self._asked][:MOST_ASKED]
        answers = await self._each(self._client.view_metadata, [(folder, name) for folder, name, _ in fresh])
        self._asked |= dict(zip(fresh, answers, strict=True))
        return replace(inventory, metadata={file[:2]: self._asked[file] for file in dim if self._asked.get(file)})

    async def _each(
        self, ask: Callable[[*Arguments], Awaitable[Found]], questions: Iterable[tuple[*Arguments]]
    ) -> list[Found]:
        """All answers, a few questions at a time."""

        async def one(*question: *Arguments) -> Found:
            async with self._few:
                return await ask(*question)

        return await asyncio.gather(*(one(*question) for question in questions))


def _now() -> float:
    return asyncio.get_running_loop().time()
