"""Writers: the language models that are configured, asked in their order; one that keeps failing rests a while."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from workflows.errors import AccessDenied, ExtraMissing, ModelMissing, ServiceError, ServiceUnavailable
from workflows.ports import ChatModel
from workflows.types import Message

log = logging.getLogger("atelier.writers")

FAILURES = 3
"""Failures in a row after which a model is not asked for a while."""
REST_SECONDS = 30.0
"""Long enough that a server restarts or a model loads, short enough that nobody thinks it is switched off."""

FOR_THE_OWNER = (ModelMissing, AccessDenied, ExtraMissing)
"""Failures that somebody has to mend, and that are over at once when he has: no rest helps."""
Listener = Callable[[str], None]
Failure = ServiceError | ExtraMissing


@dataclass(frozen=True, kw_only=True)
class Answered:
    """A reply, who gave it, and what those said who were asked before."""

    text: str
    by: str
    failures: tuple[str, ...] = ()


@dataclass
class Breaker:
    """How often a model failed in a row, and until when it is left alone."""

    clock: Callable[[], float]
    failures: int = 0
    until: float = float("-inf")
    last: str = ""

    @property
    def seconds_left(self) -> float:
        return max(0.0, self.until - self.clock())

    def failed(self, error: Failure) -> None:
        self.failures += 1
        self.last = str(error)
        if self.failures >= FAILURES:  # after its rest a single failure sends it back
            self.until = self.clock() + REST_SECONDS

    def answered(self) -> None:
        self.failures, self.until = 0, float("-inf")


@dataclass(kw_only=True)
class Writers:
    """One or more language models as one: the TextModel port, and a chat that says who answered."""

    models: Sequence[ChatModel]
    neighbour: ChatModel | None = None
    """Whose models are listed where none is configured; that it may not be there is no error."""
    clock: Callable[[], float] = time.monotonic
    _breakers: dict[str, Breaker] = field(default_factory=dict[str, Breaker], init=False)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(model.name for model in self.models)

    @property
    def name(self) -> str:
        return self.models[0].name if self.models else ""

    async def complete(self, prompt: str, schema: Mapping[str, object] | None = None) -> str:
        """The reply of the first that gives one. Raises as `ask` does."""
        return (await self._first(lambda model: model.complete(prompt, schema), self.models)).text

    async def ask(
        self,
        messages: Sequence[Message],
        schema: Mapping[str, object] | None = None,
        listening: Callable[[], Listener | None] = lambda: None,
        *,
        name: str | None = None,
        without: Collection[str] = (),
    ) -> Answered:
        """The reply of the first model that gives one, but for those `without`, or of the one with that name alone.
        `listening` makes the listener of each model that is asked.

        Raises the error of the first that was asked; ServiceUnavailable while all of them rest.
        """
        asked = [model for model in self.models if name in {None, model.name} and model.name not in without]
        return await self._first(lambda model: model.chat(messages, schema, listening()), asked)

    async def installed(self) -> list[str]:
        """The models that could be asked, the configured ones first. Raises the first one's error when all fail."""
        found: dict[str, None] = {}
        errors: list[Failure] = []
        for model in self.models or ([self.neighbour] if self.neighbour else []):
            try:
                found |= dict.fromkeys(await model.installed())
            except (ServiceError, ExtraMissing) as error:
                errors.append(error)
        if errors and len(errors) == len(self.models):  # of nobody configured nothing is expected
            raise errors[0]
        return sorted(found, key=lambda one: one not in self.names)

    async def _first(self, call: Callable[[ChatModel], Awaitable[str]], asked: Sequence[ChatModel]) -> Answered:
        errors: list[Failure] = []
        for model in asked:
            breaker = self._breakers.setdefault(model.name, Breaker(self.clock))
            if breaker.seconds_left:
                errors.append(_resting(model.name, breaker))
                continue
            try:
                text = await call(model)
            except (ServiceError, ExtraMissing) as error:
                log.warning("%s did not write: %s", model.name, error)
                if not isinstance(error, FOR_THE_OWNER):
                    breaker.failed(error)
                errors.append(error)
            else:
                breaker.answered()
                return Answered(text=text, by=model.name, failures=tuple(map(str, errors)))
        raise errors[0]


def _resting(name: str, breaker: Breaker) -> ServiceUnavailable:
    said = f"{name} failed {breaker.failures} times and is asked again in {breaker.seconds_left:.0f} s"
    return ServiceUnavailable(f"{said}. The last time: {breaker.last}")
