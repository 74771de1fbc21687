"""The prompt studio in a real browser: words that become a prompt, and the presets, the talk and the history beside."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from clients.llm_client import LLMClient
from tests.fake_llm import FakeLLM
from tests.page.kit import PHONE, Faults, Served, axe_in_both, studio, tab
from tests.web.served import ScriptedDesk, door_to, serving
from workflows.types import HistoryEntry, HistoryQuery, Preset

FOX = "a red fox on a stone wall"
EVIL = "<img src=x onerror=\"document.title='broken'\"><script>document.title='broken'</script>"


def reply(prompt: str) -> str:
    return json.dumps({"prompt": prompt, "negative": "", "said": "Done."})


async def enter(page: Page, served: Served) -> None:
    await page.goto(f"{served.url}/#/studio")
    await expect(page.get_by_role("heading", name="Words")).to_be_visible()


async def write(page: Page, words: str) -> None:
    await page.get_by_label("What the picture shows").fill(words)
    await page.get_by_role("button", name="Write the prompt").click()


@asynccontextmanager
async def talkative(
    browser: Browser, home: Path, *, expected: str = "nothing"
) -> AsyncGenerator[tuple[Page, FakeLLM, Served]]:
    """A tab in the studio whose prompts a fake language model writes. `expected`: what its console may tell."""
    async with (
        FakeLLM(["qwen3:4b"]) as fake,
        LLMClient(fake.url, "qwen3:4b", dialect="ollama", retry_seconds=(0, 0)) as writer,
        studio(home, items=0, writers=[writer]) as served,
        tab(browser, served.url) as (page, faults),
    ):
        await enter(page, served)
        yield page, fake, served
        assert [one for one in faults.told if expected not in one] == []


def prompt(page: Page) -> Any:
    return page.locator("[data-prompt]")


# ------------------------------------------------------------------ writing


async def test_a_prompt_is_written_and_what_was_added_is_set_apart(page: Page, served: Served) -> None:
    await enter(page, served)
    await write(page, FOX)
    await expect(prompt(page)).to_contain_text(FOX)
    added = await page.locator("[data-prompt] .added").all_inner_texts()
    entry = (await served.app.prompts.history(HistoryQuery())).entries[0]
    assert added and FOX not in "".join(added)
    assert await prompt(page).inner_text() == entry.output
    assert await page.locator("[data-negative]").inner_text() == entry.negative
    await expect(page.get_by_text("by the rules for")).to_be_visible()
    await expect(page.get_by_role("meter", name="Length")).to_have_attribute(
        "aria-valuetext", re.compile(r"^\d+ of 75 tokens$")
    )
    await page.get_by_text("and why").click()
    assert await page.locator(".result__why dt").count() == await page.locator(".result__why dd").count() > 0


async def test_the_prompt_is_copied_and_edited_by_hand(page: Page, served: Served) -> None:
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await enter(page, served)
    await write(page, FOX)
    told = await prompt(page).inner_text()
    await page.get_by_role("button", name="Copy", exact=True).click()
    await expect(page.get_by_text("The prompt was copied.")).to_be_visible()
    assert await page.evaluate("navigator.clipboard.readText()") == told
    await page.get_by_role("button", name="Copy negative").click()
    await expect(page.get_by_text("The negative prompt was copied.")).to_be_visible()
    assert await page.evaluate("navigator.clipboard.readText()") == await page.locator("[data-negative]").inner_text()
    await page.get_by_role("button", name="Edit by hand").click()
    await page.get_by_role("textbox", name="Prompt", exact=True).fill("a blue fox")
    await page.reload()
    await expect(prompt(page)).to_have_text("a blue fox")
    await expect(page.get_by_text("Edited by hand.")).to_be_visible()


async def test_a_language_model_is_heard_while_it_writes(browser: Browser, tmp_path: Path) -> None:
    async with talkative(browser, tmp_path) as (page, fake, _):
        fake.say(reply(f"{FOX}, at dusk, soft light"))
        gate = fake.hold(after=6)
        await write(page, FOX)
        await expect(page.locator(".result__text--going")).to_contain_text("a red fox")
        await expect(page.locator(".result__text--going")).not_to_contain_text("dusk")
        gate.go.set()
        await expect(prompt(page)).to_contain_text("At dusk")
        await expect(page.get_by_text("by qwen3:4b for")).to_be_visible()


async def test_what_the_rules_wrote_instead_takes_the_place_of_what_was_heard(browser: Browser, tmp_path: Path) -> None:
    async with talkative(browser, tmp_path) as (page, fake, _):
        fake.say(*[reply("nothing of the kind, at all")] * 9, end="error")
        gate = fake.hold(after=6)
        await write(page, FOX)
        await expect(page.locator(".result__text--going")).to_contain_text("nothing of")
        gate.go.set()
        await expect(prompt(page)).to_contain_text(FOX)
        await expect(prompt(page)).not_to_contain_text("nothing of")
        await expect(page.locator(".result__notes")).to_contain_text("The rules wrote this.")


async def test_a_prompt_that_begins_anew_is_read_from_its_new_beginning(browser: Browser, tmp_path: Path) -> None:
    anew, end = asyncio.Event(), asyncio.Event()
    desk = ScriptedDesk(script=("a cat", anew, "the fox", end))
    async with serving(door_to(tmp_path, desk)) as url, tab(browser, f"{url}/#/studio") as (page, _):
        await write(page, "a red fox")
        await expect(page.locator(".result__text--going")).to_have_text("a cat")
        anew.set()
        await expect(page.locator(".result__text--going")).to_have_text("the fox")
        end.set()
        await expect(prompt(page)).to_have_text("a red fox, masterpiece")


async def test_writing_is_stopped_and_the_words_stay(browser: Browser, tmp_path: Path) -> None:
    async with talkative(browser, tmp_path) as (page, fake, _):
        gate = fake.hold(after=3)
        await write(page, FOX)
        await gate.reached.wait()
        await page.get_by_role("button", name="Stop").click()
        await expect(page.get_by_role("button", name="Write the prompt")).to_be_visible()
        await fake.asked[0].left.wait()
        await expect(page.get_by_label("What the picture shows")).to_have_value(FOX)


async def test_a_language_model_that_cannot_be_asked_is_told_in_words(browser: Browser, tmp_path: Path) -> None:
    async with talkative(browser, tmp_path, expected="502") as (page, fake, _):
        await page.get_by_label("Written by").select_option("model")
        fake.refuse(500, {"error": "out of memory"}, times=9)
        await write(page, FOX)
        await expect(page.get_by_role("alert")).to_contain_text("out of memory")
        await page.get_by_role("button", name="Dismiss").click()
        await expect(page.get_by_role("alert")).to_have_count(0)


# ------------------------------------------------------------------ conversation


async def say(page: Page, message: str) -> None:
    await page.get_by_label("What", exact=False).and_(page.get_by_role("textbox")).first.fill(message)
    await page.keyboard.press("Control+Enter")


async def test_a_prompt_is_refined_in_a_conversation_that_outlives_a_reload(browser: Browser, tmp_path: Path) -> None:
    async with talkative(browser, tmp_path) as (page, fake, _):
        fake.say(reply("a lighthouse at dusk, calm sea"), reply("a lighthouse at dusk, a storm"))
        await page.get_by_role("button", name="Chat").click()
        gate = fake.hold(after=6)
        await say(page, "a lighthouse at dusk")
        log = page.get_by_role("log", name="Conversation")
        await expect(log.locator("[aria-busy]")).to_contain_text("a lighthouse")
        gate.go.set()
        await expect(prompt(page)).to_contain_text("calm sea", ignore_case=True)
        await page.reload()
        await expect(log).to_contain_text("a lighthouse at dusk")
        await say(page, "add a storm")
        await expect(log.locator(".turn__said")).to_have_text(["a lighthouse at dusk", "add a storm"])
        await expect(prompt(page)).to_contain_text("a storm", ignore_case=True)
        assert "calm sea" in str(fake.asked[-1].messages).lower()
        await log.get_by_text("Its prompt").click()
        await log.get_by_role("button", name="Take this one").click()
        await expect(prompt(page)).to_contain_text("calm sea", ignore_case=True)
        await page.get_by_role("button", name="Begin anew").click()
        await expect(log).to_have_count(0)


async def test_a_conversation_that_the_server_forgot_begins_anew(page: Page, served: Served, faults: Faults) -> None:
    await page.evaluate("""localStorage.setItem('atelier.studio.mode', '"chat"')""")
    gone = {"id": "gone", "turns": [{"key": 1, "message": "a cat", "answer": {"result": "a cat"}}]}
    await page.evaluate("talk => localStorage.setItem('atelier.studio.talk', talk)", json.dumps(gone))
    await page.reload()
    await enter(page, served)
    await say(page, "a lighthouse at dusk")
    await expect(prompt(page)).to_contain_text("lighthouse")
    await expect(page.locator(".turn__said")).to_have_text(["a lighthouse at dusk"])
    assert [one for one in faults.told if "404" not in one] == []
    faults.told.clear()


# ------------------------------------------------------------------ presets


async def test_presets_three_levels_deep_are_picked_with_their_options_and_sent(page: Page, served: Served) -> None:
    await enter(page, served)
    for name in ("Photography", "Portrait", "Irving Penn", "Portrait 85 mm", "Normal 50 mm"):
        await page.get_by_role("tabpanel").get_by_role("button", name=name).click()
    await page.get_by_role("tab", name="Mood and more").click()
    for name in ("Epic", "Peaceful", "Dawn", "Night"):
        await page.get_by_role("tabpanel").get_by_role("button", name=name, exact=True).click()
    chips = page.get_by_role("list", name="Picked presets").locator(".chip__text")
    await expect(chips).to_have_text(["Irving Penn", "Normal 50 mm", "Epic", "Peaceful", "Night"])
    await page.get_by_role("button", name="Remove Epic").click()
    async with page.expect_request("**/api/generate-stream") as sent:
        await write(page, "an old sailor")
    assert (await sent.value).post_data_json == {
        "input": "an old sailor",
        "negative": "",
        "presets": [
            "photography/portrait/irving-penn",
            "photography/portrait/irving-penn/lens/normal-50-mm",
            "mood:peaceful",
            "time-of-day:night",
        ],
        "model": "auto",
        "writer": "auto",
    }
    await expect(prompt(page)).to_contain_text("an old sailor")
    entry = (await served.app.prompts.history(HistoryQuery())).entries[0]
    assert {"photography/portrait/irving-penn", "mood:peaceful", "time-of-day:night"} <= set(entry.presets)


async def test_one_click_picks_a_whole_pack_and_another_puts_it_back(page: Page, served: Served) -> None:
    await enter(page, served)
    await page.get_by_role("tab", name="Packs").click()
    pack = page.get_by_role("button", name="Leibovitz Portrait Session")
    await pack.click()
    chips = page.get_by_role("list", name="Picked presets").locator(".chip__text")
    await expect(chips).to_have_text(["Annie Leibovitz, Portrait 85 Mm", "Portrait", "Softbox", "Muted"])
    await expect(pack).to_have_attribute("aria-pressed", "true")
    await write(page, "a violinist")
    await expect(prompt(page)).to_contain_text("a violinist")
    await pack.click()
    await expect(chips).to_have_count(0)


async def test_presets_are_found_by_name_and_by_what_they_say(page: Page, served: Served) -> None:
    await enter(page, served)
    search = page.get_by_label("Search presets")
    await search.fill("penn irv")
    found = page.locator(".found")
    await expect(found.filter(has_text="Photography, Portrait")).to_have_count(1)
    await search.fill("teal orange")
    await found.filter(has_text="Cinematic").first.click()
    await expect(page.get_by_role("list", name="Picked presets")).to_contain_text("Cinematic")
    await search.fill("zzzz")
    await expect(page.get_by_text("Nothing found.")).to_be_visible()


@pytest.mark.alone(items=0)
async def test_presets_of_ones_own_are_kept_picked_and_removed_with_undo(page: Page, served: Served) -> None:
    await enter(page, served)
    await page.get_by_role("tab", name="Your own").click()
    await page.get_by_label("Name").fill(EVIL[:60])
    await page.get_by_label("Words that it adds").fill("blue ink wash, paper grain")
    await page.get_by_role("button", name="Keep preset").click()
    own = page.locator(".own li")
    await expect(own).to_have_count(1)
    await own.get_by_role("button").first.click()
    await write(page, FOX)
    await expect(prompt(page)).to_contain_text("blue ink wash")
    await own.get_by_role("button", name="Remove").click()
    await expect(own).to_have_count(0)
    await expect(page.get_by_role("list", name="Picked presets")).to_have_count(0)
    await page.get_by_role("button", name="Undo").click()
    await expect(own).to_have_count(1)
    assert [one.text for one in (await served.app.prompts.shelf()).flat["style"] if one.own] == [
        "blue ink wash, paper grain"
    ]


# ------------------------------------------------------------------ history


async def remembered(served: Served, *words: str) -> None:
    for one in words:
        await served.app.prompts.memory.remember(
            HistoryEntry(input=one, output=f"{one}, in soft light", mode="oneshot", family="sdxl")
        )


@pytest.mark.alone(items=0)
async def test_the_history_is_paged_searched_and_taken_over(page: Page, served: Served) -> None:
    await remembered(served, *(f"a heron, number {number}" for number in range(24)), "a walrus")
    await enter(page, served)
    await page.get_by_role("button", name="History").click()
    entries = page.locator(".entry")
    await expect(entries).to_have_count(20)
    await page.get_by_role("button", name="Older prompts").click()
    await expect(entries).to_have_count(25)
    await page.get_by_label("Search history").fill("walrus")
    await expect(entries).to_have_count(1)
    await page.get_by_role("button", name="Take over: a walrus").click()
    await expect(prompt(page)).to_have_text("a walrus, in soft light")
    await expect(page.get_by_label("What the picture shows")).to_have_value("a walrus")


@pytest.mark.alone(items=0)
async def test_a_deleted_prompt_comes_back_when_it_is_undone_and_else_is_gone(page: Page, served: Served) -> None:
    await remembered(served, "a heron", "a walrus")
    await enter(page, served)
    await page.get_by_role("button", name="History").click()
    entries = page.locator(".entry__input")
    await page.get_by_role("button", name="Delete: a heron").click()
    await expect(entries).to_have_text(["a walrus"])
    await page.get_by_role("button", name="Undo").click()
    await expect(entries).to_have_text(["a walrus", "a heron"])
    await page.get_by_role("button", name="Delete: a walrus").click()
    sooner = 5_000  # than the deletion would come by itself
    async with page.expect_response(lambda answer: answer.request.method == "DELETE" and answer.ok, timeout=sooner):
        await page.get_by_role("link", name="Gallery").first.click()
    assert [one.input for one in (await served.app.prompts.history(HistoryQuery())).entries] == ["a heron"]


# ------------------------------------------------------------------ everybody


async def test_what_models_and_presets_say_is_text(browser: Browser, tmp_path: Path) -> None:
    async with talkative(browser, tmp_path) as (page, fake, served):
        await served.app.prompts.own.put(
            Preset(id="evil", kind="style", name=EVIL[:80], text="blue ink", path="style:evil", own=True)
        )
        fake.answer = lambda _: reply(f"{FOX}, {EVIL}")
        await page.get_by_role("tab", name="Styles").click()
        await page.get_by_role("button", name=EVIL[:80]).click()
        await page.get_by_role("button", name="Chat").click()
        gate = fake.hold(after=11)
        await say(page, f"{FOX} {EVIL}")
        await expect(page.locator(".result__text--going")).to_contain_text("<img src=x")
        gate.go.set()
        await expect(page.locator(".turn__said")).to_have_text([f"{FOX} {EVIL}"])
        await expect(prompt(page)).to_contain_text("stone wall")
        await page.get_by_role("button", name="History").click()
        await page.get_by_label("Search presets").fill("onerror")
        await expect(page.locator(".found").first).to_contain_text("<img src=x")
        assert await page.locator(".studio img, .studio script").count() == 0
        assert await page.title() != "broken"


@pytest.mark.alone(items=0)
async def test_it_is_used_by_keyboard_alone(page: Page, served: Served) -> None:
    await enter(page, served)
    await page.get_by_label("What the picture shows").focus()
    await page.keyboard.type(FOX)
    await page.get_by_role("tab", name="Categories").focus()
    await page.keyboard.press("ArrowRight")
    await expect(page.get_by_role("tab", name="Styles")).to_be_focused()
    await expect(page.get_by_role("tabpanel").get_by_role("button").first).to_be_visible()
    await page.keyboard.press("Tab")
    await page.keyboard.press("Space")
    chip = page.get_by_role("list", name="Picked presets").get_by_role("button")
    await expect(chip).to_have_count(1)
    await page.get_by_label("What the picture shows").focus()
    await page.keyboard.press("Control+Enter")
    await expect(prompt(page)).to_contain_text(FOX)
    await page.get_by_label("Model").focus()
    await page.keyboard.press("Enter")
    await expect(page.locator(".live")).to_contain_text("Accepted")


@pytest.mark.alone(items=0)
async def test_axe_finds_nothing_serious(browser: Browser, served: Served) -> None:
    async with tab(browser, served.url, reduced_motion="reduce") as (page, _):
        await enter(page, served)
        assert await axe_in_both(page) == []
        for name in ("Photography", "Portrait", "Irving Penn"):
            await page.get_by_role("tabpanel").get_by_role("button", name=name).click()
        await write(page, FOX)
        await page.get_by_text("and why").click()
        await page.get_by_text("More settings").click()
        await page.get_by_role("button", name="History").click()
        await page.get_by_role("button", name="Chat").click()
        await say(page, "a lighthouse at dusk")
        await expect(page.locator(".turn__reply")).to_have_count(1)
        await page.get_by_role("button", name="Make the picture").click()
        await expect(page.locator(".live")).to_contain_text("Accepted")
        assert await axe_in_both(page) == []


@pytest.mark.alone(items=0)
async def test_it_fits_on_a_phone(browser: Browser, served: Served) -> None:
    async with tab(browser, served.url, viewport=PHONE, has_touch=True) as (page, _):
        await enter(page, served)
        await expect(page.get_by_role("tab", name="Styles")).to_have_count(0)
        await page.get_by_role("button", name="Presets").click()
        await page.get_by_role("tab", name="Packs").click()
        await page.get_by_role("button", name="Leibovitz Portrait Session").click()
        await write(page, "supercalifragilistic" * 12)
        await expect(prompt(page)).to_contain_text("supercali")
        await page.get_by_role("button", name="History").click()
        await page.get_by_text("More settings").click()
        await page.get_by_role("button", name="Make the picture").click()
        await expect(page.locator(".live")).to_contain_text("Accepted")
        for width in (390, 320):
            await page.set_viewport_size({"width": width, "height": 640})
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
