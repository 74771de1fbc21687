"""Tools that write prompts, talk them over, and remember them."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from clients.tools import arguments as a
from clients.tools.contract import Tool
from clients.tools.results import PresetList, Prompt, PromptFindings, Prompts, Turn, Wordless
from workflows.app import current_app, progress_listener
from workflows.prompts.answers import (
    history_answer,
    history_row,
    negative_answer,
    preset_list,
    report_answer,
    spoken_answer,
    written_answer,
)
from workflows.types import HistoryQuery, Progress

MOST_TOLD = 500
"""Characters of a prompt that is being written, its end, in one message of progress."""


async def build_prompt(
    subject: a.Prompt,
    style: a.Part = None,
    setting: a.Part = None,
    preset: a.PresetNames = None,
    artist: a.Part = None,
    composition: a.Part = None,
    lighting: a.Part = None,
    model: a.ModelOrFamilyName = "auto",
) -> Prompt:
    """Use this to put a prompt together from parts: presets by name, or free words."""
    written = await current_app().prompts.build(
        subject,
        style=style,
        setting=setting,
        preset=preset,
        artist=artist,
        composition=composition,
        lighting=lighting,
        model=model,
    )
    return cast(Prompt, written_answer(written))


async def enhance_prompt(
    prompt: a.Prompt, model: a.ModelOrFamilyName = "auto", style: a.Part = None, preset: a.PresetNames = None
) -> Prompt:
    """Use this to have a prompt written as a model family wants it; the user's own words stay told apart."""
    written = await current_app().prompts.enhance(
        prompt, model=model, style=style, presets=_listed(preset), listener=_telling()
    )
    return cast(Prompt, written_answer(written))


async def refine_prompt(
    message: a.Message,
    conversation_id: a.ConversationId = None,
    model: a.ModelOrFamilyName = "auto",
    preset: a.PresetNames = None,
    reset: a.Reset = False,
) -> Turn:
    """Use this to talk a prompt over, change by change. Pass the conversation_id of the answer on."""
    spoken = await current_app().prompts.converse(
        message,
        conversation_id=conversation_id,
        model=model,
        presets=None if preset is None else _listed(preset),
        reset=reset,
        listener=_telling(),
    )
    return cast(Turn, spoken_answer(spoken))


async def suggest_negative(model_type: a.ModelOrFamilyName = "sd15", prompt: a.AnyWords = "") -> Wordless:
    """Use this to get a negative prompt for a model family, if it reads one."""
    negative = await current_app().prompts.negative(model_type, prompt)
    return cast(Wordless, negative_answer(negative))


async def analyze_prompt(prompt: a.Prompt, model: a.ModelOrFamilyName = "auto") -> PromptFindings:
    """Use this to learn what a prompt says, leaves open, and gets wrong for a model."""
    return cast(PromptFindings, report_answer(await current_app().prompts.analyze(prompt, model)))


async def list_presets(category: a.PresetCategory = None, type: a.PresetType = None) -> PresetList:
    """Use this to see presets: all names, or those of a kind, a category, a type (with its artists)."""
    return cast(PresetList, preset_list(await current_app().prompts.shelf(), category, type))


async def prompt_history(query: a.Words = "", limit: a.Limit = 50, delete: a.EntryId = None) -> Prompts:
    """Use this to find earlier prompts, or delete one."""
    desk = current_app().prompts
    if delete is not None:
        return cast(Prompts, {"deleted": history_row(await desk.forget(delete)), "prompts": [], "total": 0})
    return cast(Prompts, history_answer(await desk.history(HistoryQuery.checked(query=query, limit=limit))))


def _listed(preset: str | None) -> tuple[str, ...]:
    return (preset,) if preset else ()


def _telling() -> Callable[[str], None] | None:
    """The prompt as far as it is written, told as progress; none where nobody listens."""
    listener = progress_listener()
    if listener is None:
        return None
    return lambda prompt: listener(Progress(message=prompt[-MOST_TOLD:]))


TOOLS = (
    Tool(function=build_prompt, title="Build a prompt", read_only=False),
    Tool(function=enhance_prompt, title="Enhance a prompt", read_only=False, open_world=True),
    Tool(function=refine_prompt, title="Talk a prompt over", read_only=False, open_world=True),
    Tool(function=suggest_negative, title="Suggest a negative prompt", read_only=True, idempotent=True),
    Tool(function=analyze_prompt, title="Analyze a prompt", read_only=True, idempotent=True),
    Tool(function=list_presets, title="List presets", read_only=True, idempotent=True),
    Tool(function=prompt_history, title="Earlier prompts", read_only=False, destructive=True),
)
