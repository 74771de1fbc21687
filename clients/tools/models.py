"""Tools that tell of models, choose among them, and fetch new ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from clients.tools import arguments as a
from clients.tools.consent import agreed
from clients.tools.contract import Tool
from clients.tools.results import Fetched, Found, LoraList, ModelDetails, ModelList, Suggestion
from workflows.app import App, current_app, progress_listener
from workflows.errors import BadRecipe
from workflows.model_answers import (
    lora_list,
    model_details,
    model_list,
    search_answer,
    suggested_loras,
    suggested_models,
)
from workflows.model_rows import download_answer, planned_answer
from workflows.types import ModelQuery

if TYPE_CHECKING:
    from workflows.downloads import Downloads


async def list_models(kind: a.ModelKind = "all", query: a.ModelWords = "", limit: a.Limit = 50) -> ModelList:
    """Use this to see which models are here: checkpoints, diffusion models, LoRAs, VAEs and the rest."""
    return cast(ModelList, await model_list(current_app().catalog, kind=kind, query=query, limit=limit))


async def list_loras(
    compatible_with: a.ModelOrFamily = None, query: a.ModelWords = "", limit: a.Limit = 50
) -> LoraList:
    """Use this to see the LoRAs that are here, all or those that work with a model, with their trigger words."""
    answer = await lora_list(current_app().catalog, compatible_with=compatible_with, query=query, limit=limit)
    return cast(LoraList, answer)


async def get_model_info(model_name: a.ModelName) -> ModelDetails:
    """Use this to learn all about one model here: family, settings, trigger words, licence, how it was judged."""
    return cast(ModelDetails, await model_details(current_app().catalog, model_name))


async def suggest_model(task: a.TaskWords, style: a.StyleName = None, subject: a.Subject = None) -> Suggestion:
    """Use this to have a model chosen without drawing; scores come with their parts."""
    return cast(Suggestion, await suggested_models(current_app().chooser, task, style, subject))


async def suggest_loras(prompt: a.Prompt, model: a.ModelName = "auto", max_suggestions: a.Most = 3) -> Suggestion:
    """Use this to find LoRAs for a prompt that work with a model."""
    return cast(Suggestion, await suggested_loras(current_app().chooser, prompt, model, max_suggestions))


async def search_models(
    query: a.ModelWords,
    source: a.Source = "all",
    model_type: a.ModelKind = "all",
    base_model: a.BaseModel = None,
    sort: a.SortWord = "Most Downloaded",
    nsfw: a.Nsfw = False,
    limit: a.Few = 10,
) -> Found:
    """Use this to find models to download on CivitAI and Hugging Face."""
    wanted = ModelQuery.checked(
        query=query, model_type=model_type, base_model=base_model, sort=sort, nsfw=nsfw, limit=limit
    )
    return cast(Found, await search_answer(current_app().catalog, wanted, source))


async def search_civitai(
    query: a.ModelWords,
    model_type: a.ModelKind = "all",
    base_model: a.BaseModel = None,
    sort: a.SortWord = "Most Downloaded",
    nsfw: a.Nsfw = False,
    limit: a.Few = 10,
) -> Found:
    """Use this to find models on CivitAI alone, as search_models."""
    return await search_models(query, "civitai", model_type, base_model, sort, nsfw, limit)


async def download_model(
    reference: a.Reference,
    version_id: a.VersionId = None,
    destination: a.Destination = "auto",
    confirm: a.Confirm = False,
    wait_seconds: a.WaitSeconds = a.DEFAULT_WAIT,
) -> Fetched:
    """Use this to fetch a model that search_models found. A large one is only planned until the user agrees.

    The file is checked and put where its own header says.
    """
    app = current_app()
    downloads = _downloads(app)
    plan = await downloads.plan(reference, version_id, destination)
    if plan.needs_consent and not confirm:
        said = await agreed(plan.question, f"{plan.reference} {plan.offer.name} {plan.offer.size} {plan.folder}")
        if not said:
            return cast(Fetched, planned_answer(plan, declined=said is False))
    download = await downloads.start(plan)
    waited = await downloads.wait(download.id, min(wait_seconds, a.MAX_WAIT), progress_listener())
    return cast(Fetched, download_answer(waited))


def _downloads(app: App) -> Downloads:
    if app.catalog.downloads is None:
        raise BadRecipe("reference", "", "downloads are switched off here; the owner sets ATELIER_DOWNLOADS=on")
    return app.catalog.downloads


TOOLS = (
    Tool(function=list_models, title="List models", read_only=True, idempotent=True),
    Tool(function=list_loras, title="List LoRAs", read_only=True, idempotent=True),
    Tool(function=get_model_info, title="Tell of a model", read_only=True, idempotent=True),
    Tool(function=suggest_model, title="Suggest a model", read_only=True, idempotent=True),
    Tool(function=suggest_loras, title="Suggest LoRAs", read_only=True, idempotent=True),
    Tool(function=search_models, title="Search for models", read_only=True, idempotent=True, open_world=True),
    Tool(function=download_model, title="Download a model", read_only=False, idempotent=True, open_world=True),
)
UNLISTED = (Tool(function=search_civitai, title="Search CivitAI", read_only=True, idempotent=True, open_world=True),)
"""What search_models does too, by its argument source."""
