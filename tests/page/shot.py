"""A screenshot of a page: python -m tests.page.shot URL OUT.png [--width N] [--height N] [--dark] [--full]."""

from __future__ import annotations

import argparse
import asyncio
import sys

from tests.page.kit import tab
from tests.services.browser import chromium


async def shoot(asked: argparse.Namespace) -> None:
    look = {"viewport": {"width": asked.width, "height": asked.height}}
    async with (
        chromium() as browser,
        tab(browser, asked.url, **look, color_scheme="dark" if asked.dark else "light") as (page, faults),
    ):
        await page.wait_for_timeout(asked.wait)
        await page.screenshot(path=asked.out, full_page=asked.full)
        sys.stdout.write("\n".join([asked.out, *faults.told]) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("out")
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--height", type=int, default=800)
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--full", action="store_true", help="the whole page, not only what the window shows")
    parser.add_argument("--wait", type=int, default=1500, help="milliseconds before the shot (%(default)s)")
    asyncio.run(shoot(parser.parse_args()))
