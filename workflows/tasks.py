"""Waiting for tasks, and stopping those that were begun ahead of need."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from typing import Any, TypeVar

from workflows.errors import StudioError

log = logging.getLogger("atelier.run")

T = TypeVar("T")


async def ended_within(ended: asyncio.Event, seconds: float, listeners: list[T], listener: T | None) -> None:
    """Wait at most `seconds` for the end; `listener` is among those who hear of every step meanwhile."""
    if listener is not None:
        listeners.append(listener)
    try:
        async with asyncio.timeout(seconds):
            await ended.wait()
    except TimeoutError:
        pass
    finally:
        if listener is not None:
            listeners.remove(listener)


async def called_off(tasks: Collection[asyncio.Task[Any]]) -> str:
    """Stop the tasks and see them stop; what an engine says of its stop, if any does. Their results are lost."""
    running = [task for task in tasks if not task.done()]
    for task in running:
        task.cancel()
    if running:
        await asyncio.wait(running)
    for ended in set(tasks) - set(running):
        if not ended.cancelled():
            ended.exception()  # whoever waited for it has told of it
    return next((said for task in running if (said := _last_words(task))), "")


def _last_words(task: asyncio.Task[Any]) -> str:
    try:
        task.result()
    except asyncio.CancelledError as stopped:
        return str(stopped)
    except StudioError:  # whoever calls tasks off has a reason of his own to tell
        pass
    except Exception:
        log.exception("%s broke when it was stopped", task.get_name())
    return ""
