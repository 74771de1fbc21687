"""The whole house over HTTP with a language model on a loopback port: real desk, real ledger, real MCP endpoint."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client

from clients.config import load_settings
from clients.tools.door import Door
from clients.tools.serving import PATH
from clients.wiring import open_app
from tests.fake_llm import Asked, FakeLLM
from tests.mcp.desk import told as told_by_tool
from tests.web.served import events, serving, told
from workflows.app import App

MODEL = "qwen3:4b"
LIGHT = "at dusk, soft light"


def reply(prompt: str) -> str:
    return json.dumps({"prompt": prompt, "negative": "", "said": "Done."})


def echo(asked: Asked) -> str:
    """The wish or the prompt as it stands, with the new message after it: everything that was said stays."""
    data = json.loads(asked.words.split("REQUEST\n")[1])
    parts = [data.get("prompt as it stands") or data.get("request"), data.get("new message")]
    return reply(f"{', '.join(dict.fromkeys(part for part in parts if part))}, {LIGHT}")


@asynccontextmanager
async def house(home: Path, models: Sequence[str] = (MODEL,)) -> AsyncGenerator[tuple[str, FakeLLM]]:
    """The address of a server that asks the fake language model, and that model."""
    async with FakeLLM() as fake:
        fake.answer = echo
        named = {"atelier_home": home, "ollama_host": fake.url, "ollama_model": tuple(models)}
        given = await asyncio.to_thread(load_settings, **named)

        @asynccontextmanager
        async def opener() -> AsyncGenerator[App]:
            async with open_app(given) as app:
                yield app

        async with serving(Door(opener)) as url:
            yield url, fake


def client_of(url: str) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=url, timeout=60)


async def test_a_prompt_is_told_as_the_language_model_writes_it_and_remembered(tmp_path: Path) -> None:
    async with house(tmp_path) as (url, fake), client_of(url) as client:
        text = reply(f"a red fox on a stone wall, {LIGHT}")
        fake.say(text, thinking="Hm, a fox.", cut=7)
        gate = fake.hold(after=6)
        body = {"input": "a red fox on a stone wall", "model": "flux", "style": "Oil Painting"}
        async with client.stream("POST", "/api/generate-stream", json=body) as response:
            stream = events(response)
            first = await anext(stream)
            gate.go.set()
            heard = [first, *[event async for event in stream]]
        page = (await client.get("/api/history", params={"q": "stone fox"})).json()
    *tokens, done = heard
    assert 0 < len(first["token"]) < len("a red fox on a stone wall")
    assert "".join(event["token"] for event in tokens) == f"a red fox on a stone wall, {LIGHT}"
    assert done["done"] is True
    assert (done["by"], done["words"]) == (MODEL, "a red fox on a stone wall")
    assert "red fox on a stone wall" in done["result"]
    assert done["presets"] == ["style:oil-painting"]
    (entry,) = page["prompts"]
    assert (entry["input"], entry["output"], entry["mode"]) == (done["words"], done["result"], "oneshot")


async def test_two_browsers_and_one_assistant_refine_at_once_and_do_not_mix(tmp_path: Path) -> None:
    """All three wait at the language model together, twice; each goes on with what it said itself."""
    animals = {"one": "a red fox", "two": "a grey heron", "assistant": "a brown bear"}
    second = {"one": "under snow", "two": "over water", "assistant": "in a forest"}
    async with (
        house(tmp_path) as (url, fake),
        client_of(url) as one,
        client_of(url) as two,
        Client(url + PATH, mode="2026-07-28") as assistant,
    ):
        ids: dict[str, str] = {}

        async def by_browser(name: str, client: httpx2.AsyncClient, message: str) -> dict[str, Any]:
            if name == "one":
                return (await client.post("/api/chat", json={"message": message, "model": "flux"})).json()
            known = {"conversation_id": ids[name]} if name in ids else {}
            return (await told(client, "/api/chat-stream", {"message": message, "model": "flux", **known}))[-1]

        async def by_assistant(message: str) -> dict[str, Any]:
            known = {"conversation_id": ids["assistant"]} if "assistant" in ids else {}
            asked = {"message": message, "model": "flux", **known}
            answer = told_by_tool(await assistant.call_tool("refine_prompt", asked))
            return answer | {"result": answer["prompt"]}

        async def all_at_once(messages: dict[str, str]) -> dict[str, dict[str, Any]]:
            gates = [fake.hold() for _ in messages]
            async with asyncio.TaskGroup() as group:
                talks = {
                    "one": group.create_task(by_browser("one", one, messages["one"])),
                    "two": group.create_task(by_browser("two", two, messages["two"])),
                    "assistant": group.create_task(by_assistant(messages["assistant"])),
                }
                async with asyncio.timeout(30):
                    for gate in gates:
                        await gate.reached.wait()
                for gate in gates:
                    gate.go.set()
            return {name: task.result() for name, task in talks.items()}

        first = await all_at_once(animals)
        ids |= {name: answer["conversation_id"] for name, answer in first.items()}
        assert len(set(ids.values())) == 3
        answers = await all_at_once(second)

    for name, answer in answers.items():
        assert (answer["conversation_id"], answer["turn"], answer["by"]) == (ids[name], 2, MODEL)
        others = [word for other in animals if other != name for word in (animals[other], second[other])]
        result = answer["result"].lower()
        assert animals[name] in result and second[name] in result
        assert not [word for word in others if word in json.dumps(answer).lower()]


async def kept(client: httpx2.AsyncClient) -> list[dict[str, Any]]:
    return (await client.get("/api/history")).json()["prompts"]


@pytest.mark.parametrize(
    ("trouble", "status", "kind"),
    [
        ("dead", 503, "service_unavailable"),
        ("missing", 404, "model_missing"),
        ("error", 502, "service_failed"),
        ("wrong json", 502, "service_failed"),
        ("cut", 502, "service_failed"),
    ],
)
async def test_each_trouble_of_the_language_model_has_its_status_and_the_words_are_kept(
    tmp_path: Path, trouble: str, status: int, kind: str
) -> None:
    models = ("not-here:1b",) if trouble == "missing" else (MODEL,)
    async with house(tmp_path, models) as (url, fake), client_of(url) as client:
        if trouble == "dead":
            await fake.stop()
        if trouble == "error":
            fake.refuse(400, {"error": "no"}, times=9)
        if trouble == "wrong json":
            fake.say(*["{}"] * 9)
        if trouble == "cut":
            fake.say(*[reply("a red fox")] * 9, end="cut", pieces=[])
        for path in ("/api/generate", "/api/generate-stream"):
            answer = await client.post(path, json={"input": "a red fox", "model": "flux"})
            assert (answer.status_code, answer.json()["type"]) == (status, kind)
        entries = await kept(client)
        by_rules = await client.post("/api/generate", json={"input": "a red fox", "writer": "rules"})
    assert [(entry["input"], entry["output"]) for entry in entries] == [("a red fox", "")] * 2
    assert all(entry["fault"] for entry in entries)
    assert (by_rules.status_code, by_rules.json()["by"]) == (200, "rules")


async def test_a_reply_that_breaks_off_is_told_in_the_stream_and_the_conversation_goes_on(tmp_path: Path) -> None:
    async with house(tmp_path) as (url, fake), client_of(url) as client:
        began = (await client.post("/api/chat", json={"message": "a red fox", "model": "flux"})).json()
        fake.say(reply("a red fox in the snow by night"), end="cut")
        heard = await told(client, "/api/chat-stream", {"message": "make it night"})
        again = (await client.post("/api/chat", json={"message": "make it night"})).json()
    assert [event["status"] for event in heard if "token" not in event] == [502]
    assert (again["conversation_id"], again["turn"]) == (began["conversation_id"], 2)
    assert "a red fox" in again["result"].lower()


async def test_a_browser_that_goes_away_stops_the_language_model(tmp_path: Path) -> None:
    async with house(tmp_path) as (url, fake):
        fake.hold(after=4)
        async with client_of(url) as client:
            body = {"input": "a red fox on a stone wall", "model": "flux"}
            fake.say(reply("a red fox on a stone wall at dusk, wide and quiet, with long shadows"))
            async with client.stream("POST", "/api/generate-stream", json=body) as response:
                await anext(events(response))
        async with asyncio.timeout(10):
            await fake.asked[-1].left.wait()


async def test_without_a_language_model_the_rules_write(tmp_path: Path) -> None:
    async with house(tmp_path, ()) as (url, fake), client_of(url) as client:
        heard = await told(client, "/api/generate-stream", {"input": "a red fox", "model": "pony"})
        asked = await client.post("/api/generate", json={"input": "a red fox", "writer": "model"})
        models = (await client.get("/api/models")).json()
        await fake.stop()
        without = (await client.get("/api/models")).json()
    assert heard[-1]["by"] == "rules"
    assert heard[0] == {"token": heard[-1]["result"]}
    assert (asked.status_code, asked.json()["type"]) == (400, "bad_recipe")
    assert (models["models"], models["writer"]) == (list(fake.models), "rules")
    assert (without["models"], without["writer"]) == ([], "rules")


async def test_a_second_tab_that_speaks_while_the_first_begins_has_a_conversation_of_its_own(tmp_path: Path) -> None:
    async with house(tmp_path) as (url, fake), client_of(url) as client:
        gate = fake.hold(after=4)
        async with client.stream("POST", "/api/chat-stream", json={"message": "a red fox", "model": "flux"}) as one:
            heard = events(one)
            await anext(heard)
            assert "atelier_conversation" in client.cookies
            two = await client.post("/api/chat", json={"message": "a blue boat", "model": "flux"})
            gate.go.set()
            first = [event async for event in heard][-1]
        second = two.json()
    assert (two.status_code, first.get("done"), first.get("turn"), second.get("turn")) == (200, True, 1, 1)
    assert first["conversation_id"] != second["conversation_id"]
    assert (first["words"], second["words"]) == ("a red fox", "a blue boat")


async def test_two_messages_of_one_conversation_at_once_are_answered_one_after_the_other(tmp_path: Path) -> None:
    async with house(tmp_path) as (url, _), client_of(url) as client:
        began = (await client.post("/api/chat", json={"message": "a red fox", "model": "flux"})).json()
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(client.post("/api/chat", json={"message": message}))
                for message in ("under snow", "by a lake")
            ]
        answers = [task.result().json() for task in tasks]
    assert {answer["conversation_id"] for answer in answers} == {began["conversation_id"]}
    assert sorted(answer["turn"] for answer in answers) == [2, 3]
    last = max(answers, key=lambda answer: answer["turn"])["result"].lower()
    assert "under snow" in last and "by a lake" in last
