"""Jobs over HTTP: begun, listed, watched while they run, stopped."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

import anyio

from clients.web.asked import JobBody, JobsAsked
from clients.web.media import Sent
from clients.web.operations import Call
from clients.web.rows import JobAnswer, JobsAnswer, JobStarted, JobStopped, StatusAnswer, job_told
from workflows.app import App
from workflows.asking import pictures_from, recipe_from
from workflows.errors import NotFound
from workflows.types import Job, Media
from workflows.watching import row_of

TOLD = ("version", "judges", "writers", "notices", "pictures")
PAINTED_HERE = "data:"
GLIMPSE_EDGE = 320


async def start(call: Call, body: JobBody) -> JobStarted:
    """Make a picture. The job goes on whether or not anybody waits for it."""
    app = await call.app()
    given = body.given()
    recipe, pictures = recipe_from(given, task=body.task), pictures_from(given)
    return await begun(app.studio.submit(recipe, await _from_gallery(app, pictures)))


async def begun(work: Coroutine[Any, Any, Job]) -> JobStarted:
    """Not to be cut short by a client that goes: a job that is written down is also begun."""
    with anyio.CancelScope(shield=True):
        return JobStarted.model_validate({"job_id": (await work).id})
    raise AssertionError("a shielded scope is not cancelled")


async def listed(call: Call, query: JobsAsked) -> JobsAnswer:
    """The latest jobs, newest first."""
    studio = (await call.app()).studio
    return JobsAnswer.model_validate({"jobs": [row_of(studio, job) for job in await studio.history(query.limit)]})


async def one(call: Call, id: str) -> JobAnswer:
    """A job, with its pictures, its verdict, and what went wrong."""
    app = await call.app()
    return JobAnswer.model_validate(await job_told(app.gallery, await app.studio.find(id)))


async def stop(call: Call, id: str) -> JobStopped:
    """Stop a job; pictures of it that are done stay."""
    return JobStopped.model_validate(await (await call.app()).stop(id))


async def glimpse(call: Call, id: str) -> Sent:
    """The picture that a job is drawing, as far as it is; at the end the one that it made."""
    app = await call.app()
    job = await app.studio.find(id)
    seen = app.studio.preview(job.id)
    if seen is None and job.item_ids:
        seen = await app.gallery.preview(job.item_ids[0], GLIMPSE_EDGE)
    if seen is None:
        raise NotFound("preview of job", job.id, hint="There is one only while it is drawn, where the engine shows it.")

    async def load() -> Media:
        return seen

    return Sent(load=load)


async def status(call: Call) -> StatusAnswer:
    """The state of the whole: who draws, judges and writes, and what the owner should know."""
    whole = await (await call.app()).status()
    engines = [{name: engine[name] for name in ("name", "available", "detail")} for engine in whole["engines"]]
    told = {name: whole[name] for name in TOLD} | {"engines": engines, "signed_in": call.signed_in}
    return StatusAnswer.model_validate(told)


async def _from_gallery(app: App, pictures: dict[str, Any]) -> dict[str, Any]:
    """The input pictures by their ids, each of them there: a browser names no path and no address. Raises NotFound."""
    return {
        role: given if given.startswith(PAINTED_HERE) else (await app.gallery.find(given)).id
        for role, given in pictures.items()
    }
