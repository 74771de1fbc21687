"""Conversations with Gemini through google-genai itself, against a double on a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from clients.gemini_client import GeminiClient
from tests.fake_gemini import KEY, FakeGemini, gemini_error
from workflows.errors import (
    AccessDenied,
    ModelMissing,
    RateLimited,
    ServiceFailed,
    ServiceTimedOut,
    ServiceUnavailable,
)
from workflows.ports import ChatModel
from workflows.types import Message

MODEL = "gemini-3-flash"
TALK = (
    Message(role="system", content="You write prompts."),
    Message(role="user", content="a fox"),
    Message(role="assistant", content="A fox."),
    Message(role="user", content="make it red"),
)
SCHEMA: dict[str, object] = {
    "type": "object",
    "properties": {"prompt": {"type": "string"}},
    "required": ["prompt"],
    "additionalProperties": False,
}
OVERLOADED = gemini_error(503, "UNAVAILABLE", "The model is overloaded.")


@pytest.fixture
async def fake() -> AsyncIterator[FakeGemini]:
    async with FakeGemini() as fake:
        yield fake


@pytest.fixture
async def client(fake: FakeGemini) -> AsyncIterator[GeminiClient]:
    async with GeminiClient(MODEL, api_key=KEY, base_url=fake.url, read_seconds=10, retry_seconds=(0, 0)) as client:
        yield client


async def test_a_conversation_keeps_its_roles_and_its_rules_apart(fake: FakeGemini, client: GeminiClient) -> None:
    model: ChatModel = client
    assert await model.chat(TALK) == "A red fox."
    [asked] = fake.asked
    assert asked["contents"] == [
        {"role": "user", "parts": [{"text": "a fox"}]},
        {"role": "model", "parts": [{"text": "A fox."}]},
        {"role": "user", "parts": [{"text": "make it red"}]},
    ]
    assert asked["systemInstruction"]["parts"] == [{"text": "You write prompts."}]
    assert asked["generationConfig"] == {"candidateCount": 1}


async def test_a_listener_hears_the_pieces_and_the_reply_is_their_whole(fake: FakeGemini, client: GeminiClient) -> None:
    heard: list[str] = []
    fake.say("A red ", "fox in ", "the snow.")
    assert await client.chat(TALK, listener=heard.append) == "A red fox in the snow."
    assert heard == ["A red ", "fox in ", "the snow."]
    assert fake.paths == [f"/v1beta/models/{MODEL}:streamGenerateContent"]


async def test_pieces_are_heard_while_the_reply_goes_on(fake: FakeGemini, client: GeminiClient) -> None:
    gate, heard = fake.hold(after=1), asyncio.Event()
    fake.say("A red ", "fox.")
    chat = asyncio.create_task(client.chat(TALK, listener=lambda _: heard.set()))
    async with asyncio.timeout(10):
        await heard.wait()
        assert not chat.done()
        gate.go.set()
        assert await chat == "A red fox."


@pytest.mark.parametrize("listening", [False, True])
async def test_a_schema_binds_the_reply(fake: FakeGemini, client: GeminiClient, listening: bool) -> None:
    fake.say('{"prompt": ', '"A red fox."}')
    said = await client.chat(TALK, SCHEMA, (lambda _: None) if listening else None)
    assert said == '{"prompt": "A red fox."}'
    bound = {"responseMimeType": "application/json", "responseJsonSchema": SCHEMA}
    assert fake.asked[0]["generationConfig"] == {"candidateCount": 1, **bound}


async def test_thoughts_are_heard_but_are_no_reply(fake: FakeGemini, client: GeminiClient) -> None:
    heard: list[str] = []
    fake.say("<think>snow?</think>", "A red fox.")
    assert await client.chat(TALK, listener=heard.append) == "A red fox."
    assert heard == ["<think>snow?</think>", "A red fox."]


async def test_a_prompt_longer_than_a_message_is_completed(fake: FakeGemini, client: GeminiClient) -> None:
    words = "fox " * 10_000
    assert await client.complete(words) == "A red fox."
    assert fake.asked[0]["contents"] == [{"role": "user", "parts": [{"text": words}]}]


async def test_the_models_that_write_are_listed_over_all_pages(client: GeminiClient) -> None:
    assert await client.installed() == ["gemini-3-flash", "gemini-3-pro"]


@pytest.mark.parametrize("listening", [False, True])
async def test_a_missing_model_names_those_that_are_there(fake: FakeGemini, listening: bool) -> None:
    async with GeminiClient("gemini-3-flush", api_key=KEY, base_url=fake.url) as client:
        with pytest.raises(
            ModelMissing, match=r"no model 'gemini-3-flush' .+ It has gemini-3-flash.+OLLAMA_MODEL"
        ) as e:
            await client.chat(TALK, listener=(lambda _: None) if listening else None)
    assert e.value.known == ("gemini-3-flash", "gemini-3-pro")


async def test_a_missing_model_is_told_also_where_the_list_is_refused(fake: FakeGemini) -> None:
    async with GeminiClient("gemini-9", api_key=KEY, base_url=fake.url) as client:
        missing = gemini_error(404, "NOT_FOUND", "models/gemini-9 is not found.")
        fake.refuse(404, missing)
        fake.refuse(404, missing)
        with pytest.raises(ModelMissing, match="no model 'gemini-9'") as caught:
            await client.chat(TALK)
    assert caught.value.known == ()


@pytest.mark.parametrize("listening", [False, True])
async def test_an_overloaded_service_is_asked_again(fake: FakeGemini, client: GeminiClient, listening: bool) -> None:
    fake.refuse(503, OVERLOADED)
    fake.refuse(0)
    assert await client.chat(TALK, listener=(lambda _: None) if listening else None) == "A red fox."
    assert len(fake.paths) == 3


async def test_a_service_that_stays_overloaded_fails_after_the_last_try(fake: FakeGemini, client: GeminiClient) -> None:
    for _ in range(4):
        fake.refuse(503, OVERLOADED)
    with pytest.raises(ServiceFailed, match="answered 503: The model is overloaded"):
        await client.chat(TALK)
    assert len(fake.paths) == 3


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (400, gemini_error(400, "INVALID_ARGUMENT", "Bad schema."), ServiceFailed),
        (403, gemini_error(403, "PERMISSION_DENIED", "Blocked."), AccessDenied),
        (429, gemini_error(429, "RESOURCE_EXHAUSTED", "Quota exceeded."), RateLimited),
    ],
)
async def test_what_will_not_pass_is_not_asked_again(
    fake: FakeGemini, client: GeminiClient, status: int, error: dict[str, object], kind: type[Exception]
) -> None:
    fake.refuse(status, error)
    with pytest.raises(kind):
        await client.chat(TALK, listener=lambda _: None)
    assert len(fake.paths) == 1


async def test_a_reply_that_breaks_off_is_not_asked_for_again(fake: FakeGemini, client: GeminiClient) -> None:
    heard: list[str] = []
    fake.say("A red ", cut=True)
    with pytest.raises(ServiceFailed):
        await client.chat(TALK, listener=heard.append)
    assert (heard, len(fake.paths)) == (["A red "], 1)


@pytest.mark.parametrize(("end", "why"), [("", "broke its reply off"), ("SAFETY", "SAFETY")])
async def test_a_stream_that_does_not_end_well_is_no_reply(
    fake: FakeGemini, client: GeminiClient, end: str, why: str
) -> None:
    fake.say("A red ", "fo", end=end)
    with pytest.raises(ServiceFailed, match=why):
        await client.chat(TALK, listener=lambda _: None)


async def test_a_model_that_is_silent_in_mid_reply_is_given_up(fake: FakeGemini) -> None:
    gate = fake.hold(after=1)
    fake.say("A red ", "fox.")
    async with GeminiClient(MODEL, api_key=KEY, base_url=fake.url, read_seconds=0.2) as client:
        with pytest.raises(ServiceTimedOut, match="did not answer in time"):
            await client.chat(TALK, listener=lambda _: None)
    assert gate.reached.is_set()


async def test_a_reply_without_an_end_is_given_up(fake: FakeGemini) -> None:
    gate = fake.hold(after=1)
    fake.say("A red ", "fox.")
    async with GeminiClient(MODEL, api_key=KEY, base_url=fake.url, overall_seconds=0.3) as client:
        with pytest.raises(ServiceTimedOut, match=r"still writes after 0\.3 s"):
            await client.chat(TALK, listener=lambda _: None)
    assert gate.reached.is_set()


async def test_nobody_there_is_told_as_such() -> None:
    async with FakeGemini() as gone:
        url = gone.url
    async with GeminiClient(MODEL, api_key=KEY, base_url=url, retry_seconds=(0,)) as client:
        with pytest.raises(ServiceUnavailable, match="could not be reached") as caught:
            await client.chat(TALK)
        with pytest.raises(ServiceUnavailable, match="could not be reached"):
            await client.installed()
    assert type(caught.value) is ServiceUnavailable


async def test_a_cancelled_chat_hangs_up(fake: FakeGemini, client: GeminiClient) -> None:
    gate = fake.hold(after=1)
    fake.say("A red ", "fox.")
    chat = asyncio.create_task(client.chat(TALK, listener=lambda _: None))
    async with asyncio.timeout(10):
        await gate.reached.wait()
        chat.cancel()
        with pytest.raises(asyncio.CancelledError):
            await chat
        await gate.gone.wait()
        assert await client.chat(TALK) == "A red fox."


async def test_what_a_listener_raises_is_its_own(client: GeminiClient) -> None:
    def deaf(_: str) -> None:
        raise ValueError("deaf")

    with pytest.raises(ValueError, match="deaf"):
        await client.chat(TALK, listener=deaf)
