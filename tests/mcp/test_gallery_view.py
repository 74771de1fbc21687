"""The gallery as an MCP App: its page in a sandboxed frame of a host, in a real browser, on the production server."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from mcp_types import TextResourceContents
from playwright.async_api import FrameLocator, Page, expect

from clients.tools.gallery import GALLERY_VIEW
from clients.tools.handshake import low_level
from tests.mcp.desk import Desk, desk
from tests.services.browser import chromium

HOST = """<!doctype html><title>host</title><body><script>
const frame = document.createElement("iframe"), told = [];
window.addEventListener("message", async ({ source, data }) => {
  if (source !== frame.contentWindow) return;
  told.push(data);
  const say = (message) => frame.contentWindow.postMessage({ jsonrpc: "2.0", ...message }, "*");
  if (data.method === "ui/initialize")
    say({ id: data.id, result: { protocolVersion: "2026-01-26", hostInfo: { name: "host", version: "1" },
      hostCapabilities: { serverTools: {} }, hostContext: { theme: "dark" } } });
  else if (data.method === "ui/notifications/initialized") {
    say({ method: "ui/notifications/tool-input", params: { arguments: { limit: 2 } } });
    say({ method: "ui/notifications/tool-result", params: JSON.parse(await callTool("list_images", { limit: 2 })) });
  } else if (data.method === "tools/call")
    say({ id: data.id, result: JSON.parse(await callTool(data.params.name, data.params.arguments)) });
  else if (data.id !== undefined) say({ id: data.id, result: {} });
});
frame.sandbox = "allow-scripts";
frame.width = "100%"; frame.height = "600";
function show(html) { frame.srcdoc = html; document.body.append(frame); }
</script>"""
POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; connect-src 'none'"
"""What hosts allow a view that names no domains."""


@asynccontextmanager
async def view(at: Desk) -> AsyncGenerator[tuple[Page, FrameLocator]]:
    """The view as a host shows it after a call of list_images."""

    async def call(name: str, arguments: dict[str, Any]) -> str:
        return (await at.client.call_tool(name, arguments)).model_dump_json(by_alias=True, exclude_none=True)

    (content,) = (await at.client.read_resource(GALLERY_VIEW)).contents
    assert isinstance(content, TextResourceContents)
    assert content.mime_type == "text/html;profile=mcp-app"
    async with chromium() as browser:
        page = await browser.new_page()
        faults: list[str] = []
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        page.on("request", lambda request: faults.append(request.url) if "://" in request.url else None)
        await page.expose_function("callTool", call)
        await page.set_content(HOST)
        html = content.text.replace("<head>", f'<head><meta http-equiv="Content-Security-Policy" content="{POLICY}">')
        await page.evaluate("show", html)
        yield page, page.frame_locator("iframe")
        assert faults == []


async def test_pictures_are_shown_searched_opened_marked_and_talked_about(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        for prompt in ("a red fox", "a blue owl", "<img src=x onerror=alert(1)>"):
            await at.ask("generate_image", prompt=prompt)
        async with view(at) as (page, frame):
            await expect(frame.locator("#count")).to_have_text("2 of 3")
            await expect(frame.locator("#wall img")).to_have_count(2)
            await expect(frame.locator("html")).to_have_attribute("data-theme", "dark")
            await expect(frame.get_by_text("<img src=x onerror=alert(1)>")).to_be_visible()
            await frame.get_by_role("button", name="More").click()
            await expect(frame.locator("#wall li")).to_have_count(3)
            await frame.get_by_role("searchbox").fill("fox")
            await frame.get_by_role("button", name="Search").click()
            await expect(frame.locator("#count")).to_have_text("1 of 1")
            await frame.get_by_role("button", name="a red fox").click()
            await expect(frame.get_by_role("dialog").locator("img")).to_be_visible()
            await frame.get_by_role("button", name="Favourite").click()
            await expect(frame.locator("#favourite")).to_have_attribute("aria-pressed", "true")
            await frame.get_by_role("button", name="Talk about this one").click()
            await expect(frame.locator("#facts")).to_contain_text("knows which one")
            said = await page.evaluate("told.filter((one) => one.method === 'ui/update-model-context')")
        favourites = (await at.ask("list_images", favourite=True))["images"]
    assert [row["prompt"] for row in favourites] == ["a red fox"]
    assert favourites[0]["image_id"] in json.dumps(said)


async def test_a_host_is_told_which_tool_the_view_belongs_to_and_that_there_are_views(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        listed = {tool.name: tool for tool in (await at.client.list_tools()).tools}
        capabilities = low_level(at.server).get_capabilities(protocol_version="2026-07-28")
    assert (listed["list_images"].meta or {})["ui"] == {"resourceUri": GALLERY_VIEW}
    assert capabilities.extensions == {"io.modelcontextprotocol/ui": {}}
