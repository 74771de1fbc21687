"""Language models by name: which client speaks with which, by the settings, and through which gate."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from clients.config import BadSettings, Settings, secret

if TYPE_CHECKING:
    from clients.gemini_client import GeminiClient
    from clients.limits import LimitedChat, LimitedVision, Limits
    from clients.llm_client import LLMClient

GEMINI = "gemini-"


async def writer(settings: Settings, stack: AsyncExitStack, model: str, limits: Limits) -> LimitedChat:
    """The model of that name, to write. Raises BadSettings."""
    from clients.limits import limited_chat

    client = await stack.enter_async_context(language_model(settings, model))
    return limited_chat(client, limits.gate(service_of(settings, model)))


async def viewer(settings: Settings, stack: AsyncExitStack, model: str, limits: Limits) -> LimitedVision:
    """The model of that name, to look at pictures. Raises BadSettings."""
    from clients.limits import limited_vision

    client = await stack.enter_async_context(language_model(settings, model))
    return limited_vision(client, limits.gate(service_of(settings, model)))


def service_of(settings: Settings, model: str) -> str:
    """Who has the model of that name: gemini, openai or ollama."""
    if model.startswith(GEMINI):
        return "gemini"
    return "openai" if settings.openai_base_url else "ollama"


def language_model(settings: Settings, model: str) -> GeminiClient | LLMClient:
    """A client for the model of that name; it opens nothing before the first question. Raises BadSettings."""
    if model.startswith(GEMINI):
        from clients.gemini_client import GeminiClient

        # Behind a gate, which tries again: were both to do so, they would multiply.
        return GeminiClient(model, api_key=secret(settings.gemini_api_key), retry_seconds=())
    from clients.llm_client import LLMClient

    try:
        if settings.openai_base_url:
            key = secret(settings.openai_api_key)
            return LLMClient(settings.openai_base_url, model, dialect="openai", api_key=key)
        keep_alive = settings.ollama_keep_alive
        return LLMClient(settings.ollama_host, model, dialect="ollama", keep_alive=keep_alive)
    except ValueError as error:
        raise BadSettings(f"These settings cannot be used:\n  {error}") from error
