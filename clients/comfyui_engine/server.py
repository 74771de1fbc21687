"""Server: one ComfyUI of the pool: its client, what it has, how it fares, and what we have given it to do."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Coroutine, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from clients.comfyui_client import ComfyUIClient, Pace
from clients.comfyui_engine.drains import bare
from clients.comfyui_engine.kinds import suffix_of
from clients.comfyui_engine.pool import Health
from clients.comfyui_engine.stock import Stock
from clients.comfyui_engine.told import Told
from utils.images import sha256
from workflows.drawing.batches import at_once
from workflows.drawing.belonging import installed
from workflows.drawing.fitting import fit
from workflows.errors import EngineUnavailable, NotFound, ServiceError, StudioError
from workflows.types import ServerStatus

if TYPE_CHECKING:
    from pathlib import Path

    from workflows.drawing.inventory import Inventory, Known
    from workflows.drawing.setup import Setup
    from workflows.types import Media, ModelInfo, Recipe

log = logging.getLogger("atelier.comfyui")

PATIENCE = 2.0
"""Seconds that a call waits to learn whether a server is up, where it has another one to go to."""
STATUS_SECONDS = 3.0
"""For an answer to a status question; a server that loads a large model answers late."""
SUBFOLDER = "atelier"
"""Of the server's input folder, for our files."""
COUNTED: Mapping[str, str] = {"checkpoints": "checkpoints", "diffusion_models": "diffusion models", "loras": "LoRAs"}


class Server:
    """Nothing is asked of it before the first question. `url` has no credentials and is how people know it.

    `home` is the folder in which is remembered what its files say of themselves; `known`: see Inventory.
    """

    def __init__(
        self, url: str, home: Path, token: str | None = None, pace: Pace | None = None, known: Known | None = None
    ) -> None:
        self.url = bare(url)
        self.health = Health()
        self.warm: str | None = None
        """The model that the latest of our renders loaded here."""
        self.client = ComfyUIClient(url, token=token, pace=pace)
        self.stock = Stock(self.client, Told(home, self.url), rest=(pace or Pace()).rest, known=known)
        self._rows: tuple[Inventory, Sequence[ModelInfo]] | None = None
        self._berths: Counter[str] = Counter()
        self._probe: asyncio.Task[None] | None = None
        self._chores: set[asyncio.Task[None]] = set()
        self._lost: list[str] = []
        self._uploaded: dict[str, str] = {}
        self._opened = False
        self._foreign = 0
        self._counting: asyncio.Task[None] | None = None
        self._hangs = False
        self.overdue = False
        """Somebody has waited long enough for the look that is under way."""
        self._version = ""
        self._warnings: tuple[str, ...] = ()
        self._memory: int | None = None
        self._fitting: dict[tuple[str, int], int] = {}

    async def open(self) -> None:
        """Make ready to ask; sends nothing."""
        if not self._opened:
            self._opened = True
            await self.client.__aenter__()

    async def close(self) -> None:
        tasks = {*self._chores, *([self._probe] if self._probe else [])}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self.stock.close()
        if self._opened:
            await self.client.__aexit__(None, None, None)

    # ------------------------------------------------------------------ how it fares

    def looking(self) -> asyncio.Task[None] | None:
        """The look that is under way, begun now when one is due; None when what is known is fresh enough."""
        if self._probe is None and self.health.due(_now()):
            self._probe = asyncio.create_task(self._look(), name=f"look at {self.url}")
        return self._probe

    @property
    def unknown(self) -> bool:
        """Whether it has not answered yet, neither well nor ill."""
        return not self.health.down and self.health.seen == float("-inf")

    def answered(self) -> None:
        self.health.answered(_now())

    def failed(self, error: StudioError) -> None:
        """It did not do what it should; looked at again after a while."""
        self.health.failed(_now(), str(error))
        self.forget()
        self.warm = None

    def forget(self) -> None:
        """What we know of its files may not be true any more: read and upload anew."""
        self.stock.forget()
        self._uploaded.clear()
        self._memory = None
        self._fitting.clear()

    def abandon(self, prompt_id: str) -> None:
        """A prompt that nobody wants from here any more: stopped once the server answers, which is asked for next."""
        if prompt_id:
            self._lost.append(prompt_id)
            self.health.doubted()

    async def back(self) -> bool:
        """Whether it answers right now, whatever happened before: a server that was restarted does."""
        await self._look()
        return not self.health.down

    @property
    def is_here(self) -> bool:
        """Whether it runs on this machine."""
        host = urlsplit(self.url).hostname or ""
        return host in {"localhost", "127.0.0.1", "::1"}

    async def make_room(self) -> None:
        """Ask it to free its memory; best effort, within seconds."""
        with suppress(EngineUnavailable, ServiceError, TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await self.client.free()
                self.warm = None

    async def _look(self) -> None:
        try:
            await self._count_foreign()
            if self._lost:
                self._chore(self._stop_lost())
        except (EngineUnavailable, ServiceError) as error:
            self.failed(error)
        finally:
            self._probe, self.overdue = None, False

    async def _stop_lost(self) -> None:
        for prompt_id in tuple(self._lost):
            with suppress(StudioError):
                await self.client.cancel(prompt_id)
                self._lost.remove(prompt_id)

    def _chore(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)
        return task

    # ------------------------------------------------------------------ what it can do

    async def inventory(self, *, anew: bool = False, listed: bool = False) -> Inventory:
        """`listed`: as it is now, for a list; `anew`: see Stock. Raises EngineUnavailable, AccessDenied; a failure
        counts as being down."""
        try:
            return await (self.stock.listed() if listed else self.stock.inventory(anew=anew))
        except (EngineUnavailable, ServiceError) as error:
            self.failed(error)
            raise

    async def installed(self) -> Sequence[ModelInfo]:
        """Its model files with what is known of them now. Raises EngineUnavailable, AccessDenied."""
        inventory = await self.inventory(listed=True)
        if self._rows is None or self._rows[0] is not inventory:
            self._rows = inventory, await asyncio.to_thread(installed, inventory)
        return self._rows[1]

    async def fitted(self, recipe: Recipe) -> Setup:
        """What it has for the recipe. Raises what fit raises, once the lists are known to be fresh."""
        try:
            return fit(recipe, await self.inventory())
        except (NotFound, EngineUnavailable):
            if self.health.down:
                raise
        return fit(recipe, await self.inventory(anew=True))

    async def at_once(self, recipe: Recipe, setup: Setup) -> int:
        """How many of the recipe's pictures to ask for in one prompt. Raises EngineUnavailable, AccessDenied."""
        if recipe.count == 1:
            return 1
        if self._memory is None:
            device = _drawing_device(await self.client.system_stats())
            self._memory = 0 if device.get("type") == "cpu" else int(device.get("vram_total") or 0)
        count = at_once(recipe, setup, await self.inventory(), self._memory or None)
        return min(count, self._fitting.get(_weight(recipe, setup), count))

    def did_not_fit(self, recipe: Recipe, setup: Setup, count: int) -> None:
        """So many of these at once were too many: it is asked for fewer from now on."""
        self._fitting[_weight(recipe, setup)] = max(1, count // 2)

    # ------------------------------------------------------------------ what it does

    @property
    def ours(self) -> int:
        """Our renders that it has, waiting or running."""
        return self._berths.total()

    @property
    def load(self) -> int:
        """Renders before the next one: others' as last seen, and ours."""
        return self._foreign + self.ours

    @contextmanager
    def berth(self, model: str) -> Generator[None]:
        """Count a render from its choice to its end, so that the next choice sees it."""
        self._berths[model] += 1
        try:
            yield
        finally:
            self._berths[model] -= 1

    def is_warm(self, model: str) -> bool:
        """Whether the model is in its memory and will be when our renders before this one are done."""
        return model == self.warm and all(name == model for name, count in self._berths.items() if count)

    async def count(self) -> bool:
        """Know how many renders of others it has; calls that come together ask once, and only the first waits long.

        False when it does not tell.
        """
        if self._counting is None:
            self._counting, self._hangs = self._chore(self._count()), False
        counting = self._counting
        await asyncio.wait({counting}, timeout=0 if self._hangs else PATIENCE)
        self._hangs = not counting.done()
        return counting.done() and not self.health.down

    async def _count(self) -> None:
        try:
            await self._count_foreign()
        except (EngineUnavailable, ServiceError) as error:
            self.failed(error)
        finally:
            self._counting = None

    async def _count_foreign(self) -> None:
        queue = await self.client.queue()
        others = [prompt for prompt in (*queue.running, *queue.pending) if prompt.client_id != self.client.client_id]
        self._foreign = len(others)
        self.answered()

    async def upload(self, media: Media) -> str:
        """Put a file where LoadImage and its kin find it; equal bytes travel once. The answer is what they take."""
        name = f"{(await asyncio.to_thread(sha256, media.data))[:32]}{suffix_of(media)}"
        if name not in self._uploaded:
            uploaded = await self.client.upload(name, media.data, subfolder=SUBFOLDER)
            self._uploaded[name] = uploaded.reference
        return self._uploaded[name]

    async def knows(self, prompt_id: str) -> bool:
        """Whether a prompt of this id waits, runs or has ended there."""
        try:
            queue = await self.client.queue()
            return queue.ahead(prompt_id) is not None or await self.client.history(prompt_id) is not None
        except (EngineUnavailable, ServiceError):
            return False

    # ------------------------------------------------------------------ what it says of itself

    async def status(self, *, draining: bool) -> ServerStatus:
        """As it is now; a server that does not answer is told of, not raised."""
        try:
            async with asyncio.timeout(STATUS_SECONDS):
                stats, queue = await asyncio.gather(self.client.system_stats(), self.client.queue())
                inventory = await self.stock.inventory()
                version = str(stats["system"].get("comfyui_version") or "")
                if version != self._version:
                    self._version, self._warnings = version, await self.client.warnings()
        except TimeoutError:
            return self._silent(f"It did not answer within {STATUS_SECONDS:g} s.", draining)
        except (EngineUnavailable, ServiceError) as error:
            self.failed(error)
            return self._silent(str(error), draining)
        self.answered()
        return ServerStatus(
            url=self.url,
            available=True,
            detail=_described(inventory),
            version=version,
            device=_device(stats),
            draining=draining,
            running=len(queue.running),
            pending=len(queue.pending),
            ours=self.ours,
            loaded=self.warm,
            memory=_memory(stats),
            warnings=self._warnings,
        )

    def _silent(self, why: str, draining: bool) -> ServerStatus:
        return ServerStatus(url=self.url, available=False, detail=why, draining=draining, ours=self.ours)


def _weight(recipe: Recipe, setup: Setup) -> tuple[str, int]:
    """What decides how many fit: the model and the pixels."""
    return setup.model, (recipe.width or 0) * (recipe.height or 0)


def _described(inventory: Inventory) -> str:
    counts = [(len(inventory.loaders.get(folder, ())), words) for folder, words in COUNTED.items()]
    return ", ".join(f"{words}: {count}" for count, words in counts)


def _device(stats: Mapping[str, Any]) -> str | None:
    """Such as cuda:0 NVIDIA H200; the allocator's name after it is of no use to anyone."""
    return str(_drawing_device(stats).get("name") or "").partition(" : ")[0] or None


def _memory(stats: Mapping[str, Any]) -> dict[str, float]:
    """Gigabytes of the device that draws."""
    device = _drawing_device(stats)
    sizes = {name: device.get(f"vram_{name}") for name in ("total", "free")}
    return {name: round(size / 1e9, 2) for name, size in sizes.items() if isinstance(size, int | float)}


def _drawing_device(stats: Mapping[str, Any]) -> Mapping[str, Any]:
    devices = cast("list[Mapping[str, Any]]", stats.get("devices") or [])
    return devices[0] if devices else dict[str, Any]()


def _now() -> float:
    return asyncio.get_running_loop().time()
