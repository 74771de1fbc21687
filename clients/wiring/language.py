"""Language models by name: which client speaks with which, by the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clients.config import BadSettings, Settings, secret

if TYPE_CHECKING:
    from clients.gemini_client import GeminiClient
    from clients.llm_client import LLMClient

GEMINI = "gemini-"


def language_model(settings: Settings, model: str) -> GeminiClient | LLMClient:
    """A client for the model of that name; it opens nothing before the first question. Raises BadSettings."""
    if model.startswith(GEMINI):
        from clients.gemini_client import GeminiClient

        return GeminiClient(model, api_key=secret(settings.gemini_api_key))
    from clients.llm_client import LLMClient

    try:
        if settings.openai_base_url:
            key = secret(settings.openai_api_key)
            return LLMClient(settings.openai_base_url, model, dialect="openai", api_key=key)
        return LLMClient(settings.ollama_host, model, dialect="ollama", keep_alive=settings.ollama_keep_alive)
    except ValueError as error:
        raise BadSettings(f"These settings cannot be used:\n  {error}") from error
