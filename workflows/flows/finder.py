"""Which workflow a caller means: a graph, a file of the folders, one of the editor's library, or a gallery item's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, cast

from workflows.errors import BadRecipe, EngineUnavailable, NotFound
from workflows.flows.bounds import document
from workflows.flows.filling import UNNAMED
from workflows.flows.shelf import MOST_NAME, Opened, Shelf, bare, opened, opened_file
from workflows.ports import Workshop
from workflows.types import Media

ItemGraph = Callable[[str], Awaitable[Mapping[str, Any] | None]]
"""The graph of a gallery item; None where there is no such item, or no graph in it."""
HINT = "list_workflows shows them; a graph is given as an object or as JSON."
OURS = "that is a template of ours, not a workflow of the user's: use generate_image and its kind, which fill it"


@dataclass(frozen=True)
class Finder:
    """Where workflows are looked for, in that order: the folders, the gallery, the editor's library."""

    shelf: Shelf
    workshop: Workshop | None = None
    item_graph: ItemGraph | None = None

    async def open(self, workflow: object, templates: Collection[str] = ()) -> Opened:
        """What the caller means. Raises BadRecipe, NotFound, GraphRejected, EngineUnavailable."""
        if isinstance(workflow, Media):
            return await asyncio.to_thread(opened_file, workflow.data, UNNAMED)
        given = await asyncio.to_thread(parsed, workflow)
        if not isinstance(given, str):
            return Opened(UNNAMED, bare(given))
        return await self.named(given.strip(), templates)

    async def named(self, name: str, templates: Collection[str] = ()) -> Opened:
        """The workflow of that name."""
        check_name(name)
        if (file := await asyncio.to_thread(self.shelf.find, name)) is not None:
            return await asyncio.to_thread(opened, file)
        if name in templates:
            raise BadRecipe("workflow", name, OURS)
        if self.item_graph is not None and (graph := await self.item_graph(name)) is not None:
            return Opened(f"image {name}", bare(graph), item_id=name)
        saved = await self.saved()
        for one in (name, f"{name}.json"):
            if one in saved:
                return await self.saved_one(one)
        known = [*await asyncio.to_thread(self.shelf.files), *(one.removesuffix(".json") for one in saved)]
        raise NotFound("workflow", name, [*known, *templates], HINT)

    async def unshelved(self, name: str) -> bool:
        """Whether no file of the folders has that name."""
        return await asyncio.to_thread(self.shelf.find, name) is None

    async def saved(self) -> list[str]:
        """Names in the editor's own library; none while no server answers."""
        if self.workshop is None:
            return []
        try:
            return list(await self.workshop.saved())
        except EngineUnavailable:
            return []

    async def saved_one(self, name: str) -> Opened:
        """One of them. Raises NotFound, EngineUnavailable, GraphRejected."""
        assert self.workshop is not None
        return Opened(name.removesuffix(".json"), bare(await self.workshop.saved_workflow(name)), "saved")


def check_name(name: str) -> None:
    """A workflow is named, never pointed at. Raises BadRecipe."""
    parts = name.replace("\\", "/").split("/")
    if not name or len(name) > MOST_NAME or not name.isprintable():
        raise BadRecipe("workflow", name, f"a name has 1 to {MOST_NAME} printable letters")
    if ".." in parts or "" in parts or "~" in name[:1] or ":" in parts[0]:
        raise BadRecipe("workflow", name, "it is a name, not a path or an address: put the file into ATELIER_WORKFLOWS")


def parsed(workflow: object) -> object:
    """JSON text as what it says; everything else as it is. Raises BadRecipe."""
    if isinstance(workflow, Media):
        return workflow
    if workflow is not None and not isinstance(workflow, str | Mapping):
        raise BadRecipe("workflow", workflow, "it is a graph (an object in API format) or a workflow's name")
    if not isinstance(workflow, str) or not workflow.lstrip().startswith(("{", "[")):
        return cast(object, workflow)
    found = document(workflow)
    if not isinstance(found, Mapping):
        raise BadRecipe("workflow", workflow, "it is a graph (an object in API format) or a workflow's name")
    return cast(object, found)
