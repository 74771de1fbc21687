"""The gallery for everybody: axe-core over all that it shows, in light and dark, and what axe cannot see."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, Page, expect

from tests.page import kit
from tests.page.kit import Served


@pytest.mark.alone
async def test_nothing_serious_is_found_on_the_wall(browser: Browser, served: Served) -> None:
    async with kit.tab(browser, served.url, reduced_motion="reduce") as (page, faults):
        await expect(page.locator(".photo img.is-there").first).to_be_visible()
        found = {"wall": await kit.axe_in_both(page)}
        await page.get_by_role("button", name="Filters", exact=True).click()
        await page.get_by_label("Model").select_option("demo")
        await expect(page.get_by_role("status").filter(has_text="6 pictures")).to_be_visible()
        found["filters"] = await kit.axe_in_both(page)
        await (
            page.get_by_role("button", name="Clear all").or_(page.get_by_role("button", name="Take away")).first.click()
        )
        await page.locator(".photo").first.hover()
        await page.locator(".photo__pick").first.click()
        found["selection"] = await kit.axe_in_both(page)
        await page.get_by_role("toolbar").get_by_role("button", name="Tag").click()
        found["tags"] = await kit.axe_in_both(page)
        await page.keyboard.press("Escape")
        await page.keyboard.press("Delete")
        await expect(page.get_by_role("button", name="Undo")).to_be_visible()
        found["undo"] = await kit.axe_in_both(page)
        await page.goto(f"{served.url}/#/?query=zebra")
        await expect(page.get_by_role("heading", name="No picture matches")).to_be_visible()
        found["nothing"] = await kit.axe_in_both(page)
        await page.keyboard.press("?")
        found["keys"] = await kit.axe_in_both(page)
        assert found == {seen: [] for seen in found}
        assert faults.told == []


@pytest.mark.alone
async def test_nothing_serious_is_found_at_a_picture(browser: Browser, served: Served) -> None:
    child = next(item for item in served.items if item.parent_id)
    await served.app.gallery.tag(child.id, add=["portfolio"])
    async with kit.tab(browser, f"{served.url}/#/image/{child.id}", reduced_motion="reduce") as (page, _):
        await expect(page.get_by_role("heading", name="Recipe")).to_be_visible()
        found = {"detail": await kit.axe_in_both(page)}
        await page.keyboard.press("c")
        await expect(page.get_by_role("dialog", name="Compare")).to_be_visible()
        found["compare"] = await kit.axe_in_both(page)
        await page.keyboard.press("Escape")
        await page.keyboard.press("r")
        await expect(page.get_by_role("dialog", name="Make again, changed")).to_be_visible()
        found["again"] = await kit.axe_in_both(page)
        await page.keyboard.press("Escape")
        await page.set_viewport_size(kit.PHONE)  # type: ignore[arg-type]
        found["phone"] = await kit.axe_in_both(page)
        assert found == {seen: [] for seen in found}


@pytest.mark.alone(token="sesame", items=4)
async def test_nothing_serious_is_found_at_the_login_in_the_trash_and_beside_the_jobs(
    browser: Browser, served: Served
) -> None:
    await served.app.gallery.delete(served.items[0].id)
    async with kit.tab(browser, served.url, reduced_motion="reduce") as (page, _):
        found = {"login": await kit.axe_in_both(page)}
        await page.get_by_label("Token").fill("sesame")
        await page.get_by_role("button", name="Log in").click()
        await page.get_by_role("button", name="Trash", exact=True).click()
        await expect(page.locator(".photo img.is-there")).to_have_count(1)
        found["trash"] = await kit.axe_in_both(page)
        await page.get_by_role("button", name="Jobs").click()
        await page.locator(".drawer .job__head").first.click()
        found["jobs"] = await kit.axe_in_both(page)
        await page.keyboard.press("Escape")
        await page.route("**/api/images?*", lambda route: route.abort())
        await page.get_by_role("button", name="Out of the trash").click()
        await expect(page.get_by_role("alert").first).to_be_visible()
        found["error"] = await kit.axe_in_both(page)
        assert found == {seen: [] for seen in found}


async def test_the_theme_switch_goes_against_the_system_and_is_kept(browser: Browser, served: Served) -> None:
    async with kit.tab(browser, served.url, color_scheme="light") as (page, _):
        light = await _ground(page)
        await page.get_by_role("button", name="Theme: auto. Switch to light").click()
        await page.get_by_role("button", name="Theme: light. Switch to dark").click()
        dark = await _ground(page)
        await page.reload()
        await expect(page.get_by_role("button", name="Theme: dark. Switch to auto")).to_be_visible()
        assert await _ground(page) == dark != light
        await page.get_by_role("button", name="Theme: dark. Switch to auto").click()
        assert await _ground(page) == light


async def _ground(page: Page) -> str:
    return await page.evaluate("getComputedStyle(document.body).backgroundColor")


async def test_with_reduced_motion_nothing_moves_for_long(browser: Browser, served: Served) -> None:
    async with kit.tab(browser, served.url, reduced_motion="reduce") as (page, _):
        await expect(page.locator(".photo img.is-there").first).to_be_visible()
        await page.locator(".photo__link").first.click()
        await expect(page.get_by_role("heading", name="Recipe")).to_be_visible()
        slow = await page.evaluate(
            """() => [...document.querySelectorAll("*")].filter(one => {
                 const {transitionDuration, animationDuration} = getComputedStyle(one);
                 return Math.max(...`${transitionDuration},${animationDuration}`.split(",").map(parseFloat)) > 0.01;
               }).map(one => one.className)"""
        )
        assert slow == []


async def test_every_stop_of_the_tab_key_is_seen_and_named(page: Page) -> None:
    await expect(page.locator(".photo").first).to_be_visible()
    stops: list[list[str]] = []
    for _ in range(16):
        await page.keyboard.press("Tab")
        stop = await page.evaluate(
            """() => {
              const one = document.activeElement;
              const name = one.getAttribute("aria-label") || one.labels?.[0]?.textContent || one.textContent;
              return [name.trim(), getComputedStyle(one).outlineStyle, getComputedStyle(one).outlineWidth];
            }"""
        )
        stops.append(stop)
        if await page.evaluate("document.activeElement.matches('.photo__link')"):
            break
    names = [name for name, *_ in stops]
    assert names[0] == "To the content"
    assert {"Search pictures", "Gallery", "Studio", "Jobs", "Order", "Filters", "Trash"} <= set(names)
    assert await page.evaluate("document.activeElement.matches('.photo__link')")
    assert [stop for stop in stops if stop[1:] != ["solid", "3px"]] == []


async def test_a_dialog_keeps_the_focus_and_gives_it_back(page: Page) -> None:
    button = page.get_by_role("button", name="Keys")
    await button.click()
    for _ in range(4):
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.matches('body, dialog *')")
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await expect(button).to_be_focused()
