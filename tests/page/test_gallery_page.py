"""The gallery of the page in a real browser: looking, searching, comparing, changing, deleting and undoing."""

from __future__ import annotations

import asyncio
import re

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from tests.page import kit
from tests.page.kit import Faults, Served
from tests.page.pictures import painting
from workflows.types import ItemQuery

SCRIPT = "<img src=x onerror="
XSS = "<img src=x onerror=\"document.title='broken'\">"


def photos(page: Page) -> Locator:
    return page.locator(".photo[data-id]")


def photo(page: Page, item_id: str) -> Locator:
    return page.locator(f'.photo[data-id="{item_id}"] .photo__link')


def detail(page: Page) -> Locator:
    return page.get_by_role("article", name="Picture")


async def shown(page: Page) -> list[str]:
    """Ids on the wall in their order."""
    return await photos(page).evaluate_all("all => all.map(one => one.dataset.id)")


async def opened(page: Page, item_id: str) -> Locator:
    await photo(page, item_id).click()
    await expect(detail(page).get_by_role("heading", name="Recipe")).to_be_visible()
    return detail(page)


async def test_the_wall_shows_the_pictures_newest_first(page: Page, served: Served) -> None:
    await expect(page.get_by_role("status").filter(has_text="24 pictures")).to_be_visible()
    await expect(photos(page).first).to_be_visible()
    ids = await shown(page)
    assert ids == [item.id for item in served.items][: len(ids)]
    await expect(page.locator(".photo img.is-there").first).to_be_visible()


async def test_rows_fill_the_wall_from_edge_to_edge(page: Page) -> None:
    await expect(photos(page).first).to_be_visible()
    edges: list[list[int]] = await page.evaluate(
        """() => {
          const wall = document.querySelector(".wall").getBoundingClientRect();
          const rows = Map.groupBy(document.querySelectorAll(".photo"), one => one.offsetTop);
          return [...rows.values()].map(row => row.map(one => one.getBoundingClientRect()))
            .map(row => [Math.round(row[0].left - wall.left), Math.round(wall.right - row.at(-1).right)]);
        }"""
    )
    assert len(edges) > 2
    assert set(map(tuple, edges)) == {(0, 0)}


async def test_search_as_one_types_keeps_the_focus_and_the_address(page: Page) -> None:
    search = page.get_by_role("searchbox", name="Search pictures")
    await search.press_sequentially("lighthouse")
    await expect(page.get_by_role("status").filter(has_text=re.compile(r"^[23] pictures"))).to_be_visible()
    await expect(page).to_have_url(re.compile(r"#/\?query=lighthouse$"))
    await expect(search).to_be_focused()
    assert {await one.get_attribute("aria-label") for one in await page.locator(".photo__link").all()} <= {
        "a lighthouse at dusk",
        "a lighthouse at dusk, favourite",
    }
    await page.reload()
    await expect(search).to_have_value("lighthouse")
    await expect(page.get_by_role("status").filter(has_text=re.compile(r"^[23] pictures"))).to_be_visible()


async def test_a_slow_answer_to_older_words_is_dropped(page: Page) -> None:
    late, asked = asyncio.Event(), asyncio.Event()

    async def hold(route: object) -> None:
        asked.set()
        await late.wait()
        await route.continue_()  # type: ignore[attr-defined]

    await page.route(re.compile(r"/api/images\?.*query=fox&|/api/images\?.*query=fox$"), hold)
    search = page.get_by_role("searchbox", name="Search pictures")
    await search.fill("fox")
    await asked.wait()
    await search.fill("ramen")
    await expect(photo(page, "").or_(page.locator('[aria-label^="a bowl of ramen"]')).first).to_be_visible()
    late.set()
    await expect(page.locator('[aria-label^="a red fox"]')).to_have_count(0)
    await expect(page.locator('[aria-label^="a bowl of ramen"]').first).to_be_visible()


async def test_words_without_a_match_offer_a_way_back(page: Page) -> None:
    await page.get_by_role("searchbox", name="Search pictures").fill("zebra crossing")
    await expect(page.get_by_role("heading", name="No picture matches")).to_be_visible()
    await page.get_by_role("button", name="Show all pictures").click()
    await expect(page.get_by_role("status").filter(has_text="24 pictures")).to_be_visible()


async def test_filters_come_as_chips_and_go_with_back(page: Page, served: Served) -> None:
    await page.get_by_role("button", name="Filters", exact=True).click()
    await page.get_by_label("Model").select_option("demo")
    await expect(page.get_by_role("status").filter(has_text="6 pictures")).to_be_visible()
    await page.get_by_role("button", name="Favourites only").click()
    chips = page.get_by_role("group", name="Filters that are set")
    await expect(chips).to_contain_text("Model: demo")
    liked = [item.id for item in served.items if item.model == "demo" and item.favourite]
    await expect(photos(page)).to_have_count(len(liked))
    assert await shown(page) == liked
    await page.go_back()
    await expect(photos(page)).to_have_count(6)
    await chips.get_by_role("button", name="Take away the filter Model: demo").click()
    await expect(page.get_by_role("status").filter(has_text="24 pictures")).to_be_visible()


async def test_the_wall_is_sorted_by_score(page: Page, served: Served) -> None:
    await page.get_by_label("Order").select_option("best")
    await expect(page).to_have_url(re.compile("sort=best"))
    best = max(served.items, key=lambda item: item.score or 0)
    await expect(photos(page).first).to_have_attribute("data-id", best.id)


async def test_a_picture_tells_its_recipe_verdicts_and_neighbours(page: Page, served: Served) -> None:
    item = served.items[2]
    article = await opened(page, item.id)
    recipe = article.get_by_role("region", name="Recipe")
    for told in (item.model, str(item.seed), f"{item.width} × {item.height}", "blurry, text", "euler"):
        await expect(recipe).to_contain_text(told)
    await expect(article.get_by_role("region", name="Verdicts")).to_contain_text(item.verdicts[0].reason)
    await expect(article).to_contain_text("3 of 24")
    await expect(article.locator(".zoom__picture")).to_have_js_property("complete", True)
    await page.keyboard.press("ArrowRight")
    await expect(page).to_have_url(re.compile(served.items[3].id))
    await expect(article).to_contain_text("4 of 24")


async def test_a_link_to_a_picture_opens_it(page: Page, served: Served) -> None:
    await page.goto(f"{served.url}/#/image/{served.items[6].id}")
    await page.reload()
    await expect(detail(page).get_by_role("heading", level=1)).to_have_text(served.items[6].prompt)
    await detail(page).get_by_role("button", name="Back to the wall").click()
    await expect(photo(page, served.items[6].id)).to_be_focused()


async def test_the_lineage_leads_to_the_parent(page: Page, served: Served) -> None:
    child = next(item for item in served.items if item.parent_id)
    article = await opened(page, child.id)
    tree = article.get_by_role("region", name="Lineage")
    await expect(tree.get_by_role("link")).to_have_count(2)
    await expect(tree.locator("[aria-current]")).to_have_attribute("href", re.compile(child.id))
    await tree.get_by_role("link").first.click()
    await expect(page).to_have_url(re.compile(str(child.parent_id)))


async def test_the_divider_of_a_comparison_moves_by_keys(page: Page, served: Served) -> None:
    child = next(item for item in served.items if item.parent_id)
    await opened(page, child.id)
    await page.keyboard.press("c")
    dialog = page.get_by_role("dialog", name="Compare")
    before = dialog.locator(".divided__before")
    await expect(before).to_have_attribute("src", re.compile(str(child.parent_id)))
    divider = dialog.get_by_role("slider")
    await expect(divider).to_be_focused()
    await page.keyboard.press("End")
    await expect(before).to_have_css("clip-path", "inset(0px 0% 0px 0px)")
    other = dialog.get_by_role("group", name="Pictures to compare with").get_by_role("button").nth(2)
    await other.click()
    await expect(before).not_to_have_attribute("src", re.compile(str(child.parent_id)))
    await page.keyboard.press("Escape")
    await expect(dialog).to_have_count(0)
    await expect(detail(page)).to_be_visible()


async def test_one_to_one_enlarges_and_is_taken_back(page: Page, served: Served) -> None:
    article = await opened(page, served.items[0].id)
    picture = article.locator(".zoom__picture")
    width = (await picture.bounding_box() or {"width": 0})["width"]
    await article.get_by_role("button", name="1 : 1").click()
    larger = (await picture.bounding_box() or {"width": 0})["width"]
    assert larger > width > 0
    await article.get_by_role("button", name="Whole").click()
    await expect(article.get_by_role("button", name="1 : 1")).to_be_visible()
    assert (await picture.bounding_box() or {"width": 0})["width"] == width


@pytest.mark.alone
async def test_a_deleted_picture_is_undone(page: Page, served: Served) -> None:
    item = served.items[1]
    article = await opened(page, item.id)
    await article.get_by_role("button", name="Delete").click()
    await expect(page).to_have_url(re.compile(served.items[2].id))
    await expect(page.get_by_role("status", name="Messages")).to_contain_text("The picture is in the trash.")
    assert (await served.app.gallery.search(ItemQuery())).total == 23
    await page.get_by_role("button", name="Undo").click()
    await expect(page.get_by_role("status", name="Messages")).to_contain_text("The picture is back.")
    assert (await served.app.gallery.search(ItemQuery())).total == 24
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("status").filter(has_text="24 pictures")).to_be_visible()
    assert (await shown(page))[:4] == [one.id for one in served.items[:4]]


@pytest.mark.alone
async def test_several_pictures_are_tagged_and_deleted_at_once(page: Page, served: Served) -> None:
    three = [item.id for item in served.items[:3]]
    await photos(page).first.hover()
    await photos(page).first.get_by_role("button").click()
    await photo(page, three[2]).click(modifiers=["Shift"])
    bar = page.get_by_role("toolbar", name="Selected pictures")
    await expect(bar).to_contain_text("3 pictures")
    await bar.get_by_role("button", name="Tag").click()
    await page.get_by_label("Tags to add").fill("Herbst, sea side")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("status", name="Messages")).to_contain_text("3 pictures have the tags")
    found = await served.app.gallery.search(ItemQuery(tag="herbst"))
    assert [item.id for item in found.items] == three
    await page.keyboard.press("Delete")
    await expect(page.get_by_role("status").filter(has_text="21 pictures")).to_be_visible()
    await page.get_by_role("button", name="Undo").click()
    await expect(page.get_by_role("status").filter(has_text="24 pictures")).to_be_visible()
    assert (await shown(page))[:3] == three


@pytest.mark.alone
async def test_the_trash_gives_back(page: Page, served: Served) -> None:
    await photo(page, served.items[4].id).focus()
    await page.keyboard.press("Delete")
    undo = page.get_by_role("button", name="Undo")
    await expect(undo).to_be_visible()
    await page.get_by_role("button", name="Trash", exact=True).click()
    await expect(page.get_by_role("heading", name="Trash")).to_be_visible()
    await expect(photos(page)).to_have_count(1)
    await photos(page).first.hover()
    await photos(page).first.get_by_role("button").click()
    await page.get_by_role("button", name="Restore").click()
    await expect(page.get_by_role("heading", name="The trash is empty")).to_be_visible()
    await expect(page.get_by_role("status", name="Messages")).to_contain_text("is back in the gallery")
    await expect(undo).to_have_count(0)
    assert (await served.app.gallery.search(ItemQuery())).total == 24


@pytest.mark.alone
async def test_tags_and_the_favourite_mark_are_kept(page: Page, served: Served) -> None:
    item = next(one for one in served.items if not one.favourite and not one.tags)
    article = await opened(page, item.id)
    await article.get_by_role("button", name="Favourite").click()
    await article.get_by_label("Add a tag").fill("Moor")
    await page.keyboard.press("Enter")
    await expect(article.get_by_role("link", name="#moor")).to_be_visible()
    await page.reload()
    await expect(article.get_by_role("button", name="Favourite")).to_have_attribute("aria-pressed", "true")
    async with page.expect_response(lambda answer: answer.request.method == "PATCH"):
        await article.get_by_role("button", name="Remove the tag moor").click()
    await expect(article.get_by_role("link", name="#moor")).to_have_count(0)
    kept = await served.app.gallery.find(item.id)
    assert (kept.favourite, kept.tags) == (True, ())


@pytest.mark.alone
async def test_a_picture_made_again_with_another_seed_arrives_as_new(page: Page, served: Served) -> None:
    await opened(page, served.items[0].id)
    await page.keyboard.press("r")
    dialog = page.get_by_role("dialog", name="Make again, changed")
    await expect(dialog.get_by_role("status")).to_contain_text("Nothing is changed")
    await dialog.get_by_label("Seed", exact=True).fill("4321")
    await expect(dialog.get_by_role("status")).to_contain_text("Changed: seed")
    await dialog.get_by_role("button", name="Make it").click()
    await expect(dialog).to_have_count(0)
    await detail(page).get_by_role("button", name="Back to the wall").click()
    await page.get_by_role("button", name="1 new").click()
    await expect(page.get_by_role("status").filter(has_text="25 pictures")).to_be_visible()
    newest = (await served.app.gallery.search(ItemQuery(limit=1))).items[0]
    assert newest.seed == 4321
    await expect(photos(page).first).to_have_attribute("data-id", newest.id)


DROP = """files => {
  const held = new DataTransfer();
  for (const [name, bytes] of files) held.items.add(new File([new Uint8Array(bytes)], name));
  for (const kind of ["dragenter", "drop"]) dispatchEvent(new DragEvent(kind, {dataTransfer: held, cancelable: true}));
}"""


@pytest.mark.alone
async def test_dropped_files_are_taken_in_and_those_that_cannot_be_are_named(
    page: Page, served: Served, faults: Faults
) -> None:
    pictures = {f"mäander {number}.png": painting(number, 32, 20) for number in (77, 78)}
    files = {**pictures, "notes.txt": b"words", "broken.png": b"no picture"}
    await page.get_by_role("link", name="Studio").click()
    await page.evaluate(DROP, [[name, list(content)] for name, content in files.items()])
    told = page.get_by_role("region", name="Pictures being added")
    await expect(told.get_by_role("status")).to_have_text("2 pictures added, 2 not")
    await expect(told.locator("li strong")).to_have_text(["notes.txt", "broken.png"])
    await told.get_by_role("button", name="Close").click()
    await page.get_by_role("link", name="Gallery", exact=True).click()
    await expect(page.get_by_role("status").filter(has_text="26 pictures")).to_be_visible()
    assert faults.told == ["Failed to load resource: the server responded with a status of 400 (Bad Request)"]
    faults.told.clear()


@pytest.mark.alone
async def test_what_is_sent_can_be_stopped(page: Page, served: Served) -> None:
    """The first file never arrives: how far it is is told, and the ones behind it are left out."""
    await page.route("**/api/images", lambda route: None)
    files = [
        {"name": f"{number}.png", "mimeType": "image/png", "buffer": painting(number, 32, 20)} for number in (1, 2)
    ]
    await page.get_by_label("Pictures to add").set_input_files(files)  # type: ignore[arg-type]
    told = page.get_by_role("region", name="Pictures being added")
    await expect(told.get_by_role("status")).to_have_text("Adding 1 of 2")
    await told.get_by_role("button", name="Stop").click()
    await expect(told).to_have_count(0)
    assert (await served.app.gallery.search(ItemQuery())).total == 24


@pytest.mark.alone
async def test_what_another_tab_marks_is_seen_on_the_wall_and_at_the_picture(
    page: Page, browser: Browser, served: Served
) -> None:
    item = next(one for one in served.items[:6] if not one.favourite and not one.tags)
    async with kit.tab(browser, f"{served.url}/#/image/{item.id}") as (other, _):
        like = other.get_by_role("button", name="Favourite", exact=True)
        await expect(like).to_have_attribute("aria-pressed", "false")
        await expect(photos(page).first).to_be_visible()
        await served.app.gallery.tag(item.id, favourite=True, add=["seen"])
        served.app.studio.changes.tell("images")
        await expect(photo(page, item.id)).to_have_attribute("aria-label", re.compile("favourite$"))
        await expect(like).to_have_attribute("aria-pressed", "true")
        await expect(other.get_by_role("link", name="#seen")).to_be_visible()


@pytest.mark.alone(token="sesame", items=0)
async def test_who_logged_in_can_log_out(browser: Browser, served: Served) -> None:
    async with kit.tab(browser, served.url) as (page, _):
        await page.get_by_label("Token").fill("sesame")
        await page.get_by_role("button", name="Log in").click()
        await expect(page.get_by_role("heading", name="Nothing here yet")).to_be_visible()
        await page.get_by_role("button", name="Log out").click()
        await expect(page.get_by_label("Token")).to_be_visible()
        await page.goto(served.url)
        await expect(page.get_by_label("Token")).to_be_visible()


@pytest.mark.alone
async def test_words_that_are_markup_stay_words(page: Page, served: Served) -> None:
    item = next(one for one in served.items if one.prompt.startswith(SCRIPT))
    await served.app.gallery.tag(item.id, add=[XSS])
    await page.reload()
    await expect(photo(page, item.id)).to_have_attribute("aria-label", re.compile("^(Video, )?<img src=x"))
    article = await opened(page, item.id)
    await expect(article.get_by_role("heading", level=1)).to_have_text(item.prompt)
    await expect(article.get_by_role("link", name=f"#{XSS}")).to_be_visible()
    await page.keyboard.press("c")
    await page.keyboard.press("Escape")
    await page.keyboard.press("r")
    await expect(page.get_by_role("dialog").get_by_label("Prompt")).to_have_value(item.prompt)
    await page.keyboard.press("Escape")
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="Filters", exact=True).click()
    await expect(page.get_by_role("button", name=f"#{XSS} 1")).to_be_visible()
    await expect(page).to_have_title("Atelier")
    assert await page.locator("img[src=x], #app script").count() == 0


@pytest.mark.alone
async def test_the_keyboard_alone_opens_walks_closes_deletes_and_undoes(page: Page, served: Served) -> None:
    await expect(photos(page).first).to_be_visible()
    for _ in range(30):
        await page.keyboard.press("Tab")
        if await photo(page, served.items[0].id).evaluate("one => one === document.activeElement"):
            break
    await expect(photo(page, served.items[0].id)).to_be_focused()
    await page.keyboard.press("ArrowRight")
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(re.compile(served.items[1].id))
    await page.keyboard.press("ArrowRight")
    await expect(page).to_have_url(re.compile(served.items[2].id))
    await page.keyboard.press("Escape")
    await expect(photo(page, served.items[2].id)).to_be_focused()
    await page.keyboard.press("Delete")
    await expect(page.get_by_role("status").filter(has_text="23 pictures")).to_be_visible()
    await expect(photo(page, served.items[3].id)).to_be_focused()
    await expect(page.get_by_role("button", name="Undo")).to_be_visible()
    await page.keyboard.press("z")
    await expect(page.get_by_role("status").filter(has_text="24 pictures")).to_be_visible()
    assert (await shown(page))[2] == served.items[2].id


async def test_a_refusal_is_told_in_words_and_tried_again(page: Page, faults: Faults) -> None:
    answer = '{"error": "Gone", "message": "The ledger is locked.", "status": 503, "type": "storage_error"}'
    await page.route("**/api/images?*", lambda route: route.fulfill(status=503, body=answer))
    await page.get_by_role("searchbox", name="Search pictures").fill("fox")
    await expect(page.get_by_role("alert")).to_contain_text("The ledger is locked.")
    await page.unroute("**/api/images?*")
    await page.get_by_role("button", name="Try again").click()
    await expect(page.locator('[aria-label^="a red fox"]').first).to_be_visible()
    await expect(page.get_by_role("alert")).to_have_count(0)
    faults.told.clear()


async def test_a_server_that_is_lost_is_told_and_found_again(page: Page, served: Served, faults: Faults) -> None:
    lost = page.get_by_text("What you see may be old")
    await page.goto("about:blank")
    previews = re.compile("/preview")
    await page.route(previews, lambda route: route.abort())
    await page.goto(served.url)
    await expect(page.locator(".photo img.is-broken").first).to_be_attached()
    await page.route("**/api/**", lambda route: route.abort())
    await page.get_by_role("searchbox", name="Search pictures").fill("fox")
    await expect(lost).to_be_visible()
    await page.unroute("**/api/**")
    await page.unroute(previews)
    await page.get_by_role("button", name="Ask now").click()
    await expect(lost).to_have_count(0)
    await expect(page.locator(".photo img.is-there").first).to_be_visible()
    await expect(page.locator(".photo img.is-broken")).to_have_count(0)
    faults.told.clear()


@pytest.mark.alone(items=0)
async def test_an_empty_gallery_says_what_to_do(page: Page) -> None:
    await expect(page.get_by_role("heading", name="Nothing here yet")).to_be_visible()
    await page.get_by_role("link", name="Make the first picture").click()
    await expect(page).to_have_url(re.compile("#/studio$"))


async def test_a_phone_shows_all_without_scrolling_sideways(browser: Browser, served: Served) -> None:
    for width in (320, 390):
        size = {"width": width, "height": 700}
        async with kit.tab(browser, served.url, viewport=size, has_touch=True) as (page, faults):
            await expect(photos(page).first).to_be_visible()
            await page.get_by_role("button", name="Filters", exact=True).click()
            assert await _sideways(page) == 0
            await opened(page, served.items[0].id)
            assert await _sideways(page) == 0
            await detail(page).get_by_role("button", name="Compare").click()
            await expect(page.get_by_role("dialog", name="Compare")).to_be_visible()
            assert await _sideways(page) == 0
            assert faults.told == []


async def _sideways(page: Page) -> int:
    """Pixels that the page, or what lies above it, is wider than the window."""
    return await page.evaluate(
        """() => Math.max(0, ...[document.documentElement, ...document.querySelectorAll(".detail, .dialog__body")]
             .map(one => one.scrollWidth - one.clientWidth))"""
    )
