"""What the tests of the FAL engine share: a wish, a ticket, an engine that polls without waiting."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clients._fal.queue import Queue
from clients.fal_client import FalEngine
from tests.fake_fal import KEY, FakeFal, drawing
from workflows.ports import Engine
from workflows.types import Artifact, Media, Recipe, RenderStep, Ticket

FOX = Recipe(prompt="a fox", width=128, height=64, steps=4, cfg=1.0, seed=5, engine="fal")
TICKET = Ticket(id="0b7e1c1e-0000-4000-8000-000000000001")
AGAIN = Ticket(id=TICKET.id, again=True)
PICTURE = Media(data=drawing(64, 64), media_type="image/png")
MASK = Media(data=drawing(64, 64), media_type="image/png")
WAN = "fal-ai/wan/v2.2-a14b/text-to-video"


def engine_in(home: Path, key: str | None = KEY, **how: Any) -> FalEngine:
    return FalEngine(api_key=key, home=home, queue=Queue(key, poll_seconds=0), **how)


async def drawn(
    engine: Engine, recipe: Recipe = FOX, inputs: Mapping[str, Media] | None = None, ticket: Ticket = TICKET
) -> tuple[Artifact, list[RenderStep]]:
    steps: list[RenderStep] = []
    [artifact] = await engine.render(recipe, inputs or {}, steps.append, ticket)
    return artifact, steps


def sent(fake: FakeFal) -> list[tuple[str, dict[str, Any]]]:
    return [(one.endpoint, one.arguments) for one in fake.requests.values()]
