"""Targets: which model family a prompt is written for, from what somebody called it or from what would be chosen."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from workflows import selection
from workflows.catalog import DRAWABLE
from workflows.choosing import Chooser
from workflows.errors import NotFound, StudioError
from workflows.families import Family, families, family_of_base_model
from workflows.ports import Engine
from workflows.prompts.writing import Target
from workflows.types import Ranked, Recipe

OWN = frozenset({"auto", "", "none"})


@dataclass(frozen=True, kw_only=True)
class Targets:
    """Asks the catalogue; never a language model, which would cost seconds."""

    chooser: Chooser
    engines: Sequence[Engine] = ()

    async def find(self, model: str = "auto", words: str = "", style: str | None = None) -> Target:
        """A file's or title's family, a family in any spelling, or for "auto" that of the model that would draw this.

        Raises NotFound with near names.
        """
        await asyncio.to_thread(families)  # which reads a file, once
        if model.strip().lower() in OWN:
            return await self._likely(words, style)
        if model in families():
            return Target(family=families()[model])
        info = await self.chooser.catalog.known(model, DRAWABLE)
        if info is not None:
            return Target(family=known_family(info.family), model=info.name)
        told = family_of_base_model(model)
        if told is None:
            here = [one.name for one in await self.chooser.catalog.models() if one.kind in DRAWABLE]
            raise NotFound("model or family", model, [*families(), *here])
        return Target(family=families()[told])

    async def _likely(self, words: str, style: str | None) -> Target:
        """The best of the models that are here; where there is none to choose, what the first engine draws with."""
        recipe = Recipe(prompt=words or "a picture", style=style)
        ranked = await self._ranked(recipe)
        if ranked:
            return Target(family=known_family(ranked[0].family), model=ranked[0].name)
        for engine in self.engines:
            try:
                if await engine.refusal(recipe) is None:
                    return Target(family=known_family((await engine.profile(recipe)).name))
            except StudioError:
                continue
        return Target(family=families()["unknown"])

    async def _ranked(self, recipe: Recipe) -> Sequence[Ranked]:
        chooser = self.chooser
        stand = await chooser.catalog.stand()
        if sum(len(library.checkpoints) for library in stand.libraries.values()) == 0:
            return ()
        analysis = await asyncio.to_thread(selection.analyse, recipe.prompt, recipe.style)
        ranked = [one for lib in stand.libraries.values() for one in await chooser.ranked(lib, analysis, recipe)]
        return await chooser.able(sorted(ranked, key=lambda one: -one.score), recipe, 1)


def known_family(name: str) -> Family:
    """The family of that name; one that nobody knows any more is read as an unknown one."""
    return families().get(name) or families()["unknown"]
