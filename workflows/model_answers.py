"""What is told about models: the one mapping that tools, command line and Python callers see."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from workflows import families as family_table
from workflows import selection
from workflows.answers import Answer, shortened
from workflows.catalog import DRAWABLE, Catalog
from workflows.errors import NotFound
from workflows.model_rows import analysis_row, found_row, lora_row, model_row, ranked_row
from workflows.types import (
    ModelInfo,
    ModelQuery,
    PromptAnalysis,
    Ranked,
    Recipe,
)

if TYPE_CHECKING:
    from workflows.choosing import Chooser

SUGGESTED = 5
"""Models in one answer."""
LONG_TEXT = 1500
"""Characters of a description in the answer about one model."""


async def model_list(
    catalog: Catalog, *, kind: str = "all", query: str = "", family: str | None = None, limit: int = 50
) -> Answer:
    """The models of a kind whose names, titles, tags or families hold every word of the query; most used first.

    Raises BadRecipe for a kind that is none, NotFound for a family that is none.
    """
    models = await catalog.models(kind)
    wanted = family and _family(family, {info.family for info in models})
    found = [info for info in models if wanted in {None, info.family} and _matches(info, query)]
    kinds: dict[str, int] = {}
    for info in found:
        kinds[info.kind] = kinds.get(info.kind, 0) + 1
    return {"models": _rows(found, limit), "total": len(found), "by_kind": kinds}


async def lora_list(
    catalog: Catalog, *, compatible_with: str | None = None, query: str = "", limit: int = 50
) -> Answer:
    """The LoRAs, all or those that work with a model or family. Raises NotFound."""
    loras = [info for info in await catalog.models("lora") if _matches(info, query)]
    answer: Answer = {}
    if compatible_with:
        family = await _family_of(catalog, compatible_with)
        loras = [info for info in loras if family_table.lora_fits(info.family, family) > 0]
        answer["family"] = family
    return {"loras": _rows(loras, limit), "total": len(loras)} | answer


async def model_details(catalog: Catalog, name: str) -> Answer:
    """All that is known of one model. Raises NotFound."""
    info = await catalog.find(name)
    facts = info.facts.model_dump(mode="json", exclude_defaults=True)
    facts["description"] = shortened(info.facts.description, LONG_TEXT)
    answer = model_row(info) | {"path": info.path, "facts": {key: value for key, value in facts.items() if value}}
    answer |= {"parts": list(info.parts), "precision": info.precision}
    if info.family in family_table.families():
        answer["profile"] = _profile(info.family)
    if info.guessed:
        answer["correct"] = f"atelier models set {info.plain_name!r} --family NAME"
    if info.kind in DRAWABLE:
        answer["loras"] = sum(
            family_table.lora_fits(one.family, info.family) > 0 for one in await catalog.models("lora")
        )
        record = (await catalog.records()).get(info.name.casefold())
        if record is not None:
            answer["record"] = record.model_dump(mode="json")
    return {key: value for key, value in answer.items() if value not in (None, "", [], ())}


async def suggested_models(chooser: Chooser, task: str, style: str | None = None, subject: str | None = None) -> Answer:
    """Models for what is to be made, best first, with the parts of each score."""
    words = ", ".join(part for part in (subject, task) if part)
    await asyncio.to_thread(chooser.rules.check, Recipe(prompt=words or "a picture"))
    analysis, notes = await chooser.read(words, style)
    ranked = await _able(chooser, analysis, Recipe(prompt=words or "a picture"), SUGGESTED)
    answer: Answer = {"models": [ranked_row(one) for one in ranked], "analysis": analysis_row(analysis)}
    if notes:
        answer["notes"] = list(notes)
    answer["next"] = _use(ranked)
    return answer


async def suggested_loras(chooser: Chooser, prompt: str, model: str = "auto", most: int = 3) -> Answer:
    """LoRAs for a prompt that work with a model, best first; `model` "auto": the one that would be chosen.

    Raises NotFound.
    """
    await asyncio.to_thread(chooser.rules.check, Recipe(prompt=prompt or "a picture"))
    catalog, stand = chooser.catalog, await chooser.catalog.stand()
    analysis, notes = await chooser.read(prompt)
    name: str | None = model
    if model in {"auto", ""}:
        ranked = await _able(chooser, analysis, Recipe(prompt=prompt or "a picture"), 1)
        name = ranked[0].name if ranked else None
    if name is None:
        return {"loras": [], "model": None, "next": "No model is here to use a LoRA with: see search_models."}
    info = await catalog.find(name, DRAWABLE)
    library = stand.libraries.get(info.engine)
    adult = chooser.rules.adult
    found = (
        await asyncio.to_thread(lambda: selection.rank_loras(library, analysis, info, most=most, adult=adult))
        if library
        else []
    )
    answer: Answer = {"loras": [lora_row(one) for one in found], "model": info.name, "family": info.family}
    if notes:
        answer["notes"] = list(notes)
    answer["next"] = (
        f"generate_image(prompt=..., model={info.name!r}, loras=['{found[0].name}:{found[0].strength:g}'])"
        if found
        else "None of the LoRAs here fits both prompt and model: see search_models(model_type='lora')."
    )
    return answer


async def _able(chooser: Chooser, analysis: PromptAnalysis, recipe: Recipe, most: int) -> list[Ranked]:
    """The models that suit best and can be drawn with now, whoever draws."""
    stand = await chooser.catalog.stand()
    ranked = [one for library in stand.libraries.values() for one in await chooser.ranked(library, analysis, recipe)]
    ranked.sort(key=lambda one: -one.score)
    return await chooser.able(ranked, recipe, most)


async def search_answer(catalog: Catalog, query: ModelQuery, source: str = "all") -> Answer:
    """What the world offers. Raises BadRecipe, ServiceError."""
    found, faults = await catalog.search(query, source)
    here = {info.facts.sha256 for info in await catalog.models() if info.facts.sha256}
    answer: Answer = {"results": [found_row(one, here) for one in found], "total": len(found)}
    if faults:
        answer["unanswered"] = faults
    step = "download_model(reference=...) fetches one" if found else "Other words, model_type='all' or no base_model"
    return answer | {"next": f"{step}."}


async def _family_of(catalog: Catalog, named: str) -> str:
    """Of a model or family by its name; a model counts first where a family is only spelled like it."""
    if named in family_table.families():
        return named
    info = await catalog.known(named)
    told = info.family if info else family_table.family_of_base_model(named)
    return told or (await catalog.find(named)).family


def _family(name: str, here: Collection[str]) -> str:
    """The family that a word stands for: its name, CivitAI's spelling, or one that only files here have."""
    found = name if name in here else family_table.family_of_base_model(name)
    if found is None:
        raise NotFound("model family", name, family_table.families())
    return found


def _profile(name: str) -> Answer:
    profile = family_table.families()[name].profile
    told: Mapping[str, Any] = profile.model_dump(mode="json", include={"title", "width", "height", "steps", "cfg"})
    return dict(told) | {"negatives": profile.negatives, "weights": profile.weights}


def _rows(found: Sequence[ModelInfo], limit: int) -> list[Answer]:
    by_use = sorted(found, key=lambda info: (not info.engine, -(info.facts.downloads or 0)))
    return [model_row(info) for info in by_use[:limit]]


def _matches(info: ModelInfo, query: str) -> bool:
    words = query.lower().split()
    if not words:
        return True
    text = " ".join((info.name, info.facts.title, info.family, info.facts.base_model, *info.facts.tags)).lower()
    return all(word in text for word in words)


def _use(ranked: Sequence[Ranked]) -> str:
    if not ranked:
        return "No model is here that draws: see search_models, or 'atelier setup' on the command line."
    return f"generate_image(prompt=..., model={ranked[0].name!r}); model='auto' chooses by the prompt itself."
