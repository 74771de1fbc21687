"""Drawing: one recipe on one server, from its input pictures to what came out; down the memory ladder where it must."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

from clients.comfyui_engine.memory import Rung, given_up, ladder, said, told
from clients.comfyui_engine.pictures import same_pixels, size_of
from clients.comfyui_engine.progress import Tracker
from clients.comfyui_engine.weighing import planned
from utils.images import BadPicture
from workflows.drawing.checking import problems
from workflows.drawing.drafting import draft, sampler_steps
from workflows.drawing.finishing import draft_mask
from workflows.drawing.fitting import fit
from workflows.errors import EngineUnavailable, GraphRejected, NotFound, OutOfMemory, RenderFailed
from workflows.types import WORDLESS, Artifact, Media, Recipe, Ticket, new_id, now

if TYPE_CHECKING:
    from clients.comfyui_client import Finished, OutputFile
    from clients.comfyui_engine.server import Server
    from workflows.drawing.inventory import Inventory
    from workflows.drawing.setup import Setup
    from workflows.graph import Graph

FOLDER = "atelier"
"""Of the server's output folder: everything of ours is in it, in one folder a day, because SaveImage reads the whole
folder at every picture."""


NO_FACE = "No face was found in the picture, so it is unchanged."


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A prompt that was carried out: its graph, its id, how thrifty it was, and its pictures with their sizes."""

    graph: Graph
    setup: Setup
    prompt_id: str
    pictures: tuple[tuple[Media, int, int], ...]
    memory: Mapping[str, Any] | None = None
    """The plan by which it fitted, and what came of it."""


@dataclass(frozen=True, kw_only=True)
class Placed:
    """What a setup needs besides what the server has: names under which our pictures lie there."""

    prefix: str
    pictures: Mapping[str, str]
    source_size: tuple[int, int] | None

    def into(self, setup: Setup) -> Setup:
        known = {"source_size": self.source_size} if self.source_size else {}
        return replace(setup, prefix=self.prefix, pictures=self.pictures, facts={**setup.facts, **known})


@dataclass(kw_only=True)
class Drawing:
    """Owns nothing: whoever awaits `artifacts` may be cancelled, and the client then stops the prompt."""

    server: Server
    recipe: Recipe
    setup: Setup
    inputs: Mapping[str, Media]
    ticket: Ticket
    tracker: Tracker
    prompt_id: str = ""
    """Of the prompt that was sent last."""
    notes: list[str] = field(default_factory=list[str])

    async def artifacts(self) -> list[Artifact]:
        """Raises EngineError; EngineUnavailable means that the server, not the recipe, is at fault."""
        began = time.perf_counter()
        try:
            drawn = await self._down_the_ladder(await self._placed())
        except GraphRejected:
            self.server.forget()  # it has not what we thought it had
            raise
        except RenderFailed as error:
            raise self._with_the_guesses(error) from error
        if drawn.setup.family.profile.name != "unknown":  # an upscaler or another tool draws nothing
            self.server.warm = drawn.setup.model
        if await self._found_no_face(drawn):
            self.notes.append(NO_FACE)
        self.tracker.finish()
        facts = self._facts(drawn, time.perf_counter() - began)
        return [self._artifact(drawn, facts, place, *picture) for place, picture in enumerate(drawn.pictures)]

    async def mask(self) -> Media:
        """What a mask finder's setup draws."""
        setup = (await self._placed()).into(self.setup)
        drawn = await self._drawn(setup, draft_mask(self.recipe, setup), 1)
        return drawn.pictures[0][0]

    # ------------------------------------------------------------------ steps

    async def _placed(self) -> Placed:
        """The input pictures uploaded, and a name for the output."""
        prefix = f"{FOLDER}/{now():%Y-%m-%d}/{self.ticket.id[:8]}"
        names = {role: await self.server.upload(media) for role, media in self.inputs.items()}
        source = self.inputs.get("source")
        size = await asyncio.to_thread(size_of, source.data) if source else None
        return Placed(prefix=prefix, pictures=names, source_size=size)

    async def _down_the_ladder(self, placed: Placed) -> Drawn:
        """The first rung that fits into the server's memory, from where the plan begins."""
        tried: list[Rung] = []
        last = OutOfMemory("")
        count = await self.server.at_once(self.recipe, self.setup)
        inventory = await self.server.inventory()
        plan = await planned(self.server, self.recipe.but(count=count), self.setup, inventory)
        for rung, setup, graph in self._rungs(ladder(count, plan), placed, inventory):
            if tried:
                self.tracker.say(f"Out of memory; drawing again {rung.words}")
                await self.server.client.free()
            tried.append(rung)
            try:
                drawn = await self._drawn(setup, graph, len(tried))
            except OutOfMemory as error:
                last = error
                self.server.did_not_fit(self.recipe, self.setup, rung.count)
                continue
            self.notes += [said(rung)] if len(tried) > 1 else []
            used = replace(setup.thrift, small_weights=self._is_smaller(setup))
            return replace(drawn, memory=told(plan, used, rung.words if len(tried) > 1 else "")) if plan else drawn
        raise given_up(tried, last, self.server.url) from last

    def _rungs(
        self, rungs: Iterable[Rung], placed: Placed, inventory: Inventory
    ) -> Iterator[tuple[Rung, Setup, Graph]]:
        """The rungs that make another graph than the ones before: not every one changes something for every recipe."""
        seen: list[Graph] = []
        for rung in rungs:
            setup = placed.into(self._setup_for(rung, inventory))
            graph = draft(self.recipe.but(count=rung.count), setup)
            if graph not in seen:
                seen.append(graph)
                yield rung, setup, graph

    def _setup_for(self, rung: Rung, inventory: Inventory) -> Setup:
        if rung.thrift.small_weights and self.recipe.task not in WORDLESS:
            return fit(self.recipe.but(model=self.setup.model), inventory, thrift=rung.thrift)
        return replace(self.setup, thrift=rung.thrift)

    def _is_smaller(self, setup: Setup) -> bool:
        """Whether the weights are really in a smaller format: not every server has a way to that."""
        return setup.model != self.setup.model or "weight_dtype" in setup.components

    async def _drawn(self, setup: Setup, graph: Graph, rung: int) -> Drawn:
        """One graph carried out and its pictures fetched; once more, under another name, when its file is gone."""
        finished = await self._run(graph, self._prompt_id(f"rung {rung}" if rung > 1 else ""))
        try:
            pictures = await self._fetched(finished)
        except NotFound:  # an equal prompt was in the server's cache, its file is not there any more
            graph = _renamed(graph)
            finished = await self._run(graph, self._prompt_id(f"rung {rung} again"))
            pictures = await self._fetched(finished)
        return Drawn(graph=graph, setup=setup, prompt_id=self.prompt_id, pictures=pictures)

    async def _run(self, graph: Graph, prompt_id: str) -> Finished:
        inventory = await self.server.inventory()
        if faults := problems(graph, inventory):
            raise GraphRejected(f"{self.server.url} would not take this graph: {faults[0].message}", faults)
        self.tracker.begin(graph, sampler_steps(graph), self.server.url)
        self.prompt_id = prompt_id
        return await self.server.client.run(
            graph.as_prompt(), prompt_id=prompt_id, on_event=self.tracker.hear, again=self.ticket.again
        )

    def _prompt_id(self, which: str) -> str:
        """The ticket's own id for the first prompt; what has to be sent besides is named after it."""
        return str(uuid5(UUID(self.ticket.id), which)) if which else self.ticket.id

    async def _fetched(self, finished: Finished) -> tuple[tuple[Media, int, int], ...]:
        """The pictures that were saved; raises NotFound when a file is gone, RenderFailed when there are none."""
        files = [file for file in finished.files if file.type == "output"] or list(finished.files)
        if not files:
            raise RenderFailed(f"{self.server.url} ended the render without a picture.")
        return tuple([await self._picture(file) for file in files])

    async def _picture(self, file: OutputFile) -> tuple[Media, int, int]:
        """Fetched again once when it comes in pieces."""
        try:
            return await self._whole(file)
        except (RenderFailed, EngineUnavailable):
            return await self._whole(file)

    async def _whole(self, file: OutputFile) -> tuple[Media, int, int]:
        media = await self.server.client.view(file)
        try:
            return media, *await asyncio.to_thread(size_of, media.data)
        except BadPicture as error:
            raise RenderFailed(f"{self.server.url} gave a picture that cannot be used: {error}.") from error

    async def _found_no_face(self, drawn: Drawn) -> bool:
        """Whether a face restoration gave back what it got."""
        if self.recipe.task != "face_restore" or "source" not in self.inputs:
            return False
        return await asyncio.to_thread(same_pixels, self.inputs["source"].data, drawn.pictures[0][0].data)

    # ------------------------------------------------------------------ what is told of it

    def _with_the_guesses(self, error: RenderFailed) -> RenderFailed:
        """What was taken for granted before it broke is what the reader may change."""
        notes = (*self.setup.notes, *self.notes)
        return RenderFailed(f"{str(error).rstrip('.')}. Mind: {' '.join(notes)}", node=error.node) if notes else error

    def _facts(self, drawn: Drawn, seconds: float) -> dict[str, Any]:
        setup, recipe = drawn.setup, self.recipe
        told = {
            "prompt_id": drawn.prompt_id,
            "server": self.server.url,
            "family": setup.family.profile.name,
            "template": setup.template.name,
            "steps": recipe.steps,
            "cfg": recipe.cfg,
            "sampler": setup.sampler or None,
            "scheduler": setup.scheduler or None,
            "components": dict(setup.components) or None,
            "loras": {lora.name: lora.strength for lora in setup.loras} or None,
            "notes": [*setup.notes, *self.notes] or None,
            "memory": drawn.memory,
            "seconds": round(seconds, 3),
            "graph": drawn.graph.as_prompt(),
        }
        return {name: value for name, value in told.items() if value is not None}

    def _artifact(
        self, drawn: Drawn, facts: dict[str, Any], place: int, media: Media, width: int, height: int
    ) -> Artifact:
        seed = self.recipe.seed or 0
        alone = len(drawn.pictures) == 1
        told = self.recipe.batch_index if alone else place
        facts = facts | ({} if told is None else {"batch_index": told})
        return Artifact(media=media, seed=seed, width=width, height=height, model=drawn.setup.model, facts=facts)


def _renamed(graph: Graph) -> Graph:
    """The same graph saving under another name, which makes the server save again."""
    for name, node in graph.nodes.items():
        if isinstance(prefix := node.inputs.get("filename_prefix"), str):
            graph = graph.but(name, filename_prefix=f"{prefix}-again")
    return graph


async def found_mask(server: Server, words: str, source: Media, setup: Setup) -> Media:
    """The mask that a server finds, white where the words are."""
    recipe = Recipe(task="inpaint", prompt=words, mask_text=words)
    drawing = Drawing(
        server=server,
        recipe=recipe,
        setup=setup,
        inputs={"source": source},
        ticket=Ticket(id=new_id()),
        tracker=Tracker(lambda step: None),
    )
    return await drawing.mask()
