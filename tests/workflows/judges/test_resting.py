"""Models come into memory after others were told, and leave it when nobody used them for a while."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from workflows.judges.resting import Resting


@dataclass
class Model:
    loaded: bool = False
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.loop = asyncio.get_running_loop()

    def unload(self) -> None:
        self.loaded = False
        self.loop.call_soon_threadsafe(self.gone.set)


async def test_others_are_asked_to_make_room_before_a_model_loads_and_only_then() -> None:
    model, told = Model(), list[bool]()

    async def make_room(loading: Model) -> None:
        told.append(loading.loaded)

    resting = Resting[Model](before_load=make_room)
    for _ in range(2):
        async with resting.awake(model):
            model.loaded = True
    assert told == [False]


async def test_a_model_leaves_memory_after_its_rest_and_may_come_back() -> None:
    model = Model()
    resting = Resting[Model](idle_unload=0.01)
    for _ in range(2):
        model.gone.clear()
        async with resting.awake(model):
            model.loaded = True
        async with asyncio.timeout(20):
            await model.gone.wait()
        assert not model.loaded


async def test_a_model_in_use_stays() -> None:
    model = Model()
    resting = Resting[Model](idle_unload=0.001)
    async with resting.awake(model):
        model.loaded = True
        async with resting.awake(model):
            pass
        later = asyncio.Event()
        asyncio.get_running_loop().call_later(0.05, later.set)
        await later.wait()
        assert model.loaded
    async with asyncio.timeout(20):
        await model.gone.wait()


async def test_a_model_that_is_needed_again_during_its_rest_stays() -> None:
    model, later = Model(), asyncio.Event()
    resting = Resting[Model](idle_unload=0.02)
    async with resting.awake(model):
        model.loaded = True
    async with resting.awake(model):
        asyncio.get_running_loop().call_later(0.1, later.set)
        await later.wait()
        assert not model.gone.is_set()


async def test_without_a_rest_a_model_stays() -> None:
    model, later = Model(loaded=True), asyncio.Event()
    async with Resting[Model]().awake(model):
        pass
    asyncio.get_running_loop().call_later(0.01, later.set)
    await later.wait()
    assert model.loaded


async def test_a_model_that_broke_rests_too() -> None:
    model = Model(loaded=True)
    try:
        async with Resting[Model](idle_unload=0.01).awake(model):
            raise ValueError
    except ValueError:
        pass
    async with asyncio.timeout(20):
        await model.gone.wait()
