"""Tools that follow and stop jobs, and tell how the studio is."""

from __future__ import annotations

from typing import Any, cast

from clients.tools import arguments as a
from clients.tools.contract import Tool
from clients.tools.results import Queue, Stopped, SystemStatus
from workflows.answers import job_row
from workflows.app import current_app, progress_listener
from workflows.errors import BadRecipe


async def get_progress(
    job_id: a.JobId = None, prompt_id: a.PromptId = None, wait_seconds: a.WaitSeconds = 0
) -> dict[str, Any]:
    """Use this to follow a job, download or refinement that was still running when it was answered.

    With wait_seconds=40 it returns as soon as it ends, with its full answer; until then it tells how far it is, with a
    glimpse of the picture.
    """
    seconds = min(wait_seconds, a.MAX_WAIT)
    return await current_app().follow(chosen(job_id, prompt_id), seconds, progress_listener())


async def cancel(job_id: a.JobId = None, prompt_id: a.PromptId = None) -> Stopped:
    """Use this to stop a job, download or refinement. One that has ended stays as it is."""
    return cast(Stopped, await current_app().stop(chosen(job_id, prompt_id)))


async def get_queue() -> Queue:
    """Use this to see which jobs run and wait now, in their order, and how busy each ComfyUI server is."""
    app = current_app()
    jobs = app.studio.active()
    answer: dict[str, Any] = {"running": [job_row(job) for job in jobs if job.state == "running"]}
    answer["waiting"] = [job_row(job) for job in jobs if job.state != "running"]
    if downloads := app.downloading():
        answer["downloads"] = downloads
    servers = await app.servers()
    if servers:
        answer["servers"] = servers
    return cast(Queue, answer)


async def get_system_status() -> SystemStatus:
    """Use this when something does not work or before a big job: engines, models, memory, folders, what is missing."""
    return cast(SystemStatus, await current_app().status())


def chosen(job_id: str | None, prompt_id: str | None) -> str:
    """The one job that is meant. Raises BadRecipe when none or two are."""
    names = {name for name in (job_id, prompt_id) if name}
    if len(names) != 1:
        raise BadRecipe("job_id", job_id, "give one job_id (prompt_id is another name for it); get_history lists them")
    return names.pop()


TOOLS = (
    Tool(function=get_progress, title="Follow a job", shows="picture", read_only=True, idempotent=True),
    Tool(function=cancel, title="Stop a job", read_only=False, destructive=True, idempotent=True),
    Tool(function=get_queue, title="Show the queue", read_only=True, idempotent=True),
    Tool(function=get_system_status, title="Show the studio's state", read_only=True, idempotent=True),
)
