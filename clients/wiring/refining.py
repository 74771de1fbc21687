"""The refinery: who looks at pictures and says in words what is seen, by the settings."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from clients.config import Settings
from clients.wiring.language import GEMINI, viewer

if TYPE_CHECKING:
    from clients.ledger import Ledger
    from clients.limits import Limits
    from workflows.app import App
    from workflows.gallery import Gallery
    from workflows.prompts.desk import PromptDesk
    from workflows.refinery import Evaluator, Refinery
    from workflows.studio import Studio

DAY = 86_400.0
USUAL_GEMINI = "gemini-3.5-flash-lite"
"""Google's model that looks at pictures when GEMINI_API_KEY is set and ATELIER_VISION_MODEL names no other of it: what
Google itself names in place of 2.5 Flash, which ends on 2026-12-01 (ai.google.dev/gemini-api/docs/deprecations)."""


async def open_refinery(
    settings: Settings,
    stack: AsyncExitStack,
    ledger: Ledger,
    studio: Studio,
    gallery: Gallery,
    desk: PromptDesk,
    limits: Limits,
) -> Refinery:
    """The refinery on this home's ledger; it asks nobody anything before the first question."""
    from workflows.refinery import ClipEvaluator, Refinery

    evaluators = await _seeing(settings, stack, limits)
    if "clip" in studio.judges:
        evaluators["clip"] = ClipEvaluator(studio.judges["clip"])
    named = (settings.atelier_vision_model or "").startswith(GEMINI)
    return await stack.enter_async_context(
        Refinery(
            studio=studio,
            gallery=gallery,
            refinements=ledger.refinements,
            evaluators=evaluators,
            on_request=frozenset() if named or settings.atelier_cloud else frozenset({"gemini"}),
            scribe=desk.scribe,
            calls=ledger.calls,
        )
    )


async def keep_forgetting(app: App, pause: float = DAY) -> None:
    """Forget old failed calls now and every day, for ever."""
    while True:
        await app.forget_errors()
        await asyncio.sleep(pause)


async def _seeing(settings: Settings, stack: AsyncExitStack, limits: Limits) -> dict[str, Evaluator]:
    """Those that ask a vision language model, the named one first."""
    from workflows.refinery import VisionEvaluator

    model = settings.atelier_vision_model
    wanted = [] if model is None else [("gemini" if model.startswith(GEMINI) else "ollama", model)]
    if settings.gemini_api_key is not None and "gemini" not in dict(wanted):
        wanted.append(("gemini", USUAL_GEMINI))
    found: dict[str, Evaluator] = {}
    for name, model in wanted:
        found[name] = VisionEvaluator(name, await viewer(settings, stack, model, limits))
    return found
