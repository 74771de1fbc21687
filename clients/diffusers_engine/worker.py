"""One thread that runs calls in the order in which they came.

A daemon thread, unlike an executor's: a model that is being downloaded must not keep the process from ending.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

log = logging.getLogger("atelier.diffusers")

T = TypeVar("T")
_Order = tuple[Callable[[], Any], Future[Any]]


class Worker:
    """A queue with one thread behind it, started with the first call."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._orders: SimpleQueue[_Order | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self.closed = False

    @property
    def waiting(self) -> int:
        """Calls that have not begun."""
        return self._orders.qsize()

    def submit(self, call: Callable[[], T]) -> Future[T]:
        """Queue `call`; its future can be cancelled until it begins. Raises RuntimeError after `close`."""
        if self.closed:
            raise RuntimeError(f"{self._name} is closed.")
        future: Future[T] = Future()
        self._orders.put((call, future))
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        return future

    async def close(self, patience: float) -> bool:
        """Take no more calls and wait at most `patience` seconds for those taken; False when one still runs."""
        self.closed = True
        if self._thread is None:
            return True
        self._orders.put(None)
        await asyncio.to_thread(self._thread.join, patience)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (order := self._orders.get()) is not None:
            _answer(*order)
            del order  # or the last render's pictures would live until the next one


def _answer(call: Callable[[], Any], future: Future[Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(call())
    except BaseException as error:  # noqa: BLE001 - the waiter gets it, whatever it is
        future.set_exception(error)
