"""A model that looks, behind Ollama's API and behind OpenAI's, against a double on a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Literal

import pytest

from clients._llm.address import is_near, ollama_url
from clients._llm.dialects import is_strict
from clients.llm_client import LLMClient
from tests.fake_vision import KEY, FakeVision
from tests.fakes import png
from workflows.errors import AccessDenied, ModelMissing, RateLimited, ServiceFailed, ServiceTimedOut, ServiceUnavailable
from workflows.ports import VisionModel
from workflows.types import Media

Dialect = Literal["ollama", "openai"]
PICTURE = Media(data=png(64, 48), media_type="image/png")
QUESTIONS = ("How many stars are in the picture?", "Is the star red?", "Is there a dog?")
SEES = {"How many stars": "2", "star red": "no, blue", "dog": "yes"}
MODEL = "gemma3:4b"


@pytest.fixture
async def fake() -> AsyncIterator[FakeVision]:
    async with FakeVision(sees=SEES) as fake:
        yield fake


@pytest.fixture(params=["ollama", "openai"])
async def dialect(request: pytest.FixtureRequest) -> Dialect:
    return request.param


@pytest.fixture
async def client(fake: FakeVision, dialect: Dialect) -> AsyncIterator[LLMClient]:
    async with client_of(fake, dialect) as client:
        yield client


def client_of(
    fake: FakeVision, dialect: Dialect, model: str = MODEL, key: str | None = None, seconds: float = 10.0
) -> LLMClient:
    url = fake.url if dialect == "ollama" else f"{fake.url}/v1"
    return LLMClient(url, model, dialect=dialect, api_key=key, picture_seconds=seconds, retry_seconds=(0, 0))


async def test_all_questions_are_answered_in_one_call(fake: FakeVision, client: LLMClient) -> None:
    model: VisionModel = client
    assert await model.answer(PICTURE, QUESTIONS) == ("2", "no, blue", "yes")
    assert [(asked.questions, asked.picture) for asked in fake.asked] == [(QUESTIONS, (64, 48))]


async def test_no_question_is_no_call(fake: FakeVision, client: LLMClient) -> None:
    assert await client.answer(PICTURE, ()) == ()
    assert fake.requests == []


async def test_a_large_picture_is_sent_small(fake: FakeVision, client: LLMClient) -> None:
    await client.answer(Media(data=png(2048, 1024), media_type="image/png"), QUESTIONS)
    assert fake.asked[0].picture == (1024, 512)


async def test_a_picture_is_described_in_the_models_words(fake: FakeVision, client: LLMClient) -> None:
    fake.say("<think>Let me look.</think>\nA red square on nothing.")
    assert await client.describe(PICTURE) == "A red square on nothing."
    assert fake.asked[0].picture == (64, 48)


async def test_a_model_that_says_nothing_describes_nothing(fake: FakeVision, client: LLMClient) -> None:
    fake.say("<think>Hm, what could that")
    with pytest.raises(ServiceUnavailable, match="gave no description"):
        await client.describe(PICTURE)


async def test_ollama_is_asked_coldly_and_left_alone_with_its_memory(fake: FakeVision) -> None:
    async with client_of(fake, "ollama") as client:
        await client.answer(PICTURE, QUESTIONS)
    body = fake.asked[0].body
    assert body["options"]["temperature"] == 0
    assert body["options"]["num_predict"] == 1024
    assert body["think"] is False
    assert "keep_alive" not in body
    assert list(body["format"]["properties"]) == ["q1", "q2", "q3"]


async def test_a_thinking_model_that_takes_no_schema_is_read_all_the_same(fake: FakeVision) -> None:
    async with client_of(fake, "ollama", "qwen3-vl:4b") as client:
        assert await client.answer(PICTURE, QUESTIONS) == ("2", "no, blue", "yes")


@pytest.mark.parametrize(
    ("said", "answers"),
    [
        ('<think>two? q1: 7</think>{"q1": "2", "q2": "no", "q3": "yes"}', ("2", "no", "yes")),
        ('{"q1": "2", "q3": "yes"}', ("2", "", "yes")),
        ('{"q1": "2", "q2": "no", "q3": "ye', ("2", "no", "")),
        ("I am not able to help with that.", ("", "", "")),
        ("", ("", "", "")),
    ],
)
async def test_answers_that_are_missing_are_empty_and_never_shift(
    fake: FakeVision, client: LLMClient, said: str, answers: tuple[str, ...]
) -> None:
    fake.say(said)
    assert await client.answer(PICTURE, QUESTIONS) == answers


async def test_a_server_that_is_not_there_says_how_to_start_it(fake: FakeVision, client: LLMClient) -> None:
    await fake.stop()
    with pytest.raises(ServiceUnavailable, match=r"could not be reached.*(?:ollama serve|OPENAI_BASE_URL)"):
        await client.answer(PICTURE, QUESTIONS)


async def test_it_is_found_again_when_it_is_back(fake: FakeVision, client: LLMClient) -> None:
    await client.answer(PICTURE, QUESTIONS)
    await fake.stop()
    await fake.start()
    assert await client.answer(PICTURE, QUESTIONS) == ("2", "no, blue", "yes")


async def test_a_model_that_was_not_pulled_is_named_with_its_neighbours(fake: FakeVision) -> None:
    async with client_of(fake, "ollama", "gemma3:12b") as client:
        with pytest.raises(ModelMissing) as caught:
            await client.answer(PICTURE, QUESTIONS)
    assert str(caught.value) == (
        f"Ollama at {fake.url} has no model 'gemma3:12b'. It has gemma3:4b, llama3.2:1b. "
        "Get it: ollama pull gemma3:12b; or set ATELIER_VISION_MODEL to one that it has."
    )
    assert caught.value.known == ("gemma3:4b", "llama3.2:1b", "qwen3-vl:4b")


async def test_a_model_that_an_endpoint_has_not_is_named_with_those_it_has(fake: FakeVision) -> None:
    async with client_of(fake, "openai", "gpt-9") as client:
        with pytest.raises(ModelMissing, match=r"has no model 'gpt-9'\. It has gemma3:4b, .*ATELIER_VISION_MODEL"):
            await client.answer(PICTURE, QUESTIONS)


async def test_a_model_that_cannot_see_says_so(fake: FakeVision, dialect: Dialect) -> None:
    async with client_of(fake, dialect, "llama3.2:1b") as client:
        with pytest.raises(ServiceFailed, match=r"llama3\.2:1b takes no pictures \(.+\)\. Set ATELIER_VISION_MODEL"):
            await client.answer(PICTURE, QUESTIONS)


@pytest.mark.parametrize("field", ["response_format", "temperature"])
async def test_what_an_endpoint_does_not_know_is_left_out_from_then_on(fake: FakeVision, field: str) -> None:
    fake.ignorant.add(field)
    async with client_of(fake, "openai") as client:
        assert await client.answer(PICTURE, QUESTIONS) == ("2", "no, blue", "yes")
        assert await client.answer(PICTURE, QUESTIONS) == ("2", "no, blue", "yes")
    assert len(fake.requests) == 3
    assert all(field not in asked.body for asked in fake.asked)


async def test_an_old_ollama_without_schemas_is_asked_without_one(fake: FakeVision) -> None:
    fake.ignorant.add("format")
    async with client_of(fake, "ollama") as client:
        assert await client.answer(PICTURE, QUESTIONS) == ("2", "no, blue", "yes")


async def test_a_key_is_shown_and_a_wrong_one_names_its_setting_but_not_itself() -> None:
    async with FakeVision(sees=SEES, key=KEY) as fake:
        async with client_of(fake, "openai", key=KEY) as client:
            assert await client.answer(PICTURE, QUESTIONS) == ("2", "no, blue", "yes")
        async with client_of(fake, "openai", key="sk-wrong") as client:
            with pytest.raises(AccessDenied, match="OPENAI_API_KEY") as caught:
                await client.answer(PICTURE, QUESTIONS)
    assert caught.value.setting == "OPENAI_API_KEY"
    assert "sk-wrong" not in str(caught.value)


async def test_too_many_requests_say_when_to_come_back(fake: FakeVision, client: LLMClient) -> None:
    fake.refuse(429, {"error": {"message": "Rate limit reached"}}, {"Retry-After": "7"})
    with pytest.raises(
        RateLimited, match=r"wants fewer requests \(Rate limit reached\)\. Try again in 7 s\."
    ) as caught:
        await client.answer(PICTURE, QUESTIONS)
    assert caught.value.retry_after == 7


async def test_a_fault_of_the_server_is_told_in_its_own_words_and_not_repeated(
    fake: FakeVision, client: LLMClient
) -> None:
    fake.refuse(500, {"error": "model requires more system memory (5.6 GiB) than is available (3.1 GiB)"})
    with pytest.raises(ServiceFailed, match="answered 500: model requires more system memory"):
        await client.answer(PICTURE, QUESTIONS)
    assert len(fake.requests) == 1


async def test_a_broken_connection_is_tried_twice_more(fake: FakeVision, client: LLMClient) -> None:
    fake.refuse(0)
    fake.refuse(0)
    assert await client.answer(PICTURE, QUESTIONS) == ("2", "no, blue", "yes")
    for _ in range(3):
        fake.refuse(0)
    with pytest.raises(ServiceFailed, match="could not be reached"):
        await client.answer(PICTURE, QUESTIONS)
    assert len(fake.requests) == 6


async def test_a_model_that_takes_too_long_is_given_up(fake: FakeVision, dialect: Dialect) -> None:
    gate = fake.hold()
    async with client_of(fake, dialect, seconds=0.3) as client:
        await client.installed()  # so that the connection is open before the time runs
        with pytest.raises(ServiceTimedOut, match=r"did not answer in time.*may be too large for that machine"):
            await client.answer(PICTURE, QUESTIONS)
    assert gate.reached.is_set()
    assert [method for method, _ in fake.requests] == ["GET", "POST"]


async def test_a_cancelled_question_ends_its_request(fake: FakeVision, client: LLMClient) -> None:
    gate = fake.hold()
    asking = asyncio.create_task(client.answer(PICTURE, QUESTIONS))
    await gate.reached.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert fake.asked == []


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, "<html>It works!</html>"),
        (200, {"status": "ok"}),
        (200, {"choices": []}),
        (200, [1]),
        (404, "404 page not found"),
    ],
)
async def test_another_server_at_that_address_is_recognised(
    fake: FakeVision, client: LLMClient, status: int, body: object
) -> None:
    fake.refuse(status, body)
    with pytest.raises(ServiceFailed, match=r"answers, but not as .* is (?:OLLAMA_HOST|OPENAI_BASE_URL) right\?"):
        await client.answer(PICTURE, QUESTIONS)


async def test_what_a_content_filter_holds_back_is_no_answer_and_says_why(fake: FakeVision) -> None:
    fake.end(message={"role": "assistant", "content": None, "refusal": "I can't help with that."})
    async with client_of(fake, "openai") as client:
        answers = await client.answer(PICTURE, QUESTIONS[:2])
    assert answers == ("cannot tell: I can't help with that.",) * 2


SCHEMA = {
    "type": "object",
    "properties": {"style": {"type": "string"}, "steps": {"type": ["integer", "null"]}},
    "required": ["style", "steps"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        (SCHEMA, True),
        (SCHEMA | {"required": ["style"]}, False),
        ({"type": "object", "properties": {}, "required": [], "additionalProperties": True}, False),
        ({"type": "array", "items": SCHEMA | {"additionalProperties": True}}, False),
        ({"type": "array", "items": {"type": "string", "maxLength": 9}}, False),
        ({"type": "array", "items": {"type": "string", "enum": ["default"]}}, True),
    ],
)
def test_a_schema_is_strict_where_openai_takes_it_so(schema: dict[str, object], strict: bool) -> None:
    assert is_strict(schema) is strict


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ("", "http://127.0.0.1:11434"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("0.0.0.0:8080", "http://127.0.0.1:8080"),
        (":8080", "http://127.0.0.1:8080"),
        ("gpu-box", "http://gpu-box:11434"),
        ("gpu-box:8080/", "http://gpu-box:8080"),
        ("[::]:11434", "http://[::1]:11434"),
        ("::1", "http://[::1]:11434"),
        ("http://host", "http://host"),
        ("https://user:word@host/ollama/", "https://user:word@host/ollama"),
        ("ollama.com", "https://ollama.com"),
    ],
)
def test_a_host_is_read_as_ollama_reads_it(written: str, url: str) -> None:
    assert ollama_url(written) == url


@pytest.mark.parametrize(
    "written",
    ["ftp://host", "http://", "http://host:99999", "http://host?x=1", "http://a:secret@:x", "http://[a:secret@b]"],
)
def test_an_address_that_is_none_is_refused_without_its_password(written: str) -> None:
    with pytest.raises(ValueError, match="OPENAI_BASE_URL is an address such as") as caught:
        LLMClient(written, MODEL, dialect="openai")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "near"),
    [
        ("http://127.0.0.1:11434", True),
        ("http://192.168.1.5:1234/v1", True),
        ("http://gpu-box:11434", True),
        ("http://localhost:1234/v1", True),
        ("https://api.openai.com/v1", False),
        ("https://8.8.8.8/v1", False),
    ],
)
def test_a_machine_of_our_own_is_asked_one_at_a_time(url: str, near: bool) -> None:
    assert is_near(url) is near
    assert LLMClient(url, MODEL, dialect="openai").at_once == (1 if near else 4)


async def test_a_password_in_the_address_opens_the_door_and_is_not_told(fake: FakeVision) -> None:
    address = fake.url.replace("//", "//user:secret@")
    async with LLMClient(address, MODEL, dialect="ollama") as client:
        await client.answer(PICTURE, QUESTIONS)
        assert fake.asked[0].headers["Authorization"].startswith("Basic ")
        fake.refuse(500, "broken")
        with pytest.raises(ServiceUnavailable) as caught:
            await client.answer(PICTURE, QUESTIONS)
    assert "secret" not in str(caught.value)
