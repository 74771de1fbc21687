"""Services that cost money or can be asked too often: their engines, and the gates through which all are asked."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from clients.config import BadSettings, Settings, secret

if TYPE_CHECKING:
    from clients.limits import Limits
    from workflows.ports import Calls, Engine


async def open_limits(settings: Settings, calls: Calls) -> Limits:
    """The gates of all services; what is asked through them is written down by `calls`. Raises BadSettings."""
    from clients.limits import Limits
    from clients.prices import BadPrices, Prices

    try:
        prices = await asyncio.to_thread(Prices.read, settings.atelier_prices)
    except BadPrices as error:
        raise BadSettings(str(error)) from error
    return Limits(prices, calls)


async def cloud_engines(settings: Settings, stack: AsyncExitStack, limits: Limits) -> Sequence[Engine]:
    """FAL.ai and Gemini, which say themselves what they lack. To be asked last."""
    from clients.fal_client import FalEngine
    from clients.gemini_engine import GeminiEngine
    from clients.limits import limited_engine

    home, allowed = settings.atelier_home, settings.atelier_cloud
    fal = FalEngine(api_key=secret(settings.fal_key), home=home, allowed=allowed)
    gemini = GeminiEngine(api_key=secret(settings.gemini_api_key), home=home, allowed=allowed)
    for engine in (fal, gemini):
        await stack.enter_async_context(engine)
    return [limited_engine(fal, limits.gate("fal", fal.price)), limited_engine(gemini, limits.gate("gemini"))]
