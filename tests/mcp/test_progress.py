"""The reporter between the studio's news and the client's progress bar."""

from __future__ import annotations

import asyncio

from clients.tools.progress import Reporter, reporting
from workflows.types import Progress


class Ear:
    """Takes what is sent and says when there is enough of it."""

    def __init__(self, enough: int) -> None:
        self.heard: list[tuple[float, float, str]] = []
        self.enough = asyncio.Event()
        self._count = enough

    async def __call__(self, progress: float, total: float, message: str) -> None:
        self.heard.append((progress, total, message))
        if len(self.heard) >= self._count:
            self.enough.set()


async def test_news_that_come_too_fast_are_left_out_but_the_last_is_told() -> None:
    ear = Ear(1)
    async with reporting(ear) as hear, asyncio.timeout(10):
        for step in range(1, 101):
            hear(Progress(fraction=step / 100, message=f"step {step} of 100"))
        await ear.enough.wait()
    assert ear.heard == [(100.0, 100.0, "step 100 of 100")]


async def test_news_that_do_not_move_the_bar_still_go_up() -> None:
    first, both = Ear(1), Ear(2)

    async def send(progress: float, total: float, message: str) -> None:
        await first(progress, total, message)
        await both(progress, total, message)

    reporter = Reporter(send, interval=0.0)
    task = asyncio.create_task(reporter.run())
    async with asyncio.timeout(10):
        reporter.hear(Progress(fraction=0.5, message="attempt 1"))
        await first.enough.wait()
        reporter.hear(Progress(fraction=0.5, message="attempt 2"))
        await both.enough.wait()
    task.cancel()
    assert 50.0 == both.heard[0][0] < both.heard[1][0] < 50.1


async def test_silence_is_broken_by_the_last_message() -> None:
    ear = Ear(3)
    reporter = Reporter(ear, interval=0.0, heartbeat=0.01)
    task = asyncio.create_task(reporter.run())
    async with asyncio.timeout(10):
        reporter.hear(Progress(message="loading the model"))
        await ear.enough.wait()
    task.cancel()
    assert {message for _, _, message in ear.heard} == {"loading the model"}


async def test_a_client_that_has_gone_does_not_disturb_the_call() -> None:
    tried = asyncio.Event()

    async def gone(progress: float, total: float, message: str) -> None:
        tried.set()
        raise ConnectionResetError

    async with reporting(gone) as hear, asyncio.timeout(10):
        hear(Progress(fraction=0.1, message="a"))
        await tried.wait()
