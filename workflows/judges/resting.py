"""Models of judges that come into memory when they are needed and leave it when they rest."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Generic, Protocol, TypeVar


class Model(Protocol):
    """What a judge keeps in memory. `unload` may take a while and is called on a thread."""

    @property
    def loaded(self) -> bool: ...

    def unload(self) -> None: ...


M = TypeVar("M", bound=Model)


async def nothing(model: Model) -> None:
    """The BeforeLoad of a judge that needs no room."""


class Resting(Generic[M]):
    """Says before a model loads that room is needed, and unloads it when it was not used for a while.

    async with resting.awake(model):
        verdicts = await asyncio.to_thread(...)
    """

    def __init__(self, idle_unload: float = 0.0, before_load: Callable[[M], Awaitable[None]] = nothing) -> None:
        """`idle_unload`: seconds after the last use until a model leaves memory; 0: never."""
        self._idle_unload = idle_unload
        self._before_load = before_load
        self._timers: dict[int, asyncio.TimerHandle] = {}
        self._users: dict[int, int] = {}

    @asynccontextmanager
    async def awake(self, model: M) -> AsyncGenerator[None]:
        """While the model is in use it is not unloaded."""
        key = id(model)
        self._users[key] = self._users.get(key, 0) + 1
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
        try:
            if not model.loaded:
                await self._before_load(model)
            yield
        finally:
            self._users[key] -= 1
            if not self._users[key]:
                del self._users[key]
                self._rest(model)

    def _rest(self, model: M) -> None:
        if self._idle_unload:
            loop = asyncio.get_running_loop()
            self._timers[id(model)] = loop.call_later(self._idle_unload, self._unload, model)

    def _unload(self, model: M) -> None:
        self._timers.pop(id(model), None)
        asyncio.get_running_loop().run_in_executor(None, model.unload)
