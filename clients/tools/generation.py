"""Tools that make pictures."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio

from clients.tools import arguments as a
from clients.tools.contract import Tool, going_down
from workflows.answers import job_answer
from workflows.app import current_app, progress_listener
from workflows.asking import recipe_from
from workflows.errors import revived
from workflows.types import Job, Recipe


async def generate_image(
    prompt: a.Prompt,
    negative_prompt: a.Negative = "",
    quality: a.QualityName = "balanced",
    model: a.ModelName = "auto",
    width: a.Edge = None,
    height: a.Edge = None,
    aspect: a.Aspect = None,
    steps: a.Steps = None,
    cfg: a.Guidance = None,
    sampler: a.Sampler = None,
    seed: a.Seed = -1,
    count: a.Count = 1,
    engine: a.EngineName = "auto",
    validate: a.Validate = True,
    auto_retry: a.AutoRetry = True,
    retry_limit: a.RetryLimit = 3,
    positive_threshold: a.Threshold = 0.25,
    checks: a.Checks = None,
    wait_seconds: a.WaitSeconds = a.DEFAULT_WAIT,
) -> dict[str, Any]:
    """Use this whenever the user wants a new picture from words.

    Renders, judges the picture against the prompt, retries with a revised prompt where the judge says no, and files
    the best attempt. Leave out what you have no opinion on: it is the model's own. The answer has the picture, path,
    image_id, seed, scores and attempts. Status "running": call get_progress with the job_id.
    """
    recipe = recipe_from(dict(locals()))
    return await carry_out(recipe, None, wait_seconds)


async def img2img(
    input_image: a.InputImage,
    prompt: a.Prompt,
    denoise: a.Denoise = 0.7,
    negative_prompt: a.Negative = "",
    quality: a.QualityName = "balanced",
    model: a.ModelName = "auto",
    width: a.Edge = None,
    height: a.Edge = None,
    aspect: a.Aspect = None,
    steps: a.Steps = None,
    cfg: a.Guidance = None,
    sampler: a.Sampler = None,
    seed: a.Seed = -1,
    count: a.Count = 1,
    engine: a.EngineName = "auto",
    validate: a.Validate = True,
    auto_retry: a.AutoRetry = True,
    retry_limit: a.RetryLimit = 3,
    positive_threshold: a.Threshold = 0.25,
    checks: a.Checks = None,
    wait_seconds: a.WaitSeconds = a.DEFAULT_WAIT,
) -> dict[str, Any]:
    """Use this to make a new picture out of an existing one: a variation, another style, a changed detail.

    A low denoise keeps the composition, a high one follows the prompt. The rest is as in generate_image.
    """
    recipe = recipe_from(dict(locals()), task="img2img")
    return await carry_out(recipe, input_image, wait_seconds)


async def carry_out(recipe: Recipe, input_image: str | None, wait_seconds: float) -> dict[str, Any]:
    """Start the job and tell how it ended, or how far it is after `wait_seconds`.

    Raises what the job failed of. A caller who gives up before the answer takes the job along; a server that ends
    does not.
    """
    app = current_app()
    job = await _started(recipe, input_image)
    try:
        job = await app.studio.wait(job.id, min(wait_seconds, a.MAX_WAIT), progress_listener())
    except asyncio.CancelledError:
        await _abandon(job)
        raise
    if job.fault is not None:
        raise revived(job.fault.code, f"{job.fault.message} (job {job.id})")
    return await job_answer(app.gallery, job)


async def _started(recipe: Recipe, input_image: str | None) -> Job:
    """Not to be cut short: a job that is written down has to be known to whoever cancels it."""
    with anyio.CancelScope(shield=True):
        return await current_app().studio.submit(recipe, input_image)
    raise AssertionError("a shielded scope is not cancelled")


async def _abandon(job: Job) -> None:
    if not going_down():
        with anyio.CancelScope(shield=True):
            await current_app().studio.cancel(job.id)


TOOLS = (
    Tool(function=generate_image, title="Make a picture", shows="picture", read_only=False),
    Tool(function=img2img, title="Make a picture from a picture", shows="picture", read_only=False),
)
