"""PromptDesk: words for pictures, on behalf of every face. Written for a model family, talked over, and remembered."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from workflows.asking import MAX_PRESETS
from workflows.errors import BadRecipe, ExtraMissing, ServiceError
from workflows.ports import Conversations, OwnPresets
from workflows.presets import Presets, Shelf, acceptable
from workflows.prompts.asking import enhance_messages
from workflows.prompts.memory import Memory
from workflows.prompts.negatives import negative_for
from workflows.prompts.reports import report
from workflows.prompts.talks import Said, Talks
from workflows.prompts.targets import Targets, known_family
from workflows.prompts.wishes import Picked, picked, style_preset, with_setting
from workflows.prompts.writing import AUTO, RULES, Listener, Order, Scribe, Target
from workflows.types import (
    MAX_MESSAGE,
    Conversation,
    HistoryEntry,
    HistoryPage,
    HistoryQuery,
    Mode,
    Negative,
    Preset,
    PromptReport,
    Recipe,
    Spoken,
    Wish,
    Wording,
    Written,
)


@dataclass(frozen=True, kw_only=True)
class PromptDesk:
    """Build, enhance, analyse, converse; presets and history. Raises Refused for what may not be asked for."""

    presets: Presets
    own: OwnPresets
    memory: Memory
    targets: Targets
    scribe: Scribe
    kept: Conversations

    @cached_property
    def talks(self) -> Talks:
        """The conversations, of which each is answered message by message."""
        return Talks(scribe=self.scribe, kept=self.kept, memory=self.memory, targets=self.targets, shelf=self.shelf)

    @property
    def writer_names(self) -> tuple[str, ...]:
        """The language models that were configured, in the order in which they are asked."""
        return self.scribe.writers.names

    async def writers(self) -> list[str]:
        """The language models that could be asked, the configured ones first. Raises what asking raises."""
        return await self.scribe.writers.installed()

    # ------------------------------------------------------------------ writing

    async def build(
        self,
        subject: str,
        *,
        style: str | None = None,
        setting: str | None = None,
        preset: str | None = None,
        artist: str | None = None,
        composition: str | None = None,
        lighting: str | None = None,
        options: Sequence[str] = (),
        negative: str = "",
        model: str = AUTO,
    ) -> Written:
        """A prompt put together from parts, each a preset's reference or free words. Never asks a language model.

        Raises BadRecipe, NotFound for a model or an option that is none.
        """
        _check_words("subject", subject)
        parts = {"style": style, "artist": artist, "composition": composition, "lighting": lighting}
        chosen = await self._picked(parts, [preset or "", *options])
        words = with_setting(subject, setting)
        wish = Wish.checked(words=words, negative=negative, presets=chosen.presets, style=chosen.style)
        return await self._write(wish, await self._target(model, wish), "build", Order(writer=RULES))

    async def enhance(
        self,
        prompt: str,
        *,
        negative: str = "",
        style: str | None = None,
        presets: Sequence[str] = (),
        model: str = AUTO,
        writer: str = AUTO,
        listener: Listener | None = None,
    ) -> Written:
        """The prompt as the model's family wants it, by a language model where there is one.

        `writer`: auto (the rules step in when the language model fails), rules, model, or a configured one's name.
        Raises BadRecipe, NotFound; where the rules may not step in also what asking the language model raises.
        """
        _check_words("prompt", prompt)
        chosen = await self._picked({"style": style}, presets)
        wish = Wish.checked(words=prompt, negative=negative, presets=chosen.presets, style=chosen.style)
        return await self._write(
            wish, await self._target(model, wish), "oneshot", Order(writer=writer, listener=listener)
        )

    async def check(self, recipe: Recipe) -> Recipe:
        """The recipe, with the preset that its style names. Raises NotFound for a preset that is none, Refused for what
        may not be asked for.
        """
        style = style_preset(await self.shelf(), recipe.style) if recipe.style and recipe.prompt else ""
        if style:
            recipe = recipe.but(presets=tuple(dict.fromkeys((*recipe.presets, style)))[:MAX_PRESETS])
        if recipe.wants_wording:
            presets = (await self._picked({}, recipe.presets)).presets
            await self.scribe.admit(recipe.prompt, recipe.negative, *(preset.text for preset in presets))
        return recipe

    async def worded(
        self, recipe: Recipe, family: str, listener: Listener | None = None
    ) -> tuple[Recipe, Written | None]:
        """A recipe whose model is known, with the wording that its presets and `enhance` ask for."""
        if not recipe.wants_wording:
            return recipe, None
        chosen = await self._picked({}, recipe.presets)
        wish = Wish.checked(words=recipe.prompt, negative=recipe.negative, presets=chosen.presets, style=chosen.style)
        target = Target(family=await asyncio.to_thread(known_family, family), model=recipe.model or "")
        order = Order(writer=AUTO if recipe.enhance else RULES, listener=listener)
        written = await self._write(wish, target, "oneshot", order)
        wording = Wording(prompt=written.prompt, negative=written.negative, by=written.by)
        return recipe.but(wording=wording), written

    async def negative(self, model_type: str = "sd15", prompt: str = "") -> Negative:
        """What a negative prompt for that family or model says; for this prompt, where one is given."""
        if prompt:
            await self.scribe.admit(prompt)
        family = (await self.targets.find(model_type, prompt)).family
        return await asyncio.to_thread(negative_for, family, prompt, adult=self.scribe.rules.adult)

    async def analyze(self, prompt: str, model: str = AUTO) -> PromptReport:
        """What the prompt says, what it leaves open, and what is wrong with it for the family."""
        _check_words("prompt", prompt)
        await self.scribe.admit(prompt)
        family = (await self.targets.find(model, prompt)).family
        return await asyncio.to_thread(report, prompt, family, await self.shelf())

    # ------------------------------------------------------------------ conversations

    async def converse(
        self,
        message: str,
        *,
        conversation_id: str | None = None,
        model: str = AUTO,
        presets: Sequence[str] | None = None,
        writer: str = AUTO,
        reset: bool = False,
        listener: Listener | None = None,
        begin_as: str = "",
    ) -> Spoken:
        """One more message about a prompt; without an id a new conversation begins, under `begin_as` where that is
        given. See `Talks.say`.
        """
        _check_words("message", message)
        order = Order(writer=writer, listener=listener)
        named = None if presets is None else tuple(presets)
        said = Said(message=message, model=model, presets=named, order=order, reset=reset, begin_as=begin_as)
        return await self.talks.say(said, conversation_id or None)

    async def reset(self, conversation_id: str) -> bool:
        """Forget what was said in a conversation; its id stays good. Whether there was one."""
        return await self.talks.reset(conversation_id)

    async def conversation(self, conversation_id: str) -> Conversation:
        """With its last messages. Raises NotFound."""
        return await self.talks.find(conversation_id)

    # ------------------------------------------------------------------ presets and history

    async def shelf(self) -> Shelf:
        """Every preset there is, the user's own included."""
        own = await self.own.all()
        return await asyncio.to_thread(self.presets.shelf, own)

    async def add_preset(self, preset: Preset) -> Preset:
        """Keep a preset of the user's own; one of the same kind and id is written over. Raises BadRecipe, Refused."""
        kept = await asyncio.to_thread(acceptable, preset, adult=self.scribe.rules.adult)
        await self.own.put(kept)
        return kept

    async def remove_preset(self, kind: str, preset_id: str) -> bool:
        """Whether there was one of the user's own."""
        return await self.own.remove(kind, preset_id)

    async def history(self, query: HistoryQuery) -> HistoryPage:
        """Prompts that were written or refined, newest first. Raises BadRecipe for a cursor that is none."""
        return await self.memory.search(query)

    async def forget(self, entry_id: str) -> HistoryEntry:
        """Delete an entry of the history; the answer is what was deleted. Raises NotFound."""
        return await self.memory.forget(entry_id)

    # ------------------------------------------------------------------ steps

    async def _write(self, wish: Wish, target: Target, mode: Mode, order: Order) -> Written:
        try:
            written = await self.scribe.write(wish, target, order, lambda: enhance_messages(wish, target.family))
        except (ServiceError, ExtraMissing) as error:
            await self.memory.fault(wish.words, mode, target, error)
            raise
        await self.memory.remember(HistoryEntry.of(written, mode))
        return written

    async def _picked(self, parts: Mapping[str, str | None], references: Sequence[str]) -> Picked:
        return await asyncio.to_thread(picked, await self.shelf(), parts, references)

    async def _target(self, model: str, wish: Wish) -> Target:
        return await self.targets.find(model, wish.words, wish.style or None)


def _check_words(argument: str, words: str) -> None:
    if not words.strip():
        raise BadRecipe(argument, words, "it says what the picture shows")
    if argument == "message" and len(words) > MAX_MESSAGE:
        raise BadRecipe(argument, words, f"it has at most {MAX_MESSAGE} characters")
