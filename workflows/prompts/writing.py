"""Scribe: one wish written for one family, by a language model or by the rules; and what may be written at all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from utils.prompt_enhancer import SCHEMA, PromptStream, Reply, read_reply
from workflows.content import ContentRules
from workflows.errors import BadRecipe, ExtraMissing, Refused, ServiceError, ServiceFailed
from workflows.families import Family
from workflows.prompts.dialects import dialect_of
from workflows.prompts.fitting import fitted
from workflows.prompts.keeping import lost
from workflows.prompts.rules import write
from workflows.prompts.wishes import left_out, taken_up
from workflows.prompts.writers import Answered, Writers
from workflows.types import MAX_MESSAGE, Message, Preset, Recipe, Wish, Written

Listener = Callable[[str], None]
"""Hears the prompt as far as it is written, whole each time; it may begin anew when another model steps in."""
AUTO, RULES, MODEL = "auto", "rules", "model"


@dataclass(frozen=True, kw_only=True)
class Target:
    """What a prompt is written for: a family, and the file of a model where one is known."""

    family: Family
    model: str = ""

    @property
    def name(self) -> str:
        return self.family.profile.name


@dataclass(frozen=True, kw_only=True)
class Order:
    """How a prompt is to be written: by whom, and who listens."""

    writer: str = AUTO
    listener: Listener | None = None
    without: tuple[str, ...] = ()
    """Language models whose answers were of no use."""

    def but(self, without: Iterable[str]) -> Order:
        return replace(self, without=tuple(without))


class Useless(ServiceFailed):
    """A language model answered, and nothing can be drawn from what it said."""

    def __init__(self, by: str, what: str) -> None:
        super().__init__(f"{by} {what}")
        self.by = by


@dataclass(frozen=True, kw_only=True)
class Scribe:
    """Writes. Everything that goes in or comes out has to pass the content rules."""

    rules: ContentRules = field(default_factory=ContentRules)
    writers: Writers = field(default_factory=lambda: Writers(models=()))

    def asks(self, writer: str) -> bool:
        """Whether a language model is asked. Raises BadRecipe for a writer that is none."""
        names = self.writers.names
        if writer not in {AUTO, RULES, MODEL, *names}:
            raise BadRecipe("writer", writer, f"it is {', '.join([AUTO, RULES, MODEL, *names])}")
        if not names and writer == MODEL:
            raise BadRecipe("writer", writer, "no language model is configured: set OLLAMA_MODEL")
        return writer != RULES and bool(names)

    async def write(
        self, wish: Wish, target: Target, order: Order, messages: Callable[[], list[Message]], *, faithful: bool = True
    ) -> Written:
        """The wish, written. `messages` is what a language model would be asked; `faithful`: it has to keep every word
        of the user's. Raises Refused, BadRecipe; ServiceError and ExtraMissing where the rules may not step in.
        """
        await self.admit(wish.words, wish.negative, *(preset.text for preset in wish.presets))
        if not self.asks(order.writer):
            return await self._by_rules(wish, target)
        try:
            return await self._by_models(wish, target, order, await asyncio.to_thread(messages), faithful)
        except (ServiceError, ExtraMissing) as error:
            if order.writer != AUTO:
                raise
            return await self._by_rules(wish, target, f"The rules wrote this. {error}")

    async def _by_rules(self, wish: Wish, target: Target, *notes: str) -> Written:
        adult = self.rules.adult
        written = await asyncio.to_thread(write, wish, target.family, adult=adult, model=target.model)
        await self.admit(written.prompt, written.negative)
        return written.but(notes=(*written.notes, *notes), presets=_paths(wish))

    async def _by_models(
        self, wish: Wish, target: Target, order: Order, messages: Sequence[Message], faithful: bool
    ) -> Written:
        """By the first whose answer can be used. Raises the first error."""
        useless: dict[str, Useless] = {}
        while True:
            try:
                written = await self._by_model(wish, target, order.but(useless), messages, faithful)
            except Useless as error:
                useless[error.by] = error
                if order.writer not in {AUTO, MODEL} or len(useless) == len(self.writers.names):
                    raise _first(useless) from error
            except (ServiceError, ExtraMissing) as error:
                raise (_first(useless) if useless else error) from error
            else:
                return written.but(notes=(*map(str, useless.values()), *written.notes))

    async def _by_model(
        self, wish: Wish, target: Target, order: Order, messages: Sequence[Message], faithful: bool
    ) -> Written:
        answered, reply = await self._reply(messages, order)
        notes, text = list(answered.failures), reply.prompt
        if faithful and (gone := await asyncio.to_thread(lost, wish.words, text)):
            said = Message(role="assistant", content=answered.text[:MAX_MESSAGE])
            answered, reply = await self._reply([*messages, said, _reminder(gone)], order)
            text = reply.prompt
            if gone := await asyncio.to_thread(lost, wish.words, text):
                notes.append(f"{answered.by} left out {', '.join(gone)}: your words stand in front.")
                text = f"{wish.words}, {text}"
        by, adult = answered.by, self.rules.adult
        if faithful and (missed := await asyncio.to_thread(left_out, wish, text)):
            text, note = await asyncio.to_thread(_with_picks, text, missed, target.family, by)
            notes.append(note)
        written = await asyncio.to_thread(
            fitted, text, reply.negative, wish, target.family, by=by, adult=adult, model=target.model
        )
        try:
            await self.admit(written.prompt, written.negative)
        except Refused as error:
            raise Useless(by, "wrote what may not be drawn here; it was dropped.") from error
        return written.but(notes=(*written.notes, *notes), presets=_paths(wish))

    async def _reply(self, messages: Sequence[Message], order: Order) -> tuple[Answered, Reply]:
        name = None if order.writer in {AUTO, MODEL} else order.writer
        hearing = _hearing(order.listener)
        answered = await self.writers.ask(messages, SCHEMA, hearing, name=name, without=order.without)
        reply = await asyncio.to_thread(read_reply, answered.text)
        if reply is None:
            raise Useless(answered.by, "answered, but gave no prompt.")
        return answered, reply

    async def admit(self, prompt: str, negative: str = "", *others: str) -> None:
        """Raises Refused; nothing of what is refused is kept or sent on."""
        told = Recipe(prompt=prompt or "a picture", negative=negative)
        await asyncio.to_thread(self.rules.check, told, others)


def _paths(wish: Wish) -> tuple[str, ...]:
    """Of the presets; free words have none."""
    return tuple(preset.path for preset in wish.presets if preset.path)


def _with_picks(prompt: str, missed: Sequence[Preset], family: Family, by: str) -> tuple[str, str]:
    """The prompt with what was picked and not taken up, and what is to be said of it."""
    names, form = ", ".join(preset.name for preset in missed), dialect_of(family.profile.name).form
    if form == "plain":
        return prompt, f"Left out {names}: {family.profile.title} knows no such words."
    return taken_up(prompt, missed, form), f"{by} took up nothing of {names}: that was added."


def _first(useless: Mapping[str, Useless]) -> ServiceFailed:
    return ServiceFailed(str(next(iter(useless.values()))))


def _hearing(listener: Listener | None) -> Callable[[], Callable[[str], None] | None]:
    """For every reply a listener of its own: each begins with nothing."""

    def begun() -> Callable[[str], None] | None:
        return partial(_told, PromptStream(), listener) if listener else None

    return begun


def _told(stream: PromptStream, listener: Listener, piece: str) -> None:
    listener(stream.feed(piece))


def _reminder(gone: Sequence[str]) -> Message:
    content = (
        f"You left out of the prompt: {', '.join(gone)}. Answer again, in the same form, with all of it in the prompt."
    )
    return Message(role="user", content=content)
