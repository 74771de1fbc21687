"""Tools about workflows, the user's own among them: which there are, whether one is right, and running one."""

from __future__ import annotations

from typing import Any, cast

from clients.tools import arguments as a
from clients.tools.carrying import carry_out
from clients.tools.contract import Tool
from clients.tools.results import Validity, Workflows
from workflows.app import current_app


async def run_workflow(
    workflow: a.AnyGraph, inputs: a.FlowInputs = None, wait_seconds: a.WaitSeconds = a.DEFAULT_WAIT
) -> dict[str, Any]:
    """Use this to run a ComfyUI workflow of the user's: its name, or a graph. list_workflows tells its inputs;
    pictures and videos are image ids, paths or URLs.
    """
    return await carry_out(lambda: current_app().begin_workflow(workflow, inputs or {}), wait_seconds)


async def validate_workflow(
    workflow: a.AnyGraph = None,
    model: a.NewModel = None,
    prompt: a.TestPrompt = "test prompt",
    width: a.Edge = 512,
    height: a.Edge = 512,
) -> Validity:
    """Use this to learn whether ComfyUI would take a graph; without one, that of a prompt and model."""
    chosen = None if model == "auto" else model
    return cast(Validity, await current_app().library.validate(workflow, chosen, prompt, width, height))


async def list_workflows() -> Workflows:
    """Use this to see which workflows can be used, with their inputs, and what the others lack."""
    return cast(Workflows, await current_app().library.list())


TOOLS = (
    Tool(function=run_workflow, title="Run a workflow", shows="picture", read_only=False),
    Tool(function=validate_workflow, title="Check a workflow", read_only=True, idempotent=True),
    Tool(function=list_workflows, title="List workflows", read_only=True, idempotent=True),
)
