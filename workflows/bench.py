"""Workbench: what a job is carried out with, and the way of one of its pictures from the engine into the store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from workflows.catalog import Catalog
from workflows.clips import poster_of
from workflows.judges.panel import Panel
from workflows.kinds import PNG
from workflows.loop import Permit, unchanged
from workflows.ports import Engine, Graphs, Items, Jobs, Recorder, Signer, Store
from workflows.stamp import poster_key, stamped_item, with_hashes
from workflows.types import Attempt, Item, Job, Media, Recipe, Written


class Wordsmith(Protocol):
    """Who makes the wording of recipes with presets or `enhance`."""

    async def check(self, recipe: Recipe) -> Recipe:
        """The recipe, with the preset that its style names. Raises what its wording would be refused with: NotFound for
        a preset that is none, Refused."""
        ...

    async def worded(
        self, recipe: Recipe, family: str, listener: Callable[[str], None]
    ) -> tuple[Recipe, Written | None]:
        """The recipe with its wording for that model family, where it wants one; `listener` hears it being written."""
        ...


@dataclass(frozen=True, kw_only=True)
class Workbench:
    """What a run works with."""

    store: Store
    jobs: Jobs
    items: Items
    engine: Engine
    panel: Panel
    permit: Permit = unchanged
    graphs: Graphs | None = None
    recorder: Recorder | None = None
    words: Wordsmith | None = None
    signer: Signer | None = None
    catalog: Catalog | None = None
    """Knows the hashes of weights that the engine does not tell."""

    async def kept(self, job: Job, recipe: Recipe, attempt: Attempt, raw: Media) -> tuple[Item, Media]:
        """The attempt's row, and its stamped picture, stored; of a video its poster, too. Raises StorageError.

        `recipe` is the user's own for this picture.
        """
        attempt = with_hashes(attempt, self.catalog.short_hash) if self.catalog else attempt
        parent = await self.items.get(recipe.source_item) if recipe.source_item else None
        poster = await asyncio.to_thread(poster_of, raw)
        stamp = partial(stamped_item, parent=parent, poster=poster, signer=self.signer)
        item, media = await asyncio.to_thread(stamp, raw, job, recipe, attempt, self.engine.name)
        if poster is not None:
            await self.store.put(poster_key(item.key), Media(data=poster, media_type=PNG))
        await self.store.put(item.key, media)
        return item, media
