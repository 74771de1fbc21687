"""A real Chromium for tests: this machine's, one installed from Debian's packages, or playwright's own."""

from __future__ import annotations

import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, Playwright, async_playwright

from tests.services.apt import have

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
PACKAGES = ("chromium", "fonts-noto-cjk", "fonts-noto-color-emoji")
"""The fonts show what is written in Chinese or in pictures; without them it is empty boxes in a screenshot."""
SWITCHES = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
"""No sandbox, because tests may run as root; nothing that asks another host for anything."""


@asynccontextmanager
async def chromium() -> AsyncGenerator[Browser]:
    """A browser without a window. Skips the test where there is none, with what to install."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program(playwright), args=SWITCHES)
        try:
            yield browser
        finally:
            await browser.close()


def program(playwright: Playwright) -> str:
    """The path of a Chromium."""
    if not any(map(shutil.which, PROGRAMS)):
        have(PROGRAMS[0], *PACKAGES)
    found = next((path for name in PROGRAMS if (path := shutil.which(name))), None)
    own = playwright.chromium.executable_path
    if found is None and Path(own).exists():
        return own
    if found is None:
        pytest.skip("no Chromium: apt-get install chromium, or python -m playwright install chromium")
    return found
