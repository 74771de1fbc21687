"""Talks: conversations about a prompt. One message changes the wish, and the prompt is written anew."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from workflows.errors import BadRecipe, ExtraMissing, NotFound, ServiceError
from workflows.ports import Conversations
from workflows.presets import Shelf
from workflows.prompts.asking import chat_messages
from workflows.prompts.edits import edited
from workflows.prompts.memory import Memory
from workflows.prompts.targets import Targets, known_family
from workflows.prompts.wishes import picked
from workflows.prompts.writing import AUTO, RULES, Order, Scribe, Target
from workflows.types import Change, Conversation, HistoryEntry, Message, Spoken, Wish, Written

AS_EVER = Order()
KNOWN = 20
"""Of the latest conversations, those whose ids are compared with one that is none."""


TRIES = 3
"""How often a message is answered at most, when another process answers one of the same conversation meanwhile."""


class Overtaken(Exception):
    """The conversation went on while a message of it was answered."""


@dataclass(frozen=True, kw_only=True)
class Said:
    """One message of the user, with what goes with it."""

    message: str
    model: str = AUTO
    presets: tuple[str, ...] | None = None
    """None: those that the conversation has."""
    order: Order = AS_EVER
    reset: bool = False
    begin_as: str = ""
    """The id of the conversation that begins with it; "": any new one."""


@dataclass(kw_only=True)
class Talks:
    """Messages of one conversation are answered one after the other; those of others meanwhile."""

    scribe: Scribe
    kept: Conversations
    memory: Memory
    targets: Targets
    shelf: Callable[[], Awaitable[Shelf]]
    _speaking: WeakValueDictionary[str, asyncio.Lock] = field(
        default_factory=WeakValueDictionary[str, asyncio.Lock], init=False
    )
    """One for each conversation that somebody speaks or waits in."""

    async def say(self, said: Said, conversation_id: str | None) -> Spoken:
        """Answer one message; without an id a new conversation begins.

        It begins anew when asked to, or when the model's family is another. Raises NotFound for an id that is none, and
        what writing raises; a message that fails is not added, so that it can be sent again.
        """
        await self.scribe.admit(said.message)
        if conversation_id is None:
            with suppress(Overtaken):
                return await self._answer(said, None)
            raise _overtaken(said.begin_as)
        async with self._turn_of(conversation_id):
            for _ in range(TRIES):
                with suppress(Overtaken):
                    return await self._answer(said, await self.find(conversation_id))
        raise _overtaken(conversation_id)

    async def find(self, conversation_id: str) -> Conversation:
        """With its last messages. Raises NotFound."""
        found = await self.kept.get(conversation_id)
        if found is None:
            known = [one.id for one in await self.kept.recent(KNOWN)]
            raise NotFound("conversation", conversation_id, known, "Leave it out to begin one.")
        return found

    async def reset(self, conversation_id: str) -> bool:
        """Forget what was said; the id stays good. Whether there was one."""
        async with self._turn_of(conversation_id):
            return await self.kept.reset(conversation_id)

    def _turn_of(self, conversation_id: str) -> asyncio.Lock:
        return self._speaking.setdefault(conversation_id, asyncio.Lock())

    async def _answer(self, said: Said, before: Conversation | None) -> Spoken:
        target, anew = await self._target(said, before)
        talk = before if before is not None and not anew else _begun(before, target, said.begin_as)
        grown = talk if said.reset else before or talk
        words, changes, understood = await self._wish(grown, said.message)
        if anew and words == f"{grown.words}, {said.message}":  # it names a thing and changes none: a new wish
            words, changes = said.message, ()
        paths = talk.presets if said.presets is None else said.presets
        chosen = await asyncio.to_thread(picked, await self.shelf(), {}, paths)
        wish = Wish.checked(words=words, presets=chosen.presets, style=chosen.style)
        written = await self._written(talk, said, wish, target)
        if written.by == RULES:
            written = written.but(changes=(*changes, *written.changes))
        reply = _reply(written, understood or not changes)
        spoken = Spoken(conversation_id=talk.id, written=written, reply=reply, turn=talk.turns + 1, reset=anew)
        await self._save(talk, spoken, said.message, paths, forget=bool(anew))
        entry = HistoryEntry.of(written, "chat", conversation_id=talk.id).but(input=said.message)
        await self.memory.remember(entry)
        return spoken

    async def _target(self, said: Said, before: Conversation | None) -> tuple[Target, str]:
        """What is written for from here on, and why the conversation begins anew, if it does."""
        if before is not None and said.model in {AUTO, "", before.model, before.family}:
            family = await asyncio.to_thread(known_family, before.family)
            return Target(family=family, model=before.model), "asked" if said.reset else ""
        target = await self.targets.find(said.model, said.message)
        if before is None or target.name == before.family or not before.turns:
            return target, "asked" if before is not None and said.reset else ""
        return target, "asked" if said.reset else f"it is written for {target.name} now, not for {before.family}"

    async def _wish(self, talk: Conversation, message: str) -> tuple[str, tuple[Change, ...], bool]:
        """The wish with this message in it, in the user's own words as far as they can be told."""
        if not talk.words:
            return message, (), True
        edit = await asyncio.to_thread(edited, talk.words, message)
        return edit.words, edit.changes, edit.understood

    async def _written(self, talk: Conversation, said: Said, wish: Wish, target: Target) -> Written:
        def messages() -> list[Message]:
            return chat_messages(talk, said.message, wish, target.family)

        try:
            return await self.scribe.write(wish, target, said.order, messages, faithful=not talk.words)
        except (ServiceError, ExtraMissing) as error:
            await self.memory.fault(said.message, "chat", target, error, talk.id)
            raise

    async def _save(
        self, talk: Conversation, spoken: Spoken, message: str, paths: Sequence[str], *, forget: bool
    ) -> None:
        written = spoken.written
        said = (Message(role="user", content=message), Message(role="assistant", content=written.prompt))
        after = talk.but(
            family=written.family,
            model=written.model,
            words=written.words,
            prompt=written.prompt,
            negative=written.negative,
            presets=tuple(paths),
            messages=(),
            turns=spoken.turn,
            updated=said[1].created,
        )
        if forget:
            await self.kept.reset(talk.id)
        if not await self.kept.save(after, said, talk.turns):
            raise Overtaken


def _overtaken(conversation_id: str) -> BadRecipe:
    return BadRecipe("conversation_id", conversation_id, "it went on elsewhere meanwhile; send the message again")


def _begun(before: Conversation | None, target: Target, begin_as: str) -> Conversation:
    """A conversation without anything said; under the old id, where there was one."""
    begun = Conversation(family=target.name, model=target.model)
    if before is not None:
        return begun.but(id=before.id, created=before.created)
    return begun.but(id=begin_as) if begin_as else begun


def _reply(written: Written, understood: bool) -> str:
    if understood or written.by != RULES:
        return written.prompt
    hint = "Rules wrote this, which know few words of a conversation; say what to add, remove or replace."
    return f"{written.prompt}\n({hint})"
