"""The tool that draws, looks, and rewords in rounds."""

from __future__ import annotations

import asyncio
from typing import Any, Unpack

import anyio

from clients.tools import arguments as a
from clients.tools.carrying import given
from clients.tools.contract import Tool, going_down
from workflows.app import current_app, progress_listener


async def refine_image(
    prompt: a.Prompt,
    iterations: a.Iterations = 3,
    evaluator: a.EvaluatorName = "auto",
    wait_seconds: a.WaitSeconds = a.DEFAULT_WAIT,
    **also: Unpack[a.AsInRefinement],
) -> dict[str, Any]:
    """Use this when a picture has to be right and may take longer: draws, says what is seen, rewords the prompt, and
    again; gives all rounds and the best. Takes the other arguments of generate_image too.
    """
    options = given(locals(), a.AsInRefinement)
    app = current_app()
    refinement = await app.begin_refinement(options)
    try:
        return await app.follow(refinement.id, min(wait_seconds, a.MAX_WAIT), progress_listener())
    except asyncio.CancelledError:
        if not going_down():
            with anyio.CancelScope(shield=True):
                await app.stop(refinement.id)
        raise


TOOLS = (Tool(function=refine_image, title="Refine a picture in rounds", shows="picture", read_only=False),)
