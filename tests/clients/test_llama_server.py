"""LLMClient against a real llama.cpp server: a grammar that binds, a stream, a hang-up, two at once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from clients.llm_client import LLMClient
from tests.llama import LlamaServer
from workflows.errors import ServiceFailed, ServiceUnavailable
from workflows.ports import ChatModel
from workflows.types import Message

TALK = (
    Message(role="system", content="You write prompts."),
    Message(role="user", content="a fox"),
    Message(role="assistant", content="A fox."),
    Message(role="user", content="make it red"),
)
SCHEMA: dict[str, object] = {
    "type": "object",
    "properties": {
        "prompt": {"type": "string", "maxLength": 20},
        "mood": {"enum": ["calm", "wild"]},
        "count": {"type": "integer", "minimum": 0, "maximum": 99},
    },
    "required": ["prompt", "mood", "count"],
    "additionalProperties": False,
}


@pytest.fixture
async def llama(tmp_path: Path) -> AsyncIterator[LlamaServer]:
    async with LlamaServer(tmp_path) as llama:
        yield llama


@pytest.fixture
async def client(llama: LlamaServer) -> AsyncIterator[LLMClient]:
    async with LLMClient(llama.url, llama.model, dialect="openai") as client:
        yield client


def fits(reply: str) -> bool:
    """Whether a reply is what SCHEMA says."""
    said: Any = json.loads(reply)
    well = set(said) == {"prompt", "mood", "count"} and said["mood"] in {"calm", "wild"}
    return well and len(said["prompt"]) <= 20 and 0 <= said["count"] <= 99


async def busy(llama: LlamaServer) -> list[bool]:
    """Which of the server's places have a reply under way, by its own word."""
    async with httpx2.AsyncClient(trust_env=False) as http:
        rows = (await http.get(f"{llama.url.removesuffix('/v1')}/slots")).json()
    return [row["is_processing"] for row in rows]


async def test_a_grammar_makes_json_of_random_weights(client: LLMClient) -> None:
    assert fits(await client.complete("a fox", SCHEMA))
    assert fits(await client.chat(TALK, SCHEMA))


async def test_pieces_join_to_the_reply(client: LLMClient) -> None:
    model: ChatModel = client
    heard: list[str] = []
    reply = await model.chat(TALK, SCHEMA, heard.append)
    assert len(heard) > 5
    assert "".join(heard).strip() == reply
    assert fits(reply)


async def test_a_reply_that_reaches_its_bound_broke_off(client: LLMClient) -> None:
    heard: list[str] = []
    with pytest.raises(ServiceFailed, match="length"):
        await client.chat(TALK, listener=heard.append)
    assert len("".join(heard)) > 20
    with pytest.raises(ServiceFailed, match="length"):
        await client.complete("a fox")


async def test_the_server_lists_its_model_and_answers_under_any_name(llama: LlamaServer, client: LLMClient) -> None:
    assert list(await client.installed()) == ["tiny-random"]
    async with LLMClient(llama.url, "qwen3:8b", dialect="openai") as other:
        assert fits(await other.complete("a fox", SCHEMA))


async def test_a_cancelled_reply_frees_its_place(tmp_path: Path) -> None:
    async with (
        LlamaServer(tmp_path, tokens=-1) as llama,
        LLMClient(llama.url, llama.model, dialect="openai") as client,
        asyncio.timeout(20),
    ):
        first = asyncio.Event()
        endless = asyncio.create_task(client.chat(TALK, listener=lambda _: first.set()))
        await first.wait()
        assert any(await busy(llama))
        endless.cancel()
        with pytest.raises(asyncio.CancelledError):
            await endless
        while any(await busy(llama)):
            pass
        assert fits(await client.complete("a fox", SCHEMA))


async def test_two_conversations_at_once_do_not_mix(tmp_path: Path) -> None:
    async with (
        LlamaServer(tmp_path, tokens=-1) as llama,
        LLMClient(llama.url, llama.model, dialect="openai") as client,
        asyncio.timeout(20),
    ):
        first, heard = asyncio.Event(), list[str]()
        endless = asyncio.create_task(client.chat(TALK, listener=lambda _: first.set()))
        await first.wait()
        reply = await client.chat([Message(role="user", content="a cat")], SCHEMA, heard.append)
        assert fits(reply)
        assert "".join(heard).strip() == reply
        assert not endless.done()
        endless.cancel()
        with pytest.raises(asyncio.CancelledError):
            await endless


async def test_a_server_that_was_stopped_is_unavailable(tmp_path: Path) -> None:
    async with LlamaServer(tmp_path) as llama:
        pass
    async with LLMClient(llama.url, llama.model, dialect="openai", retry_seconds=()) as client:
        with pytest.raises(ServiceUnavailable, match="could not be reached"):
            await client.complete("a fox", SCHEMA)


async def test_a_server_that_dies_in_mid_reply_is_told(tmp_path: Path) -> None:
    async with (
        LlamaServer(tmp_path, tokens=-1) as llama,
        LLMClient(llama.url, llama.model, dialect="openai") as client,
        asyncio.timeout(20),
    ):
        first = asyncio.Event()
        endless = asyncio.create_task(client.chat(TALK, listener=lambda _: first.set()))
        await first.wait()
        await llama.kill()
        with pytest.raises(ServiceUnavailable):
            await endless
