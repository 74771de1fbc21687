"""Prompts told while they are written: server-sent events."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import httpx2

from tests.web.served import ScriptedDesk, browser, door_to, events, serving, told
from workflows.errors import ServiceFailed, ServiceTimedOut, ServiceUnavailable

INPUT = {"input": "a red fox"}
DONE = {
    "done": True,
    "result": "a red fox, masterpiece",
    "model": "sdxl",
    "negative_prompt": "",
    "words": "a red fox",
    "family": "sdxl",
    "by": "rules",
    "added": ["masterpiece"],
}


async def test_pieces_come_while_the_prompt_is_written_and_the_whole_answer_last(tmp_path: Path) -> None:
    gate = asyncio.Event()
    desk = ScriptedDesk(script=("a red", gate, 'a red "fox"\n\u2028', 'a red "fox"\n\u2028, \ud83e'))
    async with browser(tmp_path, desk) as client, client.stream("POST", "/api/generate-stream", json=INPUT) as response:
        assert response.headers["content-type"] == "text/event-stream"
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["x-accel-buffering"] == "no"
        heard = events(response)
        assert await anext(heard) == {"token": "a red"}
        gate.set()
        rest = [event async for event in heard]
    assert "".join(event["token"] for event in rest[:-1]) == ' "fox"\n\u2028, \ud83e'
    assert rest[-1] == DONE


async def test_a_prompt_that_begins_anew_says_so(tmp_path: Path) -> None:
    gate = asyncio.Event()
    desk = ScriptedDesk(script=("a cat", gate, "the fox"))
    async with browser(tmp_path, desk) as client, client.stream("POST", "/api/generate-stream", json=INPUT) as response:
        heard = events(response)
        assert await anext(heard) == {"token": "a cat"}
        gate.set()
        assert [event async for event in heard] == [{"restart": True}, {"token": "the fox"}, DONE]


async def test_what_was_written_in_one_go_comes_as_one_piece(tmp_path: Path) -> None:
    async with browser(tmp_path, ScriptedDesk()) as client:
        assert await told(client, "/api/generate-stream", INPUT) == [{"token": DONE["result"]}, DONE]


async def test_an_error_before_the_first_piece_has_its_own_status(tmp_path: Path) -> None:
    desk = ScriptedDesk(script=(ServiceUnavailable("Nobody answers at 127.0.0.1:11434."),))
    async with browser(tmp_path, desk) as client:
        answer = await client.post("/api/generate-stream", json=INPUT)
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["message"] == "Nobody answers at 127.0.0.1:11434."


async def test_an_error_in_mid_stream_is_its_last_event(tmp_path: Path) -> None:
    gate = asyncio.Event()
    desk = ScriptedDesk(script=("a red", gate, ServiceFailed("It broke off.")))
    async with browser(tmp_path, desk) as client, client.stream("POST", "/api/generate-stream", json=INPUT) as response:
        heard = events(response)
        assert await anext(heard) == {"token": "a red"}
        gate.set()
        assert [event async for event in heard] == [
            {"error": "Service failed", "message": "It broke off.", "status": 502, "type": "service_failed"}
        ]


async def test_silence_is_bridged_by_comments_and_an_error_after_them_is_told_in_the_stream(tmp_path: Path) -> None:
    gate = asyncio.Event()
    desk = ScriptedDesk(script=(gate, ServiceTimedOut("120 s are over.")))
    async with (
        browser(tmp_path, desk, heartbeat=0.01) as client,
        client.stream("POST", "/api/generate-stream", json=INPUT) as response,
    ):
        assert response.status_code == 200
        heard = events(response)
        assert "comment" in await anext(heard)
        assert "comment" in await anext(heard)
        gate.set()
        rest = [event async for event in heard if "comment" not in event]
    assert [event["status"] for event in rest] == [504]


async def test_a_client_that_goes_away_ends_the_work(tmp_path: Path) -> None:
    for path in ("/api/generate-stream", "/api/generate"):
        desk = ScriptedDesk(script=("a red", asyncio.Event()))
        async with browser(tmp_path, desk) as client:
            async with httpx2.AsyncClient(base_url=client.base_url) as hasty, asyncio.TaskGroup() as group:
                asking = group.create_task(hasty.post(path, json=INPUT))
                await desk.reached.wait()
                asking.cancel()
            async with asyncio.timeout(10):
                await desk.cancelled.wait()


async def test_whoever_still_waits_when_the_server_ends_is_told_so(tmp_path: Path) -> None:
    for path, status in (("/api/generate", 503), ("/api/generate-stream", 200)):
        desk = ScriptedDesk(script=("a red", asyncio.Event()))
        async with httpx2.AsyncClient() as client:
            async with serving(door_to(tmp_path, desk), patience=0) as url:
                asking = asyncio.create_task(client.post(f"{url}{path}", json=INPUT))
                await desk.reached.wait()
            answer = await asking
        last = json.loads(answer.text.strip().splitlines()[-1].removeprefix("data: "))
        assert answer.status_code == status
        assert (last["error"], last["status"], last["type"]) == ("Server stopped", 503, "server_stopped")
        assert desk.cancelled.is_set()


async def test_a_stream_that_begins_a_conversation_sets_its_cookie(tmp_path: Path) -> None:
    async with browser(tmp_path, ScriptedDesk()) as client:
        async with client.stream("POST", "/api/chat-stream", json={"message": "a fox"}) as response:
            heard = [event async for event in events(response)]
        assert client.cookies["atelier_conversation"] == heard[-1]["conversation_id"]


async def test_a_conversation_is_told_in_pieces_too(tmp_path: Path) -> None:
    desk = ScriptedDesk(script=("a red fox",), talks={"mine"})
    async with browser(tmp_path, desk) as client:
        body = {"message": "make it red", "conversation_id": "mine"}
        async with client.stream("POST", "/api/chat-stream", json=body) as response:
            assert "atelier_conversation=mine;" in response.headers["set-cookie"]
            heard = [event async for event in events(response)]
        talk = {"conversation_id": "mine", "reply": "Done.", "turn": 1}
        assert heard == [{"token": "a red fox"}, DONE | talk]
        missing = await client.post("/api/chat-stream", json={"message": "a fox", "conversation_id": "other"})
    assert missing.status_code == 404
