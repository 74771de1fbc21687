"""The kit itself: what it would see going wrong."""

from __future__ import annotations

from playwright.async_api import Browser

from tests.page.kit import Served, axe, tab


async def test_a_tab_tells_of_script_errors_and_of_requests_to_other_hosts(served: Served, browser: Browser) -> None:
    async with tab(browser, f"{served.url}/health") as (page, faults):
        await page.evaluate("setTimeout(() => { throw new Error('broken') })")
        await page.evaluate("fetch('http://127.0.0.1:9/x').catch(() => 0)")
        assert [one for one in faults.told if one.startswith(("asked", "broken"))] == [
            "broken",
            "asked http://127.0.0.1:9/x",
        ]


async def test_axe_tells_of_a_picture_without_words(served: Served, browser: Browser) -> None:
    async with tab(browser, f"{served.url}/health") as (page, _):
        await page.evaluate("document.body.replaceChildren(new Image())")
        assert any(one.startswith("image-alt") for one in await axe(page))
