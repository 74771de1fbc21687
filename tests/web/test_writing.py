"""Prompts over HTTP, from a desk that does as it is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from clients.web.cookie import COOKIE
from tests.web.served import ScriptedDesk, browser
from workflows.families import families
from workflows.types import HistoryEntry, HistoryPage

PLAIN: dict[str, Any] = {"negative": "", "presets": [], "model": "auto", "writer": "rules"}


async def test_a_prompt_is_written_with_everything_that_was_picked(tmp_path: Path) -> None:
    desk = ScriptedDesk(writer_names=("qwen3:4b",))
    body = {
        "input": "a red fox",
        "model": "pony",
        "style": "Oil Painting",
        "lighting": "lighting:golden-hour",
        "artist": "None",
        "options": {"mood": ["Epic", "None"], "weather": ["foggy"]},
        "presets": ["photography/portrait"],
        "negative": "text",
    }
    async with browser(tmp_path, desk) as client:
        answer = await client.post("/api/generate", json=body)
    assert answer.status_code == 200
    assert answer.json() == {
        "result": "a red fox, masterpiece",
        "model": "sdxl",
        "negative_prompt": "",
        "words": "a red fox",
        "family": "sdxl",
        "by": "rules",
        "added": ["masterpiece"],
    }
    picked = ["style:Oil Painting", "lighting:golden-hour", "mood:Epic", "weather:foggy", "photography/portrait"]
    assert desk.asked == [
        {"prompt": "a red fox", "negative": "text", "presets": picked, "model": "pony", "writer": "model"}
    ]


async def test_no_choice_in_any_spelling_picks_nothing(tmp_path: Path) -> None:
    desk = ScriptedDesk()
    none = {"style": None, "artist": "none", "composition": "", "lighting": " NONE ", "model": None}
    async with browser(tmp_path, desk) as client:
        answer = await client.post("/api/generate", json={"input": "a fox", **none, "options": {"mood": ["none"]}})
        assert answer.status_code == 200, answer.text
    assert desk.asked == [PLAIN | {"prompt": "a fox"}]


async def test_the_writer_is_the_language_model_where_there_is_one_and_can_be_named(tmp_path: Path) -> None:
    desk = ScriptedDesk()
    async with browser(tmp_path, desk) as client:
        await client.post("/api/generate", json={"input": "a fox"})
        await client.post("/api/generate", json={"input": "a fox", "writer": "auto"})
        desk.writer_names = ("qwen3:4b",)
        await client.post("/api/generate", json={"input": "a fox", "writer": None})
    assert [asked["writer"] for asked in desk.asked] == ["rules", "auto", "model"]


async def test_a_browser_goes_on_with_its_own_conversation_by_its_cookie(tmp_path: Path) -> None:
    desk = ScriptedDesk()
    async with browser(tmp_path, desk) as client:
        first = await client.post("/api/chat", json={"message": "a fox"})
        began = first.json()["conversation_id"]
        cookie = f"{COOKIE}={began}; HttpOnly; SameSite=Strict; Path=/api"
        assert first.headers["set-cookie"] == cookie
        assert first.json() | {"reply": "Done.", "turn": 1, "result": "a red fox, masterpiece"} == first.json()
        await client.post("/api/chat", json={"message": "make it night", "reset": True})
        client.cookies.clear()
        second = (await client.post("/api/chat", json={"message": "a dog"})).json()["conversation_id"]
        await client.post("/api/chat", json={"message": "at night", "conversation_id": began})
    assert began != second
    assert [(asked["conversation_id"], asked["reset"]) for asked in desk.asked] == [
        (None, False),
        (began, True),
        (None, False),
        (began, False),
    ]


async def test_a_conversation_that_is_gone_begins_anew_by_cookie_and_is_an_error_by_id(tmp_path: Path) -> None:
    desk = ScriptedDesk()
    async with browser(tmp_path, desk) as client:
        gone = {"Cookie": f"{COOKIE}=gone"}
        assert (await client.post("/api/chat", json={"message": "a fox"}, headers=gone)).status_code == 200
        client.cookies.clear()
        odd = {"Cookie": f'{COOKIE}="a b;c"'}
        assert (await client.post("/api/chat", json={"message": "a fox"}, headers=odd)).status_code == 200
        named = await client.post("/api/chat", json={"message": "a fox", "conversation_id": "nobody"})
        assert (named.status_code, named.json()["type"]) == (404, "not_found")
    assert [asked["conversation_id"] for asked in desk.asked] == [None, None]


async def test_a_reset_forgets_the_browsers_conversation_or_the_one_that_is_named(tmp_path: Path) -> None:
    desk = ScriptedDesk(talks={"mine", "other"})
    async with browser(tmp_path, desk) as client:
        assert (await client.post("/api/reset", json={})).json() == {"reset": False}
        other = await client.post("/api/reset", json={"conversation_id": "other"})
        assert other.json() == {"reset": True, "conversation_id": "other"}
        mine = {"Cookie": f"{COOKIE}=mine"}
        for body, kind in (("{}", "application/json"), ("", "application/json"), ("", "text/plain")):
            answer = await client.post("/api/reset", content=body, headers=mine | {"Content-Type": kind})
            assert answer.json() == {"reset": True, "conversation_id": "mine"}


async def test_the_history_is_searched_paged_and_forgotten(tmp_path: Path) -> None:
    entry = HistoryEntry(input="a fox", output="a red fox", family="sdxl", presets=("style:anime",))
    desk = ScriptedDesk(page=HistoryPage(entries=(entry,), cursor="next", total=2))
    async with browser(tmp_path, desk) as client:
        page = (await client.get("/api/history", params={"q": "fox", "limit": 1, "cursor": "here"})).json()
        await client.get("/api/history", params={"search": "fox"})
        gone = await client.delete(f"/api/history/{entry.id}")
        missing = await client.delete("/api/history/none")
    row = {
        "id": entry.id,
        "created": entry.created.isoformat().replace("+00:00", "Z"),
        "input": "a fox",
        "output": "a red fox",
        "family": "sdxl",
        "model": "sdxl",
        "presets": ["style:anime"],
        "mode": "oneshot",
        "by": "rules",
    }
    assert page == {"prompts": [row], "total": 2, "cursor": "next"}
    assert desk.asked == [
        {"query": "fox", "limit": 1, "cursor": "here"},
        {"query": "fox", "limit": 50, "cursor": None},
    ]
    assert gone.json() == {"deleted": row}
    assert missing.status_code == 404


async def test_the_models_are_told_with_the_families_that_prompts_can_be_written_for(tmp_path: Path) -> None:
    desk = ScriptedDesk()
    async with browser(tmp_path, desk) as client:
        without = (await client.get("/api/models")).json()
        desk.writer_names = ("qwen3:4b", "llama3.2")
        found = (await client.get("/api/models")).json()
    assert (without["models"], without["writer"]) == ([], "rules")
    assert (found["models"], found["writer"]) == (["qwen3:4b", "llama3.2"], "qwen3:4b")
    assert {"name": "pony", "title": families()["pony"].profile.title} in found["families"]
    assert {row["name"] for row in found["families"]} == set(families()) - {"unknown"}
