"""Tools that tell of ComfyUI graphs without running any."""

from __future__ import annotations

from typing import cast

from clients.tools import arguments as a
from clients.tools.contract import Tool
from clients.tools.results import Validity, Workflows
from workflows.app import current_app


async def validate_workflow(
    workflow: a.AnyGraph = None,
    model: a.NewModel = None,
    prompt: a.TestPrompt = "test prompt",
    width: a.Edge = 512,
    height: a.Edge = 512,
) -> Validity:
    """Use this to learn whether ComfyUI would take a graph; without one, the graph that a prompt and model become."""
    chosen = None if model == "auto" else model
    return cast(Validity, await current_app().library.validate(workflow, chosen, prompt, width, height))


async def list_workflows() -> Workflows:
    """Use this to see which workflows can be used, and what the others lack."""
    return cast(Workflows, await current_app().library.list())


TOOLS = (
    Tool(function=validate_workflow, title="Check a workflow", read_only=True, idempotent=True),
    Tool(function=list_workflows, title="List workflows", read_only=True, idempotent=True),
)
