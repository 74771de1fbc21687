"""Gathering: asks a server in the background what its model files say of themselves, a few at a time, while it is idle.

Each question costs the server the reading of a file's header, in the thread that also feeds its sampler.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from clients.comfyui_engine.told import words_of
from workflows.errors import EngineError, ServiceError

if TYPE_CHECKING:
    from clients.comfyui_client import ComfyUIClient
    from clients.comfyui_engine.told import File, Told, Words

log = logging.getLogger("atelier.comfyui")

AT_ONCE = 4
"""Questions at a time: half of what a person who waits may take."""
ROUND = 32
"""Questions between two looks at whether the server draws; what they bring is told at once."""
SAVED_EVERY = 64
"""Rounds after which the answers are saved, should this process be killed."""
MOST_ASKED = 20_000
"""Files of one server that are asked in one gathering."""


class Gathering:
    """Of one server. `rest`: seconds between two looks at a server that draws. Close it with the server's client."""

    def __init__(self, client: ComfyUIClient, told: Told, rest: float) -> None:
        self._client = client
        self._told = told
        self._rest = rest
        self._few = asyncio.Semaphore(AT_ONCE)
        self._task: asyncio.Task[None] | None = None

    def begin(self, files: Sequence[File], heard: Callable[[], None]) -> None:
        """Ask what is not known of these, unless a gathering is under way; `heard` is called when there is news."""
        if self._task is None and any(file not in self._told for file in files):
            self._task = asyncio.create_task(self._gather(files, heard), name=f"metadata of {self._told.url}")

    async def ended(self) -> None:
        """Wait for the end of what is under way."""
        if self._task is not None:
            await asyncio.wait({self._task})

    async def close(self) -> None:
        """Stop, and keep what was heard."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        await self._told.save()

    async def ask(self, files: Sequence[File]) -> None:
        """Ask these now. Raises EngineUnavailable, AccessDenied; what was answered before that is lost."""
        answers = await asyncio.gather(*(self._asked(file) for file in files))
        self._told.add(dict(zip(files, answers, strict=True)))

    async def _gather(self, files: Sequence[File], heard: Callable[[], None]) -> None:
        unknown = [file for file in files if file not in self._told][:MOST_ASKED]
        try:
            for number, first in enumerate(range(0, len(unknown), ROUND), 1):
                await self._idle()
                await self.ask(unknown[first : first + ROUND])
                heard()
                if number % SAVED_EVERY == 0:
                    await self._told.save()
            await self._told.save(there=files)
        except (EngineError, ServiceError) as error:  # the next reading of the lists goes on from here
            log.info("%s was not asked for all its metadata: %s", self._told.url, error)
        finally:
            self._task = None

    async def _idle(self) -> None:
        while True:
            queue = await self._client.queue()
            if not queue.running and not queue.pending:
                return
            await asyncio.sleep(self._rest)

    async def _asked(self, file: File) -> Words:
        async with self._few:
            metadata = await self._client.view_metadata(*file[:2])
        return await asyncio.to_thread(words_of, metadata) if metadata else words_of({})
