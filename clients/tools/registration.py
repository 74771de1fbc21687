"""The one wrapper around every tool: strict arguments, the App, progress, errors in words, MCP content."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Mapping
from typing import Any, cast

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.tools import Tool as ServerTool
from mcp.server.mcpserver.utilities.func_metadata import FuncMetadata
from mcp_types import (
    CallToolResult,
    ContentBlock,
    ImageContent,
    InputRequiredResult,
    ResourceLink,
    TextContent,
    ToolAnnotations,
)
from pydantic import Field

from clients.tools.arguments import MAX_PREVIEW
from clients.tools.consent import MustAsk, asking
from clients.tools.contract import Tool, serving
from clients.tools.door import Door
from clients.tools.progress import reporting
from clients.tools.signature import BadArguments, Signature, output_schema
from workflows.app import App, listening, use_app
from workflows.errors import StorageError, StudioError
from workflows.types import Media

log = logging.getLogger("atelier.tools")

MAX_PICTURE_BYTES = 400_000
"""Of one inline picture before base64; clients cut or refuse answers of 1 MB."""
SMALLER_EDGE = 512
"""Pixels of the long edge of a picture that is too big, or one of several."""
MAX_PICTURES = 4
"""Inline pictures in one answer."""

AnyContext = Context[Any, Any]


class StudioTool(ServerTool):
    """A tool of ours as the SDK sees it."""

    spec: Tool = Field(exclude=True)
    signature: Any = Field(exclude=True)
    door: Any = Field(exclude=True)
    inline: bool = Field(exclude=True)

    async def run(
        self, arguments: dict[str, Any], context: AnyContext, convert_result: bool = False
    ) -> CallToolResult | InputRequiredResult:
        """Call the function. Raises ToolError with a text for the model; what we did not foresee stays in the log."""
        try:
            values = cast(Signature, self.signature).read(arguments)
            return await self._call(values, context)
        except MustAsk as pause:
            return pause.question
        except (BadArguments, StudioError) as error:
            raise ToolError(str(error)) from error
        except Exception as error:  # the top of a request: the caller learns that it broke, the log learns why
            log.exception("tool %s broke", self.name)
            raise ToolError(
                f"Something broke inside Atelier in {self.name}; its log (stderr) has the details."
            ) from error

    async def _call(self, values: dict[str, Any], context: AnyContext) -> CallToolResult:
        door = cast(Door, self.door)
        app = await door.app()
        with use_app(app), serving(lambda: door.ending), asking(context):
            async with reporting(context.report_progress) as listener:
                with listening(listener):
                    answer = await self.spec.function(**values)
            await self._tell_subscribers(answer, context)
            return await self._content(app, answer, values)

    async def _tell_subscribers(self, answer: Mapping[str, Any], context: AnyContext) -> None:
        if "job_id" in answer:
            await context.notify_resource_updated(f"media://jobs/{answer['job_id']}")

    async def _content(self, app: App, answer: Mapping[str, Any], values: Mapping[str, Any]) -> CallToolResult:
        text = TextContent(type="text", text=json.dumps(answer, ensure_ascii=False, separators=(",", ":")))
        if self.spec.shows == "text":
            return CallToolResult(content=[text], structured_content=dict(answer))
        edge = int(values.get("max_edge", MAX_PREVIEW))
        pictures = await pictures_of(app, answer, edge) if self.inline else []
        return CallToolResult(content=[text, *links_of(answer), *pictures])


def registered(spec: Tool, door: Door, inline: bool) -> StudioTool:
    """The tool with its schemas, ready for `MCPServer(tools=[...])`."""
    signature = Signature(spec.function)
    schema = output_schema(spec.function) if spec.shows == "text" else None
    return StudioTool(
        fn=spec.function,
        name=spec.name,
        title=spec.title,
        description=" ".join((spec.function.__doc__ or "").split()),
        parameters=signature.shown,
        fn_metadata=FuncMetadata(arg_model=signature.model, output_schema=schema),
        is_async=True,
        context_kwarg=None,
        annotations=ToolAnnotations(
            read_only_hint=spec.read_only,
            destructive_hint=spec.destructive,
            idempotent_hint=spec.idempotent,
            open_world_hint=spec.open_world,
        ),
        meta={"ui": {"resourceUri": spec.view}} if spec.view else None,
        spec=spec,
        signature=signature,
        door=door,
        inline=inline,
    )


def links_of(answer: Mapping[str, Any]) -> list[ContentBlock]:
    """Where the answer's videos are read; their bytes are no part of an answer."""
    return [
        ResourceLink(
            type="resource_link",
            uri=f"media://videos/{row['image_id']}",
            name=str(row["image_id"]),
            title="The video",
            mime_type=row.get("media_type"),
        )
        for row in _rows(answer)
        if row.get("kind") == "video" and row.get("image_id")
    ]


def _rows(answer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return cast(list[Mapping[str, Any]], answer.get("images") or [answer])


async def pictures_of(app: App, answer: Mapping[str, Any], edge: int) -> list[ContentBlock]:
    """What the answer is about, small enough to be sent along: its pictures, or a glimpse of a running job."""
    if answer.get("status") in {"queued", "running"}:
        glimpse = app.studio.preview(str(answer["job_id"]))
        return [as_content(glimpse)] if glimpse is not None and len(glimpse.data) <= MAX_PICTURE_BYTES else []
    names = [str(row["image_id"]) for row in _rows(answer) if row.get("image_id")][:MAX_PICTURES]
    edge = edge if len(names) == 1 else min(edge, SMALLER_EDGE)
    return [await _picture(app, name, edge) for name in names]


async def _picture(app: App, name: str, edge: int) -> ContentBlock:
    """The picture, or why it cannot be shown: what was made is told of all the same."""
    try:
        return as_content(await small_preview(app, name, edge))
    except StudioError as error:
        return TextContent(type="text", text=str(error))


async def small_preview(app: App, name: str, edge: int) -> Media:
    """A preview within MAX_PICTURE_BYTES. Raises StudioError when the file is gone or will not shrink that far."""
    preview = await app.gallery.preview(name, edge)
    if len(preview.data) > MAX_PICTURE_BYTES:
        preview = await app.gallery.preview(name, min(edge, SMALLER_EDGE) // 2)
    if len(preview.data) > MAX_PICTURE_BYTES:
        raise StorageError(f"The picture {name} does not shrink to {MAX_PICTURE_BYTES} bytes; open its file instead.")
    return preview


def as_content(picture: Media) -> ImageContent:
    return ImageContent(type="image", data=base64.b64encode(picture.data).decode(), mime_type=picture.media_type)
