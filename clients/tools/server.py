"""The MCP server: our tools, resources, prompts and completions on one SDK server, for both protocol eras."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pydantic_core
from mcp.server import MCPServer
from mcp.server.apps import APP_MIME_TYPE, Apps
from mcp.server.caching import CacheHint
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.lowlevel.helper_types import ReadResourceContents
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.resources import FileResource
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INTERNAL_ERROR,
    CallToolResult,
    Completion,
    CompletionArgument,
    CompletionContext,
    InputRequiredResult,
    PromptReference,
    Resource,
    ResourceTemplateReference,
)
from mcp_types import Tool as ListedTool

from clients.tools import control, editing, gallery, generation, models, prompts, refining, video, workflows
from clients.tools.door import Door
from clients.tools.handshake import serve_handshake_era
from clients.tools.published import Published
from clients.tools.registration import registered
from clients.tools.resources import (
    IMAGES,
    JOBS,
    PROMPTS,
    VIDEOS,
    complete,
    media_type_of,
    newest_images,
    read_image,
    read_job,
    read_video,
)

TOOLS = (
    *generation.TOOLS,
    *editing.TOOLS,
    *refining.TOOLS,
    *video.TOOLS,
    *control.TOOLS,
    *models.TOOLS,
    *prompts.TOOLS,
    *workflows.TOOLS,
    *gallery.TOOLS,
)
UNLISTED = (*models.UNLISTED,)
"""Tools that answer when they are called, and are not shown: clients take forty at most."""
NAMES = frozenset(tool.name for tool in (*TOOLS, *UNLISTED))
HIDDEN = frozenset(tool.name for tool in UNLISTED)
MEDIA = tuple(template.removesuffix("{id}") for template in (IMAGES, VIDEOS))
MAX_ANSWER = 900_000
"""Bytes of one answer as JSON; Claude Desktop refuses results of 1 MiB."""
HOUR_MS = 3_600_000
MINUTE_MS = 60_000

INSTRUCTIONS = """\
Atelier makes pictures and checks them before it hands them over.
- generate_image for a new picture, img2img to change one, inpaint to change a part of it (the rest stays identical), \
outpaint to extend it, upscale, face_restore, remove_background; regenerate makes one again with other settings.
- Put the user's own words into prompt; leave out what you have no opinion on: the model's own settings are good.
- The answer has the picture, its image_id, path and the verdict. validation.passed false means that the judge did not \
find the prompt in the picture: say so, show the best attempt, offer a better wording.
- status "running" is no error: the job goes on. Call get_progress(job_id, wait_seconds=40) until it ends; do not \
start it again.
- Always tell the user the path or url of the picture: not every client shows pictures of tools.
- list_images finds earlier pictures (similar_to: those that look alike), get_image shows one, get_image_info tells \
how it was made (same seed and settings: same picture); tag_image tags it or makes it a favourite.
- model "auto" chooses model, LoRAs and settings by the prompt; the answer's choice says why. search_models finds \
more, download_model fetches one: ask the user before a large one.
- For better words: preset or enhance=true in generate_image (the judges still score the user's own words), \
enhance_prompt to see them first, refine_prompt to talk them over, list_presets for looks, artists, light.
- generate_video, image_to_video, extend_video and interpolate_frames make videos, which take minutes; refine_image \
draws, looks and rewords in rounds; run_workflow runs a ComfyUI workflow of the user's (list_workflows).
- When something fails, the text says what to change; get_system_status tells which engine and model draw, and how to \
get a better one."""


class StudioServer(MCPServer[Door]):
    """The SDK's server with the gallery in its resource list and near names for unknown tools."""

    def __init__(self, door: Door, *, inline: bool, version: str, log_level: Any, publishes: bool) -> None:
        super().__init__(
            "atelier",
            title="Atelier",
            description="Pictures that were checked before they are handed over",
            instructions=INSTRUCTIONS,
            version=version,
            tools=[registered(tool, door, inline) for tool in (*TOOLS, *UNLISTED)],
            log_level=log_level,
            lifespan=door.lifespan,
            extensions=[_apps()],
            middleware=[door.news, limit_size],
            subscriptions=door.news.bus,
            cache_hints={"tools/list": CacheHint(ttl_ms=MINUTE_MS if publishes else HOUR_MS, scope="public")},
        )
        self.door = door
        self._published = Published(door, inline, NAMES) if publishes else None

    async def list_tools(self) -> list[ListedTool]:
        own = [tool for tool in await super().list_tools() if tool.name not in HIDDEN]
        return [*own, *(await self._published.listed() if self._published else [])]

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[Door, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        names = [tool.name for tool in await super().list_tools()]
        if name not in names and self._published is not None and context is not None:
            if tool := await self._published.find(name):
                return await tool.run(arguments, context)
            names = [tool.name for tool in await self.list_tools()]
        if name not in names:
            near = difflib.get_close_matches(name[:80], names) or names
            raise ToolError(f"There is no tool {name[:80]!r}. Did you mean {', '.join(near)}?")
        return await super().call_tool(name, arguments, context)

    async def list_resources(self) -> list[Resource]:
        return [*await super().list_resources(), *await newest_images(await self.door.app())]

    async def read_resource(
        self, uri: Any, context: Context[Door, Any] | None = None
    ) -> Iterable[ReadResourceContents] | InputRequiredResult:
        contents = await super().read_resource(uri, context)
        if isinstance(contents, InputRequiredResult) or not str(uri).startswith(MEDIA):
            return contents
        return [
            replace(content, mime_type=media_type_of(content.content))
            for content in contents
            if isinstance(content.content, bytes)
        ]


def _apps() -> Apps:
    """What hosts that show MCP Apps can show; everywhere else the tools' text says the same."""
    apps = Apps()
    apps.add_resource(
        FileResource(
            uri=gallery.GALLERY_VIEW,
            path=Path(__file__).parent / "gallery_view.html",
            name="gallery",
            title="The gallery: search, look, mark favourites",
            mime_type=APP_MIME_TYPE,
            meta={"ui": {"prefersBorder": True}},
        )
    )
    return apps


def build_server(
    door: Door, *, inline: bool = True, version: str = "", log_level: str = "INFO", publishes: bool = False
) -> StudioServer:
    """The server for every transport. `inline` False: no picture bytes in tool answers. `publishes`: the owner wants
    workflows as tools of their own."""
    server = StudioServer(door, inline=inline, version=version, log_level=log_level, publishes=publishes)
    _add_resources(server, door)
    for prompt in PROMPTS:
        server.prompt(description=prompt.__doc__)(prompt)
    _add_completions(server, door)
    serve_handshake_era(server, door, tools_change=publishes)
    return server


def _add_resources(server: StudioServer, door: Door) -> None:
    @server.resource(IMAGES, title="A picture", description="The picture with that image id", mime_type="image/png")
    async def image(id: str) -> bytes:  # pyright: ignore[reportUnusedFunction]
        return await read_image(await door.app(), id)

    @server.resource(VIDEOS, title="A video", description="The video with that image id", mime_type="video/mp4")
    async def video(id: str) -> bytes:  # pyright: ignore[reportUnusedFunction]
        return await read_video(await door.app(), id)

    @server.resource(JOBS, title="A job", description="What became of a job", mime_type="application/json")
    async def job(id: str) -> str:  # pyright: ignore[reportUnusedFunction]
        return await read_job(await door.app(), id)


def _add_completions(server: StudioServer, door: Door) -> None:
    @server.completion()
    async def values(  # pyright: ignore[reportUnusedFunction]
        ref: PromptReference | ResourceTemplateReference, argument: CompletionArgument, _: CompletionContext | None
    ) -> Completion:
        return Completion(values=await complete(await door.app(), ref, argument), has_more=False)


async def limit_size(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Refuse what a client would choke on; the envelope of the answer stays as it is."""
    result = await call_next(ctx)
    if ctx.method not in {"tools/call", "resources/read"} or not isinstance(result, dict):
        return result
    size = len(pydantic_core.to_json(result))
    if size <= MAX_ANSWER:
        return result
    text = f"The answer has {size} bytes, more than the {MAX_ANSWER} that clients take: ask for less (limit, max_edge)."
    if ctx.method == "resources/read":
        raise MCPError(code=INTERNAL_ERROR, message=text)
    kept = {key: part for key, part in result.items() if key != "structuredContent"}
    return kept | {"content": [{"type": "text", "text": text}], "isError": True}
