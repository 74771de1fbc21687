"""The wall with 100,000 pictures: bounded in the page, filled where one looks, and how long its tasks take.

The rows come from a route of the test in the shape of GET /api/images; it is the page that is measured here.
"""

from __future__ import annotations

import json
import re
from statistics import median
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.async_api import Page, Route, expect

from tests.page.kit import Served
from tests.page.pictures import SCALE, SIZES, painting

TOTAL = 100_000
MOST_TILES = 260
LISTS = re.compile(r"/api/images\?")
PREVIEWS = re.compile(r"/api/images/[^/]+/preview")
IN_VIEW = """() => {
  const seen = [...document.querySelectorAll(".photo")].filter(one => {
    const box = one.getBoundingClientRect();
    return box.bottom > 0 && box.top < innerHeight;
  });
  return seen.length > 3 && seen.every(one => one.querySelector("img.is-there"));
}"""
AT_REST = """async () => {
  const frame = () => new Promise(requestAnimationFrame);
  for (let still = 0, last = scrollY; still < 8; last = scrollY) {
    await frame();
    still = scrollY === last ? still + 1 : 0;
  }
}"""
THROUGH = """async () => {
  const long = [], frames = [];
  let most = 0;
  new PerformanceObserver(list => long.push(...list.getEntries().map(one => one.duration))).observe({type: "longtask"});
  const frame = () => new Promise(requestAnimationFrame);
  const glide = async (goal, steps) => {
    const start = scrollY;
    for (let step = 1, last = performance.now(); step <= steps; step += 1) {
      scrollTo(0, start + (goal - start) * step / steps);
      const now = await frame();
      frames.push(now - last);
      last = now;
      most = Math.max(most, document.querySelectorAll(".photo").length);
    }
  };
  await glide(6000, 120);
  await glide(document.documentElement.scrollHeight, 120);
  await glide(document.documentElement.scrollHeight / 2, 60);
  await glide(scrollY - 2000, 40);
  return {long, frames, most};
}"""


def _row(number: int) -> dict[str, Any]:
    width, height = SIZES[number % len(SIZES)]
    told = {"image_id": f"p{number}", "kind": "image", "prompt": f"picture {number}", "model": "demo", "engine": "fake"}
    made = {"seed": number, "width": width * SCALE, "height": height * SCALE, "media_type": "image/png"}
    return (
        told | made | {"score": 0.3, "passed": True, "favourite": False, "tags": [], "created": "2026-01-01T00:00:00Z"}
    )


async def _list(route: Route, total: int) -> None:
    asked = {name: values[0] for name, values in parse_qs(urlsplit(route.request.url).query).items()}
    start = int(asked.get("cursor", asked.get("skip", "0")))
    end = min(total, start + int(asked["limit"]))
    more = {"cursor": str(end)} if end < total else {}
    page = {"images": [_row(number) for number in range(start, end)], "total": total} | more
    await route.fulfill(body=json.dumps(page), content_type="application/json")


async def _so_many(page: Page, url: str, total: int = TOTAL) -> None:
    await page.goto("about:blank")  # what it showed until now is asked of the real server
    drawn = [painting(number, 4 * width, 4 * height) for number, (width, height) in enumerate(SIZES)]

    async def preview(route: Route) -> None:
        number = int(route.request.url.split("/images/p")[1].split("/")[0])
        kept = {"Cache-Control": "private, max-age=31536000, immutable"}
        await route.fulfill(body=drawn[number % len(drawn)], content_type="image/png", headers=kept)

    await page.route(LISTS, lambda route: _list(route, total))
    await page.route(PREVIEWS, preview)
    await page.goto(url)
    await expect(page.get_by_role("status").filter(has_text=f"{total:,} pictures")).to_be_visible()


async def test_a_scroll_through_100_000_pictures_keeps_the_page_small(page: Page, served: Served) -> None:
    await _so_many(page, served.url)
    await page.wait_for_function(IN_VIEW)
    trace = await page.evaluate(THROUGH)
    await page.wait_for_function(IN_VIEW)
    assert trace["most"] < MOST_TILES
    _tell("long tasks (50 ms or more)", trace["long"])
    _tell("frames", trace["frames"])
    print(f"most tiles at once: {trace['most']}")  # noqa: T201


def _tell(name: str, durations: list[float]) -> None:
    ordered = sorted(durations) or [0.0]
    tail = ordered[int(len(ordered) * 0.95)] if len(ordered) > 1 else ordered[-1]
    told = f"median {median(ordered):.1f} ms, 95 of 100 below {tail:.1f} ms, worst {ordered[-1]:.1f} ms"
    print(f"{name}: {len(durations)}; {told}")  # noqa: T201


@pytest.mark.parametrize("total", [TOTAL, 1_000_000])
async def test_the_last_picture_is_one_key_away(page: Page, served: Served, total: int) -> None:
    """A million pictures make a wall that is higher than what a browser lays out."""
    await _so_many(page, served.url, total)
    await page.locator('[data-id="p0"] .photo__link').focus()
    await page.keyboard.press("End")
    last = page.locator(f'[data-id="p{total - 1}"] .photo__link')
    await expect(last).to_be_focused()
    await expect(last).to_be_in_viewport()
    await page.keyboard.press("ArrowLeft")
    await expect(page.locator(f'[data-id="p{total - 2}"] .photo__link')).to_be_focused()
    await page.keyboard.press("Home")
    await expect(page.locator('[data-id="p0"] .photo__link')).to_be_focused()


async def test_what_one_looks_at_stays_while_rows_above_are_fetched(page: Page, served: Served) -> None:
    await _so_many(page, served.url)
    await page.evaluate("scrollTo(0, document.documentElement.scrollHeight / 2)")
    await page.wait_for_function(IN_VIEW)
    await page.mouse.move(400, 400)
    looked_at = page.locator(".photo:hover")
    place = await looked_at.get_attribute("data-id")
    await _wheel(page, -1500)
    await _wheel(page, 1500)
    await expect(page.locator(f'[data-id="{place}"]')).to_be_in_viewport()


async def test_the_scroll_bar_spans_a_million_pictures_and_the_wheel_goes_pixel_by_pixel(
    page: Page, served: Served
) -> None:
    await _so_many(page, served.url, 1_000_000)
    for share in (0.25, 0.5, 0.75, 1.0):
        await page.evaluate("share => scrollTo(0, share * document.documentElement.scrollHeight)", share)
        await page.wait_for_function(IN_VIEW)
        assert abs(await _middle(page) - share * 1_000_000) < 15_000
    await page.evaluate("scrollTo(0, 0.4 * document.documentElement.scrollHeight)")
    await page.wait_for_function(IN_VIEW)
    seen = page.locator(".photo:hover")
    await page.mouse.move(640, 500)
    place = page.locator(f'[data-id="{await seen.get_attribute("data-id")}"]')
    before = await place.bounding_box()
    await _wheel(page, 300)
    after = await place.bounding_box()
    assert before and after and abs(before["y"] - after["y"] - 300) < 2


async def _wheel(page: Page, by: int) -> None:
    """Turn the wheel by so many CSS pixels, and wait until the page has moved and stands still with its rows."""
    start = await page.evaluate("scrollY")
    await page.mouse.wheel(0, by)
    await page.wait_for_function("start => scrollY !== start", arg=start)
    await page.evaluate(AT_REST)
    await page.wait_for_function(IN_VIEW)


async def _middle(page: Page) -> int:
    """The number of a picture in the middle of the window."""
    seen = """() => [...document.querySelectorAll(".photo[data-id]")].find(one => {
      const box = one.getBoundingClientRect();
      return box.top <= 400 && box.bottom >= 380;
    })?.dataset.id"""
    found = await page.wait_for_function(seen)
    return int(str(await found.json_value()).removeprefix("p"))
