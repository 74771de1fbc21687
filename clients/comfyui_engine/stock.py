"""Stock: what one server has, kept fresh. Node classes change with a restart, model files at any time.

Names are there at once; what the files say of themselves is gathered in the background and remembered (see Told).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar, TypeVarTuple

from clients.comfyui_engine.gathering import Gathering
from clients.comfyui_engine.told import SILENT
from workflows.drawing.inventory import LOADERS, Inventory
from workflows.errors import EngineError, EngineUnavailable, NotFound, ServiceError
from workflows.families import family_of_file
from workflows.folders import kind_of_folder

if TYPE_CHECKING:
    from clients.comfyui_client import ComfyUIClient
    from clients.comfyui_engine.told import File, Told
    from workflows.drawing.inventory import Known

Found = TypeVar("Found")
Arguments = TypeVarTuple("Arguments")

log = logging.getLogger("atelier.comfyui")

KEPT = 30.0
"""Seconds for which the model lists are good; older ones are used once more while new ones are fetched."""
LISTED = 5.0
"""The same where they are shown or chosen from: a file that was just put there is looked for."""
PATIENCE = 2.0
"""Seconds that is waited for lists that are newer than that; a server that loads a model answers late."""
JUST_READ = 1.0
"""Lists this young are not read again, even for something that is not in them."""
NO_MODELS = frozenset({"configs", "custom_nodes"})
"""Folders that ComfyUI lists among those of models; the second is its programs."""
DRAWING = ("checkpoints", "diffusion_models")
"""Folders of what draws: what they are must be known before the first picture."""
TELLING = (*DRAWING, "loras", "controlnet", "embeddings")
"""Folders whose files are asked what they say of themselves, in this order."""
SAYS = ".safetensors"
"""The only files that the server reads metadata of."""
MOST_ASKED = 64
"""Files that are asked before the first picture, of those that neither name nor size explains."""
AT_ONCE = 8
"""Requests at a time: the server answers from one thread, which also feeds the sampler."""


class Stock:
    """The Inventory of a server. Close it before the server's client.

    `rest`: seconds between two looks at a server that draws; `known`: see Inventory; `listed`: seconds for which the
    lists are good where they are shown.
    """

    def __init__(
        self, client: ComfyUIClient, told: Told, *, rest: float, known: Known | None = None, listed: float = LISTED
    ) -> None:
        self._client = client
        self._told = told
        self._gathering = Gathering(client, told, rest)
        self._known = known
        self._good_for = listed
        self._news = False
        self._inventory: Inventory | None = None
        self._info: object = None
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()
        self._few = asyncio.Semaphore(AT_ONCE)
        self._refreshing: asyncio.Task[None] | None = None

    async def inventory(self, *, anew: bool = False) -> Inventory:
        """What the server has. `anew`: read the lists now, because something was not in them.

        Raises EngineUnavailable, AccessDenied.
        """
        age = _now() - self._read_at
        if self._inventory is None or (anew and age > JUST_READ):
            await self._read()
        elif age > KEPT:
            self._refresh_soon()
        inventory = self._inventory or await self._read()
        if self._news:
            self._inventory = inventory = self._with_told(inventory)
        return inventory

    async def listed(self) -> Inventory:
        """As `inventory`, with lists that are a few seconds old unless the server takes long to give new ones."""
        if self._inventory is not None and _now() - self._read_at > self._good_for:
            await asyncio.wait({self._refresh_soon()}, timeout=PATIENCE)
        return await self.inventory()

    async def gathered(self) -> None:
        """Wait until everything that the files say of themselves is known, or the server is lost."""
        await self._gathering.ended()

    def forget(self) -> None:
        """The server may have changed: read it anew when next asked."""
        self._inventory = None

    async def close(self) -> None:
        if self._refreshing is not None:
            self._refreshing.cancel()
            await asyncio.wait({self._refreshing})
        await self._gathering.close()

    def _refresh_soon(self) -> asyncio.Task[None]:
        if self._refreshing is None:
            self._refreshing = asyncio.create_task(self._refresh(), name=f"stock of {self._client.url}")
        return self._refreshing

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
        files = await self._lists()
        before = self._inventory
        if before is None:
            await self._told.read()
        elif files != before.files:
            self._client.forget()
        info = await self._client.object_info()
        if before is not None and files == before.files and info is self._info:
            self._gather(before)
            return self._inventory or before
        self._info = info
        inventory = await asyncio.to_thread(partial(Inventory.read, info, files=files, known=self._known))
        inventory = replace(inventory, sizes=await self._sizes(files))
        await self._gathering.ask(self._dim(inventory))
        self._gather(inventory)
        return self._with_told(inventory)

    async def _lists(self) -> dict[str, tuple[str, ...]]:
        """The files by folder, as the server names both."""
        folders = [folder for folder in await self._client.models() if folder not in NO_MODELS]
        lists = await self._each(self._list, [(folder,) for folder in folders])
        return {folder: tuple(names) for folder, names in zip(folders, lists, strict=True)}

    async def _list(self, folder: str) -> list[str]:
        """A folder of a node pack that the server stumbles over has nothing."""
        try:
            return await self._client.models(folder)
        except (NotFound, EngineUnavailable):
            if folder in LOADERS:
                raise
            return []

    async def _sizes(self, files: Mapping[str, Sequence[str]]) -> dict[tuple[str, str], int]:
        folders = [folder for folder in files if kind_of_folder(folder) and files[folder]]
        lists = await self._each(self._client.model_sizes, [(folder,) for folder in folders])
        return {
            (folder, name): size for folder, found in zip(folders, lists, strict=True) for name, size in found.items()
        }

    def _dim(self, inventory: Inventory) -> list[File]:
        """Files that draw and that nothing but their metadata can explain, as far as they were not asked."""
        dim = [
            file
            for file in _saying(inventory, DRAWING)
            if file not in self._told and family_of_file(*file[:2], metadata={}, size=file[2] or None)[1]
        ]
        return dim[:MOST_ASKED]

    def _gather(self, inventory: Inventory) -> None:
        self._gathering.begin(_saying(inventory, TELLING), self._heard)

    def _heard(self) -> None:
        self._news = True

    def _with_told(self, inventory: Inventory) -> Inventory:
        """The inventory with what its files have said until now."""
        self._news = False
        said = {file[:2]: self._told.words(file) for file in _saying(inventory, TELLING) if file in self._told}
        metadata = {file: words.metadata for file, words in said.items() if words.metadata}
        facts = {file: words.facts for file, words in said.items() if words is not SILENT}
        return replace(inventory, metadata=metadata, facts=facts)

    async def _each(
        self, ask: Callable[[*Arguments], Awaitable[Found]], questions: Iterable[tuple[*Arguments]]
    ) -> list[Found]:
        """All answers, a few questions at a time."""

        async def one(*question: *Arguments) -> Found:
            async with self._few:
                return await ask(*question)

        return await asyncio.gather(*(one(*question) for question in questions))


def _saying(inventory: Inventory, folders: Sequence[str]) -> list[File]:
    """The files of these folders that can say something of themselves."""
    return [
        (folder, name, inventory.sizes.get((folder, name), 0))
        for folder in folders
        for name in inventory.listed(folder)
        if name.endswith(SAYS)
    ]


def _now() -> float:
    return asyncio.get_running_loop().time()
