"""Chooser: fills in what a recipe leaves open, the model and its LoRAs first; says why. What was given stays."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from workflows import selection
from workflows.errors import Refused, StudioError
from workflows.merging import IN_PROCESS
from workflows.types import (
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
    from workflows.catalog import Catalog
    from workflows.content import ContentRules
    from workflows.ports import Engine, TextModel

log = logging.getLogger("atelier.choosing")

READING_SECONDS = 20.0
"""How long a language model may take to read a prompt before keywords do."""
LOOKED_AT = 8
"""Models that are offered to an engine, best first, before it is left to choose itself."""
MEMORY_SECONDS = 300.0
"""How long the size of a server's memory is good."""
SHOWN = 3
"""Of the models that were not chosen, those that are told."""
FREELY = frozenset({"txt2img", "img2img"})
"""Tasks for which any model will do; an engine knows best which of its models was made for the others."""
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
    _memory: dict[str, tuple[float, float | None]] = field(default_factory=dict[str, "tuple[float, float | None]"])

    async def read(self, prompt: str, style: str | None = None) -> tuple[PromptAnalysis, tuple[str, ...]]:
        """What the prompt asks for, by whoever can say, and what there is to know of that."""
        by_keywords = await asyncio.to_thread(selection.analyse, prompt, style)
        if self.text_model is None:
            return by_keywords, ()
        text, schema = selection.question(prompt, style)
        try:
            async with asyncio.timeout(READING_SECONDS):
                reply = await self.text_model.complete(text, schema)
        except TimeoutError:
            return by_keywords, (f"{self.text_model.name} did not answer within {READING_SECONDS:g} s: keywords did.",)
        except StudioError as error:
            return by_keywords, (f"Keywords read the prompt: {error}",)
        found = selection.read_analysis(reply, self.text_model.name, by_keywords)
        if found is None:
            return by_keywords, (f"{self.text_model.name} gave no analysis: keywords did.",)
        return found, ()

    async def choose(self, recipe: Recipe, engines: Sequence[Engine]) -> tuple[Recipe, Choice | None]:
        """The recipe with a model, and LoRAs where they may be chosen; without a choice where the engine knows better.

        Raises Refused for a named file that may not be used.
        """
        recipe = await self._with_known_loras(recipe)
        if recipe.model is not None or not _free(recipe):
            return recipe, None
        stand = await self.catalog.stand()
        asked = [engine for engine in engines if recipe.engine in {"auto", engine.name}]
        if not _anything_to_choose([stand.libraries[engine.name] for engine in asked]):
            return recipe, None
        analysis, notes = await self.read(recipe.prompt, recipe.style)
        for engine in asked:
            library = stand.libraries[engine.name]
            ranked = await self.ranked(library, analysis, recipe, await self.memory_of(engine))
            taken = await _first_taken(ranked[:LOOKED_AT], recipe, engine)
            if taken is None:
                continue
            named = recipe.but(model=taken.name, engine=engine.name)
            loras = await self._loras(library, analysis, taken, named)
            choice = Choice(
                analysis=analysis,
                model=taken,
                others=tuple(one for one in ranked if one is not taken)[:SHOWN],
                loras=tuple(loras),
                notes=notes,
            )
            return named.but(loras=tuple(map(_use, loras)) or named.loras, auto_loras=False), choice
        return recipe, None

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
                most=LOOKED_AT + SHOWN,
            )
        )

    async def tuned(
        self, recipe: Recipe, profile: FamilyProfile, engine: Engine, analysis: PromptAnalysis | None = None
    ) -> tuple[Recipe, tuple[str, ...]]:
        """The recipe with the settings that suit its model's file best, where it has none of its own; and why."""
        if recipe.model is None or recipe.task in WORDLESS:
            return recipe, ()
        info = await self.catalog.known(recipe.model, ("checkpoint", "diffusion_model"))
        if info is None:
            return recipe, ()
        fields, notes = selection.defaults_for(info, profile, recipe.quality, loras=recipe.loras, analysis=analysis)
        open_ones = {name: value for name, value in fields.items() if _is_open(recipe, name)}
        if not open_ones:
            return recipe, ()
        filled = recipe.but(**open_ones)
        if await engine.refusal(filled) is None:
            return filled, notes
        kept = {name: value for name, value in open_ones.items() if name not in {"sampler", "scheduler"}}
        return recipe.but(**kept), notes if kept else ()

    async def _with_known_loras(self, recipe: Recipe) -> Recipe:
        """LoRAs with the words that wake them. Raises Refused."""
        uses: list[LoraUse] = []
        for use in recipe.loras:
            info = await self.catalog.known(use.name, ("lora",))
            if info is not None:
                self._admit(info, recipe)
                use = use if use.triggers else use.but(triggers=selection.triggers_of(info))
            uses.append(use)
        return recipe.but(loras=tuple(uses))

    def _admit(self, info: ModelInfo, recipe: Recipe) -> None:
        if not info.facts.nsfw:
            return
        if info.facts.minor or self.rules.strict(recipe):
            raise Refused(f"{info.plain_name} cannot be used: {ABOUT_A_MINOR}.", "model")
        if not self.rules.adult:
            raise Refused(f"{info.plain_name} cannot be used: {ADULT_LORA}.", "model")

    async def _loras(
        self, library: selection.Library, analysis: PromptAnalysis, taken: Ranked, recipe: Recipe
    ) -> list[RankedLora]:
        if not recipe.auto_loras or recipe.loras:
            return []
        info = await self.catalog.find(taken.name)
        adult = self.rules.adult and not self.rules.strict(recipe)
        ranked = await asyncio.to_thread(selection.rank_loras, library, analysis, info, adult=adult)
        return list(selection.automatic_loras(ranked))


def _anything_to_choose(libraries: Sequence[selection.Library]) -> bool:
    """One model and nothing to go with it is every engine's own choice."""
    models = sum(len(library.checkpoints) for library in libraries)
    return models > 1 or (models == 1 and any(library.loras for library in libraries))


async def _first_taken(ranked: Sequence[Ranked], recipe: Recipe, engine: Engine) -> Ranked | None:
    """The best that the engine does not refuse."""
    for one in ranked:
        reason = await engine.refusal(recipe.but(model=one.name, engine=engine.name))
        if reason is None:
            return one
        log.info("%s would not draw with %s: %s", engine.name, one.name, reason)
    return None


def _free(recipe: Recipe) -> bool:
    special = recipe.controls or recipe.references or recipe.mask or recipe.mask_text or recipe.transparent
    return recipe.task in FREELY and not special


def _is_open(recipe: Recipe, name: str) -> bool:
    if name in {"width", "height"}:
        return not (recipe.width or recipe.height or recipe.aspect or recipe.source)
    return getattr(recipe, name) is None


def _use(lora: RankedLora) -> LoraUse:
    return LoraUse(name=lora.name, strength=lora.strength, triggers=lora.triggers)
