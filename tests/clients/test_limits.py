"""Gates before services: rate, retries, breaker, budget, and the record of every call."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from clients import _usage
from clients._fal.queue import Queue
from clients.fal_client import FalEngine
from clients.gemini_client import GeminiClient
from clients.limits import RULES, Gate, Limits, Rules, limited_chat, limited_engine, limited_vision
from clients.prices import Price, Prices
from tests.fake_fal import KEY, FakeFal, Work, drawing
from tests.fake_gemini import KEY as GEMINI_KEY
from tests.fake_gemini import FakeGemini, gemini_error
from workflows.errors import (
    AccessDenied,
    BudgetSpent,
    RateLimited,
    Refused,
    RenderFailed,
    ServiceFailed,
    ServiceTimedOut,
    ServiceUnavailable,
)
from workflows.ports import ChatModel, Engine, VisionModel
from workflows.spending import Account, Budget, spending
from workflows.types import Call, Media, Message, Recipe, Ticket

AT_ONCE = Rules(per_minute=60_000, at_once=4, first_wait=0, most_wait=0)
FOX = Recipe(prompt="a fox", width=1000, height=1000, steps=4, cfg=1.0, seed=5, engine="fal")
TICKET = Ticket(id="0b7e1c1e-0000-4000-8000-000000000001")
PICTURE = Media(data=drawing(64, 64), media_type="image/png")
DOWN = ServiceFailed("It is down.")


@dataclass
class Book:
    """The Calls port, in memory."""

    calls: list[Call] = field(default_factory=list[Call])

    def record(self, call: Call) -> None:
        self.calls.append(call)


@dataclass
class Service:
    """Answers as planned: an error is raised, "ok" otherwise."""

    plan: list[Exception]
    tries: int = 0

    async def work(self, number: int) -> str:
        self.tries += 1
        assert number >= 1
        if self.plan:
            raise self.plan.pop(0)
        _usage.note({"images": 1.0})
        return "ok"


@pytest.fixture
def book() -> Book:
    return Book()


def gate_of(book: Book, rules: Rules = AT_ONCE, prices: Mapping[str, Price] | None = None) -> Gate:
    return Limits(Prices(prices or {}), book, {"fal": rules}).gate("fal")


@pytest.fixture
def waits() -> Iterator[list[float]]:
    """What is waited before each further try, as the log has it."""
    heard = Heard(logging.INFO)
    calls = logging.getLogger("atelier.calls")
    before = calls.level
    calls.addHandler(heard)
    calls.setLevel(logging.INFO)
    yield heard.waits
    calls.removeHandler(heard)
    calls.setLevel(before)


class Heard(logging.Handler):
    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.waits: list[float] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.msg.startswith("asked again") and isinstance(record.args, tuple):
            self.waits.append(cast("float", record.args[0]))


async def test_what_may_pass_is_tried_again_and_written_down_once(book: Book) -> None:
    service = Service([DOWN, DOWN])
    assert await gate_of(book).call("render", "m", {}, service.work) == "ok"
    [call] = book.calls
    assert call == call.but(service="fal", operation="render", model="m", status="ok", tries=3, units={"images": 1.0})
    assert call.seconds >= 0 and service.tries == 3


async def test_a_further_try_prints_nothing_for_stdout_belongs_to_the_answers(
    book: Book, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await gate_of(book).call("render", "m", {}, Service([DOWN]).work) == "ok"
    assert capsys.readouterr() == ("", "")


async def test_it_gives_up_after_its_tries(book: Book) -> None:
    service = Service([DOWN] * 9)
    with pytest.raises(ServiceFailed):
        await gate_of(book).call("render", "m", {}, service.work)
    assert service.tries == 3
    assert [(call.status, call.code, call.error, call.tries) for call in book.calls] == [
        ("failed", "service_failed", "It is down.", 3)
    ]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (AccessDenied("No.", "FAL_KEY"), "failed"),
        (Refused("No."), "refused"),
        (RenderFailed("It broke."), "failed"),
        (ServiceTimedOut("Late."), "failed"),
        (RateLimited("Slow down.", retry_after=100), "failed"),
    ],
)
async def test_what_does_not_pass_is_not_tried_again(book: Book, error: Exception, status: str) -> None:
    service = Service([error])
    with pytest.raises(type(error)):
        await gate_of(book).call("render", "m", {}, service.work)
    assert service.tries == 1
    assert [call.status for call in book.calls] == [status]


async def test_a_rate_limits_own_wait_is_kept(book: Book, waits: list[float]) -> None:
    service = Service([RateLimited("Slow down.", retry_after=0.02), RateLimited("Slow down.")])
    rules = Rules(per_minute=60_000, at_once=1, first_wait=0, most_wait=1)
    await gate_of(book, rules).call("render", "m", {}, service.work)
    assert waits == [0.02, 0]


async def test_waits_grow_and_stay_bounded(book: Book, waits: list[float]) -> None:
    rules = Rules(per_minute=60_000, at_once=1, tries=7, first_wait=0.001, most_wait=0.004, failures=99)
    await gate_of(book, rules).call("render", "m", {}, Service([DOWN] * 6).work)
    floor = [0.001, 0.002, 0.004, 0.004, 0.004, 0.004]
    assert all(0.999 * least <= wait <= 0.005 for least, wait in zip(floor, waits, strict=True)), waits


# ------------------------------------------------------------------ the breaker


async def failed(gate: Gate, times: int) -> None:
    for _ in range(times):
        with pytest.raises(ServiceUnavailable):
            await gate.call("render", "m", {}, Service([DOWN]).work)


async def test_a_service_that_fails_again_and_again_is_left_alone(book: Book) -> None:
    gate = gate_of(book, Rules(per_minute=60_000, at_once=1, tries=1, failures=3, pause=60))
    await failed(gate, 3)
    service = Service([])
    with pytest.raises(ServiceUnavailable, match=r"failed 3 times in a row.+tried again in (59|60) s"):
        await gate.call("render", "m", {}, service.work)
    assert service.tries == 0
    assert len(book.calls) == 3


async def test_after_the_pause_one_success_closes_the_breaker(book: Book) -> None:
    gate = gate_of(book, Rules(per_minute=60_000, at_once=1, tries=1, failures=2, pause=0.0))
    await failed(gate, 2)
    assert await gate.call("render", "m", {}, Service([]).work) == "ok"
    await failed(gate, 1)
    assert await gate.call("render", "m", {}, Service([]).work) == "ok"


async def test_refusals_and_rate_limits_are_no_failures(book: Book) -> None:
    gate = gate_of(book, Rules(per_minute=60_000, at_once=1, tries=1, failures=2, pause=60))
    for error in (Refused("No."), RateLimited("Slow."), RenderFailed("It broke."), AccessDenied("No.", "FAL_KEY")):
        with pytest.raises(type(error)):
            await gate.call("render", "m", {}, Service([error]).work)
    assert await gate.call("render", "m", {}, Service([]).work) == "ok"


async def test_no_more_than_allowed_are_asked_at_once(book: Book) -> None:
    gate = gate_of(book, Rules(per_minute=60_000, at_once=2))
    busy, most, full, go = 0, 0, asyncio.Event(), asyncio.Event()

    async def work(number: int) -> None:
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        if busy == 2:
            full.set()
        await go.wait()
        busy -= 1

    calls = [asyncio.create_task(gate.call("render", "m", {}, work)) for _ in range(6)]
    await full.wait()
    go.set()
    await asyncio.gather(*calls)
    assert most == 2


def test_every_service_that_we_ask_has_rules() -> None:
    assert set(RULES) == {"fal", "gemini", "ollama", "openai", "comfyui"}
    limits = Limits(Prices({}))
    assert limits.gate("fal") is limits.gate("fal")
    assert limits.gate("another").rules.at_once >= 1


# ------------------------------------------------------------------ budgets

IMAGE = {"fal": Price(per="image", usd=0.10)}


async def test_a_budget_stops_before_it_is_passed(book: Book) -> None:
    gate, budget = gate_of(book, prices=IMAGE), Budget(max_cost=0.25)
    with spending(Account(run_id="r", brief_id="b", job_id="j", budget=budget)):
        for _ in range(2):
            await gate.call("render", "m", {"images": 1.0}, Service([]).work)
        service = Service([])
        with pytest.raises(BudgetSpent, match=r"render by fal m costs about \$0\.1"):
            await gate.call("render", "m", {"images": 1.0}, service.work)
    assert service.tries == 0
    assert (budget.calls, budget.cost) == (2, pytest.approx(0.2))
    assert [(call.cost, call.run_id, call.brief_id, call.job_id) for call in book.calls] == [(0.1, "r", "b", "j")] * 2


async def test_calls_at_the_same_time_cannot_pass_it_together(book: Book) -> None:
    gate, budget = gate_of(book, prices=IMAGE), Budget(max_cost=0.35)
    with spending(Account(budget=budget)):
        ends = await asyncio.gather(
            *(gate.call("render", "m", {"images": 1.0}, Service([]).work) for _ in range(6)), return_exceptions=True
        )
    assert sum(end == "ok" for end in ends) == 3
    assert budget.cost == pytest.approx(0.3)


async def test_every_try_counts_as_a_call_and_a_failed_one_costs_nothing(book: Book) -> None:
    gate, budget = gate_of(book, prices=IMAGE), Budget(max_cost=1, max_calls=3)
    with spending(Account(budget=budget)):
        await gate.call("render", "m", {"images": 1.0}, Service([DOWN, DOWN]).work)
        with pytest.raises(BudgetSpent, match="would be call 4"):
            await gate.call("render", "m", {"images": 1.0}, Service([]).work)
    assert (budget.calls, budget.cost) == (3, pytest.approx(0.1))


async def test_what_was_used_counts_and_not_what_was_expected(book: Book) -> None:
    gate, budget = gate_of(book, prices=IMAGE), Budget(max_cost=1)
    with spending(Account(budget=budget)):
        await gate.call("render", "m", {"images": 5.0}, Service([]).work)
    assert budget.cost == pytest.approx(0.1)


async def test_an_unknown_price_is_asked_for_once_money_is_bounded(book: Book) -> None:
    asked: list[str] = []

    async def ask(model: str) -> tuple[str, float] | None:
        asked.append(model)
        return ("images", 0.5) if model == "m" else None

    gate = Limits(Prices({}), book, {"fal": AT_ONCE}).gate("fal", ask)
    await gate.call("render", "m", {"images": 1.0}, Service([]).work)
    assert asked == []
    with spending(Account(budget=Budget(max_cost=1))):
        await gate.call("render", "m", {"images": 1.0}, Service([]).work)
        await gate.call("render", "m", {"images": 1.0}, Service([]).work)
        with pytest.raises(BudgetSpent, match=r"Nobody knows what render by fal x costs.+ATELIER_PRICES"):
            await gate.call("render", "x", {"images": 1.0}, Service([]).work)
    assert asked == ["m", "x"]
    assert [call.cost for call in book.calls] == [None, 0.5, 0.5]


async def test_a_stop_is_written_down_and_stays_reserved(book: Book) -> None:
    gate, budget, begun = gate_of(book, prices=IMAGE), Budget(max_cost=1), asyncio.Event()

    async def work(number: int) -> None:
        begun.set()
        await asyncio.Event().wait()

    with spending(Account(budget=budget)):
        task = asyncio.create_task(gate.call("render", "m", {"images": 1.0}, work))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert [(call.status, call.tries) for call in book.calls] == [("cancelled", 1)]
    assert budget.cost == pytest.approx(0.1)


# ------------------------------------------------------------------ the ports, over real SDKs and sockets


@pytest.fixture
async def fal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[FakeFal]:
    async with FakeFal() as fake:
        fake.environment(monkeypatch, tmp_path)
        yield fake


async def test_a_render_that_broke_off_is_taken_up_and_not_paid_twice(fal: FakeFal, tmp_path: Path, book: Book) -> None:
    fal.plan(Work(content=drawing(100, 100), fails=None, queue=(0,)))
    prices = {"fal:fal-ai/fast-lightning-sdxl": Price(per="image", usd=0.01)}
    async with FalEngine(api_key=KEY, home=tmp_path, queue=Queue(KEY, poll_seconds=0)) as real:
        engine: Engine = limited_engine(real, gate_of(book, prices=prices))
        began: list[str] = []

        def hear(step: Any) -> None:
            if step.ahead is not None and not began:
                began.append("waits")
                fal.refuse(503, {"detail": "No runner"})

        assert await engine.refusal(FOX) is None
        budget = Budget(max_cost=1)
        with spending(Account(run_id="r", budget=budget)):
            [artifact] = await engine.render(FOX, {}, hear, TICKET)
    assert artifact.width == 100
    assert len(fal.requests) == 1
    [call] = book.calls
    assert (call.operation, call.model, call.status, call.tries, call.cost, call.run_id) == (
        "render",
        "fal-ai/fast-lightning-sdxl",
        "ok",
        2,
        0.01,
        "r",
    )
    assert call.units["inference_seconds"] == 0.42
    assert budget.cost == pytest.approx(0.01)


async def test_a_rate_limit_of_fal_is_waited_for(fal: FakeFal, tmp_path: Path, book: Book) -> None:
    fal.refuse(429, {"detail": "Slow down"}, {"Retry-After": "0"}, times=2)
    async with FalEngine(api_key=KEY, home=tmp_path, queue=Queue(KEY, poll_seconds=0)) as real:
        await limited_engine(real, gate_of(book)).render(FOX.but(width=64, height=64), {}, lambda _: None, TICKET)
    assert [call.tries for call in book.calls] == [3]


@pytest.fixture
async def gemini() -> AsyncIterator[FakeGemini]:
    async with FakeGemini() as fake:
        yield fake


def gemini_gate(book: Book) -> Gate:
    prices = {"gemini": Price(per="million_tokens", usd=1_000, usd_out=10_000)}
    return Limits(Prices(prices), book, {"gemini": AT_ONCE}).gate("gemini")


OVERLOADED = gemini_error(503, "UNAVAILABLE", "The model is overloaded.")


async def test_words_and_eyes_go_through_the_gate_and_are_tried_again_there_alone(
    gemini: FakeGemini, book: Book
) -> None:
    async with GeminiClient("gemini-3-flash", api_key=GEMINI_KEY, base_url=gemini.url, retry_seconds=()) as client:
        chat: ChatModel = limited_chat(client, gemini_gate(book))
        eyes: VisionModel = limited_vision(client, gemini_gate(book))
        gemini.refuse(503, OVERLOADED)
        gemini.refuse(503, OVERLOADED)
        assert await chat.complete("a fox") == "A red fox."
        assert await chat.chat([Message(role="user", content="a fox")]) == "A red fox."
        assert await eyes.describe(PICTURE) == "A red fox."
        gemini.say("1. yes")
        assert len(await eyes.answer(PICTURE, ["Is it a fox?"])) == 1
        assert await eyes.answer(PICTURE, []) == ()
        assert await chat.installed() == ["gemini-3-flash", "gemini-3-pro"]
    assert [(call.operation, call.tries) for call in book.calls] == [
        ("complete", 3),
        ("chat", 1),
        ("describe", 1),
        ("answer", 1),
    ]
    cost = 12 * 0.001 + 7 * 0.01
    assert [call.cost for call in book.calls] == [pytest.approx(cost)] * 4
    assert (chat.name, eyes.name) == ("gemini-3-flash", "gemini-3-flash")


async def test_a_reply_that_was_heard_in_part_is_not_asked_for_again(gemini: FakeGemini, book: Book) -> None:
    heard: list[str] = []
    gemini.say("A red ", cut=True)
    async with GeminiClient("gemini-3-flash", api_key=GEMINI_KEY, base_url=gemini.url, retry_seconds=()) as client:
        chat = limited_chat(client, gemini_gate(book))
        with pytest.raises(ServiceUnavailable):
            await chat.chat([Message(role="user", content="a fox")], listener=heard.append)
    assert heard == ["A red "]
    assert [call.tries for call in book.calls] == [1]


async def test_what_gemini_will_not_say_is_not_asked_again(gemini: FakeGemini, book: Book) -> None:
    gemini.say(end="SAFETY")
    async with GeminiClient("gemini-3-flash", api_key=GEMINI_KEY, base_url=gemini.url, retry_seconds=()) as client:
        with pytest.raises(ServiceFailed, match="SAFETY"):
            await limited_chat(client, gemini_gate(book)).complete("a fox")
    assert [call.tries for call in book.calls] == [1]
