"""What the ledger's tests file and look for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from clients.ledger import Ledger
from workflows.types import Item, ItemQuery, Job, Recipe

RECIPE = Recipe(prompt="a red circle")
START = datetime(2026, 11, 1, tzinfo=UTC)


def item(number: int, **changes: Any) -> Item:
    facts: dict[str, Any] = {
        "id": f"{number:04d}-item",
        "job_id": "job",
        "key": f"job/1/{number}.png",
        "media_type": "image/png",
        "width": 64,
        "height": 64,
        "size": 100,
        "sha256": "0" * 64,
        "created": START + timedelta(hours=number),
        "prompt": f"picture {number}",
        "model": "Demo",
        "engine": "local",
        "seed": number,
        "recipe": RECIPE,
        "rendered": RECIPE,
    }
    return Item(**facts | changes)


async def file_items(ledger: Ledger, *items: Item) -> None:
    job = Job(recipe=RECIPE)
    await ledger.jobs.add(job)
    assert await ledger.jobs.save(job, await ledger.jobs.claim(job.id), items)


async def found(ledger: Ledger, **query: Any) -> list[int]:
    """The seeds (which number the items) on the first page."""
    return [item.seed for item in (await ledger.items.search(ItemQuery(**query))).items]
