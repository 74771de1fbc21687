"""A model that reads and writes, behind Ollama's API and behind OpenAI's: replies in one piece and every failure."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Literal

import pytest

from clients._llm.refusals import seconds
from clients.llm_client import LLMClient
from tests.fake_llm import FakeLLM, openai_error
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

Dialect = Literal["ollama", "openai"]
MODEL = "qwen3:4b"
TALK = [
    Message(role="system", content="You write prompts."),
    Message(role="user", content="a cat"),
    Message(role="assistant", content="a cat at dusk"),
    Message(role="user", content="make it night"),
]
SPOKEN = [{"role": message.role, "content": message.content} for message in TALK]
SCHEMA = {
    "type": "object",
    "properties": {"prompt": {"type": "string"}, "negative": {"type": "string"}},
    "required": ["prompt", "negative"],
    "additionalProperties": False,
}


@pytest.fixture
async def fake() -> AsyncIterator[FakeLLM]:
    async with FakeLLM([MODEL, "qwen3:8b", "llama3.2:latest"]) as fake:
        yield fake


@pytest.fixture(params=["ollama", "openai"])
async def dialect(request: pytest.FixtureRequest) -> Dialect:
    return request.param


@pytest.fixture
async def client(fake: FakeLLM, dialect: Dialect) -> AsyncIterator[LLMClient]:
    async with client_of(fake, dialect) as client:
        yield client


def client_of(fake: FakeLLM, dialect: Dialect, model: str = MODEL, **how: Any) -> LLMClient:
    url = fake.url if dialect == "ollama" else f"{fake.url}/v1"
    usual: dict[str, Any] = {"retry_seconds": (0, 0), "read_seconds": 10.0}
    return LLMClient(url, model, dialect=dialect, **usual | how)


async def test_a_conversation_is_sent_as_it_was_held_and_answered_without_thoughts(
    fake: FakeLLM, client: LLMClient
) -> None:
    model: ChatModel = client
    fake.say("<think>Night, so dark.</think> A cat at night. ", thinking="Let me see.")
    assert await model.chat(TALK) == "A cat at night."
    assert fake.asked[0].messages == SPOKEN


async def test_ollama_is_told_to_give_the_memory_back_and_to_sample_as_its_makers_chose(fake: FakeLLM) -> None:
    async with client_of(fake, "ollama") as client:
        await client.chat(TALK, SCHEMA)
    assert (fake.asked[0].path, fake.asked[0].body) == (
        "/api/chat",
        {
            "model": MODEL,
            "messages": SPOKEN,
            "stream": False,
            "think": False,
            "format": SCHEMA,
            "keep_alive": 0,
            "options": {"num_predict": 2048},
        },
    )


async def test_ollama_completes_a_prompt_coldly_at_its_own_route(fake: FakeLLM) -> None:
    fake.say("<think>Hm.</think>A cat, at dusk.", thinking="Hm.")
    async with client_of(fake, "ollama") as client:
        assert await client.complete("Say it better: cat") == "A cat, at dusk."
    assert (fake.asked[0].path, fake.asked[0].body) == (
        "/api/generate",
        {
            "model": MODEL,
            "prompt": "Say it better: cat",
            "stream": False,
            "think": False,
            "keep_alive": 0,
            "options": {"num_predict": 2048, "temperature": 0, "seed": 0},
        },
    )


async def test_an_endpoint_is_sent_what_openai_documents(fake: FakeLLM) -> None:
    async with client_of(fake, "openai") as client:
        await client.chat(TALK, SCHEMA)
        await client.complete("cat")
    form = {"type": "json_schema", "json_schema": {"name": "answers", "strict": True, "schema": SCHEMA}}
    assert [asked.body for asked in fake.asked] == [
        {"model": MODEL, "messages": SPOKEN, "stream": False, "response_format": form},
        {"model": MODEL, "messages": [{"role": "user", "content": "cat"}], "stream": False, "temperature": 0},
    ]


@pytest.mark.parametrize(
    ("written", "sent"), [("0", 0), ("5m", "5m"), (" 1h30m ", "1h30m"), ("-1", -1), ("300", 300), ("0.5", 0.5)]
)
async def test_the_time_in_memory_is_sent_as_ollama_takes_it(fake: FakeLLM, written: str, sent: object) -> None:
    async with client_of(fake, "ollama", keep_alive=written) as client:
        await client.complete("cat")
        await client.chat(TALK)
    assert [asked.keep_alive for asked in fake.asked] == [sent, sent]


def test_a_time_in_memory_that_is_none_is_refused_with_what_is_allowed() -> None:
    with pytest.raises(ValueError, match=r"OLLAMA_KEEP_ALIVE is seconds or a duration such as .*; not 'five minutes'"):
        LLMClient("", MODEL, dialect="ollama", keep_alive="five minutes")


async def test_a_reply_by_schema_is_the_json_text(fake: FakeLLM, client: LLMClient) -> None:
    fake.say('<think>Which?</think>{"prompt": "a cat", "negative": ""}')
    assert await client.chat(TALK, SCHEMA) == '{"prompt": "a cat", "negative": ""}'


@pytest.mark.parametrize(
    ("dialect", "field"), [("ollama", "format"), ("ollama", "think"), ("openai", "response_format")]
)
async def test_what_a_server_does_not_know_is_left_out_from_then_on(
    fake: FakeLLM, dialect: Dialect, field: str
) -> None:
    fake.ignorant.add(field)
    heard: list[str] = []
    async with client_of(fake, dialect) as client:
        await client.chat(TALK, SCHEMA, heard.append)
        await client.complete("cat", SCHEMA)
    assert [field in asked.body for asked in fake.asked] == [False, False]
    assert len(fake.requests) == 3
    assert "make it night" in "".join(heard)


async def test_a_server_that_is_busy_is_not_taken_to_know_less(fake: FakeLLM, client: LLMClient) -> None:
    fake.refuse(503, {"error": "cannot think of a json_schema now: request.format"})
    await client.chat(TALK, SCHEMA)
    assert (fake.asked[0].schema, fake.asked[0].body.get("think", False)) == (SCHEMA, False)


async def test_the_models_that_are_there_are_a_call_away(fake: FakeLLM, client: LLMClient) -> None:
    assert await client.installed() == [MODEL, "qwen3:8b", "llama3.2:latest"]


# Failures


async def test_a_server_that_is_not_there_says_how_to_start_it_without_further_tries(dialect: Dialect) -> None:
    with socket.socket() as bound:  # bound, but hears nobody: the system refuses
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        # A further try would wait beyond the time that this test may take.
        async with LLMClient(url, MODEL, dialect=dialect, retry_seconds=(1e9,), read_seconds=1e10) as client:
            for call in (client.chat(TALK), client.complete("cat"), client.installed()):
                with pytest.raises(
                    ServiceUnavailable, match=r"could not be reached.*(?:ollama serve|OPENAI_BASE_URL)"
                ) as caught:
                    await call
                assert type(caught.value) is ServiceUnavailable


async def test_a_model_that_is_not_there_is_named_with_those_that_are_the_nearest_first(fake: FakeLLM) -> None:
    async with client_of(fake, "ollama", "qwen3:14b") as client:
        with pytest.raises(ModelMissing) as caught:
            await client.chat(TALK)
    assert str(caught.value) == (
        f"Ollama at {fake.url} has no model 'qwen3:14b'. It has qwen3:4b, qwen3:8b. "
        "Get it: ollama pull qwen3:14b; or set OLLAMA_MODEL to one that it has."
    )
    assert caught.value.known == ("qwen3:4b", "qwen3:8b", "llama3.2:latest")


@pytest.mark.parametrize("status", [404, 400])
async def test_an_endpoint_without_the_model_names_those_it_has(fake: FakeLLM, status: int) -> None:
    fake.refuse(status, openai_error("The model `gpt-9` does not exist.", "model_not_found"))
    async with client_of(fake, "openai", "gpt-9") as client:
        with pytest.raises(ModelMissing) as caught:
            await client.complete("cat")
    has = "It has qwen3:4b, qwen3:8b, llama3.2:latest. Set OLLAMA_MODEL to one that it has."
    assert str(caught.value) == f"The model server at {fake.url}/v1 has no model 'gpt-9'. {has}"


async def test_an_empty_ollama_has_no_other_models_to_name(fake: FakeLLM) -> None:
    fake.models.clear()
    async with client_of(fake, "ollama") as client:
        with pytest.raises(ModelMissing, match=r"has no model 'qwen3:4b'\. Get it: ollama pull qwen3:4b;") as caught:
            await client.chat(TALK)
    assert caught.value.known == ()


@pytest.mark.parametrize("listened", [False, True])
async def test_a_reply_that_takes_too_long_is_given_up_and_the_server_sees_it(
    fake: FakeLLM, dialect: Dialect, listened: bool
) -> None:
    fake.hold()
    async with client_of(fake, dialect, read_seconds=0.3) as client:
        await client.installed()  # so that the connection is open before the time runs
        with pytest.raises(ServiceTimedOut, match=r"did not answer in time.*may be too large for that machine"):
            await client.chat(TALK, None, print if listened else None)
        await fake.asked[0].left.wait()
    assert len(fake.asked) == 1


async def test_a_cancelled_reply_ends_at_the_server(fake: FakeLLM, client: LLMClient) -> None:
    gate = fake.hold()
    writing = asyncio.create_task(client.chat(TALK))
    await gate.reached.wait()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    await fake.asked[0].left.wait()
    assert len(fake.requests) == 1


async def test_what_may_pass_is_tried_twice_more(fake: FakeLLM, client: LLMClient) -> None:
    fake.refuse(503, {"error": "server busy, please try again.  maximum pending requests exceeded"})
    fake.refuse(0)
    fake.say("A cat.")
    assert await client.chat(TALK) == "A cat."
    assert len(fake.requests) == 3


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        (502, ServiceFailed, r"answered 502: upstream is down\. qwen3:4b may be loading or busy: try again later\."),
        (503, ServiceFailed, r"answered 503: upstream is down\. qwen3:4b may be loading"),
        (504, ServiceTimedOut, r"answered 504: upstream is down\. qwen3:4b may be loading"),
    ],
)
async def test_what_does_not_pass_is_told_after_three_tries(
    fake: FakeLLM, client: LLMClient, status: int, kind: type[Exception], said: str
) -> None:
    fake.refuse(status, {"error": {"message": "upstream is down."}}, times=4)
    with pytest.raises(ServiceUnavailable, match=said) as caught:
        await client.complete("cat")
    assert (type(caught.value), len(fake.requests)) == (kind, 3)


async def test_a_connection_that_breaks_in_one_piece_is_tried_again(fake: FakeLLM, client: LLMClient) -> None:
    fake.say("A cat.", end="cut")
    fake.say("A dog.")
    assert await client.chat(TALK) == "A dog."


async def test_a_short_wait_that_is_asked_for_is_kept_and_a_long_one_is_told(fake: FakeLLM, client: LLMClient) -> None:
    fake.refuse(429, {"error": "slow down"}, {"Retry-After": "0"})
    fake.say("A cat.")
    assert await client.chat(TALK) == "A cat."
    fake.refuse(429, {"error": {"message": "You exceeded your quota."}}, {"Retry-After": "60"})
    with pytest.raises(RateLimited, match=r"\(You exceeded your quota\)\. Try again in 60 s\.") as caught:
        await client.chat(TALK)
    fake.refuse(429, {"error": "slow down"})
    with pytest.raises(RateLimited, match="Try again later"):
        await client.chat(TALK)
    assert (caught.value.retry_after, len(fake.requests)) == (60, 4)


async def test_a_wait_longer_than_the_reply_may_take_is_not_begun(fake: FakeLLM, dialect: Dialect) -> None:
    fake.refuse(429, {"error": "slow down"}, {"Retry-After": "4"})
    async with client_of(fake, dialect, read_seconds=3.0) as client:
        with pytest.raises(RateLimited, match="Try again in 4 s"):
            await client.chat(TALK)
    assert len(fake.requests) == 1


@pytest.mark.parametrize("status", [400, 422, 500, 501])
async def test_a_fault_is_told_in_the_servers_own_words_and_not_repeated(
    fake: FakeLLM, client: LLMClient, status: int
) -> None:
    fake.refuse(status, {"error": f"  runner\nhas {'no ' * 400}memory"})
    with pytest.raises(ServiceFailed) as caught:
        await client.chat(TALK)
    assert f"answered {status}: runner has no no no" in str(caught.value)
    assert (len(str(caught.value)) < 400, len(fake.requests)) == (True, 1)


@pytest.mark.parametrize("status", [401, 403])
async def test_a_closed_door_names_the_setting_and_never_the_key(fake: FakeLLM, dialect: Dialect, status: int) -> None:
    fake.refuse(status, openai_error("Incorrect API key provided: sk-secret"))
    async with client_of(fake, dialect, api_key="sk-secret") as client:
        with pytest.raises(
            AccessDenied, match=r"does not let us in \(Incorrect API key provided: \.\.\.|provided"
        ) as caught:
            await client.chat(TALK)
    assert caught.value.setting == {"ollama": "OLLAMA_HOST", "openai": "OPENAI_API_KEY"}[dialect]
    assert caught.value.setting in str(caught.value)
    assert "sk-secret" not in str(caught.value)
    assert len(fake.requests) == 1


async def test_the_right_key_opens_the_door(dialect: Dialect) -> None:
    async with FakeLLM([MODEL], key="sk-right") as fake, client_of(fake, dialect, api_key="sk-right") as client:
        assert await client.installed() == [MODEL]
    async with FakeLLM([MODEL], key="sk-right") as fake, client_of(fake, dialect) as client:
        with pytest.raises(AccessDenied):
            await client.installed()


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, "<html>It works!</html>"),
        (200, {"status": "ok"}),
        (200, {"choices": [{"index": 0}]}),
        (200, [1]),
        (200, "[" * 100_000),
        (404, "404 page not found"),
        (308, ""),
    ],
)
@pytest.mark.parametrize("listened", [False, True])
async def test_another_server_at_that_address_is_recognised(
    fake: FakeLLM, client: LLMClient, status: int, body: object, listened: bool
) -> None:
    fake.refuse(status, body)
    with pytest.raises(
        ServiceFailed, match=r"not as (?:Ollama does: is OLLAMA_HOST|OpenAI's API does: is OPENAI_BASE_URL) right\?"
    ):
        await client.chat(TALK, None, print if listened else None)
    assert len(fake.requests) == 1


async def test_a_list_of_models_that_is_none_is_recognised(fake: FakeLLM) -> None:
    async with LLMClient(f"{fake.url}/other", MODEL, dialect="ollama") as client:
        with pytest.raises(ServiceFailed, match=r"answers, but not as Ollama does: is OLLAMA_HOST right\?"):
            await client.installed()


@pytest.mark.parametrize("said", ["", "  \n", "<think>and on and on"])
async def test_no_words_are_no_reply(fake: FakeLLM, client: LLMClient, said: str) -> None:
    fake.say(said)
    with pytest.raises(ServiceFailed, match=rf": {MODEL} gave no reply\.$"):
        await client.chat(TALK)


async def test_a_reply_that_reached_its_length_is_no_whole_one(fake: FakeLLM, client: LLMClient) -> None:
    fake.say('{"prompt": "a cat an', finish="length")
    with pytest.raises(
        ServiceFailed, match=r"qwen3:4b reached the length that it may write, and its reply broke off\."
    ):
        await client.chat(TALK, SCHEMA)


@pytest.mark.parametrize("listened", [False, True])
@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({"refusal": "I can't help with that."}, "I can't help with that"),
        ({"finish": "content_filter"}, "its content filter"),
    ],
)
async def test_what_a_model_refuses_says_why(fake: FakeLLM, how: dict[str, str], why: str, listened: bool) -> None:
    fake.say("", **how)
    async with client_of(fake, "openai") as client:
        with pytest.raises(ServiceFailed, match=rf"qwen3:4b gave no reply\. {why}"):
            await client.chat(TALK, None, print if listened else None)


async def test_an_error_in_a_good_answer_is_an_error(fake: FakeLLM, client: LLMClient) -> None:
    fake.refuse(200, {"error": {"message": "Provider returned error", "code": 502}})
    with pytest.raises(ServiceFailed, match=r": Provider returned error\.$"):
        await client.chat(TALK)


async def test_a_reply_without_end_is_not_read_to_it(fake: FakeLLM, client: LLMClient) -> None:
    fake.say("word " * 40_001)
    with pytest.raises(ServiceFailed, match=r"qwen3:4b does not stop: more than 200,000 characters\."):
        await client.chat(TALK)
    fake.say("x" * 4_000_001)
    with pytest.raises(ServiceFailed, match="does not stop"):
        await client.chat(TALK)


def test_a_wait_is_read_as_seconds_or_a_date() -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    assert 80 < (seconds(soon) or 0) < 91
    texts = ("7", "0.5", "-3", "Wed, 21 Oct 2015 07:28:00 GMT", "soon", "nan", "inf", "", None)
    assert [seconds(text) for text in texts] == [7, 0.5, 0, 0, None, None, None, None, None]
