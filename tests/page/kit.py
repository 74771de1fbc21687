"""What tests of the page work with: a studio with pictures (tests.web.studio), tabs that watch themselves, axe-core."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

from playwright.async_api import Browser, Page, Request

from tests.web.studio import Served, studio

__all__ = ["PHONE", "WIDE", "Faults", "Served", "axe", "axe_in_both", "studio", "tab"]

WIDE = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
SERIOUS = {"serious", "critical"}
REPORT = "async options => (await axe.run(document, options)).violations"

PAINTED = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"


@dataclass
class Faults:
    """What went wrong in a tab: errors on its console, errors of its scripts, requests to other hosts."""

    told: list[str] = field(default_factory=list[str])

    def watch(self, page: Page, url: str) -> None:
        def foreign(request: Request) -> None:
            if not request.url.startswith((url, "blob:", "data:")):
                self.told.append(f"asked {request.url}")

        page.on("console", lambda said: self.told.append(said.text) if said.type in {"error", "warning"} else None)
        page.on("pageerror", lambda error: self.told.append(str(error)))
        page.on("request", foreign)


@asynccontextmanager
async def tab(browser: Browser, url: str, **context: Any) -> AsyncGenerator[tuple[Page, Faults]]:
    """A page of a browser of its own, gone to `url`; `context` as for browser.new_context (viewport, color_scheme)."""
    opened = await browser.new_context(**cast(Any, {"viewport": WIDE, "locale": "en-GB"} | context))
    try:
        page, faults = await opened.new_page(), Faults()
        faults.watch(page, url)
        await page.goto(url)
        yield page, faults
    finally:
        await opened.close()


async def axe(page: Page, **options: Any) -> list[str]:
    """What axe-core finds serious or critical: rule, what it is about, and where."""
    await page.evaluate(axe_script())
    found: list[Any] = await page.evaluate(REPORT, {"preload": False} | options)
    return [_told(one) for one in found if one["impact"] in SERIOUS]


async def axe_in_both(page: Page) -> list[str]:
    """What axe-core finds in light and in dark. For tabs with reduced motion: colours that change gently mislead it."""
    found: list[str] = []
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme=scheme)
        await page.evaluate(PAINTED)
        found += [f"{scheme}: {one}" for one in await axe(page)]
    return found


def axe_script() -> str:
    """axe-core, as the package axe-playwright-python ships it."""
    spec = find_spec("axe_playwright_python")
    assert spec is not None and spec.origin is not None, "install axe-playwright-python"
    return (Path(spec.origin).parent / "axe.min.js").read_text(encoding="utf-8")


def _told(violation: Any) -> str:
    nodes = [" ".join(map(str, node["target"])) for node in violation["nodes"][:5]]
    return f"{violation['id']} ({violation['help']}): {json.dumps(nodes, ensure_ascii=False)}"
