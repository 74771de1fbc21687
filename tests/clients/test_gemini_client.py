"""Gemini through google-genai itself, against a double on a real socket."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator

import pytest

from clients.gemini_client import GeminiClient
from tests.fake_vision import KEY, SEES, FakeVision, gemini_error
from tests.fakes import png
from workflows.errors import (
    AccessDenied,
    ExtraMissing,
    ModelMissing,
    RateLimited,
    ServiceFailed,
    ServiceTimedOut,
    ServiceUnavailable,
)
from workflows.ports import TextModel
from workflows.types import Media

MODEL = "gemini-3-flash"
PICTURE = Media(data=png(64, 48), media_type="image/png")
QUESTIONS = ("How many stars are in the picture?", "Is the star red?")
ANSWERS = ("2", "no, blue")
ENDINGS: list[tuple[dict[str, object], str]] = [
    ({"candidates": [], "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}, "blocked .+PROHIBITED_CONTENT"),
    ({"candidates": []}, "gave no reply"),
    ({"candidates": [{"finishReason": "SAFETY"}]}, "SAFETY"),
    ({"candidates": [{"finishReason": "SOMETHING_NEW"}]}, "SOMETHING_NEW"),
    ({"candidates": [{"content": {"role": "model"}, "finishReason": "STOP"}]}, "empty reply"),
    ({"candidates": [{"content": {}, "finishReason": "MAX_TOKENS"}]}, "empty reply"),
]


@pytest.fixture
async def fake() -> AsyncIterator[FakeVision]:
    seen = {"How many stars": "2", "star red": "no, blue"}
    async with FakeVision(sees=seen, models={MODEL: {SEES}}, key=KEY) as fake:
        yield fake


@pytest.fixture
async def client(fake: FakeVision) -> AsyncIterator[GeminiClient]:
    async with GeminiClient(MODEL, api_key=KEY, base_url=fake.url, read_seconds=10) as client:
        yield client


async def test_all_questions_are_answered_in_one_call_by_a_schema(fake: FakeVision, client: GeminiClient) -> None:
    assert await client.answer(PICTURE, QUESTIONS) == ANSWERS
    [asked] = fake.asked
    assert (asked.questions, asked.picture) == (QUESTIONS, (64, 48))
    assert asked.body["generationConfig"]["temperature"] == 0
    assert list(asked.body["generationConfig"]["responseJsonSchema"]["properties"]) == ["q1", "q2"]


async def test_no_question_is_no_call(fake: FakeVision, client: GeminiClient) -> None:
    assert await client.answer(PICTURE, ()) == ()
    assert fake.requests == []


async def test_a_large_picture_is_sent_small(fake: FakeVision, client: GeminiClient) -> None:
    await client.answer(Media(data=png(2048, 1024), media_type="image/png"), QUESTIONS)
    assert fake.asked[0].picture == (1024, 512)


async def test_a_picture_is_described(fake: FakeVision, client: GeminiClient) -> None:
    assert await client.describe(PICTURE) == "A red square."


async def test_thoughts_are_no_answer(fake: FakeVision, client: GeminiClient) -> None:
    parts = [{"text": '{"q1": "9"}', "thought": True}, {"text": '{"q1": "2", "q2": "no"}'}]
    fake.end(candidates=[{"content": {"parts": parts, "role": "model"}, "finishReason": "STOP"}])
    assert await client.answer(PICTURE, QUESTIONS) == ("2", "no")


@pytest.mark.parametrize(("ending", "why"), ENDINGS)
@pytest.mark.filterwarnings("ignore:SOMETHING_NEW is not a valid")
async def test_what_gemini_will_not_look_at_cannot_be_told_and_says_why(
    fake: FakeVision, client: GeminiClient, ending: dict[str, object], why: str
) -> None:
    fake.end(**ending)
    first, second = await client.answer(PICTURE, QUESTIONS)
    assert first == second
    assert first.startswith("cannot tell: Gemini ")
    fake.end(**ending)
    with pytest.raises(ServiceFailed, match=why):
        await client.describe(PICTURE)


async def test_without_google_genai_the_extra_is_named(client: GeminiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "google.genai", None)
    with pytest.raises(ExtraMissing, match=r"gemini-3-flash needs the extra 'gemini': pip install"):
        await client.answer(PICTURE, QUESTIONS)


async def test_without_a_key_nobody_is_asked(fake: FakeVision) -> None:
    async with GeminiClient(MODEL, api_key=None, base_url=fake.url) as client:
        with pytest.raises(AccessDenied, match="Set GEMINI_API_KEY") as caught:
            await client.answer(PICTURE, QUESTIONS)
    assert caught.value.setting == "GEMINI_API_KEY"
    assert fake.requests == []


async def test_a_wrong_key_names_its_setting_but_not_itself(fake: FakeVision) -> None:
    async with GeminiClient(MODEL, api_key="sk-wrong", base_url=fake.url) as client:
        with pytest.raises(AccessDenied, match="GEMINI_API_KEY") as caught:
            await client.answer(PICTURE, QUESTIONS)
    assert "sk-wrong" not in str(caught.value)


async def test_another_400_is_not_the_keys_fault(fake: FakeVision, client: GeminiClient) -> None:
    fake.refuse(400, gemini_error(400, "INVALID_ARGUMENT", "Unable to process input image."))
    with pytest.raises(ServiceFailed, match="answered 400: Unable to process input image"):
        await client.answer(PICTURE, QUESTIONS)


async def test_a_spent_quota_says_when_to_come_back_and_is_not_asked_again(
    fake: FakeVision, client: GeminiClient
) -> None:
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "17s"}
    fake.refuse(429, gemini_error(429, "RESOURCE_EXHAUSTED", "Quota exceeded.", info))
    with pytest.raises(RateLimited, match="in 17 s") as caught:
        await client.answer(PICTURE, QUESTIONS)
    assert caught.value.retry_after == 17
    assert len(fake.requests) == 1


async def test_a_model_that_does_not_exist_names_the_setting(fake: FakeVision) -> None:
    async with GeminiClient("gemini-9", api_key=KEY, base_url=fake.url) as client:
        with pytest.raises(ModelMissing, match=r"has no model 'gemini-9' .+ATELIER_VISION_MODEL"):
            await client.answer(PICTURE, QUESTIONS)


@pytest.mark.parametrize("body", [gemini_error(503, "UNAVAILABLE", "The model is overloaded."), "<html>503</html>"])
async def test_a_server_error_is_told(fake: FakeVision, client: GeminiClient, body: object) -> None:
    fake.refuse(503, body)
    with pytest.raises(ServiceFailed, match="answered 503"):
        await client.answer(PICTURE, QUESTIONS)


async def test_an_answer_that_is_no_json_is_a_service_that_does_not_work(
    fake: FakeVision, client: GeminiClient
) -> None:
    fake.refuse(200, "<html>Log in</html>")
    with pytest.raises(ServiceFailed, match="could not be read"):
        await client.answer(PICTURE, QUESTIONS)


async def test_a_network_that_is_down_is_told_and_comes_back(fake: FakeVision, client: GeminiClient) -> None:
    await fake.stop()
    with pytest.raises(ServiceUnavailable, match="could not be reached"):
        await client.answer(PICTURE, QUESTIONS)
    await fake.start()
    assert await client.answer(PICTURE, QUESTIONS) == ANSWERS


async def test_a_reply_that_takes_too_long_is_given_up(fake: FakeVision) -> None:
    gate = fake.hold()
    async with GeminiClient(MODEL, api_key=KEY, base_url=fake.url, read_seconds=0.2) as client:
        with pytest.raises(ServiceTimedOut, match="did not answer in time"):
            await client.answer(PICTURE, QUESTIONS)
    assert gate.reached.is_set()


async def test_several_questions_wait_for_one_opening(fake: FakeVision, client: GeminiClient) -> None:
    assert await asyncio.gather(*[client.answer(PICTURE, QUESTIONS) for _ in range(3)]) == [ANSWERS] * 3


async def test_the_environment_does_not_send_pictures_elsewhere(
    fake: FakeVision, client: GeminiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_GENAI_USE_VERTEXAI", "true")
    monkeypatch.setenv("GOOGLE_API_KEY", "sk-other")
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "other")
    assert await client.answer(PICTURE, QUESTIONS) == ANSWERS
    assert fake.asked[0].headers["x-goog-api-key"] == KEY


async def test_words_are_completed_by_a_schema_and_without_a_picture(fake: FakeVision, client: GeminiClient) -> None:
    model: TextModel = client
    schema: dict[str, object] = {"type": "object", "properties": {"style": {"type": "string"}}, "required": ["style"]}
    fake.say('{"style": "anime"}')
    assert await model.complete("Read it", schema) == '{"style": "anime"}'
    [asked] = fake.asked
    assert (asked.picture, asked.body["contents"][0]["parts"]) == ((0, 0), [{"text": "Read it"}])
    assert asked.body["generationConfig"]["responseJsonSchema"] == schema


@pytest.mark.parametrize(("ending", "why"), ENDINGS)
@pytest.mark.filterwarnings("ignore:SOMETHING_NEW is not a valid")
async def test_words_that_gemini_will_not_answer_say_why(
    fake: FakeVision, client: GeminiClient, ending: dict[str, object], why: str
) -> None:
    fake.end(**ending)
    with pytest.raises(ServiceFailed, match=f"gave no reply. .*{why}"):
        await client.complete("Read it")


async def test_a_missing_model_for_words_names_its_own_setting(fake: FakeVision) -> None:
    async with GeminiClient("gemini-9", api_key=KEY, base_url=fake.url) as client:
        with pytest.raises(ModelMissing, match=r"has no model 'gemini-9' .+ Set OLLAMA_MODEL"):
            await client.complete("Read it")
