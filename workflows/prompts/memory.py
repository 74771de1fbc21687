"""Memory: the history of prompts as the desk writes it. A history that cannot be written costs no prompt."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from workflows.errors import NotFound, StorageError, StudioError
from workflows.ports import History
from workflows.prompts.writing import Target
from workflows.types import HistoryEntry, HistoryPage, HistoryQuery, Mode

log = logging.getLogger("atelier.prompts")

NEAR = 50
"""Of the latest entries, those whose ids are compared with one that is none."""
MOST_FAULT = 500
"""Characters of why a prompt could not be written."""


@dataclass(frozen=True, kw_only=True)
class Memory:
    history: History

    async def remember(self, entry: HistoryEntry) -> None:
        try:
            await self.history.add(entry)
        except StorageError as error:
            log.warning("a prompt is not in the history: %s", error)

    async def fault(
        self, words: str, mode: Mode, target: Target, error: StudioError, conversation_id: str | None = None
    ) -> None:
        """What was asked for is kept, although nothing came of it."""
        entry = HistoryEntry(input=words, family=target.name, model=target.model, mode=mode, by="")
        await self.remember(entry.but(conversation_id=conversation_id, fault=str(error)[:MOST_FAULT]))

    async def search(self, query: HistoryQuery) -> HistoryPage:
        """Newest first. Raises BadRecipe for a cursor that is none."""
        return await self.history.search(query)

    async def forget(self, entry_id: str) -> HistoryEntry:
        """Delete an entry; the answer is what was deleted. Raises NotFound."""
        entry = await self.history.get(entry_id)
        if entry is None or not await self.history.remove(entry_id):
            recent = await self.history.search(HistoryQuery(limit=NEAR))
            raise NotFound("prompt", entry_id, [one.id for one in recent.entries], "prompt_history lists them.")
        return entry
