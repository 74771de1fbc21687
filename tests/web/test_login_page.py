"""The login in a real browser: it leads where the address said, and lets nobody else use what it gave."""

from __future__ import annotations

from pathlib import Path

from tests.services.browser import chromium
from tests.web.studio import studio

TOKEN = "open sesame"
ASKED = """address => fetch(address, {method: "POST", mode: "no-cors", credentials: "include", body: "{}"})
    .then(() => fetch(address, {credentials: "include"})).then(() => "read", () => "refused")"""

FOLLOWED = "link => Object.assign(document.createElement('a'), {href: link}).click()"


async def test_a_link_to_a_picture_survives_the_login_and_other_sites_read_nothing(tmp_path: Path) -> None:
    async with (
        studio(tmp_path / "a", items=1, token=TOKEN) as served,
        studio(tmp_path / "b", items=0) as elsewhere,
        chromium() as browser,
    ):
        page = await browser.new_page()
        link = f"{served.url}/#/image/{served.items[0].id}"
        await page.goto(link)
        await page.fill("#token", "wrong")
        await page.click("button")
        assert await page.text_content("[role=alert]")
        await page.fill("#token", TOKEN)
        await page.click("button")
        await page.wait_for_url(link)
        assert await page.title() != "Atelier: log in"

        await page.goto(f"{elsewhere.url.replace('127.0.0.1', 'localhost')}/health")
        assert await page.evaluate(ASKED, f"{served.url}/api/images") == "refused"
        await page.evaluate(
            "link => document.body.append(Object.assign(document.createElement('a'), {href: link}))", link
        )
        await page.evaluate("document.querySelector('a').click()")
        await page.wait_for_url(link)
        await page.wait_for_selector("#app")
        assert [one.get("httpOnly") for one in await page.context.cookies()] == [True]
