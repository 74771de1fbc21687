"""The pictures of the page in README.md, taken of a running Atelier: python -m tests.page.portraits URL [FOLDER].

It draws one picture in the studio and shows what the gallery holds; fill it before, as with
`for words in "a white star on red" "two blue squares"; do atelier "$words"; done`.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.async_api import Browser, Page, expect

from tests.page.kit import WIDE, tab
from tests.services.browser import chromium

STARS = "two yellow stars on a purple background"
MOST = 300_000
"""Bytes."""
ARRIVED = """() => {
  const all = [...document.images].filter(one => one.getBoundingClientRect().top < innerHeight);
  return all.length > 1 && all.every(one => one.complete && getComputedStyle(one).opacity === "1");
}"""


async def keep(page: Page, path: Path) -> None:
    """As a PNG; with few colours where it would be large, as a README is fetched by many."""
    await page.wait_for_function(ARRIVED)
    shot = Image.open(BytesIO(await page.screenshot())).convert("RGB")
    shot.save(path, optimize=True)
    if path.stat().st_size > MOST:
        shot.quantize(256, kmeans=4, dither=Image.Dither.NONE).save(path, optimize=True)
    sys.stdout.write(f"{path}\n")


async def studio(browser: Browser, url: str, path: Path) -> None:
    async with tab(browser, f"{url}/#/studio", color_scheme="dark") as (page, _):
        await page.get_by_label("What the picture shows").fill(STARS)
        await page.get_by_role("button", name="Write the prompt").click()
        await expect(page.locator("[data-prompt]")).to_contain_text("stars")
        await page.get_by_role("button", name="Make the picture").click()
        await expect(page.locator(".live")).to_contain_text("score", timeout=120_000)
        await expect(page.get_by_role("button", name="Jobs", exact=True)).to_be_visible()
        await keep(page, path)


async def gallery(browser: Browser, url: str, path: Path) -> None:
    async with tab(browser, url) as (page, _):
        await keep(page, path)


async def detail(browser: Browser, url: str, path: Path) -> None:
    """The picture that was drawn in the studio."""
    async with tab(browser, url, viewport=WIDE) as (page, _):
        await page.locator(".photo__link").first.click()
        await expect(page.get_by_role("heading", name="Recipe")).to_be_visible()
        await keep(page, path)


async def main(url: str, folder: Path) -> None:
    async with chromium() as browser:
        await studio(browser, url, folder / "page_studio.png")
        await gallery(browser, url, folder / "page_gallery.png")
        await detail(browser, url, folder / "page_detail.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("folder", type=Path, nargs="?", default=Path("examples"))
    asked = parser.parse_args()
    asyncio.run(main(asked.url.rstrip("/"), asked.folder))
