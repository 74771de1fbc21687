"""Replies listened to as they are written, in Ollama's lines and in server-sent events, over a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients._llm.streams import MAX_ANSWER, EventLines, JsonLines, Lines, Overlong, Reader, Unreadable, Whole
from clients.llm_client import LLMClient
from tests.fake_llm import FakeLLM
from workflows.errors import RateLimited, ServiceFailed, ServiceTimedOut
from workflows.types import Message

Dialect = Literal["ollama", "openai"]
MODEL = "qwen3:4b"
TALK = [Message(role="user", content="a cat")]
TEXT = "Kočka 猫 🐈\u2028at dusk."
PIECES = ["Ko", "čka", " 猫 ", "🐈\u2028", "at dusk."]
SCHEMA = {"type": "object", "properties": {"prompt": {"type": "string"}}}


@pytest.fixture
async def fake() -> AsyncIterator[FakeLLM]:
    async with FakeLLM([MODEL]) as fake:
        yield fake


@pytest.fixture(params=["ollama", "openai"])
async def dialect(request: pytest.FixtureRequest) -> Dialect:
    return request.param


@pytest.fixture
async def client(fake: FakeLLM, dialect: Dialect) -> AsyncIterator[LLMClient]:
    async with client_of(fake, dialect) as client:
        yield client


def client_of(fake: FakeLLM, dialect: Dialect, **how: Any) -> LLMClient:
    url = fake.url if dialect == "ollama" else f"{fake.url}/v1"
    usual: dict[str, Any] = {"retry_seconds": (0, 0), "read_seconds": 10.0}
    return LLMClient(url, MODEL, dialect=dialect, **usual | how)


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"cut": 0},
        {"cut": 1},
        {"cut": 2},
        {"cut": 7},
        {"crlf": True, "cut": 1},
        {"crlf": True, "comments": True},
        {"comments": True, "cut": 3},
        {"thinking": "Hm, a cat."},
    ],
    ids=str,
)
async def test_a_reply_is_heard_piece_by_piece_however_it_is_cut(
    fake: FakeLLM, client: LLMClient, how: dict[str, Any]
) -> None:
    heard: list[str] = []
    fake.say(TEXT, pieces=PIECES, **how)
    assert await client.chat(TALK, None, heard.append) == TEXT
    assert heard == PIECES
    assert fake.asked[0].stream


async def test_thoughts_among_the_words_are_heard_but_are_not_in_the_reply(fake: FakeLLM, client: LLMClient) -> None:
    heard: list[str] = []
    fake.say("", pieces=["<thi", "nk>Hm.</think>", "A cat."])
    assert await client.chat(TALK, None, heard.append) == "A cat."
    assert heard == ["<thi", "nk>Hm.</think>", "A cat."]


async def test_pieces_are_heard_while_the_rest_is_still_being_written(fake: FakeLLM, client: LLMClient) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    fake.say("", pieces=["A cat", " at dusk"])
    gate = fake.hold(after=1)
    writing = asyncio.create_task(client.chat(TALK, None, heard.put_nowait))
    assert await heard.get() == "A cat"
    assert not writing.done()
    gate.go.set()
    assert await writing == "A cat at dusk"


async def test_what_is_asked_by_schema_is_streamed_by_schema(fake: FakeLLM) -> None:
    heard: list[str] = []
    async with client_of(fake, "ollama", keep_alive="5m") as client:
        reply = await client.chat(TALK, SCHEMA, heard.append)
    assert (reply, "".join(heard)) == ('{"prompt": "a cat, in soft evening light"}',) * 2
    body = fake.asked[0].body
    assert (body["stream"], body["format"], body["keep_alive"]) == (True, SCHEMA, "5m")


async def test_a_cancelled_reply_is_closed_at_once_and_the_server_stops_writing(
    fake: FakeLLM, client: LLMClient
) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    fake.hold(after=2)
    writing = asyncio.create_task(client.chat(TALK, None, heard.put_nowait))
    assert [await heard.get(), await heard.get()] == ["a", " cat,"]
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    await fake.asked[0].left.wait()
    assert (heard.empty(), fake.asked[0].replied.is_set()) == (True, False)
    assert await client.chat(TALK) == "a cat, in soft evening light"


async def test_a_listener_that_raises_ends_the_reply_with_its_own_error(fake: FakeLLM, client: LLMClient) -> None:
    for error in (ValueError("deaf"), TimeoutError("slow"), KeyError("gone")):

        def listener(_: str, error: Exception = error) -> None:
            raise error

        fake.hold(after=1)
        with pytest.raises(type(error)) as caught:
            await client.chat(TALK, None, listener)
        assert caught.value is error
        await fake.asked[-1].left.wait()
    assert len(fake.requests) == 3
    assert await client.chat(TALK) == "a cat, in soft evening light"


# Streams that end in no good way


@pytest.mark.parametrize("end", ["close", "cut"])
@pytest.mark.parametrize("cut", [None, 1])
async def test_a_reply_that_breaks_off_is_told_and_not_asked_for_again(
    fake: FakeLLM, client: LLMClient, end: str, cut: int | None
) -> None:
    heard: list[str] = []
    fake.say("A cat at", end=end, cut=cut)
    with pytest.raises(ServiceFailed, match=r": the reply of qwen3:4b broke off after 8 characters(?: \(.+\))?\.$"):
        await client.chat(TALK, None, heard.append)
    assert (heard, len(fake.requests)) == (["A", " cat", " at"], 1)


async def test_a_connection_that_breaks_before_the_first_piece_is_tried_again(fake: FakeLLM, client: LLMClient) -> None:
    heard: list[str] = []
    fake.say("", end="cut", thinking="Hm.")
    fake.say("A cat.")
    assert await client.chat(TALK, None, heard.append) == "A cat."
    assert ("".join(heard), len(fake.requests)) == ("A cat.", 2)


async def test_an_error_in_mid_stream_is_told_in_the_servers_words(fake: FakeLLM, client: LLMClient) -> None:
    heard: list[str] = []
    for text in ("A cat", ""):
        fake.say(text, end="error", error="llama runner process has terminated: CUDA error")
        with pytest.raises(ServiceFailed, match=r": llama runner process has terminated: CUDA error\.$"):
            await client.chat(TALK, None, heard.append)
    assert (heard, len(fake.requests)) == (["A", " cat"], 2)


async def test_an_error_field_of_events_is_an_error(fake: FakeLLM) -> None:
    async with client_of(fake, "openai") as client:
        for said in ('{"code":500,"message":"context shift failed"}', "context shift failed"):
            fake.say("A cat", end="close", extra=f"error: {said}\n\n".encode())
            with pytest.raises(ServiceFailed, match=r": context shift failed\.$"):
                await client.chat(TALK, None, print)


@pytest.mark.parametrize(
    "extra", [b"data: <html>\n\n", b'data: {"a": \n\n', b"data: \xff\xfe\n\n", b'data: {"model": "qw', b'{"model": "qw']
)
async def test_a_stream_that_turns_to_something_else_broke_off(fake: FakeLLM, client: LLMClient, extra: bytes) -> None:
    fake.say("A cat", extra=extra, end="close")
    with pytest.raises(ServiceFailed, match="broke off after 5 characters"):
        await client.chat(TALK, None, print)


@pytest.mark.parametrize(("end", "extra"), [("hang", b""), ("hum", b": alive\n\n")])
async def test_a_stream_that_falls_silent_is_given_up_and_so_is_one_that_only_hums(
    fake: FakeLLM, dialect: Dialect, end: str, extra: bytes
) -> None:
    fake.say("A cat", end=end, extra=extra.strip(b": alive") if dialect == "ollama" else extra)
    async with client_of(fake, dialect, read_seconds=0.3) as client:
        await client.installed()  # so that the connection is open before the time runs
        with pytest.raises(ServiceTimedOut, match=r"did not answer in time.*may be too large for that machine"):
            await client.chat(TALK, None, print)
        await fake.asked[0].left.wait()
    assert len(fake.asked) == 1


async def test_a_stream_that_thinks_without_end_is_given_up_in_the_end(fake: FakeLLM, dialect: Dialect) -> None:
    rows = {
        "ollama": b'{"message":{"role":"assistant","content":"","thinking":"hm"},"done":false}\n',
        "openai": b'data: {"choices":[{"index":0,"delta":{"reasoning_content":"hm"}}]}\n\n',
    }
    fake.say("A cat", end="hum", extra=rows[dialect])
    async with client_of(fake, dialect, read_seconds=60.0, overall_seconds=0.3) as client:
        await client.installed()  # so that the connection is open before the time runs
        with pytest.raises(ServiceTimedOut, match="did not answer in time"):
            await client.chat(TALK, None, print)
        await fake.asked[0].left.wait()


async def test_a_streamed_reply_without_end_is_closed(fake: FakeLLM, client: LLMClient) -> None:
    fake.say("", pieces=["word " * 20_000] * 3, end="hang")
    with pytest.raises(ServiceFailed, match=r"qwen3:4b does not stop: more than 200,000 characters\."):
        await client.chat(TALK, None, lambda _: None)
    await fake.asked[0].left.wait()
    fake.say("", pieces=["x" * (MAX_ANSWER + 1)], end="hang")
    with pytest.raises(ServiceFailed, match="does not stop"):
        await client.chat(TALK, None, lambda _: None)


async def test_a_streamed_reply_that_reached_its_length_is_no_whole_one(fake: FakeLLM, client: LLMClient) -> None:
    heard: list[str] = []
    fake.say("A cat an", finish="length")
    with pytest.raises(ServiceFailed, match="reached the length that it may write, and its reply broke off"):
        await client.chat(TALK, None, heard.append)
    assert "".join(heard) == "A cat an"


async def test_errors_before_a_stream_are_the_same_as_without_one(fake: FakeLLM, client: LLMClient) -> None:
    fake.refuse(503, {"error": "busy"})
    fake.refuse(429, {"error": "slow down"}, {"Retry-After": "30"})
    with pytest.raises(RateLimited, match="in 30 s"):
        await client.chat(TALK, None, print)
    assert len(fake.requests) == 2


# Servers with ways of their own


async def test_an_endpoint_that_answers_at_once_is_heard_at_once(fake: FakeLLM) -> None:
    heard: list[str] = []
    fake.refuse(200, {"choices": [{"message": {"content": "A cat."}, "finish_reason": "stop"}]})
    async with client_of(fake, "openai") as client:
        assert await client.chat(TALK, None, heard.append) == "A cat."
    assert heard == ["A cat."]


@pytest.mark.parametrize(
    "stream",
    [
        'data:{"choices":[{"delta":{"content":"A cat."}}]}\n\ndata:[DONE]\n\n',
        'data: {"choices":[{"delta":{"content":"A cat."}}]}\n\ndata: {"choices":[{"finish_reason":"stop"}]}\n\n',
        'data: {"choices":[{"delta":{"content":"A cat."},"finish_reason":"stop"}]}',
        '\ufeffevent: m\nid: 1\ndata: {"choices":\ndata: [{"delta":{"content":"A cat."}}]}\n\ndata: [DONE]',
        'data: {"choices":[],"usage":null}\n\ndata: {"choices":[{"delta":{"content":[{"type":"thinking"},'
        '{"type":"text","text":"A cat."}]}}]}\n\ndata: [DONE]\n\n',
    ],
)
async def test_events_are_read_as_servers_write_them(fake: FakeLLM, stream: str) -> None:
    fake.refuse(200, stream)
    heard: list[str] = []
    async with client_of(fake, "openai") as client:
        assert await client.chat(TALK, None, heard.append) == "A cat."
    assert heard == ["A cat."]


async def test_a_last_line_needs_no_end(fake: FakeLLM) -> None:
    fake.refuse(200, '{"message":{"content":"A "},"done":false}\r\n\r\n{"message":{"content":"cat."},"done":true}')
    async with client_of(fake, "ollama") as client:
        assert await client.chat(TALK, None, print) == "A cat."


# The readers alone


@given(st.lists(st.text(), max_size=8), st.lists(st.integers(0, 60), max_size=12))
def test_lines_are_the_same_however_their_bytes_are_cut(texts: list[str], cuts: list[int]) -> None:
    lines = [text.replace("\n", " ").replace("\r", " ").removeprefix("\ufeff") for text in texts]
    whole = "".join(f"{line}\n" for line in lines).encode()
    places = sorted({0, len(whole), *(cut for cut in cuts if cut < len(whole))})
    reader = Lines()
    found = [line for start, end in pairwise(places) for line in reader.feed(whole[start:end])]
    assert [*found, *reader.end()] == lines


@pytest.mark.parametrize("reader", [Whole(), JsonLines(), EventLines()])
def test_what_has_no_end_is_not_kept(reader: Reader) -> None:
    with pytest.raises(Overlong):
        for _ in range(MAX_ANSWER // 1000 + 1):
            reader.feed(b"x" * 1000)


def test_an_event_without_end_is_not_kept() -> None:
    reader = EventLines()
    with pytest.raises(Overlong):
        for _ in range(MAX_ANSWER // 1000 + 1):
            reader.feed(b"data: " + b"x" * 999 + b"\n")


@pytest.mark.parametrize("reader", [Whole(), JsonLines(), EventLines()])
def test_bytes_that_are_no_text_are_told(reader: Reader) -> None:
    with pytest.raises(Unreadable):
        reader.feed(b"\xff\xff\n")
        reader.end()
