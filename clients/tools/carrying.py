"""A tool's way from its arguments to a job, and to the answer within the time that a call may take."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import anyio

from clients.tools import arguments as a
from clients.tools.contract import going_down
from workflows.answers import job_answer
from workflows.app import current_app, progress_listener
from workflows.asking import pictures_from, recipe_from
from workflows.errors import revived
from workflows.types import Job, Task


def given(arguments: Mapping[str, Any], further: type[Any] | None = None) -> dict[str, Any]:
    """A tool's own arguments (its locals) with those of its `also` beside them, which are keys of the TypedDict
    `further`. Raises TypeError for one that is none, as Python does for its own."""
    also: Mapping[str, Any] = arguments.get("also", {})
    unknown = sorted(also.keys() - (further.__optional_keys__ if further else ()))
    if unknown:
        raise TypeError(f"got an unexpected keyword argument {unknown[0]!r}")
    return {name: value for name, value in arguments.items() if name != "also"} | dict(also)


async def make(wanted: Mapping[str, Any], task: Task = "txt2img") -> dict[str, Any]:
    """Carry out the task with these arguments, by their contract names. Raises what the job failed of."""
    recipe, pictures = recipe_from(wanted, task=task), pictures_from(wanted)
    return await carry_out(lambda: current_app().studio.submit(recipe, pictures), wanted["wait_seconds"])


async def carry_out(start: Callable[[], Awaitable[Job]], wait_seconds: float) -> dict[str, Any]:
    """Start the job and tell how it ended, or how far it is after `wait_seconds`.

    Raises what the job failed of. A caller who gives up before the answer takes the job along; a server that ends
    does not.
    """
    app = current_app()
    job = await _started(start)
    try:
        job = await app.studio.wait(job.id, min(wait_seconds, a.MAX_WAIT), progress_listener())
    except asyncio.CancelledError:
        await _abandon(job)
        raise
    if job.fault is not None:
        raise revived(job.fault.code, f"{job.fault.message} (job {job.id})")
    return await job_answer(app.gallery, job)


async def _started(start: Callable[[], Awaitable[Job]]) -> Job:
    """Not to be cut short: a job that is written down has to be known to whoever cancels it."""
    with anyio.CancelScope(shield=True):
        return await start()
    raise AssertionError("a shielded scope is not cancelled")


async def _abandon(job: Job) -> None:
    if not going_down():
        with anyio.CancelScope(shield=True):
            await current_app().studio.cancel(job.id)
