"""The desk for words: language models by the settings, presets, history and conversations in the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from clients.config import BadSettings, Settings
from clients.wiring.language import language_model, writer

if TYPE_CHECKING:
    from clients.comfyui_engine import ComfyUIEngine
    from clients.ledger import Ledger
    from clients.limits import Limits
    from workflows.choosing import Chooser
    from workflows.ports import ChatModel, Engine
    from workflows.prompts.desk import PromptDesk
    from workflows.prompts.writers import Writers

COMFYUI = "comfyui"
UNNAMED = "any"
"""Stands for a model where only the list of them is asked for."""


async def open_writers(
    settings: Settings, stack: AsyncExitStack, comfyui: ComfyUIEngine | None, limits: Limits
) -> Writers:
    """The language models that OLLAMA_MODEL names, in its order. Nothing is asked of them before the first question.

    Raises BadSettings.
    """
    from workflows.prompts.writers import Writers

    models = [await _opened(settings, stack, name, comfyui, limits) for name in settings.ollama_model]
    neighbour = None if models else await stack.enter_async_context(language_model(settings, UNNAMED))
    return Writers(models=models, neighbour=neighbour)


async def _opened(
    settings: Settings, stack: AsyncExitStack, name: str, comfyui: ComfyUIEngine | None, limits: Limits
) -> ChatModel:
    host, _, file = name.partition("/")
    if host != COMFYUI:
        return await writer(settings, stack, name, limits)
    if comfyui is None:
        raise BadSettings(f"OLLAMA_MODEL names {name}, but there is no ComfyUI: set COMFYUI_URL.")
    return comfyui.text_model(file)


def prompt_desk(
    settings: Settings, ledger: Ledger, chooser: Chooser, engines: Sequence[Engine], writers: Writers
) -> PromptDesk:
    """The desk on this home's ledger and presets."""
    from workflows.presets import Presets
    from workflows.prompts.desk import PromptDesk
    from workflows.prompts.memory import Memory
    from workflows.prompts.targets import Targets
    from workflows.prompts.writing import Scribe

    return PromptDesk(
        presets=Presets(settings.preset_folders, adult=chooser.rules.adult),
        own=ledger.presets,
        kept=ledger.conversations,
        memory=Memory(history=ledger.history),
        targets=Targets(chooser=chooser, engines=engines),
        scribe=Scribe(rules=chooser.rules, writers=writers),
    )
