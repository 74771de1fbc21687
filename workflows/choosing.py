"""Chooser: fills in what a recipe leaves open, the model and its LoRAs first; says why. What was given stays."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from workflows import selection
from workflows.catalog import DRAWABLE, Catalog
from workflows.errors import EngineUnavailable, Refused, StudioError
from workflows.families import lora_fits
from workflows.merging import IN_PROCESS
from workflows.starters import for_video
from workflows.types import (
    VIDEOS,
    WORDLESS,
    Choice,
    FamilyProfile,
    LoraUse,
    ModelInfo,
    PromptAnalysis,
    Ranked,
    RankedLora,
    Recipe,
)

if TYPE_CHECKING:
    from workflows.content import ContentRules
    from workflows.ports import Engine, TextModel

log = logging.getLogger("atelier.choosing")

READING_SECONDS = 8.0
"""How long a language model may take to read a prompt before keywords do: a call that waits 45 s for its picture must
end within the minute that clients give it."""
REST_SECONDS = 60.0
"""How long a language model that took longer is not asked again: it may be loading."""
LOOKED_AT = 64
"""Models that are offered to an engine, best first, before it is left to choose itself; many, because a collection may
hold dozens of a family whose text encoder is not there."""
MEMORY_SECONDS = 300.0
"""How long the size of a server's memory is good."""
SHOWN = 3
"""Of the models that were not chosen, those that are told."""
FREELY = frozenset({"txt2img", "img2img", "txt2vid", "img2vid", "extend_video"})
"""Tasks for which any model will do, of those that make pictures or videos; an engine knows best which of its models
was made for the others."""
ADULT_LORA = "it was made for adult pictures, and adult content is not switched on here"
ABOUT_A_MINOR = "nothing that was made for adult pictures is used when a minor is to be shown"


@dataclass(frozen=True, kw_only=True)
class Chooser:
    """Decides by the catalogue. `text_model` reads the prompts where one is configured, keywords otherwise."""

    catalog: Catalog
    rules: ContentRules
    text_model: TextModel | None = None
    device_gb: float | None = None
    """Memory of the device that draws in this process, where it is known."""
    reading_seconds: float = READING_SECONDS
    _resting: dict[str, float] = field(default_factory=dict[str, float])
    """Until when the language model is not asked."""
    _memory: dict[str, tuple[float, float | None]] = field(default_factory=dict[str, "tuple[float, float | None]"])

    async def read(self, prompt: str, style: str | None = None) -> tuple[PromptAnalysis, tuple[str, ...]]:
        """What the prompt asks for, by whoever can say, and what there is to know of that."""
        by_keywords = await asyncio.to_thread(selection.analyse, prompt, style)
        if self.text_model is None:
            return by_keywords, ()
        late = f"{self.text_model.name} did not answer within {self.reading_seconds:g} s: keywords did."
        if time.monotonic() < self._resting.get(self.text_model.name, float("-inf")):
            return by_keywords, (late,)
        text, schema = selection.question(prompt, style)
        try:
            async with asyncio.timeout(self.reading_seconds):
                reply = await self.text_model.complete(text, schema)
        except TimeoutError:
            self._resting[self.text_model.name] = time.monotonic() + REST_SECONDS
            return by_keywords, (late,)
        except StudioError as error:
            return by_keywords, (f"Keywords read the prompt: {error}",)
        found = selection.read_analysis(reply, self.text_model.name, by_keywords)
        if found is None:
            return by_keywords, (f"{self.text_model.name} gave no analysis: keywords did.",)
        return found, ()

    async def choose(self, recipe: Recipe, engines: Sequence[Engine]) -> tuple[Recipe, Choice | None]:
        """The recipe with a model, and LoRAs where they may be chosen; no choice where the engine knows better.

        Raises EngineUnavailable with the best model's reason when none can draw it.
        """
        recipe = await self._by_file_names(recipe)
        if recipe.model is not None or not _free(recipe):
            return recipe, None
        stand = await self.catalog.stand()
        asked = [engine for engine in engines if recipe.engine in {"auto", engine.name}]
        libraries = [stand.libraries[engine.name] for engine in asked]
        if not await asyncio.to_thread(_anything_to_choose, libraries, recipe.task):
            await self._want_a_video_model(recipe, asked)
            return recipe, None
        analysis, notes = await self.read(recipe.prompt, recipe.style)
        reasons: dict[str, str] = {}
        for engine in asked:
            library = stand.libraries[engine.name]
            ranked = await self.ranked(library, analysis, recipe, await self.memory_of(engine))
            suiting = await self._suiting(ranked, recipe)
            taken, refused = await _first_taken(suiting[:LOOKED_AT], recipe, engine)
            if taken is None:
                reasons = reasons or dict(refused)
                continue
            named = recipe.but(model=taken.name, engine=engine.name)
            loras = await _drawable(await self._loras(library, analysis, taken, named), named, engine)
            choice = Choice(
                analysis=analysis,
                model=taken,
                others=tuple(one for one in ranked if one is not taken and one.name not in refused)[:SHOWN],
                loras=loras,
                notes=(*notes, *_passed_over(ranked, suiting, recipe), *_cannot(refused)),
            )
            return named.but(loras=tuple(map(_use, loras)) or named.loras, auto_loras=False), choice
        if reasons and not await _anybody_takes(recipe, asked):
            name, reason = next(iter(reasons.items()))
            raise EngineUnavailable(f"No model here draws this. The best for it would be {name}: {reason}")
        return recipe, None

    async def _want_a_video_model(self, recipe: Recipe, asked: Sequence[Engine]) -> None:
        """Raise EngineUnavailable where nobody makes videos, with what to get for the memory that there is."""
        if recipe.task not in VIDEOS or not asked or await _anybody_takes(recipe, asked):
            return
        sizes = [size for engine in asked if (size := await self.memory_of(engine)) is not None]
        best = await asyncio.to_thread(for_video, max(sizes, default=None))
        refusals = [reason for engine in asked if (reason := await engine.refusal(recipe))]
        here = f"for this GPU ({max(sizes):.0f} GB)" if sizes else "to begin with"
        raise EngineUnavailable(
            f"Nothing here makes this video. Good {here}: {best.title}, by download_model with "
            f"{', '.join(best.references)}. What the engines say: {' '.join(dict.fromkeys(refusals))}"
        )

    async def memory_of(self, engine: Engine) -> float | None:
        """Gigabytes of the device that draws; of several servers the largest. None where nobody can tell."""
        if engine.name == IN_PROCESS:
            return self.device_gb
        until, known = self._memory.get(engine.name, (float("-inf"), None))
        if until < time.monotonic():
            sizes = [server.memory.get("total", 0.0) for server in (await engine.status()).servers]
            known = max(sizes, default=0.0) or None
            self._memory[engine.name] = (time.monotonic() + MEMORY_SECONDS, known)
        return known

    async def ranked(
        self, library: selection.Library, analysis: PromptAnalysis, recipe: Recipe, memory_gb: float | None = None
    ) -> list[Ranked]:
        """The models of a library by how well they suit; off the event loop."""
        return await asyncio.to_thread(
            lambda: selection.rank_models(
                library,
                analysis,
                quality=recipe.quality,
                recipe_task=recipe.task,
                memory_gb=memory_gb,
                adult=self.rules.adult,
                most=len(library.checkpoints),
            )
        )

    async def able(self, ranked: Sequence[Ranked], recipe: Recipe, most: int) -> list[Ranked]:
        """The best of them that their engines do not refuse, at most `most`."""
        engines = {engine.name: engine for engine in self.catalog.engines}
        found: list[Ranked] = []
        for one in ranked[:LOOKED_AT]:
            engine = engines.get(one.engine)
            if engine is not None and await engine.refusal(recipe.but(model=one.name, engine=one.engine)) is None:
                found.append(one)
            if len(found) == most:
                break
        return found

    async def _suiting(self, ranked: Sequence[Ranked], recipe: Recipe) -> Sequence[Ranked]:
        """Those that the recipe's LoRAs work with, as far as their families are known; all when there are none such."""
        found = [await self.catalog.known(use.name, ("lora",)) for use in recipe.loras if use.strength]
        made_for = {info.family for info in found if info is not None} - {"unknown"}
        return [one for one in ranked if all(lora_fits(family, one.family) for family in made_for)] or ranked

    async def tuned(
        self, recipe: Recipe, profile: FamilyProfile, engine: Engine, analysis: PromptAnalysis | None = None
    ) -> tuple[Recipe, tuple[str, ...]]:
        """The recipe with the settings that suit its model's file best, where it has none of its own; and why."""
        if recipe.model is None or recipe.task in WORDLESS:
            return recipe, ()
        info = await self.catalog.known(recipe.model, DRAWABLE)
        if info is None:
            return recipe, ()
        return await self._tuned_by(info, recipe, profile, engine, analysis)

    async def _tuned_by(
        self,
        info: ModelInfo,
        recipe: Recipe,
        profile: FamilyProfile,
        engine: Engine,
        analysis: PromptAnalysis | None,
    ) -> tuple[Recipe, tuple[str, ...]]:
        """A sampler that the engine has not is left out."""
        suggests = analysis if recipe.task not in VIDEOS else None  # it is read for pictures
        fields, notes = selection.defaults_for(info, profile, recipe.quality, loras=recipe.loras, analysis=suggests)
        open_ones = {name: value for name, value in fields.items() if _is_open(recipe, name)}
        if not open_ones:
            return recipe, ()
        filled = recipe.but(**open_ones)
        if await engine.refusal(filled) is None:
            return filled, notes
        plain = info.facts.defaults.but(sampler=None, scheduler=None)
        if plain != info.facts.defaults:
            return await self._tuned_by(
                info.but(facts=info.facts.but(defaults=plain)), recipe, profile, engine, analysis
            )
        return recipe, ()

    async def admit(self, recipe: Recipe) -> None:
        """Raise Refused when a file that the recipe names may not be used for it, by what is known of the file."""
        for use in recipe.loras:
            info = await self.catalog.known(use.name, ("lora",))
            if info is not None:
                self._admit(info, recipe)
                await asyncio.to_thread(self.rules.check_lora, recipe.but(loras=(use,)), info.facts)
        drawn_with = await self.catalog.known(recipe.model, DRAWABLE) if recipe.model else None
        if drawn_with is not None and drawn_with.facts.nsfw and self.rules.strict(recipe):
            raise Refused(f"{drawn_with.plain_name} cannot be used: {ABOUT_A_MINOR}.", "model")

    def _admit(self, info: ModelInfo, recipe: Recipe) -> None:
        if not info.facts.nsfw:
            return
        if info.facts.minor or self.rules.strict(recipe):
            raise Refused(f"{info.plain_name} cannot be used: {ABOUT_A_MINOR}.", "model")
        if not self.rules.adult:
            raise Refused(f"{info.plain_name} cannot be used: {ADULT_LORA}.", "model")

    async def _by_file_names(self, recipe: Recipe) -> Recipe:
        """What was named by its title under the name that engines know, and LoRAs with the words that wake them."""
        model = await self.catalog.known(recipe.model, DRAWABLE) if recipe.model else None
        uses: list[LoraUse] = []
        for use in recipe.loras:
            info = await self.catalog.known(use.name, ("lora",))
            known = use.but(name=_file_name(use.name, info)) if info else use
            uses.append(known.but(triggers=selection.triggers_of(info)) if info and not use.triggers else known)
        named = _file_name(recipe.model, model) if recipe.model and model else recipe.model
        return recipe.but(model=named, loras=tuple(uses))

    async def _loras(
        self, library: selection.Library, analysis: PromptAnalysis, taken: Ranked, recipe: Recipe
    ) -> list[RankedLora]:
        if not recipe.auto_loras or recipe.loras or recipe.task in VIDEOS:
            return []
        info = await self.catalog.find(taken.name)
        adult = self.rules.adult and not self.rules.strict(recipe)
        ranked = await asyncio.to_thread(selection.rank_loras, library, analysis, info, adult=adult)
        return list(selection.automatic_loras(ranked))


def _anything_to_choose(libraries: Sequence[selection.Library], task: str) -> bool:
    """One model and nothing to go with it is every engine's own choice."""
    if task in VIDEOS:
        return sum(selection.makes_videos(entry.info) for library in libraries for entry in library.checkpoints) > 1
    models = sum(len(library.checkpoints) for library in libraries)
    return models > 1 or (models == 1 and any(library.loras for library in libraries))


async def _anybody_takes(recipe: Recipe, engines: Sequence[Engine]) -> bool:
    """Whether an engine takes the recipe with a model of its own choice."""
    return any([await engine.refusal(recipe) is None for engine in engines])


async def _first_taken(
    ranked: Sequence[Ranked], recipe: Recipe, engine: Engine
) -> tuple[Ranked | None, Mapping[str, str]]:
    """The best that the engine does not refuse, and by name why it refused the better ones."""
    refused: dict[str, str] = {}
    for one in ranked:
        reason = await engine.refusal(recipe.but(model=one.name, engine=engine.name))
        if reason is None:
            return one, refused
        refused[one.name] = reason
        log.info("%s would not draw with %s: %s", engine.name, one.name, reason)
    return None, refused


def _cannot(refused: Mapping[str, str]) -> tuple[str, ...]:
    """The reason of the best; the others are counted."""
    if not refused:
        return ()
    name, reason = next(iter(refused.items()))
    more = f" Nor with {len(refused) - 1} more that suit." if len(refused) > 1 else ""
    return (f"{name} would suit better, but cannot be drawn with: {reason}{more}",)


async def _drawable(loras: Sequence[RankedLora], recipe: Recipe, engine: Engine) -> tuple[RankedLora, ...]:
    """Those that the engine does not refuse together: of several servers one may have the model, another the LoRA."""
    kept: tuple[RankedLora, ...] = ()
    for one in loras:
        reason = await engine.refusal(recipe.but(loras=tuple(map(_use, (*kept, one)))))
        if reason is None:
            kept = (*kept, one)
        else:
            log.info("%s would not draw with %s: %s", engine.name, one.name, reason)
    return kept


def _passed_over(ranked: Sequence[Ranked], suiting: Sequence[Ranked], recipe: Recipe) -> tuple[str, ...]:
    if ranked[:1] == suiting[:1]:
        return ()
    names = ", ".join(use.name for use in recipe.loras)
    return (f"{ranked[0].name} would suit better, but not together with {names}.",)


def _file_name(given: str, info: ModelInfo) -> str:
    """The file's name where its title was given; a name that engines may know stays as it is."""
    return info.name if given.strip().lower() == info.facts.title.lower() else given


def _free(recipe: Recipe) -> bool:
    special = recipe.controls or recipe.references or recipe.mask or recipe.mask_text or recipe.transparent
    return recipe.task in FREELY and not special


def _is_open(recipe: Recipe, name: str) -> bool:
    if name in {"width", "height"}:
        return not (recipe.width or recipe.height or recipe.aspect or recipe.source)
    return getattr(recipe, name) is None


def _use(lora: RankedLora) -> LoraUse:
    return LoraUse(name=lora.name, strength=lora.strength, triggers=lora.triggers)
