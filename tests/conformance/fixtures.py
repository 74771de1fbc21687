"""The tools, resources and prompts that the conformance suite calls by name, added to the production server."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from io import BytesIO
from typing import Annotated, Any
from wave import open as open_wave

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.prompts.base import UserMessage
from mcp_types import (
    AudioContent,
    ContentBlock,
    EmbeddedResource,
    ImageContent,
    TextContent,
    TextResourceContents,
)
from pydantic import Field

from tests.conformance.dialogue import DIALOGUE
from tests.fakes import png

AnyContext = Context[Any, Any]
FIXTURE = "A fixture of the conformance suite"
PIXEL = base64.b64encode(png(1, 1)).decode()
SCHEMA_2020_12: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}


def picture() -> ImageContent:
    return ImageContent(type="image", data=PIXEL, mime_type="image/png")


def embedded(uri: str, text: str, media_type: str = "text/plain") -> EmbeddedResource:
    return EmbeddedResource(type="resource", resource=TextResourceContents(uri=uri, text=text, mime_type=media_type))


async def test_simple_text() -> str:
    return "This is a simple text response for testing."


async def test_image_content() -> list[ContentBlock]:
    return [picture()]


async def test_audio_content() -> list[ContentBlock]:
    buffer = BytesIO()
    with open_wave(buffer, "wb") as wave:
        wave.setnchannels(1)
        wave.setsampwidth(1)
        wave.setframerate(8000)
        wave.writeframes(bytes(8))
    data = base64.b64encode(buffer.getvalue()).decode()
    return [AudioContent(type="audio", data=data, mime_type="audio/wav")]


async def test_embedded_resource() -> list[ContentBlock]:
    return [embedded("test://embedded-resource", "This is an embedded resource content.")]


async def test_multiple_content_types() -> list[ContentBlock]:
    resource = json.dumps({"test": "data", "value": 123})
    return [
        TextContent(type="text", text="Multiple content types test:"),
        picture(),
        embedded("test://mixed-content-resource", resource, "application/json"),
    ]


async def test_tool_with_logging(ctx: AnyContext) -> str:
    for text in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await ctx.info(text)  # pyright: ignore[reportDeprecated]
        await asyncio.sleep(0.05)
    return "done"


async def test_tool_with_progress(ctx: AnyContext) -> str:
    for progress in (0, 50, 100):
        await ctx.report_progress(progress, 100)
        await asyncio.sleep(0.05)
    return "done"


async def test_error_handling() -> str:
    raise ToolError("This tool intentionally returns an error for testing")


async def json_schema_2020_12_tool(name: str = "") -> str:
    return name


async def test_x_mcp_header(region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})]) -> str:
    return region


async def test_reconnection(ctx: AnyContext) -> str:
    """Closes its own stream, so that the client has to come back for the answer."""
    close = ctx.request_context.close_sse_stream
    if close is not None:
        await close()
        await asyncio.sleep(0.2)
    return "still here"


async def test_trigger_tool_change(ctx: AnyContext) -> str:
    await ctx.notify_tools_changed()
    await ctx.session.send_tool_list_changed()
    return "told"


async def test_trigger_prompt_change(ctx: AnyContext) -> str:
    await ctx.notify_prompts_changed()
    await ctx.session.send_prompt_list_changed()
    return "told"


async def test_simple_prompt() -> str:
    return "This is a simple prompt for testing."


async def test_prompt_with_arguments(arg1: str, arg2: str) -> str:
    return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"


async def test_prompt_with_embedded_resource(resourceUri: str) -> list[UserMessage]:  # noqa: N803
    resource = embedded(resourceUri, "Embedded resource content for testing.")
    return [UserMessage(resource), UserMessage("Please process the embedded resource above.")]


async def test_prompt_with_image() -> list[UserMessage]:
    return [UserMessage(picture()), UserMessage("Please analyze the image above.")]


TOOLS: tuple[Callable[..., Any], ...] = (
    test_simple_text,
    test_image_content,
    test_audio_content,
    test_embedded_resource,
    test_multiple_content_types,
    test_tool_with_logging,
    test_tool_with_progress,
    test_error_handling,
    json_schema_2020_12_tool,
    test_x_mcp_header,
    test_reconnection,
    test_trigger_tool_change,
    test_trigger_prompt_change,
    *DIALOGUE.tools,
)
PROMPTS: tuple[Callable[..., Any], ...] = (
    test_simple_prompt,
    test_prompt_with_arguments,
    test_prompt_with_embedded_resource,
    test_prompt_with_image,
    *DIALOGUE.prompts,
)


def add_fixtures(server: MCPServer[Any]) -> None:
    """Register everything that the suite asks for by name."""
    for tool in TOOLS:
        server.add_tool(tool, description=tool.__doc__ or FIXTURE)
    schema_tool = server._tool_manager.get_tool(json_schema_2020_12_tool.__name__)  # pyright: ignore[reportPrivateUsage]
    assert schema_tool is not None
    schema_tool.parameters = SCHEMA_2020_12
    for prompt in PROMPTS:
        server.prompt(description=prompt.__doc__ or FIXTURE)(prompt)
    add_resources(server)


def add_resources(server: MCPServer[Any]) -> None:
    @server.resource("test://static-text", mime_type="text/plain")
    async def static_text() -> str:  # pyright: ignore[reportUnusedFunction]
        return "This is the content of the static text resource."

    @server.resource("test://static-binary", mime_type="image/png")
    async def static_binary() -> bytes:  # pyright: ignore[reportUnusedFunction]
        return base64.b64decode(PIXEL)

    @server.resource("test://watched-resource", mime_type="text/plain")
    async def watched() -> str:  # pyright: ignore[reportUnusedFunction]
        return "watched"

    @server.resource("test://template/{id}/data", mime_type="application/json")
    async def template(id: str) -> str:  # pyright: ignore[reportUnusedFunction]
        return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})
