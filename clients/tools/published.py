"""Workflows of the user's that are tools of their own: their schemas come from the graphs, at every list."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase, FuncMetadata
from mcp_types import Tool as ListedTool
from mcp_types import ToolAnnotations
from pydantic import ConfigDict

from clients.tools.arguments import DEFAULT_WAIT, MAX_WAIT
from clients.tools.contract import Tool
from clients.tools.door import Door
from clients.tools.registration import StudioTool
from clients.tools.signature import BadArguments, unknown_argument
from clients.tools.workflows import run_workflow
from workflows.errors import StudioError
from workflows.types import FlowInfo, FlowInput

log = logging.getLogger("atelier.tools")

WAIT = "wait_seconds"
TYPES: Mapping[str, str] = {"integer": "integer", "number": "number", "boolean": "boolean"}
"""JSON's words for the kinds of inputs that are no text."""
FILES: Mapping[str, str] = {
    "image": "Image id, path, https URL or data URI",
    "video": "Image id of a video, path or URL",
    "audio": "Path or URL of a sound",
    "file": "Path or URL of a file",
}
MOST_CHOICES = 20
MOST_DEFAULT = 200
"""Letters of a default that is shown."""
LARGEST = 2**53
"""The largest number that every client reads as it is; seeds may be larger."""


class AnyArguments(ArgModelBase):
    """What a published workflow takes is checked against the graph, not here."""

    model_config = ConfigDict(extra="allow")


@dataclass(frozen=True)
class FlowSignature:
    """The arguments of one workflow, as `Signature` is of a function."""

    info: FlowInfo

    @property
    def shown(self) -> dict[str, Any]:
        """JSON schema, as clients see it."""
        properties = {one.name: _property(one) for one in self.info.inputs}
        properties[WAIT] = {"type": "number", "minimum": 0, "maximum": MAX_WAIT, "default": DEFAULT_WAIT}
        required = [one.name for one in self.info.inputs if one.required]
        return {"type": "object", "properties": properties, "additionalProperties": False} | (
            {"required": required} if required else {}
        )

    def read(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The workflow's name, its inputs and the wait. Raises BadArguments for names that it does not have."""
        known = [*(one.name for one in self.info.inputs), WAIT]
        if faults := [unknown_argument(name, known) for name in given if name not in known]:
            raise BadArguments("\n".join(faults))
        wait = given.get(WAIT, DEFAULT_WAIT)
        if isinstance(wait, bool) or not isinstance(wait, int | float) or not 0 <= wait <= MAX_WAIT:
            raise BadArguments(f"{WAIT} must be a number from 0 to {MAX_WAIT}.")
        inputs = {name: value for name, value in given.items() if name != WAIT}
        return {"workflow": self.info.name, "inputs": inputs, "wait_seconds": wait}


@dataclass
class Published:
    """The tools that the owner's workflows are now."""

    door: Door
    inline: bool
    taken: Collection[str] = ()
    """Names that they cannot have."""
    _tools: dict[str, StudioTool] = field(default_factory=dict[str, StudioTool])

    async def listed(self) -> list[ListedTool]:
        """As tools/list shows them; none while they cannot be read, which the log tells."""
        try:
            app = await self.door.app()
            found = await app.library.tools(self.taken)
            self._tools = {str(one.tool): self._tool(one) for one in found if one.tool}
        except StudioError as error:
            log.warning("published workflows cannot be listed: %s", error)
        return [_listed(tool) for tool in self._tools.values()]

    async def find(self, name: str) -> StudioTool | None:
        """The tool of that name; an unknown one is looked for anew."""
        if name not in self._tools:
            await self.listed()
        return self._tools.get(name)

    def _tool(self, info: FlowInfo) -> StudioTool:
        signature = FlowSignature(info)
        spec = Tool(function=run_workflow, title=info.title or info.name, shows="picture", read_only=False)
        return StudioTool(
            fn=run_workflow,
            name=str(info.tool),
            title=spec.title,
            description=info.about or f"Use this to run the workflow {info.name}. Gives {_named(info.outputs)}.",
            parameters=signature.shown,
            fn_metadata=FuncMetadata(arg_model=AnyArguments),
            is_async=True,
            context_kwarg=None,
            annotations=ToolAnnotations(
                read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=False
            ),
            spec=spec,
            signature=signature,
            door=self.door,
            inline=self.inline,
        )


def _named(outputs: Sequence[str]) -> str:
    return ", ".join(outputs) or "what it saves"


def _listed(tool: StudioTool) -> ListedTool:
    return ListedTool(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=tool.parameters,
        annotations=tool.annotations,
    )


def _property(one: FlowInput) -> dict[str, Any]:
    """One input as a JSON schema; what it may be is checked when it runs, with words for what is wrong."""
    told = {"type": TYPES.get(one.kind, "string"), "description": one.about or FILES.get(one.kind, "")}
    limits = {"minimum": _limit(one.least), "maximum": _limit(one.most)} if one.kind in TYPES else {}
    if one.kind not in FILES and len(str(one.default)) <= MOST_DEFAULT:
        limits |= {"default": one.default}
    if one.choices and len(one.choices) <= MOST_CHOICES and one.kind == "choice":
        limits |= {"enum": list(one.choices)}
    return {name: value for name, value in (told | limits).items() if value not in (None, "")}


def _limit(number: float | None) -> float | None:
    """Whole numbers as such; none where it is too large for clients to compare with."""
    if number is None or abs(number) > LARGEST:
        return None
    return int(number) if number == int(number) else number
