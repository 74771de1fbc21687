"""Limits: how often, how many at once and how stubbornly a service is asked; what each call used is written down.

The ports stay what they are: a wrapped engine is an Engine. What is behind a gate should not try again by itself.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from clients import _usage
from clients.prices import Prices
from workflows.errors import (
    RateLimited,
    Refused,
    ServiceError,
    ServiceTimedOut,
    ServiceUnavailable,
    StudioError,
)
from workflows.ports import ChatModel, Engine, Report, VisionModel
from workflows.spending import account
from workflows.types import (
    VIDEOS,
    Artifact,
    Call,
    EngineStatus,
    FamilyProfile,
    Media,
    Message,
    ModelInfo,
    Recipe,
    Ticket,
)

if TYPE_CHECKING:
    from aiolimiter import AsyncLimiter
    from purgatory import AsyncCircuitBreakerFactory

log = logging.getLogger("atelier.calls")

Answer = TypeVar("Answer")
Ask = Callable[[str], Awaitable[tuple[str, float] | None]]
"""A model's name to the unit and the price that its service names."""
Passes = Callable[[StudioError], bool]

CHARACTERS = 3.0
"""Of a prompt for one token, reckoned low so that a price is reckoned high."""
PICTURE_TOKENS = 1300.0
REPLY_TOKENS = 2000.0
FPS = 16.0


@dataclass(frozen=True, kw_only=True)
class Rules:
    """How a service is asked. Waits grow from `first_wait` by doubling, with chance in them; in seconds."""

    per_minute: float
    at_once: int
    tries: int = 3
    first_wait: float = 1.0
    most_wait: float = 60.0
    """A service that wants us to wait longer than that is not asked again."""
    failures: int = 5
    """Failures in a row after which it is left alone for `pause`."""
    pause: float = 60.0


RULES: Mapping[str, Rules] = {
    "fal": Rules(per_minute=120, at_once=4),
    "gemini": Rules(per_minute=60, at_once=4),
    "openai": Rules(per_minute=60, at_once=4, tries=1),  # its client knows best what may pass, and tries again itself
    "ollama": Rules(per_minute=600, at_once=8, tries=1, pause=20),  # the same; it keeps a queue of its own
    "comfyui": Rules(per_minute=600, at_once=16, tries=1, pause=20),
}
"""Well below what the services allow those who pay little; our judgement. What they really allow they say with 429."""
OTHER = Rules(per_minute=60, at_once=2)


class CallBook(Protocol):
    """What is needed of the Calls port here."""

    def record(self, call: Call) -> None: ...


class Limits:
    """The gates of all services, one each, for one event loop."""

    def __init__(self, prices: Prices, calls: CallBook | None = None, rules: Mapping[str, Rules] | None = None) -> None:
        self._prices = prices
        self._calls = calls
        self._rules = {**RULES, **(rules or {})}
        self._gates: dict[str, Gate] = {}

    def gate(self, service: str, ask: Ask | None = None) -> Gate:
        """The gate of a service. `ask`: who knows the price of a model that no list has."""
        if service not in self._gates:
            rules = self._rules.get(service, OTHER)
            self._gates[service] = Gate(service, rules, prices=self._prices, calls=self._calls)
        gate = self._gates[service]
        gate.ask = ask or gate.ask
        return gate


class Gate:
    """Lets calls to one service through: in turn, within the budget of the account, and not while it is down."""

    def __init__(self, service: str, rules: Rules, *, prices: Prices, calls: CallBook | None = None) -> None:
        self.service = service
        self.rules = rules
        self.ask: Ask | None = None
        self._prices = prices
        self._calls = calls
        self._places = asyncio.Semaphore(rules.at_once)
        self._pace: AsyncLimiter | None = None
        self._breakers: AsyncCircuitBreakerFactory | None = None

    async def call(
        self,
        operation: str,
        model: str,
        expected: Mapping[str, float],
        work: Callable[[int], Awaitable[Answer]],
        passes: Passes | None = None,
    ) -> Answer:
        """What `work` answers, which is called with the number of the try, from 1.

        `expected`: what it will probably use, for the budget. `passes`: which errors may be gone in a moment; those of
        a rate limit always may. Raises what `work` raises at last; BudgetSpent; ServiceUnavailable during a pause.
        """
        if self._pace is None:
            await asyncio.to_thread(_load)
        import stamina

        entry = _Entry(gate=self, operation=operation, model=model)

        def again(error: Exception) -> bool | float:
            return self._again(error, passes or may_pass)

        with _usage.counting() as entry.usage:
            try:
                async for attempt in stamina.retry_context(
                    on=again,
                    attempts=self.rules.tries,
                    timeout=None,
                    wait_initial=self.rules.first_wait,
                    wait_max=self.rules.most_wait,
                    wait_jitter=self.rules.first_wait,
                ):
                    with attempt:
                        return await self._tried(entry, expected, work)
            except BaseException as error:
                self._record(entry, error)
                raise
            finally:
                if entry.done:
                    self._record(entry, None)
        raise AssertionError("the last try answers or raises")

    def cost(self, model: str, units: Mapping[str, float]) -> float | None:
        return self._prices.of(self.service, model, units)

    async def _tried(
        self, entry: _Entry, expected: Mapping[str, float], work: Callable[[int], Awaitable[Answer]]
    ) -> Answer:
        """One try: admitted, timed, paid."""
        from purgatory.domain.model import OpenedState

        pace, breakers = self._opened()
        breaker = await breakers.get_breaker(self.service)
        async with self._places, pace:
            try:
                async with breaker:
                    answer = await self._paid(entry, expected, work)
            except OpenedState as open_state:
                left = max(0.0, open_state.opened_at + self.rules.pause - time.time())
                raise _Paused(
                    f"{self.service} failed {self.rules.failures} times in a row and is left alone for now. It is "
                    f"tried again in {left:.0f} s."
                ) from None
        entry.done = True
        return answer

    async def _paid(
        self, entry: _Entry, expected: Mapping[str, float], work: Callable[[int], Awaitable[Answer]]
    ) -> Answer:
        budget = account().budget
        price = await self._price(entry.model, expected, asking=budget is not None and budget.max_cost is not None)
        reserved = budget.reserve(f"{entry.operation} by {self.service} {entry.model}".strip(), price) if budget else 0
        entry.tries += 1
        try:
            answer = await work(entry.tries)
        except ServiceError:
            if budget is not None:
                budget.settle(reserved, 0.0)
            raise
        entry.cost = entry.known_cost(price)
        if budget is not None:
            budget.settle(reserved, entry.cost)
        return answer

    async def _price(self, model: str, expected: Mapping[str, float], *, asking: bool) -> float | None:
        if asking and self.ask is not None and not self._prices.known(self.service, model):
            told = await self.ask(model)
            if told is not None:
                self._prices.learn(self.service, model, *told)
        return self.cost(model, expected)

    def _again(self, error: Exception, passes: Passes) -> bool | float:
        """Whether to try again, and in how many seconds where the service says so."""
        if isinstance(error, RateLimited):
            if error.retry_after is None:
                return True
            return float(error.retry_after) if error.retry_after <= self.rules.most_wait else False
        return isinstance(error, StudioError) and not isinstance(error, _Paused) and passes(error)

    def _opened(self) -> tuple[AsyncLimiter, AsyncCircuitBreakerFactory]:
        if self._pace is None or self._breakers is None:
            from aiolimiter import AsyncLimiter
            from purgatory import AsyncCircuitBreakerFactory

            self._pace = AsyncLimiter(self.rules.per_minute, 60)
            self._breakers = AsyncCircuitBreakerFactory(
                default_threshold=self.rules.failures,
                default_ttl=self.rules.pause,
                exclude=[(BaseException, _is_no_failure)],
            )
        return self._pace, self._breakers

    def _record(self, entry: _Entry, error: BaseException | None) -> None:
        if not entry.tries:
            return
        call = entry.call(error)
        names = ("service", "operation", "model", "status", "code", "error", "seconds", "tries", "cost", "units")
        log.info("called %s", self.service, extra={name: getattr(call, name) for name in names})
        if self._calls is not None:
            self._calls.record(call)


def _load() -> None:
    """Import what gates are made of: on a thread, for the first import reads files."""
    import aiolimiter  # noqa: F401  # pyright: ignore[reportUnusedImport]
    import purgatory  # noqa: F401  # pyright: ignore[reportUnusedImport]
    from stamina.instrumentation import RetryDetails, set_on_retry_hooks

    def told(details: RetryDetails) -> None:
        log.info("asked again in %.1f s, after: %s", details.wait_for, details.caused_by)

    set_on_retry_hooks([told])  # its own print to stdout, which belongs to MCP and to --json


class _Paused(ServiceUnavailable):
    """The breaker is open: nothing was asked."""

    @property
    def code(self) -> str:
        return "service_unavailable"


class _Entry:
    """One operation on its way into the record."""

    def __init__(self, *, gate: Gate, operation: str, model: str) -> None:
        self.gate = gate
        self.operation = operation
        self.model = model
        self.usage = _usage.Usage()
        self.tries = 0
        self.cost: float | None = None
        self.done = False
        self._started = time.perf_counter()

    def known_cost(self, expected: float | None) -> float | None:
        """By what was used, where that is told; else what was expected."""
        used = self.gate.cost(self.model, self.usage.units) if self.usage.units else None
        return expected if used is None else used

    def call(self, error: BaseException | None) -> Call:
        told = isinstance(error, StudioError)
        status: Any = "ok"
        if error is not None:
            stopped = isinstance(error, asyncio.CancelledError)
            status = "cancelled" if stopped else "refused" if isinstance(error, Refused) else "failed"
        on = account()
        return Call(
            service=self.gate.service,
            operation=self.operation,
            model=self.usage.model or self.model,
            status=status,
            error=str(error)[:1000] if told else "",
            code=error.code if isinstance(error, StudioError) else "",
            seconds=round(time.perf_counter() - self._started, 3),
            tries=self.tries,
            cost=self.cost,
            units=dict(self.usage.units),
            run_id=on.run_id,
            brief_id=on.brief_id,
            job_id=on.job_id,
        )


def _is_no_failure(error: BaseException) -> bool:
    """Whether the service is there all the same: it refuses, wants us to wait, or we stopped."""
    return not isinstance(error, ServiceUnavailable)


def may_pass(error: StudioError) -> bool:
    """A service that does not answer, or answers with an error; one that was slow would be slow again."""
    return isinstance(error, ServiceUnavailable) and not isinstance(error, ServiceTimedOut)


# ------------------------------------------------------------------ the ports, with a gate before them


def limited_engine(engine: Engine, gate: Gate) -> LimitedEngine:
    """The engine, each render of which goes through the gate. A second try takes up what the first one began."""
    return LimitedEngine(engine, gate)


def limited_chat(model: ChatModel, gate: Gate) -> LimitedChat:
    return LimitedChat(model, gate)


def limited_vision(model: VisionModel, gate: Gate) -> LimitedVision:
    return LimitedVision(model, gate)


class LimitedEngine:
    """The Engine port."""

    def __init__(self, engine: Engine, gate: Gate) -> None:
        self._engine = engine
        self._gate = gate

    @property
    def name(self) -> str:
        return self._engine.name

    async def refusal(self, recipe: Recipe) -> str | None:
        return await self._engine.refusal(recipe)

    async def profile(self, recipe: Recipe) -> FamilyProfile:
        return await self._engine.profile(recipe)

    async def models(self, kind: str = "all") -> Sequence[ModelInfo]:
        return await self._engine.models(kind)

    async def status(self) -> EngineStatus:
        return await self._engine.status()

    async def render(
        self, recipe: Recipe, inputs: Mapping[str, Media], report: Report, ticket: Ticket
    ) -> Sequence[Artifact]:
        async def work(number: int) -> Sequence[Artifact]:
            mine = ticket if number == 1 else replace(ticket, again=True)
            return await self._engine.render(recipe, inputs, report, mine)

        model_of = getattr(self._engine, "model_of", None)
        model = await model_of(recipe) if model_of else recipe.model or ""
        return await self._gate.call("render", model, expected_of(recipe), work, getattr(self._engine, "passes", None))


class LimitedVision:
    """The VisionModel port."""

    def __init__(self, model: VisionModel, gate: Gate) -> None:
        self._model = model
        self._gate = gate

    @property
    def name(self) -> str:
        return self._model.name

    @property
    def at_once(self) -> int:
        return min(self._gate.rules.at_once, getattr(self._model, "at_once", self._gate.rules.at_once))

    async def answer(self, picture: Media, questions: Sequence[str]) -> Sequence[str]:
        if not questions:
            return ()
        words = sum(map(len, questions))
        return await self._asked("answer", words, lambda _: self._model.answer(picture, questions))

    async def describe(self, picture: Media) -> str:
        return await self._asked("describe", 400, lambda _: self._model.describe(picture))

    async def _asked(self, operation: str, characters: int, work: Callable[[int], Awaitable[Answer]]) -> Answer:
        expected = _tokens(characters, PICTURE_TOKENS)
        return await self._gate.call(operation, self.name, expected, work, getattr(self._model, "passes", None))


class LimitedChat:
    """The ChatModel port."""

    def __init__(self, model: ChatModel, gate: Gate) -> None:
        self._model = model
        self._gate = gate

    @property
    def name(self) -> str:
        return self._model.name

    async def complete(self, prompt: str, schema: Mapping[str, object] | None = None) -> str:
        passes = getattr(self._model, "passes", None)
        expected = _tokens(len(prompt))
        return await self._gate.call(
            "complete", self.name, expected, lambda _: self._model.complete(prompt, schema), passes
        )

    async def chat(
        self,
        messages: Sequence[Message],
        schema: Mapping[str, object] | None = None,
        listener: Callable[[str], None] | None = None,
    ) -> str:
        heard: list[str] = []

        def hear(piece: str) -> None:
            heard[:] = [piece]
            assert listener is not None
            listener(piece)

        passes: Passes = getattr(self._model, "passes", None) or may_pass
        return await self._gate.call(
            "chat",
            self.name,
            _tokens(sum(len(one.content) for one in messages)),
            lambda _: self._model.chat(messages, schema, hear if listener else None),
            lambda error: not heard and passes(error),
        )

    async def installed(self) -> Sequence[str]:
        return await self._model.installed()


def expected_of(recipe: Recipe) -> dict[str, float]:
    """What a render of the recipe will probably use."""
    units: dict[str, float] = {"requests": 1.0}
    if recipe.task in VIDEOS:
        return units | {"videos": 1.0, "seconds": (recipe.frames or 5 * FPS) / (recipe.fps or FPS)}
    pixels = (recipe.width or 1024) * (recipe.height or 1024)
    return units | {"images": 1.0, "megapixels": pixels / 1e6}


def _tokens(characters: int, more: float = 0.0) -> dict[str, float]:
    return {
        "requests": 1.0,
        "input_tokens": round(characters / CHARACTERS + more),
        "output_tokens": REPLY_TOKENS,
    }
